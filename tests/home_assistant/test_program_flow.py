"""Utility programs made in Home Assistant: chosen, filled in, tried at a real edge, changed and removed there."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigSubentry, SubentryFlowContext
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.const import CONF_PROGRAM, PROGRAM
from custom_components.ridethrough.program_form import MASK, entry_of, fields_of, id_of, schema_of
from edge_service.programs import forms
from edge_service.simulation import utility_acts
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions

from .conftest import device_of, shown
from .houses import Houses, Lived
from .peer import Eventually, Peer, home, refusing

UTILITY = UtilityOptions(ven_id="house-7", ven_secret="s3cret-word")
BY_SERVER = {"preset": "generic", "kind": "openadr3"}
CHECKED = {"checks": [{"what": "contact", "ok": True, "text": "it was read"}]}


@pytest.fixture
async def lived(
    hass: HomeAssistant, tmp_path: Path, eventually: Eventually, socket_enabled: None
) -> AsyncGenerator[Lived]:
    """A house with a real edge."""
    async with AsyncExitStack() as stack:
        yield await Houses(hass, tmp_path, eventually, stack).open()


@pytest.fixture
async def utility(socket_enabled: None) -> AsyncGenerator[SimulatedUtility]:
    """A utility's OpenADR 3 server that lets one client in."""
    async with SimulatedUtility(UTILITY) as running:
        await asyncio.to_thread(utility_acts.event, running.control_url, start_in_s=7200, duration_s=3600, power_kw=3)
        yield running


async def begin(hass: HomeAssistant, entry: Any) -> Any:
    """Choose "Add program"."""
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, PROGRAM), context=SubentryFlowContext(source=SOURCE_USER)
    )


async def answer(hass: HomeAssistant, form: Any, **typed: Any) -> Any:
    """Fill in the form that is shown."""
    return await hass.config_entries.subentries.async_configure(form["flow_id"], typed)


async def change(hass: HomeAssistant, entry: Any) -> Any:
    """Choose "Change program" of the only one that was made here."""
    (subentry_id,) = [key for key, one in entry.subentries.items() if one.subentry_type == PROGRAM]
    context = SubentryFlowContext(source=SOURCE_RECONFIGURE, subentry_id=subentry_id)
    return await hass.config_entries.subentries.async_init((entry.entry_id, PROGRAM), context=context)


def of_server(utility: SimulatedUtility, **other: Any) -> dict[str, Any]:
    """What a person types about the utility's server."""
    said = {"name": "Peak power", "url": utility.base_url, "client_id": "house-7", "client_secret": "s3cret-word"}
    return said | {"pay_usd_per_kw": 275, "more": {"poll_s": 5}} | other


def kept(lived: Lived) -> Any:
    """The programs as the edge keeps them, secrets and all."""
    return lived.edge.edge.programs


