"""Means over whole minutes, for the year-round record: what the grid, the house and each charger did."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from edge_service.runner import Image

type Row = tuple[datetime, Mapping[str, float | None]]


class MinuteMeans:
    """Collects values cycle by cycle and gives out a row when a minute is over. A value never known in it is None."""

    def __init__(self) -> None:
        self._minute: datetime | None = None
        self._known: defaultdict[str, list[float]] = defaultdict(list)
        self._names: set[str] = set()

    def add(self, image: Image) -> Row | None:
        """Take a cycle's values; the row of the minute before, when this one begins another."""
        minute = image.decision.at.replace(second=0, microsecond=0)
        row = self._row() if self._minute is not None and minute != self._minute else None
        if minute != self._minute:
            self._minute = minute
            self._known.clear()
            self._names.clear()
        for name, value in _values(image).items():
            self._names.add(name)
            if value is not None:
                self._known[name].append(value)
        return row

    def _row(self) -> Row | None:
        if self._minute is None:
            return None
        means = {name: _mean(self._known.get(name, [])) for name in sorted(self._names)}
        return self._minute, means


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 1) if values else None


def _values(image: Image) -> dict[str, float | None]:
    now, facts = image.decision.at, image.facts
    meter = facts.fresh(image.observation.meter, now)
    values: dict[str, float | None] = {
        "grid_w": meter.power_w if meter is not None else None,
        "house_w": image.decision.house_w,
    }
    for name, last in image.observation.chargers.items():
        reading = facts.fresh(last, now)
        values[f"{name}.power_w"] = reading.power_w if reading is not None else None
        values[f"{name}.soc_pct"] = reading.soc_pct if reading is not None else None
    return values
