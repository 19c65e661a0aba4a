"""A client that reports, as Home Assistant does: what it sees, and an island switch that it moves when asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from edge_service.api import wire
from edge_service.api.pairing import Role
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, RunningEdge, soon

type Changed = Callable[[wire.State], object]


class Reporter:
    """One open socket. ``state`` follows what it is sent; results are handed to who asked."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._asked: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self.state: Mapping[str, Any] = {}
        self.seen: Callable[[], None] = lambda: None

    async def report(self, **args: Any) -> Mapping[str, Any]:
        """The answer to one report."""
        report_id = f"report-{len(self._asked)}"
        self._asked[report_id] = answer = asyncio.get_running_loop().create_future()
        message = {"type": "command", "id": report_id, "name": "report", "args": args, "deadline": soon()}
        await self._socket.send_str(wire.encode(message))
        async with asyncio.timeout(10):
            result: Mapping[str, Any] = await answer
        return result

    async def tell_grid(self, present: bool | None, **more: Any) -> Mapping[str, Any]:
        """Its one entity's word on the grid."""
        piece = {"source": "binary_sensor.street", "present": present, "detail": str(present), "confidence": "likely"}
        return await self.report(evidence=[piece | {"position": "grid_side"} | more])

    async def listen(self) -> None:
        """Take messages until the socket closes."""
        async for frame in self._socket:
            message = wire.decode(frame.data)
            if message["type"] == "snapshot":
                self.state = message["state"]
            elif message["type"] == "change":
                self.state = wire.apply(self.state, message["set"], message["removed"])
            elif message["type"] == "result":
                self._asked[message["id"]].set_result(message)
            self.seen()


@asynccontextmanager
async def reporting(edge: RunningEdge, role: Role = Role.CONTROL) -> AsyncIterator[Reporter]:
    """A paired client on an open socket that is past its snapshot."""
    pairing = edge.edge.pairing
    headers = {"Authorization": f"Bearer {await pairing.pair(pairing.offer(role).text, role)}"}
    url = f"http://{HOST}:{edge.edge.port}{wire.PATH}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers, max_msg_size=0) as socket:
        reporter = Reporter(socket)
        await socket.send_str(wire.encode(wire.Start(type="start", schema=1, last_occurrence=None)))
        listening = asyncio.create_task(reporter.listen(), name="reporter")
        try:
            yield reporter
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


class SwitchOfHomeAssistant:
    """Moves the simulated switch when the edge wants it, and reports its contacts; ``obeys`` False: it does not."""

    def __init__(self, site: SimulatedSite, reporter: Reporter) -> None:
        self._site, self._reporter = site, reporter
        self._wanted: str | None = None
        self.obeys = True
        self.asked: list[str] = []
        reporter.seen = self._look

    def _look(self) -> None:
        """Once for each time that a movement is wanted."""
        switch = self._reporter.state.get("site", {}).get("switch") or {}
        wanted = switch.get("wanted")
        if wanted is not None and wanted != self._wanted:
            self.asked.append(wanted)
            if self.obeys:
                self._site.house.command_switch(open_=wanted == "open")
        self._wanted = wanted

    async def follow(self) -> None:
        """Report the contacts as they change, until cancelled."""
        told = None
        while True:
            switch = self._site.house.switch
            contacts = (switch.commanded_open, switch.open_proven, switch.closed_proven)
            if contacts != told:
                told = contacts
                names = ("commanded_open", "open_proven", "closed_proven")
                await self._reporter.report(switch=dict(zip(names, contacts, strict=True)))
            await asyncio.sleep(0.02)


@asynccontextmanager
async def moving_the_switch(site: SimulatedSite, reporter: Reporter) -> AsyncIterator[SwitchOfHomeAssistant]:
    """A reporter that owns the site's switch."""
    switch = SwitchOfHomeAssistant(site, reporter)
    following = asyncio.create_task(switch.follow(), name="switch of Home Assistant")
    try:
        yield switch
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
