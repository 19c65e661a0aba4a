"""What every charger model must keep to. A new model needs a line in ``RIGS``; everything here then asks it too.

Each model meets its simulated device on real sockets, its dumps and those of all others, registers full of nonsense,
and a second implementation: a foreign client reads what our link reads, and repeats what our driver wrote.
"""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.capture import HOLDING, INPUT, capture
from edge_service.chargers import MODELS
from edge_service.chargers.link import Link, Unit
from edge_service.domain.model import (
    Capability,
    ChargerReading,
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
from edge_service.ports import Charger, DeviceError, DeviceUnreachableError
from edge_service.simulation.charger_models import SIMULATED
from edge_service.simulation.faults import DeviceFaults
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.site_devices import Device
from tests.edge.chargers.peers import DUMPS, HOST, Peer, Request
from tests.edge.chargers.plausible import assert_plausible
from tests.edge.simulation.site_kit import HandClock, a_site, modbus, off_loop

DOCS = Path(__file__).parents[3] / "docs" / "chargers"
NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
LEASE_S = 60
WATTS = 4000


@dataclass(frozen=True, slots=True)
class Rig:
    """How a model is put to the test: what ``site.yaml`` would say of it, and the device that is simulated for it.

    ``keeps_discharging``: a release leaves a discharge alone, as the maker's own gateway may carry the house by it.
    ``tells_grid``: it has a register that shows whether the grid is there.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    site: Mapping[str, Any] = field(default_factory=dict)
    keeps_discharging: bool = False
    tells_grid: bool = True


RIGS: Mapping[str, Rig] = {
    "sunspec_der": Rig({"lease_s": LEASE_S}),
    "evtec_bidipro_10": Rig({"lease_s": LEASE_S}, tells_grid=False),
    "wallbox_quasar_1": Rig({"lease_s": LEASE_S}, {"rating_w": 7400, "quirks": {"soc_zero_when_idle": False}}),
    "sigenergy_evdc": Rig(
        {"request_gap_s": 0, "discharge": True},
        {"rating_w": 12_500, "quirks": {"start_opens_discharge": True}},
        keeps_discharging=True,
    ),
}


def a_driver(model: str, unit: Unit, clock: HandClock) -> Charger:
    """The driver on the test's clock, without the pauses in real time that it would keep."""
    entry = MODELS[model]
    charger = entry.build("left", unit, entry.options(**RIGS[model].options), monotonic=clock)
    unit.set_message_spacing(0)
    return charger


# Since when, function, address, values.
type Write = tuple[timedelta, int, int, tuple[int, ...]]


@dataclass(slots=True)
class Bench:
    """A driver at its simulated charger, one clock for both; the time of day is ``set_by`` seconds off."""

    site: SimulatedSite
    clock: HandClock
    link: Link
    charger: Charger
    capability: Capability
    reading: ChargerReading | None = None
    set_by: float = 0.0

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.clock.now_s + self.set_by)

    @property
    def writes(self) -> list[Write]:
        start = self.site.started_at
        return [(write.at - start, write.function, write.address, tuple(write.values)) for write in self.site.writes]

    @property
    def power_w(self) -> float:
        """What physically flows: + charges."""
        self.site.advance()
        return self.site.house.inverter.power_w

    def asking(self, power_w: int) -> Order:
        """The order by which this model is told a power."""
        if self.capability.control is not Control.TWO_LIMITS:
            return Power(power_w)
        floors = (self.capability.min_charge_w, self.capability.min_discharge_w)
        return Limits(power_w, floors[1]) if power_w > 0 else Limits(floors[0], -power_w)

    async def cycles(self, order: Order | None, seconds: int) -> ChargerReading:
        """Read and order once a second, as the core does; a refused order is one that did not go out."""
        for _ in range(seconds):
            self.clock.pass_(1)
            self.site.advance()
            with suppress(DeviceError):
                self.reading = await self.charger.read(self.now)
            if order is not None:
                with suppress(DeviceError):
                    await self.charger.order(order, self.now)
        assert self.reading is not None
        return self.reading


