"""What the core asks of the outside world: devices, programs, clock, journal. And the errors they may raise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from edge_service.domain.decide import Decision
from edge_service.domain.model import (
    Alert,
    Capability,
    CapacityLimit,
    ChargerReading,
    ChargerState,
    CompanionReading,
    ContactReading,
    Event,
    Happening as Happening,
    LoadOrder,
    LoadReading,
    MeterReading,
    Notice as Notice,
    Observation,
    Order,
    Price,
    Settings,
    SiteFacts,
    SwitchOrder,
    SwitchReading,
)
from edge_service.domain.settlement import Settlement


class DeviceError(Exception):
    """A device did not do what was asked: what was tried, on what, and what to do next."""


class DeviceUnreachableError(DeviceError):
    """No connection, or no answer in time."""


class DeviceRefusedError(DeviceError):
    """The device answered and said no. ``reason`` is one of our codes, such as ``service_not_permitted``."""

    def __init__(self, message: str, reason: str = "refused") -> None:
        super().__init__(message)
        self.reason = reason


class OrderUnderWayError(DeviceError):
    """The order is being made so, and is not proven yet: it goes on with the next cycle. Nothing is wrong."""


class ProtocolViolationError(DeviceError):
    """The device's reply breaks the protocol or contradicts itself; the reply is discarded."""


class ProgramError(Exception):
    """A utility's program server could not be asked, or refused us."""


class ProgramCredentialsError(ProgramError):
    """The program server refuses our credentials; a person must renew them."""


class ConfigError(Exception):
    """A configuration is wrong; the message names every mistake at once.

    ``fields``: the mistakes by the field that a person filled in, where it is known.
    """

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})

    @classmethod
    def listing(cls, mistakes: Sequence[tuple[str, str]]) -> ConfigError:
        """Of sentences, each with its field; of several on one field the first counts there."""
        return cls("; ".join(words for _, words in mistakes), dict(reversed(mistakes)))


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Who a device says it is, and what the probe found out in plain sentences (``findings``)."""

    manufacturer: str
    model: str
    serial: str
    version: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FastReading:
    """The few values of a fast-safe register block: the first place where a grid loss shows.

    ``grid_present`` is the charger's own view, None where it cannot tell. ``power_w`` positive charges.
    """

    at: datetime
    grid_present: bool | None
    forming: bool | None
    voltage_v: float | None = None
    power_w: int | None = None
    state: ChargerState | None = None


class Charger(Protocol):
    """One charger. All methods raise ``DeviceError``; none retries."""

    @property
    def id(self) -> str: ...

    async def probe(self) -> tuple[DeviceIdentity, Capability]:
        """Read identity and capability. Writes nothing."""
        ...

    async def read(self, now: datetime) -> ChargerReading: ...

    async def order(self, order: Order, now: datetime) -> None:
        """Make ``order`` so, prove it by reading back, and renew its lease.

        Called once per completed cycle with the order that stands; writes only what is needed. Cheap when nothing
        is due. Writes again what the last reading showed otherwise than ordered. Raises ``DeviceRefusedError`` when
        the device forbids it (``not_applied``: the read-back differs from what it accepted).
        """
        ...

    async def close(self) -> None: ...


@runtime_checkable
class FastLane(Protocol):
    """A charger that also has a register block which may be read every 100 ms: there a grid loss shows first."""

    async def read_fast(self, now: datetime) -> FastReading: ...


@runtime_checkable
class Restarts(Protocol):
    """A charger that can be told to start itself anew. Raises ``DeviceError``."""

    async def restart(self) -> None: ...


@runtime_checkable
class TellsWhenWritten(Protocol):
    """A charger that also tells when the device accepted the write of an order, before it is read back.

    The core sets ``on_written``; the charger calls it, if set, within ``order``, for the order's own registers only.
    """

    on_written: Callable[[], None] | None


class Meter(Protocol):
    """The meter at the point of connection."""

    async def probe(self) -> DeviceIdentity: ...

    async def read(self, now: datetime) -> MeterReading: ...

    async def close(self) -> None: ...


class IslandSwitch(Protocol):
    """The switch between the street and the house."""

    async def probe(self) -> DeviceIdentity: ...

    async def read(self, now: datetime) -> SwitchReading: ...

    async def move(self, order: SwitchOrder) -> None:
        """Command the switch and read the command back. The contacts prove the movement later, in ``read``."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class MovedOnRequest(Protocol):
    """An island switch that somebody else moves when asked. What it is asked is a lease: it never outlives the wish."""

    def keep_only(self, order: SwitchOrder | None) -> None:
        """Ask for nothing but this any more. Called with every decision, before it asks for anything new."""
        ...


