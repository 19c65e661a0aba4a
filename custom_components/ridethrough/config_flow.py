"""From an address and a pairing code to a link that lasts, and a summary of what was found."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast, override

import probatio
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.const import CONF_CODE, CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from yarl import URL

from .certificate import (
    BadFingerprintError,
    PlainHttpError,
    is_loopback,
    looked_at,
    read_fingerprint,
    shown_fingerprint,
)
from .client import (
    Address,
    CannotConnectError,
    CodeRefusedError,
    Connection,
    EdgeError,
    PairingLockedError,
    SchemaError,
    TokenRefusedError,
    TooManyClientsError,
    WrongCertificateError,
    pair,
)
from .const import CONF_FINGERPRINT, DEFAULT_PORT, DOMAIN, LOAD_GROUP, PROGRAM
from .options_flow import RidethroughOptionsFlow
from .program_flow import ProgramFlow
from .subentry_flow import LoadGroupFlow
from .summary import options_of, questions_of, summary_of
from .wire import State
from .wording import async_words

PORT = probatio.All(probatio.Coerce(int), probatio.Range(min=1, max=65535))
ADDRESS_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_HOST): TextSelector(),
        probatio.Required(CONF_PORT, default=DEFAULT_PORT): PORT,
    }
)
CODE_SCHEMA = probatio.Schema(
    {probatio.Required(CONF_CODE): TextSelector(TextSelectorConfig(autocomplete="one-time-code"))}
)

# How the edge names us to the resident who looks through the paired clients, with the name of the home.
CLIENT_NAME = "Home Assistant, {home}"


class BadHostError(EdgeError):
    """What was typed names no machine."""


ERRORS: tuple[tuple[type[EdgeError], str], ...] = (
    (CodeRefusedError, "code_refused"),
    (PairingLockedError, "pairing_locked"),
    (TokenRefusedError, "token_refused"),
    (TooManyClientsError, "too_many_clients"),
    (WrongCertificateError, "wrong_certificate"),
    (PlainHttpError, "plain_http"),
    (BadHostError, "bad_host"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What answered, and what it shows: told to the resident before an entry is made of it."""

    token: str = field(repr=False)
    installation: str
    version: str
    state: State


def place_of(typed: Mapping[str, Any]) -> tuple[str, int]:
    """Host and port as typed in; a whole address, as a browser shows it, does as well. Raises BadHostError."""
    host, port = typed[CONF_HOST].strip(), typed[CONF_PORT]
    bare = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
    try:
        url = URL(host if "://" in host else f"//{bare}")
    except ValueError as error:
        raise BadHostError("no address") from error
    if not url.host or " " in host:
        raise BadHostError("no name of a machine")
    return url.host, url.explicit_port or port


def data_of(address: Address) -> dict[str, Any]:
    """What the entry keeps of an address."""
    return {CONF_HOST: address.host, CONF_PORT: address.port, CONF_FINGERPRINT: address.fingerprint}


def address_of(data: Mapping[str, Any]) -> Address:
    """Where an entry's edge is."""
    return Address(data[CONF_HOST], data[CONF_PORT], data.get(CONF_FINGERPRINT))


def error_key(error: EdgeError) -> str:
    """The text for an error."""
    if isinstance(error, SchemaError):
        return "edge_too_old" if error.edge_is_older else "edge_too_new"
    return next((key for kind, key in ERRORS if isinstance(error, kind)), "cannot_connect")


