"""Cases 20 to 23: tokens, whom the secret is told, pauses that are asked for, and a server in trouble in an event."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from edge_service.intake import REFUSED_FOR, Intake
from edge_service.ports import ProgramCredentialsError, ProgramError
from edge_service.programs.openadr3_client import MOST_RETRY_AFTER_S
from tests.edge.domain.houses import an_event
from tests.edge.fakes import FakeSource, LeapingClock, MemoryJournal, leaping, passes
from tests.edge.programs.test_openadr3_source import HOUR, MINUTE, NOON, Desk, opened


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened() as one:
        yield one


# -------------------------------------------------------------------------------------------------------------- case 20


@pytest.mark.parametrize("told", ["absent", "0", "-5", "soon", ""])
async def test_case_20_a_token_without_a_sensible_end_is_used_until_it_is_refused(desk: Desk, told: str) -> None:
    desk.utility.set_faults({"token_expires_in": told})
    for _ in range(3):
        await desk.poll(HOUR)
    assert desk.asked("POST", "/auth/token") == 1
    desk.utility.set_faults({"expire_tokens": True})
    await desk.poll(HOUR)
    assert desk.asked("POST", "/auth/token") == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_case_20_a_token_that_died_early_is_renewed_once_whichever_status_says_so(
    desk: Desk, status: int
) -> None:
    await desk.poll()
    desk.utility.set_faults({"expire_tokens": True, "denied_status": status})
    assert (await desk.poll(MINUTE)).problems == ()
    assert desk.asked("POST", "/auth/token") == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_case_20_a_server_that_refuses_each_new_token_costs_it_four_requests_a_poll(
    desk: Desk, status: int
) -> None:
    await desk.poll()
    desk.utility.set_faults({"refuses_all_tokens": True, "denied_status": status})
    before = len(desk.utility.requests)
    with pytest.raises(ProgramCredentialsError, match="check the client id"):
        await desk.poll(MINUTE)
    assert [seen.path.partition("?")[0] for seen in list(desk.utility.requests)[before:]] == [
        *("/vens", "/auth/server", "/auth/token", "/vens", "/programs", "/auth/server", "/auth/token", "/programs"),
    ]


@pytest.mark.parametrize(
    ("status", "a_person_must_act"), [(400, True), (401, True), (403, True), (404, False), (500, False), (501, False)]
)
async def test_case_20_what_a_token_endpoint_answers_tells_whether_a_person_must_act(
    desk: Desk, status: int, a_person_must_act: bool
) -> None:
    desk.utility.set_faults({"token_status": status})
    with pytest.raises(ProgramError) as refused:
        await desk.poll()
    assert isinstance(refused.value, ProgramCredentialsError) == a_person_must_act
    assert desk.asked("POST", "/auth/token") == 1


async def test_case_20_a_sign_in_page_in_place_of_a_token_is_told_as_such(desk: Desk) -> None:
    desk.utility.set_faults({"garbage": True, "only": "/auth/token"})
    for _ in range(4):
        with pytest.raises(ProgramError, match=r"gave no JSON|without an access_token"):
            await desk.poll(MINUTE)


@leaping
async def test_case_20_a_person_hears_at_once_of_credentials_that_never_worked() -> None:
    async with polling(FakeSource("peak", ProgramCredentialsError("no"))) as intake:
        await passes(1)
        assert intake.contacts["peak"].credentials_refused


@leaping
async def test_case_20_credentials_that_worked_are_refused_for_an_hour_before_a_person_hears_of_it() -> None:
    source = FakeSource("peak", [an_event("peak:1", 60, 7200)], ProgramCredentialsError("no"))
    async with polling(source) as intake:
        seen = []
        for wait_s in (REFUSED_FOR.total_seconds(), 310):
            await passes(wait_s)
            seen.append((intake.contacts["peak"].credentials_refused, [event.uid for event in intake.events()]))
    assert seen == [(False, ["peak:1"]), (True, ["peak:1"])]


@asynccontextmanager
async def polling(source: FakeSource) -> AsyncIterator[Intake]:
    intake = Intake(LeapingClock(), MemoryJournal(), (), lambda: None)
    task = asyncio.create_task(intake.poll(source))
    try:
        yield intake
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# -------------------------------------------------------------------------------------------------------------- case 21


@pytest.mark.parametrize(
    "told",
    [
        "http://utility.example/auth/token",
        "https://utility.example/auth/token",
        "https://127.0.0.1:1/auth/token",
        "//utility.example/auth/token",
        "ftp://127.0.0.1/auth/token",
        "http://127.0.0.1@utility.example/auth/token",
        "http://[",
        "javascript:alert(1)",
    ],
)
async def test_case_21_the_secret_goes_to_no_other_host_and_by_no_other_scheme(desk: Desk, told: str) -> None:
    desk.utility.set_faults({"token_url": told})
    with pytest.raises(ProgramError):
        await desk.poll()
    assert [seen.path for seen in desk.utility.requests] == ["/auth/server"]


async def test_case_21_a_relative_token_address_is_one_of_the_same_server(desk: Desk) -> None:
    desk.utility.set_faults({"token_url": "auth/token"})
    assert (await desk.poll()).problems == ()


async def test_case_21_a_redirect_is_not_followed_with_the_secret(desk: Desk) -> None:
    desk.utility.set_faults({"token_status": 307})
    with pytest.raises(ProgramError, match="sends us elsewhere"):
        await desk.poll()
    assert desk.asked("POST", "/auth/token") == 1


async def test_case_21_another_host_is_asked_only_with_a_persons_word_and_only_encrypted() -> None:
    async with opened(token_hosts=("utility.example",)) as desk:
        desk.utility.set_faults({"token_url": "http://utility.example/auth/token"})
        with pytest.raises(ProgramError, match="https only"):
            await desk.poll()
        desk.utility.set_faults({"token_url": "https://localhost.invalid/auth/token"})
        with pytest.raises(ProgramError, match="another place"):
            await desk.poll()


# -------------------------------------------------------------------------------------------------------------- case 22


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("told", "pause_s"),
    [
        ("30", 30),
        (format_datetime(NOON + 3 * MINUTE, usegmt=True), 120),
        ("99999999999999", MOST_RETRY_AFTER_S),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MOST_RETRY_AFTER_S),
        ("0", 5),
        (format_datetime(NOON - HOUR, usegmt=True), 5),
        ("later", 60),
        ("-30", 60),
        (None, 60),
    ],
)
async def test_case_22_a_pause_is_kept_within_bounds_and_a_running_event_stands(
    desk: Desk, status: int, told: str | None, pause_s: float
) -> None:
    desk.call(start_in=-MINUTE)
    before = await desk.events()
    desk.utility.set_faults({"status": status, "retry_after": told})
    with pytest.raises(ProgramError) as refused:
        await desk.poll(MINUTE)
    assert refused.value.retry_after_s == pause_s  # type: ignore[attr-defined]
    desk.utility.set_faults({"status": None, "retry_after": None})
    asked = len(desk.utility.requests)
    with pytest.raises(ProgramError, match="left alone"):
        await desk.poll(timedelta(seconds=pause_s - 1))
    assert len(desk.utility.requests) == asked
    assert await desk.events(timedelta(seconds=1)) == before


@leaping
async def test_case_22_the_intake_waits_as_long_as_asked_and_houses_come_back_apart() -> None:
    waited = []
    for chance in (0.0, 0.5, 0.999):
        error = ProgramError("busy")
        error.retry_after_s = 100.0  # type: ignore[attr-defined]
        source = FakeSource("peak", error, [])
        intake = Intake(LeapingClock(), MemoryJournal(), (), lambda: None, chance=lambda chance=chance: chance)  # type: ignore[misc]
        task = asyncio.create_task(intake.poll(source))
        await passes(115)
        waited.append(source.polled_at[1] - source.polled_at[0])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert waited == pytest.approx([100, 105, 110], abs=0.1)


# -------------------------------------------------------------------------------------------------------------- case 23


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 502}, {"status": 504}, {"bomb": True}])
async def test_case_23_a_storm_of_errors_in_an_event_neither_ends_nor_extends_it(
    desk: Desk, fault: dict[str, Any]
) -> None:
    desk.call(start_in=-MINUTE, lasts=HOUR)
    [event] = await desk.events()
    desk.utility.set_faults(fault)
    for _ in range(3):
        with pytest.raises(ProgramError):
            await desk.poll(MINUTE)
    desk.utility.set_faults(dict.fromkeys(fault))
    [after] = await desk.events(MINUTE)
    assert (after.start, after.end) == (event.start, event.end)


@leaping
async def test_case_23_a_known_event_runs_to_its_known_end_without_its_server_and_then_no_longer() -> None:
    source = FakeSource("peak", [an_event("peak:1", 60, 1800)], ProgramError("500"))
    async with polling(source) as intake:
        await passes(1799)
        assert [event.uid for event in intake.events()] == ["peak:1"]
        await passes(60)
        assert list(intake.events()) == []
        assert intake.contacts["peak"].connected is False


async def test_case_23_a_server_that_lost_its_list_but_not_its_events_ends_none_and_begins_none(desk: Desk) -> None:
    desk.call(start_in=-MINUTE)
    before = await desk.events()
    desk.utility.set_faults({"empty_lists": True})
    assert await desk.events(MINUTE) == before
