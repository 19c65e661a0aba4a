"""``site.yaml``: what is right becomes a frozen configuration, what is wrong is told whole, with line and words."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings, strategies as st

from edge_service.config import Config, load, parse
from edge_service.config.schema import TOP, device_section, heeds, models
from edge_service.config.value_rules import Address
from edge_service.domain.model import CompanionFacts, Contact, Position
from edge_service.ports import ConfigError

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
FILE = Path("site.yaml")

SMALLEST = """\
site: {name: Home, import_max_a: 100}
chargers:
  garage: {name: Garage, model: sunspec_der, address: 10.0.0.5}
"""
METER = "meter: {model: sunspec_meter, address: 10.0.0.6}\n"
CONTACTS = """\
contacts:
  stop: {address: 10.0.0.8, input: 0}
  generator: {address: 10.0.0.8, input: 1}
"""
SWITCH = "island_switch: {model: modbus_io, address: 10.0.0.7}\n"


def mistakes(text: str) -> list[str]:
    """The mistakes told, without the words that are the same in all."""
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    first, *told = str(caught.value).splitlines()
    assert first.startswith("site.yaml has ")
    assert first.endswith("; nothing of it is used")
    return [line.removeprefix("  site.yaml:") for line in told]


# ------------------------------------------------------------------------------------------------------ what is right


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_loads(path: Path) -> None:
    config = load(path)
    assert config.chargers
    assert set(config.facts().chargers) == set(config.chargers)


def test_the_example_of_a_house_has_no_warning() -> None:
    assert load(ROOT / "examples" / "site.yaml").warnings == ()


def test_the_smallest_file_takes_the_defaults() -> None:
    config = parse(SMALLEST, Path("/srv/house/site.yaml"))
    charger = config.chargers["garage"]
    assert config.site.import_max_w == 24_000
    assert (config.site.export_max_w, config.site.enter_service_s, config.site.outage_after_s) == (0, 300, 2)
    assert charger.address == Address("10.0.0.5", 502)
    assert (charger.unit_id, charger.lease_s, charger.backup) == (1, 60, "auto")
    assert (config.meter, config.island_switch) == (None, None)
    assert (config.api.host, config.api.port, config.control.cycle_s) == ("127.0.0.1", 8127, 1)
    assert config.data == Path("/srv/house/data")


def test_what_only_the_model_asks_for_stands_in_the_options() -> None:
    config = parse(SMALLEST + METER + SWITCH.replace("10.0.0.7", "10.0.0.7, inverted: true, open_coil: 4"), FILE)
    assert config.island_switch is not None
    assert config.island_switch.options == {"inverted": True, "open_coil": 4}
    assert config.chargers["garage"].options == {}


def test_every_option_of_every_model_is_a_key() -> None:
    for kind in ("charger", "companion", "meter", "island_switch", "contact"):
        for name, model in models(kind).items():
            assert {item.name for item in dataclasses.fields(model.options)} <= set(device_section(kind, name).keys)


# What the site itself reckons with; all else is for the driver.
FOR_THE_SITE = {"address", "legs", "model", "name", "position", "synchronism_check"}


def test_a_key_is_known_only_where_the_site_or_the_model_heeds_it() -> None:
    for kind in ("charger", "companion", "meter", "island_switch", "contact"):
        for name, model in models(kind).items():
            told = set(device_section(kind, name).keys) - FOR_THE_SITE
            assert told == {item.name for item in dataclasses.fields(model.options)}


def test_the_document_says_which_model_heeds_which_common_key() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name in models("charger"):
        heeded = ("yes" if heeds("charger", name, key) else "no" for key in ("unit_id", "lease_s", "backup", "legs"))
        assert f"| `{name}` | {' | '.join(heeded)} |" in page


def test_facts_are_those_of_the_installation_and_nothing_else() -> None:
    facts = parse(SMALLEST + METER + SWITCH.replace("10.0.0.7", "10.0.0.7, synchronism_check: true"), FILE).facts()
    assert facts.name == "Home"
    assert facts.chargers["garage"].capability is None
    assert facts.has_meter
    assert facts.meter_position is Position.GRID_SIDE
    assert facts.switch is not None
    assert facts.switch.synchronism_check
    assert facts.programs == {}


def test_contacts_and_what_a_generator_gives_are_facts_of_the_site() -> None:
    config = parse(SMALLEST.replace("name: Home", "name: Home, generator_max_w: 2000") + CONTACTS, FILE)
    assert config.contacts[Contact.GENERATOR].options == {"input": 1}
    assert config.facts().contacts == {Contact.STOP, Contact.GENERATOR}
    assert config.facts().generator_max_w == 2000
    assert parse(SMALLEST, FILE).facts().contacts == frozenset()


def test_a_voltage_relay_or_a_meter_on_the_street_sees_the_grid_come_back() -> None:
    behind = METER.replace("10.0.0.6", "10.0.0.6, position: protected_side") + SWITCH
    relay = "contacts: {grid_lost: {address: 10.0.0.8, input: 2}}\n"
    assert parse(SMALLEST + behind + relay, FILE).warnings == ()
    assert parse(SMALLEST + behind + relay, FILE).facts().contacts == {Contact.GRID_LOST}


def test_frequency_and_the_makers_dark_start_are_facts_of_the_site() -> None:
    told = parse(SMALLEST.replace("name: Home", "name: Home, nominal_frequency_hz: 50, dark_start_min: 90"), FILE)
    assert (told.facts().nominal_frequency_hz, told.facts().dark_start_min) == (50.0, 90.0)
    silent = parse(SMALLEST, FILE).facts()
    assert (silent.nominal_frequency_hz, silent.dark_start_min) == (60, None)


COMPANIONS = """\
companions:
  plant: {name: Battery, model: sigenergy_plant, address: 10.0.0.9}
  roof: {name: Roof, model: victron_system, address: 10.0.0.9, position: grid_side}
