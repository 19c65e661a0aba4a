"""What is kept for driving and for an outage, and what of it is lent to the house: commands become settings. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from edge_service.domain.asked import Asked, CommandRefusedError, bad_argument
from edge_service.domain.memory import ALIVE
from edge_service.domain.model import AtEnd, Settings, frozen_map
from edge_service.domain.resolved import at_end_of, lowered_pct, pct_of_miles, reserve_pct

MOST_MILES = 500


def set_backup_reserve(asked: Asked) -> Settings:
    return replace(asked.settings, backup_reserve_pct=asked.number("pct", 0, 100))


def set_drivers_reserve(asked: Asked) -> Settings:
    """Percent or miles; the other is forgotten. What was lent of it stays lent."""
    charger, settings = asked.charger(), asked.settings
    pct, miles = _how_much(asked, 0)
    by_pct = {name: value for name, value in settings.drivers_reserve_pct.items() if name != charger}
    by_miles = {name: value for name, value in settings.drivers_reserve_miles.items() if name != charger}
    if pct is not None:
        by_pct[charger] = pct
    if miles is not None:
        by_miles[charger] = miles
    after = replace(settings, drivers_reserve_pct=frozen_map(by_pct), drivers_reserve_miles=frozen_map(by_miles))
    return _unless_dark(asked, after)


def set_event_floor(asked: Asked) -> Settings:
    floors = {**asked.settings.event_floor_pct, asked.program(): asked.number("pct", 0, 100)}
    return replace(asked.settings, event_floor_pct=frozen_map(floors))


def set_at_end(asked: Asked) -> Settings:
    """From now on it is a person's choice, whatever the loads are."""
    return _unless_dark(asked, replace(asked.settings, at_end=asked.choice("at_end", AtEnd), at_end_chosen=True))


def lend_reserve(asked: Asked) -> Settings:
    """So much of the driver's reserve in all is the house's for this outage, at most all of it."""
    charger, settings = asked.charger(), asked.settings
    pct, miles = _how_much(asked, 1)
    if asked.memory.outage is None or asked.memory.outage.ended_at is not None:
        raise CommandRefusedError("no_outage", "the reserve is lent in an outage only, and for that outage")
    capacity_wh = asked.memory.charger(charger).capacity_wh
    if miles is not None and capacity_wh is None:
        raise CommandRefusedError(
            "capacity_unknown", f"the vehicle at {charger} does not tell its size; lend percent", allowed="pct"
        )
    points = pct_of_miles(settings, charger, miles, capacity_wh) if miles is not None and capacity_wh else pct
    lent = min(points or 0.0, reserve_pct(settings, charger, capacity_wh))
    return _unless_dark(asked, replace(settings, lent_pct=frozen_map({**settings.lent_pct, charger: lent})))


def take_back_lent(asked: Asked) -> Settings:
    charger = asked.charger()
    lent = {name: points for name, points in asked.settings.lent_pct.items() if name != charger}
    return _unless_dark(asked, replace(asked.settings, lent_pct=frozen_map(lent)))


def _how_much(asked: Asked, least: float) -> tuple[float | None, float | None]:
    pct, miles = asked.args.get("pct"), asked.args.get("miles")
    if (pct is None) == (miles is None):
        found = "neither" if pct is None else "both"
        raise bad_argument("pct", found, "pct or miles", f"it takes pct or miles, not {found}")
    if miles is None:
        return asked.number("pct", least, 100), None
    return None, asked.number("miles", least, MOST_MILES)


def _unless_dark(asked: Asked, after: Settings) -> Settings:
    """A reserve that the vehicle is at already would end the backup: that takes a person's confirmed word."""
    if asked.args.get("confirm") is not True and _ends_now(asked, after) and not _ends_now(asked, asked.settings):
        raise CommandRefusedError(
            "confirm_needed", "the backup ends and the house goes dark; say confirm: true", allowed="confirm: true"
        )
    return after


def _ends_now(asked: Asked, settings: Settings) -> bool:
    former = asked.memory.island.former
    if asked.observation is None or former is None or asked.memory.island.step not in ALIVE:
        return False
    reading = asked.observation.chargers.get(former)
    if reading is None or reading.soc_pct is None or at_end_of(settings, asked.facts) is AtEnd.LEND:
        return False
    return reading.soc_pct <= lowered_pct(settings, former, asked.memory.charger(former).capacity_wh)


COMMANDS: Mapping[str, Callable[[Asked], Settings]] = {
    "set_backup_reserve": set_backup_reserve,
    "set_drivers_reserve": set_drivers_reserve,
    "set_event_floor": set_event_floor,
    "set_at_end": set_at_end,
    "lend_reserve": lend_reserve,
    "take_back_lent": take_back_lent,
}
