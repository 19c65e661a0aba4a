"""Load relays on a Modbus I/O block: the coil is the command, the contact the proof."""

from datetime import UTC, datetime

import pytest

from edge_service.chargers.link import Link
from edge_service.devices.relay_io import RelayIo, RelayIoOptions
from edge_service.domain.model import LoadOrder, LoadState
from edge_service.ports import DeviceRefusedError
from edge_service.simulation.loads import LoadOptions
from edge_service.simulation.options import SiteOptions
from tests.edge.chargers.peers import HOST, Request, linked
from tests.edge.simulation.site_kit import a_site

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
WITH_LOADS = SiteOptions(loads=(LoadOptions("pump", 1500), LoadOptions("heater", 4000)))


async def state_of(relay: RelayIo) -> LoadState | None:
    return (await relay.read(NOW)).state


async def test_a_load_is_shed_and_put_back_and_the_house_draws_less_meanwhile() -> None:
    async with a_site(WITH_LOADS) as (site, _), Link(HOST, site.relay_port) as link:
        relay = RelayIo("heater", link.unit(1), RelayIoOptions(coil=1, feedback_input=1))
        assert await state_of(relay) is LoadState.ON
        assert site.house.load_w == 1200 + 1500 + 4000
        await relay.give(LoadOrder.SHED)
        assert await state_of(relay) is LoadState.SHED
        assert site.house.load_w == 1200 + 1500
        await relay.give(LoadOrder.ON)
        assert await state_of(relay) is LoadState.ON
        assert site.house.load_w == 1200 + 1500 + 4000


async def test_an_order_that_stands_is_not_written_again() -> None:
    async with a_site(WITH_LOADS) as (site, _), Link(HOST, site.relay_port) as link:
        relay = RelayIo("pump", link.unit(1), RelayIoOptions(coil=0))
        await relay.give(LoadOrder.ON)
        assert not site.writes
        await relay.give(LoadOrder.SHED)
        await relay.give(LoadOrder.SHED)
        assert [write.named for write in site.writes] == [{"shed pump": 1}]


async def test_an_inverted_coil_sheds_by_its_off() -> None:
    async with a_site(WITH_LOADS) as (site, _), Link(HOST, site.relay_port) as link:
        relay = RelayIo("pump", link.unit(1), RelayIoOptions(coil=0, inverted=True))
        assert await state_of(relay) is LoadState.SHED
        await relay.give(LoadOrder.ON)
        assert await state_of(relay) is LoadState.ON
        assert site.house.loads.by_name["pump"].told_off


async def test_a_relay_that_sticks_is_not_taken_for_shed() -> None:
    async with a_site(WITH_LOADS) as (site, _), Link(HOST, site.relay_port) as link:
        relay = RelayIo("heater", link.unit(1), RelayIoOptions(coil=1, feedback_input=1))
        site.house.set_switched_load("heater", stuck=True)
        await relay.give(LoadOrder.SHED)
        assert await state_of(relay) is LoadState.ON
        site.house.set_switched_load("heater", stuck=False)
        assert await state_of(relay) is LoadState.SHED


async def test_power_led_round_a_shed_relay_is_a_persons_wish_and_a_switch_turned_off_on_site_too() -> None:
    async with a_site(WITH_LOADS) as (site, _), Link(HOST, site.relay_port) as link:
        relay = RelayIo("heater", link.unit(1), RelayIoOptions(coil=1, feedback_input=1))
        site.house.set_switched_load("heater", on=False)
        assert await state_of(relay) is LoadState.OFF
        site.house.set_switched_load("heater", on=True)
        await relay.give(LoadOrder.SHED)
        assert await state_of(relay) is LoadState.SHED
        site.house.set_switched_load("heater", bridged=True)
        assert await state_of(relay) is LoadState.KEPT
        await relay.give(LoadOrder.ON)
        assert await state_of(relay) is LoadState.ON


async def test_a_coil_that_reads_back_otherwise_is_refused() -> None:
    def deaf(request: Request) -> bytes:
        if request.function == 5:
            return request.frame(request.pdu)
        return request.frame(bytes((1, 1, 0)))

    async with linked(deaf) as (_, unit):
        with pytest.raises(DeviceRefusedError, match="reads back otherwise"):
            await RelayIo("pump", unit, RelayIoOptions(coil=0)).give(LoadOrder.SHED)


async def test_a_probe_says_what_stands_and_what_proves_it_and_writes_nothing() -> None:
    async with a_site(WITH_LOADS) as (site, _), Link(HOST, site.relay_port) as link:
        identity = await RelayIo("pump", link.unit(1), RelayIoOptions(coil=0)).probe()
        assert identity.findings == (
            "Coil 0: told to leave the load on.",
            "No contact proves it: the coil's read-back has to do.",
        )
        site.house.set_switched_load("pump", on=False)
        identity = await RelayIo("pump", link.unit(1), RelayIoOptions(coil=0, feedback_input=0)).probe()
        assert identity.findings[1:] == ("The contact is open though the load is to be on: it is off on site.",)
        assert not site.writes
