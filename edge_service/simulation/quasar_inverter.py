"""The Quasar 1's power electronics: grid-parallel only, slow to follow, and never quite what was asked for.

Source of the figures: ``data/wallbox_quasar_1.yaml``, ``simulator.behaviour``.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf

from edge_service.simulation.history import History
from edge_service.simulation.inverter import Inverter, Surroundings
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.quirks import Quirks
from edge_service.simulation.vehicle import Vehicle

LEAST_RATING_W, MOST_RATING_W = 1380, 7400
DELIVERED = 0.92
RAMP_S, RAMP_TO_ZERO_S = 15.0, 2.0
CEILING_PCT, NO_DISCHARGE_BELOW_PCT = 97.0, 10.0
# A target that glides less than this, as near full, is no new setpoint.
_SAME_TARGET_W = 50


def quasar_options(options: SiteOptions) -> SiteOptions:
    """The site's options with what this model cannot be otherwise."""
    rating_w = min(MOST_RATING_W, max(LEAST_RATING_W, options.rating_w))
    return replace(options, rating_w=rating_w, island_capable=False)


class QuasarInverter(Inverter):
    """A session is ``settings.setpoint_enabled``; ``plug_changed`` is called when the vehicle comes or goes."""

    def __init__(self, options: SiteOptions, vehicle: Vehicle, history: History, quirks: Quirks) -> None:
        super().__init__(quasar_options(options), vehicle, history)
        self.quirks = quirks
        self.plug_changed: Callable[[bool], None] = lambda _plugged: None
        self._plugged = vehicle.plugged
        self._aimed_w = 0.0
        self._ramp_w_per_s = 1.0

    @property
    def target_w(self) -> float:
        return DELIVERED * super().target_w

    @property
    def charge_max_w(self) -> float:
        return 0.0 if self.vehicle.soc_pct >= CEILING_PCT else super().charge_max_w

    @property
    def discharge_max_w(self) -> float:
        blocked = self.vehicle.soc_pct < NO_DISCHARGE_BELOW_PCT or "discharge_blocked_by_grid_code" in self.quirks
        return 0.0 if blocked else super().discharge_max_w

    @property
    def held_by_car(self) -> bool:
        """Power is wanted that the vehicle's charge does not allow."""
        full = self.wished_w > 0 and self.charge_max_w == 0
        return full or (self.wished_w < 0 and self.vehicle.soc_pct < NO_DISCHARGE_BELOW_PCT)

    def settle(self, around: Surroundings) -> None:
        if self.vehicle.plugged != self._plugged:
            self._plugged = self.vehicle.plugged
            self.plug_changed(self._plugged)
        super().settle(around)
        self._aim()

    def _aim(self) -> None:
        target_w = self.target_w
        if abs(target_w - self._aimed_w) < _SAME_TARGET_W and (target_w == 0) == (self._aimed_w == 0):
            return
        self._aimed_w = target_w
        ramp_s = RAMP_S if target_w else RAMP_TO_ZERO_S
        self._ramp_w_per_s = max(1.0, abs(target_w - self.power_w) / ramp_s)

    @property
    def _ramp_left_s(self) -> float:
        gap_w = abs(self.target_w - self.power_w) if self.connected else 0.0
        return gap_w / self._ramp_w_per_s if gap_w >= 1 else inf

    def _ramp(self, dt_s: float) -> None:
        step_w = self._ramp_w_per_s * dt_s
        gap_w = self.target_w - self.power_w
        self.power_w = (
            self.target_w if abs(gap_w) <= step_w + 1e-6 else self.power_w + (step_w if gap_w > 0 else -step_w)
        )
