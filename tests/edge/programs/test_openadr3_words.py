"""What each payload of OpenADR 3 asks of a house, by the table of the program's page; and what is never guessed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edge_service.domain.model import CapacityLimit, Price, Slot, SlotKind
from edge_service.domain.program import Direction, PriceKind
from edge_service.domain.timeline import Sight, resolve
from edge_service.programs.openadr3_beside import beside, limits_in, prices_in
from edge_service.programs.openadr3_limits import MOST_LIMITS, limits_of
from edge_service.programs.openadr3_objects import EventObject, ProgramObject, read_event
from edge_service.programs.openadr3_prices import prices_of
from edge_service.programs.openadr3_words import MOST_PRICE, MOST_VALUES, Meaning, Percent, Told, checked_map

EIGHT = datetime(2026, 7, 15, 20, tzinfo=UTC)
NOW = EIGHT - timedelta(hours=8)
HOUR = timedelta(hours=1)
SIGHT = Sight(NOW, NOW, "house")
ENDLESS = {"start": "2026-07-15T20:00:00Z", "duration": "P9999Y"}


def read(*intervals: dict[str, Any], units: dict[str, Any] | None = None, **more: Any) -> EventObject:
    """An event at eight of intervals of an hour; ``units`` by type: a unit, or unit and currency."""
    meaning = more.pop("meaning", Meaning())
    told = {kind: one if isinstance(one, tuple) else (one, None) for kind, one in (units or {}).items()}
    descriptors = [{"payloadType": kind, "units": unit, "currency": money} for kind, (unit, money) in told.items()]
    rows = [{"payloads": [{"type": kind, "values": values} for kind, values in one.items()]} for one in intervals]
    body = {
        "id": "e1",
        "programID": "p1",
        "intervalPeriod": {"start": "2026-07-15T20:00:00Z", "duration": "PT1H"},
        "payloadDescriptors": descriptors,
        "intervals": rows,
    }
    return read_event(body | more, {}, meaning)


def slots(one: EventObject) -> tuple[Slot, ...]:
    return resolve(one.schedule, SIGHT, NOW)


def asked(kind: str, value: Any, unit: str | None = None, **meaning: Any) -> Slot | None:
    """What one value of one payload asks, in the hour from eight."""
    found = slots(read({kind: [value]}, units={kind: unit}, meaning=Meaning(**meaning)))
    assert len(found) <= 1
    return found[0] if found else None


def slot(kind: SlotKind, **amount: Any) -> Slot:
    return Slot(EIGHT, EIGHT + HOUR, kind, **amount)


def limits(one: EventObject, now: datetime = NOW) -> list[CapacityLimit]:
    return list(limits_of(one.limits, one.schedule, SIGHT, now, uid="peak:e1", program="peak", priority=one.priority))


def prices(one: EventObject, now: datetime = NOW) -> list[Price]:
    return list(prices_of(one.prices, one.schedule, SIGHT, now, program="peak"))


# ------------------------------------------------------------------------------------------------------ what asks power


@pytest.mark.parametrize(
    ("kind", "unit", "value", "wanted"),
    [
        ("DISPATCH_SETPOINT", "KW", -5, slot(SlotKind.POWER, power_w=-5000)),
        ("DISPATCH_SETPOINT_RELATIVE", "kW", -1.5, slot(SlotKind.CHANGE, power_w=-1500)),
        ("DISPATCH_SETPOINT_RELATIVE", "W", 0, slot(SlotKind.CHANGE)),
        ("CHARGE_STATE_SETPOINT", "PERCENT", 0.8, slot(SlotKind.CHARGE_STATE, soc_pct=80.0)),
        ("CHARGE_STATE_SETPOINT", "PERCENTAGE", 33, slot(SlotKind.CHARGE_STATE, soc_pct=33.0)),
        ("CHARGE_STATE_SETPOINT", "%", 0, slot(SlotKind.CHARGE_STATE, soc_pct=0.0)),
        ("CHARGE_STATE_SETPOINT", "kWh", 12.5, slot(SlotKind.CHARGE_STATE, energy_wh=12_500)),
        ("CONTROL_LEVEL_OFFSET", None, 1, slot(SlotKind.NO_CHARGE)),
        ("CONTROL_LEVEL_OFFSET", None, 10, slot(SlotKind.NO_CHARGE)),
        ("CONTROL_LEVEL_OFFSET", None, -3, slot(SlotKind.MAX_CHARGE)),
        ("CONTROL_LEVEL_OFFSET", None, 0, None),
        ("CONTROL_LEVEL_OFFSET_PERCENT", "PERCENT", -0.25, slot(SlotKind.CHARGE_SHARE, share=0.75)),
        ("CONTROL_LEVEL_OFFSET_PERCENT", "PERCENT", -100, slot(SlotKind.CHARGE_SHARE, share=0.0)),
        ("CONTROL_LEVEL_OFFSET_PERCENT", "PERCENT", 0, None),
        ("SIMPLE", None, 2, slot(SlotKind.COVER_HOUSE)),
        ("ALERT_FLEX_ALERT", None, "Heat wave", slot(SlotKind.NO_CHARGE)),
    ],
)
def test_a_payload_asks_for_what_the_table_says(kind: str, unit: str | None, value: Any, wanted: Slot | None) -> None:
    assert asked(kind, value, unit) == wanted


@pytest.mark.parametrize(
    ("kind", "unit", "value"),
    [
        ("DISPATCH_SETPOINT_RELATIVE", None, -1),
        ("DISPATCH_SETPOINT_RELATIVE", "MW", -1),
        ("DISPATCH_SETPOINT_RELATIVE", "PERCENT", -1),
        ("CHARGE_STATE_SETPOINT", None, 0.5),
        ("CHARGE_STATE_SETPOINT", "KW", 50),
        ("CHARGE_STATE_SETPOINT", "PERCENT", 101),
        ("CHARGE_STATE_SETPOINT", "PERCENT", -0.5),
        ("CHARGE_STATE_SETPOINT", "KWH", -1),
        ("CHARGE_STATE_SETPOINT", "KWH", 10**9),
        ("CONTROL_LEVEL_OFFSET", None, 11),
        ("CONTROL_LEVEL_OFFSET", None, 2.5),
        ("CONTROL_LEVEL_OFFSET", None, "2"),
        ("CONTROL_LEVEL_OFFSET_PERCENT", None, 0.5),
        ("CONTROL_LEVEL_OFFSET_PERCENT", "PERCENT", 101),
        ("CONTROL_LEVEL_OFFSET_PERCENT", "PERCENT", True),
        ("CONTROL_SETPOINT", "KW", 3),
        ("DISPATCH_INSTRUCTION", None, "load_reduction"),
        ("CURVE", None, {"x": 1, "y": 2}),
        ("OLS", None, 0.5),
        ("CTA2045_REBOOT", None, 1),
        ("CTA2045_SET_OVERRIDE_STATUS", None, 1),
        ("PRICE_ALTERNATE", "KWH", 1),
        ("IMPORT_CAPACITY_RESERVATION", "KW", 1),
        ("X_PRIVATE", None, 1),
    ],
)
def test_what_is_not_clearly_one_thing_moves_nothing_and_is_named(kind: str, unit: str | None, value: Any) -> None:
    one = read({kind: [value]}, units={kind: unit})
    assert (slots(one), limits(one), prices(one)) == ((), [], [])
    assert len(one.problems) == 1
    assert kind in one.problems[0]


def test_the_sign_of_a_program_counts_for_a_change_too_and_never_for_a_level() -> None:
    assert asked("DISPATCH_SETPOINT_RELATIVE", 2, "KW", consumption_positive=False) == slot(
        SlotKind.CHANGE, power_w=-2000
    )
    assert asked("CONTROL_LEVEL_OFFSET", 2, consumption_positive=False) == slot(SlotKind.NO_CHARGE)


@pytest.mark.parametrize(("level", "kind"), [(6, SlotKind.NO_CHARGE), (7, SlotKind.MAX_DISCHARGE)])
def test_from_a_level_that_a_person_chose_on_an_offset_discharges(level: int, kind: SlotKind) -> None:
    assert asked("CONTROL_LEVEL_OFFSET", level, discharge_level=7) == slot(kind)


@pytest.mark.parametrize(
    ("form", "value", "soc_pct"),
    [
        (Percent.AUTO, 1, 100.0),
        (Percent.AUTO, 1.5, 1.5),
        (Percent.PERCENT, 1, 1.0),
        (Percent.PERCENT, 0.5, 0.5),
        (Percent.FRACTION, 0.5, 50.0),
        (Percent.FRACTION, 33, None),
    ],
)
def test_a_percentage_is_a_fraction_up_to_one_unless_a_person_says_otherwise(
    form: Percent, value: float, soc_pct: float | None
) -> None:
    found = asked("CHARGE_STATE_SETPOINT", value, "PERCENT", percent=form)
    assert (None if found is None else found.soc_pct) == soc_pct


def test_a_fraction_taken_for_a_percentage_is_said() -> None:
    one = read({"CHARGE_STATE_SETPOINT": [0.8]}, units={"CHARGE_STATE_SETPOINT": "PERCENT"})
    assert one.problems == ("Event e1: CHARGE_STATE_SETPOINT 0.8 PERCENT is read as 80 %.",)


# ------------------------------------------------------------------------------------------------------- a person's map


@pytest.mark.parametrize(
    ("kind", "values", "unit", "mapped", "wanted"),
    [
        ("SIMPLE", [1], None, {"SIMPLE:1": "cover_house"}, slot(SlotKind.COVER_HOUSE)),
        ("SIMPLE", [2], None, {"SIMPLE:1": "max_discharge"}, slot(SlotKind.COVER_HOUSE)),
        ("SIMPLE", [3], None, {"SIMPLE:3": "normal"}, None),
        ("SIMPLE", [7], None, {"SIMPLE:7": "max_charge"}, slot(SlotKind.MAX_CHARGE)),
        ("ALERT_FLEX_ALERT", ["Heat"], None, {"ALERT_FLEX_ALERT": "cover_house"}, slot(SlotKind.COVER_HOUSE)),
        ("ALERT_FLEX_ALERT", ["Heat"], None, {"ALERT_FLEX_ALERT": "ignore"}, None),
        ("CONTROL_SETPOINT", [1.5], None, {"CONTROL_SETPOINT:1.5": "no_charge"}, slot(SlotKind.NO_CHARGE)),
        ("CONTROL_SETPOINT", [3], "KW", {"CONTROL_SETPOINT": "power"}, slot(SlotKind.POWER, power_w=3000)),
        ("CONTROL_SETPOINT", [3], None, {"CONTROL_SETPOINT": "power"}, None),
        (
            "DISPATCH_INSTRUCTION",
            ["load_reduction", "combustion_gen"],
            None,
            {"DISPATCH_INSTRUCTION:combustion_gen": "max_discharge"},
            slot(SlotKind.MAX_DISCHARGE),
        ),
        ("X_PRIVATE", ["go"], None, {"X_PRIVATE:go": "max_discharge"}, slot(SlotKind.MAX_DISCHARGE)),
        ("X_PRIVATE", ["stop"], None, {"X_PRIVATE:go": "max_discharge"}, None),
    ],
)
def test_what_a_person_mapped_comes_before_our_own_meaning(
    kind: str, values: list[Any], unit: str | None, mapped: dict[str, str], wanted: Slot | None
) -> None:
    one = read({kind: values}, units={kind: unit}, meaning=Meaning(payload_map=checked_map(mapped)))
    assert slots(one) == (() if wanted is None else (wanted,))


@pytest.mark.parametrize(
    "values", [None, [], "SIMPLE", {"SIMPLE:1": 3}, {3: "normal"}, {"SIMPLE:1": "explode"}, {":1": "normal"},
               {"SIMPLE:1": "power"}]
)  # fmt: skip
def test_a_map_that_is_none_is_refused_with_words(values: Any) -> None:
    with pytest.raises(ValueError, match=r"table|one of"):
        checked_map(values)


# ------------------------------------------------------------------------------------------- several in one interval


def test_the_most_exact_word_that_can_be_read_counts() -> None:
    """A power, a change, a charge, what a person mapped, a share, an offset, a level, and last a flex alert."""
    said: dict[str, list[Any]] = {
        "ALERT_FLEX_ALERT": ["x"],
        "SIMPLE": [2],
        "CONTROL_LEVEL_OFFSET": [-1],
        "CONTROL_LEVEL_OFFSET_PERCENT": [-0.5],
        "DISPATCH_INSTRUCTION": ["go"],
        "CHARGE_STATE_SETPOINT": [10],
        "DISPATCH_SETPOINT_RELATIVE": [-1],
        "DISPATCH_SETPOINT": [-2],
    }
    units = {"CONTROL_LEVEL_OFFSET_PERCENT": "PERCENT", "CHARGE_STATE_SETPOINT": "KWH"}
    units |= {"DISPATCH_SETPOINT_RELATIVE": "KW", "DISPATCH_SETPOINT": "KW"}
    meaning = Meaning(payload_map={"DISPATCH_INSTRUCTION:go": "max_discharge"})
    counts = []
    while said:
        counts.append(slots(read(said, units=units, meaning=meaning))[0].kind)
        said.popitem()
    assert counts == [
        SlotKind.POWER,
        SlotKind.CHANGE,
        SlotKind.CHARGE_STATE,
        SlotKind.MAX_DISCHARGE,
        SlotKind.CHARGE_SHARE,
        SlotKind.MAX_CHARGE,
        SlotKind.COVER_HOUSE,
        SlotKind.NO_CHARGE,
    ]


def test_power_a_limit_and_a_price_of_one_interval_each_count_for_themselves() -> None:
    one = read(
        {"DISPATCH_SETPOINT": [-5], "EXPORT_CAPACITY_LIMIT": [4], "PRICE": [0.3]},
        {"PRICE": [0.1]},
        units={"DISPATCH_SETPOINT": "KW", "EXPORT_CAPACITY_LIMIT": "KW", "PRICE": ("KWH", "USD")},
    )
    assert [(slot.start, slot.end) for slot in slots(one)] == [(EIGHT, EIGHT + HOUR)]
    assert [(limit.start, limit.end) for limit in limits(one)] == [(EIGHT, EIGHT + HOUR)]
    assert [(price.start, price.value) for price in prices(one)] == [(EIGHT, 0.3), (EIGHT + HOUR, 0.1)]
    assert one.problems == ()


# -------------------------------------------------------------------------------------------------------------- limits


def test_an_operating_envelope_is_read_interval_by_interval() -> None:
    """As the user guide has it in 8.10.1."""
    one = read(
        {"IMPORT_CAPACITY_LIMIT": [10.0], "EXPORT_CAPACITY_LIMIT": [4.0]},
        {"IMPORT_CAPACITY_LIMIT": [8.0], "EXPORT_CAPACITY_LIMIT": [0]},
        units={"IMPORT_CAPACITY_LIMIT": "KW", "EXPORT_CAPACITY_LIMIT": "KW"},
        priority=2,
    )
    assert limits(one)[0] == CapacityLimit(
        "peak:e1/import/20260715T200000Z", "peak", Direction.IMPORT, 10_000, EIGHT, EIGHT + HOUR, 2
    )
    found = {(limit.direction, limit.start): limit.power_w for limit in limits(one)}
    assert found == {
        (Direction.IMPORT, EIGHT): 10_000,
        (Direction.IMPORT, EIGHT + HOUR): 8000,
        (Direction.EXPORT, EIGHT): 4000,
        (Direction.EXPORT, EIGHT + HOUR): 0,
    }
    assert len({limit.id for limit in limits(one)}) == 4
    assert [limit.start for limit in limits(one, EIGHT + HOUR)] == [EIGHT + HOUR] * 2


def test_a_subscription_for_ever_has_no_end_and_is_told_apart() -> None:
    one = read(
        {"IMPORT_CAPACITY_SUBSCRIPTION": [6]}, units={"IMPORT_CAPACITY_SUBSCRIPTION": "KW"}, intervalPeriod=ENDLESS
    )
    (limit,) = limits(one)
    assert (limit.subscribed, limit.end, limit.power_w, limit.id) == (
        True, None, 6000, "peak:e1/import/subscribed/20260715T200000Z",
    )  # fmt: skip
    assert limits(one, EIGHT + 500 * HOUR) == [limit]


@pytest.mark.parametrize(("unit", "value"), [(None, 5), ("MW", 5), ("KVA", 5), ("KW", -1), ("KW", "5"), ("KW", 1e30)])
def test_a_limit_that_cannot_be_read_is_none_and_is_named(unit: str | None, value: Any) -> None:
    one = read({"EXPORT_CAPACITY_LIMIT": [value]}, units={"EXPORT_CAPACITY_LIMIT": unit})
    assert limits(one) == []
    assert len(one.problems) == 1


# -------------------------------------------------------------------------------------------------------------- prices


def test_several_prices_of_an_interval_each_take_an_equal_part() -> None:
    """The event of the user guide's "packed" prices, also zero and below."""
    one = read({"PRICE": [0.17, 0, -0.11, 0.2]}, units={"PRICE": ("kWh", "USD")})
    quarter = HOUR / 4
    assert prices(one) == [
        Price("peak", PriceKind.IMPORT, EIGHT + number * quarter, EIGHT + (number + 1) * quarter, value, "USD")
        for number, value in enumerate((0.17, 0, -0.11, 0.2))
    ]
    assert [price.value for price in prices(one, EIGHT + 2 * quarter)] == [-0.11, 0.2]


