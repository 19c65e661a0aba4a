"""Plays a story (a JSON file of this folder) through ``decide`` and compares what was decided with what it expects.

The format is described in ``README.md``. A tiny house follows the orders, so that a story states only what changes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from edge_service.departures import next_departures
from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.commands import carry_out, expire
from edge_service.domain.dark_start import dark_start_at
from edge_service.domain.decide import Decision, decide
from edge_service.domain.memory import DrillMemory, Memory
from edge_service.domain.model import (
    Alert,
    AlertKind,
    AtEnd,
    Authority,
    Backup,
    Capability,
    CapacityLimit,
    ChargerFacts,
    ChargerReading,
    ChargerState,
    CompanionFacts,
    CompanionReading,
    CompanionState,
    Confidence,
    Contact,
    ContactReading,
    Control,
    Departure,
    DeparturePlan,
    Event,
    Evidence,
    GridEvidence,
    Hold,
    Lease,
    Limits,
    LoadGroup,
    LoadOrder,
    LoadReading,
    LoadState,
    ManualKind,
    ManualOrder,
    MeterReading,
    Mode,
    Observation,
    Order,
    Pause,
    Position,
    Power,
    Program,
    Release,
    Scope,
    Settings,
    SiteFacts,
    Slot,
    SlotKind,
    Stop,
    Storm,
    SwitchFacts,
    SwitchOrder,
    SwitchOwner,
    SwitchReading,
    Tier,
    frozen_map,
    order_kind,
)
from edge_service.domain.policy import Rung
from edge_service.domain.program import Direction, Flag
from edge_service.drill_times import next_drill
from edge_service.load_hours import out_of_hours

START = datetime(2026, 7, 15, 20, 0, tzinfo=UTC)
NOMINAL_V = 240.0
CAPACITY_WH = 60000


class StoryError(AssertionError):
    """What was decided is not what the story expects; or the story says something that nobody understands."""


def moment(seconds: float) -> datetime:
    """The time of day at so many seconds from the story's start."""
    return START + timedelta(seconds=seconds)


# ---------------------------------------------------------------------------------------------- from words to the model


def _known(kind: type, given: Mapping[str, Any], where: str) -> None:
    allowed = {f.name for f in fields(kind)}
    if unknown := set(given) - allowed:
        raise StoryError(f"{where}: unknown {sorted(unknown)}; known are {sorted(allowed)}")


def _capability(given: Mapping[str, Any]) -> Capability:
    _known(Capability, given, "capability")
    kinds: dict[str, Any] = {"control": Control, "lease": Lease, "backup": Backup}
    plain = {"control": "signed", "charge_rating_w": 9600, "discharge_rating_w": 9600, "lease": "timer"}
    chosen = plain | {"backup": "can_form"} | dict(given)
    return Capability(**{name: kinds.get(name, _same)(value) for name, value in chosen.items()})


def _same(value: Any) -> Any:
    return value


def site_facts(given: Mapping[str, Any]) -> SiteFacts:
    """A house with one charger that can form, a meter and a switch, unless the story says otherwise."""
    _known(SiteFacts, given, "site")
    short = {"name": "Home", "import_max_w": 24000, "export_max_w": 9600, "has_meter": True}
    short |= {"enter_service_s": 10, "announce_return_s": 5}
    chosen: dict[str, Any] = short | dict(given)
    chargers = chosen.get("chargers", {"car": {}})
    chosen["chargers"] = frozen_map({name: _charger(name, dict(has)) for name, has in chargers.items()})
    chosen["leg_max_w"] = tuple(chosen.get("leg_max_w", ()))
    chosen["switch"] = _island_switch(chosen.get("switch", True))
    programs = chosen.get("programs", {"peak": {}})
    chosen["programs"] = frozen_map({name: _program(name, has) for name, has in programs.items()})
    chosen["contacts"] = frozenset(Contact(name) for name in chosen.get("contacts", ()))
    companions = chosen.get("companions", {})
    chosen["companions"] = frozen_map({name: _companion(name, has) for name, has in companions.items()})
    if "meter_position" in chosen:
        chosen["meter_position"] = Position(chosen["meter_position"])
    return SiteFacts(**chosen)


