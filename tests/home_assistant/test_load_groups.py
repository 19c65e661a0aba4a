"""Load groups: made by a person, told to the edge, shed and put back; somebody's own hand wins, also over restarts."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigSubentryDataWithId, SubentryFlowContext
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.ridethrough import load_shedding
from custom_components.ridethrough.const import LOAD_GROUP

from .conftest import device_of, shown
from .peer import Eventually, Peer, load, of_an_older_edge, refusing

PUMP, LAMP, HEATING, BOILER, METER = (
    "switch.pump",
    "light.porch",
    "climate.hall",
    "water_heater.tank",
    "sensor.pump_power",
)
GROUP = {
    "name": "Comfort",
    "entities": [PUMP, LAMP],
    "tier": "nice_to_have",
    "shed_below": 40,
    "typical_power": 1200,
    "power_sensor": METER,
    "legs": ["2"],
    "medical": False,
}
SUBENTRY = "01JCOMFORT"
ID = "01jcomfort"


class Home:
    """Devices of other integrations: they do what they are told, unless a test says otherwise."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass = hass
        self.calls: list[tuple[str, str]] = []
        self.deaf: set[str] = set()
        for entity in (PUMP, LAMP):
            self.set(entity, "on")
        self.set(HEATING, "heat")
        self.set(BOILER, "eco", operation_list=["eco", "off"])
        self.set(METER, "1.3", unit_of_measurement="kW")

    def listen(self) -> None:
        """From now on, in the place of the actions that came with our own switches."""
        for domain, services in {
            "switch": ("turn_on", "turn_off"),
            "light": ("turn_on", "turn_off"),
            "climate": ("set_hvac_mode",),
            "water_heater": ("turn_on", "turn_off", "set_operation_mode"),
        }.items():
            for service in services:
                self.hass.services.async_register(domain, service, self._obey)

    def set(self, entity: str, state: str, **attributes: Any) -> None:
        known = self.hass.states.get(entity)
        self.hass.states.async_set(entity, state, attributes or (dict(known.attributes) if known else {}))

    async def _obey(self, call: ServiceCall) -> None:
        entity = call.data["entity_id"]
        mode = call.data.get("hvac_mode") or call.data.get("operation_mode")
        self.calls.append((entity, mode or call.service.removeprefix("turn_")))
        if entity in self.deaf:
            raise HomeAssistantError("no answer")
        self.set(entity, self.calls[-1][1])

    def told(self, entity: str) -> list[str]:
        return [order for one, order in self.calls if one == entity]


@pytest.fixture
def home(hass: HomeAssistant) -> Home:
    """What the house has beside us."""
    return Home(hass)


def with_group(entry: MockConfigEntry, **changes: Any) -> MockConfigEntry:
    """An entry that has a load group."""
    group = ConfigSubentryDataWithId(
        data=GROUP | changes, subentry_id=SUBENTRY, subentry_type=LOAD_GROUP, title="Comfort", unique_id=None
    )
    return MockConfigEntry(
        domain=entry.domain, title="Home", unique_id=entry.unique_id, data=dict(entry.data), subentries_data=[group]
    )


type Begin = Callable[..., Awaitable[MockConfigEntry]]


@pytest.fixture
async def begin(hass: HomeAssistant, peer: Peer, home: Home, entry: MockConfigEntry) -> AsyncGenerator[Begin]:
    """Set up with a load group that the edge knows."""
    made: list[MockConfigEntry] = []

    async def start(**changes: Any) -> MockConfigEntry:
        await hass.config_entries.async_remove(entry.entry_id)
        peer.state["loads"] = {ID: known()}
        group = with_group(entry, **changes)
        group.add_to_hass(hass)
        assert await hass.config_entries.async_setup(group.entry_id)
        await hass.async_block_till_done()
        home.listen()
        made.append(group)
        return group

    yield start
    for one in made:
        if hass.config_entries.async_get_entry(one.entry_id) is not None:
            await hass.config_entries.async_unload(one.entry_id)


def known(**changes: Any) -> Any:
    """The group as the edge has it."""
    return load("Comfort", power_w=1200, legs=[2], shed_below_pct=40.0, **changes)


async def want(peer: Peer, order: str) -> None:
    """The edge wants it so from now on."""
    await peer.push(lambda state: state["loads"][ID].update(wanted=order))


