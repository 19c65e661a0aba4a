"""Utility programs by protocol: one file each, one line in PROGRAMS."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from edge_service.domain.model import Event, Program
from edge_service.ports import ConfigError, ProgramSource
from edge_service.programs.icalendar_file import CalendarSource
from edge_service.programs.openadr2b import OpenAdr2Source
from edge_service.programs.openadr2b_client import messaging
from edge_service.programs.openadr3 import OpenAdr3Source


class PolledProgram(ProgramSource, Protocol):
    """A source that also says which program it is of."""

    @property
    def program(self) -> Program: ...


class OpenProgram(Protocol):
    """Makes a source from options as the journal keeps them. Raises ConfigError naming every mistake."""

    def __call__(
        self, values: Mapping[str, object], installation_id: str, known: Sequence[Event] = ()
    ) -> PolledProgram: ...


PROGRAMS: Mapping[str, OpenProgram] = {
    "openadr3": OpenAdr3Source.open,
    "openadr2b": OpenAdr2Source.open,
    "calendar": CalendarSource.open,
}


def prepare(kind: object) -> None:
    """Load the library that a kind stands on. Half a second, seconds on a small machine: for a thread."""
    if kind == "openadr2b":
        with suppress(ConfigError):  # said by whoever opens it
            messaging()
