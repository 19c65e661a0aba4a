"""Who is told what, as people chose it on the options page, and whether those who were chosen still exist."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from homeassistant.components.notify import DOMAIN as NOTIFY
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util

from ..notice_kinds import Group
from .quiet import QuietHours

# The option, and its keys.
CONF_NOTIFICATIONS = "notifications"
CONF_PHONES = "phones"
CONF_NOTIFIERS = "notifiers"
CONF_NAMES = "names"
CONF_ALARMS = "alarms"
CONF_QUIET_START = "quiet_start"
CONF_QUIET_END = "quiet_end"

MOBILE_APP = "mobile_app"


@dataclass(frozen=True, slots=True)
class Choice:
    """``phones``: ids of devices. ``notifiers``: ids of notify entities in the registry, so that a new name changes
    nothing, or entity ids where the registry does not know them. ``alarms``: phones that may ring at night."""

    phones: tuple[str, ...] = ()
    notifiers: tuple[str, ...] = ()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    alarms: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    hours: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """What the options of an entry say; nobody, where nothing was chosen yet."""
        chosen = options.get(CONF_NOTIFICATIONS)
        if not chosen:
            return cls()
        return cls(
            phones=tuple(chosen[CONF_PHONES]),
            notifiers=tuple(chosen[CONF_NOTIFIERS]),
            groups={group: frozenset(chosen.get(group, ())) for group in Group},
            alarms=frozenset(chosen[CONF_ALARMS]),
            names=chosen[CONF_NAMES],
            hours=chosen,
        )

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who was chosen."""
        return (*self.phones, *self.notifiers)

    def wants(self, recipient: str, group: Group) -> bool:
        """Whether this one is told of that."""
        return recipient in self.groups.get(group, ())

    def quiet(self) -> QuietHours:
        """The hours without a sound, by Home Assistant's time zone."""
        return QuietHours.of(self.hours, dt_util.get_default_time_zone())

    @callback
    def gone(self, hass: HomeAssistant) -> dict[str, str]:
        """Those that no longer exist, by the name that they had."""
        devices, entities = dr.async_get(hass), er.async_get(hass)
        lost = [one for one in self.phones if devices.async_get(one) is None]
        lost += [one for one in self.notifiers if er.async_resolve_entity_id(entities, one) is None]
        return {one: self.names.get(one, one) for one in lost}


def option_of(
    names: Mapping[str, str],
    phones: Collection[str],
    told: Mapping[Group, Collection[str]],
    alarms: Collection[str],
    hours: tuple[str, str],
) -> dict[str, Any]:
    """What the entry keeps of a choice: all of ``names`` were chosen, and those that are no phones are notifiers."""
    chosen = {
        CONF_PHONES: [one for one in names if one in phones],
        CONF_NOTIFIERS: [one for one in names if one not in phones],
        CONF_NAMES: dict(names),
        CONF_ALARMS: list(alarms),
        CONF_QUIET_START: hours[0],
        CONF_QUIET_END: hours[1],
    }
    return {CONF_NOTIFICATIONS: chosen | {group.value: list(told.get(group, ())) for group in Group}}


@callback
def found_phones(hass: HomeAssistant) -> dict[str, str]:
    """The names of the phones with the companion app, by the id of their device."""
    devices, entries = dr.async_get(hass), hass.config_entries.async_entries(MOBILE_APP)
    found = [one for entry in entries for one in dr.async_entries_for_config_entry(devices, entry.entry_id)]
    return {device.id: device.name_by_user or device.name or device.id for device in found}


@callback
def found_notifiers(hass: HomeAssistant) -> list[str]:
    """The notify entities that are no phone: a phone's own could not show buttons."""
    entries = er.async_get(hass).entities
    phones = {entry.entity_id for entry in entries.values() if entry.platform == MOBILE_APP}
    return [one for one in hass.states.async_entity_ids(NOTIFY) if one not in phones]


@callback
def kept_id(hass: HomeAssistant, entity_id: str) -> str:
    """What is kept of a notify entity."""
    entry = er.async_get(hass).async_get(entity_id)
    return entity_id if entry is None else entry.id


@callback
def entity_of(hass: HomeAssistant, kept: str) -> str | None:
    """The entity id that it has now; None: it is gone."""
    return er.async_resolve_entity_id(er.async_get(hass), kept)


@callback
def name_of(hass: HomeAssistant, recipient: str, phones: Mapping[str, str]) -> str:
    """What people call a phone or a notify entity."""
    if recipient in phones:
        return phones[recipient]
    entity_id = entity_of(hass, recipient)
    state = hass.states.get(entity_id) if entity_id else None
    return state.name if state is not None else entity_id or recipient