def reported(peer: Peer) -> Any:
    """What was told last of the group."""
    return peer.reports[-1]["loads"].get(ID, {}).get("state") if peer.reports else "nothing"


async def later(hass: HomeAssistant, seconds: float) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


# ---------------------------------------------------------------------------------------------------- made by people


async def test_a_group_is_made_told_to_the_controller_and_gets_its_device(
    hass: HomeAssistant,
    house: MockConfigEntry,
    home: Home,
    peer: Peer,
    eventually: Eventually,
    device_registry: dr.DeviceRegistry,
) -> None:
    form = await hass.config_entries.subentries.async_init(
        (house.entry_id, LOAD_GROUP), context={"source": SOURCE_USER}
    )
    made = await hass.config_entries.subentries.async_configure(form["flow_id"], GROUP)
    assert made["type"] == "create_entry"
    (subentry,) = house.subentries.values()
    subject = subentry.subentry_id.lower()
    await peer.until(lambda: bool(peer.named("set_load_group")))
    asked: dict[str, Any] = {"tier": "nice_to_have", "power_w": 1200, "legs": [2], "shed_below_pct": 40.0}
    asked |= {"medical": False, "hours": []}
    assert peer.named("set_load_group") == [{"id": subject, "name": "Comfort", **asked}]
    await peer.push(lambda state: state["loads"].update({subject: known()}))
    await eventually(lambda: hass.states.get("switch.comfort_shed") is not None)
    device = device_of(device_registry, house, f"load-{subject}")
    assert device is not None
    assert device.config_subentry_id == subentry.subentry_id
    assert len(peer.named("set_load_group")) == 1


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"name": "  "}, {"name": "name_invalid"}),
        ({"entities": []}, {"entities": "no_entities"}),
        ({"medical": True}, {"tier": "medical_is_must_have"}),
        ({"entities": [PUMP]}, {"entities": "in_another_group"}),
        ({"hours": "in the evening"}, {"hours": "hours_invalid"}),
        ({"hours": "5-9 pm", "tier": "must_have"}, {"hours": "hours_of_must_have"}),
    ],
)
async def test_a_group_that_makes_no_sense_is_asked_for_again(
    hass: HomeAssistant, begin: Begin, typed: dict[str, Any], error: dict[str, str]
) -> None:
    house = await begin()
    form = await hass.config_entries.subentries.async_init(
        (house.entry_id, LOAD_GROUP), context={"source": SOURCE_USER}
    )
    other = GROUP | {"name": "Other", "entities": [HEATING]}
    refused = await hass.config_entries.subentries.async_configure(form["flow_id"], other | typed)
    assert refused["errors"] == error
    made = await hass.config_entries.subentries.async_configure(form["flow_id"], other)
    assert made["type"] == "create_entry"


async def test_hours_are_told_as_the_controller_takes_them_and_can_be_taken_away_again(
    hass: HomeAssistant, begin: Begin, peer: Peer, eventually: Eventually
) -> None:
    house = await begin()
    context = SubentryFlowContext(source=SOURCE_RECONFIGURE, subentry_id=SUBENTRY)
    flows = hass.config_entries.subentries
    spans = [["06:00", "09:00"], ["17:00", "21:00"]]
    for written, told in (("5 pm to 9 pm, 6-9 am", spans), (None, [])):
        form = await flows.async_init((house.entry_id, LOAD_GROUP), context=context)
        typed = GROUP if written is None else GROUP | {"hours": written}
        assert (await flows.async_configure(form["flow_id"], typed))["reason"] == "reconfigure_successful"
        assert house.subentries[SUBENTRY].data.get("hours") == written
        await eventually(lambda told=told: [one["hours"] for one in peer.named("set_load_group")][-1:] == [told])  # type: ignore[misc]
        await peer.push(lambda state, told=told: state["loads"][ID].update(hours=told))  # type: ignore[misc]
    assert len(peer.named("set_load_group")) == 2


