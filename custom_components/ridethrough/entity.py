"""What all entities share: which part of the state they show, their device, and when they are written."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol, override

from homeassistant.core import Event, callback
from homeassistant.helpers.device_registry import (
    EVENT_DEVICE_REGISTRY_UPDATED,
    DeviceEntryType,
    DeviceInfo,
    EventDeviceRegistryUpdatedData,
)
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN, MANUFACTURER
from .coordinator import RidethroughConfigEntry, RidethroughCoordinator
from .programs import programs_of
from .shapes import is_known
from .wire import ChargerWire, LoadWire, ProgramWire, SiteWire, State

# Some of what is shown depends on the time too: that an event is over, that a small step has waited long enough.
LOOKS_AGAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Scope[PartT]:
    """A kind of device and where its parts stand in the state. ``find`` gives None for a part that is gone."""

    kind: str
    ids: Callable[[State], Iterable[str]]
    find: Callable[[State, str], PartT | None]


SITE: Scope[SiteWire] = Scope(
    "site", lambda _: ("site",), lambda state, _: state["site"] if is_known(state["site"]) else None
)
# What the site's device shows of the whole.
HOUSE: Scope[State] = Scope("site", lambda _: ("site",), lambda state, _: state)
CHARGER: Scope[ChargerWire] = Scope(
    "charger", lambda state: state["chargers"], lambda state, subject: state["chargers"].get(subject)
)
PROGRAM: Scope[ProgramWire] = Scope(
    "program", lambda state: state["programs"], lambda state, subject: state["programs"].get(subject)
)
LOAD: Scope[LoadWire] = Scope(
    "load", lambda state: state.get("loads", {}), lambda state, subject: state.get("loads", {}).get(subject)
)


class Description[PartT](Protocol):
    """What the rows of the platforms' tables have in common. ``exists``: the installation has such a thing at all."""

    @property
    def key(self) -> str: ...

    @property
    def exists(self) -> Callable[[PartT], bool]: ...


def always(_: Any) -> bool:
    """Every installation has it."""
    return True


def never(_: Any) -> bool:
    """It is so nowhere."""
    return False


def may_discharge(charger: ChargerWire) -> bool:
    """Its kind can discharge at all, as far as is known."""
    return charger.get("blocked_by") != "unable"


def nothing_more(_: Any) -> Mapping[str, Any]:
    """No attributes."""
    return {}


def identifier(installation: str, kind: str, subject: str) -> tuple[str, str]:
    """The device registry's name of a site, charger, program or load group."""
    return (DOMAIN, installation if kind == "site" else f"{installation}-{kind}-{subject}")


def group_id(subentry_id: str) -> str:
    """What the edge calls the load group of a subentry: it takes small letters only."""
    return subentry_id.lower()


def subjects(coordinator: RidethroughCoordinator) -> set[tuple[str, str]]:
    """Every device that the edge has now."""
    state, installation = coordinator.data, coordinator.installation
    return {
        identifier(installation, "site", "site"),
        *(identifier(installation, "charger", subject) for subject in state["chargers"]),
        *(identifier(installation, "program", subject) for subject in state["programs"]),
        *(identifier(installation, "load", subject) for subject in state.get("loads", {})),
    }


def site_device(coordinator: RidethroughCoordinator) -> DeviceInfo:
    """The hub device."""
    return DeviceInfo(
        identifiers={identifier(coordinator.installation, "site", "site")},
        name=coordinator.data["site"]["name"],
        manufacturer=MANUFACTURER,
        model="Site",
        sw_version=coordinator.version,
    )


def charger_device(coordinator: RidethroughCoordinator, subject: str, charger: ChargerWire) -> DeviceInfo:
    """A charger, with what its probe told."""
    return DeviceInfo(
        identifiers={identifier(coordinator.installation, "charger", subject)},
        name=charger["name"],
        manufacturer=charger["manufacturer"] or None,
        model=charger["model"] or None,
        serial_number=charger["serial"] or None,
        sw_version=charger["version"] or None,
        via_device_id=coordinator.site_device_id,
    )


def program_device(coordinator: RidethroughCoordinator, subject: str, program: ProgramWire) -> DeviceInfo:
    """A utility's offer: a service, nothing to touch."""
    return DeviceInfo(
        identifiers={identifier(coordinator.installation, "program", subject)},
        name=program["name"],
        manufacturer=MANUFACTURER,
        model="Utility program",
        entry_type=DeviceEntryType.SERVICE,
        via_device_id=coordinator.site_device_id,
    )


def load_device(coordinator: RidethroughCoordinator, subject: str, load: LoadWire) -> DeviceInfo:
    """A group of loads: what switches them are devices of their own."""
    return DeviceInfo(
        identifiers={identifier(coordinator.installation, "load", subject)},
        name=load["name"],
        manufacturer=MANUFACTURER,
        model="Load group",
        entry_type=DeviceEntryType.SERVICE,
        via_device_id=coordinator.site_device_id,
    )


def _device(coordinator: RidethroughCoordinator, kind: str, subject: str) -> DeviceInfo:
    state = coordinator.data
    if kind == "charger":
        return charger_device(coordinator, subject, state["chargers"][subject])
    if kind == "program":
        return program_device(coordinator, subject, state["programs"][subject])
    if kind == "load":
        return load_device(coordinator, subject, state["loads"][subject])
    return site_device(coordinator)


