"""Programs as people meet them: no and yes with the money at stake, days, rehearsals, and what is told of events."""

import asyncio
import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import persistent_notification
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from probatio import Invalid
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.ridethrough.const import DOMAIN
from custom_components.ridethrough.wire import NoticeWire

from .conftest import attributes, device_of, shown
from .peer import Eventually, Peer, at, event, notice, of_an_older_edge, refusing

STATUS = "sensor.peak_power_peak_event_status"
LIMITED, STAKE = "sensor.peak_power_peak_event_limited_by", "sensor.peak_power_money_at_stake"
PROJECTION, AT_METER = "sensor.peak_power_season_projection", "sensor.peak_power_season_average_at_the_meter"
OPT_IN, OPT_OUT = "button.peak_power_opt_in_to_next_event", "button.peak_power_opt_out_of_next_event"
PEAK = "event.peak_power_peak_event"


@pytest.fixture
def program(house: MockConfigEntry, device_registry: dr.DeviceRegistry) -> str:
    """The device id of the program."""
    device = device_of(device_registry, house, "program-peak")
    assert device is not None
    return device.id


def asking(**changes: Any) -> dict[str, Any]:
    """An event that departs from its program's rules and that nobody has answered."""
    return {**event(status="opted_out"), "asks": True, "flags": ["out_of_season", "holiday"], **changes}


async def act(hass: HomeAssistant, action: str, data: dict[str, Any], *, answers: bool = False) -> Any:
    return await hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=answers)


async def test_no_and_yes_answer_with_the_money_at_stake_and_what_was_made_with_its_uid(
    hass: HomeAssistant, program: str, peer: Peer
) -> None:
    of_the_program = {ATTR_DEVICE_ID: program}
    peer.brings |= {name: {"stake_usd": 12.4, "average_w": 310} for name in ("opt_out", "opt_in")}
    for action in ("opt_out_event", "opt_in_event"):
        answer = await act(hass, action, of_the_program | {"uid": "peak-1"}, answers=True)
        assert answer == {"stake_usd": 12.4, "average_w": 310}
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    times = {"start": start.isoformat(), "end": (start + timedelta(hours=3)).isoformat()}
    peer.brings["enter_event"] = {"event": "hand:1"}
    made = await act(hass, "enter_event", of_the_program | {"name": "Mail", "power": 5, **times}, answers=True)
    assert made == {"event": "hand:1"}
    await act(hass, "cancel_event", of_the_program | {"uid": made["event"]})
    assert peer.named("cancel_event") == [{"event": "hand:1"}]


async def test_a_day_is_left_out_and_taken_part_in_again_of_one_program_or_of_all(
    hass: HomeAssistant, house: MockConfigEntry, program: str, peer: Peer, device_registry: dr.DeviceRegistry
) -> None:
    day = {"config_entry_id": house.entry_id, "date": "2026-07-15"}
    await act(hass, "opt_out_day", day)
    await act(hass, "opt_in_day", day | {ATTR_DEVICE_ID: program})
    assert peer.named("opt_out_day") == [{"day": "2026-07-15", "program": None}]
    assert peer.named("opt_in_day") == [{"day": "2026-07-15", "program": "peak"}]
    charger = device_of(device_registry, house, "charger-driveway")
    assert charger is not None
    with pytest.raises(ServiceValidationError, match="Choose a utility program"):
        await act(hass, "opt_out_day", day | {ATTR_DEVICE_ID: charger.id})
    peer.answers["opt_out_day"] = refusing("bad_argument", argument="day", found="2026-07-15", allowed="today or later")
    with pytest.raises(ServiceValidationError, match="today or later"):
        await act(hass, "opt_out_day", day)
    with pytest.raises(Invalid):
        await act(hass, "opt_out_day", day | {"date": "the day after"})


async def test_a_rehearsal_is_dry_unless_power_is_asked_for_and_small_at_that(
    hass: HomeAssistant, house: MockConfigEntry, program: str, peer: Peer
) -> None:
    of_the_program = {ATTR_DEVICE_ID: program}
    peer.brings["start_rehearsal"] = {"event": "hand:rehearsal:1", "start": at(60), "end": at(360)}
    answer = await act(hass, "start_rehearsal", of_the_program, answers=True)
    assert answer == peer.brings["start_rehearsal"]
    wish = {"move_power": True, "power": 1.5, "duration": {"minutes": 3}, "at": "2026-07-15T21:00:00+00:00"}
    await act(hass, "start_rehearsal", of_the_program | wish)
    assert peer.named("start_rehearsal") == [
        {"program": "peak", "dry": True},
        {"program": "peak", "dry": False, "power_w": 1500, "minutes": 3.0, "at": "2026-07-15T21:00:00+00:00"},
    ]
    with pytest.raises(Invalid):
        await act(hass, "start_rehearsal", of_the_program | {"power": 6})
    peer.answers["start_rehearsal"] = refusing("rehearsal_event_near", reasons=["event_near"])
    with pytest.raises(ServiceValidationError, match="an event is called for that time"):
        await act(hass, "start_rehearsal", of_the_program)
    await act(hass, "cancel_rehearsal", {"config_entry_id": house.entry_id})
    assert peer.named("cancel_rehearsal") == [{}]


