"""What happened, told once each and in order: over a lost link, a reload, a restart, a power cut."""

from asyncio import wait
from collections import deque
from collections.abc import Callable
from typing import TypedDict

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.storage import Store
from homeassistant.setup import async_wait_component
from homeassistant.util import dt as dt_util

from .relevance import Owner, owner_of, worth_telling
from .wire import Occurrence

# As long as Home Assistant itself waits for what starts up.
AUTOMATIONS_WITHIN_S = 300

type OccurrenceListener = Callable[[Occurrence], None]


class Seen(TypedDict):
    """What is kept over restarts: the number of the last occurrence that was told."""

    last_occurrence: int


class History:
    """One edge's occurrences on their way to who listens. What comes late waits until it can be judged as a whole."""

    def __init__(self, hass: HomeAssistant, key: str) -> None:
        self._hass = hass
        # Home Assistant's restore data is written every 15 minutes only: after a power cut it would tell things twice.
        self._store: Store[Seen] = Store(hass, 1, key, atomic_writes=True)
        self.told: deque[Occurrence] = deque(maxlen=50)
        self.received = 0
        self._last_told: int | None = None
        self._replayed_until = 0
        self._waiting: list[Occurrence] = []
        self._heard = False
        self._listeners: dict[Owner, list[OccurrenceListener]] = {}

    async def async_load(self) -> None:
        """Read what was told before."""
        seen = await self._store.async_load()
        self._last_told = seen["last_occurrence"] if seen else None

    async def async_save(self) -> None:
        """Write down what was told, now."""
        if self._last_told is not None:
            await self._store.async_save(Seen(last_occurrence=self._last_told))

    async def async_remove(self) -> None:
        """Remove what is kept on disk."""
        await self._store.async_remove()

    @property
    def known(self) -> int | None:
        """The number of the last occurrence that need not be sent again; None: only new ones are wanted."""
        return None if self._last_told is None else max(self._last_told, self.received)

    # -------------------------------------------------------------------------------------------- from the edge

    @callback
    def async_follows(self, last: int) -> None:
        """The edge sends what happened since ``known``, up to number ``last``; after that each as it happens."""
        if self._last_told is None or self._last_told > last:
            self._note_told(last)
            self.received = last
        self._replayed_until = last

    @callback
    def async_take(self, occurrence: Occurrence) -> None:
        """Something happened, a while ago or now."""
        number = occurrence["number"]
        if number <= max(self.received, self._last_told or 0):
            return
        self.received = number
        if self._may_tell and not self._waiting and number > self._replayed_until:
            self._tell([occurrence])
            return
        self._waiting.append(occurrence)
        if number >= self._replayed_until:
            self.async_settle()

    @callback
    def async_settle(self) -> None:
        """Nothing more comes late: tell of it what is still news."""
        if self._waiting and self._may_tell:
            waited, self._waiting = self._waiting, []
            self._tell(worth_telling(waited, dt_util.utcnow()))
            self._note_told(waited[-1]["number"])

    @property
    def _may_tell(self) -> bool:
        """Whether an automation that starts now also ends."""
        return self._heard and not self._hass.is_stopping

    def _tell(self, occurrences: list[Occurrence]) -> None:
        for occurrence in occurrences:
            for listener in list(self._listeners.get(owner_of(occurrence), ())):
                listener(occurrence)
            self.told.append(occurrence)
            self._note_told(occurrence["number"])

    def _note_told(self, number: int) -> None:
        self._last_told = number
        self._store.async_delay_save(lambda: Seen(last_occurrence=number), 0)

    # ----------------------------------------------------------------------------------------- to who listens

    async def async_wait_for_automations(self) -> None:
        """Hold everything back until automations listen. Home Assistant has started by now, they may come later."""
        loaded = self._hass.async_create_background_task(
            async_wait_component(self._hass, "automation"), "ridethrough automations"
        )
        if not loaded.done():
            # Never cancelled: that would cancel the loading of automations itself.
            await wait({loaded}, timeout=AUTOMATIONS_WITHIN_S)
        self._heard = True
        if self.received >= self._replayed_until:
            self.async_settle()

    @callback
    def async_listen(self, owner: Owner, listener: OccurrenceListener) -> CALLBACK_TYPE:
        """Call ``listener`` once for each occurrence of the site, a charger or a program."""
        listeners = self._listeners.setdefault(owner, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    def told_of(self, owner: Owner) -> list[Occurrence]:
        """What was told of it lately, for one that comes to listen later than the edge's first word."""
        return [one for one in self.told if owner_of(one) == owner]
