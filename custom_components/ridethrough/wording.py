"""Our translations where Home Assistant does not look them up itself, and numbers and times as a person reads them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_cached_translations, async_get_translations
from homeassistant.util import dt as dt_util

from .clock_words import ClockWords
from .const import DOMAIN
from .times import time_of

DASH = "–"
# The edge cuts a utility's names to as much.
LONGEST_NAME = 120
MARKUP = re.compile(r"[\\`*_\[\]<>|~#&@]")
# A page makes links of these without any markup.
LINK = re.compile(r"(:|www)(//|\.)", re.IGNORECASE)
# Less would be told as 0.0 kWh or nearly so.
WHOLE_TENTH_WH = 95


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a language. Home Assistant keeps them in memory for each integration that is set up."""

    common: Mapping[str, str]
    entity: Mapping[str, str]
    country: str | None
    language: str

    def find(self, key: str) -> str | None:
        """A text of ours, or None."""
        return self.common.get(f"component.{DOMAIN}.common.{key}")

    def say(self, key: str, /, **given: object) -> str:
        """A text of ours with what is told in it; the key itself where there is none."""
        text = self.find(key)
        return key if text is None else text.format_map(_Given(given))

    @property
    def clock(self) -> ClockWords:
        """How times are said."""
        return ClockWords(self.find, self.country, self.language)

    def clock_of(self, text: Any) -> str | None:
        """A time of the contract by the clock on the wall, with its day where that is not today; None for none."""
        at = time_of(text)
        return None if at is None else self.clock.brief(at, dt_util.utcnow())

    def state(self, entity: str, state: str) -> str:
        """What a state of an entity is called, ``entity`` such as ``sensor.why``; one of a later edge as it is."""
        return self._of_entity(f"{entity}.state.{state}", state)

    def attribute(self, entity: str, name: str, value: str) -> str:
        """What an attribute's value is called, likewise."""
        return self._of_entity(f"{entity}.state_attributes.{name}.state.{value}", value)

    def _of_entity(self, path: str, word: str) -> str:
        return self.entity.get(f"component.{DOMAIN}.entity.{path}") or word.replace("_", " ")


class _Given(dict[str, object]):
    """What was told; a dash for what was not."""

    def __missing__(self, key: str) -> str:
        return DASH


def words(hass: HomeAssistant) -> Words:
    """The words of Home Assistant's language."""
    language = hass.config.language
    common, entity = (async_get_cached_translations(hass, language, kind, DOMAIN) for kind in ("common", "entity"))
    return Words(common, entity, hass.config.country, language)


async def async_words(hass: HomeAssistant) -> Words:
    """Also before the integration is set up, when Home Assistant has not read them yet."""
    language = hass.config.language
    common = await async_get_translations(hass, language, "common", [DOMAIN])
    entity = await async_get_translations(hass, language, "entity", [DOMAIN])
    return Words(common, entity, hass.config.country, language)


def one_line(text: str) -> str:
    """Words of others, such as an event's name, fit to stand in a sentence of ours."""
    return " ".join(text[: 4 * LONGEST_NAME].split())[:LONGEST_NAME]


def not_marked_up(text: str) -> str:
    """A text for a page that reads Markdown, shown as it is: no link, picture or heading comes of somebody's name."""
    return LINK.sub(r"\1\\\2", MARKUP.sub(r"\\\g<0>", text))


def power(power_w: float) -> str:
    """Kilowatts without a sign."""
    return f"{abs(power_w) / 1000:.1f} kW"


def energy(energy_wh: float) -> str:
    """Kilowatt-hours without a sign; what is less than a tenth of one in watt-hours."""
    return f"{abs(energy_wh) / 1000:.1f} kWh" if abs(energy_wh) >= WHOLE_TENTH_WH else f"{abs(energy_wh):.0f} Wh"


def hours(count: float) -> str:
    """Hours; a tenth tells something only of a few."""
    return f"{count:.1f} h" if count < 10 else f"{count:.0f} h"


def lasted(seconds: float) -> str:
    """A span of time."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def measured(name: str, value: float) -> str:
    """A number of the contract as a person reads it, by the unit in its name."""
    units = {"w": power, "wh": energy, "s": lasted, "pct": "{:.0f}%".format, "usd": "${:.2f}".format}
    unit = units.get(name.rpartition("_")[2])
    return str(value) if unit is None else unit(value)
