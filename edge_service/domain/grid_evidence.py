"""Who says what of the grid, how far each can be relied on, and what all of it together says.

A source is shown whether or not it counts. One on the house's side cannot see the grid while the island switch is
open, nor while somebody else's gateway has taken the house off it. How words weigh against each other, and why:
``docs/decisions/0017-measured-before-judged.md``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from edge_service.domain import contacts
from edge_service.domain.memory import GridMemory
from edge_service.domain.model import (
    CLOCK_TOLERANCE_S,
    Backup,
    ChargerFacts,
    CompanionReading,
    CompanionState,
    Confidence,
    Contact,
    Grid,
    GridEvidence,
    MeterReading,
    Observation,
    Position,
    SiteFacts,
)

# Below half of nominal no appliance runs and no inverter rides through: IEEE 1547-2018 asks to cease within 0.16 s.
LOST_BELOW_PU = 0.5
# IEEE 1547-2018: the voltage range to enter service, and the wider one of continuous operation.
ENTER_PU = (0.917, 1.05)
STAY_PU = (0.88, 1.10)
# The same of frequency, from nominal: 59.5 to 60.1 Hz and 58.8 to 61.2 Hz. EN 50549-1 asks 49.5 to 50.1 Hz to return.
ENTER_HZ = (-0.5, 0.1)
STAY_HZ = (-1.2, 1.2)
# A meter that does not measure the frequency shows 0 instead.
MEASURED_FROM_HZ = 10.0
# A charger needs a moment after the switch has closed before its own view is of the grid again.
SWITCH_SETTLE = timedelta(seconds=3)
A_GENERATOR = "a generator feeds the house"
# After an outage the grid has to be better to count as there than while it was never gone.
RETURNING = frozenset({Grid.OUTAGE, Grid.RESTORING})
_COMPANION_SAYS = {CompanionState.ON_GRID: True, CompanionState.OUTAGE: False, CompanionState.ISLANDED: False}


class Verdict(StrEnum):
    """What all fresh evidence together says."""

    LOST = "lost"
    DISPUTED = "disputed"
    GOOD = "good"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Weighed:
    """A piece of evidence, and what it is worth now.

    ``sees_grid``: fresh, and where it sits it can see the grid. ``counts``: besides, it says something, and is more
    than a hint. A piece that counts may still be outvoted: see ``contradicted``.
    """

    piece: GridEvidence
    sees_grid: bool
    counts: bool


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict, all pieces as weighed, those that count, and the words for the journal."""

    verdict: Verdict
    weighed: tuple[Weighed, ...]
    pieces: tuple[GridEvidence, ...]
    words: str


def collect(observation: Observation, facts: SiteFacts, state: Grid = Grid.UNKNOWN) -> tuple[GridEvidence, ...]:
    """Every source's word, fresh or not, whether or not it can see the grid now. ``state``: the grid's of before."""
    return (
        *observation.evidence,
        *_of_meter(observation, facts, returning=state in RETURNING),
        *_of_chargers(observation),
        *_of_companions(observation, facts),
        *_of_contacts(observation, facts),
    )


def _of_meter(observation: Observation, facts: SiteFacts, *, returning: bool) -> Iterator[GridEvidence]:
    meter = observation.meter
    if meter is not None:
        present = _tells(meter, facts, returning=returning)
        yield GridEvidence("meter", meter.at, present, facts.meter_position, _measured(meter))


def _tells(meter: MeterReading, facts: SiteFacts, *, returning: bool) -> bool | None:
    """Lost below half of the voltage; there while voltage and frequency are in their range; else it is neither."""
    if meter.voltage_v is None:
        return None
    per_unit = meter.voltage_v / facts.nominal_voltage_v
    if per_unit < LOST_BELOW_PU:
        return False
    low, high = ENTER_PU if returning else STAY_PU
    good = low <= per_unit <= high and _keeps_time(meter.frequency_hz, facts, returning=returning)
    return True if good else None


def _keeps_time(frequency_hz: float | None, facts: SiteFacts, *, returning: bool) -> bool:
    if frequency_hz is None or frequency_hz < MEASURED_FROM_HZ:
        return True
    low, high = ENTER_HZ if returning else STAY_HZ
    # A meter tells hundredths: what a sum of floats adds is no deviation.
    return low <= round(frequency_hz - facts.nominal_frequency_hz, 3) <= high


