"""Departure: the charge to drive away with, in time, charged as late as is safe."""

from collections.abc import Iterator, Mapping
from typing import Any

from edge_service.domain.band import ANY, Band
from edge_service.domain.departing import UNDER_WAY
from edge_service.domain.memory import DepartureMemory, DepartureStage
from edge_service.domain.model import Mode, frozen_map
from edge_service.domain.view import Narrowing, Statement, View


def departure(view: View) -> tuple[Statement, ...]:
    """A vehicle that can wait no longer charges; one that could not be refilled in time gives nothing.

    Neither in mode ``paused``, nor without the grid: in an outage a vehicle serves the house.
    """
    return () if view.settings.mode is Mode.PAUSED or not view.tied else tuple(_statements(view))


def _statements(view: View) -> Iterator[Statement]:
    planned = {name: memory for name in view.steerable if (memory := view.memory.charger(name).departure)}
    charging = {name: memory for name, memory in planned.items() if memory.stage in UNDER_WAY}
    for name, memory in planned.items():
        if memory.keeps and name not in charging:
            yield Narrowing("departure_keeps", bands=frozen_map({name: Band(0, ANY.hi)}), data=_data(memory))
    for name, power_w in _shares(view, charging).items():
        late = charging[name].stage is DepartureStage.LATE
        reason = "departure_late" if late else "departure_charges"
        yield Narrowing(reason, wants=frozen_map({name: power_w}), data=_data(charging[name]))


def _data(memory: DepartureMemory) -> Mapping[str, Any]:
    return frozen_map({"at": memory.at.isoformat(), "target_pct": memory.target_pct, "reaches_pct": memory.reaches_pct})


def _shares(view: View, charging: Mapping[str, DepartureMemory]) -> dict[str, int]:
    """The site's power among those that charge: by what each must have before the first leaves.

    Where it is not enough for all, those that leave first are served first.
    """
    wishes = {name: max(0, view.bands[name].hi) for name in charging}
    weight = {name: memory.due_wh for name, memory in charging.items()}
    urgency = {name: float(memory.due_wh > 0) for name, memory in charging.items()}
    if any(memory.stage is DepartureStage.LATE for memory in charging.values()):
        last_first = sorted(charging, key=lambda name: (charging[name].at, name), reverse=True)
        urgency = {name: float(place) for place, name in enumerate(last_first)}
    return view.share(wishes, weight=weight, urgency=urgency)
