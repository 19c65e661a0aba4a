"""Push by a broker that is not ours: Mosquitto in clear on loopback, encrypted, and with certificates both ways."""

import asyncio
import getpass
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography.hazmat.primitives import serialization

from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.fakes import until
from tests.edge.programs.cases.test_cases_of_encryption import Pair, made
from tests.edge.programs.cases.test_cases_of_push import House, a_house_at, seconds_until

PRIVATE = Path(__file__).parents[3] / ".tools/mosquitto/usr/sbin/mosquitto"
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin") or shutil.which(PRIVATE)

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="Mosquitto is not installed (scripts/setup says how)")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def mosquitto(folder: Path, **options: object) -> AsyncIterator[int]:
    """A broker on loopback that lets anybody in whom ``options`` do not keep out; its port."""
    assert MOSQUITTO is not None
    port = free_port()
    lines: dict[str, object] = {"listener": f"{port} 127.0.0.1", "allow_anonymous": "true", "persistence": "false"}
    # Started by root it would become a user that cannot read this folder.
    lines |= {"user": getpass.getuser()} | options
    config = folder / "mosquitto.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()), encoding="utf-8")
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(MOSQUITTO, "-c", str(config), stdout=null, stderr=null)
    try:
        await until(lambda: answers(port))
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def a_house_with(url: str, way: dict[str, Any] | None = None, **options: object) -> AsyncIterator[House]:
    """``way``: how the utility says that one comes in, besides anonymously."""
    async with SimulatedUtility(UtilityOptions(mqtt=url, mqtt_method="ANONYMOUS")) as utility:
        assert utility.push is not None
        utility.push.way = way or utility.push.way
        utility.dispatch.program()
        async with a_house_at(utility, **options) as house:  # type: ignore[arg-type]
            yield house


async def listens(house: House) -> None:
    """It has read again after it connected."""
    await until(lambda: house.polls() >= 2)


async def test_an_event_called_at_a_utility_that_publishes_at_mosquitto_is_known_in_a_moment(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as port, a_house_with(f"mqtt://127.0.0.1:{port}") as house:
        await listens(house)
        event = house.call()
        assert await seconds_until(lambda: house.knows() == [event]) < 2


def written(pair: Pair, path: Path) -> Path:
    path.write_bytes(pair.certificate.public_bytes(serialization.Encoding.PEM))
    return path


async def test_an_encrypted_broker_is_trusted_as_the_server_is_and_may_ask_for_our_certificate(tmp_path: Path) -> None:
    authority = made("Utility CA")
    own = made("house", authority, host="house.local")
    ca_file, server = written(authority, tmp_path / "ca.pem"), made("broker", authority, host="127.0.0.1")
    server.write(tmp_path / "server.pem")
    own.write(tmp_path / "own.pem")
    files = {"cafile": ca_file, "certfile": tmp_path / "server.pem", "keyfile": tmp_path / "server.pem"}
    key = own.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    way = {
        "method": "CERTIFICATE",
        "caCert": ca_file.read_text(),
        "clientCert": own.certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "clientKey": key.decode(),
    }
    async with (
        mosquitto(tmp_path, require_certificate="true", **files) as port,
        a_house_with(f"mqtts://127.0.0.1:{port}", way) as house,
    ):
        await listens(house)
        (ven,) = house.utility.store.rows("vens")
        event = house.call_quietly()
        tls = aiomqtt.TLSParameters(
            ca_certs=str(ca_file), certfile=str(tmp_path / "own.pem"), keyfile=str(tmp_path / "own.pem")
        )
        async with aiomqtt.Client("127.0.0.1", port, tls_params=tls) as utility:
            await utility.publish(f"vens/{ven['id']}/events/create", b"{}")
        await until(lambda: house.knows() == [event])


async def test_an_encrypted_broker_that_nobody_vouches_for_is_not_listened_to(tmp_path: Path) -> None:
    server = made("broker", host="127.0.0.1").write(tmp_path / "server.pem")
    async with (
        mosquitto(tmp_path, certfile=server, keyfile=server) as port,
        a_house_with(f"mqtts://127.0.0.1:{port}", poll_s=0.1) as house,
    ):
        await until(lambda: "not pushed" in house.problem)
        event = house.call()
        await until(lambda: house.knows() == [event])
