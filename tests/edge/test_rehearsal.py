"""A rehearsed event at a real edge with a simulated charger, from the command to the log."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from edge_service.api import wire
from edge_service.domain.model import Event, Slot
from tests.edge.edge_kit import HOST, RunningEdge, a_house

UID = "hand:rehearsal:test"
# Five seconds for the charger, five for the readings, and some to measure.
PULSE_S = 14.0


async def log(edge: RunningEdge) -> list[Mapping[str, Any]]:
    token = (edge.edge.config.data / "local.token").read_text()
    headers = {"Authorization": f"Bearer {token}"}
    url = f"http://{HOST}:{edge.edge.port}/api/v1/log/rehearsals"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        entries: list[Mapping[str, Any]] = (await answer.json())["entries"]
    return entries


async def logged(edge: RunningEdge) -> Mapping[str, Any]:
    """The last entry, once there is one."""
    async with asyncio.timeout(10):
        entries = await log(edge)
        while not entries:
            entries = await log(edge)
    return entries[0]


def power_w(state: wire.State) -> int:
    return state["chargers"]["driveway"]["power_w"] or 0


def event_of(state: wire.State, uid: str) -> Any:
    events = [event for program in state["programs"].values() for event in program["events"]]
    return next((event for event in events if event["uid"] == uid), None)


def short_one(seconds: float, *, dry: bool) -> Event:
    """As the command makes it, but of seconds."""
    start = datetime.now(UTC) + timedelta(seconds=1)
    slots = (Slot(start, start + timedelta(seconds=seconds), power_w=-2000),)
    return Event(UID, "manual", "Rehearsal", datetime.now(UTC), slots, rehearsal=True, dry=dry)


async def test_a_pulse_moves_the_charger_and_is_scored_and_never_settled(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge):
        await edge.edge.intake.enter(short_one(PULSE_S, dry=False))
        await edge.until(lambda state: power_w(state) <= -1900)
        await edge.until(lambda state: event_of(state, UID)["status"] == "finished", within_s=PULSE_S + 5)
        entry = await logged(edge)
        assert entry["kind"] == "rehearsal_passed"
        assert 0 <= entry["start_s"] <= 1
        assert entry["error_w"] <= 150
        assert entry["energy_wh"] > 0
        assert entry["reasons"] == ["notice_not_brought"]  # no client that brings notices is there
        assert entry["score"] == 90
        await edge.until(lambda state: power_w(state) == 0)
        await edge.edge.ledger.drain()
        assert edge.edge.ledger.rows == []


async def test_a_dry_one_moves_no_register(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (site, edge):
        written: list[int] = []
        await edge.edge.intake.enter(short_one(4, dry=True))
        await edge.until(lambda state: event_of(state, UID) is not None and event_of(state, UID)["status"] == "running")
        while event_of(edge.state, UID)["status"] == "running":
            written.append(power_w(edge.state))
            state = edge.state
            await edge.until(lambda now, before=state: now is not before)  # type: ignore[misc]
        entry = await logged(edge)
        assert (entry["kind"], entry["dry"], entry["energy_wh"]) == ("rehearsal_passed", True, 0)
        assert written
        assert set(written) == {0}
        setpoints = {write.named["704.WSet"] for write in site.writes if "704.WSet" in write.named}
        assert setpoints == {0.0}  # its lease goes on as it would without


async def test_the_commands_make_one_and_take_it_back(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge):
        made = await edge.command("start_rehearsal", dry=False, power_w=1500, minutes=2)
        uid = made["event"]
        state = await edge.until(lambda state: event_of(state, uid) is not None)
        shown = event_of(state, uid)
        assert (shown["rehearsal"], shown["dry"], shown["power_w"]) == (True, False, -1500)
        await edge.command("cancel_rehearsal")
        await edge.until(lambda state: event_of(state, uid)["status"] == "cancelled")
        assert (await logged(edge))["kind"] == "rehearsal_cancelled"