def _measured(meter: MeterReading) -> str:
    told = [] if meter.voltage_v is None else [f"{meter.voltage_v:.0f} V"]
    if meter.frequency_hz is not None and meter.frequency_hz >= MEASURED_FROM_HZ:
        told.append(f"{meter.frequency_hz:.2f} Hz")
    return ", ".join(told)


def _of_chargers(observation: Observation) -> Iterator[GridEvidence]:
    for name, reading in observation.chargers.items():
        if reading is not None:
            seen_at = reading.grid_at or reading.at
            detail = ", ".join(reading.alarms)
            yield GridEvidence(name, seen_at, reading.grid_present, Position.PROTECTED_SIDE, detail)


def _of_companions(observation: Observation, facts: SiteFacts) -> Iterator[GridEvidence]:
    """Another inverter's own judgement. What it says at a generator is no word on the grid."""
    for name, companion in facts.companions.items():
        reading = observation.companions.get(name)
        if reading is not None:
            says = None if reading.state is None else _COMPANION_SAYS.get(reading.state)
            words = [word for word in (reading.state, reading.detail) if word]
            yield GridEvidence(name, reading.at, says, companion.position, ", ".join(words), Confidence.LIKELY)


def _of_contacts(observation: Observation, facts: SiteFacts) -> Iterator[GridEvidence]:
    generator, relay = (_reading(observation, facts, one) for one in (Contact.GENERATOR, Contact.GRID_LOST))
    if generator is not None:
        detail = A_GENERATOR if generator[1] else "no generator"
        yield GridEvidence("generator contact", generator[0], None, Position.GRID_SIDE, detail)
    if relay is not None:
        yield GridEvidence("voltage relay", relay[0], not relay[1], Position.GRID_SIDE)


def _reading(observation: Observation, facts: SiteFacts, contact: Contact) -> tuple[datetime, bool] | None:
    reading = observation.contacts.get(contact)
    return None if reading is None or contact not in facts.contacts else (reading.at, reading.active)


def is_valid(piece: GridEvidence, facts: SiteFacts, now: datetime) -> bool:
    """Whether a word still counts: for as long as its source says, else as long as a reading does."""
    if piece.valid_s is None:
        return facts.fresh(piece, now) is not None
    return -CLOCK_TOLERANCE_S <= (now - piece.at).total_seconds() <= piece.valid_s


def weighed(observation: Observation, memory: GridMemory, facts: SiteFacts) -> tuple[Weighed, ...]:
    """Each source's word, and what it is worth now. Who sees the grid hangs on the switch and on other gateways."""
    sees_house = _sees_grid_through_switch(observation, memory, facts)
    return tuple(
        _weigh(piece, observation, facts, sees=_sees(piece, sees_house, memory.islanders))
        for piece in collect(observation, facts, memory.state)
    )


def _weigh(piece: GridEvidence, observation: Observation, facts: SiteFacts, *, sees: bool) -> Weighed:
    sees = sees and is_valid(piece, facts, observation.now)
    return Weighed(piece, sees, sees and piece.present is not None and piece.confidence is not Confidence.HINT)


def _sees(piece: GridEvidence, sees_house: bool, off_grid: frozenset[str]) -> bool:
    """Who runs the house off the grid sees the grid at its own gateway; what it feeds shows its voltage only."""
    if piece.position is Position.GRID_SIDE:
        return True
    return sees_house and (not off_grid or piece.source in off_grid or piece.present is False)


def islanders(observation: Observation, before: frozenset[str], facts: SiteFacts) -> frozenset[str]:
    """Who has taken the house off the grid by a gateway of its own, at a site that has no island switch of ours.

    One that falls silent then has not gone back to the grid: its last word holds until it speaks again. Behind our own
    switch such a claim is one more word, and a house that is alive shows a contradiction.
    """
    if facts.switch is not None:
        return frozenset()
    said = {name: _runs_off_grid(name, observation, facts) for name in facts.chargers}
    said |= {name: _is_islanded(name, observation, facts) for name in facts.companions}
    return frozenset(name for name, islanded in said.items() if islanded or (islanded is None and name in before))


