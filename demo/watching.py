"""Home Assistant as its own frontend sees it: every state, and every change with the moment at which it arrived."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from demo.processes import DemoError

ANSWERS_WITHIN_S = 20.0
NOT_A_NUMBER = frozenset({"unknown", "unavailable", ""})
# To the unit of the project's own names.
SCALE: Mapping[str, float] = {"kW": 1000.0, "kWh": 1000.0, "MW": 1e6, "MWh": 1e6}


@dataclass(frozen=True, slots=True)
class Seen:
    """One state as it arrived. ``key`` is the integration's name of the entity, such as ``site-grid_status``."""

    at: datetime
    key: str
    entity_id: str
    state: str
    attributes: Mapping[str, Any]

    @property
    def number(self) -> float | None:
        """In W, Wh or the entity's unit; None when it is not one."""
        if self.state in NOT_A_NUMBER:
            return None
        try:
            return float(self.state) * SCALE.get(str(self.attributes.get("unit_of_measurement")), 1.0)
        except ValueError:
            return None

    @property
    def kind(self) -> str:
        """What happened, of an event entity."""
        return str(self.attributes.get("event_type"))

    @property
    def words(self) -> str:
        """The entity and what it says, for people."""
        unit = self.attributes.get("unit_of_measurement") or ""
        said = self.kind if "event_type" in self.attributes else f"{self.state} {unit}".strip()
        return f"{self.entity_id}: {said}"


class RefusedError(DemoError):
    """Home Assistant would not do it; ``key`` names why, in the words of its translations."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"Home Assistant refused: {error}")
        self.key = str(error.get("translation_key"))
        self.message = str(error.get("message"))


type Matches = Callable[[Seen], bool]


class Watch:
    """A connection to the websocket API that keeps every change from its start on."""

    def __init__(self, http: ClientSession, url: str, access_token: str) -> None:
        self._http, self._url, self._access_token = http, url, access_token
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._keys: dict[str, str] = {}
        self._news = asyncio.Event()
        self.changes: list[Seen] = []
        self.now: dict[str, Seen] = {}

    async def __aenter__(self) -> Self:
        """Raises ``DemoError``."""
        url = f"{self._url.replace('http', 'ws', 1)}/api/websocket"
        self._socket: ClientWebSocketResponse = await self._http.ws_connect(url, max_msg_size=0, heartbeat=20)
        await self._socket.receive_json()
        await self._socket.send_json({"type": "auth", "access_token": self._access_token})
        answer = await self._socket.receive_json()
        if answer["type"] != "auth_ok":
            raise DemoError(f"Home Assistant's websocket refused the demo's user: {answer}")
        self._reading = asyncio.create_task(self._read(), name="watch Home Assistant")
        await self.ask("subscribe_events", event_type="state_changed")
        await self.ask("persistent_notification/subscribe")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        await self._socket.close()

    async def ask(self, kind: str, **words: Any) -> Any:
        """One command and its result. Raises ``DemoError``."""
        self._number += 1
        number = self._number
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "type": kind, **words})
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                return await self._answers[number]
        except TimeoutError as error:
            raise DemoError(f"Home Assistant did not answer {kind} within {ANSWERS_WITHIN_S:g} s") from error

    async def call(self, action: str, *, answers: bool = False, **data: Any) -> Any:
        """Call an action such as ``ridethrough.start_drill``; returns its answer. Raises ``RefusedError``."""
        domain, _, service = action.partition(".")
        words = {"domain": domain, "service": service, "service_data": data, "return_response": answers}
        return (await self.ask("call_service", **words)).get("response")

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            arrived = datetime.now(UTC)
            content = message.json()
            if content["type"] == "result":
                self._answer(content)
            elif content["type"] == "event":
                self._take(content["event"], arrived)

    def _answer(self, content: Mapping[str, Any]) -> None:
        waiting = self._answers.pop(content["id"], None)
        if waiting is None or waiting.done():
            return
        if content["success"]:
            waiting.set_result(content["result"])
        else:
            waiting.set_exception(RefusedError(content["error"]))

    def _take(self, event: Mapping[str, Any], arrived: datetime) -> None:
        for name, notice in event.get("notifications", {}).items():
            self._keep(_notice(name, notice, event["type"], arrived))
        if (new := event.get("data", {}).get("new_state")) is not None:
            self._keep(self._seen(new, arrived))

    def _keep(self, seen: Seen) -> None:
        self.changes.append(seen)
        self.now[seen.key] = seen
        self._news.set()

    def _seen(self, state: Mapping[str, Any], at: datetime) -> Seen:
        name = str(state["entity_id"])
        return Seen(at, self._keys.get(name, name), name, str(state["state"]), state["attributes"])

    async def learn(self) -> None:
        """Learn which entity is which by the integration's own ids, so that names may change, and take all states.

        Again after entities have come.
        """
        listed = await self.ask("config/entity_registry/list")
        for entity in listed:
            if entity["platform"] == "ridethrough":
                # The unique id begins with the installation, 32 hexadecimal digits or a UUID.
                self._keys[entity["entity_id"]] = _without_installation(entity["unique_id"])
        for state in await self.ask("get_states"):
            seen = self._seen(state, datetime.now(UTC))
            self.now[seen.key] = seen

    async def groups(self, entry_id: str) -> dict[str, str]:
        """What the edge calls each load group that was made here, by its name."""
        listed = await self.ask("config_entries/subentries/list", entry_id=entry_id)
        return {one["title"]: str(one["subentry_id"]).lower() for one in listed if one["subentry_type"] == "load_group"}

    async def devices(self) -> dict[str, str]:
        """The id of each device, by its name."""
        listed = await self.ask("config/device_registry/list")
        return {str(one["name_by_user"] or one["name"]): str(one["id"]) for one in listed}

    async def see(self, matches: Matches, since: int, within_s: float) -> Seen:
        """The first change from number ``since`` on that matches. Raises ``TimeoutError``."""
        looked_at = since
        async with asyncio.timeout(within_s):
            while True:
                self._news.clear()
                for seen in self.changes[looked_at:]:
                    if matches(seen):
                        return seen
                looked_at = len(self.changes)
                await self._news.wait()


def _notice(name: str, notice: Mapping[str, Any], change: str, at: datetime) -> Seen:
    """A notification as if it were an entity: its state is its title, or ``removed``."""
    # Ours are named ridethrough, installation, key.
    key = name.split("_", 2)[-1] if name.startswith("ridethrough_") else name
    state = "removed" if change == "removed" else str(notice["title"])
    return Seen(at, f"notice-{key}", "notification", state, {"message": notice["message"]})


def _without_installation(unique_id: str) -> str:
    for kind in ("-site-site-", "-charger-", "-program-", "-load-"):
        before, found, after = unique_id.partition(kind)
        if found and before:
            return f"{kind.strip('-').partition('-')[0]}-{after}"
    return unique_id
