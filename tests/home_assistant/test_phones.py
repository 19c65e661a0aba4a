"""Messages on phones: each once whatever restarts, kept true, taken down, to those who chose them, at their hours."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import persistent_notification
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.ridethrough.const import DOMAIN

from .peer import INSTALLATION, TOKEN, Eventually, Peer, at, departure, event, notice
from .phone_kit import PhoneShop, choose, level

OUTAGE = f"ridethrough_{INSTALLATION}_outage"


def outage(number: int = 7, **data: Any) -> Any:
    return notice(number, since=at(-300)) | {"data": {"since": at(-300), **data}}


def on_backup(state: Any) -> None:
    state["site"].update(grid="outage", supply="island", runtime=runtime(9.2, 11, 13.1))


def runtime(low: float | None, middle: float | None, high: float | None) -> dict[str, Any]:
    return {"p10_h": low, "p50_h": middle, "p90_h": high, "usable_wh": 20_000, "load_w": 1700}


def announced(number: int = 3, kind: str = "event_announced", **data: Any) -> Any:
    told = {"uid": "peak-1", "start": at(3600), "end": at(7200), "stake_usd": 12.4}
    return notice(number, "event:peak-1", kind) | {"level": "info", "data": told | data}


async def settled(hass: HomeAssistant, peer: Peer, eventually: Eventually) -> None:
    """What was pushed so far has been seen, and all that it leads to was sent."""
    mark = at()
    await peer.push(lambda state: state["site"].update(started_at=mark))
    (entry,) = [one for one in hass.config_entries.async_entries(DOMAIN) if one.unique_id == peer.installation]
    await eventually(lambda: entry.runtime_data.data["site"]["started_at"] == mark)
    for _ in range(20):
        await hass.async_block_till_done()


async def later(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """So much time passes."""
    freezer.tick(seconds)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


# ------------------------------------------------------------------------------------------------------------- once


async def test_an_outage_rings_on_the_phones_that_were_chosen_and_says_what_can_be_done(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone, other = await shop.buy(), await shop.buy("Red phone", maker="Google")
    choose(hass, house, phone, other, alarms=(phone,))
    await peer.push(on_backup)
    await peer.push(lambda state: state["loads"]["pool"].update(gain_h=1.1))
    await peer.push(lambda state: state["loads"]["heat"].update(gain_h=5.2))
    await peer.raise_notice(outage())
    await eventually(lambda: bool(phone.pushes and other.pushes))
    (push,), (quieter,) = phone.pushes, other.pushes
    assert push["title"].startswith("Power is out since ")
    assert push["message"] == "Backup on. 9–13 h left; Heat pump off: +5 h"
    assert push["data"]["tag"] == OUTAGE
    assert push["data"]["push"] == {
        "interruption-level": "critical",
        "sound": {"name": "default", "critical": 1, "volume": 1.0},
    }
    assert {key: push["data"][key] for key in ("ttl", "priority", "channel")} == {
        "ttl": 0,
        "priority": "high",
        "channel": "alarm_stream",
    }
    assert [button["title"] for button in push["data"]["actions"]] == ["Shed loads", "Details"]
    assert level(quieter) == "time-sensitive"
    assert quieter["data"]["channel"] == "Outage and safety"


async def test_nothing_is_sent_twice_by_a_reload_a_reconnect_or_a_kill(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    entry: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
) -> None:
    phone = await shop.buy()
    choose(hass, entry, phone)
    await peer.raise_notice(outage())
    await hass.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: len(phone.pushes) == 1)
    await eventually(lambda: kept(hass_storage, entry, phone.device_id)["outage"]["sure"])

    await peer.drop()
    await peer.until(lambda: len(peer.starts) == 2)
    await settled(hass, peer, eventually)
    on_disk = hass_storage[f"ridethrough.{entry.entry_id}.phones"]
    await hass.config_entries.async_reload(entry.entry_id)
    await settled(hass, peer, eventually)
    assert len(phone.pushes) == 1

    # What a killed Home Assistant leaves is what was on disk.
    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage[f"ridethrough.{entry.entry_id}.phones"] = on_disk
    await hass.config_entries.async_setup(entry.entry_id)
    await settled(hass, peer, eventually)
    assert len(phone.pushes) == 1
    await hass.config_entries.async_unload(entry.entry_id)


def kept(storage: dict[str, Any], entry: MockConfigEntry, recipient: str) -> Any:
    """What the disk says that this one was sent."""
    found = storage.get(f"ridethrough.{entry.entry_id}.phones")
    return {"outage": {"sure": False}} | (found["data"]["recipients"].get(recipient, {}) if found else {})


async def test_killed_while_it_was_sent_it_is_sent_again_without_a_second_sound(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    entry: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
) -> None:
    phone = await shop.buy()
    choose(hass, entry, phone)
    await peer.raise_notice(outage())
    await hass.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: len(phone.pushes) == 1)
    assert "alert_once" not in phone.pushes[0]["data"]
    await eventually(lambda: kept(hass_storage, entry, phone.device_id)["outage"]["sure"])
    await hass.config_entries.async_unload(entry.entry_id)
    file = hass_storage[f"ridethrough.{entry.entry_id}.phones"]
    file["data"]["recipients"][phone.device_id]["outage"]["sure"] = False
    await hass.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: len(phone.pushes) == 2)
    assert phone.pushes[1]["data"]["alert_once"] is True
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_arose_while_home_assistant_was_dark_comes_once_and_only_if_it_still_stands(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone = await shop.buy()
    choose(hass, house, phone)
    await settled(hass, peer, eventually)
    await hass.config_entries.async_unload(house.entry_id)
    back = notice(8, "outage", "power_back", duration_s=11_400, energy_wh=9400)
    back["raised_at"] = at(-9 * 3600)
    peer.state["notices"] = [back, announced(9)]
    await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: len(phone.pushes) == 2)
    await hass.config_entries.async_reload(house.entry_id)
    await settled(hass, peer, eventually)
    assert len(phone.pushes) == 2
    assert phone.reads("Power is back: Home is on the grid again after 3 h 10 min. The vehicle gave 9.4 kWh.")
    assert not phone.reads("Power is out")


async def test_who_is_chosen_later_is_told_what_runs_and_not_what_is_past(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone = await shop.buy()
    await peer.raise_notice(outage())
    await peer.raise_notice(notice(8, "event:old", "event_result", name="Summer peak", energy_wh=9000))
    await settled(hass, peer, eventually)
    assert phone.pushes == []
    choose(hass, house, phone)
    await eventually(lambda: phone.reads("Power is out since"))
    await settled(hass, peer, eventually)
    assert len(phone.pushes) == 1
    await peer.push(lambda state: state.update(notices=[]))
    await eventually(lambda: not phone.screen)
    assert len(phone.pushes) == 2


# ------------------------------------------------------------------------------------------------ replaced and cleared


async def test_a_newer_word_on_the_same_thing_replaces_and_its_end_clears_every_phone(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone, other = await shop.buy(), await shop.buy("Red phone")
    choose(hass, house, phone, other)
    await peer.raise_notice(outage())
    await eventually(lambda: bool(phone.screen and other.screen))
    await peer.raise_notice(outage(8, reason="not_formed") | {"kind": "no_backup"})
    for one in (phone, other):
        await eventually(lambda one=one: one.reads("Backup is not on: the charger did not start"))  # type: ignore[misc]
        assert len(one.screen) == 1
    await peer.push(lambda state: state.update(notices=[]))
    await eventually(lambda: not phone.screen and not other.screen)
    assert phone.pushes[-1] == phone.pushes[-1] | {"message": "clear_notification"}
    assert "title" not in phone.pushes[-1]


async def test_a_notice_that_is_dismissed_in_home_assistant_goes_from_the_phones(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone = await shop.buy()
    choose(hass, house, phone)
    await peer.raise_notice(outage())
    await eventually(lambda: bool(phone.screen))
    persistent_notification.async_dismiss(hass, OUTAGE)
    await peer.until(lambda: peer.named("acknowledge_notice") == [{"number": 7}])
    await peer.push(lambda state: state.update(notices=[]))
    await eventually(lambda: not phone.screen)


async def test_an_outage_is_kept_true_without_a_sound_when_something_has_happened(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
) -> None:
    phone = await shop.buy()
    choose(hass, house, phone)
    await peer.raise_notice(outage())
    await eventually(lambda: phone.reads("Backup is starting"))
    await peer.push(on_backup)
    await settled(hass, peer, eventually)
    assert len(phone.pushes) == 1, "who reads what rang is left to it for a moment"
    await later(hass, freezer, 20)
    await eventually(lambda: phone.reads("Backup on. 9–13 h left"))
    update = phone.pushes[-1]["data"]
    assert (update["push"]["interruption-level"], update["alert_once"]) == ("passive", True)
    assert (update["live_update"], update["chronometer"], update["progress"]) == (True, True, 78)
    assert update["when"] < dt_util.utcnow().timestamp()

    for hours, pushes in ((10.2, 2), (9.9, 3), (9.5, 3)):
        await peer.push(lambda state, hours=hours: state["site"].update(runtime=runtime(hours - 2, hours, hours + 2)))  # type: ignore[misc]
        await settled(hass, peer, eventually)
        await later(hass, freezer, 20)
        await eventually(lambda pushes=pushes: len(phone.pushes) == pushes)  # type: ignore[misc]
    await peer.push(lambda state: state["loads"]["pool"].update(state="shed", wanted="shed"))
    await settled(hass, peer, eventually)
    await later(hass, freezer, 20)
    await eventually(lambda: len(phone.pushes) == 4)
    assert phone.rang == [phone.pushes[0]["title"]]


# ------------------------------------------------------------------------------------------------------- who gets what


async def test_each_phone_gets_the_kinds_that_were_chosen_for_it(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone, other = await shop.buy(), await shop.buy("Red phone")
    choose(hass, house, phone, other, peak_events=[other.device_id], outage_and_safety=[phone.device_id])
    await peer.raise_notice(outage())
    await peer.raise_notice(announced())
    await eventually(lambda: bool(phone.screen and other.screen))
    await settled(hass, peer, eventually)
    assert [len(one.pushes) for one in (phone, other)] == [1, 1]
    assert phone.reads("Power is out")
    assert other.reads("Peak event ")
    assert not other.reads("Power is out")


async def test_without_a_phone_there_is_what_there_was(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone = await shop.buy()
    await peer.raise_notice(outage())
    await settled(hass, peer, eventually)
    assert phone.pushes == []
    assert OUTAGE in persistent_notification._async_get_or_create_notifications(hass)


async def test_a_phone_that_is_no_longer_chosen_is_cleared(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone, other = await shop.buy(), await shop.buy("Red phone")
    choose(hass, house, phone, other)
    await peer.raise_notice(outage())
    await eventually(lambda: bool(phone.screen and other.screen))
    choose(hass, house, phone)
    await eventually(lambda: not other.screen)
    await peer.raise_notice(announced())
    await eventually(lambda: len(phone.screen) == 2)
    await settled(hass, peer, eventually)
    assert len(other.pushes) == 2


async def test_an_event_says_when_what_it_is_worth_and_whether_the_car_is_ready(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone = await shop.buy()
    choose(hass, house, phone)
    noon = dt_util.start_of_local_day() + timedelta(days=1, hours=17)
    start, end, leaves = (
        when.astimezone(UTC).isoformat()
        for when in (noon, noon + timedelta(hours=3), noon.replace(hour=7) + timedelta(days=1))
    )
    await peer.push(lambda state: state["programs"]["peak"].update(events=[event() | {"start": start, "end": end}]))
    await peer.push(lambda state: state["chargers"]["driveway"].update(departure=departure() | {"at": leaves}))
    await peer.raise_notice(announced(start=start, end=end))
    await eventually(lambda: bool(phone.screen))
    assert phone.texts == ["Peak event tomorrow 17–20: about $12.40, car ready by 07:00"]
    assert phone.buttons() == ["Skip", "Keep"]
    assert level(phone.pushes[0]) == "active"


async def test_a_running_event_counts_down_without_a_sound(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
) -> None:
    phone = await shop.buy()
    choose(hass, house, phone)
    await peer.raise_notice(announced())
    await eventually(lambda: bool(phone.screen))
    assert "live_update" not in phone.pushes[0]["data"]
    running = event(status="running", start_s=-600, end_s=3000)
    await peer.push(lambda state: state["programs"]["peak"].update(events=[running]))
    await settled(hass, peer, eventually)
    await later(hass, freezer, 20)
    await eventually(lambda: phone.reads("Peak event until "))
    data = phone.pushes[-1]["data"]
    assert (data["live_update"], data["progress_max"], data["when"] > dt_util.utcnow().timestamp()) == (
        True,
        3600,
        True,
    )
    assert 600 <= data["progress"] <= 640
    assert len(phone.rang) == 1
    assert phone.buttons() == ["Skip"]
    said = phone.texts
    await peer.push(lambda state: state["programs"]["peak"]["events"][0].update(status="finished", stake_usd=None))
    await settled(hass, peer, eventually)
    await later(hass, freezer, 20)
    await peer.raise_notice(outage())
    await eventually(lambda: len(phone.screen) == 2)
    assert phone.texts[0] == said[0]


# ------------------------------------------------------------------------------------------------------- quiet hours


NIGHT = ("22:00:00", "07:00:00")


class Night:
    """The next one, by the clock on the wall."""

    def __init__(self) -> None:
        self._day = dt_util.start_of_local_day() + timedelta(days=1)

    def at(self, hour: int) -> datetime:
        return self._day.replace(hour=hour).astimezone(UTC)

    def times(self, start: int, end: int) -> dict[str, str]:
        return {"start": self.at(start).isoformat(), "end": self.at(end).isoformat()}


async def test_at_night_only_what_needs_a_person_makes_a_sound_and_the_rest_comes_in_the_morning_if_it_still_stands(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
) -> None:
    phone = await shop.buy()
    choose(hass, house, phone, quiet=NIGHT)
    night = Night()
    freezer.move_to(night.at(3))
    storm = notice(4, "storm:1", "storm", until=at(9000), reserve_pct=90.0, alert="") | {"level": "info"}
    over_soon = notice(5, "offline:driveway", "charger_offline", charger="Driveway charger") | {"level": "warning"}
    await peer.raise_notice(storm)
    await peer.raise_notice(over_soon)
    await peer.raise_notice(announced(6, start=at(8 * 3600), end=at(9 * 3600)))
    await settled(hass, peer, eventually)
    assert phone.pushes == []

    await peer.raise_notice(outage(7))
    await eventually(lambda: len(phone.pushes) == 1)
    assert level(phone.pushes[0]) == "critical"
    await peer.raise_notice(notice(8, "outage", "power_back", duration_s=600, energy_wh=900) | {"level": "info"})
    await eventually(lambda: phone.reads("Power is back"))
    assert level(phone.pushes[1]) == "passive", "what it says in the place of the alarm is no reason to wake up"

    await hass.config_entries.async_reload(house.entry_id)
    await peer.push(lambda state: state.update(notices=[one for one in state["notices"] if one["number"] != 5]))
    await settled(hass, peer, eventually)
    assert len(phone.pushes) == 2
    freezer.move_to(night.at(7))
    async_fire_time_changed(hass)
    await eventually(lambda: len(phone.pushes) == 4)
    await settled(hass, peer, eventually)
    assert phone.rang == [phone.pushes[0]["title"], *(push["title"] for push in phone.pushes[2:])]
    assert phone.reads("Prepared for a storm")
    assert not phone.reads("Driveway charger")


async def test_a_question_that_cannot_wait_for_the_morning_comes_at_night_without_a_sound(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
) -> None:
    phone = await shop.buy()
    choose(hass, house, phone, quiet=NIGHT)
    night = Night()
    freezer.move_to(night.at(3))
    early, late = night.times(6, 8), night.times(9, 10)
    await peer.push(
        lambda state: state["programs"]["peak"].update(events=[event("early") | early, event("late") | late])
    )
    for number, (uid, times) in enumerate((("early", early), ("late", late))):
        asks = announced(number, "event_asks", uid=uid, flags=["outside_window"], **times)
        await peer.raise_notice(asks | {"key": f"event:{uid}", "level": "warning"})
    await eventually(lambda: len(phone.pushes) == 1)
    await settled(hass, peer, eventually)
    assert len(phone.pushes) == 1
    assert phone.texts == ["Take part? Peak event today 6–8: about $12.40, outside of the program's hours"]
    assert level(phone.pushes[0]) == "passive"


# ------------------------------------------------------------------------------------------------ ways that fail


async def test_a_phone_that_cannot_be_reached_stops_nobody_and_gets_what_stands_when_it_is_home(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    hass_ws_client: WebSocketGenerator,
    house: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    away, phone = await shop.buy("Away", by_internet=False), await shop.buy()
    choose(hass, house, away, phone)
    await peer.raise_notice(outage())
    await eventually(lambda: bool(phone.screen))
    await eventually(lambda: "Away cannot be reached" in caplog.text)
    assert kept(hass_storage, house, away.device_id)["outage"]["number"] == 7, "written down before it was tried"
    for wait_s in (31, 121, 601):
        await later(hass, freezer, wait_s)
        await settled(hass, peer, eventually)
    assert caplog.text.count("cannot be reached") == 1

    socket = await hass_ws_client()
    await socket.send_json_auto_id({"type": "mobile_app/push_notification_channel", "webhook_id": away.webhook_id})
    assert (await socket.receive_json())["success"]
    freezer.tick(1801)
    await settled(hass, peer, eventually)
    pushed = (await socket.receive_json())["event"]
    assert pushed["title"].startswith("Power is out since")
    assert pushed["data"]["tag"] == OUTAGE
    await settled(hass, peer, eventually)
    await peer.push(lambda state: state.update(notices=[]))
    assert (await socket.receive_json())["event"]["message"] == "clear_notification"


async def test_a_notify_entity_gets_title_and_text_once_and_its_new_name_changes_nothing(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
) -> None:
    calls: list[Any] = []
    hass.services.async_register("notify", "send_message", lambda call: calls.append(dict(call.data)))
    mail = entity_registry.async_get_or_create("notify", "mail", "1", suggested_object_id="mail")
    hass.states.async_set("notify.mail", "unknown")
    choose(hass, house, notifiers=(mail.id,))
    await peer.raise_notice(outage())
    await eventually(lambda: len(calls) == 1)
    assert calls[0]["entity_id"] == "notify.mail"
    assert calls[0]["title"].startswith("Power is out since")
    entity_registry.async_update_entity("notify.mail", new_entity_id="notify.post")
    hass.states.async_remove("notify.mail")
    hass.states.async_set("notify.post", "unknown")
    await peer.push(on_backup)
    await later(hass, freezer, 20)
    await peer.raise_notice(announced())
    await eventually(lambda: len(calls) == 2)
    assert calls[1]["entity_id"] == "notify.post"
    assert set(calls[1]) == {"entity_id", "title", "message"}

    hass.states.async_set("notify.post", "unavailable")
    await peer.raise_notice(notice(11, "neutral_lost", "neutral_lost", legs="88, 152 V"))
    await settled(hass, peer, eventually)
    hass.states.async_set("notify.post", "unknown")
    await later(hass, freezer, 31)
    await eventually(lambda: len(calls) == 3)
    await peer.push(lambda state: state.update(notices=[]))
    await settled(hass, peer, eventually)
    assert len(calls) == 3


async def test_a_chosen_phone_that_is_gone_is_a_repair_until_people_choose_anew(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone, other = await shop.buy(), await shop.buy("Red phone")
    choose(hass, house, phone, other)
    issues = ir.async_get(hass)
    issue = (DOMAIN, f"phone_gone_{house.entry_id}")
    dr.async_get(hass).async_update_device(phone.device_id, name_by_user="The new name")
    await peer.raise_notice(announced())
    await eventually(lambda: bool(phone.screen))
    assert issue not in issues.issues
    (gone,) = [one for one in hass.config_entries.async_entries("mobile_app") if one.title == other.name]
    await hass.config_entries.async_remove(gone.entry_id)
    await eventually(lambda: issue in issues.issues)
    assert issues.issues[issue].translation_placeholders == {"site": "Home", "phones": "Red phone"}
    await peer.raise_notice(outage())
    await eventually(lambda: len(phone.screen) == 2)
    choose(hass, house, phone)
    await eventually(lambda: issue not in issues.issues)


async def test_two_sites_share_a_phone_and_say_which_they_are(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    second = Peer()
    second.installation = "another"
    second.state["site"]["name"] = "Cabin"
    await second.start()
    data = house.data | {"port": second.port, "token": TOKEN}
    cabin = MockConfigEntry(domain=DOMAIN, title="Cabin", unique_id="another", data=data)
    cabin.add_to_hass(hass)
    phone = await shop.buy()
    for entry in (house, cabin):
        choose(hass, entry, phone)
    await hass.config_entries.async_setup(cabin.entry_id)
    for one in (peer, second):
        await one.raise_notice(announced(1))
    await eventually(lambda: len(phone.screen) == 2)
    assert sorted(text.split(":")[0] for text in phone.texts) == ["Cabin", "Home"]
    await phone.send_action(f"ridethrough|another|1|{phone.device_id}|skip|event:peak-1")
    await second.until(lambda: second.named("opt_out") == [{"event": "peak-1"}])
    await settled(hass, peer, eventually)
    assert peer.named("opt_out") == []
    await hass.config_entries.async_unload(cabin.entry_id)
    await second.stop()


async def test_home_assistant_that_still_starts_tries_again_soon_and_complains_of_nothing(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    phone = await shop.buy()
    choose(hass, entry, phone)
    known = hass.data["mobile_app"].pop("notify")
    await peer.raise_notice(outage())
    hass.set_state(CoreState.starting)
    await hass.config_entries.async_setup(entry.entry_id)
    await settled(hass, peer, eventually)
    hass.data["mobile_app"]["notify"] = known
    await later(hass, freezer, 6)
    await eventually(lambda: len(phone.pushes) == 1)
    hass.set_state(CoreState.running)
    assert "cannot be reached" not in caplog.text
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.fixture
async def dashboards(hass: HomeAssistant, hass_storage: dict[str, Any]) -> None:
    """Home Assistant's own, set up before anybody connects."""
    done = ["user", "core_config", "analytics", "integration"]
    hass_storage["onboarding"] = {"version": 4, "key": "onboarding", "data": {"done": done}}
    assert await async_setup_component(hass, "lovelace", {})


