"""Times as people here say them: the words by the language, the hours by the clock of the country."""

from collections.abc import Callable
from datetime import datetime

from homeassistant.util import dt as dt_util

# Where people say 5 PM. In these languages only: a French Canadian says 17.
TWELVE_HOUR_COUNTRIES = frozenset({"US", "CA", "AU", "NZ", "PH", "IN", "PK", "BD", "MY", "EG", "SA", "CO"})
TWELVE_HOUR_LANGUAGES = ("en", "es", "ar", "hi", "bn", "ur")

type Word = Callable[[str], str | None]


class ClockWords:
    """``word`` gives what a key of ``common`` says. Times come in any zone and are told in Home Assistant's."""

    def __init__(self, word: Word, country: str | None, language: str) -> None:
        self._word = word
        by_twelve = country in TWELVE_HOUR_COUNTRIES and language.startswith(TWELVE_HOUR_LANGUAGES)
        self._by_twelve = by_twelve

    def time(self, at: datetime) -> str:
        """Such as 07:05, or 7:05 AM."""
        local = dt_util.as_local(at)
        if not self._by_twelve:
            return f"{local:%H:%M}"
        return f"{local.hour % 12 or 12}:{local:%M} {self._half(local)}"

    def date(self, at: datetime) -> str:
        """Such as Wed Jul 15."""
        local = dt_util.as_local(at)
        said = {"weekday": self.weekday(local), "month": self._word(f"month_{local.month}"), "day": local.day}
        return (self._word("date_of") or "{weekday} {month} {day}").format_map(said)

    def weekday(self, at: datetime) -> str:
        """Such as Wed."""
        return self._word(f"weekday_{dt_util.as_local(at).weekday()}") or ""

    def day(self, at: datetime, now: datetime) -> str:
        """The day as seen from now: today, tomorrow, a weekday within the week, else the date."""
        days = (dt_util.as_local(at).date() - dt_util.as_local(now).date()).days
        near = {0: "day_today", 1: "day_tomorrow"}.get(days)
        if near is not None:
            return self._word(near) or self.date(at)
        return self.weekday(at) if 0 < days < 7 else self.date(at)

    def moment(self, at: datetime, now: datetime) -> str:
        """The time; with its day where that is not today."""
        same = dt_util.as_local(at).date() == dt_util.as_local(now).date()
        return self.time(at) if same else f"{self.day(at, now)} {self.time(at)}"

    def brief(self, at: datetime, now: datetime) -> str:
        """As it stands in the midst of a sentence: 8 PM, Thu 7:30 AM; 20:00, Thu 07:30. The day where it is another."""
        local = dt_util.as_local(at)
        time = f"{self._short(local)} {self._half(local)}" if self._by_twelve else self.time(at)
        days = (local.date() - dt_util.as_local(now).date()).days
        if days == 0:
            return time
        return f"{self.weekday(at) if 0 < days < 7 else self.date(at)} {time}"

    def hours(self, start: datetime, end: datetime) -> str:
        """From when to when on one day, as short as can be: 17–20, 5–8 PM."""
        first, last = dt_util.as_local(start), dt_util.as_local(end)
        if not self._by_twelve:
            brief = not (first.minute or last.minute)
            return f"{first.hour}–{last.hour}" if brief else f"{self.time(first)}–{self.time(last)}"
        same_half = self._half(first) == self._half(last)
        begins = self._short(first) if same_half else f"{self._short(first)} {self._half(first)}"
        return f"{begins}–{self._short(last)} {self._half(last)}"

    def span(self, start: datetime, end: datetime | None, now: datetime) -> str:
        """When something is, as seen from now: tomorrow 17–20."""
        if end is None:
            return f"{self.day(start, now)} {self.time(start)}"
        if dt_util.as_local(start).date() == dt_util.as_local(end).date():
            return f"{self.day(start, now)} {self.hours(start, end)}"
        return f"{self.day(start, now)} {self.time(start)} – {self.day(end, now)} {self.time(end)}"

    def _short(self, local: datetime) -> str:
        return f"{local.hour % 12 or 12}" + (f":{local:%M}" if local.minute else "")

    def _half(self, local: datetime) -> str:
        return self._word("clock_pm" if local.hour >= 12 else "clock_am") or ""
