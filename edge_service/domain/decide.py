"""One pure function decides: the same observation, memory, settings and facts always give the same decision."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from edge_service.domain import (
    capacity,
    charged,
    contacts,
    dark_start,
    drill,
    energies,
    event_limits,
    grid as grid_rules,
    islanding,
    loads,
    others,
    outage_account,
    performance,
    readiness,
    rehearsal,
    reserve_news,
    rests,
    runtime,
    tracking,
    vendor_gateway,
)
from edge_service.domain.altered import altered
from edge_service.domain.band import MILLION, Band
from edge_service.domain.evidence import complaints
from edge_service.domain.grid import Assessment, Weighed
from edge_service.domain.letting_go import is_ceased
from edge_service.domain.memory import ChargerMemory, Memory
from edge_service.domain.model import (
    CapacityLimit,
    Contact,
    Event,
    Grid,
    GridEvidence,
    Happening,
    LoadOrder,
    Notice,
    Observation,
    Order,
    Readiness,
    ReadinessLevel,
    Runtime,
    Settings,
    SiteFacts,
    Supply,
    SwitchOrder,
    frozen_map,
)
from edge_service.domain.news import stop_pressed, tell
from edge_service.domain.policies import ladder_of
from edge_service.domain.policy import Rung
from edge_service.domain.realise import Realised, order_power_w, realise
from edge_service.domain.resolved import resolved
from edge_service.domain.ruling import event_floor_pct, ruling
from edge_service.domain.timeline import Call, Timeline
from edge_service.domain.view import Settled, Step, View

# A floor that was touched is left again only this far above it: the charge reading moves by itself.
FLOOR_HYSTERESIS_PCT = 1.0
# A reserve is refilled once the charge is this far below it: standby loss alone starts no charging.
FILL_BELOW_PCT = 2.0
# A vehicle rounds its charge, and some jump by two points and back while they balance their cells.
FULL_SOC_PCT = 100.0
NOT_FULL_BELOW_PCT = 97.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, why, what people are told, and what the next decision has to know.

    ``orders`` holds no entry for a charger that is let alone: nothing is written to it and its lease is not renewed.
    ``pressed``: the stop contact is active; this decision stops already, the settings have to latch it.
    ``settings``: what people decided, as it counts now. ``loads``: what is wanted of each load group.
    ``vendor_reserve_pct``: what gateways of makers are to keep for an outage; None: nothing is written to them.
    ``reasons`` names per charger the rung that settled it; ``reason`` the one that people are shown for the site.
    ``weighed``: the evidence once more, each piece with whether it sees the grid now, and whether it counts.
    """

    at: datetime
    grid: Grid
    supply: Supply
    orders: Mapping[str, Order]
    switch: SwitchOrder | None
    reasons: Mapping[str, str]
    reason: str
    steps: Mapping[str, tuple[Step, ...]]
    evidence: tuple[GridEvidence, ...]
    house_w: int | None
    memory: Memory
    happenings: tuple[Happening, ...] = ()
    notices: tuple[Notice, ...] = ()
    cleared: tuple[str, ...] = ()
    verdict: str = ""
    adjusted: Mapping[str, str] = field(default_factory=frozen_map)
    pressed: bool = False
    settings: Settings = field(default_factory=Settings)
    loads: Mapping[str, LoadOrder] = field(default_factory=frozen_map)
    vendor_reserve_pct: float | None = None
    runtime: Runtime | None = None
    gains_h: Mapping[str, float | None] = field(default_factory=frozen_map)
    readiness: Readiness = field(default_factory=partial(Readiness, ReadinessLevel.NOT_READY))
    weighed: tuple[Weighed, ...] = ()

    @property
    def disputed(self) -> bool:
        """Pieces of evidence that count contradict each other, though the grid's state may be clear."""
        return self.verdict == grid_rules.Verdict.DISPUTED or grid_rules.contradicted(self.weighed)


