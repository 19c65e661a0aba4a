"""The pages on which people choose phones, what each is told, and the hours in which they sleep."""

from collections.abc import Mapping
from typing import Any

import probatio
from homeassistant.components.notify import DOMAIN as NOTIFY
from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    BooleanSelector,
    DeviceFilterSelectorConfig,
    DeviceSelector,
    DeviceSelectorConfig,
    EntitySelector,
    EntitySelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TimeSelector,
)

from ..notice_kinds import Group
from .choice import (
    CONF_ALARMS,
    CONF_NOTIFICATIONS,
    CONF_NOTIFIERS,
    CONF_PHONES,
    CONF_QUIET_END,
    CONF_QUIET_START,
    MOBILE_APP,
    entity_of,
    found_notifiers,
    found_phones,
    kept_id,
    name_of,
    option_of,
)
from .quiet import END, START

CONF_NOBODY = "nobody_for_outages"
PHONE_SELECTOR = DeviceSelector(
    DeviceSelectorConfig(filter=[DeviceFilterSelectorConfig(integration=MOBILE_APP)], multiple=True)
)
# The fields of both pages, for the words.
WHO_FIELDS = (CONF_PHONES, CONF_NOTIFIERS, CONF_QUIET_START, CONF_QUIET_END)
WHAT_FIELDS = (*Group, CONF_ALARMS, CONF_NOBODY)


class PhonePages(OptionsFlow):
    """Two pages: who, and then what each is told. They count at once, without a reload."""

    _who: Mapping[str, Any]

    async def async_step_notifications(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Which phones and notify entities, and the quiet hours."""
        if user_input is not None:
            self._who = user_input
            return await (self.async_step_notification_kinds() if _asked(user_input) else self._finish({}))
        schema = self.add_suggested_values_to_schema(_who_schema(self.hass), self._chosen_before())
        return self.async_show_form(step_id="notifications", data_schema=schema, last_step=False)

    async def async_step_notification_kinds(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """What each of them is told, and whose phone may ring at night."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if user_input[Group.SAFETY] or user_input.get(CONF_NOBODY):
                return await self._finish(user_input)
            errors[Group.SAFETY] = "nobody_for_outages"
        schema = self.add_suggested_values_to_schema(self._what_schema(bool(errors)), user_input or {})
        return self.async_show_form(step_id="notification_kinds", data_schema=schema, errors=errors)

    def _chosen_before(self) -> dict[str, Any]:
        """What was chosen; at first, the phones that are there."""
        options = self.config_entry.options.get(CONF_NOTIFICATIONS)
        if options is None:
            return {CONF_PHONES: list(found_phones(self.hass))}
        notifiers = (entity_of(self.hass, one) for one in options[CONF_NOTIFIERS])
        return {**options, CONF_NOTIFIERS: [one for one in notifiers if one is not None]}

    def _what_schema(self, is_empty: bool) -> probatio.Schema:
        """``is_empty``: nobody would be told of an outage; then a box says that this is meant."""
        before = self.config_entry.options.get(CONF_NOTIFICATIONS, {})
        offered = self._offered()
        phones = [own_id for own_id in self._who.get(CONF_PHONES, ()) if own_id in offered]
        fields: dict[Any, Any] = {}
        for group in Group:
            default = _default(before, group, list(offered))
            fields[probatio.Optional(group.value, default=default)] = _several(offered, list(offered))
        if phones:
            default = _default(before, CONF_ALARMS, phones)
            fields[probatio.Optional(CONF_ALARMS, default=default)] = _several(offered, phones)
        if is_empty:
            fields[probatio.Optional(CONF_NOBODY, default=False)] = BooleanSelector()
        return probatio.Schema(fields)

    def _offered(self) -> dict[str, str]:
        """Everybody of the first page that exists, as kept, with what people call it."""
        names = found_phones(self.hass)
        notifiers = [kept_id(self.hass, one) for one in self._who.get(CONF_NOTIFIERS, ())]
        chosen = [*(one for one in self._who.get(CONF_PHONES, ()) if one in names), *notifiers]
        return {one: name_of(self.hass, one, names) for one in chosen}

    async def _finish(self, what: Mapping[str, Any]) -> ConfigFlowResult:
        told = {group: what.get(group, ()) for group in Group}
        hours = self._who[CONF_QUIET_START], self._who[CONF_QUIET_END]
        kept = option_of(self._offered(), found_phones(self.hass), told, what.get(CONF_ALARMS, ()), hours)
        return self.async_create_entry(data={**self.config_entry.options, **kept})


def _asked(who: Mapping[str, Any]) -> bool:
    return bool(who.get(CONF_PHONES) or who.get(CONF_NOTIFIERS))


def _who_schema(hass: HomeAssistant) -> probatio.Schema:
    offered = EntitySelectorConfig(domain=NOTIFY, include_entities=found_notifiers(hass), multiple=True)
    notifiers = EntitySelector(offered)
    return probatio.Schema(
        {
            probatio.Optional(CONF_PHONES, default=list): PHONE_SELECTOR,
            probatio.Optional(CONF_NOTIFIERS, default=list): notifiers,
            probatio.Required(CONF_QUIET_START, default=START): TimeSelector(),
            probatio.Required(CONF_QUIET_END, default=END): TimeSelector(),
        }
    )


def _several(names: Mapping[str, str], offered: list[str]) -> SelectSelector:
    options = [SelectOptionDict(value=one, label=names[one]) for one in offered]
    return SelectSelector(SelectSelectorConfig(options=options, multiple=True, mode=SelectSelectorMode.LIST))


def _default(before: Mapping[str, Any], key: str, offered: list[str]) -> list[str]:
    """As before; who was not asked about before gets everything."""
    known = {*before.get(CONF_PHONES, ()), *before.get(CONF_NOTIFIERS, ())}
    return [one for one in offered if one not in known or one in before.get(key, ())]
