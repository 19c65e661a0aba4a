"""A Sigenergy inverter with an EVDC, and the plant above it: two Modbus units behind one port.

Read-only registers answer function 4, the two limits 3 and 4. Refused: exception 2 for a hole, a register of newer
firmware or part of a value; 3 for a value out of bounds. The registers are laid out from ``data/sigenergy_evdc.yaml``.
"""

from collections.abc import Mapping

from edge_service.simulation.house import House
from edge_service.simulation.modbus_server import Faceless, RefusalCode, RefusalError, SeveralUnits, SilentError
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.quirks import Quirk, Quirks
from edge_service.simulation.sigenergy_module import EvdcModule
from edge_service.simulation.sunspec_layout import facts
from edge_service.simulation.typed_registers import Register, registers

DC_V = 400.0
PLANT_UNIT = 247
START, STOP = 0, 1
ON_GRID, OFF_GRID = 0, 1
RUNNING, SHUTDOWN = 1, 3
GRID_POWER_OUTAGE = 1 << 9
# A clock's own grain: a request that is this much too soon is not.
_GRAIN_S = 0.002
# Whoever takes the inverter's solar energy, which lies inside the charger's block, for the charger's will notice.
_SOLAR_DAILY_WH, _SOLAR_TOTAL_WH = 31_000.0, 987_654_320.0

QUIRKS = {
    "zero_limit_latches_car": Quirk(
        "a charge limit of 0 W while charging is a fault until the plug is pulled", on=True
    ),
    "strict_spacing": Quirk("refuses a request that comes less than 1000 ms after the one before"),
    "old_firmware": Quirk("older than V2.9: no discharge registers, no ratings, no control"),
    "silent_in_outage": Quirk("answers nothing while the grid is gone"),
    "app_conflict": Quirk("app and Modbus at once have locked it up: it answers nothing", silent=True),
    "app_v2x_session": Quirk("a session that runs was opened in the app to discharge"),
    "start_opens_discharge": Quirk("a start discharges where that limit is the higher one; no known firmware does"),
    "unsigned_power": Quirk("its power is positive in both directions"),
    "off_grid_by_hand": Quirk("somebody has taken the plant off the grid in the app"),
}


class Line:
    """What both units share: the pace of requests, and whether anybody answers. ``too_soon`` counts violations."""

    def __init__(self, house: House, quirks: Quirks) -> None:
        self._house = house
        self._quirks = quirks
        self._gap_s = facts("sigenergy_evdc")["timing"]["min_request_gap_ms"] / 1000
        self._last_s: float | None = None
        self.requests = 0
        self.too_soon = 0

    def hear(self) -> None:
        """Count a request; raises SilentError or RefusalError."""
        now_s = self._house.history.now_s
        last_s, self._last_s = self._last_s, now_s
        self.requests += 1
        if "silent_in_outage" in self._quirks and not self._house.grid_live:
            raise SilentError
        if last_s is None or now_s - last_s >= self._gap_s - _GRAIN_S:
            return
        self.too_soon += 1
        if "strict_spacing" in self._quirks:
            self._house.history.violate("request_too_soon", gap_s=round(now_s - last_s, 3))
            raise RefusalError(RefusalCode.BUSY)


class Registers(Faceless):
    """One unit; what a register holds now comes from ``values``, in engineering units. Holes are refused."""

    def __init__(self, scope: str, line: Line, quirks: Quirks) -> None:
        self._line = line
        self._quirks = quirks
        self.known = registers("sigenergy_evdc", scope)

    def values(self) -> Mapping[str, float | str]:
        raise NotImplementedError

    def read_registers(self, address: int, count: int) -> list[int]:
        self._line.hear()
        return self._read(address, count, {"rw"})

    def read_input_registers(self, address: int, count: int) -> list[int]:
        self._line.hear()
        return self._read(address, count, {"ro", "rw"})

    def _read(self, address: int, count: int, access: set[str]) -> list[int]:
        held = self.values()
        words: dict[int, int] = {}
        for register in self.known.values():
            if register.access in access and not (self._is_newer(register) and "old_firmware" in self._quirks):
                own = register.words(held[register.name])
                words |= {register.address + place: word for place, word in enumerate(own)}
        wanted = range(address, address + count)
        if any(at not in words for at in wanted):
            raise RefusalError(RefusalCode.ADDRESS)
        return [words[at] for at in wanted]

    @staticmethod
    def _is_newer(register: Register) -> bool:
        return register.since is not None or register.name == "start_stop"


