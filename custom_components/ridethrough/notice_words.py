"""What a notice says, in the words of the translations."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .notice_kinds import KINDS
from .times import time_of
from .wire import NoticeWire
from .wording import DASH, Words, async_words, measured, one_line

# What is asked of an event and what it brought, said only as far as the edge knows it: the words, and what they tell.
TERMS = MappingProxyType({"asked": "power_w", "possible": "feasible_w", "worth": "stake_usd"})
RESULT = MappingProxyType({"given": "energy_wh", "average": "average_w", "earned": "earnings_usd"})

# What comes of words and numbers in places where the contract has something else.
UNREADABLE = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)


class NoticeWords:
    """Titles and texts in the language of Home Assistant."""

    def __init__(self, words: Words, errors: Mapping[str, str]) -> None:
        self._words, self._errors = words, errors
        self.clock = words.clock

    @classmethod
    async def load(cls, hass: HomeAssistant) -> NoticeWords:
        """The words of the language that Home Assistant speaks now."""
        errors = await async_get_translations(hass, hass.config.language, "exceptions", [DOMAIN])
        return cls(await async_words(hass), errors)

    def word(self, key: str) -> str | None:
        """What a key of ``common`` says; None: there is none."""
        return self._words.find(key)

    def said(self, key: str, /, **told: object) -> str:
        """The same with what is told in it; the key itself where there are no words."""
        return self._words.say(key, **told)

    def error(self, error: HomeAssistantError) -> str:
        """Why something could not be done."""
        words = self._errors.get(f"component.{DOMAIN}.exceptions.{error.translation_key}.message")
        return words.format_map(error.translation_placeholders or {}) if words else str(error)

    def text(self, notice: NoticeWire, site: str) -> tuple[str, str]:
        """Title and text that say the whole thing, and stay true however long they are shown.

        Of one whose data nobody can read only its kind: an edge with a defect must not keep an outage from people.
        """
        try:
            return self._text(notice, site)
        except UNREADABLE:
            return self._text({**notice, "data": {}}, site)

    def _text(self, notice: NoticeWire, site: str) -> tuple[str, str]:
        kind, data = notice["kind"] if notice["kind"] in KINDS else "other", notice["data"]
        raised_at = self._plain("raised_at", notice["raised_at"])
        told = {"since": raised_at} | {name: self._plain(name, value) for name, value in data.items()}
        told |= {"site": site, "kind": notice["kind"], "raised_at": raised_at}
        told["ends"] = self.word(f"ends_{data.get('ends')}") or DASH
        told["flags"] = self.each("flag", data.get("flags"))
        told["lost"] = self.each("lost", data.get("reasons")) or self.said("lost_nothing")
        told["when"] = self._span(data.get("start"), data.get("end"))
        told |= {"terms": self._known(TERMS, data, told), "result": self._known(RESULT, data, told)}
        told["reason"] = self.reason(data.get("reason") or "no_contact")
        return self.said(f"notice_{kind}_title", **told), self.said(f"notice_{kind}_text", **told)

    def reason(self, code: str) -> str:
        """Why, of a failed backup or a charger."""
        return self.word(f"reason_{code}") or self.word("reason_other") or code

    def each(self, kind: str, codes: Any) -> str:
        """A list of the contract's words as a person reads it; one of a later edge as it is."""
        return ", ".join(self.word(f"{kind}_{code}") or str(code).replace("_", " ") for code in codes or ())

    def _known(self, parts: Mapping[str, str], data: Mapping[str, Any], told: Mapping[str, str]) -> str:
        """The parts of a sentence whose numbers are known."""
        known = [self._part(part, data[name]) for part, name in parts.items() if data.get(name) is not None]
        return ", ".join(self.said(part, **told) for part in known) or self.said("part_none")

    def _part(self, part: str, value: Any) -> str:
        draws = part in ("asked", "possible") and value > 0
        return f"part_{part}_draws" if draws else f"part_{part}"

    def _span(self, start: Any, end: Any) -> str:
        """When an event is, by the clock on the wall; its end with its day only where that is another."""
        first, last = time_of(start), time_of(end)
        if first is None:
            return DASH
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
            return DASH
        if isinstance(value, int | float):
            return measured(name, value)
        at = time_of(value)
        return f"{self.clock.weekday(at)} {self.clock.time(at)}" if at else one_line(str(value))
