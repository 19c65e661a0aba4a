"""The state of a site in words, for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_service.command_line.local_time import local_text


def summary(state: Mapping[str, Any]) -> str:
    """A page of text from the state document of the contract; what is missing in it reads "not known"."""
    site = state.get("site", {})
    return "\n".join([*_site(site), *_chargers(state), *_programs(state), *_notices(state)])


def _site(site: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_word(site.get('name'))}: grid {_word(site.get('grid'))}, supply {_word(site.get('supply'))}"
    yield f"  mode {_word(site.get('mode'))}{', STOPPED by a person' * bool(site.get('stopped'))}"
    grid = _flow(site.get("grid_power_w"), "takes {} from the street", "gives {} to the street")
    yield f"  {grid}, the house uses {_kilowatts(site.get('house_power_w'))}"
    if site.get("returning_at"):
        yield f"  goes back to the grid at {site['returning_at']}; the house will be dark for a moment"
    yield from _backup(site)


def _backup(site: Mapping[str, Any]) -> Iterator[str]:
    """Whether backup would work, and who sees the grid. An older edge tells neither."""
    if (readiness := site.get("readiness")) is not None:
        found = [f"{_word(one.get('code'))} ({_word(one.get('subject'))})" for one in readiness.get("reasons", ())]
        yield f"  backup {_word(readiness.get('level'))}{': ' * bool(found)}{', '.join(found)}"
    for piece in site.get("evidence", ()):
        says = {True: "grid there", False: "grid lost"}.get(piece.get("present"), "cannot tell")
        blind = " (does not count now)" if piece.get("counts") is False else ""
        yield f"  {_word(piece.get('source'))}: {says}{blind}"


def _chargers(state: Mapping[str, Any]) -> Iterator[str]:
    for key, charger in state.get("chargers", {}).items():
        yield f"charger {key} ({_word(charger.get('name'))}): {_word(charger.get('state'))}"
        power = _flow(charger.get("power_w"), "charges with {}", "gives {}")
        yield f"  {power}, charge of the vehicle {_percent(charger.get('soc_pct'))}"
        yield f"  driver's reserve {_percent(charger.get('drivers_reserve_pct'))}, why {_word(charger.get('reason'))}"
        yield from _limits(charger)


def _limits(charger: Mapping[str, Any]) -> Iterator[str]:
    """What people allow it, and why it cannot give now. An older edge tells neither."""
    limits = (("draws", charger.get("charge_limit_w")), ("gives", charger.get("discharge_limit_w")))
    found = [f"{what} {_kilowatts(limit_w)} at most" for what, limit_w in limits if limit_w is not None]
    if found:
        yield f"  limited by you: {', '.join(found)}"
    if charger.get("blocked_by"):
        yield f"  cannot give now: {charger['blocked_by']}"


def _programs(state: Mapping[str, Any]) -> Iterator[str]:
    zone = state.get("site", {}).get("time_zone")
    for key, program in state.get("programs", {}).items():
        yield f"program {key} ({_word(program.get('name'))}): {'takes part' if program.get('participating') else 'off'}"
        if program.get("problem"):
            yield f"  problem: {program['problem']}"
        for event in program.get("events", ()):
            start, end = event.get("start"), event.get("end")
            span = (
                "when is not known"
                if start is None or end is None
                else f"{local_text(start, zone)} to {local_text(end, zone)}"
            )
            asked = _flow(event.get("power_w"), "asked to take {}", "asked to give {}")
            yield f"  {_word(event.get('status'))}: {_word(event.get('name'))}, {span}, {asked}"


def _notices(state: Mapping[str, Any]) -> Iterator[str]:
    for notice in state.get("notices", ()):
        words = f"{_word(notice.get('kind'))} since {_word(notice.get('raised_at'))}"
        yield f"notice ({_word(notice.get('level'))}): {words}"


def boxed(lines: Sequence[str]) -> str:
    """The lines in a frame."""
    width = max(len(line) for line in lines)
    edge = "─" * (width + 4)
    return "\n".join([f"┌{edge}┐", *(f"│  {line:<{width}}  │" for line in lines), f"└{edge}┘"])


def _word(value: object) -> str:
    return "not known" if value is None else str(value)


def _flow(watts: float | None, takes: str, gives: str) -> str:
    """A power in words: the sign of the contract means nothing to who reads this."""
    if watts is None:
        return "power not known"
    return (gives if watts < 0 else takes).format(_kilowatts(abs(watts)))


def _kilowatts(watts: float | None) -> str:
    return "not known" if watts is None else f"{watts / 1000:.2f} kW"


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0f} %"
