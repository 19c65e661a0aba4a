"""A device's map of numbers and texts that take several registers each, laid out from its facts in ``data``."""

import struct
from dataclasses import dataclass

from edge_service.simulation.sunspec_layout import Facts, facts


@dataclass(frozen=True, slots=True)
class Register:
    """One value of the map; ``scale`` turns its raw number into the unit. ``since``: the firmware that brought it."""

    name: str
    address: int
    kind: str
    size: int
    scale: float
    access: str
    since: str | None

    def words(self, value: float | str) -> list[int]:
        """High word first, as on the wire. Raises OverflowError for a number that does not fit."""
        if self.kind.startswith("str"):
            raw = str(value).encode("ascii").ljust(2 * self.size, b"\0")[: 2 * self.size]
        elif self.kind == "f32":
            raw = struct.pack(">f", float(value))
        else:
            raw = round(float(value) / self.scale).to_bytes(2 * self.size, "big", signed=self.kind.startswith("s"))
        return [int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw), 2)]

    def number(self, words: list[int]) -> float:
        """What a whole number on the wire means in the named unit."""
        raw = b"".join(word.to_bytes(2) for word in words)
        return int.from_bytes(raw, signed=self.kind.startswith("s")) * self.scale


def registers(model: str, scope: str) -> dict[int, Register]:
    """The registers of one part of the device, by their first address."""
    source: Facts = facts(model)
    return {entry["address"]: _register(entry) for entry in source["registers"] if entry["scope"] == scope}


def _register(entry: Facts) -> Register:
    """``kind`` is like str10 (registers), or s32, u64, f32 or bf16 (bits)."""
    kind = entry["type"]
    size = int(kind[3:]) if kind.startswith("str") else int(kind.lstrip("bfsu")) // 16
    scale = float(entry.get("scale", 1))
    return Register(entry["name"], entry["address"], kind, size, scale, entry["access"], entry.get("since"))
