"""An edge service as the contract describes it, over a real socket: what the integration is tested against."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from aiohttp import WSMsgType, web
from freezegun.api import real_monotonic

from custom_components.ridethrough import wire

INSTALLATION = "5d1f0c9ab2e34c76"
TOKEN = "a-long-token"
CODE = "482913"


def at(seconds: float = 0) -> str:
    """A time of the contract, from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def event(uid: str = "peak-1", status: str = "prepared", start_s: float = 3600, end_s: float = 7200) -> wire.EventWire:
    """A peak event that asks 5 kW."""
    return {
        "uid": uid,
        "name": "Summer peak",
        "status": status,
        "start": at(start_s),
        "end": at(end_s),
        "power_w": -5000,
        "feasible_w": -4800,
        "energy_wh": 0,
        "average_w": None,
        "site_energy_wh": None,
        "earnings_usd": None,
        "site_average_w": None,
        "gap_s": 0,
        "flags": [],
        "asks": False,
        "rehearsal": False,
        "dry": False,
        "day": "2026-07-15",
        "stake_usd": 12.4,
        "limited_by": None,
        "opted_out": False,
    }


def notice(number: int, key: str = "outage", kind: str = "outage", **data: Any) -> wire.NoticeWire:
    """A standing notice."""
    return {"number": number, "key": key, "kind": kind, "level": "critical", "raised_at": at(), "data": data}


def home() -> wire.State:
    """A house on the grid, its car plugged in and resting, one program with an event to come."""
    return {
        "site": {
            "name": "Home",
            "grid": "on",
            "grid_since": at(-7200),
            "supply": "grid",
            "islanding": "tied",
            "returning_at": None,
            "evidence": [{"source": "charger:driveway", "present": True, "detail": "ConnSt", "at": at()}],
            "has_meter": True,
            "has_backup": True,
            "export_permitted": True,
            "mode": "automatic",
            "stopped": False,
            "reason": "idle",
            "backup_reserve_pct": 30.0,
            "at_end": "stop",
            "grid_power_w": 1200,
            "house_power_w": 1200,
            "energy_imported_wh": 120_000,
            "energy_exported_wh": 34_000,
            "switch": {"commanded_open": False, "open_proven": False, "closed_proven": True},
            "outage": None,
            "started_at": at(-86_400),
            "cycle_late_p99_ms": 12.0,
            "time_zone": "America/New_York",
            "storm": None,
            "backup_reserve_effective_pct": 30.0,
            "contacts": {"generator": False, "stop": False, "grid_lost": False},
            "generator_max_w": 3000,
            "leg_power_w": [700, 500],
            "disputed": False,
            "neutral_lost": False,
            "kind": "island_switch",
            "runtime": {"p10_h": 14.5, "p50_h": 18.0, "p90_h": 24.0, "usable_wh": 31_200, "load_w": 1700},
            "readiness": {"level": "ready", "reasons": []},
            "alerts": [],
            "storm_reserve_pct": 90.0,
            "heeds_alerts": True,
            "drill": None,
            "drill_schedule": None,
            "dark_start_at": None,
            "backup_retry": None,
            "solar_power_w": -2400,
            "outages": 3,
            "clock_offset_ms": 12.0,
            "storage_free_mb": 51_200,
        },
        "chargers": {
            "driveway": {
                "name": "Driveway charger",
                "manufacturer": "Example",
                "model": "DER 9.6",
                "serial": "SN-0042",
                "version": "1.2",
                "connected": True,
                "state": "idle",
                "authority": "ours",
                "plugged": True,
                "soc_pct": 78.0,
                "capacity_wh": 60_000,
                "power_w": 0,
                "charge_max_w": 9600,
                "discharge_max_w": 9600,
                "energy_charged_wh": 500_000,
                "energy_discharged_wh": 90_000,
                "forming": False,
                "can_back_up": True,
                "lease_remaining_s": None,
                "drivers_reserve_pct": 20.0,
                "order": None,
                "manual": None,
                "reason": "idle",
                "why": [],
                "departure": None,
                "departures": [],
                "miles_per_kwh": 3.0,
                "alarms": [],
                "drivers_reserve_miles": None,
                "drivers_reserve_effective_pct": 20.0,
                "lent_pct": 0.0,
                "charge_limit_w": None,
                "discharge_limit_w": None,
                "session_charged_wh": 2100,
                "session_discharged_wh": 640,
                "backup_wh": 15_400,
                "events_wh": 68_200,
                "voltage_v": 240.1,
                "current_a": 0.0,
                "frequency_hz": 60.0,
                "temperature_c": 31.5,
                "bidirectional": True,
                "blocked_by": None,
                "clears_faults": True,
                "restarts": True,
            }
        },
        "programs": {
            "peak": {
                "name": "Peak power",
                "kind": "openadr3",
                "connected": True,
                "last_contact": at(),
                "participating": True,
                "event_floor_pct": 10.0,
                "events": [event()],
                "season_average_w": 4700,
                "season_earnings_usd": 310.5,
                "season_events": 4,
                "preset": "generic",
                "measure": "charger",
                "days_opted_out": [],
                "season_year": 2026,
                "season_site_average_w": 4100,
                "season_missed": 0,
                "season_opted_out": 0,
                "season_projection_usd": 1292.5,
                "season_events_expected": 45,
                "problem": None,
                "version": "3.1",
            }
        },
        "notices": [],
        "loads": {"pool": load(), "heat": load("Heat pump", owner="edge", measured_w=900)},
        "companions": {},
    }


