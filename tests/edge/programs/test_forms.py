"""What a form needs to know of presets and kinds of programs."""

import json
from typing import Any

import pytest

from edge_service import enrolment
from edge_service.ports import ConfigError
from edge_service.programs import PROGRAMS, forms, presets, terms

OFFERED = forms.offered()
ADDRESS = {
    "openadr3": "https://vtn.example/3.1.0",
    "openadr2b": "https://vtn.example/2.0b",
    "calendar": "https://c.example/a",
}


def by_name(fields: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in fields}


def test_every_preset_says_who_offers_it_and_asks_for_a_name_and_what_it_pays() -> None:
    assert set(OFFERED["presets"]) == set(presets.names())
    for name, preset in OFFERED["presets"].items():
        fields = by_name(preset["fields"])
        assert preset["utility"]
        assert fields["name"]["required"], name
        assert fields["pay_usd_per_kw"]["default"] == presets.load(name).terms.get("pay_usd_per_kw"), name


def test_it_fits_into_one_message() -> None:
    assert len(json.dumps(OFFERED)) < 32_000


@pytest.mark.parametrize("kind", ["manual", *PROGRAMS])
def test_what_a_kind_asks_for_makes_a_program_that_can_be_kept(kind: str) -> None:
    entry: dict[str, Any] = {"kind": kind}
    for field in OFFERED["kinds"][kind]["fields"]:
        if field["required"]:
            entry[field["name"]] = ADDRESS[kind] if field["value"] == "url" else "Peak"
        elif field["default"] not in (None, "", {}):
            entry[field["name"]] = field["default"]
    enrolment.program("peak", entry)
    if kind in PROGRAMS:
        options = enrolment.source_options("peak", entry)
        PROGRAMS[kind](options, "house")


def test_the_terms_are_all_that_a_program_keeps_of_them_and_their_bounds_are_the_rules() -> None:
    known = {*terms.TERMS, *(f"rules.{key}" for key in terms.RULES)} - {"name", "preset", "preset_date"}
    assert set(by_name(OFFERED["terms"])) == known
    for field in OFFERED["terms"]:
        for bound, beyond in (("low", -1), ("high", 1)):
            if field[bound] is not None:
                assert terms.check_term(field["name"], field[bound]) == field[bound]
                with pytest.raises(ConfigError) as wrong:
                    terms.check_term(field["name"], field[bound] + beyond)
                assert set(wrong.value.fields) == {field["name"]}
        for choice in field["choices"] or ():
            assert terms.check_term(field["name"], [choice] if field["value"] == "choices" else choice)


def test_what_is_secret_is_told_and_files_of_the_edges_machine_are_not_asked_for() -> None:
    secret = {
        (kind, field["name"]) for kind, one in OFFERED["kinds"].items() for field in one["fields"] if field["secret"]
    }
    assert secret == {("openadr3", "client_secret"), ("calendar", "url")}
    named = {field["name"] for one in OFFERED["kinds"].values() for field in one["fields"]}
    assert not named & {*forms.FILES, "id", "key_password"}
