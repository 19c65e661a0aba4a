"""OpenADR 3 objects, as recorded and as they should never be: each is understood or skipped with a sentence."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.domain.model import Alert, AlertKind, Slot, SlotKind
from edge_service.domain.timeline import ScheduleError, Sight, end_of, resolve
from edge_service.programs.openadr3_alerts import alerts_of
from edge_service.programs.openadr3_limits import limits_of
from edge_service.programs.openadr3_objects import (
    EventObject,
    ObjectError,
    ProgramObject,
    read_event,
    read_program,
    read_ven,
)
from edge_service.programs.openadr3_prices import MOST_PRICES, prices_of
from edge_service.programs.openadr3_text import LONGEST_NAME, clean
from edge_service.programs.openadr3_words import MOST_GRAMS, MOST_W, Meaning, Told

RECORDED: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "recordings" / "openleadr-rs-0.2.4-objects.json").read_text(encoding="utf-8")
)
NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
EIGHT = datetime(2026, 7, 15, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
KW = [{"payloadType": "DISPATCH_SETPOINT", "units": "KW"}]


def read(raw: object, *programs: ProgramObject, **meaning: Any) -> EventObject:
    return read_event(raw, {one.id: one for one in programs}, Meaning(**meaning))


def slots(one: EventObject, now: datetime = NOW) -> tuple[Slot, ...]:
    return resolve(one.schedule, Sight(now, now, "house"), now)


def alerts(one: EventObject, now: datetime = NOW) -> list[Alert]:
    sight = Sight(NOW, NOW, "house")
    return list(alerts_of(one.alerts, one.schedule, sight, now, uid="peak:1", source="peak", name=one.name))


def recorded(name: str) -> EventObject:
    return read(next(event for event in RECORDED["events"] if event.get("eventName") == name))


def event(**changes: Any) -> dict[str, Any]:
    whole = {
        "id": "e1",
        "programID": "p1",
        "eventName": "Peak",
        "payloadDescriptors": KW,
        "intervalPeriod": {"start": "2026-07-15T20:00:00Z", "duration": "PT1H"},
        "intervals": [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT", "values": [-5.0]}]}],
    }
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def payload(kind: Any, *values: Any) -> list[dict[str, Any]]:
    return [{"id": 0, "payloads": [{"type": kind, "values": list(values)}]}]


# ----------------------------------------------------------------------------------------------------------- recorded


def test_every_recorded_object_is_understood() -> None:
    assert [read(one).id for one in RECORDED["events"]] == [one["id"] for one in RECORDED["events"]]
    assert [read_program(one).name for one in RECORDED["programs"]] == [
        one["programName"] for one in RECORDED["programs"]
    ]
    assert {(one.name, one.targets) for one in map(read_ven, RECORDED["vens"])} == {("home-023607", ("group-1",))}


def test_recorded_steps_follow_each_other() -> None:
    assert slots(recorded("three")) == tuple(
        Slot(EIGHT + number * HOUR, EIGHT + (number + 1) * HOUR, SlotKind.POWER, power_w)
        for number, power_w in enumerate((-5000, -6000, -7000))
    )


def test_a_recorded_fraction_of_an_hour_is_read() -> None:
    assert slots(recorded("halfhours")) == (Slot(EIGHT, EIGHT + 1.5 * HOUR, SlotKind.NO_CHARGE),)


def test_a_recorded_event_without_end_is_bounded() -> None:
    one = recorded("now-forever")
    assert slots(one) == (Slot(NOW, datetime(2026, 7, 18, tzinfo=UTC), SlotKind.COVER_HOUSE),)


def test_a_recorded_cancellation_is_no_event_without_end() -> None:
    one = recorded("zero")
    assert one.schedule.cancelled
    assert slots(one) == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("curve", "CURVE"), ("private", "X_PRIVATE")],
)
def test_recorded_words_that_are_not_on_power_are_named_once(name: str, kind: str) -> None:
    one = recorded(name)
    assert slots(one) == ()
    assert len(one.problems) == 1
    assert one.problems[0].endswith(f"({name}): not followed: {kind}.")


def test_a_recorded_alert_is_read_and_asks_for_no_power() -> None:
    one = recorded("forever")
    assert (slots(one), one.problems) == ((), ())
    assert alerts(one) == [Alert("peak:1/grid_emergency", "peak", AlertKind.GRID_EMERGENCY, "storm", NOW, None)]


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("ALERT_POSSIBLE_OUTAGE", AlertKind.POSSIBLE_OUTAGE),
        ("ALERT_FIRE", AlertKind.FIRE),
        ("ALERT_WIND", AlertKind.WIND),
        ("ALERT_FREEZING", AlertKind.FREEZING),
        ("ALERT_TSUNAMI", AlertKind.TSUNAMI),
        ("ALERT_OTHER", AlertKind.OTHER),
        ("ALERT_GRID_EMERGENCY", AlertKind.GRID_EMERGENCY),
        ("ALERT_BLACK_START", AlertKind.BLACK_START),
    ],
)
def test_an_alert_has_its_kind_its_time_and_a_text_for_people(word: str, kind: AlertKind) -> None:
    one = read(event(intervals=payload(word, "Trees may\nfall <b>")))
    assert alerts(one) == [Alert(f"peak:1/{kind}", "peak", kind, "Trees may fall <b>", EIGHT, EIGHT + HOUR)]


@pytest.mark.parametrize("word", ["ALERT_AIR_QUALITY", "ALERT_WEATHER", "ALERT_COFFEE"])
def test_an_alert_that_asks_nothing_of_a_vehicle_is_named_and_passed_over(word: str) -> None:
    one = read(event(intervals=payload(word, "text")))
    assert alerts(one) == []
    assert one.problems == (f"Event e1 (Peak): not followed: {word}.",)


@pytest.mark.parametrize("values", [..., None, [], [7], "text", [None]])
def test_an_alert_without_a_text_has_the_event_s_name(values: Any) -> None:
    one = read(event(intervals=[{"id": 0, "payloads": [{"type": "ALERT_WIND", "values": values}]}]))
    assert [alert.name for alert in alerts(one)] == ["Peak"]


def test_an_alert_may_come_with_a_dispatch_and_run_in_some_intervals_only() -> None:
    power, wind = (
        {"type": word, "values": [value]} for word, value in (("DISPATCH_SETPOINT", -5), ("ALERT_WIND", "w"))
    )
    one = read(event(intervals=[{"payloads": [power]}, {"payloads": [power, wind]}, {"payloads": [wind]}]))
    assert [(slot.start, slot.end) for slot in slots(one)] == [(EIGHT, EIGHT + HOUR), (EIGHT + HOUR, EIGHT + 2 * HOUR)]
    assert [(alert.start, alert.end) for alert in alerts(one)] == [(EIGHT + HOUR, EIGHT + 3 * HOUR)]


def test_an_alert_that_does_not_say_for_how_long_stands_until_it_is_taken_back() -> None:
    one = read(event(intervalPeriod={"start": "2026-07-15T20:00:00Z"}, intervals=payload("ALERT_FIRE", "smoke")))
    assert [(alert.start, alert.end) for alert in alerts(one)] == [(EIGHT, None)]
    assert alerts(read(event(intervalPeriod=None, intervals=payload("ALERT_FIRE", "smoke"))))[0].start == NOW


def test_an_alert_that_is_over_or_cancelled_is_none() -> None:
    one = read(event(intervals=payload("ALERT_FIRE", "smoke")))
    assert alerts(one, EIGHT + HOUR) == []
    emptied = {"start": "0001-01-01T00:00:00Z", "duration": "PT0S"}
    assert alerts(read(event(intervalPeriod=emptied, intervals=payload("ALERT_FIRE", "smoke")))) == []


def test_a_recorded_event_for_reports_only_asks_nothing() -> None:
    one = recorded("reportonly")
    assert (slots(one), one.problems) == ((), ())
    assert end_of(one.schedule, Sight(NOW, NOW, "")) is None


def test_a_recorded_random_start_stays_in_its_bounds() -> None:
    (slot,) = slots(recorded("random"))
    assert abs(slot.start - EIGHT) <= timedelta(minutes=10)
    assert slot.end - slot.start == HOUR


# ------------------------------------------------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    ("unit", "value", "power_w"),
    [("KW", -5, -5000), ("kW", 7.2, 7200), ("W", -4999.6, -5000), ("w", 0, 0), ("KW", -0.0004, 0)],
)
def test_a_setpoint_becomes_whole_watts(unit: str, value: float, power_w: int) -> None:
    one = read(event(payloadDescriptors=[{"payloadType": "DISPATCH_SETPOINT", "units": unit}],
                     intervals=payload("DISPATCH_SETPOINT", value)))  # fmt: skip
    assert [(slot.kind, slot.power_w) for slot in slots(one)] == [(SlotKind.POWER, power_w)]
    assert one.problems == ()


def test_the_sign_of_a_program_can_be_turned_round() -> None:
    assert slots(read(event(), consumption_positive=False))[0].power_w == 5000


@pytest.mark.parametrize(
    "descriptors",
    [
        ...,
        None,
        [],
        "KW",
        [None, 3],
        [{"payloadType": "PRICE", "units": "KW"}],
        [{"payloadType": "DISPATCH_SETPOINT"}],
        [{"payloadType": "DISPATCH_SETPOINT", "units": None}],
        [{"payloadType": "DISPATCH_SETPOINT", "units": "MW"}],
        [{"payloadType": "DISPATCH_SETPOINT", "units": "KWH"}],
        [{"payloadType": "DISPATCH_SETPOINT", "units": "KW"}, {"payloadType": "DISPATCH_SETPOINT", "units": "W"}],
    ],
)
def test_a_setpoint_without_a_known_unit_moves_nothing(descriptors: Any) -> None:
    one = read(event(payloadDescriptors=descriptors), ProgramObject("p2", "Other", {"DISPATCH_SETPOINT": Told("KW")}))
    assert slots(one) == ()
    assert one.problems == (
        "Event e1 (Peak): no known unit is told for DISPATCH_SETPOINT (KW or W), so it is not followed.",
    )


def test_the_unit_of_the_program_counts_unless_the_event_names_its_own() -> None:
    program = read_program({"id": "p1", "programName": "Peak", "payloadDescriptors": KW})
    assert slots(read(event(payloadDescriptors=[{"payloadType": "PRICE"}]), program))[0].power_w == -5000
    assert (
        slots(read(event(payloadDescriptors=[{"payloadType": "DISPATCH_SETPOINT", "units": "W"}]), program))[0].power_w
        == -5
    )
    assert slots(read(event(payloadDescriptors=[{"payloadType": "DISPATCH_SETPOINT"}]), program)) == ()


@pytest.mark.parametrize(
    ("level", "kind"),
    [(1, SlotKind.NO_CHARGE), (2, SlotKind.COVER_HOUSE), (3, SlotKind.MAX_DISCHARGE), (2.0, SlotKind.COVER_HOUSE)],
)
def test_a_level_says_how_much_is_asked(level: float, kind: SlotKind) -> None:
    assert [slot.kind for slot in slots(read(event(intervals=payload("SIMPLE", level))))] == [kind]


def test_level_zero_asks_nothing_without_complaint() -> None:
    one = read(event(intervals=payload("SIMPLE", 0)))
    assert (slots(one), one.problems) == ((), ())


BAD_NUMBERS = ["5.0", "", True, False, None, [], [5], {"x": 1, "y": 2}, float("inf"), float("-inf"), float("nan")]


@pytest.mark.parametrize("value", [*BAD_NUMBERS, 4, -1, 3.5, 10**400])
def test_a_level_that_is_none_moves_nothing(value: Any) -> None:
    one = read(event(intervals=payload("SIMPLE", value)))
    assert slots(one) == ()
    assert len(one.problems) == 1


@pytest.mark.parametrize("value", [*BAD_NUMBERS, 1e308, -1e308, 10**40, -(10**400), MOST_W / 1000 + 1])
def test_a_setpoint_that_is_no_number_of_this_world_moves_nothing(value: Any) -> None:
    one = read(event(intervals=payload("DISPATCH_SETPOINT", value)))
    assert slots(one) == ()
    assert len(one.problems) == 1
    assert len(one.problems[0]) < 200


def test_a_thousand_kilowatts_are_passed_on_for_the_limits_of_the_house_to_clamp() -> None:
    assert slots(read(event(intervals=payload("DISPATCH_SETPOINT", -1000))))[0].power_w == -1_000_000


@pytest.mark.parametrize("values", [[], [-5, -6], None, -5, "x"])
def test_a_setpoint_is_exactly_one_value(values: Any) -> None:
    one = read(event(intervals=[{"payloads": [{"type": "DISPATCH_SETPOINT", "values": values}]}]))
    assert slots(one) == ()
    assert one.problems == ("Event e1 (Peak): interval 0: DISPATCH_SETPOINT has not exactly one value.",)


def test_a_bad_payload_is_skipped_and_its_siblings_count() -> None:
    rows = [
        {"payloads": [{"type": "DISPATCH_SETPOINT", "values": ["-5"]}, {"type": "SIMPLE", "values": [1]}, None, 7]},
        {"payloads": "none"},
        {"payloads": [{"type": "X_PRIVATE", "values": [{}]}, {"type": "DISPATCH_SETPOINT", "values": [-6]}]},
        {"payloads": []},
    ]
    one = read(event(intervals=rows))
    assert [(slot.start, slot.kind, slot.power_w) for slot in slots(one)] == [
        (EIGHT, SlotKind.NO_CHARGE, 0),
        (EIGHT + 2 * HOUR, SlotKind.POWER, -6000),
    ]
    assert [problem.removeprefix("Event e1 (Peak): ") for problem in one.problems] == [
        "interval 0: a payload has no type.",
        'interval 0: DISPATCH_SETPOINT is "-5", no number.',
        'interval 1: payloads are "none".',
        "not followed: X_PRIVATE.",
    ]


def test_a_setpoint_counts_before_a_level_at_the_same_time() -> None:
    both = [{"type": "SIMPLE", "values": [3]}, {"type": "DISPATCH_SETPOINT", "values": [-2]}]
    assert slots(read(event(intervals=[{"payloads": both}])))[0].power_w == -2000


def test_many_problems_of_one_event_are_few_sentences() -> None:
    one = read(event(intervals=payload("SIMPLE", 9) * 300))
    assert len(one.problems) == 5
    assert one.problems[-1] == "Event e1 (Peak): 296 more such problems."


def test_more_intervals_than_anyone_needs_are_cut_and_named() -> None:
    one = read(event(intervals=payload("SIMPLE", 1) * 10_001))
    assert len(one.schedule.intervals) == 10_000
    assert one.problems == ("Event e1 (Peak): it has 10001 intervals; only the first 10000 are read.",)


# ------------------------------------------------------------------------------------------------------ what is skipped


@pytest.mark.parametrize(
    "raw",
    [
        None,
        42,
        "text",
        [],
        {},
        event(id=...),
        event(id=7),
        event(id=""),
        event(id="../programs"),
        event(id="x" * 129),
        event(programID=...),
        event(programID={"id": "p1"}),
        event(objectType="REPORT"),
        event(intervals="none"),
        event(intervals=[None]),
        event(intervals=[3]),
        event(intervalPeriod=12),
        event(intervalPeriod={"start": "tomorrow", "duration": "PT1H"}),
        event(intervalPeriod={"start": "0000-00-00", "duration": "PT1H"}),
        event(intervalPeriod={"start": "2026-07-15T20:00:00", "duration": "PT1H"}),
        event(intervalPeriod={"start": "2026-07-15T20:00:00Z", "duration": "P12H"}),
        event(intervalPeriod={"start": "2026-07-15T20:00:00Z", "duration": "-PT1H"}),
        event(intervalPeriod={"start": "2026-07-15T20:00:00Z", "duration": 3600}),
        event(intervalPeriod={"start": "2026-07-15T20:00:00Z", "duration": "PT1H", "randomizeStart": "P1M"}),
        event(intervals=[{"intervalPeriod": {"duration": "PT"}, "payloads": []}]),
        event(duration="P"),
    ],
)
def test_what_cannot_be_placed_in_time_is_skipped_with_one_sentence(raw: Any) -> None:
    with pytest.raises(ObjectError, match=r"skipped: .*\.$"):
        read(raw)


@pytest.mark.parametrize(("priority", "read_as"), [(0, 0), (None, None), (..., None), (2**70, 2**70)])
def test_a_priority_is_kept(priority: Any, read_as: int | None) -> None:
    one = read(event(priority=priority))
    assert (one.priority, one.problems) == (read_as, ())


@pytest.mark.parametrize("priority", ["first", -1, 1.5, True, []])
def test_a_priority_that_is_none_ranks_last_and_the_event_counts(priority: Any) -> None:
    one = read(event(priority=priority))
    assert one.priority is None
    assert len(slots(one)) == len(one.problems) == 1


def test_unknown_keys_and_null_fields_are_tolerated() -> None:
    odd = event(
        objectType=None, eventName=None, targets=None, duration=None, reportDescriptors=[7], clientId="x", new={}
    )
    one = read(odd)
    assert (one.name, one.problems, len(slots(one))) == ("", (), 1)


def test_targets_of_the_older_version_are_read_and_words_are_not_taken_for_them() -> None:
    typed = [{"type": "VEN_NAME", "values": ["home", 3]}, {"type": "GROUP", "values": "x"}, {"type": 1}, 5, "word"]
    assert read(event(targets=typed)).typed_targets == {("VEN_NAME", "home")}
    assert read(event(targets=["group-1"])).typed_targets == frozenset()


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("Peak", "Peak"),
        ("  Peak \n\t event ", "Peak event"),
        ("Pe\x00a\x1bk\u202e\ud800\ufeff", "Peak"),
        ("<b>Peak</b> ⚡", "<b>Peak</b> ⚡"),
        ("x" * 10_000, "x" * LONGEST_NAME),
        ("\u0000" * 10_000 + "late", ""),
    ],
)
def test_a_foreign_text_is_one_bounded_line(written: str, cleaned: str) -> None:
    assert clean(written) == cleaned
    assert read(event(eventName=written)).name == cleaned


@pytest.mark.parametrize("raw", [None, [], {}, {"id": 17, "programName": "P"}, {"id": "p", "programName": None}])
def test_a_program_that_is_none_is_skipped_with_a_sentence(raw: Any) -> None:
    with pytest.raises(ObjectError, match="skipped"):
        read_program(raw)


# ------------------------------------------------------------------------------------------------------- whatever comes

texts = st.sampled_from(
    ["PT1H", "P9999Y", "-PT5M", "PT0S", "2026-07-15T20:00:00Z", "0001-01-01T00:00:00Z", "SIMPLE", "DISPATCH_SETPOINT",
     "DISPATCH_SETPOINT_RELATIVE", "CHARGE_STATE_SETPOINT", "CONTROL_LEVEL_OFFSET", "CONTROL_LEVEL_OFFSET_PERCENT",
     "ALERT_FLEX_ALERT", "PRICE", "GHG", "IMPORT_CAPACITY_LIMIT", "EXPORT_CAPACITY_SUBSCRIPTION", "CONTROL_SETPOINT",
     "KW", "EVENT", "e1", "p1"]
) | st.text(max_size=9)  # fmt: skip
keys = st.sampled_from(
    ["id", "programID", "eventName", "priority", "targets", "payloadDescriptors", "payloadType", "units", "duration",
     "intervalPeriod", "intervals", "start", "randomizeStart", "payloads", "type", "values", "objectType"]
)  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=25
)
periods = st.fixed_dictionaries({}, optional={"start": texts, "duration": texts, "randomizeStart": texts}) | anything
near_intervals = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "intervalPeriod": periods,
            "payloads": st.lists(
                st.fixed_dictionaries({"type": texts | st.just("ALERT_WIND"), "values": st.lists(scalars, max_size=2)})
                | anything,
                max_size=2,
            ),
        },
    ),
    max_size=4,
)
TOLD = [
    {"payloadType": kind, "units": unit, "currency": "USD"}
    for kind, unit in (
        ("DISPATCH_SETPOINT", "KW"),
        ("DISPATCH_SETPOINT_RELATIVE", "W"),
        ("CHARGE_STATE_SETPOINT", "PERCENT"),
        ("CONTROL_LEVEL_OFFSET_PERCENT", "PERCENT"),
        ("PRICE", "KWH"),
        ("IMPORT_CAPACITY_LIMIT", "KW"),
        ("EXPORT_CAPACITY_SUBSCRIPTION", "KW"),
    )
]
near_events = st.fixed_dictionaries(
    {"id": st.just("e1"), "programID": st.just("p1"), "intervals": near_intervals, "payloadDescriptors": st.just(TOLD)},
    optional={
        "intervalPeriod": periods,
        "duration": texts,
        "priority": scalars,
        "eventName": scalars,
        "targets": anything,
    },
)


@settings(max_examples=400, deadline=None)
@given(anything | near_events)
def test_any_json_is_understood_or_skipped_and_never_breaks_anything(raw: Any) -> None:
    said = []
    for read_object in (read_program, read_ven):
        try:
            read_object(raw)
        except ObjectError as error:
            said.append(str(error))
    try:
        one = read(raw)
        warned = alerts(one)
        asked = slots(one)
        sight = Sight(NOW, NOW, "house")
        limits = list(limits_of(one.limits, one.schedule, sight, NOW, uid="u", program="p", priority=one.priority))
        prices = list(prices_of(one.prices, one.schedule, sight, NOW, program="p"))
    except ObjectError as error:
        said.append(str(error))
    except ScheduleError as error:
        said.append(str(error))
    else:
        assert all(slot.start < slot.end and abs(slot.power_w) <= MOST_W for slot in asked)
        assert all(alert.end is None or alert.start < alert.end for alert in warned)
        assert all(0 <= limit.power_w <= MOST_W for limit in limits)
        assert all(limit.end is None or NOW < limit.end > limit.start for limit in limits)
        assert all(NOW < price.end > price.start and abs(price.value) <= MOST_GRAMS for price in prices)
        assert all(0 <= slot.share <= 2 and (slot.soc_pct is None or 0 <= slot.soc_pct <= 100) for slot in asked)
    assert all(0 < len(sentence) < 400 for sentence in said)


def test_prices_that_split_every_minute_for_ever_are_no_more_than_those_that_come_next() -> None:
    one = read(
        event(
            duration="P9999Y",
            payloadDescriptors=[{"payloadType": "PRICE", "units": "KWH", "currency": "USD"}],
            intervalPeriod={"start": "2026-07-15T00:00:00Z", "duration": "PT1M"},
            intervals=payload("PRICE", *[0.1] * 300),
        )
    )
    prices = list(prices_of(one.prices, one.schedule, Sight(NOW, NOW, "house"), NOW, program="p"))
    assert len(prices) == MOST_PRICES
    assert prices[0].start <= NOW < prices[0].end
