"""The last page of the set-up: what was found, what is missing and what to do next; found again under the options."""

from typing import Any

import pytest
from homeassistant.const import CONF_CODE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.const import CONF_BACKED_UP
from custom_components.ridethrough.notice_kinds import Group
from custom_components.ridethrough.phones.choice import CONF_NOTIFICATIONS, CONF_PHONES, Choice
from custom_components.ridethrough.summary import STEPS, next_steps, summary_of
from custom_components.ridethrough.wording import async_words

from .onboarding import ask_for_code
from .peer import CODE, Eventually, Peer, home, of_an_older_edge


async def told(hass: HomeAssistant, state: Any) -> str:
    return summary_of(state, "0.1.0", await async_words(hass))


def with_reasons(*reasons: tuple[str, str]) -> Any:
    state: Any = home()
    state["site"]["readiness"] = {
        "level": "not_ready",
        "reasons": [{"code": code, "subject": subject} for code, subject in reasons],
    }
    return state


async def test_a_house_that_lacks_nothing_is_told_so(hass: HomeAssistant) -> None:
    text = await told(hass, home())
    assert text.splitlines() == [
        "- Controller: software 0.1.0",
        "- Meter: there, so grid power, events and limits are measured",
        "- Backup: the controller moves an island switch",
        "- Charger **Driveway charger**, Example DER 9.6: can power the house, can supply in peak events",
        "- Utility programs: Peak power",
        "- Backup readiness: **Ready**",
        "",
        "**What to do next**",
        "",
        "Nothing: all is set up.",
    ]


async def test_what_backup_lacks_is_told_by_name_with_the_step_that_mends_it(hass: HomeAssistant) -> None:
    text = await told(
        hass, with_reasons(("vehicle_absent", "driveway"), ("load_unreachable", "pool"), ("later", "site"))
    )
    assert "- Backup readiness: **Not ready**" in text
    assert "  - Driveway charger: No vehicle is plugged in" in text
    assert "  - Pool pump: A load group does not answer and would not be shed" in text
    assert "  - later" in text
    assert "1. Plug in the vehicle." in text


async def test_a_bare_house_is_told_what_it_could_have(hass: HomeAssistant) -> None:
    state: Any = home()
    state["site"] |= {"has_meter": False, "time_zone": None, "kind": "none"}
    state["chargers"]["driveway"] |= {
        "manufacturer": "",
        "model": "",
        "can_back_up": False,
        "blocked_by": "unable",
        "connected": False,
    }
    state["programs"], state["loads"] = {"manual": {**state["programs"]["peak"], "kind": "manual"}}, {}
    text = await told(hass, state)
    assert "Charger **Driveway charger**, model not known yet: can charge only, does not answer now" in text
    assert next_steps(state) == ["meter", "time_zone", "program", "load_group"]
    state["chargers"].clear()
    assert "- Charger: none" in await told(hass, state)


async def test_who_moves_the_switch_is_told(hass: HomeAssistant) -> None:
    state: Any = home()
    state["site"]["switch"]["owner"] = "home_assistant"
    assert "- Backup: Home Assistant moves the island switch" in await told(hass, state)


async def test_an_older_edge_has_a_summary_too(hass: HomeAssistant) -> None:
    text = await told(hass, of_an_older_edge(home()))
    assert "Backup readiness" not in text
    assert "- Backup: the controller moves an island switch" in text


@pytest.mark.parametrize("code", sorted(STEPS))
async def test_each_step_has_words(hass: HomeAssistant, code: str) -> None:
    (line,) = [line for line in (await told(hass, with_reasons((code, "site")))).splitlines() if line.startswith("1. ")]
    assert not line.startswith("1. next_")
    assert len(line) > 10


async def test_the_phones_that_are_there_are_told_everything_unless_a_person_says_otherwise(
    hass: HomeAssistant, peer: Peer
) -> None:
    phone_entry = MockConfigEntry(domain="mobile_app", title="Phone")
    phone_entry.add_to_hass(hass)
    phone = dr.async_get(hass).async_get_or_create(
        config_entry_id=phone_entry.entry_id, identifiers={("mobile_app", "1")}, name="Anna's phone"
    )
    form = await ask_for_code(hass, peer.port)
    summary: Any = await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_CODE: CODE})
    proposed = {str(key): (key.description or {}).get("suggested_value") for key in summary["data_schema"].schema}
    assert proposed == {CONF_BACKED_UP: None, CONF_PHONES: [phone.id]}
    answers = {CONF_BACKED_UP: True, CONF_PHONES: [phone.id, "gone meanwhile"]}
    made = await hass.config_entries.flow.async_configure(form["flow_id"], answers)
    choice = Choice.of(made["options"])
    assert (choice.phones, choice.alarms) == ((phone.id,), frozenset({phone.id}))
    assert all(choice.wants(phone.id, group) for group in Group)
    assert choice.names == {phone.id: "Anna's phone"}
    assert made["options"][CONF_BACKED_UP] is True
    await hass.async_block_till_done()
    await hass.config_entries.async_unload(made["result"].entry_id)


async def test_without_a_phone_nobody_is_asked_about_one(hass: HomeAssistant, peer: Peer) -> None:
    peer.state["site"]["has_backup"] = False
    form = await ask_for_code(hass, peer.port)
    summary: Any = await hass.config_entries.flow.async_configure(form["flow_id"], {CONF_CODE: CODE})
    assert summary["data_schema"].schema == {}
    made = await hass.config_entries.flow.async_configure(form["flow_id"], {})
    assert CONF_NOTIFICATIONS not in made["options"]
    await hass.async_block_till_done()
    await hass.config_entries.async_unload(made["result"].entry_id)


async def test_the_summary_is_found_again_under_the_options_and_keeps_the_others(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    hass.config_entries.async_update_entry(house, options={"alerts": []})
    menu = await hass.config_entries.options.async_init(house.entry_id)
    assert "summary" in menu["menu_options"]
    choose = {"next_step_id": "summary"}
    page: Any = await hass.config_entries.options.async_configure(menu["flow_id"], choose)
    assert "Driveway charger" in page["description_placeholders"]["summary"]
    done = await hass.config_entries.options.async_configure(page["flow_id"], {CONF_BACKED_UP: True})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert dict(house.options) == {"alerts": [], CONF_BACKED_UP: True}

    await hass.config_entries.async_unload(house.entry_id)
    menu = await hass.config_entries.options.async_init(house.entry_id)
    ended = await hass.config_entries.options.async_configure(menu["flow_id"], choose)
    assert (ended["type"], ended["reason"]) == (FlowResultType.ABORT, "no_link")