def test_prices_of_export_and_grams_have_their_kind() -> None:
    one = read({"EXPORT_PRICE": [0.05], "GHG": [430]}, units={"EXPORT_PRICE": ("KWH", "EUR"), "GHG": "GHG"})
    assert {(price.kind, price.value, price.currency) for price in prices(one)} == {
        (PriceKind.EXPORT, 0.05, "EUR"),
        (PriceKind.GHG, 430.0, ""),
    }


@pytest.mark.parametrize(
    ("unit", "currency", "values", "ours"),
    [
        (None, "USD", [0.1], ""),
        ("THERMS", "USD", [0.1], ""),
        ("MWH", "USD", [0.1], ""),
        ("KWH", None, [0.1], ""),
        ("KWH", "dollars", [0.1], ""),
        ("KWH", "EUR", [0.1], "USD"),
        ("KWH", "USD", [], ""),
        ("KWH", "USD", [0.1, "0.2"], ""),
        ("KWH", "USD", [True], ""),
        ("KWH", "USD", [-9999], ""),
        ("KWH", "USD", [MOST_PRICE + 1], ""),
        ("KWH", "USD", [float("nan")], ""),
        ("KWH", "USD", [0.1] * (MOST_VALUES + 1), ""),
    ],
)
def test_a_price_without_its_unit_or_currency_or_of_no_number_is_not_used(
    unit: str | None, currency: str | None, values: list[Any], ours: str
) -> None:
    one = read({"PRICE": values}, units={"PRICE": (unit, currency)}, meaning=Meaning(currency=ours))
    assert prices(one) == []
    assert len(one.problems) == 1


