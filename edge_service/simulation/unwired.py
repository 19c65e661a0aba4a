"""The simulated SunSpec charger, read and ordered as its driver would, without registers and sockets.

For long courses in little time. What registers and drivers make of it is proven elsewhere, over real sockets.
"""

from datetime import datetime

from edge_service.domain.model import (
    Authority,
    ChargerReading,
    ChargerState,
    Evidence,
    Hold,
    Order,
    Pause,
    Power,
    Release,
    Stop,
)
from edge_service.simulation.house import House
from edge_service.simulation.inverter import Alarm, Operation, Stage

_STATES = {
    Stage.OFF: ChargerState.UNAVAILABLE,
    Stage.FAULT: ChargerState.FAULT,
    Stage.WAITING: ChargerState.WAITING,
    Stage.FORMING: ChargerState.PREPARING,
}


class UnwiredCharger:
    """An order is a setpoint under a timer that reverts to "off" (``WSetEnaRvrt`` 0). A stop has no timer: it stays."""

    def __init__(self, house: House, lease_s: float) -> None:
        self._house, self._lease_s = house, lease_s
        self.standing: Evidence | None = None

    def reading(self, now: datetime) -> ChargerReading:
        """What it would tell now."""
        inverter, vehicle = self._house.inverter, self._house.vehicle
        forming = inverter.feeds_bus
        dead = Alarm.AC_UNDER_VOLT in inverter.alarms
        return ChargerReading(
            now,
            self._state(),
            Authority.OURS,
            plugged=vehicle.plugged,
            power_w=round(inverter.power_w),
            soc_pct=vehicle.soc_pct,
            capacity_wh=round(vehicle.capacity_wh),
            charge_max_w=round(inverter.charge_max_w),
            discharge_max_w=round(inverter.discharge_max_w),
            setpoint_w=round(inverter.settings.setpoint_w) if inverter.settings.setpoint_enabled else None,
            grid_present=None if forming else False if dead else True if inverter.connected else None,
            forming=forming,
            service_permitted=inverter.settings.permit_service,
            voltage_v=self._house.bus_v,
        )

    def _state(self) -> ChargerState:
        inverter = self._house.inverter
        rest = ChargerState.DISCHARGING if inverter.power_w < 0 else ChargerState.IDLE
        state = _STATES.get(inverter.stage, ChargerState.CHARGING if inverter.power_w > 0 else rest)
        kept = state in (ChargerState.FAULT, ChargerState.UNAVAILABLE)
        return state if kept or self._house.vehicle.plugged else ChargerState.DISCONNECTED

    def give(self, order: Order, now: datetime) -> None:
        """Write an order, or renew the one that stands. Raises NotImplementedError for one that it cannot take."""
        inverter = self._house.inverter
        match order:
            case Stop():
                self._follow(None)
                inverter.settings.operation = Operation.STOP
            case Release():
                self._follow(None)
                inverter.settings.operation = Operation.START
            case Power(w):
                self._follow(w)
                inverter.settings.operation = Operation.START
            case Hold() | Pause():
                self._follow(0)
                inverter.settings.operation = Operation.START
            case _:
                raise NotImplementedError(order)
        if self.standing is None or self.standing.order != order:
            self.standing = Evidence(order, now, now, now)
        self._house.settle()

    def forget(self) -> None:
        """Nobody knows of an order any more; what was written stays at the charger."""
        self.standing = None

    def _follow(self, w: int | None) -> None:
        settings = self._house.inverter.settings
        settings.setpoint_enabled, settings.setpoint_w = w is not None, float(w or 0)
        settings.revert_enabled, settings.lease_s = False, self._lease_s
        self._house.inverter.renew_lease()
