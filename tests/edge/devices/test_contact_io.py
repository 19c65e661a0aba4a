"""Input contacts on a Modbus input block: what is on, and what that means by the wiring."""

from datetime import UTC, datetime

import pytest

from edge_service.chargers.link import Link
from edge_service.devices import CONTACTS
from edge_service.devices.contact_io import ContactIo, ContactIoOptions
from edge_service.domain.model import ContactReading
from edge_service.ports import ContactInput, DeviceRefusedError, DeviceUnreachableError
from edge_service.simulation.faults import DeviceFaults
from edge_service.simulation.site_devices import Device
from tests.edge.chargers.peers import HOST, Request, linked
from tests.edge.simulation.site_kit import a_site, modbus, off_loop

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)


async def test_a_pressed_button_is_active_and_one_pulled_out_is_not() -> None:
    async with a_site() as (site, _), Link(HOST, site.contact_port) as link:
        stop = ContactIo("stop contact", link.unit(1), ContactIoOptions(input=0))
        assert await stop.read(NOW) == ContactReading(NOW, active=False)
        site.contacts.stop = True
        assert await stop.read(NOW) == ContactReading(NOW, active=True)
        site.contacts.stop = False
        assert await stop.read(NOW) == ContactReading(NOW, active=False)


async def test_each_contact_has_its_own_input() -> None:
    async with a_site() as (site, _), Link(HOST, site.contact_port) as link:
        site.contacts.generator = True
        told = [
            (await ContactIo("contact", link.unit(1), ContactIoOptions(input=at)).read(NOW)).active for at in (0, 1)
        ]
        assert told == [False, True]


async def test_a_voltage_relay_at_the_street_is_active_while_the_grid_is_gone() -> None:
    async with a_site() as (site, _), Link(HOST, site.contact_port) as link:
        relay = ContactIo("grid_lost contact", link.unit(1), ContactIoOptions(input=2))
        assert await relay.read(NOW) == ContactReading(NOW, active=False)
        site.house.set_grid(present=False)
        assert await relay.read(NOW) == ContactReading(NOW, active=True)


@pytest.mark.parametrize(
    ("wired", "circuit_closed", "active"),
    [
        ("open", False, True),
        ("open", True, False),
        ("closed", False, False),
        ("closed", True, True),
    ],
)
async def test_the_wiring_says_what_a_closed_circuit_means(wired: str, circuit_closed: bool, active: bool) -> None:
    def block(request: Request) -> bytes:
        assert (request.function, request.address, request.count) == (2, 7, 1)
        return request.frame(bytes((2, 1, circuit_closed)))

    async with linked(block) as (_, unit):
        contact = ContactIo("contact", unit, ContactIoOptions(input=7, active=wired))
        assert (await contact.read(NOW)).active is active


async def test_a_wire_that_breaks_is_a_stop_unless_somebody_wired_it_the_other_way() -> None:
    assert ContactIoOptions(input=0).active == "open"


async def test_a_probe_says_how_it_stands_and_writes_nothing() -> None:
    async with a_site() as (site, _), Link(HOST, site.contact_port) as link:
        stop = ContactIo("stop contact", link.unit(1), ContactIoOptions(input=0))
        assert (await stop.probe()).findings == ("Input 0 is closed: not active now.",)
        site.contacts.stop = True
        assert (await stop.probe()).findings == ("Input 0 is open: active now.",)
        assert list(site.writes) == []


async def test_a_silent_block_is_no_reading_and_an_input_that_is_not_there_is_refused() -> None:
    async with a_site() as (site, _), Link(HOST, site.contact_port, timeout_s=0.1) as link:
        with pytest.raises(DeviceRefusedError):
            await ContactIo("contact", link.unit(1), ContactIoOptions(input=3)).read(NOW)
        await site.misbehave(Device.CONTACTS, DeviceFaults(silent=True))
        with pytest.raises(DeviceUnreachableError):
            await ContactIo("contact", link.unit(1), ContactIoOptions(input=0)).read(NOW)


async def test_the_registry_builds_a_contact() -> None:
    model = CONTACTS["modbus_io"]
    async with a_site() as (site, _), Link(HOST, site.contact_port) as link:
        contact: ContactInput = model.build("stop contact", link.unit(1), model.options(input=0))
        assert (await contact.read(NOW)).active is False
        await contact.close()


async def test_a_foreign_client_reads_the_same_inputs() -> None:
    async with a_site() as (site, _), modbus(site.contact_port) as client:
        assert await off_loop(client.read_discrete_inputs, 0, 2) == [True, True]
        site.contacts.stop = True
        assert await off_loop(client.read_discrete_inputs, 0, 2) == [False, True]
        assert await off_loop(client.write_single_coil, 0, True) is False
