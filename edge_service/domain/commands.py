"""What people may ask for: a command becomes new settings, or is refused with what would be allowed. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from edge_service.domain.islanding import IN_TRANSFER
from edge_service.domain.memory import IslandStep, Memory
from edge_service.domain.model import (
    AtEnd,
    Contact,
    DeparturePlan,
    Grid,
    ManualKind,
    ManualOrder,
    Mode,
    Settings,
    SiteFacts,
    Storm,
    frozen_map,
)

# A manual order outlives a dead Home Assistant by a day at most.
LONGEST_MANUAL = timedelta(hours=24)
LONGEST_POSTPONEMENT = timedelta(hours=12)
# Weather is forecast for a week; a storm that nobody ends must not keep a house out of every event.
LONGEST_STORM = timedelta(days=7)
FARTHEST_DEPARTURE = timedelta(days=30)
# A week with two trips a day, and some for once.
MOST_DEPARTURES = 20
LONGEST_NAME = 80
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class CommandRefusedError(Exception):
    """Why not: a code for translation, words for the log, and what is allowed."""

    def __init__(self, code: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.code = code
        self.data: dict[str, Any] = data


@dataclass(frozen=True, slots=True)
class Asked:
    """A command with all that it is judged by. ``local``: typed at the edge itself."""

    args: Mapping[str, Any]
    settings: Settings
    facts: SiteFacts
    memory: Memory
    now: datetime
    local: bool = False

    def text(self, name: str) -> str:
        value = self.args.get(name)
        if not isinstance(value, str) or not value:
            raise CommandRefusedError(
                "bad_argument", f"{name} must be a text", argument=name, found=value, allowed="text"
            )
        return value

    def number(self, name: str, low: float, high: float) -> float:
        value = self.args.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            allowed = f"{low:g} to {high:g}"
            raise CommandRefusedError(
                "bad_argument", f"{name} must be {allowed}, not {value!r}", argument=name, found=value, allowed=allowed
            )
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.args.get(name)
        if not isinstance(value, bool):
            raise CommandRefusedError(
                "bad_argument", f"{name} must be true or false", argument=name, found=value, allowed="true, false"
            )
        return value

    def choice[E: StrEnum](self, name: str, kind: type[E]) -> E:
        value = self.text(name)
        if value not in list(kind):
            allowed = ", ".join(kind)
            raise CommandRefusedError(
                "bad_argument",
                f"{name} must be one of {allowed}, not {value}",
                argument=name,
                found=value,
                allowed=allowed,
            )
        return kind(value)

    def time(self, name: str) -> datetime:
        text = self.text(name)
        try:
            moment = datetime.fromisoformat(text)
            utc = None if moment.tzinfo is None else moment.astimezone(UTC)
        except ValueError, OverflowError:
            utc = None
        if utc is None:
            raise CommandRefusedError(
                "bad_argument",
                f"{name} must be a time with its offset",
                argument=name,
                found=text,
                allowed="2026-07-15T21:00:00Z",
            )
        return utc

    def charger(self) -> str:
        name = self.text("charger")
        if name not in self.facts.chargers:
            known = ", ".join(self.facts.chargers)
            raise CommandRefusedError(
                "unknown_charger", f"no charger {name}; there are: {known}", found=name, allowed=known
            )
        return name

    def program(self) -> str:
        name = self.text("program")
        if name not in self.facts.programs:
            known = ", ".join(self.facts.programs)
            raise CommandRefusedError(
                "unknown_program", f"no program {name}; there are: {known}", found=name, allowed=known
            )
        return name

    def until(self) -> datetime:
        until = self.time("until")
        if until <= self.now:
            raise CommandRefusedError("in_the_past", "the end is in the past", argument="until")
        if until > self.now + LONGEST_MANUAL:
            raise CommandRefusedError("until_too_far", "a manual order lasts 24 hours at most", allowed="24 h")
        return until

    @property
    def tied(self) -> bool:
        """No outage and no suspicion of one."""
        return self.memory.grid.state is Grid.ON and self.memory.island.step is IslandStep.TIED


def carry_out(name: str, asked: Asked) -> Settings:
    """The settings after the command. Raises ``CommandRefusedError``; then nothing has changed."""
    command = COMMANDS.get(name)
    if command is None:
        raise CommandRefusedError("unknown_command", f"no command {name}", found=name, allowed=", ".join(COMMANDS))
    return command(asked)


def expire(settings: Settings, memory: Memory, now: datetime) -> Settings:
    """Settings without what is over: manual orders, departures and a storm past, wishes that belonged to an outage."""
    manual = {name: order for name, order in settings.manual.items() if now < order.until}
    over = {uid for uid, account in memory.events.items() if account.is_over(now)}
    opted_out = settings.opted_out - over
    tied = memory.island.step is IslandStep.TIED
    ends_backup = settings.end_backup and not tied
    keep_date = settings.return_not_before is not None and now < settings.return_not_before and not tied
    departures, storm = _departures_left(settings, now), settings.storm_at(now)
    unchanged = len(manual) == len(settings.manual) and opted_out == settings.opted_out
    unchanged = unchanged and departures is settings.departures and storm is settings.storm
    if unchanged and ends_backup == settings.end_backup and (keep_date or settings.return_not_before is None):
        return settings
    return replace(
        settings,
        manual=frozen_map(manual),
        opted_out=opted_out,
        end_backup=ends_backup,
        return_not_before=settings.return_not_before if keep_date else None,
        departures=departures,
        storm=storm,
    )


def _departures_left(settings: Settings, now: datetime) -> Mapping[str, tuple[DeparturePlan, ...]]:
    """The plans without those for a time that is over, the very same mapping where none is."""
    if not any(_is_past(plan, now) for plans in settings.departures.values() for plan in plans):
        return settings.departures
    left = {
        name: tuple(plan for plan in plans if not _is_past(plan, now)) for name, plans in settings.departures.items()
    }
    return frozen_map({name: plans for name, plans in left.items() if plans})


def _is_past(plan: DeparturePlan, now: datetime) -> bool:
    return plan.at is not None and plan.at <= now


def _set_mode(asked: Asked) -> Settings:
    mode = asked.choice("mode", Mode)
    if mode is Mode.READ_ONLY and asked.memory.island.step in IN_TRANSFER:
        raise CommandRefusedError("outage_running", "the house is between two supplies; that must be finished first")
    return replace(asked.settings, mode=mode)


def _set_backup_reserve(asked: Asked) -> Settings:
    return replace(asked.settings, backup_reserve_pct=asked.number("pct", 0, 100))


def _set_drivers_reserve(asked: Asked) -> Settings:
    reserves = {**asked.settings.drivers_reserve_pct, asked.charger(): asked.number("pct", 0, 100)}
    return replace(asked.settings, drivers_reserve_pct=frozen_map(reserves))


def _set_event_floor(asked: Asked) -> Settings:
    floors = {**asked.settings.event_floor_pct, asked.program(): asked.number("pct", 0, 100)}
    return replace(asked.settings, event_floor_pct=frozen_map(floors))


def _set_at_end(asked: Asked) -> Settings:
    return replace(asked.settings, at_end=asked.choice("at_end", AtEnd))


def _set_participation(asked: Asked) -> Settings:
    program, left_out = asked.program(), set(asked.settings.not_participating)
    (left_out.discard if asked.flag("participating") else left_out.add)(program)
    return replace(asked.settings, not_participating=frozenset(left_out))


def _manual(kind: ManualKind) -> Callable[[Asked], Settings]:
    def place(asked: Asked) -> Settings:
        charger, until = asked.charger(), asked.until()
        _check_manual(asked, charger, kind)
        power = asked.args.get("power_w")
        power_w = None if power is None else int(asked.number("power_w", 1, 1_000_000))
        order = ManualOrder(kind, asked.now, until, power_w)
        return replace(asked.settings, manual=frozen_map({**asked.settings.manual, charger: order}))

    return place


def _check_manual(asked: Asked, charger: str, kind: ManualKind) -> None:
    if asked.settings.stopped:
        raise CommandRefusedError("stopped", "a person's stop stands; reset it on site first")
    if not asked.tied:
        raise CommandRefusedError("outage_running", "the grid is not there, or it is not known to be")
    capability = asked.facts.chargers[charger].capability
    if kind is ManualKind.DISCHARGE and capability is not None and capability.discharge_rating_w == 0:
        raise CommandRefusedError("not_bidirectional", f"{charger} cannot discharge")


def _resume(asked: Asked) -> Settings:
    charger = asked.charger()
    manual = {name: order for name, order in asked.settings.manual.items() if name != charger}
    return replace(asked.settings, manual=frozen_map(manual))


def _stop(asked: Asked) -> Settings:
    return replace(asked.settings, stopped=True)


def _reset_stop(asked: Asked) -> Settings:
    if not asked.local:
        raise CommandRefusedError("reset_on_site", "a stop is reset on site, with: ridethrough reset-stop")
    if Contact.STOP in asked.facts.contacts and asked.memory.contact(Contact.STOP).active:
        raise CommandRefusedError("stop_contact_active", "the stop button is still pressed; pull it out first")
    return replace(asked.settings, stopped=False)


def _event(asked: Asked) -> str:
    uid = asked.text("event")
    account = asked.memory.events.get(uid)
    if account is None:
        raise CommandRefusedError("unknown_event", f"no event {uid}", found=uid, allowed=", ".join(asked.memory.events))
    if account.is_over(asked.now) or asked.now >= account.end:
        raise CommandRefusedError("event_over", f"event {account.name} is over")
    return uid


def _opt_out(asked: Asked) -> Settings:
    return replace(asked.settings, opted_out=asked.settings.opted_out | {_event(asked)})


def _opt_in(asked: Asked) -> Settings:
    return replace(asked.settings, opted_out=asked.settings.opted_out - {_event(asked)})


def _end_backup(asked: Asked) -> Settings:
    if asked.memory.island.step not in (IslandStep.ISLAND, IslandStep.ANNOUNCED, IslandStep.FORMING, IslandStep.DARK):
        raise CommandRefusedError("no_backup_running", "no backup is running")
    if asked.args.get("confirm") is not True:
        raise CommandRefusedError(
            "confirm_needed", "this darkens the house; say confirm: true", allowed="confirm: true"
        )
    return replace(asked.settings, end_backup=True)


def _postpone_return(asked: Asked) -> Settings:
    until = asked.time("until")
    if asked.memory.island.step is IslandStep.TIED:
        raise CommandRefusedError("no_backup_running", "no backup is running, so there is no return to postpone")
    if until <= asked.now:
        raise CommandRefusedError("in_the_past", "the end is in the past", argument="until")
    if until > asked.now + LONGEST_POSTPONEMENT:
        raise CommandRefusedError("until_too_far", "a return can be postponed by 12 hours at most", allowed="12 h")
    return replace(asked.settings, return_not_before=until)


def _set_departure(asked: Asked) -> Settings:
    """Keep a plan under its id; one without an id replaces ``once`` or ``weekly``."""
    charger = asked.charger()
    weekly = asked.args.get("at") is None
    plan_id = _name(asked, "id", "weekly" if weekly else "once")
    soc_pct, miles = _how_much(asked)
    if weekly:
        _check_time_zone(asked)
        plan = DeparturePlan(plan_id, None, _weekdays(asked), _local_time(asked), soc_pct, miles)
    else:
        plan = DeparturePlan(plan_id, at=_departure_time(asked), soc_pct=soc_pct, miles=miles)
    others = tuple(old for old in asked.settings.departures.get(charger, ()) if old.id != plan_id)
    if len(others) >= MOST_DEPARTURES:
        raise CommandRefusedError(
            "too_many_departures", f"{charger} has {len(others)} departures already", allowed=str(MOST_DEPARTURES)
        )
    return _with_departures(asked, charger, (*others, plan))


def _check_time_zone(asked: Asked) -> None:
    """Half past seven of a site that does not say where it is would be somebody else's."""
    if asked.facts.time_zone is None:
        raise CommandRefusedError(
            "time_zone_needed",
            "a weekly departure needs the site's time_zone in site.yaml",
            allowed="America/New_York",
        )


