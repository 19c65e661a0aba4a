"""What servers on the way to the events may answer: every odd answer is an error of ours, and no secret goes astray."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web

from edge_service.ports import ProgramCredentialsError, ProgramError
from edge_service.programs import openadr3
from edge_service.programs.openadr3 import OpenAdr3Source
from edge_service.programs.openadr3_client import MOST_BYTES, MOST_PAGES, ProgramAnswerError
from edge_service.programs.openadr3_options import OpenAdr3Options

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BASE = "/vtn/openadr3/3.1.0"
TOKEN = {"access_token": "t", "token_type": "Bearer", "expires_in": 3600}

type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]] | web.Response | list[Any] | dict[str, Any] | str


def row(event_id: str = "e1", **changes: Any) -> dict[str, Any]:
    whole = {
        "id": event_id,
        "programID": "p1",
        "intervalPeriod": {"start": (NOON + timedelta(hours=1)).isoformat(), "duration": "PT1H"},
        "intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [3]}]}],
    }
    return whole | changes


@dataclass
class Server:
    """A server that answers what a test says; by default a quiet VTN with one event."""

    answers: dict[str, Answer] = field(
        default_factory=lambda: {
            "/auth/server": {"tokenURL": f"{BASE}/auth/token"},
            "/auth/token": TOKEN,
            "/vens": [{"id": "v1", "venName": "home", "targets": []}],
            "/programs": [{"id": "p1", "programName": "Peak"}],
            "/events": [row()],
        }
    )
    requests: list[web.Request] = field(default_factory=list)
    forms: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Its clock says nothing unless a test does: polls are at any time."""
        response = await self._answered(request)
        response.headers.setdefault("Date", "-")
        return response

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if request.method == "POST":
            self.forms.append(dict(await request.post()))
        answer = self.answers.get(request.path.removeprefix(BASE))
        if answer is None or not request.path.startswith(BASE):
            return web.Response(status=404)
        if isinstance(answer, web.Response):
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="text/html")
        return web.json_response(answer) if isinstance(answer, list | dict) else await answer(request)

    def paths(self) -> list[str]:
        return [request.path.removeprefix(BASE) for request in self.requests]

    def source(self, **changes: Any) -> OpenAdr3Source:
        values = {
            "id": "peak",
            "name": "Peak",
            "base_url": f"http://127.0.0.1:{self.port}{BASE}/",
            "client_id": "us",
            "client_secret": "our secret",
            "ven_name": "home",
        }
        return OpenAdr3Source(OpenAdr3Options(**(values | changes)), "house")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    yield one
    await runner.cleanup()


async def polled(server: Server, at: datetime = NOON, **changes: Any) -> tuple[str, ...]:
    source = server.source(**changes)
    try:
        return tuple(event.uid for event in (await source.poll(at)).events)
    finally:
        await source.close()


# ------------------------------------------------------------------------------------------------------------ the token


async def test_the_path_of_the_base_address_is_kept_and_the_secret_goes_in_a_form(server: Server) -> None:
    assert await polled(server) == ("peak:e1",)
    assert server.paths() == ["/auth/server", "/auth/token", "/vens", "/resources", "/programs", "/events"]
    assert server.forms == [{"grant_type": "client_credentials", "client_id": "us", "client_secret": "our secret"}]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 501])
async def test_a_server_without_auth_server_is_asked_for_a_token_below_its_base(server: Server, status: int) -> None:
    server.answers["/auth/server"] = web.Response(status=status)
    assert await polled(server) == ("peak:e1",)


@pytest.mark.parametrize(
    "told",
    [
        "http://utility.example/auth/token",
        "https://utility.example/auth/token",
        "https://127.0.0.1/auth/token",
        "//utility.example/auth/token",
        "ftp://127.0.0.1/auth/token",
        "http://127.0.0.1@utility.example/auth/token",
        "http://[",
        "",
        None,
        7,
    ],
)
async def test_the_secret_goes_to_no_other_place(server: Server, told: Any) -> None:
    server.answers["/auth/server"] = {"tokenURL": told}
    with pytest.raises(ProgramError):
        await polled(server)
    assert server.forms == []


@pytest.mark.parametrize("told", ["auth/token", f"{BASE}/auth/token", "http://localhost:{port}" + BASE + "/auth/token"])
async def test_a_token_address_of_the_same_place_is_followed_however_it_is_written(server: Server, told: str) -> None:
    server.answers["/auth/server"] = {"tokenURL": told.replace("{port}", str(server.port))}
    assert await polled(server) == ("peak:e1",)


