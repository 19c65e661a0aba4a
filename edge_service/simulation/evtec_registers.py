"""The EVtec BiDiPro 10 as its registers show it. Sign on this wire is ours: + charge, - discharge.

Read by function 3 within one object of 100 registers, written by 16, whole values only. Refused: exception 2 for a read
across objects, a hole or part of a value, 3 for a value out of bounds or outside the vehicle's window. Any message
feeds the communication timeout. The registers are laid out from ``data/evtec_bidipro_10.yaml``.
"""

from collections.abc import Mapping

from edge_service.simulation.evtec_inverter import EvtecInverter, State
from edge_service.simulation.house import House
from edge_service.simulation.modbus_server import Faceless, RefusalCode, RefusalError
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.quirks import Quirk, Quirks
from edge_service.simulation.sunspec_layout import facts
from edge_service.simulation.typed_registers import Register, registers

MODEL = "evtec_bidipro_10"
OBJECT, CONNECTORS = 100, 10
STATION_END, CONNECTOR_END = 44, 90
LONGEST_TIMEOUT_S = 600
MOST_W = 10_000
DC_V = 400.0

QUIRKS = {
    "window_rejects": Quirk("a setpoint outside the vehicle's window is refused with exception 3", on=True),
    "dead_without_grid": Quirk("it lives on the grid: with the grid gone it hangs up", on=True),
    "connector_9": Quirk("its one connector is number 9, as at the only unit that was ever described"),
    "boots_slowly": Quirk("state 0 and no session for 60 s after it is switched on: its connector looks unconfigured"),
    "errors_after_boot": Quirk("state 12 and error bit 0 for 5 minutes after it is switched on"),
    "power_unit_error": Quirk("state 12 and error bit 0"),
    "last_error_bit": Quirk("state 12 and error bit 39"),
    "reserved": Quirk("state 3: reserved by OCPP"),
    "session_not_bidirectional": Quirk("session type 2: a discharge is taken, and nothing happens"),
    "v2g_not_offered": Quirk("the vehicle offers no discharge: its floor is 0 W. One is taken, and nothing happens"),
    "window_not_told": Quirk("floor and ceiling read NaN"),
    "ceiling_zero_at_start": Quirk("the most charge reads 0 W for 30 s after the plug"),
    "wrong_battery_size": Quirk("the vehicle says 10 kWh whatever its battery holds"),
    "fallback_power": Quirk("its fallback power is 3000 W: it goes on with that where it should go idle"),
    "setpoint_not_kept": Quirk("takes a setpoint, and does not keep it"),
    "timeout_not_kept": Quirk("takes a communication timeout, and does not keep it"),
    "other_model": Quirk("it is another charger of this maker: its model has no crema in it"),
    "stuck_comms": Quirk("it answers nothing", silent=True),
}


