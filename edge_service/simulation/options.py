"""What a simulated site is made of: ports, delays, ratings, first values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_service.simulation.loads import LoadOptions

# The inverter must see a stable grid this long before it may reconnect: the IEEE 1547-2018 default.
ENTER_SERVICE_S = 300.0

METER_MODELS = (201, 202, 203)
SUNSPEC_BASES = (0, 40000, 50000)
RENEWALS = ("group", "timer", "enable", "nothing")


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """One simulated site. A port of 0 lets the system choose; see ``SimulatedSite`` for the chosen ones.

    Raises ValueError, naming the field, on a value out of bounds.
    """

    host: str = "127.0.0.1"
    charger_port: int = 0
    meter_port: int = 0
    switch_port: int = 0
    contact_port: int = 0
    companion_port: int = 0
    relay_port: int = 0
    control_port: int = 0
    charger_unit: int = 1
    meter_unit: int = 1
    switch_unit: int = 1
    contact_unit: int = 1
    relay_unit: int = 1
    charger_base: int = 40000
    meter_base: int = 40000
    meter_model: int = 203
    # In the home's panel behind the island switch, where it sees the home's own voltage in an island.
    meter_on_protected_side: bool = False
    tick_s: float = 0.02
    announce_file: Path | None = None

    # One of ``charger_models.SIMULATED``, and which of its quirks are on otherwise than by default.
    charger_model: str = "sunspec_der"
    quirks: Mapping[str, bool] = field(default_factory=dict)

    # One of ``companion_models.COMPANIONS``; where it sits, seen from the island switch.
    companion_model: str = "sigenergy_plant"
    companion_on_grid_side: bool = False
    # A gateway of its maker carries the house from another source as soon as the grid is gone.
    vendor_backup: bool = False

    grid_present: bool = True
    house_load_w: float = 1200.0
    # How much of the load hangs on the first leg; the charger hangs on both.
    leg_1_share: float = 0.5

    # What can be switched off and on besides, in the order of its relays' coils.
    loads: tuple[LoadOptions, ...] = ()

    plugged: bool = True
    soc_pct: float = 70.0
    battery_wh: float = 60_000.0
    battery_efficiency: float = 0.95
    battery_floor_pct: float = 5.0
    battery_taper_pct: float = 95.0

    rating_w: float = 9600.0
    ramp_w_per_s: float = 4800.0
    enter_service_s: float = ENTER_SERVICE_S
    detection_s: float = 0.16
    form_s: float = 1.5
    stop_s: float = 0.1
    overload_s: float = 1.0
    retry_s: float = 5.0
    started: bool = True
    permit_service: bool = True

    switch_moves_s: float = 0.15
    # The switch closes onto a living house only in step, so long after both sides live.
    synchronism_check: bool = False
    in_step_s: float = 4.0

    island_capable: bool = True
    setpoint_obeyed_in_island: bool = False
    no_wset: bool = False
    no_713: bool = False
    no_715: bool = False
    # Further variants of the SunSpec charger: models and points that it leaves out.
    no_702: bool = False
    no_703: bool = False
    no_704: bool = False
    no_714: bool = False
    no_wset_mod: bool = False
    no_wset_pct: bool = False
    # No WSet, but WSetPct.
    percent_only: bool = False
    no_wset_ena_rvrt: bool = False
    no_timer: bool = False
    no_timer_left: bool = False
    model_1_length: int = 66
    # With two DC ports the vehicle is at the second.
    dc_ports: int = 1
    # Exponent of WSet_SF where it differs from W_SF.
    setpoint_scale: int | None = None
    # Which write starts the reversion timer anew: any in the group, one of its time, the enabling, or none.
    timer_renewed_by: str = "group"
    # The timer runs down and nothing happens.
    timer_ends_nothing: bool = False
    local: bool = False
    # Exponent of W_SF and WSet_SF; 0 and 1 are common on devices of this size.
    power_scale: int = 0

    def __post_init__(self) -> None:
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; allowed is {low} to {high}")
        _require_one_of("meter_model", self.meter_model, METER_MODELS)
        _require_one_of("charger_base", self.charger_base, SUNSPEC_BASES)
        _require_one_of("meter_base", self.meter_base, SUNSPEC_BASES)
        _require_one_of("model_1_length", self.model_1_length, (65, 66))
        _require_one_of("timer_renewed_by", self.timer_renewed_by, RENEWALS)


def _require_one_of[T](name: str, value: T, allowed: tuple[T, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value}; allowed is one of {', '.join(map(str, allowed))}")


_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("charger_port", 0, 65535),
    ("meter_port", 0, 65535),
    ("switch_port", 0, 65535),
    ("contact_port", 0, 65535),
    ("companion_port", 0, 65535),
    ("relay_port", 0, 65535),
    ("control_port", 0, 65535),
    ("charger_unit", 0, 255),
    ("meter_unit", 0, 255),
    ("switch_unit", 0, 255),
    ("contact_unit", 0, 255),
    ("tick_s", 0.001, 10),
    ("house_load_w", 0, 30_000),
    ("leg_1_share", 0, 1),
    ("soc_pct", 0, 100),
    ("battery_wh", 1_000, 600_000),
    ("battery_efficiency", 0.5, 1),
    ("battery_floor_pct", 0, 50),
    ("battery_taper_pct", 50, 99.9),
    ("rating_w", 500, 30_000),
    ("ramp_w_per_s", 1, 1_000_000),
    ("enter_service_s", 0, 3600),
    ("detection_s", 0.001, 10),
    ("form_s", 0, 600),
    ("stop_s", 0, 10),
    ("overload_s", 0.001, 60),
    ("retry_s", 0.001, 3600),
    ("switch_moves_s", 0, 60),
    ("in_step_s", 0, 600),
    ("power_scale", 0, 2),
    ("dc_ports", 1, 2),
)
