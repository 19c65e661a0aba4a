"""The reports that we send are those of the official schemas of both versions, also of what is not known."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS30Validator

from edge_service.programs.openadr3_payloads import KINDS
from edge_service.simulation.utility import UtilityOptions
from tests.edge.domain.houses import T0
from tests.edge.programs.report_desk import HOUR, MINUTE, ReportDesk, a_desk

SCHEMAS = Path(__file__).parent / "openadr3"
OBJECTS = {"3.0.1": ("3.0.1", "report"), "3.1": ("3.1.0", "reportRequest")}


@cache
def validator(version: str) -> Any:
    folder, name = OBJECTS[version]
    document = yaml.safe_load((SCHEMAS / folder / "openadr3.yaml").read_text(encoding="utf-8"))
    return OAS30Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


def mistakes(version: str, body: Any) -> list[str]:
    return [f"{one.json_path}: {one.message}" for one in validator(version).iter_errors(body)]


def sent(desk: ReportDesk, *, older: bool) -> list[dict[str, Any]]:
    """The bodies as they went out: without a programID but to the older version."""
    bodies = [dict(one.body) for one in desk.journal.filings.values()]
    return [{name: value for name, value in body.items() if older or name != "programID"} for body in bodies]


@pytest.mark.parametrize("version", ["3.0.1", "3.1"])
@pytest.mark.parametrize("knows", [True, False])
async def test_every_kind_of_report_is_one_of_the_official_schema(version: str, knows: bool) -> None:
    async with a_desk(UtilityOptions(version="3.0.1") if version == "3.0.1" else None) as desk:
        desk.house.chargers["car"] = {"power_w": -5000}
        if knows:
            desk.house.ran(T0, T0 + 4 * HOUR, -5000.0)
        wishes = [{"payloadType": payload} for payload in KINDS]
        desk.ask(*wishes, {"payloadType": "USAGE", "reportIntervals": "SUB_INTERVALS", "aggregate": True}, hours=2)
        desk.ask({"payloadType": "OPERATING_STATE", "frequency": 0}, intervals=[], intervalPeriod=...)
        await desk.step()
        for _ in range(7):
            await desk.step(30 * MINUTE)
        bodies = sent(desk, older=version == "3.0.1")
        assert len(bodies) == len(KINDS) + 2
        assert len(desk.reports) == len(bodies)
        for body in bodies:
            assert mistakes(version, body) == [], body["reportName"]


def test_a_body_that_is_none_is_found() -> None:
    whole = {"eventID": "e", "clientName": "us", "resources": [], "programID": "p"}
    assert mistakes("3.1", whole) == mistakes("3.0.1", whole) == []
    assert mistakes("3.1", {**whole, "resources": [{"resourceName": "us"}]})
    assert mistakes("3.0.1", {name: whole[name] for name in ("eventID", "clientName", "resources")})
