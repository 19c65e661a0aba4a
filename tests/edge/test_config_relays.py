"""The ``relays`` section of ``site.yaml``: the loads that the edge sheds itself."""

from pathlib import Path

import pytest

from edge_service.config import parse
from edge_service.domain.model import LoadGroup, Tier
from edge_service.ports import ConfigError

FILE = Path("site.yaml")
SMALLEST = """\
site: {name: Home, import_max_a: 100}
chargers:
  garage: {name: Garage, model: sunspec_der, address: 10.0.0.5}
"""
METER = "meter: {model: sunspec_meter, address: 10.0.0.6}\n"
SWITCH = "island_switch: {model: modbus_io, address: 10.0.0.7}\n"


def test_relays_become_load_groups_of_the_site() -> None:
    text = """\
relays:
  heater: {name: Water heater, address: 10.0.0.8, coil: 0, feedback_input: 4, tier: non_essential, power_w: 4500}
  bed: {name: Bed, address: 10.0.0.8, coil: 1, medical: true, inverted: true, shed_below_pct: 60}
"""
    config = parse(SMALLEST + text, FILE)
    assert config.facts().relays == {
        "heater": LoadGroup("heater", "Water heater", Tier.NON_ESSENTIAL, 4500),
        "bed": LoadGroup("bed", "Bed", Tier.MUST_HAVE, None, (), 60, medical=True),
    }
    assert config.relays["heater"].options == {"coil": 0, "feedback_input": 4}


@pytest.mark.parametrize(
    ("relay", "where", "says"),
    [
        ("heater: {address: 10.0.0.8, coil: 0}", "name", "found nothing"),
        ("heater: {name: H, address: 10.0.0.8}", "coil", "found nothing"),
        ("heater: {name: H, address: 10.0.0.8, coil: 0, tier: nice}", "tier", "nice_to_have or non_essential"),
        ("heater: {name: H, address: 10.0.0.8, coil: 0, power_w: -1}", "power_w", "0 to 100000"),
        (
            "heater: {name: H, address: 10.0.0.8, coil: 0, hours: [17:00-21:00]}",
            "hours",
            "only together with site.time_zone",
        ),
        ("heater: {name: H, address: 10.0.0.8, coil: 0, hours: evening}", "hours", "up to 4 spans of local time"),
        ("heater: {name: H, address: 10.0.0.8, coil: 0, hours: [7:00-9:00]}", "hours", "up to 4 spans of local time"),
        ("heater: {name: H, address: 10.0.0.8, coil: 0, hours: [07:00-07:00]}", "hours", "up to 4 spans of local time"),
        ("heater: {name: H, address: 10.0.0.8, coil: 0, hours: [17:00]}", "hours", "up to 4 spans of local time"),
        ("heater: {name: H, address: 10.0.0.8, coil: 0, hours: []}", "hours", "up to 4 spans of local time"),
        ("heater: {name: H, address: 10.0.0.8, coil: 0, legs: [1]}", "legs", "only together with site.service"),
        ("garage: {name: H, address: 10.0.0.8, coil: 0}", "garage", "nor a charger's"),
    ],
)
def test_a_wrong_relay_is_told_by_its_key(relay: str, where: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{SMALLEST}relays:\n  {relay}\n", FILE)
    assert f"{where}: " in str(caught.value)
    assert says in str(caught.value)


ZONED = SMALLEST.replace("import_max_a: 100", "import_max_a: 100, time_zone: America/New_York")


def test_a_relay_may_name_the_hours_at_which_its_load_matters() -> None:
    heater = "{name: H, address: 10.0.0.8, coil: 0, power_w: 900, hours: [06:00-09:00, 22:00-02:00]}"
    config = parse(f"{ZONED}relays:\n  heater: {heater}\n", FILE)
    assert config.facts().relays["heater"].hours == (("06:00", "09:00"), ("22:00", "02:00"))
    heater = "{name: H, address: 10.0.0.8, coil: 0, power_w: 900, hours: 06:00-09:00}"
    alone = parse(f"{ZONED}relays:\n  heater: {heater}\n", FILE)
    assert alone.facts().relays["heater"].hours == (("06:00", "09:00"),)


@pytest.mark.parametrize("must", ["tier: must_have", "medical: true"])
def test_what_must_be_on_has_no_hours(must: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{ZONED}relays:\n  bed: {{name: B, address: 10.0.0.8, coil: 0, {must}, hours: [06:00-09:00]}}\n", FILE)
    assert "relays.bed.hours: " in str(caught.value)
    assert "a must-have matters at every hour" in str(caught.value)


def test_hours_need_to_know_what_comes_back() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{ZONED}relays:\n  bed: {{name: B, address: 10.0.0.8, coil: 0, hours: [06:00-09:00]}}\n", FILE)
    assert "relays.bed.hours: " in str(caught.value)
    assert "only together with power_w" in str(caught.value)


def test_a_coil_moves_one_thing_and_an_input_proves_one() -> None:
    relays = """\
relays:
  one: {name: One, address: 10.0.0.7, coil: 0, feedback_input: 1}
  two: {name: Two, address: 10.0.0.7, coil: 3}
  three: {name: Three, address: 10.0.0.7, coil: 3}
"""
    with pytest.raises(ConfigError) as caught:
        parse(SMALLEST + METER + SWITCH + relays, FILE)
    assert "relays.one.coil: found 0; allowed: a coil of its own; island_switch has the same" in str(caught.value)
    assert "relays.three.coil: found 3; allowed: a coil of its own; relays.two has the same" in str(caught.value)
    assert "relays.one.feedback_input: found 1; allowed: an input of its own" in str(caught.value)
