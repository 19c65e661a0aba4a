"""The contract between the edge and its clients: messages, the shape of the state, changes. Standard library only.

This file exists twice, byte for byte: in ``edge_service/api`` and in ``custom_components/ridethrough``.
Prose: ``docs/contract.md``. Signs: positive consumes (charging, import), negative supplies (discharging, export).
Times are RFC 3339 strings in UTC. ``None`` means "not known".
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

LOWEST_SCHEMA = 1
HIGHEST_SCHEMA = 1
PATH = "/api/v1/socket"
PAIR_PATH = "/api/v1/pair"
RECORDING_PATH = "/api/v1/recording"
ZEROCONF_TYPE = "_ridethrough._tcp.local."

# A state document is a few kilobytes; anything near this is an attack or a defect.
MAX_MESSAGE_BYTES = 1_000_000


# ------------------------------------------------------------------------------------------------------------- state


class OrderState(TypedDict):
    """The order that stands. ``stage``: ordered written read_back measured held limited refused; ``reason`` mostly with
    the last two. ``measured_w``: its power as measured since its read-back. ``reached``: each stage's time; an older
    edge tells neither."""

    kind: str
    power_w: int | None
    stage: str
    reason: str | None
    measured_w: NotRequired[int | None]
    reached: NotRequired[dict[str, str]]


class ManualState(TypedDict):
    """A person's order on a charger. ``kind``: charge discharge hold."""

    kind: str
    power_w: int | None
    until: str


class DepartureState(TypedDict):
    """The next time that a vehicle leaves. ``id``: of its plan; asked for is ``soc_pct`` or ``miles``. ``stage``: ready
    waits charges late; None with all below it: it cannot be judged now. ``charging``: it is charged for this now."""

    id: str
    at: str
    soc_pct: float | None
    miles: float | None
    stage: str | None
    target_pct: float | None
    reaches_pct: float | None
    charging: bool


class DeparturePlanState(TypedDict):
    """A plan to leave: once ``at``, or on ``weekdays`` (mon to sun) at ``local_time`` of the site's time zone. Times
    until ``skip_until``, and at it, are left out."""

    id: str
    at: str | None
    weekdays: list[str]
    local_time: str | None
    soc_pct: float | None
    miles: float | None
    skip_until: str | None


class StepState(TypedDict):
    """One rung's statement: what it left of the band, and why (a translation key with its numbers)."""

    rung: str
    reason: str
    low_w: int | None
    high_w: int | None
    data: dict[str, Any]


class ChargerWire(TypedDict):
    """One charger with its vehicle. ``state`` and ``authority`` as in ``docs/contract.md``. ``charge_limit_w`` and
    ``discharge_limit_w``: what people allow, positive; None: as much as it can. ``session_*``: since the vehicle was
    plugged in. ``backup_wh`` and ``events_wh``: parts of ``energy_discharged_wh``. ``voltage_v`` to ``temperature_c``,
    ``clears_faults`` and ``restarts`` are left out where the kind of charger has no such thing. ``blocked_by``: why it
    cannot discharge, None: it can. An older edge lacks the keys that are not required."""

    name: str
    manufacturer: str
    model: str
    serial: str
    version: str
    connected: bool
    state: str
    authority: str
    plugged: bool | None
    soc_pct: float | None
    capacity_wh: int | None
    power_w: int | None
    charge_max_w: int | None
    discharge_max_w: int | None
    energy_charged_wh: int | None
    energy_discharged_wh: int | None
    forming: bool | None
    can_back_up: bool
    lease_remaining_s: int | None
    drivers_reserve_pct: float
    order: OrderState | None
    manual: ManualState | None
    reason: str
    why: list[StepState]
    departure: NotRequired[DepartureState | None]
    departures: NotRequired[list[DeparturePlanState]]
    miles_per_kwh: NotRequired[float]
    alarms: NotRequired[list[str]]
    drivers_reserve_miles: NotRequired[float | None]
    drivers_reserve_effective_pct: NotRequired[float]
    lent_pct: NotRequired[float]
    charge_limit_w: NotRequired[int | None]
    discharge_limit_w: NotRequired[int | None]
    session_charged_wh: NotRequired[int | None]
    session_discharged_wh: NotRequired[int | None]
    backup_wh: NotRequired[int | None]
    events_wh: NotRequired[int | None]
    voltage_v: NotRequired[float | None]
    current_a: NotRequired[float | None]
    frequency_hz: NotRequired[float | None]
    temperature_c: NotRequired[float | None]
    bidirectional: NotRequired[bool | None]
    blocked_by: NotRequired[str | None]
    clears_faults: NotRequired[bool]
    restarts: NotRequired[bool]