def _island_switch(given: bool | Mapping[str, Any]) -> SwitchFacts | None:
    """``given``: whether there is one, or its facts."""
    if isinstance(given, bool):
        return SwitchFacts() if given else None
    _known(SwitchFacts, given, "switch")
    return SwitchFacts(given.get("synchronism_check", False), SwitchOwner(given.get("owner", "edge")))


def _charger(name: str, has: dict[str, Any]) -> ChargerFacts:
    legs = tuple(has.pop("legs", ()))
    return ChargerFacts(name, name.title(), _capability(has), legs)


def _companion(name: str, has: Mapping[str, Any]) -> CompanionFacts:
    chosen = {**has, "position": Position(has.get("position", "protected_side"))}
    _known(CompanionFacts, chosen, "companion")
    return CompanionFacts(name, name.title(), **chosen)


def _companion_reading(at: datetime, tells: Mapping[str, Any]) -> CompanionReading:
    state = tells.get("state")
    return CompanionReading(at, None if state is None else CompanionState(state), solar_w=tells.get("solar_w"))


def _program(name: str, given: Mapping[str, Any]) -> Program:
    _known(Program, given, "program")
    chosen = {"pay_usd_per_kw": 275.0, **given, "scope": Scope(given.get("scope", "charger"))}
    return Program(id=name, name=name.title(), kind="manual", **chosen)


def settings_from(before: Settings, given: Mapping[str, Any]) -> Settings:
    """What the people of the story have decided by now."""
    _known(Settings, given, "settings")
    readers: dict[str, Any] = {
        "mode": Mode,
        "at_end": AtEnd,
        "opted_out": frozenset,
        "not_participating": frozenset,
        "drivers_reserve_pct": frozen_map,
        "event_floor_pct": frozen_map,
        "program_order": tuple,
        "manual": lambda orders: frozen_map({name: _manual(order) for name, order in orders.items()}),
        "departures": lambda plans: frozen_map({name: tuple(map(_plan, of)) for name, of in plans.items()}),
        "miles_per_kwh": frozen_map,
        "drivers_reserve_miles": frozen_map,
        "load_groups": lambda groups: frozen_map({name: _group(name, has) for name, has in groups.items()}),
        "lent_pct": frozen_map,
        "storm": lambda storm: Storm(moment(storm["until"]), storm["reserve_pct"], storm.get("name", "")),
        "return_not_before": lambda seconds: None if seconds is None else moment(seconds),
    }
    return replace(before, **{name: readers.get(name, _same)(value) for name, value in given.items()})


def _group(name: str, given: Mapping[str, Any]) -> LoadGroup:
    _known(LoadGroup, given, "load group")
    chosen = dict(given) | {"tier": Tier(given.get("tier", "nice_to_have")), "legs": tuple(given.get("legs", ()))}
    chosen["hours"] = tuple((start, end) for start, end in given.get("hours", ()))
    return LoadGroup(id=name, name=name.title(), **chosen)


def _manual(given: Mapping[str, Any]) -> ManualOrder:
    return ManualOrder(ManualKind(given["kind"]), START, moment(given["until"]), given.get("power_w"))


def _plan(given: Mapping[str, Any]) -> DeparturePlan:
    _known(DeparturePlan, given, "departure plan")
    readers: dict[str, Any] = {"at": moment, "skip_until": moment, "weekdays": tuple}
    return DeparturePlan(**{name: readers.get(name, _same)(value) for name, value in given.items()})


def _departure(given: Mapping[str, Any]) -> Departure:
    return Departure("trip", moment(given["at"]), given.get("soc_pct"), given.get("miles"))


