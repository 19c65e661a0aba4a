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
    Grid,
    ManualKind,
    ManualOrder,
    Mode,
    Settings,
    SiteFacts,
    frozen_map,
)

# A manual order outlives a dead Home Assistant by a day at most.
LONGEST_MANUAL = timedelta(hours=24)
LONGEST_POSTPONEMENT = timedelta(hours=12)


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
    """Settings without what is over: manual orders past their end, wishes that belonged to an outage."""
    manual = {name: order for name, order in settings.manual.items() if now < order.until}
    over = {uid for uid, account in memory.events.items() if account.is_over(now)}
    opted_out = settings.opted_out - over
    tied = memory.island.step is IslandStep.TIED
    ends_backup = settings.end_backup and not tied
    keep_date = settings.return_not_before is not None and now < settings.return_not_before and not tied
    unchanged = len(manual) == len(settings.manual) and opted_out == settings.opted_out
    if unchanged and ends_backup == settings.end_backup and (keep_date or settings.return_not_before is None):
        return settings
    return replace(
        settings,
        manual=frozen_map(manual),
        opted_out=opted_out,
        end_backup=ends_backup,
        return_not_before=settings.return_not_before if keep_date else None,
    )


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
}
