"""``ridethrough simulate site``: a simulated site as a process of its own."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import fields
from pathlib import Path
from typing import Any

from edge_service.simulation.charger_models import SIMULATED
from edge_service.simulation.companion_models import COMPANIONS
from edge_service.simulation.loads import LoadOptions
from edge_service.simulation.options import METER_MODELS, SUNSPEC_BASES, SiteOptions
from edge_service.simulation.site import run_site

_DEFAULTS = SiteOptions()
_PORTS = ("charger_port", "meter_port", "switch_port", "contact_port", "companion_port", "relay_port", "control_port")
_NUMBERS = {
    "enter_service_s": "seconds of good grid before the charger reconnects",
    "detection_s": "seconds until the charger notices that the grid is lost",
    "form_s": "seconds the charger takes to form the island",
    "overload_s": "seconds the charger carries too much in an island before it trips",
    "switch_moves_s": "seconds the island switch takes to move",
    "ramp_w_per_s": "how fast the charger's power changes",
    "rating_w": "the charger's rating, both ways",
    "battery_wh": "the vehicle's usable energy",
    "soc_pct": "the vehicle's state of charge at the start",
    "house_load_w": "what the house draws at the start",
}
_CHOICES = {
    "charger_base": SUNSPEC_BASES,
    "meter_base": SUNSPEC_BASES,
    "meter_model": METER_MODELS,
    "power_scale": (0, 1, 2),
    "dc_ports": (1, 2),
    "model_1_length": (65, 66),
}
_VARIANTS = {
    "no_wset": "the charger offers a cap on generation only, no setpoint",
    "no_713": "the charger does not tell the state of charge",
    "no_715": "the charger has no start, stop and heartbeat points",
    "no_702": "the charger tells no ratings",
    "no_703": "the charger does not tell whether it may enter service",
    "no_704": "the charger takes no orders",
    "no_714": "the charger tells nothing of its DC side",
    "no_wset_mod": "the charger does not tell whether watts or percent count",
    "no_wset_pct": "the charger takes its setpoint in watts only",
    "no_wset_ena_rvrt": "the charger's reversion timer cannot turn the setpoint off",
    "percent_only": "the charger takes its setpoint in percent only",
    "no_timer": "the charger has no reversion timers",
    "no_timer_left": "the charger does not tell how long an order still stands",
    "timer_ends_nothing": "the charger's reversion timers run down and nothing happens",
    "companion_on_grid_side": "the other inverter sits on the grid's side of the island switch",
    "vendor_backup": "a maker's gateway carries the house in an outage",
    "local": "the charger is under local control",
    "synchronism_check": "the island switch closes onto a living house only in step with the street",
    "setpoint_obeyed_in_island": "the charger obeys a setpoint while it forms the island, as it should not",
}


def add_arguments(parser: ArgumentParser) -> None:
    """A port of 0 lets the system choose; the announce file tells which."""
    for name in _PORTS:
        parser.add_argument(_flag(name), type=int, default=0, metavar="PORT", help="0: the system chooses")
    for name, meaning in _NUMBERS.items():
        default = getattr(_DEFAULTS, name)
        parser.add_argument(_flag(name), type=float, default=default, metavar="N", help=f"{meaning} ({default:g})")
    for name, allowed in _CHOICES.items():
        parser.add_argument(_flag(name), type=int, choices=allowed, default=getattr(_DEFAULTS, name))
    for name, meaning in _VARIANTS.items():
        parser.add_argument(_flag(name), action="store_true", help=meaning)
    parser.add_argument(
        *("--companion", "--companion-model"),
        dest="companion_model",
        choices=tuple(COMPANIONS),
        metavar="MODEL",
        default=_DEFAULTS.companion_model,
        help=f"another inverter at the house: {', '.join(COMPANIONS)}",
    )
    parser.add_argument("--charger-model", choices=tuple(SIMULATED), default=_DEFAULTS.charger_model)
    parser.add_argument(
        "--quirk",
        dest="quirks",
        action="append",
        type=_quirk,
        default=[],
        metavar="NAME[=off]",
        help="switch a quirk of the charger's model on or off; may be given several times",
    )
    parser.add_argument(
        "--load",
        dest="loads",
        action="append",
        type=_load,
        default=[],
        metavar="NAME=WATTS",
        help="a load with a relay, at the next coil of the relay block; may be given several times",
    )
    parser.add_argument("--cannot-island", dest="island_capable", action="store_false", help="no backup at all")
    parser.add_argument("--unplugged", dest="plugged", action="store_false", help="start without a vehicle")
    parser.add_argument("--announce-file", type=Path, metavar="PATH", help="written, as JSON, once the site listens")


def run(args: Namespace) -> int:
    """Serve until SIGINT or SIGTERM; 0 after that, 2 for a wrong option, 1 when a port cannot be had."""
    try:
        asyncio.run(run_site(_options(args)))
    except ValueError as error:
        sys.stderr.write(f"simulate site: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"simulate site: cannot listen or announce: {error}\n")
        return 1
    return 0


def _options(args: Namespace) -> SiteOptions:
    given: dict[str, Any] = {f.name: getattr(args, f.name) for f in fields(SiteOptions) if hasattr(args, f.name)}
    return SiteOptions(**given | {"quirks": dict(args.quirks), "loads": tuple(args.loads)})


def _load(words: str) -> LoadOptions:
    """``pump=1500``; raises ValueError, which argparse tells."""
    name, _, watts = words.partition("=")
    return LoadOptions(name, float(watts))


def _quirk(words: str) -> tuple[str, bool]:
    """``name`` or ``name=on`` or ``name=off``; raises ValueError, which argparse tells."""
    name, _, state = words.partition("=")
    if state not in {"", "on", "off"}:
        raise ValueError(words)
    return name, state != "off"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
