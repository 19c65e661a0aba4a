"""Tells utilities whether a household takes part, where their protocol asks. They hear of each change of mind once."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from edge_service.domain.model import Event, Settings
from edge_service.ports import ProgramError, TellsParticipation

LOG = logging.getLogger(__name__)

AGAIN_AFTER_S = 30.0
# One that was not registered yet, or has lost its memory, hears it again; it costs nothing where it knows.
ANEW_AFTER_S = 600.0


class Participation:
    """Holds what each utility should hear and what it was told."""

    def __init__(self) -> None:
        self._sources: Mapping[str, TellsParticipation] = {}
        self._wanted: dict[str, tuple[str, bool]] = {}
        self._told: dict[str, tuple[str, bool]] = {}
        self._due = asyncio.Event()

    def attend(self, sources: Mapping[str, TellsParticipation]) -> None:
        """Tell these from now on, by program: those that ask. A new one was told nothing."""
        self._sources, self._told = dict(sources), {}

    def follow(self, events: Iterable[Event], settings: Settings) -> None:
        """What is wanted now. Cheap; called with each cycle."""
        if not self._sources:
            return
        self._wanted = {
            event.uid: (event.program_id, settings.takes_part(event))
            for event in events
            if event.program_id in self._sources and _is_said(event, settings)
        }
        if any(self._told.get(uid) != said for uid, said in self._wanted.items()):
            self._due.set()

    async def run(self) -> None:
        """Tell what is new, for ever. A server that cannot be told is told later; what counts here counts all along."""
        while True:
            try:
                await asyncio.wait_for(self._due.wait(), ANEW_AFTER_S)
            except TimeoutError:
                self._told = {}
            self._due.clear()
            if not await self._tell():
                await asyncio.sleep(AGAIN_AFTER_S)
                self._due.set()

    async def _tell(self) -> bool:
        told = True
        self._told = {uid: said for uid, said in self._told.items() if uid in self._wanted}
        for uid, (program, takes_part) in tuple(self._wanted.items()):
            source = self._sources.get(program)
            if source is None or self._told.get(uid) == (program, takes_part):
                continue
            try:
                await source.tell_participation(uid, takes_part=takes_part)
            except ProgramError as error:
                LOG.warning("program %s does not hear whether event %s is served: %s", program, uid, error)
                told = False
            except Exception:  # what a utility answers must never end the control of the house
                LOG.exception("program %s: a defect in telling it whether event %s is served", program, uid)
                told = False
            else:
                self._told[uid] = program, takes_part
        return told


def _is_said(event: Event, settings: Settings) -> bool:
    """An event that asks a person is answered once the person has spoken; a rehearsal is nobody else's business."""
    if event.cancelled or event.rehearsal:
        return False
    return not event.asks or event.uid in settings.opted_in or event.uid in settings.opted_out
