"""Why a charger cannot discharge now, in one word: the first thing that would have to change."""

from collections.abc import Iterator, Mapping

from edge_service.domain.model import EMPTY_SOC_PCT, Authority, Capability, ChargerReading, ChargerState, frozen_map
from edge_service.domain.view import View

_COMMANDED = frozenset({Authority.LOCAL, Authority.APP, Authority.OCPP})
_OUT_OF_ORDER = frozenset({ChargerState.OFFLINE, ChargerState.BOOTING, ChargerState.BLOCKED})
_ALARMS: Mapping[str, str] = frozen_map(
    {
        "session_not_bidirectional": "not_bidirectional",
        "v2g_not_offered": "not_offered",
        "window_unknown": "window_unknown",
    }
)


def blocked_by(view: View, charger: str) -> str | None:
    """None: it can. What the grid, an event or a schedule wants of it is no reason here."""
    return next(_reasons(view, charger), None)


def bidirectional(reading: ChargerReading | None, capability: Capability | None) -> bool | None:
    """Whether charger and vehicle have agreed on discharge; None: not known."""
    if capability is not None and capability.discharge_rating_w == 0:
        return False
    if reading is None or capability is None or reading.plugged is not True:
        return None
    if {"session_not_bidirectional", "v2g_not_offered"} & set(reading.alarms):
        return False
    discharges = reading.state is ChargerState.DISCHARGING or bool(reading.discharge_max_w)
    return True if discharges and "window_unknown" not in reading.alarms else None


def _reasons(view: View, charger: str) -> Iterator[str]:
    capability, reading = view.capability(charger), view.reading(charger)
    if capability is not None and capability.discharge_rating_w == 0:
        yield "unable"
    if reading is None or capability is None:
        yield "no_contact"
        return
    if view.settings.stopped:
        yield "stopped"
    yield from _of_charger(view, charger, reading)
    yield from _of_vehicle(reading)
    yield from _of_people(view, charger)


def _of_charger(view: View, charger: str, reading: ChargerReading) -> Iterator[str]:
    if reading.state is ChargerState.FAULT:
        yield "fault"
    if reading.service_permitted is False or reading.state in _OUT_OF_ORDER:
        yield "charger"
    if reading.plugged is False:
        yield "no_vehicle"
    if reading.authority in _COMMANDED or charger in view.observation.contested:
        yield "another_controller"


def _of_vehicle(reading: ChargerReading) -> Iterator[str]:
    yield from (why for alarm, why in _ALARMS.items() if alarm in reading.alarms)
    if reading.soc_pct is None or reading.soc_pct <= EMPTY_SOC_PCT:
        yield "vehicle"
    if reading.discharge_max_w == 0:
        yield "charger"


def _of_people(view: View, charger: str) -> Iterator[str]:
    """What people decided. Their limit does not hold in an outage."""
    if view.is_low(charger, "driver"):
        yield "reserve"
    if view.tied and view.settings.discharge_limit_w.get(charger) == 0:
        yield "limit"
