"""What no reading may hold, whatever stands in the registers."""

from collections.abc import Mapping

from edge_service.domain.model import ChargerReading

BOUNDS: Mapping[str, tuple[float, float]] = {
    "power_w": (-1e6, 1e6),
    "soc_pct": (0, 100),
    "capacity_wh": (1, 1e7),
    "charge_max_w": (0, 1e6),
    "discharge_max_w": (0, 1e6),
    "setpoint_w": (-1e6, 1e6),
    "lease_remaining_s": (0, 2**32),
    "voltage_v": (0, 2000),
    "frequency_hz": (0, 100),
    "current_a": (-2000, 2000),
    "temperature_c": (-60, 150),
    "energy_charged_wh": (0, 1e12),
    "energy_discharged_wh": (0, 1e12),
}


def assert_plausible(reading: ChargerReading) -> None:
    for name, (low, high) in BOUNDS.items():
        value = getattr(reading, name)
        assert value is None or low <= value <= high, f"{name} is {value}"
