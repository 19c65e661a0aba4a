"""The companion inverters that can be simulated, by the model names of ``site.yaml``; GoodWe by its families."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from edge_service.simulation.companion_registers import CompanionRegisters, CompanionSight
from edge_service.simulation.companion_sigenergy import SigenergyCompanion

type Companion = CompanionRegisters | SigenergyCompanion

COMPANIONS: Mapping[str, Callable[[CompanionSight], Companion]] = MappingProxyType(
    {
        "sigenergy_plant": SigenergyCompanion,
        **{
            model: partial(CompanionRegisters, model)
            for model in ("solaredge_inverter", "goodwe_et_bt", "goodwe_50k_100k", "victron_system")
        },
    }
)


def companion(model: str, sight: CompanionSight) -> Companion:
    """The companion of this model; raises ValueError on an unknown one."""
    if model not in COMPANIONS:
        raise ValueError(f"companion_model is {model}; allowed is one of {', '.join(COMPANIONS)}")
    return COMPANIONS[model](sight)
