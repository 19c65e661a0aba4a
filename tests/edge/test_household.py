"""Commands of people: on disk before they are answered, one at a time; a stop that counts whatever the disk does."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from edge_service.departures import next_departures
from edge_service.domain.asked import CommandRefusedError
from edge_service.domain.memory import (
    HISTORY_H,
    GridMemory,
    IslandMemory,
    IslandStep,
    Memory,
    RuntimeMemory,
    Store,
    Track,
)
from edge_service.domain.model import (
    AtEnd,
    Event,
    Grid,
    LoadGroup,
    ManualKind,
    ManualOrder,
    Mode,
    Settings,
    frozen_map,
)
from edge_service.household import Household
from edge_service.intake import Intake
from tests.edge.domain.houses import a_site, after, an_event
from tests.edge.fakes import FakeSource, LeapingClock, MemoryJournal, leaping, passes, until

TIED = Memory(grid=GridMemory(Grid.ON), island=IslandMemory(IslandStep.TIED))


class Home:
    """A household with its journal and its events."""

    def __init__(self, settings: Settings | None = None, *known: Event) -> None:
        self.journal, clock = MemoryJournal(), LeapingClock()
        self.journal.events = known
        self.intake = Intake(clock, self.journal, known, lambda: None)
        self.household = Household(settings or Settings(), self.intake, self.journal, clock)

    async def command(self, name: str, /, *, local: bool = False, **args: Any) -> dict[str, Any]:
        facts = a_site("bus", "car", time_zone="Etc/UTC")
        return dict(await self.household.carry_out(name, args, facts, TIED, local=local))

    @property
    def uids(self) -> list[str]:
        return [event.uid for event in self.household.events()]


def an_evening(**changes: Any) -> dict[str, Any]:
    """What a person enters for an event an hour from now."""
    start, end = after(3600).isoformat(), after(7200).isoformat()
    return {"program": "peak", "name": "Hot evening", "start": start, "end": end, "power_w": 5000} | changes


@pytest.mark.parametrize(
    ("name", "args", "code"),
    [
        ("set_backup_reserve", {"pct": 101}, "bad_argument"),
        ("set_mode", {"mode": "party"}, "bad_argument"),
        ("reset_stop", {}, "reset_on_site"),
        ("discharge", {"charger": "boat", "until": after(60).isoformat()}, "unknown_charger"),
        ("make_coffee", {}, "unknown_command"),
        ("enter_event", an_evening(program="none"), "unknown_program"),
        ("enter_event", an_evening(end=after(3000).isoformat()), "end_before_start"),
        ("enter_event", an_evening(power_w=0), "bad_argument"),
        ("cancel_event", {"event": "hand:none"}, "unknown_event"),
    ],
)
@leaping
async def test_a_refused_command_changes_nothing(name: str, args: dict[str, Any], code: str) -> None:
    home = Home()
    with pytest.raises(CommandRefusedError) as refused:
        await home.command(name, **args)
    assert refused.value.code == code
    assert (home.journal.wrote, home.household.settings, home.uids) == ([], Settings(), [])


@leaping
async def test_settings_are_on_disk_before_they_are_answered_and_count_no_sooner() -> None:
    home = Home()
    home.journal.slow_s = 1.0
    answer = asyncio.create_task(home.command("set_mode", mode="paused"))
    await passes(0.9)
    assert (answer.done(), home.household.settings.mode) == (False, Mode.AUTOMATIC)
    assert await answer == {}
    assert (home.journal.settings.mode, home.household.settings.mode) == (Mode.PAUSED, Mode.PAUSED)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("set_backup_reserve", {"pct": 50}),
        ("set_departure", {"charger": "car", "at": after(3600).isoformat(), "soc_pct": 80}),
        ("enter_event", an_evening()),
    ],
)
@leaping
async def test_what_cannot_be_kept_is_not_promised(name: str, args: dict[str, Any]) -> None:
    home = Home(Settings(stopped=True))
    home.journal.disk_fails = True
    with pytest.raises(OSError, match="disk"):
        await home.command(name, local=True, **args)
    assert (home.household.settings, home.uids) == (Settings(stopped=True), [])


@leaping
async def test_a_stop_counts_although_the_disk_fails_and_says_that_it_is_not_kept() -> None:
    home = Home()
    home.journal.disk_fails = True
    assert await home.command("stop") == {"kept": False}
    assert home.household.settings.stopped
    home.journal.disk_fails = False
    assert await home.command("stop") == {}
    assert home.journal.settings.stopped


@pytest.mark.parametrize(
    ("name", "args", "wanted"),
    [
        ("reset_stop", {}, Settings()),
        ("set_mode", {"mode": "paused"}, Settings(stopped=True, mode=Mode.PAUSED)),
        ("set_at_end", {"at_end": "lend"}, Settings(stopped=True, at_end=AtEnd.LEND, at_end_chosen=True)),
    ],
)
@leaping
async def test_what_undoes_a_stop_or_matters_in_an_outage_counts_although_the_disk_fails(
    name: str, args: dict[str, Any], wanted: Settings
) -> None:
    home = Home(Settings(stopped=True))
    home.journal.disk_fails = True
    assert (await home.command(name, local=True, **args))["kept"] is False
    assert home.household.settings == wanted
    await passes(60)
    home.journal.disk_fails = False
    await until(lambda: home.journal.wrote == [f"settings: {name}"], within_s=6)
    assert home.journal.settings == wanted
    await passes(60)
    assert home.journal.wrote == [f"settings: {name}"]


@leaping
async def test_a_stop_on_a_disk_that_fails_is_written_once_the_disk_works() -> None:
    home = Home()
    home.journal.disk_fails = True
    assert await home.command("stop") == {"kept": False}
    home.journal.disk_fails = False
    await until(lambda: home.journal.settings.stopped, within_s=6)


@leaping
async def test_a_stop_waits_for_no_other_command_and_is_not_undone_by_it() -> None:
    home = Home()
    home.journal.slow_s = 60.0
    reserve = asyncio.create_task(home.command("set_backup_reserve", pct=40))
    await passes(0.5)
    answer = asyncio.create_task(home.command("stop"))
    await until(lambda: home.household.settings.stopped, within_s=0.1)
    await until(answer.done, within_s=5)
    assert await answer == {"kept": False}
    await reserve
    assert home.household.settings == Settings(backup_reserve_pct=40, stopped=True)
    await until(lambda: home.journal.settings == home.household.settings, within_s=200)


@leaping
async def test_a_reset_that_was_asked_before_a_stop_does_not_undo_it() -> None:
    home = Home(Settings(stopped=True))
    home.journal.slow_s = 10.0
    reserve = asyncio.create_task(home.command("set_backup_reserve", pct=40))
    await passes(0.5)
    reset = asyncio.create_task(home.command("reset_stop", local=True))
    await passes(0.5)
    await home.command("stop")
    await asyncio.gather(reserve, reset)
    assert home.household.settings.stopped
    await passes(60)
    assert home.household.settings.stopped
    assert home.journal.settings.stopped


@leaping
async def test_a_stop_counts_while_a_slow_disk_still_writes_it() -> None:
    home = Home()
    home.journal.slow_s = 5.0
    answer = asyncio.create_task(home.command("stop"))
    await until(lambda: home.household.settings.stopped, within_s=0.1)
    assert not answer.done()
    await answer


@leaping
async def test_two_commands_at_once_lose_neither_change() -> None:
    home = Home()
    home.journal.slow_s = 0.5
    async with asyncio.TaskGroup() as group:
        group.create_task(home.command("set_mode", mode="paused"))
        group.create_task(home.command("set_backup_reserve", pct=50))
        group.create_task(home.command("set_drivers_reserve", charger="car", pct=40))
    wanted = Settings(mode=Mode.PAUSED, backup_reserve_pct=50, drivers_reserve_pct=frozen_map({"car": 40.0}))
    assert home.household.settings == home.journal.settings == wanted


@leaping
async def test_what_only_time_has_taken_is_on_disk_soon_and_undoes_no_command() -> None:
    over = ManualOrder(ManualKind.HOLD, after(-60), after(0))
    home = Home(Settings(manual=frozen_map({"car": over})))
    home.journal.slow_s = 0.5
    until_then = after(600)
    answer = asyncio.create_task(home.command("hold", charger="car", until=until_then.isoformat()))
    await passes(0.1)
    home.household.replace_expired(Settings())
    await answer
    await until(lambda: "settings: expire" in home.journal.wrote)
    assert home.household.settings == home.journal.settings
    assert home.journal.settings.manual["car"].until == until_then


@leaping
async def test_a_disk_that_fails_when_something_expires_ends_nothing() -> None:
    home = Home(Settings(opted_out=frozenset({"e1"})))
    home.journal.disk_fails = True
    home.household.replace_expired(Settings())
    await passes(1)
    home.journal.disk_fails = False
    assert home.household.settings == Settings()
    assert await home.command("set_mode", mode="paused") == {}


@leaping
async def test_an_event_by_hand_is_entered_and_taken_back() -> None:
    home = Home()
    uid = (await home.command("enter_event", **an_evening()))["event"]
    (event,) = home.household.events()
    assert (event.uid, event.program_id, event.name, event.start, event.slots[0].power_w) == (
        uid,
        "peak",
        "Hot evening",
        after(3600),
        -5000,
    )
    assert home.journal.events == (event,)
    assert (await home.command("enter_event", **an_evening()))["event"] == uid
    assert home.uids == [uid]
    assert await home.command("cancel_event", event=uid) == {}
    assert home.uids == [one.uid for one in home.journal.events] == []


@leaping
async def test_an_event_that_is_entered_again_after_it_was_left_out_is_meant() -> None:
    home = Home()
    uid = (await home.command("enter_event", **an_evening()))["event"]
    home.household.replace_expired(replace(home.household.settings, opted_out=frozenset({uid, "peak:7"})))
    await home.command("enter_event", **an_evening())
    assert home.household.settings.opted_out == home.journal.settings.opted_out == {"peak:7"}


@leaping
async def test_a_utilitys_event_is_not_a_person_s_to_cancel() -> None:
    home = Home(None, an_event("peak:7", 60, 120))
    with pytest.raises(CommandRefusedError) as refused:
        await home.command("cancel_event", event="peak:7")
    assert refused.value.code == "not_by_hand"
    assert (home.uids, home.journal.wrote) == (["peak:7"], [])


@leaping
async def test_an_event_entered_while_the_utilitys_are_being_written_is_not_lost() -> None:
    home = Home()
    home.journal.slow_s = 0.5
    utility = asyncio.create_task(home.intake.poll(FakeSource("net", [an_event("net:1", 60, 120, program="net")])))
    await passes(0.1)
    uid = (await home.command("enter_event", **an_evening()))["event"]
    await passes(1)
    utility.cancel()
    assert {event.uid for event in home.journal.events} == set(home.uids) == {"net:1", uid}


@leaping
async def test_the_next_time_of_a_weekly_departure_is_left_out_and_the_one_after_is_not() -> None:
    home = Home()
    await home.command("set_departure", charger="car", weekdays=["wed", "thu"], local_time="21:00", soc_pct=80)
    assert await home.command("skip_departure", charger="car", id="weekly") == {"skipped": after(3600).isoformat()}
    assert next_departures(home.household.settings.departures, after(0), "UTC")["car"].at == after(25 * 3600)
    assert home.journal.settings == home.household.settings
    assert await home.command("skip_departure", charger="car", id="weekly") == {"skipped": after(25 * 3600).isoformat()}
    assert next_departures(home.household.settings.departures, after(0), "UTC")["car"].at == after(7 * 86400 + 3600)


@leaping
async def test_a_departure_for_once_that_is_skipped_is_gone() -> None:
    home = Home()
    await home.command("set_departure", charger="car", at=after(3600).isoformat(), soc_pct=80)
    await home.command("skip_departure", charger="car", id="once")
    assert home.household.settings.departures == {}
    with pytest.raises(CommandRefusedError) as refused:
        await home.command("skip_departure", charger="car", id="once")
    assert refused.value.code == "unknown_departure"


KNOWN = RuntimeMemory(
    after(0),
    Track(hours=(1000,) * HISTORY_H),
    lasts_at=after(0),
    stores=(Store("car", 60000, 70.0, 20.0),),
    groups_w=frozen_map({"heat": 500, "odd": None}),
)
HEATED = Settings(load_groups=frozen_map({name: LoadGroup(name, name.title()) for name in ("heat", "odd")}))


async def ask(home: Home, memory: RuntimeMemory = KNOWN, **args: Any) -> dict[str, Any]:
    told = Memory(runtime=memory)
    return dict(await home.household.carry_out("forecast_runtime", args, a_site(), told, local=False))


@leaping
async def test_what_if_is_answered_at_once_while_the_disk_hangs_and_changes_nothing() -> None:
    home = Home(HEATED)
    home.journal.slow_s = 3600
    writing = asyncio.create_task(home.command("set_backup_reserve", pct=40))
    await passes(0.1)
    plain, warm = await ask(home), await ask(home, without=["heat"])
    assert plain["gain_h"] == {"heat": pytest.approx(warm["p50_h"] - plain["p50_h"], abs=0.02), "odd": None}
    assert (await ask(home, without_w=500))["p50_h"] == warm["p50_h"]
    assert (await ask(home, soc_pct=45))["p50_h"] == pytest.approx(plain["p50_h"] / 2, abs=0.01)
    assert plain["p10_h"] < plain["p50_h"] < plain["p90_h"]
    assert home.household.settings == HEATED
    writing.cancel()


@pytest.mark.parametrize(
    ("memory", "args", "code"),
    [
        (KNOWN, {"without": ["pool"]}, "unknown_load"),
        (KNOWN, {"without": ["odd"]}, "load_power_not_known"),
        (KNOWN, {"without": "heat"}, "bad_argument"),
        (KNOWN, {"without": [["heat"]]}, "bad_argument"),
        (KNOWN, {"without_w": -1}, "bad_argument"),
        (KNOWN, {"soc_pct": 101}, "bad_argument"),
        (replace(KNOWN, stores=()), {}, "charge_not_known"),
        (replace(KNOWN, load=Track()), {}, "no_load_data"),
    ],
)
@leaping
async def test_a_question_that_cannot_be_answered_is_refused_by_name(
    memory: RuntimeMemory, args: dict[str, Any], code: str
) -> None:
    with pytest.raises(CommandRefusedError) as refused:
        await ask(Home(HEATED), memory, **args)
    assert refused.value.code == code
