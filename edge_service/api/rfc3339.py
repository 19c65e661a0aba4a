"""How the contract writes a moment."""

from datetime import datetime


def text(moment: datetime) -> str:
    """An aware UTC time as ``2026-07-04T17:00:00.000Z``."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
