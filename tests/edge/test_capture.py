"""``ridethrough capture``: a dump holds what the driver reads, tells nobody's serial number, and writes nothing."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge_service.capture import HOLDING, INPUT, Range, Recorded, RecordingUnit, capture
from edge_service.chargers.link import Link
from edge_service.command_line import main
from edge_service.ports import DeviceRefusedError, DeviceUnreachableError
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from tests.edge.chargers.peers import HOST, Registers, linked

NOW = datetime(2026, 7, 15, 20, 0, tzinfo=UTC)


def words_of(dump: dict[str, Any]) -> dict[int, int]:
    runs = dump["holding_registers"].items()
    return {int(first) + place: word for first, words in runs for place, word in enumerate(words)}


async def test_a_dump_reads_in_a_test_as_the_device_did_and_nothing_was_written() -> None:
    async with SimulatedSite(SiteOptions()) as site, Link(HOST, site.charger_port) as link:
        dump = await capture(link, "sunspec_der", 1, NOW)
        assert not site.writes
    assert dump["seen"]["reading"]["soc_pct"] == 70.0
    async with linked(Registers(words_of(dump))) as (peer, _), Link(HOST, peer.port) as again:
        replayed = await capture(again, "sunspec_der", 1, NOW)
    # The serial number was replaced, by as many noughts as it had characters.
    assert replayed["seen"] == dump["seen"]


async def test_the_serial_number_is_nowhere_in_a_dump() -> None:
    async with SimulatedSite(SiteOptions()) as site, Link(HOST, site.charger_port) as link:
        serial = await link.unit(1).read_holding_registers(40052, 4)
        dump = await capture(link, "sunspec_der", 1, NOW)
    assert bytes(byte for word in serial for byte in word.to_bytes(2)).startswith(b"SIM0001")
    raw = b"".join(word.to_bytes(2) for _, word in sorted(words_of(dump).items()))
    assert b"SIM0001" not in raw
    assert b"0000000" in raw
    assert "SIM0001" not in json.dumps(dump)
    assert dump["redacted"] == [{"unit": 1, "kind": HOLDING, "address": 40052, "count": 4}]


@pytest.mark.parametrize(
    ("words", "serial", "left"),
    [
        ({10: 0x0001, 11: 0xE240, 12: 7}, "123456", {10: 0, 11: 0, 12: 7}),
        # A text that begins in the low byte of a register.
        ({10: 0x2041, 11: 0x4243, 12: 0x2020}, "ABC", {10: 0x2030, 11: 0x3030, 12: 0x2020}),
        ({10: 0x4142, 20: 0x4300}, "ABC", {10: 0x4142, 20: 0x4300}),
        ({10: 0}, "", {10: 0}),
    ],
)
def test_a_serial_number_is_found_as_text_and_as_a_number(
    words: dict[int, int], serial: str, left: dict[int, int]
) -> None:
    recorded = Recorded()
    for address, word in words.items():
        recorded.keep(1, INPUT, address, [word])
    recorded.redact(serial)
    assert recorded.words == {1: {INPUT: left}}
    hidden = {told["address"] + place for told in recorded.redacted for place in range(told["count"])}
    assert hidden == {address for address, word in words.items() if left[address] != word}, "and says where"


async def test_a_capture_refuses_to_write() -> None:
    async with SimulatedSite(SiteOptions()) as site, Link(HOST, site.charger_port) as link:
        unit = RecordingUnit(link, 1, Recorded())
        for write in (unit.write_register(40318, 1), unit.write_registers(40318, [1]), unit.write_coil(0, True)):
            with pytest.raises(DeviceRefusedError, match="writes nothing"):
                await write
        assert not site.writes


async def test_a_device_that_the_driver_does_not_understand_gives_a_dump_of_what_it_answered() -> None:
    registers = Registers({at: at % 7 for at in range(100, 160)}, refused=[130])
    async with linked(registers) as (peer, _), Link(HOST, peer.port) as link:
        also = [Range(HOLDING, 100, 159), Range(HOLDING, 500, 500)]
        dump = await capture(link, "sunspec_der", 1, NOW, also)
    assert "no SunSpec map" in dump["seen"]["error"]
    # The slice with the refused register is missing, and named.
    assert set(words_of(dump)) == {*range(100, 120), *range(140, 160)}
    assert {(told["address"], told["reason"]) for told in dump["refused"]} >= {(120, "illegal_address")}
    assert registers.writes == []
    assert dump["source"].endswith("; no serial number was found: look before you share")


@pytest.mark.parametrize("model", ["sunspec_der", "wallbox_quasar_1"])
async def test_a_device_that_the_driver_does_not_understand_tells_its_serial_number_no_more_than_another(
    model: str,
) -> None:
    """A SunSpec meter is no charger of any model."""
    async with SimulatedSite(SiteOptions()) as site, Link(HOST, site.meter_port) as link:
        serial = await link.unit(1).read_holding_registers(40052, 4)
        dump = await capture(link, model, 1, NOW, [Range(HOLDING, 40000, 40069)])
    assert bytes(byte for word in serial for byte in word.to_bytes(2)).startswith(b"SIMM0001")
    assert "error" in dump["seen"]
    assert [words_of(dump)[address] for address in range(40052, 40056)] == [0x3030] * 4
    assert dump["redacted"] == [{"unit": 1, "kind": HOLDING, "address": 40052, "count": 4}]
    assert dump["source"].endswith("; serial number removed")


async def test_a_charger_that_is_read_as_another_model_tells_no_serial_number() -> None:
    async with (
        SimulatedSite(SiteOptions(charger_model="evtec_bidipro_10")) as site,
        Link(HOST, site.charger_port) as link,
    ):
        known = await capture(link, "evtec_bidipro_10", 1, NOW)
        (stood,) = known["redacted"]
        place = Range(stood["kind"], stood["address"], stood["address"] + stood["count"] - 1)
        dump = await capture(link, "sunspec_der", 1, NOW, [place])
        assert not site.writes
    assert "error" in dump["seen"]
    assert dump["redacted"] == known["redacted"]


async def test_where_nothing_answers_there_is_no_dump() -> None:
    async with Link(HOST, 9) as link:
        with pytest.raises(DeviceUnreachableError):
            await capture(link, "sunspec_der", 1, NOW)


async def test_the_command_writes_a_file_once_and_says_what_is_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dump.json"
    async with SimulatedSite(SiteOptions()) as site:
        words = ["capture", "--address", f"{HOST}:{site.charger_port}", "--model", "sunspec_der", "--out", str(out)]
        words += ["--also", "holding:40000-40069"]
        assert await asyncio.to_thread(main, words) == 0
        assert await asyncio.to_thread(main, words) == 1
    told = capsys.readouterr()
    assert "registers; read it before you share it" in told.out
    assert "is there already" in told.err
    text = await asyncio.to_thread(out.read_text, encoding="utf-8")
    assert set(range(40000, 40070)) <= set(words_of(json.loads(text)))
    assert len(text.splitlines()) < 150, "registers stand on one line each run"


async def test_the_options_of_a_model_are_given_as_in_the_configuration_and_kept_in_the_dump(tmp_path: Path) -> None:
    out = tmp_path / "dump.json"
    options = SiteOptions(charger_model="sigenergy_evdc", rating_w=12_500)
    async with SimulatedSite(options) as site:
        words = ["capture", "--address", f"{HOST}:{site.charger_port}", "--model", "sigenergy_evdc", "--out", str(out)]
        words += ["--option", "request_gap_s=0", "--option", "discharge=true", "--option", "plant_unit_id=3"]
        assert await asyncio.to_thread(main, words) == 0
    dump = json.loads(await asyncio.to_thread(out.read_text, encoding="utf-8"))
    assert dump["options"] == {"request_gap_s": 0, "discharge": True, "plant_unit_id": 3}
    assert dump["seen"]["capability"]["discharge_rating_w"] == 12_500
    assert dump["seen"]["reading"]["grid_present"] is None, "the plant is at another unit"
    assert "247" not in dump.get("other_units", {})


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--address", "x:1", "--model", "toaster"], 1, "no model toaster; there are: "),
        (["--address", "x:99999", "--model", "sunspec_der"], 1, "--address x:99999 is wrong; allowed: host"),
        (["--address", "x", "--model", "sunspec_der", "--unit-id", "300"], 2, "a Modbus unit from 1 to 247"),
        (["--address", "x", "--model", "sunspec_der", "--also", "holding:9-3"], 2, "holding: or input:"),
        (["--address", "x", "--model", "sunspec_der", "--option", "dc_port"], 2, "a key and its value"),
        (["--address", "x", "--model", "sunspec_der", "--option", "dc_port=9"], 1, "found 9; allowed: a number from 0"),
        (["--address", "x", "--model", "sunspec_der", "--option", "backup=non"], 1, "auto or none or vendor"),
        (
            ["--address", "x", "--model", "evtec_bidipro_10", "--option", "dc_port=1"],
            1,
            "there are: connector, lease_s",
        ),
        (["--address", "x", "--model", "evtec_bidipro_10", "--option", "connector=["], 1, "this is not YAML"),
        (["--address", "x", "--model", "evtec_bidipro_10", "--option", "unit_id=2"], 1, "no such option"),
    ],
)
def test_a_wrong_word_is_named_with_what_is_allowed(
    words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        ended: object = main(["capture", *words])
    except SystemExit as end:
        ended = end.code
    assert ended == code
    assert says in capsys.readouterr().err
