"""The stop button on real sockets: from its input to the charger's register, and over a restart."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_service.config import Config, parse
from edge_service.simulation import acts
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, QUICK_SITE, SITE, running

CONTACTS = """
contacts:
  stop: {{address: "{host}:{port}", input: 0}}
  generator: {{address: "{host}:{port}", input: 1}}
"""


def config_of(site: SimulatedSite, folder: Path) -> Config:
    """A site with a stop button and a generator's contact."""
    text = SITE.format(host=HOST, charger=site.charger_port, meter=site.meter_port, switch=site.switch_port)
    config = parse(text + CONTACTS.format(host=HOST, port=site.contact_port), folder / "site.yaml")
    return replace(config, api=replace(config.api, port=0), data=folder / "data")


async def act(site: SimulatedSite, **active: bool) -> None:
    await asyncio.to_thread(lambda: acts.contacts(site.control_url, **active))


async def truth(site: SimulatedSite) -> dict[str, Any]:
    return await asyncio.to_thread(acts.truth, site.control_url)


def stop_written_last(site: SimulatedSite, after: int) -> bool:
    """The charger was told to stop, and nothing that could start it or move power since."""
    named = [write.named for write in site.writes if write.number > after and write.device == "charger"]
    told = [place for place, one in enumerate(named) if one.get("715.OpCtl") == 0]
    return bool(told) and not any(one.get("715.OpCtl") or one.get("704.WSet") for one in named[told[0] :])


def for_an_hour(power_w: int) -> dict[str, Any]:
    return {"charger": "driveway", "power_w": power_w, "until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}


async def test_a_pressed_button_stops_a_discharging_charger_and_holds_over_a_restart(tmp_path: Path) -> None:
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await edge.command("discharge", **for_an_hour(4000))
            await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -4000)
            await act(site, stop=True)
            before = site.writes[-1].number
            await edge.until(lambda state: state["site"]["stopped"])
            await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == 0)
            assert stop_written_last(site, before)
            assert (await truth(site))["charger"]["operation"] == "stop"
            with pytest.raises(AssertionError, match="stop_contact_active"):
                await edge.command("reset_stop")
            await act(site, stop=False)
        async with running(config) as edge:
            state = await edge.until(lambda state: state["chargers"]["driveway"]["reason"] == "stop")
            assert state["site"]["stopped"]
            await edge.until(lambda state: state["site"]["grid"] == "on")
            assert stop_written_last(site, before)
            assert (await truth(site))["charger"]["operation"] == "stop"
            kinds = [one.happening.kind for one in await edge.edge.journal.happenings_since(0)]
            assert kinds.count("stop_pressed") == 1
            await edge.command("reset_stop")
            await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -4000)


async def test_a_generator_ends_the_discharge_and_afterwards_it_goes_on(tmp_path: Path) -> None:
    async with SimulatedSite(QUICK_SITE) as site, running(config_of(site, tmp_path)) as edge:
        await edge.until(lambda state: state["site"]["grid"] == "on")
        await edge.command("discharge", **for_an_hour(4000))
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -4000)
        await act(site, generator=True)
        await edge.until(lambda state: state["site"]["grid"] == "generator")
        state = await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == 0)
        assert [notice["kind"] for notice in state["notices"]] == ["generator"]
        assert (await truth(site))["switch"]["movements"] == []
        await act(site, generator=False)
        await edge.until(lambda state: state["site"]["grid"] == "on")
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -4000)


async def test_check_shows_how_the_contacts_stand(tmp_path: Path) -> None:
    async with SimulatedSite(QUICK_SITE) as site, running(config_of(site, tmp_path)) as edge:
        await act(site, generator=True)
        told = {(one["device"], one["ok"], one["text"]) for one in await edge.edge.check()}
        assert ("stop contact", True, "Input 0 is closed: not active now.") in told
        assert ("generator contact", True, "Input 1 is open: active now.") in told
