"""A copy is made only of what differs: nearly every cycle remembers what the one before did."""

from dataclasses import replace
from typing import Any


def altered[T](known: T, **fields: Any) -> T:
    """``known`` with these fields; the very same while none of them differs."""
    if all(getattr(known, name) == value for name, value in fields.items()):
        return known
    changed: T = replace(known, **fields)  # type: ignore[type-var]
    return changed