def load(name: str = "Pool pump", **changes: Any) -> wire.LoadWire:
    """A load group that Home Assistant switches, on and left alone."""
    return cast(
        "wire.LoadWire",
        {
            "name": name,
            "owner": "home_assistant",
            "tier": "nice_to_have",
            "power_w": 1500,
            "legs": [],
            "shed_below_pct": 50.0,
            "medical": False,
            "wanted": "on",
            "state": "on",
            "reason": "",
            "since": None,
            "measured_w": None,
            "gain_h": 5.5,
            "by_hand": None,
            "hours": [],
        }
        | changes,
    )


def of_an_older_edge(state: wire.State) -> wire.State:
    """The same without the keys that were added to the schema since its first day."""
    older: Any = deepcopy(state)
    older["site"] = {key: older["site"][key] for key in wire.SiteWire.__required_keys__}
    for name, charger in older["chargers"].items():
        older["chargers"][name] = {key: charger[key] for key in wire.ChargerWire.__required_keys__}
    for name, program in older["programs"].items():
        older["programs"][name] = {key: program[key] for key in wire.ProgramWire.__required_keys__}
        events = [{key: one[key] for key in wire.EventWire.__required_keys__} for one in program["events"]]
        older["programs"][name]["events"] = events
    del older["loads"], older["companions"]
    return cast("wire.State", older)


def departure(hours: float = 10, **changes: Any) -> wire.DepartureState:
    """A bus that leaves each school day, with time to wait."""
    return cast(
        "wire.DepartureState",
        {
            "id": "weekly",
            "at": at(hours * 3600),
            "soc_pct": 80.0,
            "miles": None,
            "stage": "waits",
            "target_pct": 80.0,
            "reaches_pct": 80.0,
            "charging": False,
        }
        | changes,
    )


