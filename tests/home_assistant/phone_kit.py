"""Phones with the companion app: registered as the app does it, heard at a push address on loopback, and tapped."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.notice_kinds import Group
from custom_components.ridethrough.phones.choice import found_phones

type Client = Callable[[], Awaitable[TestClient[Any, Any]]]

CLEAR = "clear_notification"


@dataclass
class Phone:
    """What was pushed to it, in order. ``answers``: what its push service says."""

    hass: HomeAssistant
    name: str
    webhook_id: str
    client: TestClient[Any, Any]
    pushes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def device_id(self) -> str:
        entry = next(one for one in self._entries() if one.data["webhook_id"] == self.webhook_id)
        (device,) = dr.async_entries_for_config_entry(dr.async_get(self.hass), entry.entry_id)
        return device.id

    def _entries(self) -> list[Any]:
        return self.hass.config_entries.async_entries("mobile_app")

    @property
    def screen(self) -> dict[str, dict[str, Any]]:
        """What is on it now, by tag."""
        shown: dict[str, dict[str, Any]] = {}
        for push in self.pushes:
            tag = push["data"]["tag"]
            if push["message"] == CLEAR:
                shown.pop(tag, None)
            else:
                shown[tag] = push
        return shown

    @property
    def texts(self) -> list[str]:
        """What one reads on it now."""
        return [f"{push['title']}: {push['message']}" for push in self.screen.values()]

    @property
    def rang(self) -> list[str]:
        """The titles of what made a sound, in order."""
        return [push["title"] for push in self.pushes if push["message"] != CLEAR and level(push) != "passive"]

    def reads(self, text: str) -> bool:
        return any(text in one for one in self.texts)

    def buttons(self) -> list[str]:
        """Those of all that is shown."""
        return [button["title"] for push in self.screen.values() for button in push["data"].get("actions", ())]

    def action(self, title: str) -> str:
        """What stands behind a button."""
        found = [one for push in self.pushes for one in push["data"].get("actions", ()) if one["title"] == title]
        return str(found[-1]["action"])

    async def tap(self, title: str) -> None:
        """A person taps the button: the app tells the webhook."""
        await self.send_action(self.action(title))

    async def send_action(self, action: str) -> None:
        told = {"event_type": "mobile_app_notification_action", "event_data": {"action": action}}
        answer = await self.client.post(f"/api/webhook/{self.webhook_id}", json={"type": "fire_event", "data": told})
        assert answer.status == 200


def level(push: dict[str, Any]) -> str:
    """How loud it is on an iPhone."""
    return str(push["data"]["push"]["interruption-level"])


class PushService:
    """Takes what Home Assistant pushes over the internet."""

    def __init__(self) -> None:
        self.inboxes: dict[str, list[dict[str, Any]]] = {}
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/push", self._push)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _push(self, request: web.Request) -> web.Response:
        push = await request.json()
        self.inboxes[push.pop("push_token")].append(push)
        return web.json_response({}, status=201)


class PhoneShop:
    """Registers phones as the app does."""

    def __init__(self, hass: HomeAssistant, client: TestClient[Any, Any], service: PushService) -> None:
        self._hass, self.client, self._service = hass, client, service

    async def buy(self, name: str = "Blue phone", *, by_internet: bool = True, maker: str = "Apple") -> Phone:
        """``by_internet`` False: it can be reached at home only."""
        address = {"push_token": name, "push_url": f"http://127.0.0.1:{self._service.port}/push"}
        told = {
            "app_id": "app",
            "app_name": "Home Assistant",
            "app_version": "2026.10",
            "device_id": name,
            "device_name": name,
            "manufacturer": maker,
            "model": "Phone 1",
            "os_name": "OS",
            "os_version": "1",
            "supports_encryption": False,
            "app_data": address if by_internet else {"push_websocket_channel": True},
        }
        answer = await self.client.post("/api/mobile_app/registrations", json=told)
        assert answer.status == 201
        phone = Phone(self._hass, name, (await answer.json())["webhook_id"], self.client)
        self._service.inboxes[name] = phone.pushes
        await self._hass.async_block_till_done()
        return phone


def choose(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    *phones: Phone,
    quiet: tuple[str, str] = ("00:00:00", "00:00:00"),
    alarms: tuple[Phone, ...] | None = None,
    notifiers: tuple[str, ...] = (),
    **groups: list[str],
) -> None:
    """As the options page does. All get everything, but for ``groups``; no quiet hours unless they are given."""
    ids = [phone.device_id for phone in phones]
    everybody = [*ids, *notifiers]
    chosen = {
        "phones": ids,
        "notifiers": list(notifiers),
        "names": {**found_phones(hass), **{one: one for one in notifiers}},
        "quiet_start": quiet[0],
        "quiet_end": quiet[1],
        "alarms": ids if alarms is None else [phone.device_id for phone in alarms],
    }
    chosen |= {group.value: groups.get(group.value, everybody) for group in Group}
    hass.config_entries.async_update_entry(entry, options={**entry.options, "notifications": chosen})
