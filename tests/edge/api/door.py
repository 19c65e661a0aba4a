"""An edge's door on a free loopback port, with everything behind it that the tests need to see."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from aiohttp import ClientSession, ClientWebSocketResponse

from edge_service.api import wire
from edge_service.api.commands import Commands
from edge_service.api.connection import Patience
from edge_service.api.hub import Hub
from edge_service.api.listener import Bounds, Listen
from edge_service.api.pairing import Pairing, Role
from edge_service.api.server import ApiServer, Edge
from edge_service.domain.asked import CommandRefusedError
from edge_service.domain.model import Happening
from edge_service.journal.store import SqliteJournal
from edge_service.reports import Reports

NOW = datetime(2026, 7, 15, 21, 0, tzinfo=UTC)
GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "schema_1.json").read_text())


def state(**site: Any) -> wire.State:
    """The golden state with other facts of the site."""
    document = deepcopy(GOLDEN["Snapshot"]["state"])
    document["site"].update(site)
    return cast("wire.State", document)


@dataclass
class HandClock:
    """Time moved by hand."""

    time: datetime = NOW
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Doer:
    """An executor that notes what it was asked for. ``gate`` closed: it waits."""

    asked: list[tuple[str, Mapping[str, Any], Role]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    disk_fails: bool = False

    async def recording(self) -> str:
        if self.disk_fails:
            raise OSError("the disk is gone")
        return '{"recordings":[{"recorded":1}]}'

    async def __call__(
        self, name: str, args: Mapping[str, Any], *, command_id: str, deadline: datetime, role: Role
    ) -> Mapping[str, Any]:
        self.asked.append((name, args, role))
        await self.gate.wait()
        if name == "refuse":
            raise CommandRefusedError("stopped", "a person has stopped it", by="resident")
        if name == "fail":
            raise ZeroDivisionError
        return {"stage": "accepted", "data": {"count": len(self.asked)}}


@dataclass
class House:
    """One running door."""

    server: ApiServer
    hub: Hub
    journal: SqliteJournal
    pairing: Pairing
    clock: HandClock
    doer: Doer
    session: ClientSession
    reports: Reports
    fresh: bool = True

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.port}{path}"

    async def token(self, role: Role = Role.CONTROL) -> str:
        return await self.pairing.pair(self.pairing.offer(role).text, role)

    async def socket(self, token: str | None = None) -> ClientWebSocketResponse:
        """Upgraded; nothing read yet."""
        return await self.session.ws_connect(
            self.url(wire.PATH), headers=bearer(token or await self.token()), max_msg_size=0
        )

    async def started(self, last_occurrence: int | None = None, token: str | None = None) -> ClientWebSocketResponse:
        """Upgraded, greeted and subscribed; the snapshot not read yet."""
        socket = await self.socket(token)
        assert (await told(socket))["type"] == "hello"
        await say(socket, wire.Start(type="start", schema=1, last_occurrence=last_occurrence))
        return socket

    async def happen(self, kind: str, count: int = 1) -> None:
        """Happenings as the core makes them: first on disk, then told."""
        happenings = [Happening(kind, "site", NOW, {"n": index}) for index in range(count)]
        for numbered in await self.journal.append_happenings(happenings):
            self.hub.occurred(numbered)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def command(name: str, command_id: str = "c1", **args: Any) -> wire.Command:
    return wire.Command(type="command", id=command_id, name=name, args=args, deadline=_in(10))


def _in(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


async def say(socket: ClientWebSocketResponse, message: Mapping[str, Any]) -> None:
    await socket.send_str(wire.encode(message))


async def told(socket: ClientWebSocketResponse) -> dict[str, Any]:
    """The next message."""
    return wire.decode(await socket.receive_str(timeout=10))


async def until(fact: Callable[[], bool], within_s: float = 10.0) -> None:
    """Return as soon as ``fact`` is one."""
    async with asyncio.timeout(within_s):
        while not fact():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.005)


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    patience: Patience | None = None,
    bounds: Bounds | None = None,
    listen: Listen | None = None,
    shown: bool = True,
) -> AsyncIterator[House]:
    """A door that is open; with the golden state behind it, if ``shown``."""
    journal = await SqliteJournal.open(folder)
    clock, doer = HandClock(), Doer()
    doer.gate.set()
    hub, pairing = Hub(await journal.last_number()), Pairing(journal, clock)
    await pairing.load()
    fresh: Callable[[], bool] = lambda: house.fresh  # noqa: E731
    check: Callable[[], Awaitable[Any]] = _check
    reports = Reports(clock)
    commands = Commands(doer, journal, hub, pairing, clock, reports)
    edge = Edge("5f0c2b7d9a1e4c33", "0.1.0", hub, journal, pairing, commands, fresh, check, doer.recording)
    server = ApiServer(edge, listen or Listen("127.0.0.1", 0), bounds=bounds, patience=patience)
    async with ClientSession() as session:
        house = House(server, hub, journal, pairing, clock, doer, session, reports)
        await server.start()
        if shown:
            hub.publish(state())
        try:
            yield house
        finally:
            await server.stop()
            await journal.close()


async def _check() -> list[dict[str, Any]]:
    return [{"device": "garage", "ok": True, "text": "answers"}]
