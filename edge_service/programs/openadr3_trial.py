"""Tries an OpenADR 3 server step by step, so that a person sees which one fails. It registers nothing."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from datetime import datetime

from yarl import URL

from edge_service.ports import Check, ProgramError
from edge_service.programs.openadr3_client import OpenAdr3Client
from edge_service.programs.openadr3_objects import ObjectError, clean, read_program
from edge_service.programs.openadr3_options import OpenAdr3Options
from edge_service.programs.openadr3_tls import tls_context

CONNECT_WITHIN_S = 10.0
# By more than this an event begins late enough to be seen in its average. The comparison is good to a second.
CLOCK_WITHIN_S = 10.0
_MOST_SHOWN = 5


async def steps(options: OpenAdr3Options, now: datetime) -> AsyncGenerator[Check]:
    """Address, encryption, token, version, programs, ven, events, clock: each that can be tried."""
    check = await _connect(options)
    yield check
    if not check.ok:
        return
    client = OpenAdr3Client(options.access)
    client.begin(now)
    try:
        check = await _token(client, options)
        yield check
        if check.ok:
            async for one in _lists(client, options):
                yield one
            yield _clock(client)
    finally:
        await client.close()


async def _connect(options: OpenAdr3Options) -> Check:
    url = URL(options.base_url)
    place = f"{url.host}:{url.port}"
    encrypted = url.scheme == "https"
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            context = tls_context(options.ca_file, allow_unverified=options.allow_unverified) if encrypted else None
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
    except TimeoutError:
        return Check("address", False, f"{place} did not answer within {CONNECT_WITHIN_S:g} s")
    except ssl.SSLCertVerificationError as error:
        return Check("tls", False, f"the certificate of {place} is not trusted: {error.verify_message}")
    except ssl.SSLError as error:
        return Check("tls", False, f"{place} cannot be spoken to in TLS: {error.reason}")
    except OSError as error:
        return Check("address", False, f"{place} cannot be reached: {error.strerror or error}")
    writer.close()
    return Check("address", True, f"{place} answers{'' if encrypted else ', unencrypted, as on this machine only'}")


async def _token(client: OpenAdr3Client, options: OpenAdr3Options) -> Check:
    if not options.client_id:
        return Check("token", True, "none is asked for, as no client id is given")
    try:
        await client.bearer(fresh=True)
    except ProgramError as error:
        return Check("token", False, str(error))
    return Check("token", True, "the server gives one for this client id and secret")


async def _lists(client: OpenAdr3Client, options: OpenAdr3Options) -> AsyncGenerator[Check]:
    yield await _programs(client, options)
    yield Check("version", client.version is not None, f"OpenADR {client.version or 'of an unknown version'}")
    if options.client_id:
        yield await _list(client, "/vens", "ven", "registration(s) shown to this client")
    yield await _list(client, "/events", "events", "events are listed")


async def _programs(client: OpenAdr3Client, options: OpenAdr3Options) -> Check:
    try:
        rows = await client.pages("/programs")
    except ProgramError as error:
        return Check("programs", False, str(error))
    names: dict[str, str] = {}
    for row in rows:
        try:
            listed = read_program(row)
        except ObjectError as error:
            return Check("programs", False, str(error))
        names[listed.id] = listed.name
    shown = ", ".join(f'"{clean(name)}"' for name in list(names.values())[:_MOST_SHOWN]) or "none"
    missing = options.program_name and options.program_name not in names.values()
    missing = missing or (options.program_id and options.program_id not in names)
    wanted = f'; "{options.program_name or options.program_id}" is not among them' if missing else ""
    return Check("programs", not missing and bool(names), f"offered: {shown}{wanted}")


async def _list(client: OpenAdr3Client, path: str, what: str, words: str) -> Check:
    """A list that our rights must let us read."""
    try:
        rows = await client.pages(path)
    except ProgramError as error:
        return Check(what, False, str(error))
    return Check(what, True, f"{len(rows)} {words}")


def _clock(client: OpenAdr3Client) -> Check:
    skew_s = client.clock_skew_s
    if skew_s is None:
        return Check("clock", True, "the server does not tell the time")
    words = f"ours is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the server's"
    late = abs(skew_s) > CLOCK_WITHIN_S
    return Check("clock", not late, f"{words}; set it by NTP" if late else words)
