"""The contract over a real socket: greeting, catching up, changes, notices, commands, and clients that misbehave."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from edge_service.api import hub, publish, wire
from edge_service.api.connection import NO_START, NOT_OF_THE_CONTRACT, UNKNOWN_SCHEMA, Patience
from edge_service.api.pairing import Role
from edge_service.domain.model import Notice
from tests.edge.api.door import NOW, House, bearer, command, opened, say, state, told, until


@pytest.fixture
async def house(tmp_path: Path):  # type: ignore[no-untyped-def]
    async with opened(tmp_path) as house:
        yield house


async def closed_with(socket: ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(10):
        while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING):
            pass
    return socket.close_code


async def kinds(socket: ClientWebSocketResponse, count: int) -> list[str]:
    return [(await told(socket))["type"] for _ in range(count)]


async def notice(house: House, key: str = "outage") -> Notice:
    raised = await house.journal.raise_notice(Notice(key, "outage", "critical", NOW, {"a": 1}))
    house.hub.notify(raised)
    return raised


async def pause(house: House) -> None:
    """Publish a state that differs, with the notices that stand."""
    paused = state(mode="paused")
    paused["notices"] = [publish.notice(standing) for standing in await house.journal.standing_notices()]
    house.hub.publish(paused)


async def deliver(socket: ClientWebSocketResponse, number: int) -> dict[str, Any]:
    await say(socket, command("notice_delivered", f"n{number}", number=number))
    return await told(socket)


# ------------------------------------------------------------------------------------------------------------ greeting


async def test_the_server_speaks_first_then_shows_the_whole_state(house: House) -> None:
    socket = await house.socket()
    assert await told(socket) == {
        "type": "hello",
        "product": "ridethrough",
        "version": "0.1.0",
        "installation": "5f0c2b7d9a1e4c33",
        "schema_low": 1,
        "schema_high": 1,
    }
    await say(socket, {"type": "start", "schema": 1, "last_occurrence": None, "of_a_later_version": {}})
    assert await told(socket) == {"type": "snapshot", "seq": 0, "state": state(), "last_occurrence": 0}
    await socket.close()


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ({"type": "start", "schema": 99, "last_occurrence": None}, UNKNOWN_SCHEMA),
        ({"type": "start", "schema": "1"}, UNKNOWN_SCHEMA),
        ({"type": "start"}, UNKNOWN_SCHEMA),
        ({"type": "command"}, NOT_OF_THE_CONTRACT),
    ],
)
async def test_a_wrong_first_word_closes_the_socket(house: House, word: dict[str, Any], code: int) -> None:
    socket = await house.socket()
    await say(socket, word)
    assert await closed_with(socket) == code


async def test_a_client_that_does_not_start_is_let_go(tmp_path: Path) -> None:
    async with opened(tmp_path, patience=Patience(start_s=0.05)) as house:
        assert await closed_with(await house.socket()) == NO_START


async def test_a_client_that_comes_before_the_first_cycle_waits_for_it(tmp_path: Path) -> None:
    async with opened(tmp_path, shown=False) as house:
        socket = await house.started()
        await until(lambda: house.hub.subscribers == 1)
        house.hub.publish(state(mode="paused"))
        assert (await told(socket))["state"]["site"]["mode"] == "paused"
        await socket.close()


# ------------------------------------------------------------------------------------------------------------- changes


async def test_changes_follow_the_snapshot_without_a_gap(house: House) -> None:
    socket = await house.started()
    shown = (await told(socket))["state"]
    for number, mode in enumerate(("paused", "automatic", "read_only"), start=1):
        house.hub.publish(state(mode=mode))
        house.hub.publish(state(mode=mode))  # nothing new, nothing sent
        change = await told(socket)
        assert change["seq"] == number
        shown = wire.apply(shown, change["set"], change["removed"])
        assert shown == state(mode=mode)
    await socket.close()


async def test_a_client_that_saw_a_gap_starts_again_on_the_same_socket(house: House) -> None:
    socket = await house.started()
    await told(socket)
    house.hub.publish(state(mode="paused"))
    await say(socket, wire.Start(type="start", schema=1, last_occurrence=0))
    while (message := await told(socket))["type"] != "snapshot":
        assert message["type"] == "change"
    assert message == {"type": "snapshot", "seq": 1, "state": state(mode="paused"), "last_occurrence": 0}
    await socket.close()


async def test_a_client_that_does_not_read_is_brought_up_to_date_with_one_snapshot(tmp_path: Path) -> None:
    async with opened(tmp_path, patience=Patience(outbox=5)) as house:
        slow, quick = await house.started(), await house.started()
        assert await kinds(slow, 1) + await kinds(quick, 1) == ["snapshot", "snapshot"]
        for number in range(100):
            house.hub.publish(state(reason=f"{number:05d}" + "x" * 200_000))
            assert (await told(quick))["type"] == "change"
        messages = []
        shown: Any = state()
        while shown["site"]["reason"][:5] != "00099":
            messages.append(message := await told(slow))
            shown = (
                message["state"]
                if message["type"] == "snapshot"
                else wire.apply(shown, message["set"], message["removed"])
            )
        assert len(messages) < 100
        assert any(message["type"] == "snapshot" for message in messages)
        await slow.close()
        await quick.close()


async def test_a_client_that_never_reads_is_cut_off_and_nobody_waits(tmp_path: Path) -> None:
    async with opened(tmp_path, patience=Patience(outbox=5, send_s=0.3)) as house:
        stuck = await house.started()
        await until(lambda: house.hub.subscribers == 1)
        async with asyncio.timeout(20):
            number = 0
            while house.hub.subscribers:
                number += 1
                house.hub.publish(state(reason=f"{number}" + "x" * 500_000))
                await asyncio.sleep(0)
        async with house.session.get(house.url("/health")) as response:
            assert response.status == 200
        await stuck.close()


async def test_a_state_that_cannot_be_sent_does_not_stop_the_core(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    socket = await house.started()
    await told(socket)
    house.hub.publish(state(cycle_late_p99_ms=float("nan")))
    house.hub.publish(state(cycle_late_p99_ms=1.0))
    assert (await told(socket))["seq"] == 2
    assert "cannot be sent" in caplog.text
    await socket.close()


# --------------------------------------------------------------------------------------------------------- occurrences


async def test_what_was_missed_is_replayed_from_the_number_that_the_client_has(house: House) -> None:
    await house.happen("before", 700)
    socket = await house.started(last_occurrence=150)
    assert (await told(socket))["last_occurrence"] == 700
    await house.happen("after")
    numbers = [(await told(socket))["number"] for _ in range(551)]
    assert numbers == list(range(151, 702))
    await socket.close()


async def test_a_new_client_is_told_only_what_is_new(house: House) -> None:
    await house.happen("before", 3)
    socket = await house.started()
    assert (await told(socket))["last_occurrence"] == 3
    await house.happen("after")
    assert await told(socket) == {
        "type": "occurrence",
        "number": 4,
        "kind": "after",
        "subject": "site",
        "at": "2026-07-15T21:00:00.000Z",
        "data": {"n": 0},
    }
    await socket.close()


async def test_a_number_of_another_life_does_not_hide_what_is_new(house: House) -> None:
    await house.happen("before", 3)
    socket = await house.started(last_occurrence=9999)
    await told(socket)
    await house.happen("after")
    assert (await told(socket))["number"] == 4
    await socket.close()


async def test_each_occurrence_comes_once_however_the_replay_and_the_news_meet(house: House) -> None:
    await house.happen("before", 400)
    socket = await house.started(last_occurrence=0)
    for _ in range(20):
        await house.happen("meanwhile", 20)
    await told(socket)
    numbers: list[int] = []
    while not numbers or numbers[-1] < 800:
        message = await told(socket)
        numbers += [message["number"]] if message["type"] == "occurrence" else []
    assert numbers == list(range(1, 801))
    await socket.close()


# ------------------------------------------------------------------------------------------------------------- notices


async def test_a_notice_is_brought_once_though_two_clients_listen(house: House) -> None:
    first = await house.started()
    assert await kinds(first, 1) == ["snapshot"]
    second = await house.started()
    assert await kinds(second, 1) == ["snapshot"]
    raised = await notice(house)
    message = await told(first)
    assert message["notice"]["number"] == raised.number
    assert message["notice"]["key"] == "outage"
    assert (await deliver(first, raised.number))["ok"]
    await pause(house)
    assert await kinds(second, 1) == ["change"]
    assert (await house.journal.standing_notices())[0].delivered_at == NOW
    await first.close()
    await second.close()


async def test_a_standing_notice_waits_for_a_client_and_is_not_brought_again_after_it_was_confirmed(
    house: House,
) -> None:
    raised = await notice(house)
    socket = await house.started()
    assert await kinds(socket, 2) == ["snapshot", "notice"]
    await deliver(socket, raised.number)
    await socket.close()
    again = await house.started()
    assert await kinds(again, 1) == ["snapshot"]
    await pause(house)
    assert await kinds(again, 1) == ["change"]
    await again.close()


async def test_a_notice_that_was_not_confirmed_goes_to_the_next_client(house: House) -> None:
    first = await house.started()
    assert await kinds(first, 1) == ["snapshot"]
    second = await house.started()
    assert await kinds(second, 1) == ["snapshot"]
    await notice(house)
    assert await kinds(first, 1) == ["notice"]
    await first.close()
    assert await kinds(second, 1) == ["notice"]
    await second.close()


async def test_a_client_that_may_only_look_brings_no_notices(house: House) -> None:
    reader = await house.started(token=await house.token(Role.READ))
    assert await kinds(reader, 1) == ["snapshot"]
    await notice(house)
    await pause(house)
    assert await kinds(reader, 1) == ["change"]
    await reader.close()


async def test_a_replaced_notice_is_no_longer_brought(house: House) -> None:
    await notice(house)
    newer = await notice(house)
    socket = await house.started()
    await told(socket)
    assert (await told(socket))["notice"]["number"] == newer.number
    await pause(house)
    assert await kinds(socket, 1) == ["change"]
    await socket.close()


async def test_a_notice_that_was_cleared_before_anybody_brought_it_is_not_brought(house: House) -> None:
    await notice(house)
    await house.journal.clear_notice("outage", NOW)
    await pause(house)
    socket = await house.started()
    assert await kinds(socket, 1) == ["snapshot"]
    house.hub.publish(state())
    assert await kinds(socket, 1) == ["change"]
    await socket.close()


async def test_a_client_that_confirms_too_late_is_passed_over_for_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "CONFIRM_WITHIN_S", -1.0)
    first = await house.started()
    assert await kinds(first, 1) == ["snapshot"]
    second = await house.started()
    assert await kinds(second, 1) == ["snapshot"]
    raised = await notice(house)
    assert await kinds(first, 1) == ["notice"]
    await pause(house)
    assert (await told(second))["notice"]["number"] == raised.number
    await first.close()
    await second.close()


# ------------------------------------------------------------------------------------------------------------ commands


async def test_a_command_is_carried_out_once_and_answered_again(house: House, tmp_path: Path) -> None:
    token = await house.token()
    socket = await house.started(token=token)
    await told(socket)
    expected = {"type": "result", "id": "c1", "ok": True, "stage": "accepted", "data": {"count": 1}}
    for _ in range(2):
        await say(socket, command("set_mode", mode="paused"))
        assert await told(socket) == expected
    async with house.session.post(
        house.url("/api/v1/command"), headers=bearer(token), json=command("set_mode", mode="paused")
    ) as response:
        assert await response.json() == expected
    assert house.doer.asked == [("set_mode", {"mode": "paused"}, Role.CONTROL)]
    await socket.close()


async def test_a_command_sent_twice_at_the_same_time_is_carried_out_once(house: House) -> None:
    token = await house.token()
    sockets = [await house.started(token=token) for _ in range(2)]
    house.doer.gate.clear()
    for socket in sockets:
        await told(socket)
        await say(socket, command("charge"))
    await until(lambda: len(house.doer.asked) == 1)
    house.doer.gate.set()
    answers = [await told(socket) for socket in sockets]
    assert answers[0] == answers[1]
    assert len(house.doer.asked) == 1
    for socket in sockets:
        await socket.close()


async def test_another_client_with_the_same_id_has_its_own_command(house: House) -> None:
    for _ in range(2):
        socket = await house.started()
        await told(socket)
        await say(socket, command("set_mode"))
        assert (await told(socket))["ok"]
        await socket.close()
    assert len(house.doer.asked) == 2


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"deadline": "2026-07-15T20:59:59Z"}, "too_late"),
        ({"deadline": "2026-07-16T21:00:00Z"}, "bad_argument"),
        ({"deadline": "2026-07-15T21:00:05"}, "bad_argument"),
        ({"deadline": None}, "bad_argument"),
        ({"deadline": "0001-01-01T00:00:00+14:00"}, "bad_argument"),
        ({"deadline": "9999-12-31T23:59:59-14:00"}, "bad_argument"),
        ({"args": []}, "bad_argument"),
        ({"args": {"a": "\ud800"}}, "bad_argument"),
        ({"name": ["x"]}, "bad_argument"),
        ({"name": None}, "bad_argument"),
        ({"id": 5}, "bad_argument"),
        ({"id": ""}, "bad_argument"),
        ({"name": "refuse"}, "stopped"),
        ({"name": "fail"}, "internal"),
        ({"name": "new_pairing_code"}, "not_permitted"),
        ({"name": "notice_delivered", "args": {"number": True}}, "bad_argument"),
        ({"name": "notice_delivered", "args": {"number": 2**70}}, "bad_argument"),
        ({"name": "notice_delivered", "args": {"number": -1}}, "bad_argument"),
        ({"name": "acknowledge_notice", "args": {"number": 2**70}}, "bad_argument"),
        ({"name": "acknowledge_notice", "args": {"number": 2**53 + 1}}, "bad_argument"),
        ({"name": "acknowledge_notice", "args": {}}, "bad_argument"),
    ],
)
async def test_a_refused_command_says_why_and_the_socket_lives(
    house: House, changed: dict[str, Any], code: str
) -> None:
    socket = await house.started()
    await told(socket)
    await socket.send_str(json.dumps({**command("set_mode"), **changed}))
    result = await told(socket)
    assert result["ok"] is False
    assert result["error"]["code"] == code
    await say(socket, command("set_mode", "c2"))
    assert (await told(socket))["ok"]
    await socket.close()


async def test_a_number_that_is_none_is_refused(house: House) -> None:
    socket = await house.started()
    await told(socket)
    await socket.send_str(json.dumps({**command("set_mode"), "args": {"pct": float("nan")}}))
    assert (await told(socket))["error"]["code"] == "bad_argument"
    await socket.close()


async def test_a_refusal_for_lateness_is_not_held_against_the_next_try(house: House) -> None:
    socket = await house.started()
    await told(socket)
    await say(socket, {**command("set_mode"), "deadline": "2026-07-15T20:00:00Z"})
    assert (await told(socket))["error"]["code"] == "too_late"
    await say(socket, command("set_mode"))
    assert (await told(socket))["ok"]
    await socket.close()


async def test_who_may_only_look_moves_nothing(house: House) -> None:
    socket = await house.started(token=await house.token(Role.READ))
    await told(socket)
    for name in ("stop", "notice_delivered", "acknowledge_notice", "new_pairing_code"):
        await say(socket, command(name, name, number=1))
        assert (await told(socket))["error"]["code"] == "not_permitted"
    assert house.doer.asked == []
    await socket.close()


async def test_the_local_command_line_makes_pairing_codes(house: House, tmp_path: Path) -> None:
    local = bearer(house.pairing.write_local_token(tmp_path).read_text())
    async with house.session.post(
        house.url("/api/v1/command"), headers=local, json=command("new_pairing_code")
    ) as response:
        result = await response.json()
    assert await house.pairing.pair(result["data"]["code"], "phone")
    assert house.doer.asked == []


async def test_a_command_goes_on_when_its_client_leaves(house: House) -> None:
    house.doer.gate.clear()
    token = await house.token()
    socket = await house.started(token=token)
    await told(socket)
    await say(socket, command("charge"))
    await until(lambda: len(house.doer.asked) == 1)
    await socket.close()
    await until(lambda: house.hub.subscribers == 0)
    house.doer.gate.set()
    again = await house.started(token=token)
    await told(again)
    await say(again, command("charge"))
    assert (await told(again))["data"] == {"count": 1}
    assert len(house.doer.asked) == 1
    await again.close()


# ------------------------------------------------------------------------------------------------------- bad manners


async def test_a_stop_is_not_behind_a_program_that_is_being_tried(house: House) -> None:
    socket = await house.started()
    await told(socket)
    house.doer.gate.clear()
    for number in range(40):
        await say(socket, command("test_program", f"try{number}", id="peak"))
    await say(socket, command("stop", "now"))
    await until(lambda: [name for name, *_ in house.doer.asked] == ["test_program", "stop"])
    house.doer.gate.set()
    answers = {answer["id"]: answer for answer in [await told(socket) for _ in range(41)]}
    assert answers["now"]["ok"]
    assert answers["try0"]["ok"]
    refused = [answer["error"]["code"] for answer in answers.values() if not answer["ok"]]
    assert set(refused) == {"too_many_commands"}
    assert 40 - 18 < len(refused) < 40 - 15


async def test_a_message_of_an_unknown_type_is_passed_over(house: House) -> None:
    socket = await house.started()
    await told(socket)
    await say(socket, {"type": "of_a_later_version"})
    await say(socket, command("set_mode"))
    assert (await told(socket))["type"] == "result"
    await socket.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type": 5}', "null"])
async def test_what_is_no_message_closes_the_socket(house: House, text: str) -> None:
    socket = await house.started()
    await told(socket)
    await socket.send_str(text)
    assert await closed_with(socket) == NOT_OF_THE_CONTRACT


async def test_a_message_that_is_too_long_closes_the_socket(house: House) -> None:
    socket = await house.started()
    await told(socket)
    await socket.send_str("x" * 70_000)
    assert await closed_with(socket) == 1009


async def test_when_the_edge_stops_it_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        socket = await house.started()
        await told(socket)
        stopping = asyncio.create_task(house.server.stop())
        assert await closed_with(socket) == 1001
        await stopping