class EvtecRegisters(Faceless):
    """Register face over ``House``, whose inverter it replaces by the BiDiPro's."""

    def __init__(self, house: House, options: SiteOptions, quirks: Quirks) -> None:
        self.quirks = quirks
        self._house = house
        self.inverter = EvtecInverter(options, house.vehicle, house.history, quirks)
        house.inverter = self.inverter
        self._station, self._connector = registers(MODEL, "charge_point"), registers(MODEL, "connector")
        self.timeout_s = self.fallback_w = self.suspend_mode = 0

    @property
    def number(self) -> int:
        """Which connector is configured."""
        return 9 if "connector_9" in self.quirks else 1

    # Reading

    def read_registers(self, address: int, count: int) -> list[int]:
        self._hear()
        number, first = divmod(address, OBJECT)
        end = CONNECTOR_END if number else STATION_END
        if number > CONNECTORS or first + count > end:
            raise RefusalError(RefusalCode.ADDRESS)
        words = self._object(number)
        return [words.get(at, 0) for at in range(first, first + count)]

    def _hear(self) -> None:
        """Any message feeds the communication timeout. Without the grid there is nobody to hear it."""
        if "dead_without_grid" in self.quirks and not self._house.powered:
            raise ConnectionResetError("the charger is without supply")
        self.inverter.renew_lease()

    def _object(self, number: int) -> dict[int, int]:
        if number not in (0, self.number):
            return {}
        known, held = (self._connector, self._session()) if number else (self._station, self._charge_point())
        placed = {register.address: register.words(held.get(register.name, 0)) for register in known.values()}
        return {start + at: word for start, words in placed.items() for at, word in enumerate(words)}

    def _charge_point(self) -> Mapping[str, float | str]:
        told = {"model": "ECP4 sim"} if "other_model" in self.quirks else {}
        return {
            **facts(MODEL)["simulator"]["seed"],
            **told,
            "fallback_power": self._fallback_w,
            "cp_state": 1,
            "communication_timeout": self.timeout_s,
        }

    @property
    def _fallback_w(self) -> int:
        return 3000 if "fallback_power" in self.quirks else self.fallback_w

    def _session(self) -> Mapping[str, float | str]:
        inverter, vehicle = self.inverter, self._house.vehicle
        floor_w, least_w, ceiling_w = inverter.window_w
        session = {
            "state": inverter.state,
            "session_state": int(vehicle.plugged and inverter.state is not State.BOOT),
            "session_type": inverter.session_type,
            "power": inverter.power_w,
            "connector_type": 1,
            "energy_charged": inverter.absorbed_wh,
            "energy_discharged": inverter.injected_wh,
            "discharge_floor": floor_w,
            "charge_ceiling": ceiling_w,
            "charge_floor": least_w,
            "present_consumption": inverter.power_w,
            "error": inverter.errors,
            "power_setpoint": self.setpoint_w,
            "suspend_mode": self.suspend_mode,
        }
        return {**session, **(self._vehicle() if vehicle.plugged else {})}

    def _vehicle(self) -> Mapping[str, float | str]:
        vehicle = self._house.vehicle
        return {
            "voltage": DC_V,
            "current": self.inverter.power_w / DC_V,
            "soc": vehicle.soc_pct,
            "battery_capacity": 10_000 if "wrong_battery_size" in self.quirks else vehicle.capacity_wh,
            "car_id": "SIMEVCC00001",
        }

    @property
    def setpoint_w(self) -> int:
        """Register X+86: 0 once the timeout was over."""
        settings = self.inverter.settings
        return 0 if self.inverter.reverted or not settings.setpoint_enabled else round(settings.setpoint_w)

    # Writing

    def write_registers(self, address: int, values: list[int]) -> dict[str, float]:
        self._hear()
        number, at = divmod(address, OBJECT)
        known = {0: self._station, self.number: self._connector}.get(number, {})
        written: dict[str, float] = {}
        while values:
            register = known.get(at)
            if register is None or register.access != "rw" or register.size > len(values):
                raise RefusalError(RefusalCode.ADDRESS)
            raw, values = values[: register.size], values[register.size :]
            written[register.name] = self._meant(register, raw)
            at += register.size
        for name, value in written.items():
            self._act(name, round(value))
        self._house.settle()
        return written

    def _meant(self, register: Register, raw: list[int]) -> float:
        value = round(register.number(raw))
        allowed = {
            "communication_timeout": 0 <= value <= LONGEST_TIMEOUT_S,
            "fallback_power": abs(value) <= MOST_W,
            "power_setpoint": abs(value) <= MOST_W and self._within_window(value),
            "suspend_mode": value in (0, 1),
        }
        if not allowed[register.name]:
            raise RefusalError(RefusalCode.VALUE)
        return value

    def _within_window(self, value: int) -> bool:
        """It does not guard a discharge in a session that cannot: that is taken."""
        floor_w, least_w, ceiling_w = self.inverter.window_w
        if value == 0 or "window_rejects" not in self.quirks:
            return True
        if value < 0:
            return not self.inverter.may_discharge or not value < floor_w
        return not value < least_w and not (0 < ceiling_w < value)

    def _act(self, name: str, value: int) -> None:
        settings = self.inverter.settings
        match name:
            case "communication_timeout" if "timeout_not_kept" not in self.quirks:
                settings.lease_s = self.timeout_s = value
            case "fallback_power":
                self.fallback_w = value
            case "suspend_mode":
                self.suspend_mode = value
            case "power_setpoint" if "setpoint_not_kept" not in self.quirks:
                self._follow(value)

    def _follow(self, setpoint_w: int) -> None:
        settings = self.inverter.settings
        settings.revert_w, settings.revert_enabled = self._fallback_w, self._fallback_w != 0
        self.inverter.follow(setpoint_w)
        self._house.history.note("setpoint_written", enabled=True, setpoint_w=float(setpoint_w), lease_s=self.timeout_s)

    def restart(self) -> None:
        """Off and on again: nothing that was written is kept."""
        self.timeout_s = self.suspend_mode = 0
        settings = self.inverter.settings
        settings.lease_s, settings.setpoint_enabled, settings.setpoint_w = 0, False, 0.0
        self.inverter.booted_s = self._house.history.now_s
        self.inverter.renew_lease()
