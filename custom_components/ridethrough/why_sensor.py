"""The sensor that says why: its state is the reason, its attributes the sentence and what to do next."""

from collections.abc import Hashable
from typing import override

from .charger_sensors import told_of_limit, why
from .explanation import explained
from .reasons import STEP_REASONS
from .sensor_rows import RidethroughSensor, SensorRow, enum_row
from .wire import ChargerWire
from .wording import words

WHY: SensorRow[ChargerWire] = enum_row("why", STEP_REASONS, why, attributes=told_of_limit)


class WhySensor(RidethroughSensor[ChargerWire]):
    """Written when the decision changes. The sentences stay out of the history: they follow from what is in it."""

    _unrecorded_attributes = frozenset({"text", "next_step"})

    @override
    def _shown(self, part: ChargerWire) -> Hashable:
        shown = super()._shown(part)
        told = explained(words(self.coordinator.hass), part)
        sentences = {"text": told.whole, "next_step": told.next_step}
        self._attr_extra_state_attributes = {**self._attr_extra_state_attributes, **sentences}
        return (shown, *sentences.values())
