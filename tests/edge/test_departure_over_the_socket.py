"""A departure that a paired client sets over the socket: kept, shown, and charged for when it is due."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp

from edge_service.api import wire
from edge_service.simulation import acts
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, QUICK_SITE, RunningEdge, config_of, running, soon


@dataclass
class PairedClient:
    """Somebody else's program with a token of role ``control``; it reads only while it waits for something."""

    socket: aiohttp.ClientWebSocketResponse
    state: dict[str, Any]
    sent: int = 0

    async def command(self, name: str, /, **args: Any) -> dict[str, Any]:
        """The answer to a command, whatever it is."""
        self.sent += 1
        number = f"{name}-{self.sent}"
        command = wire.Command(type="command", id=number, name=name, args=args, deadline=soon())
        await self.socket.send_str(wire.encode(cast("Mapping[str, Any]", command)))
        return await self._until(lambda message: message["type"] == "result" and message["id"] == number)

    async def until_charger(self, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The charger as it is shown once ``holds``."""
        if not holds(self.charger):
            await self._until(lambda _: bool(holds(self.charger)))
        return self.charger

    @property
    def charger(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.state["chargers"]["driveway"]
        return shown

    async def _until(self, met: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(15):
            while True:
                message = wire.decode(await self.socket.receive_str())
                if message["type"] == "snapshot":
                    self.state = message["state"]
                elif message["type"] == "change":
                    self.state = wire.apply(self.state, message["set"], message["removed"])
                if met(message):
                    return message


@asynccontextmanager
async def paired(edge: RunningEdge) -> AsyncIterator[PairedClient]:
    """A client that paired with a code, greeted and subscribed."""
    code = (await edge.command("new_pairing_code"))["code"]
    base = f"http://{HOST}:{edge.edge.port}"
    async with aiohttp.ClientSession() as session:
        async with session.post(base + wire.PAIR_PATH, json={"code": code, "name": "a client"}) as answer:
            token = (await answer.json())["token"]
        async with session.ws_connect(base + wire.PATH, headers={"Authorization": f"Bearer {token}"}) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            await socket.send_json(wire.Start(type="start", schema=1, last_occurrence=None))
            yield PairedClient(socket, (await socket.receive_json())["state"])


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


async def setpoint_w(site: SimulatedSite) -> object:
    truth = await asyncio.to_thread(acts.truth, site.control_url)
    return truth["charger"]["setpoint_w"]


@asynccontextmanager
async def a_house_in(folder: Path, time_zone: str | None = None) -> AsyncIterator[tuple[SimulatedSite, RunningEdge]]:
    """A site whose edge is told where it is; a car at 70 %."""
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, folder)
        config = replace(config, site=replace(config.site, time_zone=time_zone))
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            yield site, edge


async def test_a_far_departure_waits_and_a_near_one_charges_at_once(tmp_path: Path) -> None:
    async with a_house_in(tmp_path) as (site, edge), paired(edge) as client:
        assert (client.charger["departure"], client.charger["departures"]) == (None, [])
        far = await client.command("set_departure", charger="driveway", id="trip", at=in_hours(30), soc_pct=90)
        assert far["ok"], far
        shown = await client.until_charger(lambda charger: charger["departure"] and charger["departure"]["stage"])
        assert [plan["id"] for plan in shown["departures"]] == ["trip"]
        assert (shown["departure"]["id"], shown["departure"]["stage"]) == ("trip", "waits")
        assert (shown["departure"]["target_pct"], shown["departure"]["reaches_pct"]) == (90, 90)
        assert (shown["departure"]["charging"], shown["power_w"]) == (False, 0)

        near = await client.command("set_departure", charger="driveway", at=in_hours(0.75), soc_pct=100)
        assert near["ok"], near
        shown = await client.until_charger(lambda charger: charger["departure"]["charging"])
        assert (shown["departure"]["id"], shown["departure"]["stage"]) == ("once", "late")
        assert 70 < shown["departure"]["reaches_pct"] < 100
        assert (shown["reason"], shown["why"][-1]["reason"]) == ("departure", "departure_late")
        await client.until_charger(lambda charger: (charger["power_w"] or 0) > 5000)
        assert await setpoint_w(site) == client.charger["order"]["power_w"] > 5000

        assert (await client.command("skip_departure", charger="driveway", id="once"))["ok"]
        shown = await client.until_charger(lambda charger: charger["power_w"] == 0)
        assert (shown["departure"]["id"], shown["departure"]["charging"]) == ("trip", False)


async def test_a_hold_stands_above_a_departure_and_the_state_says_that_nothing_is_charged_for_it(
    tmp_path: Path,
) -> None:
    async with a_house_in(tmp_path) as (_, edge), paired(edge) as client:
        await client.command("hold", charger="driveway", until=in_hours(2))
        await client.command("set_departure", charger="driveway", at=in_hours(0.5), miles=170)
        shown = await client.until_charger(lambda charger: charger["departure"] and charger["departure"]["stage"])
        departure = shown["departure"]
        assert (departure["miles"], departure["soc_pct"], departure["stage"]) == (170, None, "late")
        assert (departure["charging"], shown["reason"], shown["power_w"]) == (False, "manual", 0)


async def test_a_weekly_departure_needs_to_know_where_the_house_is(tmp_path: Path) -> None:
    school = {"charger": "driveway", "weekdays": ["mon"], "local_time": "07:30", "soc_pct": 80}
    async with a_house_in(tmp_path / "nowhere") as (_, edge), paired(edge) as client:
        refused = await client.command("set_departure", **school)
        assert (refused["ok"], refused["error"]["code"]) == (False, "time_zone_needed")
    async with a_house_in(tmp_path / "east", "America/New_York") as (_, edge), paired(edge) as client:
        assert client.state["site"]["time_zone"] == "America/New_York"
        assert (await client.command("set_departure", **school))["ok"]
        shown = await client.until_charger(lambda charger: charger["departures"] and charger["departure"])
        assert shown["departures"] == [
            {
                "id": "weekly",
                "at": None,
                "weekdays": ["mon"],
                "local_time": "07:30",
                "soc_pct": 80,
                "miles": None,
                "skip_until": None,
            }
        ]
        first = shown["departure"]["at"]
        assert (await client.command("skip_departure", charger="driveway", id="weekly"))["ok"]
        shown = await client.until_charger(lambda charger: charger["departure"]["at"] != first)
        assert shown["departures"][0]["skip_until"] == first


async def test_a_storm_is_shown_to_clients_and_fills_the_vehicle(tmp_path: Path) -> None:
    async with a_house_in(tmp_path) as (_, edge), paired(edge) as client:
        assert client.state["site"]["storm"] is None
        until = in_hours(24)
        assert (await client.command("prepare_for_storm", until=until, reserve_pct=95, name="Tropical storm"))["ok"]
        await client.until_charger(lambda charger: (charger["power_w"] or 0) > 5000)
        site = client.state["site"]
        assert (site["storm"]["reserve_pct"], site["storm"]["name"]) == (95, "Tropical storm")
        assert (site["backup_reserve_pct"], site["backup_reserve_effective_pct"]) == (30, 95)
        assert (await client.command("end_storm"))["ok"]
        await client.until_charger(lambda charger: charger["power_w"] == 0)
        assert (client.state["site"]["storm"], client.state["site"]["backup_reserve_effective_pct"]) == (None, 30)