@asynccontextmanager
async def a_bench(model: str, **site: Any) -> AsyncIterator[Bench]:
    rig = RIGS[model]
    options = SiteOptions(charger_model=model, **{"enter_service_s": 0, "soc_pct": 60, **rig.site, **site})
    async with a_site(options) as (simulated, clock), Link(HOST, simulated.charger_port) as link:
        charger = a_driver(model, link.unit(1), clock)
        _, capability = await charger.probe()
        yield Bench(simulated, clock, link, charger, capability)
        await charger.close()


every_model = pytest.mark.parametrize("model", list(MODELS))


# ------------------------------------------------------------------------------------------------------ its parts


@every_model
def test_a_model_comes_with_a_simulated_device_a_rig_a_dump_and_a_page(model: str) -> None:
    assert model in SIMULATED, "no simulated device: edge_service/simulation/charger_models.py"
    assert model in RIGS, "no rig: tests/edge/chargers/test_conformance.py"
    assert model in {model_of(path) for path in DUMPS}, "no dump: tests/edge/chargers/dumps"
    page = DOCS / f"{model}.md"
    assert page.exists(), "no page: docs/chargers"
    for word in ("proven", "site.yaml", "|---"):
        assert word in page.read_text(encoding="utf-8"), f"{page.name} says nothing of: {word}"


# ------------------------------------------------------------------------------------- at its simulated device


@every_model
async def test_looking_at_a_charger_writes_nothing(model: str) -> None:
    async with a_bench(model) as bench:
        await bench.cycles(None, 30)
        assert list(bench.site.writes) == []


@every_model
async def test_what_is_read_is_what_is_physically_so(model: str) -> None:
    async with a_bench(model, soc_pct=62) as bench:
        reading = await bench.cycles(None, 20)
        assert (reading.plugged, reading.soc_pct) == (True, 62.0)
        assert reading.grid_present is (True if RIGS[model].tells_grid else None)
        assert reading.power_w == pytest.approx(bench.power_w, abs=50)


@every_model
@pytest.mark.parametrize("watts", [WATTS, -WATTS])
async def test_plus_charges_and_minus_discharges(model: str, watts: int) -> None:
    async with a_bench(model) as bench:
        before = bench.site.house.vehicle.energy_wh
        reading = await bench.cycles(bench.asking(watts), 180)
        tolerance_w = max(bench.capability.tolerance_w, abs(watts) * bench.capability.tolerance_share)
        assert bench.power_w == pytest.approx(watts, abs=tolerance_w)
        assert reading.power_w == pytest.approx(bench.power_w, abs=100)
        assert (bench.site.house.vehicle.energy_wh > before) is (watts > 0)


@every_model
@pytest.mark.parametrize("order", [Stop(), Hold(), Pause(), Release()], ids=lambda order: type(order).__name__)
async def test_each_order_that_is_no_power_ends_the_discharge(model: str, order: Order) -> None:
    async with a_bench(model) as bench:
        await bench.cycles(bench.asking(-WATTS), 180)
        assert bench.power_w < -WATTS / 2
        await bench.cycles(order, 60)
        keeps = isinstance(order, Release) and RIGS[model].keeps_discharging
        assert (abs(bench.power_w) < 100) is not keeps


@every_model
async def test_an_order_that_nobody_renews_dies_with_its_lease(model: str) -> None:
    async with a_bench(model) as bench:
        await bench.cycles(bench.asking(-WATTS), 120)
        assert bench.power_w < -WATTS / 2
        bench.clock.pass_(LEASE_S + 30)
        died = abs(bench.power_w) < 100
        assert died is (bench.capability.lease is not Lease.NONE)


@every_model
async def test_an_order_that_is_renewed_lives(model: str) -> None:
    async with a_bench(model) as bench:
        await bench.cycles(bench.asking(WATTS), 3 * LEASE_S + 60)
        assert bench.power_w > WATTS / 2


