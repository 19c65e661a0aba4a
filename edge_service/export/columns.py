"""The columns of an export: name with unit, type, where each figure comes from, and whether it was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

TEXT, WHOLE, NUMBER = "text", "integer", "number"
MEASURED, DERIVED, STATED = "measured", "derived", "stated"


@dataclass(frozen=True, slots=True)
class Column:
    """``origin``: measured by a device, derived from what was measured, or stated by us or by a utility."""

    name: str
    type: str
    unit: str
    origin: str
    source: str


_SIGN = "positive: drawn, negative: supplied"
_AT = (
    Column("at_utc", TEXT, "ISO 8601", STATED, "start of the interval by the edge's clock, UTC"),
    Column("at_local", TEXT, "ISO 8601", STATED, "the same on the clock of the site's time zone, with its offset"),
    Column("samples", WHOLE, "1", STATED, "control cycles in the interval; 0: none was recorded"),
    Column("gap_s", NUMBER, "s", STATED, "seconds of the interval in which the edge did not look; never filled"),
)
_SITE = (
    Column("site_net_w", NUMBER, "W", MEASURED, f"mean of the meter at the point of connection; {_SIGN}"),
    Column("site_net_wh", NUMBER, "Wh", DERIVED, "site_net_w over site_net_measured_s"),
    Column("site_net_measured_s", NUMBER, "s", STATED, "seconds in which the meter gave a power"),
    Column("house_w", NUMBER, "W", DERIVED, "mean of what the house used: the meter less the chargers"),
    Column("house_wh", NUMBER, "Wh", DERIVED, "house_w over house_measured_s"),
    Column("house_measured_s", NUMBER, "s", STATED, "seconds in which that was known"),
    Column("grid", TEXT, "state", DERIVED, "states of the grid seen in the interval, in order"),
)
_EVENT = (
    Column("event_id", TEXT, "id", STATED, "the event that ran longest in the interval"),
    Column("program_id", TEXT, "id", STATED, "its program"),
    Column("event_asks", TEXT, "kind", STATED, "what it asked for"),
    Column("event_s", NUMBER, "s", STATED, "seconds of the interval in which it ran"),
    Column("target_w", NUMBER, "W", STATED, f"the power it asked for, mean over event_s; {_SIGN}"),
    Column("rehearsal", WHOLE, "1", STATED, "1: a rehearsal, which no utility called and nobody pays"),
)
_CLOCK = (
    Column("clock_synchronised", WHOLE, "1", STATED, "1: a time server steered the edge's clock, by its system's word"),
    Column("clock_error_max_s", NUMBER, "s", STATED, "how far off the clock may have been, by its system's word"),
    Column("clock_set_s", NUMBER, "s", STATED, "by how much the clock was set in the interval"),
)


def columns(chargers: Sequence[str]) -> tuple[Column, ...]:
    """Of the minutes and the quarters alike, for chargers of these ids."""
    return (*_AT, *_SITE, *(column for charger in chargers for column in _charger(charger)), *_EVENT, *_CLOCK)


def _charger(name: str) -> tuple[Column, ...]:
    return (
        Column(f"{name}_power_w", NUMBER, "W", MEASURED, f"mean AC power by the charger's own meter; {_SIGN}"),
        Column(f"{name}_wh", NUMBER, "Wh", DERIVED, f"{name}_power_w over {name}_measured_s"),
        Column(f"{name}_measured_s", NUMBER, "s", STATED, "seconds in which the charger gave a power"),
        Column(f"{name}_soc_pct", NUMBER, "%", MEASURED, "mean charge of the vehicle, as the charger tells it"),
        Column(f"{name}_order_w", NUMBER, "W", STATED, f"mean of what the edge ordered; empty: nothing; {_SIGN}"),
    )


EVENT_COLUMNS = (
    Column("event_id", TEXT, "id", STATED, "as in the minutes"),
    Column("program_id", TEXT, "id", STATED, "its program"),
    Column("name", TEXT, "text", STATED, "as the utility, or the person who entered it, calls it"),
    Column("announced_utc", TEXT, "ISO 8601", STATED, "when the edge heard of it, or when its utility made it"),
    Column("start_utc", TEXT, "ISO 8601", STATED, "start of this part of the event"),
    Column("end_utc", TEXT, "ISO 8601", STATED, "end of this part of the event"),
    Column("event_asks", TEXT, "kind", STATED, "what this part asked for"),
    Column("power_w", WHOLE, "W", STATED, f"for power and change; {_SIGN}"),
    Column("cancelled", WHOLE, "1", STATED, "1: taken back"),
    Column("rehearsal", WHOLE, "1", STATED, "1: a rehearsal"),
)

_SUPPLIED = "by the settlement: positive is supplied, negative is drawn, unlike everywhere else"


def settlement_columns(chargers: Sequence[str]) -> tuple[Column, ...]:
    """Of what events came to; ``chargers``: ids."""
    return (
        Column("event_id", TEXT, "id", STATED, "as in the minutes"),
        Column("program_id", TEXT, "id", STATED, "its program"),
        Column("name", TEXT, "text", STATED, "as in the events"),
        Column("local_day", TEXT, "ISO 8601", STATED, "the site's local date of its start"),
        Column("start_utc", TEXT, "ISO 8601", STATED, "start of the whole event"),
        Column("end_utc", TEXT, "ISO 8601", STATED, "end of the whole event"),
        Column("outcome", TEXT, "kind", DERIVED, "served, missed (less than 1 % of what was asked) or opted_out"),
        Column("target_w", WHOLE, "W", STATED, "the strongest power asked for; positive: drawn, negative: supplied"),
        Column("chargers_supplied_wh", NUMBER, "Wh", MEASURED, f"all chargers' AC output {_SUPPLIED}"),
        Column("chargers_supplied_average_w", NUMBER, "W", DERIVED, "that over the whole event"),
        *(Column(f"{name}_supplied_wh", NUMBER, "Wh", MEASURED, "this charger's part") for name in chargers),
        Column("site_supplied_wh", NUMBER, "Wh", MEASURED, f"net at the point of connection {_SUPPLIED}"),
        Column("site_supplied_average_w", NUMBER, "W", DERIVED, "that over the whole event"),
        Column("run_s", NUMBER, "s", DERIVED, "seconds in which it was served"),
        Column("gap_s", NUMBER, "s", STATED, "seconds of the event in which no charger was measured; count as nothing"),
        Column("site_gap_s", NUMBER, "s", STATED, "seconds in which the meter was not"),
        Column("flags", TEXT, "kinds", DERIVED, "how it departs from its program's own rules"),
        Column("baseline_supplied_wh", NUMBER, "Wh", DERIVED, "what the site would have supplied by itself"),
        Column("baseline_days", TEXT, "ISO 8601", DERIVED, "the days that it was found from"),
        Column("baseline_note", TEXT, "kind", STATED, "why there is none"),
    )
