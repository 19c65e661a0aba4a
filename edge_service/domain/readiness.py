"""Would backup work now? The level, and what stands in its way by name.

On the grid it is judged whether an outage of this moment would be bridged; in an outage, whether it is.
"""

from collections.abc import Iterator
from datetime import timedelta

from edge_service.domain import load_fit
from edge_service.domain.grid_evidence import weighed
from edge_service.domain.memory import DrillStage, Memory
from edge_service.domain.model import (
    EMPTY_SOC_PCT,
    AtEnd,
    Backup,
    ChargerReading,
    ChargerState,
    Confidence,
    Contact,
    Grid,
    Lease,
    Mode,
    Position,
    Readiness,
    ReadinessLevel,
    Runtime,
    Supply,
    SwitchOwner,
)
from edge_service.domain.view import View

# Half a year: long enough not to nag, short enough that a battery, a breaker or a firmware has hardly changed since.
DRILL_EVERY = timedelta(days=180)
# Off our hands, or not yet able: it would not carry the house now.
AWAY = frozenset({ChargerState.OFFLINE, ChargerState.BOOTING})

type Reasons = Iterator[tuple[str, str]]
SITE = "site"


def judge(view: View, after: Memory, runtime: Runtime | None) -> Readiness:
    """The level and its reasons, worst first. ``runtime`` decides nothing: a short one is no fault of the system."""
    grave = list(dict.fromkeys(_grave(view, after)))
    light = list(dict.fromkeys(_light(view, after)))
    level = ReadinessLevel.NOT_READY if grave else ReadinessLevel.DEGRADED if light else ReadinessLevel.READY
    return Readiness(level, (*grave, *light))


# -------------------------------------------------------------------------------------------------- what prevents it


def _grave(view: View, after: Memory) -> Reasons:
    if is_carried(view):
        return
    yield from _by_people(view, after)
    if not _able(view):
        yield "no_backup_here", SITE
        return
    yield from _of_switch(view, after)
    yield from _of_chargers(view)
    if not view.tied and view.grid is Grid.OUTAGE and view.supply is Supply.NONE:
        yield "not_carried", SITE


def is_carried(view: View) -> bool:
    """The vehicle carries the house at this moment, ours or behind its maker's gateway."""
    by_vendor = view.supply is Supply.VENDOR_BACKUP and not all(_of_vehicles(view, name) for name in _able(view))
    return view.supply is Supply.ISLAND or by_vendor


def _by_people(view: View, after: Memory) -> Reasons:
    if view.settings.stopped:
        yield "stopped", SITE
    if after.island.latched:
        yield "backup_latched", SITE
    if view.settings.mode is Mode.READ_ONLY and view.facts.switch is not None:
        yield "read_only", SITE
    if after.contact(Contact.GENERATOR).active and view.facts.switch is not None:
        yield "at_generator", SITE


def _able(view: View) -> tuple[str, ...]:
    """The chargers that could carry the house, by our switch or by their maker's gateway; not probed yet: perhaps."""
    kinds = {Backup.VENDOR, Backup.CAN_FORM} if view.facts.switch is not None else {Backup.VENDOR}
    return tuple(
        name
        for name, charger in view.facts.chargers.items()
        if charger.capability is None or charger.capability.backup in kinds
    )


def _of_switch(view: View, after: Memory) -> Reasons:
    switch = view.facts.switch
    if switch is None:
        return
    reading = view.facts.fresh(view.observation.switch, view.observation.now)
    if reading is None:
        ours = switch.owner is SwitchOwner.EDGE
        yield ("switch_silent" if ours else "home_assistant_away"), SITE
    elif _belongs_closed(view, after) and (reading.closed_proven is not True or reading.open_proven is True):
        yield "switch_not_proven", SITE


def _belongs_closed(view: View, after: Memory) -> bool:
    """The house is on the grid, or could not be brought back to it: contacts that were swapped say so without end."""
    return view.tied or (view.grid is Grid.ON and after.island.return_failed_at is not None)


def _of_chargers(view: View) -> Reasons:
    """Nothing, while one of them could. Else what each lacks."""
    lacking = {name: list(_of_vehicles(view, name)) for name in _able(view)}
    if all(lacking.values()):
        for name, reasons in lacking.items():
            yield from ((reason, name) for reason in reasons)