class GridSensor(Protocol):
    """Another inverter of the site that tells whether the grid is there. Read only, but for ``KeepsReserve``."""

    @property
    def id(self) -> str: ...

    @property
    def read_every_s(self) -> float:
        """It bears no shorter time from one read to the next; 0: as often as a cycle wants."""
        ...

    async def probe(self) -> DeviceIdentity: ...

    async def read(self, now: datetime) -> CompanionReading:
        """Raises ``DeviceError``: what cannot be read is neither an outage nor a grid."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class KeepsReserve(Protocol):
    """A companion whose own gateway keeps a reserve for outages, in a register that may be set on grid."""

    async def keep_reserve(self, pct: float) -> None:
        """Set it and read it back. Writes nothing where it stands already. Raises ``DeviceError``."""
        ...


class LoadRelay(Protocol):
    """A relay that the edge itself switches: one load group, shed also when Home Assistant is dark."""

    @property
    def id(self) -> str: ...

    async def probe(self) -> DeviceIdentity: ...

    async def read(self, now: datetime) -> LoadReading: ...

    async def give(self, order: LoadOrder) -> None:
        """Switch and read the command back. Writes nothing where it stands already. Raises ``DeviceError``."""
        ...

    async def close(self) -> None: ...


class ContactInput(Protocol):
    """An input contact of the site: a stop button, a generator's transfer switch."""

    async def probe(self) -> DeviceIdentity: ...

    async def read(self, now: datetime) -> ContactReading:
        """Whether it is active. Raises ``DeviceError``: what cannot be read is neither active nor inactive."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ProgramNews:
    """What one good contact with a program server brought.

    ``events`` holds every event of the program that can be followed. One missing from it is gone by its id, cancelled,
    over, or rewritten beyond understanding: the core stops it. ``problems`` names objects that were skipped, one
    sentence each, again with each contact. ``clock_skew_s`` is positive when our clock is ahead. ``alerts``: all that
    stand or come, likewise. ``version`` is what the server speaks of its protocol.
    """

    at: datetime
    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()
    clock_skew_s: float | None = None
    alerts: tuple[Alert, ...] = ()
    limits: tuple[CapacityLimit, ...] = ()
    prices: tuple[Price, ...] = ()
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried of a program: ``what``, whether it is as it must be, and words for a person."""

    what: str
    ok: bool
    text: str


class ProgramSource(Protocol):
    """One utility program, polled. Raises ``ProgramError``."""

    @property
    def id(self) -> str: ...

    @property
    def poll_s(self) -> float: ...

    async def poll(self, now: datetime) -> ProgramNews: ...

    async def close(self) -> None: ...


@runtime_checkable
class WakesWhenNews(Protocol):
    """A program source that hears when something is new: a hint to poll at once, never the news itself."""

    async def hear(self, wake: Callable[[], None]) -> None:
        """Listen for ever and call ``wake`` with each hint. Trouble with listening is its own; polling goes on."""
        ...


@runtime_checkable
class TellsParticipation(Protocol):
    """A program source whose protocol asks whether an event is served."""

    async def tell_participation(self, event: str, *, takes_part: bool) -> None:
        """Tell the utility. Again with each change of mind; costs nothing when that was told already."""
        ...


@dataclass(frozen=True, slots=True)
class Live:
    """What the last cycle knew and decided, for one program."""

    program: str
    observation: Observation
    decision: Decision
    facts: SiteFacts


@dataclass(frozen=True, slots=True)
class BaselineFound:
    """What a site would have supplied by itself from ``start`` to ``end``; negative: drawn."""

    supplied_wh: float
    start: datetime
    end: datetime


class Measured(Protocol):
    """What is known of the house, for what a utility wants reported."""

    def live(self) -> Live | None:
        """None before the first cycle."""
        ...

    async def minutes(self, start: datetime, end: datetime) -> Mapping[datetime, Mapping[str, Any]]:
        """The rows of ``minutes.py`` that touch [start, end), by the minute's beginning. Raises OSError."""
        ...

    async def baseline(self, uid: str) -> BaselineFound | None:
        """Of an event that is over; None: not known, or none is wanted. Raises OSError."""
        ...


