"""The official OpenAPI texts of OpenADR 3, and what of an exchange is not as they say."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml
from openapi_schema_validator import OAS30Validator

from edge_service.simulation.utility import Exchange

TEXTS = Path(__file__).parent / "openadr3"
FORM = "application/x-www-form-urlencoded"


@cache
def text_of(version: str) -> Text:
    whole = yaml.safe_load((TEXTS / version / "openadr3.yaml").read_text(encoding="utf-8"))
    return Text(_without_discriminators(whole))


def _without_discriminators(part: Any) -> Any:
    """They name schemas by values such as EVENT_PAYLOAD_DESCRIPTOR, which are no schemas' names; oneOf tells enough."""
    if isinstance(part, dict):
        return {name: _without_discriminators(one) for name, one in part.items() if name != "discriminator"}
    return [_without_discriminators(one) for one in part] if isinstance(part, list) else part


@dataclass(frozen=True)
class Text:
    """One version's text."""

    whole: Mapping[str, Any]

    def faults_of_request(self, one: Exchange) -> list[str]:
        """Sentences; none: the request is as the text has it, with no word that the text does not know."""
        asked = f"{one.method} {one.path}"
        found = self._operation(one)
        if found is None:
            return [f"{asked}: the text knows no such request"]
        item, operation = found
        problems = list(self._query_faults(one, [*item.get("parameters", []), *operation.get("parameters", [])]))
        return [f"{asked}: {problem}" for problem in [*problems, *self._body_faults(one, operation)]]

    def faults_of_answer(self, one: Exchange) -> list[str]:
        """The same of what the server said."""
        found = self._operation(one)
        if found is None:
            return [f"{one.method} {one.path}: the text knows no such request"]
        answer = found[1]["responses"].get(str(one.status))
        if answer is None:
            return [f"{one.method} {one.path}: the text knows no answer {one.status}"]
        forms = self._resolved(answer).get("content", {})
        schemas = [form["schema"] for form in forms.values()][:1]
        faults = [fault for schema in schemas for fault in self._misfits(schema, json.loads(one.answer))]
        return [f"{one.method} {one.path}: {fault}" for fault in faults]

    def _operation(self, one: Exchange) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """A path that is written out comes before one with a name in braces."""
        fitting = [path for path in self.whole["paths"] if _fits(path, one.path)]
        for path in sorted(fitting, key=lambda path: path.count("{")):
            item = self.whole["paths"][path]
            if one.method.lower() in item:
                return item, item[one.method.lower()]
        return None

    def _query_faults(self, one: Exchange, declared: list[Any]) -> Iterator[str]:
        known = {name["name"]: name for name in map(self._resolved, declared) if name["in"] == "query"}
        given: dict[str, list[str]] = {}
        for name, value in one.query:
            given.setdefault(name, []).append(value)
        for name, values in given.items():
            if name not in known:
                yield f"no query {name!r}"
                continue
            schema = self._resolved(known[name]["schema"])
            if schema.get("type") == "array":
                yield from self._misfits(known[name]["schema"], values)
            elif len(values) != 1:
                yield f"query {name!r} given {len(values)} times"
            else:
                yield from self._misfits(known[name]["schema"], _plain(values[0], schema))

    def _body_faults(self, one: Exchange, operation: Mapping[str, Any]) -> Iterator[str]:
        wanted = self._resolved(operation.get("requestBody", {})).get("content", {})
        if not wanted:
            yield from ["a body that the text does not know"] if one.body else []
            return
        if one.kind not in wanted:
            yield f"media type {one.kind!r}"
            return
        body = dict(parse_qsl(one.body.decode())) if one.kind == FORM else json.loads(one.body)
        schema = wanted[one.kind]["schema"]
        yield from self._misfits(schema, body)
        yield from (f"no property {name!r}" for name in body.keys() - self._properties(schema))

    def _misfits(self, schema: Any, value: object) -> Iterator[str]:
        checker = OAS30Validator({"allOf": [schema], "components": self.whole["components"]})
        for error in checker.iter_errors(value):
            yield f"{error.json_path}: {error.message}"[:300]

    def _properties(self, schema: Mapping[str, Any]) -> set[str]:
        own = self._resolved(schema)
        parts = [*own.get("allOf", []), *own.get("oneOf", []), *own.get("anyOf", [])]
        return set(own.get("properties", {})).union(*(self._properties(part) for part in parts))

    def _resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in part:
            found: Any = self.whole
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = found
        return part


def _fits(template: str, path: str) -> bool:
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        one == other or (one.startswith("{") and bool(other)) for one, other in zip(wanted, given, strict=True)
    )


def _plain(text: str, schema: Mapping[str, Any]) -> object:
    """A query's value as the schema counts it."""
    match schema.get("type"):
        case "integer" if text.lstrip("-").isdigit():
            return int(text)
        case "boolean" if text in ("true", "false"):
            return text == "true"
    return text
