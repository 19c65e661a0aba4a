"""Home Assistant's quality scale: every rule is there and true, as far as a machine can tell; manifest and hacs.json as
hassfest and HACS would look at them."""

import ast
import json
import logging
import re
import tomllib
from collections.abc import Generator, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from awesomeversion import AwesomeVersion
from homeassistant import block_async_io
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, selector
from homeassistant.setup import async_setup_component
from PIL import Image
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import PLATFORMS
from custom_components.ridethrough.const import DOMAIN

from .conftest import shown
from .peer import Eventually, Peer

ROOT = Path(__file__).parents[2]
HERE = ROOT / "custom_components" / "ridethrough"
SOURCES = {path.relative_to(HERE).as_posix(): path.read_text() for path in sorted(HERE.rglob("*.py"))}
WORDS: dict[str, Any] = json.loads((HERE / "translations" / "en.json").read_text())
ICONS: dict[str, Any] = json.loads((HERE / "icons.json").read_text())
MANIFEST: dict[str, Any] = json.loads((HERE / "manifest.json").read_text())
RULES: dict[str, Any] = yaml.safe_load((HERE / "quality_scale.yaml").read_text())["rules"]


def words_of(text: str) -> list[str]:
    """A list that is too long to be quoted word by word."""
    return text.split()


BRONZE = words_of("""
action-setup appropriate-polling brands common-modules config-flow config-flow-test-coverage dependency-transparency
docs-actions docs-conditions docs-high-level-description docs-installation-instructions docs-removal-instructions
docs-triggers entity-event-setup entity-unique-id has-entity-name runtime-data test-before-configure test-before-setup
unique-config-entry
""")
SILVER = words_of("""
action-exceptions config-entry-unloading docs-configuration-parameters docs-installation-parameters entity-unavailable
integration-owner log-when-unavailable parallel-updates reauthentication-flow test-coverage
""")
GOLD = words_of("""
devices diagnostics discovery discovery-update-info docs-data-update docs-examples docs-known-limitations
docs-supported-devices docs-supported-functions docs-troubleshooting docs-use-cases dynamic-devices entity-category
entity-device-class entity-disabled-by-default entity-translations exception-translations icon-translations
reconfiguration-flow repair-issues stale-devices
""")
PLATINUM = ["async-dependency", "inject-websession", "strict-typing"]

# Which page, and which words of a heading in it, keep a rule about documents.
PAGES = MappingProxyType(
    {
        "docs-actions": ("home-assistant.md", "Actions"),
        "docs-conditions": ("triggers-and-conditions.md", "Conditions"),
        "docs-triggers": ("triggers-and-conditions.md", "Triggers"),
        "docs-high-level-description": ("home-assistant.md", "Ridethrough in Home Assistant"),
        "docs-installation-instructions": ("home-assistant.md", "Install"),
        "docs-removal-instructions": ("home-assistant.md", "Remov"),
        "docs-installation-parameters": ("home-assistant.md", "Pair"),
        "docs-configuration-parameters": ("home-assistant.md", "Options"),
        "docs-data-update": ("home-assistant.md", "up to date"),
        "docs-examples": ("home-assistant.md", "Example"),
        "docs-known-limitations": ("home-assistant.md", "Known limits"),
        "docs-supported-devices": ("home-assistant.md", "What you need"),
        "docs-supported-functions": ("home-assistant.md", "What you see"),
        "docs-troubleshooting": ("home-assistant.md", "When something is wrong"),
        "docs-use-cases": ("home-assistant.md", "What it is good for"),
    }
)

# What hassfest allows in the manifest of an integration like ours that is not Home Assistant's own.
MANIFEST_KEYS = frozenset(
    words_of("""domain name after_dependencies codeowners config_flow dependencies documentation integration_type
    iot_class issue_tracker loggers quality_scale requirements single_config_entry version zeroconf""")
)
HACS_KEYS = frozenset(
    words_of("""name content_in_root country filename hacs hide_default_branch homeassistant persistent_directory
    render_readme zip_release""")
)


