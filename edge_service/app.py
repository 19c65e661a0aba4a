"""The composition root: the only file that knows every layer. One task group, named tasks."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from edge_service import enrolment, judgement, program_commands, scenario_export
from edge_service.announced import Announced
from edge_service.api import certificate, publish, publish_settlements
from edge_service.api.announce import Announcement
from edge_service.api.commands import Commands
from edge_service.api.hub import Hub
from edge_service.api.listener import Listen, Tls
from edge_service.api.pairing import Pairing, Role, installation_id
from edge_service.api.server import ApiServer, Edge as Door
from edge_service.api.steady import SteadyMeasured, SteadyRuntime, clock_offset, storage_free_mb
from edge_service.baselines import BaselineFinder
from edge_service.clock_trust import clock_trust
from edge_service.config import Config
from edge_service.departures import local_date
from edge_service.domain.asked import CommandRefusedError, bad_argument
from edge_service.domain.memory import Memory
from edge_service.domain.model import Alert, CapacityLimit, Event, Notice, Price, Settings, SiteFacts, frozen_map
from edge_service.domain.settlement import Settlement
from edge_service.household import Household
from edge_service.intake import Contact, Intake
from edge_service.journal.encoding import EncodingError, from_plain, to_plain
from edge_service.journal.keeping import disk_left
from edge_service.journal.recording import RECORDING_KEPT, CycleRecorder
from edge_service.journal.store import SqliteJournal
from edge_service.ledger import Ledger
from edge_service.measured import MeasuredHouse
from edge_service.participation import Participation
from edge_service.ports import Clock, ConfigError, DeviceError, FilesReports, Mark, TellsParticipation
from edge_service.program_commands import ProgramCommands
from edge_service.programs import PROGRAMS, PolledProgram
from edge_service.reports import Reports
from edge_service.runner import Devices, Image, Pacing, Runner
from edge_service.scribe import Scribe, marks_of
from edge_service.site_devices import Finding, install, probe

LOG = logging.getLogger(__name__)

VERSION = metadata.version("ridethrough")

# How many of the last happenings are looked through at start for what must be kept of the recording.
MARKS_LOOKED_AT = 200
# How old the last completed cycle may be before /health says so: three missed ones.
HEALTHY_CYCLES = 3
# An event's last minute is on disk by then; nobody waits for a baseline.
BASELINES_EVERY_S = 60.0
STORAGE_EVERY_S = 60.0
# A thread that computes is made to let the control go on after this; Python's own 5 ms would be spent at each of the
# several steps from a lost grid to the protective act.
THREADS_SWITCH_AFTER_S = 0.0005


class SystemClock:
    """Wall clock and monotonic clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


# ------------------------------------------------------------------------------------------------------- edge


