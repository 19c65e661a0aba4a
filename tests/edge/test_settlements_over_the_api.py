"""An event of a few seconds at a real edge: settled, shown, on disk, and read again by the edge's own command line."""

import argparse
import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_service.command_line import settlements
from edge_service.command_line.local_edge import LocalEdge
from edge_service.command_line.outcome import CommandError
from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import HOST, QUICK_SITE, RunningEdge, config_of, running

TERMS = {"kind": "manual", "name": "By letter", "pay_usd_per_kw": 275.0, "season_events": 45}


def its_own(edge: RunningEdge) -> LocalEdge:
    """The running edge as its command line reaches it."""
    return LocalEdge(HOST, edge.edge.port or 0, edge.edge.config.data / "local.token")


async def books(edge: RunningEdge, program: str | None = None, year: int | None = None) -> Mapping[str, Any]:
    return await asyncio.to_thread(its_own(edge).settlements, program, year)


async def serve_an_event(edge: RunningEdge) -> None:
    """Three seconds at 3 kW, by a letter from the utility."""
    start = datetime.now(UTC)
    span = {"start": start.isoformat(), "end": (start + timedelta(seconds=3)).isoformat()}
    await edge.command("enter_event", program="letter", name="Hot evening", power_w=3000, **span)


async def test_an_event_is_settled_shown_and_kept_over_a_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await edge.command("set_program", id="letter", program=TERMS)
            assert (await books(edge, "letter"))["entries"] == []
            await serve_an_event(edge)
            state = await edge.until(lambda state: state["programs"]["letter"]["season_events"] == 1)
            shown = state["programs"]["letter"]
        async with running(config) as edge:
            state = await edge.until(lambda state: "letter" in state["programs"])
            assert state["programs"]["letter"]["season_average_w"] == shown["season_average_w"]
            (entry,) = (await books(edge, "letter"))["entries"]
            (season,) = (await books(edge, "letter", datetime.now(UTC).year))["seasons"]
            args = argparse.Namespace(program="letter", year=None, json=False)
            await asyncio.to_thread(settlements.show_log, args, its_own(edge))
            with pytest.raises(CommandError, match=r"there is a log of outages .* and of settlements"):
                await asyncio.to_thread(its_own(edge).ask, "GET", "/api/v1/log/dreams")
            with pytest.raises(CommandError, match="year must be a year"):
                await asyncio.to_thread(its_own(edge).ask, "GET", "/api/v1/log/settlements?year=last")
            assert (await books(edge, "letter", 1999)) == {"entries": [], "seasons": []}
    assert (entry["name"], entry["outcome"], entry["program"], entry["counts"]) == (
        "Hot evening",
        "served",
        "letter",
        True,
    )
    assert 0 < entry["average_w"] <= 3000
    assert entry["by_charger_wh"] == {"driveway": entry["energy_wh"]}
    assert entry["average_w"] == season["average_w"] == shown["season_average_w"]
    assert shown["season_projection_usd"] == season["projection_usd"]
    assert season["projection_usd"] == pytest.approx(season["paid_average_w"] * 0.275, abs=0.15)
    (event,) = shown["events"]
    assert (event["opted_out"], event["stake_usd"], event["gap_s"]) == (False, None, 0)
    assert "Hot evening" in capsys.readouterr().out


A_SEASON = {
    "program": "letter",
    "name": "By letter",
    "first": "2026-06-01",
    "last": "2026-09-30",
    "measure": "charger",
    "events": 2,
    "events_expected": 45,
    "missed": 1,
    "opted_out": 0,
    "opted_out_counts": True,
    "unsettled": 0,
    "average_w": 2500,
    "site_average_w": 2100,
    "paid_average_w": 2500,
    "usd": 30.56,
    "projection_usd": 687.5,
    "over": False,
}
AN_EVENT = {
    "program": "letter",
    "day": "2026-07-15",
    "name": "Hot evening",
    "outcome": "served",
    "start": "2026-07-15T20:00:00.000Z",
    "end": "2026-07-15T23:00:00.000Z",
    "average_w": 5000,
    "site_average_w": 4200,
    "usd": 30.56,
    "gap_s": 300,
    "site_gap_s": 300,
}
TOLD = """\
By letter (letter), 2026-06-01 to 2026-09-30
day        event                 how        hours   charger      site         $  gaps
2026-07-15 Hot evening           served         3   5.00 kW   4.20 kW     30.56  5 min
2026-07-16 Hot evening           missed         3   0.00 kW         -      0.00
  average over 2 events: chargers 2.50 kW, net at the street 2.10 kW; paid by: the chargers
  missed 1, left out 0, not settled yet 0
  earned $30.56; $687.50 if the rest goes as so far (45 events expected)
  worst gaps: 2026-07-15 5 min"""


def test_a_season_is_told_as_a_table_by_both_measures() -> None:
    nothing = {"average_w": 0, "site_average_w": None, "usd": 0.0, "gap_s": 0, "site_gap_s": 0}
    missed = AN_EVENT | nothing | {"day": "2026-07-16", "outcome": "missed"}
    other = AN_EVENT | {"program": "other"}
    assert "\n".join(settlements.told(A_SEASON, [missed, AN_EVENT, other])) == TOLD


def test_the_newest_season_of_each_program_is_told_unless_a_year_is_named() -> None:
    seasons = [A_SEASON | {"first": first, "program": name} for first, name in (("b", "x"), ("a", "x"), ("a", "y"))]
    assert [(one["program"], one["first"]) for one in settlements.latest(seasons)] == [("x", "b"), ("y", "a")]
