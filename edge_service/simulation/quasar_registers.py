"""The Wallbox Quasar 1 as its registers show it. Sign on this wire is ours: + charge, - discharge.

Read by function 3 within one block, written by 6 or 16. Refused: exception 2 for a hole or a read-only register, 3 for
a value out of bounds. A write is taken without effect while the user has control. Any message feeds the watchdog.
"""

from dataclasses import dataclass
from typing import Any

from edge_service.simulation.house import House
from edge_service.simulation.inverter import Stage
from edge_service.simulation.modbus_server import Faceless, RefusalCode, RefusalError
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.quasar_inverter import QuasarInverter
from edge_service.simulation.quirks import Quirk, Quirks
from edge_service.simulation.sunspec_layout import facts

BLOCKS = (range(1, 10), range(80, 90), range(256, 261), range(512, 549))
REMOTE, USER = 1, 0
POWER_MODE = 1
START, STOP, REBOOT = 1, 2, 3
# Under user control these go back to what they are at delivery.
RESET_BY_USER = {82: 1, 83: 0, 84: 0, 85: 6, 86: 0, 87: 0, 88: 0}
ERROR_AFTER_RESTART_S = 60.0
GLITCH_EVERY = 500
JITTER_W = 50
DC_V = 360.0
ERROR_1 = 0x0004

QUIRKS = {
    "soc_zero_when_idle": Quirk("the charge reads 0 while no power flows", on=True),
    "soc_glitch": Quirk(f"one reading of the charge in {GLITCH_EVERY} is 1 %", on=True),
    "dead_without_grid": Quirk("it lives on the grid: with the grid gone it hangs up", on=True),
    "modbus_crash": Quirk("it answers nothing until it is switched off and on", silent=True),
    "empty_registers": Quirk("firmware 5.13.25: every reply is empty"),
    "power_mode_unsupported": Quirk("refuses the setpoint type power with exception 1"),
    "power_mode_ignored": Quirk("takes the setpoint type power, and does not keep it"),
    "app_control": Quirk("the vendor's app has control: state 3, orders have no effect"),
    "error_after_restart": Quirk(f"shows state 7 for {ERROR_AFTER_RESTART_S:g} s after a restart"),
    "unrecoverable_error": Quirk("state 7, and a bit of the first error word"),
    "discharge_blocked_by_grid_code": Quirk("a wrong grid code: it never discharges and does not say why"),
    "watchdog_not_kept": Quirk("takes the idle timeout, and does not keep it"),
    "power_jitter": Quirk(f"its measured power trembles by {JITTER_W} W"),
}


@dataclass(frozen=True, slots=True)
class Register:
    """One register of the facts; ``low`` and ``high`` bound what may be written."""

    name: str
    writable: bool
    signed: bool
    low: int
    high: int


def _registers() -> dict[int, Register]:
    source = facts("wallbox_quasar_1")
    return {entry["address"]: _register(entry, source["enums"]) for entry in source["registers"]}


def _register(entry: dict[str, Any], enums: dict[str, Any]) -> Register:
    signed = entry["type"] == "s16"
    if "enum" in entry:
        low, high = min(enums[entry["enum"]]), max(enums[entry["enum"]])
    else:
        low, high = entry.get("range", (-0x8000, 0x7FFF) if signed else (0, 0xFFFF))
    return Register(entry["name"], entry["access"] == "rw", signed, low, high)


