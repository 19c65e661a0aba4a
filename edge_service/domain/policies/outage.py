"""Outage: from the first sign of grid loss until the site is tied to a good grid again.

The first sign withdraws our order at once, which lifts every discharge ban. One charger forms the island by its own
act and is left alone; the others park. Where it cannot, it is stopped before another may.
"""

from collections.abc import Iterator

from edge_service.domain.letting_go import stays_behind
from edge_service.domain.memory import ALIVE, IslandStep
from edge_service.domain.model import Backup, Grid, Pause, Stop, frozen_map
from edge_service.domain.view import HandsOff, Narrowing, Statement, View

STOPPING = frozenset({IslandStep.STOPPING, IslandStep.CLOSING, IslandStep.ENDED})


def outage(view: View) -> tuple[Statement, ...]:
    """No statement while the site is tied, but before a drill's transfer; otherwise every charger is spoken for.

    Those on a generator are not.
    """
    if view.tied:
        return tuple(_before_drill(view))
    return tuple(_on_generator(view) if view.on_generator else _statements(view))


def _before_drill(view: View) -> Iterator[Statement]:
    """Our orders are withdrawn before the switch is opened: a charger could go by one while it forms the island."""
    drill = view.memory.drill
    if drill is None or not (drill.runs and drill.transfer):
        return
    for charger in view.open_chargers:
        yield HandsOff(charger, "drill", withdraw=True)


def _on_generator(view: View) -> Iterator[Statement]:
    """Only a charger with a gateway of its own is let alone: nothing is written to it until the grid is back."""
    for charger in view.open_chargers:
        if _has_gateway(view, charger):
            yield HandsOff(charger, "left_to_its_own_act", withdraw=True)


def _has_gateway(view: View, charger: str) -> bool:
    capability = view.capability(charger)
    return capability is not None and capability.backup is Backup.VENDOR


def _statements(view: View) -> Iterator[Statement]:
    island = view.memory.island
    for charger in view.open_chargers:
        if island.step is IslandStep.UNKNOWN or (view.grid is Grid.UNKNOWN and island.step is IslandStep.TIED):
            # Blind: what stands runs out by its own lease, or is taken back, and nothing new is ordered.
            yield HandsOff(charger, "grid_unknown", withdraw=stays_behind(view, charger))
        elif charger == island.former and island.step in STOPPING:
            yield Narrowing("returning", instead=frozen_map({charger: Stop()}))
        elif charger == island.former and island.step is IslandStep.HANDOVER:
            yield Narrowing("handing_over", instead=frozen_map({charger: Stop()}))
        elif charger == island.former and island.step is IslandStep.RETRY:
            yield Narrowing("begins_anew", instead=frozen_map({charger: Stop()}))
        elif charger == island.former or view.facts.switch is None or _has_gateway(view, charger):
            yield _let_serve(view, charger)
        elif island.step is IslandStep.TIED:
            yield HandsOff(charger, "protective_act", withdraw=True)
        else:
            yield Narrowing("parked", instead=frozen_map({charger: _parked(view, charger)}))


def _parked(view: View, charger: str) -> Stop | Pause:
    """A former that was stopped for another is started only beside a live island: a start comes before its 0 W."""
    carried = view.memory.island.step in ALIVE
    return Stop() if view.memory.charger(charger).ceased and not carried else Pause()


def _let_serve(view: View, charger: str) -> HandsOff:
    reading = view.reading(charger)
    in_island = view.memory.island.step in ALIVE
    if reading is not None and (reading.forming or (reading.forming is None and in_island)):
        return HandsOff(charger, "forms_the_island")
    reason = "protective_act" if view.grid is Grid.SUSPECT else "left_to_its_own_act"
    return HandsOff(charger, reason, withdraw=True)
