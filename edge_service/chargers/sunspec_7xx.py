"""SunSpec models 701 to 704 and 713 to 715, as far as a charger needs them.

The file reads like the model definitions: a point is one line, its number the offset from the model's ID register.
Source: SunSpec model definitions json/model_70[1-4].json and json/model_71[3-5].json (Apache-2.0).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from math import copysign
from typing import ClassVar

from modbus_connection.model import RegisterField
from modbus_connection.model.sunspec import (
    bitfield16,
    bitfield32,
    enum16,
    int16,
    int32,
    sunssf,
    uint16,
    uint32,
    uint64,
)

from edge_service.chargers.plausible import within
from edge_service.chargers.sunspec import Block, Model


class Alarm(IntFlag):
    """701.Alrm."""

    GROUND_FAULT = 1 << 0
    DC_OVER_VOLT = 1 << 1
    AC_DISCONNECT = 1 << 2
    DC_DISCONNECT = 1 << 3
    GRID_DISCONNECT = 1 << 4
    CABINET_OPEN = 1 << 5
    MANUAL_SHUTDOWN = 1 << 6
    OVER_TEMP = 1 << 7
    OVER_FREQUENCY = 1 << 8
    UNDER_FREQUENCY = 1 << 9
    AC_OVER_VOLT = 1 << 10
    AC_UNDER_VOLT = 1 << 11
    BLOWN_STRING_FUSE = 1 << 12
    UNDER_TEMP = 1 << 13
    MEMORY_LOSS = 1 << 14
    HW_TEST_FAILURE = 1 << 15
    MANUFACTURER_ALARM = 1 << 16


# Plain numbers: asked several times a second, and flags take ten times as long.
BAD_GRID = int(Alarm.OVER_FREQUENCY | Alarm.UNDER_FREQUENCY | Alarm.AC_OVER_VOLT | Alarm.AC_UNDER_VOLT)
DISCONNECTED = int(Alarm.AC_DISCONNECT | Alarm.GRID_DISCONNECT)


class DerMode(IntFlag):
    """701.DERMode."""

    GRID_FOLLOWING = 1 << 0
    GRID_FORMING = 1 << 1
    PV_CLIPPED = 1 << 2


class ControlModes(IntFlag):
    """702.CtrlModes, as far as we use it."""

    MAX_W = 1 << 0
    FIXED_W = 1 << 1


class IslandCategory(IntFlag):
    """702.IntIslandCatRtg."""

    UNCATEGORIZED = 1 << 0
    CAPABLE = 1 << 1
    BLACK_START = 1 << 2
    ISOCHRONOUS = 1 << 3


_FORMING = int(DerMode.GRID_FORMING)
_ISLANDS = int(IslandCategory.CAPABLE | IslandCategory.BLACK_START)


class AcState(Model):
    """Model 701, the points of its first 19 registers: safe to read every 100 ms."""

    live: ClassVar[tuple[Block, ...]] = ((3, 16),)
    still: ClassVar[tuple[Block, ...]] = ((0, 3), (113, 4))

    wiring = enum16(2)  # ACType: 0 single phase, 1 split phase, 2 three phases
    on = enum16(3)  # St
    state = enum16(4)  # InvSt: 0 off 1 sleeping 2 starting 3 running 4 throttled 5 shutting down 6 fault 7 standby
    connected = enum16(5)  # ConnSt
    alarms = bitfield32(6, Alarm)
    mode = bitfield32(8, DerMode)
    power = int16(10, scale_register=116, unit="W")
    voltage_ll = uint16(15, scale_register=114, unit="V")
    voltage_ln = uint16(16, scale_register=114, unit="V")
    frequency = uint32(17, scale_register=115, unit="Hz")

    @property
    def forming(self) -> bool | None:
        return None if self.mode is None else bool(int(self.mode) & _FORMING)


class AcMeasurement(AcState):
    """Model 701, the points of a whole reading."""

    live = ((0, 38),)
    still = ((113, 10),)

    current = int16(14, scale_register=113, unit="A")

    energy_injected = uint64(19, scale_register=120, unit="Wh")
    energy_absorbed = uint64(23, scale_register=120, unit="Wh")
    cabinet = int16(36, scale_register=122, unit="°C")
    heat_sink = int16(37, scale_register=122, unit="°C")


class Capacity(Model):
    """Model 702: ratings, and the settings that a commissioner may have lowered."""

    still = ((0, 52),)

    power_rating = uint16(2, scale_register=45, unit="W")
    charge_rating = uint16(10, scale_register=45, unit="W")
    discharge_rating = uint16(11, scale_register=45, unit="W")
    nominal_voltage_rating = uint16(14, scale_register=49, unit="V")
    control_modes = bitfield32(23, ControlModes)
    island_category = bitfield16(25, IslandCategory)
    power_max = uint16(26, scale_register=45, unit="W")
    charge_max = uint16(34, scale_register=45, unit="W")
    discharge_max = uint16(35, scale_register=45, unit="W")
    nominal_voltage = uint16(38, scale_register=49, unit="V")

    @property
    def can_island(self) -> bool | None:
        """Whether the charger says that it can carry an intentional island; None where it does not say."""
        if self.island_category is None:
            return None
        return bool(int(self.island_category) & _ISLANDS)


class EnterService(Model):
    """Model 703: whether the charger may enter service. A lock-out belongs to a person; never written."""

    still = ((0, 3),)

    permitted = enum16(2)  # ES


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of 704 with its own reversion timer, by the names of its points.

    ``in_safe_order``: what makes an order die comes first, what enables it last. ``beside``: points between them that
    we leave as they are. ``block``: the registers of all these.
    """

    in_safe_order: tuple[str, ...]
    block: Block
    timer: str
    timer_left: str
    reverts_to: str
    reverts_enabled: str
    beside: tuple[str, ...] = ()

    @property
    def enabled(self) -> str:
        return self.in_safe_order[-1]


