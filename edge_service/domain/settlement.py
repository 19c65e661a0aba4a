"""What an event and a season come to: by the chargers' output and by the site's net export, and in money. Pure.

A row is made of an event that is over, and kept for good. Money is worked out of the rows with the program's terms as
they are now, so that a rate that was typed wrong is put right for the whole season.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from edge_service.domain.memory import EventMemory, EventStage, Gap
from edge_service.domain.model import Settings, frozen_map
from edge_service.domain.program import MILD_FLAGS, Baseline, Flag, Program, Scope, Season
from edge_service.domain.tally import Tally


class Outcome(StrEnum):
    """How an event ended: served, next to nothing delivered, or left out by a person."""

    SERVED = "served"
    MISSED = "missed"
    OPTED_OUT = "opted_out"


_OUTCOMES: Mapping[EventStage, Outcome] = {
    EventStage.FINISHED: Outcome.SERVED,
    EventStage.MISSED: Outcome.MISSED,
    EventStage.OPTED_OUT: Outcome.OPTED_OUT,
}


@dataclass(frozen=True, slots=True)
class Settlement:
    """An event that is over. Energies positive when supplied; negative: more was drawn than supplied.

    ``day``: the site's local date of its start. ``site_wh``: net at the point of connection; None: there is no meter.
    ``gap_s``, ``gaps``, ``site_gap_s``: what nobody measured; it counts as nothing. ``baseline_wh``: what the site
    would have supplied by itself; None: not wanted, or not found, ``baseline_note`` says which.
    """

    uid: str
    program_id: str
    name: str
    day: str
    start: datetime
    end: datetime
    outcome: Outcome
    target_w: int | None = None
    charger_wh: float = 0.0
    by_charger_wh: Mapping[str, float] = field(default_factory=frozen_map)
    site_wh: float | None = None
    run_s: float = 0.0
    gap_s: float = 0.0
    site_gap_s: float = 0.0
    gaps: tuple[Gap, ...] = ()
    flags: tuple[Flag, ...] = ()
    baseline_wh: float | None = None
    baseline_days: tuple[str, ...] = ()
    baseline_note: str = ""

    @property
    def hours(self) -> float:
        return (self.end - self.start).total_seconds() / 3600

    @property
    def charger_average_w(self) -> float:
        """Over the whole event: time not served, or not measured, counts as nothing delivered."""
        return self.charger_wh / self.hours if self.hours > 0 else 0.0

    @property
    def site_average_w(self) -> float | None:
        """Likewise, by net export at the point of connection."""
        if self.site_wh is None:
            return None
        return self.site_wh / self.hours if self.hours > 0 else 0.0


def settle(uid: str, account: EventMemory, now: datetime) -> Settlement | None:
    """The row of an event that is over; None: not over, cancelled, or only a rehearsal."""
    outcome = _OUTCOMES.get(account.stage)
    if outcome is None or account.rehearsal or account.dry or not account.is_over(now):
        return None
    return Settlement(
        uid,
        account.program_id,
        account.name,
        account.day or account.start.date().isoformat(),
        account.start,
        account.end,
        outcome,
        account.target_w,
        account.charger_wh,
        account.by_charger_wh,
        account.site_wh,
        account.run_s,
        account.gap_s,
        account.site_gap_s,
        account.gaps,
        account.flags,
    )


def corrected(known: Settlement | None, found: Settlement) -> Settlement:
    """Of two rows of one event the one that knows more: another end of it, or less of it unmeasured.

    A crash after the row was written and before the account was leaves an older account, with a gap at its end.
    """
    if known is None:
        return found
    if (known.start, known.end) != (found.start, found.end):
        return found
    if found.gap_s + found.site_gap_s > known.gap_s + known.site_gap_s:
        return known
    return replace(
        found,
        baseline_wh=known.baseline_wh,
        baseline_days=known.baseline_days,
        baseline_note=known.baseline_note,
    )


# -------------------------------------------------------------------------------------------------------- one event


def counts(row: Settlement, program: Program) -> bool:
    """Whether it is part of a season's average: some programs leave out what a person left out.

    An event that the program's own rules do not know, and that nobody agreed to serve, is none of its events.
    """
    if row.outcome is Outcome.OPTED_OUT and set(row.flags) - MILD_FLAGS:
        return False
    return program.opted_out_counts or row.outcome is not Outcome.OPTED_OUT


def paid_w(row: Settlement, program: Program) -> float | None:
    """Average power by the program's own measure; None: not known (no meter, or no baseline)."""
    if program.baseline is not Baseline.NONE:
        if row.outcome is Outcome.OPTED_OUT:
            return 0.0
        if row.site_wh is None or row.baseline_wh is None:
            return None
        return (row.site_wh - row.baseline_wh) / row.hours
    return row.charger_average_w if program.measured_at is Scope.CHARGER else row.site_average_w


def event_usd(average_w: float | None, hours: float, program: Program, events: int | None = None) -> float | None:
    """What an event of this average adds to the season's pay; None: no pay is named, or the average is not known.

    Pay per average kW is spread over the season's ``events``; None: those that are expected.
    """
    if average_w is None or (program.pay_usd_per_kw is None and program.pay_usd_per_kwh is None):
        return None
    per_season = average_w / 1000 * (program.pay_usd_per_kw or 0.0) / max(1, events or program.season_events)
    return per_season + average_w / 1000 * hours * (program.pay_usd_per_kwh or 0.0)


def earned_usd(account: EventMemory, program: Program | None) -> float | None:
    """The same of an event that runs or is over, by its account; None also out of season.

    With a baseline it is known only after the event.
    """
    if program is None or program.baseline is not Baseline.NONE or account.rehearsal or _unpaid(account, program):
        return None
    hours = (account.end - account.start).total_seconds() / 3600
    measured_w = account.average_w if program.measured_at is Scope.CHARGER else account.site_average_w
    return event_usd(measured_w, hours, program)


