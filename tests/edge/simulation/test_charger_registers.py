"""The simulated charger and meter as a foreign SunSpec client sees them, over real sockets."""

from typing import Any

import pytest

from edge_service.simulation.options import SiteOptions
from tests.edge.simulation.site_kit import a_site, modbus, off_loop, sunspec

WSET_ENA = 40318
OP_CTL = 40425


def variant(**options: Any) -> SiteOptions:
    return SiteOptions(**options)


def setpoint_block(power_w: int, lease_s: int) -> list[int]:
    """Offsets 22 to 32 of model 704: enabled, in watts (+ discharge), reverting to off."""
    return [1, 1, (power_w >> 16) & 0xFFFF, power_w & 0xFFFF, 0, 0, 0, 0, 0, 0, lease_s]


async def test_pysunspec2_finds_every_model_of_the_charger_where_the_facts_put_it() -> None:
    async with a_site() as (site, _), sunspec(site.charger_port) as device:
        found = [(model.model_id, model.model_addr, model.model_len) for model in device.model_list]
    assert found == [
        (1, 40002, 66),
        (701, 40070, 153),
        (702, 40225, 50),
        (703, 40277, 17),
        (704, 40296, 65),
        (713, 40363, 7),
        (714, 40372, 43),
        (715, 40417, 7),
    ]


@pytest.mark.parametrize("base", [0, 50000])
async def test_the_map_may_begin_at_another_base(base: int) -> None:
    async with a_site(SiteOptions(charger_base=base)) as (site, _), sunspec(site.charger_port) as device:
        assert device.models[701][0].model_addr == base + 70
        assert device.models[701][0].LLV.cvalue == 240


async def test_ratings_and_state_read_in_engineering_units() -> None:
    async with a_site() as (site, _), sunspec(site.charger_port) as device:
        measured, rated = device.models[701][0], device.models[702][0]
        assert (measured.LLV.cvalue, measured.LNV.cvalue, measured.Hz.cvalue) == (240, 120, 60)
        assert (measured.InvSt.value, measured.ConnSt.value, measured.DERMode.value) == (7, 1, 1)
        assert rated.WChaRteMaxRtg.cvalue == rated.WDisChaRteMaxRtg.cvalue == 9600
        assert rated.IntIslandCatRtg.value == 0b110
        assert rated.CtrlModes.value == 0b11
        assert device.models[713][0].SoC.cvalue == 70
        assert device.models[713][0].WHRtg.cvalue == 60_000
        assert device.models[715][0].OpCtl.value == 1


async def test_points_that_are_not_implemented_hold_their_sentinels() -> None:
    async with a_site() as (site, _), sunspec(site.charger_port) as device:
        assert device.models[701][0].TmpAmb.value is None
        assert device.models[701][0].WL3.value is None
        assert device.models[703][0].ESRndTms.value == 0
        assert device.models[704][0].VarSet.value is None


async def test_a_written_setpoint_discharges_the_vehicle_and_shows_at_the_meter() -> None:
    async with a_site() as (site, clock), sunspec(site.charger_port) as device, sunspec(site.meter_port) as meter:
        control = device.models[704][0]
        control.WSetRvrtTms.value, control.WSetEnaRvrt.value, control.WSetRvrt.value = 60, 0, 0
        control.WSetMod.value, control.WSet.value, control.WSetEna.value = 1, 5000, 1
        await off_loop(control.write)
        clock.pass_(3)
        await off_loop(device.models[701][0].read)
        await off_loop(control.read)
        await off_loop(meter.models[203][0].read)
        assert device.models[701][0].W.cvalue == 5000
        assert device.models[701][0].InvSt.value == 3
        assert control.WSetRvrtRem.value == 57
        assert meter.models[203][0].W.cvalue == 1200 - 5000
        clock.pass_(58)
        await off_loop(control.read)
        assert (control.WSetEna.value, control.WSetRvrtRem.value) == (0, 0)


async def test_one_request_of_eleven_registers_sets_the_whole_group() -> None:
    async with a_site() as (site, clock), modbus(site.charger_port) as client:
        assert await off_loop(client.write_multiple_registers, WSET_ENA, setpoint_block(-7200, 30))
        clock.pass_(2)
        assert site.house.inverter.settings.setpoint_w == 7200
        assert await off_loop(client.read_holding_registers, WSET_ENA, 13) == [*setpoint_block(-7200, 30), 0, 28]
        site.advance()
        assert site.house.inverter.power_w == 7200