def decide(
    observation: Observation,
    memory: Memory,
    settings: Settings,
    facts: SiteFacts,
    ladder: Iterable[Rung] | None = None,
) -> Decision:
    """Know the grid, follow the island's table, ask each rung in turn, and turn what is left into orders.

    ``ladder`` None: the site's own.
    """
    pressed, stood = contacts.active(observation, facts, Contact.STOP) is True, settings.stopped
    settings = replace(settings, stopped=True) if pressed and not stood else settings
    settings = resolved(settings, observation, memory, facts)
    view, assessment = _look(observation, memory, settings, facts)
    ladder = ladder_of(facts) if ladder is None else tuple(ladder)
    for rung in ladder:
        view = view if rung.follow is None else rung.follow(view)
        view = view.hears(rung.name, *rung.policy(view))
    realised = _realised(view)
    after = _remember(view, memory, realised)
    every = assessment.weighed
    if after.grid.state is not memory.grid.state:
        every = grid_rules.weighed(observation, after.grid, facts)  # while it returns it is weighed by other limits
    lasts = runtime.estimate(view, after.runtime)
    after = altered(after, reserve_alarms=reserve_news.follow(view, memory, after, lasts))
    told = tell(view, memory, after, lasts)
    after = altered(after, outage=outage_account.with_notices(after.outage, told.notices))
    return Decision(
        at=observation.now,
        grid=view.grid,
        supply=view.supply,
        orders=frozen_map({name: one.order for name, one in realised.items()}),
        switch=_switch(view, after),
        reasons=frozen_map({name: settled.rung for name, settled in view.settled.items()}),
        reason=_site_reason(view, ladder),
        steps=view.steps,
        evidence=tuple([one.piece for one in every]),
        house_w=view.house_w,
        memory=altered(after, notices=told.standing),
        happenings=(stop_pressed(view), *told.happenings) if pressed and not stood else told.happenings,
        notices=told.notices,
        cleared=told.cleared,
        verdict=assessment.verdict,
        adjusted=frozen_map({name: one.changed_by for name, one in realised.items() if one.changed_by is not None}),
        pressed=pressed,
        settings=settings,
        loads=loads.orders(after.loads),
        vendor_reserve_pct=vendor_gateway.reserve_pct(view),
        runtime=lasts,
        gains_h=runtime.gains(after.runtime),
        readiness=readiness.judge(view, after, lasts),
        weighed=every,
    )


def _switch(view: View, after: Memory) -> SwitchOrder | None:
    generator = after.contact(Contact.GENERATOR).active is True
    switch = view.observation.switch
    return islanding.switch_order(
        after.island, view.grid, view.settings, switch, view.facts, at_generator=generator, drill=after.drill
    )


def _look(observation: Observation, memory: Memory, settings: Settings, facts: SiteFacts) -> tuple[View, Assessment]:
    memory = memory.not_after(observation.now)
    generator = contacts.last_word(observation, memory, facts, Contact.GENERATOR) is True
    grid, assessment = grid_rules.follow(observation, memory.grid, facts, at_generator=generator)
    island = islanding.follow(observation, memory, grid.state, settings, facts, at_generator=generator)
    view = View(
        observation=observation,
        memory=altered(memory, grid=grid, island=island),
        settings=settings,
        facts=facts,
        grid=grid.state,
        supply=islanding.supply(island, grid.state, facts, observation),
        house_w=None,
        bands=frozen_map({name: _rated(facts, name) for name in facts.chargers}),
    )
    call = ruling(view)
    chargers = {name: others.follow_charger(view, name, _seen(view, name, call)) for name in facts.chargers}
    view = altered(view, memory=altered(view.memory, chargers=frozen_map(chargers)))
    view = altered(view, memory=altered(view.memory, others_u=others.estimate(view, memory)))
    return replace(view, house_w=_house_w(view), others_w=_others_w(view)), assessment


def _rated(facts: SiteFacts, charger: str) -> Band:
    capability = facts.chargers[charger].capability
    if capability is None:
        return Band(0, 0)
    return Band(-capability.discharge_rating_w, capability.charge_rating_w)


def _house_w(view: View) -> int | None:
    """The house's own use: the meter less the chargers while tied, the forming charger's output in an island."""
    known = _known_powers(view)
    if view.on_generator:
        return None
    if view.supply is Supply.ISLAND:
        return -sum(known) if known else None
    return _others_w(view) if len(known) == len(view.facts.chargers) else None


def _others_w(view: View) -> int | None:
    meter = view.facts.fresh(view.observation.meter, view.observation.now)
    if meter is None or meter.power_w is None or (others_u := view.memory.others_u[0]) is None:
        return None
    return others_u // MILLION


def _known_powers(view: View) -> list[int]:
    readings = [view.reading(name) for name in view.facts.chargers]
    return [reading.power_w for reading in readings if reading is not None and reading.power_w is not None]


def _seen(view: View, charger: str, call: Call | None) -> ChargerMemory:
    """What the next decision must know of the charger: the floors it is below."""
    before = view.memory.charger(charger)
    soc = view.soc_pct(charger)
    if soc is None:
        return before
    settings = view.settings
    driver, backup = settings.drivers_reserve(charger), settings.reserve_pct(view.observation.now)
    floors = {"driver": driver, "backup": backup}
    if call is not None:
        floors["event"] = event_floor_pct(settings, view.facts, call.event.program_id)
    low = {name for name, floor in floors.items() if soc <= floor + (FLOOR_HYSTERESIS_PCT if name in before.low else 0)}
    highest = max(driver, backup)
    if soc < (highest if "fill" in before.low else highest - FILL_BELOW_PCT):
        low.add("fill")
    if soc >= FULL_SOC_PCT or ("full" in before.low and soc >= NOT_FULL_BELOW_PCT):
        low.add("full")
    return before if low == before.low else replace(before, low=frozenset(low))


