"""Ready by: one departure each day, as a time, a charge and a switch. A view of the edge's plan of that name.

While it is off the edge has no such plan; time and charge are remembered here, and used when it is switched on. Other
departures that people plan are left alone.
"""

from dataclasses import dataclass
from datetime import time
from typing import Any, override

from homeassistant.helpers.restore_state import ExtraStoredData
from homeassistant.util import dt as dt_util

from .wire import ChargerWire, DeparturePlanState

PLAN = "ready_by"
EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass
class ReadyBy(ExtraStoredData):
    """What is asked for, or was last. Until somebody chooses: before work, with what a battery likes best.

    ``seen``: the plan that the edge showed then. ``stands``: the plan since the last order; the edge may show it later.
    """

    at: time = time(7, 0)
    target_pct: float = 80.0
    seen: DeparturePlanState | None = None
    stands: DeparturePlanState | None = None

    @override
    def as_dict(self) -> dict[str, Any]:
        return {"at": self.at.isoformat(), "target_pct": self.target_pct}

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> ReadyBy:
        """What was kept over a restart."""
        return cls(time.fromisoformat(kept["at"]), kept["target_pct"])

    def of_plan(self, plan: DeparturePlanState) -> ReadyBy:
        """What a plan asks for; of one in miles the charge that was asked for last."""
        at = dt_util.parse_time(plan["local_time"] or "") or self.at
        return ReadyBy(at, self.target_pct if plan["soc_pct"] is None else plan["soc_pct"], plan, plan)


def plans_departures(charger: ChargerWire) -> bool:
    """Its edge is new enough for departures."""
    return "departures" in charger


def plan_of(charger: ChargerWire) -> DeparturePlanState | None:
    """The plan that these entities show; one for once is not theirs."""
    plans = charger.get("departures", [])
    return next((plan for plan in plans if plan["id"] == PLAN and plan["local_time"] is not None), None)
