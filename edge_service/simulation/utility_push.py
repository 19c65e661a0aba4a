"""The simulated utility's notifications by MQTT: what is said of a change, on which topics, and where those are told.

As recorded from openleadr-rs 0.2.4: one message for all, one for the program, one for each ven that may see it.
"""

import asyncio
import json
from collections.abc import Iterator

import aiomqtt
from aiohttp import web
from yarl import URL

from edge_service.simulation.utility_access import Client
from edge_service.simulation.utility_broker import Broker
from edge_service.simulation.utility_objects import JsonObject
from edge_service.simulation.utility_store import Store

OPERATIONS = ("CREATE", "UPDATE", "DELETE")
QUEUED = 1000
TRY_AGAIN_S = 0.2


class Push:
    """Tells of each change in the store at its own broker or at the one of ``url``."""

    def __init__(self, store: Store, broker: Broker | None, url: str, method: str) -> None:
        self._store = store
        self.broker = broker
        self._url = url
        self.way: JsonObject = {"method": method} | ({} if method == "ANONYMOUS" else {"username": "{clientID}"})
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(QUEUED)
        self._publishing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self.broker is not None:
            await self.broker.start()
        else:
            self._publishing = asyncio.create_task(self._publish_abroad(), name="notifications")
        self._store.watchers.append(self.tell)

    async def stop(self) -> None:
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)
        if self.broker is not None:
            await self.broker.stop()

    @property
    def uri(self) -> str:
        return self._url if self.broker is None else f"mqtt://127.0.0.1:{self.broker.port}"

    def binding(self) -> JsonObject:
        """What GET /notifiers says of MQTT."""
        return {"URIS": [self.uri], "serialization": "JSON", "authentication": self.way}

    def topics(self, path: str) -> JsonObject:
        """Of ``programs``, ``events``, ``vens/{id}/events``, ..."""
        return {"topics": {name: f"{path}/{name.lower()}" for name in OPERATIONS} | {"ALL": f"{path}/+"}}

    def tell(self, operation: str, kind: str, row: JsonObject) -> None:
        body: JsonObject = {"id": row["id"], "objectType": kind[:-1].upper(), "operation": operation, "object": row}
        for path in self._paths(kind, row):
            self.say(f"{path}/{operation.lower()}", json.dumps(body).encode())

    def say(self, topic: str, payload: bytes) -> None:
        """One message as it is."""
        if self.broker is not None:
            self.broker.publish(topic, payload)
        elif not self._waiting.full():
            self._waiting.put_nowait((topic, payload))

    def _paths(self, kind: str, row: JsonObject) -> Iterator[str]:
        if not row.get("targets"):
            yield kind
            if kind == "events":
                yield f"events/program/{row['programID']}"
        if kind not in ("events", "programs"):
            return
        for ven in self._store.rows("vens"):
            if not row["targets"] or not set(row["targets"]).isdisjoint(ven["targets"]):
                yield f"vens/{ven['id']}/{kind}"

    async def _publish_abroad(self) -> None:
        url = URL(self._url)
        while True:
            try:
                async with aiomqtt.Client(url.host or "", url.port or 1883) as client:
                    while True:
                        topic, payload = await self._waiting.get()
                        await client.publish(topic, payload)
            except aiomqtt.MqttError:
                await asyncio.sleep(TRY_AGAIN_S)


async def topics_of(push: Push, store: Store, client: Client, request: web.Request) -> JsonObject:
    """What a topics endpoint answers. Raises HTTPNotFound for a ven that is not the client's, or no such topics."""
    parts = request.match_info["path"].split("/")
    if parts[0] == "vens" and len(parts) == 3:
        ven = store.find("vens", parts[1])
        if ven is None or not (client.business or ven["clientID"] == client.id):
            raise web.HTTPNotFound
        return push.topics("/".join(parts))
    if parts in (["programs"], ["events"]) and client.business:
        return push.topics(parts[0])
    if len(parts) == 3 and parts[0] == "programs" and parts[2] == "events":
        return push.topics(f"events/program/{parts[1]}")
    raise web.HTTPNotFound