async def test_a_rehearsal_s_score_is_told_in_the_history_of_its_program(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    scored = {"uid": "hand:rehearsal:1", "score": 90, "reasons": ["notice_not_brought"], "dry": True}
    await peer.happen("rehearsal_passed", "site", program="a_program_of_tomorrow", **scored)
    await peer.happen("rehearsal_passed", "site", program="peak", **scored)
    await eventually(lambda: shown(hass, PEAK) != STATE_UNKNOWN)
    told = attributes(hass, PEAK, "event_type", "seq", "uid", "score", "reasons", "dry")
    assert told == {"event_type": "rehearsal_passed", "seq": 2, **scored}
    assert shown(hass, "event.home_outage") == STATE_UNKNOWN


async def test_an_event_that_asks_says_so_and_takes_a_yes_or_a_no(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.push(lambda state: state["programs"]["peak"].update(events=[asking()]))
    await eventually(lambda: shown(hass, STATUS) == "asks")
    told = attributes(hass, STATUS, "uid", "day", "flags", "rehearsal")
    flags = ("out_of_season", "holiday")
    assert told == {"uid": "peak-1", "day": "2026-07-15", "flags": flags, "rehearsal": False}

    def offered() -> list[bool]:
        return [shown(hass, button) != STATE_UNAVAILABLE for button in (OPT_OUT, OPT_IN)]

    assert offered() == [True, True]
    for button, command in ((OPT_OUT, "opt_out"), (OPT_IN, "opt_in")):
        await hass.services.async_call("button", "press", {ATTR_ENTITY_ID: button}, blocking=True)
        assert peer.named(command) == [{"event": "peak-1"}]
    # After a no it can still be taken back; after a yes it is an event like any other.
    await peer.push(lambda state: state["programs"]["peak"].update(events=[asking(opted_out=True)]))
    await eventually(lambda: shown(hass, STATUS) == "opted_out")
    assert offered() == [False, True]
    await peer.push(lambda state: state["programs"]["peak"].update(events=[asking(status="prepared")]))
    await eventually(lambda: shown(hass, STATUS) == "prepared")
    assert offered() == [True, False]


async def test_money_and_limits_are_shown_unknown_where_the_edge_does_not_know_and_absent_where_it_is_older(
    hass: HomeAssistant, everything_enabled: None, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    newer, older = peer.state, of_an_older_edge(peer.state)
    peer.state = deepcopy(older)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert shown(hass, STATUS) == "prepared"
    ours = (STAKE, LIMITED, PROJECTION, AT_METER)
    assert [entity for entity in ours if hass.states.get(entity) is not None] == []
    assert attributes(hass, STATUS, "uid", "flags") == {}

    await peer.push(lambda state: state.update(newer))
    await eventually(lambda: all(hass.states.get(entity) is not None for entity in ours))
    assert tuple(shown(hass, one) for one in ours) == ("12.4", "none", "1292.5", "4.1")
    peak: Any = peer.state["programs"]["peak"]
    for word, state in (("reserve", "reserve"), ("of_a_later_edge", "other")):
        event_now = peak["events"][0] | {"limited_by": word}
        await peer.push(lambda _, new=event_now: peak.update(events=[new]))  # type: ignore[misc]
        await eventually(lambda state=state: shown(hass, LIMITED) == state)  # type: ignore[misc]
    unknown = {"season_projection_usd": None, "season_site_average_w": None}
    await peer.push(lambda _: peak.update(events=[peak["events"][0] | {"stake_usd": None}], **unknown))
    await eventually(lambda: [shown(hass, one) for one in (STAKE, PROJECTION, AT_METER)] == [STATE_UNKNOWN] * 3)
    await peer.push(lambda _: peak.update(events=[]))
    await eventually(lambda: shown(hass, STATUS) == "none")
    assert shown(hass, LIMITED) == "none"
    await peer.push(lambda state: state.update(older))
    await eventually(lambda: shown(hass, STATUS) == "prepared")
    assert [shown(hass, one) for one in (STAKE, PROJECTION, AT_METER)] == [STATE_UNKNOWN] * 3
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_idle_program_writes_nothing_and_one_that_runs_little(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, freezer: FrozenDateTimeFactory
) -> None:
    changes = async_capture_events(hass, "state_changed")
    peak: Any = peer.state["programs"]["peak"]

    def program() -> Any:
        return house.runtime_data.data["programs"]["peak"]

    async def passes(seconds: int, **changed: Any) -> int:
        """So many seconds of pushes, one each; how many states were written."""
        before = len(changes)
        for second in range(seconds):
            now = {key: value(second) for key, value in changed.items()}
            polled = {"events": [peak["events"][0] | now], "last_contact": at(second)}
            await peer.push(lambda _, polled=polled: peak.update(polled))  # type: ignore[misc]
            await eventually(lambda polled=polled: polled.items() <= program().items())  # type: ignore[misc]
            freezer.tick(timedelta(seconds=1))
        return len(changes) - before

    wobble = {"feasible_w": lambda s: -4800 + s % 7, "stake_usd": lambda s: round(12.4 + s % 5 / 100, 2)}
    assert await passes(25, **wobble) == 0
    begun = {"status": "running", "start": at(-60), "average_w": 5000, "earnings_usd": 0.0}
    await passes(1, **{key: lambda _, value=value: value for key, value in begun.items()})
    earns = {"energy_wh": lambda s: s * 7 // 5, "earnings_usd": lambda s: round(s / 100, 2)}
    assert await passes(60, **earns) <= 20


TERMS: dict[str, Any] = {
    "name": "Summer peak",
    "start": "2026-07-15T21:00:00+00:00",
    "end": "2026-07-16T00:00:00+00:00",
    "power_w": -5000,
    "feasible_w": -4800,
    "stake_usd": 12.4,
}
UNKNOWN = {"power_w": None, "feasible_w": None, "stake_usd": None}
RESULT = {"name": "Summer peak", "energy_wh": 14_200, "average_w": 4730, "earnings_usd": 12.1}
FLAGS = {"flags": ["out_of_season", "too_long", "of_a_later_edge"]}
BROKEN = "out of season, too long, of a later edge"
WHEN = "Summer peak, Wed Jul 15, 17:00 to 20:00: "
ALL = WHEN + "5.0 kW asked, 4.8 kW possible, worth about $12.40. "
SAID: dict[str, tuple[NoticeWire, str]] = {
    "announced": (notice(1, "1", "event_announced", **TERMS), ALL + "You may opt out."),
    "without pay": (
        notice(2, "2", "event_announced", **TERMS | {"stake_usd": None}),
        WHEN + "5.0 kW asked, 4.8 kW possible. You may opt out.",
    ),
    "charges": (
        notice(3, "3", "event_announced", **TERMS | {"power_w": 3000, "feasible_w": 2500, "stake_usd": None}),
        WHEN + "drawing 3.0 kW asked, drawing 2.5 kW possible. You may opt out.",
    ),
    "no number": (
        notice(4, "4", "event_announced", **TERMS | UNKNOWN | {"end": "2026-07-16T05:00:00+00:00"}),
        "Summer peak, Wed Jul 15, 17:00 to Thu Jul 16, 01:00: no power is named. You may opt out.",
    ),
    "flagged": (
        notice(5, "5", "event_flagged", **TERMS, **FLAGS),
        f"{ALL}It departs from its program's rules ({BROKEN}) and is served all the same. You may opt out.",
    ),
    "asks": (
        notice(6, "6", "event_asks", **TERMS, **FLAGS),
        f"{ALL}It departs from its program's rules ({BROKEN}), so it is served only if you say yes: "
        'press "Opt in to next event".',
    ),
    "short": (
        notice(7, "7", "event_short", **{key: value for key, value in TERMS.items() if key != "end"}),
        "Summer peak, Wed Jul 15, 17:00: 5.0 kW asked, 4.8 kW possible, worth about $12.40. "
        "Is the vehicle plugged in, and its charge above the reserves?",
    ),
    "result": (
        notice(8, "8", "event_result", **RESULT),
        "Summer peak: delivered 14.2 kWh, 4.7 kW on average, worth about $12.10.",
    ),
    "result without pay": (
        notice(9, "9", "event_result", **RESULT | {"earnings_usd": None}),
        "Summer peak: delivered 14.2 kWh, 4.7 kW on average.",
    ),
    "rehearsed": (
        notice(10, "10", "rehearsal_passed", score=100, reasons=[]),
        "The rehearsed event of Home scored 100 of 100. Points lost: none.",
    ),
    "rehearsed with losses": (
        notice(11, "11", "rehearsal_passed", score=85, reasons=["start_late", "notice_not_brought"]),
        "The rehearsed event of Home scored 85 of 100. Points lost: it began late, nobody was told that it comes.",
    ),
    "failed": (
        notice(12, "12", "rehearsal_failed", score=0, reasons=["not_started"]),
        "The rehearsed event of Home failed: a real one might be missed. What went wrong: no charger took the order. "
        "More is in the details of the peak event entity.",
    ),
}


async def test_notices_of_events_name_the_day_and_the_money_and_nothing_that_is_not_known(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer
) -> None:
    await hass.config.async_set_time_zone("America/New_York")
    peer.state["notices"] = [one for one, _ in SAID.values()]
    await hass.config_entries.async_setup(entry.entry_id)
    board = persistent_notification._async_get_or_create_notifications(hass)
    read = {key.rpartition("_")[2]: str(one["message"]) for key, one in board.items()}
    assert {name: read[one["key"]] for name, (one, _) in SAID.items()} == {
        name: text for name, (_, text) in SAID.items()
    }
    await hass.config_entries.async_unload(entry.entry_id)


def automation(words: str, entry: MockConfigEntry, program: str) -> dict[str, Any]:
    """The example of the documents that has these words, as a resident with this house would have it."""
    page = (Path(__file__).parents[2] / "docs" / "home-assistant.md").read_text()
    (text,) = [text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if words in text]
    ours = text.replace("config_entry_id: 0123456789abcdef0123456789abcdef", f"config_entry_id: {entry.entry_id}")
    example: dict[str, Any] = yaml.safe_load(ours.replace("0123456789abcdef0123456789abcdef", program))
    return example


@pytest.mark.parametrize(
    ("asks", "tapped", "command", "args"),
    [
        (False, "", "opt_out", {"event": "peak-1"}),
        (True, "", "opt_in", {"event": "peak-1"}),
        (False, "_DAY", "opt_out_day", {"day": "2026-07-15", "program": None}),
    ],
)
async def test_the_example_of_a_notification_names_day_and_money_and_takes_the_answer(
    hass: HomeAssistant,
    house: MockConfigEntry,
    program: str,
    peer: Peer,
    eventually: Eventually,
    asks: bool,
    tapped: str,
    command: str,
    args: dict[str, Any],
) -> None:
    await hass.config.async_set_time_zone("America/New_York")
    phone: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @callback
    def ring(call: ServiceCall) -> None:
        phone.put_nowait(dict(call.data))

    hass.services.async_register("notify", "mobile_app_phone", ring)
    example = automation("notify.mobile_app_phone", house, program)
    assert await async_setup_component(hass, "automation", {"automation": example})
    times = {"start": "2100-07-15T21:00:00+00:00", "end": "2100-07-16T00:00:00+00:00"}
    await peer.happen("event_announced", "peak", uid="peak-1", day="2026-07-15", asks=asks, **TERMS | times)
    async with asyncio.timeout(10):
        said = await phone.get()
    assert said["title"] == ("Serve this peak event?" if asks else "Peak event announced")
    assert said["message"] == "Thursday July 15, 17:00 to 20:00: 5.0 kW asked, worth about $12.40."
    hass.bus.async_fire("mobile_app_notification_action", {"action": said["data"]["actions"][0]["action"] + tapped})
    await eventually(lambda: peer.named(command) == [args])


async def test_the_example_of_a_mail_enters_what_it_says_and_nothing_of_another_one(
    hass: HomeAssistant, house: MockConfigEntry, program: str, peer: Peer, eventually: Eventually
) -> None:
    await hass.config.async_set_time_zone("America/New_York")
    assert await async_setup_component(hass, "automation", {"automation": automation("imap_content", house, program)})
    sent = {"sender": "events@utility.example", "subject": "Peak tomorrow"}
    for text in ("Your bill", "Peak event on 07/15/2026 from 5 PM to 8 PM, thank you"):
        hass.bus.async_fire("imap_content", sent | {"text": text})
    await eventually(lambda: bool(peer.named("enter_event")))
    await hass.async_block_till_done()
    start, end = "2026-07-15T21:00:00+00:00", "2026-07-16T00:00:00+00:00"
    entered = {"program": "peak", "name": "Peak tomorrow", "start": start, "end": end, "power_w": 5000}
    assert peer.named("enter_event") == [entered]


def test_actions_offer_the_devices_that_there_are() -> None:
    here = Path(__file__).parents[2] / "custom_components" / "ridethrough"
    models = set(re.findall(r'model="([^"]+)"', (here / "entity.py").read_text()))
    offered = set(re.findall(r"model: (.+)", (here / "services.yaml").read_text()))
    assert offered
    assert offered <= models
    described = yaml.safe_load((here / "services.yaml").read_text())
    assert described["opt_out_day"]["fields"]["device_id"]["selector"]["device"]["filter"]["model"] in models


async def test_what_people_need_of_a_program_is_there_without_being_switched_on(
    hass: HomeAssistant, house: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    for entity in (STATUS, LIMITED, STAKE, PROJECTION, OPT_IN, OPT_OUT, PEAK):
        found = entity_registry.async_get(entity)
        assert found is not None, entity
        assert found.disabled_by is None
