"""Why, from the edge's own decisions to what a resident reads: nothing is without words, nothing is left blank."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.narration import EVENT_TOLD
from edge_service.simulation import acts

from .conftest import attributes
from .houses import Houses, Lived
from .peer import Eventually

WHY = "sensor.driveway_charger_why"


@pytest.fixture
async def houses(
    hass: HomeAssistant, tmp_path: Path, eventually: Eventually, socket_enabled: None
) -> AsyncGenerator[Houses]:
    """Houses that are closed after the test, Home Assistant's side first."""
    async with AsyncExitStack() as stack:
        yield Houses(hass, tmp_path, eventually, stack)


async def ask(home: Lived, action: str, **data: Any) -> Any:
    return await home.hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)


def complete(told: str) -> bool:
    """No gap where something was not told, and no rule without words."""
    return "–" not in told and "no words" not in told


async def test_an_order_is_read_back_and_explained_and_an_outage_after_it(houses: Houses) -> None:
    home = await houses.open()
    told = async_capture_events(home.hass, EVENT_TOLD)
    charger = home.device("charger-driveway")
    order = await ask(home, "discharge", **{ATTR_DEVICE_ID: charger}, duration="01:00:00", power=3)
    assert (order["stage"], order["power"]) in {(stage, 3.0) for stage in ("read_back", "measured", "held")}

    def says(text: str) -> bool:
        return str(attributes(home.hass, WHY, "text")["text"]).startswith(text)

    await home.eventually(lambda: says("Gives 3.0 kW, as you ordered, until "))
    (explained,) = (await ask(home, "explain", **{ATTR_DEVICE_ID: charger}))["chargers"].values()
    assert [step["rung"] for step in explained["steps"]][-1] == "manual"
    assert all(complete(step["text"]) for step in explained["steps"])
    assert complete(explained["text"])

    await home.act(acts.outage)
    await home.lights_are_on()
    await home.eventually(lambda: says("Powers the house."))
    whole = await ask(home, "explain", **{ATTR_CONFIG_ENTRY_ID: home.entry.entry_id})
    assert whole["site"]["outage"].startswith("The vehicle powers the house")
    assert any("the grid is gone" in one["text"] for one in whole["site"]["evidence"])
    await home.eventually(lambda: {"outage_started", "backup_started"} <= {one.data["kind"] for one in told})
    lines = [str(one.data["message"]) for one in told]
    assert [line for line in lines if not complete(line)] == []
    assert any(line.startswith("Power went out: ") for line in lines)


@pytest.mark.timeout(120)
async def test_a_peak_event_is_told_as_it_is_served_and_beyond_what_the_service_carries_who_holds_it_back(
    houses: Houses,
) -> None:
    home = await houses.open()
    told = async_capture_events(home.hass, EVENT_TOLD)
    await home.edge.command("set_program", id="peak", program={"kind": "manual", "name": "Peak power"})
    await home.eventually(lambda: "peak" in home.edge.state["programs"])
    program = home.device("program-peak")
    start = dt_util.utcnow() + timedelta(seconds=3)

    async def called(power: float, after_s: float) -> None:
        times = {"start": start + timedelta(seconds=after_s), "end": start + timedelta(seconds=after_s + 12)}
        await ask(home, "enter_event", **{ATTR_DEVICE_ID: program}, name="Peak", power=power, **times)

    def says(text: str) -> bool:
        return str(attributes(home.hass, WHY, "text")["text"]).startswith(text)

    await called(3, 0)
    await home.eventually(lambda: says("Gives 3.0 kW for the peak event until "))
    await home.eventually(lambda: "event_started" in [one.data["kind"] for one in told])
    (begun,) = [str(one.data["message"]) for one in told if one.data["kind"] == "event_started"]
    assert begun.startswith("Peak event started: 3.0 kW until ")
    (event,) = (await ask(home, "get_events", **{ATTR_DEVICE_ID: program}))["events"]
    assert (event["power"], event["status"]) == (3.0, "running")
    await called(20, 12)
    short = "Gives 9.6 kW of the 20.0 kW that the peak event asks until "
    await home.eventually(lambda: says(short))
    text = str(attributes(home.hass, WHY, "text")["text"])
    assert text.endswith("Held back by: More than the chargers can do.")
    assert all(complete(str(one.data["message"])) for one in told)
