"""One tap: stop, back to automatic, leave out a departure, no to an event and yes again, a drill, backup once more, a
charger's fault or restart."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.button import ButtonDeviceClass, ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .coordinator import RidethroughConfigEntry
from .entity import CHARGER, PROGRAM, SITE, RidethroughEntity, add_as_they_come, always
from .faults import has_fault
from .program_events import may_opt_in, may_opt_out, next_event
from .wire import ChargerWire, ProgramWire, SiteWire

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class ButtonRow[PartT](ButtonEntityDescription):
    """One button. ``args``: the command's arguments from the part and its id, None when there is nothing to act on;
    ``nothing`` names the words that are said then."""

    command: str
    args: Callable[[PartT, str], Mapping[str, Any] | None]
    nothing: str = "no_event"
    offered: Callable[[PartT], bool] = always
    exists: Callable[[PartT], bool] = always


def _the_next_event(program: ProgramWire, _: str) -> Mapping[str, Any] | None:
    event = next_event(program)
    return None if event is None else {"event": event["uid"]}


def _the_next_departure(charger: ChargerWire, subject: str) -> Mapping[str, Any] | None:
    departure = charger.get("departure")
    return None if departure is None else {"charger": subject, "id": departure["id"]}


def _is_left_to_another(charger: ChargerWire) -> bool:
    """The edge has let go of a charger that another controller commands; it takes it up again when a person asks."""
    return bool(charger["why"]) and charger["why"][-1]["reason"] == "another_controller"


def _drill_runs(site: SiteWire) -> bool:
    drill = site.get("drill")
    return drill is not None and drill["ended_at"] is None


def _has_lent(charger: ChargerWire) -> bool:
    return charger.get("lent_pct", 0.0) > 0


STOP: ButtonRow[SiteWire] = ButtonRow(key="stop", translation_key="stop", command="stop", args=lambda _, __: {})
START_DRILL: ButtonRow[SiteWire] = ButtonRow(
    key="start_drill",
    translation_key="start_drill",
    command="start_drill",
    args=lambda _, __: {"transfer": False},
    offered=lambda site: not _drill_runs(site),
    exists=lambda site: "drill" in site,
)
CANCEL_DRILL: ButtonRow[SiteWire] = ButtonRow(
    key="cancel_drill",
    translation_key="cancel_drill",
    command="cancel_drill",
    args=lambda _, __: {},
    offered=_drill_runs,
    exists=lambda site: "drill" in site,
)
RETRY_BACKUP: ButtonRow[SiteWire] = ButtonRow(
    key="retry_backup",
    translation_key="retry_backup",
    command="retry_backup",
    args=lambda _, __: {},
    offered=lambda site: site.get("backup_retry") is not None,
    exists=lambda site: "backup_retry" in site and site["has_backup"],
)
TAKE_BACK_LENT: ButtonRow[ChargerWire] = ButtonRow(
    key="take_back_lent",
    translation_key="take_back_lent",
    command="take_back_lent",
    args=lambda _, subject: {"charger": subject},
    offered=_has_lent,
    exists=lambda charger: "lent_pct" in charger,
)
RESUME: ButtonRow[ChargerWire] = ButtonRow(
    key="resume_automatic",
    translation_key="resume_automatic",
    command="resume",
    args=lambda _, subject: {"charger": subject},
    offered=lambda charger: charger["manual"] is not None or _is_left_to_another(charger),
)
SKIP_DEPARTURE: ButtonRow[ChargerWire] = ButtonRow(
    key="skip_departure",
    translation_key="skip_departure",
    command="skip_departure",
    args=_the_next_departure,
    nothing="no_departure",
    offered=lambda charger: charger.get("departure") is not None,
    exists=lambda charger: "departures" in charger,
)
CLEAR_FAULT: ButtonRow[ChargerWire] = ButtonRow(
    key="clear_fault",
    translation_key="clear_fault",
    entity_category=EntityCategory.CONFIG,
    command="clear_fault",
    args=lambda _, subject: {"charger": subject},
    offered=lambda charger: charger["connected"] and has_fault(charger),
    exists=lambda charger: charger.get("clears_faults", False),
)
RESTART: ButtonRow[ChargerWire] = ButtonRow(
    key="restart",
    translation_key="restart",
    device_class=ButtonDeviceClass.RESTART,
    entity_category=EntityCategory.CONFIG,
    entity_registry_enabled_default=False,
    command="restart_charger",
    args=lambda _, subject: {"charger": subject},
    offered=lambda charger: charger["connected"] and charger["forming"] is not True,
    exists=lambda charger: charger.get("restarts", False),
)
ANSWERS: tuple[ButtonRow[ProgramWire], ...] = (
    ButtonRow(key="opt_out", translation_key="opt_out", command="opt_out", args=_the_next_event, offered=may_opt_out),
    ButtonRow(key="opt_in", translation_key="opt_in", command="opt_in", args=_the_next_event, offered=may_opt_in),
)


class RidethroughButton[PartT](RidethroughEntity[PartT], ButtonEntity):
    """One button of the rows above; available only while it would do something."""

    entity_description: ButtonRow[PartT]

    @property
    @override
    def available(self) -> bool:
        part = self.part
        return super().available and part is not None and self.entity_description.offered(part)

    @override
    def _shown(self, part: PartT) -> Hashable:
        return None

    @override
    async def async_press(self) -> None:
        part = self.part
        args = None if part is None else self.entity_description.args(part, self.subject)
        if args is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key=self.entity_description.nothing)
        await self.async_order(self.entity_description.command, **args)


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the buttons of site, chargers and programs."""
    site_rows = (STOP, START_DRILL, CANCEL_DRILL, RETRY_BACKUP)
    add_as_they_come(entry, async_add_entities, SITE, site_rows, RidethroughButton)
    charger_rows = (RESUME, SKIP_DEPARTURE, TAKE_BACK_LENT, CLEAR_FAULT, RESTART)
    add_as_they_come(entry, async_add_entities, CHARGER, charger_rows, RidethroughButton)
    add_as_they_come(entry, async_add_entities, PROGRAM, ANSWERS, RidethroughButton)
