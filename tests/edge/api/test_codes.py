"""Every code that the edge can say stands in the contract's document and has words in the integration."""

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from edge_service.chargers import evtec_bidipro_10, sigenergy_evdc, sunspec_7xx
from edge_service.domain.commands import COMMANDS
from edge_service.domain.drill import COSTS
from edge_service.domain.drill_checks import Refusal
from edge_service.domain.memory import DepartureStage, EventStage, IslandStep
from edge_service.domain.model import AtEnd, Authority, ChargerState, Grid, ManualKind, Mode, Stage, Supply
from edge_service.domain.policies import LADDER
from edge_service.domain.policies.device_safety import NOT_READY
from edge_service.domain.rehearsal_commands import Refusal as RehearsalRefusal
from edge_service.domain.runtime_commands import QUESTIONS
from edge_service.household import Household
from tests.edge.api.codes import GAP, Found, Place, codes_of, compared_with
from tests.edge.api.test_contract import ROOT, section

EDGE = ROOT / "edge_service"
INTEGRATION = ROOT / "custom_components" / "ridethrough"
WORDS: dict[str, Any] = json.loads((INTEGRATION / "translations" / "en.json").read_text(encoding="utf-8"))
CONTRACT = section(1)

# What may stand in the gap of a text that is put together.
GAPS: Mapping[str, Iterable[str]] = {
    f"charger_{GAP}": (f"charger_{state}" for state in NOT_READY - {ChargerState.UNAVAILABLE}),
    f"manual_{GAP}": (f"manual_{kind}" for kind in ManualKind),
    f"drill_{GAP}": (f"drill_{refusal}" for refusal in Refusal),
    f"rehearsal_{GAP}": (f"rehearsal_{refusal}" for refusal in RehearsalRefusal),
}
GAPS = {pattern: frozenset(codes) for pattern, codes in GAPS.items()}

# Told to nobody in Home Assistant: the edge's log has it, and nothing can be done about it from there.
NOT_SHOWN = frozenset({"journal_restarted"})


@dataclass(frozen=True, slots=True)
class Group:
    """Calls that hold codes of one kind, and where. ``passes_on``: functions whose calls hold none of their own."""

    places: Mapping[str, Place]
    files: str
    passes_on: frozenset[str] = frozenset()

    def collect(self) -> Found:
        codes: set[str] = set()
        unclear: list[str] = []
        for path in sorted(path for path in EDGE.glob(self.files) if "simulation" not in path.parts):
            found = codes_of(path.read_text(encoding="utf-8"), self.places, self.passes_on)
            codes |= found.codes
            unclear += [f"{path.relative_to(ROOT)} {where}" for where in found.unclear]
        whole = {code for pattern in codes for code in GAPS.get(pattern, {pattern})}
        return Found(frozenset(whole), tuple(unclear))


STEPS = Group(
    {"Narrowing": Place(0, "reason"), "HandsOff": Place(1, "reason"), "no_discharge": Place(0, "reason")},
    "domain/**/*.py",
)
HAPPENINGS = Group(
    {"Happening": Place(0, "kind"), "_happening": Place(1, "kind"), "tell": Place(0, "kind")},
    "**/*.py",
    # The news' own ``tell`` has no kind; the journal reads back what was told.
    frozenset({"decide", "happenings_since", "_numbered"}),
)
NOTICES = Group({"_notice": Place(2, "kind"), "Notice": Place(1, "kind")}, "**/*.py", frozenset({"_notice"}))
ERRORS = Group(
    {
        "CommandRefusedError": Place(0, "code"),
        "ManualEventError": Place(0, "code"),
        "_require": Place(1, "code"),
        "refused": Place(1, "code"),
    },
    "**/*.py",
)
REFUSALS = Group({"DeviceRefusedError": Place(1, "reason"), "_refusal": Place(1, "reason")}, "char*/**/*.py")
DESK = Group(
    {"DeviceRefusedError": Place(1, "reason"), "refused": Place(1, "reason"), "undone": Place(1, "reason")},
    "charger_desk.py",
)
# What is followed again has no reason any more.
LIMITS = Group({"replace": Place(9, "reason")}, "domain/evidence.py", frozenset({"_followed"}))
GROUPS = {
    "steps": STEPS,
    "happenings": HAPPENINGS,
    "notices": NOTICES,
    "errors": ERRORS,
    "refusals": REFUSALS,
    "desk": DESK,
    "limits": LIMITS,
}


# ------------------------------------------------------------------------------------ what documents and words say