class EvidenceState(TypedDict):
    """One source's word on the grid. ``confidence``: sure likely hint. ``sees_grid``: it can tell now; behind an open
    switch it cannot. ``counts``: fresh, sees the grid and says something."""

    source: str
    present: bool | None
    detail: str
    at: str
    confidence: NotRequired[str]
    sees_grid: NotRequired[bool]
    counts: NotRequired[bool]


class SwitchWire(TypedDict):
    """The island switch: what it was told, what its contacts prove. ``owner``: edge home_assistant. ``wanted``: what
    Home Assistant is to do with it now, open close; None: nothing."""

    commanded_open: bool | None
    open_proven: bool | None
    closed_proven: bool | None
    owner: NotRequired[str]
    wanted: NotRequired[str | None]


class OutageWire(TypedDict):
    """The outage that runs, or the last one when ``ended_at`` is set."""

    started_at: str
    ended_at: str | None
    backup_started_at: str | None
    energy_wh: int
    lowest_soc_pct: float | None
    evidence: NotRequired[str]
    transfer_s: NotRequired[float | None]
    dark_s: NotRequired[int]
    highest_w: NotRequired[int | None]
    collapses: NotRequired[int]
    loads_shed: NotRequired[list[str]]
    notices: NotRequired[list[str]]


class StormState(TypedDict):
    """A storm that is prepared for: charge up to ``reserve_pct`` and give nothing until then. ``alert``: the id of the
    alert that it comes from; empty: a person said so."""

    until: str
    reserve_pct: float
    name: str
    alert: NotRequired[str]


class AlertState(TypedDict):
    """A warning that stands or comes. ``kind`` as in ``docs/contract.md``; ``end`` None: until it is taken back."""

    id: str
    source: str
    kind: str
    name: str
    start: str
    end: str | None
    opted_out: bool


class RuntimeState(TypedDict):
    """How long the vehicle would carry the house from now on, or does: hours, None: without end, solar covers it."""

    p10_h: float | None
    p50_h: float | None
    p90_h: float | None
    usable_wh: int
    load_w: int


class ReasonState(TypedDict):
    """A reason with what it is about: ``site``, a charger or a load group."""

    code: str
    subject: str


class ReadinessState(TypedDict):
    """Would backup work now? ``level``: ready degraded not_ready."""

    level: str
    reasons: list[ReasonState]


class DrillState(TypedDict):
    """The drill that runs, or the last one. ``stage``: checking transferring carrying returning passed failed refused
    aborted."""

    id: str
    stage: str
    started_at: str
    ended_at: str | None
    transfer: bool
    score: int | None
    reasons: list[str]
    transfer_s: float | None
    return_s: float | None
    lowest_v: float | None
    highest_w: int | None
    energy_wh: int
    loads_shed: list[str]


class DrillScheduleState(TypedDict):
    """Drills that come by themselves; ``next_at`` None: the site names no time zone."""

    every_days: int
    local_time: str
    transfer: bool
    next_at: str | None


class BackupRetryState(TypedDict):
    """The island fell, or was not formed: how often, when it is tried again. ``latched``: only when a person asks."""

    collapses: int
    retries: int
    retry_at: str | None
    latched: bool


class LoadWire(TypedDict):
    """One load group. ``owner``: home_assistant edge. ``wanted``: on shed. ``state``: on shed kept off, None: unknown.
    ``reason`` and ``since`` of what is wanted. ``gain_h``: how much longer the vehicle lasts without it.
    ``hours``: from and until when it matters, by the site's clock, such as ["17:00", "21:00"]; none: always."""

    name: str
    owner: str
    tier: str
    power_w: int | None
    legs: list[int]
    shed_below_pct: float
    medical: bool
    wanted: str
    state: str | None
    reason: str
    since: str | None
    measured_w: int | None
    gain_h: float | None
    by_hand: str | None
    hours: NotRequired[list[list[str]]]


class CompanionWire(TypedDict):
    """Another inverter of the site. ``state``: on_grid outage islanded generator, None: not known."""

    name: str
    connected: bool
    state: str | None
    detail: str
    solar_w: int | None
    reserve_pct: float | None