async def test_the_number_leaves_the_hours_as_they_are(
    hass: HomeAssistant, begin: Begin, peer: Peer, eventually: Eventually
) -> None:
    peer_hours = [["17:00", "21:00"]]
    house = await begin(hours="17-21")
    await peer.until(lambda: bool(peer.named("set_load_group")))
    await peer.push(lambda state: state["loads"][ID].update(hours=peer_hours))
    await eventually(lambda: house.runtime_data.data["loads"][ID].get("hours") == peer_hours)
    number = {"entity_id": "number.comfort_shed_below", "value": 25}
    await hass.services.async_call("number", "set_value", number, blocking=True)
    assert [one["hours"] for one in peer.named("set_load_group")] == [peer_hours, peer_hours]


async def test_hours_need_a_controller_that_knows_its_time_zone(
    hass: HomeAssistant, begin: Begin, peer: Peer, eventually: Eventually
) -> None:
    house = await begin()
    await peer.push(lambda state: state["site"].update(time_zone=None))
    await eventually(lambda: house.runtime_data.data["site"]["time_zone"] is None)
    flows = hass.config_entries.subentries
    form = await flows.async_init((house.entry_id, LOAD_GROUP), context={"source": SOURCE_USER})
    other = GROUP | {"name": "Other", "entities": [HEATING], "hours": "5-9 pm"}
    assert (await flows.async_configure(form["flow_id"], other))["errors"] == {"hours": "hours_need_time_zone"}
    assert await hass.config_entries.async_unload(house.entry_id)
    assert (await flows.async_configure(form["flow_id"], other))["type"] == "create_entry"


async def test_hours_need_to_know_what_comes_back(hass: HomeAssistant, begin: Begin) -> None:
    house = await begin()
    flows = hass.config_entries.subentries
    form = await flows.async_init((house.entry_id, LOAD_GROUP), context={"source": SOURCE_USER})
    other: dict[str, Any] = GROUP | {"name": "Other", "entities": [HEATING], "hours": "5-9 pm"}
    del other["typical_power"], other["power_sensor"]
    refused = await flows.async_configure(form["flow_id"], other)
    assert refused["errors"] == {"typical_power": "hours_need_power"}
    assert (await flows.async_configure(form["flow_id"], other | {"typical_power": 300}))["type"] == "create_entry"


async def test_a_controller_that_knows_no_hours_is_not_told_of_them_again_and_again(
    hass: HomeAssistant, begin: Begin, peer: Peer, eventually: Eventually
) -> None:
    house = await begin()
    await peer.push(lambda state: state["loads"][ID].pop("hours"))
    await eventually(lambda: "hours" not in house.runtime_data.data["loads"][ID])
    subentry = house.subentries[SUBENTRY]
    hass.config_entries.async_update_subentry(house, subentry, data={**subentry.data, "hours": "17-21"})
    await hass.async_block_till_done()
    number = {"entity_id": "number.comfort_shed_below", "value": 25}
    await hass.services.async_call("number", "set_value", number, blocking=True)
    assert ["hours" in one for one in peer.named("set_load_group")] == [False]


