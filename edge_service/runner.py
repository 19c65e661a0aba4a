"""One control cycle (observe, decide, act, publish) and its pacing. What is known is frozen before it is judged.

Reading and acting run per device, each with one thing under way, so that a device that does not answer holds up
neither the others nor a protective act. An order is renewed only by a completed cycle.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from edge_service.charger_desk import ChargerDesk
from edge_service.companion_desk import CompanionDesk
from edge_service.contact_desk import ContactDesk
from edge_service.departures import next_departures
from edge_service.domain import islanding
from edge_service.domain.commands import expire
from edge_service.domain.decide import Decision, decide, next_change
from edge_service.domain.load_fit import groups
from edge_service.domain.memory import Memory, OutageMemory
from edge_service.domain.model import (
    Alert,
    Capability,
    CapacityLimit,
    Contact,
    Event,
    Evidence,
    Grid,
    GridEvidence,
    Happening,
    LoadReading,
    MeterReading,
    Mode,
    Observation,
    Price,
    Program,
    Settings,
    SiteFacts,
    SwitchOrder,
    SwitchReading,
    frozen_map,
)
from edge_service.domain.tally import Tally
from edge_service.drill_times import next_drill
from edge_service.load_desk import LoadDesk
from edge_service.load_hours import out_of_hours
from edge_service.ports import (
    Charger,
    Clock,
    ContactInput,
    DeviceError,
    DeviceIdentity,
    GridSensor,
    IslandSwitch,
    LoadRelay,
    Meter,
    MovedOnRequest,
    Restarts,
)

LOG = logging.getLogger(__name__)

# Share of the cycle in which devices may answer; then the decision is made with what is there.
READ_SHARE = 0.8
# Words of people and utilities that follow each other faster than this wait for the next cycle; the last one counts.
WAKES_EVERY_S = 2.0
# A clock that differs by more than this from the time that passed was set.
CLOCK_JUMP_S = 2.0
# How late cycles began is kept for this many for the 99th percentile: ten minutes at one a second.
KEPT_LATENESS = 600


@dataclass(frozen=True, slots=True)
class Image:
    """Everything that one cycle knew and decided, for those who show and record it.

    ``clock_set_s``: by how much the clock was set since the cycle before, 0 where it was not.
    """

    observation: Observation
    memory_before: Memory
    settings: Settings
    facts: SiteFacts
    decision: Decision
    identities: Mapping[str, DeviceIdentity]
    progress: Mapping[str, Evidence]
    happenings: tuple[Happening, ...]
    cycle_late_p99_ms: float | None
    clock_set_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Pacing:
    """Periods in seconds. ``fast_s`` is for devices that declare a fast-safe register block.

    ``transfer_s`` is the cycle while the grid is suspect or the house between two supplies: waiting there is dark time.
    """

    cycle_s: float = 1.0
    fast_s: float = 0.1
    transfer_s: float = 0.1


class Witness(Protocol):
    """Gets each image, after the orders were given. Must not block."""

    def witness(self, image: Image) -> None: ...


class Reported(Protocol):
    """What clients report of things that only they see, as far as it counts now."""

    def evidence(self) -> tuple[GridEvidence, ...]: ...

    def loads(self) -> Mapping[str, LoadReading]: ...

    def alerts(self) -> tuple[Alert, ...]: ...

    def brought(self) -> frozenset[str]:
        """Keys of the standing notices that a client has brought to people."""
        ...


class NothingReported:
    """No client is there that could report."""

    def evidence(self) -> tuple[GridEvidence, ...]:
        return ()

    def loads(self) -> Mapping[str, LoadReading]:
        return frozen_map()

    def alerts(self) -> tuple[Alert, ...]:
        return ()

    def brought(self) -> frozenset[str]:
        return frozenset()


class People(Protocol):
    """What people and utilities want: settings, and the known events."""

    @property
    def settings(self) -> Settings: ...

    def replace_expired(self, settings: Settings) -> None:
        """Take over settings from which only time has taken something away."""
        ...

    def press_stop(self) -> None:
        """The stop contact is active: the settings hold a stop from now on. Called with every such decision."""
        ...

    def events(self) -> Sequence[Event]: ...

    def alerts(self) -> Sequence[Alert]: ...

    def capacity_limits(self) -> tuple[CapacityLimit, ...]: ...

    def prices(self) -> tuple[Price, ...]: ...

    def outage_over(self) -> None:
        """The grid is back after an outage. Must not block."""
        ...

    def seasons(self, programs: Mapping[str, Program], now: datetime) -> Mapping[str, Tally]:
        """What each program's season has come to."""
        ...


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of a site, connected or not."""

    chargers: Sequence[Charger]
    meter: Meter | None = None
    switch: IslandSwitch | None = None
    contacts: Mapping[Contact, ContactInput] = field(default_factory=frozen_map)
    companions: Sequence[GridSensor] = ()
    relays: Sequence[LoadRelay] = ()


class Runner:
    """Runs the cycle until cancelled."""

    def __init__(
        self,
        facts: SiteFacts,
        devices: Devices,
        people: People,
        witness: Witness,
        clock: Clock,
        *,
        memory: Memory | None = None,
        pacing: Pacing | None = None,
        reported: Reported | None = None,
    ) -> None:
        self._reported = reported or NothingReported()
        self._facts, self._clock, self._people, self._witness = facts, clock, people, witness
        self._pacing = pacing or Pacing()
        self._memory = memory or Memory()
        self._urgent = asyncio.Event()
        self._desks = {charger.id: ChargerDesk(charger, self._urgent.set, clock) for charger in devices.chargers}
        self._probed: tuple[SiteFacts, list[Capability | None], SiteFacts] | None = None
        self._meter, self._switch = devices.meter, devices.switch
        self._contacts = {
            name: ContactDesk(name, contact, self._urgent.set, clock) for name, contact in devices.contacts.items()
        }
        self._companions = {one.id: CompanionDesk(one, self._urgent.set, clock) for one in devices.companions}
        self._relays = {relay.id: LoadDesk(relay, self._urgent.set, clock) for relay in devices.relays}
        self._meter_reading: MeterReading | None = None
        self._switch_reading: SwitchReading | None = None
        self._moving: asyncio.Task[None] | None = None
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._lateness_s: deque[float] = deque(maxlen=KEPT_LATENESS)
        # Per charger: of what its orders' evidence was last told, so that nothing is told each cycle.
        self._cycle_at: float | None = None
        self._told: tuple[datetime, float] | None = None
        self._clock_set_s = 0.0
        self._woken_at: float | None = None
        self.image: Image | None = None

    @property
    def facts(self) -> SiteFacts:
        """The site's facts with what the probes found; the same object until one finds something else."""
        found = [desk.capability for desk in self._desks.values()]
        if self._probed is None or self._probed[:2] != (self._facts, found):
            self._probed = self._facts, found, self._with_capabilities()
        return self._probed[2]

    def _with_capabilities(self) -> SiteFacts:
        chargers = {
            name: replace(
                facts,
                capability=self._desks[name].capability or facts.capability,
                restarts=isinstance(self._desks[name].charger, Restarts),
            )
            for name, facts in self._facts.chargers.items()
        }
        return replace(self._facts, chargers=frozen_map(chargers))

    @property
    def memory(self) -> Memory:
        return self._memory

    def wake(self) -> None:
        """Decide now: a person or a utility has said something.

        One who never stops saying something else waits for the cycle, as every other order to a device would: a
        protective act takes its turn behind the order that is under way.
        """
        now = self._clock.monotonic()
        if self._woken_at is None or now - self._woken_at >= WAKES_EVERY_S:
            self._woken_at = now
            self._urgent.set()

    def wake_at_once(self) -> None:
        """Decide now, whatever was said a moment ago: a person wants everything to stop."""
        self._urgent.set()

    def set_programs(self, facts: SiteFacts) -> None:
        """Take over changed programs."""
        self._facts = replace(self._facts, programs=facts.programs)

    def take_up(self, charger: str) -> None:
        """Command a charger again that was left to another controller: a person says so."""
        if (desk := self._desks.get(charger)) is not None:
            desk.take_up()

    async def restart(self, charger: str) -> None:
        """Tell a charger that can to start itself anew. Raises ``DeviceError``."""
        if isinstance(device := self._desks[charger].charger, Restarts):
            await device.restart()

    def age_s(self) -> float | None:
        """Seconds since the last completed cycle; None before the first."""
        return None if self._cycle_at is None else self._clock.monotonic() - self._cycle_at

    async def run(self) -> None:
        """Cycle and fast lanes, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, desk in self._desks.items():
                    if desk.fast_lane is not None:
                        group.create_task(desk.watch(self._pacing.fast_s), name=f"fast lane {name}")
                for contact, contact_desk in self._contacts.items():
                    group.create_task(contact_desk.watch(self._pacing.fast_s), name=f"contact {contact}")
                for companion, companion_desk in self._companions.items():
                    group.create_task(companion_desk.watch(self._pacing.cycle_s), name=f"companion {companion}")
                for relay, load_desk in self._relays.items():
                    group.create_task(load_desk.watch(self._pacing.cycle_s), name=f"relay {relay}")
                group.create_task(self._cycles(), name="control cycle")
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _cycles(self) -> None:
        due = self._clock.monotonic()
        while True:
            started = self._clock.monotonic()
            if started >= due:
                self._lateness_s.append(started - due)
                due = max(due + self._pacing.cycle_s, started)
                await self.cycle()
            else:
                self._decide()
            if self._is_urgent_time():
                due = min(due, self._clock.monotonic() + self._pacing.transfer_s)
            await self._wait_until(due)

    async def cycle(self) -> None:
        """One whole cycle, now: read, decide, act. For those who have a pace of their own, such as simulations."""
        await self._observe()
        self._decide()

    def _decide(self) -> None:
        self._urgent.clear()
        self._decide_and_act()

    def _is_urgent_time(self) -> bool:
        """A suspicion wants the other sources' word at once, a transfer the next contact."""
        return self._memory.grid.state is Grid.SUSPECT or self._memory.island.step in islanding.IN_TRANSFER

    async def _wait_until(self, due: float) -> None:
        """Sleep to the next cycle, to when time alone changes the decision, or until something urgent."""
        wait_s = due - self._clock.monotonic()
        now = self._clock.now()
        limits = self._people.capacity_limits()
        change = next_change(self._people.events(), self._memory, self._facts, now, limits)
        if change is not None:
            wait_s = min(wait_s, (change - now).total_seconds())
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                await self._urgent.wait()
        except TimeoutError:
            pass

    async def _observe(self) -> None:
        """Read every device at once; a device still busy with its last read is not asked again."""
        for name, desk in self._desks.items():
            self._ask(name, desk.read)
        if self._meter is not None:
            self._ask("meter", self._read_meter)
        if self._switch is not None:
            self._ask("switch", self._read_switch)
        await self._finished_or_urgent()

    def _ask(self, name: str, read: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._under_way.get(name)
        if task is None or task.done():
            if task is not None:
                task.result()  # a defect in a driver ends the process; it must not be lost in a task
            self._under_way[name] = asyncio.create_task(read(), name=f"read {name}", eager_start=True)

    async def _finished_or_urgent(self) -> None:
        pending = [task for task in self._under_way.values() if not task.done()]
        if not pending:
            return
        period_s = self._pacing.transfer_s if self._is_urgent_time() else self._pacing.cycle_s
        # Waiting for all reads as one costs each of them one call, not one for each other that ends before it.
        waits = (
            asyncio.create_task(self._urgent.wait(), name="urgent"),
            asyncio.create_task(asyncio.wait(pending), name="reads"),
        )
        try:
            await asyncio.wait(waits, timeout=period_s * READ_SHARE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _read_meter(self) -> None:
        if self._meter is None:
            return
        try:
            self._meter_reading = await self._meter.read(self._clock.now())
        except DeviceError as error:
            LOG.info("meter: %s", error)

    async def _read_switch(self) -> None:
        if self._switch is None:
            return
        try:
            self._switch_reading = await self._switch.read(self._clock.now())
        except DeviceError as error:
            LOG.info("island switch: %s", error)

    def _follow_clock(self) -> None:
        """Carry delays over a clock that was set: they are counted in time that passed, not in time that was told."""
        told, passed_s = self._clock.now(), self._clock.monotonic()
        self._clock_set_s = 0.0
        if self._told is not None:
            jump_s = (told - self._told[0]).total_seconds() - (passed_s - self._told[1])
            if abs(jump_s) > CLOCK_JUMP_S:
                LOG.warning("the clock was set by %.1f s; running delays go on as they were", jump_s)
                self._clock_set_s = jump_s
                self._memory = self._memory.shifted(timedelta(seconds=jump_s))
                for desk in self._desks.values():
                    desk.clock_set(timedelta(seconds=jump_s))
        self._told = told, passed_s

    def _decide_and_act(self) -> None:
        self._follow_clock()
        settings = expire(self._people.settings, self._memory, self._clock.now())
        if settings is not self._people.settings:
            self._people.replace_expired(settings)
        facts, before = self.facts, self._memory
        observation = self._freeze()
        decision = decide(observation, before, settings, facts)
        self._memory = decision.memory
        if _runs(before.outage) and not _runs(decision.memory.outage):
            self._people.outage_over()
        if decision.pressed:
            self._latch_stop(settings)
        self._act(decision)
        self._publish(observation, before, settings, facts, decision)
        self._cycle_at = self._clock.monotonic()

    def _latch_stop(self, settings: Settings) -> None:
        self._people.press_stop()
        if not settings.stopped:
            self._urgent.set()  # the next decision is made of the latched settings, and shows them

    def _freeze(self) -> Observation:
        now = self._clock.now()
        return Observation(
            now=now,
            chargers=frozen_map({name: desk.reading for name, desk in self._desks.items()}),
            meter=self._meter_reading,
            switch=self._facts.fresh(self._switch_reading, now),  # one that is silent is where nobody knows
            events=tuple(self._people.events()),
            evidence=self._reported.evidence(),
            alerts=tuple({alert.id: alert for alert in (*self._people.alerts(), *self._reported.alerts())}.values()),
            stopped=frozen_map({name: at for name, desk in self._desks.items() if (at := desk.stopped_at) is not None}),
            contested=frozen_map({name: at for name, desk in self._desks.items() if (at := desk.contested_since)}),
            orders=frozen_map(self._evidence()),
            contacts=frozen_map({name: desk.reading for name, desk in self._contacts.items() if desk.reading}),
            companions=frozen_map({name: desk.reading for name, desk in self._companions.items() if desk.reading}),
            loads=frozen_map({**self._reported.loads(), **self._relay_readings()}),
            departures=frozen_map(next_departures(self._people.settings.departures, now, self._facts.time_zone)),
            drill_due=next_drill(self._people.settings.drill_schedule, self._memory.drill, now, self._facts.time_zone),
            brought=self._reported.brought(),
            capacity_limits=self._people.capacity_limits(),
            prices=self._people.prices(),
            seasons=self._people.seasons(self._facts.programs, now),
            out_of_hours=out_of_hours(groups(self._people.settings, self._facts), now, self._facts.time_zone),
        )

    def _relay_readings(self) -> dict[str, LoadReading]:
        return {name: desk.reading for name, desk in self._relays.items() if desk.reading}

    def _evidence(self) -> dict[str, Evidence]:
        return {name: evidence for name, desk in self._desks.items() if (evidence := desk.evidence) is not None}

    def _act(self, decision: Decision) -> None:
        for name, desk in self._desks.items():
            desk.give(decision.orders.get(name), decision.at)
        for name, companion in self._companions.items():
            keeps = name in self._facts.companions and self._facts.companions[name].keeps_reserve
            companion.keep(decision.vendor_reserve_pct if keeps else None)
        watches = decision.settings.mode is Mode.READ_ONLY
        for name, load in self._relays.items():
            load.give(None if watches else decision.loads.get(name))
        if self._moving is not None and self._moving.done():
            self._moving.result()  # as with reads: a defect is not lost in a task
            self._moving = None
        if self._switch is not None and isinstance(self._switch, MovedOnRequest):
            self._switch.keep_only(decision.switch)
        if decision.switch is not None and self._switch is not None and self._moving is None:
            moving = self._move(self._switch, decision.switch)
            self._moving = asyncio.create_task(moving, name="island switch", eager_start=True)

    async def _move(self, switch: IslandSwitch, order: SwitchOrder) -> None:
        reading = self._switch_reading
        if reading is not None and reading.commanded_open is (order is SwitchOrder.OPEN):
            return
        try:
            await switch.move(order)
            await self._read_switch()
        except DeviceError as error:
            LOG.warning("island switch: %s", error)
        if _contacts(self._switch_reading) != _contacts(reading):
            self._urgent.set()

    def _publish(
        self,
        observation: Observation,
        before: Memory,
        settings: Settings,
        facts: SiteFacts,
        decision: Decision,
    ) -> None:
        self.image = Image(
            observation=observation,
            memory_before=before,
            settings=settings,
            facts=facts,
            decision=decision,
            identities={name: desk.identity for name, desk in self._desks.items() if desk.identity},
            progress=self._evidence(),
            happenings=decision.happenings,
            cycle_late_p99_ms=self._late_p99_ms(),
            clock_set_s=self._clock_set_s,
        )
        self._witness.witness(self.image)

    def _late_p99_ms(self) -> float | None:
        """How late cycles start, 99th percentile, in milliseconds."""
        if not self._lateness_s:
            return None
        late = sorted(self._lateness_s)
        return round(late[int(len(late) * 0.99)] * 1000, 2)

    async def close(self) -> None:
        """Close every device."""
        for desk in self._desks.values():
            await desk.close()
        for companion in self._companions.values():
            await companion.close()
        for load in self._relays.values():
            await load.close()
        if self._moving is not None:
            await asyncio.gather(self._moving, return_exceptions=True)
        for device in (self._meter, self._switch, *(desk.contact for desk in self._contacts.values())):
            if device is not None:
                await device.close()


def _runs(outage: OutageMemory | None) -> bool:
    return outage is not None and outage.ended_at is None


def _contacts(reading: SwitchReading | None) -> tuple[bool | None, ...] | None:
    return None if reading is None else (reading.commanded_open, reading.open_proven, reading.closed_proven)
