"""Who answers is asked once a connection, and another one than before is not commanded."""

import asyncio

import pytest

from edge_service.chargers.acquaintance import Acquaintance
from edge_service.ports import DeviceRefusedError, DeviceUnreachableError
from tests.edge.chargers.peers import MemoryUnit, Registers


class Bell:
    """Who opens the door; ``silent`` nobody."""

    def __init__(self) -> None:
        self.name, self.rung, self.silent = "garage", 0, False

    async def __call__(self) -> str:
        self.rung += 1
        if self.silent:
            raise DeviceUnreachableError("nobody answers")
        return self.name


def at_the_door() -> tuple[Bell, MemoryUnit, Acquaintance[str]]:
    unit = MemoryUnit(Registers({}))
    return Bell(), unit, Acquaintance[str]("left", unit)


async def test_it_is_asked_once_on_each_connection_and_when_it_is_probed() -> None:
    bell, unit, device = at_the_door()
    for _ in range(3):
        await device.identify(bell)
    assert (bell.rung, device.identity) == (1, "garage")
    await unit.disconnect()
    for _ in range(3):
        await device.identify(bell)
    assert bell.rung == 2
    await device.identify(bell, again=True)
    assert bell.rung == 3
    device.require_accepted()


async def test_another_one_is_refused_until_it_is_accepted_even_if_the_first_comes_back() -> None:
    bell, unit, device = at_the_door()
    await device.identify(bell)
    for name in ("neighbour", "garage"):
        await unit.disconnect()
        bell.name = name
        await device.identify(bell)
        with pytest.raises(DeviceRefusedError, match="left: another device") as error:
            device.require_accepted()
        assert error.value.reason == "identity_changed"
    device.accept()
    device.require_accepted()


async def test_one_that_does_not_answer_is_asked_again_and_is_no_other() -> None:
    bell, unit, device = at_the_door()
    await device.identify(bell)
    await unit.disconnect()
    bell.silent = True
    with pytest.raises(DeviceUnreachableError):
        await device.identify(bell)
    bell.silent = False
    await device.identify(bell)
    assert bell.rung == 3
    device.require_accepted()


async def test_an_answer_over_a_connection_that_broke_meanwhile_does_not_count_for_the_next() -> None:
    bell, unit, device = at_the_door()
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slowly() -> str:
        asked.set()
        await answered.wait()
        return await bell()

    asking = asyncio.create_task(device.identify(slowly))
    await asked.wait()
    await unit.disconnect()
    answered.set()
    await asking
    await device.identify(bell)
    assert bell.rung == 2


async def test_what_was_read_is_forgotten_with_the_connection_and_no_longer_after_the_end() -> None:
    unit, lost = MemoryUnit(Registers({})), list[str]()
    device = Acquaintance[str]("left", unit, lambda: lost.append("registers"))
    await unit.disconnect()
    assert lost == ["registers"]
    device.close()
    await unit.disconnect()
    assert lost == ["registers"]
