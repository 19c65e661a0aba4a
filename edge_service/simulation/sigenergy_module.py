"""The EVDC's power electronics and its session: two limits and a start, no setpoint; it never carries the house.

What no source tells is assumed as in ``data/sigenergy_evdc.yaml``, ``simulator.assumed``.
"""

from enum import IntEnum
from math import inf

from edge_service.simulation.history import History
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.quirks import Quirks
from edge_service.simulation.session_inverter import SessionInverter
from edge_service.simulation.vehicle import Vehicle

PREPARE_S = 3.0


class State(IntEnum):
    """Register 31513."""

    IDLE = 0
    OCCUPIED = 1
    PREPARING = 2
    CHARGING = 3
    FAULT = 4
    ENDED = 6
    UNAVAILABLE = 7
    DISCHARGING = 8


class EvdcModule(SessionInverter):
    """A session runs from its start to its stop or to the pulled plug."""

    def __init__(self, options: SiteOptions, vehicle: Vehicle, history: History, quirks: Quirks) -> None:
        super().__init__(options, vehicle, history, quirks)
        self.charge_limit_w = self.discharge_limit_w = options.rating_w
        self.running = False
        self.ended = False
        self.latched = False
        self.session_began_wh = (0.0, 0.0)

    @property
    def state(self) -> State:
        if not self.vehicle.plugged:
            return State.IDLE
        if self.latched:
            return State.FAULT
        if not self.connected:
            return State.UNAVAILABLE
        if not self.running:
            return State.ENDED if self.ended else State.OCCUPIED
        if self.prepared_in_s != inf:
            return State.PREPARING
        if self.discharges:
            return State.DISCHARGING
        return State.CHARGING if self.charge_max_w else State.ENDED

    @property
    def discharges(self) -> bool:
        """By a session that was opened in the app; over Modbus alone only where the firmware is made to allow it."""
        by_start = "start_opens_discharge" in self.quirks and self.discharge_limit_w > self.charge_limit_w
        return "app_v2x_session" in self.quirks or by_start

    @property
    def wished_w(self) -> float:
        if self.state is State.CHARGING:
            return self.charge_limit_w
        return -self.discharge_limit_w if self.state is State.DISCHARGING else 0.0

    def start(self) -> None:
        if self.running or self.latched or not self.vehicle.plugged:
            return
        self.running, self.prepared_in_s = True, PREPARE_S
        self.session_began_wh = (self.absorbed_wh, self.injected_wh)
        self.history.note("session_started")

    def stop(self) -> None:
        self.ended = self.ended or self.running
        self.running, self.prepared_in_s = False, inf
        self.history.note("session_stopped")

    def limit_charge(self, watts: float) -> None:
        """Zero, to a vehicle that charges, is an error from which only the plug frees it."""
        if watts == 0 and self.state is State.CHARGING and "zero_limit_latches_car" in self.quirks:
            self.latched, self.running = True, False
            self.history.violate("zero_limit_latched_car")
        self.charge_limit_w = watts

    def change_plug(self) -> None:
        self.running = self.ended = self.latched = False
        self.prepared_in_s = inf
