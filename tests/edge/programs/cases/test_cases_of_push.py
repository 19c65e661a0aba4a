"""Cases 29 and 30: push is a hint to read the server; without it everything comes by polling."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from edge_service import intake
from edge_service.intake import Intake
from edge_service.programs import openadr3_push
from edge_service.programs.openadr3 import OpenAdr3Source
from edge_service.programs.openadr3_options import OpenAdr3Options
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from edge_service.simulation.utility_broker import Broker
from tests.edge.fakes import MemoryJournal, until

# Polling is never what brings an event in these tests: only a hint can.
SLOW_POLL_S = 3600.0
APART_S = 0.1


class WallClock:
    """``ports.Clock``."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class House:
    """A polled program and what the house knows of it."""

    utility: SimulatedUtility
    source: OpenAdr3Source
    intake: Intake = field(
        default_factory=lambda: Intake(WallClock(), MemoryJournal(), (), lambda: None, chance=lambda: 0.0)
    )

    @property
    def broker(self) -> Broker:
        assert self.utility.push is not None
        assert self.utility.push.broker is not None
        return self.utility.push.broker

    @property
    def problem(self) -> str:
        contact = self.intake.contacts.get("peak")
        return (contact.problem or "") if contact else ""

    def asked(self, start: str) -> int:
        return sum(seen.path.startswith(start) for seen in self.utility.requests)

    def polls(self) -> int:
        return self.asked("/programs?")

    def knows(self) -> list[str]:
        return [event.uid.removeprefix("peak:") for event in self.intake.events()]

    def call(self) -> str:
        return str(self.utility.dispatch.call_event(start_in_s=600, duration_s=60, power_kw=5)["id"])

    def call_quietly(self) -> str:
        """An event of which nobody is notified."""
        watchers, self.utility.store.watchers = self.utility.store.watchers, []
        event = self.call()
        self.utility.store.watchers = watchers
        return event

    def topic(self, operation: str) -> str:
        """One that the house listens to."""
        (ven,) = self.utility.store.rows("vens")
        return f"vens/{ven['id']}/events/{operation}"

    def say(self, operation: str, body: dict[str, object]) -> None:
        self.broker.publish(self.topic(operation.lower()), json.dumps(body).encode())