def test_a_currency_that_a_person_told_stands_in_for_one_that_is_not_told() -> None:
    one = read({"PRICE": [0.1]}, units={"PRICE": ("KWH", None)}, meaning=Meaning(currency="USD"))
    assert [price.currency for price in prices(one)] == ["USD"]


def test_what_the_program_tells_of_a_payload_counts_where_the_event_tells_nothing_of_it() -> None:
    program = ProgramObject("p1", "Peak", {"PRICE": Told("KWH", "USD"), "EXPORT_CAPACITY_LIMIT": Told("KW")})
    body = {
        "id": "e1",
        "programID": "p1",
        "intervalPeriod": ENDLESS,
        "payloadDescriptors": [{"payloadType": "PRICE", "units": "KWH"}],
        "intervals": [
            {"payloads": [{"type": "PRICE", "values": [1]}, {"type": "EXPORT_CAPACITY_LIMIT", "values": [1]}]}
        ],
    }
    one = read_event(body, {"p1": program})
    assert (len(limits(one)), prices(one)) == (1, [])


def test_many_prices_without_an_end_cannot_be_divided() -> None:
    one = read({"PRICE": [0.1, 0.2]}, units={"PRICE": ("KWH", "USD")}, intervalPeriod=ENDLESS)
    assert prices(one) == []
    single = read({"PRICE": [0.1]}, units={"PRICE": ("KWH", "USD")}, intervalPeriod=ENDLESS)
    assert len(prices(single)) == 1


