"""What a notice says, in the words of the translations."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util

from .clock_words import ClockWords
from .const import DOMAIN
from .notice_kinds import KINDS
from .wire import NoticeWire

# What is asked of an event and what it brought, said only as far as the edge knows it: the words, and what they tell.
TERMS = MappingProxyType({"asked": "power_w", "possible": "feasible_w", "worth": "stake_usd"})
RESULT = MappingProxyType({"given": "energy_wh", "average": "average_w", "earned": "earnings_usd"})


class NoticeWords:
    """Titles and texts in the language of Home Assistant."""

    def __init__(self, words: Mapping[str, str], country: str | None, language: str) -> None:
        self._words = words
        self.clock = ClockWords(self.word, country, language)

    @classmethod
    async def load(cls, hass: HomeAssistant) -> NoticeWords:
        """The words of the language that Home Assistant speaks now."""
        language = hass.config.language
        words = await async_get_translations(hass, language, "common", [DOMAIN])
        errors = await async_get_translations(hass, language, "exceptions", [DOMAIN])
        return cls({**words, **errors}, hass.config.country, language)

    def word(self, key: str) -> str | None:
        """What a key of ``common`` says; None: there is none."""
        return self._words.get(f"component.{DOMAIN}.common.{key}")

    def said(self, key: str, **numbers: object) -> str:
        """The same with its numbers; the key itself where there are no words."""
        return (self.word(key) or key).format_map(numbers)

    def error(self, error: HomeAssistantError) -> str:
        """Why something could not be done."""
        words = self._words.get(f"component.{DOMAIN}.exceptions.{error.translation_key}.message")
        return words.format_map(error.translation_placeholders or {}) if words else str(error)

    def text(self, notice: NoticeWire, site: str) -> tuple[str, str]:
        """Title and text that say the whole thing, and stay true however long they are shown."""
        kind = notice["kind"] if notice["kind"] in KINDS else "other"
        raised_at = self._plain("raised_at", notice["raised_at"])
        said = _Said({"since": raised_at})
        said |= {name: self._plain(name, value) for name, value in notice["data"].items()}
        said |= {"site": site, "kind": notice["kind"], "raised_at": raised_at}
        said["ends"] = self.word(f"ends_{notice['data'].get('ends')}") or "–"
        said["flags"] = self.each("flag", notice["data"].get("flags"))
        said["lost"] = self.each("lost", notice["data"].get("reasons")) or self.word("lost_nothing") or "–"
        said["when"] = self._span(notice["data"].get("start"), notice["data"].get("end"))
        said["terms"], said["result"] = (self._known(parts, notice["data"], said) for parts in (TERMS, RESULT))
        said["reason"] = self.reason(notice["data"].get("reason") or "no_contact")
        title, text = (self.word(f"notice_{kind}_{part}") or kind for part in ("title", "text"))
        return title.format_map(said), text.format_map(said)

    def reason(self, code: str) -> str:
        """Why, of a failed backup or a charger."""
        return self.word(f"reason_{code}") or self.word("reason_other") or code

    def each(self, kind: str, codes: Any) -> str:
        """A list of the contract's words as a person reads it; one of a later edge as it is."""
        return ", ".join(self.word(f"{kind}_{code}") or str(code).replace("_", " ") for code in codes or ())

    def _known(self, parts: Mapping[str, str], data: Mapping[str, Any], said: _Said) -> str:
        """The parts of a sentence whose numbers are known."""
        known = [self._part(part, data[name]) for part, name in parts.items() if data.get(name) is not None]
        return ", ".join(words.format_map(said) for words in known) or self.word("part_none") or "–"

    def _part(self, part: str, value: Any) -> str:
        draws = part in ("asked", "possible") and value > 0
        return self.word(f"part_{part}_draws" if draws else f"part_{part}") or "–"

    def _span(self, start: Any, end: Any) -> str:
        """When an event is, by the clock on the wall; its end with its day only where that is another."""
        first, last = _time(start), _time(end)
        if first is None:
            return "–"
        if last is None:
            return self._day_and_time(first)
        same_day = dt_util.as_local(last).date() == dt_util.as_local(first).date()
        until = self.clock.time(last) if same_day else self._day_and_time(last)
        return self.said("from_to", start=self._day_and_time(first), end=until)

    def _day_and_time(self, at: datetime) -> str:
        return f"{self.clock.date(at)}, {self.clock.time(at)}"

    def _plain(self, name: str, value: Any) -> str:
        """A value as a person reads it, by the unit in its name."""
        if value is None:
            return "–"
        if isinstance(value, int | float):
            return measured(name, value)
        at = _time(value)
        return f"{self.clock.weekday(at)} {self.clock.time(at)}" if at else str(value)


class _Said(dict[str, str]):
    """What the edge told; a dash for what it did not."""

    def __missing__(self, key: str) -> str:
        return "–"


def _time(value: Any) -> datetime | None:
    return dt_util.parse_datetime(value) if isinstance(value, str) else None


def measured(name: str, value: float) -> str:
    """A number with its unit."""
    unit = name.rpartition("_")[2]
    if unit == "s":
        return f"{value / 60:.0f} min" if value >= 120 else f"{value:.0f} s"
    shapes = {"w": f"{abs(value) / 1000:.1f} kW", "wh": f"{abs(value) / 1000:.1f} kWh"}
    shapes |= {"pct": f"{value:.0f} %", "usd": f"${value:.2f}"}
    return shapes.get(unit, str(value))
