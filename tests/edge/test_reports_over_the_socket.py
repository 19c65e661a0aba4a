"""What Home Assistant reports, on real sockets: an outage by its word, silence that is none, a switch that it moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from edge_service.api.pairing import Role
from edge_service.config import Config, parse
from edge_service.simulation import acts
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, QUICK_SITE, RunningEdge, a_house, config_of as kit_config, running
from tests.edge.reporter import moving_the_switch, reporting

NO_SWITCH = """
site: {{name: Home, import_max_a: 100, enter_service_s: 1, outage_after_s: 1}}
chargers:
  driveway: {{name: Driveway, model: sunspec_der, address: "{host}:{charger}", lease_s: 15, backup: none}}
control: {{cycle_s: 0.5, fast_lane_ms: 50, stale_after_s: 5}}
"""
SWITCH_OF_HOME_ASSISTANT = """
site: {{name: Home, import_max_a: 100, enter_service_s: 1, outage_after_s: 1, announce_return_s: 1}}
chargers:
  driveway: {{name: Driveway charger, model: sunspec_der, address: "{host}:{charger}", lease_s: 15}}
meter: {{model: sunspec_meter, address: "{host}:{meter}"}}
island_switch: {{model: home_assistant}}
control: {{cycle_s: 0.5, fast_lane_ms: 50, stale_after_s: 5}}
"""


def config_of(text: str, site: SimulatedSite, folder: Path) -> Config:
    ports = {"charger": site.charger_port, "meter": site.meter_port}
    config = parse(text.format(host=HOST, **ports), folder / "site.yaml")
    return replace(config, api=replace(config.api, port=0), data=folder / "data")


@asynccontextmanager
async def an_edge(text: str, folder: Path) -> AsyncIterator[tuple[SimulatedSite, RunningEdge]]:
    async with SimulatedSite(QUICK_SITE) as site, running(config_of(text, site, folder)) as edge:
        yield site, edge


def pieces(state: Any) -> dict[str, Any]:
    """Evidence by its source."""
    return {piece["source"]: piece for piece in state["site"]["evidence"]}


def of_switch(state: Any) -> dict[str, Any]:
    return dict(state["site"]["switch"])


def wanted(state: Any) -> Any:
    """What Home Assistant is to do with the switch."""
    return of_switch(state)["wanted"]


# ------------------------------------------------------------------------------------------------------------ evidence


async def test_an_entitys_word_is_shown_as_evidence_and_goes_with_its_socket(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge):
        async with reporting(edge) as reporter:
            assert (await reporter.tell_grid(present=True))["ok"]
            state = await edge.until(lambda state: "binary_sensor.street" in pieces(state))
            seen = pieces(state)["binary_sensor.street"]
            assert (seen["present"], seen["confidence"], seen["counts"]) == (True, "likely", True)
        state = await edge.until(lambda state: "binary_sensor.street" not in pieces(state))
        assert state["site"]["grid"] == "on"


async def test_a_lost_grid_of_which_only_an_entity_can_tell_becomes_an_outage(tmp_path: Path) -> None:
    async with an_edge(NO_SWITCH, tmp_path) as (site, edge), reporting(edge) as reporter:
        # Its own contacts see nothing of the street here: the charger is silent.
        await asyncio.to_thread(acts.break_device, site.control_url, "charger", {"silent": True})
        await edge.until(lambda state: not state["chargers"]["driveway"]["connected"])
        await reporter.tell_grid(present=True)
        await edge.until(lambda state: state["site"]["grid"] == "on")
        await reporter.tell_grid(present=False)
        await edge.until(lambda state: state["site"]["grid"] == "suspect")
        await edge.until(lambda state: state["site"]["grid"] == "outage")


async def test_a_home_assistant_that_goes_away_makes_the_grid_unknown_and_no_outage(tmp_path: Path) -> None:
    async with an_edge(NO_SWITCH, tmp_path) as (site, edge):
        await asyncio.to_thread(acts.break_device, site.control_url, "charger", {"silent": True})
        await edge.until(lambda state: not state["chargers"]["driveway"]["connected"])
        async with reporting(edge) as reporter:
            await reporter.tell_grid(present=True)
            await edge.until(lambda state: state["site"]["grid"] == "on")
        state = await edge.until(lambda state: state["site"]["grid"] != "on")
        assert (state["site"]["grid"], state["site"]["outage"]) == ("unknown", None)


async def test_a_hint_alone_moves_nothing(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge), reporting(edge) as reporter:
        await reporter.tell_grid(present=False, confidence="hint")
        state = await edge.until(lambda state: "binary_sensor.street" in pieces(state))
        assert pieces(state)["binary_sensor.street"]["counts"] is False
        assert (state["site"]["grid"], state["site"]["disputed"]) == ("on", False)


async def test_an_alert_is_shown_while_it_is_reported(tmp_path: Path) -> None:
    wind = {"id": "nws-1", "kind": "wind", "name": "Gale", "start": "2026-01-01T00:00:00Z", "end": None}
    async with a_house(tmp_path) as (_, edge), reporting(edge) as reporter:
        await reporter.report(alerts=[wind])
        state = await edge.until(lambda state: state["site"]["alerts"])
        assert [(one["source"], one["kind"]) for one in state["site"]["alerts"]] == [("home_assistant", "wind")]
        await reporter.report(alerts=[])
        await edge.until(lambda state: not state["site"]["alerts"])


async def test_a_storm_is_not_over_because_home_assistant_is_gone(tmp_path: Path) -> None:
    wind = {"id": "nws-1", "kind": "wind", "name": "Gale", "start": "2026-01-01T00:00:00Z", "end": None}
    async with a_house(tmp_path) as (_, edge):
        async with reporting(edge) as reporter:
            await reporter.tell_grid(present=True)
            await reporter.report(alerts=[wind])
            await edge.until(lambda state: state["site"]["storm"] and "binary_sensor.street" in pieces(state))
        state = await edge.until(lambda state: "binary_sensor.street" not in pieces(state))
        assert dict(state["site"]["storm"] or {})["alert"] == "nws-1"
        async with reporting(edge) as reporter:
            await reporter.report(alerts=[])
            await edge.until(lambda state: state["site"]["storm"] is None and not state["site"]["alerts"])


async def test_a_client_that_may_only_look_reports_nothing(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge), reporting(edge, Role.READ) as reporter:
        answer = await reporter.tell_grid(present=False)
        assert (answer["ok"], answer["error"]["code"]) == (False, "not_permitted")
        assert edge.edge.reports.evidence() == ()


async def test_a_report_over_plain_http_is_refused_since_nobody_sees_its_client_go(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge):
        with pytest.raises(AssertionError, match="not_permitted"):
            await edge.command("report", evidence=[])


async def test_reports_count_at_once_while_the_disk_fails(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge), reporting(edge) as reporter:
        with patch.object(edge.edge.journal, "save_alerts", side_effect=OSError("no space left")):
            wind = {"id": "nws-1", "kind": "wind", "name": "Gale", "start": "2026-01-01T00:00:00Z", "end": None}
            assert (await reporter.report(alerts=[wind], evidence=[]))["ok"]
            assert (await reporter.tell_grid(present=True))["ok"]
            await edge.until(lambda state: state["site"]["storm"] and "binary_sensor.street" in pieces(state))
        assert not edge.task.done()


# ------------------------------------------------------------------------------------------------------------ the loads


async def test_a_group_shed_before_a_restart_is_wanted_shed_from_the_first_state_on(tmp_path: Path) -> None:
    group = {"name": "Pool", "tier": "non_essential", "power_w": 1000, "shed_below_pct": 50, "medical": False}
    async with SimulatedSite(QUICK_SITE) as site:
        config = kit_config(site, tmp_path)
        async with running(config) as edge, reporting(edge) as reporter:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await edge.command("set_load_group", id="pool", legs=[], **group)
            await reporter.report(loads={"pool": {"state": "on"}})
            await edge.until(lambda state: state["loads"]["pool"]["state"] == "on")
            await asyncio.to_thread(acts.outage, site.control_url)
            await edge.until(lambda state: state["loads"]["pool"]["wanted"] == "shed")
            await reporter.report(loads={"pool": {"state": "shed"}})
            await edge.until(lambda state: state["site"]["supply"] == "island")
        async with running(config) as edge, reporting(edge) as reporter:
            seen = [edge.state["loads"]["pool"]["wanted"]]
            reporter.seen = lambda: seen.extend(load["wanted"] for load in reporter.state.get("loads", {}).values())
            await edge.until(lambda state: state["site"]["supply"] == "island")
            await reporter.report(loads={"pool": {"state": "shed"}})
            await edge.until(lambda state: state["loads"]["pool"]["state"] == "shed")
            assert set(seen) == {"shed"}
            await asyncio.to_thread(acts.restore, site.control_url)
            await edge.until(lambda state: state["loads"]["pool"]["wanted"] == "on", within_s=40)


# ---------------------------------------------------------------------------------------------------------- the switch


async def test_home_assistant_opens_and_closes_the_island_switch_when_asked(tmp_path: Path) -> None:
    async with (
        an_edge(SWITCH_OF_HOME_ASSISTANT, tmp_path) as (site, edge),
        reporting(edge) as reporter,
        moving_the_switch(site, reporter) as switch,
    ):
        state = await edge.until(lambda state: state["site"]["grid"] == "on")
        assert of_switch(state)["owner"] == "home_assistant"
        await asyncio.to_thread(acts.outage, site.control_url)
        state = await edge.until(lambda state: state["site"]["supply"] == "island")
        assert wanted(state) is None
        await asyncio.to_thread(acts.restore, site.control_url)
        await edge.until(lambda state: state["site"]["supply"] == "grid")
        assert switch.asked == ["open", "close"]
        seen = await asyncio.to_thread(acts.truth, site.control_url)
        assert (seen["violations"], seen["house_powered"]) == ([], True)


async def test_a_movement_is_wanted_no_longer_when_the_grid_is_back(tmp_path: Path) -> None:
    async with (
        an_edge(SWITCH_OF_HOME_ASSISTANT, tmp_path) as (site, edge),
        reporting(edge) as reporter,
        moving_the_switch(site, reporter) as switch,
    ):
        switch.obeys = False
        await edge.until(lambda state: state["site"]["grid"] == "on")
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: wanted(state) == "open")
        await asyncio.to_thread(acts.restore, site.control_url)
        await edge.until(lambda state: wanted(state) is None)
        await edge.until(lambda state: state["site"]["supply"] == "grid")
        assert "close" not in switch.asked


async def test_without_home_assistant_nothing_is_wanted_and_the_switch_is_not_known(tmp_path: Path) -> None:
    async with an_edge(SWITCH_OF_HOME_ASSISTANT, tmp_path) as (site, edge):
        async with reporting(edge) as reporter, moving_the_switch(site, reporter):
            await edge.until(lambda state: state["site"]["grid"] == "on")
        await edge.until(lambda state: of_switch(state)["closed_proven"] is None)
        await asyncio.to_thread(acts.outage, site.control_url)
        state = await edge.until(lambda state: state["site"]["grid"] == "outage")
        assert wanted(state) is None
        findings = await edge.edge.check()
        (finding,) = [finding for finding in findings if finding["device"] == "island switch"]
        assert (finding["ok"], "not connected" in finding["text"]) == (False, True)
