"""What people may ask for: a command becomes new settings, or is refused with what would be allowed. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain import event_commands, load_commands, program_commands, reserve_commands, storm_commands
from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.departure_commands import clear_departure, departures_left, set_departure
from edge_service.domain.drill_commands import cancel_drill, clear_drill_schedule, set_drill_schedule, start_drill
from edge_service.domain.islanding import IN_TRANSFER
from edge_service.domain.memory import ALIVE, IslandStep, Memory
from edge_service.domain.model import (
    Contact,
    Grid,
    ManualKind,
    ManualOrder,
    Mode,
    Settings,
    frozen_map,
)
from edge_service.domain.persons_limits import set_power_limit

# A manual order outlives a dead Home Assistant by a day at most.
LONGEST_MANUAL = timedelta(hours=24)
LONGEST_POSTPONEMENT = timedelta(hours=12)
# A backup runs, or is tried.
ENDABLE = ALIVE | {IslandStep.FORMING, IslandStep.DARK, IslandStep.HANDOVER, IslandStep.RETRY}


def carry_out(name: str, asked: Asked) -> Settings:
    """The settings after the command. Raises ``CommandRefusedError``; then nothing has changed."""
    command = COMMANDS.get(name)
    if command is None:
        raise CommandRefusedError("unknown_command", f"no command {name}", found=name, allowed=", ".join(COMMANDS))
    return command(asked)


def expire(settings: Settings, memory: Memory, now: datetime) -> Settings:
    """Settings without what is over, the very same object where nothing is.

    Over are: manual orders, departures and a storm past, what belonged to an outage, a drill that was taken up.
    """
    over = {uid for uid, account in memory.events.items() if account.is_over(now)}
    done = {uid for uid in over if now >= memory.events[uid].end + event_commands.NO_KEPT_AFTER}
    outage_over = memory.grid.state is Grid.ON and memory.island.step is IslandStep.TIED
    tied, not_before = memory.island.step is IslandStep.TIED, settings.return_not_before
    taken_up = memory.drill is not None and settings.drill is not None and memory.drill.id == settings.drill.id
    drill_runs = memory.drill is not None and memory.drill.runs
    left = replace(
        settings,
        manual=frozen_map({name: order for name, order in settings.manual.items() if now < order.until}),
        opted_out=settings.opted_out - done,
        opted_in=settings.opted_in - over,
        days_opted_out=event_commands.days_left(settings, now),
        end_backup=settings.end_backup and not tied,
        return_not_before=not_before if not_before is not None and now < not_before and not tied else None,
        departures=departures_left(settings, now),
        storm=settings.storm_at(now),
        retry_backup_at=None if outage_over else settings.retry_backup_at,
        lent_pct=frozen_map() if outage_over else settings.lent_pct,
        alerts_opted_out=storm_commands.opt_outs_left(settings, now),
        drill=None if taken_up and not drill_runs else settings.drill,
        drill_cancelled=settings.drill_cancelled if drill_runs else "",
    )
    return settings if left == settings else left


def _set_mode(asked: Asked) -> Settings:
    mode = asked.choice("mode", Mode)
    if mode is Mode.READ_ONLY and asked.memory.island.step in IN_TRANSFER:
        raise CommandRefusedError("outage_running", "the house is between two supplies; that must be finished first")
    return replace(asked.settings, mode=mode)


def _manual(kind: ManualKind) -> Callable[[Asked], Settings]:
    def place(asked: Asked) -> Settings:
        charger, until = asked.charger(), _until(asked)
        _check_manual(asked, charger, kind)
        power = asked.args.get("power_w")
        power_w = None if power is None else int(asked.number("power_w", 1, 1_000_000))
        order = ManualOrder(kind, asked.now, until, power_w)
        return replace(asked.settings, manual=frozen_map({**asked.settings.manual, charger: order}))

    return place


def _until(asked: Asked) -> datetime:
    until = asked.time("until")
    if until <= asked.now:
        raise CommandRefusedError("in_the_past", "the end is in the past", argument="until")
    if until > asked.now + LONGEST_MANUAL:
        raise CommandRefusedError("until_too_far", "a manual order lasts 24 hours at most", allowed="24 h")
    return until


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


def _end_backup(asked: Asked) -> Settings:
    if asked.memory.island.step not in ENDABLE:
        raise CommandRefusedError("no_backup_running", "no backup is running")
    if asked.args.get("confirm") is not True:
        raise CommandRefusedError(
            "confirm_needed", "this darkens the house; say confirm: true", allowed="confirm: true"
        )
    return replace(asked.settings, end_backup=True)


def _retry_backup(asked: Asked) -> Settings:
    island, outage = asked.memory.island, asked.memory.outage
    gave_up = island.step is IslandStep.TIED and island.attempts > 0
    if outage is None or outage.ended_at is not None or not (island.step is IslandStep.DARK or gave_up):
        raise CommandRefusedError("nothing_to_retry", "no attempt to power the house has failed and come to rest")
    return replace(asked.settings, retry_backup_at=asked.now)


def _postpone_return(asked: Asked) -> Settings:
    until = asked.time("until")
    if asked.memory.island.step is IslandStep.TIED:
        raise CommandRefusedError("no_backup_running", "no backup is running, so there is no return to postpone")
    if until <= asked.now:
        raise CommandRefusedError("in_the_past", "the end is in the past", argument="until")
    if until > asked.now + LONGEST_POSTPONEMENT:
        raise CommandRefusedError("until_too_far", "a return can be postponed by 12 hours at most", allowed="12 h")
    return replace(asked.settings, return_not_before=until)


def _set_miles_per_kwh(asked: Asked) -> Settings:
    known = {**asked.settings.miles_per_kwh, asked.charger(): asked.number("miles_per_kwh", 0.5, 10)}
    return replace(asked.settings, miles_per_kwh=frozen_map(known))


def _clear_fault(asked: Asked) -> Settings:
    """What locked a charger is a person's to look at and to reset there: no register for it is ever written."""
    raise CommandRefusedError("not_supported", f"{asked.charger()} cannot do that", found=asked.charger())


