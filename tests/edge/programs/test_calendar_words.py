"""What people write into a calendar, and what the house makes of it."""

import pytest
from hypothesis import given, settings, strategies as st

from edge_service.domain.program import SlotKind
from edge_service.programs.calendar_words import MOST_W, UnclearError, Wish, looks_like_an_event, read_words

POWER = SlotKind.POWER


@pytest.mark.parametrize(
    ("title", "wish"),
    [
        ("Peak event 5 kW", Wish(POWER, -5000)),
        ("Peak 17-20 5 kW net", Wish(POWER, -5000, net=True)),
        ("PEAK EVENT 5KW", Wish(POWER, -5000)),
        ("peak 2500 w", Wish(POWER, -2500)),
        ("Peak event: 5.5 kW", Wish(POWER, -5500)),
        ("Peak event - 5 kW", Wish(POWER, -5000)),
        ("Peak event (5 kW)", Wish(POWER, -5000)),
        ("Peak event supply 5 kW", Wish(POWER, -5000)),
        ("Peak event use 3 kW", Wish(POWER, 3000)),
        ("Grid event charge 3 kW", Wish(POWER, 3000)),
        ("Demand response 17:00-20:00 discharge 4 kW", Wish(POWER, -4000)),
        ("DR event 5-8 pm 4 kW", Wish(POWER, -4000)),
        ("Peak event 5 to 8 pm, 5 kW", Wish(POWER, -5000)),
        ("Peak event from 17:00, 5 kW", Wish(POWER, -5000)),
        ("Peak 17:00–20:00: 5 kW", Wish(POWER, -5000)),
        ("Peak at 5 pm: 5 kW", Wish(POWER, -5000)),
        ("Peak 2026-07-15 5 kW", Wish(POWER, -5000)),
        ("Peak event max discharge", Wish(SlotKind.MAX_DISCHARGE)),
        ("Peak: discharge max", Wish(SlotKind.MAX_DISCHARGE)),
        ("Ridethrough no charge", Wish(SlotKind.NO_CHARGE)),
        ("Ridethrough: no charging 17-20", Wish(SlotKind.NO_CHARGE)),
        ("Ridethrough max charge", Wish(SlotKind.MAX_CHARGE)),
        ("Peak event cover the house", Wish(SlotKind.COVER_HOUSE)),
        ("Peak event Cape Light 5 kW", Wish(POWER, -5000)),
    ],
)
def test_a_title_says_what_is_asked(title: str, wish: Wish) -> None:
    assert read_words(title) == wish


@pytest.mark.parametrize(
    ("description", "wish"),
    [
        ("power: 5 kW", Wish(POWER, -5000)),
        ("Power: use 5 kW", Wish(POWER, 5000)),
        ("discharge: max", Wish(SlotKind.MAX_DISCHARGE)),
        ("discharge: 4 kW", Wish(POWER, -4000)),
        ("charge: 4 kW", Wish(POWER, 4000)),
        ("charge: none", Wish(SlotKind.NO_CHARGE)),
        ("charge: max", Wish(SlotKind.MAX_CHARGE)),
        ("No charge.", Wish(SlotKind.NO_CHARGE)),
        ("cover house", Wish(SlotKind.COVER_HOUSE)),
        (
            "Dear customer,\nplease help at 5 o'clock.\n\npower: 5 kW\nprogram: peak\nTel. 555 1234",
            Wish(POWER, -5000, program="peak"),
        ),
        ("<p>Hello</p><div>power:&nbsp;5 kW<br/>net</div>", Wish(POWER, -5000, net=True)),
    ],
)
def test_lines_of_the_description_say_it_too(description: str, wish: Wish) -> None:
    assert read_words("Peak event", description) == wish


def test_a_line_that_names_a_program_makes_an_entry_one_of_ours() -> None:
    assert read_words("Hot day", "program: peak\npower: 5 kW") == Wish(POWER, -5000, program="peak")
    assert read_words("Hot day", "power: 5 kW") is None


@pytest.mark.parametrize(
    "title", ["Dentist", "", "Speak 5 kW", "Peaky 5 kW", "Workshop on the Peak 5 kW", "Peak's 5 kW", "An event 5 kW"]
)
def test_what_is_none_of_ours_is_passed_over(title: str) -> None:
    assert read_words(title) is None


@pytest.mark.parametrize("title", ["Peak event cancelled 5 kW", "Peak event 5 kW CANCELED"])
def test_what_is_called_off_asks_nothing(title: str) -> None:
    assert read_words(title) is None


