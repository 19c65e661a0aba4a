"""Buttons on phones: each does what it says, once, for the notice that it was shown with, and says how it went."""

from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.notice_kinds import KINDS
from custom_components.ridethrough.phones.buttons import BUTTONS, DETAILS, MOST_BUTTONS, Tap

from .peer import INSTALLATION, Eventually, Peer, at, departure, event, notice, refusing
from .phone_kit import Phone, PhoneShop, choose
from .test_phones import announced, later, on_backup, outage, settled


@pytest.fixture
async def phone(hass: HomeAssistant, house: MockConfigEntry, shop: PhoneShop) -> Phone:
    """One that is told everything."""
    phone = await shop.buy()
    choose(hass, house, phone)
    return phone


async def test_a_skipped_event_says_so_is_read_for_everybody_and_goes_from_the_other_phone(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone, other = await shop.buy(), await shop.buy("Red phone")
    choose(hass, house, phone, other)
    await peer.raise_notice(announced())
    await eventually(lambda: bool(phone.screen and other.screen))
    await phone.tap("Skip")
    await peer.until(lambda: bool(peer.named("acknowledge_notice")))
    assert peer.named("opt_out") == [{"event": "peak-1"}]
    assert peer.named("acknowledge_notice") == [{"number": 3}]
    await eventually(lambda: not other.screen and phone.reads("Skipped. The house does not take part."))
    assert phone.buttons() == []
    assert len(phone.rang) == 1

    await other.send_action(other.action("Keep"))
    await eventually(lambda: other.reads("No longer open"))
    await peer.push(lambda state: state.update(notices=[]))
    await settled(hass, peer, eventually)
    assert phone.reads("Skipped"), "the answer stays until it is read"
    assert len(peer.named("acknowledge_notice")) == 1


async def test_of_two_phones_tapped_at_once_one_acts(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, shop: PhoneShop, eventually: Eventually
) -> None:
    phone, other = await shop.buy(), await shop.buy("Red phone")
    choose(hass, house, phone, other)
    await peer.raise_notice(announced())
    await eventually(lambda: bool(phone.screen and other.screen))
    for action in (phone.action("Skip"), phone.action("Skip"), other.action("Skip"), other.action("Keep")):
        hass.bus.async_fire("mobile_app_notification_action", {"action": action})
    await eventually(lambda: phone.reads("Skipped") and not other.reads("Peak event"))
    await settled(hass, peer, eventually)
    assert len(peer.named("opt_out")) == 1


async def test_what_was_answered_is_not_told_again_after_a_reload_while_the_edge_still_says_it(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, phone: Phone, eventually: Eventually
) -> None:
    peer.answers["acknowledge_notice"] = refusing("internal")
    await peer.raise_notice(announced())
    await eventually(lambda: bool(phone.screen))
    await phone.tap("Skip")
    await peer.until(lambda: bool(peer.named("acknowledge_notice")))
    await eventually(lambda: phone.reads("Skipped"))
    await hass.config_entries.async_reload(house.entry_id)
    await settled(hass, peer, eventually)
    assert len(phone.pushes) == 2


async def test_an_old_message_cannot_act_on_what_is_new(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    phone: Phone,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
) -> None:
    await peer.raise_notice(announced())
    await eventually(lambda: bool(phone.screen))
    old = phone.action("Skip")
    await peer.raise_notice(announced(9))
    await eventually(lambda: len(phone.pushes) == 2)
    await phone.send_action(old)
    await eventually(lambda: phone.reads("No longer open: Somebody has answered already, or it is over."))
    assert peer.named("opt_out") == []
    await later(hass, freezer, 61)
    await eventually(lambda: phone.reads("Peak event"))

    await peer.push(lambda state: state.update(notices=[]))
    await eventually(lambda: not phone.screen)
    await phone.send_action(phone.action("Skip"))
    await eventually(lambda: phone.reads("No longer open"))
    assert peer.named("opt_out") == []


async def test_a_refusal_is_said_in_words_and_the_buttons_stay(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    phone: Phone,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
) -> None:
    peer.answers["opt_out"] = refusing("event_over")
    await peer.raise_notice(announced())
    await eventually(lambda: bool(phone.screen))
    await phone.tap("Skip")
    await eventually(lambda: phone.reads("This event is over."))
    assert phone.buttons() == ["Skip", "Keep"]
    peer.answers["opt_out"] = refusing("something_later", "the valve is stuck")
    await phone.tap("Skip")
    await eventually(lambda: phone.reads("The controller refused: the valve is stuck"))
    assert peer.named("acknowledge_notice") == []
    await later(hass, freezer, 61)
    await eventually(lambda: phone.reads("about $12.40"))
    assert len(phone.rang) == 1

    await peer.drop()
    peer.token = "another"
    await eventually(lambda: not house.runtime_data.last_update_success)
    await phone.tap("Skip")
    await eventually(lambda: phone.reads("No contact with the controller."))


async def test_a_yes_to_an_event_is_followed_without_another_sound(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, phone: Phone, eventually: Eventually
) -> None:
    await peer.raise_notice(announced(4, "event_asks", flags=["too_long"]) | {"level": "warning"})
    await eventually(lambda: phone.buttons() == ["Take part", "Leave out"])
    await phone.tap("Take part")
    await peer.until(lambda: peer.named("opt_in") == [{"event": "peak-1"}])
    await peer.raise_notice(announced(5, "event_flagged", flags=["too_long"]))
    await eventually(lambda: phone.buttons() == ["Skip", "Keep"])
    assert len(phone.rang) == 1


async def test_loads_are_shed_and_put_back_from_the_phone(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    phone: Phone,
    eventually: Eventually,
    freezer: FrozenDateTimeFactory,
) -> None:
    await peer.push(lambda state: state["loads"]["heat"].update(tier="must_have"))
    await peer.push(on_backup)
    await peer.raise_notice(outage())
    await eventually(lambda: bool(phone.screen))
    await phone.tap("Shed loads")
    await peer.until(lambda: bool(peer.named("set_load")))
    assert peer.named("set_load") == [{"group": "pool", "order": "shed"}]
    await eventually(lambda: phone.reads("Loads are being switched off."))
    assert peer.named("acknowledge_notice") == []
    await peer.push(lambda state: state["loads"]["pool"].update(wanted="shed", state="shed", by_hand="shed"))
    await settled(hass, peer, eventually)
    await later(hass, freezer, 61)
    await eventually(lambda: phone.reads("Backup on."))
    assert phone.buttons() == ["Details"]
    assert phone.pushes[-1]["data"]["actions"][0]["action"] == "URI"

    await peer.raise_notice(notice(8, "outage", "power_back", duration_s=600, energy_wh=900) | {"level": "info"})
    await eventually(lambda: phone.buttons() == ["Loads back on"])
    await phone.tap("Loads back on")
    await peer.until(lambda: len(peer.named("set_load")) == 2)
    assert peer.named("set_load")[1] == {"group": "pool", "order": "auto"}


def of_driveway(number: int, key: str, kind: str, **data: Any) -> Any:
    return notice(number, key, kind, charger="Driveway charger", **data)


LEAVES = departure()
TAPS: list[tuple[str, Any, str, str, dict[str, Any]]] = [
    ("reserve", of_driveway(1, "reserve", "reserve_near", soc_pct=24.0, minutes=30, ends="stop"), "Use 10% more",
     "lend_reserve", {"charger": "driveway", "pct": 15.0}),
    ("backup", notice(1, "backup_latched", "backup_latched", reason="not_formed", retries=4), "Try again",
     "retry_backup", {}),
    ("backup", notice(1, "outage", "no_backup", reason="not_formed"), "Try again", "retry_backup", {}),
    ("late", of_driveway(1, "departure", "departure_late", at=LEAVES["at"], target_pct=80.0, reaches_pct=60.0),
     "Charge now", "charge", {"charger": "driveway", "until": LEAVES["at"], "power_w": None}),
    ("late", of_driveway(1, "departure", "departure_late", at=LEAVES["at"], target_pct=80.0, reaches_pct=60.0),
     "Skip", "skip_departure", {"charger": "driveway", "id": "weekly"}),
    ("storm", notice(1, "storm", "storm", until=at(90), reserve_pct=90.0, alert=""), "Undo", "end_storm", {}),
    ("storm", notice(1, "storm:a", "storm", until=at(90), reserve_pct=90.0, alert="a"), "Undo", "opt_out_alert",
     {"alert": "a"}),
    ("other", of_driveway(1, "contested:driveway", "another_controller", setpoint_w=3000), "Take over again",
     "resume", {"charger": "driveway"}),
    ("drill", notice(1, "drill_due", "drill_announced", at=at(9000)), "End the schedule", "clear_drill_schedule", {}),
    ("drill", notice(1, "drill", "drill_running", transfer=True), "Break off", "cancel_drill", {}),
    ("short", notice(1, "short:peak-1", "event_short", uid="peak-1", power_w=-5000), "Skip", "opt_out",
     {"event": "peak-1"}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "what", "button", "command", "args"), TAPS)
async def test_each_button_asks_the_edge_for_what_it_says(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    phone: Phone,
    eventually: Eventually,
    said: str,
    what: Any,
    button: str,
    command: str,
    args: dict[str, Any],
) -> None:
    latched = {"collapses": 4, "retries": 4, "retry_at": None, "latched": True}
    await peer.push(lambda state: state["site"].update(backup_retry=latched))
    await peer.push(lambda state: state["chargers"]["driveway"].update(departure=LEAVES, lent_pct=5.0))
    await peer.raise_notice(what)
    await eventually(lambda: button in phone.buttons())
    shown = next(one for one in phone.pushes[-1]["data"]["actions"] if one["title"] == button)
    assert shown.get("authenticationRequired", False) is (command in ("lend_reserve", "clear_drill_schedule"))
    await phone.tap(button)
    await peer.until(lambda: peer.named(command) == [args])
    await eventually(lambda: len(phone.pushes) >= 2 and phone.screen != {})
    assert phone.reads("."), "it says how it went"


async def test_the_return_to_the_grid_is_put_off_by_an_hour(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, phone: Phone, eventually: Eventually
) -> None:
    await peer.raise_notice(notice(1, "return", "return_announced", at=at(60), dark_s=20.0))
    await eventually(lambda: phone.buttons() == ["In an hour"])
    await phone.tap("In an hour")
    await peer.until(lambda: bool(peer.named("postpone_return")))
    (asked,) = peer.named("postpone_return")
    assert at(3500) < asked["until"] < at(3700)


async def test_what_cannot_be_done_now_is_not_offered(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, phone: Phone, eventually: Eventually
) -> None:
    await peer.push(lambda state: state.update(loads={}))
    for number, one in enumerate(
        (
            of_driveway(1, "reserve", "reserve_near", soc_pct=24.0, minutes=150, ends="empty"),
            of_driveway(1, "d:1", "departure_late", at=at(-60), target_pct=80.0, reaches_pct=60.0),
            notice(1, "d:2", "departure_late", charger="Of nobody", at=at(60), target_pct=80.0, reaches_pct=60.0),
            notice(1, "c:3", "another_controller", charger="Of nobody"),
            announced(1, uid="gone") | {"key": "event:gone"},
            notice(1, "outage", "no_backup", reason="no_charger", since=at(-60)),
        )
    ):
        await peer.raise_notice(one | {"number": number + 1})
    await eventually(lambda: len(phone.screen) == 6)
    assert set(phone.buttons()) == {"Keep", "Details"}
    await phone.send_action(Tap(INSTALLATION, 1, phone.device_id, "lend", "reserve").id())
    await eventually(lambda: phone.reads("No longer open"))
    assert peer.named("lend_reserve") == []


@pytest.mark.parametrize(
    "action", ["", "URI", "ridethrough|x", f"ridethrough|{INSTALLATION}|x|y|skip|event:peak-1", "other|a|1|b|c|d"]
)
async def test_other_peoples_buttons_are_left_alone(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, phone: Phone, eventually: Eventually, action: str
) -> None:
    await peer.raise_notice(announced())
    await eventually(lambda: bool(phone.screen))
    await phone.send_action(action)
    await phone.send_action(Tap(INSTALLATION, 3, "nobody", "skip", "event:peak-1").id())
    await phone.send_action(Tap("elsewhere", 3, phone.device_id, "skip", "event:peak-1").id())
    await settled(hass, peer, eventually)
    assert len(phone.pushes) == 1
    assert peer.named("opt_out") == []


async def test_a_button_says_what_it_did_also_when_its_event_runs_out_of_the_list(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, phone: Phone, eventually: Eventually
) -> None:
    await peer.push(lambda state: state["programs"]["peak"].update(events=[event(status="running", start_s=-60)]))
    await peer.raise_notice(announced())
    await eventually(lambda: phone.buttons() == ["Skip"])
    await phone.tap("Skip")
    await eventually(lambda: phone.reads("Skipped"))


def test_every_button_of_every_kind_is_known_and_every_known_one_is_used() -> None:
    used = {button for kind in KINDS.values() for button in kind.buttons}
    assert used == {*BUTTONS, DETAILS}
    assert all(len(kind.buttons) <= MOST_BUTTONS for kind in KINDS.values())


@pytest.mark.parametrize("number", ["9" * 5000, "-1", "1_0", "\u0663", "", "7.0"])
def test_an_action_with_a_number_that_is_none_of_a_notice_is_nobodys(number: str) -> None:
    assert Tap.of(f"ridethrough|{INSTALLATION}|{number}|phone|skip|event:e1") is None
