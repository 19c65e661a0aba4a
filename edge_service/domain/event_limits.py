"""What keeps a running event's target from being met: one word, found in the steps of the decision itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from edge_service.domain import dispatch
from edge_service.domain.memory import EventMemory, EventStage
from edge_service.domain.model import Grid, SlotKind, Stage, frozen_map
from edge_service.domain.ruling import ruling
from edge_service.domain.timeline import Call
from edge_service.domain.view import Step, View

# Less is met: nobody is told of the last watts.
MET_SHARE = 0.02
MET_W = 100
SERVED = frozenset({EventStage.RUNNING, EventStage.INTERRUPTED})


class LimitedBy(StrEnum):
    """Why an event gets less than it asks for."""

    OUTAGE = "outage"
    GENERATOR = "generator"
    GRID_UNKNOWN = "grid_unknown"
    OTHER_EVENT = "other_event"
    STOPPED = "stopped"
    MODE = "mode"
    MANUAL = "manual"
    DEPARTURE = "departure"
    RESERVE = "reserve"
    EVENT_FLOOR = "event_floor"
    STORM = "storm"
    GRID_EMERGENCY = "grid_emergency"
    BLACK_START = "black_start"
    EXPORT_LIMIT = "export_limit"
    IMPORT_LIMIT = "import_limit"
    CAPACITY_LIMIT = "capacity_limit"
    METER_SILENT = "meter_silent"
    NO_VEHICLE = "no_vehicle"
    VEHICLE = "vehicle"
    CHARGER = "charger"
    CHARGER_SILENT = "charger_silent"
    ANOTHER_CONTROLLER = "another_controller"
    NO_SETPOINT = "no_setpoint"
    RATING = "rating"
    NOT_FOLLOWED = "not_followed"
    POWER_UNKNOWN = "power_unknown"
    PERSONS_LIMIT = "persons_limit"


_BY_REASON: Mapping[str, LimitedBy] = {
    "no_contact": LimitedBy.CHARGER_SILENT,
    "not_probed": LimitedBy.CHARGER_SILENT,
    "takes_no_setpoint": LimitedBy.NO_SETPOINT,
    "commanded_by_other": LimitedBy.ANOTHER_CONTROLLER,
    "another_controller": LimitedBy.ANOTHER_CONTROLLER,
    "read_only": LimitedBy.MODE,
    "paused": LimitedBy.MODE,
    "hold_for_backup": LimitedBy.MODE,
    "black_start": LimitedBy.BLACK_START,
    "import_capacity": LimitedBy.CAPACITY_LIMIT,
    "export_capacity": LimitedBy.CAPACITY_LIMIT,
    "meter_silent": LimitedBy.METER_SILENT,
    "meter_late": LimitedBy.METER_SILENT,
    "storm": LimitedBy.STORM,
    "storm_charges": LimitedBy.STORM,
    "grid_emergency": LimitedBy.GRID_EMERGENCY,
    "event_floor": LimitedBy.EVENT_FLOOR,
    "persons_limit": LimitedBy.PERSONS_LIMIT,
}
_BY_RUNG: Mapping[str, LimitedBy] = {
    "device_safety": LimitedBy.CHARGER,
    "stop": LimitedBy.STOPPED,
    "outage": LimitedBy.OUTAGE,
    "drivers_reserve": LimitedBy.RESERVE,
    "manual": LimitedBy.MANUAL,
    "departure": LimitedBy.DEPARTURE,
    "backup_reserve": LimitedBy.RESERVE,
}


def follow(view: View, accounts: Mapping[str, EventMemory]) -> Mapping[str, EventMemory]:
    """The accounts with what limits each event now, and with what a change counts from once that is measured."""
    call = ruling(view)
    found = {uid: _followed(view, call, uid, account) for uid, account in accounts.items()}
    return frozen_map(found) if any(found[uid] is not account for uid, account in accounts.items()) else accounts


def _followed(view: View, call: Call | None, uid: str, account: EventMemory) -> EventMemory:
    rules = call is not None and call.event.uid == uid
    if call is not None and rules and account.stage is EventStage.RUNNING:
        account = dispatch.with_base(view, call, account)
    limited_by = _limited_by(view, call, rules=rules) if account.stage in SERVED else None
    return account if limited_by == account.limited_by else replace(account, limited_by=limited_by)


def is_outranked(view: View, uid: str) -> bool:
    """Another event counts at this moment: what is delivered now is that one's, and is counted once."""
    call = ruling(view)
    return call is not None and call.event.uid != uid and not call.event.dry


