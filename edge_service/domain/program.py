"""A utility's offer, and what it says: events, limits, prices. The words of the trade, as in ``model.py``.

Sign of every power: positive consumes, negative supplies. Times are aware and in UTC, unless named local.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SlotKind(StrEnum):
    """What an event asks for during a slot.

    ``power``: this power. ``change``: this much more (or less) than the power at the slot's beginning. ``no_charge``:
    charge nothing. ``cover_house``: supply what the house uses. ``max_discharge``, ``max_charge``: as much as allowed.
    ``charge_share``: this part of the charging that would else be. ``charge_state``: this charge at the slot's end.
    """

    POWER = "power"
    CHANGE = "change"
    NO_CHARGE = "no_charge"
    COVER_HOUSE = "cover_house"
    MAX_DISCHARGE = "max_discharge"
    MAX_CHARGE = "max_charge"
    CHARGE_SHARE = "charge_share"
    CHARGE_STATE = "charge_state"


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of an event, half open [start, end).

    ``power_w`` (positive consumes) counts for POWER and CHANGE; ``share`` (0 to 2, 1: unchanged) for CHARGE_SHARE;
    ``soc_pct``, or ``energy_wh`` in all vehicles together, for CHARGE_STATE.
    """

    start: datetime
    end: datetime
    kind: SlotKind = SlotKind.POWER
    power_w: int = 0
    share: float = 1.0
    soc_pct: float | None = None
    energy_wh: int | None = None


class Scope(StrEnum):
    """Where a program measures: at the chargers, or net at the point of connection."""

    CHARGER = "charger"
    SITE = "site"


class Baseline(StrEnum):
    """What a delivery is compared with. ``ten_of_ten``: the mean of the ten last like days, adjusted on the day."""

    NONE = "none"
    TEN_OF_TEN = "ten_of_ten"


class OutsideRules(StrEnum):
    """What to do with an event that the program's own rules do not know: ask a person, or serve it and say so."""

    ASK = "ask"
    SERVE = "serve"


@dataclass(frozen=True, slots=True)
class Season:
    """Part of a year in local dates, both ends included: ``"06-01"`` to ``"09-30"``; may span the new year."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What a program says of its own events; empty or None: it says nothing. Local times and dates of the site.

    ``weekdays``: 0 is Monday. ``holidays``: no events on those of this country, with ``subdivision``. ``window``: the
    first and last moment of any event, ``("15:00", "20:00")``. ``notice_h``: announced so long before. ``most_events``
    and ``most_hours``: per season.
    """

    seasons: tuple[Season, ...] = ()
    weekdays: tuple[int, ...] = ()
    holidays: str | None = None
    subdivision: str | None = None
    window: tuple[str, str] | None = None
    shortest_h: float | None = None
    longest_h: float | None = None
    notice_h: float | None = None
    most_events: int | None = None
    most_hours: float | None = None
    outside: OutsideRules = OutsideRules.ASK


@dataclass(frozen=True, slots=True)
class Program:
    """A utility's offer.

    ``scope``: where its setpoints count. ``measure``: where its pay is measured; None: as ``scope``.
    ``pay_usd_per_kw``: per season and average kW. ``pay_usd_per_kwh``: per energy delivered. ``season_events``:
    expected, for the estimate. ``preset``: the terms it was made from. ``exports``: what flows out at the point of
    connection counts and is wanted; the site's own permission stands above. ``ramp_s``: time from nothing to the full
    power at the start of an event, and back. ``floor_pct``: the event floor until a person sets another.
    ``opted_out_counts``: an event that a person leaves out is part of the average, as nothing delivered.
    ``baseline_cap_pct``: the adjustment of a baseline on the day is at most so much of it.
    """

    id: str
    name: str
    kind: str
    scope: Scope = Scope.CHARGER
    pay_usd_per_kw: float | None = None
    season_events: int = 45
    measure: Scope | None = None
    pay_usd_per_kwh: float | None = None
    baseline: Baseline = Baseline.NONE
    rules: Rules = Rules()
    preset: str = ""
    exports: bool = True
    ramp_s: float = 0.0
    floor_pct: float = 0.0
    opted_out_counts: bool = True
    baseline_cap_pct: float = 20.0

    @property
    def measured_at(self) -> Scope:
        """Where its pay is measured."""
        return self.measure or self.scope


class Flag(StrEnum):
    """How an event departs from its program's own rules. All but ``short_notice`` and ``too_short`` want a yes.

    ``unsure_clock`` is no matter of rules: the utility's clock and ours differ, so nobody knows when it is to start.
    """

    OUT_OF_SEASON = "out_of_season"
    WRONG_WEEKDAY = "wrong_weekday"
    HOLIDAY = "holiday"
    OUTSIDE_WINDOW = "outside_window"
    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    SHORT_NOTICE = "short_notice"
    TOO_MANY = "too_many"
    UNSURE_CLOCK = "unsure_clock"


# What a utility may well mean so: it is said, and served.
MILD_FLAGS = frozenset({Flag.TOO_SHORT, Flag.SHORT_NOTICE})


@dataclass(frozen=True, slots=True)
class Event:
    """One call of a program, resolved to absolute times; slots are ordered and do not overlap.

    ``day``: the site's local date at its start, such as ``"2026-07-15"``; ``flags``: what its program's rules say
    against it. Both are found when it is taken in. ``asks``: a person must agree before it is served. ``rehearsal``:
    made by a person to try things out; never told to a utility, never paid. ``dry``: a rehearsal that moves no power.
    """

    uid: str
    program_id: str
    name: str
    announced_at: datetime
    slots: tuple[Slot, ...]
    priority: int | None = None
    cancelled: bool = False
    day: str = ""
    flags: tuple[Flag, ...] = ()
    asks: bool = False
    rehearsal: bool = False
    dry: bool = False

    @property
    def start(self) -> datetime:
        return self.slots[0].start

    @property
    def end(self) -> datetime:
        return self.slots[-1].end


class Direction(StrEnum):
    """Which way power flows at the point of connection."""

    IMPORT = "import"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class CapacityLimit:
    """A utility's bound on what the site draws or supplies at the point of connection, half open [start, end).

    ``power_w`` a positive number in both directions. ``end`` None: until it is taken back. ``subscribed``: what counts
    when no other limit of the program speaks; otherwise its best ``priority`` counts (lower wins, None last).
    """

    id: str
    program_id: str
    direction: Direction
    power_w: int
    start: datetime
    end: datetime | None = None
    priority: int | None = None
    subscribed: bool = False


class PriceKind(StrEnum):
    """What a price is of: energy drawn, energy supplied, or the carbon in it (g/kWh)."""

    IMPORT = "import"
    EXPORT = "export"
    GHG = "ghg"


@dataclass(frozen=True, slots=True)
class Price:
    """What a program says that energy costs in [start, end): ``currency`` per kWh, or grams; may be negative."""

    program_id: str
    kind: PriceKind
    start: datetime
    end: datetime
    value: float
    currency: str = ""
