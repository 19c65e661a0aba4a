"""Loads of the demo's house that can be shed: at the simulated site, in ``site.yaml``, in Home Assistant."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Load:
    """One load. ``by_relay``: the edge switches it; else Home Assistant does, by a switch entity."""

    id: str
    name: str
    power_w: int
    tier: str
    by_relay: bool = False

    @property
    def entity_id(self) -> str:
        return f"switch.{self.id}"


WATER_HEATER = Load("water_heater", "Water heater", 3800, "non_essential", by_relay=True)
HEAT_PUMP = Load("heat_pump", "Heat pump", 5000, "nice_to_have")
DRYER = Load("dryer", "Dryer", 1500, "nice_to_have")
LOADS = (WATER_HEATER, HEAT_PUMP, DRYER)
# Each stays on until the vehicle has this charge, so that the scenes shed by power alone.
SHED_BELOW_PCT = 5
WARNING, WARNING_ENTITY = "Wind warning", "input_boolean.wind_warning"


def simulated(loads: Iterable[Load]) -> Iterator[str | float]:
    """Options of ``ridethrough simulate site``."""
    for load in loads:
        yield from ("--load", f"{load.id}={load.power_w}")


def relays(loads: Sequence[Load], address: str) -> str:
    """Of ``site.yaml``: those that the edge switches; their coils are numbered as the simulated site's loads are."""
    lines = [
        f"  {load.id}: {{name: {load.name}, address: {address}, coil: {coil}, feedback_input: {coil}, "
        f"tier: {load.tier}, power_w: {load.power_w}}}\n"
        for coil, load in enumerate(loads)
        if load.by_relay
    ]
    return "".join(["relays:\n", *lines]) if lines else ""


def configuration(loads: Iterable[Load], control_url: str) -> str:
    """Of Home Assistant: a switch for each load that is its own, and somebody who warns of wind.

    A switch shows what its load was told only after the simulated house has taken it.
    """
    ours = [load for load in loads if not load.by_relay]
    booleans = "".join(_BOOLEAN.format(load=load) for load in ours)
    switches = "".join(_SWITCH.format(load=load) for load in ours)
    return _CONFIGURATION.format(control_url=control_url, booleans=booleans, switches=switches, warning=WARNING)


def group(load: Load) -> dict[str, Any]:
    """What a person fills in to make a load group."""
    return {
        "name": load.name,
        "entities": [load.entity_id],
        "tier": load.tier,
        "shed_below": SHED_BELOW_PCT,
        "typical_power": load.power_w,
        "legs": [],
        "medical": False,
    }


_CONFIGURATION = """
rest_command:
  switch_load:
    url: "{control_url}/load/{{{{ load }}}}"
    method: post
    content_type: application/json
    payload: '{{"on": {{{{ runs }}}}}}'
input_boolean:
  wind_warning:
    name: {warning}
    initial: false
{booleans}
template:
  - switch:
{switches}"""

_BOOLEAN = """\
  {load.id}_runs:
    initial: true
"""

_SWITCH = """\
      - name: {load.name}
        unique_id: {load.id}
        state: "{{{{ is_state('input_boolean.{load.id}_runs', 'on') }}}}"
        turn_on:
          - action: rest_command.switch_load
            data: {{load: {load.id}, runs: "true"}}
          - action: input_boolean.turn_on
            target: {{entity_id: input_boolean.{load.id}_runs}}
        turn_off:
          - action: rest_command.switch_load
            data: {{load: {load.id}, runs: "false"}}
          - action: input_boolean.turn_off
            target: {{entity_id: input_boolean.{load.id}_runs}}
"""
