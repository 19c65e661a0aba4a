"""What a person tells us about a program is checked at once, and each mistake is named."""

import json
from dataclasses import fields
from typing import Any

import pytest

from edge_service.domain.model import Program, Scope
from edge_service.ports import ConfigError
from edge_service.programs.openadr3_options import OpenAdr3Options
from edge_service.programs.openadr3_words import Meaning, Percent

GOOD: dict[str, Any] = {"id": "peak", "name": "Peak", "base_url": "https://vtn.example/openadr3/3.1.0"}


def test_few_options_suffice_and_become_the_program_of_the_domain() -> None:
    options = OpenAdr3Options.checked(GOOD)
    assert options.program == Program("peak", "Peak", "openadr3", Scope.CHARGER, None, 45)
    assert (options.poll_s, options.consumption_positive) == (10.0, True)


def test_options_come_from_json_as_the_journal_keeps_them() -> None:
    kept = GOOD | {"scope": "site", "token_hosts": ["Login.Example"], "pay_usd_per_kw": 275, "poll_s": 10}
    options = OpenAdr3Options.checked(json.loads(json.dumps(kept)))
    assert (options.scope, options.token_hosts, options.pay_usd_per_kw) == (Scope.SITE, ("login.example",), 275.0)


def test_every_option_has_words_for_people_and_only_the_secret_is_one() -> None:
    assert all(len(one.metadata["help"]) > 10 for one in fields(OpenAdr3Options))
    assert [one.name for one in fields(OpenAdr3Options) if one.metadata["secret"]] == ["client_secret"]


def test_all_mistakes_are_named_at_once_and_no_secret() -> None:
    wrong = {"name": "", "base_url": "http://vtn.example", "poll_s": 0, "client_secret": "hidden\n", "colour": "red"}
    with pytest.raises(ConfigError) as refused:
        OpenAdr3Options.checked(wrong)
    said = str(refused.value)
    for part in (
        "id is missing",
        "name must not be empty",
        "base_url must be https",
        "poll_s",
        "client_secret",
        "colour",
    ):
        assert part in said
    assert "hidden" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "a:b"),
        ("id", "site"),
        ("id", "manual"),
        ("id", "Peak"),
        ("id", 7),
        ("base_url", "vtn.example/openadr3"),
        ("base_url", "https://user:word@vtn.example/"),
        ("base_url", "https://vtn.example/?a=1"),
        ("base_url", "http://["),
        ("base_url", None),
        ("name", "x" * 501),
        ("poll_s", True),
        ("poll_s", "60"),
        ("poll_s", float("nan")),
        ("poll_s", 3601),
        ("scope", "street"),
        ("consumption_positive", 1),
        ("pay_usd_per_kw", -1),
        ("season_events", 0),
        ("season_events", 4.5),
        ("token_hosts", "login.example"),
        ("token_hosts", [""]),
        ("token_hosts", ["https://login.example"]),
        ("token_hosts", ["login.example:8443"]),
        ("token_hosts", ["someone@login.example"]),
        ("token_hosts", ["["]),
        ("payload_map", "SIMPLE:1=no_charge"),
        ("payload_map", {"SIMPLE:1": "discharge"}),
        ("payload_map", {"SIMPLE:1": 1}),
        ("discharge_level", 0),
        ("discharge_level", 11),
        ("discharge_level", True),
        ("percent", "permille"),
        ("currency", "dollars"),
        ("most_skew_s", 5),
        ("most_skew_s", "120"),
        ("verify_tls", False),
        ("push", "yes"),
        ("broker_hosts", ["mqtts://broker.example"]),
        ("plain_push", 1),
        ("ca_file", "ca.pem"),
        ("ca_file", 7),
        ("allow_unverified", "yes"),
        ("allow_unverified", True),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} "):
        OpenAdr3Options.checked(GOOD | {name: value})


def test_what_a_person_says_of_the_words_of_a_program_reaches_their_reader() -> None:
    said = {
        "consumption_positive": False,
        "payload_map": {"SIMPLE:1": "cover_house", "CONTROL_SETPOINT": "power"},
        "discharge_level": 7,
        "percent": "percent",
        "currency": "usd",
    }
    options = OpenAdr3Options.checked(GOOD | said)
    assert options.meaning == Meaning(False, said["payload_map"], 7, Percent.PERCENT, "USD")  # type: ignore[arg-type]
    assert OpenAdr3Options.checked(GOOD).meaning == Meaning()
    assert OpenAdr3Options.checked(GOOD).most_skew_s == 120