def _alert(given: Mapping[str, Any]) -> Alert:
    """An alert of the program ``peak`` that runs at once and without an end, unless the story says otherwise."""
    end = given.get("end")
    return Alert(
        given["id"],
        given.get("source", "peak"),
        AlertKind(given["kind"]),
        given.get("name", given["id"]),
        moment(given.get("start", 0)),
        None if end is None else moment(end),
    )


_SLOT_KEYS = ("start", "end", "kind", "power_w", "share", "soc_pct", "energy_wh")


def _event(given: Mapping[str, Any]) -> Event:
    slots = given.get("slots") or [{key: given[key] for key in _SLOT_KEYS if key in given}]
    return Event(
        uid=given["uid"],
        program_id=given.get("program", "peak"),
        name=given.get("name", given["uid"]),
        announced_at=START,
        slots=tuple(_slot(slot) for slot in slots),
        priority=given.get("priority"),
        cancelled=given.get("cancelled", False),
        rehearsal=given.get("rehearsal", False) or given.get("dry", False),
        dry=given.get("dry", False),
        day=given.get("day", ""),
        flags=tuple(map(Flag, given.get("flags", ()))),
        asks=given.get("asks", False),
    )


def _slot(given: Mapping[str, Any]) -> Slot:
    kind = SlotKind(given.get("kind", "power"))
    return Slot(
        moment(given["start"]),
        moment(given["end"]),
        kind,
        given.get("power_w", 0),
        given.get("share", 1.0),
        given.get("soc_pct"),
        given.get("energy_wh"),
    )


def _limit(given: Mapping[str, Any]) -> CapacityLimit:
    """A capacity limit of ``peak`` that runs at once and without an end, unless the story says otherwise."""
    end = given.get("end")
    return CapacityLimit(
        given.get("id", given["direction"]),
        given.get("program", "peak"),
        Direction(given["direction"]),
        given["power_w"],
        moment(given.get("start", 0)),
        None if end is None else moment(end),
        given.get("priority"),
        given.get("subscribed", False),
    )


def order_words(order: Order | None) -> str:
    """An order as a story writes it."""
    match order:
        case Power(w):
            return f"{w} W"
        case Limits(charge_max_w, discharge_max_w):
            return f"charge {charge_max_w} W, discharge {discharge_max_w} W"
        case None:
            return "nothing"
        case _:
            return order_kind(order)


# ------------------------------------------------------------------------------------------------------- the tiny house


@dataclass
class Device:
    """A charger of the tiny house: it does what it was told, at once."""

    power_w: int = 0
    stopped: bool = False
    forming: bool = False
    soc_pct: float = 70.0


