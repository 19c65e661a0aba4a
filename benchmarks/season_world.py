"""A season as it comes: which events are called, what breaks in each, and the physics of the house it happens to.

Everything follows from one seed. The same courses are run by the edge and by one who knows all of it beforehand.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from math import pi, sin
from zoneinfo import ZoneInfo

from edge_service.domain.model import ChargerReading, MeterReading, Order, Power
from edge_service.simulation.house import NOMINAL_HZ, House
from edge_service.simulation.inverter import Stage
from edge_service.simulation.options import ENTER_SERVICE_S, SiteOptions
from edge_service.simulation.unwired import UnwiredCharger

YEAR = 2026
# A zone whose clocks change between June and September (6 September 2026, 00:00): New England's do not.
ZONE = ZoneInfo("America/Santiago")
CLOCKS_CHANGE = date(YEAR, 9, 6)
# Labor Day and Juneteenth: the program calls nothing on them; on the first of them its utility once does, by mistake.
HOLIDAY, OTHER_HOLIDAY = date(YEAR, 9, 7), date(YEAR, 6, 19)
FIRST, LAST = date(YEAR, 6, 1), date(YEAR, 9, 30)

SERVED, STORMS = 45, 2
BATTERY_WH = 60_000.0
LEASE_S = 60.0
# A service manager starts it again after five seconds; the edge takes three to its first order.
EDGE_DOWN_S = 8
UTILITY_DOWN_S = 600
# The vehicle is back in the morning, so long before the event.
THERE_BEFORE = timedelta(hours=6)
THERE_AFTER = timedelta(minutes=15)
LOOK_BEFORE, LOOK_AFTER = timedelta(seconds=30), timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Course:
    """One call, and the day around it. Times in UTC; ``power_w`` is positive, what is asked of the house."""

    number: int
    kind: str
    start: datetime
    end: datetime
    power_w: int
    announced: datetime
    cancelled: datetime | None
    soc_pct: float
    house_w: int
    edge_down: datetime
    utility_down: datetime
    charger_down: datetime
    reboot_s: int

    @property
    def from_(self) -> datetime:
        return self.start - THERE_BEFORE

    @property
    def until(self) -> datetime:
        return self.end + THERE_AFTER

    @property
    def served(self) -> bool:
        """It counts for the season: it stood, and its program's own rules know it."""
        return self.kind == "event"


def season(seed: int, most: int = SERVED + STORMS + 1) -> list[Course]:
    """The calls of one summer in order of time, the first ``most`` of them."""
    dice = random.Random(seed)
    summer = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    weekdays = [day for day in summer if day.weekday() < 5 and day not in (HOLIDAY, OTHER_HOLIDAY)]
    days = sorted(dice.sample(weekdays, SERVED + STORMS))
    stormy = set(dice.sample(days, STORMS))
    kinds = [(day, "storm" if day in stormy else "event") for day in days] + [(HOLIDAY, "holiday")]
    return [_course(number, day, kind, dice) for number, (day, kind) in enumerate(sorted(kinds))][:most]


def _course(number: int, day: date, kind: str, dice: random.Random) -> Course:
    hours = dice.choice([2, 2, 3, 3, 3])
    hour = dice.randint(15, 20 - hours)
    start = datetime.combine(day, time(hour), ZONE).astimezone(UTC)
    end = start + timedelta(hours=hours)
    return Course(
        number,
        kind,
        start,
        end,
        dice.choice([4000, 5000, 5000, 6000]),
        start - timedelta(hours=dice.choice([24, 24, 24, 5])),
        start - timedelta(minutes=dice.randint(20, 240)) if kind == "storm" else None,
        dice.uniform(35, 85),
        dice.randint(400, 2200),
        _within(dice, start, end, EDGE_DOWN_S),
        _within(dice, start - timedelta(minutes=8), end, UTILITY_DOWN_S),
        _within(dice, start, end, 400),
        dice.randint(40, 90),
    )


def _within(dice: random.Random, start: datetime, end: datetime, length_s: int) -> datetime:
    """A moment of the stretch that leaves room for the length."""
    return start + timedelta(seconds=dice.randrange(int((end - start).total_seconds()) - length_s))


