"""Hours of the day as people write them, such as ``6 am to 9 am, 17:00-21:00``, and as the controller takes them."""

import re
from functools import lru_cache

# The edge's bound.
MOST_SPANS = 4
NOON = 12
_TIME = r"(\d{1,2})(?:[:.](\d\d))?\s*(?:([ap])\.?m\.?)?"
_SPAN = re.compile(rf"\s*{_TIME}\s*(?:-|–|—|to|until)\s*{_TIME}\s*", re.IGNORECASE)
_BETWEEN = re.compile(r"[,;\n]|\band\b", re.IGNORECASE)

type Spans = tuple[tuple[str, str], ...]


class HoursError(ValueError):
    """What was written names no hours, or too many of them."""


@lru_cache(maxsize=128)
def hours_of(text: str) -> Spans:
    """From and until when, as ``17:00``, in the order of the day; nothing written: none. Raises ``HoursError``."""
    spans = sorted(_span(part) for part in _BETWEEN.split(text) if part.strip())
    if len(spans) > MOST_SPANS:
        raise HoursError(f"more than {MOST_SPANS}: {text}")
    return tuple(spans)


def _span(text: str) -> tuple[str, str]:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise HoursError(f"no hours: {text}")
    first, first_minute, first_half, last, last_minute, last_half = found.groups()
    end = _minutes(last, last_minute, last_half)
    start = _minutes(first, first_minute, first_half or last_half)
    if last_half and not first_half and start > end:  # "10-2 pm" begins in the morning, "11-7 am" in the evening
        start = (start + NOON * 60) % (24 * 60)
    if start == end or (first_half and not last_half):
        raise HoursError(f"no hours: {text}")
    return _shown(start), _shown(end)


def _minutes(hour: str, minute: str | None, half: str | None) -> int:
    hours, minutes = int(hour), int(minute or 0)
    if half is not None and 1 <= hours <= NOON:
        hours = hours % NOON + (NOON if half.lower() == "p" else 0)
    elif half is not None or hours * 60 + minutes > 24 * 60:
        raise HoursError(f"no time of day: {hour}:{minute}")
    if minutes > 59:
        raise HoursError(f"no time of day: {hour}:{minute}")
    return (hours * 60 + minutes) % (24 * 60)


def _shown(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
