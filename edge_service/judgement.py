"""Each event as its program's rules see it, and which events were called, so that a season's most can be counted."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from edge_service.domain.model import Event, SiteFacts
from edge_service.ports import Clock
from edge_service.programs.rules import Call, judge

LOG = logging.getLogger(__name__)

DOCUMENT = "calls"
# No season is longer, and none begins before this.
KEPT = timedelta(days=400)
# Several a day of every program; more would make each look at the rules longer and longer.
MOST_CALLS = 2000


class Documents(Protocol):
    """Where the calls are kept."""

    async def save_document(self, name: str, document: Mapping[str, Any]) -> None: ...


class Judgement:
    """Judges events by the programs as they are now. ``facts`` tells those, and where the site is."""

    def __init__(
        self,
        facts: Callable[[], SiteFacts],
        documents: Documents,
        clock: Clock,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        self._facts, self._documents, self._clock = facts, documents, clock
        self._calls = _read(kept)

    def judged(self, events: Iterable[Event]) -> list[Event]:
        """The same events with day, flags and whether they ask. The same again changes nothing."""
        facts, listed = self._facts(), list(events)
        calls = self._after(listed).values()
        return [judge(event, facts.programs.get(event.program_id), facts.time_zone, calls) for event in listed]

    async def keep(self, events: Iterable[Event]) -> None:
        """Remember which of these were called. What the disk refuses is tried again with the next change."""
        calls = self._after(events)
        if calls == self._calls:
            return
        try:
            await self._documents.save_document(DOCUMENT, _written(calls))
        except OSError as error:
            LOG.error("which events were called is not on disk: %s", error)
        else:
            self._calls = calls

    def _after(self, events: Iterable[Event]) -> dict[str, Call]:
        """The calls with those of these events: one that is gone before its start was none, after it a shorter one."""
        now = self._clock.now()
        known = {
            event.uid: Call(event.uid, event.program_id, event.start, event.end)
            for event in events
            if not (event.rehearsal or event.cancelled)
        }
        over = {
            uid: replace(call, end=min(call.end, now))
            for uid, call in self._calls.items()
            if uid not in known and call.start < now < call.end + KEPT
        }
        latest = sorted(over, key=lambda uid: over[uid].start)[-MOST_CALLS:]
        return {uid: over[uid] for uid in latest} | known


def _written(calls: Mapping[str, Call]) -> dict[str, Any]:
    return {
        uid: {"program": call.program_id, "start": call.start.isoformat(), "end": call.end.isoformat()}
        for uid, call in calls.items()
    }


def _read(kept: Mapping[str, Any] | None) -> dict[str, Call]:
    """What cannot be read is left out: then a season counts too few, and nothing else is wrong."""
    try:
        return {
            uid: Call(uid, one["program"], datetime.fromisoformat(one["start"]), datetime.fromisoformat(one["end"]))
            for uid, one in (kept or {}).items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        LOG.error("which events were called cannot be read: %r", error)
        return {}
