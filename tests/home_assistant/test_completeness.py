"""What has to fit together: words, icons, manifest, contract."""

import ast
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, selector
from homeassistant.loader import async_get_integration
from PIL import Image
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import blueprint_options, const, notice_kinds, refusals
from custom_components.ridethrough.config_flow import ERRORS
from custom_components.ridethrough.link_issues import SCHEMAS as SCHEMA_MISFITS
from custom_components.ridethrough.options_flow import SCHEMAS
from custom_components.ridethrough.phones.pages import WHAT_FIELDS, WHO_FIELDS
from custom_components.ridethrough.program_flow import KINDS
from custom_components.ridethrough.program_form import ASKED, CONF_UNTESTED, MORE, fields_of
from custom_components.ridethrough.repairs import FIXES
from custom_components.ridethrough.services import ACTIONS, SITE_ACTIONS, specials
from custom_components.ridethrough.subentry_flow import LEGS, SCHEMA, TIERS
from custom_components.ridethrough.troubles import TROUBLES
from edge_service.programs import forms

ROOT = Path(__file__).parents[2]
HERE = ROOT / "custom_components" / "ridethrough"
WORDS: dict[str, Any] = json.loads((HERE / "translations" / "en.json").read_text())
ICONS: dict[str, Any] = json.loads((HERE / "icons.json").read_text())
MANIFEST: dict[str, Any] = json.loads((HERE / "manifest.json").read_text())
SOURCES = {path.relative_to(HERE).as_posix(): path.read_text() for path in HERE.rglob("*.py")}
PLATFORMS = ["binary_sensor", "button", "calendar", "event", "number", "select", "sensor", "switch", "time", "update"]
# An option that is there only while it is so: nobody can choose it.
ONLY_SHOWN = {"charge_mode": {"discharge"}}


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}")
    else:
        yield path, node