@dataclass
class House:
    """Grid, switch, house load and chargers. ``pins`` are values that the story fixes against what would follow."""

    facts: SiteFacts
    grid: bool = True
    house_w: int = 1200
    switch_obeys: bool = True
    in_step: bool = True
    will_form: bool = True
    will_stop: bool = True
    closed: bool = True
    generator_runs: bool = True
    unable: Sequence[str] = ()
    commanded_open: bool = False
    stopped_at: dict[str, datetime] = field(default_factory=dict)
    orders: dict[str, Evidence] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    pins: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    chargers: dict[str, Device] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    alerts: tuple[Alert, ...] = ()
    limits: tuple[CapacityLimit, ...] = ()
    drains: float = 0.0
    obeyed_at: datetime | None = None
    evidence: list[Mapping[str, Any]] = field(default_factory=list)
    departures: Mapping[str, Departure] = field(default_factory=dict)
    active: dict[Contact, bool] = field(default_factory=dict)
    contested: dict[str, datetime] = field(default_factory=dict)
    companions: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    loads: dict[str, LoadState | None] = field(default_factory=dict)
    group_w: Mapping[str, int] = field(default_factory=dict)
    loads_obey: bool = True

    def __post_init__(self) -> None:
        self.chargers = {name: Device() for name in self.facts.chargers}

    @property
    def load_w(self) -> int:
        """What the house draws, with the load groups that are on; each draws what was told of it."""
        on = [name for name, state in self.loads.items() if state in (LoadState.ON, LoadState.KEPT)]
        return self.house_w + sum(self.group_w.get(name, 0) for name in on)

    @property
    def _island(self) -> bool:
        return any(device.forming for device in self.chargers.values())

    @property
    def _generator(self) -> bool:
        """It feeds the house in the grid's place."""
        return self.generator_runs and self.active.get(Contact.GENERATOR, False)

    @property
    def _live(self) -> bool:
        grid = self.grid and not self.active.get(Contact.GENERATOR, False)
        return ((grid or self._generator) and self.closed) or self._island

    def observe(self, now: datetime) -> Observation:
        """Fresh readings of all that is not silent; a silent device keeps its last reading."""
        for name in self.facts.chargers:
            self._see(name, now, self._charger(name, now))
        self._see("meter", now, self._meter(now))
        self._see("switch", now, self._switch(now))
        for name in self.facts.companions:
            self._see(name, now, _companion_reading(now, self.companions.get(name, {"state": "on_grid"})))
        for contact in self.facts.contacts:
            self._see(contact, now, ContactReading(now, self.active.get(contact, self._by_itself(contact))))
        return Observation(
            now,
            frozen_map({name: self.seen.get(name) for name in self.facts.chargers}),
            self.seen.get("meter") if self.facts.has_meter else None,
            self.seen.get("switch") if self.facts.switch else None,
            tuple(_evidence(piece, now) for piece in self.evidence),
            self.events,
            frozen_map(self.stopped_at),
            contacts=frozen_map({name: self.seen[name] for name in self.facts.contacts if name in self.seen}),
            contested=frozen_map(self.contested),
            companions=frozen_map({name: self.seen[name] for name in self.facts.companions if name in self.seen}),
            orders=frozen_map(self.orders),
            alerts=self.alerts,
            capacity_limits=self.limits,
            loads=frozen_map({name: LoadReading(now, state) for name, state in self.loads.items() if state}),
        )

    def _by_itself(self, contact: Contact) -> bool:
        """What a contact says that no hand moves: the voltage relay follows the street."""
        return contact is Contact.GRID_LOST and not self.grid

    def _see(self, name: str, now: datetime, reading: Any) -> None:
        if name not in self.silent:
            self.seen[name] = replace(reading, **self.pins.get(name, {}), at=now)

    def _charger(self, name: str, now: datetime) -> ChargerReading:
        device = self.chargers[name]
        live_power = device.power_w if self._live and not device.stopped else 0
        power_w = -self.load_w if device.forming else live_power
        state = ChargerState.DISCHARGING if power_w < 0 else ChargerState.CHARGING if power_w else ChargerState.IDLE
        return ChargerReading(
            now,
            ChargerState.UNAVAILABLE if device.stopped else state,
            Authority.OURS,
            plugged=True,
            power_w=power_w,
            soc_pct=device.soc_pct,
            capacity_wh=CAPACITY_WH,
            charge_max_w=9600,
            discharge_max_w=9600,
            grid_present=None if device.forming else self._live,
            forming=device.forming,
            service_permitted=True,
            voltage_v=NOMINAL_V if self._live else 0.0,
        )

    def _meter(self, now: datetime) -> MeterReading:
        flows = self.grid and self.closed and not self.active.get(Contact.GENERATOR, False)
        through_w = self.load_w + sum(0 if d.stopped else d.power_w for d in self.chargers.values())
        alive = self._live if self.facts.meter_position is Position.PROTECTED_SIDE else self.grid
        return MeterReading(now, through_w if flows else 0, NOMINAL_V if alive else 0.0, 60.0)

    def _switch(self, now: datetime) -> SwitchReading:
        return SwitchReading(now, self.commanded_open, open_proven=not self.closed, closed_proven=self.closed)

    def know_loads(self, settings: Settings) -> None:
        """The groups that there are now; a new one is on."""
        groups = {**self.facts.relays, **settings.load_groups}
        self.group_w = {name: group.power_w or 0 for name, group in groups.items()}
        self.loads = {name: self.loads.get(name, LoadState.ON) for name in groups}

    def obey(self, decision: Decision) -> None:
        """Switch and chargers do as they are told, as far as the story lets them."""
        self._drain(decision.at)
        for name in self.facts.chargers:
            self._prove(name, decision.orders.get(name), decision.at)
        for name, order in decision.orders.items():
            self._follow(self.chargers[name], order)
            if not isinstance(order, Stop):
                self.stopped_at.pop(name, None)
            else:
                self.stopped_at.setdefault(name, decision.at)
        for name, device in self.chargers.items():
            device.forming = self._forms(name, device, decision.memory.island.former)
        self._obey_loads(decision)
        if decision.switch is not None:
            self.commanded_open = decision.switch is SwitchOrder.OPEN
            waits = self._island and not self.in_step and not self.commanded_open
            if self.switch_obeys and not waits:
                self.closed = not self.commanded_open

    def _drain(self, now: datetime) -> None:
        """What the house draws is taken from who carries it, so many times as fast as the story's clock."""
        hours = (now - (self.obeyed_at or now)).total_seconds() / 3600 * self.drains
        self.obeyed_at = now
        for name, device in self.chargers.items():
            if device.forming and hours:
                capacity_wh = self.pins.get(name, {}).get("capacity_wh") or CAPACITY_WH
                device.soc_pct = max(0.0, device.soc_pct - self.house_w * hours / capacity_wh * 100)

    def _obey_loads(self, decision: Decision) -> None:
        """Whoever switches the loads does as told, and leaves what a person did."""
        for name, order in decision.loads.items() if self.loads_obey else ():
            if order is LoadOrder.SHED and self.loads.get(name) is LoadState.ON:
                self.loads[name] = LoadState.SHED
            elif order is LoadOrder.ON and self.loads.get(name) in (LoadState.SHED, LoadState.KEPT):
                self.loads[name] = LoadState.ON

    def _prove(self, name: str, order: Order | None, at: datetime) -> None:
        """Written and read back at once."""
        if order is None:
            self.orders.pop(name, None)
        elif name not in self.orders or self.orders[name].order != order:
            self.orders[name] = Evidence(order, at, at, at)

    def _follow(self, device: Device, order: Order) -> None:
        match order:
            case Stop():
                device.power_w, device.stopped = 0, self.will_stop or not device.forming
            case Power(w):
                device.power_w, device.stopped = w, False
            case Limits(charge_max_w, discharge_max_w):
                device.power_w, device.stopped = charge_max_w or -discharge_max_w, False
            case Hold() | Pause() | Release():
                device.power_w, device.stopped = 0, False

    def _forms(self, name: str, device: Device, former: str | None) -> bool:
        """Its own act: with the switch open, on a dead bus, unless it is stopped or told not to."""
        if device.stopped or self.closed or name in self.unable:
            return False
        capability = self.facts.chargers[name].capability
        can = capability is not None and capability.backup is Backup.CAN_FORM
        return device.forming or (can and name == former and self.will_form)


