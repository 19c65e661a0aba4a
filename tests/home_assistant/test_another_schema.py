"""An edge that is older or newer than we know: what still fits is shown, nothing is ordered, a repair says why."""

from copy import deepcopy
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough import wire
from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.link_issues import SCHEMAS
from custom_components.ridethrough.shapes import Fitting, has_form, is_known

from .conftest import shown
from .peer import Eventually, Peer, home, load, notice

OLDER, NEWER = (0, 0), (2, 5)


async def begin(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


def repairs(issues: ir.IssueRegistry) -> set[str | None]:
    """Those of the link that stand."""
    ours = {issue.translation_key for (domain, _), issue in issues.issues.items() if domain == DOMAIN and issue.active}
    return ours & {*SCHEMAS, "too_many_commands"}


@pytest.mark.parametrize(
    ("schemas", "repair", "asked"), [(OLDER, "edge_too_old", 0), (NEWER, "edge_too_new", 2)], ids=["older", "newer"]
)
async def test_what_still_fits_is_shown_and_a_repair_names_the_side_to_update(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    issue_registry: ir.IssueRegistry,
    schemas: tuple[int, int],
    repair: str,
    asked: int,
) -> None:
    peer.schemas = schemas
    await begin(hass, entry)
    assert peer.starts[0]["schema"] == asked
    assert shown(hass, "sensor.home_grid_status") == "connected"
    assert shown(hass, "sensor.driveway_charger_vehicle_battery") == "78.0"
    assert repairs(issue_registry) == {repair}
    issue = issue_registry.async_get_issue(DOMAIN, f"{repair}_{entry.entry_id}")
    assert issue is not None
    assert issue.translation_placeholders == {"site": "Home", "version": "0.1.0"}
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert repairs(issue_registry) == set()


async def test_nothing_is_ordered_and_nothing_reported(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer) -> None:
    peer.schemas = NEWER
    peer.undelivered = [notice(1)]
    peer.state["notices"] = [notice(1)]
    await begin(hass, entry)
    reserve = {"entity_id": "number.home_backup_reserve", "value": 50}
    with pytest.raises(HomeAssistantError) as refused:
        await hass.services.async_call("number", "set_value", reserve, blocking=True)
    assert refused.value.translation_key == "edge_too_new"
    assert entry.runtime_data.commands[-1]["outcome"] == "edge_too_new"
    await entry.runtime_data.async_report({"evidence": []})
    await peer.push(lambda state: state["site"].update(grid="outage"))
    assert (peer.commands, peer.reports) == ([], [])
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_the_repair_goes_and_orders_work_once_the_edge_is_updated(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually, issue_registry: ir.IssueRegistry
) -> None:
    peer.schemas = OLDER
    await begin(hass, entry)
    await peer.stop()
    await eventually(lambda: shown(hass, "sensor.home_grid_status") == STATE_UNAVAILABLE)
    peer.schemas = (1, 1)
    await peer.start()
    await eventually(lambda: shown(hass, "sensor.home_grid_status") == "connected")
    assert repairs(issue_registry) == set()
    reserve = {"entity_id": "number.home_backup_reserve", "value": 50}
    await hass.services.async_call("number", "set_value", reserve, blocking=True)
    assert peer.named("set_backup_reserve")
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_edge_that_becomes_too_new_while_running_is_shown_on(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, issue_registry: ir.IssueRegistry
) -> None:
    peer.schemas = NEWER
    await peer.drop()
    await eventually(lambda: repairs(issue_registry) == {"edge_too_new"} and len(peer.starts) == 2)
    await eventually(lambda: shown(hass, "sensor.home_grid_status") == "connected")


async def test_parts_of_another_form_are_gone_and_the_others_stay(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    peer.schemas = NEWER
    state: Any = peer.state
    state["chargers"]["garage"] = {**deepcopy(state["chargers"]["driveway"]), "name": "Garage", "soc_pct": "full"}
    del state["chargers"]["driveway"]["reason"]
    state["programs"]["peak"]["events"] = [{"uid": "of another kind"}]
    state["notices"] = {"a": "list once"}
    state["loads"]["pool"] = ["no", "group"]
    state["site"]["storm"] = "tonight"
    await begin(hass, entry)
    assert shown(hass, "sensor.home_grid_status") == "connected"
    assert shown(hass, "sensor.peak_power_peak_event_status") == "none"
    assert hass.states.get("sensor.driveway_charger_status") is None
    assert hass.states.get("sensor.garage_status") is None
    assert set(entry.runtime_data.data["loads"]) == {"heat"}
    await peer.push(lambda state: state["chargers"]["driveway"].update(reason="idle"))
    await eventually(lambda: hass.states.get("sensor.driveway_charger_status") is not None)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_site_of_another_form_is_unavailable_and_the_chargers_stay(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    peer.schemas = NEWER
    await begin(hass, entry)
    await peer.push(lambda state: state["site"].update(grid={"phase_a": "on"}))
    await eventually(lambda: shown(hass, "sensor.home_grid_status") == STATE_UNAVAILABLE)
    assert shown(hass, "sensor.driveway_charger_status") == "idle"
    await peer.push(lambda state: state["site"].update(grid="on"))
    await eventually(lambda: shown(hass, "sensor.home_grid_status") == "connected")
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_edge_that_describes_no_part_as_we_know_it_has_its_repair_and_no_entities(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    caplog: pytest.LogCaptureFixture,
    issue_registry: ir.IssueRegistry,
) -> None:
    peer.schemas = NEWER
    peer.state = {"house": {"name": "Home"}, "chargers": []}  # type: ignore[typeddict-unknown-key, typeddict-item]
    await begin(hass, entry)
    assert repairs(issue_registry) == {"edge_too_new"}
    assert hass.states.get("sensor.home_grid_status") is None
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert "Traceback" not in caplog.text


async def test_loads_stay_as_they_are_while_the_edge_speaks_another_schema(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    peer.schemas = NEWER
    peer.state["loads"] = {"pool": load(wanted="shed")}
    await begin(hass, entry)
    assert not entry.runtime_data.in_step
    assert peer.commands == []
    assert await hass.config_entries.async_unload(entry.entry_id)


# ------------------------------------------------------------------------------------------ the same schema, more of it


async def test_kinds_keys_and_messages_of_a_later_edge_of_our_schema_change_nothing(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    state: Any = peer.state
    state["weather"] = {"wind": 5}
    state["site"] |= {"colour": "blue", "islanding": "levitating", "mode": "dreaming", "reason": "moon"}
    state["chargers"]["driveway"] |= {"state": "dancing", "wheels": 4, "blocked_by": "gremlins"}
    state["programs"]["peak"]["events"][0]["status"] = "postponed"
    state["notices"] = [notice(1, kind="meteor")]
    await begin(hass, entry)
    await peer.say('{"type":"song","words":"la"}')
    await peer.say('{"type":"occurrence","number":"one","kind":"x","subject":"site","at":"","data":{}}')
    await peer.happen("meteor_seen")
    await peer.push(lambda state: state["weather"].update(wind=9))
    await peer.push(lambda state: state["chargers"]["driveway"].update(soc_pct=55.0))
    await eventually(lambda: shown(hass, "sensor.driveway_charger_vehicle_battery") == "55.0")
    assert len(peer.starts) == 1
    assert "Traceback" not in caplog.text
    assert await hass.config_entries.async_unload(entry.entry_id)


# ------------------------------------------------------------------------------------------------------ the forms alone


def test_a_state_that_fits_is_the_same_and_keeps_what_is_new() -> None:
    state: Any = home()
    state["new"] = 1
    state["site"]["new"] = 2
    fitting: Any = Fitting().of(state)
    assert fitting["site"] == state["site"]
    assert fitting["chargers"] == state["chargers"]
    assert is_known(fitting["site"])


def test_whatever_one_part_is_made_of_nothing_is_raised_and_the_rest_stays() -> None:
    whole: Any = home()
    others: tuple[Any, ...] = (None, 5, "x", True, [], {}, [[1]], {"a": {}})
    for key in wire.SiteWire.__annotations__:
        for other in others:
            state = deepcopy(whole)
            state["site"][key] = other
            fitting = Fitting().of(state)
            assert fitting["chargers"] == whole["chargers"]
            assert fitting["site"]["grid"] in ("on", "unknown", "x")


def test_a_site_that_is_gone_says_of_nothing_that_it_is_known() -> None:
    lost = Fitting().of({"site": {"name": "Home"}})
    assert not is_known(lost["site"])
    assert (lost["site"]["name"], lost["site"]["grid"], lost["site"]["switch"]) == ("Home", "unknown", None)
    assert (lost["chargers"], lost["programs"]) == ({}, {})
    assert Fitting().of({"site": 5})["site"]["name"] == ""


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        ({"type": "notice", "notice": notice(1)}, True),
        ({"type": "notice", "notice": {"number": 1}}, False),
        ({"type": "notice"}, False),
    ],
)
def test_a_notice_that_lacks_something_is_none(message: dict[str, Any], fits: bool) -> None:
    assert has_form(message, wire.NoticeMessage) is fits


def test_a_change_is_a_list_of_changes() -> None:
    assert has_form({"type": "change", "seq": 1, "set": [], "removed": []}, wire.Change)
    assert not has_form({"type": "change", "seq": 1, "set": {}, "removed": []}, wire.Change)
    assert not has_form({"type": "change", "seq": True, "set": [], "removed": []}, wire.Change)
