"""What clients report, kept while it counts: grid evidence, the island switch, loads, alerts.

A report is a lease, as an order to a charger is: it counts while its client is connected, and for 45 s. What is no
longer reported is not known; that is never taken for a grid that is lost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from edge_service.domain.model import Alert, GridEvidence, LoadReading, SwitchOrder, SwitchReading, frozen_map
from edge_service.domain.reported import (
    MOST_ALERTS,
    MOST_EVIDENCE,
    MOST_LOADS,
    VALID_S,
    Report,
    read_report,
)
from edge_service.ports import Clock, DeviceError, DeviceUnreachableError

# A person's relay moves within a second or two; what took longer must not move at a time when nobody expects it.
WANTED_FOR_S = 20.0
# One that was not moved is asked for again only after this long.
ASKED_AGAIN_AFTER_S = 60.0

KINDS = tuple(item.name for item in fields(Report))


@dataclass(frozen=True, slots=True)
class _Said:
    """What a client said last of one kind. ``number`` rises with each report of any client; ``heard_s`` monotonic."""

    items: Mapping[str, Any]
    number: int
    heard_s: float


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the client is to do with the island switch, since when (monotonic)."""

    order: SwitchOrder
    since_s: float


class Reports:
    """All that counts of what clients report; of two that contradict each other the newest word on each thing.

    ``changed`` is called when something was said that is not only a repetition, ``warns`` with each word on alerts: a
    storm is not over because who told of it is gone, so these are kept elsewhere. ``told_people`` knows the keys of the
    standing notices that a client has brought to people.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.changed: Callable[[], None] = lambda: None
        self.warns: Callable[[Sequence[Alert]], None] = lambda alerts: None
        self.told_people: Callable[[], frozenset[str]] = frozenset
        self._said: dict[object, dict[str, _Said]] = {}
        self._number = 0
        self._wanted: _Wanted | None = None

    # ----------------------------------------------------------------------------------------------- from the clients

    def take(self, client: object, args: Mapping[str, Any]) -> None:
        """Take over a report; each kind in it replaces what this client said of that kind before.

        ``client``: one connection. Raises ``CommandRefusedError``; then nothing of it is taken.
        """
        report = read_report(args, self._clock.now())
        before, heard_s = self._meaning(), self._clock.monotonic()
        self._number += 1
        said = self._said.setdefault(client, {})
        for kind in KINDS:
            items = getattr(report, kind)
            if items is not None:
                said[kind] = _Said(items, self._number, heard_s)
        if report.alerts is not None:
            self.warns(self.alerts())
        self._tell_change(before)

    def gone(self, client: object) -> None:
        """The connection is closed: what it said is not known any more."""
        before = self._meaning()
        if self._said.pop(client, None) is not None:
            self._tell_change(before)

    def _tell_change(self, before: object) -> None:
        if self._meaning() != before:
            self.changed()

    def _meaning(self) -> object:
        """What is said, without the times and the powers: these move all the time and are no news."""
        switch = self.switch()
        return (
            {(piece.source, piece.present, piece.position, piece.confidence) for piece in self.evidence()},
            {name: reading.state for name, reading in self.loads().items()},
            self.alerts(),
            None if switch is None else (switch.commanded_open, switch.open_proven, switch.closed_proven),
        )

    # --------------------------------------------------------------------------------------------------- for the core

    def evidence(self) -> tuple[GridEvidence, ...]:
        return tuple(self._newest("evidence", MOST_EVIDENCE).values())

    def loads(self) -> Mapping[str, LoadReading]:
        return frozen_map(self._newest("loads", MOST_LOADS))

    def brought(self) -> frozenset[str]:
        """Keys of the standing notices that a client has brought to people."""
        return self.told_people()

    def alerts(self) -> tuple[Alert, ...]:
        return tuple(self._newest("alerts", MOST_ALERTS).values())

    def switch(self) -> SwitchReading | None:
        """Where the island switch stands by the last report; None: nobody tells."""
        reading: SwitchReading | None = self._newest("switch", 1).get("switch")
        return reading

    def _newest(self, kind: str, most: int) -> dict[str, Any]:
        """Each thing's newest word, in order of their names; of too many the newest ones."""
        since_s = self._clock.monotonic() - VALID_S
        known = [said[kind] for said in self._said.values() if kind in said and said[kind].heard_s >= since_s]
        newest: dict[str, Any] = {}
        for said in sorted(known, key=lambda one: one.number, reverse=True):
            newest |= {name: item for name, item in said.items.items() if name not in newest}
        return dict(sorted(list(newest.items())[:most]))

    # ---------------------------------------------------------------------------------- the switch that a client moves

    @property
    def wanted(self) -> SwitchOrder | None:
        """What a client is to do with the island switch now."""
        wanted = self._wanted
        if wanted is None or self._clock.monotonic() - wanted.since_s >= WANTED_FOR_S:
            return None
        return None if _stands(self.switch(), wanted.order) else wanted.order

    def want(self, order: SwitchOrder) -> None:
        """Ask for a movement, until it is proven or for 20 s. Raises ``DeviceError`` when nobody would do it."""
        if self.switch() is None:
            raise DeviceUnreachableError(
                f"nobody is connected who could {order} the island switch; is Home Assistant up, and paired with it?"
            )
        now_s = self._clock.monotonic()
        wanted = self._wanted
        if wanted is None or wanted.order is not order or now_s - wanted.since_s >= ASKED_AGAIN_AFTER_S:
            self._wanted = wanted = _Wanted(order, now_s)
        if self.wanted is None and not _stands(self.switch(), order):
            raise DeviceError(
                f"Home Assistant was asked to {order} the island switch and did not within {WANTED_FOR_S:g} s; "
                "look at its log, and at the entity that it uses"
            )

    def keep_only(self, order: SwitchOrder | None) -> None:
        """Nothing but this is to be moved any more."""
        if self._wanted is not None and self._wanted.order is not order:
            self._wanted = None


def _stands(reading: SwitchReading | None, order: SwitchOrder) -> bool:
    """The feedback proves it there."""
    if reading is None:
        return False
    proven, other = reading.open_proven, reading.closed_proven
    if order is SwitchOrder.CLOSE:
        proven, other = other, proven
    return proven is True and other is not True
