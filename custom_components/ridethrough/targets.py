"""Which of the entities that people point an automation at are meant; and a repair where none is."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, override

from homeassistant.components import automation
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    issue_registry as ir,
    label_registry as lr,
)
from homeassistant.helpers.target import (
    TargetEntityChangeTracker,
    TargetSelection,
    async_extract_referenced_entity_ids,
)
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN

# How many automations stand behind each repair: it goes with the last of them.
_POINTLESS: HassKey[Counter[str]] = HassKey(f"{DOMAIN}_pointless_targets")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Entities of one kind, whatever people have renamed them to."""

    domain: str
    translation_key: str

    def is_met_by(self, entry: er.RegistryEntry) -> bool:
        return (entry.platform, entry.domain, entry.translation_key) == (DOMAIN, self.domain, self.translation_key)


def ours(hass: HomeAssistant, wanted: Wanted, entities: set[str]) -> set[str]:
    """Those of the entities that are of our integration, of the kind wanted, and not switched off."""
    entries = map(er.async_get(hass).async_get, entities)
    return {one.entity_id for one in entries if one and wanted.is_met_by(one) and not one.disabled}


async def watch_target(
    hass: HomeAssistant, kind: str, key: str, target: Mapping[str, Any], wanted: Wanted
) -> CALLBACK_TYPE:
    """Keep a repair while the target holds nothing that is wanted. ``kind``: ``triggers`` or ``conditions``."""
    watch = _Watch(hass, kind, key, dict(target), wanted)
    unsubscribe = await watch.async_setup()

    @callback
    def stop() -> None:
        unsubscribe()
        watch.async_found()

    return stop


class _Watch(TargetEntityChangeTracker):
    """Looks again whenever the registries change."""

    def __init__(self, hass: HomeAssistant, kind: str, key: str, target: dict[str, Any], wanted: Wanted) -> None:
        self._selection = TargetSelection(target)
        super().__init__(hass, self._selection, partial(ours, hass, wanted))
        self._kind, self._key, self._wanted = kind, key, wanted
        self._issue_id = "_".join((kind, key, *sorted(_ids(self._selection))))
        self._missing = False

    @override
    @callback
    def _handle_entities_update(self, tracked_entities: set[str]) -> None:
        if tracked_entities:
            self.async_found()
        else:
            self._lost()

    @callback
    def async_found(self) -> None:
        """It is no longer pointless, or no longer there."""
        if self._missing:
            self._missing = False
            standing = self._hass.data[_POINTLESS]
            standing[self._issue_id] -= 1
            if not standing[self._issue_id]:
                ir.async_delete_issue(self._hass, DOMAIN, self._issue_id)

    def _lost(self) -> None:
        if not self._missing:
            self._missing = True
            self._hass.data.setdefault(_POINTLESS, Counter())[self._issue_id] += 1
        words = {
            "name": self._title(),
            "target": _listed(_names(self._hass, self._selection)),
            "automations": _listed(_users(self._hass, self._selection)),
        }
        disabled = _disabled(self._hass, self._selection, self._wanted)
        raise_issue = _raise_disabled if disabled else _raise_pointless
        raise_issue(self._hass, self._issue_id, words | {"entities": _listed(disabled)})

    def _title(self) -> str:
        words = async_get_cached_translations(self._hass, self._hass.config.language, self._kind, DOMAIN)
        return words.get(f"component.{DOMAIN}.{self._kind}.{self._key}.name", self._key)


def _raise_pointless(hass: HomeAssistant, issue_id: str, words: dict[str, str]) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="automation_target_empty",
        translation_placeholders=words,
    )


def _raise_disabled(hass: HomeAssistant, issue_id: str, words: dict[str, str]) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="automation_target_disabled",
        translation_placeholders=words,
    )


def _ids(selection: TargetSelection) -> Iterator[str]:
    for ids in (
        selection.entity_ids,
        selection.device_ids,
        selection.area_ids,
        selection.floor_ids,
        selection.label_ids,
    ):
        yield from ids


def _disabled(hass: HomeAssistant, selection: TargetSelection, wanted: Wanted) -> set[str]:
    """What would be meant if people had not switched it off."""
    registry = er.async_get(hass)
    selected = async_extract_referenced_entity_ids(hass, selection, expand_group=False)
    entries = [entry for one in selected.referenced if (entry := registry.async_get(one))]
    for device in selected.referenced_devices:
        entries += er.async_entries_for_device(registry, device, include_disabled_entities=True)
    return {entry.entity_id for entry in entries if entry.disabled and wanted.is_met_by(entry)}


def _names(hass: HomeAssistant, selection: TargetSelection) -> set[str]:
    """What people call the things that they chose; those that are gone by their ids."""
    devices, areas = dr.async_get(hass), ar.async_get(hass)
    floors, labels = fr.async_get(hass), lr.async_get(hass)
    names = {
        one: (device.name_by_user or device.name) for one in selection.device_ids if (device := devices.async_get(one))
    }
    names |= {one: area.name for one in selection.area_ids if (area := areas.async_get_area(one))}
    names |= {one: floor.name for one in selection.floor_ids if (floor := floors.async_get_floor(one))}
    names |= {one: label.name for one in selection.label_ids if (label := labels.async_get_label(one))}
    return {names.get(one) or one for one in _ids(selection)}


type _Finder = Callable[[HomeAssistant, str], list[str]]
_FINDERS: Mapping[str, _Finder] = MappingProxyType(
    {
        "entity_ids": automation.automations_with_entity,
        "device_ids": automation.automations_with_device,
        "area_ids": automation.automations_with_area,
        "floor_ids": automation.automations_with_floor,
        "label_ids": automation.automations_with_label,
    }
)


def _users(hass: HomeAssistant, selection: TargetSelection) -> set[str]:
    """The automations that name one of the things that were chosen."""
    found = {user for kind, find in _FINDERS.items() for one in getattr(selection, kind) for user in find(hass, one)}
    names = er.async_get(hass)
    return {(entry.name or entry.original_name or user) if (entry := names.async_get(user)) else user for user in found}


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "–"
