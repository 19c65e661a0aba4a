"""What people are told of storms and of alerts that ask something of the house: why, by whom, and until when."""

from collections.abc import Iterator
from typing import Any

from edge_service.domain import storms
from edge_service.domain.model import Alert, Notice, frozen_map
from edge_service.domain.view import View


def notices(view: View) -> Iterator[Notice]:
    observation, storm = view.observation, view.settings.storm_at(view.observation.now)
    if storm is not None:
        until, source = storm.until.isoformat(), storms.source_of(observation, storm.alert)
        data = {"until": None if storm.open_ended else until, "reserve_pct": storm.reserve_pct, "name": storm.name}
        key = ":".join(["storm", *filter(None, (storm.alert, "" if storm.open_ended else until))])
        yield _notice(view, key, "storm", "info", **data, alert=storm.alert, source=source)
    if (alert := storms.emergency(view.settings, observation)) is not None:
        reserve_pct = view.settings.backup_reserve_pct
        yield _notice(view, _key(alert), "grid_emergency", "info", **_told(alert), reserve_pct=reserve_pct)
    if (alert := storms.black_start(observation)) is not None:
        yield _notice(view, _key(alert), "black_start", "info", **_told(alert))


def _key(alert: Alert) -> str:
    """One whose end was moved is told of anew."""
    return f"alert:{alert.id}" + ("" if alert.end is None else f":{alert.end.isoformat()}")


def _told(alert: Alert) -> dict[str, Any]:
    until = None if alert.end is None else alert.end.isoformat()
    return {"until": until, "name": alert.name, "alert": alert.id, "source": alert.source}


def _notice(view: View, key: str, kind: str, level: str, **data: Any) -> Notice:
    return Notice(key, kind, level, view.observation.now, frozen_map(data))
