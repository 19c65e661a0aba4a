"""What every SunSpec device shares: how its models are found, identified and read.

Source: SunSpec Device Information Model Specification, and the model definitions (Apache-2.0).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from modbus_connection import ModbusUnit
from modbus_connection.model import RegisterField
from modbus_connection.model.sunspec import SunSpecComponent, SunSpecModel, SunSpecModels, string

from edge_service.chargers.plausible import text
from edge_service.ports import DeviceRefusedError, ProtocolViolationError

# Where a device may put its map, in the order in which most do.
BASES = (40000, 0, 50000)
MARKER = [0x5375, 0x6E53]  # "SunS"
_END_OF_CHAIN = 0xFFFF
_LAST_ADDRESS = 0xFFFF
# More than any device has; a broken map must not send us walking for ever.
_MOST_MODELS = 100
# What one request may read: the protocol's bound, and a slice for slow lines, on which a longer read would keep the
# fast lane waiting.
LONGEST_READ, SLICE = 125, 40
# Blocks this near to each other are read together; the registers between them cost less than a request.
NEAR = 24

# First offset from the model's ID register, number of registers.
type Block = tuple[int, int]


class MapMovedError(ProtocolViolationError):
    """The device's register map is no longer the one that was probed, as after a firmware update."""


async def discover(unit: ModbusUnit) -> SunSpecModels:
    """Find the map and walk its chain of models.

    Raises DeviceRefusedError (``not_sunspec``) where no map begins, ProtocolViolationError on a broken chain.
    """
    for base in BASES:
        if await _begins_at(unit, base):
            return await _walk(unit, base + len(MARKER))
    raise DeviceRefusedError(
        f"no SunSpec map at {', '.join(map(str, BASES))}; check the unit number and that SunSpec Modbus is enabled",
        "not_sunspec",
    )


async def _begins_at(unit: ModbusUnit, base: int) -> bool:
    try:
        return await unit.read_holding_registers(base, len(MARKER)) == MARKER
    except DeviceRefusedError:
        return False


async def _walk(unit: ModbusUnit, address: int) -> SunSpecModels:
    models = SunSpecModels()
    for _ in range(_MOST_MODELS):
        if address >= _LAST_ADDRESS:
            raise ProtocolViolationError("the chain of SunSpec models runs off the address space")
        model_id, length = await unit.read_holding_registers(address, 2)
        if model_id == _END_OF_CHAIN:
            return models
        model = SunSpecModel(model_id=model_id, address=address, length=length)
        models.setdefault(model_id, []).append(model)
        address += model.span
    raise ProtocolViolationError(f"the chain of SunSpec models does not end after {_MOST_MODELS} models")


class _Point(NamedTuple):
    """Where a point and its scale factor stand in a model's ``words``."""

    name: str
    decode: Callable[[list[int], int | None], Any]
    where: slice
    scale_at: int | None

    def value(self, words: list[int]) -> Any:
        exponent = None
        if self.scale_at is not None:
            exponent = words[self.scale_at] - (words[self.scale_at] >> 15 << 16)
        return self.decode(words[self.where], exponent)


class Model(SunSpecComponent):
    """One SunSpec model of a device. A subclass states its points, a line each, and which registers to read.

    ``live`` blocks are read each time, ``still`` ones (header, scale factors) at first and when asked; offsets from
    the model's ID register. A point beyond the length that the device states reads as None. ``most`` registers are
    read at once; ``shift`` moves all points and blocks, as for the second of several alike groups.
    """

    live: ClassVar[tuple[Block, ...]] = ()
    still: ClassVar[tuple[Block, ...]] = ()

    def __init__(self, unit: ModbusUnit, model: SunSpecModel, *, most: int = SLICE, shift: int = 0) -> None:
        super().__init__(unit, model)
        self.at = model.address
        self.span = model.span
        self.words = [0] * model.span
        self.fresh = self.complete = False
        self._shift = shift
        self._header = [model.model_id, model.length]
        self.words[:2] = self._header
        # A point's value is set on the instance, where it hides the field: looking it up then calls nothing.
        self._points_at: list[list[_Point]] = [[] for _ in range(self.span)]
        for name, field in self._register_fields.items():
            self._place(name, field)
        self._alone = Survey(unit, (self,), needed=(self,), most=most)

    def _place(self, name: str, field: RegisterField[Any]) -> None:
        """Take up a point; one that, or whose scale factor, is beyond the end is unknown for good."""
        setattr(self, name, None)
        start = field.address + self._shift
        if max(start + field.count, (field.scale_register or 0) + 1) <= self.span:
            point = _Point(name, field.decode, slice(start, start + field.count), field.scale_register)
            setattr(self, name, point.value(self.words))
            scales = () if field.scale_register is None else (field.scale_register,)
            for at in (*range(start, start + field.count), *scales):
                self._points_at[at].append(point)

    def parts(self, *, everything: bool) -> tuple[Part, ...]:
        """The blocks to be read now."""
        blocks = self.live if self.complete and not everything else (*self.still, *self.live)
        ends = [(start + self._shift, min(start + self._shift + count, self.span)) for start, count in blocks]
        return tuple(Part(self, start, end - start) for start, end in ends if end > start)

    def take(self, offset: int, words: list[int]) -> None:
        """Take over registers that were read; raises MapMovedError if they show that another model sits here now."""
        end = offset + len(words)
        known = self.words[offset:end]
        if known == words:
            return
        if offset == 0 and words[:2] != self._header[: len(words)]:
            raise MapMovedError(
                f"model {self._header[0]} of {self._header[1]} registers was at {self.at}, now {words[:2]} is;"
                " probe the device again"
            )
        now = [*self.words[:offset], *words, *self.words[end:]]
        for at, before in enumerate(known, offset):
            if now[at] != before:
                for point in self._points_at[at]:
                    setattr(self, point.name, point.value(now))
        self.words = now

    async def refresh(self, *, everything: bool = False) -> None:
        """Read. ``fresh`` tells how the last reading ended; until this one has, the last values stand.

        Raises DeviceError; MapMovedError if another model now sits at this address.
        """
        await self._alone.refresh(everything=everything)

    def has(self, *names: str) -> bool:
        """Whether the device implements all of these points, as last read."""
        return all(getattr(self, name) is not None for name in names)


