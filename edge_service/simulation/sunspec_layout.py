"""SunSpec models laid out as registers, from the facts in ``data``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import floor
from typing import Any

import yaml

from edge_service.simulation.modbus_server import RefusalCode, RefusalError

MARKER = (0x5375, 0x6E53)
END = (0xFFFF, 0)

_SIGNED = ("int16", "int32", "int64", "sunssf")

type Facts = Mapping[str, Any]
type Raw = int | str | None


@dataclass(frozen=True, slots=True)
class Point:
    """One point at its absolute register address; ``key`` is like ``704.WSet`` or ``714.Prt[0].DCW``."""

    key: str
    address: int
    kind: str
    size: int
    writable: bool
    scale_key: str | None
    allowed: frozenset[int]

    @property
    def end(self) -> int:
        return self.address + self.size


@cache
def facts(name: str) -> Facts:
    """The facts file of this name; raises FileNotFoundError if it is not packaged."""
    text = files(__package__).joinpath("data", f"{name}.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content: Facts = yaml.load(text, Loader=loader)
    return content


class Image:
    """The registers of one SunSpec device, each point at its not-implemented value until it is put."""

    def __init__(
        self, base: int, models: Mapping[int, Facts], sentinels: Mapping[str, Any], *, repeats: int = 1
    ) -> None:
        """``repeats``: how often a group that may repeat is there, such as a DC port."""
        self.base = base
        self._repeats = repeats
        self.points: dict[str, Point] = {}
        self._sentinels = sentinels
        self._at: dict[int, Point] = {}
        address = base + len(MARKER)
        for number, model in models.items():
            address = self._lay(number, model, address)
        self.end = address + len(END)
        self.words = [0] * (self.end - base)
        self.words[: len(MARKER)] = MARKER
        self.words[-len(END) :] = END
        for key in self.points:
            self.put(key, None)
        self._number(models)

    def _lay(self, number: int, model: Facts, start: int) -> int:
        for point in _points(number, model, start, self._repeats):
            self.points[point.key] = point
            self._at |= dict.fromkeys(range(point.address, point.end), point)
        return max(point.end for point in self.points.values())

    def _number(self, models: Mapping[int, Facts]) -> None:
        for number in models:
            own = [point for key, point in self.points.items() if key.startswith(f"{number}.")]
            self.put(f"{number}.ID", number)
            self.put(f"{number}.L", sum(point.size for point in own) - 2)

    # Values

    def sentinel(self, point: Point) -> int:
        if point.kind.startswith("acc") or point.kind == "string":
            return 0
        return int(self._sentinels.get(point.kind, 0x8000 if point.kind == "pad" else 0xFFFF))

    def put(self, key: str, raw: Raw) -> None:
        """Set a point's raw value; None is "not implemented". Raises KeyError for a point not laid out."""
        point = self.points[key]
        start = point.address - self.base
        self.words[start : start + point.size] = _words(self.sentinel(point) if raw is None else raw, point.size)

    def put_scaled(self, key: str, value: float | None) -> None:
        """Set a point in engineering units, by its own scale factor; beyond its range it stands at the last value."""
        scale = self.scale(key)
        if value is None or not scale:  # a scale factor that is not implemented is no scale at all
            self.put(key, None)
            return
        point = self.points[key]
        top = (1 << (16 * point.size - (point.kind in _SIGNED))) - (1 if point.kind in _SIGNED else 2)
        low = -top if point.kind in _SIGNED else 0
        self.put(key, min(top, max(low, floor(value / scale + 0.5))))

    def scale(self, key: str) -> float:
        scale_key = self.points[key].scale_key
        return 1.0 if scale_key is None else float(10.0 ** self.raw(scale_key))

    def raw(self, key: str) -> int:
        point = self.points[key]
        start = point.address - self.base
        return _number_of(self.words[start : start + point.size], point.kind)

    def implemented(self, key: str) -> bool:
        point = self.points[key]
        start = point.address - self.base
        return self.words[start : start + point.size] != _words(self.sentinel(point), point.size)

    # Registers

    def read(self, address: int, count: int) -> list[int]:
        """Raises RefusalError outside the map."""
        if address < self.base or address + count > self.end:
            raise RefusalError(RefusalCode.ADDRESS)
        return self.words[address - self.base : address - self.base + count]

    def decode(self, address: int, values: list[int]) -> list[tuple[Point, int]]:
        """The points that a write covers, with raw values; raises RefusalError outside the map or within a point."""
        end = address + len(values)
        decoded = []
        while address < end:
            point = self._at.get(address)
            if point is None or point.address != address or point.end > end:
                raise RefusalError(RefusalCode.ADDRESS)
            offset = len(values) - (end - address)
            decoded.append((point, _number_of(values[offset : offset + point.size], point.kind)))
            address = point.end
        return decoded


def _points(number: int, model: Facts, start: int, repeats: int) -> Iterator[Point]:
    for entry in model["points"]:
        yield _point(number, "", entry, start)
    for group in model.get("groups", ()):
        for place in range(repeats if "count" in group else 1):
            name = f"{group['group']}[{place}]." if "count" in group else f"{group['group']}."
            for entry in group["points"]:
                yield _point(number, name, entry, start + group["offset"] + place * group["registers"])


def _point(number: int, group: str, entry: Facts, start: int) -> Point:
    return Point(
        key=f"{number}.{group}{entry['name']}",
        address=start + entry["offset"],
        kind=entry["type"],
        size=entry["size"],
        writable=entry["access"] == "rw",
        scale_key=f"{number}.{entry['sf']}" if "sf" in entry else None,
        allowed=frozenset(entry.get("enum", ())),
    )


def _words(raw: int | str, size: int) -> list[int]:
    if isinstance(raw, str):
        text = raw.encode("ascii")[: size * 2].ljust(size * 2, b"\0")
        return [int.from_bytes(text[i : i + 2]) for i in range(0, size * 2, 2)]
    return [(raw >> (16 * place)) & 0xFFFF for place in reversed(range(size))]


def _number_of(words: list[int], kind: str) -> int:
    value = 0
    for word in words:
        value = value << 16 | word
    bits = 16 * len(words)
    return value - (1 << bits) if kind in _SIGNED and value >> (bits - 1) else value
