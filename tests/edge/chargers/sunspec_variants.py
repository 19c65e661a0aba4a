"""The SunSpec chargers that are told apart, each with what the simulator is told to make one.

``python -m tests.edge.chargers.sunspec_variants`` makes their dumps anew.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_service.chargers.link import Link
from edge_service.chargers.sunspec_der import SunSpecDer
from edge_service.chargers.sunspec_der_models import SunSpecOptions
from edge_service.domain.model import ChargerReading, Order
from edge_service.ports import DeviceRefusedError
from edge_service.simulation.charger_registers import ChargerRegisters
from edge_service.simulation.house import House
from edge_service.simulation.modbus_server import RefusalError
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.site import SimulatedSite
from tests.edge.chargers.peers import HOST, MemoryUnit, Registers
from tests.edge.simulation.site_kit import HandClock

NOW = datetime(2026, 7, 14, 17, 0, tzinfo=UTC)
DUMPS = Path(__file__).parent / "dumps"
PER_LINE = 20


@dataclass(frozen=True, slots=True)
class Variant:
    """``site`` and ``driver`` are options of the simulator and of the driver, where they are not the default."""

    site: Mapping[str, Any] = field(default_factory=dict)
    driver: Mapping[str, Any] = field(default_factory=dict)

    @property
    def site_options(self) -> SiteOptions:
        return SiteOptions(**self.site)

    @property
    def driver_options(self) -> SunSpecOptions:
        return SunSpecOptions(**self.driver)


# By the name that the table in docs/chargers/sunspec_der.md has for it.
VARIANTS: Mapping[str, Variant] = {
    "complete": Variant(),
    "complete, cannot island": Variant({"island_capable": False}),
    "complete, `backup: vendor`": Variant({}, {"backup": "vendor"}),
    "cap only": Variant({"no_wset": True}),
    "cap only, no timer": Variant({"no_wset": True, "no_timer": True}),
    "cap only, no timer, `backup: none`": Variant({"no_wset": True, "no_timer": True}, {"backup": "none"}),
    "cap only, no 715": Variant({"no_wset": True, "no_715": True}),
    "percent only": Variant({"percent_only": True}),
    "percent only, no WSetMod": Variant({"percent_only": True, "no_wset_mod": True}),
    "no WSetMod": Variant({"no_wset_mod": True}),
    "no WSetPct": Variant({"no_wset_pct": True}),
    "no WSetEnaRvrt": Variant({"no_wset_ena_rvrt": True}),
    "no WSetEnaRvrt, `backup: none`": Variant({"no_wset_ena_rvrt": True}, {"backup": "none"}),
    "no timer": Variant({"no_timer": True}),
    "no timer, `backup: none`": Variant({"no_timer": True}, {"backup": "none"}),
    "no time left told": Variant({"no_timer_left": True}),
    "timer renewed by its own write": Variant({"timer_renewed_by": "timer"}),
    "the same, several writes": Variant({"timer_renewed_by": "timer", "no_wset_pct": True}),
    "timer renewed by enabling": Variant({"timer_renewed_by": "enable"}),
    "timer never runs": Variant({"timer_renewed_by": "nothing"}),
    "no 702": Variant({"no_702": True}),
    "no 703": Variant({"no_703": True}),
    "no 704": Variant({"no_704": True}),
    "no 713": Variant({"no_713": True}),
    "no 714": Variant({"no_714": True}),
    "no 713, no 714": Variant({"no_713": True, "no_714": True}),
    "no 715": Variant({"no_715": True}),
    "two DC ports": Variant({"dc_ports": 2}),
    "two DC ports, `dc_port: 1`": Variant({"dc_ports": 2}, {"dc_port": 1}),
    "local mode": Variant({"local": True}),
    "service not permitted": Variant({"permit_service": False}),
    "map at 0": Variant({"charger_base": 0}),
    "map at 50000": Variant({"charger_base": 50000}),
    "model 1 of 65 registers": Variant({"model_1_length": 65}),
    "WSet_SF -1": Variant({"setpoint_scale": -1}),
    "power in 10 W": Variant({"power_scale": 1}),
    "power in 100 W": Variant({"power_scale": 2}),
    "setpoint obeyed in the island": Variant({"setpoint_obeyed_in_island": True}),
}


class SimulatedUnit(MemoryUnit):
    """A simulated charger without a wire, its time moved by hand. ``tried``: every point that was written to."""

    def __init__(self, variant: Variant, **site: Any) -> None:
        super().__init__(Registers({}))
        options = SiteOptions(**{**variant.site, **site})
        self.house = House(options)
        self.face = ChargerRegisters(self.house, options)
        self.tried: list[str] = []
        self.named: list[dict[str, float]] = []
        points = self.face.image.points.values()
        self._names = {at: point.key for point in points for at in range(point.address, point.end)}

    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        try:
            return self.face.read_registers(address, count)
        except RefusalError as error:
            raise DeviceRefusedError(f"refused with {error.code}", "illegal_address") from error

    async def write_registers(self, address: int, values: list[int]) -> None:
        self.tried += [self._names[address + n] for n in range(len(values))]
        try:
            self.named.append(self.face.write_registers(address, values))
        except RefusalError as error:
            raise DeviceRefusedError(f"refused with {error.code}", "illegal_value") from error


@dataclass(slots=True)
class Bench:
    """A driver at a simulated charger, and the time of both."""

    unit: SimulatedUnit
    charger: SunSpecDer
    clock: HandClock
    now: datetime = NOW

    @property
    def house(self) -> House:
        return self.unit.house

    def pass_(self, seconds: float) -> None:
        self.house.step(seconds)
        self.now += timedelta(seconds=seconds)
        self.clock.pass_(seconds)

    async def cycle(self, order: Order, seconds: float = 1.0) -> ChargerReading:
        """One control cycle, then time passes."""
        reading = await self.charger.read(self.now)
        await self.charger.order(order, self.now)
        self.pass_(seconds)
        return reading

    async def read(self) -> ChargerReading:
        return await self.charger.read(self.now)


def bench(name: str, driver: SunSpecOptions | None = None, **site: Any) -> Bench:
    """``site`` and ``driver``: besides what makes the variant."""
    variant = VARIANTS[name]
    unit, clock = SimulatedUnit(variant, **site), HandClock()
    return Bench(unit, SunSpecDer("left", unit, driver or variant.driver_options, monotonic=clock), clock)


def words(options: SiteOptions) -> tuple[int, list[int]]:
    """The whole map of this variant at rest: first address, registers."""
    image = ChargerRegisters(House(options), options).image
    return image.base, list(image.words)


def dump_path(name: str) -> Path:
    plain = "".join(letter if letter.isalnum() or letter == "-" else " " for letter in name.lower())
    suffix = "" if name == "complete" else "_" + "_".join(plain.split())
    return DUMPS / f"simulated_sunspec_der{suffix}.json"


async def dump(name: str) -> dict[str, Any]:
    """What a variant holds and what the driver makes of it, as in every dump."""
    variant = VARIANTS[name]
    async with (
        SimulatedSite(variant.site_options, clock=HandClock()) as site,
        Link(HOST, site.charger_port) as link,
    ):
        charger = SunSpecDer("left", link.unit(1), variant.driver_options)
        identity, capability = await charger.probe()
        reading = asdict(await charger.read(NOW))
    base, registers = words(variant.site_options)
    kept = {key: value for key, value in reading.items() if key not in {"at", "grid_at"}}
    return {
        "device": f"the simulated SunSpec DER charger, idle on grid, vehicle plugged at 70 %; variant: {name}",
        "source": "made by tests.edge.chargers.sunspec_variants from the simulation; not a real device",
        "model": "sunspec_der",
        "unit": 1,
        "seen": {"identity": asdict(identity), "capability": asdict(capability), "reading": kept},
        "holding_registers": {str(base): registers},
    }


def written(dumped: dict[str, Any]) -> str:
    """The dump as text, the registers twenty to a line."""
    blocks = dumped["holding_registers"]
    text = json.dumps({**dumped, "holding_registers": "@"}, indent=2)
    lines = []
    for start, block in blocks.items():
        rows = [", ".join(map(str, block[at : at + PER_LINE])) for at in range(0, len(block), PER_LINE)]
        lines.append(f'    "{start}": [\n      ' + ",\n      ".join(rows) + "\n    ]")
    return text.replace('"@"', "{\n" + ",\n".join(lines) + "\n  }") + "\n"


def recorded() -> list[str]:
    """The variants with registers of their own: the others differ by what they do, or by an option of the driver."""
    names: dict[tuple[int, ...], str] = {}
    for name, variant in VARIANTS.items():
        base, registers = words(variant.site_options)
        names.setdefault((base, *registers), name)
    return list(names.values())


async def record() -> None:
    for name in recorded():
        dump_path(name).write_text(written(await dump(name)), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(record())
