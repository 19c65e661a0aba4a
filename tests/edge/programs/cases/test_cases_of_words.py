"""Cases 24 to 28 and 37 to 39: answers that are none, odd objects, others' events, units, sizes, and texts."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_service.domain.model import AlertKind, SlotKind
from edge_service.ports import ProgramError
from edge_service.programs.openadr3_client import MOST_BYTES
from edge_service.programs.openadr3_words import MOST_W
from edge_service.simulation.utility import SimulatedUtility
from tests.edge.edge_kit import a_house
from tests.edge.programs.test_openadr3_source import HOUR, MINUTE, NOON, NOW_PERIOD, Desk, opened
from tests.edge.test_app_programs import an_entry

RECORDED: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "recordings" / "openleadr-rs-0.2.4-objects.json").read_text(encoding="utf-8")
)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened() as one:
        yield one


def setpoint(*values: Any, **beside: Any) -> list[dict[str, Any]]:
    return [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT", "values": list(values)}, *beside.values()]}]


def told(unit: str | None, kind: str = "DISPATCH_SETPOINT", **more: Any) -> list[dict[str, Any]]:
    return [{"payloadType": kind, "units": unit} | more]


# -------------------------------------------------------------------------------------------------------------- case 24


@pytest.mark.parametrize(
    "body",
    [
        "",
        '[{"id":"e1",',
        "<!DOCTYPE html><html>Sign in</html>",
        '{"events":[]}',
        "null",
        "7",
        '[{"id":NaN}]',
        "[Infinity]",
        "\udcff\udcfe[]",
        "[" * 100_000,
        "[" + " " * MOST_BYTES + "]",
    ],
    ids=["empty", "cut", "html", "object", "null", "number", "nan", "infinity", "bytes", "nested", "large"],
)
async def test_case_24_an_answer_that_is_no_list_of_json_is_a_failed_contact(desk: Desk, body: str) -> None:
    desk.write(intervalPeriod=NOW_PERIOD)
    before = await desk.events()
    for path in ("/events", "/programs"):
        desk.utility.set_faults({"only": path, "body": body})
        with pytest.raises(ProgramError):
            await desk.poll(MINUTE)
    desk.utility.set_faults({"only": None, "body": None})
    assert await desk.events(MINUTE) == before


async def test_case_24_a_packed_answer_is_bounded_by_its_unpacked_size(desk: Desk) -> None:
    desk.write(intervalPeriod=NOW_PERIOD)
    before = await desk.events()
    desk.utility.set_faults({"bomb": True})
    with pytest.raises(ProgramError):
        await desk.poll(MINUTE)
    desk.utility.set_faults({"bomb": None})
    assert await desk.events(MINUTE) == before


async def test_case_24_a_number_beyond_all_bounds_spoils_its_own_event_only(desk: Desk) -> None:
    sound = desk.call()
    spoilt = desk.write(intervalPeriod=NOW_PERIOD, payloadDescriptors=told("KW"), intervals=setpoint(424242))
    rows = json.dumps(desk.utility.store.rows("events"))
    for value in ("1e400", "-1e400", "9" * 4000):
        desk.utility.set_faults({"only": "/events", "body": rows.replace("424242", value)})
        news = await desk.poll(MINUTE)
        assert [event.uid for event in news.events] == [f"peak:{sound}"]
        assert [spoilt in problem for problem in news.problems] == [True]


async def test_case_24_json_with_a_byte_order_mark_is_read(desk: Desk) -> None:
    desk.call()
    before = await desk.events()
    desk.utility.set_faults({"only": "/events", "body": "\ufeff" + json.dumps(desk.utility.store.rows("events"))})
    assert await desk.events(MINUTE) == before


# ------------------------------------------------------------------------------------------------------ cases 25 and 26


@pytest.mark.parametrize("value", ["5.0", True, None, [], {"x": 1, "y": 2}, [5]])
async def test_case_25_a_value_of_a_wrong_type_moves_nothing_and_its_siblings_count(desk: Desk, value: Any) -> None:
    level = {"type": "SIMPLE", "values": [2]}
    other = {"type": "X_PRIVATE", "values": [value]}
    own_id = desk.write(
        intervalPeriod=NOW_PERIOD, payloadDescriptors=told("KW"), intervals=setpoint(value, other=other, level=level)
    )
    news = await desk.poll()
    (event,) = news.events
    assert (event.uid, [slot.kind for slot in event.slots]) == (f"peak:{own_id}", [SlotKind.COVER_HOUSE])
    assert len(news.problems) == 2
    assert news.problems[1].endswith("not followed: X_PRIVATE.")


async def test_case_25_bad_siblings_in_the_list_are_named_and_change_nothing(desk: Desk) -> None:
    desk.call()
    before = await desk.events()
    desk.utility.set_faults({"extra_bad_objects": True})
    news = await desk.poll(MINUTE)
    assert news.events == before
    assert len(news.problems) > 20
    assert all(problem.endswith(".") and len(problem) < 400 for problem in news.problems)


async def test_case_26_unknown_fields_and_words_are_tolerated_and_missing_types_too(desk: Desk) -> None:
    row = desk.utility.store.find("events", desk.call())
    assert row is not None
    before = await desk.events()
    odd = row | {
        "clientId": "x",
        "program_id": "y",
        "newField": {"deep": [1]},
        "reportDescriptors": None,
        "objectType": "EVENT",
        "intervals": [row["intervals"][0] | {"colour": "red"}],
    }
    for shape in (odd, {key: value for key, value in odd.items() if key != "objectType"}):
        desk.utility.set_faults({"only": "/events", "body": json.dumps([shape])})
        news = await desk.poll(MINUTE)
        assert (news.events, news.problems) == (before, ())


async def test_case_26_all_that_a_real_server_was_recorded_to_list_is_understood(desk: Desk) -> None:
    """Nothing of the recording is skipped, and each event that still comes asks for what was written in it."""
    desk.utility.set_faults({"only": "/programs", "body": json.dumps(RECORDED["programs"])})
    await desk.poll()
    # The later of two rows of one event counts; here the one before it was emptied.
    rows = [row for row in RECORDED["events"] if row.get("intervals") != []]
    desk.utility.set_faults({"only": "/events", "body": json.dumps(rows)})
    news = await desk.poll()
    asked = {event.name: [(slot.kind, slot.power_w) for slot in event.slots] for event in news.events}
    assert asked == {
        "plain": [(SlotKind.NO_CHARGE, 0)],
        "three": [(SlotKind.POWER, -5000), (SlotKind.POWER, -6000), (SlotKind.POWER, -7000)],
        "random": [(SlotKind.NO_CHARGE, 0)],
        "halfhours": [(SlotKind.NO_CHARGE, 0)],
        "targeted": [(SlotKind.NO_CHARGE, 0)],
        "now-forever": [(SlotKind.COVER_HOUSE, 0)],
    }
    assert [(alert.kind, alert.end) for alert in news.alerts] == [(AlertKind.GRID_EMERGENCY, None)]
    listed = {one.name: one for one in desk.sources[-1].listed()}
    assert len(listed) == len(rows) == 15
    assert listed["reportonly"].report_descriptors[0]["payloadType"] == "STORAGE_CHARGE_LEVEL"
    told_of = "\n".join(news.problems)
    for word in ("CURVE", "X_PRIVATE", "X_PRIVATE_THING", "PRICE (KWH)", "have the same priority"):
        assert word in told_of
    assert "was skipped" not in told_of


# ------------------------------------------------------------------------------------------------------ cases 27 and 28


@pytest.mark.parametrize("targets", [[], None, ..., "all", [7], {}, [{"type": "PROGRAM_NAME", "values": ["Peak"]}]])
async def test_case_27_an_event_without_a_target_of_its_own_is_for_us(desk: Desk, targets: Any) -> None:
    row = desk.utility.store.find("events", desk.call())
    assert row is not None
    body = {key: value for key, value in (row | {"targets": targets}).items() if value is not ...}
    desk.utility.set_faults({"only": "/events", "body": json.dumps([body])})
    assert len(await desk.events()) == 1


@pytest.mark.parametrize(
    ("targets", "ours"),
    [
        ([{"type": "VEN_NAME", "values": ["home"]}], True),
        ([{"type": "VEN_NAME", "values": ["someone", "home"]}], True),
        ([{"type": "GROUP", "values": ["x"]}, {"type": "VEN_NAME", "values": ["home"]}], True),
        ([{"type": "VEN_NAME", "values": ["someone-else"]}], False),
        ([{"type": "GROUP", "values": ["others"]}], False),
    ],
)
async def test_case_28_an_event_for_another_house_that_we_can_see_moves_nothing(targets: Any, ours: bool) -> None:
    async with opened(ven_name="home") as desk:
        row = desk.utility.store.find("events", desk.call())
        assert row is not None
        desk.utility.set_faults({"only": "/events", "body": json.dumps([row | {"targets": targets}])})
        assert len(await desk.events()) == (1 if ours else 0)


async def test_case_28_alerts_limits_and_prices_for_another_house_are_not_ours_either(desk: Desk) -> None:
    row = desk.write(
        intervalPeriod=NOW_PERIOD,
        payloadDescriptors=told("KW", "EXPORT_CAPACITY_LIMIT"),
        intervals=[
            {
                "id": 0,
                "payloads": [
                    {"type": "EXPORT_CAPACITY_LIMIT", "values": [0]},
                    {"type": "ALERT_BLACK_START", "values": ["x"]},
                ],
            }
        ],
    )
    event = desk.utility.store.find("events", row)
    assert event is not None
    for targets, count in (([], 1), ([{"type": "VEN_NAME", "values": ["someone-else"]}], 0)):
        desk.utility.set_faults({"only": "/events", "body": json.dumps([event | {"targets": targets}])})
        desk.restart()
        news = await desk.poll()
        assert (len(news.limits), len(news.alerts)) == (count, count)


# ------------------------------------------------------------------------------------------------------ cases 37 and 38


@pytest.mark.parametrize("unit", [None, "MW", "KWH", "AMPS", "kilowatts", ""])
async def test_case_37_a_setpoint_without_a_known_unit_moves_nothing_and_is_named_once(
    desk: Desk, unit: str | None
) -> None:
    desk.write(payloadDescriptors=told(unit), intervals=setpoint(-5) * 3, intervalPeriod=NOW_PERIOD)
    news = await desk.poll()
    assert news.events == ()
    assert ["no known unit is told for DISPATCH_SETPOINT" in problem for problem in news.problems] == [True]
    assert (await desk.poll(7 * HOUR)).problems == ()


async def test_case_37_a_program_without_descriptors_tells_no_unit(desk: Desk) -> None:
    program = desk.utility.dispatch.program()
    bare = {"programName": program["programName"], "targets": []}
    own_id = desk.write(intervals=setpoint(-5), intervalPeriod=NOW_PERIOD)
    assert [event.uid for event in await desk.events()] == [f"peak:{own_id}"]
    desk.utility.store.replace("programs", program["id"], bare)
    news = await desk.poll(MINUTE)
    assert (news.events, len(news.problems)) == ((), 1)


async def test_case_37_a_price_in_another_currency_is_not_used() -> None:
    async with opened(currency="USD") as desk:
        prices = [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.3]}]}]
        period = {"start": NOON.isoformat(), "duration": "PT1H"}
        for currency in ("USD", "EUR"):
            desk.write(payloadDescriptors=told("KWH", "PRICE", currency=currency), intervals=prices,
                       intervalPeriod=period)  # fmt: skip
        news = await desk.poll()
        assert [(price.value, price.currency) for price in news.prices] == [(0.3, "USD")]
        assert len(news.problems) == 1


@pytest.mark.parametrize("kw", [1e308, -1e308, MOST_W / 1000 + 1])
async def test_case_38_a_setpoint_of_no_world_is_refused(desk: Desk, kw: float) -> None:
    desk.write(payloadDescriptors=told("KW"), intervals=setpoint(kw), intervalPeriod=NOW_PERIOD)
    news = await desk.poll()
    assert news.events == ()
    assert ["out of all bounds" in problem for problem in news.problems] == [True]


async def test_case_38_a_thousand_kilowatts_are_clamped_to_what_house_and_charger_can(tmp_path: Path) -> None:
    async with SimulatedUtility() as utility, a_house(tmp_path) as (site, edge):
        await edge.command("set_program", id="peak", program=an_entry(utility))
        utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=1000)
        await edge.until(lambda state: (state["chargers"]["driveway"]["power_w"] or 0) < -5000)
        await edge.until(lambda state: state["programs"]["peak"]["connected"])
        assert site.house.site_power_w is not None
        assert site.house.site_power_w >= -9600 - 100


# -------------------------------------------------------------------------------------------------------------- case 39


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("**bold** [link](http://x)", "**bold** [link](http://x)"),
        ("line\nbreak\ttab\x00\x1b[31m", "line break tab[31m"),
        ("\u202ertl\u2066 \u200bzero", "rtl zero"),
        ("storm \u26a1", "storm \u26a1"),
        ("x" * 10_000, "x" * 120),
    ],
)
async def test_case_39_a_foreign_text_is_one_bounded_line_of_text_and_moves_nothing(
    desk: Desk, text: str, shown: str
) -> None:
    warning = [{"id": 0, "payloads": [{"type": "ALERT_OTHER", "values": [text]}]}]
    desk.write(eventName=text, intervals=warning, intervalPeriod=NOW_PERIOD)
    desk.write(eventName=text, intervals=setpoint(-5), intervalPeriod=NOW_PERIOD)
    news = await desk.poll()
    assert [alert.name for alert in news.alerts] == [event.name for event in news.events] == [shown]
