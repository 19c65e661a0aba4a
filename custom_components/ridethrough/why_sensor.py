"""The sensor that says why: its state is the reason, its attributes the sentence and what to do next."""

import re
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from typing import override

from homeassistant.util import dt as dt_util

from .charger_sensors import told_of_limit, why
from .explanation import explained
from .program_events import events_of
from .reasons import STEP_REASONS
from .sensor_rows import LONGEST_WAIT, RidethroughSensor, SensorRow, enum_row
from .wire import ChargerWire
from .wording import words

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")

WHY: SensorRow[ChargerWire] = enum_row("why", STEP_REASONS, why, attributes=told_of_limit)


class WhySensor(RidethroughSensor[ChargerWire]):
    """Written when the decision changes. The sentences stay out of the history: they follow from what is in it."""

    _unrecorded_attributes = frozenset({"text", "next_step"})
    _text = ""
    _text_at = datetime.min.replace(tzinfo=UTC)

    @override
    def _looks_at(self) -> object:
        """Its sentence names events, too."""
        return self.coordinator.data

    @override
    def _shown(self, part: ChargerWire) -> Hashable:
        shown = super()._shown(part)
        told = explained(words(self.coordinator.hass), part, events_of(self.coordinator.data))
        sentences = {"text": self._steady(told.whole), "next_step": told.next_step}
        self._attr_extra_state_attributes = {**self._attr_extra_state_attributes, **sentences}
        return (shown, *sentences.values())

    def _steady(self, text: str) -> str:
        """The sentence as it is; one of which only the numbers moved waits like a number does."""
        now, same = dt_util.utcnow(), _without_numbers(text) == _without_numbers(self._text)
        if same and timedelta(0) <= now - self._text_at < LONGEST_WAIT:
            return self._text
        if text != self._text:
            self._text, self._text_at = text, now
        return self._text


def _without_numbers(text: str) -> str:
    return NUMBER.sub("#", text)