def _with_departures(asked: Asked, charger: str, plans: tuple[DeparturePlan, ...]) -> Settings:
    departures = {**asked.settings.departures, charger: plans}
    return replace(asked.settings, departures=frozen_map({name: kept for name, kept in departures.items() if kept}))


def _name(asked: Asked, argument: str, default: str) -> str:
    value = asked.args.get(argument)
    if value is None:
        return default
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= LONGEST_NAME:
        allowed = f"1 to {LONGEST_NAME} characters on one line"
        raise CommandRefusedError(
            "bad_argument", f"{argument} must be {allowed}", argument=argument, found=value, allowed=allowed
        )
    return value


def _how_much(asked: Asked) -> tuple[float | None, float | None]:
    soc, miles = asked.args.get("soc_pct"), asked.args.get("miles")
    if (soc is None) == (miles is None):
        found = "neither" if soc is None else "both"
        raise CommandRefusedError(
            "bad_argument",
            f"a departure needs soc_pct or miles, not {found}",
            argument="soc_pct",
            found=found,
            allowed="soc_pct or miles",
        )
    if miles is None:
        return asked.number("soc_pct", 1, 100), None
    return None, asked.number("miles", 1, 500)


def _departure_time(asked: Asked) -> datetime:
    at = asked.time("at")
    if asked.args.get("weekdays") is not None or asked.args.get("local_time") is not None:
        raise CommandRefusedError(
            "bad_argument",
            "a departure is either at a time, or weekly",
            argument="at",
            found="both",
            allowed="at, or weekdays and local_time",
        )
    if at <= asked.now:
        raise CommandRefusedError("in_the_past", "the departure is in the past", argument="at")
    if at > asked.now + FARTHEST_DEPARTURE:
        raise CommandRefusedError("until_too_far", "a departure is 30 days ahead at most", allowed="30 days")
    return at


