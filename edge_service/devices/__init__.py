"""The other devices of a site that Ridethrough reads or commands: one line each below, one file each beside this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from modbus_connection import ModbusUnit

from edge_service.devices.companion_goodwe import GoodWe, GoodWeOptions
from edge_service.devices.companion_sigenergy import SigenergyPlant, SigenergyPlantOptions
from edge_service.devices.companion_solaredge import SolarEdgeInverter, SolarEdgeOptions
from edge_service.devices.companion_victron import VictronOptions, VictronSystem
from edge_service.devices.contact_io import ContactIo, ContactIoOptions
from edge_service.devices.meter_sunspec import SunSpecMeter, SunSpecMeterOptions
from edge_service.devices.relay_io import RelayIo, RelayIoOptions
from edge_service.devices.switch_home_assistant import HomeAssistantSwitch, HomeAssistantSwitchOptions, Told
from edge_service.devices.switch_io import SwitchIo, SwitchIoOptions
from edge_service.ports import ContactInput, GridSensor, IslandSwitch, LoadRelay, Meter


@dataclass(frozen=True, slots=True)
class DeviceModel[D, O]:
    """A kind of device. ``options`` is a frozen dataclass as in ``chargers.ChargerModel``."""

    options: type[O]
    build: Callable[[str, ModbusUnit, O], D]


@dataclass(frozen=True, slots=True)
class ReportedModel[D, O]:
    """A kind of device without an address: what a client reports of it, and what that client is to do."""

    options: type[O]
    build: Callable[[str, Told], D]


METERS: Mapping[str, DeviceModel[Meter, Any]] = MappingProxyType(
    {
        "sunspec_meter": DeviceModel[Meter, SunSpecMeterOptions](SunSpecMeterOptions, SunSpecMeter),
    }
)

SWITCHES: Mapping[str, DeviceModel[IslandSwitch, Any]] = MappingProxyType(
    {
        "modbus_io": DeviceModel[IslandSwitch, SwitchIoOptions](SwitchIoOptions, SwitchIo),
    }
)

REPORTED_SWITCHES: Mapping[str, ReportedModel[IslandSwitch, Any]] = MappingProxyType(
    {
        "home_assistant": ReportedModel[IslandSwitch, HomeAssistantSwitchOptions](
            HomeAssistantSwitchOptions, HomeAssistantSwitch
        ),
    }
)

CONTACTS: Mapping[str, DeviceModel[ContactInput, Any]] = MappingProxyType(
    {
        "modbus_io": DeviceModel[ContactInput, ContactIoOptions](ContactIoOptions, ContactIo),
    }
)

RELAYS: Mapping[str, DeviceModel[LoadRelay, Any]] = MappingProxyType(
    {
        "modbus_io": DeviceModel[LoadRelay, RelayIoOptions](RelayIoOptions, RelayIo),
    }
)

COMPANIONS: Mapping[str, DeviceModel[GridSensor, Any]] = MappingProxyType(
    {
        "goodwe": DeviceModel[GridSensor, GoodWeOptions](GoodWeOptions, GoodWe),
        "sigenergy_plant": DeviceModel[GridSensor, SigenergyPlantOptions](SigenergyPlantOptions, SigenergyPlant),
        "solaredge_inverter": DeviceModel[GridSensor, SolarEdgeOptions](SolarEdgeOptions, SolarEdgeInverter),
        "victron_system": DeviceModel[GridSensor, VictronOptions](VictronOptions, VictronSystem),
    }
)
