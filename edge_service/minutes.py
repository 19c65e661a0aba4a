"""Rows of whole minutes for the year-round record: what the grid, the house and each charger did, and how well known.

A row's keys: ``grid_w``, ``house_w``, ``<charger>.power_w``, ``<charger>.soc_pct``: means over the time in which they
were measured; ``<charger>.order_w``: of what we ordered. ``<any of these>.s``: seconds of the minute in which that was
measured, left out where all 60 were; None and no seconds: never. ``n``: cycles, ``s``: seconds that they cover, left
out where all 60. ``grid``: the states seen, in order, left out where it was on. ``event``, ``program``, ``asks``,
``target_w``, ``event_s``, ``rehearsal``: of the event that ran longest. ``error_s``: how far off the clock may be that
a time server steers; without it ``sync`` says whether one does; ``set_s``: by how much it was set. ``devices``: who the
chargers say they are, their serial numbers hashed, with the first row of a day and of a run.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from edge_service.domain.memory import EventStage
from edge_service.domain.model import Grid, SlotKind
from edge_service.domain.timeline import Timeline
from edge_service.runner import Image

type Row = tuple[datetime, Mapping[str, Any]]

# Half as much again as the longest cycle that can be configured. What lies between two cycles further apart was not
# seen by anybody: it is a gap, and never filled.
LONGEST_STEP = timedelta(seconds=15)
MINUTE_S = 60.0
GRID_ON = Grid.ON.value


@dataclass(frozen=True, slots=True)
class ClockTrust:
    """What the system says of its clock: steered by a time server, and how far off it may be; None: it cannot tell."""

    synchronised: bool | None = None
    error_max_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Running:
    """The event that rules. ``target_w`` None: it names no power."""

    uid: str
    program: str
    asks: str
    target_w: int | None
    rehearsal: bool


@dataclass(frozen=True, slots=True)
class _Sample:
    """What one cycle knew."""

    at: datetime
    values: Mapping[str, float | None]
    running: _Running | None


@dataclass(slots=True)
class _Minute:
    """The minute that runs: watt seconds and seconds of each series, seconds of each event."""

    at: datetime
    cycles: int = 0
    covered_s: float = 0.0
    names: set[str] = field(default_factory=set)
    sums: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    events: dict[_Running, float] = field(default_factory=dict)
    grid: dict[str, None] = field(default_factory=dict)
    set_s: float = 0.0

    def cover(self, before: _Sample, after: _Sample, start_s: float, end_s: float) -> None:
        """Count what lies from ``start_s`` to ``end_s`` after ``before``, in a straight line between the two."""
        if end_s <= start_s:
            return
        whole_s = (after.at - before.at).total_seconds()
        middle = (start_s + end_s) / 2 / whole_s
        self.covered_s += end_s - start_s
        for name, was in before.values.items():
            now = after.values.get(name)
            if was is not None and now is not None:
                mean = was + (now - was) * middle
                self.sums[name] = self.sums.get(name, 0.0) + mean * (end_s - start_s)
                self.seconds[name] = self.seconds.get(name, 0.0) + end_s - start_s
        if before.running is not None:
            self.events[before.running] = self.events.get(before.running, 0.0) + end_s - start_s

    def row(self) -> dict[str, Any]:
        """The row, without what is not known."""
        found: dict[str, Any] = {name: self._mean(name) for name in sorted(self.names) if self._counts(name)}
        parts = {f"{name}.s": self.seconds[name] for name in found if self.seconds.get(name, 0.0) > 0}
        found |= {name: round(part_s, 1) for name, part_s in parts.items() if not _is_whole(part_s)}
        found |= {"n": self.cycles} | ({} if _is_whole(self.covered_s) else {"s": round(self.covered_s, 1)})
        states = " ".join(self.grid)
        found |= ({} if states == GRID_ON else {"grid": states}) | dict(self._event())
        return found | ({"set_s": round(self.set_s, 1)} if self.set_s else {})

    def _counts(self, name: str) -> bool:
        """An order of nothing says something in an event only, and would be in every row of the year."""
        return not name.endswith(".order_w") or bool(self.seconds.get(name) and (self.events or self.sums[name]))

    def _mean(self, name: str) -> float | None:
        seconds = self.seconds.get(name, 0.0)
        return _short(self.sums[name] / seconds) if seconds > 0 else None

    def _event(self) -> Iterator[tuple[str, Any]]:
        if not self.events:
            return
        running = max(self.events, key=lambda one: (self.events[one], one.uid))
        same = {one: part_s for one, part_s in self.events.items() if one.uid == running.uid}
        ran_s = sum(same.values())
        yield from {"event": running.uid, "program": running.program, "asks": running.asks}.items()
        known = {one.target_w: part_s for one, part_s in same.items() if one.target_w is not None}
        if known:
            yield "target_w", _short(sum(w * part_s for w, part_s in known.items()) / sum(known.values()))
        if not _is_whole(ran_s):
            yield "event_s", round(ran_s, 1)
        if running.rehearsal:
            yield "rehearsal", 1


class MinuteMeans:
    """Collects values cycle by cycle and gives out a row when a minute is over."""

    def __init__(self, clock: Callable[[], ClockTrust] = ClockTrust) -> None:
        self._clock = clock
        self._minute: _Minute | None = None
        self._last: _Sample | None = None
        self._told: tuple[str, Mapping[str, Any]] | None = None

    def add(self, image: Image) -> Row | None:
        """Take a cycle's values; the row of the minute before, when this one begins another."""
        sample, last = _sample(image), self._last
        minute_at = sample.at.replace(second=0, microsecond=0)
        step = timedelta() if last is None else sample.at - last.at
        steady = timedelta() < step <= LONGEST_STEP and not image.clock_set_s
        before = self._minute
        row = None
        if before is None or before.at != minute_at:
            if before is not None and last is not None and steady:
                before.cover(last, sample, 0.0, (minute_at - last.at).total_seconds())
            row = None if before is None else (before.at, before.row() | self._also(before.at, image))
            self._minute = _Minute(minute_at)
        if self._minute is not None:
            self._count(self._minute, image, sample, last if steady else None)
        self._last = sample
        return row

    @staticmethod
    def _count(minute: _Minute, image: Image, sample: _Sample, last: _Sample | None) -> None:
        if last is not None:
            start_s = max(0.0, (minute.at - last.at).total_seconds())
            minute.cover(last, sample, start_s, (sample.at - last.at).total_seconds())
        minute.cycles += 1
        minute.names.update(sample.values)
        minute.grid[image.decision.grid.value] = None
        minute.set_s += image.clock_set_s

    def _also(self, minute_at: datetime, image: Image) -> dict[str, Any]:
        """How far the clock can be trusted, and who the devices are, where that is news or the day is."""
        trust = self._clock()
        found: dict[str, Any] = {}
        if trust.synchronised and trust.error_max_s is not None:
            found["error_s"] = round(trust.error_max_s, 2)
        elif trust.synchronised is not None:
            found["sync"] = int(trust.synchronised)
        devices = {
            name: [one.manufacturer, one.model, _alias(one.serial), one.version]
            for name, one in image.identities.items()
        }
        now = minute_at.date().isoformat(), devices
        if not devices or now == self._told:
            return found
        self._told = now
        return found | {"devices": devices}


