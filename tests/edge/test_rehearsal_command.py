"""``ridethrough rehearse`` as a person types it."""

import argparse

import pytest

from edge_service.command_line import local_edge
from edge_service.command_line.outcome import Commands
from edge_service.command_line.rehearsal import add_commands, lines_of
from edge_service.domain.model import SiteFacts, frozen_map


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    commands: Commands = parser.add_subparsers()
    add_commands(commands)
    return parser.parse_args(["rehearse", *words])


class SiteInNewYork:
    """The configuration, as far as it is asked."""

    def facts(self) -> SiteFacts:
        return SiteFacts("Home", frozen_map({}), 24_000, time_zone="America/New_York")


class Sent:
    """What reached the edge."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, dict[str, object]]] = []

    def command(self, name: str, args: dict[str, object]) -> dict[str, object]:
        self.commands.append((name, args))
        return {"start": "2026-07-15T21:00:00+00:00", "end": "2026-07-15T21:05:00+00:00"}


@pytest.mark.parametrize(
    ("words", "name", "args"),
    [
        ((), "start_rehearsal", {"dry": True, "minutes": 5}),
        (
            ("--pulse", "1.5", "--minutes", "3", "--program", "peak", "--at", "2026-07-15T21:00:00Z"),
            "start_rehearsal",
            {"dry": False, "minutes": 3, "program": "peak", "power_w": 1500, "at": "2026-07-15T21:00:00+00:00"},
        ),
        (
            ("--at", "2026-07-15 17:00"),
            "start_rehearsal",
            {"dry": True, "minutes": 5, "at": "2026-07-15T17:00:00-04:00"},
        ),
        (("--cancel",), "cancel_rehearsal", {}),
    ],
)
def test_words_become_a_command(
    words: tuple[str, ...],
    name: str,
    args: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sent = Sent()
    monkeypatch.setattr("edge_service.config.load", lambda path: SiteInNewYork())
    monkeypatch.setattr(local_edge.LocalEdge, "of", lambda config: sent)
    wanted = parsed(*words)
    assert wanted.act(wanted) == 0
    assert "17:00:00 EDT" in (told := capsys.readouterr().out) or "taken back" in told
    assert sent.commands == [(name, args)]


@pytest.mark.parametrize("power", ["0", "6", "much", "-1"])
def test_a_pulse_out_of_bounds_is_refused_before_anything_is_asked(
    power: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed("--pulse", power)
    assert f"found {power}; allowed: 0.1 to 5 kW" in capsys.readouterr().err


def test_the_log_says_what_was_measured() -> None:
    entry = {"kind": "rehearsal_passed", "start": "2026-07-15T21:00:00+00:00", "score": 85, "dry": False}
    entry |= {"target_w": -1000, "program": "peak", "start_s": 0.4, "told_s": None, "energy_wh": 80, "error_w": 12}
    text = "\n".join(lines_of(entry | {"gap_s": 0, "limited_by": ["reserve"], "reasons": ["limited"]}))
    for words in (
        "passed, score 85, -1000 W",
        "began 0.4 s after",
        "told after not known",
        "80 Wh, off its target by 12 W",
    ):
        assert words in text
    assert "limited by: reserve" in text
    assert "off its target" not in "\n".join(lines_of(entry | {"dry": True}))


def test_the_log_says_no_more_of_a_rehearsal_that_was_taken_back() -> None:
    entry = {"kind": "rehearsal_cancelled", "start": "2026-07-15T21:00:00+00:00", "dry": True, "program": "peak"}
    assert list(lines_of(entry)) == ["2026-07-15T21:00:00+00:00: cancelled, no score, dry, program peak"]
