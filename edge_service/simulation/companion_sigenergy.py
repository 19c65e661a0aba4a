"""A Sigenergy plant as a companion: its unit alone, behind a port of its own, following what it sees of the house."""

from collections.abc import Mapping

from edge_service.simulation.companion_registers import CompanionSight
from edge_service.simulation.quirks import Quirks
from edge_service.simulation.sigenergy_registers import (
    OFF_GRID,
    ON_GRID,
    PLANT_UNIT,
    QUIRKS,
    RUNNING,
    SHUTDOWN,
    Line,
    PlantUnit,
)

NO_WORD = 0xFFFF


class SigenergyCompanion(PlantUnit):
    """Two words where others have one: whether it is on the grid, and whether it runs."""

    unit = PLANT_UNIT

    def __init__(self, sight: CompanionSight) -> None:
        quirks = Quirks(QUIRKS)
        super().__init__(sight.house, Line(sight.house, quirks), quirks)
        self._sight = sight

    def values(self) -> Mapping[str, float | str]:
        state = self._sight.state
        off_grid = state in ("outage", "islanded")
        return {
            **super().values(),
            "grid_status": NO_WORD if state == "unknown" else OFF_GRID if off_grid else ON_GRID,
            "plant_state": SHUTDOWN if state == "outage" else RUNNING,
        }
