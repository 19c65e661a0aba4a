"""The charger models that Ridethrough drives: one line each in ``MODELS``, one file each beside this one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from modbus_connection import ModbusUnit

from edge_service.chargers.evtec_bidipro_10 import EvtecBidiPro10, EvtecOptions
from edge_service.chargers.sigenergy_evdc import SigenergyEvdc, SigenergyOptions
from edge_service.chargers.sunspec_der import SunSpecDer, SunSpecOptions
from edge_service.chargers.wallbox_quasar_1 import QuasarOptions, WallboxQuasar1
from edge_service.ports import Charger


@dataclass(frozen=True, slots=True)
class ChargerModel[O]:
    """A charger model. ``options`` is a frozen dataclass of what ``site.yaml`` may say about it.

    A field's default is the option's default. What every charger may be told (``unit_id``, ``lease_s``, ``backup``) is
    checked by ``config.schema``; of what this model alone asks for the metadata may hold ``min``, ``max``, ``allowed``
    and ``help``.
    """

    options: type[O]
    build: Callable[[str, ModbusUnit, O], Charger]


MODELS: Mapping[str, ChargerModel[Any]] = MappingProxyType(
    {
        "evtec_bidipro_10": ChargerModel(EvtecOptions, EvtecBidiPro10),
        "sigenergy_evdc": ChargerModel(SigenergyOptions, SigenergyEvdc),
        "sunspec_der": ChargerModel(SunSpecOptions, SunSpecDer),
        "wallbox_quasar_1": ChargerModel(QuasarOptions, WallboxQuasar1),
    }
)
