"""What a client may report: read strictly, in bounds, and none of it counts where a part is wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from edge_service.domain.asked import CommandRefusedError
from edge_service.domain.model import AlertKind, Confidence, LoadState, Position, SwitchReading
from edge_service.domain.reported import MOST_ALERTS, MOST_EVIDENCE, MOST_LOADS, VALID_S, Report, read_report

NOW = datetime(2026, 7, 15, 21, tzinfo=UTC)
PIECE = {"source": "binary_sensor.street", "present": False, "position": "grid_side", "confidence": "likely"}
WIND = {"id": "nws-1", "kind": "wind", "name": "Gale", "start": "2026-07-15T20:00:00-04:00", "end": None}


def refusal(**args: Any) -> CommandRefusedError:
    with pytest.raises(CommandRefusedError) as refused:
        read_report(args, NOW)
    assert refused.value.code == "bad_argument"
    return refused.value


# --------------------------------------------------------------------------------------------------- what it says


def test_what_is_not_spoken_of_is_none_and_what_is_empty_is_taken_back() -> None:
    assert read_report({}, NOW) == Report()
    empty = read_report({"evidence": [], "switch": None, "loads": {}, "alerts": []}, NOW)
    assert empty == Report(evidence={}, switch={}, loads={}, alerts={})


def test_a_piece_of_evidence_is_as_old_as_its_message() -> None:
    (piece,) = (read_report({"evidence": [PIECE]}, NOW).evidence or {}).values()
    assert (piece.source, piece.at, piece.present, piece.valid_s) == ("binary_sensor.street", NOW, False, VALID_S)
    assert (piece.position, piece.confidence, piece.detail) == (Position.GRID_SIDE, Confidence.LIKELY, "")


def test_an_entity_that_does_not_say_where_it_is_sees_the_house_and_not_the_street() -> None:
    piece = {key: value for key, value in PIECE.items() if key != "position"}
    assert (read_report({"evidence": [piece]}, NOW).evidence or {})["binary_sensor.street"].position is (
        Position.PROTECTED_SIDE
    )


def test_of_a_source_that_is_named_twice_the_last_word_counts() -> None:
    report = read_report({"evidence": [PIECE, PIECE | {"present": True}]}, NOW)
    assert [piece.present for piece in (report.evidence or {}).values()] == [True]


def test_keys_that_a_newer_client_sends_are_passed_over() -> None:
    load = {"state": "shed", "power_w": 1499.6, "colour": "red"}
    switch = {"commanded_open": True, "open_proven": None, "weather": 1}
    args = {"evidence": [PIECE | {"age_s": 3}], "loads": {"pool": load}, "switch": switch, "alerts": [WIND | {"x": 1}]}
    report = read_report(args | {"of_tomorrow": [1]}, NOW)
    assert (report.loads or {})["pool"].state is LoadState.SHED
    assert (report.loads or {})["pool"].power_w == 1500
    assert report.switch == {"switch": SwitchReading(NOW, commanded_open=True, open_proven=None, closed_proven=None)}
    assert (report.alerts or {})["nws-1"].kind is AlertKind.WIND


def test_a_load_of_which_nothing_is_known_is_reported_as_such() -> None:
    (load,) = (read_report({"loads": {"pool": {}}}, NOW).loads or {}).values()
    assert (load.state, load.power_w, load.valid_s) == (None, None, VALID_S)


def test_an_alerts_times_are_taken_to_utc() -> None:
    (alert,) = (read_report({"alerts": [WIND]}, NOW).alerts or {}).values()
    assert (alert.start, alert.end) == (datetime(2026, 7, 16, 0, tzinfo=UTC), None)
    assert alert.start.utcoffset() == timedelta()


# --------------------------------------------------------------------------------------------------------- in bounds


def test_as_many_as_there_may_be_are_taken_and_one_more_is_refused() -> None:
    pieces = [PIECE | {"source": f"sensor.s{number}"} for number in range(MOST_EVIDENCE + 1)]
    alerts = [WIND | {"id": f"a{number}"} for number in range(MOST_ALERTS + 1)]
    loads = {f"g{number}": {"state": "on"} for number in range(MOST_LOADS + 1)}
    most = read_report(
        {"evidence": pieces[1:], "alerts": alerts[1:], "loads": dict(list(loads.items())[1:])},
        NOW,
    )
    sizes = [len(kind or ()) for kind in (most.evidence, most.alerts, most.loads)]
    assert sizes == [MOST_EVIDENCE, MOST_ALERTS, MOST_LOADS]
    for one_more in ({"evidence": pieces}, {"alerts": alerts}, {"loads": loads}):
        assert refusal(**one_more).data["argument"] in one_more


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"source": ""}, "evidence[0].source"),
        ({"source": "driveway"}, "evidence[0].source"),
        ({"source": "Binary_Sensor.Street"}, "evidence[0].source"),
        ({"source": "binary_sensor.street\n"}, "evidence[0].source"),
        ({"source": "sensor." + "a" * 129}, "evidence[0].source"),
        ({"source": 7}, "evidence[0].source"),
        ({"present": "off"}, "evidence[0].present"),
        ({"present": 0}, "evidence[0].present"),
        ({"position": "roof"}, "evidence[0].position"),
        ({"position": None}, "evidence[0].position"),
        ({"confidence": "sure"}, "evidence[0].confidence"),
        ({"confidence": None}, "evidence[0].confidence"),
        ({"detail": "x" * 201}, "evidence[0].detail"),
        ({"detail": None}, "evidence[0].detail"),
    ],
)
def test_evidence_that_is_not_of_its_form_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    assert refusal(evidence=[PIECE | change]).data["argument"] == named


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"start": "2026-07-15T20:00:00"}, "alerts[0].start"),
        ({"start": None}, "alerts[0].start"),
        ({"start": 1752600000}, "alerts[0].start"),
        ({"end": "2026-07-16T20:00:00"}, "alerts[0].end"),
        ({"end": WIND["start"]}, "alerts[0].end"),
        ({"end": "2026-07-15T00:00:00Z"}, "alerts[0].end"),
        ({"kind": "frogs"}, "alerts[0].kind"),
        ({"id": ""}, "alerts[0].id"),
        ({"id": "x" * 201}, "alerts[0].id"),
        ({"name": "x" * 201}, "alerts[0].name"),
        ({"name": None}, "alerts[0].name"),
    ],
)
def test_an_alert_that_is_not_of_its_form_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    assert refusal(alerts=[WIND | change]).data["argument"] == named


@pytest.mark.parametrize(
    ("group", "said", "named"),
    [
        ("pool", {"state": "gone"}, "loads.pool.state"),
        ("pool", {"state": True}, "loads.pool.state"),
        ("pool", {"power_w": 1_000_001}, "loads.pool.power_w"),
        ("pool", {"power_w": float("nan")}, "loads.pool.power_w"),
        ("pool", {"power_w": float("inf")}, "loads.pool.power_w"),
        ("pool", {"power_w": True}, "loads.pool.power_w"),
        ("pool", {"power_w": "5"}, "loads.pool.power_w"),
        ("pool", "shed", "loads.pool"),
        ("Pool pump", {"state": "on"}, "loads"),
        ("p" * 65, {"state": "on"}, "loads"),
        ("", {"state": "on"}, "loads"),
    ],
)
def test_a_load_that_is_not_of_its_form_is_refused_by_name(group: str, said: Any, named: str) -> None:
    assert refusal(loads={group: said}).data["argument"] == named


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({"switch": {"open_proven": "yes"}}, "switch.open_proven"),
        ({"switch": {"closed_proven": 1}}, "switch.closed_proven"),
        ({"switch": []}, "switch"),
        ({"switch": True}, "switch"),
        ({"evidence": None}, "evidence"),
        ({"evidence": {"a": PIECE}}, "evidence"),
        ({"evidence": ["sensor.a"]}, "evidence[0]"),
        ({"loads": None}, "loads"),
        ({"loads": []}, "loads"),
        ({"alerts": None}, "alerts"),
        ({"alerts": "storm"}, "alerts"),
    ],
)
def test_a_kind_of_the_wrong_type_is_refused_and_does_not_count_as_empty(args: dict[str, Any], named: str) -> None:
    assert refusal(**args).data["argument"] == named


def test_what_was_found_is_told_but_never_at_length() -> None:
    refused = refusal(evidence=[PIECE | {"detail": "x" * 100_000}])
    assert len(refused.data["found"]) <= 200
    assert len(str(refused)) < 500


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
tree = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner), max_leaves=8)
KEYS = ("source", "present", "position", "confidence", "id", "kind", "start", "end")
item = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, plain))


@given(st.fixed_dictionaries({}, optional={kind: tree | st.lists(item) for kind in ("evidence", "loads", "alerts")}))
def test_whatever_is_sent_is_read_or_refused_and_nothing_else(args: dict[str, Any]) -> None:
    report, code = Report(**{kind: {} for kind in args}), "bad_argument"
    try:
        report = read_report(args, NOW)
    except CommandRefusedError as refused:
        code = refused.code
    assert code == "bad_argument"
    assert all(getattr(report, kind) is not None for kind in args)
