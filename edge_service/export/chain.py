"""The chain of an export: each day's hash goes into the next, the export before it into the first."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

FIRST = "0" * 64


def linked(previous: str, day: Mapping[str, Any]) -> str:
    """SHA-256 over the link before, the day, and hash and count of each table's rows, each ended by a newline."""
    parts = [previous, day["day"]]
    for name in ("minutes", "quarters"):
        parts += [day[name]["sha256"], str(day[name]["rows"])]
    return sha256("".join(f"{part}\n" for part in parts).encode()).hexdigest()
