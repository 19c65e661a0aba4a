"""The whole edge on real sockets: from the utility's event to the charger's register, and through an outage."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_service.api import certificate
from edge_service.api.listener import Tls
from edge_service.command_line.local_edge import LocalEdge
from edge_service.command_line.outcome import CommandError
from edge_service.domain.memory import Memory
from edge_service.journal.recording import read_stretch
from edge_service.replay import Replay, differences
from edge_service.simulation import acts
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.edge_kit import QUICK_SITE, a_house, config_of, running


async def truth(site: SimulatedSite) -> dict[str, Any]:
    return await asyncio.to_thread(acts.truth, site.control_url)


def events(state: Any, program: str = "peak") -> list[Any]:
    listed: list[Any] = state["programs"].get(program, {}).get("events", [])
    return listed


async def test_a_utilitys_event_reaches_the_chargers_register_and_ends(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (site, edge):
        program = {
            "kind": "openadr3",
            "name": "Peak power",
            "url": utility.base_url,
            "client_id": "ven-client",
            "client_secret": "ven-secret",
            "pay_usd_per_kw": 275.0,
            "poll_s": 1.0,
        }
        await edge.command("set_program", id="peak", program=program)
        utility.dispatch.call_event(start_in_s=3, duration_s=6, power_kw=5)
        await edge.until(lambda state: events(state) and events(state)[0]["status"] == "prepared")
        await edge.until(lambda state: events(state)[0]["status"] == "running")
        state = await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -5000)
        order = state["chargers"]["driveway"]["order"]
        assert order is not None
        assert order["kind"] == "power"
        assert (await truth(site))["charger"]["setpoint_w"] == -5000
        state = await edge.until(lambda state: events(state)[0]["status"] == "finished")
        assert 5 <= events(state)[0]["energy_wh"] <= 9
        assert events(state)[0]["earnings_usd"] > 0
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == 0)


async def test_an_outage_ends_in_an_island_and_back_with_no_rule_broken(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (site, edge):
        await asyncio.to_thread(acts.outage, site.control_url)
        state = await edge.until(lambda state: state["site"]["supply"] == "island")
        assert state["site"]["grid"] == "outage"
        assert state["chargers"]["driveway"]["order"] is None
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -1200)
        await asyncio.to_thread(acts.restore, site.control_url)
        await edge.until(lambda state: state["site"]["islanding"] == "announced")
        await edge.until(lambda state: state["site"]["supply"] == "grid")
        seen = await truth(site)
        assert seen["violations"] == []
        assert seen["house_powered"]
        # Debounce 1 s, switch 0.15 s, forming 0.3 s; and the announced open transition.
        assert seen["house"]["dark_s"] < 4


async def test_an_order_stands_only_as_long_as_cycles_complete(tmp_path: Path) -> None:
    async with SimulatedSite(SiteOptions(enter_service_s=1)) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            order = {"charger": "driveway", "power_w": 4000, "until": _in_an_hour()}
            await edge.command("discharge", **order)
            await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -4000)
            lease_s = (await truth(site))["charger"]["lease_left_s"]
            assert 9 <= lease_s <= 15
        # The edge is gone; the charger drops the order by its own timer and goes to its own default.
        site.house.step(16.0)
        assert (await truth(site))["charger"]["setpoint_enabled"] is False


async def test_a_restarted_edge_goes_on_with_the_event_it_had_accepted(tmp_path: Path) -> None:
    async with (
        SimulatedUtility(UtilityOptions(port=0)) as utility,
        SimulatedSite(SiteOptions(enter_service_s=1)) as site,
    ):
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            program = {
                "kind": "openadr3",
                "name": "Peak power",
                "url": utility.base_url,
                "client_id": "ven-client",
                "client_secret": "ven-secret",
                "poll_s": 1.0,
            }
            await edge.command("set_program", id="peak", program=program)
            utility.dispatch.call_event(start_in_s=2, duration_s=60, power_kw=3)
            await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
        utility.set_faults({"status": 503})
        async with running(config) as edge:
            state = await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
            assert events(state)[0]["status"] == "running"
            told = await edge.edge.journal.happenings_since(0)
            kinds = [one.happening.kind for one in told]
            assert kinds.count("event_announced") == 1


async def test_a_recorded_stretch_is_decided_again_to_the_same(tmp_path: Path) -> None:
    async with SimulatedSite(SiteOptions(enter_service_s=1, form_s=0.3)) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await asyncio.to_thread(acts.outage, site.control_url)
            await edge.until(lambda state: state["site"]["supply"] == "island")
    now = datetime.now(UTC)
    tally = Replay()
    found = list(differences(read_stretch(config.data, now - timedelta(hours=1), now, Memory), tally))
    assert tally.cycles > 10
    assert found == []


def _in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def test_an_edge_on_the_network_speaks_tls_and_its_command_line_checks_the_certificate(tmp_path: Path) -> None:
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        config = replace(config, api=replace(config.api, host="0.0.0.0", announce=False))
        async with running(config) as edge:
            config = replace(config, api=replace(config.api, port=edge.edge.port or 0))
            state = await asyncio.to_thread(LocalEdge.of(config).state)
            assert state["site"]["name"] == "Home"
            other = certificate.own(Tls(tmp_path / "other.pem", tmp_path / "other-key.pem"))
            stranger = replace(LocalEdge.of(config), certificate=other.certificate)
            with pytest.raises(CommandError, match="did not answer"):
                await asyncio.to_thread(stranger.state)
            assert (config.certificate[1].stat().st_mode & 0o077) == 0


@pytest.mark.parametrize("garbage", ["{", '{"mode": 7}', '"words"', '{"programs": {"peak": 3}}', "[]"])
async def test_whatever_lies_in_the_journal_the_edge_starts_and_the_house_is_backed_up(
    tmp_path: Path, garbage: str
) -> None:
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
        with closing(sqlite3.connect(config.data / "journal.db")) as journal, journal:
            for name in ("settings", "programs", "memory", "tokens"):
                journal.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (name, garbage))
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await asyncio.to_thread(acts.outage, site.control_url)
            await edge.until(lambda state: state["site"]["supply"] == "island")


@pytest.mark.parametrize(
    "wish",
    [
        {"id": "manual", "program": {"kind": "openadr3", "name": "A", "url": "http://127.0.0.1:9/x"}},
        {"id": "driveway", "program": {"kind": "manual", "name": "A"}},
        {"id": "a b", "program": {"kind": "manual", "name": "A"}},
        {"id": "a", "program": {"kind": "manual", "name": "A", "scope": "bogus"}},
        {"id": "a", "program": {"kind": "manual", "name": "A", "pay_usd_per_kw": "a"}},
        {"id": "a", "program": {"kind": "telepathy", "name": "A"}},
        {"id": "a", "program": []},
    ],
)
async def test_a_program_that_cannot_be_is_refused_and_nothing_is_kept(tmp_path: Path, wish: dict[str, Any]) -> None:
    async with a_house(tmp_path) as (_, edge):
        with pytest.raises(AssertionError, match="bad_argument"):
            await edge.command("set_program", **wish)
        assert await edge.edge.journal.load_document("programs") is None
        assert set(edge.state["programs"]) == {"manual"}


async def test_a_stop_in_good_order_loses_no_news(tmp_path: Path) -> None:
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await asyncio.to_thread(acts.outage, site.control_url)
            await edge.until(lambda state: state["site"]["grid"] == "outage")
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["supply"] == "island")
            kinds = [one.happening.kind for one in await edge.edge.journal.happenings_since(0)]
            assert kinds.count("outage_started") == 1
            assert [notice["kind"] for notice in edge.state["notices"]] == ["outage"]
