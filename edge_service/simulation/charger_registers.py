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
from edge_service.simulation.sunspec_layout import Facts, Image, Point, facts

DC_V = 390.0
# 704 offsets 22 to 32.
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
# 704 offsets 14 to 19.
CAP_GROUP = (
    "704.WMaxLimPctEna",
    "704.WMaxLimPct",
    "704.WMaxLimPctRvrt",
    "704.WMaxLimPctEnaRvrt",
    "704.WMaxLimPctRvrtTms",
)
_WATTS = ("704.WSet", "704.WSetRvrt", "704.WSet_SF")
_PERCENT = ("704.WSetPct", "704.WSetPctRvrt", "704.WSetPct_SF")
_TIMERS = ("704.WSetRvrtTms", "704.WMaxLimPctRvrtTms")
_TIMERS_LEFT = ("704.WSetRvrtRem", "704.WMaxLimPctRvrtRem")
# What each option leaves unimplemented.
_LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "no_wset": (*SETPOINT_GROUP, "704.WSetRvrtRem", *_WATTS, *_PERCENT),
    "no_wset_mod": ("704.WSetMod",),
    "no_wset_pct": _PERCENT,
    "no_wset_ena_rvrt": ("704.WSetEnaRvrt",),
    "percent_only": _WATTS,
    "no_timer": (*_TIMERS, *_TIMERS_LEFT),
    "no_timer_left": _TIMERS_LEFT,
}
# Stands for nothing that we may discharge.
_PV_PORT: Mapping[str, int | str] = {
    "PrtTyp": 0,
    "ID": 1,
    "IDStr": "PV1",
    "DCA": 0,
    "DCV": 3900,
    "DCW": 0,
    "DCSta": 1,
    "DCAlrm": 0,
}

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


@dataclass(frozen=True, slots=True)
class TimedFunction:
    """A function of 704 with a reversion timer of its own."""

    group: frozenset[str]
    timer: str
    is_on: Callable[[Inverter], bool]
    renew: Callable[[Inverter], None]


_TIMED = (
    TimedFunction(
        frozenset(SETPOINT_GROUP),
        "704.WSetRvrtTms",
        lambda inverter: inverter.settings.setpoint_enabled,
        Inverter.renew_lease,
    ),
    TimedFunction(
        frozenset(CAP_GROUP),
        "704.WMaxLimPctRvrtTms",
        lambda inverter: inverter.settings.cap_enabled,
        Inverter.renew_cap_lease,
    ),
)


