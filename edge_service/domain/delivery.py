"""What is delivered in an event, counted from one decision to the next. What nobody measured is a gap, never energy."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain.memory import EventMemory, EventStage, Gap
from edge_service.domain.model import frozen_map
from edge_service.domain.view import View

# A longer time between two decisions (a restart, a stall) is not filled with invented energy.
LONGEST_STEP = timedelta(seconds=10)
# In these the house was meant to deliver, so that what nobody measured is missing.
MEANT = frozenset({EventStage.ANNOUNCED, EventStage.PREPARING, EventStage.PREPARED, EventStage.RUNNING})
# More pieces say no more; the last one grows, ``gap_s`` stays exact.
MOST_GAPS = 24


def within(account: EventMemory, start: datetime, end: datetime, now: datetime) -> EventMemory:
    """The account of an event that is from ``start`` to ``end`` now: moved, cut, or the clock was set back.

    What was counted outside of that, or in a time that has not come yet, is none of it: as a part of all that was
    counted, since nobody kept when it was given.
    """
    moved = replace(account, start=start, end=end)
    if account.counted_to is None:
        return moved
    since, to = max(account.start, start), min(account.counted_to, end, now)
    if since <= account.start and to >= account.counted_to:
        return moved
    if to <= since:
        return replace(_part_of(moved, 0.0, ()), counted_to=None, supplied_w=frozen_map(), exported_w=None)
    clipped = [Gap(max(one.start, since), min(one.end, to)) for one in account.gaps]
    gaps = tuple([one for one in clipped if one.start < one.end])
    whole_s = (account.counted_to - account.start).total_seconds() - _length_s(account.gaps)
    seen_s = (to - since).total_seconds() - _length_s(gaps)
    part = min(1.0, seen_s / whole_s) if whole_s > 0 else 0.0
    return replace(_part_of(moved, part, gaps), counted_to=to)


def _part_of(account: EventMemory, part: float, gaps: tuple[Gap, ...]) -> EventMemory:
    """With this part of the energies, and these of its gaps."""
    before_s, after_s = _length_s(account.gaps), _length_s(gaps)
    silent = after_s / before_s if before_s else 0.0
    return replace(
        account,
        run_s=account.run_s * part,
        by_charger_wh=frozen_map({name: wh * part for name, wh in account.by_charger_wh.items()}),
        charger_wh=account.charger_wh * part,
        site_wh=None if account.site_wh is None else account.site_wh * part,
        gaps=gaps,
        gap_s=account.gap_s * silent,
        site_gap_s=account.site_gap_s * silent,
    )


def _length_s(gaps: Iterable[Gap]) -> float:
    return sum((one.end - one.start).total_seconds() for one in gaps)


def counted(view: View, account: EventMemory, last: datetime | None) -> EventMemory:
    """The account up to now. ``account.stage``: what it was since the last decision, at ``last``; None: a restart."""
    now = view.observation.now
    if now < account.start:
        return account
    to = min(now, account.end)
    since = max(account.start, account.counted_to or account.start)
    step = max(timedelta(0), to - since)
    seen = _supplied_w(view)
    after = replace(account, counted_to=to, supplied_w=frozen_map(seen), exported_w=_exported_w(view))
    if account.stage not in MEANT:
        return after
    if last is None or step > LONGEST_STEP:
        return _missing(after, since, to, at_meter=True)
    return _added(view, account, after, since, step)


def unwatched(account: EventMemory, until: datetime) -> EventMemory:
    """The account when the event was forgotten: of the rest of it nothing is known."""
    to = min(until, account.end)
    since = max(account.start, account.counted_to or account.start)
    if account.stage not in MEANT or to <= since:
        return account
    return _missing(replace(account, counted_to=to), since, to, at_meter=True)


def _added(view: View, before: EventMemory, after: EventMemory, since: datetime, step: timedelta) -> EventMemory:
    """Energy of a step at the mean of the powers at its two ends: a ramp counts half."""
    hours = step.total_seconds() / 3600
    by_charger = dict(before.by_charger_wh)
    silent = False
    for name, now_w in after.supplied_w.items():
        then_w = before.supplied_w.get(name) if before.supplied_w else now_w
        if now_w is None or then_w is None:
            silent = True
        else:
            by_charger[name] = by_charger.get(name, 0.0) + (then_w + now_w) / 2 * hours
    runs = before.stage is EventStage.RUNNING
    after = replace(
        after,
        run_s=before.run_s + (step.total_seconds() if runs else 0.0),
        by_charger_wh=frozen_map(by_charger),
        charger_wh=sum(by_charger.values()),
    )
    after = _at_meter(view, before, after, step)
    return _missing(after, since, since + step, at_meter=False) if silent else after


def _at_meter(view: View, before: EventMemory, after: EventMemory, step: timedelta) -> EventMemory:
    if not view.facts.has_meter:
        return replace(after, site_wh=None)
    then_w, now_w = before.exported_w if before.supplied_w else after.exported_w, after.exported_w
    if then_w is None or now_w is None:
        return replace(after, site_gap_s=after.site_gap_s + step.total_seconds())
    return replace(after, site_wh=(before.site_wh or 0.0) + (then_w + now_w) / 2 * step.total_seconds() / 3600)


def _missing(account: EventMemory, since: datetime, to: datetime, *, at_meter: bool) -> EventMemory:
    seconds = (to - since).total_seconds()
    if not seconds:
        return account
    gaps = account.gaps
    if gaps and (gaps[-1].end >= since or len(gaps) >= MOST_GAPS):
        gaps = (*gaps[:-1], replace(gaps[-1], end=to))
    else:
        gaps = (*gaps, Gap(since, to))
    site_gap_s = account.site_gap_s + (seconds if at_meter else 0.0)
    return replace(account, gap_s=account.gap_s + seconds, site_gap_s=site_gap_s, gaps=gaps)


def _supplied_w(view: View) -> Mapping[str, float | None]:
    """What each charger supplies now; None: not measured."""
    readings = {name: view.reading(name) for name in view.facts.chargers}
    return {
        name: None if reading is None or reading.power_w is None else -float(reading.power_w)
        for name, reading in readings.items()
    }


def _exported_w(view: View) -> float | None:
    meter = view.facts.fresh(view.observation.meter, view.observation.now)
    return None if meter is None or meter.power_w is None else -float(meter.power_w)
