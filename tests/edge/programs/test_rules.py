"""A program's own rules about its events: what is flagged, who is asked, and that judging again changes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from edge_service.domain.program import MILD_FLAGS, Event, Flag, OutsideRules, Program, Rules, Season, Slot
from edge_service.programs import presets, terms
from edge_service.programs.rules import SLACK, Call, judge, needs_zone, season_of

NEW_YORK = "America/New_York"
ZONE = ZoneInfo(NEW_YORK)
SUMMER = (Season("06-01", "09-30"),)


def local(text: str) -> datetime:
    """A moment by New York's clock, such as ``2026-07-15 17:00``."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def an_event(start: str, hours: float = 3, *, uid: str = "peak:1", notice_h: float = 24) -> Event:
    begins = local(start)
    slots = (Slot(begins, begins + timedelta(hours=hours), power_w=-5000),)
    return Event(uid, "peak", "Peak", begins - timedelta(hours=notice_h), slots)


def a_program(**rules: object) -> Program:
    return Program("peak", "Peak", "openadr3", rules=replace(Rules(), **rules))  # type: ignore[arg-type]


def preset(name: str) -> Program:
    return terms.program("peak", {"kind": "openadr3", **presets.load(name).entry()})


def flags(event: Event, program: Program, zone: str | None = NEW_YORK, calls: Sequence[Call] = ()) -> set[str]:
    return set(judge(event, program, zone, calls).flags)


# ------------------------------------------------------------------------------------------------------- by the presets


@pytest.mark.parametrize(
    ("name", "event", "expected"),
    [
        ("connected_solutions_ma", an_event("2026-07-15 17:00"), set()),
        ("connected_solutions_ma", an_event("2026-07-15 15:00"), set()),
        ("connected_solutions_ma", an_event("2026-05-31 17:00"), {"out_of_season"}),
        ("connected_solutions_ma", an_event("2026-10-01 17:00"), {"out_of_season"}),
        ("connected_solutions_ma", an_event("2026-06-19 17:00"), {"holiday"}),
        ("connected_solutions_ma", an_event("2026-09-07 17:00"), {"holiday"}),
        ("connected_solutions_ma", an_event("2026-08-10 17:00"), set()),
        ("connected_solutions_ri", an_event("2026-08-10 17:00"), {"holiday"}),
        ("connected_solutions_ma", an_event("2026-07-15 14:00"), {"outside_window"}),
        ("connected_solutions_ma", an_event("2026-07-15 18:00"), {"outside_window"}),
        ("connected_solutions_ma", an_event("2026-07-15 16:00", 4), {"too_long"}),
        ("connected_solutions_ma", an_event("2026-07-15 16:00", 1), {"too_short"}),
        ("ct_ess", an_event("2026-07-04 12:00"), set()),
        ("ct_ess", an_event("2026-07-15 12:00", notice_h=6), {"short_notice"}),
        ("elrp", an_event("2026-05-01 16:00", 5, notice_h=23), set()),
        (
            "elrp",
            an_event("2026-11-01 16:00", 6, notice_h=2),
            {"out_of_season", "outside_window", "too_long", "short_notice"},
        ),
        ("municipal_light_plant", an_event("2026-01-20 17:00"), set()),
        ("generic", an_event("2026-12-25 03:00", 12, notice_h=0), set()),
    ],
)
def test_a_presets_events_are_known_by_its_rules(name: str, event: Event, expected: set[str]) -> None:
    assert flags(event, preset(name)) == expected


def test_a_random_start_of_some_minutes_is_within_the_rules() -> None:
    program = preset("connected_solutions_ma")
    assert flags(an_event("2026-07-15 14:56", 3), program) == set()
    assert flags(an_event("2026-07-15 14:54", 3), program) == {"outside_window"}


def test_an_hour_that_the_clock_repeats_belongs_wholly_to_a_window_that_ends_in_it() -> None:
    program = a_program(window=("22:00", "01:30"))
    # On 1 November the clocks of New York go back from two to one: half past one comes twice.
    assert flags(an_event("2026-10-31 23:00", 3.5), program) == set()
    assert flags(an_event("2026-10-31 23:00", 4), program) == {"outside_window"}
    assert flags(an_event("2026-10-30 23:00", 3.5), program) == {"outside_window"}
    # On 8 March half past two never comes.
    assert flags(an_event("2026-03-07 23:00", 4), a_program(window=("22:00", "04:00"))) == set()
    assert flags(an_event("2026-03-07 23:00", 4.5), a_program(window=("22:00", "04:00"))) == {"outside_window"}


# --------------------------------------------------------------------------------------------------------- who is asked


