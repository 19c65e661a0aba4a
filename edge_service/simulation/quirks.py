"""What a simulated device may do oddly: named, declared by its model, switched on and off one by one."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quirk:
    """``on``: whether every device of the model has it. ``silent``: the device does not answer while it is on."""

    text: str
    on: bool = False
    silent: bool = False


class UnknownQuirkError(ValueError):
    """A quirk that this model does not have; the message names those it has."""


class Quirks:
    """The quirks of one device, and which of them are on."""

    def __init__(self, known: Mapping[str, Quirk] | None = None) -> None:
        self.known: Mapping[str, Quirk] = known or {}
        self._on = {name for name, quirk in self.known.items() if quirk.on}

    def __contains__(self, name: str) -> bool:
        """Whether the quirk is on."""
        return name in self._on

    @property
    def silent(self) -> bool:
        return any(self.known[name].silent for name in self._on)

    def switch(self, wanted: Mapping[str, bool]) -> None:
        """Switch these on and off, all or none; raises UnknownQuirkError."""
        if unknown := [name for name in wanted if name not in self.known]:
            allowed = ", ".join(self.known) or "none"
            raise UnknownQuirkError(f"unknown quirk {', '.join(unknown)}; this charger has {allowed}")
        self._on |= {name for name, on in wanted.items() if on}
        self._on -= {name for name, on in wanted.items() if not on}

    def as_flags(self) -> dict[str, bool]:
        return {name: name in self._on for name in self.known}
