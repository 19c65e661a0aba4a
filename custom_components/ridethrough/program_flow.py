"""A utility program: chosen, filled in, tried against its server, and told to the edge, which keeps its secrets too."""

import re
from typing import Any

import probatio
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.selector import SelectOptionDict, SelectSelector, SelectSelectorConfig

from .client import CommandRefusedError
from .const import CONF_KIND, CONF_PRESET, CONF_PROGRAM
from .coordinator import RidethroughCoordinator
from .program_form import CONF_UNTESTED, entry_of, failures, fields_of, id_of, schema_of
from .programs import program_id

# The preset that has no rules of its own.
ANY = "generic"
# How events arrive; the first is how it is with the chosen program today.
USUAL = "usual"
KINDS = [USUAL, "openadr3", "openadr2b", "calendar", "manual"]
# How the controller begins a sentence about an option.
OPTION = re.compile(r"^[a-z][a-z0-9_]* (is|has|must) ")


class ProgramFlow(ConfigSubentryFlow):
    """A new program, or another word on one that was made here. What is typed goes to the edge and nowhere else."""

    def __init__(self) -> None:
        self._offered: dict[str, Any] = {}
        self._known: dict[str, Any] = {}
        self._programs: dict[str, Any] = {}
        self._failed = False

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Which program, and how its events arrive."""
        if (reason := await self._read()) is not None:
            return self.async_abort(reason=reason)
        if user_input is not None:
            preset = user_input[CONF_PRESET]
            usual = self._offered["presets"][preset]["kind"]
            kind = usual if user_input[CONF_KIND] == USUAL else user_input[CONF_KIND]
            self._known = {"kind": kind, "preset": preset, "name": self._offered["presets"][preset]["title"]}
            return await self.async_step_details()
        return self.async_show_form(step_id="user", data_schema=self._choice())

    def _choice(self) -> probatio.Schema:
        # The one for any program comes last: it is for whom none of the others fits.
        named = sorted(self._offered["presets"].items(), key=lambda one: one[0] == ANY)
        presets = [
            SelectOptionDict(value=name, label=one["title"] if name == ANY else f"{one['title']} ({one['utility']})")
            for name, one in named
        ]
        kinds = [kind for kind in KINDS if kind == USUAL or kind in self._offered["kinds"]]
        chosen = SelectSelectorConfig(options=kinds, translation_key="program_kind")
        return probatio.Schema(
            {
                probatio.Required(CONF_PRESET): SelectSelector(SelectSelectorConfig(options=presets)),
                probatio.Required(CONF_KIND, default=USUAL): SelectSelector(chosen),
            }
        )

    async def async_step_details(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """What the chosen program needs to know."""
        return await self._details("details", user_input, None)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """As it is kept at the edge, without its secrets: one that is not typed anew stays."""
        key = program_id(self._get_reconfigure_subentry())
        if user_input is None:
            if (reason := await self._read()) is not None:
                return self.async_abort(reason=reason)
            if key not in self._programs:
                return self.async_abort(reason="program_gone")
            self._known = dict(self._programs[key])
        return await self._details("reconfigure", user_input, key)

    async def _details(self, step: str, typed: dict[str, Any] | None, key: str | None) -> SubentryFlowResult:
        asked, more = fields_of(self._offered, self._known.get("preset", ""), self._known["kind"])
        errors: dict[str, str] = {}
        problem = ""
        if typed is not None:
            entry = entry_of(typed, [*asked, *more], self._known)
            own = key or id_of(str(entry.get("name", "")), self._programs)
            shown = [field["name"] for field in asked]
            errors, problem = await self._tell(own, entry, shown, untested=typed.get(CONF_UNTESTED, False))
            if not errors:
                return self._done(own, entry["name"], new=key is None)
        schema = schema_of(asked, more, known=self._known, failed=self._failed)
        schema = self.add_suggested_values_to_schema(schema, typed)
        told = {"problem": problem, "about": self._about()}
        return self.async_show_form(step_id=step, data_schema=schema, errors=errors, description_placeholders=told)

    def _about(self) -> str:
        preset = self._offered["presets"].get(self._known.get("preset"), {})
        return str(preset.get("about", ""))

    async def _tell(
        self, key: str, entry: dict[str, Any], shown: list[str], *, untested: bool
    ) -> tuple[dict[str, str], str]:
        """Try it, then have it kept: the errors by field and the edge's words for them; none: it is kept."""
        coordinator: RidethroughCoordinator = self._get_entry().runtime_data
        try:
            if not untested:
                tried = await coordinator.async_command("test_program", id=key, program=entry)
                errors, problem = failures(tried.get("checks", ()), shown)
                self._failed = bool(errors)
                if errors:
                    return errors, problem
            coordinator.held_programs.add(key)
            await coordinator.async_command("set_program", id=key, program=entry)
        except HomeAssistantError as error:
            coordinator.held_programs.discard(key)
            return _refused(error, shown)
        return {}, ""

    def _done(self, key: str, name: str, *, new: bool) -> SubentryFlowResult:
        if new:
            return self.async_create_entry(title=name, data={CONF_PROGRAM: key}, unique_id=key)
        coordinator: RidethroughCoordinator = self._get_entry().runtime_data
        coordinator.held_programs.discard(key)
        return self.async_update_and_abort(self._get_entry(), self._get_reconfigure_subentry(), title=name)

    async def _read(self) -> str | None:
        """What the edge offers and keeps; else the reason why nothing can be done."""
        entry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return "no_link"
        coordinator: RidethroughCoordinator = entry.runtime_data
        try:
            self._offered = await coordinator.async_command("list_presets")
            self._programs = (await coordinator.async_command("list_programs"))["programs"]
        except HomeAssistantError as error:
            cause = error.__cause__
            return "edge_too_old" if isinstance(cause, CommandRefusedError) else "no_link"
        # An edge from before programs could be set from here answers, and says nothing.
        return None if self._offered.get("presets") else "edge_too_old"


def _refused(error: HomeAssistantError, shown: list[str]) -> tuple[dict[str, str], str]:
    """The edge's word on each field; what it says of none that is on the page stands at its head."""
    cause = error.__cause__
    if not isinstance(cause, CommandRefusedError):
        return {"base": "no_link"}, ""
    fields = cause.data.get("fields") or {}
    wrong = {name if name in shown else "base": "field_refused" for name in fields} or {"base": "field_refused"}
    return wrong, "; ".join(_of_this_field(str(words)) for words in fields.values()) or cause.message


def _of_this_field(words: str) -> str:
    """What the controller says of an option, which it calls by another name than the form does."""
    return OPTION.sub(r"it \1 ", words)