def test_a_tariff_of_a_day_repeats_for_ever() -> None:
    one = read(
        {"PRICE": [number / 100 for number in range(24)]},
        units={"PRICE": ("KWH", "USD")},
        duration="P9999Y",
        intervalPeriod={"start": "2025-01-01T00:00:00Z", "duration": "P1D"},
    )
    found = {price.start: price.value for price in prices(one)}
    assert found[EIGHT] == found[EIGHT + 24 * HOUR] == 0.2
    assert min(found) == NOW


def test_of_prices_at_the_same_time_the_better_ranked_event_s_count_in_whatever_order_they_are_told() -> None:
    several = []
    for priority, value in ((3, 0.3), (None, 0.9), (0, 0.1)):
        one = read({"PRICE": [value]}, units={"PRICE": ("KWH", "USD")}, priority=priority)
        several.append(beside(one, SIGHT, NOW, uid=f"peak:{priority}", program="peak", name="Peak"))
    found = [one for one in several if one is not None]
    assert [one.value for one in prices_in(found)] == [one.value for one in prices_in(found[::-1])] == [0.1]


def test_more_limits_than_anyone_sets_are_cut_and_never_those_subscribed() -> None:
    rows = [{"IMPORT_CAPACITY_LIMIT": [1]}] * (MOST_LIMITS + 50)
    one = read(*rows, units={"IMPORT_CAPACITY_LIMIT": "KW"})
    always = read(
        {"IMPORT_CAPACITY_SUBSCRIPTION": [6]},
        units={"IMPORT_CAPACITY_SUBSCRIPTION": "KW"},
        intervalPeriod={"start": "2026-07-16T20:00:00Z", "duration": "P9999Y"},
    )
    found = [beside(each, SIGHT, NOW, uid="peak:e1", program="peak", name="Peak") for each in (one, always)]
    cut = limits_in([each for each in found if each is not None])
    assert (len(cut), [limit.subscribed for limit in cut[:2]]) == (MOST_LIMITS, [True, False])
