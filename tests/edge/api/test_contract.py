"""The words of the contract agree: the types, the golden messages and the document."""

import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from edge_service.api import wire
from tests.edge.api.door import GOLDEN

ROOT = Path(__file__).parents[3]
CONTRACT = ROOT / "docs" / "contract.md"
COPY = ROOT / "custom_components" / "ridethrough" / "wire.py"

SHAPES: dict[str, Any] = {
    name: kind for name, kind in vars(wire).items() if is_typeddict(kind) and kind.__module__ == wire.__name__
}
MESSAGES = ["Hello", "Start", "Snapshot", "Change", "Occurrence", "NoticeMessage", "Command", "Result"]


def misfits(value: Any, kind: Any, place: str) -> list[str]:
    """Where ``value`` is not of the form ``kind``."""
    origin, args = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        return _misfits_of_shape(value, kind, place)
    if origin in (Union, UnionType):
        return [] if any(not misfits(value, arg, place) for arg in args) else [f"{place}: {value!r} is not {kind}"]
    if kind is Any or (isinstance(kind, type) and type(value) is kind) or (kind is float and type(value) is int):
        return []
    if origin is list and isinstance(value, list):
        return [text for index, item in enumerate(value) for text in misfits(item, args[0], f"{place}[{index}]")]
    if origin is dict and isinstance(value, dict):
        return [text for key, item in value.items() for text in misfits(item, args[1], f"{place}.{key}")]
    if origin is tuple and isinstance(value, list) and len(value) == len(args):
        return [text for item, arg in zip(value, args, strict=True) for text in misfits(item, arg, place)]
    return [f"{place}: {value!r} is not {kind}"]


def _misfits_of_shape(value: Any, kind: Any, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place}: {value!r} is no {kind.__name__}"]
    hints = get_type_hints(kind)
    missing = [f"{place}: no {key}" for key in kind.__required_keys__ - value.keys()]
    foreign = [f"{place}: {key} is not of {kind.__name__}" for key in value.keys() - hints.keys()]
    inside = [text for key in value.keys() & hints.keys() for text in misfits(value[key], hints[key], f"{place}.{key}")]
    return missing + foreign + inside


def section(schema: int) -> str:
    """The document's words on one schema."""
    parts = re.split(r"^## Schema (\d+)\n", CONTRACT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[str(schema)]


def tables(text: str) -> dict[str, list[str]]:
    """The first column of each table, by the heading above it."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        found[heading.strip("` ")] = re.findall(r"^\| `([^`]+)` \|", body, flags=re.MULTILINE)
    return found


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_message_has_the_form_of_its_type(name: str) -> None:
    assert misfits(GOLDEN[name], SHAPES[name.split(maxsplit=1)[0]], name) == []


def test_the_newest_snapshot_shows_every_key_that_an_edge_can_send() -> None:
    told = dict(seen(GOLDEN["Snapshot"], wire.Snapshot))
    silent = {name: get_type_hints(SHAPES[name]).keys() - told[name] for name in told}
    assert {name: keys for name, keys in silent.items() if keys} == {}
    assert "notices" in dict(seen(GOLDEN["Snapshot of an older edge"], wire.Snapshot))["State"]


def seen(value: Any, kind: Any, found: dict[str, set[str]] | None = None) -> dict[str, set[str]]:
    """The keys that are told of each shape, in it and below."""
    found = {} if found is None else found
    if get_origin(kind) in (Union, UnionType):
        kind = next(one for one in get_args(kind) if one is not NoneType)
    if is_typeddict(kind) and isinstance(value, dict):
        found.setdefault(kind.__name__, set()).update(value)
        for key, hint in get_type_hints(kind).items():
            seen(value.get(key), hint, found)
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            seen(item, (get_args(kind) or (Any,))[-1], found)
    return found


def test_a_golden_message_that_lost_a_key_or_gained_one_would_be_noticed() -> None:
    broken = {key: value for key, value in GOLDEN["Hello"].items() if key != "version"} | {"extra": 1}
    assert misfits(broken, wire.Hello, "Hello") == ["Hello: no version", "Hello: extra is not of Hello"]


def test_every_message_has_a_golden_one_and_survives_encoding() -> None:
    assert {name.split()[0] for name in GOLDEN} == set(MESSAGES)
    for message in GOLDEN.values():
        assert wire.decode(wire.encode(message)) == message


@pytest.mark.parametrize("name", SHAPES)
def test_the_document_has_a_table_for_each_shape_with_its_keys(name: str) -> None:
    documented = tables(section(wire.HIGHEST_SCHEMA))
    assert name in documented, f"docs/contract.md has no heading {name}"
    assert sorted(documented[name]) == sorted(get_type_hints(SHAPES[name]))


@pytest.mark.parametrize("schema", range(wire.LOWEST_SCHEMA, wire.HIGHEST_SCHEMA + 1))
def test_every_schema_has_its_heading_and_its_golden_file(schema: int) -> None:
    assert section(schema)
    assert (Path(__file__).parent / "golden" / f"schema_{schema}.json").exists()


def test_none_is_allowed_where_the_type_says_so() -> None:
    assert misfits(None, int | None, "x") == []
    assert misfits("1", int | None, "x") == [f"x: '1' is not {int | NoneType}"]


def test_the_integration_carries_the_same_contract_byte_for_byte() -> None:
    assert COPY.read_bytes() == (ROOT / "edge_service" / "api" / "wire.py").read_bytes()
