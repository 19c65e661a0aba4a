"""The buttons of a message: which there are, what they are known by, and what each has the edge do."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Self

from ..notice_kinds import kind_of
from ..notice_words import NoticeWords
from ..program_events import events_of
from ..times import time_of
from ..wire import LoadWire, NoticeWire, State

# What both makes of phone can show.
MOST_BUTTONS = 3
LEND_MORE_PCT = 10
POSTPONES = timedelta(hours=1)
MARK = "ridethrough"
# Of a notice; anybody may send an action that looks like one of ours.
NUMBER = re.compile(r"[0-9]{1,16}")

type Command = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Tap:
    """What a button carries: whose notice it answers, and on which phone it stands."""

    installation: str
    number: int
    recipient: str
    button: str
    key: str

    def id(self) -> str:
        """The action id. The key comes last: it may hold anything."""
        return "|".join((MARK, self.installation, str(self.number), self.recipient, self.button, self.key))

    @classmethod
    def of(cls, action: Any) -> Self | None:
        """Read back; None: not one of ours."""
        parts = str(action).split("|", 5)
        if len(parts) < 6 or parts[0] != MARK or not NUMBER.fullmatch(parts[2]):
            return None
        return cls(parts[1], int(parts[2]), parts[3], parts[4], parts[5])


@dataclass(frozen=True, slots=True)
class Button:
    """``commands``: what the edge is told; none: the button is not offered now. ``settles``: with it the notice needs
    no more from anybody. ``guarded``: the phone is unlocked first. ``grave``: shown as a thing to think about."""

    commands: Callable[[NoticeWire, State, datetime], list[Command]]
    settles: bool = True
    guarded: bool = False
    grave: bool = False


def _on_event(command: str) -> Callable[[NoticeWire, State, datetime], list[Command]]:
    """An answer to a peak event that is not over."""

    def commands(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
        uid = str(notice["data"].get("uid"))
        return [(command, {"event": uid})] if uid in events_of(state) else []

    return commands


def _keep(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    """It stays as it is: that somebody has read it is all there is to say."""
    event = events_of(state).get(str(notice["data"].get("uid")))
    runs = event is not None and event["status"] == "running"
    return [] if runs else [_read(notice)]


def _read(notice: NoticeWire) -> Command:
    return ("acknowledge_notice", {"number": notice["number"]})


def _shed(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    """Everything off that is no must-have and on now."""
    loads = state.get("loads", {})
    return [("set_load", {"group": name, "order": "shed"}) for name, load in loads.items() if _sheddable(load)]


def _sheddable(load: LoadWire) -> bool:
    return load["tier"] != "must_have" and not load["medical"] and load["wanted"] == "on" and load["state"] != "off"


def _restore(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    """What was switched off by hand is left to the edge again."""
    loads = state.get("loads", {}).items()
    return [("set_load", {"group": name, "order": "auto"}) for name, load in loads if load["by_hand"] == "shed"]


def _retry(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    retry = state["site"].get("backup_retry")
    latched = retry is not None and retry["latched"]
    return [("retry_backup", {})] if notice["kind"] == "backup_latched" or latched else []


def _lend(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    """So much more of the driver's reserve, as far as there is any."""
    charger = _charger(notice, state)
    if charger is None or notice["data"].get("ends") != "stop":
        return []
    known = state["chargers"][charger]
    lent, reserve = known.get("lent_pct", 0.0), known["drivers_reserve_pct"]
    pct = min(lent + LEND_MORE_PCT, reserve)
    return [("lend_reserve", {"charger": charger, "pct": pct})] if pct > lent else []


def _charge_now(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    """As fast as it can, until the vehicle leaves."""
    charger, at = _charger(notice, state), time_of(notice["data"].get("at"))
    if charger is None or at is None or at <= now:
        return []
    until = min(at, now + timedelta(hours=23))
    return [("charge", {"charger": charger, "until": until.isoformat(), "power_w": None})]


def _skip_departure(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    charger = _charger(notice, state)
    departure = None if charger is None else state["chargers"][charger].get("departure")
    if departure is None or departure["at"] != notice["data"].get("at"):
        return []
    return [("skip_departure", {"charger": charger, "id": departure["id"]})]


def _undo(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    alert = notice["data"].get("alert")
    return [("opt_out_alert", {"alert": alert}) if alert else ("end_storm", {})]


def _resume(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    charger = _charger(notice, state)
    return [] if charger is None else [("resume", {"charger": charger})]


def _postpone(notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    return [("postpone_return", {"until": (now + POSTPONES).isoformat()})]


def _plain(command: str) -> Callable[[NoticeWire, State, datetime], list[Command]]:
    return lambda notice, state, now: [(command, {})]


def _charger(notice: NoticeWire, state: State) -> str | None:
    """The charger that a notice names as people do."""
    name = notice["data"].get("charger")
    return next((own_id for own_id, known in state["chargers"].items() if known["name"] == name), None)


BUTTONS: Mapping[str, Button] = MappingProxyType(
    {
        "skip": Button(_on_event("opt_out"), grave=True),
        "keep": Button(_keep),
        "take_part": Button(_on_event("opt_in")),
        "leave_out": Button(_on_event("opt_out"), grave=True),
        "shed": Button(_shed, settles=False),
        "restore": Button(_restore),
        "try_again": Button(_retry, settles=False),
        "lend": Button(_lend, settles=False, guarded=True),
        "charge_now": Button(_charge_now),
        "skip_departure": Button(_skip_departure, grave=True),
        "undo": Button(_undo, grave=True),
        "resume": Button(_resume),
        "postpone": Button(_postpone, settles=False),
        "end_drills": Button(_plain("clear_drill_schedule"), guarded=True, grave=True),
        "break_off": Button(_plain("cancel_drill"), settles=False, grave=True),
    }
)
# Opens the app, and asks nothing of the edge.
DETAILS = "details"


def commands_of(button: str, notice: NoticeWire, state: State, now: datetime) -> list[Command]:
    """What a tap on it asks of the edge now; nothing: it is not offered."""
    known = BUTTONS.get(button)
    return known.commands(notice, state, now) if known is not None and button in kind_of(notice).buttons else []


def buttons_of(
    notice: NoticeWire, state: State, now: datetime, tap: Callable[[str], Tap], words: NoticeWords, opens: str
) -> tuple[dict[str, Any], ...]:
    """The buttons of a message as a phone wants them."""
    offered = []
    for name in kind_of(notice).buttons:
        if name == DETAILS:
            offered.append({"action": "URI", "title": words.said("button_details"), "uri": opens})
        elif commands_of(name, notice, state, now):
            offered.append(_shown(name, BUTTONS[name], tap(name), words))
    return tuple(offered[:MOST_BUTTONS])


def _shown(name: str, button: Button, tap: Tap, words: NoticeWords) -> dict[str, Any]:
    guarded = {"authenticationRequired": True} if button.guarded else {}
    grave = {"destructive": True} if button.grave else {}
    return {"action": tap.id(), "title": words.said(f"button_{name}"), **guarded, **grave}