@pytest.mark.parametrize(
    "title",
    [
        "Peak event",
        "Peak event 5",
        "Peak event -5 kW",
        "Peak event −5 kW",
        "Peak event +5 kW",
        "Peak event 3-5 kW",
        "Peak event 3 - 5 kW",
        "Peak event 3 to 5 kW",
        "Peak event 17-20.5 kW",
        "Peak event 3-5 kW 4 kW",
        "Peak event 1 500 W",
        "Peak event .5 kW",
        "Peak event 5e3 W",
        "Peak event 5 kW x2",
        "Peak event 5 kW - 7 kW",
        "Peak event 17:00:5 kW",
        "Peak event 5,5 kW",
        "Peak event 1,000 W",
        "Peak event 1.500 kW",
        "Peak event 5 kWh",
        "Peak event 5 MW",
        "Peak event 5 kVA",
        "Peak event kW",
        "Peak event 0 kW",
        "Peak event 0.4 W",
        "Peak event 5000 kW",
        "Peak event 99999999 W",
        "Peak event 5 kW or 6 kW",
        "Peak event 5 kW 6 kW",
        "Peak event up to 5 kW",
        "Peak event about 5 kW",
        "Peak event ~5 kW",
        "Peak event max 5 kW",
        "Peak event not 5 kW",
        "Peak event 5 kW?",
        "Peak event maybe 5 kW",
        "Peak event supply 5 kW charge",
        "Peak event no charge 5 kW",
        "Peak event no charge, max discharge",
        "Peak event 50 % 5 kW",
        "Peak event ½ 5 kW",
        "Peak event 2 x 5 kW",
        "Peak event 7/15 5 kW",
        "Peak event \uff15 kW",
        "Peak event \u0665 kW",
        "Peak event 5 kW/h",
        "Peak event 5 kW per car",
        "Peak event postponed, 5 kW",
        "Peak event " + "x" * 200 + " 5 kW",
    ],
)
def test_what_is_one_of_ours_and_not_clear_is_told_and_never_acted_on(title: str) -> None:
    assert looks_like_an_event(title)
    with pytest.raises(UnclearError):
        read_words(title)


@pytest.mark.parametrize(
    ("title", "description"),
    [
        ("Peak event 5 kW", "power: 4 kW"),
        ("Peak event 5 kW", "no charge"),
        ("Peak event", "power: five"),
        ("Peak event", "power: 5"),
        ("Peak event 5 kW", "discharge:"),
        ("Peak event", "charge: discharge 5 kW"),
        ("Peak event 5 kW", "program: Cape Light"),
        ("Peak event 5 kW", "program: a\nprogram: b"),
    ],
)
def test_a_title_and_a_description_that_disagree_are_not_clear(title: str, description: str) -> None:
    with pytest.raises(UnclearError):
        read_words(title, description)


WORDS = st.lists(
    st.one_of(
        st.sampled_from(["Peak", "event", "grid", "kW", "W", "kWh", "5", "17-20", "-5", "0", "5.5", "1,000", "%", "?"]),
        st.sampled_from(["no", "charge", "max", "discharge", "use", "supply", "net", "cover", "house", "cancelled"]),
        st.sampled_from(["program:", "power:", "\n", "<br>", "am", "pm", ":", "-", "not", "\uff15", "½"]),
        st.text(max_size=8),
    ),
    max_size=12,
).map(" ".join)


@given(WORDS, WORDS)
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_is_a_wish_in_bounds_or_unclear_or_none_of_ours(title: str, description: str) -> None:
    for opened in (title, f"Peak {title}"):
        try:
            wish = read_words(opened, description)
        except UnclearError:
            continue
        if wish is not None:
            assert (wish.kind is POWER) == (1 <= abs(wish.power_w) <= MOST_W)


@settings(deadline=None)
@given(st.integers(-(10**9), 10**9), st.sampled_from(["kW", "W", "kw", "kWh", "MW", "", "hp"]))
def test_only_a_plain_number_with_its_unit_is_acted_on(number: int, unit: str) -> None:
    try:
        wish = read_words(f"Peak event {number} {unit}")
    except UnclearError:
        wish = None
    watts = number * {"kw": 1000, "w": 1}.get(unit.lower(), 0)
    assert wish == (Wish(POWER, -watts) if 0 < watts <= MOST_W else None)
