"""What every SunSpec device shares: how its models are found, identified and read.

Source: SunSpec Device Information Model Specification, and the model definitions (Apache-2.0).
"""

from collections.abc import Callable
from typing import ClassVar

from modbus_connection import ModbusUnit
from modbus_connection.model.sunspec import (
    SunSpecComponent,
    SunSpecError,
    SunSpecModel,
    SunSpecModels,
    string,
)

from edge_service.chargers.link import UnusedFunctions
from edge_service.ports import DeviceRefusedError, ProtocolViolationError

# Where a device may put its map, in the order in which most do.
BASES = (40000, 0, 50000)
MARKER = [0x5375, 0x6E53]  # "SunS"
_END_OF_CHAIN = 0xFFFF
_LAST_ADDRESS = 0xFFFF
# More than any device has; a broken map must not send us walking for ever.
_MOST_MODELS = 100
# The connection is serialised: a longer read would keep the fast lane waiting.
SLICE = 40

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


async def describe(unit: ModbusUnit) -> list[str]:
    """What answers at this unit, in plain sentences, for ``ridethrough check``. Writes nothing; raises DeviceError."""
    models = await discover(unit)
    chain = ", ".join(f"{model.model_id} at {model.address}" for model in models.chain)
    found = [f"SunSpec models: {chain}."]
    if (first := models.first(1)) is not None:
        common = Common(unit, first)
        await common.refresh()
        found.append(f"It calls itself {common.manufacturer} {common.model_name}, serial {common.serial_number}.")
    return found


class RegisterImage(UnusedFunctions):
    """The registers last read from a unit, so that a typed model decodes one consistent read without further I/O."""

    def __init__(self, unit: ModbusUnit) -> None:
        self._unit = unit
        self._words: dict[int, int] = {}

    @property
    def connected(self) -> bool:
        return self._unit.connected

    async def load(self, address: int, count: int) -> None:
        """Read ``count`` registers from the device, in slices."""
        for start in range(address, address + count, SLICE):
            size = min(SLICE, address + count - start)
            words = await self._unit.read_holding_registers(start, size)
            self._words.update(zip(range(start, start + size), words, strict=True))

    def words(self, address: int, count: int) -> list[int]:
        """Registers that were loaded before."""
        return [self._words[at] for at in range(address, address + count)]

    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        return self.words(address, count)

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        raise NotImplementedError("SunSpec keeps everything in holding registers")

    async def read_coils(self, address: int, count: int) -> list[bool]:
        raise NotImplementedError("SunSpec has no coils")

    async def read_discrete_inputs(self, address: int, count: int) -> list[bool]:
        raise NotImplementedError("SunSpec has no discrete inputs")

    async def write_register(self, address: int, value: int) -> None:
        raise NotImplementedError("an image is not written")

    async def write_registers(self, address: int, values: list[int]) -> None:
        raise NotImplementedError("an image is not written")

    async def write_coil(self, address: int, value: bool) -> None:
        raise NotImplementedError("an image is not written")

    def set_message_spacing(self, seconds: float) -> None:
        self._unit.set_message_spacing(seconds)

    def require_timeout(self, seconds: float | None) -> None:
        self._unit.require_timeout(seconds)

    def require_connect_delay(self, seconds: float | None) -> None:
        self._unit.require_connect_delay(seconds)

    def on_connection_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._unit.on_connection_lost(callback)

    async def disconnect(self) -> None:
        await self._unit.disconnect()


class Model(SunSpecComponent):
    """One SunSpec model of a device. A subclass states its points, a line each, and which registers to read.

    ``live`` blocks are read each time, ``still`` ones (header, scale factors) at first and when asked; offsets from
    the model's ID register. A point beyond the length that the device states reads as None.
    """

    live: ClassVar[tuple[Block, ...]] = ()
    still: ClassVar[tuple[Block, ...]] = ()
    # The image holds only what was read: nothing may be read "because it lies between".
    max_gap = 1

    def __init__(self, unit: ModbusUnit, model: SunSpecModel) -> None:
        self.image = RegisterImage(unit)
        self.at = model.address
        self.span = model.span
        self.fresh = False
        self._complete = False
        super().__init__(self.image, model)
        self.restrict_fields(self._fields_within(model.span))

    def _fields_within(self, span: int) -> list[str]:
        return [
            name
            for name, field in self.resolved_fields.items()
            if max(field.address + field.count, (field.scale_address or 0) + 1) <= self.at + span
        ]

    async def refresh(self, *, everything: bool = False) -> None:
        """Read and decode. ``fresh`` tells how the last refresh ended; until this one has, the last values stand.

        Raises DeviceError; MapMovedError if another model now sits at this address.
        """
        try:
            await self._read_and_decode(everything=everything)
        except BaseException:
            self.fresh = False
            raise
        self._complete = self.fresh = True

    async def _read_and_decode(self, *, everything: bool) -> None:
        blocks = self.live if self._complete and not everything else (*self.still, *self.live)
        for start, count in blocks:
            await self.image.load(self.at + start, max(0, min(count, self.span - start)))
        try:
            await self.async_update(notify=False)
        except SunSpecError as error:
            raise MapMovedError(f"{error}; probe the device again") from error

    def has(self, *names: str) -> bool:
        """Whether the device implements all of these points, as last read."""
        return all(getattr(self, name) is not None for name in names)


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
        texts = (self.manufacturer, self.model_name, self.serial_number, self.version)
        return tuple((text or "").strip("\x00 ") for text in texts)  # type: ignore[return-value]


# What the devices of a house can plausibly report; beyond it a register holds garbage.
MOST_W, MOST_V, MOST_HZ, _MOST_COUNTED_WH = 1e6, 1000, 100, 1e12


def within(value: float | None, low: float, high: float) -> float | None:
    """``value`` if it is physically plausible, else None."""
    return value if value is not None and low <= value <= high else None


def counted(energy: float | None) -> int | None:
    """What an energy counter holds, in whole watt-hours, if it is plausible."""
    plausible = within(energy, 0, _MOST_COUNTED_WH)
    return None if plausible is None else round(plausible)
