"""A utility's offer and its events, as clients are shown them."""

from edge_service.api import wire
from edge_service.api.shown import Contact, Shown, moment, time
from edge_service.domain.memory import EventMemory
from edge_service.domain.model import Program
from edge_service.domain.ruling import event_floor_pct
from edge_service.domain.settlement import earned_usd, left_out, season_at, stake
from edge_service.domain.tally import Tally


def program(shown: Shown, offer: Program) -> wire.ProgramWire:
    """One offer: how it stands with its server, what it asks for, what it has brought."""
    contact = shown.contacts.get(offer.id, Contact())
    accounts = [(uid, a) for uid, a in shown.decision.memory.events.items() if a.program_id == offer.id]
    accounts.sort(key=lambda pair: (pair[1].start, pair[0]))
    season = _season(shown, offer)
    return {
        "name": offer.name,
        "kind": offer.kind,
        "connected": contact.connected,
        "last_contact": time(contact.last_at),
        "participating": offer.id not in shown.settings.not_participating,
        "event_floor_pct": event_floor_pct(shown.settings, shown.facts, offer.id),
        "events": [_event(shown, uid, account, offer) for uid, account in accounts],
        "season_average_w": _whole(season.average_w),
        "season_earnings_usd": _cents(season.usd),
        "season_events": season.events,
        "preset": offer.preset,
        "measure": offer.measured_at,
        "days_opted_out": sorted(shown.settings.days_opted_out.get(offer.id, ())),
        "season_year": season.year,
        "season_site_average_w": _whole(season.site_average_w),
        "season_missed": season.missed,
        "season_opted_out": season.opted_out,
        "season_projection_usd": _cents(season.projection_usd),
        "season_events_expected": offer.season_events,
        "problem": contact.problem,
        "version": contact.version,
    }


def _event(shown: Shown, uid: str, account: EventMemory, offer: Program) -> wire.EventWire:
    earned = earned_usd(account, offer)
    begun = account.run_s > 0
    season, now = shown.observation.seasons.get(offer.id), shown.observation.now
    at_stake = stake(account, offer, season, now)
    return {
        "uid": uid,
        "name": account.name,
        "status": account.stage,
        "start": moment(account.start),
        "end": moment(account.end),
        "power_w": account.target_w,
        "feasible_w": account.feasible_w,
        "energy_wh": round(account.charger_wh),
        "average_w": round(account.average_w) if begun else None,
        "site_energy_wh": None if account.site_wh is None else round(account.site_wh),
        "earnings_usd": _cents(earned) if begun else None,
        "site_average_w": _whole(account.site_average_w) if begun else None,
        "gap_s": round(account.gap_s),
        "flags": list(account.flags),
        "asks": account.asks,
        "rehearsal": account.rehearsal,
        "dry": account.dry,
        "day": account.day,
        "stake_usd": None if at_stake is None else _cents(at_stake.usd),
        "limited_by": account.limited_by,
        "opted_out": left_out(uid, account, shown.settings),
    }


def _season(shown: Shown, offer: Program) -> Tally:
    """What the books say, nothing yet for a program that has just come."""
    known = shown.observation.seasons.get(offer.id)
    return known or Tally(*season_at(shown.observation.now.date().isoformat(), offer))


def _whole(power_w: float | None) -> int | None:
    return None if power_w is None else round(power_w)


def _cents(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 2)
