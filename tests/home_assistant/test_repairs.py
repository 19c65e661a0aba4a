"""What stands under Repairs: raised with the trouble, mended by its page where that can be done, gone with it."""

from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryDisabler, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.ridethrough.const import CONF_BACKED_UP, CONF_PROGRAM, DOMAIN, PROGRAM
from custom_components.ridethrough.troubles import TROUBLES
from edge_service.programs import forms

from .conftest import device_of
from .peer import Eventually, Peer, home, notice, refusing

type Change = Callable[[Any], object]
type Fixing = Callable[[str], Any]


def issue_of(entry: MockConfigEntry, key: str, subject: str = "site") -> str:
    return f"{key}_{entry.entry_id}_{subject}"


def standing(hass: HomeAssistant) -> dict[str, ir.IssueEntry]:
    """Our repairs, by the key of their words."""
    keys = {trouble.key for trouble in TROUBLES}
    found = ir.async_get(hass).issues.values()
    return {str(one.translation_key): one for one in found if one.domain == DOMAIN and one.translation_key in keys}


class Pages:
    """The pages that open when a person presses "Fix"."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self._client = client

    async def open(self, issue: str) -> dict[str, Any]:
        return await self._post("/api/repairs/issues/fix", {"handler": DOMAIN, "issue_id": issue})

    async def submit(self, page: dict[str, Any], **typed: Any) -> dict[str, Any]:
        return await self._post(f"/api/repairs/issues/fix/{page['flow_id']}", typed)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._client.post(path, json=body)
        assert answer.status == HTTPStatus.OK, await answer.text()
        told: dict[str, Any] = await answer.json()
        return told


@pytest.fixture
async def pages(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Pages:
    """Home Assistant's own repairs."""
    assert await async_setup_component(hass, "repairs", {})
    return Pages(await hass_client())


def site(**changes: Any) -> Change:
    return lambda state: state["site"].update(changes)


def charger(**changes: Any) -> Change:
    return lambda state: state["chargers"]["driveway"].update(changes)


def program(**changes: Any) -> Change:
    return lambda state: state["programs"]["peak"].update(changes)


def refused(state: Any) -> None:
    state["notices"] = [notice(7, "program:peak", "credentials_refused", program="peak")]


def untested(state: Any) -> None:
    state["site"]["readiness"] = {"level": "degraded", "reasons": [{"code": "drill_too_old", "subject": "site"}]}


def pays_by_the_meter(state: Any) -> None:
    state["site"]["export_permitted"] = False
    state["programs"]["peak"]["measure"] = "site"


def well_again(state: Any) -> None:
    state.update(home())


@pytest.mark.parametrize(
    ("key", "trouble", "said"),
    [
        ("clock_off", site(clock_offset_ms=-3400.0), {"seconds": "3"}),
        ("space_low", site(storage_free_mb=400), {"free": "400"}),
        ("nothing_for_an_outage", site(backup_reserve_pct=20.0), {"charger": "Driveway charger", "floor": "20"}),
        ("nothing_for_an_outage", charger(drivers_reserve_effective_pct=45.0), {"floor": "45", "reserve": "30"}),
        ("storm_reserve_low", site(storm_reserve_pct=25.0), {"storm": "25", "reserve": "30"}),
        ("credentials_refused_elsewhere", refused, {"program": "Peak power", "id": "peak"}),
        ("export_not_permitted", pays_by_the_meter, {"program": "Peak power"}),
        ("backup_not_tested", untested, {"site": "Home"}),
    ],
)
async def test_a_trouble_is_a_repair_for_as_long_as_it_lasts_also_over_a_restart(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    key: str,
    trouble: Change,
    said: dict[str, str],
) -> None:
    assert standing(hass) == {}
    await peer.push(trouble)
    await eventually(lambda: set(standing(hass)) == {key})
    told = standing(hass)[key].translation_placeholders or {}
    assert told | said == told

    assert await hass.config_entries.async_reload(house.entry_id)
    assert set(standing(hass)) == {key}
    await hass.config_entries.async_unload(house.entry_id)
    well_again(peer.state)
    assert await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: standing(hass) == {})