class Edge:
    """One running site. Made by ``run``; the API's commands and the household meet here."""

    def __init__(
        self,
        config: Config,
        journal: SqliteJournal,
        recorder: CycleRecorder,
        devices: Devices,
        clock: Clock,
        reports: Reports,
    ) -> None:
        self.reports = reports
        self.config, self.journal, self.recorder, self.devices = config, journal, recorder, devices
        self.clock = clock
        self.started_at = self.clock.now()
        self.runtime_shown = SteadyRuntime()
        self.measured_shown = SteadyMeasured()
        self.clock_shown = clock_offset()
        self.storage_free_mb: int | None = None
        self.installation = ""
        self.participation = Participation()
        self.port: int | None = None
        self._group: asyncio.TaskGroup | None = None
        self._refused: set[str] = set()
        self._exporting = asyncio.Lock()
        self._polls: dict[str, tuple[asyncio.Task[None], PolledProgram]] = {}
        self._filing: list[asyncio.Task[None]] = []

    async def prepare(self) -> None:
        """Read what the journal keeps; nothing is ordered from it."""
        self.installation = await installation_id(self.journal)
        document = await _readable(self.journal.load_document("programs"), None, "programs")
        self.program_commands = ProgramCommands(
            self.config, self.journal, self.clock, self.installation, document, self._program_changed
        )
        settings = await _readable(self.journal.load_settings(), Settings(), "settings")
        memory = _kept_memory(await _readable(self.journal.load_document("memory"), None, "memory"))
        nothing_known: Sequence[Event] = ()
        events = _of_followed(await _readable(self.journal.load_events(), nothing_known, "events"), document)
        nobody_warns: Sequence[Alert] = ()
        alerts = await _readable(self.journal.load_alerts(), nobody_warns, "alerts")
        calls = await _readable(self.journal.load_document(judgement.DOCUMENT), None, "calls")
        judge = judgement.Judgement(self._facts, self.journal, self.clock, calls)
        unbound: Sequence[CapacityLimit] = ()
        limits = _of_followed(await _readable(self.journal.load_limits(), unbound, "limits"), document)
        unpriced: Sequence[Price] = ()
        prices = _of_followed(await _readable(self.journal.load_prices(), unpriced, "prices"), document)
        self.intake = Intake(
            self.clock,
            self.journal,
            events,
            self._programs_changed,
            alerts,
            judge=judge,
            announced=Announced(self.journal, limits, prices),
        )
        no_rows: Sequence[Settlement] = ()
        rows = await _readable(self.journal.load_settlements(), no_rows, "settlements")
        self.ledger = Ledger(rows, self.journal, self.clock)
        self.finder = BaselineFinder(self.ledger, self.journal, self.config.data, self.clock)
        self.household = Household(settings, self.intake, self.journal, self.clock, self.ledger)
        self.hub = Hub(await self.journal.last_number())
        self.pairing = Pairing(self.journal, self.clock)
        await _readable(self.pairing.load(), None, "clients")
        self.pairing.write_local_token(self.config.data)
        standing = await self.journal.standing_notices()
        refusals = [notice.key for notice in standing if notice.kind == "credentials_refused"]
        self._refused = {key.partition(":")[2] for key in refusals}
        self.scribe = Scribe(self.journal, self.recorder, self, _encoded_memory, standing, clock_trust)
        unmarked: Sequence[Mark] = ()
        self.recorder.keep(await _readable(self._marks_of_late(memory), unmarked, "happenings"))
        control = self.config.control
        self.runner = Runner(
            self._facts(),
            self.devices,
            self.household,
            self.scribe,
            self.clock,
            memory=memory,
            pacing=Pacing(control.cycle_s, control.fast_lane_ms / 1000),
            reported=self.reports,
        )
        await self._judge_anew()
        self.reports.told_people = self._brought
        self.reports.changed = self.runner.wake
        self.reports.warns = self._warned

    @property
    def programs(self) -> Mapping[str, dict[str, Any]]:
        """As they are kept, with their secrets."""
        return self.program_commands.programs

    def _brought(self) -> frozenset[str]:
        """The keys of the standing notices that a client has brought to people."""
        brought = self.hub.brought
        return frozenset(one.key for one in self.scribe.standing if one.delivered_at or one.number in brought)

    async def _marks_of_late(self, memory: Memory) -> Sequence[Mark]:
        """What the last run may have told and not marked in its recording: it can have ended in between."""
        since = self.started_at - RECORDING_KEPT
        last = await self.journal.last_number()
        told = await self.journal.happenings_since(max(0, last - MARKS_LOOKED_AT), MARKS_LOOKED_AT)
        return marks_of((one.happening for one in told if one.happening.at >= since), memory)

    def _facts(self) -> SiteFacts:
        programs = {name: enrolment.program(name, entry) for name, entry in self.programs.items()}
        return replace(self.config.facts(), programs=frozen_map(programs))

    def _warned(self, alerts: Sequence[Alert]) -> None:
        """Home Assistant warns: that outlives its connection, and a restart."""
        if self._group is not None:
            self._group.create_task(self.intake.warned_by("home_assistant", alerts), name="alerts")

    def _programs_changed(self) -> None:
        """Events or a contact changed: decide anew, and tell people when a server no longer lets us in."""
        self.runner.wake()
        refused = {name for name in self.programs if self._is_refused(name)}
        if self._group is not None and refused != self._refused:
            self._group.create_task(self._tell_refused(refused, self._refused), name="credentials")
            self._refused = refused

    def _is_refused(self, program: str) -> bool:
        """Whether its server refused us last; what the last run knew counts until the first contact of this one."""
        contact = self.intake.contacts.get(program)
        return program in self._refused if contact is None else contact.credentials_refused

    async def _tell_refused(self, refused: set[str], before: set[str]) -> None:
        now = self.clock.now()
        for name in refused - before:
            data = frozen_map({"program": str(self.programs.get(name, {}).get("name", name))})
            await self.scribe.stand(Notice(f"program:{name}", "credentials_refused", "warning", now, data))
        for name in before - refused:
            await self.scribe.clear(f"program:{name}", now)

    # Audience: what each cycle shows

    def show(self, image: Image, notices: Sequence[Any]) -> None:
        """Make the state of this cycle and hand it to whoever is connected."""
        self.ledger.follow(image.decision.memory.events, image.decision.at)
        self.participation.follow(image.observation.events, image.settings)
        shown = publish.Shown(
            observation=image.observation,
            settings=image.settings,
            facts=image.facts,
            decision=image.decision,
            nameplates={
                name: publish.Nameplate(one.manufacturer, one.model, one.serial, one.version)
                for name, one in image.identities.items()
            },
            standing={
                name: publish.Standing(one, image.decision.adjusted.get(name)) for name, one in image.progress.items()
            },
            contacts=self._contacts(image.facts),
            notices=[publish.notice(one) for one in notices],
            started_at=self.started_at,
            cycle_late_p99_ms=image.cycle_late_p99_ms,
            runtime=self.runtime_shown.follow(image.decision.runtime, image.observation.now),
            switch_wanted=self.reports.wanted,
            measured=self.measured_shown.follow(image.observation.chargers, image.facts, image.observation.now),
            clock_offset_ms=self.clock_shown.follow(self.intake.clock_offset_ms),
            storage_free_mb=self.storage_free_mb,
        )
        self.hub.publish(publish.state(shown))

    def _contacts(self, facts: SiteFacts) -> dict[str, publish.Contact]:
        """How it stands with each program, and with its rules."""
        shown = {}
        for name, offer in facts.programs.items():
            one, of_rules = self.intake.contacts.get(name, Contact()), enrolment.problem(offer, facts.time_zone)
            told = "; ".join(word for word in (one.problem, of_rules) if word is not None) or None
            shown[name] = publish.Contact(one.connected, one.last_at, told, one.version)
        return shown

    def occurred(self, numbered: Any) -> None:
        self.hub.occurred(numbered)

    def notify(self, notice: Any) -> None:
        self.hub.notify(notice)

    # Commands

    async def execute(
        self, name: str, args: Mapping[str, Any], *, command_id: str, deadline: datetime, role: Role
    ) -> Mapping[str, Any]:
        """Carry out one command; returns when it is on disk. Raises ``CommandRefusedError``."""
        local = role is Role.LOCAL
        if name == "acknowledge_notice":
            await self._acknowledge(args)
            return {}
        if name in program_commands.CHANGES | program_commands.QUESTIONS:
            return await self.program_commands.carry_out(name, args, role)
        image = self.runner.image
        data = await self.household.carry_out(
            name,
            args,
            self.runner.facts,
            self.runner.memory,
            local=local,
            observation=None if image is None else image.observation,
        )
        if name == "resume":
            self.runner.take_up(str(args["charger"]))
        if name == "restart_charger":
            await self._restart(str(args["charger"]))
        if name == "stop":
            self.runner.wake_at_once()
        self.runner.wake()
        if name in ("stop", "reset_stop"):
            await self._tell_stop(name)
        return {"stage": "accepted", "data": data}

    async def _restart(self, charger: str) -> None:
        try:
            await self.runner.restart(charger)
        except DeviceError as error:
            raise CommandRefusedError("charger_refused", str(error), found=charger) from error

    async def _acknowledge(self, args: Mapping[str, Any]) -> None:
        number = args.get("number")
        if not isinstance(number, int) or isinstance(number, bool):
            raise bad_argument("number", number, "a whole number")
        await self.journal.mark_notice(number, acknowledged_at=self.clock.now())
        self.scribe.acknowledged(number)

    async def _program_changed(self, key: str) -> None:
        """One was set or removed: by the new list from now on."""
        self.runner.set_programs(self._facts())
        await self._judge_anew()
        if self._group is not None:
            await self._poll_programs(self._group)
        if key not in self.programs:
            await self.intake.forget(key)
        self.runner.wake()

    async def _judge_anew(self) -> None:
        """By the programs as they are now."""
        try:
            await self.intake.judge_anew()
        except OSError as error:
            LOG.error("events stand as they were judged before: %s", error)

    async def _tell_stop(self, name: str) -> None:
        try:
            await self.scribe.tell("stop_pressed" if name == "stop" else "stop_reset", self.clock.now())
        except OSError as error:
            LOG.error("%s is not in the journal: %s", name, error)

    async def check(self) -> list[Mapping[str, Any]]:
        """What the running edge finds at its devices: each is asked anew, on the connection that is there."""
        return [{"device": device, "ok": ok, "text": text} for device, ok, text in await probe(self.devices)]

    async def recording(self) -> str:
        """What was recorded around the last mark and lately, without names, as JSON. Raises ``JournalError``."""
        async with self._exporting:
            await self.recorder.flush()
            return await asyncio.to_thread(scenario_export.export, self.config.data, self.clock.now(), VERSION)

    def settlements(self, program: str | None, year: int | None) -> Mapping[str, Any]:
        """What events and seasons have come to, of one program, of seasons begun in one year, or of all."""
        facts = self.runner.facts
        today = local_date(self.clock.now(), facts.time_zone).isoformat()
        return publish_settlements.books(self.ledger.rows, facts.programs, today, program, year)

    def is_healthy(self) -> bool:
        """A control cycle was completed lately."""
        age_s = self.runner.age_s()
        return age_s is not None and age_s <= HEALTHY_CYCLES * self.config.control.cycle_s + 1

    # Programs

    async def _poll_programs(self, group: asyncio.TaskGroup) -> None:
        """One polling task per program with a server; all start anew when one changes."""
        await self._end_polls()
        for name, entry in self.programs.items():
            source = self._source(name, entry)
            if source is not None:
                task = group.create_task(self.intake.poll(source), name=f"program {name}")
                self._polls[name] = task, source
                self._file_reports(name, source, group)
        asking = {name: source for name, (_, source) in self._polls.items() if isinstance(source, TellsParticipation)}
        self.participation.attend(asking)

    def _file_reports(self, name: str, source: object, group: asyncio.TaskGroup) -> None:
        if isinstance(source, FilesReports):
            measured = MeasuredHouse(name, lambda: self.runner.image, self.recorder, self.journal)
            filing = source.file_reports(measured, self.journal, self.clock)
            self._filing.append(group.create_task(filing, name=f"reports {name}"))

    def _source(self, name: str, entry: Mapping[str, Any]) -> PolledProgram | None:
        """The program's source; None without a server, or with options that are no longer allowed."""
        open_source = PROGRAMS.get(str(entry.get("kind")))
        if open_source is None:
            return None
        try:
            options = enrolment.source_options(name, entry, self.config.facts().time_zone)
            return open_source(options, self.installation, self.intake.known_of(name))
        except ConfigError as error:
            LOG.error("program %s is not asked: %s; set it anew with: ridethrough program add", name, error)
            return None

    async def _watch_storage(self) -> None:
        """For ever: the space that is left for the journal."""
        while True:
            free_bytes = await asyncio.to_thread(disk_left, self.config.data)
            self.storage_free_mb = None if free_bytes is None else storage_free_mb(free_bytes, self.storage_free_mb)
            await asyncio.sleep(STORAGE_EVERY_S)

    async def _find_baselines(self) -> None:
        """For ever: what the site would have drawn by itself, of events that are compared with it."""
        while True:
            await asyncio.sleep(BASELINES_EVERY_S)
            try:
                await self.finder.find_all(self.runner.facts)
            except OSError as error:
                LOG.error("baselines are looked for later: %s", error)
            except Exception:  # what an event came to must never end the control of the house
                LOG.exception("a defect in looking for baselines")

    async def _end_polls(self) -> None:
        for filing in self._filing:
            filing.cancel()
        await asyncio.gather(*self._filing, return_exceptions=True)
        self._filing = []
        for task, source in self._polls.values():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # What a foreign library raises when it is left must not keep the other programs from being asked.
            (ended,) = await asyncio.gather(source.close(), return_exceptions=True)
            if ended is not None:
                LOG.warning("program %s was left with: %r", source.id, ended)
        self._polls = {}

    async def serve(self) -> None:
        """Run everything until cancelled; then let go in order. What stands at the chargers dies with its lease."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await self._open_door(stack)
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self._poll_programs(group)
                group.create_task(self.scribe.write(), name="scribe")
                group.create_task(self.ledger.write(), name="ledger")
                group.create_task(self.participation.run(), name="participation")
                group.create_task(self._find_baselines(), name="baselines")
                group.create_task(self._watch_storage(), name="storage")
                group.create_task(self.runner.run(), name="runner")

    async def _open_door(self, stack: AsyncExitStack) -> None:
        """Listen for clients, and say on the network that we are here."""
        api = self.config.api
        listen = Listen(api.host, api.port, self._tls(), api.insecure_lan, frozenset(api.allowed_hosts))
        commands = Commands(self.execute, self.journal, self.hub, self.pairing, self.clock, self.reports)
        door = Door(
            self.installation,
            VERSION,
            self.hub,
            self.journal,
            self.pairing,
            commands,
            self.is_healthy,
            self.check,
            self.recording,
            self.settlements,
        )
        server = ApiServer(door, listen)
        await server.start()
        self.port = server.port
        stack.push_async_callback(server.stop)
        LOG.info("clients are served at %s:%s", api.host, server.port)
        if api.announce:
            announcement = await Announcement.start(self.installation, listen, server.port, server.fingerprint)
            if announcement is not None:
                stack.push_async_callback(announcement.stop)

    def _tls(self) -> Tls | None:
        """Whose certificate is shown: the installer's, else our own; none where nobody else can listen."""
        if not self.config.api.encrypted:
            return None
        tls = Tls(*self.config.certificate)
        return tls if self.config.api.certificate else certificate.own(tls)

    async def _close(self) -> None:
        await self._end_polls()
        await self.runner.close()
        try:
            await self.scribe.drain()
            await self.ledger.drain()
            await self.journal.save_document("memory", _encoded_memory(self.runner.memory))
        except OSError as error:
            LOG.error("the last words are not on disk: %s", error)


