"""OpenADR 2.0b at a whole edge: events are served, and the utility hears of each change of mind."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import QUICK_SITE, RunningEdge, a_house, config_of, running
from tests.edge.fakes import until as so_at_last
from tests.edge.programs.vtn_2b import Vtn, a_vtn, power

HOUR = timedelta(hours=1)


def an_entry(vtn: Vtn) -> dict[str, Any]:
    return {"kind": "openadr2b", "name": "Peak power", "url": vtn.url, "ven_name": "house", "poll_s": 1.0}


def a_while_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)


async def power_is(edge: RunningEdge, power_w: int) -> None:
    await edge.until(lambda state: abs((state["chargers"]["driveway"]["power_w"] or 0) - power_w) <= 50)


async def test_an_event_is_served_changed_and_cancelled_and_answered_each_time(tmp_path: Path) -> None:
    async with a_vtn() as vtn, a_house(tmp_path) as (_, edge):
        await edge.command("set_program", id="peak", program=an_entry(vtn))
        await edge.until(lambda state: state["programs"]["peak"]["connected"])
        start = a_while_ago()
        event = vtn.call(start, HOUR, power(start, HOUR, -3.0))
        await power_is(edge, -3000)
        await so_at_last(lambda: vtn.answered_of("e1") == ["optIn"])
        event.event_signals = [power(start, HOUR, -2.0)]
        vtn.change(event)
        await power_is(edge, -2000)
        await so_at_last(lambda: vtn.answered_of("e1") == ["optIn", "optIn"])
        vtn.cancel(event)
        await power_is(edge, 0)


async def test_a_no_is_told_at_once_and_stands_over_a_restart_of_the_edge(tmp_path: Path) -> None:
    async with a_vtn() as vtn, SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.command("set_program", id="peak", program=an_entry(vtn))
            start = a_while_ago()
            vtn.call(start, HOUR, power(start, HOUR, -3.0))
            await power_is(edge, -3000)
            await edge.command("opt_out", event="peak:e1")
            await power_is(edge, 0)
            await so_at_last(lambda: vtn.answered_of("e1") == ["optIn", "optOut"])
        async with running(config) as edge:
            await so_at_last(lambda: vtn.answered_of("e1") == ["optIn", "optOut", "optOut"])
            await edge.command("opt_in", event="peak:e1")
            await power_is(edge, -3000)
            await so_at_last(lambda: vtn.answered_of("e1")[-1] == "optIn")


async def test_an_event_runs_on_while_the_utility_is_out_of_order_and_has_forgotten_us(tmp_path: Path) -> None:
    async with a_vtn() as vtn, a_house(tmp_path) as (_, edge):
        await edge.command("set_program", id="peak", program=an_entry(vtn))
        start = a_while_ago()
        event = vtn.call(start, HOUR, power(start, HOUR, -3.0))
        await power_is(edge, -3000)
        vtn.broken = True
        await edge.until(lambda state: state["programs"]["peak"]["connected"] is False)
        vtn.forget_us()
        vtn.broken = False
        await edge.until(lambda state: state["programs"]["peak"]["connected"] is True)
        await power_is(edge, -3000)
        vtn.cancel(event)
        await power_is(edge, 0)