"""


def test_a_companion_has_the_unit_of_its_model_and_its_side_is_a_fact_of_the_site() -> None:
    config = parse(SMALLEST + COMPANIONS, FILE)
    assert {name: one.unit_id for name, one in config.companions.items()} == {"plant": 247, "roof": 100}
    assert config.facts().companions == {
        "plant": CompanionFacts("plant", "Battery", Position.PROTECTED_SIDE),
        "roof": CompanionFacts("roof", "Roof", Position.GRID_SIDE),
    }
    assert parse(SMALLEST, FILE).facts().companions == {}


@pytest.mark.parametrize(
    ("backup", "said", "keeps"),
    [
        ("auto", "", False),
        ("vendor", "", True),
        ("vendor", ", keep_reserve: null", True),
        ("vendor", ", keep_reserve: false", False),
        ("auto", ", keep_reserve: true", True),
    ],
)
def test_a_reserve_is_ours_to_set_behind_a_vendor_s_gateway_or_where_it_is_said(
    backup: str, said: str, keeps: bool
) -> None:
    text = SMALLEST.replace("10.0.0.5", f"10.0.0.5, backup: {backup}") + COMPANIONS.replace(
        "10.0.0.9}\n  roof", f"10.0.0.9{said}}}\n  roof"
    )
    facts = parse(text, FILE).facts().companions
    assert (facts["plant"].keeps_reserve, facts["roof"].keeps_reserve) == (keeps, False)


def test_a_configuration_is_frozen_all_the_way_down() -> None:
    config = parse(SMALLEST + METER + SWITCH, FILE)
    parts = (config, config.site, config.chargers["garage"], config.meter, config.island_switch, config.control)
    for part in parts:
        with pytest.raises(dataclasses.FrozenInstanceError):
            part.name = "other"  # type: ignore[union-attr, misc]
    with pytest.raises(TypeError):
        config.chargers["other"] = config.chargers["garage"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("charger.lan", Address("charger.lan", 502)),
        ("192.168.1.4:1502", Address("192.168.1.4", 1502)),
        ('"[fd00::1]:503"', Address("fd00::1", 503)),
    ],
)
def test_an_address_is_a_host_and_perhaps_a_port(written: str, meant: Address) -> None:
    assert parse(SMALLEST.replace("10.0.0.5", written), FILE).chargers["garage"].address == meant


def test_an_anchor_may_be_used_again() -> None:
    text = SMALLEST.replace("chargers:", "chargers:\n  a: {name: &n A, model: sunspec_der, address: 10.0.0.9}") + METER
    text = text.replace("name: Garage", "name: *n")
    assert parse(text, FILE).chargers["garage"].name == "A"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_bytes(b"\xef\xbb\xbf" + SMALLEST.encode())
    assert load(tmp_path / "site.yaml").site.name == "Home"


# ------------------------------------------------------------------------------------------------------ what is wrong

SITE_KEYS = (
    "announce_return_s, dark_start_min, departure_first, enter_service_s, export_max_w, generator_max_w, import_max_a, "
    "import_max_w, name, nominal_frequency_hz, nominal_voltage_v, outage_after_s, service, time_zone"
)
TOP_KEYS = "api, chargers, companions, contacts, control, data, island_switch, meter, relays, site"
CHARGER_KEYS = "address, backup, lease_s, legs, model, name, unit_id"
SUNSPEC_KEYS = "address, backup, dc_port, lease_s, legs, model, name, slices, unit_id"

COMPANION_ID = (
    "allowed: a short name of 1 to 32 characters out of a-z, 0-9 and _, but not site, manual, meter or "
    "home_assistant, nor a charger's"
)

WRONG_FILES = {
    "companions that nobody knows": (
        SMALLEST
        + "companions:\n"
        + "  garage: {name: A, model: victron_system, address: 10.0.0.9}\n"
        + "  meter: {name: B, model: victron_system, address: 10.0.0.10}\n"
        + "  c: {name: C, model: victron_sytem, address: 10.0.0.11}\n"
        + "  d: {name: D, model: goodwe, address: 10.0.0.12, keep_reserve: true}\n"
        + "  e: {name: E, model: goodwe, address: 10.0.0.13, family: 100k}\n"
        + "  f: {name: F, model: sigenergy_plant, address: 10.0.0.14, read_every_s: 60, position: roof}\n"
        + "  g: {name: G, model: victron_system, address: 10.0.0.9, unit_id: 100}\n",
        [
            f"5: companions.garage: found the id garage; {COMPANION_ID}",
            f"6: companions.meter: found the id meter; {COMPANION_ID}",
            "7: companions.c.model: found victron_sytem; did you mean victron_system?; allowed: goodwe or "
            "sigenergy_plant or solaredge_inverter or victron_system",
            "8: companions.d.family: found nothing; allowed: et_bt or 50k_100k",
            "8: companions.d.keep_reserve: found true, but there is no such key; allowed: address, family, model, "
            "name, position, unit_id",
            "9: companions.e.family: found 100k; did you mean 50k_100k?; allowed: et_bt or 50k_100k",
            "10: companions.f.position: found roof; allowed: grid_side or protected_side",
            "10: companions.f.read_every_s: found 60; allowed: a number from 0 to 4",
            "11: companions.g.address: found 10.0.0.9; allowed: an address and unit_id of its own; companions.garage "
            "has the same",
        ],
    ),
    "companions without any": (
        SMALLEST + "companions: {}\n",
        [
            "4: companions: found an empty section; allowed: a section with at least one companion inverter, each "
            "under its id"
        ],
    ),
    "what the model does not heed": (
        SMALLEST.replace("10.0.0.5", "10.0.0.5, backup: vendor").replace("sunspec_der", "wallbox_quasar_1")
        + "  left: {name: Left, model: evtec_bidipro_10, address: 10.0.0.6, backup: none, lease_s: 30}\n"
        + "  right: {name: Right, model: sigenergy_evdc, address: 10.0.0.7, backup: vendor, lease_s: 120}\n",
        [
            "3: chargers.garage.backup: found vendor, but there is no such key; the model wallbox_quasar_1 does not "
            "have it: it gives no backup; allowed: address, lease_s, legs, model, name, unit_id, write_gap_s",
            "4: chargers.left.backup: found none, but there is no such key; the model evtec_bidipro_10 does not "
            "have it: it gives no backup; allowed: address, connector, lease_s, legs, model, name, unit_id",
            "5: chargers.right.lease_s: found 120, but there is no such key; the model sigenergy_evdc does not have "
            "it: how long its orders outlive us is not ours to set; allowed: address, backup, discharge, legs, model, "
            "name, plant_unit_id, request_gap_s, unit_id",
        ],
    ),
    "empty": ("", [f"1: the file: found nothing; allowed: a section with {TOP_KEYS}"]),
    "a list": ("- a\n", [f"1: the file: found [a]; allowed: a section with {TOP_KEYS}"]),
    "not yaml": ("site:\n  a: b: c\n", ["2: the file: this is not YAML: mapping values are not allowed here"]),
    "empty sections": (
        "site:\nchargers: {}\n",
        [
            f"1: site: found nothing; allowed: a section with {SITE_KEYS}",
            "2: chargers: found an empty section; allowed: a section with at least one charger, each under its id",
        ],
    ),
    "nothing that is needed": (
        "api: {}\n",
        [
            "1: chargers: found nothing; allowed: a section with at least one charger, each under its id",
            f"1: site: found nothing; allowed: a section with {SITE_KEYS}",
        ],
    ),
    "all kinds of mistakes in one file": (
        """\
