"""An OpenADR 2.0b program: a VEN that polls, and says of each event whether the house serves it.

An ``oadrDistributeEvent`` carries all events that apply, so that one missing from it is cancelled. A failed contact is
never an empty list; after it, while an event stands, and now and then, the whole list is asked for: a poll brings news
only once, and to whoever asks first in our name.
Reports are not offered. Nothing is kept on disk here: ``known`` brings first sights back, and random starts follow
from who we are.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from edge_service.domain.program import Event, Program, Slot
from edge_service.ports import ProgramCredentialsError, ProgramError, ProgramNews
from edge_service.programs import openadr2b_client as client
from edge_service.programs.openadr2b_messages import (
    ACCEPTED,
    Distribution,
    EventMessage,
    Message,
    poll_period,
    read_distribution,
)
from edge_service.programs.openadr2b_options import OpenAdr2Options
from edge_service.programs.openadr2b_signals import prices_of, slots_of
from edge_service.programs.option_values import SLOWEST_S

# All requests of one contact together; each has its own, shorter time.
CONTACT_WITHIN_S = 60.0
# A server that has more to say at once is asked again with the next contact.
MOST_MESSAGES = 20
MOST_PROBLEMS = 50
# Without a reason so often: what a poll brought may have been lost, or gone to a person's `program test`.
LIST_EVERY = timedelta(minutes=5)

# Words of OpenADR's own table of codes.
SIGNAL_NOT_SUPPORTED = 460
REPORT_NOT_SUPPORTED = 461

_OVER = ("cancelled", "completed")
_PLAIN_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Held:
    """An event as last told, in answer to which request, and when it was first seen."""

    message: EventMessage
    request_id: str
    seen_at: datetime

    @property
    def serves_to_try(self) -> bool:
        """It is real, and not over by the server's word."""
        return not self.message.test and self.message.status not in _OVER