async def test_every_write_to_the_group_renews_the_lease() -> None:
    async with a_site() as (site, clock), modbus(site.charger_port) as client:
        await off_loop(client.write_multiple_registers, WSET_ENA, setpoint_block(5000, 30))
        clock.pass_(25)
        assert await off_loop(client.write_single_register, WSET_ENA, 1)
        clock.pass_(25)
        assert await off_loop(client.read_holding_registers, WSET_ENA, 1) == [1]
        clock.pass_(6)
        assert await off_loop(client.read_holding_registers, WSET_ENA, 1) == [0]


async def test_an_outage_shows_in_registers_from_the_loss_to_the_island() -> None:
    async with a_site() as (site, clock), sunspec(site.charger_port) as device, modbus(site.switch_port) as switch:
        measured = device.models[701][0]
        site.house.set_grid(present=False)
        await off_loop(measured.read)
        assert (measured.ConnSt.value, measured.LLV.cvalue) == (1, 0)
        clock.pass_(0.17)
        await off_loop(measured.read)
        assert (measured.ConnSt.value, measured.InvSt.value) == (0, 7)
        assert measured.Alrm.value == 1 << 2 | 1 << 4 | 1 << 11
        assert await off_loop(switch.write_single_coil, 0, True)
        assert await off_loop(switch.read_discrete_inputs, 0, 2) == [False, False]
        clock.pass_(0.16)
        assert await off_loop(switch.read_discrete_inputs, 0, 2) == [True, False]
        await off_loop(measured.read)
        assert measured.InvSt.value == 2
        clock.pass_(1.5)
        await off_loop(measured.read)
        assert (measured.InvSt.value, measured.DERMode.value, measured.ConnSt.value) == (3, 2, 0)
        assert (measured.W.cvalue, measured.LLV.cvalue, measured.Hz.cvalue) == (1200, 240, 60)
        assert measured.Alrm.value == 1 << 2 | 1 << 4


async def test_stopping_in_the_island_shows_a_dead_bus_within_a_fifth_of_a_second() -> None:
    async with a_site() as (site, clock), sunspec(site.charger_port) as device:
        site.house.set_grid(present=False)
        site.house.command_switch(open_=True)
        clock.pass_(2)
        site.advance()
        assert site.house.powered
        device.models[715][0].OpCtl.value = 0
        await off_loop(device.models[715][0].write)
        clock.pass_(0.2)
        measured = device.models[701][0]
        await off_loop(measured.read)
        assert (measured.InvSt.value, measured.DERMode.value) == (0, 1)
        assert (measured.W.value, measured.LLV.value, measured.LNV.value, measured.Hz.value) == (0, 0, 0, 0)


async def test_the_enter_service_delay_counts_down_in_its_register() -> None:
    async with a_site() as (site, clock), sunspec(site.charger_port) as device:
        site.house.set_grid(present=False)
        clock.pass_(1)
        site.advance()
        site.house.set_grid(present=True)
        clock.pass_(2)
        await off_loop(device.models[703][0].read)
        assert (device.models[703][0].ESDlyTms.value, device.models[703][0].ESDlyRemTms.value) == (5, 3)


async def test_an_unplugged_vehicle_tells_no_charge() -> None:
    async with a_site() as (site, _), sunspec(site.charger_port) as device:
        site.house.set_vehicle(plugged=False)
        await off_loop(device.models[713][0].read)
        await off_loop(device.models[714][0].read)
        assert device.models[713][0].SoC.value is None
        assert device.models[714][0].Prt[0].DCSta.value == 0
        assert device.models[714][0].Prt[0].PrtTyp.value == 2


async def test_the_device_heartbeat_rises_each_second() -> None:
    async with a_site() as (site, clock), sunspec(site.charger_port) as device:
        first = device.models[715][0].DERHb.value
        clock.pass_(7)
        await off_loop(device.models[715][0].read)
        assert device.models[715][0].DERHb.value == first + 7


@pytest.mark.parametrize(
    ("address", "values", "code"),
    [
        (40072, [1], 2),  # 701.ACType cannot be written
        (40338, [0], 2),  # 704.VarSetPct is not implemented
        (40321, [0], 2),  # the lower half of 704.WSet
        (WSET_ENA, [2], 3),  # not in the enumeration
        (WSET_ENA + 2, [0x8000, 0], 3),  # the sentinel of WSet
        (40428, [0], 2),  # behind the end of the map
    ],
)
async def test_a_write_that_is_not_allowed_is_refused_whole(address: int, values: list[int], code: int) -> None:
    async with a_site() as (site, _), modbus(site.charger_port) as client:
        assert not await off_loop(client.write_multiple_registers, address, values)
        assert client.last_except == code
        assert [write.exception for write in site.writes] == [code]
        assert not site.house.inverter.settings.setpoint_enabled