def _is_islanded(companion: str, observation: Observation, facts: SiteFacts) -> bool | None:
    state = _state(companion, observation, facts)
    return None if state is None else state is CompanionState.ISLANDED


def _runs_off_grid(name: str, observation: Observation, facts: SiteFacts) -> bool | None:
    """None: it does not tell now."""
    reading = facts.fresh(observation.chargers.get(name), observation.now)
    if reading is None:
        return None
    if reading.forming or reading.grid_present is None:
        return reading.forming or None
    return _has_gateway(facts.chargers[name]) and not reading.grid_present


def _state(companion: str, observation: Observation, facts: SiteFacts) -> CompanionState | None:
    reading: CompanionReading | None = facts.fresh(observation.companions.get(companion), observation.now)
    return None if reading is None else reading.state


def _sees_grid_through_switch(observation: Observation, memory: GridMemory, facts: SiteFacts) -> bool:
    if facts.switch is None:
        return True
    settled = memory.closed_since is not None and observation.now - memory.closed_since >= SWITCH_SETTLE
    switch = facts.fresh(observation.switch, observation.now)
    return settled and not (switch is not None and switch.closed_proven is False)


def assess(observation: Observation, memory: GridMemory, facts: SiteFacts) -> Assessment:
    """Weigh all pieces. Contradictions that nothing decides make a dispute, never an outage."""
    every = weighed(observation, memory, facts)
    pieces = tuple(one.piece for one in every if one.counts)
    verdict = _verdict(pieces, facts)
    if verdict is Verdict.GOOD:
        verdict = _unless_generator(observation, facts)
    return Assessment(verdict, every, pieces, _words(pieces))


def _unless_generator(observation: Observation, facts: SiteFacts) -> Verdict:
    """A good voltage proves no grid where a generator is told of, or what would tell of one does not say there is none.

    A companion that says it runs at one contradicts the voltage, which takes our orders back at once.
    """
    if any(_state(name, observation, facts) is CompanionState.GENERATOR for name in facts.companions):
        return Verdict.DISPUTED
    wired = Contact.GENERATOR in facts.contacts
    silent = wired and contacts.active(observation, facts, Contact.GENERATOR) is not False
    return Verdict.SILENT if silent else Verdict.GOOD


def contradicted(every: Sequence[Weighed]) -> bool:
    """Whether pieces that count say opposite things, though the verdict may be clear: people are shown that."""
    return len({one.piece.present for one in every if one.counts}) > 1


def _verdict(pieces: Sequence[GridEvidence], facts: SiteFacts) -> Verdict:
    """What is measured goes before what is judged, where it cannot be the measuring device's own trouble."""
    lost = [piece for piece in pieces if piece.present is False]
    there = [piece for piece in pieces if piece.present]
    if not lost or not there:
        return Verdict.LOST if lost else Verdict.GOOD if there else Verdict.SILENT
    sure_lost, sure_there = _sure(lost), _sure(there)
    if sure_lost and not sure_there:
        return Verdict.LOST if _is_no_one_s_own_breaker(sure_lost, facts) else Verdict.DISPUTED
    on_street = any(piece.position is Position.GRID_SIDE for piece in sure_there)
    return Verdict.GOOD if on_street and not sure_lost else Verdict.DISPUTED


def _sure(pieces: Sequence[GridEvidence]) -> list[GridEvidence]:
    return [piece for piece in pieces if piece.confidence is Confidence.SURE]


def _is_no_one_s_own_breaker(lost: Sequence[GridEvidence], facts: SiteFacts) -> bool:
    """One charger that sees no voltage may hang on a tripped breaker; a meter, a relay, a gateway or two do not."""
    charger = facts.chargers.get(lost[0].source)
    return len(lost) > 1 or charger is None or _has_gateway(charger)


def _has_gateway(charger: ChargerFacts) -> bool:
    return charger.capability is not None and charger.capability.backup is Backup.VENDOR


def _words(pieces: Sequence[GridEvidence]) -> str:
    return "; ".join(_word(piece) for piece in pieces)


def _word(piece: GridEvidence) -> str:
    says = "grid there" if piece.present else "grid lost"
    return f"{piece.source}: {says} ({piece.detail})" if piece.detail else f"{piece.source}: {says}"