async def test_a_redirect_is_not_followed_with_the_secret(server: Server) -> None:
    for path in ("/auth/token", "/auth/server", "/events"):
        before, server.answers[path] = (
            server.answers[path],
            web.Response(status=307, headers={"Location": f"http://localhost:{server.port}/elsewhere"}),
        )
        with pytest.raises(ProgramError, match="sends us elsewhere"):
            await polled(server)
        server.answers[path] = before
    assert not [path for path in server.paths() if "elsewhere" in path]


@pytest.mark.parametrize("expires_in", [None, 0, -5, "soon", "", True, [], 1e300, "1e999", "NaN"])
async def test_a_token_without_a_sensible_end_is_used_until_it_is_refused(server: Server, expires_in: Any) -> None:
    server.answers["/auth/token"] = TOKEN | {"expires_in": expires_in}
    source = server.source()
    for number in range(3):
        await source.poll(NOON + number * MINUTE)
    assert server.paths().count("/auth/token") == 1
    await source.close()


@pytest.mark.parametrize("expires_in", [600, "600", 600.0])
async def test_a_token_is_renewed_before_its_end(server: Server, expires_in: Any) -> None:
    server.answers["/auth/token"] = TOKEN | {"expires_in": expires_in}
    source = server.source()
    for minute in (0, 8, 9.5, 17):
        await source.poll(NOON + minute * MINUTE)
    assert server.paths().count("/auth/token") == 2
    await source.close()


@pytest.mark.parametrize(
    "body", ["<html>", [], {}, {"access_token": None}, {"access_token": ""}, {"access_token": "a\r\nX: y"}]
)
async def test_a_token_answer_without_a_token_is_an_error(server: Server, body: Any) -> None:
    server.answers["/auth/token"] = body
    with pytest.raises(ProgramError):
        await polled(server)


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_client_needs_a_person(server: Server, status: int) -> None:
    text = json.dumps({"error": "invalid_client", "error_description": "No such client"})
    server.answers["/auth/token"] = web.Response(status=status, text=text)
    with pytest.raises(ProgramCredentialsError, match="No such client"):
        await polled(server)


@pytest.mark.parametrize(
    ("path", "status", "repeated"), [("/auth/token", 401, "our secret"), ("/auth/token", 500, "our secret"),
                                     ("/events", 403, "our token"), ("/events", 500, "our token")]
)  # fmt: skip
async def test_a_server_that_repeats_a_secret_puts_it_in_nobodys_sight(
    server: Server, path: str, status: int, repeated: str
) -> None:
    text = json.dumps({"detail": f"{'x' * 195}{repeated} is wrong"})
    server.answers["/auth/token"] = TOKEN | {"access_token": "our token"}
    server.answers[path] = web.Response(status=status, text=text)
    with pytest.raises(ProgramError) as refused:
        await polled(server)
    assert repeated[:5] not in str(refused.value)
    assert "x***" in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://utility.example/openadr3", "ftp://127.0.0.1/", "https:///x", "peak", "http://["]
)
async def test_an_address_that_is_unsafe_or_none_is_refused_before_anything_is_sent(url: str) -> None:
    async def attempt() -> None:
        await OpenAdr3Source(OpenAdr3Options(id="peak", name="Peak", base_url=url), "house").poll(NOON)

    with pytest.raises(ProgramError, match=r"without encryption|no address"):
        await attempt()


async def test_no_message_and_no_repr_shows_the_secret(server: Server) -> None:
    source = server.source()
    assert "our secret" not in repr(source.options) + repr(source.options.access)
    server.answers["/auth/token"] = web.Response(status=401)
    with pytest.raises(ProgramCredentialsError) as refused:
        await source.poll(NOON)
    assert "our secret" not in str(refused.value)
    await source.close()


# ---------------------------------------------------------------------------------------------------- what is no answer

NESTED = "[" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'[{"id":"e1",',
        b"<!DOCTYPE html><html>Sign in</html>",
        b'{"events":[]}',
        b"null",
        b"7",
        b'[{"id":NaN}]',
        b"[Infinity]",
        b"\xff\xfe[]",
        NESTED.encode(),
        b"[" + b" " * MOST_BYTES + b"]",
    ],
    ids=["empty", "cut", "html", "object", "null", "number", "nan", "infinity", "bytes", "nested", "large"],
)
@pytest.mark.parametrize("path", ["/events", "/programs"])
async def test_an_answer_that_is_no_list_of_json_is_a_failed_contact(server: Server, path: str, body: bytes) -> None:
    server.answers[path] = web.Response(body=body, content_type="application/json")
    with pytest.raises(ProgramError):
        await polled(server)