def _evidence(piece: Mapping[str, Any], now: datetime) -> GridEvidence:
    """``age_s``: how old it always is; ``at``: or since when it has not been renewed."""
    at = moment(piece["at"]) if "at" in piece else now - timedelta(seconds=piece.get("age_s", 0))
    position, confidence = Position(piece.get("position", "grid_side")), Confidence(piece.get("confidence", "sure"))
    return GridEvidence(piece["source"], at, piece["present"], position, "", confidence, piece.get("valid_s"))


# ------------------------------------------------------------------------------------------------------------- the play


@dataclass
class Play:
    """A story while it runs."""

    story: Mapping[str, Any]
    facts: SiteFacts
    house: House
    settings: Settings
    memory: Memory = field(default_factory=Memory)
    happenings: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    refused: str | None = None
    observation: Observation | None = None
    ladder: Sequence[Rung] | None = None

    def steps(self) -> Iterator[tuple[float, Decision]]:
        """Decide each second and at each moment that the story names."""
        inputs = sorted(self.story.get("inputs", []), key=lambda step: step["at"])
        named = {step["at"] for step in inputs} | {expect["at"] for expect in self.story["expect"] if "at" in expect}
        last = max(named | {expect["to"] for expect in self.story["expect"] if "to" in expect}, default=0)
        for at in sorted(named | set(range(int(last) + 1))):
            for step in inputs:
                if step["at"] == at:
                    self._apply(step, moment(at))
            yield at, self._decide(moment(at))

    def _decide(self, now: datetime) -> Decision:
        self.settings = expire(self.settings, self.memory, now)
        coming = {**next_departures(self.settings.departures, now, self.facts.time_zone), **self._fixed(now)}
        due = next_drill(self.settings.drill_schedule, self.memory.drill, now, self.facts.time_zone)
        self.house.know_loads(self.settings)
        told = frozenset(self.memory.notices)
        observation = replace(self.house.observe(now), departures=frozen_map(coming), drill_due=due, brought=told)
        load_groups = {**self.facts.relays, **self.settings.load_groups}
        observation = replace(observation, out_of_hours=out_of_hours(load_groups, now, self.facts.time_zone))
        self.observation = observation
        decision = decide(observation, self.memory, self.settings, self.facts, self.ladder)
        self.memory = decision.memory
        self.settings = replace(self.settings, stopped=True) if decision.pressed else self.settings
        self.house.obey(decision)
        self.happenings += [f"{happening.subject}: {happening.kind}" for happening in decision.happenings]
        self.notices += [f"{notice.key}: {notice.kind}" for notice in decision.notices]
        return decision

    def _fixed(self, now: datetime) -> Mapping[str, Departure]:
        """The departures that the story names as such; like a plan for once, each is over at its time."""
        return {name: departure for name, departure in self.house.departures.items() if now < departure.at}

    def _apply(self, step: Mapping[str, Any], now: datetime) -> None:
        acts: dict[str, Any] = {
            "at": _same,
            "note": _same,
            "house": self._set_house,
            "chargers": self._pin_chargers,
            "meter": lambda given: self._pin("meter", MeterReading, given),
            "switch": lambda given: self._pin("switch", SwitchReading, given),
            "contacts": lambda given: self.house.active.update({Contact(name): on for name, on in given.items()}),
            "companions": self.house.companions.update,
            "contested": lambda given: setattr(
                self.house, "contested", {name: moment(since) for name, since in given.items()}
            ),
            "loads": lambda given: self.house.loads.update(
                {name: None if state is None else LoadState(state) for name, state in given.items()}
            ),
            "silent": lambda names: setattr(self.house, "silent", set(names)),
            "evidence": lambda pieces: setattr(self.house, "evidence", list(pieces)),
            "departures": lambda given: setattr(
                self.house, "departures", {name: _departure(departure) for name, departure in given.items()}
            ),
            "alerts": lambda alerts: setattr(self.house, "alerts", tuple(_alert(alert) for alert in alerts)),
            "limits": lambda limits: setattr(self.house, "limits", tuple(_limit(limit) for limit in limits)),
            "events": lambda events: setattr(self.house, "events", tuple(_event(event) for event in events)),
            "settings": lambda given: setattr(self, "settings", settings_from(self.settings, given)),
            "command": lambda given: self._command(given, now),
            "restart": self._restart,
            "cold_start": lambda _: setattr(self, "memory", Memory()),
        }
        for key, given in step.items():
            if key not in acts:
                raise StoryError(f"input at {step['at']} s: unknown {key!r}; known are {sorted(acts)}")
            acts[key](given)

    def _restart(self, _: Any) -> None:
        self.memory = self.memory.after_restart()

    def _set_house(self, given: Mapping[str, Any]) -> None:
        for key, value in given.items():
            if key not in (
                "grid",
                "house_w",
                "loads_obey",
                "switch_obeys",
                "in_step",
                "will_form",
                "will_stop",
                "closed",
                "generator_runs",
                "drains",
                "unable",
            ):
                raise StoryError(f"the house has no {key!r}")
            setattr(self.house, key, value)

    def _pin_chargers(self, given: Mapping[str, Mapping[str, Any]]) -> None:
        for name, values in given.items():
            self._pin(name, ChargerReading, values)

    def _pin(self, name: str, kind: type, given: Mapping[str, Any]) -> None:
        _known(kind, given, name)
        readers: dict[str, Any] = {"state": ChargerState, "authority": Authority, "alarms": tuple}
        readers |= {"leg_power_w": tuple, "leg_voltage_v": tuple}
        pins = self.house.pins.setdefault(name, {})
        for key, value in given.items():
            if value == "follow":
                pins.pop(key, None)
            else:
                pins[key] = value if value is None else readers.get(key, _same)(value)

    def _command(self, given: Mapping[str, Any], now: datetime) -> None:
        args = {key: _argument(key, value) for key, value in given.items() if key not in ("name", "local")}
        local, seen = given.get("local", False), self.observation
        asked = Asked(args, self.settings, self.facts, self.memory, now, local, seen)
        try:
            self.settings, self.refused = carry_out(given["name"], asked), None
        except CommandRefusedError as refusal:
            self.refused = refusal.code


