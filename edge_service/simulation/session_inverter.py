"""What chargers have in common that live on the grid and open a session with each vehicle: it is prepared first."""

from dataclasses import replace
from math import inf

from edge_service.simulation.history import History
from edge_service.simulation.inverter import Inverter, Surroundings
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.quirks import Quirks
from edge_service.simulation.vehicle import Vehicle


class SessionInverter(Inverter):
    """``prepared_in_s``: how long the vehicle's preparation still takes; infinite while none is under way."""

    def __init__(self, options: SiteOptions, vehicle: Vehicle, history: History, quirks: Quirks) -> None:
        super().__init__(replace(options, island_capable=False), vehicle, history)
        self.quirks = quirks
        self.prepared_in_s = inf
        self._plugged = vehicle.plugged

    def change_plug(self) -> None:
        """The vehicle has come or gone."""
        raise NotImplementedError

    def time_to_change_s(self) -> float:
        return min(super().time_to_change_s(), self.prepared_in_s)

    def elapse(self, dt_s: float) -> float:
        self.prepared_in_s -= dt_s
        return super().elapse(dt_s)

    def settle(self, around: Surroundings) -> None:
        if self.prepared_in_s <= 0:
            self.prepared_in_s = inf
        if self.vehicle.plugged != self._plugged:
            self._plugged = self.vehicle.plugged
            self.change_plug()
        super().settle(around)
