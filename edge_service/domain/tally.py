"""What a program's events of one season have come to, as the books say; worked out in ``settlement.py``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """A program's season so far. ``first`` and ``last``: its local dates, both included.

    ``events``: those that count, among them ``missed`` ones and, where they count, ``opted_out`` ones. ``unsettled``:
    of which the paid measure is not known yet. ``average_w``: by the chargers, ``site_average_w``: by net export, over
    the events of which it is known, ``paid_average_w`` by the program's own measure. ``paid_sum_w``: of those averages,
    ``paid_events``: how many. ``usd``: what is earned if nothing more is delivered in the season, ``projection_usd``:
    if the rest goes as so far. ``gap_s``: not measured in all. ``over``: no more of its events come.
    """

    first: str
    last: str
    events: int = 0
    missed: int = 0
    opted_out: int = 0
    unsettled: int = 0
    average_w: float | None = None
    site_average_w: float | None = None
    paid_average_w: float | None = None
    paid_sum_w: float = 0.0
    paid_events: int = 0
    energy_wh: float = 0.0
    usd: float | None = None
    projection_usd: float | None = None
    gap_s: float = 0.0
    over: bool = False

    @property
    def year(self) -> int:
        """The year in which it begins."""
        return int(self.first[:4])
