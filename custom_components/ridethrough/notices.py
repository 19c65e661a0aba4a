"""The edge's standing notices as notifications in plain words: shown once each, gone when the edge clears them.

The edge owns a notice. One raised while Home Assistant was dark is shown when it is back. A person who dismisses the
notification has acknowledged the notice, so that a restart does not bring it again.
"""

from homeassistant.components import persistent_notification
from homeassistant.components.persistent_notification import Notification, UpdateType
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError

from .const import DOMAIN
from .coordinator import RidethroughCoordinator
from .notice_words import NoticeWords
from .phones.switchboard import Phones
from .wire import NoticeWire
from .wording import Words, not_marked_up


class Notices:
    """Keeps the notifications of one edge equal to its standing notices."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self._coordinator = coordinator
        self._hass = coordinator.hass
        self._shown: dict[str, int] = {}
        self._words = NoticeWords(Words({}, {}, None, "en"), {})

    async def async_start(self) -> None:
        """Load the words, show what stands, and follow; the phones that people chose likewise."""
        self._words = await NoticeWords.load(self._hass)
        on_unload = self._coordinator.config_entry.async_on_unload
        on_unload(self._coordinator.async_listen_notices(self._deliver))
        on_unload(self._coordinator.async_add_listener(self._reconcile))
        on_unload(persistent_notification.async_register_callback(self._hass, self._notifications_changed))
        self._reconcile()
        await Phones(self._coordinator, self._words).async_start()

    def _id(self, key: str) -> str:
        return f"{DOMAIN}_{self._coordinator.installation}_{key}"

    @callback
    def _reconcile(self) -> None:
        standing = {notice["key"]: notice for notice in self._coordinator.data["notices"]}
        for key in [key for key in self._shown if key not in standing]:
            del self._shown[key]
            persistent_notification.async_dismiss(self._hass, self._id(key))
        for notice in standing.values():
            self._show(notice)

    @callback
    def _deliver(self, notice: NoticeWire) -> None:
        self._show(notice)
        self._send("notice_delivered", notice["number"])

    @callback
    def _show(self, notice: NoticeWire) -> None:
        if self._shown.get(notice["key"]) == notice["number"]:
            return
        self._shown[notice["key"]] = notice["number"]
        title, message = self._words.text(notice, self._coordinator.data["site"]["name"])
        # The page of notifications reads Markdown, and an event is called what a utility calls it.
        persistent_notification.async_create(self._hass, not_marked_up(message), title, self._id(notice["key"]))

    @callback
    def _notifications_changed(self, kind: UpdateType, notifications: dict[str, Notification]) -> None:
        if kind is not UpdateType.REMOVED:
            return
        for key in [key for key in self._shown if self._id(key) in notifications]:
            self._send("acknowledge_notice", self._shown[key])

    def _send(self, command: str, number: int) -> None:
        self._coordinator.config_entry.async_create_background_task(
            self._hass, self._try_to_send(command, number), f"{DOMAIN} {command}"
        )

    async def _try_to_send(self, command: str, number: int) -> None:
        try:
            await self._coordinator.async_command(command, number=number)
        except HomeAssistantError as error:
            self._coordinator.logger.debug("%s of notice %s did not arrive: %s", command, number, error)
