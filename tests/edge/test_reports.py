"""What clients report, by a clock moved by hand: a lease of 45 s, the newest word, a switch moved when asked."""

from typing import Any

import pytest

from edge_service.devices.switch_home_assistant import HomeAssistantSwitch
from edge_service.domain.asked import CommandRefusedError
from edge_service.domain.model import Alert, LoadState, SwitchOrder
from edge_service.domain.reported import MOST_EVIDENCE, MOST_LOADS, VALID_S
from edge_service.ports import DeviceError, DeviceUnreachableError, ProtocolViolationError
from edge_service.reports import ASKED_AGAIN_AFTER_S, WANTED_FOR_S, Reports
from tests.edge.api.door import HandClock

STREET = "binary_sensor.street"
CLOSED = {"commanded_open": False, "open_proven": False, "closed_proven": True}
OPEN = {"commanded_open": True, "open_proven": True, "closed_proven": False}
WIND = {"id": "nws-1", "kind": "wind", "name": "Gale", "start": "2026-07-15T20:00:00Z", "end": None}


class Desk:
    """Reports with a clock of ours, and what they called for."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.reports = Reports(self.clock)
        self.woken = 0
        self.warned: list[list[str]] = []
        self.reports.changed = self._wake
        self.reports.warns = lambda alerts: self.warned.append([alert.id for alert in alerts])

    def _wake(self) -> None:
        self.woken += 1

    def says(self, client: str, **args: Any) -> None:
        self.reports.take(client, args)

    def sees(self, client: str, present: bool | None, source: str = STREET) -> None:
        self.says(client, evidence=[piece(source, present)])

    @property
    def grid(self) -> dict[str, bool | None]:
        return {one.source: one.present for one in self.reports.evidence()}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def wanted(desk: Desk) -> SwitchOrder | None:
    """What Home Assistant is to do now."""
    return desk.reports.wanted


def piece(source: str, present: bool | None) -> dict[str, Any]:
    return {"source": source, "present": present, "confidence": "likely"}


# ------------------------------------------------------------------------------------------------------------ a lease


def test_a_report_counts_for_45_seconds_and_not_longer(desk: Desk) -> None:
    desk.says("ha", evidence=[piece(STREET, False)], switch=OPEN, loads={"pool": {"state": "shed"}}, alerts=[WIND])
    desk.clock.pass_by(VALID_S)
    counted = (desk.grid, list(desk.reports.loads()), [alert.id for alert in desk.reports.alerts()])
    assert counted == ({STREET: False}, ["pool"], ["nws-1"])
    assert desk.reports.switch() is not None
    desk.clock.pass_by(0.001)
    assert (desk.grid, dict(desk.reports.loads()), desk.reports.alerts()) == ({}, {}, ())
    assert desk.reports.switch() is None


def test_a_wall_clock_that_is_set_neither_shortens_nor_lengthens_it(desk: Desk) -> None:
    desk.sees("ha", present=True)
    desk.clock.time = desk.clock.time.replace(year=2031)
    assert desk.grid == {STREET: True}
    desk.clock.seconds += VALID_S + 1
    assert desk.grid == {}


def test_each_kind_has_an_age_of_its_own(desk: Desk) -> None:
    desk.says("ha", evidence=[piece(STREET, True)], loads={"pool": {"state": "on"}})
    desk.clock.pass_by(30)
    desk.says("ha", loads={"pool": {"state": "shed"}})
    desk.clock.pass_by(30)
    assert desk.grid == {}
    assert desk.reports.loads()["pool"].state is LoadState.SHED


def test_a_report_replaces_what_its_client_said_of_that_kind(desk: Desk) -> None:
    desk.says("ha", evidence=[piece(STREET, True), piece("sensor.ups", True)])
    desk.says("ha", evidence=[piece("sensor.ups", False)])
    assert desk.grid == {"sensor.ups": False}


def test_with_its_socket_all_goes_that_a_client_said(desk: Desk) -> None:
    desk.says("ha", evidence=[piece(STREET, False)], switch=CLOSED, loads={"pool": {"state": "on"}}, alerts=[WIND])
    woken = desk.woken
    desk.reports.gone("ha")
    assert (desk.grid, dict(desk.reports.loads()), desk.reports.alerts()) == ({}, {}, ())
    assert (desk.reports.switch(), desk.woken) == (None, woken + 1)
    desk.reports.gone("ha")
    assert desk.woken == woken + 1


def test_a_socket_that_closes_ends_no_storm(desk: Desk) -> None:
    desk.says("ha", alerts=[WIND])
    desk.reports.gone("ha")
    assert desk.warned == [["nws-1"]]
    desk.says("again", evidence=[])
    assert desk.warned == [["nws-1"]]
    desk.says("again", alerts=[])
    assert desk.warned == [["nws-1"], []]


def test_a_repetition_wakes_nobody_and_news_do(desk: Desk) -> None:
    desk.says("ha", evidence=[piece(STREET, True)], loads={"pool": {"state": "on", "power_w": 900}})
    assert desk.woken == 1
    desk.clock.pass_by(15)
    desk.says("ha", evidence=[piece(STREET, True)], loads={"pool": {"state": "on", "power_w": 950}})
    assert desk.woken == 1
    desk.sees("ha", present=False)
    assert desk.woken == 2


# -------------------------------------------------------------------------------------------------- nothing by halves


@pytest.mark.parametrize(
    "wrong",
    [
        {"loads": {"pool": {"state": "gone"}}},
        {"switch": {"open_proven": 1}},
        {"alerts": [WIND, WIND | {"id": "b", "start": "2026-07-15T20:00:00"}]},
        {"alerts": [WIND | {"kind": "frogs"}]},
    ],
)
def test_of_a_report_that_is_wrong_in_one_part_nothing_counts(desk: Desk, wrong: dict[str, Any]) -> None:
    desk.says("ha", evidence=[piece(STREET, True)], loads={"pool": {"state": "on"}}, switch=CLOSED, alerts=[WIND])
    before = (desk.grid, desk.reports.loads(), desk.reports.switch(), desk.reports.alerts(), desk.woken, desk.warned)
    args: dict[str, Any] = {"evidence": [piece(STREET, False)], "loads": {}, "switch": OPEN, "alerts": []} | wrong
    with pytest.raises(CommandRefusedError):
        desk.reports.take("ha", args)
    after = (desk.grid, desk.reports.loads(), desk.reports.switch(), desk.reports.alerts(), desk.woken, desk.warned)
    assert after == before


def test_a_refused_report_does_not_refresh_the_former_one(desk: Desk) -> None:
    desk.sees("ha", present=True)
    desk.clock.pass_by(40)
    with pytest.raises(CommandRefusedError):
        desk.reports.take("ha", {"evidence": [piece(STREET, True)], "loads": []})
    desk.clock.pass_by(10)
    assert desk.grid == {}


# -------------------------------------------------------------------------------------------------------- two clients


def test_of_two_that_contradict_each_other_the_newest_word_on_each_thing_counts(desk: Desk) -> None:
    desk.says("one", evidence=[piece(STREET, True), piece("sensor.ups", True)], loads={"pool": {"state": "on"}})
    desk.says("two", evidence=[piece(STREET, False)], loads={"pool": {"state": "shed"}})
    assert desk.grid == {STREET: False, "sensor.ups": True}
    assert desk.reports.loads()["pool"].state is LoadState.SHED
    desk.sees("one", present=True)
    assert desk.grid == {STREET: True}


def test_an_older_word_counts_again_when_the_newer_one_is_gone(desk: Desk) -> None:
    desk.sees("one", present=True)
    desk.sees("two", present=False)
    desk.reports.gone("two")
    assert desk.grid == {STREET: True}


def test_one_that_names_no_switch_takes_it_from_nobody(desk: Desk) -> None:
    desk.says("owner", switch=OPEN)
    desk.says("other", switch=None)
    reading = desk.reports.switch()
    assert reading is not None
    assert reading.open_proven is True


def test_one_without_alerts_ends_no_storm_of_the_other(desk: Desk) -> None:
    desk.says("one", alerts=[WIND])
    desk.says("two", alerts=[])
    assert desk.warned == [["nws-1"], ["nws-1"]]


def test_many_clients_together_may_say_no_more_than_one_and_the_newest_stay(desk: Desk) -> None:
    for client in range(4):
        pieces = [piece(f"sensor.c{client}_{number}", True) for number in range(MOST_EVIDENCE)]
        loads = {f"c{client}_{number}": {"state": "on"} for number in range(MOST_LOADS)}
        desk.says(str(client), evidence=pieces, loads=loads)
    assert len(desk.grid) == MOST_EVIDENCE
    assert {source.partition("_")[0] for source in desk.grid} == {"sensor.c3"}
    assert {group.partition("_")[0] for group in desk.reports.loads()} == {"c3"}


# --------------------------------------------------------------------------------------------------------- the switch


def test_a_movement_is_wanted_for_20_seconds_then_told_as_failed(desk: Desk) -> None:
    desk.says("ha", switch=CLOSED)
    desk.reports.want(SwitchOrder.OPEN)
    desk.clock.pass_by(WANTED_FOR_S - 0.001)
    desk.reports.want(SwitchOrder.OPEN)
    assert wanted(desk) is SwitchOrder.OPEN
    desk.clock.pass_by(0.001)
    assert wanted(desk) is None
    with pytest.raises(DeviceError, match="within 20 s"):
        desk.reports.want(SwitchOrder.OPEN)
    assert wanted(desk) is None


def test_it_is_asked_for_again_after_60_seconds_and_not_sooner(desk: Desk) -> None:
    desk.says("ha", switch=CLOSED)
    desk.reports.want(SwitchOrder.OPEN)
    desk.clock.pass_by(ASKED_AGAIN_AFTER_S - 0.001)
    desk.says("ha", switch=CLOSED)
    with pytest.raises(DeviceError):
        desk.reports.want(SwitchOrder.OPEN)
    desk.clock.pass_by(0.001)
    desk.reports.want(SwitchOrder.OPEN)
    assert wanted(desk) is SwitchOrder.OPEN


def test_nothing_more_is_wanted_once_the_feedback_proves_it(desk: Desk) -> None:
    desk.says("ha", switch=CLOSED)
    desk.reports.want(SwitchOrder.OPEN)
    desk.says("ha", switch=OPEN | {"closed_proven": None})
    assert wanted(desk) is None
    desk.clock.pass_by(WANTED_FOR_S)
    desk.reports.want(SwitchOrder.OPEN)
    assert wanted(desk) is None


@pytest.mark.parametrize("unproven", [{"open_proven": None}, {"closed_proven": True}])
def test_an_order_or_contradicting_contacts_prove_nothing(desk: Desk, unproven: dict[str, Any]) -> None:
    desk.says("ha", switch=OPEN | unproven)
    desk.reports.want(SwitchOrder.OPEN)
    assert wanted(desk) is SwitchOrder.OPEN


def test_a_movement_is_withdrawn_when_the_decision_changes(desk: Desk) -> None:
    desk.says("ha", switch=CLOSED)
    desk.reports.want(SwitchOrder.OPEN)
    desk.reports.keep_only(SwitchOrder.OPEN)
    assert wanted(desk) is SwitchOrder.OPEN
    desk.reports.keep_only(SwitchOrder.CLOSE)
    assert wanted(desk) is None
    desk.reports.want(SwitchOrder.OPEN)
    desk.reports.keep_only(None)
    assert wanted(desk) is None


def test_the_other_movement_takes_the_place_of_one_that_is_wanted(desk: Desk) -> None:
    desk.says("ha", switch=OPEN | {"open_proven": False})
    desk.reports.want(SwitchOrder.OPEN)
    desk.clock.pass_by(10)
    desk.reports.want(SwitchOrder.CLOSE)
    desk.clock.pass_by(WANTED_FOR_S - 1)
    assert wanted(desk) is SwitchOrder.CLOSE


def test_without_somebody_who_tells_of_it_nothing_is_wanted(desk: Desk) -> None:
    with pytest.raises(DeviceUnreachableError, match="Home Assistant"):
        desk.reports.want(SwitchOrder.OPEN)
    assert wanted(desk) is None


async def test_the_switch_is_read_as_it_was_told_and_a_contradiction_is_a_fault(desk: Desk) -> None:
    switch = HomeAssistantSwitch("island_switch", desk.reports)
    with pytest.raises(DeviceUnreachableError):
        await switch.read(desk.clock.now())
    desk.says("ha", switch=CLOSED)
    desk.clock.pass_by(5)
    reading = await switch.read(desk.clock.now())
    assert (reading.at, reading.closed_proven, reading.open_proven) == (desk.clock.now(), True, False)
    desk.says("ha", switch={"open_proven": True, "closed_proven": True})
    with pytest.raises(ProtocolViolationError, match="open and closed at once"):
        await switch.read(desk.clock.now())


async def test_check_names_the_proof_that_is_missing(desk: Desk) -> None:
    switch = HomeAssistantSwitch("island_switch", desk.reports)
    desk.says("ha", switch={"commanded_open": False, "closed_proven": True})
    findings = (await switch.probe()).findings
    assert len(findings) == 1
    assert "open: no island can be formed" in findings[0]


async def test_a_switch_that_is_let_go_is_asked_for_nothing(desk: Desk) -> None:
    switch = HomeAssistantSwitch("island_switch", desk.reports)
    desk.says("ha", switch=CLOSED)
    await switch.move(SwitchOrder.OPEN)
    assert wanted(desk) is SwitchOrder.OPEN
    switch.keep_only(SwitchOrder.OPEN)
    assert wanted(desk) is SwitchOrder.OPEN
    await switch.close()
    assert wanted(desk) is None


def test_the_alerts_are_those_of_all_by_their_ids(desk: Desk) -> None:
    desk.says("one", alerts=[WIND, WIND | {"id": "b"}])
    desk.says("two", alerts=[WIND | {"name": "Hurricane"}])
    named: dict[str, Alert] = {alert.id: alert for alert in desk.reports.alerts()}
    assert {own_id: alert.name for own_id, alert in named.items()} == {"b": "Gale", "nws-1": "Hurricane"}
