"""Commands from clients while the disk hangs."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from edge_service.api.allowance import ALWAYS_HEARD, BURST, PER_SECOND, Allowance
from edge_service.api.commands import Commands
from edge_service.api.hub import Hub
from edge_service.api.pairing import Client, Pairing, Role
from edge_service.reports import Reports
from tests.edge.api.door import HandClock
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


def test_a_client_that_sends_too_much_is_heard_again_at_the_pace_that_is_allowed() -> None:
    clock = HandClock()
    allowance = Allowance(clock)
    assert sum(allowance.takes("panel", "charge") for _ in range(200)) == BURST
    assert allowance.takes("other", "charge")
    clock.pass_by(1)
    assert sum(allowance.takes("panel", "charge") for _ in range(200)) == PER_SECOND
    clock.pass_by(3600)
    assert sum(allowance.takes("panel", "charge") for _ in range(200)) == BURST


def test_at_the_pace_that_is_allowed_nothing_is_ever_refused() -> None:
    clock = HandClock()
    allowance = Allowance(clock)
    for _ in range(1000):
        assert allowance.takes("panel", "charge")
        clock.pass_by(1 / PER_SECOND)


@leaping
async def test_what_is_too_much_is_not_carried_out_and_a_stop_always_is() -> None:
    done: list[str] = []

    async def do(
        name: str, args: Mapping[str, Any], *, command_id: str, deadline: datetime, role: Role
    ) -> Mapping[str, Any]:
        done.append(name)
        return {}

    journal, clock = MemoryJournal(), LeapingClock()
    commands = Commands(do, journal, Hub(0), Pairing(journal, clock), clock, Reports(clock))
    client = Client("c", "panel", Role.CONTROL, "", "")
    asked = {"type": "command", "args": {}, "deadline": after(300).isoformat()}
    ids = [str(number) for number in range(int(BURST) + 10)]
    answers = await asyncio.gather(*[commands.answer({**asked, "id": one, "name": "set_mode"}, client) for one in ids])
    assert [one.get("error", {}).get("code") for one in answers[int(BURST) :]] == ["too_many_commands"] * 10
    assert done == ["set_mode"] * int(BURST)
    for name in sorted(ALWAYS_HEARD - {"report", "notice_delivered"}):
        assert (await commands.answer({**asked, "id": name, "name": name}, client))["ok"], name
    again = await commands.answer({**asked, "id": ids[-1], "name": "set_mode"}, client)
    assert again["error"]["code"] == "too_many_commands"
    assert (await commands.answer({**asked, "id": "x", "name": ["stop"]}, client))["error"][
        "code"
    ] == "too_many_commands"
