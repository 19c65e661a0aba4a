"""From the street to the phone and back: the real edge at a simulated site, and the companion app's own ways."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.ridethrough.const import DOMAIN
from edge_service.simulation import acts

from .conftest import shown
from .houses import Houses, Lived
from .peer import Eventually
from .phone_kit import CLEAR, PhoneShop, choose, level

PROGRAM = {"kind": "manual", "name": "Peak power", "pay_usd_per_kw": 275, "season_events": 30}
STATUS = "sensor.peak_power_peak_event_status"


@pytest.fixture
async def houses(
    hass: HomeAssistant, tmp_path: Path, eventually: Eventually, socket_enabled: None
) -> AsyncGenerator[Houses]:
    """Houses that are closed after the test, Home Assistant's side first."""
    async with AsyncExitStack() as stack:
        yield Houses(hass, tmp_path, eventually, stack)


def entry_of(home: Lived) -> MockConfigEntry:
    return cast("MockConfigEntry", home.entry)


async def enter(home: Lived, starts_in: timedelta) -> str:
    """An event of an hour, by hand; its uid."""
    start = (dt_util.now() + starts_in).replace(microsecond=0)
    times = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    data = {ATTR_DEVICE_ID: home.device("program-peak"), "name": "By mail", "power": 3, **times}
    made: Any = await home.hass.services.async_call(DOMAIN, "enter_event", data, blocking=True, return_response=True)
    return str(made["event"])


@pytest.mark.timeout(60)
async def test_an_event_is_skipped_by_one_tap_and_an_older_message_cannot_bring_it_back(
    hass: HomeAssistant, shop: PhoneShop, houses: Houses
) -> None:
    home = await houses.open()
    await home.edge.command("set_program", id="peak", program=PROGRAM)
    await home.eventually(lambda: hass.states.get(STATUS) is not None)
    phone, other = await shop.buy(), await shop.buy("Red phone", maker="Google")
    choose(hass, entry_of(home), phone, other)
    uid = await enter(home, timedelta(hours=3))
    await home.eventually(lambda: bool(phone.screen and other.screen))
    (text,) = phone.texts
    assert text.startswith("Peak event ")
    assert "about $" in text
    keep = other.action("Keep")
    await phone.tap("Skip")
    await home.edge.until(lambda state: state["programs"]["peak"]["events"][0]["status"] == "opted_out")
    await home.eventually(lambda: phone.reads("Skipped. The house does not take part.") and not other.screen)
    await home.reads()
    assert home.edge.state["programs"]["peak"]["events"][0]["uid"] == uid
    await other.send_action(keep)
    await home.eventually(lambda: other.reads("No longer open"))
    assert home.edge.state["programs"]["peak"]["events"][0]["status"] == "opted_out"
    assert len(phone.rang) == len(other.rang) == 1


@pytest.mark.timeout(60)
async def test_an_outage_reaches_a_phone_at_home_without_internet_once_over_a_restart_of_the_integration(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, shop: PhoneShop, houses: Houses
) -> None:
    home = await houses.open()
    phone = await shop.buy("At home", by_internet=False)
    socket = await hass_ws_client()
    ask = {"type": "mobile_app/push_notification_channel", "webhook_id": phone.webhook_id, "support_confirm": True}
    await socket.send_json_auto_id(ask)
    assert (await socket.receive_json())["success"]
    choose(hass, entry_of(home), phone)

    async def pushed() -> dict[str, Any]:
        push: dict[str, Any] = (await socket.receive_json())["event"]
        sure = {"webhook_id": phone.webhook_id, "confirm_id": push["hass_confirm_id"]}
        await socket.send_json_auto_id({"type": "mobile_app/push_notification_confirm", **sure})
        assert (await socket.receive_json())["success"]
        return push

    await home.act(acts.outage)
    first = await pushed()
    assert first["title"].startswith("Power is out since ")
    assert level(first) == "critical"
    assert first["data"]["actions"][-1]["title"] == "Details"
    await home.lights_are_on()
    await hass.config_entries.async_reload(home.entry.entry_id)
    await home.lights_are_on()
    await home.act(acts.restore)
    told = [await pushed()]
    while told[-1].get("title") != "Power is back":
        told.append(await pushed())
    loud = [push["title"] for push in (first, *told) if push["message"] != CLEAR and level(push) != "passive"]
    assert loud == [first["title"], "Short dark time ahead", "Power is back"]
    power = [push for push in told if push.get("title", "").startswith("Power")]
    assert {push["data"]["tag"] for push in power} == {first["data"]["tag"]}
    await home.is_back()
    assert shown(hass, "binary_sensor.home_grid") == "on"
