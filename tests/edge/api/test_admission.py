"""Every route against every wrong caller, over real sockets."""

import asyncio
import stat
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from edge_service.api import listener, wire
from edge_service.api.admission import is_our_host
from edge_service.api.listener import Bounds
from edge_service.api.pairing import Role
from edge_service.api.paths import LOCAL_TOKEN_FILE
from tests.edge.api.door import House, bearer, opened, until

OPEN = [("GET", "/health"), ("POST", wire.PAIR_PATH)]
GUARDED = [
    ("GET", wire.PATH),
    ("GET", "/api/v1/state"),
    ("POST", "/api/v1/command"),
    ("GET", "/api/v1/check"),
    ("GET", wire.RECORDING_PATH),
    ("GET", "/api/v1/clients"),
    ("DELETE", "/api/v1/clients/x"),
    ("GET", "/"),
    ("GET", "/api/v1/unknown"),
    ("POST", wire.PATH),
]
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.fixture
async def house(tmp_path: Path):  # type: ignore[no-untyped-def]
    async with opened(tmp_path) as house:
        yield house


async def status(house: House, route: tuple[str, str], headers: dict[str, str]) -> int:
    method, path = route
    extra = UPGRADE if path == wire.PATH else {}
    async with house.session.request(
        method, house.url(path), headers={**extra, **headers}, json={} if method == "POST" else None
    ) as response:
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Set-Cookie" not in response.headers
        assert response.headers["Server"] == "ridethrough"
        return response.status


@pytest.mark.parametrize("route", GUARDED, ids=str)
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer ", "Basic YTpi", "Bearer \xff"])
async def test_without_a_good_token_nothing_is_told(house: House, route: tuple[str, str], header: str | None) -> None:
    assert await status(house, route, {"Authorization": header} if header else {}) == 401
    assert house.doer.asked == []


@pytest.mark.parametrize("route", OPEN + GUARDED, ids=str)
@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "local", ""])
async def test_a_foreign_host_name_is_turned_away_even_with_a_token(
    house: House, route: tuple[str, str], name: str
) -> None:
    assert await status(house, route, {"Host": name, **bearer(await house.token())}) == 421


@pytest.mark.parametrize("route", OPEN + GUARDED, ids=str)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
async def test_a_foreign_page_is_turned_away_even_with_a_token(
    house: House, route: tuple[str, str], origin: str
) -> None:
    assert await status(house, route, {"Origin": origin, **bearer(await house.token())}) == 403


async def test_two_host_headers_are_turned_away(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    assert (await reader.readline()).split()[1] in (b"421", b"400")
    writer.close()


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8790", True),
        ("[::1]:8790", True),
        ("192.168.1.5", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("ridethrough.local", True),
        ("edge.home.arpa", True),
        ("edge.home.arpa.", True),
        ("home.arpa", False),
        ("evil.example", False),
        ("local", False),
        ("xlocal", False),
        ("[::1", False),
        ("", False),
        ("evil.example#.local", False),
        ("a@evil.example", False),
    ],
)
def test_hosts(host: str, ours: bool) -> None:
    assert is_our_host([host], {"edge.home.arpa"}) is ours


async def test_health_is_a_bare_status(house: House) -> None:
    for fresh, expected in ((True, 200), (False, 503)):
        house.fresh = fresh
        async with house.session.get(house.url("/health")) as response:
            assert response.status == expected
            assert await response.read() == b""


async def test_a_form_of_a_page_is_no_command(house: House) -> None:
    headers = {**bearer(await house.token()), "Content-Type": "text/plain"}
    async with house.session.post(house.url("/api/v1/command"), headers=headers, data=b"{}") as response:
        assert response.status == 415


@pytest.mark.parametrize(
    ("body", "expected"), [(b"x" * 70_000, 413), (b"{", 400), (b"[]", 400), (b"[" * 60_000, 400), (b"\xff", 400)]
)
async def test_a_body_that_is_none_is_refused(house: House, body: bytes, expected: int) -> None:
    headers = {**bearer(await house.token()), "Content-Type": "application/json"}
    async with house.session.post(house.url("/api/v1/command"), headers=headers, data=body) as response:
        assert response.status == expected


async def test_the_local_token_opens_the_door_and_is_readable_by_us_alone(house: House, tmp_path: Path) -> None:
    path = house.pairing.write_local_token(tmp_path)
    assert path == tmp_path / LOCAL_TOKEN_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with house.session.get(house.url("/api/v1/state"), headers=bearer(path.read_text())) as response:
        assert response.status == 200
        assert (await response.json())["site"]["name"] == "Home"
    first = path.read_text()
    house.pairing.write_local_token(tmp_path)
    assert house.pairing.client_of(first) is None


async def test_a_check_lists_findings(house: House) -> None:
    async with house.session.get(house.url("/api/v1/check"), headers=bearer(await house.token())) as response:
        assert await response.json() == {"findings": [{"device": "garage", "ok": True, "text": "answers"}]}


