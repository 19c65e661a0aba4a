"""Messages on the phones that people chose: each once, kept true while it stands, taken down when it is over."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any

from homeassistant.const import EVENT_LOVELACE_UPDATED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.event import async_track_time_change
from homeassistant.helpers.start import async_at_started
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..coordinator import RidethroughCoordinator
from ..following import follow_entry
from ..notice_kinds import kind_of
from ..notice_words import NoticeWords
from ..stores import Stored, store_of
from ..wire import NoticeWire
from .answers import Answers
from .buttons import Tap, buttons_of
from .choice import Choice, name_of
from .drafts import Draft, PhoneWords
from .ledger import Ledger
from .line import Line
from .opens import FIRST, dashboard_path
from .post import Loudness, Message, NotifierWay, PhoneWay, Way

# Apple's push service takes no longer tag.
LONGEST_TAG = 64


class Phones:
    """The phones of one site."""

    def __init__(self, coordinator: RidethroughCoordinator, words: NoticeWords) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._entry = coordinator.config_entry
        self.words, self._drafts = words, PhoneWords(words)
        self.choice = Choice.of(self._entry.options)
        self.ledger = Ledger(store_of(self._hass, self._entry.entry_id, Stored.PHONES))
        self.lines: dict[str, Line] = {}
        self._answers = Answers(coordinator, self)
        self._opens = FIRST

    async def async_start(self) -> None:
        """Send what stands and was not sent, and follow, until the entry is unloaded."""
        await self.ledger.load()
        self.ledger.drop_answers(self._keys())
        on_unload, bus = self._entry.async_on_unload, self._hass.bus
        on_unload(self._coordinator.async_add_listener(self._state_changed))
        follow_entry(self._hass, self._entry, self._entry_changed)
        on_unload(async_track_time_change(self._hass, self._new_day, hour=0, minute=0, second=5))
        for changed in (dr.EVENT_DEVICE_REGISTRY_UPDATED, er.EVENT_ENTITY_REGISTRY_UPDATED):
            on_unload(bus.async_listen(changed, self._registry_changed))
        on_unload(bus.async_listen(EVENT_LOVELACE_UPDATED, self._find_dashboard))
        on_unload(async_at_started(self._hass, self._find_dashboard))
        self._answers.start()
        self._follow_choice()

    async def _find_dashboard(self, _: HomeAssistant | Event[Any]) -> None:
        self._opens = await dashboard_path(self._hass)

    # ---------------------------------------------------------------------------------------------- what changes

    @callback
    def _state_changed(self) -> None:
        self.ledger.drop_answers(self._keys())
        self.wake()

    @callback
    def wake(self) -> None:
        """Every phone looks again."""
        for line in self.lines.values():
            line.wake()

    @callback
    def _new_day(self, _: datetime) -> None:
        """What was tomorrow is today."""
        self.wake()

    @callback
    def _entry_changed(self) -> None:
        self.choice = Choice.of(self._entry.options)
        self._follow_choice()

    @callback
    def _registry_changed(self, event: Event[Any]) -> None:
        if event.data["action"] in ("remove", "create"):
            self._follow_choice()

    @callback
    def _follow_choice(self) -> None:
        """A line for each phone that is chosen, or still shows something."""
        gone = self.choice.gone(self._hass)
        self._tell_of(gone)
        self.lines = {name: line for name, line in self.lines.items() if name not in gone}
        for recipient in {*self.choice.recipients, *self.ledger.recipients} - {*self.lines, *gone}:
            self.lines[recipient] = line = self._line(recipient)
            self._entry.async_create_background_task(self._hass, self._serve(line), f"{DOMAIN} phone")
        self.wake()

    def _line(self, recipient: str) -> Line:
        return Line(self._hass, self, recipient, self._way(recipient), partial(self._complain, recipient))

    async def _serve(self, line: Line) -> None:
        await line.run()
        self.lines.pop(line.recipient, None)

    def _way(self, recipient: str) -> Way:
        if dr.async_get(self._hass).async_get(recipient) is None:
            return NotifierWay(self._hass, recipient)
        return PhoneWay(self._hass, recipient, self.words)

    def _complain(self, recipient: str, why: str) -> None:
        name = name_of(self._hass, recipient, self.choice.names)
        self._coordinator.logger.warning("%s cannot be reached, and is tried again: %s", name, why)

    def _tell_of(self, gone: Mapping[str, str]) -> None:
        """A repair, while somebody who was chosen no longer exists."""
        issue = f"phone_gone_{self._entry.entry_id}"
        if not gone:
            ir.async_delete_issue(self._hass, DOMAIN, issue)
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="phone_gone",
            translation_placeholders={"site": self._entry.title, "phones": ", ".join(sorted(gone.values()))},
        )

    # ------------------------------------------------------------------------------------------------ what stands

    def _keys(self) -> set[str]:
        return {notice["key"] for notice in self._coordinator.data["notices"]}

    def standing(self, key: str) -> NoticeWire | None:
        """The notice that stands under a key."""
        return next((one for one in self._coordinator.data["notices"] if one["key"] == key), None)

    def draft(self, notice: NoticeWire) -> Draft:
        """A notice as it would be told now."""
        return self._drafts.draft(notice, self._coordinator.data, dt_util.utcnow())

    def wanted(self, recipient: str) -> Mapping[str, Draft]:
        """The messages that this one should show, by key of their notices."""
        return {
            notice["key"]: self.draft(notice)
            for notice in self._coordinator.data["notices"]
            if self.choice.wants(recipient, kind_of(notice).group)
            and not self.ledger.answered(notice["key"], notice["number"])
        }

    # -------------------------------------------------------------------------------------------- as it is sent

    def tag(self, key: str) -> str:
        """What a message is known by on the phone: the same for all that is said of one thing."""
        tag = f"{DOMAIN}_{self._coordinator.installation}_{key}"
        if len(tag.encode()) <= LONGEST_TAG:
            return tag
        return f"{DOMAIN}_{blake2b(tag.encode(), digest_size=16).hexdigest()}"

    def message(self, draft: Draft, recipient: str, loudness: Loudness) -> Message:
        """A draft as it is sent. What is live comes with an update: a live message makes no sound on some phones."""
        live = draft.live if loudness is Loudness.SILENT else {}
        return self.plain(draft.notice, draft.title, draft.message, recipient, loudness, live)

    def plain(
        self,
        notice: NoticeWire,
        title: str,
        text: str,
        recipient: str,
        loudness: Loudness,
        live: Mapping[str, Any] | None = None,
    ) -> Message:
        """Words under the tag of a notice, with its buttons."""
        tap = partial(self._tap, notice, recipient)
        buttons = buttons_of(notice, self._coordinator.data, dt_util.utcnow(), tap, self.words, self._opens)
        group = kind_of(notice).group
        tag, thread = self.tag(notice["key"]), self.thread
        return Message(tag, thread, self._title(title), text, loudness, group, buttons, live or {}, opens=self._opens)

    @property
    def thread(self) -> str:
        """What the phone bundles the messages of one site by."""
        return f"{DOMAIN}_{self._coordinator.installation}"

    def _tap(self, notice: NoticeWire, recipient: str, button: str) -> Tap:
        return Tap(self._coordinator.installation, notice["number"], recipient, button, notice["key"])

    def _title(self, title: str) -> str:
        """With the name of the site where there are several."""
        if len(self._hass.config_entries.async_entries(DOMAIN)) < 2:
            return title
        return self.words.said("phone_site", site=self._coordinator.data["site"]["name"], title=title)
