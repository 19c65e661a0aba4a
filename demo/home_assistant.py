"""A real Home Assistant: its folder, its process, its first user, and the pairing with the edge."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout

from demo.house import ROOT
from demo.processes import HOST, Child, DemoError, free_port, require_free, until
from demo.tour.phone import Phone
from demo.watching import Watch

HASS = ROOT / ".venv" / "bin" / "hass"
INTEGRATION = ROOT / "custom_components" / "ridethrough"
DASHBOARD = "ridethrough-home"
# Known to everybody who reads this, so it listens on loopback only.
USER, PASSWORD = "resident", "ridethrough"
STARTS_WITHIN_S = 90.0
LOADS_WITHIN_S = 60.0
# Home Assistant writes what it keeps with a delay of ten seconds.
WRITES_WITHIN_S = 30.0

CONFIGURATION = """\
# Written by the demo at each start.
homeassistant:
  name: Home
  time_zone: America/New_York
  latitude: 42.36
  longitude: -71.06
  elevation: 10
  unit_system: us_customary
  country: US
  currency: USD

# A few parts, named, instead of default_config: that one wants Bluetooth, USB and the internet.
frontend:
config:
history:
logbook:
energy:
recorder:
sun:
webhook:
mobile_app:

logger:
  default: warning
  logs:
    # They miss programs that only cameras need.
    haffmpeg: critical
    homeassistant.components.camera.img_util: critical
"""

# A dashboard of the integration's own strategy, as a person has it who picks it in the dialog.
LOVELACE = """
lovelace:
  dashboards:
    {url}:
      mode: yaml
      title: Ridethrough
      icon: mdi:home-battery
      filename: ridethrough.yaml
