"""What the house drew: minutes of the last hour and hours of past days, and what both say of the hours to come.

Minutes and hours are rings by time since the epoch, so that a day's hour lies 24 places from that of the day before.
What is written into a place means the same whoever reads it later; a place that nobody measured is None.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import exp

from edge_service.domain.memory import HISTORY_H, MINUTES, Track

HOUR_S = 3600
DAY_H = 24
DAYS = HISTORY_H // DAY_H
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
# A minute that was seen for less than this, and an hour of which fewer minutes are known, say nothing.
LEAST_OF_MINUTE_S = 15.0
LEAST_OF_HOUR = 10
# A past day of which fewer hours are known is no example of a day.
LEAST_OF_DAY = 12
# Nobody plans by what is further off.
HORIZON_H = 7 * DAY_H

# The numbers from here on were tuned with what ``benchmarks/runtime_estimate.py`` sets aside for it.

# A minute counts a third as much as one so many minutes later, when the present load is asked for.
RECENT_MIN = 90.0
# What the house draws now says this much of the next hour, and a third of it so many hours later.
NOW_SHARE = 0.8
NOW_LASTS_H = 1.6
# How far a past day is lifted to the level of the last 24 hours: 0 not at all, 1 wholly.
LEVEL_SHARE = 0.5
# In an island loads are off. After so long its own level counts as much as that of the past days.
ISLAND_TELLS_H = 1.25
# Where it is known what was shed, there is less left for it to tell: it takes so many times as long.
SHED_IS_KNOWN = 3.0
# It may be believed too much or too little: examples with this part of the belief, or of the disbelief, stand beside.
DOUBT = 0.4
# The last days tell more than those before, and so does the same day a week ago: they count so many times.
COUNTS = (5, 3, 2, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1)
# Below this a level is no level: with solar in it, a ratio would mean nothing.
LEAST_LEVEL_W = 50.0
FACTORS = (0.2, 2.5)


def minute_of(at: datetime) -> int:
    """Whole minutes since the epoch."""
    return (at - _EPOCH) // _MINUTE


def counted(track: Track, power_w: float, seconds: float) -> Track:
    """With a power that stood for some seconds of the minute that runs."""
    return Track(track.sum_w_s + power_w * seconds, track.counted_s + seconds, track.minutes, track.hours)


def turned(track: Track, before: int, now: int) -> Track:
    """The track when a new minute begins; those between are not known. Both are minutes since the epoch."""
    mean = round(track.sum_w_s / track.counted_s) if track.counted_s >= LEAST_OF_MINUTE_S else None
    minutes, hours = list(track.minutes), track.hours
    minutes[before % MINUTES] = mean
    if before // MINUTES != now // MINUTES:
        hours = _with_hours(hours, minutes[: before % MINUTES + 1], before // MINUTES, now // MINUTES)
    for missed in range(max(before + 1, now - MINUTES + 1), now + 1):
        minutes[missed % MINUTES] = None
    return Track(minutes=tuple(minutes), hours=hours)


def _with_hours(
    hours: tuple[int | None, ...], minutes: Sequence[int | None], before: int, now: int
) -> tuple[int | None, ...]:
    """The hour ``before`` is over: its minutes become its mean. The hours between are not known."""
    known = [power_w for power_w in minutes if power_w is not None]
    ring = list(hours)
    ring[before % HISTORY_H] = round(sum(known) / len(known)) if len(known) >= LEAST_OF_HOUR else None
    for missed in range(max(before + 1, now - HISTORY_H + 1), now):
        ring[missed % HISTORY_H] = None
    return tuple(ring)


_RECENT = tuple(exp(-age / RECENT_MIN) for age in range(MINUTES))
_NOW = tuple(NOW_SHARE * exp(-(step + 0.5) / NOW_LASTS_H) if step < 12 else 0.0 for step in range(HORIZON_H))


def recent_w(track: Track, minute: int, longest: int = MINUTES) -> float | None:
    """The mean of the last minutes, later ones counting more, with the one that runs as far as it was seen."""
    total, weight = track.sum_w_s / 60, track.counted_s / 60
    for age in range(1, min(longest, MINUTES - 1) + 1):
        power_w = track.minutes[(minute - age) % MINUTES]
        if power_w is not None:
            total += power_w * _RECENT[age]
            weight += _RECENT[age]
    return total / weight if weight > 0 else None


@dataclass(frozen=True, slots=True)
class Example:
    """A past day: by how many days, how many times it counts, and what makes its load like today's."""

    past: int
    weight: int
    factor: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of the hours to come. ``hours`` and ``solar`` are rings without gaps, in watts,
    each twice in a row.

    ``first_h``: what is left of the hour that runs, ``hour`` since the epoch. ``now_w``: the load lately.
    ``days``: how many past days the examples are of.
    """

    hour: int
    first_h: float
    now_w: float | None
    now_solar_w: float
    hours: Sequence[float]
    solar: Sequence[float]
    examples: Sequence[Example]
    days: int

    def powers(self, example: Example, less_w: float) -> Iterator[float]:
        """What the house draws hour by hour if it goes on as from that day on, with ``less_w`` off."""
        start, factor, now_w, now_solar_w = self._start(example), example.factor, self.now_w, self.now_solar_w
        days = zip(self.hours[start : start + HORIZON_H], self.solar[start : start + HORIZON_H], strict=True)
        for share, (usual_w, solar_w) in zip(_NOW, days, strict=True):
            load_w = usual_w * factor
            power_w = solar_w
            if share and now_w is not None:
                load_w += (now_w - load_w) * share
                power_w += (now_solar_w - solar_w) * share
            yield power_w + (max(0.0, load_w - less_w) if less_w and load_w > 0 else load_w)

    def _start(self, example: Example) -> int:
        return (self.hour - DAY_H * example.past) % HISTORY_H


def outlook(
    load: Track,
    solar: Track,
    now: datetime,
    carried_h: float | None = None,
    shed_w: float = 0.0,
    present_w: int | None = None,
) -> Outlook | None:
    """What minutes and hours say; None: nothing is known.

    ``carried_h``: the house has been an island for so long. ``shed_w``: of what is usual is off. ``present_w`` counts
    until there are minutes.
    """
    minute = minute_of(now)
    hour = minute // MINUTES
    lately = MINUTES if carried_h is None else max(1, int(carried_h * MINUTES))
    now_w, now_solar_w = recent_w(load, minute, lately), recent_w(solar, minute, lately)
    now_w = present_w if now_w is None else now_w
    hours = _without_gaps(load.hours, now_w)
    if hours is None:
        return None
    if shed_w and any(power_w is not None for power_w in load.hours):
        hours = _without_shed(hours, shed_w, hour, int(carried_h or 0))
    tells_h = ISLAND_TELLS_H * (SHED_IS_KNOWN if shed_w else 1.0)
    told = 0.0 if carried_h is None else carried_h / (carried_h + tells_h)
    level = _Levels(hours, hour, now_w, carried_h, told)
    past = [days for days in range(1, DAYS + 1) if _is_known(load.hours, hour - DAY_H * days)]
    examples = [Example(days, COUNTS[days - 1], factor) for days in past for factor in level.factors(days)]
    return Outlook(
        hour,
        1 - (now - _EPOCH).total_seconds() % HOUR_S / HOUR_S,
        now_w,
        now_solar_w or 0.0,
        hours * 2,
        (_without_gaps(solar.hours, now_solar_w) or [0.0] * HISTORY_H) * 2,
        examples,
        len(past),
    )


def _without_shed(hours: Sequence[float], shed_w: float, hour: int, whole_h: int) -> list[float]:
    """The hours as they would have been without what is shed; those of this island were."""
    since = {(hour - age) % HISTORY_H for age in range(1, min(whole_h, DAY_H) + 1)}
    return [
        power_w if power_w <= 0 or place in since else max(0.0, power_w - shed_w) for place, power_w in enumerate(hours)
    ]


def _is_known(hours: Sequence[int | None], start: int) -> bool:
    known = sum(hours[(start + step) % HISTORY_H] is not None for step in range(DAY_H))
    return known >= LEAST_OF_DAY


def _without_gaps(hours: Sequence[int | None], otherwise: float | None) -> list[float] | None:
    """A gap takes the mean of that hour of the other days, else of all hours, else ``otherwise``."""
    known = [power_w for power_w in hours if power_w is not None]
    mean_w = sum(known) / len(known) if known else otherwise
    if mean_w is None:
        return None
    if len(known) == len(hours):
        return [float(power_w) for power_w in known]
    means = [_mean(hours[place::DAY_H], mean_w) for place in range(DAY_H)]
    return [means[place % DAY_H] if power_w is None else power_w for place, power_w in enumerate(hours)]


def _mean(powers: Sequence[int | None], otherwise: float) -> float:
    known = [power_w for power_w in powers if power_w is not None]
    return sum(known) / len(known) if known else otherwise


class _Levels:
    """How the level of load lately compares with that of a past day."""

    def __init__(
        self, hours: Sequence[float], hour: int, now_w: float | None, carried_h: float | None, told: float
    ) -> None:
        """``told``: how far the island's own level is believed, 0 to 1. Nothing is switched on for an outage."""
        self._hour = hour
        self._sums = [0.0, *accumulate(hours)]
        self._lately = self._level(hour - DAY_H)
        self._island, self._shares = 1.0, [0.0]
        if carried_h is not None and now_w is not None:
            self._island = min(1.0, self._since(hours, now_w, min(int(carried_h), DAY_H)))
            self._shares = [told * DOUBT, told, 1 - (1 - told) * DOUBT]

    def _level(self, start: int) -> float:
        """The mean of 24 hours."""
        first, last = start % HISTORY_H, (start + DAY_H) % HISTORY_H
        total = self._sums[last] - self._sums[first]
        return (total if first < last else total + self._sums[-1]) / DAY_H

    def _since(self, hours: Sequence[float], now_w: float, whole_h: int) -> float:
        """The island's level to that of the same hours of all days."""
        drawn = usual = 0.0
        for age in range(whole_h + 1):
            place = (self._hour - age) % HISTORY_H
            drawn += hours[place] if age else now_w
            usual += sum(hours[place % DAY_H :: DAY_H]) / DAYS
        return _ratio(drawn, usual, whole_h + 1)

    def factors(self, days: int) -> Iterator[float]:
        """What a past day's load is multiplied by to be like today's: in an island as it is believed more or less."""
        before = self._sums[-1] / DAYS / DAY_H if days == DAYS else self._level(self._hour - DAY_H * (days + 1))
        level = _ratio(self._lately, before, 1)
        least, most = FACTORS
        for share in self._shares:
            factor: float = level ** (LEVEL_SHARE * (1 - share)) * self._island**share
            yield max(least, min(most, factor))


def _ratio(drawn: float, usual: float, hours: int) -> float:
    least_w = LEAST_LEVEL_W * hours
    return drawn / usual if usual > least_w and drawn > 0 else 1.0
