"""The simulated Wallbox Quasar 1, as a foreign Modbus client and the model's own clock see it."""

from argparse import ArgumentParser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from pyModbusTCP.client import ModbusClient
from pyModbusTCP.constants import EXP_DATA_ADDRESS, EXP_DATA_VALUE, EXP_ILLEGAL_FUNCTION

from edge_service.simulation import site_command
from edge_service.simulation.charger_models import SIMULATED
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.quasar_registers import GLITCH_EVERY, QuasarRegisters
from edge_service.simulation.site import SimulatedSite
from tests.edge.simulation.site_kit import HandClock, a_site, modbus, off_loop

QUASAR = SiteOptions(charger_model="wallbox_quasar_1", enter_service_s=5, rating_w=7400)


@asynccontextmanager
async def a_quasar(
    options: SiteOptions = QUASAR, **quirks: bool
) -> AsyncIterator[tuple[SimulatedSite, HandClock, ModbusClient]]:
    async with a_site(replace(options, quirks=quirks)) as (site, clock), modbus(site.charger_port) as client:
        yield site, clock, client


async def read(client: ModbusClient, address: int, count: int = 1) -> list[int]:
    words: list[int] | None = await off_loop(client.read_holding_registers, address, count)
    assert words is not None, client.last_error_as_txt
    return words


async def signed(client: ModbusClient, address: int) -> int:
    word = (await read(client, address))[0]
    return word - 0x10000 if word >= 0x8000 else word


async def write(client: ModbusClient, *pairs: tuple[int, int]) -> None:
    for address, value in pairs:
        assert await off_loop(client.write_single_register, address, value & 0xFFFF), client.last_except


async def discharge(client: ModbusClient, power_w: int, watchdog_s: int = 60) -> None:
    await write(client, (81, 1), (82, 0), (83, 1), (88, watchdog_s), (257, 1), (260, power_w))


async def pass_(site: SimulatedSite, clock: HandClock, seconds: float) -> None:
    clock.pass_(seconds)
    site.advance()


async def test_a_foreign_client_reads_the_four_blocks_and_no_hole() -> None:
    async with a_quasar() as (_, _, client):
        assert (await read(client, 1, 9))[:3] == [3400, 5, 19659]
        assert await read(client, 80, 9) == [502, 0, 1, 0, 0, 6, 0, 0, 0]
        assert await read(client, 256, 5) == [0] * 5
        assert len(await read(client, 512, 37)) == 37
        for address, count in ((0, 1), (1, 80), (89, 2), (256, 6), (500, 20), (549, 1)):
            assert await off_loop(client.read_holding_registers, address, count) is None
            assert client.last_except == EXP_DATA_ADDRESS


async def test_a_foreign_client_makes_it_discharge_slowly_and_not_quite_as_asked() -> None:
    async with a_quasar() as (site, clock, client):
        await discharge(client, -5000)
        assert await read(client, 537) == [11]
        await pass_(site, clock, 7.5)
        assert -2400 < await signed(client, 526) < -2200
        await pass_(site, clock, 7.5)
        assert await signed(client, 526) == -4600
        await write(client, (260, 0))
        await pass_(site, clock, 2)
        assert await signed(client, 526) == 0


async def test_it_charges_in_whole_amperes_in_current_mode() -> None:
    async with a_quasar() as (site, clock, client):
        await write(client, (81, 1), (82, 0), (88, 60), (258, 10), (257, 1))
        await pass_(site, clock, 15)
        assert await signed(client, 526) == round(0.92 * 10 * 240)
        assert await read(client, 537) == [1]


async def test_silence_on_the_line_ends_the_session_and_any_message_prevents_it() -> None:
    async with a_quasar() as (site, clock, client):
        await discharge(client, -5000, watchdog_s=20)
        for _ in range(4):
            await pass_(site, clock, 15)
            assert await signed(client, 526) == -4600
        await pass_(site, clock, 20)
        assert not site.house.inverter.settings.setpoint_enabled
        await pass_(site, clock, 2)
        assert (await read(client, 537), await signed(client, 526)) == ([4], 0)


