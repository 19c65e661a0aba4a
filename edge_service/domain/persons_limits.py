"""What people let a charger draw and give, whatever the utility, a schedule or a departure wants of it.

It stands where the service's own limits do. In an outage it does not hold: nothing may take power from the house.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from edge_service.domain.asked import Asked, bad_argument
from edge_service.domain.band import ANY, Band
from edge_service.domain.model import Settings, frozen_map
from edge_service.domain.view import Narrowing, View

MOST_W = 1_000_000
ARGUMENTS = ("charge_w", "discharge_w")


def statements(view: View) -> Iterator[Narrowing]:
    """One per charger that is limited."""
    settings = view.settings
    for charger in view.open_chargers:
        charge_w, discharge_w = settings.charge_limit_w.get(charger), settings.discharge_limit_w.get(charger)
        if charge_w is None and discharge_w is None:
            continue
        band = Band(ANY.lo if discharge_w is None else -discharge_w, ANY.hi if charge_w is None else charge_w)
        data = frozen_map({"charge_w": charge_w, "discharge_w": discharge_w})
        yield Narrowing("persons_limit", bands=frozen_map({charger: band}), data=data)


def set_power_limit(asked: Asked) -> Settings:
    """What is not named stays; null lifts."""
    charger = asked.charger()
    if not any(name in asked.args for name in ARGUMENTS):
        raise bad_argument("charge_w", None, "charge_w, discharge_w or both, each in watts or null")
    settings = asked.settings
    return replace(
        settings,
        charge_limit_w=_limited(asked, settings.charge_limit_w, charger, "charge_w"),
        discharge_limit_w=_limited(asked, settings.discharge_limit_w, charger, "discharge_w"),
    )


def _limited(asked: Asked, limits: Mapping[str, int], charger: str, name: str) -> Mapping[str, int]:
    if name not in asked.args:
        return limits
    others = {other: power_w for other, power_w in limits.items() if other != charger}
    if asked.args[name] is None:
        return frozen_map(others)
    return frozen_map({**others, charger: round(asked.number(name, 0, MOST_W))})
