"""The demo's house: simulated site and utility, and the edge service, each a process of its own on loopback."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from demo.loads import Load, relays, simulated
from demo.processes import HOST, Child, DemoError, command, free_port, require_free

ROOT = Path(__file__).parents[1]
RIDETHROUGH = ROOT / ".venv-edge" / "bin" / "ridethrough"
CHARGER, PROGRAM = "driveway", "peak"
# As `ridethrough simulate utility` and the edge have them if nothing else is said.
UTILITY_PORT, EDGE_PORT = 8731, 8127
# Of the simulated utility, which runs on this machine only.
CLIENT_ID, CLIENT_SECRET = "ven-client", "ven-secret"
PAY_USD_PER_KW = 275
EXPORT_MAX_W = 9600
STARTS_WITHIN_S = 30.0
ANSWERS_WITHIN_S = 5.0

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pace:
    """Delays of a site, shortened so that a person, or a test, sees the whole. ``lease_s`` 15 is the least allowed."""

    enter_service_s: float = 20.0
    announce_return_s: float = 5.0
    lease_s: int = 30
    soc_pct: float = 70.0
    # How long the charger bears more than its rating in an island, before it trips.
    overload_s: float = 1.0


# What the same delays are at a real site, in the words of docs/configuration.md.
REAL_DELAYS = {"enter_service_s": 300, "announce_return_s": 60, "lease_s": 60}


SITE_YAML = """\
# Written by the demo at each start; nothing here is kept.
site:
  name: Home
  time_zone: America/New_York
  import_max_a: 100
  export_max_w: {export_max_w}
  enter_service_s: {pace.enter_service_s}
  announce_return_s: {pace.announce_return_s}
chargers:
  {charger}:
    name: Driveway charger
    model: sunspec_der
    address: {host}:{site[charger_port]}
    lease_s: {pace.lease_s}
meter:
  model: sunspec_meter
  address: {host}:{site[meter_port]}
  position: grid_side
island_switch:
  model: modbus_io
  address: {host}:{site[switch_port]}
api:
  host: {listen}
  port: {edge_port}
  announce: {announce}
