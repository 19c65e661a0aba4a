"""A dump of a real device: every register that the driver of its model reads, what it made of them, no serial number.

The driver itself does the reading, through a unit that keeps what passes. So a dump holds what the driver needs,
whatever its model, and replays in tests without the device. Nothing is written to the device: a write is refused here.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from edge_service.chargers import MODELS
from edge_service.chargers.link import Link, Unit
from edge_service.ports import DeviceError, DeviceRefusedError

HOLDING, INPUT = "holding_registers", "input_registers"
# A driver reads some blocks only now and then; by then it has read each.
READINGS = 20
# Registers per request: a device that refuses one register refuses the whole request.
SLICE = 20
_REDACTED = ord("0")
# "SunS" begins a SunSpec map; its first model is the common one, whose serial number has these 16 registers.
_SUNSPEC = (0x5375, 0x6E53)
_COMMON_MODEL = 1
_SERIAL_AT, _SERIAL_REGISTERS = 52, 16
# A serial number that the driver itself did not name is not shorter: such a text or number stands anywhere.
_SHORTEST_SERIAL = 4
# So long a device that its driver does not understand is asked for its serial number in another model's way.
_ASKING_TAKES_S = 10.0


class Recorded:
    """What a device answered, per unit and kind of register; what it ``refused``, and where its serial number stood."""

    def __init__(self) -> None:
        self.words: dict[int, dict[str, dict[int, int]]] = {}
        self.refused: list[dict[str, Any]] = []
        self.redacted: list[dict[str, Any]] = []

    def keep(self, unit_id: int, kind: str, address: int, words: list[int]) -> None:
        known = self.words.setdefault(unit_id, {}).setdefault(kind, {})
        known.update(zip(range(address, address + len(words)), words, strict=True))

    def refuse(self, unit_id: int, kind: str, address: int, count: int, reason: str) -> None:
        told = {"unit": unit_id, "kind": kind, "address": address, "count": count, "reason": reason}
        if told not in self.refused:
            self.refused.append(told)

    def redact(self, serial: str) -> None:
        """Put noughts in place of the serial number wherever it stands, as text or as a number of two registers."""
        text = serial.strip().encode("ascii", "ignore")
        number = int(text) if text.isdigit() else -1
        for unit_id, kinds in self.words.items():
            for kind, words in kinds.items():
                hidden = _redact_text(words, text) | _redact_number(words, number)
                runs = _runs({address: words[address] for address in hidden})
                self.redacted += [
                    {"unit": unit_id, "kind": kind, "address": int(first), "count": len(run)}
                    for first, run in runs.items()
                ]

    def sunspec_serials(self) -> set[str]:
        """The serial numbers in the SunSpec maps that were read, wherever they begin."""
        found = set()
        for words in (words for kinds in self.words.values() for words in kinds.values()):
            for start in words:
                head = [words.get(start + place) for place in range(3)]
                if head == [*_SUNSPEC, _COMMON_MODEL]:
                    found.add(_text(words, start + _SERIAL_AT))
        return found - {""}

    def blocks(self, unit_id: int) -> dict[str, dict[str, list[int]]]:
        """The registers of a unit by kind, in runs without holes: first address, words."""
        return {kind: _runs(words) for kind, words in self.words.get(unit_id, {}).items()}


def _text(words: Mapping[int, int], start: int) -> str:
    """The text that begins there, as far as it was read."""
    raw = b""
    for address in range(start, start + _SERIAL_REGISTERS):
        if address not in words:
            break
        raw += words[address].to_bytes(2)
    return raw.partition(b"\0")[0].decode("ascii", "ignore").strip()


def _redact_text(words: dict[int, int], text: bytes) -> set[int]:
    """Two characters a register, high byte first; also where the text begins within a register. Where it stood."""
    found: set[int] = set()
    if not text:
        return found
    for run in _runs(words):
        start = int(run)
        raw = bytearray()
        while start + len(raw) // 2 in words:
            raw += words[start + len(raw) // 2].to_bytes(2)
        place = raw.find(text)
        while place >= 0:
            raw[place : place + len(text)] = bytes([_REDACTED]) * len(text)
            found |= set(range(start + place // 2, start + (place + len(text) + 1) // 2))
            place = raw.find(text, place + len(text))
        for at in range(0, len(raw), 2):
            words[start + at // 2] = int.from_bytes(raw[at : at + 2])
    return found


def _redact_number(words: dict[int, int], number: int) -> set[int]:
    found: set[int] = set()
    for address in list(words):
        if number > 0 and address + 1 in words and words[address] << 16 | words[address + 1] == number:
            words[address] = words[address + 1] = 0
            found |= {address, address + 1}
    return found


def _runs(words: Mapping[int, int]) -> dict[str, list[int]]:
    runs: dict[str, list[int]] = {}
    first = last = -2
    for address in sorted(words):
        if address != last + 1:
            first = address
            runs[str(first)] = []
        runs[str(first)].append(words[address])
        last = address
    return runs


class RecordingUnit(Unit):
    """A unit that keeps what it reads, and writes nothing."""

    def __init__(self, link: Link, unit_id: int, recorded: Recorded) -> None:
        super().__init__(link, unit_id)
        self._recorded = recorded

    def beside(self, unit_id: int) -> RecordingUnit:
        return RecordingUnit(self._link, unit_id, self._recorded)

    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        return await self._kept(HOLDING, address, count, super().read_holding_registers)

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        return await self._kept(INPUT, address, count, super().read_input_registers)

    async def _kept(
        self, kind: str, address: int, count: int, read: Callable[[int, int], Awaitable[list[int]]]
    ) -> list[int]:
        try:
            words = await read(address, count)
        except DeviceRefusedError as error:
            self._recorded.refuse(self.unit_id, kind, address, count, error.reason)
            raise
        self._recorded.keep(self.unit_id, kind, address, words)
        return words

    async def write_register(self, address: int, value: int) -> None:
        raise DeviceRefusedError(f"a capture writes nothing, so not to register {address}", "not_permitted")

    async def write_registers(self, address: int, values: list[int]) -> None:
        raise DeviceRefusedError(f"a capture writes nothing, so not to register {address}", "not_permitted")

    async def write_coil(self, address: int, value: bool) -> None:
        raise DeviceRefusedError(f"a capture writes nothing, so not to coil {address}", "not_permitted")


@dataclass(frozen=True, slots=True)
class Range:
    """Registers to read besides, first and last included; ``kind`` is HOLDING or INPUT."""

    kind: str
    first: int
    last: int


async def _read(unit: RecordingUnit, wanted: Range) -> None:
    """What the device refuses is noted and passed over."""
    read = unit.read_holding_registers if wanted.kind == HOLDING else unit.read_input_registers
    for address in range(wanted.first, wanted.last + 1, SLICE):
        with suppress(DeviceRefusedError):
            await read(address, min(SLICE, wanted.last + 1 - address))


async def capture(
    link: Link,
    model: str,
    unit_id: int,
    now: datetime,
    also: Sequence[Range] = (),
    *,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Probe and read the device as a charger of this model, then ``also``; the dump as plain values.

    ``options``: what ``site.yaml`` would say about the model besides, already checked. A device that the driver cannot
    read gives a dump too: of what was answered, with the error in place of a reading.
    Raises DeviceError where nothing was answered at all.
    """
    recorded = Recorded()
    unit = RecordingUnit(link, unit_id, recorded)
    entry = MODELS[model]
    charger = entry.build("captured", unit, entry.options(**options), monotonic=time.monotonic)
    seen: dict[str, Any] = {}
    serial = ""
    try:
        identity, capability = await charger.probe()
        serial = identity.serial
        seen["identity"] = asdict(identity) | {"serial": len(serial) * chr(_REDACTED)}
        seen["capability"] = asdict(capability)
        for _ in range(READINGS):
            reading = asdict(await charger.read(now))
        seen["reading"] = {name: value for name, value in reading.items() if name not in ("at", "grid_at")}
    except DeviceError as error:
        if not recorded.words and not recorded.refused:
            raise
        seen["error"] = str(error).replace(link.endpoint, "the device")
    finally:
        await charger.close()
    for wanted in also:
        await _read(unit, wanted)
    others = set() if serial else await _asked_as_others(link, model, unit_id)
    by_the_way = {found for found in others | recorded.sunspec_serials() if len(found) >= _SHORTEST_SERIAL}
    for known in sorted(by_the_way | {serial}, key=len, reverse=True):
        recorded.redact(known)
    removed = "serial number removed" if recorded.redacted else "no serial number was found: look before you share"
    dump: dict[str, Any] = {
        "device": "which device, firmware and vehicle this is, and what it was doing: please fill in",
        "source": f"captured over Modbus TCP on {now.date()}; {removed}",
        "model": model,
        "unit": unit_id,
        **({"options": dict(options)} if options else {}),
        "seen": seen,
        **recorded.blocks(unit_id),
    }
    if beside := {str(other): recorded.blocks(other) for other in sorted(recorded.words) if other != unit_id}:
        dump["other_units"] = beside
    noted = {"refused": recorded.refused, "redacted": recorded.redacted}
    return dump | {what: told for what, told in noted.items() if told}


async def _asked_as_others(link: Link, model: str, unit_id: int) -> set[str]:
    """The serial numbers that the drivers of other models find. What they read is not part of the dump."""
    recorded = Recorded()
    found = set()
    for name, entry in MODELS.items():
        if name == model:
            continue
        unit = RecordingUnit(link, unit_id, recorded)
        charger = entry.build("captured", unit, entry.options(), monotonic=time.monotonic)
        with suppress(DeviceError, TimeoutError):
            async with asyncio.timeout(_ASKING_TAKES_S):
                found.add((await charger.probe())[0].serial.strip())
        await charger.close()
    return found | recorded.sunspec_serials()
