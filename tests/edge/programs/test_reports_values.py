"""What reports hold: values in the units asked for, quality beside each, and nothing that is not known."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_service.domain.memory import Memory
from edge_service.domain.model import ChargerState, Mode, Scope, Settings, frozen_map
from edge_service.ports import BaselineFound, Live
from edge_service.programs.openadr3_descriptors import Descriptor, read_descriptors
from edge_service.programs.openadr3_payloads import KINDS, Known, Seen, body
from edge_service.programs.openadr3_reports import Reported
from edge_service.programs.openadr3_standing import Standing, standing
from tests.edge.domain.houses import T0
from tests.edge.programs.report_desk import HOUR, MINUTE, KnownHouse, told

AN_HOUR = Reported(0, T0, T0 + HOUR)


def a_house(**car: Any) -> KnownHouse:
    house = KnownHouse()
    house.chargers["car"] = car
    return house


def known(house: KnownHouse | None = None, **changes: Any) -> Known:
    """What is known an hour after T0, with the house as it stood a minute before."""
    house = house or KnownHouse()
    house.now = T0 + HOUR - MINUTE
    live = house.live()
    seen = None if live is None else Seen(live.decision.at, standing(live, "peak:1"))
    return replace(Known(T0 + HOUR, Scope.CHARGER, ("car",), house.rows, now_seen=seen), **changes)


def a_report(payload: str, what: Known, *over: Reported, **wish: Any) -> Mapping[str, Any]:
    (one,) = read_descriptors([{"payloadType": payload, **wish}], (), [])
    return body(one, over or (AN_HOUR,), what, event_id="e", name="n", client="us", house="us")


def value(payload: str, what: Known, *over: Reported, **wish: Any) -> tuple[Any, str]:
    return told(a_report(payload, what, *over, **wish))[0]


# -------------------------------------------------------------------------------------------------------------- flows


def test_energy_and_power_over_an_interval_are_those_of_its_minutes() -> None:
    house = KnownHouse()
    house.ran(T0, T0 + HOUR / 2, -6000.0)
    house.ran(T0 + HOUR / 2, T0 + HOUR, 2000.0)
    what = known(house)
    assert value("USAGE", what) == (-2, "OK")
    assert value("USAGE", what, units="wh") == (-2000, "OK")
    assert value("DEMAND", what) == (-2, "OK")
    assert value("DEMAND", what, units="W") == (-2000, "OK")
    assert value("DEMAND", what, readingType="PEAK") == (2, "OK")
    assert value("USAGE", replace(what, scope=Scope.SITE)) == (1.2, "OK")
    assert value("USAGE", replace(what, sign=-1)) == (2, "OK")


def test_a_gap_makes_the_mean_an_estimate_and_a_large_one_no_value() -> None:
    house = KnownHouse()
    house.ran(T0, T0 + 50 * MINUTE, -6000.0)
    assert value("USAGE", known(house)) == (-6, "ESTIMATED")
    house.rows.clear()
    house.ran(T0, T0 + 29 * MINUTE, -6000.0)
    assert value("USAGE", known(house)) == (None, "MISSING")
    assert value("DEMAND", known(KnownHouse())) == (None, "MISSING")
    assert value("DEMAND", known(KnownHouse()), readingType="PEAK") == (None, "MISSING")


def test_seconds_of_a_minute_that_nobody_measured_count_as_a_gap() -> None:
    house = KnownHouse()
    house.ran(T0, T0 + HOUR, -6000.0, **{"car.power_w.s": 48.0})
    assert value("USAGE", known(house)) == (-6, "ESTIMATED")


def test_an_interval_that_begins_within_a_minute_is_an_estimate() -> None:
    house = KnownHouse()
    house.ran(T0, T0 + HOUR, -6000.0)
    late = Reported(0, T0 + timedelta(seconds=30), T0 + HOUR)
    assert value("DEMAND", known(house), late) == (-6, "ESTIMATED")


def test_of_two_chargers_one_unknown_makes_the_sum_unknown() -> None:
    house = KnownHouse()
    house.ran(T0, T0 + HOUR, -6000.0, **{"bus.power_w": -1000.0})
    assert value("USAGE", known(house, chargers=("car", "bus"))) == (-7, "OK")
    house.ran(T0, T0 + HOUR, -6000.0, **{"bus.power_w": None})
    assert value("USAGE", known(house, chargers=("car", "bus"))) == (None, "MISSING")
    assert value("USAGE", known(house, chargers=())) == (None, "MISSING")


def test_what_is_not_over_yet_has_no_usage_and_nobody_forecasts_it() -> None:
    house = KnownHouse()
    house.ran(T0, T0 + 2 * HOUR, -6000.0)
    ahead = Reported(0, T0 + HOUR / 2, T0 + 3 * HOUR / 2)
    assert value("USAGE", known(house), ahead) == (None, "MISSING")
    assert value("USAGE", known(house), historical=False) == (None, "MISSING")


def test_a_thousand_years_are_not_gone_through_minute_by_minute() -> None:
    house = KnownHouse()
    house.ran(T0, T0 + HOUR, -6000.0)
    assert value("USAGE", known(house), Reported(0, T0.replace(year=1026), T0 + HOUR)) == (None, "MISSING")


def test_a_baseline_is_shared_out_over_the_event_where_one_was_found() -> None:
    found = BaselineFound(-3000.0, T0, T0 + 2 * HOUR)
    assert value("BASELINE", known(baseline=found)) == (1.5, "ESTIMATED")
    assert value("BASELINE", known(baseline=found), Reported(0, T0 + HOUR, T0 + 3 * HOUR)) == (None, "MISSING")
    assert value("BASELINE", known()) == (None, "MISSING")


# ------------------------------------------------------------------------------------------------------------- states


def test_charge_in_percent_is_a_fraction_and_in_percentage_it_is_not() -> None:
    what = known(a_house(soc_pct=33.0, capacity_wh=60_000))
    assert value("STORAGE_CHARGE_LEVEL", what) == (0.33, "OK")
    assert value("STORAGE_CHARGE_LEVEL", what, units="PERCENT") == (0.33, "OK")
    assert value("STORAGE_CHARGE_LEVEL", what, units="PERCENTAGE") == (33, "OK")
    assert value("STORAGE_CHARGE_LEVEL", what, units="kWh") == (19.8, "OK")
    descriptors = [
        a_report("STORAGE_CHARGE_LEVEL", what, units=u)["payloadDescriptors"][0] for u in ("PERCENTAGE", "X")
    ]
    assert [one["units"] for one in descriptors] == ["PERCENTAGE", "PERCENT"]


def test_a_unit_that_does_not_fit_is_answered_in_one_that_does_and_said() -> None:
    what = known(a_house(discharge_max_w=7200))
    report = a_report("STORAGE_MAX_DISCHARGE_POWER", what, units="KWH")
    assert report["payloadDescriptors"][0]["units"] == "KW"
    assert told(report) == [(7.2, "OK")]


def test_storage_is_what_charger_and_vehicle_say() -> None:
    what = known(a_house(soc_pct=50.0, capacity_wh=60_000, charge_max_w=11_000, discharge_max_w=6000))
    assert value("STORAGE_USABLE_CAPACITY", what) == (60, "OK")
    assert value("STORAGE_MAX_CHARGE_POWER", what) == (9.6, "OK")  # the charger's own rating
    assert value("STORAGE_MAX_DISCHARGE_POWER", what) == (6, "OK")


def test_what_a_vehicle_does_not_tell_is_missing() -> None:
    what = known(a_house(soc_pct=None, capacity_wh=None, charge_max_w=None, discharge_max_w=None))
    for payload in (
        *("STORAGE_CHARGE_LEVEL", "STORAGE_USABLE_CAPACITY", "STORAGE_MAX_CHARGE_POWER", "STORAGE_MAX_DISCHARGE_POWER"),
        *("LOAD_SHED_DELTA_AVAILABLE", "UP_REGULATION_AVAILABLE", "DOWN_REGULATION_AVAILABLE"),
    ):
        assert value(payload, what) == (None, "MISSING"), payload


def test_without_a_vehicle_there_is_no_storage_and_no_power() -> None:
    what = known(a_house(plugged=False, power_w=0, soc_pct=None, capacity_wh=None))
    assert value("STORAGE_USABLE_CAPACITY", what) == (None, "MISSING")
    assert value("STORAGE_MAX_DISCHARGE_POWER", what) == (0, "OK")
    assert value("LOAD_SHED_DELTA_AVAILABLE", what) == (0, "ESTIMATED")


def test_what_could_be_had_ends_at_the_reserves() -> None:
    what = known(a_house(power_w=3000, soc_pct=40.0, capacity_wh=60_000))
    assert value("LOAD_SHED_DELTA_AVAILABLE", what) == (9, "ESTIMATED")  # 3 kW less, and 6 kWh above 30 %
    assert value("UP_REGULATION_AVAILABLE", what) == (9, "ESTIMATED")
    assert value("DOWN_REGULATION_AVAILABLE", what) == (6.6, "ESTIMATED")
    low = known(a_house(power_w=0, soc_pct=25.0, capacity_wh=60_000))
    assert value("UP_REGULATION_AVAILABLE", low) == (0, "ESTIMATED")
    full = known(a_house(power_w=0, soc_pct=100.0, capacity_wh=60_000))
    assert value("DOWN_REGULATION_AVAILABLE", full) == (0, "ESTIMATED")


@pytest.mark.parametrize(
    "settings",
    [
        Settings(stopped=True),
        Settings(mode=Mode.PAUSED),
        Settings(mode=Mode.READ_ONLY),
        Settings(not_participating=frozenset({"peak"})),
    ],
)
def test_a_house_that_does_not_take_part_offers_nothing(settings: Settings) -> None:
    house = a_house(power_w=3000)
    house.settings = settings
    assert value("UP_REGULATION_AVAILABLE", known(house)) == (0, "ESTIMATED")


def test_while_nobody_knows_whether_the_grid_is_there_nothing_is_known_of_what_could_be_had() -> None:
    house = a_house(power_w=3000)
    house.memory = Memory()
    assert value("UP_REGULATION_AVAILABLE", known(house)) == (None, "MISSING")


def test_an_hour_that_comes_later_is_not_promised() -> None:
    hours = [Reported(n, T0 + n * HOUR, T0 + (n + 1) * HOUR) for n in (1, 2, 3)]
    what = known()
    assert what.now_seen is not None
    report = a_report(
        "LOAD_SHED_DELTA_AVAILABLE",
        replace(what, now_seen=replace(what.now_seen, at=T0 + HOUR)),
        *hours,
        historical=False,
    )
    assert [quality for _, quality in told(report)] == ["ESTIMATED", "MISSING", "MISSING"]


def test_the_state_of_an_interval_is_the_last_that_was_seen_in_it() -> None:
    seen = tuple(
        Seen(T0 + minutes * MINUTE, Standing(state=word))
        for minutes, word in ((-5, "BEFORE"), (10, "EARLY"), (59, "LATE"), (61, "AFTER"))
    )
    assert value("OPERATING_STATE", known(seen=seen, now_seen=None)) == ("LATE", "OK")
    at_its_end = Seen(T0 + HOUR, Standing(state="THE NEXT"))
    assert value("OPERATING_STATE", known(seen=(*seen[:3], at_its_end), now_seen=at_its_end)) == ("LATE", "OK")
    assert value("OPERATING_STATE", known(seen=seen[:2], now_seen=None)) == ("EARLY", "ESTIMATED")
    assert value("OPERATING_STATE", known(seen=seen[:1], now_seen=None)) == (None, "MISSING")


def test_a_setpoint_is_what_was_ordered() -> None:
    seen = (Seen(T0 + HOUR - MINUTE, Standing(setpoint_w=-5000.0)),)
    assert value("SETPOINT", known(seen=seen, now_seen=None)) == (-5, "OK")
    assert value("SETPOINT", known(seen=seen, now_seen=None, sign=-1)) == (5, "OK")


def test_a_charger_that_does_not_answer_is_an_error_and_one_in_fault_another() -> None:
    house = a_house(state=ChargerState.FAULT)
    live = house.live()
    assert live is not None
    assert standing(live, "").state == "SGD_ERROR_CONDITION"
    silent = replace(live.observation, chargers=frozen_map({"car": None}))
    assert standing(Live("peak", silent, live.decision, live.facts), "").state == "ERROR"


def test_standard_payloads_of_which_nothing_is_known_are_missing() -> None:
    for payload in ("READING", "USAGE_FORECAST", "GENERATION_DELTA_AVAILABLE"):
        assert value(payload, known()) == (None, "MISSING"), payload


# --------------------------------------------------------------------------------------------------------- the bodies


def test_an_aggregated_report_has_one_resource_of_that_name() -> None:
    assert a_report("USAGE", known(), aggregate=True)["resources"][0]["resourceName"] == "AGGREGATED_REPORT"
    assert a_report("USAGE", known())["resources"][0]["resourceName"] == "us"


def test_the_reading_type_is_what_was_done() -> None:
    def reading(payload: str, **wish: Any) -> str:
        return str(a_report(payload, known(), **wish)["payloadDescriptors"][0]["readingType"])

    assert reading("USAGE", readingType="PEAK") == "DIRECT_READ"
    assert (reading("DEMAND"), reading("DEMAND", readingType="PEAK")) == ("MEAN", "PEAK")
    assert reading("LOAD_SHED_DELTA_AVAILABLE", readingType="DIRECT_READ") == "FORECAST"


def test_every_kind_makes_a_body_of_nothing_known() -> None:
    nothing = Known(T0 + HOUR, Scope.CHARGER, ())
    for payload in KINDS:
        report = body(Descriptor(payload), [AN_HOUR], nothing, event_id="e", name="n", client="us", house="us")
        assert told(report) == [(None, "MISSING")], payload