class RidethroughEntity[PartT](CoordinatorEntity[RidethroughCoordinator], ABC):
    """One fact of one part. Unavailable: no link, or the part is gone. Unknown: the edge does not know."""

    _attr_has_entity_name = True

    def __init__(
        self,
        coordinator: RidethroughCoordinator,
        scope: Scope[PartT],
        subject: str,
        description: EntityDescription,
    ) -> None:
        super().__init__(coordinator)
        self.scope = scope
        self.subject = subject
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.installation}-{scope.kind}-{subject}-{description.key}"
        self._attr_device_info = _device(coordinator, scope.kind, subject)
        self._written: Hashable = None
        self._looked_at: object = None
        self._linked: bool | None = None
        self._looks_again_at = 0.0

    @property
    def part(self) -> PartT | None:
        """The part of the state that this entity belongs to."""
        return self.scope.find(self.coordinator.data, self.subject)

    @property
    @override
    def available(self) -> bool:
        return super().available and self.part is not None

    def _looks_at(self) -> object:
        """What it is made of: as long as that is the very same, nothing new is to be shown but what time does."""
        return self.part

    @abstractmethod
    def _shown(self, part: PartT) -> Hashable:
        """Take over what the part says now; return all of it that Home Assistant is shown."""

    def _refresh(self) -> Hashable:
        """What would be written now."""
        part = self.part
        return (self.available, None if part is None else self._shown(part))

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._written = self._refresh()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write only when what this entity shows has changed."""
        if self._is_as_before():
            return
        shown = self._refresh()
        if shown != self._written:
            self._written = shown
            self.async_write_ha_state()

    def _is_as_before(self) -> bool:
        """A push changes a few parts; all others keep theirs, and are looked at again now and then."""
        source, linked, now = self._looks_at(), self.coordinator.last_update_success, monotonic()
        if source is self._looked_at and linked is self._linked and now < self._looks_again_at:
            return True
        self._looked_at, self._linked, self._looks_again_at = source, linked, now + LOOKS_AGAIN_S
        return False

    async def async_order(self, command: str, /, **args: Any) -> None:
        """Send a command; the change comes back as state, never before the edge says so."""
        await self.coordinator.async_command(command, **args)


def add_as_they_come[PartT, DescriptionT: Description[Any]](
    entry: RidethroughConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    scope: Scope[PartT],
    descriptions: Sequence[DescriptionT],
    create: Callable[[RidethroughCoordinator, Scope[PartT], str, DescriptionT], Entity],
) -> None:
    """Create an entity for each row of the table and each part, also for parts that appear later."""
    coordinator = entry.runtime_data
    known: set[tuple[str, str]] = set()
    removed: set[tuple[str, str]] = set()

    def forget_gone() -> None:
        there = set(scope.ids(coordinator.data))
        gone = {row for row in removed if row[0] not in there}
        known.difference_update(gone)
        removed.difference_update(gone)

    @callback
    def add_new() -> None:
        state = coordinator.data
        parts = {subject: scope.find(state, subject) for subject in scope.ids(state)}
        if scope.kind == "program":
            parts = {subject: part for subject, part in parts.items() if subject not in coordinator.held_programs}
        forget_gone()
        new = [(subject, row) for subject, row in _rows(parts, descriptions) if (subject, row.key) not in known]
        known.update((subject, row.key) for subject, row in new)
        for subentry_id, rows in _by_subentry(entry, scope.kind, new).items():
            async_add_entities(
                (create(coordinator, scope, subject, row) for subject, row in rows), config_subentry_id=subentry_id
            )

    @callback
    def device_removed(change: Event[EventDeviceRegistryUpdatedData]) -> None:
        """A part whose device a person removed is new if it goes and comes back."""
        if change.data["action"] == "remove":
            gone = {tuple(one) for one in change.data["device"]["identifiers"]}
            named = {subject: identifier(coordinator.installation, scope.kind, subject) for subject, _ in known}
            removed.update(row for row in known if named[row[0]] in gone)
            forget_gone()

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))
    entry.async_on_unload(coordinator.hass.bus.async_listen(EVENT_DEVICE_REGISTRY_UPDATED, device_removed))


def _by_subentry[DescriptionT: Description[Any]](
    entry: RidethroughConfigEntry, kind: str, rows: Iterable[tuple[str, DescriptionT]]
) -> dict[str | None, list[tuple[str, DescriptionT]]]:
    """A load group or program that people made here belongs to its subentry; all else to none."""
    ours = {group_id(subentry_id): subentry_id for subentry_id in entry.subentries} if kind == "load" else {}
    if kind == "program":
        ours = {subject: subentry.subentry_id for subject, subentry in programs_of(entry).items()}
    sorted_rows: dict[str | None, list[tuple[str, DescriptionT]]] = {}
    for subject, row in rows:
        sorted_rows.setdefault(ours.get(subject), []).append((subject, row))
    return sorted_rows


def _rows[PartT, DescriptionT: Description[Any]](
    parts: Mapping[str, PartT | None], descriptions: Sequence[DescriptionT]
) -> Iterable[tuple[str, DescriptionT]]:
    for subject, part in parts.items():
        if part is not None:
            yield from ((subject, row) for row in descriptions if row.exists(part))
