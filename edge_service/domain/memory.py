"""What one decision leaves for the next. Dwell times and debounces are timestamps, never timers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from edge_service.domain.model import Contact, Grid, LoadOrder, Runtime, frozen_map
from edge_service.domain.program import Flag
from edge_service.domain.rehearsal_memory import RehearsalMemory


class IslandStep(StrEnum):
    """Where the site stands between grid and island; the table is in ``islanding.py``."""

    UNKNOWN = "unknown"
    TIED = "tied"
    SHEDDING = "shedding"
    OPENING = "opening"
    FORMING = "forming"
    DARK = "dark"
    HANDOVER = "handover"
    RETRY = "retry"
    ISLAND = "island"
    ANNOUNCED = "announced"
    SYNCHRONISING = "synchronising"
    STOPPING = "stopping"
    CLOSING = "closing"
    ENDED = "ended"
    STUCK = "stuck"


# A charger carries the house.
ALIVE = frozenset({IslandStep.ISLAND, IslandStep.ANNOUNCED, IslandStep.SYNCHRONISING})


class EventStage(StrEnum):
    """The life of an event."""

    ANNOUNCED = "announced"
    PREPARING = "preparing"
    PREPARED = "prepared"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    OPTED_OUT = "opted_out"
    FINISHED = "finished"
    MISSED = "missed"
    CANCELLED = "cancelled"


OVER = frozenset({EventStage.FINISHED, EventStage.MISSED, EventStage.CANCELLED})


@dataclass(frozen=True, slots=True)
class GridMemory:
    """The grid's state and the evidence that made it. ``closed_since``: the switch is proven closed since then.

    ``after_generator``: a generator fed the house last; the grid has to be good for the enter-service delay first.
    ``at_generator``: the transfer switch stands at it. ``disputed_since``: sources contradict each other and nothing
    decides between them. ``neutral_lost_since``: the legs' voltages have diverged. ``islanders``: who runs the house
    off the grid behind a gateway of its own, by its last word.
    """

    state: Grid = Grid.UNKNOWN
    since: datetime | None = None
    lost_since: datetime | None = None
    good_since: datetime | None = None
    silent_since: datetime | None = None
    closed_since: datetime | None = None
    evidence: str = ""
    after_generator: bool = False
    at_generator: bool = False
    disputed_since: datetime | None = None
    neutral_lost_since: datetime | None = None
    islanders: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class IslandMemory:
    """The step of the islanding sequence, the charger that forms, and failed attempts in this outage.

    ``failure`` names the last of them, until the next success. ``return_failed_at``: the last failed return.
    ``tried``: the chargers that were to form since the last success and did not. ``collapses``: how often the island
    fell since it last stood for long, the last time at ``collapsed_at``. ``retries``: attempts of ours since then, the
    next at ``retry_at``. ``latched``: no more of them until a person asks. ``rehearsal``: the switch was opened for a
    drill. ``dead_since``: the house is proven dead, by a stop that stands.
    """

    step: IslandStep = IslandStep.UNKNOWN
    since: datetime | None = None
    former: str | None = None
    attempts: int = 0
    failure: str | None = None
    return_failed_at: datetime | None = None
    tried: frozenset[str] = frozenset()
    collapses: int = 0
    collapsed_at: datetime | None = None
    retries: int = 0
    retry_at: datetime | None = None
    latched: bool = False
    rehearsal: bool = False
    dead_since: datetime | None = None

    def after_restart(self) -> IslandMemory:
        """Where it stands is looked at anew; what was tried in this outage is not tried anew for that."""
        return IslandMemory(
            former=self.former,
            collapses=self.collapses,
            collapsed_at=self.collapsed_at,
            retries=self.retries,
            retry_at=self.retry_at,
            latched=self.latched,
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of an event in which nobody measured."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class EventMemory:
    """What was delivered in an event. Energies positive when the chargers (or the site) supplied.

    ``counted_to``: its time up to which that is counted, ``supplied_w`` (per charger) and ``exported_w`` the powers
    there, None: not measured. ``begun``: the vehicles are being charged for it. ``gap_s``: time of the event in which
    a charger was not measured, ``gaps`` where (``site_gap_s``: at the meter). ``by_charger_wh``: each one's part.
    ``flags``, ``asks``, ``rehearsal``, ``dry``, ``day``: as in the event. ``limited_by``: what keeps the target from
    being met now; ``base_w``: the power from which a change counts, by the beginning of its slot (``base_since``).
    ``soon``: people were told that it begins soon.
    """

    stage: EventStage
    since: datetime
    name: str
    program_id: str
    start: datetime
    end: datetime
    target_w: int | None = None
    feasible_w: int | None = None
    run_s: float = 0.0
    charger_wh: float = 0.0
    site_wh: float | None = 0.0
    supplied_w: Mapping[str, float | None] = field(default_factory=frozen_map)
    exported_w: float | None = None
    counted_to: datetime | None = None
    begun: bool = False
    gap_s: float = 0.0
    site_gap_s: float = 0.0
    gaps: tuple[Gap, ...] = ()
    by_charger_wh: Mapping[str, float] = field(default_factory=frozen_map)
    day: str = ""
    flags: tuple[Flag, ...] = ()
    asks: bool = False
    rehearsal: bool = False
    dry: bool = False
    limited_by: str | None = None
    base_w: int | None = None
    base_since: datetime | None = None
    soon: bool = False

    def is_over(self, now: datetime) -> bool:
        """Nothing more will happen in this event."""
        return self.stage in OVER or (self.stage is EventStage.OPTED_OUT and now >= self.end)

    @property
    def average_w(self) -> float:
        """Delivered power averaged over the whole event; time not served counts as nothing delivered."""
        hours = (self.end - self.start).total_seconds() / 3600
        return self.charger_wh / hours if hours > 0 else 0.0

    @property
    def site_average_w(self) -> float | None:
        """Likewise, by net export at the point of connection; None: there is no meter."""
        hours = (self.end - self.start).total_seconds() / 3600
        return None if self.site_wh is None or hours <= 0 else self.site_wh / hours


@dataclass(frozen=True, slots=True)
class OutageMemory:
    """The outage that runs, or the last one once ``ended_at`` is set.

    ``evidence``: what told of it. ``transfer_s``: from the loss to the house alive again. ``dark_s``: without any
    supply, as far as seen. ``loads_shed``: ids of groups shed in it. ``notices``: kinds of notices raised in it, in
    order.
    """

    started_at: datetime
    ended_at: datetime | None = None
    backup_started_at: datetime | None = None
    energy_wh: float = 0.0
    lowest_soc_pct: float | None = None
    evidence: str = ""
    transfer_s: float | None = None
    dark_s: float = 0.0
    highest_w: int | None = None
    collapses: int = 0
    former: str | None = None
    loads_shed: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class DepartureStage(StrEnum):
    """How a vehicle stands toward its next departure: enough charge, time to wait, charging for it, or too late."""

    READY = "ready"
    WAITS = "waits"
    CHARGES = "charges"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class DepartureMemory:
    """The outlook of a vehicle's next departure. ``reaches_pct``: the charge it will leave with, None: not known.

    ``keeps``: what it gave now could not be refilled in time. ``due_wh``: what it must take in before the first vehicle
    leaves. ``unsure``: what the vehicle does not tell: ``soc``, ``capacity`` or nothing.
    """

    plan_id: str
    at: datetime
    stage: DepartureStage
    target_pct: float
    reaches_pct: float | None = None
    keeps: bool = False
    due_wh: float = 0.0
    unsure: str = ""


@dataclass(frozen=True, slots=True)
class Lately:
    """The range of powers that a charger may have had for a moment, from then on."""

    since: datetime
    low_w: int
    high_w: int


@dataclass(frozen=True, slots=True)
class Trim:
    """What is added to a charger's order in a slot of an event, so that what is measured is what was asked.

    ``sum_w``: found so far, with its fractions; ``w``: what is added, in steps that do not move with each noise.
    """

    event: str
    slot: datetime
    sum_w: float = 0.0
    w: int = 0


@dataclass(frozen=True, slots=True)
class EnergyMemory:
    """What the charger's counters showed when something began; None: that was not seen.

    ``charged_from_wh`` and ``discharged_from_wh``: when the vehicle was plugged in. ``part``: what is given for now,
    ``backup``, ``events`` or nothing, since ``part_from_wh``. ``backup_wh`` and ``events_wh``: given for it before.
    """

    charged_from_wh: int | None = None
    discharged_from_wh: int | None = None
    part: str = ""
    part_from_wh: int | None = None
    backup_wh: int = 0
    events_wh: int = 0


@dataclass(frozen=True, slots=True)
class ChargerMemory:
    """What was last wanted of a charger and since when; ``low``: the floors it is below, with hysteresis,
    and ``full``. ``ceased``: our stop stands, and no start was proven since.

    ``silent_since``: no answer since then. ``due_since`` and ``late_since``: since when the site's room is too small
    for its departure to wait, or to be reached. ``complaints``: told of an order that did not go well.
    ``no_charge_since`` and ``no_discharge_since``: since when a limit keeps it from what it did.
    ``tells``: its power is known now. ``seen_w``: the power last measured, ``lately`` those that the meter's word may
    still be of. ``held``: between which powers a silent one may still be, until ``held_until``, None: until it is seen.
    ``capacity_wh``: of its vehicle, as last told. ``trim``: on its order in an event. ``late_told``: the time of
    the departure of which people were told that it will be late. ``charging``: it did when last seen.
    ``completed_pct``: the charge at which that was told to be complete.
    """

    order_w: int | None = None
    order_since: datetime | None = None
    low: frozenset[str] = frozenset()
    plugged: bool | None = None
    discharging: bool | None = None
    faulty: bool | None = None
    ceased: bool = False
    silent_since: datetime | None = None
    departure: DepartureMemory | None = None
    due_since: datetime | None = None
    late_since: datetime | None = None
    no_charge_since: datetime | None = None
    no_discharge_since: datetime | None = None
    tells: bool = False
    seen_w: int | None = None
    lately: tuple[Lately, ...] = ()
    held: tuple[int, int] | None = None
    held_until: datetime | None = None
    complaints: frozenset[str] = frozenset()
    capacity_wh: int | None = None
    trim: Trim | None = None
    late_told: str = ""
    charging: bool = False
    completed_pct: float | None = None
    energy: EnergyMemory = EnergyMemory()


@dataclass(frozen=True, slots=True)
class LoadMemory:
    """What was last wanted of a load group, since when and why (``reason``: a word of ``loads.Reason``).

    ``collapses``: how often the island fell when this group came back, ``in_a_row`` since it last came back for good.
    ``kept``: a person switched it on against our order; only an overload sheds it again in this outage. ``power_w``:
    what it drew when last seen on. ``counted``: it is part of the last known load of the house. ``shed_proven``: our
    order to shed it was seen carried out. ``silent_since``: nothing counts that was heard of it since then.
    """

    wanted: LoadOrder = LoadOrder.ON
    since: datetime | None = None
    reason: str = ""
    collapses: int = 0
    in_a_row: int = 0
    kept: bool = False
    power_w: int | None = None
    counted: bool = False
    shed_proven: bool = False
    silent_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class LoadsMemory:
    """All load groups, and what of the house's load is remembered for the next transfer.

    ``house_w`` and ``leg_w``: the last known load while the house was fed. ``overload_since``: the island carries
    nearly too much or more since then, ``overloaded_at``: when that last called for an act. ``collapsed_at``: when the
    island fell last. ``last_restored_at``: when a group was put back last.
    """

    groups: Mapping[str, LoadMemory] = field(default_factory=frozen_map)
    house_w: int | None = None
    leg_w: tuple[int, ...] = ()
    overload_since: datetime | None = None
    overloaded_at: datetime | None = None
    collapsed_at: datetime | None = None
    last_restored_at: datetime | None = None

    def group(self, name: str) -> LoadMemory:
        """What is remembered of a load group."""
        return self.groups.get(name) or LoadMemory()

    def moved(self, move: Callable[[datetime], datetime]) -> LoadsMemory:
        """The same with every time moved: the clock was set."""
        groups = {name: replace(known, **_moved(known, move)) for name, known in self.groups.items()}
        return replace(self, groups=frozen_map(groups), **_moved(self, move))


# Minutes of the last hour, and hours of the last 14 days.
MINUTES = 60
HISTORY_H = 14 * 24


@dataclass(frozen=True, slots=True)
class Track:
    """Mean powers in watts, None: not known. ``minutes`` and ``hours`` are rings by time since the epoch.

    ``sum_w_s`` and ``counted_s``: of the minute that runs.
    """

    sum_w_s: float = 0.0
    counted_s: float = 0.0
    minutes: tuple[int | None, ...] = (None,) * MINUTES
    hours: tuple[int | None, ...] = (None,) * HISTORY_H

    def moved(self, by: timedelta) -> Track:
        """The same at other times on the clock."""
        return replace(
            self,
            minutes=_rotated(self.minutes, round(by / timedelta(minutes=1))),
            hours=_rotated(self.hours, round(by / timedelta(hours=1))),
        )


def _rotated(ring: tuple[int | None, ...], places: int) -> tuple[int | None, ...]:
    cut = -places % len(ring)
    return ring[cut:] + ring[:cut]


@dataclass(frozen=True, slots=True)
class Store:
    """A vehicle that may carry the house: its battery, its charge, and where backup ends."""

    charger: str
    capacity_wh: int
    soc_pct: float
    end_pct: float


@dataclass(frozen=True, slots=True)
class GroupUse:
    """What a load group draws in the mean while it is on, over so many minutes."""

    mean_w: float
    minutes: int


@dataclass(frozen=True, slots=True)
class RuntimeMemory:
    """What the house has drawn, and how long the vehicles carry it, as last worked out.

    ``minute_at``: when the minute that runs began. ``load`` is what the house uses, net where its solar is not metered
    apart; ``solar`` what inverters on its side of the switch supply, 0 or less. ``gains_h`` is of ``gains_at``;
    ``lasts`` and what it was worked out from are of ``lasts_at``: ``stores``, who can carry the house, the first one
    first; ``carried_h``, how long one did; ``groups_w``, what each load group that is on draws; ``shed_w``, those
    that are shed.
    """

    minute_at: datetime | None = None
    load: Track = Track()
    solar: Track = Track()
    groups: Mapping[str, GroupUse] = field(default_factory=frozen_map)
    lasts_at: datetime | None = None
    stores: tuple[Store, ...] = ()
    carried_h: float | None = None
    groups_w: Mapping[str, int | None] = field(default_factory=frozen_map)
    shed_w: int = 0
    lasts: Runtime | None = None
    gains_at: datetime | None = None
    gains_h: Mapping[str, float | None] = field(default_factory=frozen_map)

    def shifted(self, by: timedelta) -> RuntimeMemory:
        """The same ages after the clock was set."""
        if self.minute_at is None or not by:
            return self
        return replace(
            self,
            minute_at=self.minute_at + by,
            load=self.load.moved(by),
            solar=self.solar.moved(by),
            lasts_at=None,
            gains_at=None,
        )

    def not_after(self, now: datetime) -> RuntimeMemory:
        """Nothing in it is from a time that has not come yet."""
        late = self.minute_at is not None and self.minute_at > now
        return self.shifted(now - self.minute_at) if late and self.minute_at is not None else self

    def after_restart(self) -> RuntimeMemory:
        """What was drawn is still true; who carries the house is read anew."""
        return RuntimeMemory(self.minute_at, self.load, self.solar, self.groups)


class DrillStage(StrEnum):
    """Where a drill stands."""

    CHECKING = "checking"
    TRANSFERRING = "transferring"
    CARRYING = "carrying"
    RETURNING = "returning"
    PASSED = "passed"
    FAILED = "failed"
    REFUSED = "refused"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class DrillMemory:
    """The drill that runs, or the last one. Durations in seconds, None: not reached or not measured.

    ``reasons``: what refused it, ended it or cost it points. ``left_at``: when the house left the grid. ``dark_at``:
    when the way back darkened it. ``told_s``: until its notice was brought to people. ``lowest_v``: the least voltage
    seen in the island. ``loads_unproven``: groups that nobody proved shed. ``previous_score``,
    ``previous_transfer_s``: of the last one of its kind that passed, at
    ``last_passed_at``. ``scheduled_for``: the time of the last one that came by itself.
    """

    id: str
    stage: DrillStage
    started_at: datetime
    since: datetime
    transfer: bool
    island_s: float
    ended_at: datetime | None = None
    reasons: tuple[str, ...] = ()
    left_at: datetime | None = None
    dark_at: datetime | None = None
    transfer_s: float | None = None
    return_s: float | None = None
    told_s: float | None = None
    lowest_v: float | None = None
    highest_w: int | None = None
    energy_wh: float = 0.0
    soc_from_pct: float | None = None
    soc_to_pct: float | None = None
    loads_shed: tuple[str, ...] = ()
    loads_unproven: tuple[str, ...] = ()
    score: int | None = None
    previous_score: int | None = None
    previous_transfer_s: float | None = None
    last_passed_at: datetime | None = None
    scheduled_for: datetime | None = None

    @property
    def runs(self) -> bool:
        return self.ended_at is None

    def after_restart(self) -> DrillMemory:
        """Nobody watched it meanwhile: one that ran is over, and the house goes back as after an outage."""
        if not self.runs:
            return self
        return replace(self, stage=DrillStage.ABORTED, ended_at=self.since, reasons=(*self.reasons, "restart"))


@dataclass(frozen=True, slots=True)
class ContactMemory:
    """The last word of an input contact, None before the first; ``silent_since``: no fresh reading since then."""

    active: bool | None = None
    silent_since: datetime | None = None


def _moved(memory: LoadMemory | LoadsMemory, move: Callable[[datetime], datetime]) -> dict[str, Any]:
    times = {item.name: getattr(memory, item.name) for item in fields(memory)}
    return {name: move(value) for name, value in times.items() if isinstance(value, datetime)}


def _shifted[M: (GridMemory, IslandMemory, ChargerMemory, ContactMemory, DrillMemory)](memory: M, by: timedelta) -> M:
    moved: dict[str, Any] = {
        item.name: value + by for item in fields(memory) if isinstance(value := getattr(memory, item.name), datetime)
    }
    if isinstance(memory, ChargerMemory):
        moved["lately"] = tuple(replace(one, since=one.since + by) for one in memory.lately)
    return replace(memory, **moved)


def _not_after[M: (GridMemory, IslandMemory, ChargerMemory, ContactMemory, DrillMemory)](memory: M, now: datetime) -> M:
    late: dict[str, Any] = {
        item.name: now
        for item in fields(memory)
        if isinstance(value := getattr(memory, item.name), datetime) and value > now
    }
    if isinstance(memory, ChargerMemory):
        late["lately"] = tuple(replace(one, since=min(one.since, now)) for one in memory.lately)
    return replace(memory, **late) if late else memory


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that one decision hands to the next.

    ``others_u``: what the meter saw besides the chargers, the site first, then each leg, in millionths of a watt.
    ``outages``: how many there were. ``reserve_alarms``: how many alarms before the end of the backup its approach has
    passed. ``dark_since``: nothing feeds the house since then.
    """

    at: datetime | None = None
    grid: GridMemory = GridMemory()
    island: IslandMemory = IslandMemory()
    chargers: Mapping[str, ChargerMemory] = field(default_factory=frozen_map)
    events: Mapping[str, EventMemory] = field(default_factory=frozen_map)
    outage: OutageMemory | None = None
    notices: Mapping[str, str] = field(default_factory=frozen_map)
    rotation: int = 0
    contacts: Mapping[Contact, ContactMemory] = field(default_factory=frozen_map)
    others_u: tuple[int | None, ...] = ()
    loads: LoadsMemory = LoadsMemory()
    runtime: RuntimeMemory = RuntimeMemory()
    drill: DrillMemory | None = None
    reserve_alarms: int = 0
    dark_since: datetime | None = None
    rehearsal: RehearsalMemory | None = None
    outages: int = 0

    def contact(self, contact: Contact) -> ContactMemory:
        """What is remembered of an input contact."""
        return self.contacts.get(contact) or ContactMemory()

    def charger(self, name: str) -> ChargerMemory:
        """What is remembered of a charger."""
        return self.chargers.get(name) or ChargerMemory()

    def shifted(self, by: timedelta) -> Memory:
        """The same delays after the clock was set: every time that a delay is counted from moves with it."""
        return replace(
            self,
            at=None if self.at is None else self.at + by,
            grid=_shifted(self.grid, by),
            island=_shifted(self.island, by),
            chargers=frozen_map({name: _shifted(charger, by) for name, charger in self.chargers.items()}),
            contacts=frozen_map({contact: _shifted(known, by) for contact, known in self.contacts.items()}),
            loads=self.loads.moved(lambda at: at + by),
            runtime=self.runtime.shifted(by),
            drill=_shifted(self.drill, by) if self.drill is not None and self.drill.runs else self.drill,
            dark_since=None if self.dark_since is None else self.dark_since + by,
        )

    def not_after(self, now: datetime) -> Memory:
        """What is remembered from a time that has not come yet is taken for now: the clock was set back.

        A debounce then begins anew, seconds late; without this it would wait for the clock to come round again.
        """
        if self.at is None or self.at <= now:
            return self
        return replace(
            self,
            at=now,
            grid=_not_after(self.grid, now),
            island=_not_after(self.island, now),
            chargers=frozen_map({name: _not_after(charger, now) for name, charger in self.chargers.items()}),
            contacts=frozen_map({contact: _not_after(known, now) for contact, known in self.contacts.items()}),
            loads=self.loads.moved(lambda at: min(at, now)),
            runtime=self.runtime.not_after(now),
            drill=None if self.drill is None else _not_after(self.drill, now),
            rehearsal=None if self.rehearsal is None else self.rehearsal.not_after(now),
            dark_since=None if self.dark_since is None else min(self.dark_since, now),
        )

    def after_restart(self) -> Memory:
        """What may be believed after a restart: accounts and notices. Grid and switch are read anew first."""
        chargers = {
            name: replace(
                charger,
                order_w=None,
                order_since=None,
                silent_since=None,
                lately=(),
                complaints=frozenset(),
                trim=None,
            )
            for name, charger in self.chargers.items()
        }
        contacts = {contact: replace(known, silent_since=None) for contact, known in self.contacts.items()}
        return replace(
            self,
            at=None,
            grid=GridMemory(),
            island=self.island.after_restart(),
            chargers=frozen_map(chargers),
            contacts=frozen_map(contacts),
            others_u=(),
            runtime=self.runtime.after_restart(),
            drill=None if self.drill is None else self.drill.after_restart(),
        )
