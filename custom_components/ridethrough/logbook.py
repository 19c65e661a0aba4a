"""The logbook's lines of ours: what happened and what was decided, in the words in which it was told."""

from collections.abc import Callable
from typing import Any

from homeassistant.components.logbook import LOGBOOK_ENTRY_ENTITY_ID, LOGBOOK_ENTRY_MESSAGE, LOGBOOK_ENTRY_NAME
from homeassistant.const import ATTR_ENTITY_ID, ATTR_NAME
from homeassistant.core import Event, HomeAssistant, callback

from .const import DOMAIN
from .narration import ATTR_MESSAGE, EVENT_TOLD

type Describe = Callable[[Event], dict[str, Any]]


@callback
def async_describe_events(hass: HomeAssistant, async_describe_event: Callable[[str, str, Describe], None]) -> None:
    """Teach the logbook our event."""
    async_describe_event(DOMAIN, EVENT_TOLD, _described)


@callback
def _described(event: Event) -> dict[str, Any]:
    line = {LOGBOOK_ENTRY_NAME: event.data.get(ATTR_NAME), LOGBOOK_ENTRY_MESSAGE: event.data.get(ATTR_MESSAGE)}
    entity_id = event.data.get(ATTR_ENTITY_ID)
    return line if entity_id is None else line | {LOGBOOK_ENTRY_ENTITY_ID: entity_id}