async def test_a_tap_opens_our_dashboard_where_people_have_one(
    hass: HomeAssistant,
    dashboards: None,
    hass_ws_client: WebSocketGenerator,
    house: MockConfigEntry,
    peer: Peer,
    shop: PhoneShop,
    eventually: Eventually,
) -> None:
    phone = await shop.buy()
    choose(hass, house, phone)
    await peer.raise_notice(outage())
    await eventually(lambda: bool(phone.pushes))
    assert phone.pushes[0]["data"]["clickAction"] == "/lovelace"

    socket = await hass_ws_client()
    for path, config in (
        ("my-own", {"views": []}),
        ("empty-one", None),
        ("at-home", {"strategy": {"type": "custom:ridethrough"}}),
    ):
        made = {"type": "lovelace/dashboards/create", "url_path": path, "title": path, "mode": "storage"}
        await socket.send_json_auto_id(made)
        assert (await socket.receive_json())["success"]
        if config is not None:
            await socket.send_json_auto_id({"type": "lovelace/config/save", "url_path": path, "config": config})
            assert (await socket.receive_json())["success"]
    await hass.async_block_till_done()
    await peer.raise_notice(outage(8))
    await eventually(lambda: len(phone.pushes) == 2)
    data = phone.pushes[1]["data"]
    assert (data["url"], data["clickAction"], data["actions"][-1]["uri"]) == ("/at-home",) * 3