class RidethroughConfigFlow(ConfigFlow, domain=DOMAIN):
    """Set up, pair again, move. Nothing is said to an edge before the key that it shows could be compared."""

    VERSION = 1

    _found: Found

    def __init__(self) -> None:
        self._address = Address("", DEFAULT_PORT)

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        """Programs and load groups are made one by one."""
        return {PROGRAM: ProgramFlow, LOAD_GROUP: LoadGroupFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """What is forwarded to the controller."""
        return RidethroughOptionsFlow()

    # ------------------------------------------------------------------------------------------------- the address

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """The address, typed in."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                host, port = place_of(user_input)
                self._async_abort_entries_match({CONF_HOST: host, CONF_PORT: port})
                self._address = await looked_at(host, port)
            except EdgeError as error:
                errors["base"] = error_key(error)
            else:
                return await self.async_step_pair()
        return self._address_form("user", user_input or {}, errors)

    def _address_form(self, step: str, known: Mapping[str, Any], errors: dict[str, str]) -> ConfigFlowResult:
        schema = self.add_suggested_values_to_schema(ADDRESS_SCHEMA, known)
        return self.async_show_form(step_id=step, data_schema=schema, errors=errors)

    @override
    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Found on the network. A known edge that moved gets its new address; an announcement gives no trust."""
        told, port = discovery_info.properties, discovery_info.port
        installation = told.get("installation")
        if not installation or port is None:
            return self.async_abort(reason="not_an_edge")
        try:
            self._address = Address(discovery_info.host, port, read_fingerprint(told.get("fingerprint") or ""))
        except BadFingerprintError:
            return self.async_abort(reason="not_an_edge")
        entry = await self.async_set_unique_id(installation)
        self._abort_if_unique_id_configured(updates=self._moved(entry))
        if self._address.fingerprint is None:
            return self.async_abort(reason="plain_http")
        self.context["title_placeholders"] = {"name": self._address.host}
        return await self.async_step_discovered()

    def _moved(self, entry: ConfigEntry[Any] | None) -> dict[str, Any] | None:
        """The new place of a known edge. Its key stays the one that was paired with; without one, it stays here."""
        if entry is None or _is_linked(entry):
            return None
        if entry.data.get(CONF_FINGERPRINT) is None and not is_loopback(self._address.host):
            return None
        return {CONF_HOST: self._address.host, CONF_PORT: self._address.port}

    # ---------------------------------------------------------------------------------------------------- the code

    async def async_step_pair(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """The code, once the key of a typed address is on the screen; another address if it is none of an edge."""
        if user_input is None:
            return await self._code_form("pair", {})
        try:
            self._found = await self._pair(user_input[CONF_CODE])
        except CannotConnectError as error:
            return self._address_form("user", data_of(self._address), {"base": error_key(error)})
        except EdgeError as error:
            return await self._code_form("pair", {"base": error_key(error)})
        return await self._paired()

    async def async_step_discovered(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """The code for an edge that was found."""
        return await self._ask_for_code("discovered", user_input)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """The edge no longer knows our token, or shows another key: then that is compared first."""
        self._address = address_of(entry_data)
        with suppress(EdgeError):
            seen = await looked_at(self._address.host, self._address.port)
            if seen.fingerprint != self._address.fingerprint:
                self._address = seen
                return await self.async_step_pair_again()
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """A new code, for the key that is known."""
        return await self._ask_for_code("reauth_confirm", user_input)

    async def async_step_pair_again(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """A new code where the edge shows another key, or forgot us: the token is not said to a key it is not for."""
        return await self._ask_for_code("pair_again", user_input)

    async def _ask_for_code(self, step: str, user_input: dict[str, Any] | None) -> ConfigFlowResult:
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                self._found = await self._pair(user_input[CONF_CODE])
            except EdgeError as error:
                errors["base"] = error_key(error)
            else:
                return await self._paired()
        return await self._code_form(step, errors)

    async def _code_form(self, step: str, errors: dict[str, str]) -> ConfigFlowResult:
        fingerprint = self._address.fingerprint
        shown = (
            shown_fingerprint(fingerprint) if fingerprint else (await async_words(self.hass)).say("fingerprint_none")
        )
        told = {"host": self._address.host, "fingerprint": shown, "name": self._name()}
        return self.async_show_form(step_id=step, data_schema=CODE_SCHEMA, errors=errors, description_placeholders=told)

    def _name(self) -> str:
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry().title
        return self._get_reconfigure_entry().title if self.source == SOURCE_RECONFIGURE else self._address.host

    async def _pair(self, code: str) -> Found:
        """Raises EdgeError."""
        name = CLIENT_NAME.format(home=self.hass.config.location_name)
        token = await pair(async_get_clientsession(self.hass), self._address, code.strip(), name)
        return await self._looked_through(token)

    async def _looked_through(self, token: str) -> Found:
        """Raises EdgeError."""
        connection = await Connection.open(async_get_clientsession(self.hass), self._address, token)
        try:
            await connection.start(None)
        finally:
            await connection.close()
        state = cast("State", connection.state)
        return Found(token, connection.hello["installation"], connection.hello["version"], state)

    # ----------------------------------------------------------------------------------------------------- the entry

    async def _paired(self) -> ConfigFlowResult:
        """What comes of it: a summary, or the entry that is there already with what is new."""
        data = self._data()
        await self.async_set_unique_id(self._found.installation, raise_on_progress=False)
        if self.source in (SOURCE_REAUTH, SOURCE_RECONFIGURE):
            self._abort_if_unique_id_mismatch(reason="wrong_installation")
            entry = self._get_reauth_entry() if self.source == SOURCE_REAUTH else self._get_reconfigure_entry()
            return self.async_update_reload_and_abort(entry, data_updates=data)
        self._abort_if_unique_id_configured(updates=data)
        return await self.async_step_summary()

    def _data(self) -> dict[str, Any]:
        return {**data_of(self._address), CONF_TOKEN: self._found.token}

    async def async_step_summary(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """What was found, what is missing and what to do next."""
        found = self._found
        name = found.state["site"]["name"]
        if user_input is not None:
            return self.async_create_entry(title=name, data=self._data(), options=options_of(self.hass, user_input))
        told = {"name": name, "summary": summary_of(found.state, found.version, await async_words(self.hass))}
        return self.async_show_form(
            step_id="summary",
            data_schema=questions_of(self.hass, found.state),
            description_placeholders=told,
            last_step=True,
        )

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """The same edge at another address; the token stays where the key does."""
        entry = self._get_reconfigure_entry()
        if user_input is None:
            return self._address_form("reconfigure", entry.data, {})
        try:
            self._address = await looked_at(*place_of(user_input))
            if self._address.fingerprint != entry.data.get(CONF_FINGERPRINT):
                return await self.async_step_pair_again()
            self._found = await self._looked_through(entry.data[CONF_TOKEN])
        except TokenRefusedError:
            return await self.async_step_pair_again()
        except EdgeError as error:
            return self._address_form("reconfigure", user_input, {"base": error_key(error)})
        return await self._paired()


def _is_linked(entry: ConfigEntry[Any]) -> bool:
    """A standing link is not moved by an announcement: anybody on the network can send one."""
    coordinator = getattr(entry, "runtime_data", None)
    return coordinator is not None and coordinator.last_update_success