class FilingStage(StrEnum):
    """How far a report to a utility got. ``sending``: it was or is being sent, and may be there already."""

    WAITING = "waiting"
    SENDING = "sending"
    FILED = "filed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Filing:
    """A report to a utility: the ``number``-th of what one descriptor (``wish``) of one event asks for.

    ``event_id``, ``report_id``: the server's. ``part``: 1 and more where it was too large for one. ``body``: what is,
    or is to be, at the server. ``final``: nothing better can come.
    """

    program: str
    event_id: str
    wish: str
    number: int
    due: datetime
    body: Mapping[str, Any]
    stage: FilingStage = FilingStage.WAITING
    report_id: str = ""
    part: int = 0
    final: bool = False


class FilingStore(Protocol):
    """Where reports to utilities are kept until they are there, and what was filed. Raises OSError."""

    async def load_filings(self, program: str) -> Sequence[Filing]:
        """In the order in which they were due."""
        ...

    async def save_filing(self, filing: Filing) -> None: ...

    async def forget_filings(self, program: str, event_id: str, before: datetime) -> None:
        """Those of the event that were due before that."""
        ...

    async def load_document(self, name: str) -> Mapping[str, Any] | None: ...

    async def save_document(self, name: str, document: Mapping[str, Any]) -> None: ...


@runtime_checkable
class FilesReports(Protocol):
    """A program source whose utility may ask for reports."""

    async def file_reports(self, measured: Measured, store: FilingStore, clock: Clock) -> None:
        """Make and send what is asked for, for ever. Trouble with it is its own."""
        ...


class Clock(Protocol):
    """Time, as the core is given it."""

    def now(self) -> datetime:
        """Wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...


@dataclass(frozen=True, slots=True)
class NumberedHappening:
    """A happening with its number, which rises by one and never repeats over the life of the installation."""

    number: int
    happening: Happening


@dataclass(frozen=True, slots=True)
class Mark:
    """Something for whose sake the recording from ``start`` to ``end`` is kept for good."""

    at: datetime
    what: str
    subject: str
    start: datetime
    end: datetime


class Journal(Protocol):
    """What must outlive the process. Every ``await`` returns only when the words are on disk (``journal.db``)."""

    async def load_settings(self) -> Settings: ...

    async def save_settings(self, settings: Settings, command: str, args: Mapping[str, Any], at: datetime) -> None: ...

    async def load_events(self) -> Sequence[Event]:
        """The events known and not over at the last stop, as accepted."""
        ...

    async def save_events(self, events: Sequence[Event]) -> None: ...

    async def load_alerts(self) -> Sequence[Alert]:
        """The alerts of the last ``save_alerts``."""
        ...

    async def save_alerts(self, alerts: Sequence[Alert]) -> None: ...

    async def load_limits(self) -> Sequence[CapacityLimit]:
        """The capacity limits of the last ``save_limits``."""
        ...

    async def save_limits(self, limits: Sequence[CapacityLimit]) -> None: ...

    async def load_prices(self) -> Sequence[Price]:
        """The prices of the last ``save_prices``."""
        ...

    async def save_prices(self, prices: Sequence[Price]) -> None: ...

    async def load_settlements(self) -> Sequence[Settlement]:
        """What every event that is over came to, the oldest first."""
        ...

    async def save_settlement(self, row: Settlement, at: datetime) -> None:
        """Write the row of an event, in the place of a former one. It is kept for good."""
        ...

    async def append_happenings(self, happenings: Sequence[Happening]) -> Sequence[NumberedHappening]: ...

    async def happenings_since(self, number: int, limit: int = 500) -> Sequence[NumberedHappening]: ...

    async def last_happenings(self, kinds: Sequence[str], limit: int) -> Sequence[NumberedHappening]:
        """The last of these kinds, the newest first."""
        ...

    async def raise_notice(self, notice: Notice) -> Notice:
        """Store a notice, replacing a standing one of the same key; returns it with its number."""
        ...

    async def clear_notice(self, key: str, at: datetime) -> Notice | None: ...

    async def mark_notice(
        self, number: int, *, delivered_at: datetime | None = None, acknowledged_at: datetime | None = None
    ) -> None: ...

    async def standing_notices(self) -> Sequence[Notice]:
        """Notices neither cleared nor acknowledged, oldest first."""
        ...

    async def recall(self, command_id: str) -> Mapping[str, Any] | None:
        """The answer once given to this command id, or None: commands are idempotent."""
        ...

    async def remember(self, command_id: str, answer: Mapping[str, Any], at: datetime) -> None: ...

    async def load_document(self, name: str) -> Mapping[str, Any] | None:
        """A small named document, such as ``memory``, ``installation`` or ``tokens``."""
        ...

    async def save_document(self, name: str, document: Mapping[str, Any]) -> None: ...
