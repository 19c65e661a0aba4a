"""A Home Assistant gone wild: commands and reports without end, and a well-behaved subscriber beside it."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import aiohttp

from benchmarks.rig import CHARGER, ORDER_W
from edge_service.api import wire
from edge_service.command_line.local_edge import LocalEdge

# Of each of the two, on a socket of its own so that neither waits for the other.
A_SECOND = 50


async def paired(http: aiohttp.ClientSession, edge: LocalEdge, name: str) -> str:
    """A token with the role of a Home Assistant."""
    code = (await asyncio.to_thread(edge.command, "new_pairing_code", {}))["code"]
    async with http.post(f"http://{edge.host}:{edge.port}{wire.PAIR_PATH}", json={"code": code, "name": name}) as found:
        found.raise_for_status()
        return str((await found.json())["token"])


@asynccontextmanager
async def socket(
    http: aiohttp.ClientSession, edge: LocalEdge, token: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A client's socket after its start."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"ws://{edge.host}:{edge.port}{wire.PATH}"
    async with http.ws_connect(url, headers=headers, max_msg_size=0) as one:
        await one.receive_json()
        await one.send_json({"type": "start", "schema": wire.HIGHEST_SCHEMA})
        yield one


def commands() -> Iterator[tuple[str, dict[str, Any]]]:
    """Orders that differ from the last one, so that each is carried out, written and sent to the charger."""
    for number in count():
        until = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
        yield "discharge", {"charger": CHARGER, "power_w": ORDER_W - 100 * (number % 2), "until": until}


def reports() -> Iterator[tuple[str, dict[str, Any]]]:
    """What a Home Assistant sees of the grid; each word is another one, and wakes the cycle."""
    for number in count():
        hint = {"source": "binary_sensor.grid", "present": bool(number % 2), "confidence": "hint"}
        yield "report", {"evidence": [hint]}


async def flood(one: aiohttp.ClientWebSocketResponse, wishes: Iterator[tuple[str, dict[str, Any]]]) -> None:
    """Send one after the other at the pace, or as fast as they are taken."""
    for name, args in wishes:
        deadline = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        message = {"type": "command", "id": uuid.uuid4().hex, "name": name, "args": args, "deadline": deadline}
        await asyncio.gather(one.send_str(json.dumps(message)), asyncio.sleep(1 / A_SECOND))


async def listen(one: aiohttp.ClientWebSocketResponse) -> None:
    """Take what comes."""
    async for _ in one:
        pass


async def start_flood(stack: AsyncExitStack, edge: LocalEdge) -> None:
    """Flood the edge and subscribe to it until ``stack`` ends."""
    http = await stack.enter_async_context(aiohttp.ClientSession())
    tasks: list[asyncio.Task[None]] = []
    for wishes in (commands(), reports(), None):
        token = await paired(http, edge, "flood")
        one = await stack.enter_async_context(socket(http, edge, token))
        tasks.append(asyncio.create_task(listen(one)))
        if wishes is not None:
            tasks.append(asyncio.create_task(flood(one, wishes)))
    stack.push_async_callback(_ended, tasks)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