def _of_vehicles(view: View, charger: str) -> list[str]:
    """What this charger or its vehicle lacks to carry the house, the gravest first."""
    reading = view.reading(charger)
    if reading is None or view.capability(charger) is None or reading.state in AWAY:
        return ["charger_offline"]
    found = []
    if reading.state is ChargerState.FAULT:
        found.append("charger_fault")
    if reading.service_permitted is False:
        found.append("service_not_permitted")
    if reading.plugged is not True:
        return [*found, "vehicle_absent" if reading.plugged is False else "vehicle_unknown"]
    if _is_below_reserve(view, charger, reading):
        found.append("charge_below_reserve")
    return found


def _is_below_reserve(view: View, charger: str, reading: ChargerReading) -> bool:
    """What is charged belongs to the driver, or is next to nothing."""
    soc = reading.soc_pct
    if soc is None:
        return False
    floor = 0.0 if view.settings.at_end is AtEnd.LEND else view.settings.drivers_reserve(charger)
    return soc <= max(floor, EMPTY_SOC_PCT)


# ------------------------------------------------------------------------------------------------- what diminishes it


def _light(view: View, after: Memory) -> Reasons:
    able = _able(view)
    if not able:
        return
    if not _is_known_charge(view, able):
        yield from (("charge_unknown", name) for name in able if _is_without_charge(view, name))
    if view.facts.switch is not None:
        yield from _of_street(view, after)
        yield from _of_loads(view, after)
    yield from (("unsupervised", name) for name in able if _is_unsupervised(view, name))
    yield from _of_drill(view, after)


def _is_known_charge(view: View, able: tuple[str, ...]) -> bool:
    readings = [view.reading(name) for name in able]
    return any(reading is not None and reading.soc_pct is not None for reading in readings)


def _is_without_charge(view: View, charger: str) -> bool:
    reading = view.reading(charger)
    return reading is not None and reading.plugged is not False and reading.soc_pct is None


def _of_street(view: View, after: Memory) -> Reasons:
    """Whether anything will see the grid come back while our switch is open."""
    if not has_source_on_street(view):
        yield "no_grid_side_source", SITE
        return
    every = weighed(view.observation, after.grid, view.facts)
    if not any(one.counts and one.piece.position is Position.GRID_SIDE for one in every):
        yield "grid_unseen", SITE


def has_source_on_street(view: View) -> bool:
    """There is a source on the street's side of the switch at all, whether or not it tells now."""
    facts = view.facts
    by_meter = facts.has_meter and facts.meter_position is Position.GRID_SIDE
    told = (piece for piece in view.observation.evidence if piece.confidence is not Confidence.HINT)
    companions = facts.companions.values()
    return (
        by_meter
        or Contact.GRID_LOST in facts.contacts
        or any(companion.position is Position.GRID_SIDE for companion in companions)
        or any(piece.position is Position.GRID_SIDE for piece in told)
    )


def _of_loads(view: View, after: Memory) -> Reasons:
    """Must-haves beyond what the vehicle gives; groups of which nobody tells whether they were shed."""
    groups = load_fit.groups(view.settings, view.facts)
    load = load_fit.house_load(after.loads)
    if load is not None and view.supply is not Supply.ISLAND:
        limit = load_fit.rating(view.observation, view.facts, after.island.former, len(load) - 1)
        sheddable = [group for group in groups.values() if load_fit.is_sheddable(group, view.settings)]
        left = load_fit.without(load, sheddable, after.loads)
        if limit is not None and any(load_fit.over(left, limit)):
            yield "load_too_big", SITE
    for name, group in groups.items():
        silent = load_fit.state(view.observation, name, view.facts) is None
        if silent and load_fit.is_sheddable(group, view.settings):
            yield "load_unreachable", name


def _is_unsupervised(view: View, charger: str) -> bool:
    """No order at it dies by itself, should this controller."""
    capability = view.capability(charger)
    return capability is not None and capability.backup is Backup.CAN_FORM and capability.lease is Lease.NONE


def _of_drill(view: View, after: Memory) -> Reasons:
    drill = after.drill
    if drill is not None and drill.stage is DrillStage.FAILED:
        yield "drill_failed", SITE
        return
    passed_at = None if drill is None else drill.last_passed_at
    if passed_at is None or view.observation.now - passed_at > DRILL_EVERY:
        yield "drill_too_old", SITE