@pytest.mark.parametrize("unpacked", [MOST_BYTES + 1, 50_000_000])
async def test_a_packed_answer_is_bounded_by_its_unpacked_size(server: Server, unpacked: int) -> None:
    packed = gzip.compress(b"[" + b" " * unpacked + b"]")
    server.answers["/events"] = web.Response(body=packed, headers={"Content-Encoding": "gzip"})
    with pytest.raises(ProgramError):
        await polled(server)


async def test_a_packed_answer_of_an_honest_size_is_read(server: Server) -> None:
    packed = gzip.compress(json.dumps([row()]).encode())
    server.answers["/events"] = web.Response(body=packed, headers={"Content-Encoding": "gzip"})
    assert await polled(server) == ("peak:e1",)


@pytest.mark.parametrize("kind", ["application/json", "application/problem+json", "text/plain", "text/html"])
async def test_json_is_read_whatever_it_is_called_also_with_a_byte_order_mark(server: Server, kind: str) -> None:
    body = b"\xef\xbb\xbf" + json.dumps([row()]).encode()
    server.answers["/events"] = web.Response(body=body, content_type=kind)
    assert await polled(server) == ("peak:e1",)


async def test_a_number_beyond_all_bounds_spoils_its_own_event_only(server: Server) -> None:
    spoilt = json.dumps([row("bad", priority=424242), row()]).replace("424242", "1e400").encode()
    longer = json.dumps([row("worse", priority=424242)]).replace("424242", "9" * 5000).encode()
    server.answers["/events"] = web.Response(body=spoilt[:-1] + b"," + longer[1:])
    source = server.source()
    news = await source.poll(NOON)
    assert {event.uid: event.priority for event in news.events} == dict.fromkeys(("peak:bad", "peak:e1", "peak:worse"))
    assert len(news.problems) == 3
    await source.close()


# ---------------------------------------------------------------------------------------------------------------- pages


async def test_a_server_that_never_finishes_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    forever = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await forever.wait()
        return web.Response()

    server.answers["/events"] = hang
    monkeypatch.setattr(openadr3, "CONTACT_WITHIN_S", 0.2)
    with pytest.raises(ProgramError, match=r"took more than 0\.2 s"):
        await polled(server)
    forever.set()


async def test_a_server_that_ignores_pages_is_read_once(server: Server) -> None:
    server.answers["/events"] = [row(f"e{number}") for number in range(60)]
    assert len(await polled(server)) == 60


async def test_pages_that_shift_while_they_are_read_are_read_again(server: Server) -> None:
    rows = [row(f"e{number}") for number in range(80)]
    rounds: list[int] = []

    async def shifting(request: web.Request) -> web.Response:
        skip = int(request.query["skip"])
        rounds.append(skip)
        if len(rounds) == 2:
            rows.insert(0, row("new"))
        return web.json_response(rows[skip : skip + 50])

    server.answers["/events"] = shifting
    assert len(await polled(server)) == 81
    assert rounds == [0, 50, 0, 50]


async def test_a_list_without_end_is_refused(server: Server) -> None:
    async def more(request: web.Request) -> web.Response:
        skip = int(request.query["skip"])
        return web.json_response([row(f"e{number}") for number in range(skip, skip + 50)])

    server.answers["/events"] = more
    with pytest.raises(ProgramError, match="more than 1000"):
        await polled(server)
    assert server.paths().count("/events") == MOST_PAGES


async def test_an_event_hidden_from_the_list_but_still_there_stands_and_one_that_is_refused_is_gone(
    server: Server,
) -> None:
    source = server.source()
    before = (await source.poll(NOON)).events
    server.answers["/events"] = []
    server.answers["/events/e1"] = row()
    assert (await source.poll(NOON)).events == before
    server.answers["/events/e1"] = web.Response(status=500)
    with pytest.raises(ProgramAnswerError, match="500"):
        await source.poll(NOON)
    server.answers["/events/e1"] = web.Response(status=403)
    assert (await source.poll(NOON)).events == ()
    await source.close()


