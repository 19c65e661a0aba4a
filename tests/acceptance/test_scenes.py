"""The scenes of the demo, as far as they can be checked without playing them; ``scripts/test`` plays them."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from demo.loads import DRYER, HEAT_PUMP, LOADS, WATER_HEATER, configuration, group, relays, simulated
from demo.processes import DemoError, command

URL = "http://127.0.0.1:1"


def keys(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from keys(value)
    elif isinstance(node, list):
        for value in node:
            yield from keys(value)


def test_home_assistant_is_given_a_switch_for_each_load_that_is_its_own() -> None:
    told = yaml.safe_load(configuration(LOADS, URL))
    (part,) = told["template"]
    assert [switch["unique_id"] for switch in part["switch"]] == [HEAT_PUMP.id, DRYER.id]
    assert told["rest_command"]["switch_load"]["url"] == f"{URL}/load/{{{{ load }}}}"
    # YAML makes a truth value of a key such as on.
    assert all(isinstance(key, str) for key in keys(told))


def test_a_relay_of_the_site_file_moves_the_load_of_the_same_place_at_the_simulated_site() -> None:
    told = yaml.safe_load(relays(LOADS, "127.0.0.1:502"))["relays"]
    assert list(told) == [WATER_HEATER.id]
    names = [option.partition("=")[0] for option in map(str, simulated(LOADS)) if "=" in option]
    assert names[told[WATER_HEATER.id]["coil"]] == WATER_HEATER.id
    assert relays((), "127.0.0.1:502") == ""


def test_a_load_group_is_filled_in_with_the_switch_that_stands_for_the_load() -> None:
    assert group(DRYER)["entities"] == ["switch.dryer"]


async def test_a_scene_that_does_not_exist_is_refused_with_the_names_of_those_that_do() -> None:
    assert "outage, flap, storm, drill" in await command((sys.executable, "-m", "demo", "--help"))
    with pytest.raises(DemoError, match="no such scene: earthquake"):
        await command((sys.executable, "-m", "demo", "earthquake"))