def pays_by_the_meter_and_stays_out(state: Any) -> None:
    pays_by_the_meter(state)
    program(participating=False)(state)


@pytest.mark.parametrize(
    "harmless",
    [
        site(clock_offset_ms=None, storage_free_mb=None, storm_reserve_pct=90.0),
        site(clock_offset_ms=1900.0, storage_free_mb=500),
        site(backup_reserve_pct=10.0, at_end="lend"),
        site(export_permitted=False),
        pays_by_the_meter_and_stays_out,
        lambda state: state.update(notices=[notice(1, "program:x", "credentials_refused", program="gone")]),
        charger(can_back_up=False, drivers_reserve_effective_pct=80.0),
    ],
)
async def test_what_needs_nobody_is_no_repair(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, harmless: Change
) -> None:
    await peer.push(harmless)
    await eventually(lambda: house.runtime_data.data == peer.state)
    assert standing(hass) == {}


async def test_a_repair_that_somebody_ignores_stays_ignored_over_a_reload_and_goes_with_the_integration(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.push(site(clock_offset_ms=9000.0))
    await eventually(lambda: "clock_off" in standing(hass))
    ir.async_ignore_issue(hass, DOMAIN, issue_of(house, "clock_off"), True)
    assert await hass.config_entries.async_reload(house.entry_id)
    assert standing(hass)["clock_off"].dismissed_version is not None
    await hass.config_entries.async_set_disabled_by(house.entry_id, ConfigEntryDisabler.USER)
    assert standing(hass) == {}
    await hass.config_entries.async_set_disabled_by(house.entry_id, None)
    await eventually(lambda: "clock_off" in standing(hass))
    await hass.config_entries.async_remove(house.entry_id)
    assert standing(hass) == {}


async def test_without_a_link_nothing_is_raised_and_nothing_taken_back(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.push(site(clock_offset_ms=9000.0))
    await eventually(lambda: "clock_off" in standing(hass))
    await peer.stop()
    await eventually(lambda: not house.runtime_data.last_update_success)
    hass.config_entries.async_update_entry(house, options={CONF_BACKED_UP: False})
    assert set(standing(hass)) == {"clock_off"}


# ------------------------------------------------------------------------------------------------------- the pages


async def test_a_reserve_is_proposed_and_set_as_a_person_likes(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, pages: Pages
) -> None:
    await peer.push(site(backup_reserve_pct=20.0, storm_reserve_pct=10.0))
    await eventually(lambda: set(standing(hass)) == {"nothing_for_an_outage", "storm_reserve_low"})
    for key, command, proposed in (
        ("nothing_for_an_outage", "set_backup_reserve", 40),
        ("storm_reserve_low", "set_storm_reserve", 90),
    ):
        page = await pages.open(issue_of(house, key))
        assert (page["type"], page["step_id"]) == ("form", "confirm")
        assert page["data_schema"][0]["default"] == proposed
        done = await pages.submit(page, pct=55)
        assert done["type"] == "create_entry"
        assert peer.named(command) == [{"pct": 55.0}]


@pytest.mark.parametrize(
    ("key", "trouble", "command", "args"),
    [("backup_not_tested", untested, "start_drill", {"transfer": False})],
)
async def test_a_page_that_is_refused_says_why_and_can_be_sent_again(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    pages: Pages,
    key: str,
    trouble: Change,
    command: str,
    args: dict[str, Any],
) -> None:
    await peer.push(trouble)
    await eventually(lambda: key in standing(hass))
    peer.answers[command] = refusing("drill_storm", "a storm is coming")
    page = await pages.open(issue_of(house, key))
    again = await pages.submit(page)
    assert again["errors"] == {"base": "refused"}
    assert again["description_placeholders"]["problem"]
    assert key in standing(hass)
    del peer.answers[command]
    assert (await pages.submit(again))["type"] == "create_entry"
    assert peer.named(command) == [args, args]
    # It is done, but the edge says still that it is not: the repair comes back.
    await peer.push(site(outages=9))
    await eventually(lambda: key in standing(hass))
    await peer.push(well_again)
    await eventually(lambda: standing(hass) == {})


async def test_an_entry_that_is_not_loaded_says_so_on_the_page(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, pages: Pages
) -> None:
    await peer.push(untested)
    await eventually(lambda: "backup_not_tested" in standing(hass))
    page = await pages.open(issue_of(house, "backup_not_tested"))
    await peer.stop()
    await eventually(lambda: not house.runtime_data.last_update_success)
    for _ in range(2):
        page = await pages.submit(page)
        assert page["errors"] == {"base": "refused"}
        assert "controller" in page["description_placeholders"]["problem"].lower()
        await hass.config_entries.async_unload(house.entry_id)


async def test_a_charger_that_follows_somebody_else_for_five_minutes_is_taken_up_again(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    pages: Pages,
    freezer: FrozenDateTimeFactory,
) -> None:
    async def passes(span: timedelta) -> None:
        freezer.tick(span)
        async_fire_time_changed(hass)
        await hass.async_block_till_done()

    await peer.push(charger(authority="app"))
    await eventually(lambda: house.runtime_data.data["chargers"]["driveway"]["authority"] == "app")
    await passes(timedelta(minutes=4))
    assert standing(hass) == {}
    await passes(timedelta(minutes=2))
    assert set(standing(hass)) == {"authority_lost"}
    page = await pages.open(issue_of(house, "authority_lost", "driveway"))
    assert page["description_placeholders"]["charger"] == "Driveway charger"
    assert (await pages.submit(page))["type"] == "create_entry"
    assert peer.named("resume") == [{"charger": "driveway"}]
    await peer.push(charger(authority="ours"))
    await eventually(lambda: house.runtime_data.data["chargers"]["driveway"]["authority"] == "ours")
    assert standing(hass) == {}

    await peer.push(lambda state: (charger(authority="app")(state), site(mode="read_only")(state)))
    await eventually(lambda: house.runtime_data.data["site"]["mode"] == "read_only")
    await passes(timedelta(minutes=6))
    assert standing(hass) == {}


async def test_the_controllers_own_power_is_asked_for_until_somebody_says_yes(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, pages: Pages
) -> None:
    hass.config_entries.async_update_entry(house, options={CONF_BACKED_UP: False, "alerts": []})
    assert set(standing(hass)) == {"controller_not_backed_up"}
    page = await pages.open(issue_of(house, "controller_not_backed_up"))
    assert (await pages.submit(page))["type"] == "create_entry"
    assert dict(house.options) == {CONF_BACKED_UP: True, "alerts": []}
    assert standing(hass) == {}


async def test_what_the_edge_no_longer_has_is_removed_on_a_persons_word(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    pages: Pages,
    freezer: FrozenDateTimeFactory,
) -> None:
    registry = dr.async_get(hass)
    await peer.push(lambda state: state["chargers"].clear())
    await eventually(lambda: not house.runtime_data.data["chargers"])
    device = device_of(registry, house, "charger-driveway")
    assert device is not None
    freezer.tick(timedelta(seconds=61))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert standing(hass)["device_gone"].translation_placeholders == {"site": "Home", "name": "Driveway charger"}
    page = await pages.open(issue_of(house, "device_gone", device.id))
    await peer.push(lambda state: state["chargers"].update(home()["chargers"]))
    await eventually(lambda: bool(house.runtime_data.data["chargers"]))
    page = await pages.submit(page)
    assert page["description_placeholders"]["problem"].startswith("It is there again")
    assert device_of(registry, house, "charger-driveway") == device
    await peer.push(lambda state: state["chargers"].clear())
    await eventually(lambda: not house.runtime_data.data["chargers"])
    assert (await pages.submit(page))["type"] == "create_entry"
    assert device_of(registry, house, "charger-driveway") is None
    assert standing(hass) == {}


@pytest.fixture
async def made_here(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer) -> AsyncGenerator[MockConfigEntry]:
    """The entry, set up, with a subentry for its program."""
    data = MappingProxyType({CONF_PROGRAM: "peak"})
    peer.brings |= {
        "list_presets": forms.offered(),
        "list_programs": {"programs": {"peak": {"kind": "openadr3", "name": "Peak power", "client_secret": "***"}}},
    }
    hass.config_entries.async_add_subentry(
        entry, ConfigSubentry(data=data, subentry_id="01JP", subentry_type=PROGRAM, title="Peak", unique_id="peak")
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    yield entry
    await hass.config_entries.async_unload(entry.entry_id)


async def test_refused_credentials_lead_to_the_page_where_new_ones_are_typed(
    hass: HomeAssistant, made_here: MockConfigEntry, peer: Peer, eventually: Eventually, pages: Pages
) -> None:
    await peer.push(refused)
    await eventually(lambda: set(standing(hass)) == {"credentials_refused"})
    page = await pages.open(issue_of(made_here, "credentials_refused", "peak"))
    peer.answers["list_presets"] = refusing("internal")
    again = await pages.submit(page)
    assert again["errors"] == {"base": "refused"}
    del peer.answers["list_presets"]
    ended = await pages.submit(again)
    assert (ended["type"], ended["reason"]) == ("abort", "go_on")
    kind, flow_id = ended["next_flow"]
    assert kind == "config_subentries_flow"
    form = hass.config_entries.subentries.async_get(flow_id)
    assert form["step_id"] == "reconfigure"
    assert set(standing(hass)) == {"credentials_refused"}
    await peer.push(well_again)
    await eventually(lambda: standing(hass) == {})
    hass.config_entries.subentries.async_abort(flow_id)


async def test_a_program_that_was_removed_at_the_edge_is_removed_here_on_a_persons_word(
    hass: HomeAssistant,
    made_here: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    pages: Pages,
    freezer: FrozenDateTimeFactory,
) -> None:
    await peer.push(lambda state: state["programs"].clear())
    await eventually(lambda: not made_here.runtime_data.data["programs"])
    freezer.tick(timedelta(seconds=61))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert set(standing(hass)) == {"program_gone"}
    page = await pages.open(issue_of(made_here, "program_gone", "peak"))
    await peer.push(lambda state: state["programs"].update(home()["programs"]))
    await eventually(lambda: bool(made_here.runtime_data.data["programs"]))
    page = await pages.submit(page)
    assert page["description_placeholders"]["problem"].startswith("It is there again")
    assert list(made_here.subentries) == ["01JP"]
    await peer.push(lambda state: state["programs"].clear())
    await eventually(lambda: not made_here.runtime_data.data["programs"])
    assert (await pages.submit(page))["type"] == "create_entry"
    assert dict(made_here.subentries) == {}
    assert standing(hass) == {}


async def test_a_program_that_somebody_removed_meanwhile_is_said_on_the_page_of_its_credentials(
    hass: HomeAssistant, made_here: MockConfigEntry, peer: Peer, eventually: Eventually, pages: Pages
) -> None:
    await peer.push(refused)
    await eventually(lambda: "credentials_refused" in standing(hass))
    issue = issue_of(made_here, "credentials_refused", "peak")
    page = await pages.open(issue)
    hass.config_entries.async_remove_subentry(made_here, "01JP")
    page = await pages.submit(page)
    assert page["description_placeholders"]["problem"].startswith("It was removed meanwhile")