async def test_local_control_refuses_orders_and_says_so() -> None:
    async with a_site() as (site, _), modbus(site.charger_port) as client:
        site.house.inverter.settings.local = True
        for address in (WSET_ENA, OP_CTL):
            assert not await off_loop(client.write_multiple_registers, address, [1])
            assert client.last_except == 4
        assert await off_loop(client.read_holding_registers, 40419, 1) == [1]


async def test_reading_past_either_end_of_the_map_is_refused() -> None:
    async with a_site() as (site, _), modbus(site.charger_port) as client:
        assert await off_loop(client.read_holding_registers, 40426, 2) == [0xFFFF, 0]
        for address, count in ((39999, 2), (40426, 3)):
            assert await off_loop(client.read_holding_registers, address, count) is None
            assert client.last_except == 2


async def test_a_power_scale_of_ten_watts_reads_the_same_power() -> None:
    async with a_site(SiteOptions(power_scale=1)) as (site, clock), sunspec(site.charger_port) as device:
        device.models[704][0].WSet.cvalue = 5000
        device.models[704][0].WSetEna.value = 1
        await off_loop(device.models[704][0].write)
        clock.pass_(3)
        await off_loop(device.models[701][0].read)
        assert device.models[701][0].W.cvalue == 5000
        assert device.models[702][0].WMaxRtg.cvalue == 9600


async def test_variants_leave_out_what_they_name() -> None:
    options = SiteOptions(no_wset=True, no_713=True, no_715=True)
    async with a_site(options) as (site, _), sunspec(site.charger_port) as device:
        assert [model.model_id for model in device.model_list] == [1, 701, 702, 703, 704, 714]
        assert device.models[704][0].WSet.value is None
        assert device.models[704][0].WMaxLimPct.cvalue == 100


@pytest.mark.parametrize("left_out", [702, 703, 704, 713, 714, 715])
async def test_a_model_may_be_left_out_and_the_others_close_up(left_out: int) -> None:
    async with (
        a_site(variant(**{f"no_{left_out}": True})) as (site, _),
        sunspec(site.charger_port) as device,
    ):
        assert [model.model_id for model in device.model_list] == [
            model for model in (1, 701, 702, 703, 704, 713, 714, 715) if model != left_out
        ]
        assert device.models[701][0].LLV.cvalue == 240


POINTS_LEFT_OUT = [
    ("no_wset", ("WSetEna", "WSetMod", "WSet", "WSetPct", "WSetRvrtTms", "WSetRvrtRem")),
    ("no_wset_mod", ("WSetMod",)),
    ("no_wset_pct", ("WSetPct", "WSetPctRvrt", "WSetPct_SF")),
    ("no_wset_ena_rvrt", ("WSetEnaRvrt",)),
    ("percent_only", ("WSet", "WSetRvrt", "WSet_SF")),
    ("no_timer", ("WSetRvrtTms", "WSetRvrtRem", "WMaxLimPctRvrtTms", "WMaxLimPctRvrtRem")),
    ("no_timer_left", ("WSetRvrtRem", "WMaxLimPctRvrtRem")),
]


@pytest.mark.parametrize(("option", "points"), POINTS_LEFT_OUT)
async def test_a_point_may_be_left_out_and_stays_so(option: str, points: tuple[str, ...]) -> None:
    async with a_site(variant(**{option: True})) as (site, clock), sunspec(site.charger_port) as device:
        clock.pass_(1)
        control = device.models[704][0]
        await off_loop(control.read)
        assert {name: control.points[name].value for name in points} == dict.fromkeys(points)
        assert control.WMaxLimPct.cvalue == 100


async def test_model_1_may_lack_its_last_register() -> None:
    async with a_site(SiteOptions(model_1_length=65)) as (site, _), sunspec(site.charger_port) as device:
        found = {model.model_id: (model.model_addr, model.model_len) for model in device.model_list}
        assert (found[1], found[701]) == ((40002, 65), (40069, 153))
        assert device.models[1][0].SN.value == "SIM0001"


