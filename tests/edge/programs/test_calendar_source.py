"""A program whose events stand in an iCalendar file, on the disk or on the web."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from edge_service.domain.model import Event, Slot, SlotKind
from edge_service.ports import ConfigError, ProgramCredentialsError, ProgramError
from edge_service.programs.icalendar_file import CalendarSource

NOW = datetime(2026, 10, 30, 12, tzinfo=UTC)
NEW_YORK = "TZID=America/New_York"


def an_entry(**lines: str) -> str:
    """A VEVENT; a line of nothing is left out."""
    plain = {"UID": "a@home", "DTSTART": "20261030T210000Z", "DTEND": "20261031T000000Z", "SUMMARY": "Peak event 5 kW"}
    told = {name: value for name, value in (plain | lines).items() if value}
    return "\r\n".join(["BEGIN:VEVENT", *(_line(name, value) for name, value in told.items()), "END:VEVENT"])


def _line(name: str, value: str) -> str:
    with_zone = value.startswith(("TZID=", "VALUE="))
    return f"{name.replace('_', '-')}{';' if with_zone else ':'}{value}"


def a_calendar(*entries: str, head: str = "") -> str:
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//home//EN", *([head] if head else []), *entries]
    ) + ("\r\nEND:VCALENDAR\r\n")


class File:
    """A calendar on the disk, and a source that reads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "peaks of may.ics"
        self.known: tuple[Event, ...] = ()

    async def read(self, *entries: str, now: datetime = NOW, head: str = "", **options: Any) -> Any:
        self.path.write_text(a_calendar(*entries, head=head))
        return await self.poll(now, **options)

    async def poll(self, now: datetime = NOW, **options: Any) -> Any:
        plain = {"id": "peak", "name": "Peak power", "base_url": self.path.as_uri()}
        source = CalendarSource.open(plain | options, "installation-1", self.known)
        news = await source.poll(now)
        self.known = news.events
        return news


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


def starts(news: Any) -> list[str]:
    return [event.start.strftime("%d %H:%M") for event in news.events]


async def test_an_entry_becomes_an_event(file: File) -> None:
    news = await file.read(an_entry(), an_entry(UID="b@home", SUMMARY="Dentist"))
    (event,) = news.events
    start = datetime(2026, 10, 30, 21, tzinfo=UTC)
    assert event.slots == (Slot(start, start + timedelta(hours=3), SlotKind.POWER, -5000),)
    assert (event.program_id, event.name, event.announced_at) == ("peak", "Peak event 5 kW", NOW)
    assert event.uid.startswith("peak:")
    assert news.problems == ()


async def test_the_day_of_an_entry_that_is_not_clear_is_that_on_the_wall(file: File) -> None:
    late = an_entry(DTSTART="20261031T010000Z", DTEND="20261031T020000Z", SUMMARY="Peak event about 5 kW")
    (problem,) = (await file.read(late, time_zone="America/New_York")).problems
    assert problem.startswith('The entry "Peak event about 5 kW" of 2026-10-30 was passed over')


async def test_a_moved_entry_is_the_same_event_and_was_announced_when_it_first_was(file: File) -> None:
    (before,) = (await file.read(an_entry())).events
    later = NOW + timedelta(hours=1)
    (after,) = (await file.read(an_entry(DTSTART="20261030T220000Z"), now=later)).events
    assert (after.uid, after.announced_at) == (before.uid, NOW)
    assert after.start == before.start + timedelta(hours=1)
    assert (await file.read(now=later)).events == ()


async def test_a_series_keeps_its_hour_on_the_wall_over_the_end_of_summer_time(file: File) -> None:
    lines = {"DTSTART": f"{NEW_YORK}:20261030T170000", "DTEND": f"{NEW_YORK}:20261030T200000"}
    lines |= {"RRULE": "FREQ=DAILY;COUNT=5", "EXDATE": f"{NEW_YORK}:20261031T170000"}
    moved = {"RECURRENCE_ID": f"{NEW_YORK}:20261102T170000", "SUMMARY": "Peak event 4 kW"}
    moved |= {"DTSTART": f"{NEW_YORK}:20261102T183000", "DTEND": f"{NEW_YORK}:20261102T200000"}
    off = {"RECURRENCE_ID": f"{NEW_YORK}:20261103T170000", "STATUS": "CANCELLED"}
    off |= {"DTSTART": f"{NEW_YORK}:20261103T170000", "DTEND": f"{NEW_YORK}:20261103T200000"}
    news = await file.read(an_entry(**lines), an_entry(**moved), an_entry(**off))
    assert starts(news) == ["30 21:00", "01 22:00", "02 23:30"]
    assert [event.slots[0].power_w for event in news.events] == [-5000, -5000, -4000]
    assert len({event.uid for event in news.events}) == 3
    assert news.problems == ()
    # The same occurrence, moved by itself, stays the same event.
    before = news.events[2].uid
    moved["DTSTART"] = f"{NEW_YORK}:20261102T190000"
    assert (await file.read(an_entry(**lines), an_entry(**moved), an_entry(**off))).events[2].uid == before


