"""The charger as a SunSpec DER: models 1, 701-704, 713-715.

Sign on this wire is SunSpec's: + generation (discharge), - absorption (charge); it is turned round here.
A write is refused whole: exception 2 for a read-only or not implemented point, or for part of a point; 3 for a value
out of its enumeration or bounds; 4 for 704 and 715 while the charger is under local control.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, inf

from edge_service.simulation.house import NOMINAL_HZ, NOMINAL_V, House
from edge_service.simulation.inverter import Inverter, Operation, Stage
from edge_service.simulation.modbus_server import Faceless, RefusalCode, RefusalError
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.sunspec_layout import Image, Point, facts

DC_V = 390.0
# 704 offsets 22 to 32: a write to any of these starts the reversion timer anew.
SETPOINT_GROUP = (
    "704.WSetEna",
    "704.WSetMod",
    "704.WSet",
    "704.WSetRvrt",
    "704.WSetPct",
    "704.WSetPctRvrt",
    "704.WSetEnaRvrt",
    "704.WSetRvrtTms",
)
_SETPOINT_POINTS = (*SETPOINT_GROUP, "704.WSetRvrtRem", "704.WSet_SF", "704.WSetPct_SF")

# 701.InvSt of each stage; a connected charger is running or standing by, by its power.
_INVERTER_STATE = {
    Stage.OFF: 0,
    Stage.WAITING: 7,
    Stage.FORMING: 2,
    Stage.ISLAND: 3,
    Stage.STOPPING: 5,
    Stage.FAULT: 6,
}
_RUNNING, _THROTTLED, _STANDBY = 3, 4, 7
_GRID_FOLLOWING, _GRID_FORMING = 1 << 0, 1 << 1
_ISLAND_AND_BLACK_START = 1 << 1 | 1 << 2
_UNCATEGORISED = 1 << 0
_MAX_W, _FIXED_W = 1 << 0, 1 << 1


@dataclass(frozen=True, slots=True)
class Setting:
    """How a writable point is done; ``low`` and ``high`` bound the engineering value on the wire."""

    act: Callable[[Inverter, float], None]
    low: float
    high: float


class ChargerRegisters(Faceless):
    """Register face of ``House.inverter`` and ``House.vehicle``."""

    def __init__(self, house: House, options: SiteOptions) -> None:
        source = facts("sunspec_der_7xx")
        left_out = {713} if options.no_713 else set()
        left_out |= {715} if options.no_715 else set()
        models = {number: model for number, model in source["models"].items() if number not in left_out}
        self._house = house
        self._options = options
        self.image = Image(options.charger_base, models, source["not_implemented"])
        for number in models:
            self._seed(number, source["simulator"]["seed_raw"][str(number)])
        self._seed_ratings()

    def _seed(self, number: int, seeds: Mapping[str, int | str]) -> None:
        for name, raw in seeds.items():
            self.image.put(f"{number}.{name}", raw)

    def _seed_ratings(self) -> None:
        options, image = self._options, self.image
        for key in ("701.W_SF", "702.W_SF", "704.WSet_SF"):
            image.put(key, options.power_scale)
        for name in ("WMaxRtg", "VAMaxRtg", "WChaRteMaxRtg", "WDisChaRteMaxRtg"):
            image.put_scaled(f"702.{name}", options.rating_w)
        image.put("1.Md", f"Sim V2H {options.rating_w / 1000:.1f}")
        image.put("1.DA", options.charger_unit)
        image.put("702.CtrlModes", _MAX_W if options.no_wset else _MAX_W | _FIXED_W)
        image.put("702.IntIslandCatRtg", _ISLAND_AND_BLACK_START if options.island_capable else _UNCATEGORISED)
        if options.no_wset:
            for key in _SETPOINT_POINTS:
                image.put(key, None)

    # Reading

    def read_registers(self, address: int, count: int) -> list[int]:
        self._refresh()
        return self.image.read(address, count)

    def _refresh(self) -> None:
        self._put_measurements()
        self._put_settings()
        if not self._options.no_wset:
            self._put_setpoint()
        if not self._options.no_713:
            self._put_storage()
        self._put_dc()
        if not self._options.no_715:
            self._put_control()

    def _put_measurements(self) -> None:
        image, house, inverter = self.image, self._house, self._house.inverter
        state = self._inverter_state()
        image.put("701.St", int(state not in (0, 6)))
        image.put("701.InvSt", state)
        image.put("701.ConnSt", int(inverter.connected))
        image.put("701.Alrm", sum(1 << alarm for alarm in inverter.alarms))
        image.put("701.DERMode", _GRID_FORMING if inverter.feeds_bus else _GRID_FOLLOWING)
        supplied_w, volts = -inverter.power_w, house.bus_v
        amps = abs(supplied_w) / NOMINAL_V
        for name, value in (
            ("W", supplied_w),
            ("WL1", supplied_w / 2),
            ("WL2", supplied_w / 2),
            ("VA", abs(supplied_w)),
            ("A", 2 * amps),
            ("AL1", amps),
            ("AL2", amps),
            ("LLV", volts),
            ("VL1L2", volts),
            ("LNV", volts / 2),
            ("VL1", volts / 2),
            ("VL2", volts / 2),
            ("Hz", NOMINAL_HZ if volts else 0.0),
            ("TotWhInj", inverter.injected_wh),
            ("TotWhAbs", inverter.absorbed_wh),
        ):
            image.put_scaled(f"701.{name}", value)

    def _inverter_state(self) -> int:
        inverter = self._house.inverter
        if inverter.stage is not Stage.CONNECTED:
            return _INVERTER_STATE[inverter.stage]
        if inverter.limited:
            return _THROTTLED
        return _RUNNING if inverter.power_w or inverter.target_w else _STANDBY

    def _put_settings(self) -> None:
        image, settings, inverter = self.image, self._house.inverter.settings, self._house.inverter
        image.put_scaled("702.WMax", settings.power_limit_w)
        image.put_scaled("702.VAMax", settings.apparent_limit_va)
        image.put_scaled("702.WChaRteMax", settings.charge_limit_w)
        image.put_scaled("702.WDisChaRteMax", settings.discharge_limit_w)
        image.put("703.ES", int(settings.permit_service))
        image.put("703.ESDlyTms", ceil(settings.enter_service_s))
        image.put("703.ESDlyRemTms", ceil(inverter.enter_service_left_s))
        image.put("704.WMaxLimPctEna", int(settings.cap_enabled))
        image.put_scaled("704.WMaxLimPct", settings.cap_pct)
        image.put("704.AntiIslEna", int(settings.anti_islanding))

    def _put_setpoint(self) -> None:
        image, settings, inverter = self.image, self._house.inverter.settings, self._house.inverter
        image.put("704.WSetEna", int(settings.setpoint_enabled))
        image.put("704.WSetMod", int(settings.setpoint_in_watts))
        image.put_scaled("704.WSet", -settings.setpoint_w)
        image.put_scaled("704.WSetRvrt", -settings.revert_w)
        image.put_scaled("704.WSetPct", -settings.setpoint_pct)
        image.put_scaled("704.WSetPctRvrt", -settings.revert_pct)
        image.put("704.WSetEnaRvrt", int(settings.revert_enabled))
        image.put("704.WSetRvrtTms", int(settings.lease_s))
        image.put("704.WSetRvrtRem", 0 if inverter.lease_left_s == inf else ceil(inverter.lease_left_s))

    def _put_storage(self) -> None:
        vehicle, image = self._house.vehicle, self.image
        known = vehicle.plugged
        image.put_scaled("713.WHRtg", vehicle.capacity_wh if known else None)
        image.put_scaled("713.WHAvail", vehicle.energy_wh if known else None)
        image.put_scaled("713.SoC", vehicle.soc_pct if known else None)
        image.put("713.SoH", 980 if known else None)

    def _put_dc(self) -> None:
        vehicle, image, inverter = self._house.vehicle, self.image, self._house.inverter
        ac_w = -inverter.power_w
        dc_w = ac_w / vehicle.efficiency if ac_w > 0 else ac_w * vehicle.efficiency
        volts = DC_V if vehicle.plugged else 0.0
        for prefix in ("714.", "714.Prt[0]."):
            image.put_scaled(f"{prefix}DCW", dc_w)
            image.put_scaled(f"{prefix}DCA", dc_w / DC_V)
        image.put_scaled("714.Prt[0].DCV", volts)
        image.put("714.Prt[0].DCSta", int(vehicle.plugged))

    def _put_control(self) -> None:
        inverter, image = self._house.inverter, self.image
        image.put("715.LocRemCtl", int(inverter.settings.local))
        image.put("715.DERHb", int(inverter.uptime_s))
        image.put("715.OpCtl", int(inverter.settings.operation))

    # Writing

    def write_registers(self, address: int, values: list[int]) -> dict[str, float]:
        """All points of one request or none; the setpoint group arms the reversion timer once, at the end."""
        self._refresh()
        written = {point: raw * self.image.scale(point.key) for point, raw in self._checked(address, values)}
        inverter = self._house.inverter
        for point, value in written.items():
            if point.key in _SETTINGS:
                _SETTINGS[point.key].act(inverter, value)
            else:
                self.image.put_scaled(point.key, value)
        if any(point.key in SETPOINT_GROUP for point in written):
            inverter.renew_lease()
            self._note_setpoint()
        self._house.settle()
        return {point.key: value for point, value in written.items()}

    def _checked(self, address: int, values: list[int]) -> list[tuple[Point, int]]:
        decoded = self.image.decode(address, values)
        local = self._house.inverter.settings.local
        for point, raw in decoded:
            if not (point.writable and self.image.implemented(point.key)):
                raise RefusalError(RefusalCode.ADDRESS)
            if local and point.key.startswith(("704.", "715.")):
                raise RefusalError(RefusalCode.DEVICE)
            if not self._allowed(point, raw):
                raise RefusalError(RefusalCode.VALUE)
        return decoded

    def _allowed(self, point: Point, raw: int) -> bool:
        if point.allowed:
            return raw in point.allowed
        setting = _SETTINGS.get(point.key)
        if setting is None:
            return True
        return setting.low <= raw * self.image.scale(point.key) <= setting.high

    def _note_setpoint(self) -> None:
        settings = self._house.inverter.settings
        self._house.history.note(
            "setpoint_written",
            enabled=settings.setpoint_enabled,
            setpoint_w=settings.setpoint_w if settings.setpoint_in_watts else None,
            setpoint_pct=None if settings.setpoint_in_watts else settings.setpoint_pct,
            lease_s=settings.lease_s,
        )


def _turned(name: str) -> Callable[[Inverter, float], None]:
    def act(inverter: Inverter, value: float) -> None:
        setattr(inverter.settings, name, -value or 0.0)

    return act


def _kept(name: str) -> Callable[[Inverter, float], None]:
    def act(inverter: Inverter, value: float) -> None:
        setattr(inverter.settings, name, value)

    return act


def _switched(name: str) -> Callable[[Inverter, float], None]:
    def act(inverter: Inverter, value: float) -> None:
        setattr(inverter.settings, name, bool(value))

    return act


def _operate(inverter: Inverter, value: float) -> None:
    inverter.settings.operation = Operation(int(value))


def _reset(inverter: Inverter, value: float) -> None:
    if value == 1:
        inverter.reset_alarm()


_DAY_S = 86_400
_SETTINGS = {
    "702.WMax": Setting(_kept("power_limit_w"), 0, 30_000),
    "702.VAMax": Setting(_kept("apparent_limit_va"), 0, 30_000),
    "702.WChaRteMax": Setting(_kept("charge_limit_w"), 0, 30_000),
    "702.WDisChaRteMax": Setting(_kept("discharge_limit_w"), 0, 30_000),
    "703.ES": Setting(_switched("permit_service"), 0, 1),
    "703.ESDlyTms": Setting(_kept("enter_service_s"), 0, 3600),
    "704.WMaxLimPctEna": Setting(_switched("cap_enabled"), 0, 1),
    "704.WMaxLimPct": Setting(_kept("cap_pct"), 0, 100),
    "704.WSetEna": Setting(_switched("setpoint_enabled"), 0, 1),
    "704.WSetMod": Setting(_switched("setpoint_in_watts"), 0, 1),
    # Beyond the rating is taken and limited; the sentinel and other nonsense is refused.
    "704.WSet": Setting(_turned("setpoint_w"), -1_000_000, 1_000_000),
    "704.WSetRvrt": Setting(_turned("revert_w"), -1_000_000, 1_000_000),
    "704.WSetPct": Setting(_turned("setpoint_pct"), -100, 100),
    "704.WSetPctRvrt": Setting(_turned("revert_pct"), -100, 100),
    "704.WSetEnaRvrt": Setting(_switched("revert_enabled"), 0, 1),
    "704.WSetRvrtTms": Setting(_kept("lease_s"), 0, _DAY_S),
    "704.AntiIslEna": Setting(_switched("anti_islanding"), 0, 1),
    "715.AlarmReset": Setting(_reset, 0, 1),
    "715.OpCtl": Setting(_operate, 0, 3),
}
