"""Load groups and other inverters of the site, as clients are shown them."""

from edge_service.api import wire
from edge_service.api.shown import Shown, time
from edge_service.api.steady import rounded_h
from edge_service.domain.load_fit import heard
from edge_service.domain.memory import LoadMemory
from edge_service.domain.model import CompanionReading, LoadGroup, SwitchOwner


def load(shown: Shown, group: LoadGroup) -> wire.LoadWire:
    """One load group: what is wanted of it, and what is known of it."""
    memory = shown.decision.memory.loads.groups.get(group.id, LoadMemory())
    reading = heard(shown.observation, group.id, shown.facts)
    return {
        "name": group.name,
        "owner": SwitchOwner.EDGE if group.id in shown.facts.relays else SwitchOwner.HOME_ASSISTANT,
        "tier": group.tier,
        "power_w": group.power_w,
        "legs": list(group.legs),
        "shed_below_pct": group.shed_below_pct,
        "medical": group.medical,
        "wanted": memory.wanted,
        "state": reading.state if reading else None,
        "reason": memory.reason,
        "since": time(memory.since),
        "measured_w": reading.power_w if reading else None,
        "gain_h": rounded_h(shown.decision.gains_h.get(group.id)),
        "by_hand": shown.settings.loads_by_hand.get(group.id),
        "hours": [list(span) for span in group.hours],
    }


def companion(shown: Shown, name: str) -> wire.CompanionWire:
    """One companion; what it said last is not known once it is silent."""
    reading = _of_companion(shown, name)
    return {
        "name": shown.facts.companions[name].name,
        "connected": reading is not None,
        "state": reading.state if reading else None,
        "detail": reading.detail if reading else "",
        "solar_w": reading.solar_w if reading else None,
        "reserve_pct": reading.reserve_pct if reading else None,
    }


def _of_companion(shown: Shown, name: str) -> CompanionReading | None:
    return shown.facts.fresh(shown.observation.companions.get(name), shown.observation.now)


def solar_power_w(shown: Shown) -> int | None:
    """Of all companions that tell it; None: none does."""
    readings = [_of_companion(shown, name) for name in shown.facts.companions]
    told = [reading.solar_w for reading in readings if reading is not None and reading.solar_w is not None]
    return sum(told) if told else None
