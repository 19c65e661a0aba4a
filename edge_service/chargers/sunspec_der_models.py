"""What ``site.yaml`` may say about a SunSpec DER charger, and which of the models this one has."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from modbus_connection import ModbusUnit
from modbus_connection.model.sunspec import (
    SunSpecModels,
)

from edge_service.chargers.sunspec import (
    LONGEST_READ,
    SLICE,
    Common,
    Model,
    Survey,
)
from edge_service.chargers.sunspec_7xx import (
    AcControl,
    AcMeasurement,
    AcState,
    Capacity,
    DcPort,
    DcPorts,
    EnterService,
    Operation,
    Storage,
)
from edge_service.ports import DeviceRefusedError


@dataclass(frozen=True, slots=True)
class SunSpecOptions:
    """What ``site.yaml`` may say about a charger of this model."""

    unit_id: int = 1
    # After so many seconds the charger drops an order that nobody renews.
    lease_s: int = 60
    # auto: as the charger says; none: it is grid-parallel only; vendor: its own gateway runs outages.
    backup: Literal["auto", "none", "vendor"] = "auto"
    # Which DC port is the vehicle's, from 1; 0: the one that says so.
    dc_port: int = field(default=0, metadata={"min": 0, "max": 8, "help": "which DC port is the vehicle's"})
    # Read at most 40 registers at once, for a slow line behind a gateway.
    slices: bool = False

    @property
    def longest_read(self) -> int:
        return SLICE if self.slices else LONGEST_READ


@dataclass(slots=True)
class Models:
    """The models that this device has."""

    common: Common
    ac: AcMeasurement
    fast: AcState
    capacity: Capacity | None
    service: EnterService | None
    control: AcControl | None
    storage: Storage | None
    ports: DcPorts | None
    operation: Operation | None
    # The port of the vehicle, its number and how many there are.
    port: DcPort | None = None
    port_number: int = 0
    port_count: int = 0
    survey: Survey = field(init=False)

    def plan(self, unit: ModbusUnit, most: int) -> None:
        """Which of them a reading brings."""
        found = (self.ac, self.capacity, self.service, self.control, self.storage, self.ports, self.port)
        models = (model for model in (*found, self.operation) if model is not None)
        self.survey = Survey(unit, models, needed=(self.ac,), most=most)


async def bind(unit: ModbusUnit, found: SunSpecModels, options: SunSpecOptions) -> Models:
    common, ac = found.first(1), found.first(701)
    if common is None or ac is None:
        raise DeviceRefusedError(
            f"the device has the SunSpec models {sorted(found)}, but not both 1 and 701; it is no SunSpec DER charger",
            "not_sunspec_der",
        )
    most = options.longest_read

    def of[M: Model](kind: type[M], model_id: int) -> M | None:
        model = found.first(model_id)
        return None if model is None else kind(unit, model, most=most)

    models = Models(
        common=Common(unit, common, most=most),
        ac=AcMeasurement(unit, ac, most=most),
        fast=AcState(unit, ac, most=most),
        capacity=of(Capacity, 702),
        service=of(EnterService, 703),
        control=of(AcControl, 704),
        storage=of(Storage, 713),
        ports=of(DcPorts, 714),
        operation=of(Operation, 715),
    )
    if (at := found.first(714)) is not None:
        count = max(0, min((at.span - DcPorts.FIRST_AT) // DcPorts.SPAN, DcPorts.MOST))
        await _find_port(models, [DcPort(unit, at, most=most, shift=n * DcPorts.SPAN) for n in range(count)], options)
    models.plan(unit, most)
    return models


async def _find_port(models: Models, ports: list[DcPort], options: SunSpecOptions) -> None:
    """The port that was named, else the first that says that it is for a vehicle, else the first."""
    numbers = [options.dc_port] if options.dc_port else range(1, len(ports) + 1)
    models.port_count = len(ports)
    models.port_number, models.port = (1, ports[0]) if ports and not options.dc_port else (0, None)
    for number in numbers:
        if number > len(ports):
            return
        with suppress(DeviceRefusedError):  # a refused one reads as unknown
            await ports[number - 1].refresh(everything=True)
        if options.dc_port or ports[number - 1].kind == DcPort.VEHICLE:
            models.port_number, models.port = number, ports[number - 1]
            return
