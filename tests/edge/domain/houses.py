"""Sites, readings and whole observations for the tests of the domain: plain ones, and arbitrary ones for properties."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from edge_service.domain.memory import Memory
from edge_service.domain.model import (
    Alert,
    AlertKind,
    AtEnd,
    Authority,
    Backup,
    Capability,
    ChargerFacts,
    ChargerReading,
    ChargerState,
    Control,
    Departure,
    Event,
    GridEvidence,
    Lease,
    ManualKind,
    ManualOrder,
    MeterReading,
    Mode,
    Observation,
    Position,
    Program,
    Scope,
    Settings,
    SiteFacts,
    Slot,
    SlotKind,
    Storm,
    SwitchFacts,
    SwitchReading,
    frozen_map,
)

T0 = datetime(2026, 7, 15, 20, 0, tzinfo=UTC)
NAMES = ("bus", "car")
DER = Capability(Control.SIGNED, 9600, 9600, lease=Lease.TIMER, backup=Backup.CAN_FORM)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def a_site(*names: str, **changes: Any) -> SiteFacts:
    """One charger that can form, a meter and a switch."""
    chargers = {name: ChargerFacts(name, name.title(), DER) for name in names or ("car",)}
    programs = {"peak": Program("peak", "Peak", "manual"), "net": Program("net", "Net", "manual", Scope.SITE)}
    facts = SiteFacts(
        "Home",
        frozen_map(chargers),
        import_max_w=24000,
        export_max_w=9600,
        has_meter=True,
        switch=SwitchFacts(),
        programs=frozen_map(programs),
    )
    return replace(facts, **changes)


def a_reading(at: datetime, **changes: Any) -> ChargerReading:
    """A charger at rest on a good grid."""
    reading = ChargerReading(
        at,
        ChargerState.IDLE,
        Authority.OURS,
        plugged=True,
        power_w=0,
        soc_pct=70.0,
        capacity_wh=60000,
        charge_max_w=9600,
        discharge_max_w=9600,
        grid_present=True,
        forming=False,
        service_permitted=True,
        voltage_v=240.0,
    )
    return replace(reading, **changes)


def a_meter(at: datetime, **changes: Any) -> MeterReading:
    return replace(MeterReading(at, 1200, 240.0, 60.0), **changes)


def an_observation(seconds: float = 0, chargers: Mapping[str, Any] | None = None, **changes: Any) -> Observation:
    """A good grid, a closed switch, each charger at rest with the changes that ``chargers`` names."""
    now = after(seconds)
    seen = {name: a_reading(now, **given) for name, given in (chargers or {"car": {}}).items()}
    return replace(Observation(now, frozen_map(seen), a_meter(now), SwitchReading(now, False, False, True)), **changes)


def an_event(uid: str, start: float, end: float, power_w: int = -5000, program: str = "peak") -> Event:
    return Event(uid, program, uid.title(), T0, (Slot(after(start), after(end), SlotKind.POWER, power_w),))


# ------------------------------------------------------------------------------------------------------ anything at all

maybe = st.sampled_from([None, False, True])
ages = st.sampled_from([0, 0, 0, 1, 4, 5, 6, 3600, -2])
watts = st.integers(-30000, 30000)
limits = st.one_of(st.none(), st.integers(0, 12000))


def _maybe[T](strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.one_of(st.none(), strategy)


percents = st.sampled_from([0.0, 4.9, 5.0, 19.0, 20.0, 20.5, 21.5, 27.0, 29.0, 30.0, 30.5, 32.0, 60.0, 99.9, 100.0])
volts = st.sampled_from([0.0, 5.0, 23.0, 100.0, 200.0, 221.0, 240.0, 252.0, 256.0, 300.0])

capabilities = st.builds(
    Capability,
    control=st.sampled_from(Control),
    charge_rating_w=st.integers(0, 12000),
    discharge_rating_w=st.integers(0, 12000),
    min_charge_w=st.sampled_from([0, 0, 1400]),
    min_discharge_w=st.sampled_from([0, 0, 900]),
    step_w=st.sampled_from([1, 1, 7, 230]),
    never_zero=st.booleans(),
    zero_ends_session_after_s=st.sampled_from([None, 5.0]),
    guard_s=st.sampled_from([0.0, 10.0]),
    backup=st.sampled_from(Backup),
)


@st.composite
def sites(draw: st.DrawFn) -> SiteFacts:
    chargers = {name: ChargerFacts(name, name.title(), draw(_maybe(capabilities))) for name in NAMES}
    return a_site(
        chargers=frozen_map(chargers),
        import_max_w=draw(st.sampled_from([3000, 12000, 24000])),
        export_max_w=draw(st.sampled_from([0, 5000, 9600])),
        has_meter=draw(st.booleans()),
        meter_position=draw(st.sampled_from(Position)),
        switch=draw(st.sampled_from([None, SwitchFacts(), SwitchFacts()])),
        enter_service_s=3.0,
        announce_return_s=2.0,
    )


@st.composite
def readings(draw: st.DrawFn, now: datetime) -> ChargerReading:
    return ChargerReading(
        now - timedelta(seconds=draw(ages)),
        draw(st.sampled_from(ChargerState)),
        draw(st.sampled_from([Authority.OURS, Authority.OURS, *Authority])),
        plugged=draw(maybe),
        power_w=draw(_maybe(watts)),
        soc_pct=draw(_maybe(percents)),
        capacity_wh=draw(st.sampled_from([None, 0, 60000])),
        charge_max_w=draw(limits),
        discharge_max_w=draw(limits),
        setpoint_w=draw(_maybe(watts)),
        grid_present=draw(maybe),
        forming=draw(maybe),
        service_permitted=draw(maybe),
        voltage_v=draw(_maybe(volts)),
        alarms=draw(st.sampled_from([(), ("GROUND_FAULT",)])),
    )


slots = st.builds(
    lambda start, length, kind, power_w: Slot(after(start), after(start + length), kind, power_w),
    st.integers(-100, 100),
    st.integers(1, 200),
    st.sampled_from(SlotKind),
    watts,
)

events = st.builds(
    Event,
    uid=st.sampled_from(["e1", "e2", "e3"]),
    program_id=st.sampled_from(["peak", "net", "gone"]),
    name=st.just("Peak"),
    announced_at=st.just(T0),
    slots=st.lists(slots, max_size=1).map(tuple),
    priority=st.sampled_from([None, 0, 1]),
    cancelled=st.booleans(),
)

manual_orders = st.builds(
    ManualOrder,
    kind=st.sampled_from(ManualKind),
    placed_at=st.just(T0),
    until=st.integers(-10, 100).map(after),
    power_w=st.one_of(st.none(), st.integers(1, 20000)),
)

settings_of_people = st.builds(
    Settings,
    mode=st.sampled_from(Mode),
    drivers_reserve_pct=st.dictionaries(st.sampled_from(NAMES), percents).map(frozen_map),
    backup_reserve_pct=percents,
    at_end=st.sampled_from(AtEnd),
    stopped=st.sampled_from([False, False, False, True]),
    manual=st.dictionaries(st.sampled_from(NAMES), manual_orders).map(frozen_map),
    opted_out=st.frozensets(st.sampled_from(["e1", "e2"])),
    not_participating=st.frozensets(st.sampled_from(["net"])),
    event_floor_pct=st.dictionaries(st.just("peak"), percents).map(frozen_map),
    return_not_before=st.one_of(st.none(), st.integers(-10, 100).map(after)),
    end_backup=st.sampled_from([False, False, True]),
    miles_per_kwh=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0.5, 3.5])).map(frozen_map),
    storm=st.one_of(st.none(), st.builds(Storm, st.integers(-10, 100).map(after), percents)),
    drivers_reserve_miles=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0.0, 40.0, 500.0])).map(frozen_map),
    lent_pct=st.dictionaries(st.sampled_from(NAMES), percents).map(frozen_map),
    storm_reserve_pct=percents,
    heeds_alerts=st.sampled_from([True, True, False]),
    alerts_opted_out=st.dictionaries(st.just("a1"), st.just(after(50))).map(frozen_map),
    at_end_chosen=st.booleans(),
)

alerts = st.builds(
    Alert,
    st.sampled_from(["a1", "a2"]),
    st.just("peak"),
    st.sampled_from(AlertKind),
    st.just("Alert"),
    st.sampled_from([-100_000, -10, 0, 10, 80_000, 100_000]).map(after),
    st.one_of(st.none(), st.integers(-10, 100).map(after)),
)

departures = st.dictionaries(
    st.sampled_from([*NAMES, "gone"]),
    st.one_of(
        st.builds(Departure, st.just("trip"), st.integers(1, 20000).map(after), soc_pct=percents),
        st.builds(Departure, st.just("trip"), st.integers(1, 20000).map(after), miles=st.sampled_from([1.0, 150.0])),
    ),
).map(frozen_map)


# People who want much of every charger, so that limits and reserves have something to hold.
eager_orders = st.builds(
    ManualOrder,
    kind=st.sampled_from([ManualKind.DISCHARGE, ManualKind.DISCHARGE, ManualKind.CHARGE]),
    placed_at=st.just(T0),
    until=st.just(after(1000)),
    power_w=st.sampled_from([None, None, 3000]),
)
eager_settings = st.builds(
    Settings,
    drivers_reserve_pct=st.dictionaries(st.sampled_from(NAMES), percents).map(frozen_map),
    backup_reserve_pct=st.just(0.0),
    manual=st.fixed_dictionaries(dict.fromkeys(NAMES, eager_orders)).map(frozen_map),
)


@st.composite
def observations(draw: st.DrawFn, seconds: float) -> Observation:
    """Anything that devices may say, stale and contradictory as well."""
    now = after(seconds)
    return Observation(
        now,
        frozen_map({name: draw(_maybe(readings(now))) for name in draw(st.sampled_from([NAMES, NAMES, ("car",), ()]))}),
        draw(_maybe(st.builds(MeterReading, ages.map(lambda s: now - timedelta(seconds=s)), _maybe(watts), volts))),
        draw(_maybe(st.builds(SwitchReading, ages.map(lambda s: now - timedelta(seconds=s)), maybe, maybe, maybe))),
        tuple(
            draw(
                st.lists(
                    st.builds(GridEvidence, st.just("ups"), st.just(now), maybe, st.sampled_from(Position)), max_size=1
                )
            )
        ),
        tuple(draw(st.lists(events, max_size=2))),
        frozen_map({name: now - timedelta(seconds=draw(ages)) for name in draw(st.sets(st.sampled_from(NAMES)))}),
        departures=draw(departures),
        alerts=tuple(draw(st.lists(alerts, max_size=2))),
    )


@st.composite
def likely_observations(
    draw: st.DrawFn, seconds: float, names: tuple[str, ...] = NAMES, steady: bool = False
) -> Observation:
    """A world in order but for a few things: so that chargers get powers and the island's table is walked.

    ``steady``: a good grid and a closed switch throughout.
    """
    now = after(seconds)
    grid, closed = steady or draw(st.booleans()), steady or draw(st.booleans())
    former = draw(st.sampled_from([None, *names]))
    chargers = {}
    for name in names:
        forming = former == name and not closed
        live = forming or (grid and closed)
        chargers[name] = a_reading(
            now,
            power_w=draw(st.sampled_from([0, -5000, 3000])),
            soc_pct=draw(_maybe(percents)),
            plugged=draw(st.sampled_from([True, True, None, False])),
            grid_present=None if forming else live,
            forming=forming,
            voltage_v=240.0 if live else 0.0,
        )
    voltage_v = 240.0 if grid else 0.0
    return Observation(
        now,
        frozen_map(chargers),
        draw(st.sampled_from([a_meter(now, power_w=draw(watts), voltage_v=voltage_v)] * 6 + [None])),
        SwitchReading(now, not closed, not closed, closed),
        (),
        tuple(draw(st.lists(events, max_size=2))),
        departures=draw(departures),
    )


def a_past(memory: Memory, restarted: bool) -> Memory:
    return memory.after_restart() if restarted else memory
