"""What a person should mend, read from the state: one row each. Repairs are raised by them and vanish with them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from homeassistant.helpers.issue_registry import IssueSeverity

from .const import CONF_BACKED_UP
from .wire import ChargerWire, ProgramWire, State

# Event times and settlement depend on the clock; less than this nobody sees in an average.
CLOCK_OFF_MS = 2000
# Somebody may steer the charger by its own app for a while.
AUTHORITY_LOST_FOR = timedelta(minutes=5)
# What was just made may be a moment late in the state.
GONE_FOR = timedelta(minutes=1)
# A journal of a year is a few hundred megabytes; below this the disk soon fails, and commands are refused.
SPACE_LOW_MB = 500
# What is proposed between the driver's reserve and what is kept for an outage.
ROOM_PCT = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a row may look at. ``gone``: devices that the edge no longer has, by their id, with their names."""

    state: State
    options: Mapping[str, Any]
    gone: Mapping[str, str]
    made_here: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """One case. ``subject``: what it is about, within its row. ``data``: what its fix flow needs."""

    subject: str = "site"
    said: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    data: Mapping[str, str | float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Trouble:
    """``key``: of its words, which are those of a fix flow where it is fixable. ``lasts``: raised after so long."""

    key: str
    find: Callable[[Seen], Iterable[Found]]
    fixable: bool = False
    severity: IssueSeverity = IssueSeverity.WARNING
    lasts: timedelta = timedelta(0)


def _clock(seen: Seen) -> Iterator[Found]:
    offset_ms = seen.state["site"].get("clock_offset_ms")
    if offset_ms is not None and abs(offset_ms) > CLOCK_OFF_MS:
        yield Found(said={"seconds": f"{abs(offset_ms) / 1000:.0f}"})


def _space(seen: Seen) -> Iterator[Found]:
    free_mb = seen.state["site"].get("storage_free_mb")
    if free_mb is not None and free_mb < SPACE_LOW_MB:
        yield Found(said={"free": str(free_mb)})


def _nothing_for_an_outage(seen: Seen) -> Iterator[Found]:
    """Events and tariff may take all that an outage could have."""
    site = seen.state["site"]
    if site["at_end"] == "lend":
        return
    floors = {one["name"]: _floor(one) for one in seen.state["chargers"].values() if one["can_back_up"]}
    highest = max(floors, key=lambda name: floors[name], default=None)
    if highest is not None and site["backup_reserve_pct"] <= floors[highest]:
        said = {"charger": highest, "floor": f"{floors[highest]:.0f}", "reserve": f"{site['backup_reserve_pct']:.0f}"}
        yield Found(said=said, data={"proposed_pct": min(100.0, round(floors[highest]) + ROOM_PCT)})


def _floor(charger: ChargerWire) -> float:
    return charger.get("drivers_reserve_effective_pct", charger["drivers_reserve_pct"])


def _storm_reserve(seen: Seen) -> Iterator[Found]:
    """A storm would be prepared for by keeping no more than on any other day."""
    site = seen.state["site"]
    storm_pct, daily_pct = site.get("storm_reserve_pct"), site["backup_reserve_pct"]
    if storm_pct is not None and site["has_backup"] and storm_pct < daily_pct:
        said = {"storm": f"{storm_pct:.0f}", "reserve": f"{daily_pct:.0f}"}
        yield Found(said=said, data={"proposed_pct": max(90.0, daily_pct)})


def _authority(seen: Seen) -> Iterator[Found]:
    if seen.state["site"]["mode"] in ("read_only", "paused"):
        return
    for key, charger in seen.state["chargers"].items():
        if charger["connected"] and charger["authority"] in ("app", "local", "ocpp"):
            yield Found(key, {"charger": charger["name"]}, {"charger": key})


def _refused(seen: Seen) -> Iterator[tuple[str, ProgramWire]]:
    """Programs whose server does not take their credentials."""
    programs = seen.state["programs"]
    for notice in seen.state["notices"]:
        key = str(notice["data"].get("program"))
        if notice["kind"] == "credentials_refused" and key in programs:
            yield key, programs[key]


def _credentials(seen: Seen) -> Iterator[Found]:
    refused = ((key, program) for key, program in _refused(seen) if key in seen.made_here)
    yield from (Found(key, {"program": program["name"]}, {"program": key}) for key, program in refused)


def _credentials_elsewhere(seen: Seen) -> Iterator[Found]:
    refused = ((key, program) for key, program in _refused(seen) if key not in seen.made_here)
    yield from (Found(key, {"program": program["name"], "id": key}) for key, program in refused)


def _export(seen: Seen) -> Iterator[Found]:
    """A program that pays by what leaves the site brings nothing where nothing may leave it."""
    if seen.state["site"]["export_permitted"]:
        return
    for key, program in seen.state["programs"].items():
        if program["participating"] and program.get("measure") == "site":
            yield Found(key, {"program": program["name"]})


def _drill(seen: Seen) -> Iterator[Found]:
    judged = seen.state["site"].get("readiness")
    if judged is not None and any(reason["code"] == "drill_too_old" for reason in judged["reasons"]):
        yield Found()


def _controller_dark(seen: Seen) -> Iterator[Found]:
    """Asked at the set-up: an edge that goes dark with the house cannot end an outage well."""
    if seen.state["site"]["has_backup"] and seen.options.get(CONF_BACKED_UP) is False:
        yield Found()


def _gone(seen: Seen) -> Iterator[Found]:
    yield from (Found(device, {"name": name}, {"device": device}) for device, name in seen.gone.items())


def _program_gone(seen: Seen) -> Iterator[Found]:
    for key in seen.made_here - seen.state["programs"].keys():
        yield Found(key, {"program": key}, {"program": key})


TROUBLES = (
    Trouble("clock_off", _clock),
    Trouble("space_low", _space),
    Trouble("nothing_for_an_outage", _nothing_for_an_outage, fixable=True),
    Trouble("storm_reserve_low", _storm_reserve, fixable=True),
    Trouble("authority_lost", _authority, fixable=True, lasts=AUTHORITY_LOST_FOR),
    Trouble("credentials_refused", _credentials, fixable=True, severity=IssueSeverity.ERROR),
    Trouble("credentials_refused_elsewhere", _credentials_elsewhere, severity=IssueSeverity.ERROR),
    Trouble("export_not_permitted", _export),
    Trouble("backup_not_tested", _drill, fixable=True),
    Trouble("controller_not_backed_up", _controller_dark, fixable=True),
    Trouble("device_gone", _gone, fixable=True, lasts=GONE_FOR),
    Trouble("program_gone", _program_gone, fixable=True, lasts=GONE_FOR),
)
