"""The page on which blueprints are installed and brought up to date."""

from typing import Any

import probatio
from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from .wording import Words, words

CONF_INSTALL = "install"
CONF_REPLACE = "replace_changed"
FIELDS = (CONF_INSTALL, CONF_REPLACE)


class BlueprintPages(OptionsFlow):
    """One page. Nothing of it is kept as an option: what is installed is in the files themselves."""

    async def async_step_blueprints(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Which to install; one that somebody changed is replaced only after a word."""
        if "automation" not in self.hass.config.components:
            return self.async_abort(reason="no_automations")
        # Automations are read only here: a house without them has no need of their code.
        from .blueprints import Shelf, Standing  # noqa: PLC0415

        shelf, errors = Shelf(self.hass), dict[str, str]()
        if user_input is not None:
            replace = user_input.get(CONF_REPLACE, False)
            if not await shelf.async_install(user_input[CONF_INSTALL], replace_changed=replace):
                return self.async_create_entry(data=dict(self.config_entry.options))
            errors[CONF_REPLACE] = "blueprint_changed"
        standing = await shelf.async_standing()
        wanted = [name for name, one in standing.items() if one in (Standing.MISSING, Standing.OUTDATED)]
        schema = _schema(words(self.hass), standing, wanted if user_input is None else user_input[CONF_INSTALL])
        return self.async_show_form(step_id="blueprints", data_schema=schema, errors=errors)


def _schema(said: Words, standing: dict[str, Any], wanted: list[str]) -> probatio.Schema:
    offered = [
        SelectOptionDict(value=name, label=f"{said.say(f'blueprint_{name}')} ({said.say(f'blueprint_is_{one}')})")
        for name, one in standing.items()
    ]
    choice = SelectSelectorConfig(options=offered, multiple=True, mode=SelectSelectorMode.LIST)
    return probatio.Schema(
        {
            probatio.Required(CONF_INSTALL, default=wanted): SelectSelector(choice),
            probatio.Required(CONF_REPLACE, default=False): BooleanSelector(),
        }
    )