def test_an_event_against_the_rules_asks_a_person_and_a_mild_departure_does_not() -> None:
    program = preset("connected_solutions_ma")
    asked = judge(an_event("2026-02-03 17:00"), program, NEW_YORK)
    assert (asked.flags, asked.asks, asked.day) == ((Flag.OUT_OF_SEASON,), True, "2026-02-03")
    mild = judge(an_event("2026-07-15 17:00", 1), program, NEW_YORK)
    assert (mild.flags, mild.asks) == ((Flag.TOO_SHORT,), False)


def test_a_program_that_serves_all_flags_and_asks_nobody() -> None:
    program = a_program(seasons=SUMMER, outside=OutsideRules.SERVE)
    judged = judge(an_event("2026-02-03 17:00"), program, NEW_YORK)
    assert (judged.flags, judged.asks) == ((Flag.OUT_OF_SEASON,), False)


def test_who_entered_an_event_by_hand_has_said_yes() -> None:
    entered = an_event("2026-02-03 17:00", uid="hand:1234")
    judged = judge(entered, preset("connected_solutions_ma"), NEW_YORK)
    assert (judged.flags, judged.asks) == ((Flag.OUT_OF_SEASON,), False)


def test_a_rehearsal_is_by_no_rule() -> None:
    judged = judge(replace(an_event("2026-02-03 17:00"), rehearsal=True), preset("elrp"), NEW_YORK)
    assert (judged.flags, judged.asks, judged.day) == ((), False, "2026-02-03")


def test_without_a_time_zone_nothing_is_said_that_takes_local_time() -> None:
    program = preset("elrp")
    judged = judge(an_event("2026-12-03 02:00", 8, notice_h=1), program, None)
    assert (judged.day, judged.flags, judged.asks) == ("", (Flag.TOO_LONG, Flag.SHORT_NOTICE), True)
    assert needs_zone(program.rules)
    assert not needs_zone(preset("generic").rules)


def test_what_is_judged_again_by_other_terms_is_as_if_it_were_judged_first() -> None:
    event = an_event("2026-02-03 17:00")
    asked = judge(event, preset("connected_solutions_ma"), NEW_YORK)
    assert judge(asked, preset("generic"), NEW_YORK) == judge(event, preset("generic"), NEW_YORK)
    assert judge(asked, None, NEW_YORK) == judge(event, None, NEW_YORK)


# -------------------------------------------------------------------------------------------------------------- seasons


@pytest.mark.parametrize(
    ("day", "season"),
    [
        ("2026-12-01", ("2026-12-01", "2027-03-31")),
        ("2027-01-01", ("2026-12-01", "2027-03-31")),
        ("2027-03-31", ("2026-12-01", "2027-03-31")),
        ("2027-04-01", None),
        ("2027-11-30", None),
    ],
)
def test_a_season_over_the_new_year_is_one(day: str, season: tuple[str, str] | None) -> None:
    found = season_of(Rules(seasons=(Season("12-01", "03-31"),)), date.fromisoformat(day))
    assert found == (None if season is None else tuple(map(date.fromisoformat, season)))


month_days = st.dates(date(2024, 1, 1), date(2024, 12, 31)).map(lambda day: day.strftime("%m-%d"))
days = st.dates(date(2023, 1, 1), date(2029, 12, 31))


@given(month_days, month_days, days)
def test_a_day_is_in_its_season_and_the_season_begins_and_ends_as_written(first: str, last: str, day: date) -> None:
    found = season_of(Rules(seasons=(Season(first, last),)), day)
    walked = day
    while walked.strftime("%m-%d") not in (first, last) and day - walked < timedelta(days=1500):
        walked -= timedelta(days=1)
    written = walked.strftime("%m-%d")
    inside = walked == day or (written == first and first != last)
    if "02-29" not in (first, last):
        assert (found is not None) is inside
    if found is not None:
        assert found[0] <= day <= found[1]
        assert found[1] - found[0] < timedelta(days=367)


def calls_of(program: str, starts: Sequence[datetime], hours: float) -> list[Call]:
    return [Call(f"{n:02}", program, start, start + timedelta(hours=hours)) for n, start in enumerate(starts)]


@given(st.lists(st.integers(0, 100), min_size=1, max_size=12, unique=True), st.integers(1, 6), st.randoms())
def test_just_the_events_beyond_the_most_are_too_many_whatever_their_order(
    on: list[int], most: int, chance: object
) -> None:
    starts = [local("2026-06-10 17:00") + timedelta(days=day) for day in on]
    calls = calls_of("peak", starts, 3)
    chance.shuffle(calls)  # type: ignore[attr-defined]
    program = a_program(seasons=SUMMER, most_events=most)
    found = {
        call.uid
        for call in calls
        if "too_many"
        in flags(Event(call.uid, "peak", "", call.start, (Slot(call.start, call.end),)), program, calls=calls)
    }
    in_order = sorted(calls, key=lambda call: call.start)
    assert found == {call.uid for call in in_order[most:]}


