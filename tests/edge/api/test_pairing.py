"""A code is changed for a token once, within its time and its tries; tokens lie nowhere."""

from pathlib import Path

import pytest

from edge_service.api import wire
from edge_service.api.pairing import CODE_VALID, TRIES, PairingError, Role, installation_id
from edge_service.journal.store import SqliteJournal
from tests.edge.api.door import House, bearer, opened


@pytest.fixture
async def house(tmp_path: Path):  # type: ignore[no-untyped-def]
    async with opened(tmp_path) as house:
        yield house


async def refused_with(house: House, code: str) -> str:
    with pytest.raises(PairingError) as caught:
        await house.pairing.pair(code, "x")
    return caught.value.code


async def test_a_client_pairs_over_http(house: House) -> None:
    code = house.pairing.offer().text
    async with house.session.post(house.url(wire.PAIR_PATH), json={"code": code, "name": "Home Assistant"}) as response:
        assert response.status == 200
        answer = await response.json()
    assert answer["installation"] == "5f0c2b7d9a1e4c33"
    assert answer["fingerprint"] is None
    async with house.session.get(house.url("/api/v1/state"), headers=bearer(answer["token"])) as response:
        assert response.status == 200
    assert [client.name for client in house.pairing.clients] == ["Home Assistant"]


async def test_each_refusal_has_its_status(house: House) -> None:
    async def paired(code: object) -> int:
        async with house.session.post(house.url(wire.PAIR_PATH), json={"code": code}) as response:
            return response.status

    assert await paired("0000-0000") == 410
    code = house.pairing.offer().text
    wrong = "0000-0000" if code != "0000-0000" else "1111-1111"
    assert [await paired(wrong) for _ in range(TRIES)] == [403] * TRIES
    assert await paired(code) == 429
    assert await paired({"a": 1}) == 429


async def test_a_code_works_once_and_may_be_typed_without_its_dash(house: House) -> None:
    code = house.pairing.offer().text
    assert await house.pairing.pair(f" {code.replace('-', '')}", "phone")
    assert await refused_with(house, code) == "no_code"


async def test_a_code_ends_with_its_time(house: House) -> None:
    code = house.pairing.offer().text
    house.clock.pass_by(CODE_VALID.total_seconds() + 1)
    assert await refused_with(house, code) == "no_code"


async def test_after_five_wrong_codes_the_right_one_is_refused_too(house: House) -> None:
    code = house.pairing.offer().text
    answers = [await refused_with(house, "wrong") for _ in range(TRIES)]
    assert answers == ["wrong_code"] * TRIES
    assert await refused_with(house, code) == "too_many_tries"
    assert await house.pairing.pair(house.pairing.offer().text, "x")


async def test_a_new_code_ends_the_former(house: House) -> None:
    old = house.pairing.offer().text
    new = house.pairing.offer().text
    assert await refused_with(house, old) == "wrong_code"
    assert await house.pairing.pair(new, "x")


async def test_tokens_outlive_a_restart_and_lie_nowhere(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        token = await house.token(Role.READ)
        local = house.pairing.write_local_token(tmp_path).read_text()
    async with opened(tmp_path) as house:
        client = house.pairing.client_of(token)
        assert client is not None
        assert client.role is Role.READ
        assert house.pairing.client_of(local) is None
    files = [file for file in tmp_path.iterdir() if file.name != "local.token"]
    assert files
    assert not [file for file in files if token.encode() in file.read_bytes()]


async def test_a_name_is_kept_short_and_printable(house: House) -> None:
    await house.pairing.pair(house.pairing.offer().text, "a\n\x1b[31m" + "b" * 500 + "\ud800")
    assert house.pairing.clients[0].name == "a[31m" + "b" * 59


async def test_the_installation_keeps_its_id(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path)
    first = await installation_id(journal)
    assert first == await installation_id(journal)
    assert len(first) == 16
    await journal.close()
