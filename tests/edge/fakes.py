"""Fakes that implement the ports, for tests of the core without sockets; and a time that leaps while everybody waits.

A test marked ``@leaping`` runs on a loop whose clock stands while anything works, and leaps to the next timer once all
wait. So seconds and minutes cost nothing, every run is the same, and a loop that never waits fails instead of hanging.
"""

import asyncio
import selectors
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Never

from edge_service.domain.model import (
    Alert,
    Capability,
    CapacityLimit,
    ChargerReading,
    ChargerState,
    CompanionReading,
    CompanionState,
    ContactReading,
    Event,
    Happening,
    MeterReading,
    Notice,
    Order,
    Power,
    Price,
    Release,
    Settings,
    Stop,
    SwitchOrder,
    SwitchReading,
)
from edge_service.domain.settlement import Settlement
from edge_service.ports import DeviceIdentity, FastReading, Filing, NumberedHappening, ProgramNews
from tests.edge.domain.houses import DER, T0, a_reading

# So many rounds of the loop at one moment are a task that never waits.
MOST_ROUNDS = 20_000
# No real clock stands still either.
ROUND_S = 1e-9


class _Leaps(selectors.SelectSelector):
    """Instead of waiting, lets the time go on."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._rounds = 0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        self._rounds = 0 if timeout and not ready else self._rounds + 1
        if self._rounds > MOST_ROUNDS:
            self._rounds = 0
            raise AssertionError(f"at {self.now_s:.3f} s a task works without ever waiting")
        if timeout is None and not ready:
            raise AssertionError(f"at {self.now_s:.3f} s everybody waits for what never comes")
        if not ready:
            self.now_s += max(timeout or 0.0, ROUND_S)
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """A loop whose time begins at 0 and leaps."""

    def __init__(self) -> None:
        self._leaps = _Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.now_s


def leaping[**P](test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an async test in leaping time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def told() -> None:
            await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=LeapingLoop) as runner:
            runner.run(told())

    return run


class LeapingClock:
    """``Clock`` of a leaping test: the wall clock begins at ``T0``; ``set_by`` says how far it was set since."""

    set_by = timedelta()

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.monotonic()) + self.set_by

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


async def passes(seconds: float) -> None:
    """So much leaping time goes by."""
    await asyncio.sleep(seconds)


async def until(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """Return soon after something holds, half a percent late; fails when it does not within so much leaping time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not holds():
        waited_s = loop.time() - began
        assert waited_s < within_s, f"not so within {within_s} s"
        await asyncio.sleep(max(0.001, waited_s / 200))


async def _never() -> Never:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


# -------------------------------------------------------------------------------------------------------------- devices


class FakeDevice:
    """What it was asked and when; per question ``trouble`` is raised, those in ``hanging`` are never answered."""

    def __init__(self) -> None:
        self.asked: defaultdict[str, list[float]] = defaultdict(list)
        self.trouble: dict[str, Exception] = {}
        self.hanging: set[str] = set()
        self.closed = False

    async def _ask(self, question: str) -> None:
        self.asked[question].append(asyncio.get_running_loop().time())
        if question in self.hanging:
            await _never()
        if question in self.trouble:
            raise self.trouble[question]

    async def close(self) -> None:
        self.closed = True


class FakeCharger(FakeDevice):
    """``Charger``: at rest on a good grid; ``shows`` overrides fields of its readings.

    Unless it ``follows`` it takes orders and does nothing.
    """

    def __init__(self, name: str = "car", capability: Capability = DER) -> None:
        super().__init__()
        self.id = name
        self.capability = capability
        self.shows: dict[str, Any] = {}
        self.orders: list[Order] = []
        self.follows = True

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        await self._ask("probe")
        return DeviceIdentity("SimVendor", "Sim", self.id), self.capability

    async def read(self, now: datetime) -> ChargerReading:
        await self._ask("read")
        return a_reading(now, **self.shows)

    async def order(self, order: Order, now: datetime) -> None:
        """The power is there at once."""
        await self._ask("order")
        self.orders.append(order)
        ordered_w = order.w if isinstance(order, Power) else 0
        self.shows["power_w"] = ordered_w if self.follows else 0
        self.shows["setpoint_w"] = None if isinstance(order, Stop | Release) else ordered_w
        self.shows["state"] = ChargerState.UNAVAILABLE if isinstance(order, Stop) else ChargerState.IDLE


class FastCharger(FakeCharger):
    """One that has a fast lane besides."""

    async def read_fast(self, now: datetime) -> FastReading:
        await self._ask("read_fast")
        reading = a_reading(now, **self.shows)
        return FastReading(now, reading.grid_present, reading.forming, reading.voltage_v, reading.power_w)


