"""Who gets past the door: the address that was asked for, the page that asks, the token. In this order."""

import ipaddress
from collections.abc import Awaitable, Callable, Collection
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from edge_service.api import wire
from edge_service.api.pairing import Client, Pairing
from edge_service.api.paths import HEALTH_PATH

CLIENT: Final = web.RequestKey("client", Client)
# Everything else, known or not, wants a token.
OPEN_PATHS: Final = frozenset({HEALTH_PATH, wire.PAIR_PATH})

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def admission(pairing: Pairing, names: Collection[str]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware before every route, the socket's upgrade among them.

    ``names``: hosts under which the edge may be asked for, besides addresses, ``localhost`` and ``*.local``.
    """
    known = frozenset(name.lower().rstrip(".") for name in names)

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_our_host(request.headers.getall(hdrs.HOST, []), known):
            raise web.HTTPMisdirectedRequest(text="unknown host\n")
        if not _is_own_origin(request):
            raise web.HTTPForbidden(text="foreign origin\n")
        if request.path not in OPEN_PATHS:
            request[CLIENT] = _holder(request, pairing)
        return await handler(request)

    return admit


def is_our_host(headers: Collection[str], names: Collection[str]) -> bool:
    """Whether the Host header names us. A page that rebinds its own name to our address is found out here."""
    if len(headers) != 1:
        return False
    try:
        name = urlsplit(f"//{next(iter(headers))}").hostname
    except ValueError:
        return False
    if name is None:
        return False
    name = name.lower().rstrip(".")
    return name == "localhost" or name.endswith(".local") or name in names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_own_origin(request: web.Request) -> bool:
    """Programs send no Origin; a browser on somebody's page does."""
    origins = request.headers.getall(hdrs.ORIGIN, [])
    return not origins or origins == [f"{request.scheme}://{request.host}"]


def _holder(request: web.Request, pairing: Pairing) -> Client:
    kind, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    client = pairing.client_of(token) if kind.lower() == "bearer" and token else None
    if client is None:
        raise web.HTTPUnauthorized(text="a token is needed\n", headers={hdrs.WWW_AUTHENTICATE: "Bearer"})
    return client
