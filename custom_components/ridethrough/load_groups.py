"""Load groups as people make them here, each a subentry, and the edge's list of them, which is kept the same."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypedDict, cast

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_ENTITIES, CONF_NAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store

from .const import (
    CONF_HOURS,
    CONF_LEGS,
    CONF_MEDICAL,
    CONF_POWER_SENSOR,
    CONF_SHED_BELOW,
    CONF_TIER,
    CONF_TYPICAL_POWER,
    DOMAIN,
    LOAD_GROUP,
)
from .coordinator import RidethroughCoordinator
from .entity import group_id
from .following import follow_entry
from .hours import hours_of
from .stores import Stored, store_of
from .wire import LoadWire

type Groups = Mapping[str, ConfigSubentry]


class Kept(TypedDict):
    """What is kept over restarts: the groups that the edge has from here."""

    groups: list[str]


def groups_of(entry: ConfigEntry[Any]) -> Groups:
    """The load groups made here, by the id that the edge knows them by."""
    return MappingProxyType(
        {
            group_id(subentry.subentry_id): subentry
            for subentry in entry.subentries.values()
            if subentry.subentry_type == LOAD_GROUP
        }
    )


def entities_of(group: ConfigSubentry) -> list[str]:
    """What is switched off together."""
    return cast("list[str]", group.data[CONF_ENTITIES])


def power_sensor_of(group: ConfigSubentry) -> str | None:
    """What measures the group, if anything does."""
    return cast("str | None", group.data.get(CONF_POWER_SENSOR))


def asked_group(group: ConfigSubentry) -> dict[str, Any]:
    """A group of ours in the contract's words."""
    data = group.data
    power_w = data.get(CONF_TYPICAL_POWER)
    return {
        "name": data[CONF_NAME],
        "tier": "must_have" if data[CONF_MEDICAL] else data[CONF_TIER],
        "power_w": None if power_w is None else round(power_w),
        "legs": sorted(int(leg) for leg in data.get(CONF_LEGS, [])),
        "shed_below_pct": float(data[CONF_SHED_BELOW]),
        "medical": data[CONF_MEDICAL],
        "hours": [list(span) for span in hours_of(data.get(CONF_HOURS, ""))],
    }


def wire_group(load: LoadWire) -> dict[str, Any]:
    """Likewise, as the edge has it. An older one has no hours."""
    hours = {"hours": load["hours"]} if "hours" in load else {}
    return {
        "name": load["name"],
        "tier": load["tier"],
        "power_w": load["power_w"],
        "legs": list(load["legs"]),
        "shed_below_pct": load["shed_below_pct"],
        "medical": load["medical"],
        **hours,
    }


def _is_known(asked: Mapping[str, Any], load: LoadWire) -> bool:
    """The edge has all of it that it can have."""
    has = wire_group(load)
    return has == {key: asked[key] for key in has}


@callback
def keep_shed_below(hass: HomeAssistant, entry: ConfigEntry[Any], subject: str, pct: float) -> None:
    """Write down in the subentry what was set at the number."""
    if (group := groups_of(entry).get(subject)) is not None:
        hass.config_entries.async_update_subentry(entry, group, data={**group.data, CONF_SHED_BELOW: pct})


class LoadGroups:
    """Tells the edge of each group that is new, changed or gone; at once, or when it can be reached again."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self._coordinator, self._hass = coordinator, coordinator.hass
        self._entry = coordinator.config_entry
        self._store: Store[Kept] = store_of(coordinator.hass, self._entry.entry_id, Stored.GROUPS)
        self._told: set[str] = set()
        # What was said, or refused, is not said again on the same link until it is something else.
        self._said: dict[str, Any] = {}
        self._busy = False

    async def async_start(self) -> None:
        """Compare now and after each change, here or there."""
        kept = await self._store.async_load()
        self._told = set(kept["groups"]) if kept else set()
        self._entry.async_on_unload(self._coordinator.async_add_listener(self._compare))
        follow_entry(self._hass, self._entry, self._compare)
        self._compare()

    @callback
    def _compare(self) -> None:
        if not self._coordinator.last_update_success:
            self._said.clear()
        elif not self._busy and (news := self._news()):
            self._busy = True
            self._entry.async_create_background_task(self._hass, self._tell(news), f"{DOMAIN} load groups")

    def _news(self) -> dict[str, dict[str, Any] | None]:
        """What the edge does not know yet: groups by id; None: gone. An edge without load groups is told nothing."""
        known, ours = self._coordinator.data.get("loads"), groups_of(self._entry)
        if known is None or self._coordinator.read_only:
            return {}
        news: dict[str, dict[str, Any] | None] = {}
        for subject, group in ours.items():
            asked = asked_group(group)
            if subject not in known or not _is_known(asked, known[subject]):
                news[subject] = asked
        for subject in self._told - set(ours):
            news[subject] = None
        return {subject: asked for subject, asked in news.items() if not self._was_refused(subject, asked)}

    def _was_refused(self, subject: str, asked: dict[str, Any] | None) -> bool:
        """One that is gone here but shed there is put back first; then it can go."""
        if subject not in self._said or self._said[subject] != asked:
            return False
        load = self._coordinator.data.get("loads", {}).get(subject)
        return asked is not None or (load is not None and load["wanted"] == "shed")

    async def _tell(self, news: Mapping[str, dict[str, Any] | None]) -> None:
        try:
            for subject, asked in news.items():
                await (self._forget(subject) if asked is None else self._set(subject, asked))
        finally:
            self._busy = False
        self._compare()

    async def _set(self, subject: str, asked: dict[str, Any]) -> None:
        self._told.add(subject)
        await self._store.async_save(Kept(groups=sorted(self._told)))
        self._said[subject] = asked
        try:
            await self._coordinator.async_command("set_load_group", id=subject, **asked)
        except HomeAssistantError as error:
            self._coordinator.logger.warning("The controller does not take the load group %s: %s", asked["name"], error)

    async def _forget(self, subject: str) -> None:
        self._said[subject] = None
        if subject in self._coordinator.data.get("loads", {}):
            try:
                await self._coordinator.async_command("set_load", group=subject, order="on")
                await self._coordinator.async_command("remove_load_group", id=subject)
            except HomeAssistantError as error:
                self._coordinator.logger.info("The load group %s cannot be removed yet: %s", subject, error)
                return
        self._told.discard(subject)
        self._said.pop(subject, None)
        await self._store.async_save(Kept(groups=sorted(self._told)))
