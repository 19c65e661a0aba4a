"""What people are told of an event that comes soon and cannot be served in full, while they can still do something."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from edge_service.domain.event_limits import MET_SHARE, MET_W
from edge_service.domain.memory import EventMemory, EventStage, Memory
from edge_service.domain.model import Notice, frozen_map
from edge_service.domain.preparing import is_withheld
from edge_service.domain.settlement import stake
from edge_service.domain.view import View

# Sooner a vehicle on the road would be a daily false alarm; later nobody can plug it in any more.
AHEAD = timedelta(hours=1)
COMING = frozenset({EventStage.ANNOUNCED, EventStage.PREPARING, EventStage.PREPARED})


def notices(view: View, before: Memory, after: Memory) -> Iterator[Notice]:
    """Once per event: how much it will be of what is asked. It stands until the event begins or can be served.

    Whoever chose a mode, a stop or a storm's reserve knows why nothing is given.
    """
    now = view.observation.now
    kept = {event.uid for event in view.observation.events if event.slots and is_withheld(view, event)}
    for uid, account in after.events.items():
        key = f"short:{uid}"
        soon = account.stage in COMING and account.start - AHEAD <= now < account.start
        if not soon or account.dry or uid in kept or not _is_short(account, told=key in before.notices):
            continue
        data: dict[str, Any] = {"uid": uid, "name": account.name, "start": account.start.isoformat()}
        data |= {"power_w": account.target_w, "feasible_w": account.feasible_w}
        data["stake_usd"] = _stake_usd(account, view, now)
        yield Notice(key, "event_short", "warning", now, frozen_map(data))


def _stake_usd(account: EventMemory, view: View, now: datetime) -> float | None:
    """What it can still bring at the power that is possible."""
    program = account.program_id
    at_stake = stake(account, view.facts.programs.get(program), view.observation.seasons.get(program), now)
    return None if at_stake is None else round(at_stake.usd, 2)


def _is_short(account: EventMemory, *, told: bool) -> bool:
    """Less than asked by more than the last watts; once told, until it is nearly all of it."""
    if account.target_w is None or account.feasible_w is None:
        return False
    missing_w, enough_w = abs(account.target_w - account.feasible_w), max(MET_W, MET_SHARE * abs(account.target_w))
    return missing_w > (enough_w / 2 if told else enough_w)
