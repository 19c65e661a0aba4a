"""The battery on the plug."""

from dataclasses import dataclass


@dataclass(slots=True)
class Vehicle:
    """``efficiency`` is that of each way between the AC side of the charger and the cells."""

    capacity_wh: float
    energy_wh: float
    plugged: bool
    efficiency: float
    floor_pct: float
    taper_from_pct: float
    tells_charge: bool = True

    @property
    def soc_pct(self) -> float:
        return 100 * self.energy_wh / self.capacity_wh

    @soc_pct.setter
    def soc_pct(self, value: float) -> None:
        self.energy_wh = self.capacity_wh * value / 100

    @property
    def can_supply(self) -> bool:
        """The battery management opens the contactor at its floor."""
        return self.plugged and self.soc_pct > self.floor_pct

    def charge_max_w(self, rating_w: float) -> float:
        """AC watts the battery takes: the rating, falling in a line to 0 between the taper and full."""
        if not self.plugged:
            return 0.0
        room = (100 - self.soc_pct) / (100 - self.taper_from_pct)
        return rating_w * min(1.0, max(0.0, room))

    def discharge_max_w(self, rating_w: float) -> float:
        """AC watts the battery gives, as a positive number."""
        return rating_w if self.can_supply else 0.0

    def transfer(self, ac_wh: float) -> None:
        """Take (+) or give (-) energy measured at the AC side."""
        change_wh = ac_wh * self.efficiency if ac_wh > 0 else ac_wh / self.efficiency
        self.energy_wh = min(self.capacity_wh, max(0.0, self.energy_wh + change_wh))
