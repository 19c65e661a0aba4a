"""The island switch behind a Modbus I/O block."""

from datetime import UTC, datetime

import pytest

from edge_service.chargers.link import Link
from edge_service.devices import SWITCHES
from edge_service.devices.switch_io import SwitchIo, SwitchIoOptions
from edge_service.domain.model import SwitchOrder, SwitchReading
from edge_service.ports import DeviceRefusedError, DeviceUnreachableError, IslandSwitch, ProtocolViolationError
from edge_service.simulation.faults import DeviceFaults
from edge_service.simulation.site_devices import Device
from tests.edge.chargers.peers import HOST, Request, linked
from tests.edge.simulation.site_kit import a_site

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)


class Block:
    """An I/O block with one coil and two inputs; ``deaf`` acknowledges commands and forgets them."""

    def __init__(self, *, coil: bool = False, inputs: tuple[bool, bool] = (False, True), deaf: bool = False) -> None:
        self.coil, self.inputs, self.deaf = coil, inputs, deaf

    def __call__(self, request: Request) -> bytes:
        if request.function == 5:
            self.coil = self.coil if self.deaf else request.count == 0xFF00
            return request.frame(request.pdu[:5])
        bits = (
            [self.coil] if request.function == 1 else [*self.inputs][request.address : request.address + request.count]
        )
        return request.frame(bytes((request.function, 1, sum(bit << place for place, bit in enumerate(bits)))))


async def test_the_switch_opens_and_closes_and_proves_both() -> None:
    async with a_site() as (site, clock), Link(HOST, site.switch_port) as link:
        switch = SwitchIo("main", link.unit(1))
        assert (await switch.probe()).findings == ("It stands closed, by both contacts.",)
        assert await switch.read(NOW) == SwitchReading(NOW, False, False, True)
        await switch.move(SwitchOrder.OPEN)
        assert await switch.read(NOW) == SwitchReading(NOW, True, False, False)
        clock.pass_(0.2)
        assert await switch.read(NOW) == SwitchReading(NOW, True, True, False)
        assert (await switch.probe()).findings == ("It stands open, by both contacts.",)
        await switch.move(SwitchOrder.CLOSE)
        clock.pass_(0.2)
        assert await switch.read(NOW) == SwitchReading(NOW, False, False, True)


async def test_reading_and_probing_move_nothing() -> None:
    async with a_site() as (site, _), Link(HOST, site.switch_port) as link:
        switch = SwitchIo("main", link.unit(1))
        await switch.probe()
        await switch.read(NOW)
        assert list(site.writes) == []


async def test_an_inverted_coil_opens_when_off() -> None:
    block = Block(coil=True)
    async with linked(block) as (_, unit):
        switch = SwitchIo("main", unit, SwitchIoOptions(inverted=True))
        assert (await switch.read(NOW)).commanded_open is False
        await switch.move(SwitchOrder.OPEN)
        assert block.coil is False
        assert (await switch.read(NOW)).commanded_open is True


@pytest.mark.parametrize("order", list(SwitchOrder))
async def test_a_command_that_does_not_read_back_is_refused(order: SwitchOrder) -> None:
    async with linked(Block(coil=order is SwitchOrder.CLOSE, deaf=True)) as (_, unit):
        with pytest.raises(DeviceRefusedError) as error:
            await SwitchIo("main", unit).move(order)
        assert error.value.reason == "not_applied"


async def test_a_contact_that_is_not_wired_is_not_known() -> None:
    async with linked(Block(inputs=(True, False))) as (_, unit):
        switch = SwitchIo("main", unit, SwitchIoOptions(closed_proven_input=None))
        assert await switch.read(NOW) == SwitchReading(NOW, False, True, None)
        assert (await switch.probe()).findings == ("No contact proves that it is closed.",)


@pytest.mark.parametrize("options", [SwitchIoOptions(), SwitchIoOptions(closed_proven_input=100)])
async def test_contacts_that_prove_both_at_once_prove_nothing(options: SwitchIoOptions) -> None:
    def answer(request: Request) -> bytes:
        return request.frame(bytes((request.function, 1, 3)))

    async with linked(answer) as (_, unit):
        with pytest.raises(ProtocolViolationError, match="open and closed at once"):
            await SwitchIo("main", unit, options).read(NOW)


async def test_a_silent_switch_is_no_contact_rather_than_a_position() -> None:
    async with a_site() as (site, _), Link(HOST, site.switch_port, timeout_s=0.1) as link:
        await site.misbehave(Device.SWITCH, DeviceFaults(silent=True))
        with pytest.raises(DeviceUnreachableError):
            await SwitchIo("main", link.unit(1)).read(NOW)


async def test_the_registry_builds_a_switch() -> None:
    model = SWITCHES["modbus_io"]
    async with linked(Block()) as (_, unit):
        switch: IslandSwitch = model.build("main", unit, model.options())
        assert (await switch.read(NOW)).closed_proven is True
        await switch.close()
