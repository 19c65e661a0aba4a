"""Every kind of notice of the contract has a group, a loudness, words and buttons; composed texts have no gaps."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from custom_components.ridethrough.notice_kinds import KINDS, Group, kind_of, wakes
from custom_components.ridethrough.notice_words import NoticeWords
from custom_components.ridethrough.phones.buttons import BUTTONS
from custom_components.ridethrough.phones.drafts import PhoneWords

from .peer import at, event, home, notice
from .test_notices import SAID

CONTRACT = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
TABLE = re.search(r"^### Notices\n(.*?)^### ", CONTRACT, re.M | re.S)
assert TABLE is not None
ROWS = re.findall(r"^\| `(\w+)` \| `[^`]+`[^|]* \| ([^|;]+)", TABLE[1], re.M)


def levels() -> dict[str, str]:
    """The level of each kind; of those that say "likewise" that of the row before."""
    found: dict[str, str] = {}
    before = ""
    for kind, level in ROWS:
        before = before if level.strip() == "likewise" else level.strip()
        found[kind] = before
    return found


def test_every_kind_of_the_contract_has_a_group_and_wakes_only_if_it_is_critical() -> None:
    assert set(levels()) == set(KINDS)
    assert set(levels().values()) == {"critical", "warning", "info"}
    for kind, level in levels().items():
        assert KINDS[kind].group in Group
        assert KINDS[kind].wakes is (level == "critical" or kind == "solar_surplus"), kind
        assert not (KINDS[kind].wakes and KINDS[kind].over), kind


def test_what_the_edge_has_softened_wakes_nobody_and_a_later_critical_kind_does() -> None:
    assert wakes(notice(1, kind="no_backup"))
    assert not wakes(notice(1, kind="no_backup") | {"level": "warning"})
    assert wakes(notice(1, kind="solar_surplus") | {"level": "warning"})
    assert wakes(notice(1, kind="meteor"))
    assert kind_of(notice(1, kind="meteor")).group is Group.SAFETY
    assert not wakes(notice(1, kind="comet") | {"level": "info"})
    assert kind_of(notice(1, kind="comet") | {"level": "info"}).group is Group.UPKEEP


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_every_kind_is_told_on_a_phone_in_words_without_gaps(hass: HomeAssistant, kind: str) -> None:
    words = await NoticeWords.load(hass)
    said = notice(1, "subject", kind, **SAID, uid="peak-1", since=at(-600))
    said["data"]["reason"] = "not_formed"
    draft = PhoneWords(words).draft(said, home(), dt_util.utcnow())
    for text in (draft.title, draft.message):
        assert text
        assert not set("{}_") & set(text), text
        assert " –" not in text.replace(" – ", ""), text
        assert len(text) < 300
    for key in (*(f"button_{name}" for name in KINDS[kind].buttons), f"channel_{KINDS[kind].group}", "channel_silent"):
        assert words.word(key), key
    for button in KINDS[kind].buttons:
        assert button == "details" or words.word(f"done_{button}"), button
    assert all(len(words.said(f"button_{name}")) <= 20 for name in BUTTONS)


async def test_times_that_are_none_leave_a_dash_and_the_rest_of_the_words(hass: HomeAssistant) -> None:
    words = await NoticeWords.load(hass)
    event = notice(1, "event", "event_announced", start="2026-13-01T17:00:00+00:00", end="2026-12-01T20:00:00")
    late = notice(2, "late", "departure_late", charger="Driveway charger", at="2026-02-30T07:00:00+00:00")
    for said in (event, late):
        title, text = words.text(said, "Home")
        assert title
        assert len(text) > 40
        assert PhoneWords(words).draft(said, home(), dt_util.utcnow()).title == title


async def composed(hass: HomeAssistant, said: Any, **site: Any) -> str:
    state = home()
    state["site"].update(site)  # type: ignore[typeddict-item]
    draft = PhoneWords(await NoticeWords.load(hass)).draft(said, state, dt_util.utcnow())
    return f"{draft.title}: {draft.message}"


def lasts(low: float | None, high: float | None) -> dict[str, Any]:
    return {"p10_h": low, "p50_h": low, "p90_h": high, "usable_wh": 1000, "load_w": 900}


@pytest.mark.parametrize(
    ("runtime", "says"),
    [
        (lasts(9.2, 13.1), "Backup on. 9–13 h left; Pool pump off: +6 h"),
        (lasts(4.1, 4.3), "Backup on. About 4 h left; Pool pump off: +6 h"),
        (lasts(1.2, 1.9), "Backup on. 70–115 min left; Pool pump off: +6 h"),
        (lasts(5.0, None), "Backup on. At least 5 h left; Pool pump off: +6 h"),
        (lasts(None, None), "Backup on. The sun carries the house."),
        (None, "Backup on."),
    ],
)
async def test_how_long_it_lasts_is_said_as_a_range(hass: HomeAssistant, runtime: Any, says: str) -> None:
    text = await composed(hass, notice(1, since=at(-60)), supply="island", runtime=runtime)
    assert text.endswith(says)


async def test_what_is_not_known_is_left_out(hass: HomeAssistant) -> None:
    began = {"started_at": at(-60)}
    assert "Power is out since" in await composed(hass, notice(1), outage=began)
    assert "no grid power since" in await composed(hass, notice(1))
    near = notice(1, "reserve", "reserve_near", charger="Driveway charger", soc_pct=24.0, ends="stop")
    assert (await composed(hass, near)).startswith("Backup ends soon:")
    told = await composed(hass, near | {"data": near["data"] | {"minutes": 120}})
    assert told.startswith("Backup ends in about 2 h: Driveway charger is at 24%.")


async def test_an_event_without_a_price_says_its_power_and_a_car_that_is_late_is_named(hass: HomeAssistant) -> None:
    state = home()
    state["programs"]["peak"]["events"] = [event() | {"stake_usd": None}]
    leaves = dt_util.utcnow() + timedelta(hours=10)
    late: Any = {"id": "once", "at": leaves.isoformat(), "stage": "late"}
    state["chargers"]["driveway"]["departure"] = late
    said = notice(1, "event:peak-1", "event_announced", uid="peak-1")
    draft = PhoneWords(await NoticeWords.load(hass)).draft(said, state, dt_util.utcnow())
    assert draft.message.startswith("5.0 kW, car may not be ready by ")
    state["programs"]["peak"]["events"] = [event() | {"stake_usd": None, "power_w": None}]
    state["chargers"]["driveway"]["departure"] = None
    assert PhoneWords(await NoticeWords.load(hass)).draft(said, state, dt_util.utcnow()).message == "Summer peak"
