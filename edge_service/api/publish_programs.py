"""A utility's offer and its events, as clients are shown them."""

from edge_service.api import wire
from edge_service.api.shown import Contact, Shown, moment, time
from edge_service.domain.memory import EventMemory, SeasonMemory
from edge_service.domain.model import Program
from edge_service.domain.performance import earnings_usd, season_usd


def program(shown: Shown, offer: Program) -> wire.ProgramWire:
    """One offer: how it stands with its server, what it asks for, what it has brought."""
    contact = shown.contacts.get(offer.id, Contact())
    accounts = [(uid, a) for uid, a in shown.decision.memory.events.items() if a.program_id == offer.id]
    accounts.sort(key=lambda pair: (pair[1].start, pair[0]))
    season = shown.decision.memory.seasons.get(offer.id) or SeasonMemory(shown.observation.now.year)
    earned = season_usd(season, offer)
    return {
        "name": offer.name,
        "kind": offer.kind,
        "connected": contact.connected,
        "last_contact": time(contact.last_at),
        "participating": offer.id not in shown.settings.not_participating,
        "event_floor_pct": shown.settings.event_floor(offer.id),
        "events": [_event(shown, uid, account, offer) for uid, account in accounts],
        "season_average_w": round(season.average_w / season.events) if season.events else None,
        "season_earnings_usd": round(earned, 2) if season.events and earned is not None else None,
        "season_events": season.events,
        "preset": offer.preset,
        "measure": offer.measured_at,
        "days_opted_out": sorted(shown.settings.days_opted_out.get(offer.id, ())),
        "season_year": season.year,
        "season_site_average_w": None,
        "season_missed": 0,
        "season_opted_out": 0,
        "season_projection_usd": None,
        "season_events_expected": offer.season_events,
        "problem": contact.problem,
        "version": contact.version,
    }


def _event(shown: Shown, uid: str, account: EventMemory, offer: Program) -> wire.EventWire:
    earned = earnings_usd(account, offer)
    begun = account.run_s > 0
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
        "earnings_usd": round(earned, 2) if begun and earned is not None else None,
        "site_average_w": None,
        "gap_s": round(account.gap_s),
        "flags": list(account.flags),
        "asks": account.asks,
        "rehearsal": account.rehearsal,
        "dry": account.dry,
        "day": account.day,
        "stake_usd": None,
        "limited_by": account.limited_by,
        "opted_out": uid in shown.settings.opted_out,
    }