class InverterUnit(Registers):
    """The inverter's own unit, with the EVDC in it."""

    def __init__(self, house: House, module: EvdcModule, line: Line, quirks: Quirks) -> None:
        super().__init__("inverter", line, quirks)
        self._house = house
        self._module = module

    def values(self) -> Mapping[str, float | str]:
        module, vehicle = self._module, self._house.vehicle
        power_w = round(module.power_w)
        charged_wh, discharged_wh = module.session_began_wh
        return {
            "model": "Sim SigenStor EC 12.0",
            "serial": "SIGSIM0001",
            "firmware": "V100R001C22SPC113" if "old_firmware" in self._quirks else "V100R001C23SPC109",
            "alarm1_pcs": 0 if self._house.grid_live else GRID_POWER_OUTAGE,
            "alarm2_pcs": 0,
            "alarm3_ess": 0,
            "alarm4_gateway": 0,
            "alarm5_dc_charger": 1 << 4 if module.latched else 0,
            "vehicle_voltage": DC_V if vehicle.plugged else 0,
            "charging_current": max(power_w, 0) / DC_V,
            "output_power": abs(power_w) if "unsigned_power" in self._quirks else power_w,
            "soc": vehicle.soc_pct if vehicle.plugged else 0,
            "session_energy_charged": module.absorbed_wh - charged_wh,
            "session_charge_time": 0,
            "pv_daily_not_evdc": _SOLAR_DAILY_WH,
            "pv_total_not_evdc": _SOLAR_TOTAL_WH,
            "state": module.state,
            "discharging_current": max(-power_w, 0) / DC_V,
            "session_energy_discharged": module.injected_wh - discharged_wh,
            "session_discharge_time": 0,
            "total_energy_charged": module.absorbed_wh,
            "total_energy_discharged": module.injected_wh,
            "rated_charge_power": module.options.rating_w,
            "rated_discharge_power": module.options.rating_w,
            "max_charge_power": module.charge_limit_w,
            "max_discharge_power": module.discharge_limit_w,
        }

    def write_registers(self, address: int, values: list[int]) -> dict[str, float]:
        self._line.hear()
        written: dict[str, float] = {}
        while values:
            register = self.known.get(address)
            if register is None or register.access == "ro" or register.size > len(values):
                raise RefusalError(RefusalCode.ADDRESS)
            if "old_firmware" in self._quirks:
                raise RefusalError(RefusalCode.ADDRESS)
            raw, values = values[: register.size], values[register.size :]
            written[register.name] = self._meant(register, raw)
            address += register.size
        for name, value in written.items():
            self._act(name, value)
        self._house.settle()
        return written

    def _meant(self, register: Register, raw: list[int]) -> float:
        value = register.number(raw)
        most = STOP if register.name == "start_stop" else self._module.options.rating_w
        if value > most:
            raise RefusalError(RefusalCode.VALUE)
        return value

    def _act(self, name: str, value: float) -> None:
        if name == "max_charge_power":
            self._module.limit_charge(value)
        elif name == "max_discharge_power":
            self._module.discharge_limit_w = value
        elif value == START:
            self._module.start()
        else:
            self._module.stop()


class PlantUnit(Registers):
    """The plant: grid meter, gateway, stationary battery. Its reserve for outages is all that can be written here."""

    def __init__(self, house: House, line: Line, quirks: Quirks) -> None:
        super().__init__("plant", line, quirks)
        self._house = house
        self.reserve_pct = 10.0
        self.solar_w = 0.0

    def values(self) -> Mapping[str, float | str]:
        by_hand = 2 if "off_grid_by_hand" in self._quirks else ON_GRID
        return {
            "ems_mode": 0,
            "grid_power": round(self._house.site_power_w),
            "grid_status": by_hand if self._house.grid_live else OFF_GRID,
            "ess_soc": 80.0,
            "pv_power": self.solar_w,
            "plant_state": RUNNING if self._house.powered else SHUTDOWN,
            "plant_alarm_1": 0,
            "ess_backup_soc": self.reserve_pct,
        }

    def write_registers(self, address: int, values: list[int]) -> dict[str, float]:
        self._line.hear()
        register = self.known.get(address)
        if register is None or register.access != "rw" or len(values) != register.size:
            raise RefusalError(RefusalCode.ADDRESS)
        value = register.number(values)
        if not 0 <= value <= 100:
            raise RefusalError(RefusalCode.VALUE)
        self.reserve_pct = value
        return {register.name: value}


class SigenergyPlant(SeveralUnits):
    """Inverter and plant over ``House``, which gets the EVDC in place of its own inverter."""

    def __init__(self, house: House, options: SiteOptions, quirks: Quirks) -> None:
        self.module = EvdcModule(options, house.vehicle, house.history, quirks)
        house.inverter = self.module
        self.line = Line(house, quirks)
        inverter = InverterUnit(house, self.module, self.line, quirks)
        super().__init__({options.charger_unit: inverter, PLANT_UNIT: PlantUnit(house, self.line, quirks)})
