"""Taps on the buttons of messages: the edge is asked, and the phone is told how it went."""

from datetime import timedelta
from typing import Any, Protocol

from homeassistant.core import Event, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..coordinator import RidethroughCoordinator
from ..notice_kinds import Group
from ..notice_words import NoticeWords
from ..wire import NoticeWire
from .buttons import BUTTONS, Command, Tap, commands_of
from .drafts import Draft
from .ledger import Ledger
from .line import Line
from .post import Loudness, Message

# So long an answer is on the screen at least, before what stands is shown in its place.
READS_FOR = timedelta(seconds=45)
# No stage of any message: whatever stands is an update.
TAPPED_STAGE = "tapped"
# What the companion app fires when a button is tapped.
TAPPED = "mobile_app_notification_action"


class Board(Protocol):
    """The phones of a site, as far as answers need them."""

    words: NoticeWords
    ledger: Ledger
    lines: dict[str, Line]

    @property
    def thread(self) -> str:
        """What the phone bundles the messages of one site by."""

    def standing(self, key: str) -> NoticeWire | None:
        """The notice that stands under a key."""

    def draft(self, notice: NoticeWire) -> Draft:
        """A notice as it would be told now."""

    def plain(self, notice: NoticeWire, title: str, text: str, recipient: str, loudness: Loudness) -> Message:
        """Words under the tag of a notice, with its buttons."""

    def tag(self, key: str) -> str:
        """What a message is known by on the phone."""

    def wake(self) -> None:
        """Every phone looks again."""


class Answers:
    """Does what is tapped, once, and only for the notice that it was tapped on."""

    def __init__(self, coordinator: RidethroughCoordinator, board: Board) -> None:
        self._coordinator, self._board = coordinator, board
        self._asking: dict[int, Tap] = {}

    def start(self) -> None:
        """Listen until the entry is unloaded."""
        stop = self._coordinator.hass.bus.async_listen(TAPPED, self._tapped)
        self._coordinator.config_entry.async_on_unload(stop)

    @callback
    def _tapped(self, event: Event[Any]) -> None:
        tap = Tap.of(event.data.get("action"))
        if tap is None or tap.installation != self._coordinator.installation:
            return
        line = self._board.lines.get(tap.recipient)
        if line is not None:
            answer = self._answer(tap, line)
            self._coordinator.config_entry.async_create_background_task(
                self._coordinator.hass, answer, f"{DOMAIN} answer"
            )

    async def _answer(self, tap: Tap, line: Line) -> None:
        """One at a time for each notice; a second tap on the same phone meanwhile is the first one's echo."""
        asking = self._asking.setdefault(tap.number, tap)
        if asking is not tap and asking.recipient == tap.recipient:
            return
        try:
            async with line.lock:
                notice = self._board.standing(tap.key)
                commands = [] if notice is None or asking is not tap else self._commands(tap, notice)
                if notice is None or not commands:
                    await self._tell_stale(tap, line)
                else:
                    await self._do(tap, line, notice, commands)
        finally:
            if asking is tap:
                del self._asking[tap.number]
        self._board.wake()

    def _commands(self, tap: Tap, notice: NoticeWire) -> list[Command]:
        """What the edge is asked; nothing, where the tap comes too late."""
        if notice["number"] != tap.number or self._board.ledger.answered(tap.key, tap.number):
            return []
        return commands_of(tap.button, notice, self._coordinator.data, dt_util.utcnow())

    async def _do(self, tap: Tap, line: Line, notice: NoticeWire, commands: list[Command]) -> None:
        draft = self._board.draft(notice)
        try:
            await self._ask(commands)
        except HomeAssistantError as error:
            self._is_to_be_told_again(tap)
            why = self._board.words.error(error)
            await line.reply(self._board.plain(notice, draft.title, why, tap.recipient, Loudness.SILENT))
            return
        if BUTTONS[tap.button].settles:
            await self._settle(tap)
        else:
            self._is_to_be_told_again(tap)
        await line.reply(self._told(tap, self._board.words.said(f"done_{tap.button}"), draft.title))

    async def _ask(self, commands: list[Command]) -> None:
        for name, args in commands:
            await self._coordinator.async_command(name, **args)

    async def _settle(self, tap: Tap) -> None:
        """Nobody is asked any more: the others' message goes, the edge counts it as read, and the answer stays here."""
        ledger = self._board.ledger
        ledger.note_answer(tap.key, tap.number)
        ledger.of(tap.recipient).pop(tap.key, None)
        await ledger.save()
        if self._board.standing(tap.key) is None:
            return
        try:
            await self._coordinator.async_command("acknowledge_notice", number=tap.number)
        except HomeAssistantError as error:
            self._coordinator.logger.debug("notice %s is not counted as read: %s", tap.number, error)

    async def _tell_stale(self, tap: Tap, line: Line) -> None:
        """It was answered already, or is over, or something newer is said in its place, which is shown again later."""
        self._is_to_be_told_again(tap)
        title = self._board.words.said("done_stale_title")
        await line.reply(self._told(tap, self._board.words.said("done_stale"), title))

    def _is_to_be_told_again(self, tap: Tap) -> None:
        """The phone has put the message away with the tap. Once the answer is read, what stands is shown again."""
        sent = self._board.ledger.of(tap.recipient).get(tap.key)
        if sent is not None:
            sent["stage"], sent["at"] = TAPPED_STAGE, (dt_util.utcnow() + READS_FOR).isoformat()

    def _told(self, tap: Tap, text: str, title: str) -> Message:
        """How it went, in the place of the message."""
        tag, thread = self._board.tag(tap.key), self._board.thread
        return Message(tag, thread, title, text, Loudness.SILENT, Group.RESULTS)
