"""The BiDiPro 10's power electronics and session: grid-parallel only, a signed setpoint, a window that the car opens.

What no source tells is assumed as in ``data/evtec_bidipro_10.yaml``, ``simulator.assumed``.
"""

from dataclasses import replace
from enum import IntEnum
from math import inf, nan

from edge_service.simulation.history import History
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.quirks import Quirks
from edge_service.simulation.session_inverter import SessionInverter
from edge_service.simulation.vehicle import Vehicle

RATING_W = 10_000.0
LEAST_W = 500.0
PREPARE_S, CEILING_COMES_S = 5.0, 30.0
BOOT_S, ERROR_AFTER_BOOT_S = 60.0, 300.0
# Two of the 40 bits: the one whose meaning is public, and the last.
POWER_UNIT_ERROR, LAST_ERROR = 1, 1 << 39
DYNAMIC, BIDIRECTIONAL = 2, 5


class State(IntEnum):
    """Register X+0."""

    BOOT = 0
    READY = 1
    RESERVED = 3
    INITIALISE = 6
    CURRENT_DEMAND = 7
    GRID_FEED_IN = 8
    WAIT_FOR_GRID = 10
    CHARGING_END = 11
    ERROR = 12


IN_SESSION = frozenset({State.CURRENT_DEMAND, State.GRID_FEED_IN, State.CHARGING_END})


class EvtecInverter(SessionInverter):
    """The setpoint is in force while ``settings.setpoint_enabled``; the fallback power is what the lease reverts to."""

    def __init__(self, options: SiteOptions, vehicle: Vehicle, history: History, quirks: Quirks) -> None:
        super().__init__(replace(options, rating_w=min(RATING_W, options.rating_w)), vehicle, history, quirks)
        self.booted_s = self.plugged_s = history.now_s
        # The fallback power is in force: what was ordered ran out.
        self.reverted = False

    @property
    def errors(self) -> int:
        """Register X+54."""
        after_boot = "errors_after_boot" in self.quirks and self.history.now_s - self.booted_s < ERROR_AFTER_BOOT_S
        power_unit = POWER_UNIT_ERROR if after_boot or "power_unit_error" in self.quirks else 0
        return power_unit | (LAST_ERROR if "last_error_bit" in self.quirks else 0)

    @property
    def state(self) -> State:
        if "boots_slowly" in self.quirks and self.history.now_s - self.booted_s < BOOT_S:
            return State.BOOT
        if self.errors:
            return State.ERROR
        if "reserved" in self.quirks:
            return State.RESERVED
        if not self.vehicle.plugged:
            return State.READY
        if not self.connected:
            return State.WAIT_FOR_GRID
        return State.INITIALISE if self.prepared_in_s != inf else self._session_state

    @property
    def _session_state(self) -> State:
        setpoint_w = self.settings.setpoint_w if self.settings.setpoint_enabled else 0.0
        if setpoint_w > 0 and self.charge_max_w == 0:
            return State.CHARGING_END
        return State.GRID_FEED_IN if setpoint_w < 0 and self.may_discharge else State.CURRENT_DEMAND

    @property
    def session_type(self) -> int:
        """Register X+4."""
        if not self.vehicle.plugged or self.state is State.BOOT:
            return 0
        return DYNAMIC if "session_not_bidirectional" in self.quirks else BIDIRECTIONAL

    @property
    def may_discharge(self) -> bool:
        return "session_not_bidirectional" not in self.quirks and "v2g_not_offered" not in self.quirks

    @property
    def window_w(self) -> tuple[float, float, float]:
        """Registers X+22, X+38, X+30: most discharge, negative; least and most charge."""
        if "window_not_told" in self.quirks:
            return nan, nan, nan
        if not self.vehicle.plugged:
            return 0.0, 0.0, 0.0
        late = "ceiling_zero_at_start" in self.quirks and self.history.now_s - self.plugged_s < CEILING_COMES_S
        floor_w = 0.0 if "v2g_not_offered" in self.quirks else -self.vehicle.discharge_max_w(self.options.rating_w)
        return floor_w, LEAST_W, 0.0 if late else self.vehicle.charge_max_w(self.options.rating_w)

    @property
    def wished_w(self) -> float:
        return super().wished_w if self.state in IN_SESSION else 0.0

    @property
    def discharge_max_w(self) -> float:
        return super().discharge_max_w if self.may_discharge else 0.0

    def follow(self, setpoint_w: float) -> None:
        self.settings.setpoint_enabled, self.settings.setpoint_w, self.reverted = True, setpoint_w, False
        self.renew_lease()

    def _expire_lease(self) -> None:
        super()._expire_lease()
        self.reverted = True

    def change_plug(self) -> None:
        self.prepared_in_s = PREPARE_S if self.vehicle.plugged else inf
        self.plugged_s = self.history.now_s
