"""Tries a kept program as a person would: is its server there, does it let us in, what does it say?"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any

from edge_service import enrolment
from edge_service.ports import Check, ConfigError, ProgramError
from edge_service.programs import PROGRAMS, presets
from edge_service.programs.openadr2b import OpenAdr2Source
from edge_service.programs.openadr3_options import OpenAdr3Options
from edge_service.programs.openadr3_trial import steps

CONTACT = "contact"


async def checks(
    name: str, entry: Mapping[str, Any], installation: str, time_zone: str | None, now: datetime
) -> list[Check]:
    """Each thing that was tried, in plain words and without a secret."""
    found = [check async for check in _tried(name, entry, installation, time_zone, now)]
    return [Check(check.what, check.ok, enrolment.scrubbed(check.text, entry)) for check in found]


async def _tried(
    name: str, entry: Mapping[str, Any], installation: str, time_zone: str | None, now: datetime
) -> AsyncGenerator[Check]:
    try:
        problem = enrolment.problem(enrolment.program(name, entry), time_zone)
    except ConfigError as error:
        yield Check("terms", False, str(error))
        return
    yield Check("terms", problem is None, problem or "its rules can be looked at")
    preset = await asyncio.to_thread(presets.newer, entry)
    if preset is not None:
        yield Check("preset", True, f"there are newer terms of {preset.name}, of {preset.read}; see: program list")
    if entry["kind"] == enrolment.BY_HAND:
        yield Check(CONTACT, True, "events are entered by hand; there is no server to ask")
        return
    async with aclosing(_contacts(name, entry, installation, time_zone, now)) as contacts:
        async for check in contacts:
            yield check


async def _contacts(
    name: str, entry: Mapping[str, Any], installation: str, time_zone: str | None, now: datetime
) -> AsyncGenerator[Check]:
    try:
        options = enrolment.source_options(name, entry, time_zone)
        if entry["kind"] == "openadr3":
            async with aclosing(steps(OpenAdr3Options.checked(options), now)) as tried:
                async for check in tried:
                    yield check
            return
        source = PROGRAMS[str(entry["kind"])](options, installation)
        shown = source.fingerprint if isinstance(source, OpenAdr2Source) else None
    except ConfigError as error:
        yield Check("options", False, str(error))
        return
    if shown is not None:
        yield Check("certificate", True, f"the utility needs to know its fingerprint: {shown}")
    try:
        news = await source.poll(now)
    except ProgramError as error:
        yield Check(CONTACT, False, str(error))
        return
    finally:
        await source.close()
    yield Check(CONTACT, True, "it was read")
    yield Check("events", not news.problems, "; ".join([f"{len(news.events)} run or come", *news.problems]))