def _restart_charger(asked: Asked) -> Settings:
    """Whether it may be restarted now; nothing is kept of it."""
    charger = asked.charger()
    if not asked.facts.chargers[charger].restarts:
        raise CommandRefusedError("not_supported", f"{charger} cannot do that", found=charger)
    if not asked.tied:
        raise CommandRefusedError("outage_running", "a charger is restarted only while the grid is there")
    if asked.settings.mode is Mode.READ_ONLY:
        raise CommandRefusedError("mode_read_only", "in this mode nothing is written to a charger")
    return asked.settings


COMMANDS: Mapping[str, Callable[[Asked], Settings]] = {
    **event_commands.COMMANDS,
    **load_commands.COMMANDS,
    **program_commands.COMMANDS,
    **reserve_commands.COMMANDS,
    **storm_commands.COMMANDS,
    "set_mode": _set_mode,
    "charge": _manual(ManualKind.CHARGE),
    "discharge": _manual(ManualKind.DISCHARGE),
    "hold": _manual(ManualKind.HOLD),
    "resume": _resume,
    "stop": _stop,
    "reset_stop": _reset_stop,
    "end_backup": _end_backup,
    "retry_backup": _retry_backup,
    "postpone_return": _postpone_return,
    "set_departure": set_departure,
    "clear_departure": clear_departure,
    "set_miles_per_kwh": _set_miles_per_kwh,
    "set_power_limit": set_power_limit,
    "clear_fault": _clear_fault,
    "restart_charger": _restart_charger,
    "start_drill": start_drill,
    "cancel_drill": cancel_drill,
    "set_drill_schedule": set_drill_schedule,
    "clear_drill_schedule": clear_drill_schedule,
}
