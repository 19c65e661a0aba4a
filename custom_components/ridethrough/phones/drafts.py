"""What a phone shows of a notice: short, with the numbers of now, so that one message can be kept true."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ..notice_words import UNREADABLE, NoticeWords
from ..program_events import RUNNING, events_of
from ..times import time_of
from ..wire import EventWire, NoticeWire, SiteWire, State
from ..wording import measured

# An event that began is no longer told as one that comes, also in the moment between its end and its result.
STARTED = RUNNING | {"finished", "missed"}
# Below this the minutes count.
HOURS_FROM_H = 2.0


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as it would be now. ``stage`` changes when something has happened that is worth an update, as does
    ``hours`` when it has moved by more than one. ``live``: fields of a live update, where something runs."""

    notice: NoticeWire
    title: str
    message: str
    stage: str = ""
    hours: float | None = None
    live: Mapping[str, Any] = field(default_factory=dict)


class PhoneWords:
    """Composes the messages of one site."""

    def __init__(self, words: NoticeWords) -> None:
        self._words = words
        self._drafts: Mapping[str, Callable[[NoticeWire, State, datetime], Draft | None]] = MappingProxyType(
            {
                "outage": self._outage,
                "no_backup": self._outage,
                "reserve_near": self._reserve,
                "event_announced": self._event,
                "event_flagged": self._event,
                "event_asks": self._event,
            }
        )

    def draft(self, notice: NoticeWire, state: State, now: datetime) -> Draft:
        """The message for a notice: of its own where there is one, else what the notification says."""
        compose = self._drafts.get(notice["kind"])
        try:
            composed = compose(notice, state, now) if compose else None
        except UNREADABLE:
            composed = None
        return composed or Draft(notice, *self._words.text(notice, state["site"]["name"]))

    # ------------------------------------------------------------------------------------------------------ outage

    def _outage(self, notice: NoticeWire, state: State, now: datetime) -> Draft | None:
        site, outage = state["site"], state["site"]["outage"]
        started_at = time_of(notice["data"].get("since") or (outage["started_at"] if outage else None))
        if started_at is None:
            return None
        backup, left = _backup(notice, site), self._left(state)
        since = self._words.clock.moment(started_at, now)
        reason = self._words.reason(str(notice["data"].get("reason")))
        says = self._words.said(f"phone_backup_{backup}", reason=reason)
        message = f"{says} {left}" if left and backup in ("on", "starts") else says
        hours = _median_h(site) if backup == "on" else None
        title = self._words.said("phone_outage_title", since=since)
        return Draft(notice, title, message, f"{backup}:{_steps(state)}", hours, _outage_live(state, started_at))

    def _left(self, state: State) -> str:
        """How long it lasts, and what switching off would bring."""
        runtime = state["site"].get("runtime")
        if runtime is None:
            return ""
        low, high = runtime["p10_h"], runtime["p90_h"]
        if low is None:
            return self._words.said("phone_left_endless")
        lasts = self._span(low, high)
        gain = self._gain(state)
        return f"{lasts}; {gain}" if gain else lasts

    def _span(self, low_h: float, high_h: float | None) -> str:
        if high_h is None:
            return self._words.said("phone_left_at_least", hours=f"{low_h:.0f}")
        if low_h < HOURS_FROM_H:
            return self._words.said("phone_left_minutes", low=_minutes(low_h), high=_minutes(high_h))
        low, high = f"{low_h:.0f}", f"{high_h:.0f}"
        return self._words.said("phone_left" if low != high else "phone_left_one", low=low, high=high)

    def _gain(self, state: State) -> str:
        """The load group that would bring most."""
        gains = [(load["gain_h"] or 0.0, load["name"]) for load in state.get("loads", {}).values() if _may_go(load)]
        hours, name = max(gains, default=(0.0, ""))
        return self._words.said("phone_gain", load=name, hours=f"{hours:.0f}") if hours >= 1 else ""

    def _reserve(self, notice: NoticeWire, state: State, now: datetime) -> Draft | None:
        minutes, soc_pct = notice["data"].get("minutes"), notice["data"].get("soc_pct")
        if minutes is None or soc_pct is None:
            return None
        lasts = self._words.said("phone_minutes", minutes=minutes) if minutes < 100 else f"{minutes / 60:.0f} h"
        title = self._words.said("phone_reserve_title", lasts=lasts)
        ends = self._words.word(f"ends_{notice['data'].get('ends')}") or ""
        numbers = {"soc": measured("soc_pct", soc_pct), "charger": notice["data"].get("charger"), "ends": ends}
        return Draft(notice, title, self._words.said("phone_reserve_text", **numbers))

    # ------------------------------------------------------------------------------------------------------- event

    def _event(self, notice: NoticeWire, state: State, now: datetime) -> Draft | None:
        event = events_of(state).get(str(notice["data"].get("uid")))
        start, end = (time_of((event or notice["data"]).get(key)) for key in ("start", "end"))
        if event is None or start is None or end is None:
            return None
        runs, asks = event["status"] in STARTED, notice["kind"] == "event_asks"
        when = self._words.clock.time(end) if runs else self._words.clock.span(start, end, now)
        key = "runs" if runs else "asks" if asks else "event"
        title = self._words.said(f"phone_{key}_title", when=when)
        parts = [self._worth(event), "" if runs else self._ready(state, end, now)]
        if flags := notice["data"].get("flags"):
            parts.append(self._words.each("flag", flags))
        message = ", ".join(part for part in parts if part) or event["name"]
        day = self._words.clock.day(start, now)
        stage = f"{'running' if runs else event['status']}:{day}"
        return Draft(notice, title, message, stage, None, _event_live(event, start, end, now))

    def _worth(self, event: EventWire) -> str:
        stake = event.get("stake_usd")
        if stake is not None:
            return self._words.said("phone_worth", money=measured("stake_usd", stake))
        power_w = event["power_w"]
        return "" if power_w is None else measured("power_w", power_w)

    def _ready(self, state: State, end: datetime, now: datetime) -> str:
        """Whether the car is ready after it: what people fear of an event."""
        leaving = [charger.get("departure") for charger in state["chargers"].values()]
        times = {at: one for one in leaving if one and (at := time_of(one["at"])) is not None and at >= end}
        if not times:
            return ""
        at = min(times)
        late = times[at]["stage"] == "late"
        return self._words.said("phone_late" if late else "phone_ready", at=self._words.clock.time(at))