async def test_of_two_dc_ports_the_second_is_the_vehicles() -> None:
    async with a_site(SiteOptions(dc_ports=2, plugged=False)) as (site, _), sunspec(site.charger_port) as device:
        ports = device.models[714][0].Prt
        assert [(port.PrtTyp.value, port.IDStr.value, port.DCSta.value) for port in ports] == [
            (0, "PV1", 1),
            (2, "EV1", 0),
        ]
        assert device.models[715][0].LocRemCtl.value == 0


async def test_a_setpoint_in_percent_counts_of_the_power_setting() -> None:
    async with a_site(SiteOptions(percent_only=True)) as (site, clock), sunspec(site.charger_port) as device:
        device.models[704][0].WSetPct.cvalue = -50
        device.models[704][0].WSetEna.value = 1
        await off_loop(device.models[704][0].write)
        clock.pass_(3)
        await off_loop(device.models[701][0].read)
        assert device.models[701][0].W.cvalue == -4800


WMAXLIM_ENA = 40310


async def test_a_cap_ends_with_a_timer_of_its_own() -> None:
    async with a_site() as (site, clock), modbus(site.charger_port) as client:
        setpoint = setpoint_block(8000, 300)
        assert await off_loop(client.write_multiple_registers, WSET_ENA, setpoint)
        assert await off_loop(client.write_multiple_registers, WMAXLIM_ENA, [1, 250, 1000, 0, 0, 30])
        clock.pass_(10)
        site.advance()
        assert site.house.inverter.power_w == -2400
        assert await off_loop(client.read_holding_registers, WMAXLIM_ENA + 6, 2) == [0, 20]
        clock.pass_(25)
        site.advance()
        assert site.house.inverter.power_w == -8000
        assert await off_loop(client.read_holding_registers, WMAXLIM_ENA, 2) == [0, 1000]


@pytest.mark.parametrize(
    ("renewed_by", "left_s"),
    # After 10 s each: the enable alone, the time alone, off and on.
    [("group", (60, 60, 60)), ("timer", (50, 60, 0)), ("enable", (50, 40, 60)), ("nothing", (0, 0, 0))],
)
async def test_what_starts_the_reversion_timer_anew_is_the_devices_own(
    renewed_by: str, left_s: tuple[int, int, int]
) -> None:
    writes: tuple[list[tuple[int, list[int]]], ...] = ([(0, [1])], [(9, [0, 60])], [(0, [0]), (0, [1])])
    async with (
        a_site(SiteOptions(timer_renewed_by=renewed_by)) as (site, clock),
        modbus(site.charger_port) as client,
    ):
        assert await off_loop(client.write_multiple_registers, WSET_ENA, setpoint_block(1000, 60))
        seen = []
        for parts in writes:
            clock.pass_(10)
            for offset, words in parts:
                assert await off_loop(client.write_multiple_registers, WSET_ENA + offset, words)
            seen.append((await off_loop(client.read_holding_registers, WSET_ENA + 11, 2))[1])
    assert tuple(seen) == left_s


async def test_a_timer_may_run_down_and_do_nothing() -> None:
    async with a_site(SiteOptions(timer_ends_nothing=True)) as (site, clock), modbus(site.charger_port) as client:
        assert await off_loop(client.write_multiple_registers, WSET_ENA, setpoint_block(1000, 10))
        clock.pass_(60)
        site.advance()
        assert site.house.inverter.settings.setpoint_enabled


async def test_a_charger_may_start_in_local_mode() -> None:
    async with a_site(SiteOptions(local=True)) as (site, _), sunspec(site.charger_port) as device:
        assert device.models[715][0].LocRemCtl.value == 1


@pytest.mark.parametrize("model", [201, 202, 203])
async def test_the_meter_measures_the_street_side(model: int) -> None:
    async with a_site(SiteOptions(meter_model=model)) as (site, clock), sunspec(site.meter_port) as device:
        meter = device.models[model][0]
        assert (meter.W.cvalue, meter.PPV.cvalue, meter.PhVphA.cvalue, meter.Hz.cvalue) == (1200, 240, 120, 60)
        clock.pass_(3600)
        await off_loop(meter.read)
        assert meter.TotWhImp.cvalue == 1200
        site.house.set_grid(present=False)
        await off_loop(meter.read)
        assert (meter.W.value, meter.PPV.value, meter.Hz.value, meter.A.value) == (0, 0, 0, 0)
