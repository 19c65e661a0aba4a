"""Every kind of notice that the edge can raise: the group that a person chooses it by, whether it may wake somebody."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from .wire import NoticeWire


class Group(StrEnum):
    """What people choose by. The values are keys of options and of translations."""

    SAFETY = "outage_and_safety"
    EVENTS = "peak_events"
    DEPARTURES = "departures_and_charging"
    UPKEEP = "drills_and_upkeep"
    RESULTS = "results"


@dataclass(frozen=True, slots=True)
class Kind:
    """``wakes``: a person must act at once, at night too. ``over``: it tells of what is past, so a phone that is chosen
    later is not bothered with it. ``hushed``: without a sound by day, too. ``buttons``: see ``phones.buttons``."""

    group: Group
    wakes: bool = False
    over: bool = False
    hushed: bool = False
    buttons: tuple[str, ...] = ()


def _safety(*buttons: str, wakes: bool = False, over: bool = False) -> Kind:
    return Kind(Group.SAFETY, wakes=wakes, over=over, buttons=buttons)


def _event(*buttons: str) -> Kind:
    return Kind(Group.EVENTS, buttons=buttons)


def _departure(*buttons: str) -> Kind:
    return Kind(Group.DEPARTURES, buttons=buttons)


def _upkeep(*buttons: str, over: bool = False) -> Kind:
    return Kind(Group.UPKEEP, over=over, buttons=buttons)


RESULT = Kind(Group.RESULTS, over=True, hushed=True)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "outage": _safety("shed", "details", wakes=True),
        "no_backup": _safety("try_again", "shed", "details", wakes=True),
        "backup_latched": _safety("try_again", "shed", "details", wakes=True),
        "solar_surplus": _safety("details", wakes=True),
        "reserve_near": _safety("lend", "shed", "details", wakes=True),
        "return_announced": _safety("postpone"),
        "power_back": _safety("restore", over=True),
        "stopped": _safety("details"),
        "generator": _safety(),
        "generator_failed": _safety(wakes=True),
        "return_failed": _safety("details", wakes=True),
        "grid_disputed": _safety("details", wakes=True),
        "grid_unseen": _safety("details"),
        "neutral_lost": _safety(wakes=True),
        "dark_start": _safety(wakes=True),
        "dark_start_passed": _safety(wakes=True),
        "overload": _safety("shed"),
        "overload_no_load_left": _safety(wakes=True),
        "load_unreachable": _safety("details"),
        "charge_unknown": _safety("details"),
        "storm": _safety("undo"),
        "grid_emergency": _safety(),
        "black_start": _safety(),
        "event_announced": _event("skip", "keep"),
        "event_flagged": _event("skip", "keep"),
        "event_asks": _event("take_part", "leave_out"),
        "event_short": _event("skip"),
        "credentials_refused": _event(),
        "departure_late": _departure("charge_now", "skip_departure"),
        "departure_unsure": _departure("charge_now", "skip_departure"),
        "order_not_followed": _departure(),
        "another_controller": _departure("resume"),
        "reserve_unsure": _departure(),
        "stop_contact_silent": _upkeep(),
        "generator_contact_silent": _upkeep(),
        "grid_contact_silent": _upkeep(),
        "service_not_permitted": _upkeep(),
        "charger_offline": _upkeep(),
        "drill_announced": _upkeep("end_drills"),
        "drill_running": _upkeep("break_off"),
        "drill_failed": _upkeep(over=True),
        "drill_refused": _upkeep(over=True),
        "drill_aborted": _upkeep(over=True),
        "rehearsal_failed": _upkeep(over=True),
        "drill_passed": RESULT,
        "rehearsal_passed": RESULT,
        "event_result": RESULT,
    }
)

# What a later edge says beside these.
OTHER, OTHER_CRITICAL = Kind(Group.UPKEEP), Kind(Group.SAFETY, wakes=True)


def kind_of(notice: NoticeWire) -> Kind:
    """How a notice is brought to people."""
    return KINDS.get(notice["kind"]) or (OTHER_CRITICAL if notice["level"] == "critical" else OTHER)


def wakes(notice: NoticeWire) -> bool:
    """A person must act now. What the edge has softened, such as a retry that failed again, wakes nobody twice."""
    return kind_of(notice).wakes and (notice["level"] == "critical" or notice["kind"] == "solar_surplus")
