"""User guide 8.10.1, and the limit part of case 40: after a power cut only what was subscribed counts, until asked."""

from pathlib import Path
from typing import Any

from edge_service.simulation.utility import SimulatedUtility
from tests.edge.edge_kit import a_house
from tests.edge.test_app_programs import an_entry

PERIOD = {"start": "0001-01-01T00:00:00Z", "duration": "P9999Y"}


def limit(utility: SimulatedUtility, kind: str, kw: float) -> str:
    """An event that sets it from now on."""
    row: dict[str, Any] = {
        "programID": utility.dispatch.program()["id"],
        "priority": None,
        "targets": [],
        "payloadDescriptors": [{"payloadType": kind, "units": "KW"}],
        "intervalPeriod": PERIOD,
        "intervals": [{"id": 0, "payloads": [{"type": kind, "values": [kw]}]}],
    }
    return str(utility.store.add("events", row)["id"])


async def test_case_40_after_a_power_cut_limits_are_dropped_and_the_utility_is_asked_at_once(tmp_path: Path) -> None:
    async with SimulatedUtility() as utility, a_house(tmp_path) as (site, edge):
        limit(utility, "EXPORT_CAPACITY_SUBSCRIPTION", 6)
        today = limit(utility, "EXPORT_CAPACITY_LIMIT", 2)
        await edge.command("set_program", id="peak", program=an_entry(utility, poll_s=3600.0))
        intake = edge.edge.intake
        await edge.until(lambda _: len(intake.limits()) == 2)
        asked = len(utility.requests)
        utility.store.remove("events", today)
        site.house.set_grid(present=False)
        await edge.until(lambda state: state["site"]["grid"] == "outage", within_s=30)
        assert (len(intake.limits()), len(utility.requests)) == (2, asked)
        utility.set_faults({"status": 503})
        site.house.set_grid(present=True)
        await edge.until(lambda _: [one.subscribed for one in intake.limits()] == [True], within_s=60)
        await edge.until(lambda _: len(utility.requests) > asked, within_s=5)
