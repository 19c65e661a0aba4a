"""What was physically so, by the simulated site's own account, held against what Home Assistant was told."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from aiohttp import ClientError

from demo.house import PAY_USD_PER_KW, House, Json, at

SAMPLE_S = 0.1
SEASON_EVENTS = 45
# Two seconds of doubt, 0.15 s of switch, 1.5 s until the charger's island stands, and a second of looking.
DARK_AT_LOSS_S = 5.0
# Stop, prove it dead, close, prove: all but the switch is the pace of looking.
DARK_AT_RETURN_S = 2.5
PROTECTED_WITHIN_S = 0.5
ENERGY_WITHIN = 0.03


@dataclass(frozen=True, slots=True)
class Check:
    """One claim against the truth."""

    words: str
    ok: bool
    found: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks, and the event's result as Home Assistant tells it."""

    checks: tuple[Check, ...]
    result: str

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def lines(self) -> Iterator[str]:
        """The result, then a line for each check."""
        yield self.result
        yield "The simulated site's own account:"
        for check in self.checks:
            yield f"  {'ok  ' if check.ok else 'FAIL'} {check.words}: {check.found}"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the charger had given, and whether the street was there and connected."""

    at: datetime
    discharged_wh: float
    on_grid: bool


class Account:
    """Follows the simulated site while the story runs."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._samples: list[Sample] = []

    async def follow(self) -> None:
        """Ask ten times a second, for ever."""
        while True:
            with suppress(ClientError, TimeoutError):
                self._take(await self._house.truth())
            await asyncio.sleep(SAMPLE_S)

    def _take(self, truth: Json) -> None:
        on_grid = truth["grid_present"] and truth["switch"]["position"] == "closed"
        self._samples.append(Sample(at(truth["at"]), truth["charger"]["discharged_wh"], on_grid))

    def delivered_wh(self, start: datetime, end: datetime) -> float:
        """Given to house and street between these moments, the island left out."""
        # A sample that is late by one period still belongs to the event.
        end += timedelta(seconds=SAMPLE_S)
        return sum(
            later.discharged_wh - earlier.discharged_wh
            for earlier, later in pairwise(self._samples)
            if earlier.on_grid and start <= earlier.at and later.at <= end
        )

    async def judge(
        self,
        start: datetime,
        end: datetime,
        lost: datetime,
        completed: Mapping[str, Any],
        shown: Mapping[str, float | None],
    ) -> Verdict:
        """Hold the event's result and the safety promises against the truth."""
        truth, writes = await self._house.truth(), await self._house.writes()
        for name, content in (("truth", truth), ("writes", writes)):
            path = self._house.folder / "logs" / f"{name}.json"
            await asyncio.to_thread(path.write_text, json.dumps(content, indent=1), encoding="utf-8")
        average_w, energy_wh = float(completed["average_w"]), float(completed["energy_wh"])
        earned = float(completed["earnings_usd"])
        checks = (
            no_violations(truth),
            _protective_act(writes, lost),
            *_dark(truth),
            leases_kept(truth),
            _energy(self.delivered_wh(start, end), energy_wh),
            _dollars(average_w, earned),
            _entities(completed, shown),
        )
        result = (
            f"Delivered {energy_wh / 1000:.3f} kWh, on average {average_w / 1000:.2f} kW, for ${earned:.2f} "
            f"(${PAY_USD_PER_KW} per average kW and season, {SEASON_EVENTS} events in a season)."
        )
        return Verdict(checks, result)


def no_violations(truth: Json) -> Check:
    found = truth["violations"]
    return Check("nothing was done that must never be done", not found, json.dumps(found) if found else "no violation")


def _protective_act(writes: list[Json], lost: datetime) -> Check:
    after = [write for write in writes if write["device"] == "charger" and at(write["at"]) >= lost]
    words = "orders withdrawn at the charger"
    withdrawn = next((write for write in after if write["named"].get("704.WSetEna") == 0), None)
    if withdrawn is None:
        return Check(words, False, "never")
    late_s = (at(withdrawn["at"]) - lost).total_seconds()
    return Check(words, late_s <= PROTECTED_WITHIN_S, f"{late_s:.2f} s after the loss ({PROTECTED_WITHIN_S:g} allowed)")


def _dark(truth: Json) -> Iterator[Check]:
    dark = [period["seconds"] for period in truth["house"]["dark_periods"]]
    told = ", ".join(f"{seconds:.2f} s" for seconds in dark)
    yield Check("the house was dark twice, at the loss and at the return", len(dark) == 2, told)
    for words, seconds, bound in zip(
        ("dark at the loss", "dark at the announced return"), dark, (DARK_AT_LOSS_S, DARK_AT_RETURN_S), strict=False
    ):
        yield Check(words, seconds <= bound, f"{seconds:.2f} s ({bound:g} allowed)")


def leases_kept(truth: Json) -> Check:
    expired = truth["charger"]["lease_expiries"]
    return Check("no order outlived its renewal", not expired, ", ".join(expired) if expired else "no lease ran out")


def _energy(truth_wh: float, told_wh: float) -> Check:
    off = abs(told_wh - truth_wh) / max(truth_wh, 1.0)
    found = f"{truth_wh:.1f} Wh there, {told_wh:.0f} Wh told: {off:.1%} off ({ENERGY_WITHIN:.0%} allowed)"
    return Check("energy delivered", off <= ENERGY_WITHIN, found)


def _dollars(average_w: float, earned: float) -> Check:
    due = average_w / 1000 * PAY_USD_PER_KW / SEASON_EVENTS
    return Check("dollars follow from the average", abs(due - earned) <= 0.01, f"${earned:.2f} told, ${due:.2f} due")


def _entities(completed: Mapping[str, Any], shown: Mapping[str, float | None]) -> Check:
    """Small changes of a sensor wait for the recorder's sake, but not once its event is over; kilowatts are rounded."""
    near_wh, near_w = 1.0, 10.0
    pairs = (
        (shown["event_energy"], float(completed["energy_wh"]), near_wh),
        (shown["event_average_power"], float(completed["average_w"]), near_w),
        (shown["event_earnings"], float(completed["earnings_usd"]), 0.01),
    )
    ok = all(value is not None and abs(value - told) <= near + 1e-6 for value, told, near in pairs)
    return Check("the sensors say the same as the event", ok, ", ".join(str(value) for value, _, _ in pairs))
