"""What must be so before an outage is rehearsed. Each thing that is not is named, so that a person can set it right."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from edge_service.domain import contacts
from edge_service.domain.forming import choose_former
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


class Refusal(StrEnum):
    """What forbids a drill; most forbid only one with a transfer."""

    STOPPED = "stopped"
    READ_ONLY = "read_only"
    GRID_NOT_ON = "grid_not_on"
    NO_SWITCH = "no_switch"
    SWITCH_NOT_PROVEN = "switch_not_proven"
    NO_GRID_SIDE_SOURCE = "no_grid_side_source"
    GENERATOR = "generator"
    STORM = "storm"
    MEDICAL_LOAD = "medical_load"
    NOBODY_AT_SWITCH = "nobody_at_switch"
    VEHICLE_ABSENT = "vehicle_absent"
    CHARGER_UNABLE = "charger_unable"
    CHARGE_UNKNOWN = "charge_unknown"
    RESERVE_LOW = "reserve_low"
    DEPARTURE_NEAR = "departure_near"
    EVENT_NEAR = "event_near"


R = Refusal


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


def refusals(moment: Moment, request: DrillRequest) -> tuple[Refusal, ...]:
    """The codes of what forbids the drill now, the most important first; empty: it may begin."""
    found = [*_always(moment), *(_for_transfer(moment, request) if request.transfer else ())]
    return tuple(dict.fromkeys(found))


def _always(at: Moment) -> Iterator[Refusal]:
    if at.settings.stopped:
        yield R.STOPPED
    if at.settings.mode is Mode.READ_ONLY:
        yield R.READ_ONLY
    if at.memory.grid.state is not Grid.ON or at.memory.island.step is not IslandStep.TIED:
        yield R.GRID_NOT_ON


def _for_transfer(at: Moment, request: DrillRequest) -> Iterator[Refusal]:
    if at.facts.switch is None:
        yield R.NO_SWITCH
        return
    yield from _of_site(at, request)
    yield from _of_vehicle(at, request)
    if _leaves_soon(at):
        yield R.DEPARTURE_NEAR
    if _event_is_near(at):
        yield R.EVENT_NEAR


def _of_site(at: Moment, request: DrillRequest) -> Iterator[Refusal]:
    switch = at.facts.fresh(at.observation.switch, at.now)
    if switch is None or not switch.closed_proven or switch.open_proven:
        yield R.SWITCH_NOT_PROVEN
    if not _sees_street(at):
        yield R.NO_GRID_SIDE_SOURCE
    if contacts.last_word(at.observation, at.memory, at.facts, Contact.GENERATOR):
        yield R.GENERATOR
    if at.settings.storm_at(at.now) is not None:
        yield R.STORM
    groups = {**at.facts.relays, **at.settings.load_groups}
    if any(group.medical for group in groups.values()) and not request.medical_safe:
        yield R.MEDICAL_LOAD
    # A charger that falls silent cannot be stopped, so that nothing proves the house dead and it stays off the grid.
    if not (at.facts.switch is not None and at.facts.switch.synchronism_check) and not request.at_switch:
        yield R.NOBODY_AT_SWITCH


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


def _of_vehicle(at: Moment, request: DrillRequest) -> Iterator[Refusal]:
    name, reading = at.former
    if name is None or reading is None:
        plugged = [one.plugged for one in at.observation.chargers.values() if one is not None]
        yield R.VEHICLE_ABSENT if plugged and not any(plugged) else R.CHARGER_UNABLE
        return
    if reading.plugged is False:
        yield R.VEHICLE_ABSENT
    if reading.state in UNABLE or reading.service_permitted is False or name in at.observation.contested:
        yield R.CHARGER_UNABLE
    if reading.soc_pct is None:
        yield R.CHARGE_UNKNOWN
    elif reading.soc_pct < _needed_pct(at, name, reading, request):
        yield R.RESERVE_LOW


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