@dataclass
class World:
    """The house of one course, second by second; ``clock`` goes with it."""

    course: Course
    rating_w: float = 9600.0
    now: datetime = field(init=False)
    supplied_wh: float = 0.0

    def __post_init__(self) -> None:
        self.now = self.course.from_
        options = SiteOptions(soc_pct=self.course.soc_pct, battery_wh=BATTERY_WH, rating_w=self.rating_w)
        self.house = House(options)
        self.charger = UnwiredCharger(self.house, LEASE_S)

    @property
    def event_runs(self) -> bool:
        return self.course.start <= self.now < self.course.end

    @property
    def charger_answers(self) -> bool:
        gone = self.now - self.course.charger_down
        return not timedelta() <= gone < timedelta(seconds=self.course.reboot_s)

    def pass_s(self, seconds: float) -> None:
        """Let time pass. At a reboot the charger forgets every order, and reconnects when its own rules let it."""
        answered = self.charger_answers
        before_wh = self.house.inverter.injected_wh
        counted = self.event_runs
        self.house.base_w = self.load_w
        self.house.step(seconds)
        self.now += timedelta(seconds=seconds)
        if counted:
            self.supplied_wh += self.house.inverter.injected_wh - before_wh
        if answered and not self.charger_answers:
            self._reboot()

    def _reboot(self) -> None:
        inverter = self.house.inverter
        inverter.settings.setpoint_enabled = False
        inverter.power_w = 0.0
        inverter.stage = Stage.WAITING
        inverter.stage_left_s = float(self.course.reboot_s) + inverter.settings.enter_service_s
        self.charger.forget()
        self.house.settle()

    @property
    def load_w(self) -> float:
        """A house with a compressor: its base, twice as much for ten minutes of each half hour, and a slow day."""
        minutes = (self.now - self.course.from_).total_seconds() / 60
        return self.course.house_w * (1.5 + 0.3 * sin(minutes * pi / 240) + (1.0 if minutes % 30 < 10 else 0.0)) / 2

    def reading(self) -> ChargerReading | None:
        return self.charger.reading(self.now) if self.charger_answers else None

    def meter(self) -> MeterReading:
        house = self.house
        return MeterReading(self.now, round(house.site_power_w), house.street_v, NOMINAL_HZ)

    def give(self, order: Order) -> None:
        """An order reaches a charger that answers."""
        if self.charger_answers:
            self.charger.give(order, self.now)


def steps(world: World) -> Iterator[float]:
    """Seconds to the next moment that is looked at: one where something happens, else eight in the event."""
    course = world.course
    reconnects = course.charger_down + timedelta(seconds=course.reboot_s + ENTER_SERVICE_S)
    moments = (course.start, course.end, course.edge_down, course.charger_down, reconnects)
    while world.now < course.until:
        if any(-LOOK_BEFORE <= world.now - moment < LOOK_AFTER for moment in moments):
            yield 1.0
        else:
            yield 8.0 if course.start - 2 * LOOK_BEFORE <= world.now else 30.0


def known_beforehand(course: Course, floor_pct: float) -> float:
    """Energy at the charger's output, in the event, of one who knows all: never late, bound by physics alone.

    ``floor_pct``: as for the edge, below it nothing is given.
    """
    world = World(course)
    for step_s in steps(world):
        world.give(Power(_best_w(world, floor_pct)))
        world.pass_s(step_s)
    return world.supplied_wh


def _best_w(world: World, floor_pct: float) -> int:
    course, vehicle = world.course, world.house.vehicle
    if world.event_runs:
        return -course.power_w if vehicle.soc_pct > floor_pct else 0
    needed_wh = course.power_w * (course.end - course.start).total_seconds() / 3600 / vehicle.efficiency
    lacks = vehicle.soc_pct < floor_pct + 100 * needed_wh / vehicle.capacity_wh + 1
    return round(world.rating_w) if lacks and world.now < course.start else 0


def by_automation(course: Course, floor_pct: float) -> float:
    """The same energy by an automation such as people write: one order at the start, another at the end.

    It knows of the event, and stops at the floor. It charges nothing before, and orders nothing anew when the charger
    has been restarted; a restart of its own loses nothing, since nothing is left for it to do.
    """
    world = World(course)
    ordered = False
    for step_s in steps(world):
        if world.event_runs and not ordered and world.charger_answers:
            world.charger.give(Power(-course.power_w), world.now)
            world.house.inverter.settings.lease_s = 0.0
            world.house.inverter.renew_lease()
            ordered = True
        if world.house.vehicle.soc_pct <= floor_pct:
            world.give(Power(0))
        world.pass_s(step_s)
    return world.supplied_wh
