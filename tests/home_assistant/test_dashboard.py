"""The dashboard that is offered: it reaches the browser, and every word and entity that it names exists."""

import json
import re
from http import HTTPStatus

import pytest
from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.dashboard import FOLDER, SCRIPT

INTEGRATION = FOLDER.parent
PLATFORMS = "binary_sensor|button|calendar|event|number|select|sensor|switch|time|update"
FILES = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
TEXT = "".join(FILES.values())
WORDS = json.loads((INTEGRATION / "translations" / "en.json").read_text(encoding="utf-8"))
VERSION = json.loads((INTEGRATION / "manifest.json").read_text(encoding="utf-8"))["version"]


async def test_a_browser_is_told_of_the_script_and_gets_it(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> None:
    assert await async_setup_component(hass, "frontend", {})
    assert await async_setup_component(hass, DOMAIN, {})
    (address,) = [url for url in hass.data[DATA_EXTRA_MODULE_URL].urls if DOMAIN in url]
    folder, _, script = address.rpartition("/")
    assert (folder.rpartition("/")[2], script) == (VERSION, SCRIPT)
    client = await hass_client_no_auth()
    for name, text in FILES.items():
        answer = await client.get(f"{folder}/{name}")
        assert (answer.status, await answer.text()) == (HTTPStatus.OK, text)


async def test_without_a_frontend_nothing_is_offered_and_the_rest_works(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    assert DATA_EXTRA_MODULE_URL not in hass.data
    assert hass.services.async_services_for_domain(DOMAIN)


def test_every_text_of_the_dashboard_is_translated_and_none_is_left_over() -> None:
    named = set(re.findall(r'\bt\("(\w+)"\)', TEXT)) | set(re.findall(r'^  \["(\w+)", "mdi:', TEXT, re.MULTILINE))
    words = {key.removeprefix("dashboard_") for key in WORDS["common"] if key.startswith("dashboard_")}
    assert named == words


def test_every_entity_that_the_dashboard_names_is_one_of_ours() -> None:
    named = set(re.findall(rf'"({PLATFORMS})\.(\w+)"', TEXT)) - {("button", "press")}
    assert len(named) > 80
    assert {f"{platform}.{key}" for platform, key in named if key not in WORDS["entity"].get(platform, {})} == set()


@pytest.mark.parametrize("foreign", ["http://", "https://", "custom:button", "innerHTML", "eval("])
def test_the_dashboard_is_of_stock_cards_and_brings_in_nothing(foreign: str) -> None:
    assert foreign not in TEXT


def test_the_script_imports_its_own_files_only() -> None:
    imported = set(re.findall(r'from "(.*?)";', TEXT))
    assert imported == {f"./{name}" for name in FILES if name != SCRIPT}


@pytest.mark.parametrize("name", FILES)
def test_a_script_imports_just_what_it_uses_of_the_others(name: str) -> None:
    own = FILES[name]
    exported = {
        word: other
        for other, text in FILES.items()
        for word in re.findall(r"^export (?:async function|function|class|const) (\w+)", text, re.MULTILINE)
        if other != name
    }
    body = re.sub(r'import \{.*?\} from ".*?";|/\*.*?\*/|//.*?$|"[^"]*"', "", own, flags=re.DOTALL | re.MULTILINE)
    used = {word for word in exported if re.search(rf"(?<![\w.]){word}\b(?!\s*:)|\.\.\.{word}\b", body)}
    imported = {
        word.strip(): file
        for words, file in re.findall(r'import \{(.*?)\} from "\./(.*?)";', own, re.DOTALL)
        for word in words.split(",")
        if word.strip()
    }
    made_here = set(re.findall(r"(?:function|const|class) (\w+)", body)) | set(re.findall(r"\{ ([\w, ]+) \}", body))
    assert imported == {word: exported[word] for word in used - made_here}