class Peer:
    """Speaks the contract; a test changes ``state`` by ``push`` and reads what commands came in."""

    def __init__(self) -> None:
        self.state = home()
        self.seq = 0
        self.history: list[wire.Occurrence] = []
        self.undelivered: list[wire.NoticeWire] = []
        self.commands: list[wire.Command] = []
        self.reports: list[dict[str, Any]] = []
        self.answers: dict[str, Callable[[dict[str, Any]], wire.CommandError | None]] = {}
        self.brings: dict[str, dict[str, Any]] = {}
        self.starts: list[wire.Start] = []
        self.token = TOKEN
        # What is given for the code, where that is another token than it knows afterwards.
        self.token_given: str | None = None
        self.code = CODE
        # Of its certificate, as it tells it; None: it says nothing.
        self.fingerprint: str | None = None
        # What it was told by those who wanted to pair, and the tokens that it was shown.
        self.pairings: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.pair_status: int | None = None
        self.recording: Any = {"recordings": []}
        self.logs: dict[str, Any] = {}
        self.logs_asked: list[str] = []
        self.installation = INSTALLATION
        self.version = "0.1.0"
        self.schemas = (1, 1)
        self.silent = False
        # Commands of these names are answered when a test says so, by ``answer_all``.
        self.slow: set[str] = set()
        self._owed: list[tuple[web.WebSocketResponse, wire.Command]] = []
        self.port = 0
        self._sockets: list[web.WebSocketResponse] = []
        self._runner: web.AppRunner | None = None

    # ------------------------------------------------------------------------------------------------- its life

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen, on the same port as before if there was one."""
        app = web.Application()
        app.router.add_post(wire.PAIR_PATH, self._pair)
        app.router.add_get(wire.PATH, self._socket)
        app.router.add_get(wire.RECORDING_PATH, self._recording)
        app.router.add_get("/api/v1/log/{of}", self._log)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Go away, with every connection."""
        for socket in list(self._sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until something has come in."""
        latest = real_monotonic() + 60
        while not met():
            assert real_monotonic() < latest, "it did not come"
            await asyncio.sleep(0)

    # ------------------------------------------------------------------------------------------------- what it says

    async def _pair(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.pairings.append(body)
        if self.pair_status is not None:
            return web.Response(status=self.pair_status)
        if body["code"] != self.code:
            return web.json_response({"error": {"code": "wrong_code"}}, status=403)
        token = self.token_given or self.token
        told = {"token": token, "installation": self.installation, "fingerprint": self.fingerprint}
        return web.json_response(told)

    async def _recording(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized
        return web.json_response(self.recording) if self.recording is not None else web.Response(status=404)

    async def _log(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized
        self.logs_asked.append(request.path_qs)
        log = self.logs.get(request.match_info["of"])
        return web.json_response(log) if log is not None else web.Response(status=404)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        self.asked.append(request.headers.get("Authorization", ""))
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse(autoping=not self.silent)
        await socket.prepare(request)
        low, high = self.schemas
        await self._send(
            socket,
            {
                "type": "hello",
                "product": "ridethrough",
                "version": self.version,
                "installation": self.installation,
                "schema_low": low,
                "schema_high": high,
            },
        )
        self._sockets.append(socket)
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    await self._hear(socket, wire.decode(frame.data))
        finally:
            self._sockets.remove(socket)
        return socket

    async def _hear(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if message["type"] == "start":
            await self._welcome(socket, cast("wire.Start", message))
        elif message["type"] == "command":
            await self._obey(socket, cast("wire.Command", message))

    async def _welcome(self, socket: web.WebSocketResponse, start: wire.Start) -> None:
        self.starts.append(start)
        last = len(self.history)
        await self._send(socket, {"type": "snapshot", "seq": self.seq, "state": self.state, "last_occurrence": last})
        for occurrence in self.history[start["last_occurrence"] if start["last_occurrence"] is not None else last :]:
            await self._send(socket, occurrence)
        for undelivered in self.undelivered:
            await self._send(socket, {"type": "notice", "notice": undelivered})

    async def _obey(self, socket: web.WebSocketResponse, command: wire.Command) -> None:
        if command["name"] == "report":
            self.reports.append(command["args"])
        else:
            self.commands.append(command)
        if command["name"] in self.slow:
            self._owed.append((socket, command))
        else:
            await self._answer(socket, command)

    async def answer_all(self) -> None:
        """What was kept waiting so far."""
        owed, self._owed = self._owed, []
        for socket, command in owed:
            await self._answer(socket, command)

    async def _answer(self, socket: web.WebSocketResponse, command: wire.Command) -> None:
        if command["name"] == "notice_delivered":
            self.undelivered = [one for one in self.undelivered if one["number"] != command["args"]["number"]]
        refuse = self.answers.get(command["name"])
        error = refuse(command["args"]) if refuse else None
        answer: dict[str, Any] = {"type": "result", "id": command["id"], "ok": error is None}
        await self._send(
            socket,
            answer
            | ({"error": error} if error else {"stage": "accepted", "data": self.brings.get(command["name"], {})}),
        )

    async def _send(self, socket: web.WebSocketResponse, message: Any) -> None:
        await socket.send_str(wire.encode(message))

    async def _send_all(self, message: Any) -> None:
        for socket in list(self._sockets):
            await self._send(socket, message)

    # ------------------------------------------------------------------------------------------------- what happens

    async def push(self, change: Callable[[Any], object], *, lose: bool = False) -> None:
        """Change the state and tell; ``lose``: the message gets lost on the way."""
        before = cast("dict[str, Any]", deepcopy(self.state))
        change(self.state)
        put, gone = wire.changes(before, cast("dict[str, Any]", self.state))
        self.seq += 1
        if not lose:
            await self._send_all({"type": "change", "seq": self.seq, "set": put, "removed": gone})

    async def happen(self, kind: str, subject: str = "site", **data: Any) -> None:
        """Something happens, once."""
        occurrence: wire.Occurrence = {
            "type": "occurrence",
            "number": len(self.history) + 1,
            "kind": kind,
            "subject": subject,
            "at": at(),
            "data": data,
        }
        self.history.append(occurrence)
        await self._send_all(occurrence)

    async def raise_notice(self, new: wire.NoticeWire) -> None:
        """A notice begins to stand and is brought to people."""
        self.undelivered.append(new)
        standing = [one for one in self.state["notices"] if one["key"] != new["key"]]
        await self.push(lambda state: state.update(notices=[*standing, new]))
        await self._send_all({"type": "notice", "notice": new})

    async def say(self, text: str) -> None:
        """Send anything at all."""
        for socket in list(self._sockets):
            await socket.send_str(text)

    def named(self, name: str) -> list[dict[str, Any]]:
        """The arguments of the commands of this name, as they came."""
        return [command["args"] for command in self.commands if command["name"] == name]

    async def drop(self) -> None:
        """Cut every connection, and be there for the next one."""
        for socket in list(self._sockets):
            await socket.close()


type Refusal = Callable[[dict[str, Any]], wire.CommandError | None]


def refusing(code: str, message: str = "no", **data: Any) -> Refusal:
    """An answer that refuses."""
    return lambda _: {"code": code, "message": message, "data": data}


type Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
