"""Moments of the contract as the clock on the wall shows them, and as people type them."""

from datetime import datetime

from edge_service.command_line.outcome import CommandError

A_TIME = "'2026-07-15 17:00', local, or with an offset as 2026-07-15T21:00:00Z"


def local_text(text: str, zone: str | None) -> str:
    """``2026-07-15T21:00:00.000Z`` as ``Wed 2026-07-15 17:00:00 EDT``; as it is where the site names no time zone."""
    if zone is None:
        return text
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return f"{datetime.fromisoformat(text).astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M:%S %Z}"


def moment(text: str, option: str, zone: str | None) -> datetime:
    """A person's time, aware. Raises ``CommandError``: it is none, or nobody knows where it is meant."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{option}: found {text!r}; allowed: a date and a time such as {A_TIME}") from None
    if found.tzinfo is not None:
        return found
    if zone is None:
        raise CommandError(
            f"{option}: {text} says no offset, and site.yaml no time_zone; allowed: such as 2026-07-15T21:00:00Z"
        )
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return found.replace(tzinfo=ZoneInfo(zone))
