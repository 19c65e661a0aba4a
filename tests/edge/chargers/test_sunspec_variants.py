"""Every SunSpec variant: what the document says of it is what is probed, and nothing forbidden is ever written."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.chargers.sunspec_der_models import SunSpecOptions
from edge_service.domain.model import (
    Authority,
    Backup,
    Control,
    Hold,
    Lease,
    Limits,
    Order,
    Pause,
    Power,
    Release,
    Stop,
)
from edge_service.ports import DeviceError, DeviceRefusedError, DeviceUnreachableError
from edge_service.simulation.inverter import Stage
from tests.edge.chargers.sunspec_variants import VARIANTS, Bench, bench, dump, dump_path, recorded, written

PAGE = Path(__file__).parents[3] / "docs" / "chargers" / "sunspec_der.md"
COLUMNS = ("orders", "lease", "step", "events", "backup", "charge", "plugged")


def documented() -> dict[str, dict[str, str]]:
    """The rows of the table of variants, by name."""
    table = PAGE.read_text(encoding="utf-8").split("| variant |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {name: dict(zip(COLUMNS, cells, strict=False)) for name, *cells in rows}


async def refused(charger: Bench, order: Order) -> str | None:
    try:
        await charger.cycle(order)
    except DeviceRefusedError as error:
        return error.reason
    return None


ASKED: dict[str, Order] = {"power": Power(-3000), "hold": Hold(), "limits": Limits(9600, 3000), "stop": Stop()}


async def taken(name: str) -> list[str]:
    """The orders that this variant takes, each asked of a fresh one."""
    found = []
    for word, order in ASKED.items():
        charger = bench(name)
        if await refused(charger, order) is None:
            stops = "715.OpCtl" in charger.unit.tried
            found.append("stop as 0 W" if word == "stop" and not stops else word)
    return found


async def knows_plugged(name: str) -> str:
    """``yes``; ``guess``: only that a vehicle is there; ``no``."""
    there, gone = [(await bench(name, plugged=plugged).read()).plugged for plugged in (True, False)]
    return "yes" if (there, gone) == (True, False) else "guess" if there else "no"


async def probed(name: str) -> dict[str, str]:
    charger = bench(name)
    _, capability = await charger.charger.probe()
    reading, orders = await charger.read(), await taken(name)
    leased = capability.lease is not Lease.NONE or capability.backup is Backup.NONE
    events = "power" in orders and leased and capability.discharge_rating_w > 0
    return {
        "orders": ", ".join(orders) or "none",
        "lease": capability.lease,
        "step": f"{capability.step_w} W",
        # The core discharges no vehicle of which it does not know the charge.
        "events": "no" if not events else "yes" if reading.soc_pct is not None else "charge only",
        "backup": capability.backup,
        "charge": "yes" if reading.soc_pct is not None else "no",
        "plugged": await knows_plugged(name),
    }


@pytest.mark.parametrize("name", VARIANTS)
async def test_the_document_says_what_is_probed(name: str) -> None:
    assert documented()[name] == await probed(name)


def test_the_document_names_every_variant_and_no_other() -> None:
    assert list(documented()) == list(VARIANTS)


@pytest.mark.parametrize("name", recorded())
async def test_the_dump_of_a_variant_is_what_the_simulation_gives(name: str) -> None:
    assert written(await dump(name)) == dump_path(name).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------- never written

MAY_BE_WRITTEN = {
    f"704.{name}"
    for name in (
        *("WMaxLimPctEna", "WMaxLimPct", "WMaxLimPctRvrt", "WMaxLimPctEnaRvrt", "WMaxLimPctRvrtTms"),
        *("WSetEna", "WSetMod", "WSet", "WSetRvrt", "WSetPct", "WSetPctRvrt", "WSetEnaRvrt", "WSetRvrtTms"),
    )
} | {"715.ControllerHb", "715.OpCtl"}
EVERY_ORDER: tuple[Order, ...] = (
    Power(-3000),
    Power(3000),
    Hold(),
    Pause(),
    Limits(9600, 3000),
    Limits(0, 0),
    Stop(),
    Release(),
)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("outage", [False, True], ids=["on grid", "in an outage"])
async def test_no_order_ever_writes_what_is_not_ours_to_write(name: str, *, outage: bool) -> None:
    """702, 703, AntiIslEna and AlarmReset above all; each order follows each other once."""
    charger = bench(name)
    for first in EVERY_ORDER:
        for second in EVERY_ORDER:
            await refused(charger, first)
            charger.house.set_grid(present=not outage)
            charger.house.command_switch(open_=outage)
            await refused(charger, second)
            charger.pass_(25)
    assert set(charger.unit.tried) <= MAY_BE_WRITTEN
    assert charger.house.inverter.settings.anti_islanding


STEPS = st.tuples(st.sampled_from(EVERY_ORDER), st.sampled_from([0.1, 1.0, 21.0, 70.0]), st.sampled_from("-guoclrps"))


def happens(charger: Bench, letter: str) -> None:
    """A fault or an act of somebody else."""
    house, mine = charger.house, charger.house.inverter.settings
    match letter:
        case "g":
            house.set_grid(present=not house.grid_present)
        case "u":
            house.set_vehicle(plugged=not house.vehicle.plugged)
        case "o":
            house.command_switch(open_=house.switch.closed)
        case "c":
            mine.setpoint_enabled, mine.cap_enabled = not mine.setpoint_enabled, not mine.cap_enabled
        case "l":
            mine.local = not mine.local
        case "r":
            for forget in charger.unit.lost:
                forget()
        case "p":
            mine.permit_service = not mine.permit_service
        case "s":
            mine.setpoint_w = 1234.0


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(list(VARIANTS)), steps=st.lists(STEPS, max_size=14))
def test_whatever_happens_nothing_else_is_written_and_nothing_in_local_mode(
    name: str, steps: list[tuple[Order, float, str]]
) -> None:
    charger = bench(name)

    async def live() -> None:
        for order, seconds, letter in steps:
            happens(charger, letter)
            before = len(charger.unit.tried)
            with suppress(DeviceRefusedError):
                await charger.cycle(order, seconds)
            local = charger.house.inverter.settings.local and "no_715" not in VARIANTS[name].site
            assert not local or len(charger.unit.tried) == before

    asyncio.run(live())
    assert set(charger.unit.tried) <= MAY_BE_WRITTEN


async def test_local_mode_is_seen_and_left_alone() -> None:
    charger = bench("local mode")
    assert (await charger.read()).authority is Authority.LOCAL
    assert [await refused(charger, order) for order in ASKED.values()] == ["local_mode"] * 4
    await charger.cycle(Release())
    assert charger.unit.tried == []


async def test_a_lock_out_is_told_and_never_lifted() -> None:
    charger = bench("service not permitted")
    identity, _ = await charger.charger.probe()
    assert any("703.ES" in sentence for sentence in identity.findings)
    assert await refused(charger, Power(-3000)) == "service_not_permitted"
    assert (await charger.read()).service_permitted is False
    assert charger.unit.tried == []


# ---------------------------------------------------------------------------------------------------- setpoints

TAKING_POWER = [name for name, row in documented().items() if "power" in row["orders"]]


@pytest.mark.parametrize("name", TAKING_POWER)
@pytest.mark.parametrize("w", [-5170, 5170, -1, 9600, -9600])
async def test_power_comes_within_a_step_of_the_order_and_never_beyond_it(name: str, w: int) -> None:
    charger = bench(name)
    _, capability = await charger.charger.probe()
    for _ in range(10):
        await charger.cycle(Power(w))
    reading = await charger.read()
    assert reading.power_w is not None
    assert reading.setpoint_w is not None
    assert 0 <= abs(w) - abs(reading.setpoint_w) < capability.step_w + 1
    assert reading.setpoint_w * w >= 0
    # Power itself is read in the steps of 701.W_SF.
    assert abs(reading.power_w - reading.setpoint_w) <= capability.step_w


@pytest.mark.parametrize("in_watts", [True, False])
async def test_where_the_mode_is_not_told_watts_and_percent_say_the_same(in_watts: bool) -> None:
    charger = bench("no WSetMod")
    mine = charger.house.inverter.settings
    mine.setpoint_in_watts, mine.setpoint_pct = in_watts, 100.0  # what an earlier controller left
    for _ in range(5):
        reading = await charger.cycle(Power(-4800))
    assert reading.power_w == -4800


@pytest.mark.parametrize("name", TAKING_POWER)
async def test_each_change_of_a_standing_order_is_written_at_once(name: str) -> None:
    charger = bench(name)
    for w in (-3000, -3000, 3000, 3000, 0, -3000, -4000):
        await charger.cycle(Power(w))
        followed_w = (await charger.read()).setpoint_w
        assert followed_w is not None
        assert abs(followed_w - w) <= 100


async def test_a_percent_counts_of_the_power_setting_and_goes_no_further() -> None:
    charger = bench("percent only")
    charger.house.inverter.settings.power_limit_w = 4000.0
    _, capability = await charger.charger.probe()
    assert (capability.charge_rating_w, capability.discharge_rating_w, capability.step_w) == (4000, 4000, 4)
    assert await refused(charger, Power(-4001)) == "beyond_rating"
    for _ in range(4):
        reading = await charger.cycle(Power(-4000))
    assert (reading.power_w, reading.setpoint_w, reading.discharge_max_w) == (-4000, -4000, 4000)


async def test_without_a_rating_nothing_is_in_percent_of_it() -> None:
    charger = bench("percent only", no_702=True)
    identity, capability = await charger.charger.probe()
    assert capability.control is Control.NONE
    assert any("only be read" in sentence for sentence in identity.findings)


async def test_the_utilitys_cap_beside_our_setpoint_is_told_and_left_alone() -> None:
    charger = bench("complete")
    mine = charger.house.inverter.settings
    mine.cap_enabled, mine.cap_pct = True, 25.0
    assert (await charger.read()).discharge_max_w == 2400
    for order in (Power(-2400), Stop(), Release()):
        await charger.cycle(order)
    assert (mine.cap_enabled, mine.cap_pct) == (True, 25.0)


# ---------------------------------------------------------------------------------------------------- caps


def discharging_by_itself(name: str, driver: SunSpecOptions | None = None) -> Bench:
    """A charger whose own schedule discharges with 8 kW: a cap is all that we can do about it."""
    charger = bench(name, driver)
    mine = charger.house.inverter.settings
    mine.setpoint_enabled, mine.setpoint_w = True, -8000.0
    charger.pass_(5)
    return charger


async def test_a_cap_limits_the_discharge_is_read_back_renewed_and_withdrawn() -> None:
    charger = discharging_by_itself("cap only")
    for _ in range(70):
        reading = await charger.cycle(Limits(9600, 3000))
        assert (reading.lease_remaining_s or 60) >= 40
    assert (reading.power_w, reading.limits, reading.setpoint_w) == (-2995, Limits(9600, 2995), None)
    assert reading.authority is Authority.OURS
    caps = [write for write in charger.unit.named if "704.WMaxLimPct" in write]
    assert len(caps) == 4  # at 0, 20, 40 and 60 s
    assert (caps[0]["704.WMaxLimPctEnaRvrt"], caps[0]["704.WMaxLimPctRvrt"]) == (0, 100)
    await charger.cycle(Release(), 10)
    reading = await charger.read()
    assert (reading.power_w, reading.limits, reading.authority) == (-8000, None, Authority.UNKNOWN)


async def test_a_cap_that_nobody_renews_ends_by_itself() -> None:
    charger = discharging_by_itself("cap only")
    await charger.cycle(Limits(9600, 0), 59)
    assert charger.house.inverter.power_w == 0
    charger.pass_(10)
    assert charger.house.inverter.power_w == -8000


@pytest.mark.parametrize("order", [Power(-1000), Power(1000), Hold(), Pause()])
async def test_a_charger_that_only_takes_a_cap_refuses_power(order: Order) -> None:
    charger = bench("cap only")
    assert await refused(charger, order) == "not_supported"
    assert charger.unit.tried == []


async def test_a_cap_that_is_not_ours_is_left_alone() -> None:
    """It has no timer running: an installer or the utility meant it to stay."""
    charger = bench("cap only")
    mine = charger.house.inverter.settings
    mine.cap_enabled, mine.cap_pct = True, 50.0
    identity, _ = await charger.charger.probe()
    assert any("somebody else's" in sentence for sentence in identity.findings)
    assert await refused(charger, Limits(9600, 9600)) == "not_supported"
    assert await refused(charger, Release()) is None
    assert (mine.cap_pct, set(charger.unit.tried)) == (50.0, {"715.ControllerHb"})
    reading = await charger.read()
    assert (reading.limits, reading.authority) == (Limits(9600, 4800), Authority.UNKNOWN)


async def test_a_standing_cap_of_all_that_it_has_is_in_nobodys_way() -> None:
    """Ours reverts to it where the device keeps the enable."""
    charger = bench("cap only")
    charger.house.inverter.settings.cap_enabled = True
    assert await refused(charger, Limits(9600, 3000)) is None
    assert (await charger.read()).limits == Limits(9600, 2995)


async def test_our_cap_from_before_a_restart_is_known_as_ours() -> None:
    charger = bench("cap only")
    await charger.cycle(Limits(9600, 3000))
    again = type(charger.charger)("left", charger.unit, monotonic=charger.clock)
    restarted = Bench(charger.unit, again, charger.clock, charger.now)
    assert (await restarted.read()).authority is Authority.OURS
    await restarted.cycle(Release())
    assert not charger.house.inverter.settings.cap_enabled


async def test_where_nothing_can_be_stopped_the_discharge_at_least_is_capped_and_the_rest_is_told() -> None:
    charger = discharging_by_itself("cap only, no 715")
    assert await refused(charger, Stop()) == "not_supported"
    charger.pass_(5)
    assert charger.house.inverter.power_w == 0


async def test_a_cap_that_can_be_stopped_is_stopped_and_let_go() -> None:
    charger = discharging_by_itself("cap only")
    await charger.cycle(Limits(9600, 3000))
    await charger.cycle(Stop())
    assert charger.house.inverter.stage is Stage.OFF
    assert not charger.house.inverter.settings.cap_enabled
    await charger.cycle(Limits(9600, 3000))
    assert charger.house.inverter.stage is not Stage.OFF


async def test_a_cap_without_a_timer_is_given_only_to_what_never_carries_a_house() -> None:
    charger = bench("cap only, no timer")
    assert await refused(charger, Limits(9600, 3000)) == "not_supported"
    assert charger.unit.tried == []
    parallel = bench("cap only, no timer, `backup: none`")
    for order in (Limits(9600, 3000), Limits(9600, 0), Release()):
        assert await refused(parallel, order) is None
    assert not parallel.house.inverter.settings.cap_enabled


# ---------------------------------------------------------------------------------------------------- the timer


@pytest.mark.parametrize(
    ("name", "writes"),
    [
        ("complete", 31),
        ("timer renewed by its own write", 31),
        ("the same, several writes", 31 * 6 + 1),
        ("timer renewed by enabling", 1 + 30 * 4),
        ("no time left told", 31),
    ],
)
async def test_a_standing_order_is_renewed_whichever_write_starts_the_timer(name: str, writes: int) -> None:
    charger = bench(name)
    for _ in range(601):
        reading = await charger.cycle(Power(-3000))
        assert reading.lease_remaining_s is None or reading.lease_remaining_s > 0
        assert charger.house.inverter.settings.setpoint_enabled
        assert charger.house.inverter.settings.lease_s == 60
    assert charger.house.inverter.power_w == -3000
    assert sum("715.ControllerHb" not in write for write in charger.unit.named) == writes
    charger.pass_(61)
    assert not charger.house.inverter.settings.setpoint_enabled


async def test_an_order_whose_timer_does_not_run_is_withdrawn_refused_and_not_tried_again() -> None:
    charger = bench("timer never runs")
    assert await refused(charger, Power(-3000)) == "not_applied"
    assert not charger.house.inverter.settings.setpoint_enabled
    tried = len(charger.unit.tried)
    assert [await refused(charger, order) for order in (Power(-3000), Hold())] == ["not_applied"] * 2
    assert len(charger.unit.tried) == tried
    await charger.charger.probe()
    assert await refused(charger, Power(-3000)) == "not_applied"
    assert len(charger.unit.tried) > tried


def lose_withdrawals(charger: Bench, point: str, count: int) -> None:
    """Of the writes that disable it, the first (a renewal by enabling anew) arrives, the next ``count`` are lost."""
    unit = charger.unit
    at, arrives, seen = unit.face.image.points[point].address, unit.write_registers, iter(range(count + 1))

    async def write(address: int, values: list[int]) -> None:
        if address == at and values == [0] and next(seen, 0):
            raise DeviceUnreachableError("lost")
        await arrives(address, values)

    unit.write_registers = write  # type: ignore[method-assign]


@pytest.mark.parametrize("then", [Power(-9000), Hold(), Pause(), Stop(), Release()], ids=str)
async def test_whatever_is_ordered_next_first_repeats_a_withdrawal_that_was_lost(then: Order) -> None:
    charger = bench("timer never runs")
    lose_withdrawals(charger, "704.WSetEna", 3)
    with pytest.raises(DeviceUnreachableError):
        await charger.cycle(Power(-9000))
    assert charger.house.inverter.settings.setpoint_enabled
    for _ in range(4):
        with suppress(DeviceError):
            await charger.cycle(then)
    assert not charger.house.inverter.settings.setpoint_enabled


async def test_a_cap_whose_withdrawal_was_lost_is_still_known_as_ours_after_a_probe() -> None:
    charger = bench("timer never runs", no_wset=True)
    lose_withdrawals(charger, "704.WMaxLimPctEna", 1)
    with pytest.raises(DeviceUnreachableError):
        await charger.cycle(Limits(9600, 3000))
    await charger.charger.probe()
    assert charger.house.inverter.settings.cap_enabled
    await charger.cycle(Release())
    assert not charger.house.inverter.settings.cap_enabled


async def test_a_timer_that_runs_down_and_does_nothing_cannot_be_told_from_a_right_one() -> None:
    """Said in the document; only the measured power would show it, and nobody is left to measure."""
    charger = bench("complete", timer_ends_nothing=True)
    assert await refused(charger, Power(-3000)) is None
    charger.pass_(3600)
    assert charger.house.inverter.settings.setpoint_enabled


# ------------------------------------------------------------------------------------- two reversions, and we are dead

STANDING: tuple[Order, ...] = (Power(-3000), Power(3000), Hold(), Pause(), Power(-9600), Release())
OBEYED = pytest.mark.parametrize("obeyed", [False, True], ids=["setpoint ignored", "setpoint obeyed"])
LEASE_S, FORMS_S, RETRY_S = 60.0, 2.0, 5.0


def lit_from_s(charger: Bench, seconds: float) -> float:
    """When the house was lit for good within these seconds from now; fails where it is dark at their end."""
    start_s = charger.house.history.now_s
    charger.pass_(seconds)
    assert charger.house.powered
    dark = charger.house.dark_periods
    return (dark[-1].until_s or 0.0) - start_s if dark else 0.0


@OBEYED
@pytest.mark.parametrize("order", STANDING)
@pytest.mark.parametrize("name", ["complete", "percent only", "no WSetMod", "no WSetPct", "timer renewed by enabling"])
async def test_an_order_from_before_the_outage_leaves_the_house_lit_though_we_are_dead(
    name: str, order: Order, *, obeyed: bool
) -> None:
    """On grid, the order stands, our process dies, the grid is lost, the switch opens by itself or by hand."""
    charger = bench(name, setpoint_obeyed_in_island=obeyed)
    for _ in range(3):
        await charger.cycle(order)
    charger.house.set_grid(present=False)
    charger.house.command_switch(open_=True)
    assert lit_from_s(charger, 3600) <= (LEASE_S + RETRY_S if obeyed else 0.0) + FORMS_S
    assert charger.house.history.violations == []


@OBEYED
@pytest.mark.parametrize("order", STANDING)
async def test_in_the_island_the_house_stays_lit_when_we_die(order: Order, *, obeyed: bool) -> None:
    """Even with an order that had no business there: its end hands the charger back to its own."""
    charger = bench("complete", setpoint_obeyed_in_island=obeyed)
    await charger.cycle(Release())
    charger.house.set_grid(present=False)
    charger.house.command_switch(open_=True)
    charger.pass_(3)
    assert charger.house.inverter.stage is Stage.ISLAND
    await charger.cycle(order)
    harmless = not obeyed or isinstance(order, Release)
    assert lit_from_s(charger, 3600) <= (FORMS_S if harmless else LEASE_S + RETRY_S + FORMS_S)
    assert charger.house.dark_periods[1:] == [] or not harmless


@OBEYED
@pytest.mark.parametrize("cap_w", [0, 500, 9600])
async def test_a_cap_from_before_the_outage_leaves_the_house_lit_though_we_are_dead(
    cap_w: int, *, obeyed: bool
) -> None:
    charger = bench("cap only", setpoint_obeyed_in_island=obeyed)
    await charger.cycle(Limits(9600, cap_w))
    charger.house.set_grid(present=False)
    charger.house.command_switch(open_=True)
    assert lit_from_s(charger, 3600) <= (LEASE_S + RETRY_S if obeyed else 0.0) + FORMS_S


async def test_zero_enabled_would_leave_the_house_dark_which_is_why_only_a_grid_parallel_charger_gets_it() -> None:
    """The counter-proof: the same hour, with the reversion that a charger which may carry a house never gets."""
    charger = bench("complete", SunSpecOptions(backup="none"), setpoint_obeyed_in_island=True)
    await charger.cycle(Power(-3000))
    charger.house.set_grid(present=False)
    charger.house.command_switch(open_=True)
    charger.pass_(3600)
    assert not charger.house.powered


# ---------------------------------------------------------------------------------------------------- DC ports


async def test_of_two_dc_ports_the_vehicles_is_read() -> None:
    charger = bench("two DC ports", plugged=False)
    identity, _ = await charger.charger.probe()
    assert "It has 2 DC ports; port 2, which says it is a vehicle's, is read." in identity.findings
    assert (await charger.read()).plugged is False


@pytest.mark.parametrize(
    ("ports", "number", "said", "plugged"),
    [
        (2, 1, "DC port 1 was named as the vehicle's, but does not say so itself.", True),
        (2, 2, "It has 2 DC ports; port 2, which says it is a vehicle's, is read.", False),
        (1, 3, "It has no DC port 3: whether a vehicle is plugged in is a guess.", None),
        (1, 1, None, False),
    ],
)
async def test_a_dc_port_may_be_named(ports: int, number: int, said: str | None, plugged: bool | None) -> None:
    charger = bench("two DC ports", SunSpecOptions(dc_port=number), dc_ports=ports, plugged=False)
    identity, _ = await charger.charger.probe()
    assert [sentence for sentence in identity.findings if "DC port" in sentence] == ([said] if said else [])
    assert (await charger.read()).plugged is plugged


async def test_where_no_dc_port_says_it_is_a_vehicles_the_first_is_read_and_told() -> None:
    charger = bench("two DC ports")
    for place in (0, 1):
        charger.unit.face.image.put(f"714.Prt[{place}].PrtTyp", None)
    identity, _ = await charger.charger.probe()
    assert any("none says it is a vehicle's: the first is read" in sentence for sentence in identity.findings)


def test_the_dumps_say_what_they_are() -> None:
    for name in recorded():
        known = json.loads(dump_path(name).read_text(encoding="utf-8"))
        assert known["model"] == "sunspec_der"
        assert known["device"].endswith(f"variant: {name}")