class OpenAdr2Source:
    """One program of one server, as ``ports.ProgramSource`` and ``ports.TellsParticipation``. One poll at a time.

    ``installation_id`` makes random starts differ from house to house. ``known``: the events as last given out.
    """

    def __init__(self, options: OpenAdr2Options, installation_id: str, known: Sequence[Event] = ()) -> None:
        self.options = options
        self._client = client.OpenAdr2Client(options)
        self._seed = f"{installation_id}|{options.id}"
        suffix = hashlib.sha256(self._seed.encode()).hexdigest()[:8]
        self._ven_name = options.ven_name or f"ridethrough-{suffix}"
        self._ven_id = options.ven_id
        self._registration = ""
        self._asked_poll_s = 0.0
        self._held: dict[str, _Held] = {}
        self._given = {one.uid: one for one in known if one.uid.startswith(f"{options.id}:") and not one.cancelled}
        self._wanted: dict[str, bool] = {}
        self._told: dict[str, tuple[int, bool]] = {}
        self._list_due = self._unsure = True
        self._listed_at: datetime | None = None

    @classmethod
    def open(cls, values: Mapping[str, object], installation_id: str, known: Sequence[Event] = ()) -> Self:
        """A source from options as plain values. Raises ConfigError, also where the extra is not installed."""
        return cls(OpenAdr2Options.checked(values), installation_id, known)

    @property
    def id(self) -> str:
        return self.options.id

    @property
    def poll_s(self) -> float:
        """Never faster than the server asked at registration."""
        return max(self.options.poll_s, self._asked_poll_s)

    @property
    def program(self) -> Program:
        return self.options.program

    @property
    def fingerprint(self) -> str | None:
        """Our certificate's, for the utility; None without a certificate."""
        return client.fingerprint(self.options)

    async def close(self) -> None:
        await self._client.close()

    async def poll(self, now: datetime) -> ProgramNews:
        try:
            async with asyncio.timeout(CONTACT_WITHIN_S):
                return await self._contact(now)
        except TimeoutError as error:
            self._list_due = True
            raise ProgramError(f"{self.options.base_url} took more than {CONTACT_WITHIN_S:g} s to tell all") from error
        except ProgramError as error:
            self._list_due = True
            if isinstance(error, ProgramCredentialsError):
                self._registration = ""
            raise

    async def tell_participation(self, event: str, *, takes_part: bool) -> None:
        """optIn or optOut, where the event asks for an answer. Each new version of it is then answered so, too."""
        held = next((one for one in self._held.values() if self._uid(one.message) == event), None)
        if held is None:
            return
        self._wanted[held.message.id] = takes_part
        if self._registration:
            await self._answer(held, takes_part=takes_part)

    async def _contact(self, now: datetime) -> ProgramNews:
        problems: list[str] = []
        if not self._registration:
            await self._register()
        latest = await self._messages(problems)
        if latest is None and self._wants_list(now):
            latest = await self._list()
        if latest is not None:
            self._take(latest, now, problems)
            self._list_due, self._listed_at = False, now
        placed = {event.uid: event for event in self._events(now, problems)}
        self._given = placed | {uid: one for uid, one in self._given.items() if uid in self._doubted(placed, now)}
        self._unsure = self._unsure and latest is None
        await self._answer_ourselves(problems)
        real = [one.message for one in self._held.values() if one.serves_to_try]
        prices = tuple(price for one in real for price in prices_of(one, self.id) if price.end > now)
        return ProgramNews(now, tuple(self._given.values()), tuple(problems[:MOST_PROBLEMS]), prices=prices)

    def _wants_list(self, now: datetime) -> bool:
        late = self._listed_at is None or abs(now - self._listed_at) >= LIST_EVERY
        return late or self._list_due or any(event.end > now for event in self._given.values())

    # ------------------------------------------------------------------------------------------------- who we are there

    async def _register(self) -> None:
        """Register, by the id that we had if any. Raises ProgramCredentialsError when we are not let in."""
        answer = await self._ask_registration(self._ven_id)
        if self._ven_id != self.options.ven_id and not (answer and answer.accepted and answer.text("registrationID")):
            answer = await self._ask_registration(self.options.ven_id)
        if answer is None or not answer.accepted or not answer.text("registrationID") or not answer.text("venID"):
            told = "" if answer is None else f" ({answer.code}: {answer.description[:100]})"
            raise ProgramCredentialsError(
                f"{self.options.base_url} does not register {self._ven_name}{told}; "
                "give the utility this name and the fingerprint of the certificate"
            )
        self._ven_id, self._registration = answer.text("venID"), answer.text("registrationID")
        asked = poll_period(answer)
        self._asked_poll_s = 0.0 if asked is None else min(asked.total_seconds(), SLOWEST_S)
        self._told, self._list_due, self._unsure = {}, True, True
        await self._client.ask(
            "EiReport", "oadrRegisterReport", request_id=client.new_id(), ven_id=self._ven_id, reports=[]
        )

    async def _ask_registration(self, ven_id: str) -> Message | None:
        return await self._client.ask(
            "EiRegisterParty",
            "oadrCreatePartyRegistration",
            request_id=client.new_id(),
            ven_name=self._ven_name,
            ven_id=ven_id or None,
            http_pull_model=True,
            xml_signature=bool(self.options.certificate_file and self.options.sign),
            report_only=False,
            profile_name="2.0b",
            transport_name="simpleHttp",
            transport_address="",
        )

    # ------------------------------------------------------------------------------------------------- what is told

    async def _messages(self, problems: list[str]) -> Distribution | None:
        """Poll until there is nothing more; the last list of events that came, None: none did."""
        latest: Distribution | None = None
        for _ in range(MOST_MESSAGES):
            message = await self._client.ask("OadrPoll", "oadrPoll", ven_id=self._ven_id)
            if message is None or (message.kind == "oadrResponse" and message.accepted):
                return latest
            if message.kind == "oadrDistributeEvent" and message.accepted:
                latest = read_distribution(message)
            else:
                await self._other(message, problems)
        return latest

    async def _other(self, message: Message, problems: list[str]) -> None:
        """What is no event. Raises ProgramError when we are not known there any more."""
        request_id = message.text("requestID")
        if message.kind == "oadrRequestReregistration":
            await self._client.ask("EiRegisterParty", "oadrResponse", **self._reply(request_id))
            await self._register()
        elif message.kind == "oadrCreateReport":
            problems.append("The server asks for reports, which are not offered.")
            reply = self._reply(request_id, REPORT_NOT_SUPPORTED)
            await self._client.ask("EiReport", "oadrCreatedReport", pending_reports=[], **reply)
        elif message.kind == "oadrRegisterReport":
            reply = self._reply(request_id)
            await self._client.ask("EiReport", "oadrRegisteredReport", report_requests=[], **reply)
        elif message.kind == "oadrCancelPartyRegistration":
            reply = self._reply(request_id)
            registration, self._registration = self._registration, ""
            await self._client.ask(
                "EiRegisterParty", "oadrCanceledPartyRegistration", registration_id=registration, **reply
            )
            raise ProgramError(f"{self.options.base_url} ended our registration; we ask for a new one")
        elif not message.accepted:
            self._registration = ""
            raise ProgramError(f"{self.options.base_url} answered {message.code}: {message.description[:200]}")
        else:
            problems.append(f"The server sent {message.kind[:40]!r}, which is not known here.")

    def _reply(self, request_id: str, code: int = ACCEPTED) -> dict[str, object]:
        described = "OK" if code == ACCEPTED else "ERROR"
        response = {"response_code": code, "response_description": described, "request_id": request_id}
        return {"ven_id": self._ven_id, "response": response}

    async def _list(self) -> Distribution:
        """All events that apply. Some servers say by a plain oadrResponse that there are none."""
        message = await self._client.ask("EiEvent", "oadrRequestEvent", request_id=client.new_id(), ven_id=self._ven_id)
        if message is not None and message.accepted and message.kind == "oadrDistributeEvent":
            return read_distribution(message)
        if message is not None and message.accepted and message.kind == "oadrResponse":
            return Distribution("", (), ())
        if message is not None and message.kind == "oadrRequestReregistration":
            self._registration = ""
        told = "nothing" if message is None else f"{message.kind} {message.code or ''} {message.description[:100]}"
        raise ProgramError(f"{self.options.base_url} answered {told.strip()} when asked for events")

    def _take(self, latest: Distribution, now: datetime, problems: list[str]) -> None:
        """Take the list over. An older version than one that is known changes nothing."""
        problems.extend(latest.problems)
        held: dict[str, _Held] = {}
        for event in latest.events:
            if self.options.market_context not in ("", event.market_context):
                continue
            before = self._held.get(event.id)
            seen_at = self._first_seen(event, now) if before is None else before.seen_at
            held[event.id] = _Held(event, latest.request_id, seen_at)
            if before is not None and event.modification < before.message.modification:
                problems.append(
                    f"Event {event.id[:40]!r} came as modification {event.modification}, "
                    f"older than {before.message.modification}, which stands."
                )
                held[event.id] = before
        self._held = held
        self._told = {own_id: told for own_id, told in self._told.items() if own_id in held}
        self._wanted = {own_id: wish for own_id, wish in self._wanted.items() if own_id in held}

    def _first_seen(self, event: EventMessage, now: datetime) -> datetime:
        given = self._given.get(self._uid(event))
        return now if given is None else given.announced_at

    # ------------------------------------------------------------------------------------------------- what it means

    def _events(self, now: datetime, problems: list[str]) -> Iterator[Event]:
        """The events that stand. A test moves nothing: it is told, and answered."""
        for held in self._held.values():
            message = held.message
            if message.test and message.status not in _OVER:
                problems.append(
                    f"Event {message.id[:40]!r} is a test of the utility's; it is answered and moves nothing."
                )
            ran = self._ran(message, now)
            ended = message.status == "completed" and ran is not None and not message.test
            if not (held.serves_to_try or ended):
                continue
            slots, passed_over = self._slots(message)
            problems.extend(passed_over)
            slots = _until(slots, now) if ended else slots
            if slots and (slots[-1].end > now or ran is not None):
                yield Event(
                    self._uid(message), self.id, self.options.name, held.seen_at, slots, priority=message.priority
                )

    def _ran(self, message: EventMessage, now: datetime) -> Event | None:
        """The event as given out last, if it ran by that: what ends it early is given out, once."""
        given = self._given.get(self._uid(message))
        return given if given is not None and given.start <= now < given.end else None

    def _slots(self, message: EventMessage) -> tuple[tuple[Slot, ...], tuple[str, ...]]:
        return slots_of(message, self._shift(message), 1 if self.options.consumption_positive else -1)

    def _shift(self, message: EventMessage) -> timedelta:
        """By how much the start is put off, in whole seconds: the same as long as the start stays, here and later."""
        reach_s = int(message.startafter.total_seconds())
        told = f"{self._seed}|{message.id}|{message.start.isoformat()}"
        drawn = int.from_bytes(hashlib.sha256(told.encode()).digest()[:8])
        return timedelta(seconds=drawn % (reach_s + 1))

    def _doubted(self, placed: Mapping[str, Event], now: datetime) -> set[str]:
        """Events that the first list after a registration lacks: a server just come back may not have all yet."""
        listed = {self._uid(one.message) for one in self._held.values()}
        if not self._unsure:
            return set()
        return {uid for uid, one in self._given.items() if uid not in listed and uid not in placed and one.end > now}

    def _uid(self, message: EventMessage) -> str:
        own_id = message.id
        if not _PLAIN_ID.fullmatch(own_id):
            own_id = hashlib.sha256(own_id.encode()).hexdigest()[:32]
        return f"{self.id}:{own_id}"

    # ------------------------------------------------------------------------------------------------- what we answer

    async def _answer_ourselves(self, problems: list[str]) -> None:
        """Answer what no person is asked: a cancellation, a test, what asks nothing of a house, a new version."""
        for held in list(self._held.values()):
            try:
                await self._answer_one(held)
            except ProgramError as error:
                problems.append(f"{error}.")

    async def _answer_one(self, held: _Held) -> None:
        message = held.message
        if message.status == "cancelled" or (message.test and message.status not in _OVER):
            await self._answer(held, takes_part=True)
        elif held.serves_to_try:
            slots, passed_over = self._slots(message)
            if not slots and passed_over and not prices_of(message, self.id):
                await self._answer(held, takes_part=False, code=SIGNAL_NOT_SUPPORTED)
            elif not slots:
                await self._answer(held, takes_part=True)
            elif message.id in self._wanted:
                await self._answer(held, takes_part=self._wanted[message.id])

    async def _answer(self, held: _Held, *, takes_part: bool, code: int = ACCEPTED) -> None:
        message, told = held.message, (held.message.modification, takes_part)
        if not message.wants_answer or self._told.get(message.id) == told:
            return
        opt = {
            "event_id": message.id,
            "modification_number": message.modification,
            "opt_type": "optIn" if takes_part else "optOut",
            "request_id": held.request_id,
            "response_code": code,
            "response_description": "OK" if code == ACCEPTED else "ERROR",
        }
        reply = self._reply(held.request_id)
        answer = await self._client.ask("EiEvent", "oadrCreatedEvent", event_responses=[opt], **reply)
        if answer is not None and not answer.accepted:
            raise ProgramError(f"{self.options.base_url} did not take {opt['opt_type']} of {message.id[:40]!r}")
        self._told[message.id] = told


def _until(slots: Iterable[Slot], end: datetime) -> tuple[Slot, ...]:
    """What of them was before ``end``."""
    return tuple(replace(one, end=min(one.end, end)) for one in slots if one.start < end)