@dataclass(frozen=True, slots=True)
class Part:
    """A block of one model: first offset from its ID register, number of registers."""

    model: Model
    offset: int
    count: int

    @property
    def address(self) -> int:
        return self.model.at + self.offset

    def cut(self, most: int) -> Iterator[Part]:
        """This block in pieces of at most ``most`` registers."""
        for start in range(0, self.count, most):
            yield Part(self.model, self.offset + start, min(most, self.count - start))


@dataclass(frozen=True, slots=True)
class _Request:
    """One read of adjacent registers, and the blocks that it brings."""

    address: int
    count: int
    parts: tuple[Part, ...]


def _requests(parts: Iterable[Part], most: int) -> list[_Request]:
    """As few reads as bring these blocks: neighbours go together where they are near and not too long."""
    found: list[_Request] = []
    pieces = sorted((piece for part in parts for piece in part.cut(most)), key=lambda piece: piece.address)
    for piece in pieces:
        last = found[-1] if found else None
        if last is not None and _fit(last, piece, most):
            count = max(last.count, piece.address + piece.count - last.address)
            found[-1] = _Request(last.address, count, (*last.parts, piece))
        else:
            found.append(_Request(piece.address, piece.count, (piece,)))
    return found


def _fit(last: _Request, piece: Part, most: int) -> bool:
    gap = piece.address - last.address - last.count
    return gap <= NEAR and piece.address + piece.count - last.address <= most


class Survey:
    """Reads several models of one unit in as few requests as their places allow.

    A block that the device refuses leaves its model not ``fresh``; only a ``needed`` one makes the refusal an error.
    """

    def __init__(
        self, unit: ModbusUnit, models: Iterable[Model], *, needed: tuple[Model, ...], most: int = LONGEST_READ
    ) -> None:
        self._unit = unit
        self._models = tuple(models)
        self._needed = needed
        self._most = most
        self._plans: dict[tuple[bool, ...], list[_Request]] = {}
        self._split = False

    async def refresh(self, *, everything: bool = False) -> None:
        """Read what is live, and what is still if asked or not yet read. Raises DeviceError."""
        if everything and self._split:
            self._plans.clear()  # the refusal may have passed
            self._split = False
        key = (everything, *(model.complete for model in self._models))
        if (plan := self._plans.get(key)) is None:
            parts = [part for model in self._models for part in model.parts(everything=everything)]
            plan = self._plans[key] = _requests(parts, self._most)
        refused: dict[Model, DeviceRefusedError] = {}
        for request in tuple(plan):
            if not await self._load(request, refused):
                self._split = True
                self._plans[key] = [each for each in self._plans.get(key, plan) if each is not request]
                self._plans[key] += [_Request(part.address, part.count, (part,)) for part in request.parts]
        self._judge(plan, refused)

    def _judge(self, plan: list[_Request], refused: Mapping[Model, DeviceRefusedError]) -> None:
        for request in plan:
            for part in request.parts:
                part.model.fresh = part.model not in refused
                part.model.complete |= part.model.fresh
        for model in self._needed:
            if model in refused:
                raise refused[model]

    async def _load(self, request: _Request, refused: dict[Model, DeviceRefusedError]) -> bool:
        """False: the read was refused as a whole, so each block was read by itself."""
        try:
            words = await self._unit.read_holding_registers(request.address, request.count)
            for part in request.parts:
                start = part.address - request.address
                part.model.take(part.offset, words[start : start + part.count])
        except DeviceRefusedError as error:
            if len(request.parts) == 1:
                refused[request.parts[0].model] = error
                return True
            for part in request.parts:
                await self._load(_Request(part.address, part.count, (part,)), refused)
            return False
        except BaseException:
            for part in request.parts:
                part.model.fresh = False
            raise
        return True


class Common(Model):
    """Model 1: who the device says it is."""

    live = ((0, 66),)

    manufacturer = string(2, 16)
    model_name = string(18, 16)
    version = string(42, 8)
    serial_number = string(50, 16)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Manufacturer, model, serial, version; empty where the device leaves them out."""
        return text(self.manufacturer), text(self.model_name), text(self.serial_number), text(self.version)

    async def introduce(self) -> tuple[str, str, str, str]:
        """Read who it is now."""
        await self.refresh()
        return self.identity