async def test_a_group_that_is_changed_is_told_anew_and_what_left_it_is_put_back(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    house = await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    context = SubentryFlowContext(source=SOURCE_RECONFIGURE, subentry_id=SUBENTRY)
    form = await hass.config_entries.subentries.async_init((house.entry_id, LOAD_GROUP), context=context)
    done = await hass.config_entries.subentries.async_configure(
        form["flow_id"], GROUP | {"entities": [LAMP], "legs": []}
    )
    assert done["reason"] == "reconfigure_successful"
    await eventually(lambda: home.told(PUMP) == ["off", "on"])
    assert home.told(LAMP) == ["off"]
    await peer.until(lambda: bool(peer.named("set_load_group")))
    assert peer.named("set_load_group")[-1]["legs"] == []


async def test_a_group_that_is_removed_is_put_back_and_forgotten_by_the_controller(
    hass: HomeAssistant,
    begin: Begin,
    home: Home,
    peer: Peer,
    eventually: Eventually,
    entity_registry: er.EntityRegistry,
) -> None:
    house = await begin(shed_below=41)
    await peer.until(lambda: bool(peer.named("set_load_group")))
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    peer.answers["remove_load_group"] = refusing("load_is_shed")
    hass.config_entries.async_remove_subentry(house, SUBENTRY)
    await eventually(lambda: home.told(PUMP) == ["off", "on"])
    await peer.until(lambda: bool(peer.named("remove_load_group")))
    assert peer.named("set_load") == [{"group": ID, "order": "on"}]
    del peer.answers["remove_load_group"]
    await want(peer, "on")
    await peer.until(lambda: len(peer.named("remove_load_group")) == 2)
    assert entity_registry.async_get("switch.comfort_shed") is None


async def test_the_number_changes_the_group_there_and_here(
    hass: HomeAssistant, begin: Begin, peer: Peer, eventually: Eventually
) -> None:
    house = await begin()
    number = {"entity_id": "number.comfort_shed_below", "value": 25}
    await hass.services.async_call("number", "set_value", number, blocking=True)
    assert peer.named("set_load_group")[-1]["shed_below_pct"] == 25
    assert house.subentries[SUBENTRY].data["shed_below"] == 25
    await peer.push(lambda state: state["loads"][ID].update(shed_below_pct=25.0))
    await eventually(lambda: shown(hass, "number.comfort_shed_below") == "25.0")


async def test_a_group_made_while_the_controller_was_away_is_told_when_it_is_back(
    hass: HomeAssistant, begin: Begin, peer: Peer, eventually: Eventually
) -> None:
    house = await begin()
    await peer.stop()
    await eventually(lambda: shown(hass, "binary_sensor.home_controller") == "off")
    hass.config_entries.async_update_subentry(
        house, house.subentries[SUBENTRY], data={**house.subentries[SUBENTRY].data, "shed_below": 10}
    )
    await peer.start()
    await peer.until(lambda: bool(peer.named("set_load_group")))
    assert peer.named("set_load_group")[0]["shed_below_pct"] == 10


async def test_an_older_controller_is_told_of_no_group(hass: HomeAssistant, peer: Peer, begin: Begin) -> None:
    house = await begin()
    await hass.config_entries.async_unload(house.entry_id)
    peer.state = of_an_older_edge(peer.state)
    peer.commands.clear()
    assert await hass.config_entries.async_setup(house.entry_id)
    await hass.async_block_till_done()
    assert peer.named("set_load_group") == []


# ---------------------------------------------------------------------------------------------------- shed, put back


async def test_what_is_on_is_switched_off_and_exactly_that_put_back(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    home.set(LAMP, "off")
    await begin()
    await eventually(lambda: reported(peer) == "on")
    assert peer.reports[-1]["loads"][ID]["power_w"] == 1300
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    assert home.calls == [(PUMP, "off")]
    await want(peer, "on")
    await eventually(lambda: reported(peer) == "on")
    assert home.calls == [(PUMP, "off"), (PUMP, "on")]


async def test_a_group_that_was_off_is_told_to_be_off_and_left_so(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    home.set(PUMP, "off")
    home.set(LAMP, "off")
    await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "off")
    await want(peer, "on")
    await later(hass, 15)
    assert home.calls == []


async def test_heating_and_hot_water_get_their_modes_back(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    await begin(entities=[HEATING, BOILER])
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    assert home.told(HEATING) == home.told(BOILER) == ["off"]
    await want(peer, "on")
    await eventually(lambda: reported(peer) == "on")
    assert (home.told(HEATING)[-1], home.told(BOILER)[-1]) == ("heat", "eco")


async def test_somebody_who_switches_a_shed_load_on_is_left_alone(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    home.set(PUMP, "on")
    await eventually(lambda: reported(peer) == "kept")
    await later(hass, 20)
    assert home.told(PUMP) == ["off"]
    await want(peer, "on")
    await eventually(lambda: home.told(LAMP) == ["off", "on"])
    assert home.told(PUMP) == ["off"]


async def test_somebody_who_switches_on_what_was_off_before_is_left_alone_too(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    home.set(LAMP, "off")
    await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    home.set(LAMP, "on")
    await eventually(lambda: reported(peer) == "kept")
    assert home.told(LAMP) == []


async def test_what_somebody_switched_off_again_after_the_return_stays_so(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    await want(peer, "on")
    await eventually(lambda: reported(peer) == "on")
    home.set(PUMP, "off")
    await later(hass, 20)
    assert home.told(PUMP) == ["off", "on"]


async def test_a_load_that_is_away_is_not_known_and_switched_off_when_it_is_back(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    home.set(PUMP, "unavailable")
    await begin()
    await want(peer, "shed")
    await eventually(lambda: home.told(LAMP) == ["off"])
    await eventually(lambda: reported(peer) is None)
    home.set(PUMP, "on")
    await eventually(lambda: reported(peer) == "shed")
    assert home.told(PUMP) == ["off"]


async def test_a_plug_that_lost_its_own_power_and_came_back_on_is_nobodys_wish(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    home.set(PUMP, "unavailable")
    await eventually(lambda: reported(peer) is None)
    home.set(PUMP, "on")
    await eventually(lambda: home.told(PUMP) == ["off", "off"] and reported(peer) == "shed")


async def test_a_device_that_does_not_answer_is_told_again(
    hass: HomeAssistant,
    begin: Begin,
    home: Home,
    peer: Peer,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await begin()
    home.deaf.add(PUMP)
    await want(peer, "shed")
    await eventually(lambda: home.told(PUMP) == ["off"])
    await eventually(lambda: reported(peer) == "on" and home.told(LAMP) == ["off"])
    home.deaf.clear()
    await hass.async_block_till_done()
    assert home.told(PUMP) == ["off"]
    monkeypatch.setattr(load_shedding, "RETRY_AFTER", timedelta(0))
    await later(hass, 16)
    await eventually(lambda: reported(peer) == "shed")
    assert home.told(PUMP) == ["off", "off"]


async def test_nothing_moves_while_the_controller_is_away(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    home.set(LAMP, "unavailable")
    await begin()
    await want(peer, "shed")
    await eventually(lambda: home.told(PUMP) == ["off"])
    await peer.stop()
    await eventually(lambda: shown(hass, "binary_sensor.home_controller") == "off")
    home.set(LAMP, "on")
    await later(hass, 20)
    assert home.calls == [(PUMP, "off")]
    peer.state["loads"][ID]["wanted"] = "on"
    await peer.start()
    await eventually(lambda: home.told(PUMP) == ["off", "on"])
    assert home.told(LAMP) == []


@pytest.mark.parametrize("meanwhile", ["on", "shed"])
async def test_a_restart_of_home_assistant_forgets_nothing(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually, meanwhile: str
) -> None:
    house = await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    assert await hass.config_entries.async_unload(house.entry_id)
    peer.state["loads"][ID]["wanted"] = meanwhile
    peer.reports.clear()
    assert await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: reported(peer) == meanwhile)
    await want(peer, "on")
    await eventually(lambda: reported(peer) == "on")
    assert home.told(PUMP) == ["off", "on"]


async def test_it_is_on_disk_before_anything_is_switched(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually, hass_storage: dict[str, Any]
) -> None:
    house = await begin(entities=[PUMP])
    kept: list[Any] = []

    async def look(call: ServiceCall) -> None:
        kept.append(hass_storage[f"ridethrough.{house.entry_id}.loads"]["data"][ID]["entities"])
        home.set(PUMP, "off")

    hass.services.async_register("switch", "turn_off", look)
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    assert kept == [{PUMP: {"state": "on", "phase": "switching"}}]


async def test_a_group_that_the_controller_has_no_wish_for_is_left_as_it_is(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    await begin()
    await peer.push(lambda state: state["loads"][ID].update(wanted=None))
    await eventually(lambda: reported(peer) == "on")
    await later(hass, 20)
    assert home.calls == []


async def test_an_entry_that_is_deleted_leaves_nothing_on_disk(
    hass: HomeAssistant, begin: Begin, peer: Peer, eventually: Eventually, hass_storage: dict[str, Any]
) -> None:
    house = await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    assert f"ridethrough.{house.entry_id}.loads" in hass_storage
    assert await hass.config_entries.async_remove(house.entry_id)
    await hass.async_block_till_done()
    assert [key for key in hass_storage if house.entry_id in key] == []


# ------------------------------------------------------------------------------------- restarts, names, things away


async def shed_before_the_edge_goes(hass: HomeAssistant, peer: Peer, eventually: Eventually) -> None:
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    await peer.stop()
    await eventually(lambda: shown(hass, "binary_sensor.home_controller") == "off")


async def test_a_restart_of_the_edge_moves_nothing(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    await begin()
    await shed_before_the_edge_goes(hass, peer, eventually)
    peer.reports.clear()
    await peer.start()
    await eventually(lambda: reported(peer) == "shed")
    assert home.told(PUMP) == home.told(LAMP) == ["off"]
    await want(peer, "on")
    await eventually(lambda: reported(peer) == "on")
    assert home.told(PUMP) == home.told(LAMP) == ["off", "on"]


async def test_an_edge_that_comes_back_without_the_group_is_told_of_it_and_nothing_moves(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    await begin()
    await shed_before_the_edge_goes(hass, peer, eventually)
    peer.state["loads"] = {}
    await peer.start()
    await peer.until(lambda: bool(peer.named("set_load_group")))
    assert home.told(PUMP) == ["off"]
    await peer.push(lambda state: state["loads"].update({ID: known(wanted="on")}))
    await eventually(lambda: home.told(PUMP) == ["off", "on"])


@pytest.mark.parametrize(("back", "orders"), [("off", ["off", "on"]), ("on", ["off"])])
async def test_what_is_away_when_it_shall_be_put_back_is_put_back_when_it_returns(
    hass: HomeAssistant,
    begin: Begin,
    home: Home,
    peer: Peer,
    eventually: Eventually,
    hass_storage: dict[str, Any],
    back: str,
    orders: list[str],
) -> None:
    house = await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    home.set(PUMP, "unavailable")
    await want(peer, "on")
    await eventually(lambda: home.told(LAMP) == ["off", "on"])
    key = f"ridethrough.{house.entry_id}.loads"
    await eventually(lambda: reported(peer) == "on")
    kept = hass_storage[key]
    for watts in range(20):
        await peer.push(lambda state, watts=watts: state["site"].update(grid_power_w=watts))  # type: ignore[misc]
    await eventually(lambda: house.runtime_data.data["site"]["grid_power_w"] == 19)
    assert hass_storage[key] is kept
    assert PUMP in kept["data"][ID]["entities"]
    home.set(PUMP, back)
    await eventually(lambda: home.told(PUMP) == orders)
    await later(hass, 20)
    assert home.told(PUMP) == orders


async def test_what_was_away_over_a_restart_is_put_back_when_it_returns(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    house = await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    assert await hass.config_entries.async_unload(house.entry_id)
    hass.states.async_remove(PUMP)
    await want(peer, "on")
    assert await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: home.told(LAMP) == ["off", "on"])
    assert home.told(PUMP) == ["off"]
    home.set(PUMP, "off")
    await eventually(lambda: home.told(PUMP) == ["off", "on"])


async def test_an_entity_that_is_renamed_while_it_is_shed_is_put_back_under_its_new_name(
    hass: HomeAssistant,
    begin: Begin,
    home: Home,
    peer: Peer,
    eventually: Eventually,
    entity_registry: er.EntityRegistry,
) -> None:
    hass.states.async_remove(PUMP)
    entity_registry.async_get_or_create("switch", "demo", "pump", suggested_object_id="pump")
    home.set(PUMP, "on")
    house = await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    hass.states.async_remove(PUMP)
    entity_registry.async_update_entity(PUMP, new_entity_id="switch.pool_pump")
    home.set("switch.pool_pump", "off")
    await hass.async_block_till_done()
    assert house.subentries[SUBENTRY].data["entities"] == ["switch.pool_pump", LAMP]
    assert house.subentries[SUBENTRY].data["power_sensor"] == METER
    await later(hass, 20)
    assert home.told("switch.pool_pump") == []
    await want(peer, "on")
    await eventually(lambda: home.told("switch.pool_pump") == ["on"])
    assert home.told(PUMP) == ["off"]


async def test_somebody_who_switches_on_while_home_assistant_is_away_is_not_switched_on_again_at_the_end(
    hass: HomeAssistant, begin: Begin, home: Home, peer: Peer, eventually: Eventually
) -> None:
    house = await begin()
    await want(peer, "shed")
    await eventually(lambda: reported(peer) == "shed")
    assert await hass.config_entries.async_unload(house.entry_id)
    home.set(PUMP, "on")
    await want(peer, "on")
    assert await hass.config_entries.async_setup(house.entry_id)
    await eventually(lambda: home.told(LAMP) == ["off", "on"])
    assert home.told(PUMP) == ["off"]
