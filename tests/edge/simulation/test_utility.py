"""The simulated utility answers as a real VTN was recorded to, and misbehaves on request."""

import asyncio
import base64
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from edge_service.simulation import utility_acts
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from edge_service.simulation.utility_objects import MalformedError, duration, moment

RECORDINGS = Path(__file__).parent / "recordings"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
SECRETS = {"ven": ("ven-client", "ven-secret"), "business": ("business-client", "business-secret")}
HOUR = {"start": "2026-07-15T20:00:00Z", "duration": "PT1H"}
ONE_STEP = [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class Caller:
    """One OAuth2 client of the utility; without a token it is nobody."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, token: str | None = None) -> None:
        self._session = session
        self._base_url = base_url
        self.token = token

    async def ask(self, method: str, path: str, body: object = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = body if isinstance(body, str) else None if body is None else json.dumps(body)
        kind = {"Content-Type": "application/json"} if data else {}
        async with self._session.request(method, self._base_url + path, data=data, headers=headers | kind) as answer:
            return Answer(answer.status, lower(answer.headers), json.loads(await answer.text() or "null"))

    async def make(self, path: str, body: object) -> dict[str, Any]:
        answer = await self.ask("POST", path, body)
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.body
        return made

    async def listed(self, path: str) -> list[dict[str, Any]]:
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.body
        rows: list[dict[str, Any]] = answer.body
        return rows

    async def grant(self, client_id: str, secret: str, grant_type: str = "client_credentials") -> Answer:
        form = {"grant_type": grant_type, "client_id": client_id, "client_secret": secret}
        async with self._session.post(self._base_url + "/auth/token", data=form) as answer:
            return Answer(answer.status, lower(answer.headers), await answer.json())


@dataclass(frozen=True, slots=True)
class Scene:
    """A running utility and its callers."""

    utility: SimulatedUtility
    ven: Caller
    business: Caller
    nobody: Caller

    async def program(self, name: str = "Peak") -> str:
        return str((await self.business.make("/programs", {"programName": name}))["id"])


@asynccontextmanager
async def running(options: UtilityOptions | None = None) -> AsyncIterator[Scene]:
    async with SimulatedUtility(options) as utility, aiohttp.ClientSession() as session:
        nobody = Caller(session, utility.base_url)
        tokens = {name: (await nobody.grant(*secret)).body["access_token"] for name, secret in SECRETS.items()}
        callers = {name: Caller(session, utility.base_url, token) for name, token in tokens.items()}
        yield Scene(utility, callers["ven"], callers["business"], nobody)


def alike(recorded: Any, ours: Any, name: str = "") -> None:
    """Same keys, lengths and values; made-up ids, stamps, addresses and the words of a 400 need only the same form."""
    if isinstance(recorded, dict):
        assert isinstance(ours, dict)
        assert set(ours) == set(recorded)
        for key, value in recorded.items():
            alike(value, ours[key], key)
    elif isinstance(recorded, list):
        assert isinstance(ours, list)
        assert len(ours) == len(recorded)
        for one, other in zip(recorded, ours, strict=True):
            alike(one, other, name)
    elif name in ("id", "instance", "programID", "eventID") and isinstance(recorded, str):
        assert str(UUID(ours)) == ours
    elif name.endswith("DateTime"):
        assert STAMP.fullmatch(ours)
    elif name in ("clientID", "tokenURL") or (name == "detail" and ": " in recorded):
        assert isinstance(ours, str)
    else:
        assert type(ours) is type(recorded)
        assert ours == recorded


async def prepare_as_recorded(scene: Scene, exchanges: list[dict[str, Any]]) -> None:
    """What stood in the recorded server before the first exchange, as its lists tell."""
    listed = {exchange["path"]: exchange["answer"] for exchange in exchanges if exchange["method"] == "GET"}
    earlier = await scene.business.make("/programs", listed["/programs"][-1])
    for row in reversed(listed["/events?limit=50"]):
        if row["programID"] == listed["/programs"][-1]["id"]:
            await scene.business.make("/events", row | {"programID": earlier["id"]})
    for row in listed["/vens"]:
        await scene.business.make("/vens", row | {"objectType": "BL_VEN_REQUEST", "clientID": "ven-client"})


async def replay(scene: Scene, exchange: dict[str, Any], ids: dict[str, str]) -> Answer:
    text = json.dumps([exchange["path"], exchange["body"]])
    for theirs, ours in ids.items():
        text = text.replace(theirs, ours)
    path, body = json.loads(text)
    if exchange["by"] == "a wrong secret":
        return await scene.nobody.grant("ven-client", "wrong")
    if exchange["by"] == "a wrong grant":
        return await scene.nobody.grant(*SECRETS["ven"], grant_type="password")
    stranger = Caller(scene.nobody._session, scene.utility.base_url, "eyJ.not.ours")
    callers = {"ven": scene.ven, "business": scene.business, "nobody": scene.nobody, "a stranger": stranger}
    return await callers[exchange["by"]].ask(exchange["method"], path, body)


async def test_every_recorded_exchange_is_answered_with_the_same_status_headers_and_body() -> None:
    exchanges = json.loads((RECORDINGS / "openleadr-rs-0.2.4.json").read_text(encoding="utf-8"))
    ids: dict[str, str] = {}
    async with running() as scene:
        await prepare_as_recorded(scene, exchanges)
        for exchange in exchanges:
            answer = await replay(scene, exchange, ids)
            recorded = exchange["answer"]
            if exchange["path"] == "/notifiers":  # the recorded server had a broker, ours has none
                recorded = {"WEBSOCKET": recorded["WEBSOCKET"]}
            assert answer.status == exchange["status"], exchange
            assert {name: answer.headers.get(name) for name in exchange["headers"]} == exchange["headers"]
            alike(recorded, answer.body)
            if answer.status == 201:
                ids[recorded["id"]] = answer.body["id"]
    assert len(ids) == 13


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("PT1H", "P0Y0M0DT1H0M0S"),
        ("PT1.5H", "P0Y0M0DT1.5H0M0S"),
        ("P9999Y", "P9999Y0M0DT0H0M0S"),
        ("PT90S", "P0Y0M0DT0H0M90S"),
        ("P2W", "P0Y0M14DT0H0M0S"),
        ("P0Y0M0DT1H0M0S", "P0Y0M0DT1H0M0S"),
        ("PT0.1S", "P0Y0M0DT0H0M0.1S"),
        ("PT16777217S", "P0Y0M0DT0H0M16777216S"),
    ],
)
def test_durations_come_back_with_all_six_fields_in_single_precision(given: str, kept: str) -> None:
    assert duration(given, "duration") == kept


@pytest.mark.parametrize("text", ["P", "PT", "P12H", "-PT1H", "1H", "", "PT1.2.3H", "P1DT", f"P{'9' * 60}Y"])
def test_a_duration_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="duration: invalid value"):
        duration(text, "duration")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-07-15T20:00:00Z", "2026-07-15T20:00:00+00:00"),
        ("2026-07-15T16:00:00-04:00", "2026-07-15T20:00:00+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
    ],
)
def test_times_come_back_in_utc_with_an_offset(given: str, kept: str) -> None:
    assert moment(given, "start") == kept


@pytest.mark.parametrize(
    "text", ["0001-01-01", "2026-07-15T20:00:00", "0000-00-00T00:00:00Z", "0001-01-01T00:00:00+05:00", "tomorrow"]
)
def test_a_time_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="start: invalid value"):
        moment(text, "start")


async def test_a_token_is_a_bearer_token_for_thirty_days() -> None:
    async with running() as scene:
        body = (await scene.nobody.grant(*SECRETS["ven"])).body
        assert body.pop("access_token").count(".") == 2
        assert body == {"token_type": "Bearer", "expires_in": 2_592_000}


async def test_credentials_may_also_come_by_http_basic() -> None:
    async with SimulatedUtility() as utility, aiohttp.ClientSession() as session:
        form = {"grant_type": "client_credentials"}
        headers = {"Authorization": "Basic " + base64.b64encode(":".join(SECRETS["ven"]).encode()).decode()}
        async with session.post(utility.base_url + "/auth/token", data=form, headers=headers) as answer:
            assert answer.status == 200


async def test_an_expired_token_is_refused_with_403_and_a_new_one_works() -> None:
    async with running() as scene:
        scene.utility.set_faults({"expire_tokens": True})
        assert (await scene.ven.ask("GET", "/events")).status == 403
        scene.ven.token = (await scene.nobody.grant(*SECRETS["ven"])).body["access_token"]
        assert (await scene.ven.ask("GET", "/events")).status == 200


async def test_a_token_dies_after_its_lifetime() -> None:
    at = [datetime(2026, 7, 15, 20, tzinfo=UTC)]
    async with SimulatedUtility(now=lambda: at[0]) as utility, aiohttp.ClientSession() as session:
        caller = Caller(session, utility.base_url)
        caller.token = (await caller.grant(*SECRETS["ven"])).body["access_token"]
        at[0] += timedelta(days=29)
        assert (await caller.ask("GET", "/events")).status == 200
        at[0] += timedelta(days=2)
        assert (await caller.ask("GET", "/events")).status == 403


@pytest.mark.parametrize("query", ["limit=0", "limit=51", "limit=-1", "limit=many", "skip=-1", "limit=²"])
async def test_a_page_out_of_bounds_is_refused(query: str) -> None:
    async with running() as scene:
        assert (await scene.ven.ask("GET", f"/events?{query}")).status == 400


async def test_events_come_by_priority_then_newest_first_in_pages() -> None:
    async with running() as scene:
        program = await scene.program()
        for name, priority in (("a", None), ("b", 5), ("c", 0), ("d", None), ("e", 5)):
            await scene.business.make("/events", {"programID": program, "eventName": name, "priority": priority})
        names = [row["eventName"] for row in await scene.ven.listed("/events")]
        assert names == ["c", "e", "b", "d", "a"]
        assert [row["eventName"] for row in await scene.ven.listed("/events?limit=2&skip=3")] == ["d", "a"]
        assert await scene.ven.listed("/events?skip=5") == []


async def test_active_is_ignored_so_that_past_events_come_back() -> None:
    async with running() as scene:
        scene.utility.dispatch.call_event(start_in_s=-7200, duration_s=3600, power_kw=5)
        assert len(await scene.ven.listed("/events?active=true")) == 1


async def test_a_ven_sees_untargeted_events_and_those_with_a_target_granted_to_it() -> None:
    async with running() as scene:
        program = await scene.program()
        for name, targets in (("all", []), ("mine", ["group-1"]), ("theirs", ["group-2"])):
            await scene.business.make("/events", {"programID": program, "eventName": name, "targets": targets})
        assert {row["eventName"] for row in await scene.ven.listed("/events")} == {"all"}
        granting = {"clientID": "ven-client", "venName": "home", "targets": ["group-1"]}
        await scene.business.make("/vens", {"objectType": "BL_VEN_REQUEST"} | granting)
        rows = await scene.ven.listed("/events")
        assert {row["eventName"] for row in rows} == {"all", "mine"}
        assert [row["eventName"] for row in await scene.ven.listed("/events?targets=group-1")] == ["mine"]
        assert await scene.ven.listed("/events?targets=nope") == []
        hidden = next(row["id"] for row in await scene.business.listed("/events") if row["eventName"] == "theirs")
        assert (await scene.ven.ask("GET", f"/events/{hidden}")).status == 404


async def test_events_are_filtered_by_program() -> None:
    async with running() as scene:
        first, second = await scene.program("First"), await scene.program("Second")
        await scene.business.make("/events", {"programID": first, "eventName": "one"})
        await scene.business.make("/events", {"programID": second, "eventName": "two"})
        assert [row["eventName"] for row in await scene.ven.listed(f"/events?programID={second}")] == ["two"]


async def test_a_ven_registers_itself_once_by_name_and_cannot_grant_itself_targets() -> None:
    wish = {"objectType": "VEN_VEN_REQUEST", "venName": "home", "targets": ["group-1"]}
    async with running() as scene:
        made = await scene.ven.make("/vens", wish)
        assert made["clientID"] == "ven-client"
        assert made["targets"] == []
        assert "objectType" not in made
        assert (await scene.ven.ask("POST", "/vens", wish)).status == 409
        changed = await scene.ven.ask("PUT", f"/vens/{made['id']}", wish | {"venName": "house"})
        assert (changed.status, changed.body["targets"], changed.body["venName"]) == (200, [], "house")
        assert [row["id"] for row in await scene.ven.listed("/vens?venName=house")] == [made["id"]]
        as_business = wish | {"objectType": "BL_VEN_REQUEST", "clientID": "other"}
        assert (await scene.ven.ask("POST", "/vens", as_business)).status == 403


async def test_a_ven_keeps_the_targets_it_was_granted_when_it_updates_itself() -> None:
    async with running() as scene:
        granting = {"objectType": "BL_VEN_REQUEST", "clientID": "ven-client", "venName": "home", "targets": ["g"]}
        made = await scene.business.make("/vens", granting)
        own = {"objectType": "VEN_VEN_REQUEST", "venName": "home"}
        assert (await scene.ven.ask("PUT", f"/vens/{made['id']}", own)).body["targets"] == ["g"]


async def test_a_ven_adds_resources_to_its_own_ven_only() -> None:
    async with running() as scene:
        own = await scene.ven.make("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "home"})
        other_ven = {"objectType": "BL_VEN_REQUEST", "clientID": "someone", "venName": "other"}
        other = await scene.business.make("/vens", other_ven)
        wish = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "ev", "venID": own["id"]}
        made = await scene.ven.make("/resources", wish)
        assert (made["venID"], made["clientID"], made["targets"]) == (own["id"], "ven-client", [])
        assert (await scene.ven.ask("POST", "/resources", wish)).status == 409
        assert (await scene.ven.ask("POST", "/resources", wish | {"venID": other["id"]})).status == 409
        assert [row["venName"] for row in await scene.ven.listed("/vens")] == ["home"]


async def test_a_report_is_filed_and_corrected_and_keeps_its_event_from_being_deleted() -> None:
    interval = {"id": 0, "payloads": [{"type": "USAGE", "values": [-4.8]}]}
    async with running() as scene:
        called = scene.utility.dispatch.call_event(start_in_s=0, duration_s=60, power_kw=5)
        resources = [{"resourceName": "ev", "intervalPeriod": HOUR, "intervals": [interval]}]
        wish = {"eventID": called["id"], "clientName": "home", "resources": resources}
        made = await scene.ven.make("/reports", wish)
        changed = await scene.ven.ask("PUT", f"/reports/{made['id']}", wish | {"reportName": "corrected"})
        assert (changed.status, changed.body["reportName"]) == (200, "corrected")
        assert changed.body["resources"][0]["intervalPeriod"]["duration"] == "P0Y0M0DT1H0M0S"
        assert (await scene.business.ask("POST", "/reports", wish)).status == 403
        assert (await scene.ven.ask("POST", "/reports", wish | {"eventID": "gone"})).status == 409
        assert (await scene.business.ask("DELETE", f"/events/{called['id']}")).status == 409
        assert await scene.ven.listed(f"/reports?programID={called['programID']}") == [changed.body]


async def test_a_deleted_object_is_the_answer_and_then_unknown() -> None:
    async with running() as scene:
        program = await scene.program()
        made = await scene.business.make("/events", {"programID": program, "intervalPeriod": HOUR})
        assert (await scene.business.ask("DELETE", f"/programs/{program}")).status == 409
        gone = await scene.business.ask("DELETE", f"/events/{made['id']}")
        assert (gone.status, gone.body) == (200, made)
        unknown = await scene.business.ask("GET", f"/events/{made['id']}")
        assert unknown.status == 404
        assert "detail" not in unknown.body
        assert (await scene.business.ask("DELETE", f"/programs/{program}")).status == 200


async def test_an_event_of_an_unknown_program_is_a_conflict() -> None:
    async with running() as scene:
        assert (await scene.business.ask("POST", "/events", {"programID": "nope"})).status == 409


@pytest.mark.parametrize(
    "wrong",
    [
        {"intervals": [{"id": 0, "payloads": []}]},
        {"intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [None]}]}]},
        {"intervals": [{"id": "0", "payloads": [{"type": "SIMPLE", "values": [1]}]}]},
        {"intervals": "none"},
        {"priority": -1},
        {"priority": True},
        {"targets": [{"type": "VEN_NAME", "values": ["x"]}]},
        {"targets": [""]},
        {"programID": "a b"},
        {"reportDescriptors": [{"payloadType": "USAGE", "reportIntervals": "SOME"}]},
    ],
)
async def test_an_event_with_a_wrong_field_is_refused(wrong: dict[str, object]) -> None:
    async with running() as scene:
        wish = {"programID": await scene.program(), "intervals": ONE_STEP} | wrong
        assert (await scene.business.ask("POST", "/events", wish)).status == 400


@pytest.mark.parametrize("text", ['{"programName":NaN}', "[" * 100_000, "[]", '"text"', "null"])
async def test_a_body_that_is_no_object_is_refused(text: str) -> None:
    async with running() as scene:
        assert (await scene.business.ask("POST", "/programs", text)).status == 400


async def test_a_change_moves_the_modification_time_and_keeps_id_and_creation() -> None:
    async with running() as scene:
        called = scene.utility.dispatch.call_event(start_in_s=60, duration_s=60, power_kw=5)
        changed = (await scene.business.ask("PUT", f"/events/{called['id']}", called)).body
        assert (changed["id"], changed["createdDateTime"]) == (called["id"], called["createdDateTime"])
        assert changed["modificationDateTime"] > called["modificationDateTime"]


async def test_a_called_event_asks_for_a_negative_consumption_in_kilowatts_of_the_default_program() -> None:
    async with running() as scene:
        called = await asyncio.to_thread(
            utility_acts.event, scene.utility.control_url, start_in_s=30, duration_s=10_800, power_kw=5, name="Evening"
        )
        [seen] = await scene.ven.listed("/events")
        [program] = await scene.ven.listed("/programs")
        assert seen == called
        assert (seen["programID"], program["programName"]) == (program["id"], "Peak power")
        assert "intervalPeriod" not in program
        assert seen["intervals"] == [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT", "values": [-5.0]}]}]
        assert seen["payloadDescriptors"] == [{"payloadType": "DISPATCH_SETPOINT", "units": "KW"}]
        assert (seen["eventName"], seen["intervalPeriod"]["duration"]) == ("Evening", "P0Y0M0DT0H0M10800S")
        ahead = datetime.fromisoformat(seen["intervalPeriod"]["start"]) - datetime.now(UTC)
        assert timedelta(seconds=20) < ahead <= timedelta(seconds=30)


async def test_two_called_events_share_one_program() -> None:
    async with running() as scene:
        for start in (0, 600):
            scene.utility.dispatch.call_event(start_in_s=start, duration_s=60, power_kw=5)
        assert len(await scene.ven.listed("/programs")) == 1
        assert len(await scene.ven.listed("/events")) == 2


@pytest.mark.parametrize(
    "wrong", [{"power_kw": -5}, {"power_kw": "5"}, {"duration_s": 0}, {"start_in_s": True}, {"power_w": 5}, {"name": 7}]
)
async def test_a_wrong_call_is_refused_and_calls_nothing(wrong: dict[str, object]) -> None:
    wish = {"start_in_s": 0, "duration_s": 60, "power_kw": 5} | wrong
    async with running() as scene, aiohttp.ClientSession() as session:
        async with session.post(scene.utility.control_url + "/event", json=wish) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]
        assert await scene.ven.listed("/events") == []


async def test_cancelling_deletes_the_newest_event_or_the_named_one() -> None:
    async with running() as scene:
        first = scene.utility.dispatch.call_event(start_in_s=0, duration_s=60, power_kw=5)
        second = scene.utility.dispatch.call_event(start_in_s=0, duration_s=60, power_kw=6)
        url = scene.utility.control_url
        assert await asyncio.to_thread(utility_acts.cancel, url) == {"how": "deleted", "event": second}
        assert await asyncio.to_thread(utility_acts.cancel, url, first["id"]) == {"how": "deleted", "event": first}
        with pytest.raises(utility_acts.UtilityActError, match="there is no event"):
            await asyncio.to_thread(utility_acts.cancel, url)


async def test_cancelling_an_event_with_a_report_empties_its_window() -> None:
    async with running() as scene:
        called = scene.utility.dispatch.call_event(start_in_s=0, duration_s=60, power_kw=5)
        report = {"eventID": called["id"], "clientName": "home", "resources": []}
        await scene.ven.make("/reports", report)
        assert scene.utility.dispatch.cancel()["how"] == "emptied"
        [left] = await scene.ven.listed("/events")
        assert left["intervalPeriod"] == {"start": "0001-01-01T00:00:00+00:00", "duration": "P0Y0M0DT0H0M0S"}


async def test_a_utility_that_is_not_there_is_told_as_such() -> None:
    async with SimulatedUtility() as utility:
        url = utility.control_url
    with pytest.raises(utility_acts.UtilityActError, match="is it running"):
        await asyncio.to_thread(utility_acts.truth, url)


async def test_a_fault_answers_every_openadr_request_until_it_is_taken_away() -> None:
    async with running() as scene:
        url = scene.utility.control_url
        await asyncio.to_thread(utility_acts.faults, url, status=503, retry_after_s=7)
        failed = await scene.ven.ask("GET", "/events")
        assert (failed.status, failed.headers["retry-after"]) == (503, "7")
        assert (await scene.nobody.ask("GET", "/auth/server")).status == 503
        await asyncio.to_thread(utility_acts.faults, url, status=None)
        assert (await scene.ven.ask("GET", "/events")).status == 200


async def test_garbage_comes_with_status_200_and_in_turn() -> None:
    async with running() as scene:
        scene.utility.set_faults({"garbage": True})
        seen = []
        async with aiohttp.ClientSession() as session:
            for _ in range(4):
                async with session.get(scene.utility.base_url + "/events") as answer:
                    assert (answer.status, answer.content_type) == (200, "application/json")
                    seen.append(await answer.text())
        assert len(set(seen)) == 4
        assert seen[0] == '[{"id":"'


async def test_latency_delays_an_answer() -> None:
    async with running() as scene:
        scene.utility.set_faults({"latency_ms": 80})
        before = asyncio.get_running_loop().time()
        await scene.ven.ask("GET", "/events")
        assert asyncio.get_running_loop().time() - before >= 0.079


async def test_bad_siblings_stand_in_lists_beside_the_real_rows() -> None:
    async with running() as scene:
        called = scene.utility.dispatch.call_event(start_in_s=0, duration_s=60, power_kw=5)
        scene.utility.set_faults({"extra_bad_objects": True})
        events = await scene.ven.listed("/events?limit=50")
        assert events[-1] == called
        assert 25 < len(events) < 50
        assert {type(row) for row in events} >= {dict, list, str, int, type(None)}
        assert len(await scene.ven.listed("/programs")) > 1
        assert (await scene.ven.ask("GET", "/events/odd-event-7")).status == 404
        scene.utility.set_faults({"extra_bad_objects": False})
        assert await scene.ven.listed("/events") == [called]


@pytest.mark.parametrize(
    ("wish", "told"),
    [({"status": 200}, "from 400 to 599"), ({"garbage": 1}, "true or false"), ({"stat": 1}, "known: body")],
)
async def test_an_unknown_or_senseless_fault_is_refused(wish: dict[str, int], told: str) -> None:
    async with running() as scene:
        with pytest.raises(utility_acts.UtilityActError, match=told):
            await asyncio.to_thread(utility_acts.faults, scene.utility.control_url, **wish)


async def test_the_truth_tells_requests_with_their_time_and_status_and_the_reports_received() -> None:
    async with running() as scene:
        called = scene.utility.dispatch.call_event(start_in_s=0, duration_s=60, power_kw=5)
        filed = await scene.ven.make("/reports", {"eventID": called["id"], "clientName": "home", "resources": []})
        await scene.ven.ask("GET", "/events?limit=51")
        truth = await asyncio.to_thread(utility_acts.truth, scene.utility.control_url)
        assert truth["reports"] == [filed]
        last = truth["requests"][-1]
        assert STAMP.fullmatch(last.pop("at"))
        assert last == {"method": "GET", "path": "/events?limit=51", "status": 400}
        assert all("/simulate" not in seen["path"] for seen in truth["requests"])


async def test_a_restarted_utility_keeps_its_objects_when_it_has_a_state_file(tmp_path: Path) -> None:
    options = UtilityOptions(state=tmp_path / "utility.json")
    async with running(options) as scene:
        called = scene.utility.dispatch.call_event(start_in_s=0, duration_s=60, power_kw=5)
        token = scene.ven.token
    async with running(options) as scene:
        assert await scene.ven.listed("/events") == [called]
        scene.ven.token = token
        assert (await scene.ven.ask("GET", "/events")).status == 403


def test_a_state_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "utility.json"
    path.write_text('{"programs": 5}', encoding="utf-8")
    with pytest.raises(ValueError, match="not a state file"):
        SimulatedUtility(UtilityOptions(state=path))


@asynccontextmanager
async def process(*options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The command in a process of its own, and its control URL."""
    code = (
        "import argparse, sys; from edge_service.simulation import utility_command as c;"
        "p = argparse.ArgumentParser(); c.add_arguments(p); sys.exit(c.run(p.parse_args()))"
    )
    pipe = asyncio.subprocess.PIPE
    running_process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *options, stdout=pipe, stderr=pipe
    )
    assert running_process.stdout is not None
    try:
        async with asyncio.timeout(20):
            lines = [(await running_process.stdout.readline()).decode() for _ in range(2)]
        yield running_process, lines[-1].rpartition(" ")[2].strip()
    finally:
        if running_process.returncode is None:
            running_process.kill()
        await running_process.wait()