def _setpoint_function(*in_safe_order: str, beside: tuple[str, ...] = ()) -> Function:
    return Function(
        ("revert_after", *in_safe_order, "enabled"),
        block=(22, 11),
        timer="revert_after",
        timer_left="revert_in",
        reverts_to="revert_setpoint" if "revert_setpoint" in in_safe_order else "revert_percent",
        reverts_enabled="revert_enabled",
        beside=beside,
    )


IN_WATTS = _setpoint_function(
    "revert_setpoint", "revert_enabled", "setpoint_mode", "setpoint", beside=("percent", "revert_percent")
)
IN_PERCENT = _setpoint_function(
    "revert_percent", "revert_enabled", "setpoint_mode", "percent", beside=("setpoint", "revert_setpoint")
)
# No WSetMod says which of the two counts, so both say the same.
IN_BOTH = _setpoint_function(
    "revert_setpoint", "revert_percent", "revert_enabled", "setpoint", "percent", beside=("setpoint_mode",)
)
CAP = Function(
    ("cap_revert_after", "revert_cap", "cap_revert_enabled", "cap", "cap_enabled"),
    block=(14, 6),
    timer="cap_revert_after",
    timer_left="cap_revert_in",
    reverts_to="revert_cap",
    reverts_enabled="cap_revert_enabled",
)


# 704: behind the last register that we write, and where the scale factors begin.
END_OF_FUNCTIONS, SCALES_FROM = 33, 53


