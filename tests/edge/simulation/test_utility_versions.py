"""The simulated utility as a server of OpenADR 3.0.1, and what it tells by MQTT as one of 3.1."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiomqtt
import pytest

from edge_service.simulation.utility import UtilityOptions
from tests.edge.simulation.test_utility import HOUR, ONE_STEP, Scene, running

# --------------------------------------------------------------------------------------------------------------- 3.0.1


@pytest.fixture
async def older() -> AsyncIterator[Scene]:
    async with running(UtilityOptions(version="3.0.1")) as scene:
        yield scene


@pytest.mark.parametrize("path", ["/auth/server", "/notifiers", "/resources", "/subscriptions"])
async def test_an_older_utility_knows_nothing_of_what_came_later(older: Scene, path: str) -> None:
    assert (await older.ven.ask("GET", path)).status == 404


async def test_an_older_utility_keeps_targets_as_pairs_and_lists_what_is_for_others(older: Scene) -> None:
    program = await older.program()
    theirs = [{"type": "VEN_NAME", "values": ["next-door"]}]
    wish = {"programID": program, "intervalPeriod": HOUR, "intervals": ONE_STEP, "targets": theirs}
    made = await older.business.make("/events", wish)
    assert (made["objectType"], made["targets"]) == ("EVENT", theirs)
    assert [row["id"] for row in await older.ven.listed("/events")] == [made["id"]]
    assert await older.ven.listed("/events?targetType=VEN_NAME&targetValues=home") == []
    assert len(await older.ven.listed("/events?targetType=VEN_NAME&targetValues=home&targetValues=next-door")) == 1
    assert (await older.business.ask("POST", "/events", wish | {"targets": ["group-1"]})).status == 400
    assert (await older.business.ask("POST", "/events", wish | {"intervals": []})).status == 400


async def test_an_older_utility_keeps_resources_below_their_ven(older: Scene) -> None:
    wish = {"objectType": "VEN_VEN_REQUEST", "venName": "home"}
    assert (await older.ven.ask("POST", "/vens", wish)).status == 400
    ven = await older.ven.make("/vens", {"venName": "home"})
    path = f"/vens/{ven['id']}/resources"
    made = await older.ven.make(path, {"resourceName": "home"})
    assert (made["venID"], made["objectType"]) == (ven["id"], "RESOURCE")
    assert (await older.ven.ask("POST", path, {"resourceName": "home"})).status == 409
    assert await older.ven.listed(f"{path}?resourceName=home") == [made]
    assert await older.ven.listed(f"{path}?resourceName=other") == []
    assert (await older.ven.ask("POST", "/vens/no-such/resources", {"resourceName": "home"})).status == 409
    assert (await older.ven.ask("GET", f"/vens/other/resources/{made['id']}")).status == 404


async def test_an_older_utility_wants_the_program_named_in_a_report(older: Scene) -> None:
    called = older.utility.dispatch.call_event(start_in_s=0, duration_s=60, power_kw=5)
    wish = {"eventID": called["id"], "clientName": "home", "resources": []}
    assert (await older.ven.ask("POST", "/reports", wish)).status == 400
    assert (await older.ven.make("/reports", wish | {"programID": called["programID"]}))["objectType"] == "REPORT"


# ---------------------------------------------------------------------------------------------------------------- push


async def test_a_change_is_told_to_all_by_program_and_to_each_ven_that_may_see_it() -> None:
    async with running(UtilityOptions(mqtt="own")) as scene:
        assert scene.utility.push is not None
        broker = scene.utility.push.broker
        assert broker is not None
        mine = {"objectType": "BL_VEN_REQUEST", "clientID": "ven-client", "venName": "home", "targets": ["north"]}
        home = await scene.business.make("/vens", mine)
        other = await scene.business.make("/vens", mine | {"clientID": "x", "venName": "other", "targets": []})
        program = await scene.program()
        token = str(scene.ven.token)
        async with aiomqtt.Client("127.0.0.1", broker.port, username="ven-client", password=token) as client:
            await client.subscribe("#")
            event = {"programID": program, "intervals": ONE_STEP}
            open_to_all = await scene.business.make("/events", event)
            await scene.business.make("/events", event | {"targets": ["north"]})
            await scene.business.ask("DELETE", f"/events/{open_to_all['id']}")
            async with asyncio.timeout(10):
                told = [message async for message in aiter_of(client, 9)]
    everybody = ["events", f"events/program/{program}", f"vens/{home['id']}/events", f"vens/{other['id']}/events"]
    topics = [str(message.topic) for message in told]
    assert sorted(topics[:4]) == sorted(f"{path}/create" for path in everybody)
    assert topics[4] == f"vens/{home['id']}/events/create"
    assert sorted(topics[5:]) == sorted(f"{path}/delete" for path in everybody)
    first = json.loads(told[0].payload)
    assert (first["objectType"], first["operation"], first["object"]) == ("EVENT", "CREATE", open_to_all)


async def aiter_of(client: aiomqtt.Client, count: int) -> AsyncIterator[aiomqtt.Message]:
    async for message in client.messages:
        yield message
        count -= 1
        if not count:
            return


@pytest.mark.parametrize(("user", "password"), [(None, None), ("ven-client", "wrong"), ("other", "right")])
async def test_the_broker_lets_in_nobody_without_a_token_of_its_own(user: str | None, password: str | None) -> None:
    async with running(UtilityOptions(mqtt="own")) as scene:
        assert scene.utility.push is not None
        assert scene.utility.push.broker is not None
        word = scene.ven.token if password == "right" else password
        client = aiomqtt.Client("127.0.0.1", scene.utility.push.broker.port, username=user, password=word)
        with pytest.raises(aiomqtt.MqttError, match=r"[Aa]uthori"):
            await client.__aenter__()


async def test_topics_are_told_of_ones_own_ven_only() -> None:
    async with running(UtilityOptions(mqtt="own")) as scene:
        own = await scene.ven.make("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "home"})
        path = "/notifiers/mqtt/topics"
        told = (await scene.ven.ask("GET", f"{path}/vens/{own['id']}/events")).body
        assert told["topics"]["ALL"] == f"vens/{own['id']}/events/+"
        for wrong in ("vens/other/events", "events", "nothing"):
            assert (await scene.ven.ask("GET", f"{path}/{wrong}")).status == 404
        assert (await scene.nobody.ask("GET", f"{path}/vens/{own['id']}/events")).status == 401
