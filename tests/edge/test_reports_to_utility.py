"""Reports of a running edge: what a utility asks for is measured, made, sent and not sent twice."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from edge_service.measured import MeasuredHouse
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.edge_kit import QUICK_SITE, a_house, config_of, running

AD_HOC = {"frequency": 0, "reportIntervals": "OPEN_INTERVALS"}
ENTRY = {
    "kind": "openadr3",
    "name": "Peak power",
    "poll_s": 1.0,
    "client_id": "ven-client",
    "client_secret": "ven-secret",
}


def ask(utility: SimulatedUtility, *payloads: str) -> str:
    """An event for reports only, whose time is ours."""
    wishes = [{"payloadType": payload, **AD_HOC} for payload in payloads]
    row = {"programID": utility.dispatch.program()["id"], "priority": None, "targets": [], "reportDescriptors": wishes}
    return str(utility.store.add("events", row)["id"])


def told(utility: SimulatedUtility) -> dict[str, Any]:
    """The first value of each report, by its payload type."""
    rows = [row["resources"][0]["intervals"][0]["payloads"][0] for row in utility.store.rows("reports")]
    return {row["type"]: row["values"][0] for row in rows}


async def test_a_running_edge_reports_what_is_asked_once_also_over_a_restart(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        event_id = ask(utility, "STORAGE_CHARGE_LEVEL", "OPERATING_STATE")
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await edge.command("set_program", id="peak", program=ENTRY | {"url": utility.base_url})
            state = await edge.until(lambda _: len(told(utility)) == 2)
            soc_pct = state["chargers"]["driveway"]["soc_pct"]
        async with running(config) as edge:
            await edge.until(lambda state: state["programs"]["peak"]["connected"])
            await edge.until(lambda state: state["site"]["grid"] == "on")
            filings = await edge.edge.journal.load_filings("peak")
        assert soc_pct is not None
        assert abs(told(utility)["STORAGE_CHARGE_LEVEL"] - soc_pct / 100) < 0.02
        assert told(utility)["OPERATING_STATE"] in ("IDLE_NORMAL", "RUNNING_NORMAL")
        assert {filing.event_id for filing in filings} == {event_id}
        assert sum(one.method == "POST" and one.path == "/reports" for one in utility.requests) == 2


async def test_what_is_measured_of_the_house_is_what_the_last_cycle_and_the_rows_say(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge):
        one = edge.edge
        measured = MeasuredHouse("peak", lambda: one.runner.image, one.recorder, one.journal)
        live = measured.live()
        assert live is not None
        assert (live.program, set(live.observation.chargers)) == ("peak", {"driveway"})
        now = live.decision.at
        one.recorder.add_minute(now.replace(second=0, microsecond=0), {"grid_w": 7.0, "house_w": 1.0})
        assert [row["grid_w"] for row in (await measured.minutes(now, now + timedelta(seconds=1))).values()] == [7.0]
        assert await measured.baseline("nothing") is None
        assert MeasuredHouse("peak", lambda: None, one.recorder, one.journal).live() is None