def _argument(key: str, value: Any) -> Any:
    return moment(value).isoformat() if key in ("until", "at") else value


def decided(play: Play, decision: Decision) -> dict[str, Any]:
    """Everything of a decision that a story may speak of, in its words."""
    return {
        "grid": decision.grid.value,
        "supply": decision.supply.value,
        "island": decision.memory.island.step.value,
        "former": decision.memory.island.former,
        "failure": decision.memory.island.failure,
        "switch": decision.switch.value if decision.switch else "nothing",
        "orders": {name: order_words(decision.orders.get(name)) for name in play.facts.chargers},
        "reason": decision.reason,
        "rungs": dict(decision.reasons),
        "heard": {name: [rung for rung, _ in groupby(s.rung for s in steps)] for name, steps in decision.steps.items()},
        "why": {name: steps[-1].reason for name, steps in decision.steps.items() if steps},
        "adjusted": dict(decision.adjusted),
        "house_w": decision.house_w,
        "vendor_reserve_pct": decision.vendor_reserve_pct,
        "happenings": [f"{happening.subject}: {happening.kind}" for happening in decision.happenings],
        "notices": [f"{notice.key}: {notice.kind}" for notice in decision.notices],
        "cleared": list(decision.cleared),
        "standing": [f"{key}: {kind}" for key, kind in sorted(decision.memory.notices.items())],
        "events": {uid: account.stage.value for uid, account in decision.memory.events.items()},
        "delivered_wh": {uid: round(account.charger_wh, 1) for uid, account in decision.memory.events.items()},
        "promised_w": {uid: account.feasible_w for uid, account in decision.memory.events.items()},
        "limited_by": {uid: account.limited_by for uid, account in decision.memory.events.items()},
        "refused": play.refused,
        "evidence": decision.memory.grid.evidence,
        "disputed": decision.disputed,
        "counts": [one.piece.source for one in decision.weighed if one.counts],
        "readiness": decision.readiness.level.value,
        "lacks": [f"{subject}: {code}" for code, subject in decision.readiness.reasons],
        "dark_start_at": _seconds(dark_start_at(decision.memory, play.facts)),
        "loads": {name: order.value for name, order in decision.loads.items()},
        "load_reasons": {name: group.reason for name, group in decision.memory.loads.groups.items()},
        "reserve_pct": {name: decision.settings.drivers_reserve(name) for name in play.facts.chargers},
        "at_end": decision.settings.at_end.value,
        "storm": _storm(decision),
        "told": {notice.key: dict(notice.data) for notice in decision.notices},
        "drill": _drill(decision.memory.drill),
    }


