"""Times as the contract writes them."""

from datetime import datetime
from typing import Any

from homeassistant.util import dt as dt_util

# Beyond these no clock on a wall can show it.
FIRST_YEAR, LAST_YEAR = 1971, 9998


def time_of(text: Any) -> datetime | None:
    """A time of the contract; None: there is none, or it is none, such as one without its zone."""
    try:
        at = dt_util.parse_datetime(text) if isinstance(text, str) else None
    except ValueError:  # such as a thirteenth month
        return None
    return at if at is not None and at.tzinfo is not None and FIRST_YEAR <= at.year <= LAST_YEAR else None
