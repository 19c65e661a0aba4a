"""What is done when a person presses "Fix": a command to the edge, a choice here, or the way to the right page."""

from typing import Any, override

import probatio
from homeassistant.components.repairs import FlowType, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntryState, SubentryFlowContext
from homeassistant.const import UnitOfRatio
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.selector import NumberSelector, NumberSelectorConfig, NumberSelectorMode

from .const import CONF_BACKED_UP, DOMAIN, PROGRAM
from .coordinator import RidethroughConfigEntry, RidethroughCoordinator
from .entity import subjects
from .programs import programs_of

CONF_PCT = "pct"
PERCENT = NumberSelector(
    NumberSelectorConfig(
        min=1, max=100, step=1, unit_of_measurement=UnitOfRatio.PERCENTAGE, mode=NumberSelectorMode.SLIDER
    )
)


class Fix(RepairsFlow):
    """One page that says what will be done, and does it; what goes wrong is said on the same page."""

    def __init__(self, entry: RidethroughConfigEntry, data: dict[str, Any]) -> None:
        self._entry, self._data = entry, data

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Straight to the page."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Say it, then do it."""
        errors, problem = {}, ""
        if user_input is not None:
            try:
                return await self._mended(user_input)
            except HomeAssistantError as error:
                errors, problem = {"base": "refused"}, str(error)
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        said = (issue.translation_placeholders if issue is not None else None) or {}
        return self.async_show_form(
            step_id="confirm",
            data_schema=self._asked(),
            errors=errors,
            description_placeholders={**said, "problem": problem},
        )

    def _asked(self) -> probatio.Schema:
        return probatio.Schema({})

    async def _mended(self, typed: dict[str, Any]) -> RepairsFlowResult:
        await self._mend(typed)
        return self.async_create_entry(data={})

    async def _mend(self, typed: dict[str, Any]) -> None:
        """Raises HomeAssistantError."""

    async def _order(self, command: str, **args: Any) -> None:
        await self._coordinator().async_command(command, **args)

    def _coordinator(self) -> RidethroughCoordinator:
        if self._entry.state is not ConfigEntryState.LOADED:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="no_link")
        return self._entry.runtime_data


class TakeUp(Fix):
    """The charger is ours again."""

    @override
    async def _mend(self, typed: dict[str, Any]) -> None:
        await self._order("resume", charger=self._data["charger"])


class DryDrill(Fix):
    """A rehearsed outage that moves nothing."""

    @override
    async def _mend(self, typed: dict[str, Any]) -> None:
        await self._order("start_drill", transfer=False)


class Reserve(Fix):
    """Another percentage, proposed and changed as one likes. ``command``: what sets it."""

    command = "set_backup_reserve"

    @override
    def _asked(self) -> probatio.Schema:
        return probatio.Schema({probatio.Required(CONF_PCT, default=self._data["proposed_pct"]): PERCENT})

    @override
    async def _mend(self, typed: dict[str, Any]) -> None:
        await self._order(self.command, pct=float(typed[CONF_PCT]))


class StormReserve(Reserve):
    """That of a storm."""

    command = "set_storm_reserve"


class BackedUp(Fix):
    """A person has seen to it."""

    @override
    async def _mend(self, typed: dict[str, Any]) -> None:
        options = {**self._entry.options, CONF_BACKED_UP: True}
        self.hass.config_entries.async_update_entry(self._entry, options=options)


class RemoveDevice(Fix):
    """What the edge no longer has."""

    @override
    async def _mend(self, typed: dict[str, Any]) -> None:
        """It may have come back while somebody looked at the page."""
        registry = dr.async_get(self.hass)
        device = registry.async_get(self._data["device"])
        if device is None:
            return
        if not device.identifiers.isdisjoint(subjects(self._coordinator())):
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="is_back")
        registry.async_remove_device(device.id)


class RemoveProgram(Fix):
    """Likewise, with its subentry."""

    @override
    async def _mend(self, typed: dict[str, Any]) -> None:
        """Likewise: with its subentry it would be removed at the edge, and its secrets with it."""
        if self._data["program"] in self._coordinator().data["programs"]:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="is_back")
        if (program := programs_of(self._entry).get(self._data["program"])) is not None:
            self.hass.config_entries.async_remove_subentry(self._entry, program.subentry_id)


class Credentials(Fix):
    """On to the page of the program, where new ones are typed in."""

    @override
    async def _mended(self, typed: dict[str, Any]) -> RepairsFlowResult:
        program = programs_of(self._entry).get(self._data["program"])
        if program is None:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="is_gone")
        page = await self.hass.config_entries.subentries.async_init(
            (self._entry.entry_id, PROGRAM),
            context=SubentryFlowContext(source=SOURCE_RECONFIGURE, subentry_id=program.subentry_id),
        )
        if page["type"] == "abort":
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="no_link")
        # The repair stands until the utility takes the new ones.
        return self.async_abort(reason="go_on", next_flow=(FlowType.CONFIG_SUBENTRIES_FLOW, page["flow_id"]))


FIXES: dict[str, type[Fix]] = {
    "authority_lost": TakeUp,
    "backup_not_tested": DryDrill,
    "nothing_for_an_outage": Reserve,
    "storm_reserve_low": StormReserve,
    "controller_not_backed_up": BackedUp,
    "device_gone": RemoveDevice,
    "program_gone": RemoveProgram,
    "credentials_refused": Credentials,
}


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """The page for an issue of ours."""
    known: dict[str, Any] = data or {}
    entry = hass.config_entries.async_get_known_entry(known["entry_id"])
    return FIXES[known["key"]](entry, known)
