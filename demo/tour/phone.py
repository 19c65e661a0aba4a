"""A phone with the companion app, as Home Assistant knows one: registered, pushed to, and answering with a tap."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, web

from demo.processes import HOST, DemoError

NAME = "Resident's phone"
PUSHED_WITHIN_S = 20.0


class Phone:
    """Where pushes arrive: an address on this machine takes the place of the maker's push service."""

    def __init__(self, http: ClientSession, url: str, headers: Mapping[str, str]) -> None:
        self._http, self._url, self._headers = http, url, headers
        self._arrived = asyncio.Condition()
        self.pushes: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        """Listen, and register with Home Assistant."""
        service = web.Application()
        service.router.add_post("/push", self._take)
        self._runner = web.AppRunner(service)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        port = self._runner.addresses[0][1]
        await self._register(f"http://{HOST}:{port}/push")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        async with self._arrived:
            self.pushes.append(await request.json())
            self._arrived.notify_all()
        limits = {
            "successful": 1,
            "errors": 0,
            "maximum": 500,
            "total": 1,
            "remaining": 499,
            "resetsAt": "2100-01-01T00:00:00Z",
        }
        return web.json_response({"rateLimits": limits}, status=201)

    async def _register(self, push_url: str) -> None:
        wish = {
            "app_id": "io.robbie.HomeAssistant",
            "app_name": "Home Assistant",
            "app_version": "2026.10",
            "device_id": "resident-phone",
            "device_name": NAME,
            "manufacturer": "Apple",
            "model": "iPhone",
            "os_name": "iOS",
            "os_version": "20",
            "supports_encryption": False,
            "app_data": {"push_token": "tour", "push_url": push_url},
        }
        url = f"{self._url}/api/mobile_app/registrations"
        async with self._http.post(url, json=wish, headers=self._headers, raise_for_status=True) as response:
            self._webhook = (await response.json())["webhook_id"]

    async def push(self, words: str, since: int = 0, within_s: float = PUSHED_WITHIN_S) -> dict[str, Any]:
        """The first push after number ``since`` with these words in title or message. Raises ``DemoError``."""

        def found() -> dict[str, Any] | None:
            return next(
                (one for one in self.pushes[since:] if words in f"{one.get('title')} {one.get('message')}"), None
            )

        try:
            async with asyncio.timeout(within_s), self._arrived:
                await self._arrived.wait_for(lambda: found() is not None)
        except TimeoutError as error:
            raise DemoError(
                f'no push says "{words}"; they say {[one.get("message") for one in self.pushes]}'
            ) from error
        push = found()
        assert push is not None
        return push

    async def tap(self, push: Mapping[str, Any], title: str) -> None:
        """Answer with the action of that title, as the companion app does. Raises ``DemoError``."""
        actions = push.get("data", {}).get("actions", [])
        action = next((one for one in actions if one["title"] == title), None)
        if action is None:
            raise DemoError(f'the push offers no "{title}", but {actions}')
        event = {"actionName": action["action"], "action": action["action"], "tag": push["data"].get("tag")}
        told = {"type": "fire_event", "data": {"event_type": "mobile_app_notification_action", "event_data": event}}
        async with self._http.post(f"{self._url}/api/webhook/{self._webhook}", json=told, raise_for_status=True):
            pass
