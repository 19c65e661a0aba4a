"""Means over whole minutes."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from edge_service.domain.decide import decide
from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    ChargerFacts,
    ChargerReading,
    ChargerState,
    MeterReading,
    Observation,
    Settings,
    SiteFacts,
    frozen_map,
)
from edge_service.minutes import MinuteMeans
from edge_service.runner import Image

START = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
FACTS = SiteFacts("Home", frozen_map({"car": ChargerFacts("car", "Car")}), import_max_w=24_000, has_meter=True)


def image(at: datetime, grid_w: int | None, car_w: int | None) -> Image:
    reading = ChargerReading(at, ChargerState.CHARGING, power_w=car_w)
    observation = Observation(at, frozen_map({"car": reading}), MeterReading(at, grid_w))
    decision = decide(observation, Memory(), Settings(), FACTS)
    rest: Any = frozen_map()
    return Image(observation, Memory(), Settings(), FACTS, decision, rest, rest, (), None)


def test_a_minute_is_given_out_when_the_next_begins_with_the_means_of_what_was_known() -> None:
    means = MinuteMeans()
    assert means.add(image(START, 1000, 400)) is None
    assert means.add(image(START + timedelta(seconds=30), 2000, None)) is None
    row = means.add(image(START + timedelta(seconds=60), 9000, None))
    assert row is not None
    at, values = row
    assert at == START
    assert values["grid_w"] == 1500
    assert values["car.power_w"] == 400
    assert values["car.soc_pct"] is None
    assert cast("Any", means.add(image(START + timedelta(seconds=120), None, None)))[1]["grid_w"] == 9000
