"""Charging ahead: whether vehicles under the same limits get in time what they need, and how long they can wait.

What is needed is laid from the last deadline back to now, as late as it fits. What finds no room later is needed now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf

# AC energy out of the vehicle per energy stored, and stored per AC energy in: measured 0.89-0.95 on shipping chargers.
EFFICIENCY = 0.93
# Charging is done this long before its deadline, and takes this much longer than the arithmetic says: a house that
# draws more than now, a charger that starts slowly, a cold battery.
HEAD_START = timedelta(minutes=30)
TIME_FACTOR = 1.25
# Toward full a battery takes less and less. Half the power over the last fifth is on the safe side at home powers.
TAPER_FROM_PCT = 80.0
TAPER_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """Hours of charging that must be done by a time. ``power_w``: what of its power counts under the limit."""

    hours: float
    power_w: float
    by: datetime


@dataclass(frozen=True, slots=True)
class Slack:
    """Hours until a job must begin: by itself, and with the others under one limit; infinite where all fits later.

    ``due_h``: hours of it that find no room after the first departure.
    """

    alone_h: float = inf
    together_h: float = inf
    due_h: float = 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """What vehicles may charge with together under one limit, and the part of each one's power that counts there."""

    w: float
    parts: Mapping[str, float]

    def jobs(self, jobs: Mapping[str, Job]) -> dict[str, Job]:
        """The jobs as this limit counts them."""
        counted = {name: self.parts.get(name, 0.0) for name in jobs}
        return {name: replace(job, power_w=job.power_w * counted[name]) for name, job in jobs.items() if counted[name]}


def hours_to_reach(soc_pct: float, target_pct: float, capacity_wh: int, power_w: int) -> float:
    """Hours of charging alone at this power, slower toward full."""
    quick_pct = max(0.0, min(target_pct, TAPER_FROM_PCT) - soc_pct)
    slow_pct = max(0.0, target_pct - max(soc_pct, TAPER_FROM_PCT))
    return (quick_pct + slow_pct / TAPER_SHARE) / 100 * capacity_wh / EFFICIENCY / power_w


def reached_pct(soc_pct: float, hours: float, capacity_wh: int, power_w: int, room_w: float = inf) -> float:
    """Percent after so many hours of charging alone at this power, or at what a limit leaves of it."""
    quick, slow = (min(room_w, w) * EFFICIENCY / capacity_wh * 100 for w in (power_w, power_w * TAPER_SHARE))
    quick_h = min(hours, max(0.0, TAPER_FROM_PCT - soc_pct) / quick) if quick > 0 else hours
    return min(100.0, soc_pct + quick_h * quick + (hours - quick_h) * slow)


def begun_pct(target_pct: float, hours: float, capacity_wh: int, power_w: int) -> float:
    """Percent from which so many hours of charging reach the target; 0 where they reach it from any."""
    pct_per_h = power_w * EFFICIENCY / capacity_wh * 100
    slow_h = min(hours, max(0.0, target_pct - TAPER_FROM_PCT) / pct_per_h / TAPER_SHARE)
    return max(0.0, target_pct - (slow_h * TAPER_SHARE + hours - slow_h) * pct_per_h)


def slacks(jobs: Mapping[str, Job], start: datetime, rooms: Sequence[Room]) -> dict[str, Slack]:
    """How long each job can wait from ``start`` under all limits: the tightest counts."""
    found = [_slacks(room.jobs(jobs), start, room.w) for room in rooms]
    return {name: _tightest([one[name] for one in found if name in one]) for name in jobs}


def _tightest(found: Sequence[Slack]) -> Slack:
    return Slack(
        min(slack.alone_h for slack in found),
        min(slack.together_h for slack in found),
        max(slack.due_h for slack in found),
    )


def _slacks(jobs: Mapping[str, Job], start: datetime, room_w: float) -> dict[str, Slack]:
    """How long each job can wait from ``start``, all of them sharing ``room_w``. No job is due before ``start``."""
    if not jobs:
        return {}
    left_h = _without_later(jobs, room_w)
    length_h = hours_between(start, min(job.by for job in jobs.values()))
    energy_wh = sum(left_h[name] * job.power_w for name, job in jobs.items())
    shared_h = 0.0 if energy_wh <= 0 else energy_wh / room_w if room_w > 0 else inf
    return {
        name: Slack(
            hours_between(start, job.by) - job.hours,
            length_h - max(left_h[name], shared_h) if left_h[name] > 0 else inf,
            left_h[name],
        )
        for name, job in jobs.items()
    }


def _without_later(jobs: Mapping[str, Job], room_w: float) -> dict[str, float]:
    """Hours of each job that are left before the first time when the later stretches are filled, the last one first."""
    left_h = {name: job.hours for name, job in jobs.items()}
    for earlier, later in reversed(list(pairwise(sorted({job.by for job in jobs.values()})))):
        here = {name: jobs[name].power_w for name in jobs if jobs[name].by >= later and left_h[name] > 0}
        left_h |= _fill({name: left_h[name] for name in here}, here, hours_between(earlier, later), room_w)
    return left_h


def _fill(
    left_h: Mapping[str, float], power_w: Mapping[str, float], length_h: float, room_w: float
) -> dict[str, float]:
    """What is left after a stretch that takes as much as it can, of the longest jobs first, down to one level.

    That order leaves the most for the stretches before: jobs of equal length can go on side by side.
    """
    low_h, high_h = 0.0, max(left_h.values(), default=0.0)
    if _taken_wh(0.0, left_h, power_w, length_h) <= room_w * length_h:
        high_h = 0.0
    for _ in range(14 if high_h else 0):
        middle_h = (low_h + high_h) / 2
        if _taken_wh(middle_h, left_h, power_w, length_h) <= room_w * length_h:
            high_h = middle_h
        else:
            low_h = middle_h
    return {name: hours - min(length_h, max(0.0, hours - high_h)) for name, hours in left_h.items()}


def _taken_wh(level_h: float, left_h: Mapping[str, float], power_w: Mapping[str, float], length_h: float) -> float:
    return sum(min(length_h, max(0.0, hours - level_h)) * power_w[name] for name, hours in left_h.items())


def delivered_h(jobs: Mapping[str, Job], start: datetime, rooms: Sequence[Room]) -> dict[str, float]:
    """Hours that each job gets by its time under all limits: the tightest counts."""
    found = [_delivered_h(room.jobs(jobs), start, room.w) for room in rooms]
    return {name: min(one[name] for one in found if name in one) for name in jobs}


def _delivered_h(jobs: Mapping[str, Job], start: datetime, room_w: float) -> dict[str, float]:
    """Hours that each job gets by its time when the earliest departures are served first."""
    done_h = dict.fromkeys(jobs, 0.0)
    order = sorted(jobs, key=lambda name: (jobs[name].by, name))
    for begin, end in pairwise(sorted({start, *(job.by for job in jobs.values())})):
        length_h = hours_between(begin, end)
        left_wh = room_w * length_h
        for name in order:
            job = jobs[name]
            if job.by >= end:
                given_h = max(0.0, min(job.hours - done_h[name], length_h, left_wh / job.power_w))
                done_h[name] += given_h
                left_wh -= given_h * job.power_w
    return done_h


def hours_between(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() / 3600