def _realised(view: View) -> dict[str, Realised]:
    made = {charger: _order(view, charger, settled) for charger, settled in view.settled.items()}
    return {charger: one for charger, one in made.items() if one is not None}


def _order(view: View, charger: str, settled: Settled) -> Realised | None:
    if settled.instead is not None:
        return Realised(settled.instead, order_power_w(settled.instead))
    capability = view.capability(charger)
    if settled.allowed is None or settled.want_w is None or capability is None:
        return None
    memory = view.memory.charger(charger)
    return realise(settled.allowed, settled.want_w, capability, memory, view.observation.now)


def _remember(view: View, before: Memory, realised: Mapping[str, Realised]) -> Memory:
    now = view.observation.now
    chargers = {
        name: _followed(view, name, before.charger(name), _remember_charger(view, name, realised.get(name)))
        for name in view.facts.chargers
    }
    events = event_limits.follow(view, performance.follow(view, before.events, before.at))
    outage = outage_account.follow(view, before)
    return replace(
        view.memory,
        at=now,
        chargers=tracking.follow(view, frozen_map(rests.follow(view, before.chargers, chargers))),
        events=events,
        outage=outage,
        outages=before.outages + outage_account.is_another(before.outage, outage),
        rotation=_rotation(view, before),
        contacts=contacts.follow(view.observation, before, view.facts),
        loads=loads.follow(view, before),
        runtime=runtime.follow(view, before),
        drill=drill.follow(view, before),
        rehearsal=rehearsal.follow(view, before, events),
        dark_since=dark_start.follow(view, before),
    )


def _followed(view: View, charger: str, before: ChargerMemory, after: ChargerMemory) -> ChargerMemory:
    return energies.follow(view, charger, before, charged.follow(view, charger, before, after))


def _remember_charger(view: View, charger: str, ordered: Realised | None) -> ChargerMemory:
    memory, reading = view.memory.charger(charger), view.reading(charger)
    power_w = None if ordered is None else ordered.power_w
    if power_w != memory.order_w:
        memory = replace(memory, order_w=power_w, order_since=view.observation.now)
    evidence = view.observation.orders.get(charger)
    told_of = complaints(memory.complaints, evidence)
    if told_of != memory.complaints:
        memory = replace(memory, complaints=told_of)
    ceased = is_ceased(memory, None if ordered is None else ordered.order, evidence)
    memory = memory if ceased is memory.ceased else replace(memory, ceased=ceased)
    if reading is None:
        return replace(memory, silent_since=memory.silent_since or view.observation.now)
    plugged = memory.plugged if reading.plugged is None else reading.plugged
    discharging = memory.discharging if reading.power_w is None else reading.state == "discharging"
    faulty = reading.state == "fault"
    if (capacity_wh := reading.capacity_wh or memory.capacity_wh) != memory.capacity_wh:
        memory = replace(memory, capacity_wh=capacity_wh)
    known = (memory.silent_since, memory.plugged, memory.discharging, memory.faulty)
    if known == (None, plugged, discharging, faulty):
        return memory
    return replace(memory, silent_since=None, plugged=plugged, discharging=discharging, faulty=faulty)


def _rotation(view: View, before: Memory) -> int:
    """The odd watts change hands once a minute."""
    return before.rotation if before.at and before.at.minute == view.observation.now.minute else before.rotation + 1


def _site_reason(view: View, ladder: Sequence[Rung]) -> str:
    """The highest rung that settled a charger: what people read as "why"."""
    rungs = [rung.name for rung in ladder]
    settled = sorted((s.rung for s in view.settled.values()), key=rungs.index)
    return settled[0] if settled else "idle"


def next_change(
    events: Iterable[Event],
    memory: Memory,
    facts: SiteFacts,
    now: datetime,
    limits: Iterable[CapacityLimit] = (),
) -> datetime | None:
    """When time alone will change the decision, so that a cycle can be there on the moment; None: not foreseen.

    Each event for itself: which of them people agree to, and order first, may be decided any moment.
    """
    moments = [Timeline([event]).next_change(now) for event in events]
    moments += capacity.edges(limits)
    moments += grid_rules.deadlines(memory.grid, facts)
    return min((moment for moment in moments if moment is not None and moment > now), default=None)
