"""Commands from clients while the disk hangs."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from edge_service.api.commands import Commands
from edge_service.api.hub import Hub
from edge_service.api.pairing import Client, Pairing, Role
from edge_service.reports import Reports
from tests.edge.domain.houses import after
from tests.edge.fakes import LeapingClock, MemoryJournal, leaping, until


class HungJournal(MemoryJournal):
    """A disk that gives nothing back until it is ``awake``."""

    def __init__(self) -> None:
        super().__init__()
        self.awake = asyncio.Event()

    async def recall(self, command_id: str) -> Mapping[str, Any] | None:
        await self.awake.wait()
        return await super().recall(command_id)


@leaping
async def test_a_stop_is_carried_out_although_the_disk_hangs_and_any_other_command_waits() -> None:
    done: list[str] = []

    async def do(
        name: str, args: Mapping[str, Any], *, command_id: str, deadline: datetime, role: Role
    ) -> Mapping[str, Any]:
        done.append(name)
        return {}

    journal, clock = HungJournal(), LeapingClock()
    commands = Commands(do, journal, Hub(0), Pairing(journal, clock), clock, Reports(clock))
    client = Client("c", "panel", Role.CONTROL, "", "")
    asked = {"type": "command", "args": {}, "deadline": after(300).isoformat()}
    mode = asyncio.create_task(commands.answer({**asked, "id": "1", "name": "set_mode"}, client))
    stop = asyncio.create_task(commands.answer({**asked, "id": "2", "name": "stop"}, client))
    await until(lambda: done == ["stop"], within_s=0.5)
    assert (await stop)["ok"]
    assert not mode.done()
    journal.awake.set()
    assert (await mode)["ok"]
    assert done == ["stop", "set_mode"]