def _drill(drill: DrillMemory | None) -> dict[str, Any]:
    """What a story may say of a drill."""
    if drill is None:
        return {}
    return {
        "stage": drill.stage.value,
        "reasons": list(drill.reasons),
        "score": drill.score,
        "transfer_s": drill.transfer_s,
        "return_s": drill.return_s,
    }


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else (at - START).total_seconds()


def _storm(decision: Decision) -> dict[str, Any]:
    """What a story may say of the storm that is prepared for; empty: there is none."""
    storm = decision.settings.storm_at(decision.at)
    if storm is None:
        return {}
    until = (storm.until - START).total_seconds()
    return {"name": storm.name, "reserve_pct": storm.reserve_pct, "until": until, "alert": storm.alert}


PARTIAL = frozenset(
    {
        "loads",
        "load_reasons",
        "reserve_pct",
        "told",
        "drill",
        "orders",
        "rungs",
        "heard",
        "why",
        "events",
        "adjusted",
        "delivered_wh",
        "promised_w",
        "limited_by",
    }
)


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Each expectation that did not come true, in words. Maps name only what they speak of."""
    wrong = []
    for key, value in expected.items():
        if key in ("at", "from", "to", "note"):
            continue
        if key not in found:
            raise StoryError(f"a story cannot expect {key!r}; it can expect {sorted(found)}")
        actual = {name: found[key].get(name) for name in value} if key in PARTIAL else found[key]
        if actual != value:
            wrong.append(f"{key}: expected {value!r}, decided {actual!r}")
    return wrong


def _holds_at(expected: Mapping[str, Any], at: float) -> bool:
    return bool(expected["at"] == at if "at" in expected else expected["from"] <= at <= expected["to"])


def play_file(path: Path, ladder: Sequence[Rung] | None = None) -> Play:
    """Play a story from its file. Raises StoryError with the first moment that differs and the steps behind it."""
    story = json.loads(path.read_text(encoding="utf-8"))
    allowed = {"title", "story", "site", "settings", "inputs", "expect", "all_happenings", "all_notices"}
    if unknown := set(story) - allowed:
        raise StoryError(f"unknown {sorted(unknown)}; known are {sorted(allowed)}")
    facts = site_facts(story.get("site", {}))
    play = Play(story, facts, House(facts), settings_from(Settings(), story.get("settings", {})), ladder=ladder)
    for at, decision in play.steps():
        found = decided(play, decision)
        for expected in story["expect"]:
            if _holds_at(expected, at) and (wrong := differences(expected, found)):
                raise StoryError(_mismatch(story, at, expected, wrong, decision))
    for key, found_all in (("all_happenings", play.happenings), ("all_notices", play.notices)):
        if key in story and story[key] != found_all:
            raise StoryError(f"{story['title']}\n  {key}: expected\n    {story[key]}\n  told\n    {found_all}")
    return play


def _mismatch(
    story: Mapping[str, Any], at: float, expected: Mapping[str, Any], wrong: list[str], decision: Decision
) -> str:
    lines = [story["title"], f"  at {at} s: {expected.get('note', 'this differs')}"]
    lines += [f"    {line}" for line in wrong]
    lines.append(f"  the grid's evidence: {decision.verdict}; island {decision.memory.island.step}")
    for name, steps in decision.steps.items():
        told = " > ".join(f"{step.rung}/{step.reason} [{step.low_w}, {step.high_w}]" for step in steps)
        lines.append(f"  {name}: {told}")
    return "\n".join(lines)
