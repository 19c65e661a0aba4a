"""What a command asks for: its arguments, each read strictly or refused with what would be allowed. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from edge_service.domain.memory import IslandStep, Memory
from edge_service.domain.model import Grid, Observation, Settings, SiteFacts

LONGEST_NAME = 80
AN_AWARE_TIME = "2026-07-15T21:00:00Z"


class CommandRefusedError(Exception):
    """Why not: a code for translation, words for the log, and what is allowed."""

    def __init__(self, code: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.code = code
        self.data: dict[str, Any] = data


def bad_argument(name: str, found: Any, allowed: str, message: str | None = None) -> CommandRefusedError:
    """An argument that is not of its form; ``message`` where that alone would not be understood."""
    said = message or f"{name} must be {allowed}, not {found!r}"
    return CommandRefusedError("bad_argument", said, argument=name, found=found, allowed=allowed)


def aware_time(text: Any) -> datetime | None:
    """A time in UTC out of one that is written with its offset; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except TypeError, ValueError, OverflowError:  # the last: a time with its offset before the year 1
        return None


def is_local_time(text: Any) -> bool:
    """A time of day on the site's clock, such as ``07:30``."""
    if not isinstance(text, str) or len(text) != len("07:30") or not text.isascii():
        return False
    hours, _, minutes = text.partition(":")
    return hours.isdigit() and minutes.isdigit() and int(hours) <= 23 and int(minutes) <= 59


@dataclass(frozen=True, slots=True)
class Asked:
    """A command with all that it is judged by. ``local``: typed at the edge itself.

    ``observation``: what is known at the moment; None before the first cycle.
    """

    args: Mapping[str, Any]
    settings: Settings
    facts: SiteFacts
    memory: Memory
    now: datetime
    local: bool = False
    observation: Observation | None = None

    def text(self, name: str) -> str:
        value = self.args.get(name)
        if not isinstance(value, str) or not value:
            raise bad_argument(name, value, "text")
        return value

    def name(self, name: str, default: str) -> str:
        """What people call something; ``default`` where they say nothing."""
        value = self.args.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= LONGEST_NAME:
            raise bad_argument(name, value, f"1 to {LONGEST_NAME} characters on one line")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        value = self.args.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise bad_argument(name, value, f"{low:g} to {high:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.args.get(name)
        if not isinstance(value, bool):
            raise bad_argument(name, value, "true, false")
        return value

    def choice[E: StrEnum](self, name: str, kind: type[E]) -> E:
        value = self.text(name)
        if value not in list(kind):
            raise bad_argument(name, value, ", ".join(kind))
        return kind(value)

    def time(self, name: str) -> datetime:
        text = self.text(name)
        moment = aware_time(text)
        if moment is None:
            raise bad_argument(name, text, AN_AWARE_TIME, f"{name} must be a time with its offset")
        return moment

    def local_time(self, name: str) -> str:
        """A time of day on the site's clock, such as ``07:30``."""
        self.need_time_zone()
        text = self.text(name)
        if not is_local_time(text):
            raise bad_argument(name, text, "00:00 to 23:59")
        return text

    def need_time_zone(self) -> None:
        """Half past seven of a site that does not say where it is would be somebody else's."""
        if self.facts.time_zone is None:
            words = "a time of day needs the site's time_zone in site.yaml"
            raise CommandRefusedError("time_zone_needed", words, allowed="America/New_York")

    def charger(self) -> str:
        name = self.text("charger")
        if name not in self.facts.chargers:
            known = ", ".join(self.facts.chargers)
            raise CommandRefusedError(
                "unknown_charger", f"no charger {name}; there are: {known}", found=name, allowed=known
            )
        return name

    def program(self) -> str:
        name = self.text("program")
        if name not in self.facts.programs:
            known = ", ".join(self.facts.programs)
            raise CommandRefusedError(
                "unknown_program", f"no program {name}; there are: {known}", found=name, allowed=known
            )
        return name

    @property
    def tied(self) -> bool:
        """No outage and no suspicion of one."""
        return self.memory.grid.state is Grid.ON and self.memory.island.step is IslandStep.TIED
