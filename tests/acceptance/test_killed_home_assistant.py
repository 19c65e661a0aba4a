"""Home Assistant is killed in the middle of an outage, twice; nothing hangs on it, and nothing is told twice."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from demo.home_assistant import HomeAssistant
from demo.house import House, Json
from demo.processes import HOST, until
from demo.watching import Watch
from tests.acceptance.test_killed_parts import an_island_carries


@pytest.fixture
async def home(house: House, tmp_path: Path) -> AsyncIterator[HomeAssistant]:
    """A real Home Assistant, paired, with all of that on its disk."""
    log = tmp_path / "logs" / "home_assistant.log"
    async with HomeAssistant(tmp_path / "home_assistant", log) as running:
        await running.answers()
        await running.pair(HOST, house.edge_port, house.pairing_code)
        await running.kept()
        yield running


async def outage_notices(watch: Watch) -> list[dict[str, Any]]:
    """The notifications that stand in Home Assistant and are about the outage."""
    standing: list[dict[str, Any]] = await watch.ask("persistent_notification/get")
    return [one for one in standing if one["notification_id"].endswith("_outage")]


async def told(watch: Watch, count: int) -> list[dict[str, Any]]:
    """Wait until that many notices of the outage stand."""

    async def so_many() -> bool:
        return len(await outage_notices(watch)) == count

    await until(so_many, 15, f"{count} notices of the outage")
    return await outage_notices(watch)


async def linked(home: HomeAssistant) -> Watch:
    """A new look at it, once it has the edge's state again."""
    watch = await home.watch()

    async def knows_the_supply() -> bool:
        await watch.learn()
        supply = watch.now.get("site-supply")
        return supply is not None and supply.state == "island"

    await until(knows_the_supply, 60, "Home Assistant to show the island")
    return watch


async def writes_to_devices(house: House) -> list[Json]:
    return await house.writes()


@pytest.mark.timeout(240)
async def test_a_killed_home_assistant_changes_nothing_at_the_charger_and_tells_the_outage_once(
    house: House, home: HomeAssistant
) -> None:
    await an_island_carries(house)
    watch = await linked(home)
    [notice] = await told(watch, 1)
    before, dark_s = await writes_to_devices(house), (await house.truth())["house"]["dark_s"]

    await home.power_cut()
    watch = await linked(home)
    [again] = await told(watch, 1)
    assert again["message"] == notice["message"]
    # It was told before the power cut: automations must not start a second time.
    assert not [seen for seen in watch.changes if seen.key == "site-outage" and seen.kind == "started"]
    assert await writes_to_devices(house) == before
    truth = await house.truth()
    assert truth["house_powered"]
    assert truth["house"]["dark_s"] == dark_s
    assert truth["violations"] == []

    # Read and put away by a person: another power cut does not bring it back.
    await watch.ask(
        "call_service",
        domain="persistent_notification",
        service="dismiss",
        service_data={"notification_id": again["notification_id"]},
    )
    await until(lambda: _is_acknowledged(house), 10, "the edge to know that it was read")
    await home.power_cut()
    watch = await linked(home)
    assert await outage_notices(watch) == []
    assert await writes_to_devices(house) == before


async def _is_acknowledged(house: House) -> bool:
    state = await house.state()
    return state is not None and not [notice for notice in state["notices"] if notice["key"] == "outage"]
