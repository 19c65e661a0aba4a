"""Finding OpenADR 3 servers in this house by mDNS. What is found is an offer: a person decides whom to trust."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yarl import URL
from zeroconf import Error as ZeroconfError, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from edge_service.ports import ProgramError

SERVICE = "_openadr3._tcp.local."
# Servers answer within a second; wireless ones may miss the first question.
LISTEN_S = 3.0
_LONGEST = 200
_MOST = 20


@dataclass(frozen=True, slots=True)
class FoundServer:
    """One server as it tells of itself. ``needs_credentials`` None: it does not say."""

    name: str
    url: str
    version: str = ""
    program_names: tuple[str, ...] = ()
    needs_credentials: bool | None = None


async def discover(listen_s: float = LISTEN_S, interfaces: Sequence[str] | None = None) -> list[FoundServer]:
    """Those that answer in time, by name. ``interfaces``: own addresses to ask from; None: all. Raises ProgramError."""
    try:
        network = AsyncZeroconf() if interfaces is None else AsyncZeroconf(interfaces=list(interfaces))
    except OSError as error:
        raise ProgramError(f"this machine cannot ask its network for servers: {error}") from error
    try:
        return await _asked(network, listen_s)
    except (ZeroconfError, OSError) as error:
        raise ProgramError(f"asking the network for servers failed: {type(error).__name__} {error}") from error
    finally:
        await network.async_close()


async def _asked(network: AsyncZeroconf, listen_s: float) -> list[FoundServer]:
    names: set[str] = set()

    def seen(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is not ServiceStateChange.Removed and len(names) < _MOST:
            names.add(name)

    browser = AsyncServiceBrowser(network.zeroconf, SERVICE, handlers=[seen])
    await asyncio.sleep(listen_s)
    await browser.async_cancel()
    infos = [AsyncServiceInfo(SERVICE, name) for name in sorted(names)]
    told = await asyncio.gather(*(info.async_request(network.zeroconf, int(listen_s * 1000)) for info in infos))
    found = [_found(info) for info, answered in zip(infos, told, strict=True) if answered]
    return [one for one in found if one is not None]


def _found(info: AsyncServiceInfo) -> FoundServer | None:
    host = (info.server or "").removesuffix(".")
    own_name = info.name.removesuffix(f".{SERVICE}")
    return found_server(own_name, host, info.port, info.decoded_properties)


def found_server(own_name: str, host: str, port: int | None, told: Mapping[str, str | None]) -> FoundServer | None:
    """What a TXT record means; None without an address that could be one.

    ``local_url`` is the server's own word. Without it the host's name is taken, which outlives a change of address.
    """
    words = {name.lower(): _shown(value) for name, value in told.items()}
    address = words.get("local_url") or _made(host, port, words.get("base_path", ""))
    try:
        url = URL(address)
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string or url.fragment:
        return None
    names = tuple(name.strip() for name in words.get("program_names", "").split(",") if name.strip())
    needs = {"true": True, "false": False}.get(words.get("requires_auth", "").lower())
    return FoundServer(_shown(own_name), str(url), words.get("version", ""), names, needs)


def _made(host: str, port: int | None, base_path: str) -> str:
    path = f"/{base_path.strip('/')}" if base_path.strip("/") else ""
    return f"https://{host}:{port}{path}" if host and port else ""


def _shown(value: str | None) -> str:
    """Foreign text, for a terminal: one line, no control characters."""
    return "".join(letter for letter in (value or "")[:_LONGEST] if letter.isprintable())