async def _served(model: str, set_by: float) -> tuple[list[Write], list[ChargerReading]]:
    """What is written for orders of every kind when the clock is set in the midst of each, and what is read then."""
    readings = []
    async with a_bench(model) as bench:
        for order in (bench.asking(WATTS), bench.asking(-WATTS), Stop(), Release()):
            await bench.cycles(order, LEASE_S + LEASE_S // 2)
            bench.set_by += set_by
            for seconds in (1, 9, LEASE_S):
                reading = await bench.cycles(order, seconds)
                readings.append(replace(reading, at=NOW, grid_at=None))
        return bench.writes, readings


@every_model
async def test_a_clock_that_is_set_in_mid_lease_renews_neither_early_nor_late(model: str) -> None:
    undisturbed = await _served(model, 0)
    assert len(undisturbed[0]) >= 5
    assert await _served(model, -3600) == undisturbed
    assert await _served(model, 3600) == undisturbed


@every_model
async def test_without_a_vehicle_nothing_is_known_of_its_charge(model: str) -> None:
    async with a_bench(model, plugged=False) as bench:
        reading = await bench.cycles(None, 20)
        assert (reading.plugged, reading.soc_pct) == (False, None)
        assert reading.discharge_max_w in (0, None)


@every_model
async def test_a_silent_device_is_unreachable_and_no_outage(model: str) -> None:
    async with a_bench(model) as bench:
        await bench.site.misbehave(Device.CHARGER, DeviceFaults(silent=True))
        with pytest.raises(DeviceUnreachableError):
            await bench.charger.read(bench.now)


# ------------------------------------------------------------------------------------------ a second implementation


def _runs(dump: Mapping[str, Any]) -> list[tuple[int, str, int, list[int]]]:
    """Unit, kind, first address and words of every run in a dump."""
    units = {str(dump.get("unit", 1)): dump, **dump.get("other_units", {})}
    return [
        (int(unit), kind, int(first), words)
        for unit, of_unit in units.items()
        for kind in (HOLDING, INPUT)
        for first, words in of_unit.get(kind, {}).items()
    ]


# Unit, kind, address.
type Place = tuple[int, str, int]
# Registers that the serial number of a simulated device takes.
LONGEST_SERIAL = 8


def words_of(dump: Mapping[str, Any]) -> dict[Place, int]:
    return {(unit, kind, first + n): word for unit, kind, first, words in _runs(dump) for n, word in enumerate(words)}


def redacted(dump: Mapping[str, Any]) -> set[Place]:
    """Where the serial number stood."""
    told = dump.get("redacted", [])
    return {(one["unit"], one["kind"], one["address"] + n) for one in told for n in range(one["count"])}


@every_model
async def test_a_foreign_client_reads_what_our_link_reads(model: str) -> None:
    async with a_bench(model) as bench, modbus(bench.site.charger_port) as client:
        dump = await capture(bench.link, model, 1, NOW, options=RIGS[model].options)
        ours, theirs = words_of(dump), dict[Place, int]()
        for unit, kind, first, words in _runs(dump):
            client.unit_id = unit
            read = client.read_holding_registers if kind == HOLDING else client.read_input_registers
            for start in range(0, len(words), 40):
                found = await off_loop(read, first + start, len(words[start : start + 40]))
                theirs |= {(unit, kind, first + start + n): word for n, word in enumerate(found)}
    hidden = redacted(dump)
    assert len(ours) > 20
    assert 1 <= len(hidden) <= LONGEST_SERIAL
    assert {place: word for place, word in ours.items() if place not in hidden} == {
        place: word for place, word in theirs.items() if place not in hidden
    }


@every_model
async def test_a_foreign_client_that_repeats_our_writes_gets_the_same_power(model: str) -> None:
    async with a_bench(model) as bench:
        await bench.cycles(bench.asking(WATTS), 120)
        ours_w, writes = bench.power_w, bench.writes
    async with a_bench(model) as bench, modbus(bench.site.charger_port) as client:
        began_s, elapsed = bench.clock.now_s, timedelta()
        for at, function, address, values in writes:
            bench.clock.pass_(max(0.0, (at - elapsed).total_seconds()))
            elapsed = max(at, elapsed)
            if function == 6:
                assert await off_loop(client.write_single_register, address, values[0])
            else:
                assert await off_loop(client.write_multiple_registers, address, list(values))
        while (left_s := 120 - (bench.clock.now_s - began_s)) > 0:
            # A charger whose order lives by traffic hears somebody now and then.
            bench.clock.pass_(min(10.0, left_s))
            await off_loop(client.read_holding_registers, writes[0][2], 1)
        assert writes
        assert bench.power_w == pytest.approx(ours_w, abs=150)


# ---------------------------------------------------------------------------------------------------- dumps, nonsense


def model_of(path: Path) -> str:
    """The model whose device a dump is of."""
    return str(json.loads(path.read_text(encoding="utf-8"))["model"])


class Dumped:
    """Answers with the registers of a dump; whatever is not in it is refused. Nothing can be written."""

    def __init__(self, dump: Mapping[str, Any]) -> None:
        self.words = words_of(dump)
        self.written: list[Request] = []

    def __call__(self, request: Request) -> bytes:
        kind = {3: HOLDING, 4: INPUT}.get(request.function)
        if kind is None:
            self.written.append(request)
            return request.frame(bytes((request.function | 0x80, 1)))
        span = range(request.address, request.address + request.count)
        found = [self.words.get((request.unit, kind, at)) for at in span]
        if any(word is None for word in found):
            return request.frame(bytes((request.function | 0x80, 2)))
        return request.frame(struct.pack(f">BB{len(found)}H", request.function, 2 * len(found), *found))


@asynccontextmanager
async def at_dump(model: str, dumped: Dumped) -> AsyncIterator[Charger]:
    async with Peer(dumped) as peer, Link(HOST, peer.port) as link:
        clock = HandClock()
        charger = a_driver(model, link.unit(1), clock)
        yield charger
        await charger.close()


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
@every_model
async def test_every_model_meets_every_dump(model: str, path: Path) -> None:
    dumped = Dumped(json.loads(path.read_text(encoding="utf-8")))
    async with at_dump(model, dumped) as charger:
        said = "read"
        try:
            await charger.probe()
            readings = [await charger.read(NOW) for _ in range(2)]
        except DeviceError as error:
            readings, said = [], str(error)
        for reading in readings:
            assert_plausible(reading)
    assert said, "an error that says nothing"
    assert not readings or model_of(path) == model, "it takes another maker's device for its own"
    assert dumped.written == []


def without_serial(seen: Mapping[str, Any]) -> dict[str, Any]:
    """As a dump says it, whether or not noughts already stand in place of the serial number."""
    plain: dict[str, Any] = json.loads(json.dumps(seen))
    if "identity" in plain:
        plain["identity"]["serial"] = "0" * len(plain["identity"]["serial"])
    return plain


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
async def test_every_dump_reads_as_it_was_recorded(path: Path) -> None:
    dump = json.loads(path.read_text(encoding="utf-8"))
    dumped = Dumped(dump)
    async with Peer(dumped) as peer, Link(HOST, peer.port) as link:
        again = await capture(link, dump["model"], dump["unit"], NOW, options=dump.get("options", {}))
    assert without_serial(again["seen"]) == without_serial(dump["seen"])
    assert dumped.written == []
    hidden, words = redacted(again), words_of(dump)
    assert {place: word for place, word in words_of(again).items() if place not in hidden}.items() <= words.items()


WORD = st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0, 1, 2, 3, 10, 0x7FFF, 0x8000, 0xFFF6, 0xFFFF]))


@every_model
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_nonsense_in_any_register_raises_our_errors_or_yields_nothing_implausible(
    model: str, data: st.DataObject
) -> None:
    path = next(path for path in DUMPS if model_of(path) == model)
    dumped = Dumped(json.loads(path.read_text(encoding="utf-8")))
    dumped.words |= data.draw(st.dictionaries(st.sampled_from(sorted(dumped.words)), WORD, max_size=60))
    for place in data.draw(st.sets(st.sampled_from(sorted(dumped.words)), max_size=2)):
        del dumped.words[place]

    async def use() -> None:
        async with at_dump(model, dumped) as charger:
            with suppress(DeviceError):
                await charger.probe()
                for _ in range(3):
                    assert_plausible(await charger.read(NOW))

    asyncio.run(use())
    assert dumped.written == []
