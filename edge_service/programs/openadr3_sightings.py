"""What reports must still know after a restart: when events were first seen, and how the house stood in between."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from edge_service.domain.timeline import Sight
from edge_service.ports import FilingStore
from edge_service.programs.openadr3_listed import ListedEvent
from edge_service.programs.openadr3_payloads import Seen
from edge_service.programs.openadr3_standing import Standing

# A day of quarter hours, and the hours of that day; also no more than this of one event.
SEEN_WITHIN = timedelta(hours=26)
MOST_SEEN = 500
# What only numbers change in is on disk so often; a word at once.
SAVE_EVERY = timedelta(minutes=1)
# An event that left the list may come back: a list can be short by mistake.
UNLISTED_WITHIN = timedelta(days=2)


class Sightings:
    """One program's, as a document of the journal. A document that cannot be read counts as none."""

    def __init__(self, program: str, store: FilingStore) -> None:
        self._name, self._store = f"reports:{program}", store
        self._sights: dict[str, tuple[datetime, datetime]] = {}
        self._listed_at: dict[str, datetime] = {}
        self._seen: dict[str, dict[datetime, Seen]] = {}
        self._saved_at: datetime | None = None
        self._changed = self._pressing = False

    async def open(self) -> None:
        """Read what the last run knew. Raises OSError."""
        document = await self._store.load_document(self._name) or {}
        try:
            self._read(document)
        except KeyError, TypeError, ValueError, AttributeError:
            self._sights, self._listed_at, self._seen = {}, {}, {}

    def sight(self, event: ListedEvent) -> Sight:
        """As the source has it, unless it forgot over a restart: then as it was first seen."""
        given, kept = event.sight, self._sights.get(event.id)
        if kept is not None and kept[0] < given.seen_at:
            return Sight(*kept, given.seed)
        if kept != (given.seen_at, given.anchor):
            self._sights[event.id] = given.seen_at, given.anchor
            self._changed = self._pressing = True
        return given

    def see(self, event_id: str, starts: Iterable[datetime], seen: Seen) -> None:
        """How the house stood last in each of the intervals that begin then."""
        known = self._seen.setdefault(event_id, {})
        for start in starts:
            before = known.get(start)
            same = before is not None and before.standing.state == seen.standing.state
            self._pressing = self._pressing or not same
            known[start] = seen
        for start in sorted(known)[:-MOST_SEEN]:
            del known[start]
        self._changed = True

    def seen(self, event_id: str) -> tuple[Seen, ...]:
        """Oldest first."""
        return tuple(sorted(self._seen.get(event_id, {}).values(), key=attrgetter("at")))

    def keep_only(self, listed: set[str], now: datetime) -> None:
        """Drop what belongs to events that nobody speaks of any more, and what is old."""
        self._listed_at |= dict.fromkeys(listed & self._sights.keys(), now)
        for event_id in [one for one in self._sights if now - self._listed_at.get(one, now) > UNLISTED_WITHIN]:
            for held in (self._sights, self._listed_at, self._seen):
                held.pop(event_id, None)
            self._changed = True
        for known in self._seen.values():
            for start in [start for start, seen in known.items() if now - seen.at > SEEN_WITHIN]:
                del known[start]

    async def save(self, now: datetime) -> None:
        """Write what changed, if it is time. Raises OSError."""
        recently = self._saved_at is not None and timedelta() <= now - self._saved_at < SAVE_EVERY
        if not self._changed or (recently and not self._pressing):
            return
        await self._store.save_document(self._name, self._plain())
        self._saved_at, self._changed, self._pressing = now, False, False

    def _plain(self) -> dict[str, Any]:
        return {
            "sights": {one: [at.isoformat() for at in sight] for one, sight in self._sights.items()},
            "listed": {one: at.isoformat() for one, at in self._listed_at.items()},
            "seen": {
                one: {start.isoformat(): [seen.at.isoformat(), seen.standing.plain()] for start, seen in known.items()}
                for one, known in self._seen.items()
            },
        }

    def _read(self, document: Mapping[str, Any]) -> None:
        at = datetime.fromisoformat
        self._sights = {one: (at(seen), at(anchor)) for one, (seen, anchor) in document.get("sights", {}).items()}
        self._listed_at = {one: at(text) for one, text in document.get("listed", {}).items()}
        self._seen = {
            one: {at(start): Seen(at(seen), Standing.from_plain(plain)) for start, (seen, plain) in known.items()}
            for one, known in document.get("seen", {}).items()
        }