def test_only_this_programs_calls_of_this_season_count() -> None:
    program = a_program(seasons=SUMMER, most_events=2)
    event = an_event("2026-07-15 17:00", uid="9")
    earlier = [local("2026-06-02 17:00"), local("2026-06-03 17:00")]
    assert flags(event, program, calls=calls_of("peak", earlier, 3)) == {"too_many"}
    assert flags(event, program, calls=calls_of("net", earlier, 3)) == set()
    last_year = [local("2025-06-02 17:00"), local("2025-06-03 17:00")]
    assert flags(event, program, calls=calls_of("peak", last_year, 3)) == set()


def test_hours_of_a_season_are_counted_with_the_events_own() -> None:
    program = a_program(most_hours=60)
    served = calls_of("peak", [local("2026-06-01 16:00") + timedelta(days=n) for n in range(19)], 3)
    assert flags(an_event("2026-07-15 17:00", 3, uid="99"), program, calls=served) == set()
    assert flags(an_event("2026-07-15 17:00", 4, uid="99"), program, calls=served) == {"too_many"}


# ------------------------------------------------------------------------------------------------------------ any event

quarters = st.integers(0, 95)
# What a clock on the wall says twice or never, in these years, lies between one and three at night.
edges = quarters.filter(lambda quarter: not 4 <= quarter <= 12)


def written(quarter: int) -> str:
    return f"{quarter // 4:02}:{quarter % 4 * 15:02}"


@given(edges, edges, st.dates(date(2026, 3, 1), date(2026, 11, 10)), quarters, st.integers(1, 40))
def test_an_event_is_in_the_window_when_every_minute_of_it_is(
    first: int, last: int, day: date, start: int, length: int
) -> None:
    if first == last:
        last = (first + 4) % 96 if not 4 <= (first + 4) % 96 <= 12 else 40
    begins = datetime.combine(day, datetime.min.time(), UTC) + timedelta(minutes=15 * start)
    ends = begins + timedelta(minutes=15 * length)
    event = Event("1", "peak", "", begins, (Slot(begins, ends),))
    minutes = [begins + timedelta(minutes=n) for n in range(0, 15 * length, 5)]
    clocks = [moment.astimezone(ZONE).strftime("%H:%M") for moment in minutes]
    opens, closes = written(first), written(last)
    inside = [opens <= clock < closes if opens < closes else clock >= opens or clock < closes for clock in clocks]
    assert ("outside_window" not in flags(event, a_program(window=(opens, closes)))) is all(inside)


rules = st.builds(
    Rules,
    seasons=st.sampled_from([(), SUMMER, (Season("12-01", "03-31"),)]),
    weekdays=st.sampled_from([(), (0, 1, 2, 3, 4), (5, 6)]),
    holidays=st.sampled_from([None, "US"]),
    window=st.sampled_from([None, ("15:00", "20:00"), ("22:00", "06:00"), ("00:00", "24:00")]),
    shortest_h=st.sampled_from([None, 2.0]),
    longest_h=st.sampled_from([None, 3.0]),
    notice_h=st.sampled_from([None, 24.0]),
    most_events=st.sampled_from([None, 1, 60]),
    most_hours=st.sampled_from([None, 10.0]),
    outside=st.sampled_from(OutsideRules),
)
moments = st.integers(0, 2 * 365 * 24 * 60).map(lambda minute: local("2026-01-01 00:00") + timedelta(minutes=minute))


@given(
    rules, moments, st.integers(1, 3000), st.integers(0, 3000), st.sampled_from([NEW_YORK, "UTC", None]), st.booleans()
)
def test_judging_is_stable_and_asks_only_for_what_is_not_mild(
    said: Rules, start: datetime, length: int, notice: int, zone: str | None, hand: bool
) -> None:
    slots = (Slot(start, start + timedelta(minutes=length)),)
    event = Event("hand:1" if hand else "peak:1", "peak", "", start - timedelta(minutes=notice), slots)
    program = Program("peak", "Peak", "openadr3", rules=said)
    calls = calls_of("peak", [start - timedelta(days=1), start + timedelta(days=1)], 1)
    judged = judge(event, program, zone, calls)
    assert judge(judged, program, zone, calls) == judged
    assert replace(judged, day="", flags=(), asks=False) == event
    assert judged.asks is (not hand and said.outside is OutsideRules.ASK and bool(set(judged.flags) - MILD_FLAGS))
    if zone is None:
        assert set(judged.flags) <= {Flag.TOO_LONG, Flag.TOO_SHORT, Flag.SHORT_NOTICE}
    assert (Flag.TOO_LONG in judged.flags) is (
        said.longest_h is not None and timedelta(minutes=length) > timedelta(hours=said.longest_h) + SLACK
    )
