"""The books, as they are shown: each event that is over, and what a season has come to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edge_service.api.shown import moment
from edge_service.domain.program import Program
from edge_service.domain.settlement import Settlement, counts, event_usd, paid_w, season_at, season_of, tally


def entry(row: Settlement, program: Program | None) -> dict[str, Any]:
    """One event; ``program`` None: it is followed no more, and its terms are not known."""
    paid = None if program is None else paid_w(row, program)
    counted = program is not None and season_of(row.day, program) is not None and counts(row, program)
    return {
        "at": moment(row.end),
        "uid": row.uid,
        "program": row.program_id,
        "name": row.name,
        "day": row.day,
        "start": moment(row.start),
        "end": moment(row.end),
        "outcome": row.outcome,
        "power_w": row.target_w,
        "energy_wh": round(row.charger_wh),
        "average_w": round(row.charger_average_w),
        "site_energy_wh": _whole(row.site_wh),
        "site_average_w": _whole(row.site_average_w),
        "by_charger_wh": {name: round(wh) for name, wh in row.by_charger_wh.items()},
        "gap_s": round(row.gap_s),
        "site_gap_s": round(row.site_gap_s),
        "gaps": [{"start": moment(gap.start), "end": moment(gap.end)} for gap in row.gaps],
        "flags": list(row.flags),
        "baseline_wh": _whole(row.baseline_wh),
        "baseline_days": list(row.baseline_days),
        "baseline_note": row.baseline_note,
        "paid_average_w": _whole(paid),
        "counts": counted,
        "usd": _cents(event_usd(paid, row.hours, program)) if program is not None and counted else None,
    }


def season(rows: Iterable[Settlement], program: Program, dates: tuple[str, str], today: str) -> dict[str, Any]:
    """What a program's season has come to."""
    made = tally(rows, program, dates, today)
    return {
        "program": program.id,
        "name": program.name,
        "first": made.first,
        "last": made.last,
        "year": made.year,
        "over": made.over,
        "measure": program.measured_at,
        "events": made.events,
        "events_expected": program.season_events,
        "missed": made.missed,
        "opted_out": made.opted_out,
        "opted_out_counts": program.opted_out_counts,
        "unsettled": made.unsettled,
        "average_w": _whole(made.average_w),
        "site_average_w": _whole(made.site_average_w),
        "paid_average_w": _whole(made.paid_average_w),
        "paid_energy_wh": round(made.energy_wh),
        "gap_s": round(made.gap_s),
        "pay_usd_per_kw": program.pay_usd_per_kw,
        "pay_usd_per_kwh": program.pay_usd_per_kwh,
        "usd": _cents(made.usd),
        "projection_usd": _cents(made.projection_usd),
    }


def books(
    rows: Sequence[Settlement], programs: Mapping[str, Program], today: str, only: str | None, year: int | None
) -> dict[str, Any]:
    """``entries``, the newest first, and ``seasons``; of one program, of one year in which seasons began, or of all."""
    wanted = [row for row in rows if only in (None, row.program_id)]
    if year is not None:
        wanted = [row for row in wanted if _year(row, programs) == year]
    offers = [program for name, program in programs.items() if only in (None, name)]
    return {
        "entries": [entry(row, programs.get(row.program_id)) for row in reversed(wanted)],
        "seasons": [
            season(rows, program, dates, today)
            for program in offers
            for dates in _seasons(wanted, program, today, year)
        ],
    }


def _year(row: Settlement, programs: Mapping[str, Program]) -> int:
    program = programs.get(row.program_id)
    dates = None if program is None else season_of(row.day, program)
    return int((row.day if dates is None else dates[0])[:4])


def _seasons(rows: Sequence[Settlement], program: Program, today: str, year: int | None) -> list[tuple[str, str]]:
    """Those with an event, and the present one; the newest first."""
    found = {season_of(row.day, program) for row in rows if row.program_id == program.id}
    present = season_at(today, program)
    if year is None or int(present[0][:4]) == year:
        found.add(present)
    return sorted((dates for dates in found if dates is not None), reverse=True)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _cents(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 2)