data: data
"""


class House:
    """Three processes and what can be asked of them. Everything that they keep is below ``folder``."""

    def __init__(
        self,
        folder: Path,
        pace: Pace,
        edge_port: int = 0,
        utility_port: int = 0,
        loads: Sequence[Load] = (),
        listen: str = HOST,
    ) -> None:
        """A port of 0: any free one. ``loads``: what can be switched. ``listen``: the edge's, with TLS off loopback."""
        self.folder, self.pace, self.loads, self.listen = folder, pace, loads, listen
        self.control_port = free_port()
        self.edge_port = edge_port or free_port()
        self.utility_port = utility_port or free_port()
        self.site_file, self.announcement = folder / "site.yaml", folder / "site.json"
        self.simulated: Json = {}
        logs = folder / "logs"
        numbers: tuple[str | float, ...] = ("--enter-service-s", pace.enter_service_s, "--soc-pct", pace.soc_pct)
        numbers += ("--overload-s", pace.overload_s, "--control-port", self.control_port)
        self.site = Child(
            "the simulated site",
            map(
                str,
                (RIDETHROUGH, "simulate", "site", "--announce-file", self.announcement, *numbers, *simulated(loads)),
            ),
            logs / "site.log",
        )
        self.utility = Child(
            "the simulated utility",
            (RIDETHROUGH, "simulate", "utility", "--port", str(self.utility_port)),
            logs / "utility.log",
        )
        self.edge = Child("the edge service", (RIDETHROUGH, "run", "--config", self.site_file), logs / "edge.log")
        self._stack = AsyncExitStack()

    @property
    def utility_url(self) -> str:
        return f"http://{HOST}:{self.utility_port}"

    @property
    def control_url(self) -> str:
        """Of the simulated site."""
        return f"http://{HOST}:{self.control_port}"

    @property
    def edge_url(self) -> str:
        return f"http{'' if self.listen == HOST else 's'}://{self.listen}:{self.edge_port}"

    async def __aenter__(self) -> Self:
        """Start all three and wait until the edge has decided about the charger. Raises ``DemoError``."""
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _open(self) -> None:
        self._check()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.announcement.unlink(missing_ok=True)
        # The edge's certificate is its own, and this is its own machine.
        session = ClientSession(timeout=ClientTimeout(total=ANSWERS_WITHIN_S), connector=TCPConnector(ssl=False))
        self._http = await self._stack.enter_async_context(session)
        for child in (self.site, self.utility, self.edge):
            self._stack.push_async_callback(child.stop)
        await asyncio.gather(self.site.start(), self.utility.start())
        await self.site.ready(self._site_is_announced, STARTS_WITHIN_S, "listen")
        self._write_site_file()
        await self._join_program()
        await self.utility.ready(self._utility_answers, STARTS_WITHIN_S, "answer")
        await self.start_edge()

    def _check(self) -> None:
        if not RIDETHROUGH.exists():
            raise DemoError(f"{RIDETHROUGH} is missing; run scripts/setup")
        remedy = "end what listens there (another demo?) and try again"
        require_free(self.edge_port, "the edge service", remedy)
        require_free(self.utility_port, "the simulated utility", remedy)

    async def _site_is_announced(self) -> bool:
        if not self.announcement.exists():
            return False
        self.simulated = json.loads(self.announcement.read_text(encoding="utf-8"))
        return True

    def _write_site_file(self) -> None:
        text = SITE_YAML.format(
            pace=self.pace,
            charger=CHARGER,
            host=HOST,
            site=self.simulated,
            listen=self.listen,
            announce=str(self.listen != HOST).lower(),
            edge_port=self.edge_port,
            export_max_w=EXPORT_MAX_W,
        )
        text += relays(self.loads, f"{HOST}:{self.simulated['relay_port']}")
        self.site_file.write_text(text, encoding="utf-8")

    async def _join_program(self) -> None:
        await command(
            (
                *(RIDETHROUGH, "program", "add", "openadr3", "--config", self.site_file),
                *("--id", PROGRAM, "--name", "Peak power", "--url", f"{self.utility_url}/openadr3/3.1.0"),
                *("--client-id", CLIENT_ID, "--client-secret-stdin", "--replace"),
                *("--pay-usd-per-kw", str(PAY_USD_PER_KW)),
            ),
            given=CLIENT_SECRET,
        )

    async def _utility_answers(self) -> bool:
        try:
            await self.utility_truth()
        except ClientError:
            return False
        return True

    async def start_edge(self) -> None:
        """Start the edge, also after it was killed, and wait until it knows its charger and its grid."""
        await self.edge.start()
        await self.edge.ready(self._edge_knows, STARTS_WITHIN_S, "know its charger and its grid")

    async def _edge_knows(self) -> bool:
        state = await self.state()
        if state is None:
            return False
        return bool(state["chargers"][CHARGER]["connected"]) and state["site"]["grid"] != "unknown"

    def require_alive(self) -> None:
        """Raises ``DemoError`` with the log of a process that has ended by itself."""
        for child in (self.site, self.utility, self.edge):
            child.require_alive()

    # ---------------------------------------------------------------------------------------------------------- asking

    async def state(self) -> Json | None:
        """What the edge tells its own command line; None while it is not there or not ready."""
        try:
            return await self._get(f"{self.edge_url}/api/v1/state", {"Authorization": f"Bearer {self._token()}"})
        except OSError, ClientError, TimeoutError:
            return None

    async def occurrences(self) -> list[Json]:
        """Everything that the edge says has happened since it was installed, over its contract."""
        token = await asyncio.to_thread(self._token)
        headers = {"Authorization": f"Bearer {token}"}
        told: list[Json] = []
        async with self._http.ws_connect(f"{self.edge_url}/api/v1/socket", headers=headers) as socket:
            await socket.receive_json(timeout=ANSWERS_WITHIN_S)
            await socket.send_json({"type": "start", "schema": 1, "last_occurrence": 0})
            snapshot = await socket.receive_json(timeout=ANSWERS_WITHIN_S)
            while len(told) < snapshot["last_occurrence"]:
                message = await socket.receive_json(timeout=ANSWERS_WITHIN_S)
                if message["type"] == "occurrence":
                    told.append(message)
        return told

    def _token(self) -> str:
        """Of the edge's own command line."""
        return (self.folder / "data" / "local.token").read_text(encoding="ascii").strip()

    async def truth(self) -> Json:
        """What is physically so at the site."""
        return await self._get(f"{self.simulated['control_url']}/truth")

    async def writes(self, since: int = 0) -> list[Json]:
        """Every Modbus write after this number, oldest first."""
        answer = await self._get(f"{self.simulated['control_url']}/writes?since={since}")
        listed: list[Json] = answer["writes"]
        return listed

    async def utility_truth(self) -> Json:
        """The requests that the utility saw and the objects that it holds."""
        return await self._get(f"{self.utility_url}/simulate/truth")

    async def _get(self, url: str, headers: dict[str, str] | None = None) -> Json:
        async with self._http.get(url, headers=headers, raise_for_status=True) as response:
            answer: Json = await response.json()
            return answer

    # ---------------------------------------------------------------------------------------------------------- acting

    async def simulate(self, *words: str) -> None:
        """Make something happen by the command that a person types: ``outage``, ``restore``, ``event`` and its like."""
        where = ("--utility", f"{self.utility_url}/simulate")
        if words[0] not in ("event", "cancel"):
            where = ("--site", self.simulated["control_url"])
        await command((RIDETHROUGH, "simulate", *words, *where))

    async def warn(self, kind: str, duration_s: float, name: str) -> None:
        """The utility warns, from now on: ``wind``, ``fire`` and their like."""
        wish = {"word": f"ALERT_{kind.upper()}", "start_in_s": 0, "duration_s": duration_s, "name": name, "text": name}
        async with self._http.post(f"{self.utility_url}/simulate/alert", json=wish, raise_for_status=True):
            pass

    async def pairing_code(self) -> str:
        """A new code for Home Assistant, as a person reads it from the terminal."""
        shown = await command((RIDETHROUGH, "pair", "--config", self.site_file))
        for line in shown.splitlines():
            _, found, code = line.strip("│ ").partition("Pairing code:")
            if found:
                return code.strip()
        raise DemoError(f"ridethrough pair showed no code:\n{shown}")


def at(text: str) -> datetime:
    """A time as the processes write it."""
    return datetime.fromisoformat(text)