class SiteWire(TypedDict):
    """The site. ``grid``: on suspect outage restoring generator unknown. ``supply``: grid transfer island
    vendor_backup none unknown. ``islanding``: the step of the sequence that runs. ``returning_at``: when an announced
    open transition will darken the house. ``contacts``: by what they mean (stop, generator, grid_lost), those that are
    wired. ``disputed``: sources contradict each other. ``neutral_lost``: None where the meter tells of no two legs.
    ``kind``: island_switch vendor none, how an outage is bridged.
    An older edge lacks the keys that are not required."""

    name: str
    grid: str
    grid_since: str | None
    supply: str
    islanding: str
    returning_at: str | None
    evidence: list[EvidenceState]
    has_meter: bool
    has_backup: bool
    export_permitted: bool
    mode: str
    stopped: bool
    reason: str
    backup_reserve_pct: float
    at_end: str
    grid_power_w: int | None
    house_power_w: int | None
    energy_imported_wh: int | None
    energy_exported_wh: int | None
    switch: SwitchWire | None
    outage: OutageWire | None
    started_at: str
    cycle_late_p99_ms: float | None
    time_zone: NotRequired[str | None]
    storm: NotRequired[StormState | None]
    backup_reserve_effective_pct: NotRequired[float]
    contacts: NotRequired[dict[str, bool | None]]
    generator_max_w: NotRequired[int | None]
    leg_power_w: NotRequired[list[int | None]]
    disputed: NotRequired[bool]
    neutral_lost: NotRequired[bool | None]
    kind: NotRequired[str]
    runtime: NotRequired[RuntimeState | None]
    readiness: NotRequired[ReadinessState]
    alerts: NotRequired[list[AlertState]]
    storm_reserve_pct: NotRequired[float]
    heeds_alerts: NotRequired[bool]
    drill: NotRequired[DrillState | None]
    drill_schedule: NotRequired[DrillScheduleState | None]
    dark_start_at: NotRequired[str | None]
    backup_retry: NotRequired[BackupRetryState | None]
    solar_power_w: NotRequired[int | None]
    outages: NotRequired[int]
    clock_offset_ms: NotRequired[float | None]
    storage_free_mb: NotRequired[int | None]


class EventWire(TypedDict):
    """One event of a program. ``status``: announced preparing prepared running interrupted opted_out finished missed
    cancelled. ``power_w`` negative: the chargers supply. ``feasible_w``: what can be held to the end as of now."""

    uid: str
    name: str
    status: str
    start: str
    end: str
    power_w: int | None
    feasible_w: int | None
    energy_wh: int
    average_w: int | None
    site_energy_wh: int | None
    earnings_usd: float | None
    site_average_w: NotRequired[int | None]
    gap_s: NotRequired[int]
    flags: NotRequired[list[str]]
    asks: NotRequired[bool]
    rehearsal: NotRequired[bool]
    dry: NotRequired[bool]
    day: NotRequired[str]
    stake_usd: NotRequired[float | None]
    limited_by: NotRequired[str | None]
    opted_out: NotRequired[bool]


class ProgramWire(TypedDict):
    """A utility's offer. ``events`` oldest first: what runs and comes, and the last ones that are over."""

    name: str
    kind: str
    connected: bool | None
    last_contact: str | None
    participating: bool
    event_floor_pct: float
    events: list[EventWire]
    season_average_w: int | None
    season_earnings_usd: float | None
    season_events: int
    preset: NotRequired[str]
    measure: NotRequired[str]
    days_opted_out: NotRequired[list[str]]
    season_year: NotRequired[int]
    season_site_average_w: NotRequired[int | None]
    season_missed: NotRequired[int]
    season_opted_out: NotRequired[int]
    season_projection_usd: NotRequired[float | None]
    season_events_expected: NotRequired[int]
    problem: NotRequired[str | None]
    version: NotRequired[str | None]


class NoticeWire(TypedDict):
    """A standing message. ``level``: critical warning info. ``key`` names the subject; ``kind`` the text."""

    number: int
    key: str
    kind: str
    level: str
    raised_at: str
    data: dict[str, Any]


class State(TypedDict):
    """Everything a client is shown."""

    site: SiteWire
    chargers: dict[str, ChargerWire]
    programs: dict[str, ProgramWire]
    notices: list[NoticeWire]
    loads: NotRequired[dict[str, LoadWire]]
    companions: NotRequired[dict[str, CompanionWire]]