async def test_an_occurrence_renamed_to_something_else_is_no_event_and_one_renamed_to_ours_is(file: File) -> None:
    lines = {"RRULE": "FREQ=DAILY;COUNT=2", "SUMMARY": "Nothing"}
    renamed = {"RECURRENCE_ID": "20261031T210000Z", "DTSTART": "20261031T210000Z", "DTEND": "20261031T230000Z"}
    assert starts(await file.read(an_entry(**lines), an_entry(**renamed))) == ["31 21:00"]
    lines["SUMMARY"], renamed["SUMMARY"] = "Peak event 5 kW", "Nothing"
    assert starts(await file.read(an_entry(**lines), an_entry(**renamed))) == ["30 21:00"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ({"DTSTART": "VALUE=DATE:20261101", "DTEND": ""}, "lasts all day"),
        ({"DTSTART": "20261101T170000", "DTEND": "20261101T200000"}, "name no time zone"),
        ({"SUMMARY": "Peak event 5"}, "number that is not clear"),
        ({"STATUS": "TENTATIVE"}, "tentative"),
        ({"DTEND": "20261101T210000Z"}, "longer than 12 hours"),
        ({"SUMMARY": "Peak event 5 kW net"}, "set the program's scope to site"),
        ({"RRULE": "FREQ=SECONDLY"}, "more often than once a day"),
        ({"RRULE": "FREQ=DAILY;BYHOUR=1,2,3"}, "more often than once a day"),
        ({"RRULE": "FREQ=DAILY;INTERVAL=0"}, "more often than once a day"),
        ({"EXRULE": "FREQ=SECONDLY"}, "more often than once a day"),
        ({"DTEND": "20261030T200000Z"}, "does not end after it begins"),
    ],
)
async def test_what_is_ours_and_not_clear_is_told_and_the_others_count(
    file: File, lines: dict[str, str], words: str
) -> None:
    news = await file.read(an_entry(**lines), an_entry(UID="good@home"))
    assert len(news.events) == 1
    assert len(news.problems) == 1
    assert words in news.problems[0]


async def test_times_without_a_zone_are_of_the_zone_that_the_calendar_or_a_person_says(file: File) -> None:
    floating = an_entry(DTSTART="20261101T170000", DTEND="20261101T200000")
    assert starts(await file.read(floating, time_zone="America/New_York")) == ["01 22:00"]
    assert starts(await file.read(floating, head="X-WR-TIMEZONE:Europe/Berlin")) == ["01 16:00"]


async def test_net_is_understood_where_the_program_counts_at_the_meter(file: File) -> None:
    news = await file.read(an_entry(SUMMARY="Peak event 5 kW net"), scope="site")
    assert len(news.events) == 1


async def test_the_title_of_a_private_entry_is_shown_to_nobody(file: File) -> None:
    (event,) = (await file.read(an_entry(CLASS="PRIVATE", SUMMARY="Peak event 5 kW for Aunt Ada"))).events
    assert event.name == "Peak power"
    news = await file.read(an_entry(CLASS="PRIVATE", SUMMARY="Peak event for Aunt Ada"))
    assert "Ada" not in "".join(news.problems)


async def test_a_title_is_cleaned_before_anybody_sees_it(file: File) -> None:
    (event,) = (await file.read(an_entry(SUMMARY="Peak event 5 kW \u202e<b>now</b>\\n soon\u0007"))).events
    assert event.name == "Peak event 5 kW <b>now</b> soon"


async def test_an_entry_for_another_program_is_not_ours(file: File) -> None:
    mine = an_entry(DESCRIPTION="program: peak\\npower: 5 kW")
    other = an_entry(UID="b@home", DESCRIPTION="program: other")
    assert len((await file.read(mine, other)).events) == 1


async def test_of_an_endless_series_only_the_next_months_are_known(file: File) -> None:
    news = await file.read(an_entry(RRULE="FREQ=DAILY", DTSTART="19700101T210000Z", DTEND="19700101T230000Z"))
    assert 85 <= len(news.events) <= 92


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>Sign in</html>",
        a_calendar(an_entry())[:-60],
        "\x00" * 100,
        "BEGIN:VCALENDAR\r\n" * 2 + "END:VCALENDAR",
    ],
)
async def test_what_is_no_whole_calendar_is_a_failed_read_and_never_an_empty_one(file: File, text: str) -> None:
    file.path.write_text(text)
    with pytest.raises(ProgramError):
        await file.poll()