async def test_a_program_is_tried_made_changed_and_removed_at_the_real_edge(
    hass: HomeAssistant, lived: Lived, utility: SimulatedUtility, eventually: Eventually
) -> None:
    form = await begin(hass, lived.entry)
    details = await answer(hass, form, **BY_SERVER)
    assert details["step_id"] == "details"

    wrong = await answer(hass, details, **of_server(utility, client_secret="another"))
    assert wrong["errors"] == {"client_secret": "not_reached"}
    assert "another" not in wrong["description_placeholders"]["problem"]
    wrong = await answer(hass, wrong, **of_server(utility, url="ftp://utility"))
    assert wrong["errors"] == {"url": "field_refused"}
    nobody = await answer(hass, wrong, **of_server(utility, url="http://127.0.0.1:9/openadr3/3.1.0"))
    assert nobody["errors"] == {"url": "not_reached"}
    assert set(kept(lived)) == {"manual"}

    made = await answer(hass, nobody, **of_server(utility))
    assert made["type"] is FlowResultType.CREATE_ENTRY
    await eventually(lambda: hass.states.get("sensor.peak_power_last_contact") is not None or bool(of_program(hass)))
    assert kept(lived)["peak_power"]["client_secret"] == "s3cret-word"
    (subentry,) = lived.entry.subentries.values()
    assert (subentry.title, subentry.unique_id, dict(subentry.data)) == (
        "Peak power",
        "peak_power",
        {CONF_PROGRAM: "peak_power"},
    )
    assert {row.config_subentry_id for row in of_program(hass)} == {subentry.subentry_id}
    device = dr.async_get(hass).async_get(lived.device("program-peak_power"))
    assert device is not None
    assert device.config_subentry_id == subentry.subentry_id

    changed = await change(hass, lived.entry)
    assert changed["step_id"] == "reconfigure"
    assert "s3cret-word" not in json.dumps(changed, default=str)
    typed = of_server(utility, name="Summer peaks")
    del typed["client_secret"], typed["pay_usd_per_kw"]
    ended = await answer(hass, changed, **typed)
    assert ended["reason"] == "reconfigure_successful"
    assert kept(lived)["peak_power"]["client_secret"] == "s3cret-word"
    assert kept(lived)["peak_power"]["name"] == "Summer peaks"
    assert kept(lived)["peak_power"].get("pay_usd_per_kw") is None
    assert [one.title for one in lived.entry.subentries.values()] == ["Summer peaks"]

    hass.config_entries.async_remove_subentry(lived.entry, subentry.subentry_id)
    await eventually(lambda: "peak_power" not in kept(lived))
    await eventually(lambda: "peak_power" not in lived.entry.runtime_data.data["programs"])
    assert of_program(hass) == []

    again = await answer(hass, await answer(hass, await begin(hass, lived.entry), **BY_SERVER), **of_server(utility))
    assert again["type"] is FlowResultType.CREATE_ENTRY
    await eventually(lambda: bool(of_program(hass)))
    assert {row.config_subentry_id for row in of_program(hass)} == set(lived.entry.subentries)


def of_program(hass: HomeAssistant, key: str = "peak_power") -> list[er.RegistryEntry]:
    """The entities of a program."""
    return [row for row in er.async_get(hass).entities.values() if f"-program-{key}-" in row.unique_id]


async def test_a_program_by_hand_needs_a_name_only_and_one_of_the_command_line_stays_without_subentry(
    hass: HomeAssistant, lived: Lived, eventually: Eventually
) -> None:
    await lived.edge.command("set_program", id="theirs", program={"kind": "manual", "name": "Theirs"})
    form = await begin(hass, lived.entry)
    details = await answer(hass, form, preset="connected_solutions_ma", kind="usual")
    assert "about" in details["description_placeholders"]
    made = await answer(hass, details, name="ConnectedSolutions", more={})
    assert made["type"] is FlowResultType.CREATE_ENTRY
    await eventually(lambda: bool(of_program(hass, "connectedsolutions")) and bool(of_program(hass, "theirs")))
    assert kept(lived)["connectedsolutions"]["rules"]["window"]
    assert None not in {row.config_subentry_id for row in of_program(hass, "connectedsolutions")}
    assert {row.config_subentry_id for row in of_program(hass, "theirs")} == {None}


async def test_what_cannot_be_reached_now_may_be_kept_all_the_same(
    hass: HomeAssistant, lived: Lived, utility: SimulatedUtility
) -> None:
    details = await answer(hass, await begin(hass, lived.entry), **BY_SERVER)
    typed = of_server(utility, url="http://127.0.0.1:9/openadr3/3.1.0")
    failed = await answer(hass, details, **typed)
    assert failed["errors"] == {"url": "not_reached"}
    assert "untested" in {str(key) for key in failed["data_schema"].schema}
    made = await answer(hass, failed, **typed, untested=True)
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert kept(lived)["peak_power"]["url"] == typed["url"]
    await hass.async_block_till_done()


