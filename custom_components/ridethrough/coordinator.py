"""The state as the edge pushes it, the way back after a lost link, and the commands that go the other way."""

import logging
from asyncio import Task, gather, sleep
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import (
    ConfigEntryAuthFailed,
    ConfigEntryNotReady,
    HomeAssistantError,
)
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from . import wire
from .client import (
    Address,
    CannotConnectError,
    CommandRefusedError,
    CommandTimeoutError,
    Connection,
    EdgeError,
    LinkLostError,
    TokenRefusedError,
    WrongCertificateError,
    recording,
)
from .const import CONF_FINGERPRINT, DOMAIN
from .history import History, OccurrenceListener
from .link_issues import Strain, misfit_of, tell_misfit
from .orders import Orders, TooManyOrdersError
from .pushes import Shown
from .ready_by import ReadyBy
from .refusals import translated
from .relevance import Owner

_LOGGER = logging.getLogger(__name__)

# A restarted edge is back within two seconds; one that is off for the night needs no more than a try per half minute.
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0

type RidethroughConfigEntry = ConfigEntry[RidethroughCoordinator]
type NoticeListener = Callable[[wire.NoticeWire], None]


class RidethroughCoordinator(DataUpdateCoordinator[wire.State]):
    """One edge service. ``data`` is the whole state; it stays readable while the link is down."""

    config_entry: RidethroughConfigEntry

    def __init__(self, hass: HomeAssistant, entry: RidethroughConfigEntry) -> None:
        super().__init__(hass, _LOGGER, config_entry=entry, name=DOMAIN)
        self.address = Address(entry.data[CONF_HOST], entry.data[CONF_PORT], entry.data.get(CONF_FINGERPRINT))
        self.installation = cast("str", entry.unique_id)
        self.version = ""
        self.site_device_id = ""
        # Programs whose entities wait for their subentry, or that are on their way out.
        self.held_programs: set[str] = set()
        self.commands: deque[dict[str, Any]] = deque(maxlen=200)
        # By charger: what its ready-by entities remember while they are off.
        self.ready_by: dict[str, ReadyBy] = {}
        self.history = History(hass, f"{DOMAIN}.{entry.entry_id}")
        self._connection: Connection | None = None
        self._link: Task[None] | None = None
        self._notice_listener: NoticeListener | None = None
        self._misfit: str | None = None
        self._pushes = Shown(hass.loop, self.async_set_updated_data)
        self._strain = Strain(hass, entry.entry_id, entry.title)
        self._orders = Orders(self._send, self._send_later, self._strain.held)

    @property
    def read_only(self) -> bool:
        """The edge speaks no schema of ours: what still fits is shown, and nothing goes the other way."""
        return self._misfit is not None

    @property
    def in_step(self) -> bool:
        """There is a link, and both sides mean the same by what is said on it."""
        return self.last_update_success and not self.read_only

    # ------------------------------------------------------------------------------------------------ connecting

    async def async_connect(self) -> None:
        """Connect for the first time and read the whole state. Raises the three errors of a set-up that must wait."""
        await self.history.async_load()
        try:
            await self._connect()
        except TokenRefusedError as error:
            raise ConfigEntryAuthFailed(translation_domain=DOMAIN, translation_key="token_refused") from error
        except WrongCertificateError as error:
            raise ConfigEntryAuthFailed(translation_domain=DOMAIN, translation_key="wrong_certificate") from error
        except EdgeError as error:
            raise ConfigEntryNotReady(
                translation_domain=DOMAIN,
                translation_key="cannot_connect",
                translation_placeholders={"host": self.address.host},
            ) from error

    @callback
    def async_follow(self) -> None:
        """Begin to read what the edge pushes. Everybody who listens is there by now."""
        if self._connection is None:
            return
        self._link = self.config_entry.async_create_background_task(
            self.hass, self._follow(self._connection), f"{DOMAIN} link"
        )
        self.config_entry.async_on_unload(async_at_started(self.hass, self._home_assistant_started))

    async def _connect(self) -> Connection:
        connection = await Connection.open(
            async_get_clientsession(self.hass), self.address, self.config_entry.data[CONF_TOKEN], any_schema=True
        )
        if connection.hello["installation"] != self.installation:
            await connection.close()
            raise CannotConnectError(f"another installation answers at {self.address.host}")
        self.version = connection.hello["version"]
        self._tell_misfit(misfit_of(connection.foreign))
        snapshot = await connection.start(self.history.known)
        self._connection = connection
        self._take_snapshot(connection, snapshot)
        return connection

    @callback
    def _tell_misfit(self, misfit: str | None) -> None:
        self._misfit = misfit
        tell_misfit(self.hass, self.config_entry.entry_id, self.config_entry.title, self.version, misfit)

    @callback
    def _take_snapshot(self, connection: Connection, snapshot: wire.Snapshot) -> None:
        self.history.async_follows(snapshot["last_occurrence"])
        self._pushes.drop()
        if connection.state is not None:
            self.async_set_updated_data(connection.state)

    async def _follow(self, connection: Connection) -> None:
        """Read one connection after another, for as long as the entry is loaded."""
        try:
            while True:
                try:
                    await self._read(connection)
                except LinkLostError as error:
                    _LOGGER.info("Link to %s is down: %s", self.config_entry.title, error)
                    self._lost(error)
                except Exception:  # a defect in one message must not leave the house unseen for good
                    _LOGGER.exception("Not all could be done with what %s said", self.config_entry.title)
                    self._lost(LinkLostError("a defect"))
                finally:
                    await connection.close()
                connection = await self._reconnect()
        finally:
            # Whatever ends this: nobody follows any more, so nothing may look current.
            self._lost(LinkLostError("not followed"))

    async def _read(self, connection: Connection) -> None:
        while True:
            message = await connection.read()
            if message["type"] != "occurrence":
                self.history.async_settle()
            match message["type"]:
                case "snapshot":
                    self._take_snapshot(connection, cast("wire.Snapshot", message))
                case "change" if connection.state is not None:
                    self._pushes.take(connection.state, message)
                case "occurrence":
                    self._pushes.flush()
                    self.history.async_take(cast("wire.Occurrence", message))
                case "notice":
                    self._pushes.flush()
                    self._bring(message["notice"])

    @callback
    def _bring(self, notice: wire.NoticeWire) -> None:
        if self._notice_listener is not None:
            self._notice_listener(notice)

    async def _reconnect(self) -> Connection:
        retry_s = FIRST_RETRY_S
        while True:
            await sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)
            try:
                connection = await self._connect()
            except TokenRefusedError, WrongCertificateError:
                self.config_entry.async_start_reauth(self.hass)
            except EdgeError as error:
                _LOGGER.debug("Still no link to the edge: %s", error)
            else:
                _LOGGER.info("Link to %s is back", self.config_entry.title)
                return connection

    @callback
    def _lost(self, error: LinkLostError) -> None:
        self._connection = None
        self._pushes.drop()
        self.last_exception = error
        self.last_update_success = False
        self.async_update_listeners()

    @override
    async def _async_update_data(self) -> wire.State:
        """Asked for by a person (``homeassistant.update_entity``): what was pushed last is what there is."""
        if self._connection is None:
            raise UpdateFailed(translation_domain=DOMAIN, translation_key="no_link")
        return self.data

    async def async_stop(self) -> None:
        """Close the link and write down what was shown."""
        self._strain.end()
        self._tell_misfit(None)
        if self._link is not None:
            self._link.cancel()
            await gather(self._link, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()
        await self.history.async_save()

    async def async_forget(self) -> None:
        """Remove what is kept on disk."""
        await self.history.async_remove()

    # ----------------------------------------------------------------------------------------------- occurrences

    @callback
    def async_listen_occurrences(self, owner: Owner, listener: OccurrenceListener) -> CALLBACK_TYPE:
        """Call ``listener`` once for each occurrence of the site, a charger or a program."""
        return self.history.async_listen(owner, _contained(listener))

    @callback
    def async_listen_notices(self, listener: NoticeListener) -> CALLBACK_TYPE:
        """Call ``listener`` for each notice that the edge wants brought to people now."""
        self._notice_listener = _contained(listener)

        def stop() -> None:
            self._notice_listener = None

        return stop

    @callback
    def _home_assistant_started(self, _: HomeAssistant) -> None:
        self.config_entry.async_create_background_task(
            self.hass, self.history.async_wait_for_automations(), f"{DOMAIN} history"
        )

    # -------------------------------------------------------------------------------------------------- commands

    async def async_command(self, command: str, /, **args: Any) -> dict[str, Any]:
        """Have the edge do something; returns when it has accepted.

        Raises ServiceValidationError for what the person can set right, HomeAssistantError for all else.
        """
        record: dict[str, Any] = {"command": command, "args": args, "at": dt_util.utcnow().isoformat(), "outcome": "ok"}
        self.commands.append(record)
        try:
            if self._connection is None:
                raise LinkLostError("no link")
            if self._misfit is not None:
                record["outcome"] = self._misfit
                raise HomeAssistantError(translation_domain=DOMAIN, translation_key=self._misfit)
            return await self._orders.order(command, args)
        except TooManyOrdersError as error:
            record["outcome"] = "too_many_commands"
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="too_many_commands") from error
        except CommandRefusedError as error:
            record["outcome"] = error.code
            raise translated(error) from error
        except CommandTimeoutError as error:
            record["outcome"] = "no_answer"
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="no_answer") from error
        except LinkLostError as error:
            record["outcome"] = "no_link"
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="no_link") from error

    async def _send(self, command: str, args: Mapping[str, Any]) -> dict[str, Any]:
        if self._connection is None:
            raise LinkLostError("no link")
        return await self._connection.command(command, args)

    @callback
    def _send_later(self, sending: Coroutine[Any, Any, None]) -> None:
        self.config_entry.async_create_background_task(self.hass, sending, f"{DOMAIN} order")

    async def async_report(self, report: dict[str, Any]) -> None:
        """Tell the edge what only Home Assistant sees. One that is lost is followed by the next."""
        try:
            if self._connection is not None and not self.read_only:
                await self._connection.command("report", report)
        except (CommandRefusedError, CommandTimeoutError, LinkLostError) as error:
            _LOGGER.debug("A report was not taken: %s", error)

    async def async_recording(self) -> dict[str, Any] | None:
        """What the edge recorded lately, for a scenario; None where it cannot be had."""
        try:
            return await recording(async_get_clientsession(self.hass), self.address, self.config_entry.data[CONF_TOKEN])
        except EdgeError as error:
            _LOGGER.info("The recording is not in the download: %s", error)
            return None


def _contained[NewsT](listener: Callable[[NewsT], None]) -> Callable[[NewsT], None]:
    """As ``DataUpdateCoordinator`` does: a defect in one that listens ends neither the link nor what others hear."""

    @callback
    def told(news: NewsT) -> None:
        try:
            listener(news)
        except Exception:
            _LOGGER.exception("Not all could be done with %s", news)

    return told
