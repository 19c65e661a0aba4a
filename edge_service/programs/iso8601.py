"""Times and durations as utilities write them, strictly: what is not clearly one thing is refused."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from edge_service.domain.timeline import FOREVER, Span

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,12}))?(?:([Zz])|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_NOW = re.compile(r"0001-01-01(?:[Tt ]00:00(?::00(?:\.0{1,12})?)?(?:[Zz]|[+-]\d\d:\d\d)?)?", re.ASCII)
_NUMBER = r"(\d{1,12}(?:\.\d{1,12})?)"
_DURATION = re.compile(
    rf"(-?)P(?=\d|T\d)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_SECONDS_PER = (604_800, 86_400, 3_600, 60, 1)
_MONTHS_PER_YEAR = 12
# No event began earlier; with it the local day before any time is still a date.
_EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
# Enough to reach FOREVER from any start; keeps sums from overflowing.
_MOST_MONTHS = 12 * 10_000
_MOST_SECONDS = 10_000 * 366 * 86_400
_LONGEST_TEXT = 64
_MIDNIGHT_AT_THE_END = 24
_LEAP_SECOND = 60
_MOST_OFFSET = timedelta(hours=24)


def moment(value: object) -> datetime | None:
    """An RFC 3339 time in UTC; None for ``0001-01-01`` in any of its forms, which means "now" or "follow".

    Taken besides: a space for the T, 24:00, second 60, and up to 12 digits of a fraction (cut to microseconds).
    A time without an offset is refused: an hour guessed wrongly is worse than no event. Raises ValueError.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError("is not a time")
    if _NOW.fullmatch(value):
        return None
    match = _TIME.fullmatch(value)
    if match is None:
        raise ValueError("is not a time with an offset")
    try:
        return _assemble(*match.groups())
    except (ValueError, OverflowError) as error:
        raise ValueError("is not a possible time") from error


def _assemble(*parts: str | None) -> datetime:
    year, month, day, hour, minute, second = (int(part or 0) for part in parts[:6])
    if hour > _MIDNIGHT_AT_THE_END or (hour == _MIDNIGHT_AT_THE_END and (minute or second)):
        raise ValueError("hour")
    if minute >= 60 or second > _LEAP_SECOND:
        raise ValueError("minute or second")
    microsecond = int((parts[6] or "0").ljust(6, "0")[:6])
    offset = timedelta(hours=int(parts[9] or 0), minutes=int(parts[10] or 0)) * (-1 if parts[8] == "-" else 1)
    since_midnight = timedelta(hours=hour, minutes=minute, seconds=second, microseconds=microsecond)
    at = datetime(year, month, day, tzinfo=UTC) + since_midnight - offset
    if abs(offset) >= _MOST_OFFSET or not _EARLIEST <= at < FOREVER:
        raise ValueError("offset or year")
    return at


def duration(value: object) -> Span:
    """An ISO 8601 duration, also with fractions and zeros in any place (``P0Y0M0DT1.5H0M0S``). Raises ValueError.

    Refused: a negative one, ``P`` and ``PT`` alone, a fraction of a year or a month other than zero.
    """
    negative, span = _read(value)
    if negative and not span.empty:
        raise ValueError("is negative")
    return span


def reach(value: object) -> timedelta:
    """The extent of a random shift: a duration whose sign does not count. Raises ValueError."""
    _, span = _read(value)
    if span.months:
        raise ValueError("is a random shift of months")
    return span.length


def _read(value: object) -> tuple[bool, Span]:
    match = _DURATION.fullmatch(value) if isinstance(value, str) and len(value) <= 2 * _LONGEST_TEXT else None
    if match is None:
        raise ValueError("is not a duration")
    numbers = [Fraction(part or 0) for part in match.groups()[1:]]
    months = numbers[0] * _MONTHS_PER_YEAR + numbers[1]
    if months.denominator != 1 or numbers[0].denominator != 1:
        raise ValueError("has a fraction of a year or a month")
    seconds = sum(number * unit for number, unit in zip(numbers[2:], _SECONDS_PER, strict=True))
    length = timedelta(microseconds=round(min(seconds, Fraction(_MOST_SECONDS)) * 1_000_000))
    return bool(match[1]), Span(min(int(months), _MOST_MONTHS), length)