class QuasarRegisters(Faceless):
    """Register face over ``House``, whose inverter it replaces by the Quasar's."""

    def __init__(self, house: House, options: SiteOptions, quirks: Quirks) -> None:
        self.quirks = quirks
        self._house = house
        self._inverter = QuasarInverter(options, house.vehicle, house.history, quirks)
        self._inverter.plug_changed = self._plug_changed
        house.inverter = self._inverter
        self._known = _registers()
        self.words = dict.fromkeys((at for block in BLOCKS for at in block), 0)
        self.words |= facts("wallbox_quasar_1")["simulator"]["seed"]
        self._soc_reads = 0
        self._restarted_s = house.history.now_s
        # What the charger does by itself under user control; None: what was set over Modbus.
        self._own_w: float | None = None

    # Reading

    def read_registers(self, address: int, count: int) -> list[int]:
        self._hear()
        if "empty_registers" in self.quirks:
            return []
        wanted = range(address, address + count)
        if not any(wanted[0] in block and wanted[-1] in block for block in BLOCKS):
            raise RefusalError(RefusalCode.ADDRESS)
        self._measure(soc_read=538 in wanted)
        return [self.words[at] & 0xFFFF for at in wanted]

    def _hear(self) -> None:
        """Any message feeds the watchdog. Without the grid there is nobody to hear it."""
        if "dead_without_grid" in self.quirks and not self._house.powered:
            raise ConnectionResetError("the charger is without supply")
        self._inverter.renew_lease()

    def _measure(self, *, soc_read: bool) -> None:
        inverter, volts = self._inverter, self._house.bus_v
        plugged = self._house.vehicle.plugged
        power_w = round(inverter.power_w) + (self._jitter_w() if inverter.power_w else 0)
        self.words |= {
            512: round(inverter.options.rating_w / 230),
            514: round(inverter.options.rating_w),
            519: round(power_w / volts) if volts else 0,
            522: round(volts),
            526: power_w,
            537: self.state,
            538: self._soc(soc_read=soc_read),
            539: ERROR_1 if "unrecoverable_error" in self.quirks else 0,
            547: round(DC_V * 10) if plugged else 0,
            548: round(power_w / DC_V * 10),
        }

    def _jitter_w(self) -> int:
        """A tremble that repeats: a simulation gives the same answer twice."""
        if "power_jitter" not in self.quirks:
            return 0
        return int(self._house.history.now_s * 37) % (2 * JITTER_W + 1) - JITTER_W

    def _soc(self, *, soc_read: bool) -> int:
        flows = round(self._inverter.power_w) != 0
        if not self._house.vehicle.plugged or ("soc_zero_when_idle" in self.quirks and not flows):
            return 0
        self._soc_reads += soc_read
        if soc_read and "soc_glitch" in self.quirks and self._soc_reads % GLITCH_EVERY == 0:
            return 1
        return int(self._house.vehicle.soc_pct)

    @property
    def state(self) -> int:
        """Register 537."""
        if not self._house.vehicle.plugged:
            return 6 if self.words[256] else 0
        if self._in_error:
            return 7
        if "app_control" in self.quirks:
            return 3
        if not self._inverter.settings.setpoint_enabled:
            return 4
        if self._inverter.held_by_car:
            return 2
        return 11 if self._inverter.wished_w < 0 else 1

    @property
    def _in_error(self) -> bool:
        booting = self._house.history.now_s - self._restarted_s < ERROR_AFTER_RESTART_S
        return (
            "unrecoverable_error" in self.quirks
            or ("error_after_restart" in self.quirks and booting)
            or self._inverter.stage is not Stage.CONNECTED
        )

    # Writing

    def write_registers(self, address: int, values: list[int]) -> dict[str, float]:
        self._hear()
        written = {address + place: word for place, word in enumerate(values)}
        meant = {at: self._meaning(at, word) for at, word in written.items()}
        for at, value in meant.items():
            self._set(at, value)
        self._house.settle()
        return {self._known[at].name: value for at, value in meant.items()}

    def _meaning(self, address: int, word: int) -> int:
        register = self._known.get(address)
        if register is None or not register.writable:
            raise RefusalError(RefusalCode.ADDRESS)
        value = word - 0x10000 if register.signed and word >= 0x8000 else word
        if not register.low <= value <= register.high:
            raise RefusalError(RefusalCode.VALUE)
        if address == 83 and value == POWER_MODE and "power_mode_unsupported" in self.quirks:
            raise RefusalError(RefusalCode.FUNCTION)
        return value

    def _set(self, address: int, value: int) -> None:
        if address == 81:
            self._give_control(value)
            return
        if self.words[81] != REMOTE or "app_control" in self.quirks:
            return
        if (address == 83 and "power_mode_ignored" in self.quirks) or (
            address == 88 and "watchdog_not_kept" in self.quirks
        ):
            return
        self.words[address] = value
        if address == 257:
            self._act(value)
        elif address in (83, 258, 260):
            self._own_w = None
            self._note_setpoint()
        self._apply()

    def _give_control(self, to: int) -> None:
        """Under user control a running session goes on, by the setpoint that is in force then."""
        if to == USER and self.words[81] == REMOTE:
            self.words |= RESET_BY_USER
        self.words[81] = to
        self._apply()

    def _act(self, action: int) -> None:
        settings = self._inverter.settings
        if action == START:
            settings.setpoint_enabled = self._house.vehicle.plugged and not self._in_error
        elif action in (STOP, REBOOT):
            settings.setpoint_enabled = False
            self._own_w = None
        if action == REBOOT:
            self.restart()

    def restart(self) -> None:
        """Off and on again: under user control, as delivered."""
        self.words |= RESET_BY_USER | {81: USER, 257: 0, 258: 0, 260: 0}
        self._inverter.settings.setpoint_enabled = False
        self._own_w = None
        self._restarted_s = self._house.history.now_s
        self._apply()

    def _apply(self) -> None:
        settings = self._inverter.settings
        settings.setpoint_w = self.setpoint_w
        settings.lease_s = self.words[88]
        self._inverter.renew_lease()

    @property
    def setpoint_w(self) -> float:
        """What is in force: its own wish, or the setpoint of the type that is chosen."""
        if self._own_w is not None:
            return self._own_w
        if self.words[83] == POWER_MODE:
            return float(self.words[260])
        return self.words[258] * (self._house.bus_v or 230.0)

    def _plug_changed(self, plugged: bool) -> None:
        """A session ends with the plug; with auto start the next one begins with it, to full."""
        settings = self._inverter.settings
        settings.setpoint_enabled = plugged and self.words[82] == 1 and "app_control" not in self.quirks
        self._own_w = self._inverter.options.rating_w if settings.setpoint_enabled else None
        self._apply()

    def _note_setpoint(self) -> None:
        self._house.history.note(
            "setpoint_written",
            enabled=self._inverter.settings.setpoint_enabled,
            setpoint_w=self.setpoint_w,
            lease_s=self.words[88],
        )