def _unpaid(account: EventMemory, program: Program) -> bool:
    """Its day is in no season of the program: it is served and settled, and adds to nothing that is paid."""
    return bool(account.day) and season_of(account.day, program) is None


# -------------------------------------------------------------------------------------------------------- a season


def season_of(day: str, program: Program) -> tuple[str, str] | None:
    """First and last local date of the season that a date is in; a calendar year where the program names none.

    None: the date is out of season.
    """
    year, month_day = int(day[:4]), day[5:]
    if not program.rules.seasons:
        return f"{year:04}-01-01", f"{year:04}-12-31"
    for season in program.rules.seasons:
        for begins in (year - 1, year):
            first, last = _dates(season, begins)
            if first <= f"{year:04}-{month_day}" <= last:
                return first, last
    return None


def season_at(day: str, program: Program) -> tuple[str, str]:
    """The season that a date is in, else the last that has begun."""
    here = season_of(day, program)
    if here is not None:
        return here
    year = int(day[:4])
    begun = [_dates(season, begins) for season in program.rules.seasons for begins in (year - 1, year)]
    return max(dates for dates in begun if dates[0] <= day)


def _dates(season: Season, begins: int) -> tuple[str, str]:
    ends = begins + (season.last < season.first)
    return f"{begins:04}-{season.first}", f"{ends:04}-{season.last}"


def tally(rows: Iterable[Settlement], program: Program, season: tuple[str, str], today: str) -> Tally:
    """What the rows of one program come to in one season."""
    own = [row for row in rows if row.program_id == program.id and season_of(row.day, program) == season]
    counting = [row for row in own if counts(row, program)]
    paid = [(row, watts) for row in counting if (watts := paid_w(row, program)) is not None]
    over = today > season[1]
    made = Tally(
        *season,
        events=len(counting),
        missed=sum(row.outcome is Outcome.MISSED for row in own),
        opted_out=sum(row.outcome is Outcome.OPTED_OUT for row in own),
        unsettled=len(counting) - len(paid),
        average_w=_mean([row.charger_average_w for row in counting]),
        site_average_w=_mean([watts for row in counting if (watts := row.site_average_w) is not None]),
        paid_average_w=_mean([watts for _, watts in paid]),
        paid_sum_w=sum(watts for _, watts in paid),
        paid_events=len(paid),
        energy_wh=sum(watts * row.hours for row, watts in paid),
        gap_s=sum(row.gap_s for row in own),
        over=over,
    )
    return _with_money(made, program)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _with_money(made: Tally, program: Program) -> Tally:
    """Pay for a season is never below nothing: a bad day lowers the average, but nobody pays the utility."""
    if made.paid_average_w is None or (program.pay_usd_per_kw is None and program.pay_usd_per_kwh is None):
        return made
    events = events_in_all(made, program)
    rate, per_kwh = program.pay_usd_per_kw or 0.0, program.pay_usd_per_kwh or 0.0
    usd = made.paid_sum_w / 1000 * rate / events + made.energy_wh / 1000 * per_kwh
    more = events / made.paid_events
    projected = made.paid_average_w / 1000 * rate + made.energy_wh * more / 1000 * per_kwh
    return replace(made, usd=max(0.0, usd), projection_usd=max(0.0, projected))


def events_in_all(made: Tally, program: Program) -> int:
    """How many events the season's average is taken over in the end, as far as can be known."""
    return max(1, made.paid_events if made.over else max(program.season_events, made.paid_events))


# -------------------------------------------------------------------------------------------------------- at stake


def left_out(uid: str, account: EventMemory, settings: Settings) -> bool:
    """Whether a person left an event out: by itself, by its day or by its program."""
    if uid in settings.opted_out or uid in settings.opted_in:
        return uid in settings.opted_out
    on_this_day = account.day in settings.days_opted_out.get(account.program_id, frozenset())
    return on_this_day or account.program_id in settings.not_participating


@dataclass(frozen=True, slots=True)
class Stake:
    """What serving an event is worth: in money, and what leaving it out costs the season's average."""

    usd: float
    average_w: float


def stake(account: EventMemory, program: Program | None, season: Tally | None, now: datetime) -> Stake | None:
    """What what is left of an event brings at the power that can be held.

    None: no pay is named, it is over, or it is in no season.
    """
    if program is None or account.feasible_w is None or account.rehearsal or now >= account.end:
        return None
    if _unpaid(account, program):
        return None
    if program.pay_usd_per_kw is None and program.pay_usd_per_kwh is None:
        return None
    whole_h = (account.end - account.start).total_seconds() / 3600
    left_h = (account.end - max(now, account.start)).total_seconds() / 3600
    brings_w = max(0.0, -float(account.feasible_w)) * left_h / whole_h
    lost_w = _off_the_average_w(brings_w, program, season)
    per_season, per_kwh = program.pay_usd_per_kw or 0.0, program.pay_usd_per_kwh or 0.0
    return Stake(lost_w / 1000 * per_season + brings_w / 1000 * whole_h * per_kwh, lost_w)


def _off_the_average_w(brings_w: float, program: Program, season: Tally | None) -> float:
    """By how much the season's average is lower at its end when an event that would bring this is left out."""
    events, sum_w = (0, 0.0) if season is None else (season.paid_events, season.paid_sum_w)
    if program.opted_out_counts:
        return brings_w / max(1, program.season_events, events + 1)
    without_w = sum_w / events if events else 0.0
    return max(0.0, (sum_w + brings_w) / (events + 1) - without_w)