async def test_half_a_calendar_is_called_so(file: File) -> None:
    file.path.write_text(a_calendar(an_entry()).removesuffix("END:VCALENDAR\r\n"))
    with pytest.raises(ProgramError, match="only the beginning of one"):
        await file.poll()


async def test_a_file_that_is_not_there_or_too_large_is_a_failed_read(file: File) -> None:
    with pytest.raises(ProgramError, match="cannot be read"):
        await file.poll()
    file.path.write_text(a_calendar(an_entry(DESCRIPTION="x" * 2_000_000)))
    with pytest.raises(ProgramError, match="more than 2 MB"):
        await file.poll()


# ------------------------------------------------------------------------------------------------------ on the web


@dataclass
class Web:
    """A server that gives out a calendar."""

    url: str = ""
    text: str = field(default_factory=lambda: a_calendar(an_entry()))
    status: int = 200
    asked: list[Any] = field(default_factory=list)


@asynccontextmanager
async def a_web() -> AsyncIterator[Web]:
    served = Web()

    async def give(request: web.Request) -> web.Response:
        served.asked.append(dict(request.headers))
        if served.status == 200 and request.headers.get("If-None-Match") == '"v1"' and "v1" in served.url:
            return web.Response(status=304)
        headers = {"ETag": '"v1"', "Location": "/elsewhere"}
        return web.Response(status=served.status, text=served.text, headers=headers)

    app = web.Application()
    app.add_routes([web.get("/secret-7/{name}", give)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/secret-7/v1.ics?key=abc"
    try:
        yield served
    finally:
        await runner.cleanup()


async def test_a_calendar_on_the_web_is_asked_only_for_what_has_changed() -> None:
    async with a_web() as served:
        source = CalendarSource.open({"id": "peak", "name": "Peak", "base_url": served.url}, "i")
        first = await source.poll(NOW)
        second = await source.poll(NOW)
        assert first.events == second.events != ()
        assert [headers.get("If-None-Match") for headers in served.asked] == [None, '"v1"']
        assert (await source.poll(NOW + timedelta(days=1))).events == ()  # time goes on in an unchanged calendar
        await source.close()


@pytest.mark.parametrize(
    ("status", "error"), [(500, ProgramError), (302, ProgramError), (401, ProgramCredentialsError)]
)
async def test_a_failed_request_is_no_empty_calendar_and_tells_no_address(status: int, error: Any) -> None:
    async with a_web() as served:
        source = CalendarSource.open({"id": "peak", "name": "Peak", "base_url": served.url}, "i")
        await source.poll(NOW)
        served.status = status
        with pytest.raises(error) as failed:
            await source.poll(NOW)
        assert "secret" not in str(failed.value)
        await source.close()


async def test_a_server_that_is_gone_tells_no_address() -> None:
    async with a_web() as served:
        url = served.url
    source = CalendarSource.open({"id": "peak", "name": "Peak", "base_url": url}, "i")
    with pytest.raises(ProgramError) as failed:
        await source.poll(NOW)
    assert "secret" not in str(failed.value)
    await source.close()


async def test_what_was_half_read_is_not_believed_unchanged() -> None:
    async with a_web() as served:
        source = CalendarSource.open({"id": "peak", "name": "Peak", "base_url": served.url}, "i")
        whole, served.text = served.text, served.text[:100]
        with pytest.raises(ProgramError):
            await source.poll(NOW)
        served.text = whole
        assert len((await source.poll(NOW)).events) == 1
        await source.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://example.org/a.ics"},
        {"base_url": "file://server/a.ics"},
        {"base_url": "ftp://example.org/a.ics"},
        {"base_url": "https://user:pass@example.org/a.ics"},
        {"base_url": ""},
        {"base_url": "https://example.org/a.ics", "poll_s": 5},
        {"poll_s": "often"},
        {"time_zone": "Mars/Olympus"},
        {"colour": "red"},
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        CalendarSource.open({"id": "peak", "name": "Peak", "base_url": "file:///tmp/a.ics"} | wrong, "i")
    assert "example.org" not in str(refused.value)


def test_a_webcal_address_is_asked_in_private() -> None:
    values = {"id": "peak", "name": "Peak", "base_url": "webcal://example.org/a.ics"}
    assert CalendarSource.open(values, "i").options.base_url == "https://example.org/a.ics"