# ------------------------------------------------------------------------------------------------------------ the list


def test_all_54_rules_are_there_in_order_and_each_is_kept_or_has_a_reason() -> None:
    assert list(RULES) == [*BRONZE, *SILVER, *GOLD, *PLATINUM]
    assert len(RULES) == 54
    for rule, told in RULES.items():
        status = told if isinstance(told, str) else told["status"]
        assert status in ("done", "exempt"), rule
        if status == "exempt":
            assert len(told["comment"].split()) > 3, rule
    assert {rule for rule, told in RULES.items() if not isinstance(told, str) and told["status"] == "exempt"} <= {
        "appropriate-polling",
        "dependency-transparency",
    }


def test_the_exempt_rules_have_nothing_to_keep() -> None:
    assert MANIFEST["requirements"] == []
    assert MANIFEST["iot_class"] == "local_push"
    assert [name for name, text in SOURCES.items() if "SCAN_INTERVAL" in text or "update_interval" in text] == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.startswith("docs-")])
def test_each_rule_about_documents_has_its_section(rule: str) -> None:
    page, words = PAGES[rule]
    text = (ROOT / "docs" / page).read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert any(words in heading for heading in headings), f"no heading with '{words}' in docs/{page}"


def test_each_trigger_condition_and_option_is_in_the_documents() -> None:
    page = (ROOT / "docs" / "triggers-and-conditions.md").read_text()
    for file in ("triggers", "conditions"):
        keys = described(f"{file}.yaml")
        assert keys
        assert {key for key in keys if f"ridethrough.{key}" not in page} == set()


# ------------------------------------------------------------------------------------------------------ manifest, HACS


def test_the_manifest_is_as_hassfest_wants_it() -> None:
    assert set(MANIFEST) <= MANIFEST_KEYS
    assert list(MANIFEST) == ["domain", "name", *sorted(set(MANIFEST) - {"domain", "name"})]
    needed = {"domain", "name", "codeowners", "documentation", "issue_tracker", "version", "requirements", "iot_class"}
    assert needed <= set(MANIFEST)
    assert AwesomeVersion(MANIFEST["version"]).valid
    assert MANIFEST["integration_type"] in ("device", "hub", "service")
    for page in ("documentation", "issue_tracker"):
        assert MANIFEST[page].startswith("https://")
    assert not set(MANIFEST["dependencies"]) & set(MANIFEST.get("after_dependencies", ()))
    for service in MANIFEST["zeroconf"]:
        assert service == service.lower()
        assert len(service.partition(".")[0].lstrip("_")) <= 15
        assert service.endswith("._tcp.local.")


def test_somebody_owns_the_integration() -> None:
    assert MANIFEST["codeowners"]
    assert all(re.fullmatch(r"@[A-Za-z0-9-]+(/[A-Za-z0-9-]+)?", owner) for owner in MANIFEST["codeowners"])


def test_a_declared_grade_is_the_one_that_is_kept() -> None:
    assert MANIFEST.get("quality_scale") in (None, "platinum")


def test_hacs_finds_what_it_needs_and_nothing_it_refuses() -> None:
    hacs = json.loads((ROOT / "hacs.json").read_text())
    assert set(hacs) <= HACS_KEYS
    assert hacs["name"] == MANIFEST["name"]
    assert AwesomeVersion(hacs["homeassistant"]).valid
    assert [path.name for path in (ROOT / "custom_components").iterdir() if path.is_dir() and path.name[0] != "_"] == [
        DOMAIN
    ]
    assert (ROOT / "README.md").stat().st_size > 0
    assert (ROOT / "LICENSE").exists()