def _weekdays(asked: Asked) -> tuple[int, ...]:
    days = asked.args.get("weekdays")
    if not isinstance(days, list) or not days or not all(isinstance(day, str) and day in WEEKDAYS for day in days):
        raise CommandRefusedError(
            "bad_argument",
            f"weekdays must be a list of {', '.join(WEEKDAYS)}",
            argument="weekdays",
            found=days,
            allowed=", ".join(WEEKDAYS),
        )
    return tuple(sorted({WEEKDAYS.index(day) for day in days}))


def _local_time(asked: Asked) -> str:
    text = asked.text("local_time")
    hours, _, minutes = text.partition(":")
    digits = len(text) == len("07:30") and text.isascii() and hours.isdigit() and minutes.isdigit()
    if not digits or int(hours) > 23 or int(minutes) > 59:
        raise CommandRefusedError(
            "bad_argument",
            f"local_time must be 00:00 to 23:59, not {text}",
            argument="local_time",
            found=text,
            allowed="00:00 to 23:59",
        )
    return text


def departure_plan(asked: Asked) -> tuple[str, DeparturePlan]:
    """The charger and the plan that a command names."""
    charger, plan_id = asked.charger(), asked.text("id")
    plans = asked.settings.departures.get(charger, ())
    plan = next((plan for plan in plans if plan.id == plan_id), None)
    if plan is None:
        known = ", ".join(plan.id for plan in plans)
        raise CommandRefusedError(
            "unknown_departure", f"{charger} has no departure {plan_id}", found=plan_id, allowed=known
        )
    return charger, plan


