"""The event that counts now, of all that stand and that people agree to."""

from edge_service.domain.model import Settings, SiteFacts
from edge_service.domain.timeline import Call, Timeline
from edge_service.domain.view import View


def ruling(view: View) -> Call | None:
    """What is asked at this moment, and by which event; None: nothing. A rehearsal that moves no power may be it."""
    settings, observation = view.settings, view.observation
    if not observation.events:
        return None
    events = (event for event in observation.events if settings.takes_part(event))
    return Timeline(events, settings.program_order).at(observation.now)


def event_floor_pct(settings: Settings, facts: SiteFacts, program_id: str) -> float:
    """Percent below which the program's events do not discharge: a person's word, else the program's own."""
    program = facts.programs.get(program_id)
    own_pct = 0.0 if program is None else program.floor_pct
    return settings.event_floor_pct.get(program_id, own_pct)
