"""What asks for a person, why nothing can be given, and which half of the software is behind."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.faults import NO_TROUBLE
from custom_components.ridethrough.notice_kinds import KINDS
from custom_components.ridethrough.reasons import BLOCKS

from .conftest import attributes, shown
from .peer import Eventually, Peer, notice

PROBLEM = "binary_sensor.home_problem"
SOFTWARE = "update.home_controller_software"
BLOCKED = "sensor.driveway_charger_discharging_blocked_by"
ERROR = "sensor.driveway_charger_error_code"


# What goes on as it should, or asks a question.
ALL_IS_WELL = (
    "outage",
    "power_back",
    "return_announced",
    "drill_running",
    "event_asks",
    "event_short",
    "departure_late",
    "solar_surplus",
    "overload",
    "stopped",
)


@pytest.mark.parametrize(
    ("kind", "level", "problem"),
    [
        ("charger_offline", "warning", STATE_ON),
        ("no_backup", "critical", STATE_ON),
        ("neutral_lost", "critical", STATE_ON),
        ("credentials_refused", "warning", STATE_ON),
        ("of_a_later_edge", "warning", STATE_ON),
        ("of_a_later_edge", "info", STATE_OFF),
        ("storm", "info", STATE_OFF),
        *((kind, "warning", STATE_OFF) for kind in ALL_IS_WELL),
    ],
)
async def test_a_notice_is_a_problem_where_something_is_wrong(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    kind: str,
    level: str,
    problem: str,
) -> None:
    told: Any = notice(1, kind, kind) | {"level": level}
    await peer.push(lambda state: state.update(notices=[told]))
    await eventually(lambda: house.runtime_data.data["notices"] == [told])
    assert shown(hass, PROBLEM) == problem
    assert attributes(hass, PROBLEM, "notices") == {"notices": (kind,) if problem == STATE_ON else ()}
    await peer.push(lambda state: state.update(notices=[]))
    await eventually(lambda: shown(hass, PROBLEM) == STATE_OFF)


async def test_two_chargers_have_their_own_ready_by_and_a_fault_of_one_names_it(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    second: Any = deepcopy(peer.state["chargers"]["driveway"]) | {"name": "Garage charger", "alarms": ["over_temp"]}
    peer.state["chargers"]["garage"] = second
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert attributes(hass, PROBLEM, "chargers") == {"chargers": ("Garage charger",)}
    garage = {"entity_id": "number.garage_charger_ready_by_charge", "value": 65}
    await hass.services.async_call("number", "set_value", garage, blocking=True)
    assert shown(hass, "number.garage_charger_ready_by_charge") == "65.0"
    assert shown(hass, "number.driveway_charger_ready_by_charge") == "80.0"
    turn_on = {"entity_id": "switch.garage_charger_ready_by"}
    await hass.services.async_call("switch", "turn_on", turn_on, blocking=True)
    assert [(one["charger"], one["soc_pct"]) for one in peer.named("set_departure")] == [("garage", 65.0)]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_fault_of_a_charger_is_a_problem_of_the_house(
    hass: HomeAssistant, everything_enabled: None, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    assert (shown(hass, PROBLEM), shown(hass, ERROR)) == (STATE_OFF, "none")
    alarms = ["over_temp", "grid_disconnect", "error_bit_39"]
    await peer.push(lambda state: state["chargers"]["driveway"].update(alarms=alarms))
    await eventually(lambda: shown(hass, PROBLEM) == STATE_ON)
    assert attributes(hass, PROBLEM, "chargers") == {"chargers": ("Driveway charger",)}
    assert shown(hass, ERROR) == "over_temp, error_bit_39"
    await peer.push(lambda state: state["chargers"]["driveway"].update(connected=False))
    await eventually(lambda: (shown(hass, PROBLEM), shown(hass, ERROR)) == (STATE_OFF, STATE_UNKNOWN))
    await peer.push(lambda state: state["chargers"]["driveway"].update(connected=True, alarms=["x" * 90] * 9))
    await eventually(lambda: len(shown(hass, ERROR)) == 255)


async def test_a_program_that_cannot_be_used_says_why(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    problem = "binary_sensor.peak_power_problem"
    assert shown(hass, problem) == STATE_OFF
    await peer.push(lambda state: state["programs"]["peak"].update(problem="The site names no time zone"))
    await eventually(lambda: shown(hass, problem) == STATE_ON)
    assert attributes(hass, problem, "reason") == {"reason": "The site names no time zone"}
    await peer.push(lambda state: state["programs"]["peak"].pop("problem"))
    await eventually(lambda: shown(hass, problem) == STATE_UNKNOWN)


@pytest.mark.parametrize(("code", "state"), [(None, "none"), ("moon_phase", "other"), *((one, one) for one in BLOCKS)])
async def test_what_blocks_discharging_is_told_in_a_word(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    code: str | None,
    state: str,
) -> None:
    await peer.push(lambda document: document["chargers"]["driveway"].update(blocked_by=code, soc_pct=12.0))
    await eventually(lambda: shown(hass, "sensor.driveway_charger_vehicle_battery") == "12.0")
    assert shown(hass, BLOCKED) == state


@pytest.mark.parametrize(
    ("power_w", "current_a", "shows"),
    [
        (-4800, -20.0, ("4.8", "0.0", "4.8", "20.0")),
        (3600, 15.0, ("-3.6", "3.6", "0.0", "-15.0")),
        (0, 0.0, ("0.0", "0.0", "0.0", "0.0")),
        (None, None, (STATE_UNKNOWN,) * 4),
    ],
)
async def test_the_two_powers_are_never_negative_and_the_current_has_the_sign_of_the_power(
    hass: HomeAssistant,
    everything_enabled: None,
    entry: MockConfigEntry,
    peer: Peer,
    power_w: int | None,
    current_a: float | None,
    shows: tuple[str, ...],
) -> None:
    peer.state["chargers"]["driveway"] |= {"power_w": power_w, "current_a": current_a}
    assert await hass.config_entries.async_setup(entry.entry_id)
    names = ("power", "charging_power", "discharging_power", "current")
    assert tuple(shown(hass, f"sensor.driveway_charger_{name}") for name in names) == shows
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("theirs", "ours", "state", "latest"),
    [
        ("0.1.0", "0.1.0", STATE_OFF, "0.1.0"),
        ("0.1.0", "0.2.0", STATE_ON, "0.2.0"),
        ("0.9.0", "0.10.0", STATE_ON, "0.10.0"),
        ("0.3.0", "0.2.0", STATE_OFF, "0.3.0"),
        ("0.2.0b1", "0.2.0", STATE_ON, "0.2.0"),
        ("built by hand", "0.2.0", STATE_OFF, "built by hand"),
    ],
)
async def test_a_controller_older_than_the_integration_is_told_and_nothing_is_installed(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, theirs: str, ours: str, state: str, latest: str
) -> None:
    integration = await async_get_integration(hass, DOMAIN)
    integration.manifest["version"] = ours
    peer.version = theirs
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert shown(hass, SOFTWARE) == state
    told = attributes(hass, SOFTWARE, "installed_version", "latest_version", "supported_features", "title")
    assert told == {
        "installed_version": theirs,
        "latest_version": latest,
        "supported_features": 0,
        "title": "Ridethrough",
    }
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_controller_that_was_updated_says_its_new_version_when_it_is_back(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    assert attributes(hass, SOFTWARE, "installed_version") == {"installed_version": "0.1.0"}
    await peer.stop()
    await eventually(lambda: shown(hass, SOFTWARE) == STATE_UNAVAILABLE)
    peer.version = "7.0.0"
    await peer.start()
    await eventually(lambda: shown(hass, SOFTWARE) == STATE_OFF)
    assert attributes(hass, SOFTWARE, "installed_version") == {"installed_version": "7.0.0"}


def test_the_problem_names_its_notices_as_their_titles_do() -> None:
    path = Path(__file__).parents[2] / "custom_components" / DOMAIN / "translations" / "en.json"
    texts = json.loads(path.read_text(encoding="utf-8"))
    named = texts["entity"]["binary_sensor"]["site_problem"]["state_attributes"]["notices"]["state"]
    titles = {kind: texts["common"][f"notice_{kind}_title"] for kind in KINDS if kind not in NO_TROUBLE}
    assert named.items() <= titles.items()
    assert {"no_backup", "reserve_near", "neutral_lost", "credentials_refused", "charger_offline"} <= named.keys()