class AcControl(Model):
    """Model 704, the cap on generation and the setpoint."""

    live: ClassVar[tuple[Block, ...]] = ((0, 35),)
    still = ((53, 6),)

    cap_enabled = enum16(14, writable=True)  # WMaxLimPctEna
    cap = uint16(15, scale_register=54, writable=True, unit="%")  # WMaxLimPct: of 702.WMax
    revert_cap = uint16(16, scale_register=54, writable=True, unit="%")  # WMaxLimPctRvrt
    cap_revert_enabled = enum16(17, writable=True)  # WMaxLimPctEnaRvrt
    cap_revert_after = uint32(18, writable=True, unit="s")  # WMaxLimPctRvrtTms
    cap_revert_in = uint32(20, unit="s")  # WMaxLimPctRvrtRem
    enabled = enum16(22, writable=True)  # WSetEna
    setpoint_mode = enum16(23, writable=True)  # WSetMod: 0 % of WMax, 1 W
    setpoint = int32(24, scale_register=55, writable=True, unit="W")  # WSet
    revert_setpoint = int32(26, scale_register=55, writable=True, unit="W")  # WSetRvrt
    percent = int16(28, scale_register=56, writable=True, unit="%")  # WSetPct: of 702.WMax
    revert_percent = int16(29, scale_register=56, writable=True, unit="%")  # WSetPctRvrt
    revert_enabled = enum16(30, writable=True)  # WSetEnaRvrt
    revert_after = uint32(31, writable=True, unit="s")  # WSetRvrtTms
    revert_in = uint32(33, unit="s")  # WSetRvrtRem
    cap_exponent = sunssf(54)  # WMaxLimPct_SF
    setpoint_exponent = sunssf(55)  # WSet_SF
    percent_exponent = sunssf(56)  # WSetPct_SF

    _EXPONENTS: ClassVar[Mapping[int, str]] = {54: "cap_exponent", 55: "setpoint_exponent", 56: "percent_exponent"}

    def takes_one_block(self, function: Function) -> bool:
        """Whether every point of the function is there, so that one write sets all at once."""
        return self.has(*function.in_safe_order, *function.beside)

    def exponent_of(self, name: str) -> int | None:
        """The exponent by which a point is scaled: 0 where it has none, None where the device's is no exponent."""
        point = self.declared_fields[name]
        assert isinstance(point, RegisterField)
        if point.scale_register is None:
            return 0
        value = within(getattr(self, self._EXPONENTS[point.scale_register]), -10, 10)
        return None if value is None else int(value)

    def takes(self, *names: str) -> bool:
        """Whether the device implements these points and their scale factors."""
        return self.has(*names) and all(self.exponent_of(name) is not None for name in names)

    def step(self, name: str) -> float:
        return 10.0 ** (self.exponent_of(name) or 0)

    def encoded(self, function: Function, points: Mapping[str, float]) -> dict[int, list[int]]:
        """Offset -> words of those of ``points`` that the device implements, in safe order."""
        found = {}
        for name in function.in_safe_order:
            if name in points and self.has(name):
                point = self.declared_fields[name]
                assert isinstance(point, RegisterField)
                exponent = None if point.scale_register is None else self.exponent_of(name)
                found[point.address] = point.encode(_stepped(points[name], self.step(name)), exponent)
        return found

    def holds(self, words: Mapping[int, list[int]]) -> bool:
        """Whether the registers, as last read, are exactly these."""
        return all(self.words[offset : offset + len(part)] == part for offset, part in words.items())

    def block_with(self, function: Function, words: Mapping[int, list[int]]) -> list[int]:
        """All registers of the function as last read, with ``words`` put in."""
        first, count = function.block
        block = self.words[first : first + count]
        for offset, part in words.items():
            block[offset - first : offset - first + len(part)] = part
        return block

    def timer_left_s(self, function: Function) -> int | None:
        """Seconds until an order dies; None while none stands, or where the device does not tell."""
        left = getattr(self, function.timer_left)
        if getattr(self, function.enabled) != 1 or not getattr(self, function.timer) or left is None:
            return None
        return int(left)


def _stepped(value: float, step: float) -> float:
    """``value`` in whole steps, rounded toward zero."""
    return int(value / step + copysign(1e-6, value)) * step


class Storage(Model):
    """Model 713: the battery behind the charger."""

    live = ((0, 9),)

    capacity = uint16(2, scale_register=7, unit="Wh")
    charge_state = uint16(4, scale_register=8, unit="%")  # SoC


class DcPorts(Model):
    """Model 714, what stands before its ports."""

    still = ((0, 5),)

    ports = uint16(4)  # NPrt

    FIRST_AT, SPAN, MOST = 20, 25, 8


class DcPort(Model):
    """Model 714, one port; the first one's offsets, by which ``shift`` finds the others."""

    live = ((20, 25),)

    kind = enum16(20)  # PrtTyp: 2 EV
    status = enum16(42)  # DCSta: 0 off 1 on 2 warning 3 error

    VEHICLE = 2


class Operation(Model):
    """Model 715: who commands, the two heartbeats, start and stop."""

    live = ((0, 9),)

    control = enum16(2)  # LocRemCtl
    heartbeat = uint32(3)  # DERHb
    controller_heartbeat = uint32(5, writable=True)  # ControllerHb
    operation = enum16(8, writable=True)  # OpCtl: 0 stop 1 start

    HEARTBEAT_AT, OPERATION_AT = 5, 8

    @property
    def takes_stop(self) -> bool:
        return self.has("operation")
