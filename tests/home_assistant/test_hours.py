"""Hours of the day as residents write them, and what the controller is told."""

import pytest
from hypothesis import given, strategies as st

from custom_components.ridethrough.hours import HoursError, hours_of


@pytest.mark.parametrize(
    ("written", "hours"),
    [
        ("", []),
        ("  ", []),
        ("17:00-21:00", ["17:00 21:00"]),
        ("17:00-21:00, 06:00-09:00", ["06:00 09:00", "17:00 21:00"]),
        ("6 am to 9 am, 5 pm to 9 pm", ["06:00 09:00", "17:00 21:00"]),
        ("6:30am - 9am and 5:15 P.M. – 9 p.m.", ["06:30 09:00", "17:15 21:00"]),
        ("5-9 pm", ["17:00 21:00"]),
        ("10-2 pm", ["10:00 14:00"]),
        ("11-7 am", ["23:00 07:00"]),
        ("11 - 12 pm", ["11:00 12:00"]),
        ("22-7", ["22:00 07:00"]),
        ("12 am until 12 pm", ["00:00 12:00"]),
        ("18:00-24:00;", ["18:00 00:00"]),
        ("17.30-21.00\n6-9", ["06:00 09:00", "17:30 21:00"]),
    ],
)
def test_hours_are_understood_as_people_write_them(written: str, hours: list[str]) -> None:
    assert [" ".join(span) for span in hours_of(written)] == hours


@pytest.mark.parametrize(
    "written",
    [
        "evening",
        "17:00",
        "17:00-17:00",
        "0:00-24:00",
        "17:00-25:00",
        "17:00-24:01",
        "17:75-21:00",
        "12:75 pm-9 pm",
        "13 pm-2 pm",
        "0 am to 2 am",
        "5 pm-9",
        "17:00-21:00-22:00",
        "6-9 17-21",
        "1-2, 3-4, 5-6, 7-8, 9-10",
    ],
)
def test_what_names_no_hours_is_asked_for_again(written: str) -> None:
    with pytest.raises(HoursError):
        hours_of(written)


times = st.times().map(lambda at: f"{at:%H:%M}")


@given(st.lists(st.tuples(times, times).filter(lambda span: span[0] != span[1]), max_size=4))
def test_what_the_controller_is_told_reads_the_same_when_it_is_written_down(spans: list[tuple[str, str]]) -> None:
    written = ", ".join(f"{start}-{end}" for start, end in spans)
    assert hours_of(written) == tuple(sorted(spans))


@given(st.text(max_size=30))
def test_whatever_is_written_names_hours_or_none(text: str) -> None:
    try:
        hours = hours_of(text)
    except HoursError:
        hours = ()
    assert all(len(start) == len(end) == 5 and start != end for start, end in hours)
