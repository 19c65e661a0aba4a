"""The neutral of a split-phase service: with it broken, each leg's voltage goes by what is switched on there.

Leg to leg the voltage stays as it was, so neither the grid's state nor a charger shows it, while lamps and devices on
the lighter leg get far too much. It is an alarm and nothing else: to shed loads moves the legs further apart as often
as together, and an island behind the same broken neutral would be no better.
"""

from datetime import datetime, timedelta

from edge_service.domain.model import Observation, SiteFacts

# A sound service keeps its legs within a few volts of each other: ANSI C84.1 allows 110 to 127 V at the most. Apart by
# more than this share of a leg's nominal voltage is no load's doing; it is over once they are within the second share.
APART_PU, TOGETHER_PU = 0.15, 0.08
# The legs together: else it is the supply that fails, and that is no matter of the neutral.
ALIVE_PU = (0.88, 1.10)
# A motor's start bends one leg for less than this.
LASTS = timedelta(seconds=3)


def lost_since(observation: Observation, before: datetime | None, facts: SiteFacts) -> datetime | None:
    """Since when the legs' voltages have diverged. A meter that is silent, or shows no voltage, leaves it as it was."""
    meter = facts.fresh(observation.meter, observation.now)
    legs = () if meter is None else _two_legs(meter.leg_voltage_v, facts)
    if not legs or not ALIVE_PU[0] <= sum(legs) / facts.nominal_voltage_v <= ALIVE_PU[1]:
        return before
    apart_pu = 2 * abs(legs[0] - legs[1]) / facts.nominal_voltage_v
    diverged = apart_pu > (APART_PU if before is None else TOGETHER_PU)
    return (before or observation.now) if diverged else None


def is_lost(since: datetime | None, now: datetime) -> bool:
    """It has lasted long enough to be told."""
    return since is not None and now - since >= LASTS


def seen(observation: Observation, since: datetime | None, facts: SiteFacts) -> bool | None:
    """Whether it is lost; None: the meter does not tell of the legs, or is silent and has not told of a loss."""
    if is_lost(since, observation.now):
        return True
    meter = facts.fresh(observation.meter, observation.now)
    return False if meter is not None and _two_legs(meter.leg_voltage_v, facts) else None


def _two_legs(voltages: tuple[float | None, ...], facts: SiteFacts) -> tuple[float, ...]:
    """The voltages of a split-phase service's two legs, of a meter that may have a third input; else none."""
    wired = len(facts.leg_max_w) or len(voltages)
    known = tuple(volts for volts in voltages[:2] if volts is not None)
    return known if wired == 2 and len(known) == 2 else ()