async def test_nothing_takes_effect_before_control_is_taken() -> None:
    async with a_quasar() as (site, clock, client):
        await write(client, (82, 0), (83, 1), (88, 60), (260, -5000), (257, 1))
        assert await read(client, 80, 9) == [502, 0, 1, 0, 0, 6, 0, 0, 0]
        await pass_(site, clock, 20)
        assert (await read(client, 537), await read(client, 260)) == ([4], [0])


async def test_giving_control_back_resets_the_settings_but_does_not_stop_a_session() -> None:
    async with a_quasar() as (site, _, client):
        await discharge(client, -5000)
        await write(client, (258, 10), (81, 0))
        assert await read(client, 80, 9) == [502, 0, 1, 0, 0, 6, 0, 0, 0]
        assert site.house.inverter.settings.setpoint_enabled
        assert site.house.inverter.wished_w == 2400


async def test_it_starts_by_itself_at_the_next_plug_unless_that_was_switched_off() -> None:
    async with a_quasar(replace(QUASAR, plugged=False)) as (site, clock, client):
        assert await read(client, 537) == [0]
        site.house.set_vehicle(plugged=True)
        await pass_(site, clock, 15)
        assert await signed(client, 526) == round(0.92 * 7400)
        site.house.set_vehicle(plugged=False)
        await write(client, (81, 1), (82, 0), (256, 1))
        assert (await read(client, 537), await signed(client, 526)) == ([6], 0)
        site.house.set_vehicle(plugged=True)
        assert await read(client, 537) == [4]


async def test_the_charge_shows_only_while_power_flows_and_sometimes_wrongly() -> None:
    async with a_quasar() as (site, clock, client):
        assert await read(client, 538) == [0]
        await discharge(client, -5000)
        await pass_(site, clock, 1)
        face = site.charger.face
        assert isinstance(face, QuasarRegisters)
        seen = [face.read_registers(538, 1)[0] for _ in range(GLITCH_EVERY)]
        assert (seen.count(1), seen.count(69)) == (1, GLITCH_EVERY - 1)
        await site.switch_quirks({"soc_zero_when_idle": False, "soc_glitch": False})
        await write(client, (257, 2))
        await pass_(site, clock, 3)
        assert await read(client, 538) == [69]


@pytest.mark.parametrize(("soc_pct", "power_w"), [(97.5, 5000), (9.0, -5000)])
async def test_a_full_car_takes_nothing_and_an_empty_one_gives_nothing(soc_pct: float, power_w: int) -> None:
    async with a_quasar(replace(QUASAR, soc_pct=soc_pct)) as (site, clock, client):
        await discharge(client, power_w)
        await pass_(site, clock, 15)
        assert (await read(client, 537), await signed(client, 526)) == ([2], 0)


async def test_an_impossible_value_or_a_read_only_register_is_refused() -> None:
    async with a_quasar() as (_, _, client):
        for address, value, code in (
            (260, 7500, EXP_DATA_VALUE),
            (258, 33, EXP_DATA_VALUE),
            (537, 1, EXP_DATA_ADDRESS),
        ):
            assert not await off_loop(client.write_single_register, address, value)
            assert client.last_except == code


async def test_a_crashed_module_answers_nothing_and_comes_back_when_healed() -> None:
    async with a_site(replace(QUASAR, quirks={"modbus_crash": True})) as (site, _):
        async with modbus(site.charger_port, timeout_s=0.2) as client:
            assert await off_loop(client.read_holding_registers, 537, 1) is None
        await site.switch_quirks({"modbus_crash": False})
        async with modbus(site.charger_port) as client:
            assert await read(client, 537) == [4]


