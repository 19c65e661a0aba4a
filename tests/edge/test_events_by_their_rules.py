"""A running edge and a program with rules of its own: an event that they do not know waits for a person's yes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_service.api import wire
from edge_service.api.pairing import Role
from edge_service.domain.asked import CommandRefusedError
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.domain.houses import after
from tests.edge.edge_kit import QUICK_SITE, RunningEdge, a_house, config_of, running
from tests.edge.test_app_programs import an_entry, standing


def another_season() -> list[str]:
    """A season half a year from now."""
    begins = datetime.now(UTC) + timedelta(days=150)
    return [f"{begins:%m-%d}..{begins + timedelta(days=60):%m-%d}"]


def by_preset(utility: SimulatedUtility, **changes: Any) -> dict[str, Any]:
    """ConnectedSolutions at the simulated utility, in another season than ours."""
    rules = {"seasons": another_season(), "window": None, "holidays": None}
    plain = an_entry(utility, preset="connected_solutions_ma", exports=True, rules=rules)
    return plain | changes


def event_of(state: wire.State) -> Any:
    events = state["programs"]["peak"]["events"] if "peak" in state["programs"] else ()
    return events[0] if events else None


def power_w(state: wire.State) -> int | None:
    return state["chargers"]["driveway"]["power_w"]


async def test_an_event_out_of_season_is_served_only_after_a_person_said_yes(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        config = replace(config, site=replace(config.site, time_zone="America/New_York"))
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await edge.command("set_program", id="peak", program=by_preset(utility))
            await terms_were_copied(edge)
            utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=3)
            state = await edge.until(event_of)
            event = event_of(state)
            assert (event["status"], event["asks"]) == ("opted_out", True)
            assert "out_of_season" in event["flags"]
            state = await edge.until(lambda state: "event_asks" in standing(state))
            assert standing(state)["event_asks"]["data"]["flags"] == event["flags"]
            assert power_w(state) == 0
        # Over a restart it still asks, and the answer is taken.
        async with running(config) as edge:
            state = await edge.until(lambda state: state["site"]["grid"] == "on" and event_of(state))
            assert event_of(state)["asks"]
            assert power_w(state) == 0
            await edge.command("opt_in", event=event["uid"])
            state = await edge.until(lambda state: power_w(state) == -3000)
            assert "event_asks" not in standing(state)
            assert "event_flagged" in standing(state)


async def terms_were_copied(edge: RunningEdge) -> None:
    """What is kept holds the preset's terms, so that another version of it changes nothing."""
    document = await edge.edge.journal.load_document("programs") or {}
    kept = document["programs"]["peak"]
    assert (kept["pay_usd_per_kw"], kept["preset"], kept["exports"]) == (275, "connected_solutions_ma", True)
    assert kept["preset_date"]
    assert (kept["rules"]["seasons"], kept["rules"]["longest_h"], kept["rules"]["window"]) == (
        another_season(),
        3,
        None,
    )
    assert edge.edge.runner.facts.programs["peak"].pay_usd_per_kw == 275


async def test_terms_that_know_the_event_let_it_run_and_their_loss_stops_it(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        config = replace(config, site=replace(config.site, time_zone="America/New_York"))
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await edge.command("set_program", id="peak", program=by_preset(utility))
            utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=3)
            await edge.until(lambda state: event_of(state) and event_of(state)["asks"])
            await edge.command("set_program", id="peak", program=an_entry(utility, preset="generic"))
            state = await edge.until(lambda state: power_w(state) == -3000)
            assert (event_of(state)["flags"], event_of(state)["asks"]) == ([], False)
            serve = by_preset(utility, rules={"seasons": another_season(), "outside": "serve"})
            await edge.command("set_program", id="peak", program=serve)
            state = await edge.until(lambda state: "out_of_season" in event_of(state)["flags"])
            assert not event_of(state)["asks"]
            await edge.command("set_program", id="peak", program=by_preset(utility))
            await edge.until(lambda state: event_of(state)["status"] == "opted_out" and power_w(state) == 0)


async def test_rules_that_take_local_time_are_a_problem_where_the_site_says_none(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (_, edge):
        await edge.command("set_program", id="peak", program=by_preset(utility))
        state = await edge.until(lambda state: state["programs"]["peak"]["connected"])
        assert "site.yaml says no time_zone" in (state["programs"]["peak"]["problem"] or "")
        utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=3)
        state = await edge.until(lambda state: power_w(state) == -3000)
        assert (event_of(state)["day"], event_of(state)["asks"]) == ("", False)


async def test_every_mistake_in_a_programs_terms_is_named_with_what_is_allowed(tmp_path: Path) -> None:
    async with SimulatedSite(QUICK_SITE) as site, running(config_of(site, tmp_path)) as edge:
        wrong = {
            "kind": "manual",
            "pay_usd_per_kwh": -1,
            "floor_pct": 120,
            "exports": "yes",
            "colour": "blue",
            "rules": {"window": "15-20", "seasons": ["06-31..09-30"], "holidays": "US/ZZ", "weekday": ["mon"]},
        }
        said = await refusal(edge, wrong)
        for word in (
            "pay_usd_per_kwh: found -1; allowed: dollars per kWh from 0 to 1000",
            "floor_pct: found 120; allowed: percent from 0 to 100",
            "exports: found yes; allowed: true or false",
            "colour: there is no such key; allowed: baseline, ",
            "rules.window: found 15-20; allowed: local times",
            "rules.seasons: found ['06-31..09-30']; allowed: a list of seasons",
            "rules.holidays: found US/ZZ; allowed: a country",
            "rules.weekday: found ['mon'], but there is no such key",
        ):
            assert word in said, word
        assert "allowed: connected_solutions_ma" in await refusal(edge, {"kind": "manual", "preset": "nowhere"})


async def refusal(edge: RunningEdge, program: dict[str, Any]) -> str:
    """The words with which a program is refused."""
    args = {"id": "peak", "program": program}
    with pytest.raises(CommandRefusedError) as refused:
        await edge.edge.execute("set_program", args, command_id="test", deadline=after(0), role=Role.LOCAL)
    assert refused.value.code == "bad_argument"
    return str(refused.value)


async def test_an_event_by_hand_is_served_and_what_is_odd_about_it_follows_the_terms(tmp_path: Path) -> None:
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        config = replace(config, site=replace(config.site, time_zone="America/New_York"))
        by_hand = {"kind": "manual", "name": "Peak", "rules": {"seasons": another_season()}}
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            await edge.command("set_program", id="peak", program=by_hand)
            now = datetime.now(UTC)
            times = {"start": now.isoformat(), "end": (now + timedelta(hours=1)).isoformat()}
            await edge.command("enter_event", program="peak", name="Hot evening", power_w=2000, **times)
            state = await edge.until(lambda state: power_w(state) == -2000)
            assert (event_of(state)["flags"], event_of(state)["asks"]) == (["out_of_season"], False)
            assert "event_flagged" in standing(state)
            await edge.command("set_program", id="peak", program=by_hand | {"rules": {"longest_h": 0.5}})
            await edge.until(lambda state: event_of(state)["flags"] == ["too_long"])
        # While the edge was down its programs were changed.
        async with running(config) as edge:
            await edge.edge.journal.save_document("programs", {"programs": {"peak": by_hand | {"rules": {}}}})
        async with running(config) as edge:
            await edge.until(lambda state: event_of(state) and event_of(state)["flags"] == [])