"""
STRATEGY = "strategy:\n  type: custom:ridethrough\n"


class HomeAssistant:
    """One Home Assistant with the integration in its folder, as HACS would put it there."""

    def __init__(
        self, folder: Path, log: Path, port: int = 0, more_configuration: str = "", *, has_dashboard: bool = True
    ) -> None:
        """A port of 0: any free one. ``more_configuration``: in YAML, keys of their own."""
        self._has_dashboard = has_dashboard
        self._more_configuration = more_configuration
        self.folder = folder
        self.port = port or free_port()
        self.process = Child("Home Assistant", (HASS, "-c", folder, "--log-no-color", "--skip-pip"), log)
        self._stack = AsyncExitStack()
        self._token: Mapping[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def dashboard_url(self) -> str:
        return f"{self.url}/{DASHBOARD}"

    @property
    def client_id(self) -> str:
        return f"{self.url}/"

    async def __aenter__(self) -> Self:
        """Prepare the folder and start; ``answers`` waits. Raises ``DemoError``."""
        if not HASS.exists():
            raise DemoError(f"{HASS} is missing; run scripts/setup")
        require_free(self.port, "Home Assistant", "say another one with --port")
        self._prepare()
        try:
            self._http = await self._stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=10)))
            self._stack.push_async_callback(self.process.stop, 20.0)
            await self.process.start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # --------------------------------------------------------------------------------------------------- the folder

    def _prepare(self) -> None:
        """Write what the demo decides; what Home Assistant keeps there stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _store(self.folder, "http", 2, 2, _http(self.port))
        if not (self.folder / ".storage" / "onboarding").exists():
            _store(self.folder, "onboarding", 4, 1, {"done": ["core_config", "analytics", "integration"]})
        self._install_integration()
        configuration = CONFIGURATION + self._more_configuration
        if self._has_dashboard:
            configuration += LOVELACE.format(url=DASHBOARD)
            (self.folder / "ridethrough.yaml").write_text(STRATEGY, encoding="utf-8")
        (self.folder / "configuration.yaml").write_text(configuration, encoding="utf-8")

    def _install_integration(self) -> None:
        """A copy, so that nothing of this project's tree but the integration is at work."""
        parent = self.folder / "custom_components"
        shutil.rmtree(parent, ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(INTEGRATION, parent / INTEGRATION.name, ignore=ignored)
        # Without it the project's own package of that name would be found first.
        (parent / "__init__.py").touch()

    # --------------------------------------------------------------------------------------------------- its people

    async def answers(self) -> None:
        """Wait until it answers, and log in; the first time, make the user."""
        self._token = {}
        has_user = '"user"' in await asyncio.to_thread(_text, self.folder / ".storage" / "onboarding")
        # The onboarding's door is there only until there is a user.
        door = "/auth/providers" if has_user else "/api/onboarding"
        await self.process.ready(lambda: self._is_open(door), STARTS_WITHIN_S, "answer")
        self._token = await self._token_for(await (self._log_in() if has_user else self._make_user()))

    async def _is_open(self, door: str) -> bool:
        try:
            async with self._http.get(f"{self.url}{door}") as response:
                return response.status == HTTPStatus.OK
        except ClientError, TimeoutError:
            return False

    async def _make_user(self) -> str:
        wish = {"name": "Resident", "username": USER, "password": PASSWORD, "language": "en"}
        answer = await self._post("/api/onboarding/users", {**wish, "client_id": self.client_id})
        return str(answer["auth_code"])

    async def _log_in(self) -> str:
        who = {"client_id": self.client_id, "handler": ["homeassistant", None], "redirect_uri": self.client_id}
        flow = await self._post("/auth/login_flow", who)
        login = {"client_id": self.client_id, "username": USER, "password": PASSWORD}
        answer = await self._post(f"/auth/login_flow/{flow['flow_id']}", login)
        if answer.get("type") != "create_entry":
            raise DemoError(f"Home Assistant does not know the demo's user any more ({answer}); start with --fresh")
        return str(answer["result"])

    async def _token_for(self, code: str) -> Mapping[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "client_id": self.client_id}
        async with self._http.post(f"{self.url}/auth/token", data=form, raise_for_status=True) as response:
            token: dict[str, Any] = await response.json()
            return token

    @property
    def browser_tokens(self) -> dict[str, Any]:
        """What the frontend keeps of a login, in its own words; ``expires_in`` in seconds."""
        return {**self._token, "hassUrl": self.url, "clientId": self.client_id}

    # ----------------------------------------------------------------------------------------------------- its home

    async def restart(self) -> None:
        """End it in order, start it again and log in."""
        await self.process.stop(20.0)
        await self.process.start()
        await self.answers()

    async def power_cut(self) -> None:
        """End it without a word, start it again and log in."""
        await self.process.kill()
        await self.process.start()
        await self.answers()

    def phone(self) -> Phone:
        """A phone with the companion app, on entering."""
        return Phone(self._http, self.url, self._headers())

    async def watch(self) -> Watch:
        """A connection to its websocket API, logged in and following every state; ended with this Home Assistant."""
        return await self._stack.enter_async_context(Watch(self._http, self.url, self._token["access_token"]))

    async def pair(self, host: str, port: int, code: Callable[[], Awaitable[str]]) -> None:
        """Add the edge, unless it is there, by the config flow that a person goes through; wait until it is loaded."""
        entries = await self._entries()
        if not entries:
            await self._walk_through({"host": host, "port": port}, code)
        await self.loaded()

    async def running(self) -> None:
        """Wait until all of it has started."""
        await self.process.ready(self._is_running, STARTS_WITHIN_S, "have started")

    async def _is_running(self) -> bool:
        return bool((await self._get_json("/api/config"))["state"] == "RUNNING")

    async def loaded(self) -> None:
        """Wait until the integration is. Raises ``DemoError``."""
        try:
            await until(self._is_loaded, LOADS_WITHIN_S, "the integration to be loaded")
        except TimeoutError as error:
            raise DemoError(f"{error}; it is {await self._entries()}\n{self.process.tail()}") from error

    async def _walk_through(self, answers: dict[str, Any], code: Callable[[], Awaitable[str]]) -> None:
        """Each form gets what it asks for."""
        result = await self._post("/api/config/config_entries/flow", {"handler": "ridethrough"})
        while result["type"] == "form" and not result["errors"]:
            asked = {field["name"] for field in result["data_schema"]}
            filled_in = {name: answer for name, answer in answers.items() if name in asked}
            if "code" in asked:
                filled_in["code"] = await code()
            result = await self._post(f"/api/config/config_entries/flow/{result['flow_id']}", filled_in)
        _require(result, "pair with the edge")

    async def _entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = await self._get_json("/api/config/config_entries/entry?domain=ridethrough")
        return entries

    async def _is_loaded(self) -> bool:
        return [entry["state"] for entry in await self._entries()] == ["loaded"]

    async def entry_id(self) -> str:
        """Of the integration, paired."""
        return str((await self._entries())[0]["entry_id"])

    async def add_load_group(self, answers: Mapping[str, Any]) -> None:
        """By the subentry flow that a person goes through."""
        flow = "/api/config/config_entries/subentries/flow"
        form = await self._post(flow, {"handler": [await self.entry_id(), "load_group"]})
        _require(await self._post(f"{flow}/{form['flow_id']}", answers), "make a load group")

    async def forward_warnings(self, *entities: str) -> None:
        """Choose in the integration's options what warns of the weather."""
        flow = "/api/config/config_entries/options/flow"
        menu = await self._post(flow, {"handler": await self.entry_id()})
        page = await self._post(f"{flow}/{menu['flow_id']}", {"next_step_id": "weather_alerts"})
        _require(await self._post(f"{flow}/{page['flow_id']}", {"alerts": list(entities)}), "forward warnings")

    async def kept(self) -> None:
        """Wait until the pairing is on its disk, so that even a killed Home Assistant comes back paired."""
        await until(self._is_kept, WRITES_WITHIN_S, "Home Assistant to write its entries and its user")

    async def _is_kept(self) -> bool:
        entries = await asyncio.to_thread(_text, self.folder / ".storage" / "core.config_entries")
        users = await asyncio.to_thread(_text, self.folder / ".storage" / "auth_provider.homeassistant")
        return '"ridethrough"' in entries and USER in users

    async def _get_json(self, path: str) -> Any:
        async with self._http.get(f"{self.url}{path}", headers=self._headers(), raise_for_status=True) as response:
            return await response.json()

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ``DemoError`` with what Home Assistant says."""
        async with self._http.post(f"{self.url}{path}", json=body, headers=self._headers()) as response:
            text = await response.text()
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise DemoError(f"Home Assistant refused {path}: {response.status} {text[:500]}")
            answer: dict[str, Any] = json.loads(text)
            return answer

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token['access_token']}"} if self._token else {}


def _require(result: Mapping[str, Any], what: str) -> None:
    if result["type"] != "create_entry":
        raise DemoError(f"Home Assistant would not {what}: {result.get('errors') or result}")


def _http(port: int) -> dict[str, Any]:
    """Its listener, as it keeps it itself; without a key it does not start. YAML for it is deprecated."""
    stable = {
        "server_host": [HOST],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": True,
        "ssl_profile": "modern",
        "use_x_frame_options": True,
    }
    return {"stable": stable, "pending": None, "yaml_migration_done": True}


def _store(folder: Path, key: str, version: int, minor: int, data: Mapping[str, Any]) -> None:
    path = folder / ".storage" / key
    path.parent.mkdir(exist_ok=True)
    content = {"version": version, "minor_version": minor, "key": key, "data": data}
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