def _backup(notice: NoticeWire, site: SiteWire) -> str:
    """How the house is carried: on, starts, failed."""
    if site["supply"] in ("island", "vendor_backup"):
        return "on"
    return "failed" if notice["kind"] == "no_backup" else "starts"


def _steps(state: State) -> str:
    """What else is worth an update: which loads are off, and how much was lent."""
    shed = sorted(name for name, load in state.get("loads", {}).items() if load["state"] == "shed")
    lent = [charger.get("lent_pct", 0.0) for charger in state["chargers"].values()]
    return f"{','.join(shed)}:{sum(lent):.0f}"


def _may_go(load: Any) -> bool:
    sheddable = load["tier"] != "must_have" and not load["medical"]
    return bool(sheddable and load["state"] == "on" and load["gain_h"])


def _median_h(site: SiteWire) -> float | None:
    runtime = site.get("runtime")
    return None if runtime is None else runtime["p50_h"]


def _outage_live(state: State, started_at: datetime) -> dict[str, Any]:
    """Counts up since the power went; the bar is the vehicle's charge."""
    charges = [soc for charger in state["chargers"].values() if (soc := charger["soc_pct"]) is not None]
    bar = {"progress": round(max(charges)), "progress_max": 100} if charges else {}
    return {"live_update": True, "chronometer": True, "when": int(started_at.timestamp()), **bar}


def _event_live(event: EventWire, start: datetime, end: datetime, now: datetime) -> dict[str, Any]:
    """Counts down to the end; the bar is the time that has passed. Nothing before it runs."""
    if event["status"] != "running":
        return {}
    lasts, passed = (end - start).total_seconds(), (now - start).total_seconds()
    bar = {"progress": max(0, round(passed)), "progress_max": round(lasts)}
    return {"live_update": True, "chronometer": True, "when": int(end.timestamp()), **bar}


def _minutes(hours: float) -> str:
    return f"{max(5, round(hours * 12) * 5)}"
