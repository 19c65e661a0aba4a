"""What people and a paired Home Assistant do with programs: set, remove, list, try. No answer has a secret in it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edge_service import enrolment, program_trial
from edge_service.api.pairing import Role
from edge_service.config import Config
from edge_service.domain.asked import CommandRefusedError
from edge_service.ports import Clock, ConfigError, Journal
from edge_service.programs import forms, prepare, presets

CHANGES = frozenset({"set_program", "remove_program"})
QUESTIONS = frozenset({"list_presets", "list_programs", "test_program"})


class ProgramCommands:
    """The programs as the journal keeps them. ``changed``: awaited with the id of the one that was set or removed."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        clock: Clock,
        installation: str,
        document: Mapping[str, Any] | None,
        changed: Callable[[str], Awaitable[None]],
    ) -> None:
        self._config, self._journal, self._clock = config, journal, clock
        self._installation, self._changed = installation, changed
        self._changing = asyncio.Lock()
        self.programs = enrolment.kept(document)

    async def carry_out(self, name: str, args: Mapping[str, Any], role: Role) -> Mapping[str, Any]:
        """One command out of ``CHANGES`` and ``QUESTIONS``. Raises ``CommandRefusedError``."""
        if role not in (Role.LOCAL, Role.CONTROL):
            raise CommandRefusedError("not_permitted", "this token may only look")
        if name in CHANGES:
            async with self._changing:
                await self._change(name, args, role)
            return {}
        return {"stage": "accepted", "data": await self._answer(name, args, role)}

    async def _change(self, name: str, args: Mapping[str, Any], role: Role) -> None:
        key = str(args.get("id") or "")
        programs = {other: entry for other, entry in self.programs.items() if other != key}
        if name == "set_program":
            given = args.get("program")
            programs[key] = await self._checked(key, given if isinstance(given, Mapping) else {}, role)
        await self._journal.save_document("programs", {"programs": programs})
        self.programs = enrolment.kept({"programs": programs})
        await self._changed(key)

    async def _answer(self, name: str, args: Mapping[str, Any], role: Role) -> Mapping[str, Any]:
        if name == "list_presets":
            return await asyncio.to_thread(forms.offered)
        if name == "list_programs":
            return {"programs": {key: enrolment.without_secrets(entry) for key, entry in self.programs.items()}}
        key = str(args.get("id") or "")
        if isinstance(given := args.get("program"), Mapping):
            # One that is tried before it is kept.
            return await self._tried(key, await self._checked(key, given, role))
        if key not in self.programs:
            known = ", ".join(self.programs)
            raise CommandRefusedError(
                "unknown_program", f"no program {key}; there are: {known}", found=key, allowed=known
            )
        return await self._tried(key, self.programs[key])

    async def _tried(self, key: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """What asking a program's server came to."""
        zone, now = self._config.facts().time_zone, self._clock.now()
        found = await program_trial.checks(key, entry, self._installation, zone, now)
        return {"checks": [{"what": check.what, "ok": check.ok, "text": check.text} for check in found]}

    async def _checked(self, key: str, given: Mapping[str, Any], role: Role) -> dict[str, Any]:
        """What is kept of it, with the terms of its preset. Raises ``CommandRefusedError`` naming the fields."""
        await asyncio.to_thread(prepare, given.get("kind"))
        # A library of holidays and the files of terms take longer to load than the fast lane may wait.
        return await asyncio.to_thread(self._checked_at_leisure, key, dict(given), role)

    def _checked_at_leisure(self, key: str, given: Mapping[str, Any], role: Role) -> dict[str, Any]:
        former = self.programs.get(key, {})
        try:
            entry = enrolment.with_kept_secrets(presets.filled(given), former)
            if role is not Role.LOCAL:
                enrolment.check_from_afar(entry, former)
            enrolment.check(key, entry, self._config, self._installation)
        except ConfigError as error:
            raise _refused(error, given) from error
        return entry


def _refused(error: ConfigError, given: Mapping[str, Any]) -> CommandRefusedError:
    wrong = next(iter(error.fields), "")
    argument = "id" if wrong == "id" else f"program.{wrong}" if wrong else "program"
    fields = {key: enrolment.scrubbed(told, given) for key, told in error.fields.items()}
    return CommandRefusedError("bad_argument", enrolment.scrubbed(str(error), given), argument=argument, fields=fields)