def _clear_departure(asked: Asked) -> Settings:
    charger, plan = departure_plan(asked)
    return _with_departures(asked, charger, tuple(p for p in asked.settings.departures[charger] if p != plan))


def skip_departure(asked: Asked, at: datetime | None) -> Settings:
    """Leave out the plan's next time ``at``. A plan for once, or one without a next time, goes."""
    charger, plan = departure_plan(asked)
    if plan.at is None:
        _check_time_zone(asked)
    if plan.at is not None or at is None:
        return _clear_departure(asked)
    skipped = replace(plan, skip_until=at)
    return _with_departures(
        asked, charger, tuple(skipped if p == plan else p for p in asked.settings.departures[charger])
    )


def _set_miles_per_kwh(asked: Asked) -> Settings:
    known = {**asked.settings.miles_per_kwh, asked.charger(): asked.number("miles_per_kwh", 0.5, 10)}
    return replace(asked.settings, miles_per_kwh=frozen_map(known))


def _prepare_for_storm(asked: Asked) -> Settings:
    until, reserve_pct = asked.time("until"), asked.number("reserve_pct", 1, 100)
    if until <= asked.now:
        raise CommandRefusedError("in_the_past", "the storm is over", argument="until")
    if until > asked.now + LONGEST_STORM:
        raise CommandRefusedError("until_too_far", "a storm is prepared for for 7 days at most", allowed="7 days")
    return replace(asked.settings, storm=Storm(until, reserve_pct, _name(asked, "name", "")))


def _end_storm(asked: Asked) -> Settings:
    return replace(asked.settings, storm=None)


COMMANDS: Mapping[str, Callable[[Asked], Settings]] = {
    "set_mode": _set_mode,
    "set_backup_reserve": _set_backup_reserve,
    "set_drivers_reserve": _set_drivers_reserve,
    "set_event_floor": _set_event_floor,
    "set_at_end": _set_at_end,
    "set_participation": _set_participation,
    "charge": _manual(ManualKind.CHARGE),
    "discharge": _manual(ManualKind.DISCHARGE),
    "hold": _manual(ManualKind.HOLD),
    "resume": _resume,
    "stop": _stop,
    "reset_stop": _reset_stop,
    "opt_out": _opt_out,
    "opt_in": _opt_in,
    "end_backup": _end_backup,
    "postpone_return": _postpone_return,
    "set_departure": _set_departure,
    "clear_departure": _clear_departure,
    "set_miles_per_kwh": _set_miles_per_kwh,
    "prepare_for_storm": _prepare_for_storm,
    "end_storm": _end_storm,
}
