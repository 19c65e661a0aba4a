"""Events entered by a person."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from edge_service.domain.model import Slot, SlotKind
from edge_service.programs.manual import ManualEventError, by_hand, enter_event

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
START, END = NOW + timedelta(hours=5), NOW + timedelta(hours=8)


def test_an_event_by_hand_asks_the_house_to_supply() -> None:
    event = enter_event("peak", " Peak  tomorrow ", START, END, 5000, NOW)
    assert event.slots == (Slot(START, END, SlotKind.POWER, -5000),)
    assert (event.program_id, event.name, event.announced_at, event.priority) == ("peak", "Peak tomorrow", NOW, None)
    assert by_hand(event)


def test_entering_the_same_twice_is_the_same_event_and_another_is_another() -> None:
    one = enter_event("peak", "Peak", START, END, 5000, NOW)
    assert enter_event("peak", "Peak", START, END, 5000, NOW + timedelta(minutes=1)).uid == one.uid
    assert enter_event("peak", "Peak", START, END, 5001, NOW).uid != one.uid


def test_local_times_become_utc_and_a_passed_start_means_at_once() -> None:
    eastern = timezone(timedelta(hours=-4))
    event = enter_event("peak", "Peak", (NOW - timedelta(hours=1)).astimezone(eastern), END.astimezone(eastern), 1, NOW)
    assert (event.start, event.end) == (NOW, END)
    assert event.end.tzinfo is UTC
    again = enter_event("peak", "Peak", NOW - timedelta(hours=1), END, 1, NOW + timedelta(minutes=1))
    assert again.uid == event.uid


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"start": START.replace(tzinfo=None)}, "time_without_zone"),
        ({"end": NOW}, "event_over"),
        ({"end": START}, "end_before_start"),
        ({"start": END, "end": START}, "end_before_start"),
        ({"start": NOW - timedelta(hours=12), "end": END}, "event_too_long"),
        ({"end": START + timedelta(hours=12, seconds=1)}, "event_too_long"),
        ({"start": NOW + timedelta(days=91), "end": NOW + timedelta(days=91, hours=1)}, "event_too_far"),
        ({"power_w": 0}, "power_out_of_bounds"),
        ({"power_w": -5000}, "power_out_of_bounds"),
        ({"power_w": 1_000_001}, "power_out_of_bounds"),
        ({"power_w": True}, "power_out_of_bounds"),
        ({"name": " "}, "name_invalid"),
        ({"name": "x" * 121}, "name_invalid"),
        ({"name": "a\u202eb"}, "name_invalid"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_code(change: dict[str, object], code: str) -> None:
    wish = {"program_id": "peak", "name": "Peak", "start": START, "end": END, "power_w": 5000, "now": NOW} | change
    with pytest.raises(ManualEventError) as refused:
        enter_event(**wish)  # type: ignore[arg-type]
    assert refused.value.code == code
    assert refused.value.message
