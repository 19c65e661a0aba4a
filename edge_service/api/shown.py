"""All that a state is made of, and how the contract writes a moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from edge_service.api import wire
from edge_service.domain.decide import Decision
from edge_service.domain.model import Evidence, Observation, Runtime, Settings, SiteFacts, SwitchOrder
from edge_service.domain.view import View


@dataclass(frozen=True, slots=True)
class Nameplate:
    """Who a device says it is."""

    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """An order as it stands at a charger: its evidence, and what had to be changed in the wish to make it doable."""

    evidence: Evidence
    adjusted: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """How it stands with a program's server; ``connected`` None: it has none, or was not asked yet.

    ``problem``: as in ``wire.ProgramWire``, ``version`` likewise.
    """

    connected: bool | None = None
    last_at: datetime | None = None
    problem: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """All that a state is made of. ``switch_wanted``: what a client is to do with a switch that it owns.

    ``measured``: by charger, as in ``steady.MEASURED``; ``clock_offset_ms``, ``storage_free_mb``: as in the contract.
    """

    observation: Observation
    settings: Settings
    facts: SiteFacts
    decision: Decision
    nameplates: Mapping[str, Nameplate]
    standing: Mapping[str, Standing]
    contacts: Mapping[str, Contact]
    notices: list[wire.NoticeWire]
    started_at: datetime
    cycle_late_p99_ms: float | None = None
    runtime: Runtime | None = None
    switch_wanted: SwitchOrder | None = None
    measured: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    clock_offset_ms: float | None = None
    storage_free_mb: int | None = None

    def view(self) -> View:
        """What was decided from, for those who ask why."""
        decision = self.decision
        return View(self.observation, decision.memory, self.settings, self.facts, decision.grid, decision.supply, None)


def time(at: datetime | None) -> str | None:
    """A moment as the contract writes it."""
    return None if at is None else moment(at)


# What an order has reached is shown cycle after cycle, and its moments stand.
@lru_cache(maxsize=8192)
def moment(at: datetime) -> str:
    """Likewise of one that is known."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
