"""What must be so before an outage is rehearsed. Each thing that is not is named, so that a person can set it right."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_service.domain import contacts
from edge_service.domain.islanding import choose_former
from edge_service.domain.memory import IslandStep, Memory
from edge_service.domain.model import (
    AtEnd,
    ChargerReading,
    ChargerState,
    Contact,
    DrillRequest,
    Grid,
    Mode,
    Observation,
    Position,
    Settings,
    SiteFacts,
)

# An event so near would be missed if the return takes its time: the enter-service delay of 300 s and its ramp, twice.
EVENT_NEAR = timedelta(minutes=30)
# A vehicle that leaves so soon keeps its charge and its plug to itself.
DEPARTURE_NEAR = timedelta(hours=1)
# Beyond what the drill itself takes, so that a real outage in its midst does not find the vehicle at its reserve.
CHARGE_MARGIN_PCT = 10.0
UNABLE = frozenset({ChargerState.FAULT, ChargerState.OFFLINE, ChargerState.BOOTING, ChargerState.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Moment:
    """What a drill is judged by; ``settings`` as they count now."""

    observation: Observation
    memory: Memory
    settings: Settings
    facts: SiteFacts

    @property
    def now(self) -> datetime:
        return self.observation.now

    @property
    def former(self) -> tuple[str | None, ChargerReading | None]:
        """The charger that would carry the house, and its fresh reading."""
        name = choose_former(self.observation, self.facts)
        return name, self.facts.fresh(self.observation.chargers.get(name or ""), self.now)


def refusals(moment: Moment, request: DrillRequest) -> tuple[str, ...]:
    """The codes of what forbids the drill now, the most important first; empty: it may begin."""
    found = [*_always(moment), *(_for_transfer(moment, request) if request.transfer else ())]
    return tuple(dict.fromkeys(found))


def _always(at: Moment) -> Iterator[str]:
    if at.settings.stopped:
        yield "stopped"
    if at.settings.mode is Mode.READ_ONLY:
        yield "read_only"
    if at.memory.grid.state is not Grid.ON or at.memory.island.step is not IslandStep.TIED:
        yield "grid_not_on"


def _for_transfer(at: Moment, request: DrillRequest) -> Iterator[str]:
    if at.facts.switch is None:
        yield "no_switch"
        return
    yield from _of_site(at, request)
    yield from _of_vehicle(at, request)
    if _leaves_soon(at):
        yield "departure_near"
    if _event_is_near(at):
        yield "event_near"


def _of_site(at: Moment, request: DrillRequest) -> Iterator[str]:
    switch = at.facts.fresh(at.observation.switch, at.now)
    if switch is None or not switch.closed_proven or switch.open_proven:
        yield "switch_not_proven"
    if not _sees_street(at):
        yield "no_grid_side_source"
    if contacts.last_word(at.observation, at.memory, at.facts, Contact.GENERATOR):
        yield "generator"
    if at.settings.storm_at(at.now) is not None:
        yield "storm"
    groups = {**at.facts.relays, **at.settings.load_groups}
    if any(group.medical for group in groups.values()) and not request.medical_safe:
        yield "medical_load"


def _sees_street(at: Moment) -> bool:
    """Something beyond the open switch tells of the grid; without it nobody would know when it is gone for real."""
    meter = at.facts.fresh(at.observation.meter, at.now)
    if meter is not None and meter.voltage_v is not None and at.facts.meter_position is Position.GRID_SIDE:
        return True
    relay = contacts.active(at.observation, at.facts, Contact.GRID_LOST)
    companions = at.facts.companions
    seen = [
        name
        for name, reading in at.observation.companions.items()
        if at.facts.fresh(reading, at.now) is not None and reading.state is not None
    ]
    on_street = any(name in companions and companions[name].position is Position.GRID_SIDE for name in seen)
    told = any(piece.position is Position.GRID_SIDE and piece.present for piece in at.observation.evidence)
    return relay is False or on_street or told


def _of_vehicle(at: Moment, request: DrillRequest) -> Iterator[str]:
    name, reading = at.former
    if name is None or reading is None:
        plugged = [one.plugged for one in at.observation.chargers.values() if one is not None]
        yield "vehicle_absent" if plugged and not any(plugged) else "charger_unable"
        return
    if reading.plugged is False:
        yield "vehicle_absent"
    if reading.state in UNABLE or reading.service_permitted is False or name in at.observation.contested:
        yield "charger_unable"
    if reading.soc_pct is None:
        yield "charge_unknown"
    elif reading.soc_pct < _needed_pct(at, name, reading, request):
        yield "reserve_low"


def _needed_pct(at: Moment, name: str, reading: ChargerReading, request: DrillRequest) -> float:
    """The driver's reserve, what the house takes for so long, and a margin. Lending is for outages, not for drills."""
    drill_wh = (at.memory.loads.house_w or 0) * request.island_s / 3600
    takes_pct = 100 * drill_wh / reading.capacity_wh if reading.capacity_wh else 0.0
    floor_pct = at.settings.drivers_reserve(name) if at.settings.at_end is AtEnd.STOP else 0.0
    return min(100.0, max(floor_pct, CHARGE_MARGIN_PCT) + takes_pct + CHARGE_MARGIN_PCT)


def _leaves_soon(at: Moment) -> bool:
    departure = at.observation.departures.get(at.former[0] or "")
    return departure is not None and departure.at - at.now < DEPARTURE_NEAR


def _event_is_near(at: Moment) -> bool:
    events = [event for event in at.observation.events if at.settings.takes_part(event)]
    return any(event.start - EVENT_NEAR <= at.now < event.end for event in events)
