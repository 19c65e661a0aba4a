"""Idle: nobody wants anything. A vehicle below its reserves charges up to them; otherwise it rests."""

from edge_service.domain.model import frozen_map
from edge_service.domain.view import Narrowing, Statement, View


def idle(view: View) -> tuple[Statement, ...]:
    """Every charger that is left gets a power: as much as allowed below a reserve, else none."""
    low = [charger for charger in view.open_chargers if view.is_low(charger, "fill")]
    rest = [charger for charger in view.open_chargers if charger not in low]
    statements: list[Statement] = []
    if low:
        wants = {charger: view.bands[charger].hi for charger in low}
        statements.append(Narrowing("fills_reserve", wants=frozen_map(wants)))
    if rest:
        statements.append(Narrowing("rests", wants=frozen_map(dict.fromkeys(rest, 0))))
    return tuple(statements)