class FakeMeter(FakeDevice):
    """``Meter``: a house of 1.2 kW on a good grid."""

    def __init__(self) -> None:
        super().__init__()
        self.power_w, self.voltage_v = 1200, 240.0

    async def probe(self) -> DeviceIdentity:
        return DeviceIdentity("SimVendor", "Meter", "M1")

    async def read(self, now: datetime) -> MeterReading:
        await self._ask("read")
        return MeterReading(now, self.power_w, self.voltage_v, 60.0)


class FakeSwitch(FakeDevice):
    """``IslandSwitch``: closed; takes each order, and its contacts follow unless it is ``stuck``."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[SwitchOrder] = []
        self.commanded_open: bool | None = False
        self.open, self.stuck, self.tells_its_order = False, False, True

    async def probe(self) -> DeviceIdentity:
        return DeviceIdentity("SimVendor", "Switch", "S1")

    async def read(self, now: datetime) -> SwitchReading:
        await self._ask("read")
        commanded = self.commanded_open if self.tells_its_order else None
        return SwitchReading(now, commanded, open_proven=self.open, closed_proven=not self.open)

    async def move(self, order: SwitchOrder) -> None:
        await self._ask("move")
        self.moves.append(order)
        self.commanded_open = order is SwitchOrder.OPEN
        self.open = self.open if self.stuck else self.commanded_open


class FakeContact(FakeDevice):
    """``ContactInput``."""

    def __init__(self, *, active: bool = False) -> None:
        super().__init__()
        self.active = active

    async def probe(self) -> DeviceIdentity:
        return DeviceIdentity("SimVendor", "Contact", "C1")

    async def read(self, now: datetime) -> ContactReading:
        await self._ask("read")
        return ContactReading(now, self.active)


class FakeCompanion(FakeDevice):
    """``GridSensor`` and ``KeepsReserve``: on the grid; its reserve is what was set last, by us or by ``app``."""

    def __init__(self, name: str = "plant", read_every_s: float = 0.0) -> None:
        super().__init__()
        self.id, self.read_every_s = name, read_every_s
        self.state: CompanionState | None = CompanionState.ON_GRID
        self.reserve_pct, self.kept = 10.0, list[float]()

    async def probe(self) -> DeviceIdentity:
        return DeviceIdentity("SimVendor", "Companion", "P1")

    async def read(self, now: datetime) -> CompanionReading:
        await self._ask("read")
        return CompanionReading(now, self.state, reserve_pct=self.reserve_pct)

    async def keep_reserve(self, pct: float) -> None:
        await self._ask("keep_reserve")
        self.kept.append(pct)
        self.reserve_pct = pct


# ------------------------------------------------------------------------------------------------------------- programs


class FakeSource:
    """``ProgramSource``: gives its answers one by one, the last for ever. An exception is raised."""

    def __init__(self, name: str, *answers: Sequence[Event] | Exception, poll_s: float = 10.0) -> None:
        self.id, self.poll_s = name, poll_s
        self.alerts: tuple[Alert, ...] = ()
        self.limits: tuple[CapacityLimit, ...] = ()
        self.prices: tuple[Price, ...] = ()
        self.answers: deque[Sequence[Event] | Exception] = deque(answers)
        self.problems: tuple[str, ...] = ()
        self.version: str | None = None
        self.polled_at: list[float] = []

    async def poll(self, now: datetime) -> ProgramNews:
        self.polled_at.append(asyncio.get_running_loop().time())
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return ProgramNews(
            now,
            tuple(answer),
            self.problems,
            alerts=self.alerts,
            limits=self.limits,
            prices=self.prices,
            version=self.version,
        )

    async def close(self) -> None: ...


# -------------------------------------------------------------------------------------------------------------- journal


class MemoryJournal:
    """``Journal`` in memory. While the ``disk_fails`` everything raises OSError; ``slow_s`` is what each write takes.

    ``wrote`` names what got there, in order.
    """

    def __init__(self) -> None:
        self.disk_fails = False
        self.slow_s = 0.0
        self.wrote: list[str] = []
        self.settings = Settings()
        self.events: tuple[Event, ...] = ()
        self.alerts: tuple[Alert, ...] = ()
        self.limits: tuple[CapacityLimit, ...] = ()
        self.prices: tuple[Price, ...] = ()
        self.settlements: dict[str, Settlement] = {}
        self.filings: dict[tuple[str, str, str, int, int], Filing] = {}
        self.happenings: list[NumberedHappening] = []
        self.notices: dict[int, Notice] = {}
        self.documents: dict[str, Mapping[str, Any]] = {}
        self.answers: dict[str, Mapping[str, Any]] = {}

    def _look(self) -> None:
        if self.disk_fails:
            raise OSError("the disk fails")

    async def _write(self, what: str) -> None:
        self._look()
        await asyncio.sleep(self.slow_s)
        self._look()
        self.wrote.append(what)

    async def load_settings(self) -> Settings:
        self._look()
        return self.settings

    async def save_settings(self, settings: Settings, command: str, args: Mapping[str, Any], at: datetime) -> None:
        await self._write(f"settings: {command}")
        self.settings = settings

    async def load_events(self) -> Sequence[Event]:
        self._look()
        return self.events

    async def save_events(self, events: Sequence[Event]) -> None:
        await self._write("events")
        self.events = tuple(events)

    async def load_alerts(self) -> Sequence[Alert]:
        self._look()
        return self.alerts

    async def save_alerts(self, alerts: Sequence[Alert]) -> None:
        await self._write("alerts")
        self.alerts = tuple(alerts)

    async def load_limits(self) -> Sequence[CapacityLimit]:
        self._look()
        return self.limits

    async def save_limits(self, limits: Sequence[CapacityLimit]) -> None:
        await self._write("limits")
        self.limits = tuple(limits)

    async def load_prices(self) -> Sequence[Price]:
        self._look()
        return self.prices

    async def save_prices(self, prices: Sequence[Price]) -> None:
        await self._write("prices")
        self.prices = tuple(prices)

    async def load_settlements(self) -> Sequence[Settlement]:
        self._look()
        return tuple(self.settlements.values())

    async def save_settlement(self, row: Settlement, at: datetime) -> None:
        await self._write(f"settlement: {row.uid}")
        self.settlements[row.uid] = row

    async def load_filings(self, program: str) -> Sequence[Filing]:
        self._look()
        kept = [one for key, one in self.filings.items() if key[0] == program]
        return sorted(kept, key=lambda one: (one.due, one.event_id, one.wish, one.number, one.part))

    async def save_filing(self, filing: Filing) -> None:
        await self._write(f"filing: {filing.number}")
        self.filings[filing.program, filing.event_id, filing.wish, filing.number, filing.part] = filing

    async def forget_filings(self, program: str, event_id: str, before: datetime) -> None:
        await self._write("filings forgotten")
        kept = {key: one for key, one in self.filings.items() if key[:2] != (program, event_id) or one.due >= before}
        self.filings = kept

    async def append_happenings(self, happenings: Sequence[Happening]) -> Sequence[NumberedHappening]:
        await self._write("happenings")
        first = len(self.happenings) + 1
        numbered = [NumberedHappening(number, one) for number, one in enumerate(happenings, first)]
        self.happenings += numbered
        return numbered

    async def happenings_since(self, number: int, limit: int = 500) -> Sequence[NumberedHappening]:
        self._look()
        return self.happenings[number : number + limit]

    async def last_happenings(self, kinds: Sequence[str], limit: int) -> Sequence[NumberedHappening]:
        self._look()
        return [one for one in reversed(self.happenings) if one.happening.kind in kinds][:limit]

    async def raise_notice(self, notice: Notice) -> Notice:
        await self._write(f"notice: {notice.key}")
        await self._clear(notice.key, notice.raised_at)
        kept = replace(notice, number=len(self.notices) + 1)
        self.notices[kept.number] = kept
        return kept

    async def clear_notice(self, key: str, at: datetime) -> Notice | None:
        await self._write(f"cleared: {key}")
        return await self._clear(key, at)

    async def _clear(self, key: str, at: datetime) -> Notice | None:
        former = next((one for one in await self.standing_notices() if one.key == key), None)
        if former is not None:
            self.notices[former.number] = former = replace(former, cleared_at=at)
        return former

    async def mark_notice(
        self, number: int, *, delivered_at: datetime | None = None, acknowledged_at: datetime | None = None
    ) -> None:
        await self._write(f"marked: {number}")
        if (notice := self.notices.get(number)) is not None:
            self.notices[number] = replace(notice, delivered_at=delivered_at, acknowledged_at=acknowledged_at)

    async def standing_notices(self) -> Sequence[Notice]:
        self._look()
        return [one for one in self.notices.values() if one.cleared_at is None and one.acknowledged_at is None]

    async def recall(self, command_id: str) -> Mapping[str, Any] | None:
        self._look()
        return self.answers.get(command_id)

    async def remember(self, command_id: str, answer: Mapping[str, Any], at: datetime) -> None:
        await self._write("answer")
        self.answers[command_id] = answer

    async def load_document(self, name: str) -> Mapping[str, Any] | None:
        self._look()
        return self.documents.get(name)

    async def save_document(self, name: str, document: Mapping[str, Any]) -> None:
        await self._write(f"document: {name}")
        self.documents[name] = document
