"""Cases 33, 34, 42 and 43: reports are there once, in order, whatever happens in between, and nothing unasked."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_service.domain.model import Settings
from edge_service.ports import FilingStage
from edge_service.simulation.utility_store import ConflictError
from tests.edge.domain.houses import T0
from tests.edge.programs.report_desk import HOUR, MINUTE, STATE, USAGE, ReportDesk, a_desk, told

AFTER = timedelta(seconds=20)
AD_HOC: dict[str, Any] = {**STATE, "frequency": 0, "reportIntervals": "OPEN_INTERVALS"}
EACH_HOUR = {**USAGE, "frequency": 1, "repeat": -1}


@pytest.fixture
async def desk() -> AsyncIterator[ReportDesk]:
    async with a_desk() as one:
        one.house.ran(T0, T0 + 12 * HOUR, -5000.0)
        yield one


# ----------------------------------------------------------------------------------------------------------- case 33


async def test_case_33_a_report_is_sent_once_over_polls_and_restarts(desk: ReportDesk) -> None:
    event_id = desk.ask(USAGE)
    await desk.step()
    assert desk.reports == []
    await desk.step(2 * HOUR + AFTER)
    (report,) = desk.reports
    assert (report["eventID"], told(report)) == (event_id, [(-5, "OK")])
    for _ in range(3):
        desk.restart()
        await desk.step(10 * MINUTE)
        await desk.step(5 * MINUTE)
    assert (desk.asked("POST"), desk.asked("PUT")) == (1, 0)


async def test_case_33_reports_wait_for_the_server_and_go_out_in_order(desk: ReportDesk) -> None:
    desk.ask(EACH_HOUR, hours=3)
    await desk.step()
    desk.utility.set_faults({"status": 503, "retry_after_s": 1})
    for _ in range(4):
        await desk.step(HOUR + AFTER, polls=False)
    assert (desk.reports, len(desk.queued())) == ([], 2)
    assert len(desk.queued(FilingStage.SENDING)) == 1
    desk.utility.set_faults({"status": None, "retry_after_s": None})
    desk.restart()
    await desk.step(20 * MINUTE)
    assert [one["resources"][0]["intervals"][0]["id"] for one in desk.reports] == [0, 1, 2]
    assert desk.queued() == desk.queued(FilingStage.SENDING) == []


@pytest.mark.parametrize("restarts", [False, True])
async def test_case_33_a_post_that_was_carried_out_unheard_is_found_and_not_repeated(
    desk: ReportDesk, restarts: bool
) -> None:
    desk.ask(USAGE)
    await desk.step()
    desk.utility.set_faults({"swallows_answers": True, "only": "/reports"})
    await desk.step(2 * HOUR + AFTER)
    (report,) = desk.reports
    (filing,) = desk.queued(FilingStage.SENDING)
    assert filing.report_id == ""
    desk.utility.set_faults({"swallows_answers": None, "only": None})
    if restarts:
        desk.restart()
    await desk.step(MINUTE)
    assert [one["id"] for one in desk.reports] == [report["id"]]
    (filing,) = desk.queued(FilingStage.FILED)
    assert filing.report_id == report["id"]
    assert desk.asked("POST") == 1


async def test_case_33_a_post_that_never_arrived_is_sent_after_it_was_looked_for(desk: ReportDesk) -> None:
    desk.ask(USAGE)
    await desk.step()
    desk.utility.set_faults({"status": 500, "only": "/reports"})
    await desk.step(2 * HOUR + AFTER)
    desk.utility.set_faults({"status": None, "only": None})
    await desk.step(MINUTE)
    assert len(desk.reports) == 1
    assert desk.asked("GET") == 1


async def test_case_33_the_report_of_an_event_that_is_gone_is_dropped_and_the_next_one_goes_out(
    desk: ReportDesk,
) -> None:
    gone, stands = desk.ask(USAGE), desk.ask(USAGE, start=1.5 * HOUR)
    await desk.step()
    await desk.step(2 * HOUR, polls=False)
    desk.utility.store.remove("events", gone)
    await desk.step(HOUR, polls=False)
    assert [report["eventID"] for report in desk.reports] == [stands]
    assert [one.event_id for one in desk.queued(FilingStage.DROPPED)] == [gone]
    await desk.step(HOUR)
    assert desk.asked("POST") == 2


async def test_case_33_a_report_that_is_too_large_goes_in_parts(desk: ReportDesk) -> None:
    desk.ask({**USAGE, "reportIntervals": "SUB_INTERVALS"}, hours=4)
    await desk.step()
    desk.utility.set_faults({"most_body_bytes": 1500})
    await desk.step(5 * HOUR + AFTER)
    for _ in range(4):
        await desk.step(MINUTE)
    assert len(desk.reports) == 4
    starts = [one["intervalPeriod"]["start"] for report in desk.reports for one in report["resources"][0]["intervals"]]
    assert sorted(starts) == sorted((T0 + HOUR + n * 15 * MINUTE).isoformat() for n in range(16))
    assert len({report["reportName"] for report in desk.reports}) == 4
    posts = desk.asked("POST")
    desk.restart()
    await desk.step(10 * MINUTE)
    assert desk.asked("POST") == posts


async def test_case_33_a_crash_while_a_report_was_cut_in_two_sends_no_half_twice(desk: ReportDesk) -> None:
    desk.ask({**USAGE, "reportIntervals": "SUB_INTERVALS"})
    await desk.step()
    desk.utility.set_faults({"status": 500, "only": "/reports"})
    await desk.step(2 * HOUR + AFTER)
    (whole,) = desk.queued(FilingStage.SENDING)
    desk.utility.set_faults({"status": None, "only": None, "most_body_bytes": 900})
    for _ in range(3):
        await desk.step(MINUTE)
    assert len(desk.reports) == 2
    await desk.journal.save_filing(whole)
    desk.restart()
    for _ in range(3):
        await desk.step(MINUTE)
    assert len(desk.reports) == 2


async def test_case_33_what_changes_while_a_report_may_be_on_its_way_makes_no_second_one(desk: ReportDesk) -> None:
    desk.ask(AD_HOC, hours=2)
    await desk.step()
    desk.utility.set_faults({"swallows_answers": True, "only": "/reports"})
    await desk.step(HOUR + MINUTE)
    assert len(desk.reports) == len(desk.queued(FilingStage.SENDING)) == 1
    desk.house.chargers["car"] = {"power_w": 4000}
    await desk.step(timedelta(seconds=5), polls=False)
    desk.utility.set_faults({"swallows_answers": None, "only": None})
    await desk.step(MINUTE)
    (report,) = desk.reports
    assert told(report)[0][0].startswith("RUNNING")


async def test_case_33_a_report_too_large_with_one_interval_is_dropped(desk: ReportDesk) -> None:
    desk.ask(USAGE)
    await desk.step()
    desk.utility.set_faults({"most_body_bytes": 300, "only": "/reports"})
    await desk.step(2 * HOUR + AFTER)
    await desk.step(MINUTE)
    assert (desk.reports, desk.asked("POST")) == ([], 1)
    assert len(desk.queued(FilingStage.DROPPED)) == 1


async def test_case_33_a_right_that_is_missing_keeps_the_report_until_it_is_there(desk: ReportDesk) -> None:
    desk.ask(USAGE)
    await desk.step()
    desk.utility.set_faults({"status": 403, "only": "/reports"})
    await desk.step(2 * HOUR + AFTER)
    asked = len(desk.utility.requests)
    await desk.step(10 * MINUTE, polls=False)
    assert len(desk.utility.requests) == asked
    desk.utility.set_faults({"status": None, "only": None})
    await desk.step(HOUR)
    assert len(desk.reports) == 1


# ----------------------------------------------------------------------------------------------------------- case 34


async def test_case_34_nothing_is_reported_unasked(desk: ReportDesk) -> None:
    desk.ask()
    for _ in range(4):
        await desk.step(HOUR)
    assert (desk.reports, desk.asked("POST"), desk.asked("PUT")) == ([], 0, 0)


async def test_case_34_the_utility_can_delete_its_event_until_the_report_that_it_asked_for_is_due(
    desk: ReportDesk,
) -> None:
    event_id = desk.ask(USAGE, STATE, {**STATE, "units": "X"})
    for _ in range(3):
        await desk.step(39 * MINUTE)
    assert desk.reports == []
    desk.utility.store.remove("events", event_id)
    await desk.step(HOUR)
    assert desk.reports == []


async def test_case_34_a_report_that_was_asked_for_in_between_stands_in_the_way_of_deleting(desk: ReportDesk) -> None:
    event_id = desk.ask(EACH_HOUR, hours=2)
    await desk.step()
    await desk.step(2 * HOUR + AFTER)
    with pytest.raises(ConflictError):
        desk.utility.store.remove("events", event_id)
    assert desk.utility.dispatch.cancel(event_id)["how"] == "emptied"
    await desk.step(2 * HOUR)
    assert len(desk.reports) == 1  # an event taken back asks for nothing more


async def test_case_34_an_event_taken_back_asks_for_nothing_whatever_its_intervals_say(desk: ReportDesk) -> None:
    own = {"start": (T0 + HOUR).isoformat(), "duration": "PT1H"}
    step = {"id": 0, "intervalPeriod": own, "payloads": [{"type": "SIMPLE", "values": [3]}]}
    desk.ask(USAGE, AD_HOC, intervals=[step], intervalPeriod={"start": "0001-01-01T00:00:00Z", "duration": "PT0S"})
    await desk.step()
    await desk.step(90 * MINUTE)
    await desk.step(HOUR)
    assert desk.asked("POST") == 0


# ------------------------------------------------------------------------------------------------------ cases 42, 43


async def test_case_42_a_car_that_is_unplugged_mid_event_is_told_as_no_response_and_its_charge_as_missing(
    desk: ReportDesk,
) -> None:
    desk.ask({**STATE, "frequency": 1, "repeat": -1}, {"payloadType": "STORAGE_CHARGE_LEVEL"}, hours=2)
    await desk.step(HOUR)
    desk.house.chargers["car"] = {"power_w": -5000}
    await desk.step(59 * MINUTE)
    await desk.step(MINUTE)
    assert told(desk.reports[0]) == [("RUNNING_CURTAILED", "OK")]
    desk.house.chargers["car"] = {"plugged": False, "power_w": 0, "soc_pct": None, "capacity_wh": None}
    await desk.step(59 * MINUTE)
    await desk.step(2 * MINUTE)
    by_payload = {report["payloadDescriptors"][0]["payloadType"]: report for report in desk.reports}
    assert told(by_payload["OPERATING_STATE"]) == [("SGD_ERROR_CONDITION", "OK")]
    assert told(by_payload["STORAGE_CHARGE_LEVEL"]) == [(0.7, "OK"), (None, "MISSING")]


async def test_case_43_opting_out_and_in_again_is_told_at_once_where_the_state_is_asked_for_at_any_time(
    desk: ReportDesk,
) -> None:
    desk.ask(AD_HOC, hours=2)
    await desk.step()
    assert desk.reports == []
    desk.house.chargers["car"] = {"power_w": -5000}
    await desk.step(70 * MINUTE)
    assert told(desk.reports[0]) == [("RUNNING_CURTAILED", "OK")]
    (event,) = desk.given
    desk.house.settings = Settings(opted_out=frozenset({event.uid}))
    desk.house.chargers["car"] = {"power_w": 0}
    await desk.step(timedelta(seconds=5), polls=False)
    assert told(desk.reports[0]) == [("IDLE_OPTED_OUT", "OK")]
    desk.restart()
    await desk.step(timedelta(seconds=5))
    assert told(desk.reports[0]) == [("IDLE_OPTED_OUT", "OK")]
    desk.house.settings = Settings()
    await desk.step(timedelta(seconds=5))
    assert told(desk.reports[0]) in ([("IDLE_CURTAILED", "OK")], [("IDLE_NORMAL", "OK")])
    assert (len(desk.reports), desk.asked("POST")) == (1, 1)


async def test_case_43_opting_out_is_told_in_the_report_at_the_end_also_after_a_restart(desk: ReportDesk) -> None:
    desk.ask(STATE)
    await desk.step()
    (event,) = desk.given
    desk.house.settings = Settings(opted_out=frozenset({event.uid}))
    await desk.step(HOUR + 30 * MINUTE)
    desk.restart()
    desk.house.dark = True
    await desk.step(HOUR)
    assert told(desk.reports[0]) == [("IDLE_OPTED_OUT", "ESTIMATED")]


async def test_case_43_opting_out_is_not_told_where_nobody_asks(desk: ReportDesk) -> None:
    desk.ask(USAGE)
    await desk.step()
    desk.house.settings = replace(Settings(), not_participating=frozenset({"peak"}))
    await desk.step(HOUR + 30 * MINUTE)
    assert desk.asked("POST") == 0
