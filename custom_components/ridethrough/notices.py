"""The edge's standing notices as notifications in plain words: shown once each, gone when the edge clears them.

The edge owns a notice. One raised while Home Assistant was dark is shown when it is back. A person who dismisses the
notification has acknowledged the notice, so that a restart does not bring it again.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from homeassistant.components import persistent_notification
from homeassistant.components.persistent_notification import Notification, UpdateType
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import RidethroughCoordinator
from .wire import NoticeWire

KINDS = frozenset(
    {
        "outage",
        "no_backup",
        "backup_latched",
        "solar_surplus",
        "reserve_near",
        "return_announced",
        "power_back",
        "event_announced",
        "event_asks",
        "event_flagged",
        "event_result",
        "event_short",
        "stopped",
        "stop_contact_silent",
        "generator",
        "generator_failed",
        "generator_contact_silent",
        "service_not_permitted",
        "order_not_followed",
        "another_controller",
        "charger_offline",
        "credentials_refused",
        "return_failed",
        "grid_disputed",
        "grid_contact_silent",
        "grid_unseen",
        "neutral_lost",
        "dark_start",
        "dark_start_passed",
        "departure_late",
        "departure_unsure",
        "storm",
        "overload",
        "overload_no_load_left",
        "load_unreachable",
        "reserve_unsure",
        "charge_unknown",
        "grid_emergency",
        "black_start",
        "drill_announced",
        "drill_running",
        "drill_passed",
        "drill_failed",
        "drill_refused",
        "drill_aborted",
        "rehearsal_passed",
        "rehearsal_failed",
    }
)

# What is asked of an event and what it brought, said only as far as the edge knows it: the words, and what they tell.
TERMS = MappingProxyType({"asked": "power_w", "possible": "feasible_w", "worth": "stake_usd"})
RESULT = MappingProxyType({"given": "energy_wh", "average": "average_w", "earned": "earnings_usd"})


class Notices:
    """Keeps the notifications of one edge equal to its standing notices."""

    def __init__(self, coordinator: RidethroughCoordinator) -> None:
        self._coordinator = coordinator
        self._hass = coordinator.hass
        self._shown: dict[str, int] = {}
        self._words: Mapping[str, str] = {}

    async def async_start(self) -> None:
        """Load the words, show what stands, and follow."""
        self._words = await async_get_translations(self._hass, self._hass.config.language, "common", [DOMAIN])
        on_unload = self._coordinator.config_entry.async_on_unload
        on_unload(self._coordinator.async_listen_notices(self._deliver))
        on_unload(self._coordinator.async_add_listener(self._reconcile))
        on_unload(persistent_notification.async_register_callback(self._hass, self._notifications_changed))
        self._reconcile()

    def _id(self, key: str) -> str:
        return f"{DOMAIN}_{self._coordinator.installation}_{key}"

    @callback
    def _reconcile(self) -> None:
        standing = {notice["key"]: notice for notice in self._coordinator.data["notices"]}
        for key in [key for key in self._shown if key not in standing]:
            del self._shown[key]
            persistent_notification.async_dismiss(self._hass, self._id(key))
        for notice in standing.values():
            self._show(notice)

    @callback
    def _deliver(self, notice: NoticeWire) -> None:
        self._show(notice)
        self._send("notice_delivered", notice["number"])

    @callback
    def _show(self, notice: NoticeWire) -> None:
        if self._shown.get(notice["key"]) == notice["number"]:
            return
        self._shown[notice["key"]] = notice["number"]
        title, message = self._text(notice)
        persistent_notification.async_create(self._hass, message, title, self._id(notice["key"]))

    def _text(self, notice: NoticeWire) -> tuple[str, str]:
        kind = notice["kind"] if notice["kind"] in KINDS else "other"
        site = self._coordinator.data["site"]["name"]
        raised_at = _plain("raised_at", notice["raised_at"])
        said = _Said({"since": raised_at})
        said |= {name: _plain(name, value) for name, value in notice["data"].items()}
        said |= {"site": site, "kind": notice["kind"], "raised_at": raised_at}
        said["ends"] = self._word(f"ends_{notice['data'].get('ends')}") or "–"
        said["flags"] = self._each("flag", notice["data"].get("flags"))
        said["lost"] = self._each("lost", notice["data"].get("reasons")) or self._word("lost_nothing") or "–"
        said["when"] = _span(notice["data"].get("start"), notice["data"].get("end"))
        said["terms"], said["result"] = (self._known(parts, notice["data"], said) for parts in (TERMS, RESULT))
        said["reason"] = self._reason(notice["data"].get("reason") or "no_contact")
        title, text = (self._word(f"notice_{kind}_{part}") or kind for part in ("title", "text"))
        return title.format_map(said), text.format_map(said)

    def _each(self, kind: str, codes: Any) -> str:
        """A list of the contract's words as a person reads it; one of a later edge as it is."""
        return ", ".join(self._word(f"{kind}_{code}") or str(code).replace("_", " ") for code in codes or ())

    def _known(self, parts: Mapping[str, str], data: Mapping[str, Any], said: _Said) -> str:
        """The parts of a sentence whose numbers are known."""
        known = [self._part(part, data[name]) for part, name in parts.items() if data.get(name) is not None]
        return ", ".join(words.format_map(said) for words in known) or self._word("part_none") or "–"

    def _part(self, part: str, value: Any) -> str:
        draws = part in ("asked", "possible") and value > 0
        return self._word(f"part_{part}_draws" if draws else f"part_{part}") or "–"

    def _reason(self, code: str) -> str:
        return self._word(f"reason_{code}") or self._word("reason_other") or code

    def _word(self, key: str) -> str | None:
        return self._words.get(f"component.{DOMAIN}.common.{key}")

    @callback
    def _notifications_changed(self, kind: UpdateType, notifications: dict[str, Notification]) -> None:
        if kind is not UpdateType.REMOVED:
            return
        for key in [key for key in self._shown if self._id(key) in notifications]:
            self._send("acknowledge_notice", self._shown[key])

    def _send(self, command: str, number: int) -> None:
        self._coordinator.config_entry.async_create_background_task(
            self._hass, self._try_to_send(command, number), f"{DOMAIN} {command}"
        )

    async def _try_to_send(self, command: str, number: int) -> None:
        try:
            await self._coordinator.async_command(command, number=number)
        except HomeAssistantError as error:
            self._coordinator.logger.debug("%s of notice %s did not arrive: %s", command, number, error)


