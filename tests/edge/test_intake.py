"""Events from program servers: a server's trouble changes none of them, and what is not on disk is not promised."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from edge_service.announced import Announced
from edge_service.domain.model import Alert, AlertKind, CapacityLimit, Event, Price
from edge_service.domain.program import Direction, PriceKind
from edge_service.domain.storms import WITHOUT_WORD
from edge_service.intake import KEPT_AFTER_END, MOST_ALERTS, MOST_EVENTS, Contact, Intake
from edge_service.ports import ProgramCredentialsError, ProgramError
from edge_service.programs.manual import enter_event
from tests.edge.domain.houses import after, an_event
from tests.edge.fakes import FakeSource, LeapingClock, MemoryJournal, leaping, passes, until

CALL = an_event("peak:1", 600, 1200)
DOWN = ProgramError("the server did not answer")


class BusyServerError(ProgramError):
    """A server that asks for a pause."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("busy")
        self.retry_after_s = retry_after_s


class Office:
    """An intake with its journal, and how often it told of a change."""

    def __init__(self, *known: Event, alerts: Sequence[Alert] = ()) -> None:
        self.journal, self.changes = MemoryJournal(), 0
        self.chance = 0.0
        self.intake = Intake(LeapingClock(), self.journal, known, self.changed, alerts, chance=lambda: self.chance)

    def changed(self) -> None:
        self.changes += 1

    @property
    def uids(self) -> list[str]:
        return sorted(event.uid for event in self.intake.events())

    @property
    def warned(self) -> list[str]:
        return sorted(alert.id for alert in self.intake.alerts())

    @asynccontextmanager
    async def polling(self, *sources: FakeSource) -> AsyncIterator[None]:
        """The sources are polled until the block ends; a poll that ends by itself fails the test."""
        tasks = [asyncio.create_task(self.intake.poll(source)) for source in sources]
        yield
        assert not [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def waits(source: FakeSource) -> list[float]:
    """Seconds between two polls."""
    return [round(later - earlier, 3) for earlier, later in pairwise(source.polled_at)]


# --------------------------------------------------------------------------------------------------------- what it says


@leaping
async def test_a_utilitys_events_are_on_disk_before_they_count() -> None:
    office = Office()
    office.journal.slow_s = 1.0
    async with office.polling(FakeSource("peak", [CALL])):
        await passes(0.9)
        assert office.uids == []
        await until(lambda: office.uids == ["peak:1"], within_s=0.2)
    assert office.journal.events == (CALL,)


@leaping
async def test_the_same_answer_again_writes_nothing_and_wakes_nobody() -> None:
    office = Office()
    source = FakeSource("peak", [CALL])
    async with office.polling(source):
        await until(lambda: office.uids)
        before = office.changes, list(office.journal.wrote)
        await passes(60)
        assert (office.changes, office.journal.wrote) == before
    assert waits(source) == [10.0] * 6


@leaping
async def test_an_event_gone_at_its_server_is_gone_here_and_another_programs_stands() -> None:
    other = an_event("net:1", 600, 1200, program="net")
    office = Office(CALL, other)
    async with office.polling(FakeSource("peak", [])):
        await until(lambda: office.uids == ["net:1"])
    assert office.journal.events == (other,)


@leaping
async def test_two_programs_that_answer_at_once_lose_no_event() -> None:
    office = Office()
    office.journal.slow_s = 0.5
    other = an_event("net:1", 600, 1200, program="net")
    async with office.polling(FakeSource("peak", [CALL]), FakeSource("net", [other])):
        await passes(2)
        assert office.uids == ["net:1", "peak:1"]
    assert {event.uid for event in office.journal.events} == {"net:1", "peak:1"}


@leaping
async def test_events_entered_by_hand_survive_a_poll_of_their_program() -> None:
    office = Office()
    entered = enter_event("peak", "Hot evening", after(3600), after(7200), 5000, after(0))
    await office.intake.enter(entered)
    async with office.polling(FakeSource("peak", [CALL], [])):
        await until(lambda: len(office.uids) == 2)
        await until(lambda: office.uids == [entered.uid])
    assert office.journal.events == (entered,)


@leaping
async def test_an_event_that_is_over_stays_half_a_minute_so_that_its_account_is_closed() -> None:
    office = Office(an_event("peak:1", -60, 5))
    entered = enter_event("peak", "Now", after(0), after(5), 5000, after(0))
    await office.intake.enter(entered)
    async with office.polling(FakeSource("peak", [])):
        await passes(5 + KEPT_AFTER_END.total_seconds() - 0.1)
        assert office.uids == [entered.uid]  # the other was gone from its server before its end
        await passes(0.2)
        assert office.uids == []
        await passes(20)
    assert office.journal.events == ()


@leaping
async def test_an_event_that_runs_and_is_cut_to_a_time_long_past_stays_half_a_minute_too() -> None:
    office = Office(an_event("peak:1", -3600, 3600))
    cut = an_event("peak:1", -3600, -600)
    async with office.polling(FakeSource("peak", [cut], [])):
        await passes(20)
        assert list(office.intake.events()) == [cut]
        await passes(KEPT_AFTER_END.total_seconds())
        assert office.uids == []


@leaping
async def test_an_event_that_ended_as_called_stays_half_a_minute_also_when_its_server_forgets_it_at_once() -> None:
    office = Office()
    source = FakeSource("peak", [an_event("peak:1", -60, 5)], [])
    async with office.polling(source):
        await passes(15)
        assert len(source.polled_at) == 2
        assert office.uids == ["peak:1"]
        await passes(26)
        assert office.uids == []
    assert office.journal.events == ()


@leaping
async def test_a_program_followed_no_more_leaves_nothing() -> None:
    office = Office(CALL, an_event("net:1", 600, 1200, program="net"))
    async with office.polling(FakeSource("peak", ProgramCredentialsError("no"))):
        await until(lambda: "peak" in office.intake.contacts)
    await office.intake.forget("peak")
    assert (office.uids, [event.uid for event in office.journal.events]) == (["net:1"], ["net:1"])
    assert office.intake.contacts == {}


# --------------------------------------------------------------------------------------------------- when it goes wrong


@pytest.mark.parametrize("trouble", [DOWN, ProgramCredentialsError("no"), ValueError("a defect"), KeyError("x")])
@leaping
async def test_a_failed_contact_changes_no_event_and_polling_goes_on(trouble: Exception) -> None:
    office = Office()
    source = FakeSource("peak", [CALL], trouble, trouble, [CALL])
    async with office.polling(source):
        await until(lambda: len(source.polled_at) == 3)
        assert office.uids == ["peak:1"]
        contact = office.intake.contacts["peak"]
        assert (contact.connected, contact.last_at is not None, bool(contact.problem)) == (False, True, True)
        await until(lambda: office.intake.contacts["peak"].connected)
        assert office.uids == ["peak:1"]
    assert office.journal.wrote == ["events"]


@leaping
async def test_credentials_refused_are_seen_in_the_contact_until_a_good_one() -> None:
    office = Office()
    source = FakeSource("peak", ProgramCredentialsError("who are you?"), DOWN, ProgramCredentialsError("no"), [])
    seen: list[bool] = []
    async with office.polling(source):
        for polls in range(1, 5):
            await until(lambda polls=polls: len(source.polled_at) == polls, within_s=400)  # type: ignore[misc]
            await passes(0.01)
            seen.append(office.intake.contacts["peak"].credentials_refused)
        assert office.intake.contacts["peak"] == Contact(True, office.intake.contacts["peak"].last_at)
    assert (seen[0], seen[2], seen[3]) == (True, True, False)


@leaping
async def test_the_wait_doubles_up_to_five_minutes_and_a_good_contact_ends_it() -> None:
    office = Office()
    answers: Sequence[Sequence[Event] | Exception] = [DOWN, DOWN, DOWN, DOWN, DOWN, DOWN, DOWN, [], DOWN, []]
    source = FakeSource("peak", *answers)
    async with office.polling(source):
        await until(lambda: len(source.polled_at) == 11, within_s=3600)
    assert waits(source) == [10, 20, 40, 80, 160, 300, 300, 10, 10, 10]


@leaping
async def test_houses_that_lost_their_server_together_do_not_come_back_together() -> None:
    office, source = Office(), FakeSource("peak", DOWN, DOWN, [])
    office.chance = 0.5
    async with office.polling(source):
        await until(lambda: len(source.polled_at) == 3, within_s=60)
    assert waits(source)[:2] == [10.5, 21]


@leaping
async def test_credentials_that_were_good_may_be_refused_an_hour_before_a_person_hears_of_it() -> None:
    office, source = Office(), FakeSource("peak", [], ProgramCredentialsError("no"))
    async with office.polling(source):
        await passes(3600)
        assert (office.intake.contacts["peak"].connected, office.intake.contacts["peak"].credentials_refused) == (
            False,
            False,
        )
        await until(lambda: office.intake.contacts["peak"].credentials_refused, within_s=320)


@leaping
async def test_the_version_of_a_server_is_known_also_while_it_is_down() -> None:
    office, source = Office(), FakeSource("peak", [], DOWN)
    source.version = "3.1"
    async with office.polling(source):
        await until(lambda: len(source.polled_at) == 2)
        await passes(0.01)
        assert office.intake.contacts["peak"].version == "3.1"


# ----------------------------------------------------------------------------------------------------------- hints


class HintingSource(FakeSource):
    """``WakesWhenNews`` too: the test calls ``wake``. ``deaf``: its listening breaks."""

    def __init__(self, *answers: Sequence[Event] | Exception, poll_s: float = 60.0, deaf: bool = False) -> None:
        super().__init__("peak", *answers, poll_s=poll_s)
        self.deaf = deaf
        self.wake: Callable[[], None] = lambda: None

    async def hear(self, wake: Callable[[], None]) -> None:
        if self.deaf:
            raise ValueError("a defect")
        self.wake = wake
        await asyncio.Event().wait()


@leaping
async def test_a_hint_is_followed_at_once_and_polling_goes_on_as_before() -> None:
    source = HintingSource([])
    async with Office().polling(source):
        await passes(20)
        source.wake()
        await passes(130)
    assert source.polled_at == pytest.approx([0, 20, 80, 140], abs=0.05)


@leaping
async def test_a_burst_of_hints_is_one_poll_and_at_most_one_more_each_second() -> None:
    source = HintingSource([])
    async with Office().polling(source):
        await passes(20)
        for _ in range(100):
            source.wake()
            await passes(0.03)
        await passes(10)
    assert source.polled_at == pytest.approx([0, 20, 21, 22, 23], abs=0.05)


@leaping
async def test_a_hint_never_breaks_a_pause_for_which_the_server_asked() -> None:
    source = HintingSource(BusyServerError(300), [])
    async with Office().polling(source):
        await passes(5)
        source.wake()
        await until(lambda: len(source.polled_at) == 2, within_s=400)
    assert waits(source) == [300]


@leaping
async def test_a_hint_shortens_our_own_patience_with_a_server_to_the_poll_period() -> None:
    source = HintingSource(DOWN, DOWN, DOWN, DOWN, [], poll_s=10)
    async with Office().polling(source):
        await passes(71)
        source.wake()
        await passes(8)
        assert len(source.polled_at) == 4
        await passes(3)
    assert source.polled_at == pytest.approx([0, 10, 30, 70, 80], abs=0.05)


@leaping
async def test_a_defect_in_listening_leaves_polling_as_it_was() -> None:
    source = HintingSource([], deaf=True)
    async with Office().polling(source):
        await passes(125)
    assert source.polled_at == pytest.approx([0, 60, 120], abs=0.05)


@pytest.mark.parametrize(("asked_s", "waits_s"), [(77, 77), (3600, 900)])
@leaping
async def test_a_servers_own_wish_is_honoured_up_to_a_quarter_of_an_hour(asked_s: float, waits_s: float) -> None:
    source = FakeSource("peak", BusyServerError(asked_s), [])
    async with Office().polling(source):
        await until(lambda: len(source.polled_at) == 2, within_s=4000)
    assert waits(source) == [waits_s]


@leaping
async def test_what_cannot_be_kept_is_not_taken_over_and_is_once_the_disk_works() -> None:
    later = an_event("peak:1", 900, 1500)
    office = Office(CALL)
    office.journal.disk_fails = True
    async with office.polling(FakeSource("peak", [later])):
        await passes(25)
        assert list(office.intake.events()) == [CALL]
        office.journal.disk_fails = False
        await until(lambda: list(office.intake.events()) == [later], within_s=10)
    assert office.journal.events == (later,)


class FailingJudge:
    """It cannot say where an event of this uid stands."""

    def judged(self, events: Iterable[Event]) -> list[Event]:
        if any(event.uid == "peak:odd" for event in events):
            raise OverflowError("date value out of range")
        return list(events)

    async def keep(self, events: Iterable[Event]) -> None: ...


@leaping
async def test_a_defect_in_judging_ends_no_poll_and_the_former_events_stand() -> None:
    office = Office(CALL)
    office.intake = Intake(LeapingClock(), office.journal, [CALL], office.changed, judge=FailingJudge())
    later = an_event("peak:2", 1800, 2400)
    async with office.polling(FakeSource("peak", [an_event("peak:odd", 60, 120)], [CALL, later])):
        await passes(5)
        assert office.uids == ["peak:1"]
        await until(lambda: office.uids == ["peak:1", "peak:2"])


@leaping
async def test_of_more_events_than_a_cycle_can_look_at_the_next_are_taken_and_it_is_told() -> None:
    many = [an_event(f"peak:{number:04}", 600 + number, 1200 + number) for number in range(MOST_EVENTS + 50)]
    office = Office()
    async with office.polling(FakeSource("peak", many[::-1])):
        await until(lambda: office.uids)
        assert office.uids == [event.uid for event in many[:MOST_EVENTS]]
        assert (office.intake.contacts["peak"].problem or "").startswith(f"Of {MOST_EVENTS + 50} events {MOST_EVENTS} ")


@leaping
async def test_events_of_very_many_slots_crowd_out_no_plain_one() -> None:
    seconds = tuple(replace(CALL.slots[0], start=after(60 + n), end=after(61 + n)) for n in range(6000))
    fine = [replace(CALL, uid=f"peak:fine{number}", slots=seconds) for number in range(3)]
    office = Office()
    async with office.polling(FakeSource("peak", [*fine, CALL])):
        await until(lambda: office.uids == ["peak:1", "peak:fine0"])


@leaping
async def test_an_event_without_slots_is_passed_over() -> None:
    office = Office()
    async with office.polling(FakeSource("peak", [Event("peak:2", "peak", "Empty", after(0), ()), CALL])):
        await until(lambda: office.uids == ["peak:1"])


@leaping
async def test_what_was_passed_over_is_told_in_the_contact() -> None:
    office = Office()
    source = FakeSource("peak", [CALL])
    source.problems = ("event 7 has no interval", "event 8 is in the past")
    async with office.polling(source):
        await until(lambda: "peak" in office.intake.contacts)
        assert office.intake.contacts["peak"].problem == "event 7 has no interval; event 8 is in the past"


# --------------------------------------------------------------------------------------------------------------- alerts


def an_alert(own_id: str, end: float | None = 3600, source: str = "peak") -> Alert:
    return Alert(own_id, source, AlertKind.WIND, "Wind", after(0), None if end is None else after(end))


@leaping
async def test_alerts_of_all_who_warn_stand_until_their_source_takes_them_back() -> None:
    office, source = Office(), FakeSource("peak", [])
    source.alerts = (an_alert("peak:1/wind"),)
    await office.intake.warn("home_assistant", [an_alert("hail", source="home_assistant")])
    async with office.polling(source):
        await until(lambda: office.warned == ["hail", "peak:1/wind"])
        assert [alert.id for alert in office.journal.alerts] == ["hail", "peak:1/wind"]
        source.alerts = ()
        await until(lambda: office.warned == ["hail"])
    await office.intake.warn("home_assistant", [])
    assert (office.warned, office.journal.alerts) == ([], ())


@leaping
async def test_the_same_warning_again_writes_nothing_and_wakes_nobody() -> None:
    office = Office()
    await office.intake.warn("home_assistant", [an_alert("hail")])
    before = office.changes, list(office.journal.wrote)
    await office.intake.warn("home_assistant", [an_alert("hail")])
    assert (office.changes, office.journal.wrote) == before


@leaping
async def test_alerts_outlive_a_lost_contact_and_a_restart_but_not_their_end() -> None:
    office = Office(alerts=[an_alert("peak:1/wind", 3600), an_alert("peak:2/wind", -1)])
    async with office.polling(FakeSource("peak", DOWN)):
        await passes(3599)
        assert office.warned == ["peak:1/wind"]
        await passes(2)
        assert office.warned == []


@leaping
async def test_an_alert_without_an_end_stands_while_its_source_repeats_it_and_some_hours_more() -> None:
    office = Office(alerts=[an_alert("siren", None)])
    hours = WITHOUT_WORD.total_seconds()
    await passes(hours - 1)
    assert office.warned == ["siren"]
    await office.intake.warn("peak", [an_alert("siren", None)])
    await passes(hours - 1)
    assert office.warned == ["siren"]
    await passes(2)
    assert office.warned == []


@leaping
async def test_an_alert_counts_although_the_disk_fails_and_is_kept_once_it_works() -> None:
    office, source = Office(), FakeSource("peak", [])
    source.alerts = (an_alert("peak:1/wind"),)
    office.journal.disk_fails = True
    async with office.polling(source):
        await until(lambda: office.warned == ["peak:1/wind"])
        assert office.journal.alerts == ()
        office.journal.disk_fails = False
        await until(lambda: office.journal.alerts == source.alerts, within_s=15)


@leaping
async def test_a_program_followed_no_more_warns_no_more() -> None:
    office = Office(alerts=[an_alert("peak:1/wind"), an_alert("hail", source="home_assistant")])
    await office.intake.forget("peak")
    assert office.warned == ["hail"]


@leaping
async def test_more_warnings_than_any_region_has_are_cut() -> None:
    office = Office()
    await office.intake.warn("peak", [an_alert(f"{number:04}") for number in range(MOST_ALERTS + 50)])
    assert len(office.warned) == MOST_ALERTS


# --------------------------------------------------------------------------------------------------- limits and prices


def a_limit(own_id: str, *, subscribed: bool = False, end: float | None = 3600, program: str = "peak") -> CapacityLimit:
    last = None if end is None else after(end)
    return CapacityLimit(own_id, program, Direction.IMPORT, 5000, after(0), last, subscribed=subscribed)


def a_price(end: float, program: str = "peak") -> Price:
    return Price(program, PriceKind.IMPORT, after(0), after(end), -0.02, "USD")


@leaping
async def test_limits_and_prices_stand_until_their_source_takes_them_back_or_they_are_over() -> None:
    office, source, other = Office(), FakeSource("peak", []), FakeSource("net", [])
    source.limits, source.prices = (a_limit("a"), a_limit("b", end=25)), (a_price(15), a_price(3600))
    other.limits = (a_limit("net", program="net"),)
    async with office.polling(source, other):
        await until(lambda: len(office.intake.limits()) == 3)
        assert len(office.intake.prices()) == 2
        assert {limit.id for limit in office.journal.limits} == {"a", "b", "net"}
        await passes(15)
        assert len(office.intake.prices()) == 1
        assert office.intake.prices() is office.intake.prices()
        await passes(10)
        assert {limit.id for limit in office.intake.limits()} == {"a", "net"}
        source.limits, source.prices = (), ()
        await until(lambda: office.intake.limits() == other.limits)
        assert (office.intake.prices(), office.journal.prices) == ((), ())
    await office.intake.forget("net")
    assert (office.intake.limits(), office.journal.limits) == ((), ())


@leaping
async def test_limits_and_prices_outlive_a_lost_contact_and_a_restart() -> None:
    journal = MemoryJournal()
    journal.limits, journal.prices = (a_limit("a"), a_limit("b", end=-1)), (a_price(3600),)
    announced = Announced(journal, journal.limits, journal.prices)
    intake = Intake(LeapingClock(), journal, [], lambda: None, announced=announced)
    task = asyncio.create_task(intake.poll(FakeSource("peak", DOWN)))
    await passes(60)
    assert ([limit.id for limit in intake.limits()], intake.prices()) == (["a"], (a_price(3600),))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@leaping
async def test_limits_count_although_the_disk_fails_and_are_kept_once_it_works() -> None:
    office, source = Office(), FakeSource("peak", [])
    source.limits = (a_limit("a"),)
    office.journal.disk_fails = True
    async with office.polling(source):
        await until(lambda: office.intake.limits() == source.limits)
        assert office.journal.limits == ()
        office.journal.disk_fails = False
        await until(lambda: office.journal.limits == source.limits, within_s=15)


@leaping
async def test_the_same_limits_again_write_nothing_and_wake_nobody() -> None:
    office, source = Office(), FakeSource("peak", [])
    source.limits = (a_limit("a"), a_limit("b"))
    async with office.polling(source):
        await until(office.intake.limits)
        before = office.changes, list(office.journal.wrote)
        source.limits = source.limits[::-1]
        await passes(60)
        assert (office.changes, office.journal.wrote) == before


@leaping
async def test_after_an_outage_only_what_is_subscribed_counts_until_the_server_asked_at_once_has_spoken() -> None:
    office, source = Office(), FakeSource("peak", [], DOWN, [], poll_s=300)
    always = a_limit("always", subscribed=True, end=None)
    source.limits = (a_limit("today"), always)
    async with office.polling(source):
        await until(lambda: len(office.intake.limits()) == 2)
        await passes(100)
        source.limits = (a_limit("new"), always)
        await office.intake.after_outage()
        await passes(1)
        assert office.intake.limits() == office.journal.limits == (always,)
        assert waits(source) == pytest.approx([100], abs=1)
        await until(lambda: len(office.intake.limits()) == 2, within_s=400)
        assert {limit.id for limit in office.intake.limits()} == {"new", "always"}


@leaping
async def test_after_an_outage_a_limit_does_not_come_back_while_its_server_is_silent() -> None:
    office = Office()
    source = FakeSource("peak", [], DOWN)
    source.limits = (a_limit("today"),)
    async with office.polling(source):
        await until(office.intake.limits)
        await office.intake.after_outage()
        await passes(60)
        assert (office.intake.limits(), office.journal.limits) == ((), ())


# --------------------------------------------------------------------------------------------------------------- clocks


@pytest.mark.parametrize("minutes", [-600, -10, 10, 600])
@leaping
async def test_case_19_a_clock_that_is_set_hurries_and_delays_no_poll_and_no_pause(minutes: int) -> None:
    clock = LeapingClock()
    source = FakeSource("peak", [CALL], BusyServerError(60), [CALL])
    intake = Intake(clock, MemoryJournal(), (), lambda: None, chance=lambda: 0.0)
    polling = asyncio.create_task(intake.poll(source))
    await passes(5)
    clock.set_by = timedelta(minutes=minutes)
    await passes(80)
    assert not polling.done()
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    assert waits(source) == [10, 60, 10]