class ChargerRegisters(Faceless):
    """Register face of ``House.inverter`` and ``House.vehicle``."""

    def __init__(self, house: House, options: SiteOptions) -> None:
        source = facts("sunspec_der_7xx")
        models = _models(source["models"], options)
        self._house = house
        self._options = options
        self.image = Image(options.charger_base, models, source["not_implemented"], repeats=options.dc_ports)
        for number in models:
            self._seed(number, source["simulator"]["seed_raw"][str(number)])
        self._seed_variant(models)
        self._left_out = tuple(
            key
            for option, keys in _LEFT_OUT.items()
            for key in keys
            if getattr(options, option) and key in self.image.points
        )
        puts = {701: self._put_measurements, 702: self._put_limits, 703: self._put_service, 704: self._put_functions}
        puts |= {713: self._put_storage, 714: self._put_dc, 715: self._put_control}
        self._puts = tuple(put for number, put in puts.items() if number in models)
        self._refresh()

    def _seed(self, number: int, seeds: Mapping[str, int | str]) -> None:
        for name, raw in seeds.items():
            if f"{number}.{name}" in self.image.points:
                self.image.put(f"{number}.{name}", raw)

    def _seed_variant(self, models: Mapping[int, Facts]) -> None:
        options, image, settings = self._options, self.image, self._house.inverter.settings
        image.put("1.Md", f"Sim V2H {options.rating_w / 1000:.1f}")
        image.put("1.DA", options.charger_unit)
        image.put("701.W_SF", options.power_scale)
        if 702 in models:
            self._seed_ratings()
        if 704 in models:
            image.put("704.WSet_SF", options.power_scale if options.setpoint_scale is None else options.setpoint_scale)
        if 714 in models and options.dc_ports > 1:
            self._seed_ports()
        settings.setpoint_in_watts = not options.percent_only
        # Where nothing says what becomes of the enable, it stays.
        settings.revert_enabled = options.no_wset_ena_rvrt

    def _seed_ratings(self) -> None:
        options, image = self._options, self.image
        image.put("702.W_SF", options.power_scale)
        for name in ("WMaxRtg", "VAMaxRtg", "WChaRteMaxRtg", "WDisChaRteMaxRtg"):
            image.put_scaled(f"702.{name}", options.rating_w)
        image.put("702.CtrlModes", _MAX_W if options.no_wset else _MAX_W | _FIXED_W)
        image.put("702.IntIslandCatRtg", _ISLAND_AND_BLACK_START if options.island_capable else _UNCATEGORISED)

    def _seed_ports(self) -> None:
        """The vehicle's port is the last one; before it stands one for solar."""
        last = self._options.dc_ports - 1
        self.image.put("714.NPrt", last + 1)
        for name, raw in _PV_PORT.items():
            self.image.put(
                f"714.Prt[{last}].{name}", self.image.raw(f"714.Prt[0].{name}") if name != "IDStr" else "EV1"
            )
            self.image.put(f"714.Prt[0].{name}", raw)

    # Reading

    def read_registers(self, address: int, count: int) -> list[int]:
        self._refresh()
        return self.image.read(address, count)

    def _refresh(self) -> None:
        for put in self._puts:
            put()
        for key in self._left_out:
            self.image.put(key, None)

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

    def _put_limits(self) -> None:
        image, settings = self.image, self._house.inverter.settings
        image.put_scaled("702.WMax", settings.power_limit_w)
        image.put_scaled("702.VAMax", settings.apparent_limit_va)
        image.put_scaled("702.WChaRteMax", settings.charge_limit_w)
        image.put_scaled("702.WDisChaRteMax", settings.discharge_limit_w)

    def _put_service(self) -> None:
        image, settings, inverter = self.image, self._house.inverter.settings, self._house.inverter
        image.put("703.ES", int(settings.permit_service))
        image.put("703.ESDlyTms", ceil(settings.enter_service_s))
        image.put("703.ESDlyRemTms", ceil(inverter.enter_service_left_s))

    def _put_functions(self) -> None:
        image, settings, inverter = self.image, self._house.inverter.settings, self._house.inverter
        image.put("704.WMaxLimPctEna", int(settings.cap_enabled))
        image.put_scaled("704.WMaxLimPct", settings.cap_pct)
        image.put_scaled("704.WMaxLimPctRvrt", settings.cap_revert_pct)
        image.put("704.WMaxLimPctEnaRvrt", int(settings.cap_revert_enabled))
        image.put("704.WMaxLimPctRvrtTms", int(settings.cap_lease_s))
        image.put("704.WMaxLimPctRvrtRem", _left(inverter.cap_lease_left_s))
        image.put("704.AntiIslEna", int(settings.anti_islanding))
        image.put("704.WSetEna", int(settings.setpoint_enabled))
        image.put("704.WSetMod", int(settings.setpoint_in_watts))
        image.put_scaled("704.WSet", -settings.setpoint_w)
        image.put_scaled("704.WSetRvrt", -settings.revert_w)
        image.put_scaled("704.WSetPct", -settings.setpoint_pct)
        image.put_scaled("704.WSetPctRvrt", -settings.revert_pct)
        image.put("704.WSetEnaRvrt", int(settings.revert_enabled))
        image.put("704.WSetRvrtTms", int(settings.lease_s))
        image.put("704.WSetRvrtRem", _left(inverter.lease_left_s))

    def _put_storage(self) -> None:
        vehicle, image = self._house.vehicle, self.image
        known = vehicle.plugged
        told = known and vehicle.tells_charge
        image.put_scaled("713.WHRtg", vehicle.capacity_wh if known else None)
        image.put_scaled("713.WHAvail", vehicle.energy_wh if told else None)
        image.put_scaled("713.SoC", vehicle.soc_pct if told else None)
        image.put("713.SoH", 980 if known else None)

    def _put_dc(self) -> None:
        vehicle, image, inverter = self._house.vehicle, self.image, self._house.inverter
        ac_w = -inverter.power_w
        dc_w = ac_w / vehicle.efficiency if ac_w > 0 else ac_w * vehicle.efficiency
        volts = DC_V if vehicle.plugged else 0.0
        port = f"714.Prt[{self._options.dc_ports - 1}]."
        for prefix in ("714.", port):
            image.put_scaled(f"{prefix}DCW", dc_w)
            image.put_scaled(f"{prefix}DCA", dc_w / DC_V)
        image.put_scaled(f"{port}DCV", volts)
        image.put(f"{port}DCSta", int(vehicle.plugged))

    def _put_control(self) -> None:
        inverter, image = self._house.inverter, self.image
        image.put("715.LocRemCtl", int(inverter.settings.local))
        image.put("715.DERHb", int(inverter.uptime_s))
        image.put("715.OpCtl", int(inverter.settings.operation))

    # Writing

    def write_registers(self, address: int, values: list[int]) -> dict[str, float]:
        """All points of one request or none; a function's reversion timer is armed once, at the end."""
        self._refresh()
        written = {point: raw * self.image.scale(point.key) for point, raw in self._checked(address, values)}
        inverter = self._house.inverter
        were_on = {timed: timed.is_on(inverter) for timed in _TIMED}
        for point, value in written.items():
            if point.key in _SETTINGS:
                _SETTINGS[point.key].act(inverter, value)
            else:
                self.image.put_scaled(point.key, value)
        keys = {point.key for point in written}
        for timed, was_on in were_on.items():
            if keys & timed.group and self._starts_timer(timed, keys, was_on=was_on):
                timed.renew(inverter)
        if keys & frozenset(SETPOINT_GROUP):
            self._note_setpoint()
        self._house.settle()
        return {point.key: value for point, value in written.items()}

    def _starts_timer(self, timed: TimedFunction, written: set[str], *, was_on: bool) -> bool:
        """Turning the function off always ends its timer; what starts it anew is the device's own."""
        is_on = timed.is_on(self._house.inverter)
        match self._options.timer_renewed_by:
            case "group":
                return True
            case "timer":
                return timed.timer in written or not is_on
            case "enable":
                return is_on is not was_on
            case _:
                return not is_on

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


def _models(known: Mapping[int, Facts], options: SiteOptions) -> dict[int, Facts]:
    left_out = {number for number in known if getattr(options, f"no_{number}", False)}
    models = {number: model for number, model in known.items() if number not in left_out}
    if options.model_1_length == 65:
        models[1] = {**models[1], "points": [point for point in models[1]["points"] if point["name"] != "Pad"]}
    return models


def _left(lease_left_s: float) -> int:
    return 0 if lease_left_s == inf else ceil(lease_left_s)


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
    "704.WMaxLimPctRvrt": Setting(_kept("cap_revert_pct"), 0, 100),
    "704.WMaxLimPctEnaRvrt": Setting(_switched("cap_revert_enabled"), 0, 1),
    "704.WMaxLimPctRvrtTms": Setting(_kept("cap_lease_s"), 0, _DAY_S),
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
