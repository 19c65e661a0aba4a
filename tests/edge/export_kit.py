"""A site whose recording is known to the last watt, for tests of exports."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_service.domain.model import Event, Slot
from edge_service.domain.settlement import Outcome, Settlement
from edge_service.export.snapshot import looked_at
from edge_service.export.writing import Site, Wish, export
from edge_service.journal.recording import CycleRecorder
from edge_service.journal.store import SqliteJournal

ZONE = "America/New_York"
FIRST = date(2026, 7, 14)
MIDNIGHT = datetime(2026, 7, 14, 4, 0, tzinfo=UTC)  # of FIRST, in the site's zone
MINUTE = timedelta(minutes=1)
EVENT_START = MIDNIGHT + timedelta(days=1, hours=17)
EVENT = Event(
    "peak-1",
    "peak",
    "Peak, 5 kW",
    MIDNIGHT,
    (Slot(EVENT_START, EVENT_START + timedelta(hours=3), power_w=-5000),),
)
OTHER = Event("other-1", "other", "Other", MIDNIGHT, (Slot(MIDNIGHT, MIDNIGHT + timedelta(hours=1), power_w=-1000),))
SITE = Site("Home", ZONE, {"car": {"name": "Driveway", "driver": "sunspec_der"}})


def row(number: int) -> dict[str, Any]:
    """The recorded minute so many minutes after MIDNIGHT: no two alike."""
    at = MIDNIGHT + number * MINUTE
    power_w = -5000 + number % 7 if EVENT.start <= at < EVENT.end else 0
    values: dict[str, Any] = {"grid_w": 800.5 + number % 100 + power_w, "house_w": 800.5 + number % 100, "n": 60}
    values |= {"car.power_w": power_w, "car.soc_pct": 60, "error_s": 0.02}
    if power_w:
        values |= {"car.order_w": -5000, "event": EVENT.uid, "program": "peak", "asks": "power", "target_w": -5000}
    return values


def days(count: int, *, without: Iterable[int] = (), instead: Mapping[int, Mapping[str, Any]] | None = None) -> Any:
    """So many days of rows by minute; ``without`` some, and some ``instead``."""
    left_out, changed = set(without), instead or {}
    numbers = (number for number in range(count * 1440) if number not in left_out)
    return {number: {**row(number), **changed.get(number, {})} for number in numbers}


async def record(folder: Path, rows: Mapping[int, Mapping[str, Any]]) -> None:
    """As the edge writes them, with the events and one settlement in the journal."""
    journal = await SqliteJournal.open(folder)
    await journal.save_events([EVENT, OTHER])
    settled = Settlement(
        *("peak-1", "peak", EVENT.name, "2026-07-15", EVENT.start, EVENT.end, Outcome.SERVED, -5000),
        charger_wh=14_991.0,
        by_charger_wh={"car": 14_991.0},
        site_wh=12_000.0,
        run_s=10_800.0,
    )
    await journal.save_settlement(settled, EVENT.end)
    await journal.close()
    recorder = await CycleRecorder.open(folder)
    for place, (number, values) in enumerate(rows.items()):
        recorder.add_minute(MIDNIGHT + number * MINUTE, values)
        if place % 500 == 0:
            await recorder.flush()
    await recorder.close()


def exported(data: Path, out: Path, *, count: int = 2, now: datetime | None = None, **wish: Any) -> dict[str, Any]:
    """An export of so many days from FIRST on; its manifest."""
    with looked_at(data) as snapshot:
        last = FIRST + timedelta(days=count - 1)
        made_at = now or MIDNIGHT + timedelta(days=30)
        return export(snapshot, SITE, Wish(FIRST, last, **wish), out, made_at, "0.0.0")