async def _readable[T](reading: Awaitable[T], otherwise: T, what: str) -> T:
    """What the journal keeps, or the cautious default: whatever lies on the disk, the house must be backed up."""
    try:
        return await reading
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        LOG.error("the %s in the journal cannot be read; the edge starts without: %r", what, error)
        return otherwise


def _of_followed[T: (Event, CapacityLimit, Price)](
    said: Sequence[T], document: Mapping[str, Any] | None
) -> Sequence[T]:
    """What programs said that are still followed: a crash can have come between the end of one and of its words."""
    listed = None if document is None else document.get("programs")
    if not isinstance(listed, Mapping):
        return said
    return [one for one in said if one.program_id == enrolment.BY_HAND or one.program_id in listed]


def _kept_memory(document: Mapping[str, Any] | None) -> Memory:
    if document is None:
        return Memory()
    try:
        return from_plain(Memory, document).after_restart()
    except (EncodingError, TypeError, KeyError) as error:
        LOG.warning("the memory of the last run cannot be read, accounts of running events start anew: %s", error)
        return Memory()


def _encoded_memory(memory: Memory) -> Mapping[str, Any]:
    document: Mapping[str, Any] = to_plain(memory, Memory)
    return document


# ------------------------------------------------------------------------------------------------------- entry points


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Edge]:
    """The edge of a site with its files and connections open, ready to ``serve``."""
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        journal = await SqliteJournal.open(config.data)
        stack.push_async_callback(journal.close)
        recorder = await CycleRecorder.open(config.data)
        stack.push_async_callback(recorder.close)
        clock = SystemClock()
        reports = Reports(clock)
        installation = install(config, clock, reports)
        for link in installation.links:
            await stack.enter_async_context(link)
        edge = Edge(config, journal, recorder, installation.devices, clock, reports)
        await edge.prepare()
        yield edge


async def run(config: Config) -> None:
    """Serve the site until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    sys.setswitchinterval(THREADS_SWITCH_AFTER_S)
    async with opened(config) as edge:
        serving = asyncio.create_task(edge.serve(), name="edge")
        _stop_on_signals(serving)
        await asyncio.wait({serving})
        if not serving.cancelled():
            serving.result()


def _stop_on_signals(serving: asyncio.Task[None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)


async def check(config: Config) -> list[Finding]:
    """Connect to each device and probe it; for when no edge runs."""
    installation = install(config, SystemClock())
    async with AsyncExitStack() as stack:
        for link in installation.links:
            await stack.enter_async_context(link)
        return await probe(installation.devices)
