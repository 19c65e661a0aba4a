"""From an address and a pairing code to a link that lasts."""

from collections.abc import Mapping
from string import hexdigits
from typing import Any, override

import probatio
from homeassistant.config_entries import (
    SOURCE_REAUTH,
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

from .client import (
    Address,
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
from .const import CONF_FINGERPRINT, DEFAULT_PORT, DOMAIN, LOAD_GROUP
from .options_flow import RidethroughOptionsFlow
from .subentry_flow import LoadGroupFlow

PORT = probatio.All(probatio.Coerce(int), probatio.Range(min=1, max=65535))
CODE = TextSelector(TextSelectorConfig(autocomplete="one-time-code"))

ADDRESS_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_HOST): TextSelector(),
        probatio.Required(CONF_PORT, default=DEFAULT_PORT): PORT,
        probatio.Optional(CONF_FINGERPRINT): TextSelector(),
    }
)
USER_SCHEMA = ADDRESS_SCHEMA.extend({probatio.Required(CONF_CODE): CODE})
CODE_SCHEMA = probatio.Schema({probatio.Required(CONF_CODE): CODE})

# How the edge names us to the resident who looks through the paired clients.
CLIENT_NAME = "Home Assistant"


# SHA-256 as hex.
FINGERPRINT_DIGITS = 64


class BadFingerprintError(EdgeError):
    """What was typed is no fingerprint."""


def address_of(typed: Mapping[str, Any]) -> Address:
    """The address as typed in; colons and spaces in the fingerprint do not matter. Raises BadFingerprintError."""
    fingerprint = "".join(typed.get(CONF_FINGERPRINT, "").lower().replace(":", " ").split())
    if fingerprint and (len(fingerprint) != FINGERPRINT_DIGITS or set(fingerprint) - set(hexdigits)):
        raise BadFingerprintError("not a SHA-256 fingerprint")
    return Address(typed[CONF_HOST].strip(), typed[CONF_PORT], fingerprint or None)


def data_of(address: Address) -> dict[str, Any]:
    """What the entry keeps of an address."""
    return {CONF_HOST: address.host, CONF_PORT: address.port, CONF_FINGERPRINT: address.fingerprint}


def error_key(error: EdgeError) -> str:
    """The text for an error."""
    match error:
        case CodeRefusedError():
            return "code_refused"
        case PairingLockedError():
            return "pairing_locked"
        case TokenRefusedError():
            return "token_refused"
        case TooManyClientsError():
            return "too_many_clients"
        case WrongCertificateError():
            return "wrong_certificate"
        case BadFingerprintError():
            return "bad_fingerprint"
        case SchemaError():
            return "edge_too_old" if error.edge_is_older else "edge_too_new"
    return "cannot_connect"


class RidethroughConfigFlow(ConfigFlow, domain=DOMAIN):
    """Set up, pair again, move."""

    VERSION = 1

    def __init__(self) -> None:
        self._address = Address("", DEFAULT_PORT)

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        """Load groups are made one by one."""
        return {LOAD_GROUP: LoadGroupFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """What is forwarded to the controller."""
        return RidethroughOptionsFlow()

    async def _probe(self, address: Address, token: str) -> tuple[str, str]:
        """Installation id and site name. Raises EdgeError."""
        connection = await Connection.open(async_get_clientsession(self.hass), address, token)
        try:
            snapshot = await connection.start(None)
        finally:
            await connection.close()
        return connection.hello["installation"], snapshot["state"]["site"]["name"]

    async def _pair(self, address: Address, code: str) -> tuple[str, str, str]:
        """Token, installation id and site name. Raises EdgeError."""
        token = await pair(async_get_clientsession(self.hass), address, code.strip(), CLIENT_NAME)
        installation, name = await self._probe(address, token)
        return token, installation, name

    async def _finish(self, address: Address, token: str, installation: str, name: str) -> ConfigFlowResult:
        await self.async_set_unique_id(installation, raise_on_progress=False)
        if self.source == SOURCE_REAUTH:
            self._abort_if_unique_id_mismatch(reason="wrong_installation")
            return self.async_update_reload_and_abort(self._get_reauth_entry(), data_updates={CONF_TOKEN: token})
        data = {**data_of(address), CONF_TOKEN: token}
        self._abort_if_unique_id_configured(updates=data)
        return self.async_create_entry(title=name, data=data)

    async def _ask_for_code(
        self, step: str, user_input: dict[str, Any] | None, placeholders: Mapping[str, str]
    ) -> ConfigFlowResult:
        """Pair with the address that is known already."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                paired = await self._pair(self._address, user_input[CONF_CODE])
            except EdgeError as error:
                errors["base"] = error_key(error)
            else:
                return await self._finish(self._address, *paired)
        return self.async_show_form(
            step_id=step, data_schema=CODE_SCHEMA, errors=errors, description_placeholders=placeholders
        )

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Address and code, typed in."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                address = address_of(user_input)
                paired = await self._pair(address, user_input[CONF_CODE])
            except EdgeError as error:
                errors["base"] = error_key(error)
            else:
                return await self._finish(address, *paired)
        schema = self.add_suggested_values_to_schema(USER_SCHEMA, user_input)
        return self.async_show_form(step_id="user", data_schema=schema, errors=errors)

    @override
    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Found on the network. A known edge that moved gets its new address."""
        told = discovery_info.properties
        installation = told.get("installation")
        if not installation or discovery_info.port is None:
            return self.async_abort(reason="not_an_edge")
        try:
            self._address = address_of(
                {
                    CONF_HOST: discovery_info.host,
                    CONF_PORT: discovery_info.port,
                    CONF_FINGERPRINT: told.get("fingerprint") or "",
                }
            )
        except BadFingerprintError:
            return self.async_abort(reason="not_an_edge")
        entry = await self.async_set_unique_id(installation)
        self._abort_if_unique_id_configured(updates=None if _is_linked(entry) else self._moved())
        self.context["title_placeholders"] = {"name": discovery_info.name.partition(".")[0]}
        return await self.async_step_discovered()

    def _moved(self) -> dict[str, Any]:
        """The key stays the one that was paired with: an announcement can come from anybody."""
        return {CONF_HOST: self._address.host, CONF_PORT: self._address.port}

    async def async_step_discovered(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the code only."""
        return await self._ask_for_code("discovered", user_input, {"host": self._address.host})

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """The edge no longer knows our token."""
        self._address = Address(entry_data[CONF_HOST], entry_data[CONF_PORT], entry_data.get(CONF_FINGERPRINT))
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a new code."""
        name = self._get_reauth_entry().title
        return await self._ask_for_code("reauth_confirm", user_input, {"name": name})

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """The same edge at another address; the token stays."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                address = address_of(user_input)
                installation, _ = await self._probe(address, entry.data[CONF_TOKEN])
            except EdgeError as error:
                errors["base"] = error_key(error)
            else:
                await self.async_set_unique_id(installation)
                self._abort_if_unique_id_mismatch(reason="wrong_installation")
                return self.async_update_reload_and_abort(entry, data_updates=data_of(address))
        known = {key: value for key, value in entry.data.items() if value is not None}
        schema = self.add_suggested_values_to_schema(ADDRESS_SCHEMA, user_input or known)
        return self.async_show_form(step_id="reconfigure", data_schema=schema, errors=errors)


def _is_linked(entry: ConfigEntry[Any] | None) -> bool:
    """A standing link is not moved by an announcement: anybody on the network can send one."""
    coordinator = getattr(entry, "runtime_data", None)
    return coordinator is not None and coordinator.last_update_success
