"""Moments of the contract as the clock on the wall shows them, for a terminal."""

from datetime import datetime


def local_text(text: str, zone: str | None) -> str:
    """``2026-07-15T21:00:00.000Z`` as ``Wed 2026-07-15 17:00:00 EDT``; as it is where the site names no time zone."""
    if zone is None:
        return text
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return f"{datetime.fromisoformat(text).astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M:%S %Z}"