@pytest.mark.parametrize("quirk", ["power_mode_unsupported", "power_mode_ignored", "watchdog_not_kept", "app_control"])
async def test_what_the_firmware_does_not_do_does_not_read_back(quirk: str) -> None:
    async with a_quasar(QUASAR, **{quirk: True}) as (_, _, client):
        await write(client, (81, 1), (88, 60))
        done = await off_loop(client.write_single_register, 83, 1)
        assert done or client.last_except == EXP_ILLEGAL_FUNCTION
        kept = (await read(client, 83), await read(client, 88))
        expected: dict[str, tuple[bool, object]] = {
            "power_mode_unsupported": (False, ([0], [60])),
            "power_mode_ignored": (True, ([0], [60])),
            "watchdog_not_kept": (True, ([1], [0])),
            "app_control": (True, ([0], [0])),
        }
        assert (bool(done), kept) == expected[quirk]
        assert await read(client, 537) == [3 if quirk == "app_control" else 4]


async def test_a_wrong_grid_code_blocks_discharge_without_a_word() -> None:
    async with a_quasar(discharge_blocked_by_grid_code=True) as (site, clock, client):
        await discharge(client, -5000)
        await pass_(site, clock, 20)
        assert (await read(client, 537), await signed(client, 526), await read(client, 539, 4)) == ([11], 0, [0] * 4)


async def test_an_error_shows_in_state_and_word_and_passes_after_a_restart() -> None:
    async with a_quasar(unrecoverable_error=True, error_after_restart=True) as (site, clock, client):
        assert (await read(client, 537), await read(client, 539)) == ([7], [4])
        await site.switch_quirks({"unrecoverable_error": False})
        assert await read(client, 537) == [7]
        await pass_(site, clock, 60)
        assert await read(client, 537) == [4]
        await write(client, (81, 1), (257, 3))
        assert (await read(client, 537), await read(client, 81)) == ([7], [0])


async def test_without_the_grid_it_is_gone() -> None:
    async with a_quasar() as (site, clock, client):
        await discharge(client, -5000)
        site.house.set_grid(present=False)
        await pass_(site, clock, 1)
        assert await off_loop(client.read_holding_registers, 537, 1) is None
        site.house.set_grid(present=True)
        await pass_(site, clock, 5)
        assert await read(client, 537) == [11]


async def test_its_power_trembles_when_asked_to() -> None:
    async with a_quasar(power_jitter=True) as (site, clock, client):
        await discharge(client, -5000)
        await pass_(site, clock, 15)
        seen = set()
        for _ in range(20):
            await pass_(site, clock, 1)
            seen.add(await signed(client, 526))
        assert len(seen) > 5
        assert all(abs(power_w + 4600) <= 50 for power_w in seen)


async def test_quirks_are_switched_live_and_an_unknown_one_is_told_with_those_there_are() -> None:
    async with a_site(QUASAR) as (site, _), aiohttp.ClientSession(site.control_url) as session:
        async with session.post("/charger/quirks", json={"app_control": True}) as answer:
            assert answer.status == 200
        async with session.get("/truth") as answer:
            told: Any = await answer.json()
        assert told["charger"]["quirks"]["app_control"] is True
        async with session.post("/charger/quirks", json={"app_controll": True}) as answer:
            assert answer.status == 400
            assert "app_control," in (await answer.json())["allowed"]


def test_an_unknown_model_or_quirk_is_refused_with_the_choice() -> None:
    with pytest.raises(ValueError, match=f"allowed is one of {', '.join(SIMULATED)}"):
        SimulatedSite(SiteOptions(charger_model="wallbox"))
    with pytest.raises(ValueError, match="unknown quirk slow; this charger has soc_zero_when_idle"):
        SimulatedSite(replace(QUASAR, quirks={"slow": True}))
    with pytest.raises(ValueError, match="unknown quirk slow; this charger has none"):
        SimulatedSite(SiteOptions(quirks={"slow": True}))


def test_the_command_line_chooses_the_model_and_its_quirks() -> None:
    parser = ArgumentParser()
    site_command.add_arguments(parser)
    words = ["--charger-model", "wallbox_quasar_1", "--quirk", "app_control", "--quirk", "soc_glitch=off"]
    args = parser.parse_args(words)
    assert args.charger_model == "wallbox_quasar_1"
    assert dict(args.quirks) == {"app_control": True, "soc_glitch": False}
    with pytest.raises(SystemExit):
        parser.parse_args(["--quirk", "soc_glitch=perhaps"])
