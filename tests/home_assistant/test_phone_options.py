"""The pages on which people choose phones, as a person goes through them."""

from typing import Any

import pytest
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.notice_kinds import Group

from .peer import Eventually, Peer
from .phone_kit import PhoneShop
from .test_phones import announced, outage, settled

QUIET = {"quiet_start": "23:00:00", "quiet_end": "06:30:00"}


async def begin(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    """As far as the first page."""
    menu = await hass.config_entries.options.async_init(entry.entry_id)
    assert menu["type"] is FlowResultType.MENU
    assert "notifications" in menu["menu_options"]
    return await hass.config_entries.options.async_configure(menu["flow_id"], {"next_step_id": "notifications"})


async def go_on(hass: HomeAssistant, page: ConfigFlowResult, **typed: Any) -> ConfigFlowResult:
    return await hass.config_entries.options.async_configure(page["flow_id"], typed)


def suggested(page: ConfigFlowResult) -> dict[str, Any]:
    schema = page["data_schema"]
    assert schema is not None
    return {str(key): (key.description or {}).get("suggested_value") for key in schema.schema}


def defaults(page: ConfigFlowResult) -> dict[str, Any]:
    schema = page["data_schema"]
    assert schema is not None
    return {str(key): key.default() for key in schema.schema}


async def test_the_phones_that_are_there_are_suggested_and_get_everything_unless_one_says_otherwise(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone, other = await shop.buy(), await shop.buy("Red phone")
    ids = [phone.device_id, other.device_id]
    page = await begin(hass, house)
    assert suggested(page)["phones"] == ids
    page = await go_on(hass, page, phones=ids, **QUIET)
    assert page["step_id"] == "notification_kinds"
    assert defaults(page) == {group.value: ids for group in Group} | {"alarms": ids}
    page = await go_on(hass, page, peak_events=[ids[1]], alarms=[ids[0]])
    assert page["type"] is FlowResultType.CREATE_ENTRY
    chosen = house.options["notifications"]
    assert chosen["peak_events"] == [ids[1]]
    assert chosen["outage_and_safety"] == ids
    assert chosen["names"] == {ids[0]: "Blue phone", ids[1]: "Red phone"}
    assert (chosen["alarms"], chosen["quiet_start"], chosen["quiet_end"]) == ([ids[0]], *QUIET.values())

    await peer.raise_notice(outage())
    await eventually(lambda: bool(phone.pushes and other.pushes))
    third = await shop.buy("Green phone")
    page = await begin(hass, house)
    assert suggested(page)["phones"] == ids, "who was left out on purpose is not pressed again"
    page = await go_on(hass, page, phones=[*ids, third.device_id], **QUIET)
    assert defaults(page)["peak_events"] == [ids[1], third.device_id]
    assert defaults(page)["alarms"] == [ids[0], third.device_id]


async def test_with_nobody_chosen_nothing_is_sent(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone = await shop.buy()
    page = await go_on(hass, await begin(hass, house), phones=[], **QUIET)
    assert page["type"] is FlowResultType.CREATE_ENTRY
    await peer.raise_notice(outage())
    await settled(hass, peer, eventually)
    assert phone.pushes == []
    assert suggested(await begin(hass, house))["phones"] == []


async def test_that_nobody_is_told_of_an_outage_has_to_be_said(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone = await shop.buy()
    page = await go_on(hass, await begin(hass, house), phones=[phone.device_id], **QUIET)
    page = await go_on(hass, page, outage_and_safety=[])
    assert page["errors"] == {"outage_and_safety": "nobody_for_outages"}
    page = await go_on(hass, page, outage_and_safety=[], nobody_for_outages=False)
    assert page["errors"] == {"outage_and_safety": "nobody_for_outages"}
    page = await go_on(hass, page, outage_and_safety=[], nobody_for_outages=True)
    assert page["type"] is FlowResultType.CREATE_ENTRY
    await peer.raise_notice(outage())
    await peer.raise_notice(announced())
    await eventually(lambda: phone.reads("Peak event"))
    assert not phone.reads("Power is out")


@pytest.mark.parametrize("is_renamed", [False, True])
async def test_notify_entities_are_offered_but_for_those_of_phones_and_keep_their_choice_over_a_new_name(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    house: MockConfigEntry,
    shop: PhoneShop,
    is_renamed: bool,
) -> None:
    phone = await shop.buy()
    mail = entity_registry.async_get_or_create("notify", "mail", "1", suggested_object_id="mail")
    hass.states.async_set("notify.mail", "unknown", {"friendly_name": "Mail"})
    hass.states.async_set("notify.bare", "unknown")
    page = await begin(hass, house)
    schema = page["data_schema"]
    assert schema is not None
    assert schema.schema["notifiers"].config["include_entities"] == ["notify.mail", "notify.bare"]
    page = await go_on(hass, page, phones=[phone.device_id], notifiers=["notify.mail", "notify.bare"], **QUIET)
    page = await go_on(hass, page)
    chosen = house.options["notifications"]
    assert chosen["notifiers"] == [mail.id, "notify.bare"]
    assert chosen["names"][mail.id] == "Mail"
    assert chosen["alarms"] == [phone.device_id]
    if is_renamed:
        entity_registry.async_update_entity("notify.mail", new_entity_id="notify.post")
    shown = suggested(await begin(hass, house))["notifiers"]
    assert shown == ["notify.post" if is_renamed else "notify.mail", "notify.bare"]


async def test_a_phone_that_is_gone_is_left_out_by_going_through_the_pages(
    hass: HomeAssistant, house: MockConfigEntry, shop: PhoneShop
) -> None:
    phone, other = await shop.buy(), await shop.buy("Red phone")
    ids = [phone.device_id, other.device_id]
    page = await go_on(hass, await begin(hass, house), phones=ids, **QUIET)
    await go_on(hass, page)
    (gone,) = [one for one in hass.config_entries.async_entries("mobile_app") if one.title == other.name]
    await hass.config_entries.async_remove(gone.entry_id)
    page = await go_on(hass, await begin(hass, house), phones=ids, **QUIET)
    assert defaults(page)["results"] == [ids[0]]
    await go_on(hass, page)
    assert house.options["notifications"]["phones"] == [ids[0]]
