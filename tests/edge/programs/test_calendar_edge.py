"""Calendars at a whole edge: what is written there is served, what is taken out is cancelled."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import QUICK_SITE, RunningEdge, a_house, config_of, running
from tests.edge.programs.test_calendar_source import a_calendar, an_entry


def entry_of(start: datetime, end: datetime, title: str) -> str:
    return an_entry(DTSTART=f"{start:%Y%m%dT%H%M%SZ}", DTEND=f"{end:%Y%m%dT%H%M%SZ}", SUMMARY=title)


def told_of(start: datetime, end: datetime, title: str = "Peak event 3 kW") -> dict[str, str]:
    return {"uid": "a", "summary": title, "start": start.isoformat(), "end": end.isoformat()}


async def tell(edge: RunningEdge, *entries: dict[str, str], program: str = "manual") -> dict[str, Any]:
    until = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    return dict(
        await edge.command(
            "set_calendar", program=program, calendar="calendar.utility", entries=list(entries), until=until
        )
    )


async def power_is(edge: RunningEdge, power_w: int) -> None:
    await edge.until(lambda state: abs((state["chargers"]["driveway"]["power_w"] or 0) - power_w) <= 50)


async def test_a_file_that_changes_starts_an_event_changes_it_and_ends_it(tmp_path: Path) -> None:
    now, file = datetime.now(UTC), tmp_path / "peaks.ics"
    start, end = now - timedelta(minutes=5), now + timedelta(hours=1)
    file.write_text(a_calendar())
    async with a_house(tmp_path) as (_, edge):
        entry = {"kind": "calendar", "name": "Peak power", "url": file.as_uri(), "poll_s": 1.0}
        await edge.command("set_program", id="peak", program=entry)
        await edge.until(lambda state: state["programs"]["peak"]["connected"])
        file.write_text(a_calendar(entry_of(start, end, "Peak event 3 kW")))
        await power_is(edge, -3000)
        file.write_text(a_calendar(entry_of(start, end, "Peak event 2 kW")))
        await power_is(edge, -2000)
        file.write_text(a_calendar(entry_of(start, end, "Peak event 2 kW"))[:100])
        await edge.until(lambda state: state["programs"]["peak"]["connected"] is False)
        await power_is(edge, -2000)
        file.write_text(a_calendar())
        await power_is(edge, 0)


async def test_home_assistant_s_calendar_is_served_over_its_death_and_a_restart_until_it_is_told_no_more(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    start, end = now - timedelta(minutes=5), now + timedelta(hours=1)
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            answer = await tell(edge, told_of(start, end), told_of(start, end, "Peak event 3") | {"uid": "b"})
            assert len(answer["events"]) == len(answer["problems"]) == 1
            await power_is(edge, -3000)
        async with running(config) as edge:
            await power_is(edge, -3000)
            assert (await tell(edge, told_of(start, end)))["events"] == answer["events"]
            await tell(edge)
            await power_is(edge, 0)


async def test_a_person_opts_out_of_what_a_calendar_calls_as_of_any_event(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with a_house(tmp_path) as (_, edge):
        (event,) = (await tell(edge, told_of(now - timedelta(minutes=5), now + timedelta(hours=1))))["events"]
        await power_is(edge, -3000)
        await edge.command("opt_out", event=event)
        await power_is(edge, 0)
        await edge.command("opt_in", event=event)
        await power_is(edge, -3000)
