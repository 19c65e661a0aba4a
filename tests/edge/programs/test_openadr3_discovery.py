"""Servers of this house are found by mDNS; what they say of themselves is shown and no more believed than that."""

import asyncio
import sys

import pytest

from edge_service.programs.openadr3_discovery import FoundServer, discover, found_server
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from edge_service.simulation.utility_advertised import LOOPBACK, advertised

TOLD = {
    "version": "3.1.0",
    "base_path": "/openadr3/3.1.0",
    "local_url": "https://vtn.local:8443/openadr3/3.1.0",
    "program_names": "Peak, Night",
    "requires_auth": "True",
}


async def test_a_simulated_utility_is_found_on_this_machine_with_all_that_it_tells() -> None:
    async with SimulatedUtility(UtilityOptions(version="3.0.1")) as utility:
        utility.dispatch.program()
        async with advertised(utility):
            found = await discover(1.0, [LOOPBACK])
    [one] = [one for one in found if one.url == utility.base_url]
    assert (one.version, one.program_names, one.needs_credentials) == ("3.0.1", ("Peak power",), True)


async def test_nothing_is_found_where_nobody_answers() -> None:
    assert await discover(0.1, [LOOPBACK]) == []


async def test_the_command_shows_what_was_found_and_whom_to_ask() -> None:
    async with SimulatedUtility() as utility, advertised(utility):
        command = ("-m", "edge_service", "program", "discover", "--seconds", "1", "--interface", LOOPBACK)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=pipe, stderr=pipe)
        async with asyncio.timeout(30):
            told, _ = await process.communicate()
    assert process.returncode == 0
    assert f"OpenADR 3.1.0 at {utility.base_url}; needs credentials" in told.decode()
    assert "ask the utility first" in told.decode()


def test_what_a_server_tells_is_read() -> None:
    assert found_server("vtn", "vtn.local", 8443, TOLD) == FoundServer(
        "vtn", "https://vtn.local:8443/openadr3/3.1.0", "3.1.0", ("Peak", "Night"), True
    )


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"local_url": None}, "https://vtn.local:8443/openadr3/3.1.0"),
        ({"local_url": ""}, "https://vtn.local:8443/openadr3/3.1.0"),
        ({"local_url": None, "base_path": None}, "https://vtn.local:8443"),
        ({"local_url": None, "base_path": "openadr3/"}, "https://vtn.local:8443/openadr3"),
    ],
)
def test_an_address_that_is_not_told_is_made_of_name_port_and_path(changes: dict[str, str | None], url: str) -> None:
    found = found_server("vtn", "vtn.local", 8443, TOLD | changes)
    assert found is not None
    assert found.url == url


@pytest.mark.parametrize(
    "url",
    ["ftp://vtn.local/", "http://[", "vtn.local", "https://user@vtn.local/", "https://vtn.local/?a=1", "javascript:x"],
)
def test_an_address_that_is_none_is_not_shown(url: str) -> None:
    assert found_server("vtn", "vtn.local", 8443, TOLD | {"local_url": url}) is None


def test_foreign_text_cannot_write_to_the_terminal() -> None:
    found = found_server("v\x1b[2Jtn", "vtn.local", 1, TOLD | {"version": "3\n1", "program_names": "\x1b]0;x\x07"})
    assert found is not None
    assert all(text.isprintable() for text in (found.name, found.version, *found.program_names))


@pytest.mark.parametrize(("told", "needs"), [("True", True), ("false", False), ("yes", None), (None, None)])
def test_whether_credentials_are_needed_is_known_only_when_told(told: str | None, needs: bool | None) -> None:
    found = found_server("vtn", "vtn.local", 1, TOLD | {"requires_auth": told})
    assert found is not None
    assert found.needs_credentials is needs
