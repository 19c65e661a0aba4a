"""Real automations of Home Assistant, and how often each of them ran."""

from collections import Counter
from typing import Any

from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.setup import async_setup_component

type Json = dict[str, Any]


class Automations:
    """``runs``: the ids of the triggers that fired, in their order; ``seen``: the type and time of each."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self.runs: list[str] = []
        self.seen: list[tuple[str, str]] = []
        hass.bus.async_listen("ran", self._note)

    @callback
    def _note(self, event: Event[Any]) -> None:
        self.runs.append(event.data["id"])
        self.seen.append((event.data["type"], event.data["at"]))

    async def load(self, *triggers: Json, conditions: list[Json] | None = None) -> None:
        """One automation with these triggers, the id of each its name without our domain."""
        told = {
            "id": "{{ trigger.id }}",
            "type": "{{ trigger.to_state.attributes.event_type | default(trigger.to_state.state) }}",
            "at": "{{ trigger.to_state.attributes.occurred_at | default('') }}",
        }
        automation = {
            "id": "watch",
            "alias": "Watch",
            "mode": "parallel",
            "max": 1000,
            "triggers": [{"id": one["trigger"].partition(".")[2]} | one for one in triggers],
            "conditions": conditions or [],
            "actions": [{"event": "ran", "event_data": told}],
        }
        assert await async_setup_component(self._hass, "automation", {"automation": [automation]})
        await self._hass.async_block_till_done()

    def counts(self) -> Counter[str]:
        """How often each trigger fired."""
        return Counter(self.runs)


def on(name: str, target: Json, **options: Any) -> Json:
    """A trigger of ours."""
    return {"trigger": f"ridethrough.{name}", "target": target} | ({"options": options} if options else {})


def only_if(name: str, target: Json, **options: Any) -> Json:
    """A condition of ours."""
    return {"condition": f"ridethrough.{name}", "target": target, "options": options}
