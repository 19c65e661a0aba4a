"""What moves a little each second is held still for clients."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from edge_service.api.steady import MEASURED, Held, SteadyMeasured, clock_offset, storage_free_mb
from edge_service.domain.model import ChargerReading
from tests.edge.domain.houses import a_reading, a_site, after

NOW = after(0)


def measured(shown: SteadyMeasured, reading: ChargerReading | None) -> dict[str, float | None]:
    return shown.follow({"car": reading}, a_site(), NOW)["car"]


def test_what_a_charger_never_told_is_left_out_and_what_it_told_is_not_known_while_it_is_silent() -> None:
    shown = SteadyMeasured()
    assert measured(shown, a_reading(NOW, voltage_v=None)) == {}
    told = a_reading(NOW, voltage_v=241.4, temperature_c=38.6)
    assert measured(shown, told) == {"voltage_v": 241.0, "temperature_c": 39.0}
    assert measured(shown, None) == {"voltage_v": None, "temperature_c": None}
    assert measured(shown, replace(told, at=after(-60))) == {"voltage_v": None, "temperature_c": None}


@pytest.mark.parametrize(
    ("key", "value", "noise"),
    [
        ("voltage_v", 240.5, 0.4),
        ("current_a", 20.05, 0.2),
        ("frequency_hz", 59.995, 0.02),
        ("temperature_c", 41.5, 0.4),
    ],
)
def test_noise_is_no_change(key: str, value: float, noise: float) -> None:
    shown, seen = SteadyMeasured(), set()
    for number in range(200):
        reading = a_reading(NOW, **({"voltage_v": None} | {key: value + (noise if number % 2 else -noise)}))
        seen.add(measured(shown, reading)[key])
    assert len(seen) == 1


@given(st.sampled_from(sorted(MEASURED)), st.lists(st.floats(-500, 500), min_size=1))
def test_what_is_shown_is_never_further_off_than_it_may_be(key: str, values: list[float]) -> None:
    step, hold = MEASURED[key]
    held = Held(step, hold)
    for value in values:
        found = held.follow(value)
        assert found is not None
        assert abs(found - value) < hold + step


def test_a_clock_that_is_told_in_whole_seconds_does_not_chatter() -> None:
    held = clock_offset()
    assert {held.follow(offset) for offset in (200.0, -300.0, 700.0, 0.0)} == {200.0}
    assert held.follow(4040.0) == 4000.0
    assert held.follow(None) is None


def test_free_space_is_rounded_down_and_goes_up_only_when_it_is_clearly_more() -> None:
    shown = storage_free_mb(5_049_000_000, None)
    assert shown == 5000
    assert storage_free_mb(4_999_000_000, shown) == 4900
    assert storage_free_mb(5_030_000_000, 4900) == 4900
    assert storage_free_mb(5_050_000_000, 4900) == 5000
