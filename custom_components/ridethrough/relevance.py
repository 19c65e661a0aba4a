"""Which of the things that happened while nobody listened are still worth telling."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from .times import time_of
from .wire import Occurrence

# What was over a day ago is for the log: an automation that acts on it now would surprise people.
NEWS_FOR = timedelta(hours=24)
# After a month without Home Assistant; each of them may start an automation.
MOST_AT_ONCE = 50

# The kind of device and its id: a charger and a program may have the same.
type Owner = tuple[str, str]
# An outage, a session, one event of a program, one load group.
type Thing = tuple[Owner, str]


@dataclass(frozen=True, kw_only=True)
class Life:
    """How long a kind of occurrence is news.

    ``over_with``: kinds that end what it tells of. ``moot``: then it is not told late; else it is told with its end.
    ``until``: what names the time after which it is moot. ``began_with``: it is told late only if that was told.
    """

    over_with: frozenset[str] = frozenset()
    moot: bool = False
    until: str | None = None
    began_with: str | None = None


AT_ONCE = Life()
_OUTAGE_OVER = frozenset({"outage_ended"})
_DRILL_OVER = frozenset({"drill_passed", "drill_failed", "drill_aborted"})
_EVENT_OVER = frozenset({"event_completed", "event_missed", "event_cancelled", "event_opted_out"})

LIVES: Mapping[str, Life] = MappingProxyType(
    {
        "outage_started": Life(over_with=_OUTAGE_OVER),
        "outage_ended": Life(began_with="outage_started"),
        "backup_started": Life(over_with=_OUTAGE_OVER | {"backup_stopped"}),
        "backup_stopped": Life(began_with="backup_started"),
        "backup_failed": Life(over_with=_OUTAGE_OVER | {"backup_started"}, moot=True),
        "backup_collapsed": Life(over_with=_OUTAGE_OVER | {"backup_started"}, moot=True),
        "reserve_reached": Life(over_with=_OUTAGE_OVER, moot=True),
        "return_announced": Life(over_with=_OUTAGE_OVER, moot=True, until="at"),
        "stop_pressed": Life(over_with=frozenset({"stop_reset"})),
        "stop_reset": Life(began_with="stop_pressed"),
        "generator_started": Life(over_with=frozenset({"generator_stopped"})),
        "generator_stopped": Life(began_with="generator_started"),
        "load_shed": Life(over_with=frozenset({"load_restored"})),
        "load_restored": Life(began_with="load_shed"),
        "drill_started": Life(over_with=_DRILL_OVER),
        "vehicle_connected": Life(over_with=frozenset({"vehicle_disconnected"})),
        "vehicle_disconnected": Life(began_with="vehicle_connected"),
        "discharging_started": Life(over_with=frozenset({"discharging_stopped"})),
        "discharging_stopped": Life(began_with="discharging_started"),
        "fault_raised": Life(over_with=frozenset({"fault_cleared"})),
        "fault_cleared": Life(began_with="fault_raised"),
        "charge_not_ready": Life(moot=True, until="at"),
        "event_announced": Life(over_with=_EVENT_OVER - {"event_opted_out"}, moot=True, until="end"),
        "event_updated": Life(over_with=_EVENT_OVER - {"event_opted_out"}, moot=True, until="end"),
        "event_soon": Life(over_with=_EVENT_OVER | {"event_started"}, moot=True, until="start"),
        "event_started": Life(over_with=_EVENT_OVER),
        "event_interrupted": Life(over_with=_EVENT_OVER | {"event_resumed"}),
        "event_resumed": Life(began_with="event_interrupted"),
        "event_completed": Life(began_with="event_started"),
        "event_cancelled": Life(began_with="event_announced"),
    }
)


@dataclass(frozen=True, slots=True)
class _Judged:
    occurrence: Occurrence
    life: Life
    told: bool
    stands: bool


def owner_of(occurrence: Occurrence) -> Owner:
    """Whose history it belongs to: the contract's kinds that begin with ``event_`` and ``rehearsal_`` are programs'."""
    subject, kind = occurrence["subject"], occurrence["kind"]
    if kind.startswith("event_"):
        return ("program", subject)
    if kind.startswith("rehearsal_"):
        return ("program", str(occurrence["data"].get("program")))
    return ("site" if subject == "site" else "charger", subject)


def worth_telling(waited: Sequence[Occurrence], now: datetime) -> list[Occurrence]:
    """Those of ``waited`` that are told late, in their order. What came before the first of them counts as told."""
    judged = _judged(waited, now)
    return list(_whole_stories(judged, _latest(one for one in judged if one.told)))


def _judged(waited: Sequence[Occurrence], now: datetime) -> list[_Judged]:
    """Each by what came after it, so the last is looked at first."""
    ended_at: dict[tuple[Thing, str], datetime | None] = {}
    judged: list[_Judged] = []
    for occurrence in reversed(waited):
        kind, thing, at = occurrence["kind"], _thing(occurrence), time_of(occurrence["at"])
        life = LIVES.get(kind, AT_ONCE)
        ends = [ended_at[thing, end] for end in life.over_with if (thing, end) in ended_at]
        again = (thing, kind) in ended_at
        stands = bool(life.over_with or life.until) and not (ends or again) and not _past(occurrence, life, now)
        fresh = any(one is None or now - one <= NEWS_FOR for one in ends or [at])
        told = stands or (fresh and not life.moot)
        judged.append(_Judged(occurrence, life, told, stands))
        ended_at[thing, kind] = at
    return judged[::-1]


def _past(occurrence: Occurrence, life: Life, now: datetime) -> bool:
    until = time_of(str(occurrence["data"].get(life.until, ""))) if life.until else None
    return until is not None and until <= now


def _thing(occurrence: Occurrence) -> Thing:
    data = occurrence["data"]
    return (owner_of(occurrence), str(data.get("uid") or data.get("group") or ""))


def _latest(told: Iterable[_Judged]) -> frozenset[int]:
    """The numbers of as many as are bearable: what stands first, then the newest."""
    by_weight = sorted(told, key=lambda one: (one.stands, one.occurrence["number"]), reverse=True)
    return frozenset(one.occurrence["number"] for one in by_weight[:MOST_AT_ONCE])


def _whole_stories(judged: Iterable[_Judged], numbers: frozenset[int]) -> Iterator[Occurrence]:
    """Without ends whose beginnings are not told."""
    untold: set[tuple[Thing, str]] = set()
    for one in judged:
        thing = _thing(one.occurrence)
        began, here = (thing, one.life.began_with or ""), (thing, one.occurrence["kind"])
        told = one.occurrence["number"] in numbers and began not in untold
        if told:
            yield one.occurrence
        untold.discard(began)
        (untold.discard if told else untold.add)(here)
