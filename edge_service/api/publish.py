"""From a decision to the state that clients are shown, in the shape of the newest schema."""

from edge_service.api import wire
from edge_service.api.publish_charger import charger
from edge_service.api.publish_loads import companion, load
from edge_service.api.publish_programs import program
from edge_service.api.publish_site import site
from edge_service.api.shown import (
    Contact as Contact,
    Nameplate as Nameplate,
    Shown as Shown,
    Standing as Standing,
    moment,
)
from edge_service.domain import load_fit
from edge_service.domain.model import Notice


def state(shown: Shown) -> wire.State:
    """The whole state."""
    facts = shown.facts
    groups, view = load_fit.groups(shown.decision.settings, facts), shown.view()
    return {
        "site": site(shown),
        "chargers": {name: charger(shown, view, name) for name in facts.chargers},
        "programs": {name: program(shown, offer) for name, offer in facts.programs.items()},
        "notices": shown.notices,
        "loads": {name: load(shown, group) for name, group in groups.items()},
        "companions": {name: companion(shown, name) for name in facts.companions},
    }


def notice(raised: Notice) -> wire.NoticeWire:
    """A standing notice as clients are shown it."""
    return {
        "number": raised.number,
        "key": raised.key,
        "kind": raised.kind,
        "level": raised.level,
        "raised_at": moment(raised.raised_at),
        "data": dict(raised.data),
    }