def _alias(serial: str) -> str:
    """By which a device is known again in a record that leaves the house, without its serial number."""
    return sha256(serial.encode()).hexdigest()[:12] if serial else ""


def _is_whole(seconds: float) -> bool:
    return abs(seconds - MINUTE_S) < 0.05


def _short(value: float) -> float:
    """To a tenth; whole numbers without the point, since there are half a million rows a year."""
    rounded = round(value, 1)
    return int(rounded) if rounded == int(rounded) else rounded


def _sample(image: Image) -> _Sample:
    return _Sample(image.decision.at, _values(image), _running(image))


def _values(image: Image) -> dict[str, float | None]:
    now, facts, memory = image.decision.at, image.facts, image.decision.memory
    meter = facts.fresh(image.observation.meter, now)
    values: dict[str, float | None] = {
        "grid_w": meter.power_w if meter is not None else None,
        "house_w": image.decision.house_w,
    }
    for name, last in image.observation.chargers.items():
        reading = facts.fresh(last, now)
        values[f"{name}.power_w"] = reading.power_w if reading is not None else None
        values[f"{name}.soc_pct"] = reading.soc_pct if reading is not None else None
        values[f"{name}.order_w"] = memory.charger(name).order_w
    return values


def _running(image: Image) -> _Running | None:
    """The event that rules now, where it is served."""
    accounts, settings = image.decision.memory.events, image.settings
    served = [
        event
        for event in image.observation.events
        if event.uid in accounts and event.slots and settings.takes_part(event)
    ]
    call = Timeline(served).at(image.decision.at) if served else None
    if call is None or accounts[call.event.uid].stage is not EventStage.RUNNING:
        return None
    event, slot, base_w = call.event, call.slot, accounts[call.event.uid].base_w
    target_w = slot.power_w if slot.kind is SlotKind.POWER else None
    if slot.kind is SlotKind.CHANGE and base_w is not None:
        target_w = base_w + slot.power_w
    return _Running(event.uid, event.program_id, slot.kind.value, target_w, event.rehearsal)