async def test_a_killed_and_restarted_process_keeps_its_events_and_ends_well_on_sigterm(tmp_path: Path) -> None:
    options = ("--port", "0", "--state", str(tmp_path / "utility.json"))
    async with process(*options) as (first, url):
        called = await asyncio.to_thread(utility_acts.event, url, start_in_s=0, duration_s=60, power_kw=5)
        first.kill()
    async with process(*options) as (second, url):
        assert (await asyncio.to_thread(utility_acts.truth, url))["events"] == [called]
        second.terminate()
        async with asyncio.timeout(20):
            assert await second.wait() == 0


async def test_a_process_whose_port_is_taken_says_so() -> None:
    async with SimulatedUtility() as utility, process("--port", str(utility.port)) as (refused, _):
        assert refused.stderr is not None
        async with asyncio.timeout(20):
            assert b"cannot start" in await refused.stderr.read()
            assert await refused.wait() == 1


async def test_a_foreign_client_lists_programs_and_events(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = pytest.importorskip("openadr3_client.ven.http_factory", reason="openadr3-client is not installed")
    version = pytest.importorskip("openadr3_client.version").OADRVersion
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    async with running() as scene:
        called = scene.utility.dispatch.call_event(start_in_s=60, duration_s=5400, power_kw=5)

        def read() -> tuple[Any, Any]:
            client = factory.VirtualEndNodeHttpClientFactory.create_http_ven_client(
                scene.utility.base_url, *SECRETS["ven"], allow_insecure_http=True, version=version.OADR_310
            )
            return client.programs.get_programs(None, None), client.events.get_events(None, None, None)

        [program], [event] = await asyncio.to_thread(read)
    assert program.program_name == "Peak power"
    assert (event.id, event.program_id) == (called["id"], program.id)
    assert event.intervals[0].payloads[0].values == (-5.0,)
    assert event.interval_period.duration == timedelta(seconds=5400)
