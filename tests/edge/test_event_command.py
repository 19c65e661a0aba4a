"""``ridethrough event`` as a person types it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_service.command_line.events import lines_of
from tests.edge.test_command_line import SITE, TOKEN, FakeEdge, Outcome, ridethrough, serving

HOT = {
    "uid": "hand:1",
    "name": "Hot evening",
    "status": "announced",
    "start": "2026-07-15T21:00:00.000Z",
    "end": "2026-07-16T00:00:00.000Z",
    "power_w": -5000,
    "feasible_w": -3000,
    "flags": ["holiday"],
    "asks": True,
    "opted_out": True,
    "stake_usd": 30.56,
}
OVER = HOT | {"uid": "hand:0", "name": "Yesterday", "status": "finished"}
SOON = HOT | {"uid": "ven:2", "name": "Soon", "start": "2026-07-14T21:00:00.000Z", "flags": [], "asks": False}
PROGRAMS = {
    "peak": {"kind": "manual", "participating": True, "days_opted_out": ["2026-07-20"], "events": [HOT, OVER]},
    "grid": {"kind": "openadr3", "participating": False, "days_opted_out": [], "events": [SOON], "problem": "no token"},
}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[FakeEdge]:
    """A running edge of a site in New York."""
    answers: dict[str, Any] = {
        "/api/v1/state": {"programs": PROGRAMS},
        "enter_event": {"data": {"event": "hand:9"}},
        "opt_out": {"data": {"stake_usd": 30.56, "average_w": 111}},
        "opt_in": {"data": {"stake_usd": None, "average_w": None}},
    }
    fake = FakeEdge(answers | {name: {} for name in ("opt_out_day", "opt_in_day", "set_participation", "cancel_event")})
    with serving(fake) as port:
        text = SITE.format(port=port).replace("import_max_a: 100", "import_max_a: 100, time_zone: America/New_York")
        (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "local.token").write_text(f"{TOKEN}\n", encoding="ascii")
        yield fake


def event(folder: Path, *words: str) -> Outcome:
    return ridethrough("event", *words, cwd=folder)


def test_the_list_tells_what_comes_in_local_time_with_money_rules_and_what_is_left_out(
    edge: FakeEdge, tmp_path: Path
) -> None:
    told = event(tmp_path, "list").out
    assert "Hot evening (peak): announced, Wed 2026-07-15 17:00:00 EDT to Wed 2026-07-15 20:00:00 EDT" in told
    for words in ("asked to give 5.00 kW; what can be held: give 3.00 kW", "$30.56", "on a holiday"):
        assert words in told
    assert told.index("Soon") < told.index("Hot evening")
    assert "ridethrough event in hand:1" in told
    assert "Yesterday" not in told
    said_yes = "\n".join(lines_of("peak", HOT | {"opted_out": False}, None))
    assert "until you say yes" not in said_yes
    assert "peak is left out on 2026-07-20" in told
    assert "all events of grid are left out" in told
    assert "grid has a problem: no token" in told
    assert "  problem: no token" in ridethrough("state", cwd=tmp_path).out


@pytest.mark.parametrize(
    ("start", "end", "begins", "ends"),
    [
        ("2026-07-15 17:00", "20:00", "2026-07-15T17:00:00-04:00", "2026-07-15T20:00:00-04:00"),
        ("2026-07-15 23:00", "01:00", "2026-07-15T23:00:00-04:00", "2026-07-16T01:00:00-04:00"),
        ("2026-07-15T21:00:00Z", "23:00", "2026-07-15T21:00:00+00:00", "2026-07-15T23:00:00+00:00"),
        ("2026-01-15 17:00", "2026-01-15 18:30", "2026-01-15T17:00:00-05:00", "2026-01-15T18:30:00-05:00"),
    ],
)
def test_an_event_is_entered_by_the_clock_on_the_wall(
    start: str, end: str, begins: str, ends: str, edge: FakeEdge, tmp_path: Path
) -> None:
    done = event(tmp_path, "enter", "--start", start, "--end", end, "--power", "4.5", "--name", "Mail")
    assert (done.code, done.err) == (0, "")
    assert "uid hand:9" in done.out
    wish = {"program": "peak", "name": "Mail", "power_w": 4500, "start": begins, "end": ends}
    assert edge.commands[-1]["args"] == wish


@pytest.mark.parametrize(
    ("words", "name", "args", "told"),
    [
        (("out", "hot evening"), "opt_out", {"event": "hand:1"}, "gives up $30.56 and 0.111 kW"),
        (("in", "hand:1"), "opt_in", {"event": "hand:1"}, "It is served."),
        (("out", "hot evening", "--program", "peak"), "opt_out", {"event": "hand:1"}, "gives up $30.56"),
        (("out", "--day", "2026-07-15"), "opt_out_day", {"day": "2026-07-15", "program": None}, "all programs"),
        (
            ("in", "--day", "2026-07-15", "--program", "peak"),
            "opt_in_day",
            {"day": "2026-07-15", "program": "peak"},
            "2026-07-15 is served again: peak",
        ),
        (("out", "--program", "peak"), "set_participation", {"program": "peak", "participating": False}, "left out"),
        (("in", "--program", "grid"), "set_participation", {"program": "grid", "participating": True}, "served again"),
        (("cancel", "Hot evening"), "cancel_event", {"event": "hand:1"}, "taken back"),
    ],
)
def test_a_persons_say_reaches_the_edge(
    words: tuple[str, ...], name: str, args: dict[str, Any], told: str, edge: FakeEdge, tmp_path: Path
) -> None:
    done = event(tmp_path, *words)
    assert (done.code, done.err) == (0, "")
    assert told in done.out
    assert (edge.commands[-1]["name"], edge.commands[-1]["args"]) == (name, args)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("out", "Yesterday"), "no event 'Yesterday' runs or comes; there are: ven:2, Soon"),
        (("out", "Hot evening", "--program", "grid"), "no event 'Hot evening' runs or comes; there are: ven:2, Soon"),
        (("out",), "say one of: an event, --day, or --program"),
        (("out", "hand:1", "--day", "2026-07-15"), "say one of"),
        (("out", "--day", "15 July"), "found 15 July; allowed: a local date such as 2026-07-15"),
        (("in", "--program", "nix"), "there is no program nix; known are: peak, grid"),
        (("enter", "--start", "5 pm", "--end", "20:00", "--power", "5"), "--start: found '5 pm'; allowed: a date"),
        (("enter", "--start", "2026-07-15 17:00", "--end", "8pm", "--power", "5"), "--end: found '2026-07-15 8pm'"),
        (("enter", "--start", "2026-07-15 17:00", "--end", "20:00", "--power", "-5"), "found -5; allowed: above 0"),
    ],
)
def test_what_is_not_clear_is_refused_with_what_is_allowed(
    words: tuple[str, ...], told: str, edge: FakeEdge, tmp_path: Path
) -> None:
    done = event(tmp_path, *words)
    assert done.code != 0
    assert told in done.err
    assert edge.commands == []


def test_two_events_of_one_name_are_told_apart_by_their_uid(edge: FakeEdge, tmp_path: Path) -> None:
    twin = HOT | {"uid": "hand:3"}
    edge.answers["/api/v1/state"] = {"programs": {"peak": PROGRAMS["peak"] | {"events": [HOT, twin]}}}
    done = event(tmp_path, "out", "Hot evening")
    assert "several events have the name 'Hot evening'" in done.err
    assert "hand:1, Hot evening, Wed 2026-07-15 17:00:00 EDT; hand:3" in done.err


def test_whose_event_it_is_must_be_said_where_several_programs_take_them(edge: FakeEdge, tmp_path: Path) -> None:
    both = {"peak": {"kind": "manual"}, "club": {"kind": "manual"}}
    edge.answers["/api/v1/state"] = {"programs": both}
    words = ("--start", "2026-07-15 17:00", "--end", "20:00", "--power", "5")
    assert "with --program; by hand are: peak, club" in event(tmp_path, "enter", *words).err
    assert event(tmp_path, "enter", *words, "--program", "club").code == 0


def test_a_time_without_an_offset_needs_the_sites_time_zone(edge: FakeEdge, tmp_path: Path) -> None:
    text = (tmp_path / "site.yaml").read_text(encoding="utf-8").replace(", time_zone: America/New_York", "")
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    done = event(tmp_path, "enter", "--start", "2026-07-15 17:00", "--end", "20:00", "--power", "5")
    assert "--start: 2026-07-15 17:00 says no offset, and site.yaml no time_zone" in done.err
