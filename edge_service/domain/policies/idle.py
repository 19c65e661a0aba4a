"""Idle: nobody wants anything. A vehicle below its reserves charges up to them; otherwise it rests."""

from edge_service.domain.model import frozen_map
from edge_service.domain.view import Narrowing, Statement, View


def idle(view: View) -> tuple[Statement, ...]:
    """Every charger that is left gets a power: as much as allowed below a reserve, else none.

    One that takes no setpoint goes on with what it does, below a cap where there must be one.
    """
    steerable = view.steerable
    low = [charger for charger in steerable if view.is_low(charger, "fill") and view.bands[charger].hi > 0]
    rest = [charger for charger in steerable if charger not in low]
    unsteered = {charger: view.outcome_w(charger) for charger in view.open_chargers if charger not in steerable}
    statements: list[Statement] = []
    if low:
        wants = view.share({charger: view.bands[charger].hi for charger in low})
        statements.append(Narrowing("fills_reserve", wants=frozen_map(wants)))
    if unsteered:
        statements.append(Narrowing("takes_no_setpoint", wants=frozen_map(unsteered)))
    if rest:
        statements.append(Narrowing("rests", wants=frozen_map(dict.fromkeys(rest, 0))))
    return tuple(statements)
