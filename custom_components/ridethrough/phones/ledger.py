"""What each phone was sent, kept over restarts, so that nothing is sent twice."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from .drafts import Draft

# A raised alarm is not shown twice by an update, and a person reads what rang: updates come so much later at least.
UPDATES_AFTER_S = 15.0
# A runtime that has moved by so much is told anew.
MOVED_H = 1.0


class Sent(TypedDict):
    """The message under one key. ``sure`` False: it was given to the phone, and nobody knows whether it arrived.
    ``shown`` False: it counts as sent, and is on no screen."""

    number: int
    stage: str
    hours: float | None
    at: str
    sure: bool
    shown: bool


class Answer(TypedDict):
    """A notice that somebody has answered from a phone."""

    number: int
    at: str


class Kept(TypedDict):
    """What is on disk: by recipient and key of a notice; answers by key."""

    recipients: dict[str, dict[str, Sent]]
    answers: dict[str, Answer]


class Ledger:
    """Remembers what was sent to whom."""

    def __init__(self, store: Store[Kept]) -> None:
        self._store = store
        self._kept = Kept(recipients={}, answers={})

    async def load(self) -> None:
        """Read what an earlier run has sent."""
        self._kept = await self._store.async_load() or self._kept

    async def save(self) -> None:
        """Write it down now."""
        await self._store.async_save(self._kept)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who was ever sent something and is not forgotten."""
        return tuple(self._kept["recipients"])

    def of(self, recipient: str) -> dict[str, Sent]:
        """What this one was sent, by key."""
        return self._kept["recipients"].setdefault(recipient, {})

    def knows(self, recipient: str) -> bool:
        """It was chosen before."""
        return recipient in self._kept["recipients"]

    def forget(self, recipient: str) -> None:
        """It is no longer chosen, and shows nothing of ours."""
        self._kept["recipients"].pop(recipient, None)

    # ----------------------------------------------------------------------------------------------------- answers

    @property
    def answers(self) -> Mapping[str, Answer]:
        """By key of a notice."""
        return self._kept["answers"]

    def answered(self, key: str, number: int) -> bool:
        """Somebody has answered this very notice."""
        answer = self.answers.get(key)
        return answer is not None and answer["number"] == number

    def note_answer(self, key: str, number: int) -> None:
        """It needs no answer any more."""
        self._kept["answers"][key] = Answer(number=number, at=dt_util.utcnow().isoformat())

    def drop_answers(self, standing: set[str]) -> None:
        """Answers to what is over."""
        for key in [key for key in self.answers if key not in standing]:
            del self._kept["answers"][key]


def sent_now(draft: Draft, *, sure: bool, shown: bool = True) -> Sent:
    """The record of a message as it is sent."""
    return Sent(
        number=draft.notice["number"],
        stage=draft.stage,
        hours=draft.hours,
        at=dt_util.utcnow().isoformat(),
        sure=sure,
        shown=shown,
    )


def sent_at(record: Mapping[str, Any]) -> datetime:
    """When."""
    return dt_util.parse_datetime(record["at"], raise_on_error=True)


def has_moved(sent: Sent, draft: Draft) -> bool:
    """Something has happened since that is worth an update."""
    if sent["stage"] != draft.stage:
        return True
    before, now = sent["hours"], draft.hours
    if before is None or now is None:
        return (before is None) is not (now is None)
    return abs(now - before) > MOVED_H