class _Said(dict[str, str]):
    """What the edge told; a dash for what it did not."""

    def __missing__(self, key: str) -> str:
        return "–"


def _span(start: Any, end: Any) -> str:
    """When an event is, by the clock on the wall; its end with its day only where that is another."""
    first, last = (
        None if found is None else dt_util.as_local(found)
        for found in (dt_util.parse_datetime(text) if isinstance(text, str) else None for text in (start, end))
    )
    if first is None:
        return "–"
    if last is None:
        return _day_and_time(first)
    until = f"{last:%H:%M}" if last.date() == first.date() else _day_and_time(last)
    return f"{_day_and_time(first)} to {until}"


def _day_and_time(at: datetime) -> str:
    return f"{at:%a %b} {at.day}, {at:%H:%M}"


def _plain(name: str, value: Any) -> str:
    """A value as a person reads it, by the unit in its name."""
    if value is None:
        return "–"
    if name.endswith("_w") and isinstance(value, int | float):
        return f"{abs(value) / 1000:.1f} kW"
    if name.endswith("_wh") and isinstance(value, int | float):
        return f"{abs(value) / 1000:.1f} kWh"
    if name.endswith("_pct") and isinstance(value, int | float):
        return f"{value:.0f} %"
    if name.endswith("_usd") and isinstance(value, int | float):
        return f"${value:.2f}"
    if name.endswith("_s") and isinstance(value, int | float):
        return f"{value / 60:.0f} min" if value >= 120 else f"{value:.0f} s"
    at = dt_util.parse_datetime(value) if isinstance(value, str) else None
    return f"{dt_util.as_local(at):%a %H:%M}" if at else str(value)
