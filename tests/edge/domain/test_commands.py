"""What people may ask for, and why not."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings as bounded, strategies as st

from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.commands import COMMANDS, carry_out, expire
from edge_service.domain.departure_commands import skip_departure
from edge_service.domain.memory import (
    ChargerMemory,
    EventMemory,
    EventStage,
    GridMemory,
    IslandMemory,
    IslandStep,
    Memory,
    OutageMemory,
)
from edge_service.domain.model import (
    Alert,
    AlertKind,
    ChargerFacts,
    DeparturePlan,
    Grid,
    ManualKind,
    ManualOrder,
    Mode,
    Settings,
    Storm,
    frozen_map,
)
from tests.edge.domain.houses import DER, T0, a_site, after, an_observation

ON = Memory(grid=GridMemory(Grid.ON), island=IslandMemory(IslandStep.TIED))
ISLAND = Memory(grid=GridMemory(Grid.OUTAGE), island=IslandMemory(IslandStep.ISLAND, T0, "car"))
DARK = replace(ISLAND, outage=OutageMemory(T0))
SOON = after(600).isoformat()


def asked(memory: Memory = ON, settings: Settings | None = None, local: bool = False, **args: Any) -> Asked:
    facts = a_site("car", time_zone="America/New_York")
    return Asked(args, settings or Settings(), facts, memory, T0, local)


def refusal(name: str, what: Asked) -> str:
    with pytest.raises(CommandRefusedError) as refused:
        carry_out(name, what)
    return refused.value.code


def an_account(stage: EventStage = EventStage.PREPARED) -> Memory:
    return replace(ON, events=frozen_map({"e1": EventMemory(stage, T0, "Peak", "peak", after(60), after(600))}))


def test_a_manual_order_is_kept_with_its_end_in_utc() -> None:
    settings = carry_out("charge", asked(charger="car", until="2026-07-15T22:30:00+02:00", power_w=3000))
    assert settings.manual["car"] == ManualOrder(ManualKind.CHARGE, T0, after(1800), 3000)
    assert str(settings.manual["car"].until.tzinfo) == "UTC"


@pytest.mark.parametrize(
    ("name", "what", "code"),
    [
        ("charge", asked(charger="car"), "bad_argument"),
        ("charge", asked(charger="car", until="tomorrow"), "bad_argument"),
        ("charge", asked(charger="car", until="2026-07-15T23:00:00"), "bad_argument"),
        ("charge", asked(charger="car", until="9999-12-31T23:59:59-12:00"), "bad_argument"),
        ("charge", asked(charger="car", until=after(-1).isoformat()), "in_the_past"),
        ("charge", asked(charger="car", until=after(86401).isoformat()), "until_too_far"),
        ("charge", asked(charger="bike", until=SOON), "unknown_charger"),
        ("charge", asked(charger="car", until=SOON, power_w=0), "bad_argument"),
        ("charge", asked(charger="car", until=SOON, power_w=float("nan")), "bad_argument"),
        ("charge", asked(charger="car", until=SOON, power_w=True), "bad_argument"),
        ("charge", asked(ISLAND, charger="car", until=SOON), "outage_running"),
        ("hold", asked(settings=Settings(stopped=True), charger="car", until=SOON), "stopped"),
        ("set_mode", asked(mode="turbo"), "bad_argument"),
        ("set_backup_reserve", asked(pct=101), "bad_argument"),
        ("set_event_floor", asked(program="none", pct=10), "unknown_program"),
        ("set_program_order", asked(programs="peak"), "bad_argument"),
        ("set_program_order", asked(programs=["peak", "peak"]), "bad_argument"),
        ("set_program_order", asked(programs=["peak", 3]), "bad_argument"),
        ("set_program_order", asked(programs=["none"]), "unknown_program"),
        ("set_participation", asked(program="peak", participating="yes"), "bad_argument"),
        ("opt_out", asked(event="e1"), "unknown_event"),
        ("opt_out", asked(an_account(EventStage.FINISHED), event="e1"), "event_over"),
        ("reset_stop", asked(settings=Settings(stopped=True)), "reset_on_site"),
        ("end_backup", asked(confirm=True), "no_backup_running"),
        ("end_backup", asked(ISLAND), "confirm_needed"),
        ("postpone_return", asked(until=SOON), "no_backup_running"),
        ("postpone_return", asked(ISLAND, until=after(-1).isoformat()), "in_the_past"),
        ("postpone_return", asked(ISLAND, until=after(13 * 3600).isoformat()), "until_too_far"),
        ("set_departure", asked(charger="car", at=SOON), "bad_argument"),
        ("set_departure", asked(charger="car", at=SOON, soc_pct=80, miles=40), "bad_argument"),
        ("set_departure", asked(charger="car", at=SOON, soc_pct=101), "bad_argument"),
        ("set_departure", asked(charger="car", at=SOON, miles=501), "bad_argument"),
        ("set_departure", asked(charger="car", at=SOON, soc_pct=80, local_time="07:30"), "bad_argument"),
        ("set_departure", asked(charger="car", at=after(-1).isoformat(), soc_pct=80), "in_the_past"),
        ("set_departure", asked(charger="car", at=after(31 * 86400).isoformat(), soc_pct=80), "until_too_far"),
        ("set_departure", asked(charger="car", soc_pct=80), "bad_argument"),
        ("set_departure", asked(charger="car", weekdays=["mon"], soc_pct=80), "bad_argument"),
        ("set_departure", asked(charger="car", weekdays=["monday"], local_time="07:30", soc_pct=80), "bad_argument"),
        ("set_departure", asked(charger="car", weekdays=[[]], local_time="07:30", soc_pct=80), "bad_argument"),
        ("set_departure", asked(charger="car", weekdays=["mon"], local_time="24:00", soc_pct=80), "bad_argument"),
        ("set_departure", asked(charger="car", weekdays=["mon"], local_time="7:30", soc_pct=80), "bad_argument"),
        ("set_departure", asked(charger="car", weekdays=["mon"], local_time="07-30", soc_pct=80), "bad_argument"),
        ("set_departure", asked(charger="car", at=SOON, soc_pct=80, id="a\nb"), "bad_argument"),
        ("set_departure", asked(charger="bike", at=SOON, soc_pct=80), "unknown_charger"),
        ("clear_departure", asked(charger="car", id="once"), "unknown_departure"),
        ("set_miles_per_kwh", asked(charger="car", miles_per_kwh=0.4), "bad_argument"),
        ("prepare_for_storm", asked(until=SOON), "bad_argument"),
        ("prepare_for_storm", asked(until=SOON, reserve_pct=0), "bad_argument"),
        ("prepare_for_storm", asked(until=after(-1).isoformat(), reserve_pct=90), "in_the_past"),
        ("prepare_for_storm", asked(until=after(8 * 86400).isoformat(), reserve_pct=90), "until_too_far"),
        ("prepare_for_storm", asked(until=SOON, reserve_pct=90, name="x" * 81), "bad_argument"),
        ("set_drivers_reserve", asked(charger="car"), "bad_argument"),
        ("set_drivers_reserve", asked(charger="car", pct=20, miles=40), "bad_argument"),
        ("set_drivers_reserve", asked(charger="car", miles=501), "bad_argument"),
        ("set_drivers_reserve", asked(charger="car", miles=-1), "bad_argument"),
        ("lend_reserve", asked(charger="car", pct=10), "no_outage"),
        ("lend_reserve", asked(DARK, charger="bike", pct=10), "unknown_charger"),
        ("lend_reserve", asked(DARK, charger="car", pct=0), "bad_argument"),
        ("lend_reserve", asked(DARK, charger="car", miles=10), "capacity_unknown"),
        ("set_storm_reserve", asked(pct=0), "bad_argument"),
        ("set_heeds_alerts", asked(heeds="no"), "bad_argument"),
        ("opt_out_alert", asked(alert="gale"), "unknown_alert"),
        ("opt_out_alert", asked(), "bad_argument"),
        ("dance", asked(), "unknown_command"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(name: str, what: Asked, code: str) -> None:
    assert refusal(name, what) == code


def test_what_is_lent_is_never_more_than_the_reserve_and_ends_with_the_outage() -> None:
    sized = replace(DARK, chargers=frozen_map({"car": ChargerMemory(capacity_wh=60_000)}))
    settings = Settings(drivers_reserve_pct=frozen_map({"car": 40.0}))
    lent = carry_out("lend_reserve", asked(sized, settings, charger="car", miles=18))
    assert lent.lent_pct == {"car": 10.0}
    more = carry_out("lend_reserve", asked(sized, lent, charger="car", pct=90))
    assert more.lent_pct == {"car": 40.0}
    for memory in (sized, Memory(grid=GridMemory(Grid.RESTORING), island=ON.island), Memory()):
        assert expire(more, memory, T0) is more
    assert expire(more, ON, T0).lent_pct == {}
    assert carry_out("take_back_lent", asked(sized, more, charger="car")).lent_pct == {}


def test_a_choice_not_to_heed_an_alert_ends_with_it() -> None:
    alert = Alert("gale", "peak", AlertKind.WIND, "Gale", T0, after(600))
    endless = Alert("siren", "peak", AlertKind.OTHER, "Siren", T0)
    seen = an_observation(0, alerts=(alert, endless))
    settings = Settings()
    for one in ("gale", "siren"):
        settings = carry_out("opt_out_alert", replace(asked(settings=settings, alert=one), observation=seen))
    assert expire(settings, ON, after(599)) is settings
    assert set(expire(settings, ON, after(600)).alerts_opted_out) == {"siren"}
    assert expire(settings, ON, after(7 * 86400)).alerts_opted_out == {}
    opted_in = carry_out("opt_in_alert", replace(asked(settings=settings, alert="gale"), observation=seen))
    assert set(opted_in.alerts_opted_out) == {"siren"}


def test_a_charger_that_cannot_discharge_is_not_asked_to() -> None:
    one_way = ChargerFacts("car", "Car", replace(DER, discharge_rating_w=0))
    facts = replace(a_site("car"), chargers=frozen_map({"car": one_way}))
    what = replace(asked(charger="car", until=SOON), facts=facts)
    assert refusal("discharge", what) == "not_bidirectional"


def test_a_stop_is_reset_on_site_only() -> None:
    stopped = carry_out("stop", asked())
    assert stopped.stopped
    assert not carry_out("reset_stop", asked(settings=stopped, local=True)).stopped


def test_opting_out_and_in() -> None:
    out = carry_out("opt_out", asked(an_account(), event="e1"))
    assert out.opted_out == {"e1"}
    assert carry_out("opt_in", asked(an_account(), out, event="e1")).opted_out == frozenset()


def test_preferences_are_kept() -> None:
    settings = carry_out("set_drivers_reserve", asked(charger="car", pct=35))
    settings = carry_out("set_at_end", asked(settings=settings, at_end="lend"))
    settings = carry_out("set_mode", asked(settings=settings, mode="paused"))
    settings = carry_out("set_participation", asked(settings=settings, program="peak", participating=False))
    assert settings.drivers_reserve("car") == 35
    assert settings.mode is Mode.PAUSED
    assert settings.not_participating == {"peak"}
    again = carry_out("set_participation", asked(settings=settings, program="peak", participating=True))
    assert again.not_participating == frozenset()


def test_a_plan_replaces_the_one_of_its_name_and_no_other() -> None:
    week: dict[str, Any] = {"weekdays": ["fri", "mon", "fri"], "local_time": "07:30"}
    settings = carry_out("set_departure", asked(charger="car", soc_pct=80, **week))
    settings = carry_out("set_departure", asked(settings=settings, charger="car", at=SOON, miles=40))
    settings = carry_out("set_departure", asked(settings=settings, charger="car", at=SOON, miles=60))
    weekly = DeparturePlan("weekly", weekdays=(0, 4), local_time="07:30", soc_pct=80)
    assert settings.departures["car"] == (weekly, DeparturePlan("once", at=after(600), miles=60))
    assert carry_out("clear_departure", asked(settings=settings, charger="car", id="once")).departures == {
        "car": (weekly,)
    }


def test_a_site_that_does_not_say_where_it_is_has_no_half_past_seven() -> None:
    what = replace(asked(charger="car", weekdays=["mon"], local_time="07:30", soc_pct=80), facts=a_site("car"))
    assert refusal("set_departure", what) == "time_zone_needed"


def test_a_weekly_departure_that_has_lost_its_time_zone_is_not_skipped_away() -> None:
    plan = DeparturePlan("weekly", weekdays=(0,), local_time="07:30", soc_pct=80)
    settings = Settings(departures=frozen_map({"car": (plan,)}))
    what = replace(asked(settings=settings, charger="car", id="weekly"), facts=a_site("car"))
    with pytest.raises(CommandRefusedError) as refused:
        skip_departure(what, None)
    assert refused.value.code == "time_zone_needed"


def test_a_charger_has_so_many_departures_and_no_more() -> None:
    settings = Settings()
    for number in range(20):
        settings = carry_out(
            "set_departure", asked(settings=settings, charger="car", at=SOON, soc_pct=80, id=f"trip {number}")
        )
    more = asked(settings=settings, charger="car", at=SOON, soc_pct=80)
    assert refusal("set_departure", more) == "too_many_departures"
    again = carry_out("set_departure", asked(settings=settings, charger="car", at=SOON, soc_pct=90, id="trip 7"))
    assert len(again.departures["car"]) == 20


def test_a_refusal_names_the_argument_what_was_found_and_what_is_allowed() -> None:
    with pytest.raises(CommandRefusedError) as refused:
        carry_out("set_departure", asked(charger="car", weekdays=["mon"], local_time="25:00", soc_pct=80))
    assert refused.value.data == {"argument": "local_time", "found": "25:00", "allowed": "00:00 to 23:59"}


def test_storms_and_departures_for_once_end_by_themselves_and_weekly_ones_do_not() -> None:
    once, weekly = DeparturePlan("once", at=after(60), soc_pct=80), DeparturePlan("w", None, (0,), "07:30", 80)
    settings = carry_out("prepare_for_storm", asked(until=after(60).isoformat(), reserve_pct=90, name="Ida"))
    assert settings.storm == Storm(after(60), 90, "Ida")
    settings = replace(settings, departures=frozen_map({"bus": (once,), "car": (once, weekly)}))
    assert expire(settings, ON, after(59)) is settings
    over = expire(settings, ON, after(60))
    assert (over.storm, dict(over.departures)) == (None, {"car": (weekly,)})
    assert expire(over, ON, after(86400)) is over


def test_a_storm_raises_the_reserve_and_never_lowers_it() -> None:
    settings = Settings(backup_reserve_pct=50, storm=Storm(after(60), 30))
    assert (settings.reserve_pct(T0), settings.reserve_pct(after(60))) == (50, 50)
    settings = replace(settings, storm=Storm(after(60), 80))
    assert (settings.reserve_pct(T0), settings.reserve_pct(after(60))) == (80, 50)
    assert carry_out("end_storm", asked(settings=settings)).storm is None


def test_wishes_end_with_what_they_belonged_to() -> None:
    order = ManualOrder(ManualKind.HOLD, T0, after(60))
    settings = Settings(
        manual=frozen_map({"car": order}),
        opted_out=frozenset({"e1"}),
        end_backup=True,
        return_not_before=after(600),
    )
    over = replace(an_account(EventStage.FINISHED), island=IslandMemory(IslandStep.ISLAND, T0, "car"))
    assert expire(settings, replace(over, events=frozen_map()), T0) == settings
    island = expire(settings, over, after(61))
    assert not island.manual
    assert island.opted_out
    assert island.end_backup
    assert island.return_not_before is not None
    assert not expire(settings, over, after(2 * 86_400)).opted_out
    tied = expire(settings, ON, T0)
    assert not tied.end_backup
    assert tied.return_not_before is None


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("car"), st.just("peak"),
    st.just(SOON), st.just("9999-12-31T23:59:59-12:00"), st.lists(st.integers(), max_size=2),
    st.just(["mon"]), st.just("07:30"), st.just(80),
)  # fmt: skip
arguments = st.sampled_from(
    [
        *("charger", "until", "power_w", "pct", "mode", "at_end", "event", "program", "participating", "confirm"),
        *("at", "id", "soc_pct", "miles", "weekdays", "local_time", "miles_per_kwh", "reserve_pct", "name"),
    ]
)


@bounded(deadline=None)
@given(st.sampled_from(sorted(COMMANDS)), st.dictionaries(arguments, anything), st.sampled_from([ON, ISLAND]))
def test_whatever_is_sent_a_command_is_done_or_refused(name: str, args: dict[str, Any], memory: Memory) -> None:
    settings = Settings()
    with suppress(CommandRefusedError):
        settings = carry_out(name, asked(memory, **args))
    assert expire(settings, memory, T0).manual == settings.manual


def restarting(memory: Memory = ON, settings: Settings | None = None, restarts: bool = True) -> Asked:
    what = asked(memory, settings, charger="car")
    car = replace(what.facts.chargers["car"], restarts=restarts)
    return replace(what, facts=replace(what.facts, chargers=frozen_map({"car": car})))


def test_a_charger_is_restarted_only_if_it_can_and_only_on_a_good_grid() -> None:
    assert carry_out("restart_charger", restarting()) == Settings()
    assert refusal("restart_charger", restarting(restarts=False)) == "not_supported"
    assert refusal("restart_charger", restarting(ISLAND)) == "outage_running"
    assert refusal("restart_charger", restarting(Memory())) == "outage_running"
    assert refusal("restart_charger", restarting(settings=Settings(mode=Mode.READ_ONLY))) == "mode_read_only"
    assert refusal("restart_charger", asked(charger="gone")) == "unknown_charger"


def test_what_locked_a_charger_is_reset_there() -> None:
    assert refusal("clear_fault", asked(charger="car")) == "not_supported"