@pytest.mark.parametrize(("name", "side"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_the_brand_is_with_the_integration(name: str, side: int) -> None:
    with Image.open(HERE / "brand" / name) as image:
        assert (image.size, image.format) == ((side, side), "PNG")


# --------------------------------------------------------------------------------------------------------------- words


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path, node


def test_translations_are_as_hassfest_wants_them() -> None:
    for path, text in leaves(WORDS):
        assert isinstance(text, str), path
        assert text, path
        assert text == text.strip(), path
        assert "://" not in text, path
        assert not re.search(r"""['"`]\{\w+\}['"]""", text), path
        assert not re.search(r"<[a-zA-Z/]", text), path
    for path, _ in leaves(WORDS):
        assert all(re.fullmatch(r"[a-z0-9_-]+", key) for key in path.split(".")), path


def test_icons_are_of_home_assistants_set() -> None:
    for path, icon in leaves(ICONS):
        assert re.fullmatch(r"mdi:[a-z0-9-]+", str(icon)), path


def forms(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every step or section with fields."""
    if isinstance(node, dict):
        if isinstance(node.get("data"), dict):
            yield path, node
        for key, value in node.items():
            yield from forms(value, f"{path}.{key}")


def test_every_field_of_every_form_is_described() -> None:
    found = [one for part in ("config", "options", "config_subentries") for one in forms(WORDS.get(part, {}), part)]
    assert len(found) > 5
    for path, form in found:
        assert set(form["data"]) == set(form.get("data_description", {})), path


def keyword(call: ast.Call, name: str) -> Any:
    """The literal of a keyword; None: it has none, or is worked out."""
    for one in call.keywords:
        if one.arg == name and isinstance(one.value, ast.Constant):
            return one.value.value
    return None


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    for file, text in SOURCES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and name in (getattr(node.func, "attr", ""), getattr(node.func, "id", "")):
                yield file, node


# What these raise is caught by their callers and ends in the log.
NOT_TOLD = frozenset({"phones/post.py"})


@pytest.mark.parametrize(
    ("raised", "part"),
    [
        ("HomeAssistantError", "exceptions"),
        ("ServiceValidationError", "exceptions"),
        ("ConfigEntryNotReady", "exceptions"),
        ("ConfigEntryAuthFailed", "exceptions"),
        ("UpdateFailed", "exceptions"),
        ("async_create_issue", "issues"),
    ],
)
def test_whatever_is_told_to_people_has_its_words(raised: str, part: str) -> None:
    found = list(calls(raised))
    assert found or raised == "HomeAssistantError"
    for file, call in found:
        if file in NOT_TOLD:
            continue
        arguments = {one.arg for one in call.keywords}
        assert "translation_key" in arguments, f"{file}:{call.lineno}"
        key = keyword(call, "translation_key")
        assert key is None or key in WORDS[part], f"{file}:{call.lineno}: {key}"


def described(file: str) -> set[str]:
    """The keys of a YAML that describes; those that begin with a dot are only for itself."""
    return {key for key in yaml.safe_load((HERE / file).read_text()) if not key.startswith(".")}


@pytest.mark.parametrize("part", ["services", "triggers", "conditions"])
def test_actions_triggers_and_conditions_have_words_icons_and_selectors(part: str) -> None:
    content = yaml.safe_load((HERE / f"{part}.yaml").read_text())
    keys = described(f"{part}.yaml")
    assert set(WORDS[part]) == keys
    assert set(ICONS[part]) == keys
    for key in keys:
        one = content[key] or {}
        words = WORDS[part][key]
        assert words["name"], key
        assert words["description"], key
        fields: dict[str, Any] = one.get("fields", {})
        plain = {name for name, field in fields.items() if "fields" not in field}
        inner = {name for field in fields.values() for name in field.get("fields", {})}
        assert set(words.get("fields", {})) == plain | inner, key
        for field in fields.values():
            for leaf in field.get("fields", {"": field}).values():
                assert selector.validate_selector(leaf["selector"]), key
    if part == "services":
        assert not [key for key in content if key.startswith(".")]


# ---------------------------------------------------------------------------------------------------------------- code


@pytest.mark.parametrize("platform", [str(one) for one in PLATFORMS])
def test_each_platform_says_how_many_updates_may_run_and_is_typed(platform: str) -> None:
    text = SOURCES[f"{platform}.py"]
    acts = platform in ("button", "number", "select", "switch", "time", "update")
    assert f"\nPARALLEL_UPDATES = {int(acts)}\n" in text
    signature = re.search(r"async def async_setup_entry\((.*?)\) -> None:", text, re.DOTALL)
    assert signature is not None
    assert "entry: RidethroughConfigEntry" in signature[1]
    assert "AddConfigEntryEntitiesCallback" in signature[1]


def test_every_platform_file_is_set_up() -> None:
    files = {name.removesuffix(".py") for name in SOURCES} & {str(one) for one in Platform}
    assert files == {str(one) for one in PLATFORMS}


def test_what_belongs_to_an_entry_is_with_the_entry() -> None:
    assert [name for name, text in SOURCES.items() if re.search(r"hass\.data(\[|\.setdefault\()DOMAIN", text)] == []
    assert "entry.runtime_data = coordinator" in SOURCES["__init__.py"]


def test_nothing_makes_a_session_of_its_own_or_waits_on_the_disk_or_the_clock() -> None:
    forbidden = (
        r"\bClientSession\(|\brequests\.|\burllib\.request|\btime\.sleep\(|(?<![.\w])(?<!def )open\(|\.read_text\("
    )
    assert [name for name, text in SOURCES.items() if re.search(forbidden, text) and name != "blueprints.py"] == []


def test_types_are_strict() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert settings["strict"] is True
    assert [one for one in settings.get("overrides", []) if "ridethrough" in str(one["module"])] == []
    assert (HERE / "py.typed").exists()
    assert [name for name, text in SOURCES.items() if re.search(r"# type: ignore(?!\[)", text)] == []


# -------------------------------------------------------------------------------------------- a running Home Assistant


async def test_every_entity_has_a_unique_id_a_device_and_a_name_of_its_own(
    hass: HomeAssistant,
    everything_enabled: None,
    house: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    entities = er.async_entries_for_config_entry(entity_registry, house.entry_id)
    assert len(entities) > 100
    assert len({(one.domain, one.unique_id) for one in entities}) == len(entities)
    for one in entities:
        assert one.has_entity_name, one.entity_id
        assert one.translation_key in WORDS["entity"][one.domain], one.entity_id
        assert one.translation_key in ICONS["entity"][one.domain], one.entity_id
        assert one.device_id is not None, one.entity_id
        assert device_registry.async_get(one.device_id) is not None, one.entity_id


async def test_actions_are_there_without_any_entry(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    assert set(hass.services.async_services()[DOMAIN]) == set(WORDS["services"])


async def test_a_link_that_is_lost_is_told_once_and_once_when_it_is_back(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await peer.stop()
    await eventually(lambda: shown(hass, "binary_sensor.home_controller") == "off")
    await peer.start()
    await eventually(lambda: shown(hass, "binary_sensor.home_controller") == "on")
    ours = [one.message for one in caplog.records if one.name.startswith("custom_components.ridethrough")]
    assert len([one for one in ours if "is down" in one]) == 1
    assert len([one for one in ours if "is back" in one]) == 1


@pytest.fixture
def blocking_calls_are_found(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Home Assistant's own detection, as it runs in a house, for one test."""
    monkeypatch.setattr(block_async_io, "_IN_TESTS", False)
    for one in block_async_io._BLOCKING_CALLS:
        monkeypatch.setattr(one.object, one.function, getattr(one.object, one.function))
    block_async_io.enable()
    yield
    block_async_io._BLOCKED_CALLS.calls.clear()


async def test_nothing_blocks_the_loop_from_set_up_to_unload(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    everything_enabled: None,
    blocking_calls_are_found: None,
) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    await peer.push(lambda state: state["site"].update(grid="outage"))
    await eventually(lambda: shown(hass, "sensor.home_grid_status") == "outage")
    assert await hass.config_entries.async_unload(entry.entry_id)
    blocked = [one.getMessage() for one in caplog.records if "blocking call" in one.getMessage()]
    assert [one for one in blocked if DOMAIN in one] == []
    with pytest.raises(RuntimeError, match="blocking call"):
        block_async_io.time.sleep(0)
