"""Whatever a test here makes the house ask of the simulated utility is held to the official text of its version."""

import re
from typing import Any

import pytest

from edge_service.simulation.utility import Exchange, SimulatedUtility
from tests.edge.programs.openadr3_text import text_of

# What we ask to find out which version a server speaks, in the form of the other one.
PROBES = re.compile(r"GET /auth/server \d+|POST /vens 400|GET (/vens/[^/]+)?/resources 404")


@pytest.fixture(autouse=True)
def every_request_is_as_the_text_says(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = SimulatedUtility.__aexit__

    async def leave_checked(utility: SimulatedUtility, *raised: Any) -> None:
        await leave(utility, *raised)
        if not any(raised):
            text = text_of(utility.options.version)
            assert [
                fault for one in utility.exchanges if not _probes(one) for fault in text.faults_of_request(one)
            ] == []

    monkeypatch.setattr(SimulatedUtility, "__aexit__", leave_checked)


def _probes(one: Exchange) -> bool:
    return PROBES.fullmatch(f"{one.method} {one.path} {one.status}") is not None
