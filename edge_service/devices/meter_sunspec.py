"""A meter that speaks SunSpec: models 201 (single phase), 202 (split phase), 203 (wye), 204 (delta), one layout.

Source: SunSpec model definitions json/model_20[1-4].json (Apache-2.0). They do not state the sign of W; most meters
count + for import, and an installer must say where one does not.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Literal

from modbus_connection import ModbusUnit
from modbus_connection.model.sunspec import acc32, int16

from edge_service.chargers.plausible import MOST_HZ, MOST_V, MOST_W, counted, within
from edge_service.chargers.sunspec import Common, MapMovedError, Model, discover
from edge_service.domain.model import MeterReading
from edge_service.ports import DeviceIdentity, DeviceRefusedError

_IDS = (203, 202, 201, 204)


class AcMeter(Model):
    """The points of models 201 to 204 that a house needs."""

    live = ((0, 55),)

    voltage_ln = int16(7, scale_register=15, unit="V")  # PhV
    voltage_a = int16(8, scale_register=15, unit="V")  # PhVphA
    voltage_b = int16(9, scale_register=15, unit="V")  # PhVphB
    voltage_c = int16(10, scale_register=15, unit="V")  # PhVphC
    voltage_ll = int16(11, scale_register=15, unit="V")  # PPV
    voltage_ab = int16(12, scale_register=15, unit="V")  # PhVphAB
    frequency = int16(16, scale_register=17, unit="Hz")
    power = int16(18, scale_register=22, unit="W")
    power_a = int16(19, scale_register=22, unit="W")  # WphA
    power_b = int16(20, scale_register=22, unit="W")  # WphB
    power_c = int16(21, scale_register=22, unit="W")  # WphC
    energy_exported = acc32(38, scale_register=54, unit="Wh")
    energy_imported = acc32(46, scale_register=54, unit="Wh")


@dataclass(frozen=True, slots=True)
class SunSpecMeterOptions:
    """What ``site.yaml`` may say about a meter of this kind."""

    unit_id: int = 1
    # What a positive power means on this meter; its energy counters keep their names.
    sign: Literal["import_positive", "export_positive"] = "import_positive"


class SunSpecMeter:
    """A SunSpec meter behind one Modbus unit; implements ``ports.Meter``."""

    def __init__(self, id: str, unit: ModbusUnit, options: SunSpecMeterOptions | None = None) -> None:
        self.id = id
        self._unit = unit
        self._sign = -1 if options is not None and options.sign == "export_positive" else 1
        self._meter: AcMeter | None = None
        self._legs: tuple[str, ...] = ()

    async def probe(self) -> DeviceIdentity:
        """Find the meter's model. Writes nothing. Raises DeviceRefusedError (``not_a_meter``) where there is none."""
        models = await discover(self._unit)
        found, first = models.first(*_IDS), models.first(1)
        if found is None or first is None:
            raise DeviceRefusedError(
                f"{self.id}: the device has the SunSpec models {sorted(models)}, none of them a meter (201 to 204)",
                "not_a_meter",
            )
        meter, common = AcMeter(self._unit, found), Common(self._unit, first)
        await common.refresh()
        await meter.refresh()
        self._meter, self._legs = meter, _legs(meter, found.model_id)
        manufacturer, model, serial, version = common.identity
        return DeviceIdentity(manufacturer, model, serial, version, _findings(meter, self._legs))

    async def read(self, now: datetime) -> MeterReading:
        """Read it all in two reads of at most 40 registers."""
        if self._meter is None:
            await self.probe()
        meter = self._meter
        assert meter is not None
        try:
            await meter.refresh()
        except MapMovedError:
            self._meter = None  # the next read looks for the meter anew
            raise
        return MeterReading(
            at=now,
            power_w=self._power_w(meter, "power"),
            leg_power_w=tuple(self._power_w(meter, point) for point in self._legs),
            voltage_v=_voltage_v(meter),
            leg_voltage_v=_leg_voltages_v(meter),
            frequency_hz=within(meter.frequency, 0, MOST_HZ),
            energy_imported_wh=counted(meter.energy_imported),
            energy_exported_wh=counted(meter.energy_exported),
        )

    def _power_w(self, meter: AcMeter, point: str) -> int | None:
        """A register at its very end is not believed: the power may be anything beyond, and we would chase it."""
        power = within(getattr(meter, point), -MOST_W, MOST_W)
        return None if power is None or meter.words[_AT[point]] in _ENDS else round(self._sign * power)

    async def close(self) -> None:
        """Nothing to give back."""


# Where the powers are, and the highest and lowest word of an int16 that is no sentinel.
_AT = {"power": 18, "power_a": 19, "power_b": 20, "power_c": 21}
_ENDS = frozenset({0x7FFF, 0x8001})

# Model 202 is split phase. Models 203 and 204 have three legs, of which a house with two of them wires two.
_LEGS = {201: 1, 202: 2, 203: 3, 204: 3}


def _legs(meter: AcMeter, model: int) -> tuple[str, ...]:
    """The points that tell the legs' powers, as many as the meter has; none if it leaves the first of them out."""
    told = [meter.has(point) for point in ("power_a", "power_b", "power_c")[: _LEGS[model]]]
    count = told.index(False) if False in told else len(told)
    return ("power_a", "power_b", "power_c")[:count]


def _voltage_v(meter: AcMeter) -> float | None:
    """Line to line where the meter knows it: the larger of what it reports, which leaves out lines not wired."""
    candidates = (meter.voltage_ll, meter.voltage_ab, meter.voltage_ln)
    known = [volts for volts in candidates if within(volts, 0, MOST_V) is not None]
    return max((volts for volts in known if volts is not None), default=None)


def _leg_voltages_v(meter: AcMeter) -> tuple[float | None, ...]:
    """From each leg to neutral, up to the first that the meter leaves out."""
    told = [within(volts, 0, MOST_V) for volts in (meter.voltage_a, meter.voltage_b, meter.voltage_c)]
    return tuple(takewhile(lambda volts: volts is not None, told))


def _findings(meter: AcMeter, legs: tuple[str, ...]) -> tuple[str, ...]:
    remarks = {
        "It reports no power.": not meter.has("power"),
        "It reports no power per leg: of what a leg carries, only the chargers' own part can be watched.": not legs,
        "It reports no voltage: it cannot tell whether the grid is there.": _voltage_v(meter) is None,
        "It reports no frequency.": not meter.has("frequency"),
        "It reports no voltage per leg: a broken neutral is not seen.": len(legs) == 2 > len(_leg_voltages_v(meter)),
        "It has counted no imported energy.": not meter.has("energy_imported"),
    }
    return tuple(sentence for sentence, holds in remarks.items() if holds)
