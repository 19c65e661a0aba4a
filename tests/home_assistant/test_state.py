"""What is pushed and what people are shown: the published table, signs, unknown, and how often it is written."""

import logging
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.ridethrough.sensor_rows import LONGEST_WAIT, SHORT_WAIT
from custom_components.ridethrough.site_sensors import grid_status
from custom_components.ridethrough.wire import ChargerWire, EventWire, ProgramWire, SiteWire

from .conftest import attributes, shown
from .peer import Eventually, Peer, at, departure, event, home, of_an_older_edge


@pytest.mark.parametrize(
    ("grid", "supply", "status", "present"),
    [
        ("on", "grid", "connected", STATE_ON),
        ("on", "island", "islanded", STATE_ON),
        ("on", "vendor_backup", "islanded", STATE_ON),
        ("suspect", "grid", "checking", STATE_ON),
        ("outage", "transfer", "outage", STATE_OFF),
        ("outage", "island", "outage", STATE_OFF),
        ("outage", "none", "outage", STATE_OFF),
        ("restoring", "island", "reconnecting", STATE_OFF),
        ("generator", "grid", "generator", STATE_OFF),
        ("unknown", "unknown", STATE_UNKNOWN, STATE_UNKNOWN),
        ("a_later_word", "unknown", STATE_UNKNOWN, STATE_UNKNOWN),
    ],
)
async def test_the_two_facts_become_one_word(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    grid: str,
    supply: str,
    status: str,
    present: str,
) -> None:
    await peer.push(lambda state: state["site"].update(grid=grid, supply=supply, grid_power_w=9000))
    await eventually(lambda: shown(hass, "sensor.home_grid_power") == "9.0")
    assert shown(hass, "sensor.home_grid_status") == status
    assert shown(hass, "binary_sensor.home_grid") == present


