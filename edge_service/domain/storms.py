"""Storms: of the alerts that were announced those that count now, and what they ask of the house."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from edge_service.domain.model import Alert, AlertKind, Observation, Settings, Storm

# Warnings are given about a day ahead; what is announced earlier may still change.
LEAD = timedelta(hours=24)
# An alert without an end counts so long after its source's last word; told in whole hours, so that it stands still.
WITHOUT_WORD = timedelta(hours=6)
# Alerts before which a vehicle charges up. ``grid_emergency`` asks for the opposite, ``black_start`` limits the site.
PREPARED_FOR = frozenset(AlertKind) - {AlertKind.GRID_EMERGENCY, AlertKind.BLACK_START}


def storm_of(settings: Settings, observation: Observation) -> Storm | None:
    """The storm that counts now: the highest reserve, then the one that lasts longest; a person's before an alert's."""
    storms = list(_standing(settings, observation, observation.now))
    return max(storms, key=lambda storm: (storm.reserve_pct, storm.until, not storm.alert), default=None)


def is_stormy(settings: Settings, observation: Observation, moment: datetime) -> bool:
    """Whether the vehicles give nothing to events at that moment, as far as is known now."""
    if settings.storm is not None and moment < settings.storm.until:
        return True
    return any(_counts_at(alert, moment) for alert in _heeded(settings, observation) if alert.kind in PREPARED_FOR)


def emergency(settings: Settings, observation: Observation) -> Alert | None:
    """The grid may fail for want of power: the alert that says so and is heeded."""
    running = _running(observation, AlertKind.GRID_EMERGENCY)
    return next((alert for alert in running if _is_heeded(settings, alert)), None)


def black_start(observation: Observation) -> Alert | None:
    """The grid is being built up again. It is a limit of the utility, whatever people heed."""
    return next(_running(observation, AlertKind.BLACK_START), None)


def source_of(observation: Observation, alert_id: str) -> str:
    """Who announced the alert; empty: nobody, it was a person."""
    return next((alert.source for alert in observation.alerts if alert.id == alert_id), "")


def _running(observation: Observation, kind: AlertKind) -> Iterator[Alert]:
    alerts = [alert for alert in observation.alerts if alert.kind is kind and alert.runs_at(observation.now)]
    yield from sorted(alerts, key=lambda alert: (alert.start, alert.id))


def _is_heeded(settings: Settings, alert: Alert) -> bool:
    return settings.heeds_alerts and alert.id not in settings.alerts_opted_out


def _heeded(settings: Settings, observation: Observation) -> Iterable[Alert]:
    return (alert for alert in observation.alerts if _is_heeded(settings, alert))


def _counts_at(alert: Alert, moment: datetime) -> bool:
    return alert.start - moment <= LEAD and (alert.end is None or moment < alert.end)


def _standing(settings: Settings, observation: Observation, now: datetime) -> Iterator[Storm]:
    if (by_hand := settings.storm_at(now)) is not None:
        yield by_hand
    for alert in _heeded(settings, observation):
        if alert.kind in PREPARED_FOR and _counts_at(alert, now):
            yield _storm(alert, settings.storm_reserve_pct, now)


def _storm(alert: Alert, reserve_pct: float, now: datetime) -> Storm:
    until = alert.end or _next_hour(max(now, alert.start) + WITHOUT_WORD)
    return Storm(until, reserve_pct, alert.name, alert.id, open_ended=alert.end is None)


def _next_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
