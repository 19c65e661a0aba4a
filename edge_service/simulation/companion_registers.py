"""Companion inverters that tell their supply in one value, laid out from ``data/companions.yaml``. Read only."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge_service.simulation.contact_registers import InputContacts
from edge_service.simulation.house import House
from edge_service.simulation.modbus_server import Faceless, RefusalCode, RefusalError
from edge_service.simulation.sunspec_layout import Facts, facts

STATES = ("on_grid", "outage", "islanded", "generator", "unknown")


@dataclass(slots=True)
class CompanionSight:
    """What a companion sees of the house. ``forced``: what it tells instead, ``unknown`` for what says nothing.

    On the house's side an island of the charger's looks like the grid to it; on the grid's side it sees the street.
    Off the grid it carries the house where the house has a maker's gateway; where not, it says so if it has the words.
    """

    house: House
    contacts: InputContacts
    on_grid_side: bool = False
    forced: str | None = None

    @property
    def state(self) -> str:
        """One of the facts' normalised words."""
        if self.forced is not None:
            return self.forced
        if self.contacts.generator:
            return "generator"
        fed = self.house.grid_present if self.on_grid_side else self.house.grid_live or self.house.inverter.feeds_bus
        if fed:
            return "on_grid"
        return "islanded" if self.house.vendor_backup else "outage"


class CompanionRegisters(Faceless):
    """The one register of a model, or two words of it."""

    def __init__(self, model: str, sight: CompanionSight) -> None:
        self._sight = sight
        self.facts: Facts = facts("companions")["models"][model]

    @property
    def unit(self) -> int:
        return int(self.facts["transport"]["unit_id"])

    def read_registers(self, address: int, count: int) -> list[int]:
        words = self._words()
        first = address - self.facts["register"]["address"]
        if first < 0 or first + count > len(words):
            raise RefusalError(RefusalCode.ADDRESS)
        return words[first : first + count]

    def _words(self) -> list[int]:
        register, says = self.facts["register"], self.facts["says"]
        value = _said(says, self._sight.state, register)
        if register["type"] == "u16":
            return [value]
        high, low = value >> 16, value & 0xFFFF
        return [low, high] if register.get("word_order") == "little" else [high, low]


def _said(says: Mapping[str, int], state: str, register: Facts) -> int:
    """A model without a word for a state tells what it sees: a generator as the grid, a dead bus as being off grid."""
    fallback = {"generator": "on_grid", "outage": "islanded"}.get(state, state)
    value = says.get(state, says.get(fallback))
    return int(register.get("invalid", 0xFFFF) if value is None else value)