site:
  name: 12
  import_max_a: -5
  import_max_w: 30000
  export_max_w: 3.5
  nominal_voltage_v: yes
  export_max_w: 5
chargers:
  Drive Way: {model: sunspec_derr, address: 192.168.1.300, lease_s: 010}
  b:
    model: sunspec_der
    name: B
    address: 10.0.0.1
    lease: 30
    backup: non
  c: &c {model: sunspec_der, name: C, address: "10.0.0.1:502"}
  d: *c
  e: hello
api: {host: [a], allowed_hosts: [good.lan, bad host], port: 0}
control: {cycle_s: 10, x: {y: 1}}
data: ""
programs: []
""",
        [
            "2: site.name: found 12; allowed: text of 1 to 60 printable characters; put a number in quotes",
            "3: site.import_max_a: found -5; allowed: amperes of the main breaker from 1 to 10000",
            "4: site.import_max_w: found 30000; allowed: the main breaker once, as import_max_a (amperes) or "
            "import_max_w (watts)",
            "5: site.export_max_w: found 3.5; allowed: watts from 0 to 5000000, a whole number",
            "6: site.nominal_voltage_v: found yes; allowed: volts from 100 to 500",
            "7: site.export_max_w: this key stands here a second time, first in line 5; allowed: once",
            "9: chargers.Drive Way: found the id Drive Way; allowed: a short name of 1 to 32 characters out of a-z, "
            "0-9 and _, but not site or manual",
            "9: chargers.Drive Way.address: found 192.168.1.300; allowed: host or host:port, such as 192.168.1.40:502",
            "9: chargers.Drive Way.lease_s: found 010; allowed: seconds from 15 to 300, a whole number",
            "9: chargers.Drive Way.model: found sunspec_derr; did you mean sunspec_der?; allowed: "
            + " or ".join(sorted(models("charger"))),
            "9: chargers.Drive Way.name: found nothing; allowed: text of 1 to 60 printable characters; put a number "
            "in quotes",
            f"14: chargers.b.lease: found 30, but there is no such key; did you mean lease_s?; allowed: {SUNSPEC_KEYS}",
            "15: chargers.b.backup: found non; did you mean none?; allowed: auto or none or vendor",
            "16: chargers.d.address: found 10.0.0.1:502; allowed: an address and unit_id of its own; chargers.c has "
            "the same",
            f"18: chargers.e: found hello; allowed: a section with {CHARGER_KEYS}",
            "19: api.allowed_hosts: found [good.lan, bad host]; allowed: a list of host names, such as "
            "[ridethrough.local]",
            "19: api.host: found [a]; allowed: a host name or address, such as 0.0.0.0",
            "19: api.port: found 0; allowed: TCP port from 1 to 65535, a whole number",
            "20: control.x: found a section, but there is no such key; allowed: cycle_s, fast_lane_ms, stale_after_s",
            "21: data: found nothing; allowed: a folder, relative to this file or absolute",
            "22: programs: found [], but there is no such key; programs are kept by the edge: ridethrough program "
            f"add; allowed: {TOP_KEYS}",
        ],
    ),
    "no breaker": (
        SMALLEST.replace(", import_max_a: 100", ""),
        [
            "1: site.import_max_a: found nothing; allowed: the main breaker once, as import_max_a (amperes) or "
            "import_max_w (watts)"
        ],
    ),
    "more export than the breaker carries": (
        SMALLEST.replace("import_max_a: 100", "import_max_a: 100, export_max_w: 24001"),
        ["1: site.export_max_w: found 24001; allowed: watts up to what the main breaker carries, 24000"],
    ),
    "a frequency that no utility has": (
        SMALLEST.replace("name: Home", "name: Home, nominal_frequency_hz: 55, dark_start_min: 0"),
        [
            "1: site.dark_start_min: found 0; allowed: minutes from 1 to 10080",
            "1: site.nominal_frequency_hz: found 55; allowed: 50 or 60",
        ],
    ),
    "one contact for both positions": (
        SMALLEST + METER + SWITCH.replace("10.0.0.7", "10.0.0.7, closed_proven_input: 0"),
        ["5: island_switch.closed_proven_input: found 0; allowed: another input than open_proven_input"],
    ),
    "one input with two meanings": (
        SMALLEST + CONTACTS.replace("input: 1", "input: 0"),
        ["6: contacts.generator.input: found 0; allowed: an input of its own; contacts.stop has the same"],
    ),
    "a contact on an input of the island switch": (
        SMALLEST + METER + SWITCH + CONTACTS.replace("10.0.0.8, input: 0", "10.0.0.7, input: 1"),
        ["7: contacts.stop.input: found 1; allowed: an input of its own; island_switch has the same"],
    ),
    "contacts that say too little": (
        SMALLEST + "contacts: {stop: {address: 10.0.0.8}, generator: 3}",
        [
            "4: contacts.generator: found 3; allowed: a section with active, address, input, model, unit_id",
            "4: contacts.stop.input: found nothing; allowed: a number from 0 to 65535, a whole number",
        ],
    ),
    "contacts that nobody knows": (
        SMALLEST + "contacts: {fire: {address: 10.0.0.8, input: 1}}",
        ["4: contacts.fire: found a section, but there is no such key; allowed: generator, grid_lost, stop"],
    ),
    "a generator's limit without its contact": (
        SMALLEST.replace("name: Home", "name: Home, generator_max_w: 2000"),
        [
            "1: site.generator_max_w: found 2000; allowed: only together with contacts.generator, which tells when "
            "one runs"
        ],
    ),
    "a switch in the charger's unit": (
        SMALLEST + METER + SWITCH.replace("10.0.0.7", "10.0.0.5"),
        [
            "5: island_switch.address: found 10.0.0.5; allowed: an address and unit_id of its own; chargers.garage "
            "has the same"
        ],
    ),
    "a lease out of bounds": (
        SMALLEST.replace("10.0.0.5", "10.0.0.5, lease_s: 14"),
        ["3: chargers.garage.lease_s: found 14; allowed: seconds from 15 to 300, a whole number"],
    ),
    "a lease of less than three cycles": (
        SMALLEST.replace("10.0.0.5", "10.0.0.5, lease_s: 20") + "control: {cycle_s: 8, stale_after_s: 16}\n",
        ["3: chargers.garage.lease_s: found 20; allowed: at least 3 control cycles, 24 seconds"],
    ),
    "stale before the second cycle": (
        SMALLEST + "control: {cycle_s: 3}\n",
        ["4: control.stale_after_s: found nothing; allowed: at least two cycles, 6 seconds"],
    ),
    "enter service out of bounds": (
        SMALLEST.replace("import_max_a: 100", "import_max_a: 100, enter_service_s: 601"),
        ["1: site.enter_service_s: found 601; allowed: seconds from 0 to 600"],
    ),
    "an id that the record needs": (
        SMALLEST.replace("garage:", "site:"),
        [
            "3: chargers.site: found the id site; allowed: a short name of 1 to 32 characters out of a-z, 0-9 and _, "
            "but not site or manual"
        ],
    ),
    "a tag": (
        SMALLEST.replace("Garage", "!!python/name:os.system x"),
        [
            "3: chargers.garage.name: found the tag tag:yaml.org,2002:python/name:os.system; allowed: a plain value "
            "without a tag",
            "3: chargers.garage.name: found x; allowed: text of 1 to 60 printable characters; put a number in quotes",
        ],
    ),
    "a merge key": (
        SMALLEST.replace("{name: Garage", "{<<: {unit_id: 2}, name: Garage"),
        ["3: chargers.garage.<<: merge keys are not supported; write the keys out"],
    ),
    "two documents": (
        SMALLEST + "---\n" + SMALLEST,
        ["4: the file: this is not YAML: expected a single document in the stream but found another document"],
    ),
}


@pytest.mark.parametrize(("text", "told"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_wrong_file_yields_every_mistake_with_its_line(text: str, told: list[str]) -> None:
    assert mistakes(text) == told


def test_aliases_cannot_unfold_into_gigabytes() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10))
    told = mistakes(f"l0: &l0 lol\n{levels}")
    assert any("too many values, aliases counted; allowed are 20000" in line for line in told)
    assert len(told) < 20


def test_an_alias_to_itself_ends() -> None:
    assert any("nested too deeply" in line for line in mistakes("site: &s {name: *s}\n"))


@pytest.mark.parametrize("text", ["[" * 50_000, "x" * 300_000, "{a: " * 5_000], ids=["lists", "long", "sections"])
def test_a_monstrous_file_is_one_mistake(text: str) -> None:
    assert len(mistakes(text)) == 1


def test_what_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(b"site: \xff\xfe")
    with pytest.raises(ConfigError, match="is not text in UTF-8"):
        load(path)


def test_a_missing_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read: No such file or directory; say which file"):
        load(tmp_path / "none.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path)


# ------------------------------------------------------------------------------------------------- what must be meant


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            SMALLEST.replace("100", "100, enter_service_s: 20") + METER,
            "site.yaml:1: site.enter_service_s: 20 is shorter than the 300 seconds of IEEE 1547-2018; right for a "
            "simulator, or with the utility's leave",
        ),
        (
            SMALLEST,
            "site.yaml:1: the file: there is no meter: import and export at the point of connection cannot be watched",
        ),
        (
            SMALLEST.replace("10.0.0.5", "10.0.0.5, backup: none") + METER + SWITCH,
            "site.yaml:5: island_switch: no charger has backup: auto, so nothing can feed the house when it opens",
        ),
        (
            SMALLEST.replace("sunspec_der", "wallbox_quasar_1") + METER + SWITCH,
            "site.yaml:5: island_switch: no charger has backup: auto, so nothing can feed the house when it opens",
        ),
        (
            SMALLEST + METER.replace("10.0.0.6", "10.0.0.6, position: protected_side") + SWITCH,
            "site.yaml:5: island_switch: nothing here is on the street's side of the switch, so while it is open "
            "nothing sees the grid come back: put the meter there, wire contacts.grid_lost, or let Home Assistant "
            "forward an entity that knows",
        ),
        (
            SMALLEST + METER + CONTACTS.replace("input: 1", "input: 1, active: closed"),
            "site.yaml:7: contacts.generator.active: a broken wire will not be noticed; wire the contact so that its "
            "circuit opens, with active: open",
        ),
        (
            SMALLEST + METER + "api: {host: 0.0.0.0, insecure_lan: true}\n",
            "site.yaml:5: api.insecure_lan: reachable from the network, and without encryption: keep it on a network "
            "that you trust",
        ),
    ],
)
def test_what_is_allowed_but_must_be_meant_is_a_warning(text: str, warning: str) -> None:
    assert parse(text, FILE).warnings == (warning,)


# ------------------------------------------------------------------------------------------------------------- always

keys = st.sampled_from([*TOP, "name", "model", "address", "lease_s", "import_max_a", "import_max_w", "a", "<<", "1"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["sunspec_der", "sunspec_meter", "modbus_io", "10.0.0.1", "10.0.0.1:99999", "[::1]:5", "auto"]),
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=12,
)


def outcome(text: str) -> Config | None:
    """The configuration, or None for a file with mistakes; anything else is a defect."""
    try:
        return parse(text, FILE)
    except ConfigError:
        return None


@given(st.dictionaries(st.sampled_from(TOP), trees))
@settings(max_examples=300, deadline=None)
def test_a_tree_of_anything_raises_nothing_but_a_configuration_error(tree: dict[str, Any]) -> None:
    assert isinstance(outcome(yaml.safe_dump(tree, allow_unicode=True)), (Config, type(None)))


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=60))
@example('a: "\\UFFFFFFFF"')
@example("%YAML 99999999999999999999999.1\n---\na")
@example("? [a, b]\n: c")
@example("a: 2001-99-99")
@example("a: &a\n  ? *a\n  : 1")
@example("site: !!int x")
@settings(max_examples=400, deadline=None)
def test_text_of_any_kind_raises_nothing_but_a_configuration_error(text: str) -> None:
    assert outcome(text) is None


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_one_wrong_character_in_a_right_file_never_escapes(data: st.DataObject) -> None:
    text = (ROOT / "examples" / "site.yaml").read_text(encoding="utf-8")
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from(["", "\t", ":", "{", "]", "&", "*", "!", "\n", "%", "0", "\x00", "'", '"', "-"]))
    assert isinstance(outcome(text[:place] + letter + text[place + 1 :]), (Config, type(None)))


def test_the_document_explains_every_key() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    known = {
        key
        for kind in ("charger", "companion", "meter", "island_switch", "contact", "relay")
        for model in models(kind)
        for key in device_section(kind, model).keys
    }
    known |= {*TOP, *SITE_KEYS.split(", "), "host", "port", "allowed_hosts", "announce", "cycle_s", "fast_lane_ms"}
    assert [key for key in sorted(known) if f"{key}`" not in page] == []


# ------------------------------------------------------------------------------------------------------------- the legs


@pytest.mark.parametrize(
    ("service", "legs", "says"),
    [
        ("", "[1]", "only together with site.service, which says how many legs there are"),
        (", service: split_phase", "[1, 3]", "legs 1 to 2, as site.service is split_phase"),
        (", service: single_phase", "2", "leg 1 only, as site.service is single_phase"),
    ],
)
def test_a_charger_lies_on_legs_that_the_service_has(service: str, legs: str, says: str) -> None:
    text = SMALLEST.replace("100", f"100{service}").replace("10.0.0.5", f"10.0.0.5, legs: {legs}") + METER
    with pytest.raises(ConfigError, match=rf"chargers\.garage\.legs: found .* allowed: {says}"):
        parse(text, FILE)


def test_each_leg_carries_its_part_of_the_breaker() -> None:
    text = SMALLEST.replace("100", "100, service: split_phase").replace("10.0.0.5", "10.0.0.5, legs: [2]") + METER
    facts = parse(text, FILE).facts()
    assert (facts.leg_max_w, facts.chargers["garage"].legs) == ((12000, 12000), (2,))
