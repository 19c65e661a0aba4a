"""What a site would have drawn by itself: the mean of the ten last like days, adjusted to the day. Pure.

The form is that of ISO New England's mean 10-of-10 (its 2015 filing) with an adjustment on the day that is added, not
multiplied: a site with solar may draw next to nothing. How far it may go is a term of the program; ours, where it
names none, is a plain rule: a fifth of the baseline.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

DAYS = 10
# Days further back say little of today; a rule of ours.
LOOKED_BACK_DAYS = 60
STEP = timedelta(minutes=5)
# The adjustment compares these hours before the event; the last one is left out, as vehicles charge for the event then.
BEFORE_FROM, BEFORE_TO = timedelta(hours=3), timedelta(hours=1)
# A day of which less is known is passed over for an earlier one.
KNOWN_SHARE = 0.9

FOUND, NOT_ADJUSTED, TOO_FEW_DAYS, NOT_MEASURED = "found", "not_adjusted", "too_few_days", "not_measured"


@dataclass(frozen=True, slots=True)
class Day:
    """Net power at the point of connection per ``STEP``, positive imports, None: not known.

    ``event_w`` over the hours of the event, ``before_w`` over those that adjust. ``day``: its local date.
    """

    day: str
    event_w: tuple[float | None, ...]
    before_w: tuple[float | None, ...]

    @property
    def is_known(self) -> bool:
        return all(_known_share(values) >= KNOWN_SHARE for values in (self.event_w, self.before_w))


@dataclass(frozen=True, slots=True)
class Found:
    """``wh``: what the site would have supplied in the parts of the event that were measured; None: not known.

    Negative as a rule: it would have drawn. ``days``: those it was made of. ``note``: a word above.
    """

    wh: float | None
    days: tuple[str, ...]
    note: str
    adjustment_w: float = 0.0


def find(like_days: Iterable[Day], own: Day, cap_pct: float, length: timedelta) -> Found:
    """The baseline of an event of this ``length``. ``like_days``: without events or outages, the newest first."""
    chosen = [day for day in like_days if day.is_known][:DAYS]
    names = tuple(day.day for day in chosen)
    if len(chosen) < DAYS:
        return Found(None, names, TOO_FEW_DAYS)
    if not any(value is not None for value in own.event_w):
        return Found(None, names, NOT_MEASURED)
    usual_w = _means([day.event_w for day in chosen])
    adjustment_w = _adjustment_w(_means([day.before_w for day in chosen]), own.before_w)
    cap_w = cap_pct / 100 * _mean([abs(value) for value in usual_w if value is not None])
    added_w = max(-cap_w, min(cap_w, adjustment_w or 0.0))
    wh = 0.0
    for place, (usual, measured) in enumerate(zip(usual_w, own.event_w, strict=True)):
        if usual is not None and measured is not None:
            wh -= (usual + added_w) * min(STEP, length - place * STEP) / timedelta(hours=1)
    return Found(wh, names, FOUND if adjustment_w is not None else NOT_ADJUSTED, added_w)


def _adjustment_w(usual_w: Sequence[float | None], own_w: Sequence[float | None]) -> float | None:
    """How much more was drawn before the event than usual; None: not measured."""
    more_w = [own - usual for usual, own in zip(usual_w, own_w, strict=True) if usual is not None and own is not None]
    return _mean(more_w) if more_w else None


def _means(days: Sequence[Sequence[float | None]]) -> list[float | None]:
    columns = [[value for value in column if value is not None] for column in zip(*days, strict=True)]
    return [_mean(column) if column else None for column in columns]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _known_share(values: Sequence[float | None]) -> float:
    return sum(value is not None for value in values) / len(values) if values else 0.0