async def test_a_suspicion_leaves_the_grid_as_it_was(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    grid = "binary_sensor.home_grid"
    for fact, present in (("outage", STATE_OFF), ("suspect", STATE_OFF), ("on", STATE_ON), ("suspect", STATE_ON)):
        await peer.push(lambda state, fact=fact: state["site"].update(grid=fact))  # type: ignore[misc]
        await eventually(
            lambda fact=fact: (
                shown(hass, "sensor.home_grid_status")  # type: ignore[misc]
                == grid_status(cast("Any", {"grid": fact, "supply": "grid"}))
            )
        )
        assert shown(hass, grid) == present


async def test_power_out_of_the_vehicle_is_positive_in_home_assistant(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.push(
        lambda state: (
            state["chargers"]["driveway"].update(power_w=-4800, state="discharging"),
            state["site"].update(grid_power_w=-3600),
        )[0]
    )
    await eventually(lambda: shown(hass, "sensor.driveway_charger_power") == "4.8")
    assert shown(hass, "sensor.home_grid_power") == "-3.6"
    assert shown(hass, "sensor.peak_power_event_power_target") == "5.0"
    assert shown(hass, "binary_sensor.driveway_charger_discharging") == STATE_ON
    assert shown(hass, "binary_sensor.driveway_charger_charging") == STATE_OFF


async def test_without_contact_to_a_charger_its_facts_are_unknown_and_not_off(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.push(
        lambda state: state["chargers"]["driveway"].update(
            connected=False, state="offline", plugged=None, soc_pct=None, power_w=None
        )
    )
    await eventually(lambda: shown(hass, "sensor.driveway_charger_status") == "offline")
    for entity in (
        "sensor.driveway_charger_power",
        "sensor.driveway_charger_vehicle_battery",
        "binary_sensor.driveway_charger_vehicle",
        "binary_sensor.driveway_charger_charging",
        "binary_sensor.driveway_charger_discharging",
    ):
        assert shown(hass, entity) == STATE_UNKNOWN, entity
    assert shown(hass, "binary_sensor.driveway_charger_connection") == STATE_OFF


@pytest.mark.parametrize(
    ("proofs", "position"),
    [
        ((True, False), "open"),
        ((False, True), "closed"),
        ((False, False), "moving"),
        ((True, True), "contradictory"),
        ((None, True), STATE_UNKNOWN),
    ],
)
async def test_the_island_switch_shows_what_its_contacts_prove(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    proofs: tuple[bool | None, bool | None],
    position: str,
) -> None:
    peer.state["site"]["switch"] = {"commanded_open": True, "open_proven": proofs[0], "closed_proven": proofs[1]}
    await hass.config_entries.async_setup(entry.entry_id)
    assert shown(hass, "sensor.home_island_switch") == position
    assert shown(hass, "sensor.home_island_switch_command") == "open"
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_a_house_does_not_have_is_not_shown(hass: HomeAssistant, entry: MockConfigEntry, peer: Peer) -> None:
    peer.state["site"] |= {"has_meter": False, "has_backup": False, "switch": None}
    await hass.config_entries.async_setup(entry.entry_id)
    for entity in ("sensor.home_grid_power", "binary_sensor.home_backup_power", "sensor.home_island_switch"):
        assert hass.states.get(entity) is None
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_charger_says_why_in_the_words_of_the_step_that_settled_it(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    why = "sensor.driveway_charger_why"
    assert shown(hass, why) == STATE_UNKNOWN

    def step(rung: str, reason: str) -> dict[str, Any]:
        return {"rung": rung, "reason": reason, "low_w": 0, "high_w": 0, "data": {}}

    heard = [step("device_safety", "device"), step("demand_response", "event")]
    await peer.push(lambda state: state["chargers"]["driveway"].update(why=heard))
    await eventually(lambda: shown(hass, why) == "event")
    await peer.push(lambda state: state["chargers"]["driveway"].update(why=[*heard, step("idle", "moon_phase")]))
    await eventually(lambda: shown(hass, why) == "other")


@pytest.mark.parametrize(
    ("stage", "reason", "limited_by"),
    [
        ("measured", None, "none"),
        ("limited", "dead_zone_left", "dead_zone_left"),
        ("refused", "local_mode", "local_mode"),
        ("ordered", "no_contact", "no_contact"),
        ("ordered", "overwritten", "overwritten"),
        ("written", None, "none"),
        ("held", None, "none"),
        ("limited", "not_followed", "not_followed"),
        ("limited", "soc_ceiling", "soc_ceiling"),
        ("refused", "of_a_later_edge", "other"),
    ],
)
async def test_an_order_shows_how_far_it_came_and_what_stands_in_its_way(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, stage: str, reason: str | None, limited_by: str
) -> None:
    peer.state["chargers"]["driveway"]["order"] = {"kind": "power", "power_w": -50, "stage": stage, "reason": reason}
    await hass.config_entries.async_setup(entry.entry_id)
    assert shown(hass, "sensor.driveway_charger_order") == stage
    assert shown(hass, "sensor.driveway_charger_limited_by") == limited_by
    await hass.config_entries.async_unload(entry.entry_id)


async def test_words_of_a_later_edge_are_shown_as_another_or_as_unknown(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.push(
        lambda state: (
            state["site"].update(reason="moon_phase", mode="dreaming"),
            state["chargers"]["driveway"].update(state="levitating"),
        )[0]
    )
    await eventually(lambda: shown(hass, "sensor.home_control_reason") == "other")
    assert shown(hass, "sensor.driveway_charger_status") == STATE_UNKNOWN
    assert shown(hass, "select.home_operating_mode") == STATE_UNKNOWN


async def test_the_outage_has_a_start_only_while_it_runs(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    started = at(-600)
    outage: Any = {
        "started_at": started,
        "ended_at": None,
        "backup_started_at": at(-590),
        "energy_wh": 400,
        "lowest_soc_pct": 77.0,
    }
    await peer.push(lambda state: state["site"].update(outage=outage))
    await eventually(lambda: shown(hass, "sensor.home_outage_started") != STATE_UNKNOWN)
    await peer.push(lambda state: state["site"].update(outage={**outage, "ended_at": at()}))
    await eventually(lambda: shown(hass, "sensor.home_outage_started") == STATE_UNKNOWN)
    assert float(shown(hass, "sensor.home_last_outage_duration")) == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize(
    ("events", "status", "active", "out", "back"),
    [
        ([], "none", STATE_OFF, False, False),
        ([event(status="announced")], "announced", STATE_OFF, True, False),
        ([event(status="running", start_s=-60), event("later")], "running", STATE_ON, True, False),
        ([event(status="interrupted", start_s=-60)], "interrupted", STATE_ON, True, False),
        ([event(status="opted_out")], "opted_out", STATE_OFF, False, True),
        ([event(status="opted_out") | {"opted_out": True}], "opted_out", STATE_OFF, False, True),
        ([event(status="opted_out") | {"asks": True}], "asks", STATE_OFF, True, True),
        ([event(status="opted_out") | {"asks": True, "opted_out": True}], "opted_out", STATE_OFF, False, True),
        ([event(status="opted_out", start_s=-7200, end_s=-60)], "opted_out", STATE_OFF, False, False),
        ([event(status="missed", start_s=-7200, end_s=-60)], "missed", STATE_OFF, False, False),
        ([event("old", "finished", -9000, -60), event("next")], "prepared", STATE_OFF, True, False),
        ([event(status="cancelled")], "none", STATE_OFF, False, False),
    ],
)
async def test_the_event_that_people_look_at(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    peer: Peer,
    events: list[Any],
    status: str,
    active: str,
    out: bool,
    back: bool,
) -> None:
    peer.state["programs"]["peak"]["events"] = events
    await hass.config_entries.async_setup(entry.entry_id)
    assert shown(hass, "sensor.peak_power_peak_event_status") == status
    assert shown(hass, "binary_sensor.peak_power_peak_event_active") == active
    assert (shown(hass, "button.peak_power_opt_out_of_next_event") != STATE_UNAVAILABLE) is out
    assert (shown(hass, "button.peak_power_opt_in_to_next_event") != STATE_UNAVAILABLE) is back
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_entity_is_written_only_when_its_own_value_changed(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    written: list[str] = []

    @callback
    def note(change: Event[Any]) -> None:
        written.append(change.data["entity_id"])

    hass.bus.async_listen("state_changed", note)
    await peer.push(lambda state: state["site"].update(backup_reserve_pct=45.0))
    await eventually(lambda: shown(hass, "number.home_backup_reserve") == "45.0")
    assert written == ["number.home_backup_reserve"]


async def test_small_moves_of_a_power_wait_and_large_ones_and_zero_do_not(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, freezer: Any
) -> None:
    changes = async_capture_events(hass, "state_changed")
    power = "sensor.home_grid_power"

    async def measure(watts: int) -> None:
        await peer.push(lambda state: state["site"].update(grid_power_w=watts))
        coordinator = house.runtime_data
        await eventually(lambda: coordinator.data["site"]["grid_power_w"] == watts)

    def written() -> list[str]:
        return [change.data["new_state"].state for change in changes if change.data["entity_id"] == power]

    await measure(1220)
    assert written() == []
    await measure(1300)
    assert written() == []
    freezer.tick(SHORT_WAIT)
    await measure(1301)
    assert written() == ["1.301"]
    await measure(1310)
    freezer.tick(LONGEST_WAIT)
    await measure(1311)
    assert written() == ["1.301", "1.311"]
    await measure(2400)
    await measure(0)
    await measure(60)
    assert written() == ["1.301", "1.311", "2.4", "0.0", "0.06"]


async def test_what_an_event_brought_waits_while_it_runs_and_is_exact_once_it_is_over(
    hass: HomeAssistant, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    programs = peer.state["programs"]
    programs["peak"]["events"] = [event(status="running", start_s=-60) | {"energy_wh": 70, "earnings_usd": 17.71}]
    await hass.config_entries.async_setup(entry.entry_id)

    async def bring(status: str, energy_wh: int, earnings_usd: float) -> tuple[str, str]:
        now = event(status=status, start_s=-60) | {"energy_wh": energy_wh, "earnings_usd": earnings_usd}
        await peer.push(lambda state: state["programs"]["peak"].update(events=[now]))
        await eventually(lambda: entry.runtime_data.data["programs"]["peak"]["events"] == [now])
        return shown(hass, "sensor.peak_power_event_energy"), shown(hass, "sensor.peak_power_event_earnings")

    assert await bring("running", 73, 17.80) == ("0.07", "17.71")
    assert await bring("finished", 73, 17.80) == ("0.073", "17.8")


async def test_a_lost_change_brings_a_new_snapshot_and_nothing_flickers(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    changes = async_capture_events(hass, "state_changed")
    await peer.push(lambda state: state["site"].update(mode="paused"), lose=True)
    await peer.push(lambda state: state["site"].update(backup_reserve_pct=50.0))
    await eventually(lambda: shown(hass, "select.home_operating_mode") == "paused")
    assert shown(hass, "number.home_backup_reserve") == "50.0"
    assert len(peer.starts) == 2
    assert STATE_UNAVAILABLE not in [change.data["new_state"].state for change in changes]


@pytest.mark.parametrize(
    "nonsense",
    [
        "not json",
        "[1]",
        '{"type":"of_a_later_schema"}',
        '{"type":"change"}',
        '{"type":"result","id":"unasked","ok":true}',
        '{"type":"occurrence","number":1}',
        '{"type":"change","seq":1,"set":[[["site"],5]],"removed":[]}',
        '{"type":"change","seq":1,"set":[[["nowhere","deep"],5]],"removed":[]}',
        '{"type":"change","seq":1,"set":[],"removed":[["site","grid"]]}',
        '{"type":"change","seq":1,"set":[[["site","storm"],{"name":"Ida"}]],"removed":[]}',
        '{"type":"change","seq":1,"set":[[["chargers","driveway","departure"],{"id":"once"}]],"removed":[]}',
        '{"type":"change","seq":1,"set":[[["chargers","driveway","departures"],[{"id":"once"}]]],"removed":[]}',
    ],
)
async def test_nonsense_on_the_wire_is_survived(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    nonsense: str,
) -> None:
    await peer.say(nonsense)
    await peer.push(lambda state: state["site"].update(mode="paused"))
    await eventually(lambda: shown(hass, "select.home_operating_mode") == "paused")
    assert shown(hass, "binary_sensor.home_controller") == STATE_ON
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


NEXT = "sensor.driveway_charger_next_departure"


async def test_a_departure_shows_when_how_much_and_whether_it_will_be_enough(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    status, target = "sensor.driveway_charger_departure_status", "sensor.driveway_charger_departure_target"
    assert (shown(hass, NEXT), shown(hass, status), shown(hass, target)) == (STATE_UNKNOWN, "none", STATE_UNKNOWN)
    late = departure(1, stage="late", reaches_pct=62.4, charging=True)
    await peer.push(lambda state: state["chargers"]["driveway"].update(departure=late))
    await eventually(lambda: shown(hass, status) == "late")
    left = datetime.fromisoformat(shown(hass, NEXT)) - datetime.fromisoformat(late["at"])
    assert abs(left) < timedelta(seconds=1)
    assert shown(hass, target) == "80.0"
    assert shown(hass, "sensor.driveway_charger_charge_at_departure") == "62.4"
    assert attributes(hass, NEXT, "plan", "target", "miles") == {"plan": "weekly", "target": 80.0}
    assert attributes(hass, status, "charging") == {"charging": True}


async def test_a_departure_in_miles_says_so_and_one_that_cannot_be_judged_is_unknown(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    far = departure(soc_pct=None, miles=120.0, stage=None, target_pct=None, reaches_pct=None)
    await peer.push(lambda state: state["chargers"]["driveway"].update(departure=far))
    await eventually(lambda: shown(hass, NEXT) != STATE_UNKNOWN)
    assert attributes(hass, NEXT, "plan", "target", "miles") == {"plan": "weekly", "miles": 120.0}
    assert shown(hass, "sensor.driveway_charger_departure_status") == STATE_UNKNOWN
    assert shown(hass, "sensor.driveway_charger_charge_at_departure") == STATE_UNKNOWN
    await peer.push(lambda state: state["chargers"]["driveway"].update(departure=None))
    await eventually(lambda: shown(hass, NEXT) == STATE_UNKNOWN)
    assert attributes(hass, NEXT, "plan", "target", "miles") == {}


async def test_a_storm_shows_its_end_its_reserve_and_its_name(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    hold, ends, reserve = "switch.home_storm_hold", "sensor.home_storm_hold_ends", "sensor.home_backup_reserve_now"
    assert (shown(hass, hold), shown(hass, ends), shown(hass, reserve)) == (STATE_OFF, STATE_UNKNOWN, "30.0")
    storm = {"until": at(3600), "reserve_pct": 90.0, "name": "Tropical storm"}
    await peer.push(lambda state: state["site"].update(storm=storm, backup_reserve_effective_pct=90.0))
    await eventually(lambda: shown(hass, hold) == STATE_ON)
    assert attributes(hass, ends, "reserve_pct", "storm") == {"reserve_pct": 90.0, "storm": "Tropical storm"}
    assert (shown(hass, reserve), shown(hass, "number.home_backup_reserve")) == ("90.0", "30.0")


@pytest.mark.parametrize(
    ("contact", "entity"), [("stop", "binary_sensor.home_stop_button"), ("generator", "binary_sensor.home_generator")]
)
async def test_a_contact_that_is_silent_is_unknown_and_not_off(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually, contact: str, entity: str
) -> None:
    assert shown(hass, entity) == STATE_OFF
    for active, state in ((True, STATE_ON), (None, STATE_UNKNOWN), (False, STATE_OFF)):
        await peer.push(lambda now, active=active: now["site"]["contacts"].update({contact: active}))  # type: ignore[misc]
        await eventually(lambda state=state: shown(hass, entity) == state)  # type: ignore[misc]


async def test_contacts_and_legs_that_are_not_there_make_no_entities(
    hass: HomeAssistant, everything_enabled: None, entry: MockConfigEntry, peer: Peer
) -> None:
    peer.state["site"] |= {"contacts": {"generator": True}, "leg_power_w": [1400, None]}
    await hass.config_entries.async_setup(entry.entry_id)
    assert hass.states.get("binary_sensor.home_stop_button") is None
    assert shown(hass, "binary_sensor.home_generator") == STATE_ON
    assert shown(hass, "sensor.home_leg_1_power") == "1.4"
    assert shown(hass, "sensor.home_leg_2_power") == STATE_UNKNOWN
    assert hass.states.get("sensor.home_leg_3_power") is None
    await hass.config_entries.async_unload(entry.entry_id)


async def test_the_power_of_a_leg_is_off_by_default(
    hass: HomeAssistant, house: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    leg = entity_registry.async_get("sensor.home_leg_1_power")
    assert leg is not None
    assert leg.disabled
    assert hass.states.get(leg.entity_id) is None


async def test_an_order_carries_the_time_of_each_stage_it_reached(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    order = "sensor.driveway_charger_order"
    reached = {"ordered": at(-9), "written": at(-8), "read_back": at(-8)}
    stands = {"kind": "power", "power_w": 3000, "stage": "read_back", "reason": None, "measured_w": None}
    await peer.push(lambda state: state["chargers"]["driveway"].update(order=stands | {"reached": reached}))
    await eventually(lambda: shown(hass, order) == "read_back")
    told = attributes(hass, order, "ordered_at", "written_at", "read_back_at", "measured_at")
    assert told == {f"{stage}_at": time for stage, time in reached.items()}


def step(rung: str, reason: str, low_w: int, high_w: int, **data: Any) -> dict[str, Any]:
    return {"rung": rung, "reason": reason, "low_w": low_w, "high_w": high_w, "data": data}


def asked_for(reason: str, low_w: int, high_w: int, *limited_by: str) -> dict[str, Any]:
    """A charger that allows this, and a wish that comes to nothing."""
    told = {"limited_by": list(limited_by)} if limited_by else {}
    held = {"kind": "hold", "power_w": 0, "stage": "held", "reason": None}
    return {
        "order": held,
        "alarms": list(limited_by),
        "why": [step("device_safety", "device", low_w, high_w, **told), step("manual", reason, 0, 0)],
    }


@pytest.mark.parametrize(
    ("seen", "limited_by", "told", "problem"),
    [
        (asked_for("manual_discharge", 0, 9600, "v2g_not_offered"), "v2g_not_offered", ["v2g_not_offered"], STATE_OFF),
        (asked_for("manual_discharge", 0, 9600, "over_temp"), "discharge_limit", ["over_temp"], STATE_ON),
        (asked_for("event", 0, 9600), "discharge_limit", None, STATE_OFF),
        (asked_for("manual_charge", -9600, 0, "error_bit_39"), "charge_limit", ["error_bit_39"], STATE_ON),
        (asked_for("manual_charge", 0, 9600, "v2g_not_offered"), "none", ["v2g_not_offered"], STATE_OFF),
        (asked_for("manual_hold", 0, 9600, "v2g_not_offered"), "none", ["v2g_not_offered"], STATE_OFF),
        (asked_for("rests", -9600, 9600) | {"alarms": ["grid_disconnect"]}, "none", None, STATE_OFF),
        ({"state": "fault"}, "none", None, STATE_ON),
    ],
)
async def test_a_charger_says_why_nothing_flows_and_whether_it_has_a_problem(
    hass: HomeAssistant,
    house: MockConfigEntry,
    peer: Peer,
    eventually: Eventually,
    seen: dict[str, Any],
    limited_by: str,
    told: list[str] | None,
    problem: str,
) -> None:
    await peer.push(lambda state: state["chargers"]["driveway"].update(seen, soc_pct=12.0))
    await eventually(lambda: shown(hass, "sensor.driveway_charger_vehicle_battery") == "12.0")
    assert shown(hass, "sensor.driveway_charger_limited_by") == limited_by
    why = attributes(hass, "sensor.driveway_charger_why", "limited_by")
    assert [list(values) for values in why.values()] == ([] if told is None else [told])
    assert shown(hass, "binary_sensor.driveway_charger_problem") == problem


async def test_all_that_a_charger_tells_is_an_attribute_of_its_problem(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    problem = "binary_sensor.driveway_charger_problem"
    assert hass.states.get(problem).attributes["alarms"] == ()  # type: ignore[union-attr]
    await peer.push(lambda state: state["chargers"]["driveway"].update(alarms=["grid_disconnect"]))
    await eventually(lambda: attributes(hass, problem, "alarms") == {"alarms": ("grid_disconnect",)})
    assert shown(hass, problem) == STATE_OFF
    await peer.push(lambda state: state["chargers"]["driveway"].update(connected=False, alarms=[]))
    await eventually(lambda: shown(hass, problem) == STATE_UNKNOWN)


async def test_an_older_edge_that_lacks_the_newer_keys_breaks_nothing(
    hass: HomeAssistant, everything_enabled: None, entry: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    newer, peer.state = peer.state, of_an_older_edge(peer.state)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert shown(hass, "sensor.driveway_charger_status") == "idle"
    missing = (
        NEXT,
        "switch.home_storm_hold",
        "sensor.home_backup_reserve_now",
        "binary_sensor.driveway_charger_problem",
        "binary_sensor.home_stop_button",
        "sensor.home_leg_1_power",
        "number.driveway_charger_miles_per_kwh",
        "button.driveway_charger_skip_next_departure",
    )
    assert [entity for entity in missing if hass.states.get(entity) is not None] == []
    await peer.push(lambda state: state.update(newer))
    await eventually(lambda: all(hass.states.get(entity) is not None for entity in missing))
    await peer.push(lambda state: state.update(of_an_older_edge(newer)))
    await eventually(lambda: shown(hass, "number.driveway_charger_miles_per_kwh") == STATE_UNKNOWN)
    assert shown(hass, "switch.home_storm_hold") == shown(hass, "binary_sensor.home_stop_button") == STATE_UNKNOWN
    assert shown(hass, "binary_sensor.home_controller") == STATE_ON
    await hass.config_entries.async_unload(entry.entry_id)


async def test_keys_that_we_do_not_know_yet_are_passed_over(
    hass: HomeAssistant, house: MockConfigEntry, peer: Peer, eventually: Eventually
) -> None:
    await peer.push(lambda state: state["site"].update(moon="full", contacts={"stop": True, "doorbell": True}))
    await eventually(lambda: shown(hass, "binary_sensor.home_stop_button") == STATE_ON)
    assert hass.states.get("binary_sensor.home_doorbell") is None


async def test_every_entity_can_be_enabled_and_no_control_is_hidden_among_settings(
    hass: HomeAssistant, everything_enabled: None, house: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    entries = er.async_entries_for_config_entry(entity_registry, house.entry_id)
    assert all(hass.states.get(one.entity_id) is not None for one in entries)
    used_by_people = {"number", "select", "switch", "button", "event", "time", "calendar"}
    set_once = {"max_charge_power", "max_discharge_power", "clear_fault", "restart"}
    hidden = {one.translation_key for one in entries if one.domain in used_by_people and one.entity_category}
    assert hidden == set_once
    assert len({(one.domain, one.unique_id) for one in entries}) == len(entries)


def test_the_test_house_is_of_the_contracts_form() -> None:
    state = home()
    assert state["site"].keys() == SiteWire.__annotations__.keys()
    assert state["chargers"]["driveway"].keys() == ChargerWire.__annotations__.keys()
    assert state["programs"]["peak"].keys() == ProgramWire.__annotations__.keys()
    assert event().keys() == EventWire.__annotations__.keys()
