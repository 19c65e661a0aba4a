"""Loads that are shed together: chosen, changed."""

from typing import Any

import probatio
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_ENTITIES, CONF_NAME, UnitOfPower, UnitOfRatio
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
)

from .const import (
    CONF_HOURS,
    CONF_LEGS,
    CONF_MEDICAL,
    CONF_POWER_SENSOR,
    CONF_SHED_BELOW,
    CONF_TIER,
    CONF_TYPICAL_POWER,
)
from .hours import HoursError, hours_of
from .load_groups import entities_of, groups_of
from .switching import DOMAINS

TIERS = ["must_have", "nice_to_have", "non_essential"]
LEGS = ["1", "2", "3"]
# The edge's bounds.
LONGEST_NAME = 60
MOST_POWER_W = 100_000
DEFAULT_SHED_BELOW_PCT = 50

SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_NAME): TextSelector(),
        probatio.Required(CONF_ENTITIES): EntitySelector(EntitySelectorConfig(domain=DOMAINS, multiple=True)),
        probatio.Required(CONF_TIER, default="nice_to_have"): SelectSelector(
            SelectSelectorConfig(options=TIERS, translation_key="tier")
        ),
        probatio.Required(CONF_SHED_BELOW, default=DEFAULT_SHED_BELOW_PCT): NumberSelector(
            NumberSelectorConfig(
                min=0, max=100, step=1, unit_of_measurement=UnitOfRatio.PERCENTAGE, mode=NumberSelectorMode.SLIDER
            )
        ),
        probatio.Optional(CONF_HOURS): TextSelector(),
        probatio.Optional(CONF_TYPICAL_POWER): NumberSelector(
            NumberSelectorConfig(
                min=0, max=MOST_POWER_W, step=1, unit_of_measurement=UnitOfPower.WATT, mode=NumberSelectorMode.BOX
            )
        ),
        probatio.Optional(CONF_POWER_SENSOR): EntitySelector(
            EntitySelectorConfig(domain="sensor", device_class="power")
        ),
        probatio.Optional(CONF_LEGS, default=list): SelectSelector(
            SelectSelectorConfig(options=LEGS, multiple=True, translation_key="legs")
        ),
        probatio.Required(CONF_MEDICAL, default=False): BooleanSelector(),
    }
)


class LoadGroupFlow(ConfigSubentryFlow):
    """A new group, or another one in its place."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """A new group."""
        errors = {} if user_input is None else self._errors(user_input, None)
        if user_input is not None and not errors:
            return self.async_create_entry(title=user_input[CONF_NAME].strip(), data=_tidy(user_input))
        schema = self.add_suggested_values_to_schema(SCHEMA, user_input)
        return self.async_show_form(step_id="user", data_schema=schema, errors=errors)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """What is shed now of what is taken out is put back."""
        group = self._get_reconfigure_subentry()
        errors = {} if user_input is None else self._errors(user_input, group.subentry_id)
        if user_input is not None and not errors:
            title = user_input[CONF_NAME].strip()
            return self.async_update_and_abort(self._get_entry(), group, title=title, data=_tidy(user_input))
        schema = self.add_suggested_values_to_schema(SCHEMA, user_input or group.data)
        return self.async_show_form(step_id="reconfigure", data_schema=schema, errors=errors)

    def _errors(self, typed: dict[str, Any], itself: str | None) -> dict[str, str]:
        if not 1 <= len(typed[CONF_NAME].strip()) <= LONGEST_NAME:
            return {CONF_NAME: "name_invalid"}
        if not typed[CONF_ENTITIES]:
            return {CONF_ENTITIES: "no_entities"}
        if typed[CONF_MEDICAL] and typed[CONF_TIER] != "must_have":
            return {CONF_TIER: "medical_is_must_have"}
        if of_hours := self._errors_of_hours(typed):
            return of_hours
        others = [group for group in groups_of(self._get_entry()).values() if group.subentry_id != itself]
        taken = {entity for group in others for entity in entities_of(group)}
        return {CONF_ENTITIES: "in_another_group"} if taken & set(typed[CONF_ENTITIES]) else {}

    def _errors_of_hours(self, typed: dict[str, Any]) -> dict[str, str]:
        try:
            hours = hours_of(typed.get(CONF_HOURS, ""))
        except HoursError:
            return {CONF_HOURS: "hours_invalid"}
        if hours and typed[CONF_TIER] == "must_have":
            return {CONF_HOURS: "hours_of_must_have"}
        if hours and self._lacks_time_zone():
            return {CONF_HOURS: "hours_need_time_zone"}
        if hours and typed.get(CONF_TYPICAL_POWER) is None and not typed.get(CONF_POWER_SENSOR):
            return {CONF_TYPICAL_POWER: "hours_need_power"}
        return {}

    def _lacks_time_zone(self) -> bool:
        """Five o'clock of a controller that does not know where it is would be somebody else's."""
        entry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return False
        site = entry.runtime_data.data["site"]
        return "time_zone" in site and site["time_zone"] is None


def _tidy(typed: dict[str, Any]) -> dict[str, Any]:
    return {**typed, CONF_NAME: typed[CONF_NAME].strip()}
