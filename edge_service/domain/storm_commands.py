"""Storms by hand, and what people make of alerts: commands become settings. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.model import Alert, AlertKind, Settings, Storm, frozen_map

# Weather is forecast for a week; a storm that nobody ends must not keep a house out of every event.
LONGEST_STORM = timedelta(days=7)


def prepare_for_storm(asked: Asked) -> Settings:
    until, reserve_pct = asked.time("until"), asked.number("reserve_pct", 1, 100)
    if until <= asked.now:
        raise CommandRefusedError("in_the_past", "the storm is over", argument="until")
    if until > asked.now + LONGEST_STORM:
        raise CommandRefusedError("until_too_far", "a storm is prepared for for 7 days at most", allowed="7 days")
    return replace(asked.settings, storm=Storm(until, reserve_pct, asked.name("name", "")))


def end_storm(asked: Asked) -> Settings:
    """End what a person began; an alert is left by opting out of it."""
    return replace(asked.settings, storm=None)


def set_storm_reserve(asked: Asked) -> Settings:
    return replace(asked.settings, storm_reserve_pct=asked.number("pct", 1, 100))


def set_heeds_alerts(asked: Asked) -> Settings:
    return replace(asked.settings, heeds_alerts=asked.flag("heeds"))


def opt_out_alert(asked: Asked) -> Settings:
    """Leave one alert unheeded, until it is over as announced now; longer, and it counts again."""
    alert = _alert(asked)
    if alert.kind is AlertKind.BLACK_START:
        raise CommandRefusedError("alert_is_a_limit", f"{alert.name} limits what the grid can give; it is no choice")
    until = alert.end or asked.now + LONGEST_STORM
    return replace(asked.settings, alerts_opted_out=frozen_map({**asked.settings.alerts_opted_out, alert.id: until}))


def opt_in_alert(asked: Asked) -> Settings:
    alert = _alert(asked)
    left = {one: until for one, until in asked.settings.alerts_opted_out.items() if one != alert.id}
    return replace(asked.settings, alerts_opted_out=frozen_map(left))


def _alert(asked: Asked) -> Alert:
    wanted, alerts = asked.text("alert"), () if asked.observation is None else asked.observation.alerts
    alert = next((alert for alert in alerts if alert.id == wanted), None)
    if alert is None:
        known = ", ".join(alert.id for alert in alerts)
        raise CommandRefusedError("unknown_alert", f"no alert {wanted}", found=wanted, allowed=known)
    return alert


def opt_outs_left(settings: Settings, now: datetime) -> Mapping[str, datetime]:
    """The alerts that are still left unheeded, the very same mapping where none is over."""
    if all(now < until for until in settings.alerts_opted_out.values()):
        return settings.alerts_opted_out
    return frozen_map({alert: until for alert, until in settings.alerts_opted_out.items() if now < until})


COMMANDS: Mapping[str, Callable[[Asked], Settings]] = {
    "prepare_for_storm": prepare_for_storm,
    "end_storm": end_storm,
    "set_storm_reserve": set_storm_reserve,
    "set_heeds_alerts": set_heeds_alerts,
    "opt_out_alert": opt_out_alert,
    "opt_in_alert": opt_in_alert,
}
