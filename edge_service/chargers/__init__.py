"""The charger models that Ridethrough drives: one line each in ``MODELS``, one file each beside this one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from modbus_connection import ModbusUnit

from edge_service.chargers.evtec_bidipro_10 import EvtecBidiPro10, EvtecOptions
from edge_service.chargers.sigenergy_evdc import SigenergyEvdc, SigenergyOptions
from edge_service.chargers.sunspec_der import SunSpecDer
from edge_service.chargers.sunspec_der_models import SunSpecOptions
from edge_service.chargers.wallbox_quasar_1 import QuasarOptions, WallboxQuasar1
from edge_service.ports import Charger


class Build[O](Protocol):
    """Makes a charger. ``monotonic`` gives seconds that never jump: a driver counts every duration by it."""

    def __call__(self, id: str, unit: ModbusUnit, options: O, /, *, monotonic: Callable[[], float]) -> Charger: ...


@dataclass(frozen=True, slots=True)
class ChargerModel[O]:
    """A charger model. ``options`` is a frozen dataclass of what ``site.yaml`` may say about it.

    A field's default is the option's default. What many chargers may be told (``unit_id``, ``lease_s``, ``backup``) is
    checked by ``config.schema``, and refused where the model has no such field; of what this model alone asks for the
    metadata may hold ``min``, ``max``, ``allowed`` and ``help``.
    """

    options: type[O]
    build: Build[O]


MODELS: Mapping[str, ChargerModel[Any]] = MappingProxyType(
    {
        "evtec_bidipro_10": ChargerModel(EvtecOptions, EvtecBidiPro10),
        "sigenergy_evdc": ChargerModel(SigenergyOptions, SigenergyEvdc),
        "sunspec_der": ChargerModel(SunSpecOptions, SunSpecDer),
        "wallbox_quasar_1": ChargerModel(QuasarOptions, WallboxQuasar1),
    }
)
