"""What we send, and what the simulated utility answers, is what the official texts of OpenADR 3 say.

All requests of all tests in this folder are held to them (``conftest``); here stands that the check itself is strict.
"""

import json
from dataclasses import replace

import pytest

from edge_service.simulation.utility import Exchange
from tests.edge.programs.cases.test_cases_of_enrolment import opened_at
from tests.edge.programs.cases.test_cases_of_push import a_listening_house
from tests.edge.programs.openadr3_text import text_of
from tests.edge.programs.test_openadr3_source import MINUTE

VERSIONS = ("3.1.0", "3.0.1")
JSON = "application/json"
# openleadr-rs 0.2.4 leaves these out, as recorded, and so does the simulated utility.
LEFT_OUT = ("'objectType' is a required property", "'WEBHOOK' is a required property")


def asked(method: str, path: str, body: object = None, *query: tuple[str, str]) -> Exchange:
    text = b"" if body is None else json.dumps(body).encode()
    return Exchange(method, path, query, JSON, text, 200, b"")


GOOD = {
    "3.1.0": [
        asked("GET", "/events", None, ("programID", "p"), ("targets", "a"), ("targets", "b"), ("limit", "50")),
        asked("POST", "/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "home"}),
        asked("POST", "/resources", {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "home", "venID": "v"}),
    ],
    "3.0.1": [
        asked("GET", "/events", None, ("targetType", "GROUP"), ("targetValues", "a"), ("targetValues", "b")),
        asked("POST", "/vens", {"venName": "home"}),
        asked("POST", "/vens/v/resources", {"resourceName": "home"}),
    ],
}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_check_knows_what_is_right_in_each_version_and_wrong_in_the_other(version: str) -> None:
    (other,) = set(VERSIONS) - {version}
    for one in GOOD[version]:
        assert text_of(version).faults_of_request(one) == []
        assert text_of(other).faults_of_request(one) != []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (asked("GET", "/event"), "no such request"),
        (asked("DELETE", "/events"), "no such request"),
        (asked("GET", "/events", None, ("limit", "51")), "maximum"),
        (asked("GET", "/events", None, ("limit", "many")), "not of type"),
        (asked("GET", "/events", None, ("skip", "0"), ("skip", "1")), "2 times"),
        (asked("GET", "/events", None, ("colour", "red")), "no query 'colour'"),
        (asked("GET", "/events", {"a": 1}), "a body"),
        (asked("POST", "/vens", {"objectType": "VEN_VEN_REQUEST", "venName": ""}), "valid under any"),
        (asked("POST", "/vens", {"objectType": "VEN_VEN_REQUEST"}), "valid under any"),
        (asked("POST", "/vens", {"objectType": "VEN_VEN_REQUEST", "venName": "h", "x": 1}), "no property 'x'"),
        (replace(asked("POST", "/vens", {"venName": "h"}), kind="text/plain"), "media type"),
    ],
)
def test_the_check_finds_what_is_wrong(wrong: Exchange, says: str) -> None:
    faults = text_of("3.1.0").faults_of_request(wrong)
    assert any(says in fault for fault in faults), faults


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_simulated_utility_answers_as_the_text_says_but_for_what_a_real_one_leaves_out(version: str) -> None:
    async with opened_at(version) as desk:
        event = desk.call()
        await desk.poll()
        desk.utility.set_faults({"empty_lists": True})
        await desk.poll(MINUTE)
        told = [fault for one in desk.utility.exchanges for fault in text_of(version).faults_of_answer(one)]
        paths = {one.path for one in desk.utility.exchanges}
    assert f"/events/{event}" in paths
    assert [fault for fault in told if not _left_out(fault)] == []


def _left_out(fault: str) -> bool:
    return fault.endswith(LEFT_OUT) or fault == "GET /auth/server: the text knows no such request"


async def test_push_is_asked_for_and_told_as_the_text_says() -> None:
    async with a_listening_house("OAUTH2_BEARER_TOKEN") as house:
        seen = [one for one in house.utility.exchanges if one.path.startswith("/notifiers")]
    text = text_of("3.1.0")
    assert {one.path.rpartition("/")[2] for one in seen} == {"notifiers", "events", "programs"}
    assert [fault for one in seen for fault in text.faults_of_request(one)] == []
    assert [fault for one in seen for fault in text.faults_of_answer(one) if not _left_out(fault)] == []