async def test_every_entity_has_words_for_its_name_and_states_and_an_icon(
    hass: HomeAssistant, everything_enabled: None, house: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    used: dict[str, set[str]] = {platform: set() for platform in PLATFORMS}
    for entry in er.async_entries_for_config_entry(entity_registry, house.entry_id):
        key = entry.translation_key
        assert key is not None, entry.entity_id
        used[entry.domain].add(key)
        words = WORDS["entity"][entry.domain][key]
        assert words["name"]
        options = {*(entry.capabilities or {}).get("options", []), *ONLY_SHOWN.get(key, ())}
        on_or_off = entry.domain in ("binary_sensor", "switch")
        assert set(words.get("state", {})) == options or (on_or_off and not options), entry.entity_id
        if kinds := (entry.capabilities or {}).get("event_types"):
            assert set(kinds) == set(words["state_attributes"]["event_type"]["state"])
        assert ICONS["entity"][entry.domain][key]["default"].startswith("mdi:")
        assert set(ICONS["entity"][entry.domain][key].get("state", {})) <= set(words.get("state", {}))
    for platform, keys in used.items():
        assert set(WORDS["entity"][platform]) == keys
        assert set(ICONS["entity"][platform]) == keys


def test_every_error_is_translated_and_no_translation_is_left_over() -> None:
    used = {f"edge_{code}" for code in refusals.MISTAKES | refusals.TROUBLES} | {"edge_refused"}
    used |= {f"not_a_{action.kind}" for action in ACTIONS} | {"edge_too_old", "edge_too_new"}
    used |= set(re.findall(r'nothing(?:: str)? ?= ?"([a-z_]+)"', SOURCES["button.py"]))
    for text in SOURCES.values():
        used |= set(re.findall(r'translation_domain=DOMAIN,\s+translation_key="([a-z_]+)"', text))
    assert set(WORDS["exceptions"]) == used


def test_every_repair_has_its_words() -> None:
    told = re.compile(r'async_create_issue\([^)]*translation_key="(\w+)"')
    raised = {key for text in SOURCES.values() for key in told.findall(text)}
    assert set(WORDS["issues"]) == raised | set(SCHEMA_MISFITS) | {trouble.key for trouble in TROUBLES}
    for trouble in TROUBLES:
        words = WORDS["issues"][trouble.key]
        assert ("fix_flow" in words, "description" in words) == (trouble.fixable, not trouble.fixable)
        assert (trouble.key in FIXES) is trouble.fixable


def test_the_form_of_a_program_has_words_for_all_that_the_real_edge_asks() -> None:
    words = WORDS["config_subentries"][const.PROGRAM]
    assert set(words["step"]) == {"user", "details", "reconfigure"}
    for name in ("details", "reconfigure"):
        step, more = words["step"][name], words["step"][name]["sections"]["more"]
        assert set(step["data"]) == set(step["data_description"]) == ASKED | {CONF_UNTESTED}
        assert set(more["data"]) == set(more["data_description"]) == MORE
    for kind in forms.offered()["kinds"]:
        asked, _ = fields_of(forms.offered(), "generic", kind)
        assert {field["name"] for field in asked} <= ASKED
    assert set(words["error"]) == {"field_refused", "not_reached", "no_link"}
    assert set(WORDS["selector"]["program_kind"]["options"]) == set(KINDS)


def test_every_kind_of_notice_has_its_words() -> None:
    kinds = {match[0] for key in WORDS["common"] if (match := re.findall(r"^notice_(.*)_(?:title|text)$", key))}
    assert kinds == {*notice_kinds.KINDS, "other"}


def test_the_flows_forms_and_errors_have_words() -> None:
    flow = SOURCES["config_flow.py"]
    steps = set(re.findall(r"async def async_step_(\w+)\(", flow)) - {"zeroconf", "reauth"}
    assert set(WORDS["config"]["step"]) == steps
    for step in WORDS["config"]["step"].values():
        assert set(step["data"]) == set(step["data_description"])
    errors = {key for _, key in ERRORS} | {"cannot_connect", "edge_too_old", "edge_too_new"}
    assert set(WORDS["config"]["error"]) == errors
    aborts = set(re.findall(r'reason="(\w+)"', flow))
    assert aborts <= set(WORDS["config"]["abort"])


def test_the_pages_of_options_and_load_groups_have_words() -> None:
    pages = WORDS["options"]["step"]
    own = {"notifications": WHO_FIELDS, "notification_kinds": WHAT_FIELDS, "blueprints": blueprint_options.FIELDS}
    own["summary"] = (const.CONF_BACKED_UP,)
    assert set(pages) == {"init", *SCHEMAS, *own}
    assert set(pages["init"]["menu_options"]) == {*SCHEMAS, "notifications", "blueprints", "summary"}
    for name, fields in own.items():
        assert set(pages[name]["data"]) == set(pages[name]["data_description"]) == set(fields)
    for name, schema in SCHEMAS.items():
        assert set(pages[name]["data"]) == set(pages[name]["data_description"]) == {str(key) for key in schema.schema}
    group = WORDS["config_subentries"][const.LOAD_GROUP]
    assert set(group["step"]) == {"user", "reconfigure"}
    for step in group["step"].values():
        assert set(step["data"]) == set(step["data_description"]) == {str(key) for key in SCHEMA.schema}
    options = "".join(SOURCES[name] for name in ("phones/pages.py", "blueprint_options.py", "options_flow.py"))
    for words, source in ((WORDS["options"], options), (group, SOURCES["subentry_flow.py"])):
        assert set(words["error"]) == set(re.findall(r'(?:\w+: |\] = )"([a-z_]+)"(?:\}|$)', source, re.M))


def test_every_action_has_words_and_icon_and_its_fields_match(hass: HomeAssistant) -> None:
    described = yaml.safe_load((HERE / "services.yaml").read_text())
    names = {action.name for action in ACTIONS} | {action.name for action in SITE_ACTIONS}
    names |= {special.name for special in specials(hass)}
    assert set(described) == set(WORDS["services"]) == set(ICONS["services"]) == names
    page = (ROOT / "docs" / "home-assistant.md").read_text()
    assert [name for name in names if f"`ridethrough.{name}`" not in page] == []
    for name, action in described.items():
        assert set(action["fields"]) == set(WORDS["services"][name]["fields"])


def test_the_choices_in_the_fields_of_actions_have_words() -> None:
    found: dict[str, set[str]] = {}
    for action in yaml.safe_load((HERE / "services.yaml").read_text()).values():
        for field in action["fields"].values():
            if select := field["selector"].get("select"):
                found[select["translation_key"]] = set(select["options"])
    found |= {"tier": set(TIERS), "legs": set(LEGS), "program_kind": set(KINDS)}
    assert {key: set(one["options"]) for key, one in WORDS["selector"].items()} == found


def orders(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Our actions in an example, with their data."""
    if isinstance(node, dict):
        if str(node.get("action", "")).startswith(f"{const.DOMAIN}."):
            yield node["action"].partition(".")[2], node["data"]
        for value in node.values():
            yield from orders(value)
    elif isinstance(node, list):
        for value in node:
            yield from orders(value)


def test_every_field_of_an_action_has_a_selector_that_home_assistant_knows() -> None:
    for name, action in yaml.safe_load((HERE / "services.yaml").read_text()).items():
        for field, one in action["fields"].items():
            assert selector.validate_selector(one["selector"]), f"{name}.{field}"


# What stands in an automation where an example has a template.
NOON, LATER = "2026-07-15 12:00:00", "2026-07-15 15:00:00"
RENDERED = {"uid": "peak-1", "date": "2026-07-15", "name": "Peak event", "start": NOON, "end": LATER}


async def test_every_example_of_an_action_in_the_documents_is_accepted(
    hass: HomeAssistant, house: MockConfigEntry
) -> None:
    page = (ROOT / "docs" / "home-assistant.md").read_text()
    shown = [one for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) for one in orders(yaml.safe_load(text))]
    offered = hass.services.async_services()[const.DOMAIN]
    for name, data in shown:
        schema = offered[name].schema
        assert schema is not None
        rendered = {field: RENDERED[field] if "{{" in str(value) else value for field, value in data.items()}
        assert set(schema(rendered)) >= set(data)
    departures = {"set_departure", "clear_departure", "skip_departure", "get_departures"}
    assert {name for name, _ in shown} >= departures | {"charge", "prepare_for_storm", "end_storm"}


async def test_the_actions_that_home_assistant_offers_are_the_documented_ones(
    hass: HomeAssistant, house: MockConfigEntry
) -> None:
    assert set(hass.services.async_services()[const.DOMAIN]) == set(WORDS["services"])


def test_words_carry_no_addresses_and_no_stray_space() -> None:
    for path, text in leaves(WORDS):
        assert text == text.strip(), path
        assert "://" not in text, path
        assert not re.search(r"['\"]\{|\}['\"]", text), path


def test_the_manifest_is_in_order_and_asks_for_nothing() -> None:
    keys = list(MANIFEST)
    assert keys[:2] == ["domain", "name"]
    assert all(one < other for one, other in pairwise(keys[2:]))
    assert MANIFEST["requirements"] == []
    assert MANIFEST["domain"] == const.DOMAIN
    for service in MANIFEST["zeroconf"]:
        assert len(service.partition(".")[0].lstrip("_")) <= 15
        assert f'"{service}"' in SOURCES["wire.py"]


async def test_home_assistant_accepts_the_manifest(hass: HomeAssistant) -> None:
    integration = await async_get_integration(hass, const.DOMAIN)
    assert integration.version == MANIFEST["version"]
    assert not integration.disabled


def test_the_contract_is_the_edges_byte_for_byte() -> None:
    assert (HERE / "wire.py").read_bytes() == (ROOT / "edge_service" / "api" / "wire.py").read_bytes()


def imports(name: str) -> set[str]:
    """The top-level packages that a file imports; our own files with a dot."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(SOURCES[name])):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            own = [f".{node.module}"] if node.module else [f".{alias.name}" for alias in node.names]
            found |= set(own) if node.level else {str(node.module).partition(".")[0]}
    return found


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_file_reaches_into_the_edge_or_past_home_assistants_validation(name: str) -> None:
    assert not imports(name) & {"edge_service", "voluptuous", "pymodbus"}


def test_the_client_knows_no_home_assistant() -> None:
    ours = imports("client.py") & {"homeassistant", "probatio", ".coordinator", ".const"}
    assert not ours
    assert ".wire" in imports("client.py")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_platform_says_how_many_updates_may_run(platform: str) -> None:
    acts = platform in ("button", "number", "select", "switch", "time", "update")
    assert f"\nPARALLEL_UPDATES = {int(acts)}\n" in SOURCES[f"{platform}.py"]


@pytest.mark.parametrize(("name", "side"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_the_brand_images_have_their_size(name: str, side: int) -> None:
    with Image.open(HERE / "brand" / name) as image:
        assert image.size == (side, side)
