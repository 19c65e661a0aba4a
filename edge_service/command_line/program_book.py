"""Where the programs of a site are kept: at its running edge, or in the journal while that does not run."""

import argparse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_service.command_line.outcome import CommandError

if TYPE_CHECKING:
    from edge_service.command_line.local_edge import LocalEdge
    from edge_service.config import Config
    from edge_service.ports import Journal

DOCUMENT = "programs"
# A server may take a minute to tell all, and a dead one costs its deadline at each step.
TEST_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Book:
    """The programs of a site: through its running edge, or in the journal when it does not run (``edge`` None)."""

    config: Config
    edge: LocalEdge | None

    @classmethod
    def of(cls, args: argparse.Namespace) -> Book:
        """Of the site that the command names. Raises ``ConfigError``, ``CommandError``."""
        from edge_service.command_line.local_edge import LocalEdge, NotRunningError  # noqa: PLC0415
        from edge_service.config import load  # noqa: PLC0415

        config = load(args.config)
        edge = LocalEdge.of(config)
        try:
            edge.state()
        except NotRunningError:
            return cls(config, None)
        return cls(config, edge)

    def names(self) -> Mapping[str, Mapping[str, Any]]:
        """The programs by id; their secrets are not for showing."""
        if self.edge is not None:
            shown: Mapping[str, Mapping[str, Any]] = self.edge.state().get("programs", {})
            return shown
        return self._kept(None)

    def entries(self) -> Mapping[str, Mapping[str, Any]]:
        """The programs by id as they are kept, without their secrets."""
        from edge_service import enrolment  # noqa: PLC0415

        if self.edge is not None:
            listed: Mapping[str, Mapping[str, Any]] = self.edge.command("list_programs", {}).get("programs", {})
            return listed
        return {key: enrolment.without_secrets(entry) for key, entry in self._kept(None).items()}

    def put(self, key: str, entry: Mapping[str, Any]) -> str:
        """Set a program; says when it counts."""
        if self.edge is not None:
            self.edge.command("set_program", {"id": key, "program": dict(entry)})
            return "the running edge has it"
        self._kept(lambda programs: {**programs, key: entry})
        return "it counts from the edge's next start on"

    def drop(self, key: str) -> str:
        """Remove a program; says when it counts."""
        if self.edge is not None:
            self.edge.command("remove_program", {"id": key})
            return "the running edge has let it go"
        self._kept(lambda programs: {other: entry for other, entry in programs.items() if other != key})
        return "it counts no more from the edge's next start on"

    def test(self, key: str) -> Sequence[Mapping[str, Any]]:
        """What was tried of a program: ``what``, ``ok`` and ``text`` of each step."""
        if self.edge is not None:
            answer = self.edge.command("test_program", {"id": key}, within_s=TEST_WITHIN_S)
            found: Sequence[Mapping[str, Any]] = answer.get("checks", ())
            return found
        from edge_service.api.pairing import installation_id  # noqa: PLC0415
        from edge_service.app import SystemClock  # noqa: PLC0415
        from edge_service.program_trial import checks  # noqa: PLC0415

        entry, zone = self._kept(None)[key], self.config.facts().time_zone

        async def work(journal: Journal) -> Sequence[Mapping[str, Any]]:
            installation = await installation_id(journal)
            found = await checks(key, entry, installation, zone, SystemClock().now())
            return [{"what": check.what, "ok": check.ok, "text": check.text} for check in found]

        return self._with_journal(work)

    def _kept(self, change: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None) -> Mapping[str, Any]:
        """Read the document of programs from the journal, and write it back changed."""

        async def work(journal: Journal) -> Mapping[str, Any]:
            programs: Mapping[str, Any] = (await journal.load_document(DOCUMENT) or {}).get("programs", {})
            if change is not None:
                await journal.save_document(DOCUMENT, {"programs": dict(change(programs))})
            return programs

        if change is None and not (self.config.data / "journal.db").exists():
            return {}
        return self._with_journal(work)

    def _with_journal[T](self, work: Callable[[Journal], Awaitable[T]]) -> T:
        import asyncio  # noqa: PLC0415

        from edge_service.journal.store import SqliteJournal  # noqa: PLC0415

        async def opened() -> T:
            self.config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            journal = await SqliteJournal.open(self.config.data)
            try:
                return await work(journal)
            finally:
                await journal.close()

        try:
            return asyncio.run(opened())
        except OSError as error:
            raise CommandError(f"the journal in {self.config.data} cannot be used: {error}") from error
