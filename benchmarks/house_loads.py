"""Loads of houses for ``runtime_estimate``: recorded ones by the hour, made ones by the minute.

The recorded ones are in ``data/`` with their source. A made house is a sum of appliances, each with a rhythm of its
own; powers and habits are round numbers of what such appliances usually are in North America, chosen once, fitted to
nothing.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

DATA = Path(__file__).parent / "data" / "houses_fontana.csv"
DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class House:
    """Mean powers in watts, one per ``step_min`` minutes, from a midnight on.

    ``solar`` is 0 or less, empty: none. ``climate``: the part of the load that heats or cools, empty: not known.
    """

    name: str
    step_min: int
    load: Sequence[float]
    solar: Sequence[float] = ()
    climate: Sequence[float] = ()


def recorded() -> Iterator[House]:
    """Each recorded house and season."""
    rows = [line.split(",") for line in DATA.read_text(encoding="utf-8").splitlines()]
    series = {(house, season, kind): [float(value) for value in values.split()] for house, season, kind, values in rows}
    for house, season, kind in series:
        if kind == "load":
            load, solar = series[house, season, "load"], series[house, season, "solar"]
            yield House(f"{house} {season}", 60, load, solar)


def made(seed: int, days: int) -> House:
    """A house by the minute: what always runs, a refrigerator, heating or cooling, hot water, people."""
    dice = random.Random(seed)
    load = [dice.uniform(80, 300)] * (days * DAY_MIN)
    _add_fridge(dice, load)
    climate = _climate(dice, days)
    load = [rest_w + climate_w for rest_w, climate_w in zip(load, climate, strict=True)]
    if dice.random() < 0.5:
        _add_bursts(dice, load, days, 4500, (8, 25), per_day=2.5, hours=(6, 7, 8, 18, 19, 20, 21, 22))  # hot water
    _add_bursts(dice, load, days, 2000, (10, 45), per_day=1.6, hours=(7, 12, 17, 18, 18, 19))  # cooking
    _add_bursts(dice, load, days, 1200, (2, 6), per_day=4.0, hours=(6, 7, 8, 10, 15, 17, 20))  # kettle, microwave
    _add_bursts(dice, load, days, 4000, (35, 60), per_day=0.5, hours=(9, 10, 11, 14, 16, 19, 20))  # tumble dryer
    _add_bursts(dice, load, days, 1300, (60, 110), per_day=0.6, hours=(13, 19, 20, 21))  # dishwasher
    _add_evenings(dice, load, days)
    return House(f"seed {seed}", 1, load, climate=climate)


def _add_fridge(dice: random.Random, load: list[float]) -> None:
    power_w, on_min, off_min = dice.uniform(90, 160), dice.randint(10, 25), dice.randint(15, 45)
    at = dice.randint(0, on_min + off_min)
    while at < len(load):
        for minute in range(at, min(at + on_min, len(load))):
            load[minute] += power_w
        at += on_min + off_min + dice.randint(-3, 3)


def _climate(dice: random.Random, days: int) -> list[float]:
    """A heat pump that cycles, the longer the colder (or the warmer) it is; the weather changes from day to day."""
    power_w, need, weather, phase = dice.uniform(1500, 3500), dice.uniform(0.05, 0.4), 0.0, dice.choice((5, 16))
    cycle_min, duty_left, load = dice.randint(20, 40), 0.0, list[float]()
    for minute in range(days * DAY_MIN):
        if minute % DAY_MIN == 0:
            weather = 0.75 * weather + dice.gauss(0, 0.25)
        if minute % cycle_min == 0:
            hour = minute % DAY_MIN / 60
            duty = need * max(0.0, 1 + weather) * (1 + 0.6 * cos((hour - phase) / 12 * pi))
            duty_left = cycle_min * min(1.0, duty * dice.uniform(0.7, 1.3))
        load.append(power_w * max(0.0, min(1.0, duty_left)))
        duty_left -= 1
    return load


def _add_bursts(
    dice: random.Random,
    load: list[float],
    days: int,
    power_w: float,
    lasts_min: tuple[int, int],
    *,
    per_day: float,
    hours: Sequence[int],
) -> None:
    """Something switched on now and then, at hours that people have."""
    power_w, per_day = power_w * dice.uniform(0.7, 1.2), per_day * dice.uniform(0.5, 1.5)
    for day in range(days):
        for _ in range(int(per_day) + (dice.random() < per_day % 1)):
            start = day * DAY_MIN + dice.choice(hours) * 60 + dice.randint(0, 59)
            for minute in range(start, min(start + dice.randint(*lasts_min), len(load))):
                load[minute] += power_w


def _add_evenings(dice: random.Random, load: list[float], days: int) -> None:
    """Light, screens and whoever is at home."""
    power_w = dice.uniform(150, 600)
    for day in range(days):
        start, lasts = dice.gauss(17.5, 0.8), dice.gauss(5.5, 0.8)
        for minute in range(int(start * 60), int((start + lasts) * 60)):
            if 0 <= (at := day * DAY_MIN + minute) < len(load):
                load[at] += power_w
