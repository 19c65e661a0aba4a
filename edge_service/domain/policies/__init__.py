"""The ladder: every rung in its order of precedence, top first. A lower rung can never undo a higher one."""

from edge_service.domain.departing import follow as follow_departures
from edge_service.domain.model import SiteFacts
from edge_service.domain.policies.backup_reserve import backup_reserve
from edge_service.domain.policies.demand_response import demand_response
from edge_service.domain.policies.departure import departure
from edge_service.domain.policies.device_safety import device_safety
from edge_service.domain.policies.drivers_reserve import drivers_reserve
from edge_service.domain.policies.idle import idle
from edge_service.domain.policies.manual import manual
from edge_service.domain.policies.outage import outage
from edge_service.domain.policies.site_limits import site_limits
from edge_service.domain.policies.stop import stop
from edge_service.domain.policy import Rung

LADDER: tuple[Rung, ...] = (
    Rung("device_safety", device_safety),
    Rung("stop", stop),
    Rung("site_limits", site_limits),
    Rung("outage", outage),
    Rung("drivers_reserve", drivers_reserve),
    Rung("manual", manual),
    Rung("departure", departure, follow_departures),
    Rung("backup_reserve", backup_reserve),
    Rung("demand_response", demand_response),
    Rung("idle", idle),
)


def _with_departure_first() -> tuple[Rung, ...]:
    names = [rung.name for rung in LADDER]
    manual_at, departure_at = names.index("manual"), names.index("departure")
    rest = [rung for rung in LADDER if rung.name != "departure"]
    return (*rest[:manual_at], LADDER[departure_at], *rest[manual_at:])


DEPARTURE_FIRST: tuple[Rung, ...] = _with_departure_first()


def ladder_of(facts: SiteFacts) -> tuple[Rung, ...]:
    """The site's ladder: a depot may want its departures above a person's order."""
    return DEPARTURE_FIRST if facts.departure_first else LADDER
