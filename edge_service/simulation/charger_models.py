"""Which charger stands at a simulated site: one line each in ``SIMULATED``, one register face each beside this file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edge_service.simulation.charger_registers import ChargerRegisters
from edge_service.simulation.evtec_registers import QUIRKS as EVTEC_QUIRKS, EvtecRegisters
from edge_service.simulation.house import House
from edge_service.simulation.modbus_server import Face
from edge_service.simulation.options import SiteOptions
from edge_service.simulation.quasar_registers import QUIRKS as QUASAR_QUIRKS, QuasarRegisters
from edge_service.simulation.quirks import Quirks
from edge_service.simulation.sigenergy_registers import QUIRKS as SIGENERGY_QUIRKS, SigenergyPlant


@dataclass(frozen=True, slots=True)
class SimulatedCharger:
    """A charger's register face over the site's physical model, and the quirks that it can be given."""

    face: Face
    quirks: Quirks = field(default_factory=Quirks)


type Build = Callable[[House, SiteOptions], SimulatedCharger]


def _sunspec_der(house: House, options: SiteOptions) -> SimulatedCharger:
    return SimulatedCharger(ChargerRegisters(house, options))


def _wallbox_quasar_1(house: House, options: SiteOptions) -> SimulatedCharger:
    quirks = Quirks(QUASAR_QUIRKS)
    return SimulatedCharger(QuasarRegisters(house, options, quirks), quirks)


def _evtec_bidipro_10(house: House, options: SiteOptions) -> SimulatedCharger:
    quirks = Quirks(EVTEC_QUIRKS)
    return SimulatedCharger(EvtecRegisters(house, options, quirks), quirks)


def _sigenergy_evdc(house: House, options: SiteOptions) -> SimulatedCharger:
    quirks = Quirks(SIGENERGY_QUIRKS)
    return SimulatedCharger(SigenergyPlant(house, options, quirks), quirks)


SIMULATED: Mapping[str, Build] = MappingProxyType(
    {
        "sunspec_der": _sunspec_der,
        "wallbox_quasar_1": _wallbox_quasar_1,
        "sigenergy_evdc": _sigenergy_evdc,
        "evtec_bidipro_10": _evtec_bidipro_10,
    }
)


def charger(house: House, options: SiteOptions) -> SimulatedCharger:
    """The charger that the options name; raises ValueError on an unknown model or quirk."""
    if options.charger_model not in SIMULATED:
        raise ValueError(f"charger_model is {options.charger_model}; allowed is one of {', '.join(SIMULATED)}")
    made = SIMULATED[options.charger_model](house, options)
    made.quirks.switch(options.quirks)
    return made
