"""The integration against the edge's own door: pairing, state, occurrences, notices and commands over the socket."""

import time
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from homeassistant.components import persistent_notification
from homeassistant.const import ATTR_ENTITY_ID, CONF_CODE, STATE_ON, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError

from custom_components.ridethrough.const import CONF_FINGERPRINT
from edge_service.api.commands import Commands
from edge_service.api.hub import Hub
from edge_service.api.listener import Listen, Tls
from edge_service.api.pairing import Pairing, Role
from edge_service.api.server import ApiServer, Edge
from edge_service.command_line.edge import _fingerprint
from edge_service.config import parse
from edge_service.domain.asked import CommandRefusedError
from edge_service.domain.model import Happening, Notice
from edge_service.journal.store import SqliteJournal
from edge_service.reports import Reports

from .conftest import shown
from .onboarding import ask_for_code, paired
from .peer import Eventually, at, home
from .tls import self_made

CONFIG = """
site: {{name: Home, import_max_a: 100}}
chargers: {{driveway: {{name: Driveway charger, model: sunspec_der, address: "127.0.0.1:502"}}}}
api: {{certificate: {path}, key: {path}}}
"""


class RealClock:
    """The edge's time is ours."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class RealDoor:
    """The edge's API over a real journal; its control core is this test."""

    def __init__(self, journal: SqliteJournal, tls: Tls | None = None) -> None:
        self.journal = journal
        self.hub = Hub(0)
        self.clock = RealClock()
        self.pairing = Pairing(journal, self.clock)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        commands = Commands(self._execute, journal, self.hub, self.pairing, self.clock, Reports(self.clock))
        edge = Edge("5f0c2b7d9a1e4c33", "0.1.0", self.hub, journal, self.pairing, commands, lambda: True, self._check)
        self.server = ApiServer(edge, Listen("127.0.0.1", 0, tls))
        self.state = home()
        self.hub.publish(self.state)

    async def _check(self) -> list[Mapping[str, Any]]:
        return []

    async def _execute(
        self, name: str, args: Mapping[str, Any], *, command_id: str, deadline: datetime, role: Role
    ) -> Mapping[str, Any]:
        self.asked.append((name, args))
        if name == "stop":
            raise CommandRefusedError("stopped", "it stands already")
        return {}

    def show(self, **site: Any) -> None:
        """Publish another state of the site."""
        self.state = cast("Any", self.state | {"site": self.state["site"] | site})
        self.hub.publish(self.state)

    async def happen(self, kind: str, **data: Any) -> None:
        """First on disk, then told."""
        for numbered in await self.journal.append_happenings([Happening(kind, "site", self.clock.now(), data)]):
            self.hub.occurred(numbered)


@pytest.fixture
async def door(tmp_path: Path, socket_enabled: None) -> AsyncGenerator[RealDoor]:
    """The edge's door, open on a free port."""
    journal = await SqliteJournal.open(tmp_path)
    opened = RealDoor(journal)
    await opened.server.start()
    yield opened
    await opened.server.stop()
    await journal.close()


async def test_the_real_doors_own_key_is_shown_as_its_command_line_shows_it_and_pinned(
    hass: HomeAssistant, tmp_path: Path, socket_enabled: None
) -> None:
    journal = await SqliteJournal.open(tmp_path)
    made = self_made(tmp_path)
    door = RealDoor(journal, Tls(made.path, made.path))
    await door.server.start()
    form = await ask_for_code(hass, door.server.port)
    told = form["description_placeholders"]["fingerprint"]
    config = parse(CONFIG.format(path=made.path), tmp_path / "site.yaml")
    assert told.splitlines() == _fingerprint(config)
    hass.config_entries.flow.async_abort(form["flow_id"])
    entry = await paired(hass, door.server.port, door.pairing.offer().text)
    assert entry.data[CONF_FINGERPRINT] == door.server.fingerprint == made.fingerprint
    assert shown(hass, "sensor.home_grid_status") == "connected"
    assert [client.name for client in door.pairing.clients] == ["Home Assistant, test home"]
    await hass.config_entries.async_unload(entry.entry_id)
    await door.server.stop()
    await journal.close()


async def test_the_real_door_is_paired_with_followed_and_obeyed(
    hass: HomeAssistant, door: RealDoor, eventually: Eventually
) -> None:
    form = await ask_for_code(hass, door.server.port)
    refused = await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_CODE: "0000-0000"})
    assert refused["errors"] == {"base": "code_refused"}
    hass.config_entries.flow.async_abort(form["flow_id"])
    entry = await paired(hass, door.server.port, door.pairing.offer().text)
    assert shown(hass, "sensor.home_grid_status") == "connected"

    door.show(grid="outage", supply="transfer")
    await door.happen("outage_started", evidence="charger:driveway")
    await eventually(lambda: shown(hass, "event.home_outage") != STATE_UNKNOWN)
    assert shown(hass, "sensor.home_grid_status") == "outage"

    raised = await door.journal.raise_notice(
        Notice("outage", "outage", "critical", door.clock.now(), {"since": at(), "soc_pct": 78.0})
    )
    door.hub.notify(raised)
    notification = f"ridethrough_{entry.unique_id}_outage"
    board = persistent_notification._async_get_or_create_notifications(hass)
    await eventually(lambda: notification in board and not door.hub._errands)

    number = "number.home_backup_reserve"
    await hass.services.async_call("number", "set_value", {ATTR_ENTITY_ID: number, "value": 40}, blocking=True)
    assert door.asked == [("set_backup_reserve", {"pct": 40.0})]
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call("button", "press", {ATTR_ENTITY_ID: "button.home_emergency_stop"}, blocking=True)

    await door.server.stop()
    await eventually(lambda: shown(hass, "binary_sensor.home_controller") != STATE_ON)
    await hass.config_entries.async_unload(entry.entry_id)