def documented(heading: str) -> frozenset[str]:
    """The codes in the first column of the table under a heading of the contract."""
    body = re.split(r"^### ", CONTRACT.split(f"### {heading}\n")[1], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| (`[^|]*`) \|", body, flags=re.MULTILINE)
    return frozenset(code for row in rows for code in re.findall(r"`([^`]+)`", row))


def values_of(shape: str, key: str) -> frozenset[str]:
    """The words that the contract allows for a key of a message: all of its row that is in code."""
    body = re.split(r"^### ", CONTRACT.split(f"### {shape}\n")[1], flags=re.MULTILINE)[0]
    (row,) = re.findall(rf"^\| `{key}` \| (.*) \|$", body, flags=re.MULTILINE)
    return frozenset(re.findall(r"`([a-z_]+)`", row))


def states(key: str, platform: str = "sensor") -> frozenset[str]:
    """The states of an entity that have words."""
    return frozenset(WORDS["entity"][platform][key]["state"])


def event_kinds() -> frozenset[str]:
    """The occurrences that the integration's event entities tell."""
    tree = ast.parse((INTEGRATION / "event.py").read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return frozenset(documented("Occurrences") & texts)


def worded(prefix: str, suffix: str = "", part: str = "common") -> frozenset[str]:
    """The codes that have a text of this name in a part of the integration's words."""
    pattern = re.compile(f"{prefix}(.*){suffix}")
    return frozenset(match[1] for key in WORDS[part] if (match := pattern.fullmatch(key)))


def missing(codes: Iterable[str], *known: Iterable[str]) -> list[str]:
    """The codes that at least one of the lists does not have."""
    return sorted({code for code in codes for one in known if code not in frozenset(one)})


# ------------------------------------------------------------------------------------------------------ the tests


@pytest.mark.parametrize("name", GROUPS)
def test_every_code_in_the_source_can_be_followed(name: str) -> None:
    found = GROUPS[name].collect()
    assert found.codes
    assert found.unclear == ()
    assert [code for code in found.codes if GAP in code] == []


def reasons_of(sensor: str) -> frozenset[str]:
    """The words of a sensor's attribute that lists reasons."""
    return frozenset(WORDS["entity"]["sensor"][sensor]["state_attributes"]["reasons"]["state"])


@pytest.mark.parametrize(
    ("heading", "sensor"), [("Reasons of a drill", "drill_status"), ("Reasons of readiness", "backup_readiness")]
)
def test_every_reason_of_a_drill_and_of_readiness_has_words(heading: str, sensor: str) -> None:
    assert missing(documented(heading), reasons_of(sensor)) == []


def test_every_reason_of_a_drill_that_the_edge_gives_is_documented() -> None:
    ends = {"slow_transfer", "not_transferred", "not_returned", "collapsed", "order_stands"}
    given = set(Refusal) | set(COSTS) | ends
    assert missing(given, documented("Reasons of a drill")) == []


def test_every_rung_is_documented_and_has_words() -> None:
    rungs = [rung.name for rung in LADDER]
    assert missing(rungs, documented("Rungs"), states("control_reason")) == []
    assert missing(documented("Rungs"), rungs) == []


def test_every_reason_of_a_step_is_documented_and_has_words() -> None:
    assert missing(STEPS.collect().codes, documented("Reasons of a step"), states("why")) == []
    assert states("why") - {"other"} == documented("Reasons of a step")


def test_every_reason_of_an_order_is_documented_and_has_words() -> None:
    codes = REFUSALS.collect().codes | DESK.collect().codes | LIMITS.collect().codes
    codes |= link_reasons() | {"refused"} | realised()
    assert missing(codes, documented("Reasons of an order"), states("limited_by")) == []
    assert states("limited_by") - {"none", "other"} == documented("Reasons of an order")
    told = WORDS["entity"]["event"]["session"]["state_attributes"]["reason"]["state"]
    assert missing(documented("Reasons of an order"), told) == []


def test_every_stage_of_an_order_is_documented_and_has_words() -> None:
    assert values_of("OrderState", "stage") == states("order") - {"none"} == frozenset(Stage)


def test_every_alarm_that_has_a_name_is_documented_and_has_words() -> None:
    codes = {
        *evtec_bidipro_10.WHY,
        "power_unit_error",
        *(alarm.name.lower() for alarm in sunspec_7xx.Alarm if alarm.name),
    }
    for word, names in sigenergy_evdc._ALARM_NAMES.items():
        codes |= {f"{word}_{name}" for name in names.values()}
    assert codes == documented("Alarms") == alarm_words("sensor", "why", "limited_by")
    assert codes == alarm_words("binary_sensor", "problem", "alarms")
    assert missing(evtec_bidipro_10.WHY, documented("Reasons of an order")) == []


def alarm_words(platform: str, key: str, attribute: str) -> frozenset[str]:
    """The values of an attribute that have words."""
    return frozenset(WORDS["entity"][platform][key]["state_attributes"][attribute]["state"])


def test_every_occurrence_is_documented_and_told() -> None:
    codes = HAPPENINGS.collect().codes
    assert missing(codes - NOT_SHOWN, documented("Occurrences"), event_kinds()) == []
    assert missing(NOT_SHOWN, documented("Occurrences")) == []
    assert missing(documented("Occurrences"), event_kinds() | NOT_SHOWN) == []


def test_every_notice_is_documented_and_has_words() -> None:
    codes = NOTICES.collect().codes
    assert missing(codes, documented("Notices"), worded("notice_", "_title"), worded("notice_", "_text")) == []
    assert worded("notice_", "_text") - {"other"} == documented("Notices")


def test_every_error_is_documented_and_has_words() -> None:
    codes = ERRORS.collect().codes
    assert missing(codes, documented("Errors"), worded("edge_", part="exceptions")) == []
    assert missing(documented("Errors"), worded("edge_", part="exceptions")) == []


def test_every_command_is_documented() -> None:
    asked = {*COMMANDS, *QUESTIONS, *Household._special}
    for file in ("app.py", "api/commands.py"):
        asked |= compared_with((EDGE / file).read_text(encoding="utf-8"), "name")
    assert missing(asked, documented("Commands")) == []


@pytest.mark.parametrize(
    ("words", "shape", "key"),
    [
        (Grid, "SiteWire", "grid"),
        (Supply, "SiteWire", "supply"),
        (IslandStep, "SiteWire", "islanding"),
        (Mode, "SiteWire", "mode"),
        (AtEnd, "SiteWire", "at_end"),
        (ChargerState, "ChargerWire", "state"),
        (Authority, "ChargerWire", "authority"),
        (ManualKind, "ManualState", "kind"),
        (EventStage, "EventWire", "status"),
        (DepartureStage, "DepartureState", "stage"),
    ],
)
def test_the_document_names_every_word_of_a_list_and_no_other(words: Iterable[str], shape: str, key: str) -> None:
    assert values_of(shape, key) == frozenset(words)


def test_the_words_of_lists_have_words_for_residents() -> None:
    assert missing(EventStage, states("event_status")) == []
    assert missing(set(Supply) - {Supply.UNKNOWN}, states("supply")) == []
    assert missing(set(Authority) - {Authority.UNKNOWN}, states("authority")) == []
    assert missing(Mode, states("operating_mode", "select")) == []
    assert missing(AtEnd, states("at_end", "select")) == []


def test_every_reason_that_no_backup_gives_has_words() -> None:
    failures = transitions_that_fail()
    assert "not_formed" in failures
    assert missing(failures | {"ended", "no_charger"}, worded("reason_"), values_of("Notices", "no_backup")) == []


def transitions_that_fail() -> frozenset[str]:
    """The reasons of the island's transitions that are failures."""
    tree = ast.parse((EDGE / "domain" / "islanding_table.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Transition"]
    failing = [call for call in calls if any(keyword.arg == "failure" for keyword in call.keywords)]
    return frozenset(ast.literal_eval(call.args[2]) for call in failing)


def link_reasons() -> frozenset[str]:
    """What the link makes of a device's exceptions."""
    source = (EDGE / "chargers" / "link.py").read_text(encoding="utf-8")
    return codes_of(source, REFUSALS.places).codes


def realised() -> frozenset[str]:
    """Why an order differs from the wish."""
    source = (EDGE / "domain" / "realise.py").read_text(encoding="utf-8")
    texts = re.findall(r'"(rounded|dead_zone_[a-z]+|dwell)"', source)
    assert {"rounded", "dwell"} <= set(texts)
    return frozenset(texts)


# --------------------------------------------------------------------------------------------------- the test's own


MADE_UP = [
    ('Narrowing("made_up")', "made_up"),
    ('Narrowing(reason="made_up")', "made_up"),
    ('HandsOff("car", "rests" if dark else "made_up")', "made_up"),
    ('def f(x):\n    why = "made_up"\n    return HandsOff("car", why or "rests")', "made_up"),
    ('def g():\n    return "made_up"\ndef f():\n    why = g()\n    return HandsOff("car", why)', "made_up"),
    ('WHY = {1: "made_up"}\ndef f():\n    return Narrowing(WHY[1])', "made_up"),
    ('WHY = {1: "made_up"}\ndef f():\n    return Narrowing(WHY.get(1, "rests"))', "made_up"),
    ('class W:\n    A = "made_up"\ndef f():\n    return Narrowing(W.A)', "made_up"),
    ('def f(s):\n    return Narrowing(f"made_{s}")', f"made_{GAP}"),
]


@pytest.mark.parametrize(("source", "code"), MADE_UP)
def test_a_code_without_words_is_found(source: str, code: str) -> None:
    found = codes_of(source, STEPS.places)
    assert missing(found.codes, documented("Reasons of a step"), states("why")) == [code]
    assert found.unclear == ()


def test_a_code_from_nowhere_is_told() -> None:
    assert codes_of("Narrowing(somewhere())", STEPS.places).unclear == ("line 1: somewhere()",)


def test_a_document_that_lacks_a_code_is_noticed() -> None:
    known = documented("Errors")
    assert missing(known, known - {"too_late"}) == ["too_late"]
