"""Reports from the event to the utility: made when due, told better when more is known, kept when the disk fails."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from edge_service.domain.model import Program, Scope, Settings, frozen_map
from edge_service.journal.store import SqliteJournal
from edge_service.ports import BaselineFound, FilingStage
from edge_service.programs.openadr3_reporter import MOST_ASKING
from edge_service.simulation.utility import UtilityOptions
from tests.edge.domain.houses import T0
from tests.edge.programs.report_desk import HOUR, MINUTE, STATE, USAGE, ReportDesk, a_desk, told

AFTER = timedelta(seconds=20)
SOC = {"payloadType": "STORAGE_CHARGE_LEVEL", "frequency": 0, "reportIntervals": "OPEN_INTERVALS"}
FORECAST = {"payloadType": "LOAD_SHED_DELTA_AVAILABLE", "historical": False, "startInterval": 0, "numIntervals": 3}
ROLLING = {**FORECAST, "frequency": 1, "repeat": -1}


@pytest.fixture
async def desk() -> AsyncIterator[ReportDesk]:
    async with a_desk() as one:
        one.house.ran(T0, T0 + 12 * HOUR, -5000.0)
        yield one


async def test_a_report_says_whose_it_is_and_quotes_the_events_intervals(desk: ReportDesk) -> None:
    event_id = desk.ask(USAGE, hours=2)
    await desk.step()
    await desk.step(3 * HOUR + AFTER)
    (report,) = desk.reports
    assert (report["eventID"], report["clientName"]) == (event_id, "our-house")
    assert report["payloadDescriptors"] == [{"payloadType": "USAGE", "readingType": "DIRECT_READ", "units": "KWH"}]
    (resource,) = report["resources"]
    assert resource["resourceName"] == "our-house"
    assert [(one["id"], one["intervalPeriod"]["start"]) for one in resource["intervals"]] == [
        (0, (T0 + HOUR).isoformat()),
        (1, (T0 + 2 * HOUR).isoformat()),
    ]
    assert told(report) == [(-5, "OK"), (-5, "OK")]


async def test_a_report_is_not_made_before_the_last_minute_is_in_the_rows(desk: ReportDesk) -> None:
    desk.ask(USAGE)
    await desk.step()
    await desk.step(2 * HOUR + timedelta(seconds=14))
    assert desk.reports == []
    await desk.step(timedelta(seconds=1))
    assert len(desk.reports) == 1


async def test_a_gap_that_is_filled_later_is_corrected_in_the_same_report(desk: ReportDesk) -> None:
    gone = {at: desk.house.rows.pop(at) for at in [T0 + HOUR + n * MINUTE for n in range(10)]}
    desk.ask(USAGE)
    await desk.step()
    await desk.step(2 * HOUR + AFTER)
    (report,) = desk.reports
    assert told(report) == [(-5, "ESTIMATED")]
    await desk.step(6 * MINUTE)
    assert desk.asked("PUT") == 0
    desk.house.rows |= gone
    desk.restart()
    await desk.step(6 * MINUTE)
    (better,) = desk.reports
    assert (better["id"], told(better)) == (report["id"], [(-5, "OK")])
    await desk.step(HOUR)
    assert (desk.asked("POST"), desk.asked("PUT")) == (1, 1)


async def test_rows_that_were_lost_since_take_nothing_back(desk: ReportDesk) -> None:
    del desk.house.rows[T0 + HOUR]
    desk.ask(USAGE)
    await desk.step()
    await desk.step(2 * HOUR + AFTER)
    desk.house.rows.clear()
    await desk.step(HOUR)
    assert told(desk.reports[0]) == [(-5, "ESTIMATED")]
    await desk.step(25 * HOUR)
    assert all(one.final for one in desk.queued(FilingStage.FILED))


async def test_a_baseline_that_is_found_after_the_event_is_told_then(desk: ReportDesk) -> None:
    desk.ask({"payloadType": "BASELINE"})
    await desk.step()
    (event,) = desk.given
    await desk.step(2 * HOUR + AFTER)
    assert told(desk.reports[0]) == [(None, "MISSING")]
    desk.house.baselines[event.uid] = BaselineFound(-1500.0, event.start, event.end)
    await desk.step(6 * MINUTE)
    assert told(desk.reports[0]) == [(1.5, "ESTIMATED")]


async def test_an_event_that_is_extended_after_its_report_is_reported_anew_in_the_same_one(desk: ReportDesk) -> None:
    event_id = desk.ask(USAGE)
    await desk.step()
    await desk.step(2 * HOUR + AFTER)
    before = desk.reports[0]["id"]
    desk.change(event_id, intervalPeriod={"start": (T0 + HOUR).isoformat(), "duration": "PT2H"})
    await desk.step(30 * MINUTE)
    assert desk.asked("PUT") == 0
    await desk.step(90 * MINUTE)
    (report,) = desk.reports
    assert (report["id"], told(report)) == (before, [(-10, "OK")])
    await desk.step(HOUR)
    assert desk.asked("PUT") == 1


async def test_an_event_first_seen_while_it_runs_gets_one_report_for_what_was_missed(desk: ReportDesk) -> None:
    desk.ask({**USAGE, "frequency": 1, "repeat": -1}, hours=5)
    await desk.step(3.5 * HOUR)
    (report,) = desk.reports
    assert [one["id"] for one in report["resources"][0]["intervals"]] == [1]
    await desk.step(3 * HOUR)
    ids = [one["id"] for row in desk.reports for one in row["resources"][0]["intervals"]]
    assert ids == [1, 2, 3, 4]


async def test_an_event_that_was_over_when_first_seen_is_not_reported_on(desk: ReportDesk) -> None:
    desk.ask(USAGE)
    await desk.step(3 * HOUR)
    await desk.step(HOUR)
    assert desk.asked("POST") == 0


async def test_the_first_sight_of_an_event_for_reports_only_outlives_a_restart(desk: ReportDesk) -> None:
    period = {"start": (T0 + HOUR).isoformat(), "duration": "PT1H"}
    desk.ask({**USAGE, "repeat": 3}, intervals=..., intervalPeriod=period)
    await desk.step()
    desk.restart()
    await desk.step(5 * HOUR)
    assert [told(report) for report in desk.reports] == [[(-5, "OK")]] * 3


async def test_rolling_forecasts_are_made_at_each_start_and_only_the_last_after_a_break(desk: ReportDesk) -> None:
    period = {"start": (T0 + HOUR).isoformat(), "duration": "PT1H"}
    desk.ask(ROLLING, intervals=..., intervalPeriod=period)
    await desk.step()
    await desk.step(HOUR)
    assert [one["id"] for one in desk.reports[0]["resources"][0]["intervals"]] == [0, 1, 2]
    assert [quality for _, quality in told(desk.reports[0])] == ["ESTIMATED", "MISSING", "MISSING"]
    desk.restart()
    await desk.step(4 * HOUR)
    assert [row["resources"][0]["intervals"][0]["id"] for row in desk.reports] == [0, 4]


async def test_an_event_that_a_server_lists_no_more_once_it_is_over_is_reported_all_the_same(desk: ReportDesk) -> None:
    event_id = desk.ask(USAGE)
    await desk.step()
    await desk.step(2 * HOUR)
    desk.change(event_id, targets=["others"])
    await desk.step(AFTER)
    assert len(desk.reports) == 1


async def test_an_event_that_is_taken_away_before_its_end_is_not_reported_on(desk: ReportDesk) -> None:
    event_id = desk.ask(USAGE)
    await desk.step()
    desk.change(event_id, targets=["others"])
    await desk.step(90 * MINUTE)
    await desk.step(HOUR)
    assert desk.asked("POST") == 0


async def test_rows_that_cannot_be_read_are_missing_until_they_can(desk: ReportDesk) -> None:
    desk.ask(USAGE)
    await desk.step()
    desk.house.rows_fail = True
    await desk.step(2 * HOUR + AFTER)
    assert told(desk.reports[0]) == [(None, "MISSING")]
    desk.house.rows_fail = False
    await desk.step(6 * MINUTE)
    assert told(desk.reports[0]) == [(-5, "OK")]


async def test_after_a_restart_nothing_goes_out_before_the_servers_version_is_known() -> None:
    async with a_desk(UtilityOptions(version="3.0.1")) as desk:
        desk.ask(USAGE)
        await desk.step()
        desk.utility.set_faults({"status": 503})
        await desk.step(2 * HOUR + AFTER, polls=False)
        desk.restart()
        desk.utility.set_faults({"status": None})
        await desk.step(HOUR, polls=False)
        assert desk.reports == []
        await desk.step()
        assert len(desk.reports) == 1


async def test_what_was_filed_long_ago_takes_no_room_and_is_not_sent_again(desk: ReportDesk) -> None:
    desk.house.ran(T0, T0 + 120 * HOUR, -5000.0)
    period = {"start": (T0 + HOUR).isoformat(), "duration": "PT1H"}
    desk.ask({**USAGE, "frequency": 1, "repeat": -1}, intervals=..., intervalPeriod=period)
    await desk.step()
    for _ in range(10):
        await desk.step(10 * HOUR)
    assert len(desk.reports) == len(desk.queued(FilingStage.FILED)) == 98
    assert sum(bool(one.body) for one in desk.queued(FilingStage.FILED)) < 85
    desk.restart()
    await desk.step(MINUTE)
    assert len({report["reportName"] for report in desk.reports}) == desk.asked("POST") == 99


async def test_of_more_events_with_wishes_than_a_home_has_only_so_many_count(desk: ReportDesk) -> None:
    for number in range(210):
        desk.ask(USAGE, eventName=f"event {number}")
    await desk.step()
    await desk.step(2 * HOUR + AFTER)
    assert len(desk.reports) == MOST_ASKING


# ------------------------------------------------------------------------------------------------------------- ad hoc


async def test_charge_asked_for_at_any_time_is_told_at_once_and_again_when_it_moved(desk: ReportDesk) -> None:
    desk.ask(SOC, intervals=..., intervalPeriod={"start": "0001-01-01T00:00:00Z", "duration": "PT0S"})
    await desk.step()
    assert told(desk.reports[0]) == [(0.7, "OK")]
    desk.house.chargers["car"] = {"soc_pct": 69.0}
    await desk.step(HOUR)
    assert desk.asked("PUT") == 0
    desk.house.chargers["car"] = {"soc_pct": 40.0}
    await desk.step(HOUR)
    desk.house.chargers["car"] = {"soc_pct": 20.0}
    await desk.step(MINUTE)
    assert (told(desk.reports[0]), len(desk.reports)) == ([(0.4, "OK")], 1)
    await desk.step(5 * MINUTE)
    assert told(desk.reports[0]) == [(0.2, "OK")]
    assert (desk.asked("POST"), desk.asked("PUT")) == (1, 2)


async def test_where_reports_without_end_are_wanted_each_change_is_one(desk: ReportDesk) -> None:
    desk.ask({**SOC, "repeat": -1}, intervals=...)
    for soc_pct in (70.0, 50.0, 30.0):
        desk.house.chargers["car"] = {"soc_pct": soc_pct}
        await desk.step(HOUR)
    assert [told(report)[0][0] for report in desk.reports] == [0.7, 0.5, 0.3]


async def test_power_asked_for_at_any_time_is_that_of_the_last_quarter_of_an_hour(desk: ReportDesk) -> None:
    desk.ask({"payloadType": "DEMAND", "frequency": 0}, hours=2)
    await desk.step()
    await desk.step(90 * MINUTE)
    assert told(desk.reports[0]) == [(-5, "OK")]
    assert desk.reports[0]["resources"][0]["intervals"][0]["id"] == 0


async def test_at_any_time_ends_with_the_event(desk: ReportDesk) -> None:
    desk.ask({**STATE, "frequency": 0})
    await desk.step()
    assert desk.asked("POST") == 0
    await desk.step(3 * HOUR)
    assert desk.asked("POST") == 0


# -------------------------------------------------------------------------------------------------- whom it concerns


async def test_a_wish_meant_for_others_is_not_answered(desk: ReportDesk) -> None:
    desk.ask({**USAGE, "targets": ["elsewhere"]}, {**STATE, "targets": ["our-house"]})
    await desk.step()
    await desk.step(2 * HOUR + AFTER)
    assert [row["payloadDescriptors"][0]["payloadType"] for row in desk.reports] == ["OPERATING_STATE"]


async def test_a_private_wish_is_named_and_the_others_are_answered(
    desk: ReportDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.ask({"payloadType": "X_HOUSE_COLOUR"}, {"payloadType": "DATA_QUALITY"}, USAGE)
    for _ in range(3):
        await desk.step(HOUR)
    assert len(desk.reports) == 1
    assert caplog.text.count("X_HOUSE_COLOUR is not reported") == 1
    assert "DATA_QUALITY is not" not in caplog.text


async def test_a_rehearsal_is_never_reported(desk: ReportDesk) -> None:
    desk.ask(USAGE, {**STATE, "frequency": 0})
    await desk.step()
    desk.given = desk.house.events = tuple(replace(event, rehearsal=True) for event in desk.given)
    await desk.step(90 * MINUTE, polls=False)
    await desk.step(HOUR, polls=False)
    assert desk.asked("POST") == 0


async def test_nothing_is_reported_of_an_event_without_a_length(desk: ReportDesk) -> None:
    desk.ask(USAGE, intervalPeriod={"start": T0.isoformat()})
    await desk.step()
    await desk.step(3 * HOUR)
    assert desk.asked("POST") == 0


async def test_a_program_measured_at_the_meter_reports_the_meter() -> None:
    async with a_desk(scope=Scope.SITE) as desk:
        desk.house.facts = replace(desk.house.facts, programs=frozen_map())
        desk.house.ran(T0, T0 + 3 * HOUR, -5000.0)
        desk.ask(USAGE)
        await desk.step()
        await desk.step(2 * HOUR + AFTER)
        assert told(desk.reports[0]) == [(1.2, "OK")]
        program = Program("peak", "Peak", "openadr3", Scope.SITE, measure=Scope.CHARGER)
        desk.house.facts = replace(desk.house.facts, programs=frozen_map({"peak": program}))
        desk.ask({**USAGE, "units": "WH"}, start=2.5 * HOUR)
        await desk.step()
        desk.house.ran(T0, T0 + 4 * HOUR, -5000.0)
        await desk.step(2 * HOUR)
        assert told(desk.reports[1]) == [(-5000, "OK")]


async def test_a_server_of_the_older_version_is_told_the_program_too() -> None:
    async with a_desk(UtilityOptions(version="3.0.1")) as desk:
        desk.house.ran(T0, T0 + 3 * HOUR, -5000.0)
        desk.ask({**USAGE, "targets": [{"type": "VEN_NAME", "values": ["our-house"]}]})
        await desk.step()
        await desk.step(2 * HOUR + AFTER)
        (report,) = desk.reports
        assert report["programID"] == desk.utility.dispatch.program()["id"]
        assert told(report) == [(-5, "OK")]


# --------------------------------------------------------------------------------------------------------- the disk


async def test_while_the_disk_fails_nothing_is_sent_and_nothing_is_lost(desk: ReportDesk) -> None:
    desk.ask(USAGE)
    await desk.step()
    desk.journal.disk_fails = True
    with pytest.raises(OSError, match="disk"):
        await desk.step(2 * HOUR + AFTER)
    assert desk.asked("POST") == 0
    desk.journal.disk_fails = False
    await desk.step(MINUTE)
    assert len(desk.reports) == 1


async def test_a_document_of_another_version_counts_as_none(desk: ReportDesk) -> None:
    desk.journal.documents["reports:peak"] = {"sights": ["what"], "seen": 7}
    desk.ask(USAGE)
    await desk.step()
    await desk.step(2 * HOUR + AFTER)
    assert len(desk.reports) == 1


async def test_what_the_real_disk_gives_back_can_be_sent_split_and_corrected(desk: ReportDesk, tmp_path: Path) -> None:
    for restarts in range(5):
        desk.disk = await SqliteJournal.open(tmp_path)
        desk.restart()
        match restarts:
            case 0:
                desk.ask({**USAGE, "reportIntervals": "SUB_INTERVALS"})
                desk.ask(USAGE)
                del desk.house.rows[T0 + HOUR]
                await desk.step()
                desk.utility.set_faults({"status": 503})
                await desk.step(2 * HOUR + AFTER, polls=False)
            case 1:
                desk.utility.set_faults({"status": None, "most_body_bytes": 800, "only": "/reports"})
                await desk.step(MINUTE)
            case 2:
                await desk.step(MINUTE)
            case 3:
                desk.utility.set_faults({"most_body_bytes": None, "only": None})
                desk.house.ran(T0, T0 + 2 * HOUR, -5000.0)
                await desk.step(6 * MINUTE)
            case 4:
                await desk.step(6 * MINUTE)
        await desk.disk.close()
    assert sorted(len(told(report)) for report in desk.reports) == [1, 2, 2]
    whole = next(report for report in desk.reports if len(told(report)) == 1)
    assert told(whole) == [(-5, "OK")]
    assert desk.asked("PUT") == 1


async def test_what_is_wrong_with_a_report_does_not_end_the_making_of_reports(desk: ReportDesk) -> None:
    desk.journal.disk_fails = True
    running = asyncio.create_task(desk.reporter.run())
    await asyncio.wait({running}, timeout=0.05)
    assert not running.done()
    assert "the disk fails" in desk.reporter.trouble
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_reports_of_events_long_gone_are_forgotten(desk: ReportDesk) -> None:
    event_id = desk.ask(USAGE)
    await desk.step()
    await desk.step(2 * HOUR + AFTER)
    desk.utility.store.remove("reports", desk.reports[0]["id"])
    await desk.step(31 * 24 * HOUR)
    assert len(desk.queued(FilingStage.FILED)) == 1
    desk.utility.store.remove("events", event_id)
    desk.ask(USAGE, start=32 * 24 * HOUR)
    await desk.step(HOUR)
    assert desk.queued(FilingStage.FILED) == []


async def test_settings_say_no_word_where_only_energy_is_asked(desk: ReportDesk) -> None:
    desk.ask(USAGE)
    await desk.step()
    desk.house.settings = Settings(opted_out=frozenset(event.uid for event in desk.given))
    await desk.step(2 * HOUR + AFTER)
    assert [row["payloadDescriptors"][0]["payloadType"] for row in desk.reports] == ["USAGE"]