def _limited_by(view: View, call: Call | None, *, rules: bool) -> LimitedBy | None:
    if view.on_generator:
        return LimitedBy.GENERATOR
    if not view.tied:
        return LimitedBy.GRID_UNKNOWN if view.grid is Grid.UNKNOWN else LimitedBy.OUTAGE
    if call is None or call.event.dry:
        return None
    return _shortfall(view, call) if rules else LimitedBy.OTHER_EVENT


_ALL_THERE_IS = frozenset({SlotKind.MAX_DISCHARGE, SlotKind.MAX_CHARGE})
_CAPS = frozenset({SlotKind.NO_CHARGE, SlotKind.CHARGE_SHARE, SlotKind.CHARGE_STATE})


def _shortfall(view: View, call: Call) -> LimitedBy | None:
    """What is given at the ramp's present strength is compared with what is asked, charger by charger."""
    if call.slot.kind in _CAPS:
        return None
    asked_w = dispatch.asked_w(view, call)
    if asked_w is None:
        return LimitedBy.POWER_UNKNOWN
    sign = -1 if asked_w < 0 else 1
    reach = {name: _rating_w(view, name, sign) for name in view.facts.chargers}
    most_w = sum(reach.values())
    target_w = most_w if call.slot.kind in _ALL_THERE_IS else abs(asked_w)
    given = {name: max(0, sign * _given_w(view, name)) for name in reach}
    missing_w = target_w * dispatch.strength(view, call.event) - sum(given.values())
    if missing_w > max(MET_W, MET_SHARE * target_w):
        return _blamed(view, reach, given, sign)
    return _not_done(view, given)


def _rating_w(view: View, charger: str, sign: int) -> int:
    capability = view.capability(charger)
    if capability is None:
        return 0
    return capability.charge_rating_w if sign > 0 else capability.discharge_rating_w


def _given_w(view: View, charger: str) -> int:
    """What is ordered of it; of one that is let alone, or takes no setpoint, what it is measured to do."""
    settled, reading = view.settled.get(charger), view.reading(charger)
    if settled is not None and settled.want_w is not None and settled.instead is None and view.takes_setpoint(charger):
        return settled.want_w
    return (reading.power_w if reading else None) or 0


def _blamed(view: View, reach: Mapping[str, int], given: Mapping[str, int], sign: int) -> LimitedBy:
    """The reason at the charger that could have given most of what is missing; its rating where all give theirs."""
    lost = sorted((name for name in reach if reach[name] > given[name]), key=lambda name: given[name] - reach[name])
    if lost:
        return _why(view, lost[0], sign)
    unable = [name for name in reach if not reach[name]]
    return _why(view, unable[0], sign) if len(unable) == len(reach) and unable else LimitedBy.RATING


def _why(view: View, charger: str, sign: int) -> LimitedBy:
    if not view.takes_setpoint(charger):
        return LimitedBy.NO_SETPOINT
    step = _binding(view.steps.get(charger, ()), _rating_w(view, charger, sign), sign)
    if step is None:
        return LimitedBy.EXPORT_LIMIT if sign < 0 else LimitedBy.IMPORT_LIMIT
    if step.reason == "device":
        reading = view.reading(charger)
        return LimitedBy.NO_VEHICLE if reading is not None and reading.plugged is False else LimitedBy.VEHICLE
    if step.rung == "site_limits" and step.reason not in _BY_REASON:
        return LimitedBy.EXPORT_LIMIT if sign < 0 else LimitedBy.IMPORT_LIMIT
    return _BY_REASON.get(step.reason) or _BY_RUNG.get(step.rung, LimitedBy.CHARGER)


def _binding(steps: Sequence[Step], rating_w: int, sign: int) -> Step | None:
    """The last statement above the event's own that took something away in its direction; None: none did."""
    could_w, found = rating_w, None
    for step in steps:
        if step.rung == "demand_response" and step.reason != "event_floor":
            break
        if step.low_w is None or step.high_w is None:
            return step
        left_w = max(0, -step.low_w if sign < 0 else step.high_w)
        if left_w < could_w:
            could_w, found = left_w, step
    return found


def _not_done(view: View, given: Mapping[str, int]) -> LimitedBy | None:
    """Ordered as asked: a charger that is proven to do less is what limits."""
    for name, power_w in given.items():
        evidence = view.observation.orders.get(name)
        if power_w and evidence is not None and evidence.stage in (Stage.LIMITED, Stage.REFUSED):
            followed = evidence.reason not in ("not_followed", None)
            return LimitedBy.VEHICLE if followed and evidence.stage is Stage.LIMITED else LimitedBy.NOT_FOLLOWED
    return None
