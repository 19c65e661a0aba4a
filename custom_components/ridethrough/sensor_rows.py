"""What a sensor's row in a table says, and the sensor made of it."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfEnergy, UnitOfPower, UnitOfRatio, UnitOfTime
from homeassistant.util import dt as dt_util

from .coordinator import RidethroughCoordinator
from .entity import RidethroughEntity, Scope, always, never, nothing_more

type Value = str | int | float | datetime | None

# A recorder row is about 150 bytes: 20 sensors each second would fill 260 MB a day. Below its deadband a number waits.
POWER_DEADBAND_W = 50.0
ENERGY_DEADBAND_WH = 10.0
# A running event earns a cent every few seconds, and what is at stake moves with the vehicle's charge.
MONEY_DEADBAND_USD = 0.10
LONGEST_WAIT = timedelta(seconds=30)
# A house's load moves by some hundred watts each second: what is less than this many deadbands waits a little.
LARGE = 10
SHORT_WAIT = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class SensorRow[PartT](SensorEntityDescription):
    """One sensor. ``deadband``: a smaller change may wait, except where ``at_rest`` says that the number has come to
    its end; ``other``: the option for words we do not know yet.
    ``attributes``: what belongs to the value and changes with it, each a text, a number, a yes or no,
    or a tuple of texts."""

    value: Callable[[PartT], Value]
    attributes: Callable[[PartT], Mapping[str, Any]] = nothing_more
    exists: Callable[[PartT], bool] = always
    deadband: float = 0.0
    at_rest: Callable[[PartT], bool] = never
    other: str | None = None


class More[PartT](TypedDict, total=False):
    """What most rows may say beside their key and value."""

    attributes: Callable[[PartT], Mapping[str, Any]]
    exists: Callable[[PartT], bool]
    at_rest: Callable[[PartT], bool]
    entity_category: EntityCategory
    entity_registry_enabled_default: bool


class MoreOfMoney[PartT](More[PartT], total=False):
    """Of a sum that is added up, also that."""

    state_class: SensorStateClass


class MoreOfReading[PartT](TypedDict, total=False):
    """Of a reading, how it is shown."""

    exists: Callable[[PartT], bool]
    suggested_unit_of_measurement: str
    suggested_display_precision: int


def turned[NumberT: (int, float)](value: NumberT | None) -> NumberT | None:
    """The edge's sign (positive consumes) as the Energy dashboard's of a battery (positive supplies)."""
    return None if value is None else 0 - value


def power_row[PartT](key: str, value: Callable[[PartT], Value], **more: Unpack[More[PartT]]) -> SensorRow[PartT]:
    """A power in watts, shown in kilowatts."""
    return SensorRow(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.POWER,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfPower.WATT,
        suggested_unit_of_measurement=UnitOfPower.KILO_WATT,
        suggested_display_precision=2,
        deadband=POWER_DEADBAND_W,
        value=value,
        **more,
    )


def energy_row[PartT](key: str, value: Callable[[PartT], Value], **more: Unpack[More[PartT]]) -> SensorRow[PartT]:
    """A meter in watt-hours, shown in kilowatt-hours."""
    return SensorRow(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.ENERGY,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        suggested_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        deadband=ENERGY_DEADBAND_WH,
        value=value,
        **more,
    )


def money_row[PartT](key: str, value: Callable[[PartT], Value], **more: Unpack[MoreOfMoney[PartT]]) -> SensorRow[PartT]:
    """Dollars."""
    return SensorRow(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.MONETARY,
        native_unit_of_measurement="USD",
        suggested_display_precision=2,
        deadband=MONEY_DEADBAND_USD,
        value=value,
        **more,
    )


def enum_row[PartT](
    key: str, options: list[str], value: Callable[[PartT], Value], **more: Unpack[More[PartT]]
) -> SensorRow[PartT]:
    """One word out of a list; a word that is not in it is shown as ``other``, else as unknown."""
    return SensorRow(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.ENUM,
        options=options,
        other="other" if "other" in options else None,
        value=value,
        **more,
    )


def time_row[PartT](key: str, value: Callable[[PartT], Value], **more: Unpack[More[PartT]]) -> SensorRow[PartT]:
    """A moment."""
    return SensorRow(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.TIMESTAMP,
        value=value,
        **more,
    )


def share_row[PartT](key: str, value: Callable[[PartT], Value], **more: Unpack[More[PartT]]) -> SensorRow[PartT]:
    """A part of the vehicle's battery that is not its charge now: without the class, so that it is not taken for it."""
    return SensorRow(
        key=key,
        translation_key=key,
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        suggested_display_precision=0,
        deadband=0.5,
        value=value,
        **more,
    )


def reading_row[PartT](
    key: str,
    device_class: SensorDeviceClass,
    unit: str,
    deadband: float,
    value: Callable[[PartT], Value],
    **more: Unpack[MoreOfReading[PartT]],
) -> SensorRow[PartT]:
    """A reading for those who look into things: diagnostic, and off until somebody wants it."""
    return SensorRow(
        key=key,
        translation_key=key,
        device_class=device_class,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=unit,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        deadband=deadband,
        value=value,
        **more,
    )


def hours_row[PartT](key: str, value: Callable[[PartT], Value], **more: Unpack[More[PartT]]) -> SensorRow[PartT]:
    """How long something lasts, in hours."""
    return SensorRow(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.HOURS,
        suggested_display_precision=1,
        value=value,
        **more,
    )


def seconds_row[PartT](key: str, value: Callable[[PartT], Value], **more: Unpack[More[PartT]]) -> SensorRow[PartT]:
    """How long something took, in seconds."""
    return SensorRow(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_display_precision=0,
        value=value,
        **more,
    )


def may_wait(deadband: float, before: object, now: object, waited: timedelta) -> bool:
    """A number moved by less than its deadband, or by no large step, and was written lately. Zero and unknown never
    wait, nor does what begins."""
    if not isinstance(before, int | float) or not isinstance(now, int | float) or now == 0:
        return False
    moved = abs(now - before)
    if moved < deadband:
        return timedelta(0) <= waited < LONGEST_WAIT
    return before != 0 and moved < LARGE * deadband and timedelta(0) <= waited < SHORT_WAIT


class RidethroughSensor[PartT](RidethroughEntity[PartT], SensorEntity):
    """One sensor of a table above."""

    entity_description: SensorRow[PartT]

    def __init__(
        self, coordinator: RidethroughCoordinator, scope: Scope[PartT], subject: str, row: SensorRow[PartT]
    ) -> None:
        super().__init__(coordinator, scope, subject, row)
        self._written_at = dt_util.utcnow()
        self._shown_value: Value = None

    @override
    def _shown(self, part: PartT) -> Hashable:
        row, now = self.entity_description, dt_util.utcnow()
        attributes = row.attributes(part)
        self._attr_extra_state_attributes = dict(attributes)
        return (self._value(part, row, now), tuple(attributes.items()))

    def _value(self, part: PartT, row: SensorRow[PartT], now: datetime) -> Value:
        value = row.value(part)
        if row.options is not None and value is not None and value not in row.options:
            value = row.other
        if not row.at_rest(part) and may_wait(row.deadband, self._shown_value, value, now - self._written_at):
            return self._shown_value
        if value != self._shown_value:
            self._written_at = now
        self._attr_native_value = self._shown_value = value
        return value