async def seconds_until(holds: Callable[[], object]) -> float:
    began = asyncio.get_running_loop().time()
    await until(holds)
    return asyncio.get_running_loop().time() - began


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a second are a tenth here; what they are for is the same."""
    monkeypatch.setattr(intake, "HINTS_APART_S", APART_S)
    monkeypatch.setattr(openadr3_push, "FIRST_PAUSE_S", APART_S)


@asynccontextmanager
async def a_house_at(utility: SimulatedUtility, poll_s: float = SLOW_POLL_S, **options: object) -> AsyncIterator[House]:
    """A polled house whose first contact was good."""
    values: dict[str, Any] = {"id": "peak", "name": "Peak", "base_url": utility.base_url, "poll_s": poll_s}
    values |= {"client_id": "ven-client", "client_secret": "ven-secret"} | options
    source = OpenAdr3Source(OpenAdr3Options(**values), "house")
    house = House(utility, source)
    polling = asyncio.create_task(house.intake.poll(source))
    try:
        await until(lambda: house.intake.contacts)
        yield house
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await source.close()


@asynccontextmanager
async def a_house(
    method: str = "OAUTH2BEARERTOKEN", poll_s: float = SLOW_POLL_S, mqtt: str = "own", **options: object
) -> AsyncIterator[House]:
    async with SimulatedUtility(UtilityOptions(mqtt=mqtt, mqtt_method=method)) as utility:
        utility.dispatch.program()
        async with a_house_at(utility, poll_s, **options) as house:
            yield house


@asynccontextmanager
async def a_listening_house(method: str = "OAUTH2BEARERTOKEN", **options: object) -> AsyncIterator[House]:
    """One that has read again after it connected to the broker."""
    async with a_house(method, **options) as house:  # type: ignore[arg-type]
        await until(lambda: house.broker.subscriptions and house.polls() >= 2)
        yield house


def since_reading(house: House) -> float:
    """Seconds since the utility was last asked anything."""
    return (datetime.now(UTC) - max(datetime.fromisoformat(seen.at) for seen in house.utility.requests)).total_seconds()


async def quiet(house: House) -> None:
    """The pause is over in which a hint waits so that a burst is one reading."""
    await until(lambda: since_reading(house) > 2 * APART_S)


@pytest.mark.parametrize("method", ["OAUTH2BEARERTOKEN", "OAUTH2_BEARER_TOKEN", "ANONYMOUS"])
async def test_case_30_an_event_called_is_known_in_a_moment_however_the_method_is_spelled(method: str) -> None:
    async with a_listening_house(method) as house:
        await quiet(house)
        event = house.call()
        assert await seconds_until(lambda: house.knows() == [event]) < 2
        user, password = house.broker.connects[-1]
        assert (user, bool(password)) == ((None, False) if method == "ANONYMOUS" else ("ven-client", True))


async def test_case_30_a_token_refused_at_the_broker_is_renewed_once_and_the_house_listens_again() -> None:
    async with a_listening_house() as house:
        _, password = house.broker.connects[-1]
        house.broker.refused.add(str(password))
        house.broker.drop()
        await until(lambda: len(house.broker.connects) == 3 and house.broker.subscriptions)
        assert len({password for _, password in house.broker.connects}) == 2
        event = house.call()
        await until(lambda: house.knows() == [event])
        assert house.problem == ""


async def test_case_30_tokens_that_the_utility_no_longer_knows_are_renewed_before_the_broker_sees_them() -> None:
    async with a_listening_house() as house:
        house.utility.set_faults({"expire_tokens": True})
        house.broker.drop()
        await until(lambda: len(house.broker.connects) == 2 and house.broker.subscriptions)
        assert len({password for _, password in house.broker.connects}) == 2


async def test_case_30_a_token_that_ends_is_renewed_by_connecting_anew_before_the_broker_has_to_end_it() -> None:
    async with SimulatedUtility(UtilityOptions(mqtt="own")) as utility:
        utility.set_faults({"token_expires_in": "2"})
        async with a_house_at(utility) as house:
            await until(lambda: len(house.broker.connects) >= 3)
            assert len({password for _, password in house.broker.connects}) >= 3
            event = house.call()
            await until(lambda: house.knows() == [event])


async def test_case_30_a_broker_that_is_down_leaves_polling_and_is_listened_to_when_it_is_back() -> None:
    async with a_listening_house(poll_s=0.1) as house:
        await house.broker.stop()
        first = house.call()
        await until(lambda: house.knows() == [first])
        await until(lambda: "not pushed" in house.problem)
        assert house.intake.contacts["peak"].connected
        await house.broker.start()
        await until(lambda: house.broker.subscriptions, within_s=20)
        await until(lambda: house.problem == "")


async def test_case_30_a_broker_that_grants_no_topic_is_told_and_polling_goes_on() -> None:
    async with a_house(poll_s=0.1) as house:
        house.broker.refuses_topics = True
        house.broker.drop()
        await until(lambda: "refuses our topics" in house.problem)
        event = house.call()
        await until(lambda: house.knows() == [event])


@pytest.mark.parametrize(
    ("uri", "method", "told"),
    [
        ("mqtt://utility.example:1883", "OAUTH2BEARERTOKEN", "without encryption"),
        ("mqtt://utility.example:1883", "ANONYMOUS", "without encryption"),
        ("mqtts://broker.example", "OAUTH2BEARERTOKEN", "allow it in broker_hosts"),
        ("mqtts://broker.example", "KERBEROS", "KERBEROS"),
        ("wss://broker.example/mqtt", "ANONYMOUS", ""),
        ("mqtt://[", "ANONYMOUS", ""),
    ],
)
async def test_case_30_no_broker_is_visited_that_a_person_has_not_allowed(uri: str, method: str, told: str) -> None:
    async with a_house(mqtt=uri, method=method, poll_s=0.1) as house:
        await until(lambda: house.asked("/notifiers") == 1)
        polls = house.polls()
        await until(lambda: house.polls() > polls + 1)
        assert told in house.problem
        assert bool(house.problem) == bool(told)
        assert house.asked("/notifiers") == 1


async def test_case_30_a_utility_without_push_is_no_problem_and_is_not_asked_about_it_again_soon() -> None:
    async with a_house(mqtt="", poll_s=0.1) as house:
        await until(lambda: house.polls() >= 3)
        assert (house.asked("/notifiers"), house.problem) == (1, "")


async def test_case_30_a_person_may_switch_push_off() -> None:
    async with a_house(push=False, poll_s=0.1) as house:
        await until(lambda: house.polls() >= 2)
        assert (house.asked("/notifiers"), house.broker.connects) == (0, [])


async def test_case_29_a_burst_of_notifications_is_one_reading() -> None:
    async with a_listening_house() as house:
        for _ in range(100):
            house.say("CREATE", {"id": "e", "objectType": "EVENT", "operation": "CREATE", "object": {}})
        await until(lambda: house.polls() == 3)
        await quiet(house)
        assert house.polls() == 3


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"objectType":"EVENT","operation":"DELETE","object":{"id":"no-such"}}',
        b'{"object_type":"EVENT","operation":"CREATE","object":{"id":"forged","programID":"p"}}',
        b'{"ID":"x","notificationID":"y","objectType":"EVENT","operation":"UPDATE"}',
    ],
    ids=["empty", "no text", "nested", "delete of an unknown", "forged in snake case", "an id only"],
)
async def test_case_29_whatever_a_notification_says_the_server_is_read_and_only_its_word_counts(payload: bytes) -> None:
    async with a_listening_house() as house:
        event = house.call()
        await until(lambda: house.knows() == [event])
        await quiet(house)
        polls = house.polls()
        house.broker.publish(house.topic("delete"), payload)
        await until(lambda: house.polls() == polls + 1)
        assert house.knows() == [event]


async def test_case_29_a_notification_that_comes_before_the_server_shows_the_event_costs_it_nothing() -> None:
    async with a_listening_house(poll_s=0.3) as house:
        await quiet(house)
        polls = house.polls()
        house.say("CREATE", {"objectType": "EVENT", "operation": "CREATE", "object": {"id": "early"}})
        await until(lambda: house.polls() > polls)
        event = house.call_quietly()
        await until(lambda: house.knows() == [event])


async def test_case_29_a_retained_message_of_yesterday_is_no_hint() -> None:
    async with a_listening_house() as house:
        topic = house.topic("create")
        house.broker.retained = [(topic, json.dumps({"objectType": "EVENT", "operation": "CREATE"}).encode())] * 3
        house.broker.drop()
        # One reading per connecting.
        await until(lambda: house.polls() == 3)
        await quiet(house)
        house.broker.publish(topic, b"{}", retained=True)
        began = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - began > 3 * APART_S)
        assert house.polls() == 3
        house.broker.publish(topic, b"{}")
        await until(lambda: house.polls() == 4)


async def test_case_29_an_event_deleted_while_it_runs_is_gone_in_a_moment() -> None:
    async with a_listening_house() as house:
        event = house.call()
        await until(lambda: house.knows() == [event])
        await quiet(house)
        house.utility.dispatch.cancel(event)
        assert await seconds_until(lambda: house.knows() == []) < 2


async def test_case_32_a_house_that_enrolled_anew_listens_to_its_new_topics() -> None:
    async with a_listening_house(poll_s=0.2) as house:
        before = house.topic("create")
        for kind in ("resources", "vens"):
            for row in house.utility.store.rows(kind):
                house.utility.store.remove(kind, row["id"])
        await until(lambda: house.utility.store.rows("vens") and house.topic("create") != before)
        wanted = house.topic("+")
        await until(lambda: wanted in house.broker.subscriptions)
        assert before not in house.broker.subscriptions