async def test_an_event_that_was_gone_and_comes_back_is_announced_anew(server: Server) -> None:
    source = server.source()
    for minute, rows, announced in ((0, [row()], [NOON]), (1, [], []), (2, [row()], [NOON + 2 * MINUTE])):
        server.answers["/events"] = rows
        news = await source.poll(NOON + minute * MINUTE)
        assert [event.announced_at for event in news.events] == announced
    await source.close()


@pytest.mark.parametrize(
    ("targets", "ours"),
    [
        ([{"type": "VEN_NAME", "values": ["another"]}], False),
        ([{"type": "VEN_NAME", "values": ["another", "home"]}], True),
        ([{"type": "GROUP", "values": ["north"]}], True),
        ([{"type": "GROUP", "values": ["south"]}], False),
        ([{"type": "PROGRAM_NAME", "values": ["Peak"]}], True),
        ([], True),
        (None, True),
        ("x", True),
        ([None, {"type": "VEN_NAME", "values": "another"}], True),
    ],
)
async def test_targets_of_the_older_version_are_sorted_out_here(server: Server, targets: Any, ours: bool) -> None:
    granted = [{"type": "GROUP", "values": ["north"]}]
    server.answers["/vens"] = [None, {"id": "v1", "venName": "home", "targets": granted}]
    server.answers["/events"] = [row(targets=targets)]
    assert await polled(server) == (("peak:e1",) if ours else ())


# ------------------------------------------------------------------------------------------------------------ enrolment


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
async def test_a_server_that_does_not_let_us_enrol_still_gives_events_and_is_not_asked_each_time(
    server: Server, status: int
) -> None:
    server.answers["/vens"] = web.Response(status=status)
    source = server.source()
    for number in range(3):
        news = await source.poll(NOON + number * MINUTE)
        assert [event.uid for event in news.events] == ["peak:e1"]
        assert len(news.problems) == 1
    asked = server.paths().count("/vens")
    assert asked <= 2
    await source.poll(NOON + timedelta(hours=2))
    assert server.paths().count("/vens") > asked
    await source.close()


async def test_a_name_that_is_taken_for_good_is_a_problem_and_no_loop(server: Server) -> None:
    async def taken(request: web.Request) -> web.Response:
        return web.json_response([]) if request.method == "GET" else web.Response(status=409)

    server.answers["/vens"] = taken
    source = server.source()
    for number in range(3):
        assert len((await source.poll(NOON + number * MINUTE)).problems) == 1
    assert [request.method for request in server.requests if request.path.endswith("/vens")].count("POST") == 2
    await source.close()


async def test_a_server_that_does_not_list_by_target_is_read_without(server: Server) -> None:
    async def plain(request: web.Request) -> web.Response:
        return web.Response(status=400) if "targets" in request.query else web.json_response([row()])

    server.answers["/vens"] = [{"id": "v1", "venName": "home", "targets": ["group-1"]}]
    server.answers["/events"] = plain
    source = server.source()
    news = await source.poll(NOON)
    assert (len(news.events), len(news.problems)) == (1, 1)
    await source.close()


# --------------------------------------------------------------------------------------------------------------- clocks


@pytest.mark.parametrize("minutes", [-10, 0, 10])
async def test_the_clocks_are_compared_and_ours_ahead_is_positive(server: Server, minutes: int) -> None:
    theirs = format_datetime(NOON - minutes * MINUTE, usegmt=True)
    server.answers["/auth/server"] = web.Response(
        text=json.dumps({"tokenURL": f"{BASE}/auth/token"}), headers={"Date": theirs}
    )
    source = server.source()
    skew_s = (await source.poll(NOON)).clock_skew_s
    assert skew_s is not None
    assert abs(skew_s - minutes * 60) < 3
    await source.close()


@pytest.mark.parametrize(
    ("told", "pause_s"),
    [("0", 5), ("7", 7), ("99999999999999", 900), ("-5", 60), ("soon", 60), ("", 60),
     (format_datetime(NOON + 2 * MINUTE, usegmt=True), 120), (format_datetime(NOON - MINUTE, usegmt=True), 5),
     ("Fri, 31 Dec 9999 23:59:59 GMT", 900)],
)  # fmt: skip
async def test_a_pause_may_be_told_in_seconds_or_as_a_date(server: Server, told: str, pause_s: int) -> None:
    server.answers["/programs"] = web.Response(status=503, headers={"Retry-After": told})
    with pytest.raises(ProgramAnswerError) as refused:
        await polled(server)
    assert refused.value.retry_after_s == pause_s