async def test_a_secret_does_not_follow_its_program_to_another_address(
    hass: HomeAssistant, lived: Lived, utility: SimulatedUtility
) -> None:
    made = await answer(hass, await answer(hass, await begin(hass, lived.entry), **BY_SERVER), **of_server(utility))
    assert made["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    typed = of_server(utility, url="https://elsewhere.example/openadr3")
    del typed["client_secret"]
    refused = await answer(hass, await change(hass, lived.entry), **typed)
    assert refused["errors"] == {"client_secret": "field_refused"}
    ended = await answer(hass, refused, **of_server(utility))
    assert ended["reason"] == "reconfigure_successful"


# ------------------------------------------------------------------------------------------------ at a scripted edge


@pytest.fixture
def offering(peer: Peer) -> Peer:
    """An edge that offers what the real one does, and takes everything."""
    peer.brings |= {"list_presets": forms.offered(), "list_programs": {"programs": {}}, "test_program": CHECKED}
    return peer


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [("unknown_command", "edge_too_old"), ("not_permitted", "edge_too_old"), (None, "edge_too_old")],
)
async def test_an_edge_that_takes_no_programs_says_so(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, refusal: str | None, reason: str
) -> None:
    if refusal is not None:
        peer.answers["list_presets"] = refusing(refusal)
    else:
        peer.brings["list_programs"] = {"programs": {}}
    ended = await begin(hass, house)
    assert (ended["type"], ended["reason"]) == (FlowResultType.ABORT, reason)


async def test_the_program_for_everybody_else_is_offered_last(
    hass: HomeAssistant, house: MockConfigEntry, offering: Peer
) -> None:
    form = await begin(hass, house)
    names = [option["label"] for option in form["data_schema"].schema["preset"].config["options"]]
    assert names[-1] == "Any other program"
    assert "ConnectedSolutions for batteries, Rhode Island (Rhode Island Energy)" in names[:-1]


async def test_without_a_link_nothing_can_be_set_and_nothing_is_lost(
    hass: HomeAssistant, house: MockConfigEntry, offering: Peer, eventually: Eventually
) -> None:
    details = await answer(hass, await begin(hass, house), preset="generic", kind="usual")
    await offering.stop()
    await eventually(lambda: not house.runtime_data.last_update_success)
    again = await answer(hass, details, name="Peaks", more={})
    assert again["errors"] == {"base": "no_link"}
    assert (await begin(hass, house))["reason"] == "no_link"
    await hass.config_entries.async_unload(house.entry_id)
    assert (await begin(hass, house))["reason"] == "no_link"


async def test_a_refusal_of_something_that_is_not_on_the_page_stands_above_it_and_can_be_got_over(
    hass: HomeAssistant, house: MockConfigEntry, offering: Peer
) -> None:
    details = await answer(hass, await begin(hass, house), preset="generic", kind="usual")
    told = ({"fields": {"id": "taken"}}, "taken"), ({"fields": {"id": "base_url is bad"}}, "it is bad")
    for data, problem in (*told, ({}, "the disk is full")):
        offering.answers["set_program"] = refusing("bad_argument", "the disk is full", **data)
        details = await answer(hass, details, name="Peaks", more={})
        assert details["errors"] == {"base": "field_refused"}
        assert details["description_placeholders"]["problem"] == problem
        assert house.runtime_data.held_programs == set()
    del offering.answers["set_program"]
    made = await answer(hass, details, name="Peaks", more={})
    assert made["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_a_program_that_the_edge_has_no_more_cannot_be_changed(
    hass: HomeAssistant, house: MockConfigEntry, offering: Peer
) -> None:
    made = await answer(
        hass, await answer(hass, await begin(hass, house), preset="generic", kind="usual"), name="Peaks", more={}
    )
    assert made["type"] is FlowResultType.CREATE_ENTRY
    assert (await change(hass, house))["reason"] == "program_gone"
    offering.answers["list_programs"] = refusing("internal")
    assert (await change(hass, house))["reason"] == "edge_too_old"
    await hass.async_block_till_done()


def made_here(entry: MockConfigEntry, hass: HomeAssistant) -> str:
    """A subentry for the edge's program, from an earlier day."""
    data = MappingProxyType({CONF_PROGRAM: "peak"})
    subentry = ConfigSubentry(
        data=data, subentry_id="01JPEAK", subentry_type=PROGRAM, title="Peak power", unique_id="peak"
    )
    hass.config_entries.async_add_subentry(entry, subentry)
    return "01JPEAK"


