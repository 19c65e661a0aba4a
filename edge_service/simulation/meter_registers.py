"""The grid meter at the point of connection: SunSpec 1 and 201, 202 or 203.

It sits on the street's side of the island switch, or by option in the home's panel behind it.
Power: + import, - export.
"""

from collections.abc import Mapping
from typing import Protocol

from edge_service.simulation.house import NOMINAL_HZ
from edge_service.simulation.modbus_server import Faceless
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.sunspec_layout import Facts, Image, facts

_POWER_FAILURE = 1 << 2


class Metered(Protocol):
    """What stands behind a meter: a house, or a whole depot."""

    @property
    def grid_present(self) -> bool: ...
    @property
    def street_v(self) -> float: ...
    @property
    def bus_v(self) -> float: ...
    @property
    def leg_v(self) -> tuple[float, float]: ...
    @property
    def site_power_w(self) -> float: ...
    @property
    def leg_power_w(self) -> tuple[float, float]: ...
    @property
    def import_wh(self) -> float: ...
    @property
    def export_wh(self) -> float: ...


class MeterRegisters(Faceless):
    """Register face of the meter before ``house``; read only."""

    def __init__(self, house: Metered, options: SiteOptions) -> None:
        source = facts("sunspec_meter_20x")
        self._house = house
        self._model = options.meter_model
        self._behind_switch = options.meter_on_protected_side
        models = {1: source["models"][1], self._model: _renamed(source["models"]["meter"], self._model)}
        self.image = Image(options.meter_base, models, source["not_implemented"])
        for number, seeds in ((1, source["simulator"]["seed_raw"]["1"]), (self._model, _meter_seeds(source))):
            for name, raw in seeds.items():
                self.image.put(f"{number}.{name}", raw)
        self.image.put("1.DA", options.meter_unit)

    def read_registers(self, address: int, count: int) -> list[int]:
        self._refresh()
        return self.image.read(address, count)

    def _refresh(self) -> None:
        for name, value in self._values().items():
            self.image.put_scaled(f"{self._model}.{name}", value)
        self.image.put(f"{self._model}.Evt", 0 if self._volts else _POWER_FAILURE)

    @property
    def _volts(self) -> float:
        return self._house.bus_v if self._behind_switch else self._house.street_v

    def _values(self) -> dict[str, float]:
        house = self._house
        power_w, volts = house.site_power_w, self._volts
        legs_v = (volts / 2, volts / 2) if self._behind_switch else house.leg_v
        legs_w = house.leg_power_w
        leg_a, leg_b = (2 * abs(leg_w) / volts if volts else 0.0 for leg_w in legs_w)
        values = {
            "W": power_w,
            "VA": abs(power_w),
            "A": leg_a + leg_b,
            "AphA": leg_a,
            "AphB": leg_b,
            "PhV": volts / 2,
            "PhVphA": legs_v[0],
            "PhVphB": legs_v[1],
            "PPV": volts,
            _line_to_line(self._model): volts,
            "Hz": NOMINAL_HZ if volts else 0.0,
            "WphA": legs_w[0],
            "WphB": legs_w[1],
            "TotWhImp": house.import_wh,
            "TotWhExp": house.export_wh,
        }
        return values | (_NO_THIRD_LEG if self._model == 203 else {})


# Mandatory in a three-phase meter; in a split-phase house its third input is not wired.
_NO_THIRD_LEG = {"AphC": 0.0, "PhVphC": 0.0, "PhVphBC": 0.0, "PhVphCA": 0.0, "WphC": 0.0}


def _line_to_line(model: int) -> str:
    return "PPVphAB" if model == 201 else "PhVphAB"


def _meter_seeds(source: Facts) -> Mapping[str, int]:
    seeds: Mapping[str, int] = source["simulator"]["seed_raw"]["meter"]
    return seeds


def _renamed(layout: Facts, model: int) -> Facts:
    names = layout["renamed"].get(model, {})
    points = [point | {"name": names.get(point["name"], point["name"])} for point in layout["points"]]
    return {**layout, "points": points}
