"""Our translations where Home Assistant does not look them up itself, and numbers and times as a person reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.util import dt as dt_util

from .const import DOMAIN

DASH = "–"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a language. Home Assistant keeps them in memory for each integration that is set up."""

    common: Mapping[str, str]
    entity: Mapping[str, str]

    def find(self, key: str) -> str | None:
        """A text of ours, or None."""
        return self.common.get(f"component.{DOMAIN}.common.{key}")

    def say(self, key: str, /, **given: str) -> str:
        """A text of ours with what is told in it; the key itself where there is none."""
        text = self.find(key)
        return key if text is None else text.format_map(_Given(given))

    def state(self, entity: str, state: str) -> str:
        """What a state of an entity is called, ``entity`` such as ``sensor.why``; one of a later edge as it is."""
        return self._of_entity(f"{entity}.state.{state}", state)

    def attribute(self, entity: str, name: str, value: str) -> str:
        """What an attribute's value is called, likewise."""
        return self._of_entity(f"{entity}.state_attributes.{name}.state.{value}", value)

    def _of_entity(self, path: str, word: str) -> str:
        return self.entity.get(f"component.{DOMAIN}.entity.{path}") or word.replace("_", " ")


class _Given(dict[str, str]):
    """What was told; a dash for what was not."""

    def __missing__(self, key: str) -> str:
        return DASH


def words(hass: HomeAssistant) -> Words:
    """The words of Home Assistant's language."""
    language = hass.config.language
    return Words(
        async_get_cached_translations(hass, language, "common", DOMAIN),
        async_get_cached_translations(hass, language, "entity", DOMAIN),
    )


def power(power_w: float) -> str:
    """Kilowatts without a sign."""
    return f"{abs(power_w) / 1000:.1f} kW"


def energy(energy_wh: float) -> str:
    """Kilowatt-hours without a sign."""
    return f"{abs(energy_wh) / 1000:.1f} kWh"


def hours(count: float) -> str:
    """Hours; a tenth tells something only of a few."""
    return f"{count:.1f} h" if count < 10 else f"{count:.0f} h"


def lasted(seconds: float) -> str:
    """A span of time."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock(at: datetime) -> str:
    """A time by the clock on the wall, with its day where that is not today: "8 PM", "Tue 6:30 AM"."""
    local, today = dt_util.as_local(at), dt_util.now().date()
    minutes = f":{local.minute:02d}" if local.minute else ""
    hour = f"{local.hour % 12 or 12}{minutes} {'AM' if local.hour < 12 else 'PM'}"
    days = (local.date() - today).days
    if days == 0:
        return hour
    return f"{local:%a} {hour}" if 0 < days < 7 else f"{local:%b} {local.day}, {hour}"


def clock_of(text: Any) -> str | None:
    """A time of the contract by the clock on the wall; None for none."""
    at = dt_util.parse_datetime(text) if isinstance(text, str) else None
    return None if at is None else clock(at)