async def test_what_was_recorded_is_given_as_it_is_and_a_disk_that_cannot_be_read_is_told(house: House) -> None:
    headers = bearer(await house.token())
    async with house.session.get(house.url(wire.RECORDING_PATH), headers=headers) as response:
        assert await response.json() == {"recordings": [{"recorded": 1}]}
    house.doer.disk_fails = True
    async with house.session.get(house.url(wire.RECORDING_PATH), headers=headers) as response:
        assert response.status == 503
        assert (await response.json())["error"]["code"] == "not_ready"


async def test_before_the_first_cycle_there_is_no_state(tmp_path: Path) -> None:
    async with opened(tmp_path, shown=False) as house:
        token = await house.token()
        async with house.session.get(house.url("/api/v1/state"), headers=bearer(token)) as response:
            assert response.status == 503
            assert (await response.json())["error"]["code"] == "not_ready"


async def test_clients_are_listed_and_taken_away_by_the_local_command_line_only(house: House, tmp_path: Path) -> None:
    token = await house.token()
    path = house.url("/api/v1/clients")
    async with house.session.get(path, headers=bearer(token)) as response:
        assert response.status == 403
    local = bearer(house.pairing.write_local_token(tmp_path).read_text())
    async with house.session.get(path, headers=local) as response:
        listed = (await response.json())["clients"]
    assert [client["role"] for client in listed] == ["control"]
    assert "token_hash" not in listed[0]
    socket = await house.started(token=token)
    await until(lambda: house.hub.subscribers == 1)
    async with house.session.delete(f"{path}/{listed[0]['id']}", headers=local) as response:
        assert response.status == 200
    await until(lambda: house.hub.subscribers == 0)
    async with house.session.get(house.url("/api/v1/state"), headers=bearer(token)) as response:
        assert response.status == 401
    async with house.session.delete(f"{path}/nobody", headers=local) as response:
        assert response.status == 404
    await socket.close()


async def test_a_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    async with opened(tmp_path, bounds=Bounds(silence_s=0.2)) as house:
        for words in (b"", b"GET /health HT"):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
            writer.write(words)
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()


async def test_a_body_that_never_comes_is_given_up(tmp_path: Path) -> None:
    async with opened(tmp_path, bounds=Bounds(silence_s=0.2)) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
        writer.write(
            b"POST /api/v1/pair HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        async with asyncio.timeout(5):
            assert (await reader.readline()).split()[1] == b"408"
        writer.close()


async def test_there_is_an_end_to_connections_and_the_others_go_on(tmp_path: Path) -> None:
    async with opened(tmp_path, bounds=Bounds(from_here=5)) as house:
        idle = [await asyncio.open_connection("127.0.0.1", house.server.port) for _ in range(4)]
        async with house.session.get(house.url("/health")) as response:
            assert response.status == 200
        reader, refused = await asyncio.open_connection("127.0.0.1", house.server.port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        for _, writer in [*idle, (reader, refused)]:
            writer.close()


async def test_no_host_of_the_network_keeps_the_others_or_this_machine_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Hosts of the network, as far as the door knows: all but the one address.
    monkeypatch.setattr(listener, "is_loopback", lambda host: host == "127.0.0.1")
    async with opened(tmp_path, bounds=Bounds(connections=5, per_peer=3)) as house, AsyncExitStack() as stack:

        async def half_a_request(host: str) -> asyncio.StreamReader:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port, local_addr=(host, 0))
            stack.callback(writer.close)
            writer.write(b"GET /health HTTP/1.1\r\n")
            return reader

        async def is_answered(host: str) -> bool:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port, local_addr=(host, 0))
            stack.callback(writer.close)
            writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            async with asyncio.timeout(5):
                with suppress(ConnectionError):
                    return (await reader.read()).startswith(b"HTTP/1.1 200")
            return False

        held = [await half_a_request("127.0.0.2") for _ in range(3)]
        assert not await is_answered("127.0.0.2")
        assert await is_answered("127.0.0.3")
        held += [await half_a_request("127.0.0.4") for _ in range(2)]
        assert not await is_answered("127.0.0.3")
        assert await is_answered("127.0.0.1")
        assert not any(reader.at_eof() for reader in held)


def test_a_peer_may_have_sixteen_connections_all_peers_sixty_four_and_this_machine_its_own() -> None:
    bounds = Bounds()
    peers = [f"192.168.1.{host}" for host in range(10)]
    assert bounds.admit(peers[0], [peers[0]] * 15)
    assert not bounds.admit(peers[0], [peers[0]] * 16)
    assert bounds.admit(peers[1], [peers[0]] * 16)
    assert not bounds.admit(peers[9], peers[:8] * 8)
    assert bounds.admit(peers[9], peers[:7] * 9 + ["127.0.0.1"] * 60)
    for here in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert bounds.admit(here, [*peers[:8] * 8, *[here] * 63])
        assert not bounds.admit(here, [here] * 64)


async def test_there_is_an_end_to_sockets(tmp_path: Path) -> None:
    async with opened(tmp_path, bounds=Bounds(sockets=1)) as house:
        first = await house.socket()
        assert await status(house, ("GET", wire.PATH), bearer(await house.token(Role.READ))) == 503
        await first.close()
