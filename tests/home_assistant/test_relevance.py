"""What happened while nobody listened is told late only where it is still news."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from custom_components.ridethrough.event import OUTAGE_KINDS, PEAK_KINDS, SESSION_KINDS
from custom_components.ridethrough.relevance import LIVES, MOST_AT_ONCE, worth_telling
from custom_components.ridethrough.wire import Occurrence

NOW = datetime(2026, 7, 15, 22, tzinfo=UTC)
ENDS = {life.began_with: kind for kind, life in LIVES.items() if life.began_with}


def ago(hours: float) -> str:
    return (NOW - timedelta(hours=hours)).isoformat()


def waited(*happened: tuple[str, float] | tuple[str, float, dict[str, Any]]) -> list[Occurrence]:
    """What happened, each so many hours ago, with its data."""
    return [
        {
            "type": "occurrence",
            "number": number,
            "kind": kind,
            "subject": "peak" if kind.startswith("event_") else "driveway" if kind in SESSION_KINDS else "site",
            "at": ago(hours),
            "data": more[0] if more else {},
        }
        for number, (kind, hours, *more) in enumerate(happened, start=1)
    ]


def told(*happened: Any) -> list[str]:
    return [one["kind"] for one in worth_telling(waited(*happened), NOW)]


SOON = {"uid": "a", "start": ago(-0.4), "end": ago(-3.4)}
RUNNING = {"uid": "a", "start": ago(1), "end": ago(-2)}
OVER = {"uid": "a", "start": ago(5), "end": ago(2)}
OTHER = {"uid": "b", "start": ago(-20), "end": ago(-23)}


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        pytest.param([("outage_started", 3)], ["outage_started"], id="an outage that goes on"),
        pytest.param([("outage_started", 200)], ["outage_started"], id="an outage that has gone on for a week"),
        pytest.param(
            [("outage_started", 3), ("outage_ended", 1)],
            ["outage_started", "outage_ended"],
            id="an outage of today, from its beginning to its end",
        ),
        pytest.param(
            [("outage_started", 40), ("outage_ended", 1)],
            ["outage_started", "outage_ended"],
            id="a long outage that kept Home Assistant dark until now",
        ),
        pytest.param([("outage_started", 300), ("outage_ended", 299)], [], id="an outage of last week"),
        pytest.param([("outage_ended", 1)], ["outage_ended"], id="the end of an outage whose beginning was told"),
        pytest.param([("outage_ended", 30)], [], id="an end of yesterday"),
        pytest.param(
            [("outage_started", 50), ("outage_ended", 49), ("outage_started", 2)],
            ["outage_started"],
            id="of two outages the one that goes on",
        ),
        pytest.param(
            [("outage_started", 2), ("backup_failed", 2), ("backup_started", 1)],
            ["outage_started", "backup_started"],
            id="a failure that a later try has mended",
        ),
        pytest.param(
            [
                ("outage_started", 9),
                ("reserve_reached", 4),
                ("return_announced", 3, {"at": ago(3)}),
                ("outage_ended", 3),
            ],
            ["outage_started", "outage_ended"],
            id="no call to act once the outage is over",
        ),
        pytest.param([("reserve_reached", 1)], ["reserve_reached"], id="a call to act while it matters"),
        pytest.param([("event_announced", 30, OTHER)], ["event_announced"], id="an event to come"),
        pytest.param([("event_announced", 30, RUNNING)], ["event_announced"], id="an event that runs"),
        pytest.param([("event_announced", 30, OVER)], [], id="an event that is over"),
        pytest.param(
            [("event_announced", 30, OTHER), ("event_cancelled", 1, {"uid": "b"})], [], id="one called off since"
        ),
        pytest.param(
            [("event_cancelled", 1, {"uid": "b"})], ["event_cancelled"], id="the end of one that was announced"
        ),
        pytest.param([("event_soon", 0.1, SOON)], ["event_soon"], id="soon, and it is"),
        pytest.param([("event_soon", 1.5, RUNNING)], [], id="soon, and it has begun"),
        pytest.param(
            [("event_soon", 0.1, SOON), ("event_started", 0, {"uid": "a"})], ["event_started"], id="begun early"
        ),
        pytest.param(
            [("event_announced", 30, OVER), ("event_started", 5, {"uid": "a"}), ("event_completed", 2, {"uid": "a"})],
            ["event_started", "event_completed"],
            id="an event served while nobody looked",
        ),
        pytest.param([("event_missed", 2, {"uid": "a"})], ["event_missed"], id="an event that was missed"),
        pytest.param(
            [("event_announced", 3, OTHER), ("event_completed", 2, {"uid": "a"})],
            ["event_announced", "event_completed"],
            id="one event's end is not another's",
        ),
        pytest.param([("charge_not_ready", 3, {"at": ago(-1)})], ["charge_not_ready"], id="a departure to come"),
        pytest.param([("charge_not_ready", 3, {"at": ago(1)})], [], id="a departure that is over"),
        pytest.param(
            [
                ("load_shed", 30, {"group": "pool"}),
                ("load_shed", 30, {"group": "heat"}),
                ("load_restored", 29, {"group": "heat"}),
            ],
            ["load_shed"],
            id="what is still switched off",
        ),
        pytest.param([("drill_failed", 3)], ["drill_failed"], id="a drill of today"),
        pytest.param([("drill_failed", 30)], [], id="a drill of yesterday"),
        pytest.param([("something_later", 3), ("something_later", 30)], ["something_later"], id="a kind not known yet"),
    ],
)
def test_only_what_is_still_news_is_told_late(happened: list[Any], expected: list[str]) -> None:
    assert told(*happened) == expected


def test_every_kind_of_the_table_is_one_that_is_shown() -> None:
    shown = {*OUTAGE_KINDS, *SESSION_KINDS, *PEAK_KINDS}
    assert set(LIVES) <= shown
    for kind, life in LIVES.items():
        assert life.over_with | {life.began_with or kind} <= shown
        assert not (life.moot and life.began_with)
        if life.began_with:
            assert kind in LIVES[life.began_with].over_with


def test_a_time_that_is_missing_or_unreadable_counts_as_news() -> None:
    odd = waited(("drill_failed", 3), ("event_soon", 1, {"uid": "a", "start": "tomorrow"}))
    odd[0]["at"] = "yesterday"
    assert worth_telling(odd, NOW) == odd


def test_of_too_many_those_that_stand_and_the_newest_are_told_in_their_order() -> None:
    happened: list[Any] = [("fault_raised", 23), ("outage_started", 22)]
    happened += [(("vehicle_connected", "order_refused")[one % 2], 20) for one in range(400)]
    late = worth_telling(waited(*happened), NOW)
    assert len(late) == MOST_AT_ONCE
    assert [one["kind"] for one in late[:2]] == ["fault_raised", "outage_started"]
    assert [one["number"] for one in late] == sorted(one["number"] for one in late)


# A machine that is busy with other tests draws slowly.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted({*LIVES, "drill_failed"})), st.integers(0, 2), st.floats(0, 60)), max_size=60
    )
)
def test_late_ones_keep_their_order_and_no_end_is_told_of_what_was_kept_back(drawn: list[Any]) -> None:
    drawn.sort(key=lambda one: -one[2])
    happened = waited(*((kind, hours, {"uid": str(thing)}) for kind, thing, hours in drawn))
    late = worth_telling(happened, NOW)
    assert [one for one in happened if one in late] == late
    numbers = {one["number"] for one in late}
    for end in late:
        began = LIVES[end["kind"]].began_with if end["kind"] in LIVES else None
        before = [
            one
            for one in happened[: end["number"] - 1]
            if one["data"] == end["data"] and one["kind"] in (began, end["kind"])
        ]
        assert not before or before[-1]["kind"] == end["kind"] or before[-1]["number"] in numbers
