"""The set-up as a person goes through it: the address, the code, the summary."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.const import CONF_CODE, CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant

from custom_components.ridethrough.const import DOMAIN


async def ask_for_code(hass: HomeAssistant, port: int, host: str = "127.0.0.1") -> Any:
    """Type the address; the form that comes asks for the code."""
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    return await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_HOST: host, CONF_PORT: port})


async def paired(hass: HomeAssistant, port: int, code: str) -> ConfigEntry[Any]:
    """Go through all of it, to the loaded entry."""
    form = await ask_for_code(hass, port)
    configure = hass.config_entries.flow.async_configure
    summary = await configure(form["flow_id"], {CONF_CODE: code})
    assert summary["step_id"] == "summary", summary
    made = await configure(form["flow_id"], {})
    await hass.async_block_till_done()
    entry: ConfigEntry[Any] = made["result"]
    return entry