async def test_a_program_deleted_while_the_edge_is_away_is_removed_when_it_is_back_also_after_a_restart(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    subentry_id = made_here(entry, hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    await peer.stop()
    await eventually(lambda: not entry.runtime_data.last_update_success)
    hass.config_entries.async_remove_subentry(entry, subentry_id)
    await hass.async_block_till_done()
    assert of_program(hass, "peak") == []
    await hass.config_entries.async_unload(entry.entry_id)
    peer.answers["remove_program"] = refusing("internal", "the disk is full")
    await peer.start()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: len(peer.named("remove_program")) == 1)
    assert of_program(hass, "peak") == []

    del peer.answers["remove_program"]
    await peer.drop()
    await eventually(lambda: len(peer.named("remove_program")) == 2)
    await peer.push(lambda state: state["programs"].clear())
    await eventually(lambda: not entry.runtime_data.held_programs)
    await peer.push(lambda state: state["programs"].update(home()["programs"]))
    await eventually(lambda: bool(of_program(hass, "peak")))
    assert {row.config_subentry_id for row in of_program(hass, "peak")} == {None}
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_charger_that_was_removed_here_and_comes_back_is_new(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    registry = dr.async_get(hass)
    charger = peer.state["chargers"]["driveway"]
    for removed in (False, True):
        await peer.push(lambda state: state["chargers"].pop("driveway"))
        await eventually(lambda: not house.runtime_data.data["chargers"])
        if removed:
            device = device_of(registry, house, "charger-driveway")
            assert device is not None
            registry.async_remove_device(device.id)
            await hass.async_block_till_done()
        await peer.push(lambda state: state["chargers"].update(driveway=charger))
        await eventually(lambda: bool(house.runtime_data.data["chargers"]))
        await hass.async_block_till_done()
        assert shown(hass, "sensor.driveway_charger_status") != "unavailable"


# ------------------------------------------------------------------------------------------------------- the form


def test_every_kind_of_field_has_its_control_and_what_a_newer_edge_requires_is_asked_too() -> None:
    def field(name: str, value: str, **more: Any) -> dict[str, Any]:
        plain = {"secret": False, "required": False, "advanced": False, "choices": None, "low": None, "high": None}
        return {"name": name, "value": value, "default": None, **plain, **more}

    asked = [field("sooner", "flag", required=True), field("days", "choices", required=True, choices=["mon", "tue"])]
    asked += [
        field("how_many", "whole", required=True, low=1, high=9),
        field("form", "choice", required=True, choices=["a"]),
    ]
    offered = {"presets": {}, "kinds": {"new": {"fields": [*asked, field("unheard_of", "text")]}}, "terms": []}
    shown_fields, more = fields_of(offered, "of a later edge", "new")
    assert ([one["name"] for one in shown_fields], more) == (["sooner", "days", "how_many", "form"], [])
    typed = {"sooner": True, "days": ["mon"], "how_many": 3.0, "form": "a"}
    schema = schema_of(shown_fields, more, known={}, failed=False)
    assert schema(typed) == typed
    assert entry_of(typed, shown_fields, {"kind": "new"}) == typed | {"kind": "new", "how_many": 3}


def test_an_empty_field_takes_a_value_back_but_never_a_secret() -> None:
    fields = fields_of(forms.offered(), "generic", "openadr3")[0]
    known = {"kind": "openadr3", "name": "A", "client_secret": MASK, "program_name": "Summer"}
    assert entry_of({"name": " B "}, fields, known) == {"kind": "openadr3", "name": "B", "client_secret": MASK}


@pytest.mark.parametrize(
    ("name", "taken", "own"),
    [
        ("Peak Power!", [], "peak_power"),
        ("Peak power", ["peak_power", "peak_power_2"], "peak_power_3"),
        ("Manual", [], "program_manual"),
        ("…", [], "program"),
        ("x" * 60, [], "x" * 29),
    ],
)
def test_the_edges_short_name_is_made_of_what_people_call_it(name: str, taken: list[str], own: str) -> None:
    assert id_of(name, taken) == own