# ---------------------------------------------------------------------------------------------------------- messages


class Hello(TypedDict):
    """First word, by the server."""

    type: str
    product: str
    version: str
    installation: str
    schema_low: int
    schema_high: int


class Start(TypedDict):
    """First word of the client: the schema it picked; the number of the last occurrence it has seen, None: only new."""

    type: str
    schema: int
    last_occurrence: int | None


class Snapshot(TypedDict):
    """The whole state. ``seq`` counts the changes that follow. ``last_occurrence``: the highest number so far."""

    type: str
    seq: int
    state: State
    last_occurrence: int


class Change(TypedDict):
    """What changed since ``seq - 1``: pairs of a path into the state and its new value, and paths that are gone."""

    type: str
    seq: int
    set: list[tuple[list[str], Any]]
    removed: list[list[str]]


class Occurrence(TypedDict):
    """Something happened, numbered without gaps over the life of the installation; replayed from a given number."""

    type: str
    number: int
    kind: str
    subject: str
    at: str
    data: dict[str, Any]


class NoticeMessage(TypedDict):
    """A notice to bring to people now; answer with ``notice_delivered``. It may come twice; bring it once."""

    type: str
    notice: NoticeWire


class Command(TypedDict):
    """A person's wish. ``id`` is chosen by the client and makes it idempotent; after ``deadline`` it is refused."""

    type: str
    id: str
    name: str
    args: dict[str, Any]
    deadline: str


class CommandError(TypedDict):
    """Why a command was refused. ``code`` is a translation key; ``data`` has what its text needs."""

    code: str
    message: str
    data: dict[str, Any]


class Result(TypedDict):
    """The answer to a command: the stage reached, or an error."""

    type: str
    id: str
    ok: bool
    stage: NotRequired[str]
    data: NotRequired[dict[str, Any]]
    error: NotRequired[CommandError]


class WireError(ValueError):
    """A message that is not of the contract's form."""


def encode(message: Mapping[str, Any]) -> str:
    """One message as text."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def decode(text: str | bytes) -> dict[str, Any]:
    """One message from text. Raises ``WireError`` on anything but a JSON object with a string ``type``."""
    if len(text) > MAX_MESSAGE_BYTES:
        raise WireError(f"message of {len(text)} bytes, allowed are {MAX_MESSAGE_BYTES}")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("message is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise WireError("message is not an object with a type")
    return cast("dict[str, Any]", message)


def pick_schema(low: int, high: int) -> int | None:
    """The highest schema both sides know, or None."""
    picked = min(high, HIGHEST_SCHEMA)
    return picked if picked >= max(low, LOWEST_SCHEMA) else None


# ----------------------------------------------------------------------------------------------------------- changes


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[tuple[list[str], Any]], list[list[str]]]:
    """What turns ``old`` into ``new``: values set by path, and paths removed. Lists are replaced whole."""
    put: list[tuple[list[str], Any]] = []
    gone: list[list[str]] = []
    _compare(old, new, [], put, gone)
    return put, gone


def _compare(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    path: list[str],
    put: list[tuple[list[str], Any]],
    gone: list[list[str]],
) -> None:
    gone.extend([*path, key] for key in old if key not in new)
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            _compare(before, value, [*path, key], put, gone)
        elif key not in old or before != value:
            put.append(([*path, key], value))


def apply(state: Mapping[str, Any], put: Sequence[Any], gone: Sequence[Sequence[str]]) -> dict[str, Any]:
    """A new state with the changes in it. Raises ``WireError`` when a path does not fit, so that a client resyncs.
    What no path leads through is the very same object in both."""
    result = dict(state)
    ours: dict[int, Any] = {}
    for path in gone:
        _parent(result, path, ours).pop(path[-1], None)
    for path, value in put:
        _parent(result, path, ours)[path[-1]] = value
    return result


def _parent(root: dict[str, Any], path: Sequence[str], ours: dict[int, Any]) -> dict[str, Any]:
    """Where a path ends, all on the way there copied, once. ``ours``: the copies; they may be changed."""
    node = root
    for key in path[:-1]:
        child = node.get(key)
        if not isinstance(child, dict):
            raise WireError(f"no place {'/'.join(path)} in the state")
        if id(child) not in ours:
            child = dict(child)
            ours[id(child)] = node[key] = child
        node = child
    if not path:
        raise WireError("a change without a path")
    return node
