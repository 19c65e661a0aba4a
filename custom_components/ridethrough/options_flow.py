"""What Home Assistant tells the controller: entities that know of the grid, of warnings, of events; the switch."""

from typing import Any

import probatio
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
)

from .blueprint_options import BlueprintPages
from .const import (
    CONF_ALERTS,
    CONF_CALENDAR_PROGRAM,
    CONF_CALENDARS,
    CONF_CLOSED_PROOF,
    CONF_LOST_STATES,
    CONF_LOST_WHEN_ON,
    CONF_ON_IS_OPEN,
    CONF_OPEN_PROOF,
    CONF_PRESENT_STATES,
    CONF_PRESENT_WHEN_ON,
    CONF_STATE_SENSORS,
    CONF_STREET_SIDE,
    CONF_SWITCH,
)
from .coordinator import RidethroughConfigEntry
from .forwarding import folded
from .phones.pages import PhonePages
from .program_events import BY_HAND
from .summary import question_of, summary_of
from .wording import async_words

ON_OR_OFF = ["binary_sensor", "input_boolean", "switch"]
WORDS = TextSelector(TextSelectorConfig(multiple=True))


def _entities(*domains: str) -> EntitySelector:
    return EntitySelector(EntitySelectorConfig(domain=list(domains), multiple=True))


def _entity(*domains: str) -> EntitySelector:
    return EntitySelector(EntitySelectorConfig(domain=list(domains)))


GRID_SCHEMA = probatio.Schema(
    {
        probatio.Optional(CONF_PRESENT_WHEN_ON, default=list): _entities(*ON_OR_OFF),
        probatio.Optional(CONF_LOST_WHEN_ON, default=list): _entities(*ON_OR_OFF),
        probatio.Optional(CONF_STATE_SENSORS, default=list): _entities("sensor", "select", "input_select"),
        probatio.Optional(CONF_PRESENT_STATES, default=list): WORDS,
        probatio.Optional(CONF_LOST_STATES, default=list): WORDS,
        probatio.Optional(CONF_STREET_SIDE, default=list): _entities(*ON_OR_OFF, "sensor", "select", "input_select"),
    }
)
ALERTS_SCHEMA = probatio.Schema(
    {probatio.Optional(CONF_ALERTS, default=list): _entities("binary_sensor", "input_boolean", "sensor")}
)
CALENDARS_SCHEMA = probatio.Schema(
    {
        probatio.Optional(CONF_CALENDARS, default=list): _entities("calendar"),
        probatio.Required(CONF_CALENDAR_PROGRAM, default=BY_HAND): TextSelector(),
    }
)
SWITCH_SCHEMA = probatio.Schema(
    {
        probatio.Optional(CONF_SWITCH): _entity("switch", "input_boolean"),
        probatio.Required(CONF_ON_IS_OPEN, default=False): BooleanSelector(),
        probatio.Optional(CONF_OPEN_PROOF): _entity("binary_sensor"),
        probatio.Optional(CONF_CLOSED_PROOF): _entity("binary_sensor"),
    }
)
SCHEMAS = {
    "grid_evidence": GRID_SCHEMA,
    "weather_alerts": ALERTS_SCHEMA,
    "calendars": CALENDARS_SCHEMA,
    "island_switch": SWITCH_SCHEMA,
}


class RidethroughOptionsFlow(BlueprintPages, PhonePages):
    """One page for each; what is chosen counts at once, without a reload."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Which page."""
        return self.async_show_menu(step_id="init", menu_options=["summary", "notifications", *SCHEMAS, "blueprints"])

    async def async_step_summary(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """What was found, what is missing and what to do next."""
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="no_link")
        coordinator = self.config_entry.runtime_data
        if user_input is not None:
            return self.async_create_entry(data={**self.config_entry.options, **user_input})
        words = await async_words(self.hass)
        told = {
            "name": self.config_entry.title,
            "summary": summary_of(coordinator.data, coordinator.version, words),
        }
        schema = self.add_suggested_values_to_schema(question_of(coordinator.data), self.config_entry.options)
        return self.async_show_form(step_id="summary", data_schema=schema, description_placeholders=told)

    async def async_step_grid_evidence(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Entities that tell whether the grid is there."""
        return self._page("grid_evidence", user_input, {} if user_input is None else _grid_errors(user_input))

    async def async_step_weather_alerts(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Entities that warn."""
        return self._page("weather_alerts", user_input, {})

    async def async_step_calendars(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Calendars in which people keep peak events, and the program that these are of."""
        errors: dict[str, str] = {}
        programs = _programs(self.config_entry)
        if user_input is not None and user_input[CONF_CALENDAR_PROGRAM] not in programs:
            errors[CONF_CALENDAR_PROGRAM] = "unknown_program"
        offered = [SelectOptionDict(value=own_id, label=name) for own_id, name in programs.items()]
        choice = SelectSelector(SelectSelectorConfig(options=offered))
        return self._page("calendars", user_input, errors, {CONF_CALENDAR_PROGRAM: choice})

    async def async_step_island_switch(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """The switch and its feedback."""
        return self._page("island_switch", user_input, {} if user_input is None else _switch_errors(user_input))

    def _page(
        self,
        step: str,
        typed: dict[str, Any] | None,
        errors: dict[str, str],
        choices: dict[str, SelectSelector] | None = None,
    ) -> ConfigFlowResult:
        """``choices``: what is offered in a field, where that is known only now."""
        options = dict(self.config_entry.options)
        if typed is not None and not errors:
            others = {key: value for key, value in options.items() if key not in SCHEMAS[step].schema}
            return self.async_create_entry(data=others | typed)
        fields = {key: (choices or {}).get(str(key), field) for key, field in SCHEMAS[step].schema.items()}
        schema = self.add_suggested_values_to_schema(probatio.Schema(fields), typed or options)
        return self.async_show_form(step_id=step, data_schema=schema, errors=errors)


def _programs(entry: RidethroughConfigEntry) -> dict[str, str]:
    """The names of the edge's programs; the one for events by hand is always there."""
    if entry.state is not ConfigEntryState.LOADED:
        return {BY_HAND: BY_HAND}
    programs = entry.runtime_data.data["programs"]
    return {own_id: program["name"] for own_id, program in programs.items()} or {BY_HAND: BY_HAND}


def _grid_errors(typed: dict[str, Any]) -> dict[str, str]:
    """Two meanings of one thing, or no meaning at all, would tell of outages that are none."""
    present, lost, words = (set(typed[key]) for key in (CONF_PRESENT_WHEN_ON, CONF_LOST_WHEN_ON, CONF_STATE_SENSORS))
    if present & lost:
        return {CONF_LOST_WHEN_ON: "both_ways"}
    good, bad = ({folded(word) for word in typed[key]} for key in (CONF_PRESENT_STATES, CONF_LOST_STATES))
    if words and not (good and bad):
        return {CONF_STATE_SENSORS: "states_missing"}
    if good & bad:
        return {CONF_LOST_STATES: "both_ways"}
    return {} if set(typed[CONF_STREET_SIDE]) <= present | lost | words else {CONF_STREET_SIDE: "not_chosen"}


def _switch_errors(typed: dict[str, Any]) -> dict[str, str]:
    proofs = [proof for key in (CONF_OPEN_PROOF, CONF_CLOSED_PROOF) if (proof := typed.get(key))]
    if proofs and not typed.get(CONF_SWITCH):
        return {CONF_SWITCH: "switch_missing"}
    return {CONF_CLOSED_PROOF: "same_proof"} if len(proofs) > len(set(proofs)) else {}
