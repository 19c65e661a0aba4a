"""Actions that answer, and those that came after the first ones."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util import dt as dt_util
from probatio import Invalid
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.ridethrough.actions import orders
from custom_components.ridethrough.actions.books import read_log
from custom_components.ridethrough.client import Address, WrongCertificateError
from custom_components.ridethrough.const import DOMAIN

from .conftest import device_of
from .peer import TOKEN, Eventually, Peer, event
from .tls import self_made


@pytest.fixture
def device(house: MockConfigEntry, device_registry: dr.DeviceRegistry) -> Callable[[str], str]:
    """The device id of a part such as ``charger-driveway``."""

    def find(part: str) -> str:
        found = device_of(device_registry, house, part)
        assert found is not None
        return found.id

    return find


async def act(hass: HomeAssistant, action: str, answer: bool = False, **data: Any) -> Any:
    return await hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=answer)


def order(stage: str, reason: str | None = None, power_w: int = -4000) -> Any:
    return {"kind": "power", "power_w": power_w, "stage": stage, "reason": reason, "measured_w": None, "reached": {}}


async def test_an_order_is_answered_when_the_charger_holds_it_or_refuses_it(
    hass: HomeAssistant, device: Callable[[str], str], peer: Peer, eventually: Eventually
) -> None:
    last = dt_util.utcnow().replace(microsecond=250_000) + timedelta(hours=1)
    charger, end = device("charger-driveway"), last.isoformat()
    asked = asyncio.ensure_future(act(hass, "discharge", answer=True, device_id=charger, until=end, power=5.0))
    await eventually(lambda: bool(peer.named("discharge")))
    # The edge tells whole seconds.
    manual = {"kind": "discharge", "power_w": 5000, "until": last.replace(microsecond=0).isoformat()}
    # What stood before, and what is only handed over, are no answer.
    for stands in ({"order": order("held")}, {"manual": manual, "order": order("written")}):
        await peer.push(lambda state, stands=stands: state["chargers"]["driveway"].update(stands))  # type: ignore[misc]
        await eventually(
            lambda stands=stands: (
                hass.config_entries.async_entries(DOMAIN)[0].runtime_data.data["chargers"]["driveway"]["order"]  # type: ignore[misc]
                == stands["order"]
            )
        )
        assert not asked.done()
    limited = {"order": order("limited", "discharge_limit")}
    await peer.push(lambda state: state["chargers"]["driveway"].update(limited))
    async with asyncio.timeout(10):
        answer = await asked
    ends_at = peer.named("discharge")[0]["until"]
    assert answer == {"stage": "limited", "reason": "discharge_limit", "power": 4.0, "ends_at": ends_at}


@pytest.mark.parametrize("stands", [None, "ordered"])
async def test_an_order_that_the_charger_does_not_answer_is_told_as_accepted_only(
    hass: HomeAssistant,
    device: Callable[[str], str],
    peer: Peer,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    stands: str | None,
) -> None:
    monkeypatch.setattr(orders, "LONGEST_READ_BACK_S", 0.05)
    end = "2026-07-01T21:30:00+00:00"
    if stands is not None:
        manual = {"kind": "hold", "power_w": None, "until": end}
        now = {"manual": manual, "order": order(stands, power_w=0)}
        await peer.push(lambda state: state["chargers"]["driveway"].update(now))
    answer = await act(hass, "hold", answer=True, device_id=device("charger-driveway"), until=end)
    assert (answer["stage"], answer["ends_at"]) == ("accepted", end)


@pytest.mark.parametrize(
    ("data", "args"),
    [
        ({"charge_limit": 7.2}, {"charge_w": 7200}),
        ({"discharge_limit": 0}, {"discharge_w": 0}),
        ({"lift": ["discharging"]}, {"discharge_w": None}),
        ({"charge_limit": 11, "lift": ["discharging"]}, {"charge_w": 11_000, "discharge_w": None}),
    ],
)
async def test_a_power_limit_is_set_lifted_or_left_as_it_is(
    hass: HomeAssistant,
    house: MockConfigEntry,
    device: Callable[[str], str],
    peer: Peer,
    eventually: Eventually,
    data: dict[str, Any],
    args: dict[str, Any],
) -> None:
    await peer.push(lambda state: state["chargers"]["driveway"].update(discharge_limit_w=3000))
    await eventually(lambda: house.runtime_data.data["chargers"]["driveway"].get("discharge_limit_w") == 3000)
    await act(hass, "set_power_limit", device_id=device("charger-driveway"), **data)
    assert peer.named("set_power_limit") == [{"charger": "driveway", **args}]


async def test_a_power_limit_that_says_nothing_or_both_is_refused_here(
    hass: HomeAssistant, device: Callable[[str], str], peer: Peer
) -> None:
    charger = device("charger-driveway")
    with pytest.raises(Invalid):
        await act(hass, "set_power_limit", device_id=charger)
    with pytest.raises(ServiceValidationError, match="not both"):
        await act(hass, "set_power_limit", device_id=charger, charge_limit=5, lift=["charging"])
    assert peer.commands == []


async def test_events_are_listed_by_their_time_with_what_they_brought(
    hass: HomeAssistant, house: MockConfigEntry, device: Callable[[str], str], peer: Peer, eventually: Eventually
) -> None:
    over: Any = event("peak-0", "finished", -7200, -3600) | {
        "energy_wh": 14_210,
        "average_w": 4730,
        "earnings_usd": 12.1,
    }
    draws: Any = event("peak-2", "announced", 90_000, 97_200) | {"power_w": 3000, "feasible_w": None}
    await peer.push(lambda state: state["programs"]["peak"].update(events=[over, event(), draws]))
    await eventually(lambda: len(house.runtime_data.data["programs"]["peak"]["events"]) == 3)
    program = device("program-peak")

    async def listed(**span: str) -> list[Any]:
        found: list[Any] = (await act(hass, "get_events", answer=True, device_id=program, **span))["events"]
        return found

    all_of_them = await listed()
    assert [one["uid"] for one in all_of_them] == ["peak-0", "peak-1", "peak-2"]
    assert all_of_them[0]["result"] == {"energy": 14.21, "average_power": 4.73, "earnings": 12.1}
    assert [(one["power"], one["possible"]) for one in all_of_them] == [(5.0, 4.8), (5.0, 4.8), (-3.0, None)]
    assert all_of_them[1]["at_stake"] == 12.4
    now = dt_util.utcnow()
    assert [one["uid"] for one in await listed(start=now.isoformat())] == ["peak-1", "peak-2"]
    assert [one["uid"] for one in await listed(end=now.isoformat())] == ["peak-0"]
    both = await listed(start=now.isoformat(), end=(now + timedelta(hours=12)).isoformat())
    assert [one["uid"] for one in both] == ["peak-1"]


async def test_a_return_is_postponed_and_programs_are_put_in_order(
    hass: HomeAssistant, house: MockConfigEntry, device: Callable[[str], str], peer: Peer
) -> None:
    at_site = {"config_entry_id": house.entry_id}
    await act(hass, "postpone_return", **at_site, until="2026-07-01T21:30:00+00:00")
    assert peer.named("postpone_return") == [{"until": "2026-07-01T21:30:00+00:00"}]
    await act(hass, "set_program_order", **at_site, programs=[device("program-peak")])
    assert peer.named("set_program_order") == [{"programs": ["peak"]}]


async def test_the_controllers_books_are_read_with_a_hash_of_what_is_in_them(
    hass: HomeAssistant, house: MockConfigEntry, device: Callable[[str], str], peer: Peer
) -> None:
    at_site = {"config_entry_id": house.entry_id}
    peer.logs = {"settlements": {"entries": [{"uid": "peak-0", "usd": 12.1}], "seasons": []}, "drills": {"entries": []}}
    program = device("program-peak")
    books = await act(hass, "export_data", answer=True, **at_site, device_id=program, year=2026)
    assert books["entries"] == [{"uid": "peak-0", "usd": 12.1}]
    again = await act(hass, "export_data", answer=True, **at_site)
    # Of the answer without it: keys in order, no spaces.
    written = b'{"entries":[{"uid":"peak-0","usd":12.1}],"seasons":[]}'
    assert again["sha256"] == books["sha256"] == sha256(written).hexdigest()
    drills = await act(hass, "export_data", answer=True, **at_site, log="drills")
    assert drills["entries"] == []
    assert drills["sha256"] != books["sha256"]
    assert peer.logs_asked == [
        "/api/v1/log/settlements?year=2026&program=peak",
        "/api/v1/log/settlements",
        "/api/v1/log/drills",
    ]


async def test_books_that_cannot_be_had_say_why(hass: HomeAssistant, house: MockConfigEntry, peer: Peer) -> None:
    at_site = {"config_entry_id": house.entry_id}
    with pytest.raises(ServiceValidationError, match="Only settlements"):
        await act(hass, "export_data", answer=True, **at_site, log="outages", year=2026)
    with pytest.raises(HomeAssistantError, match="too old"):
        await act(hass, "export_data", answer=True, **at_site, log="outages")
    peer.token = "another"
    with pytest.raises(HomeAssistantError, match="No contact"):
        await act(hass, "export_data", answer=True, **at_site)
    await peer.stop()
    with pytest.raises(HomeAssistantError, match="No contact"):
        await act(hass, "export_data", answer=True, **at_site)


async def test_the_books_are_read_only_from_the_certificate_that_was_paired_with(
    hass: HomeAssistant, socket_enabled: None, tmp_path: Path
) -> None:
    made, peer, session = self_made(tmp_path), Peer(), async_get_clientsession(hass)
    peer.logs = {"drills": {"entries": []}}
    await peer.start(made.context)
    ours, another = (Address("127.0.0.1", peer.port, key) for key in (made.fingerprint, "ab" * 32))
    assert await read_log(session, ours, TOKEN, "drills", {}) == {"entries": []}
    with pytest.raises(WrongCertificateError):
        await read_log(session, another, TOKEN, "drills", {})
    await peer.stop()


@pytest.mark.parametrize("end", [{"duration": {"days": 99_999_999}}, {"until": "9999-12-31 23:59:59"}], ids=str)
async def test_an_end_beyond_all_calendars_is_a_persons_mistake(
    hass: HomeAssistant, device: Callable[[str], str], peer: Peer, end: dict[str, Any]
) -> None:
    await hass.config.async_set_time_zone("America/New_York")
    with pytest.raises(ServiceValidationError, match="No calendar has this time"):
        await act(hass, "hold", device_id=device("charger-driveway"), **end)
    assert peer.commands == []
