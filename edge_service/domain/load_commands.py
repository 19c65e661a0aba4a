"""Load groups that people make, and what they decide on one by hand. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from edge_service.domain.asked import Asked, CommandRefusedError, bad_argument, is_local_time
from edge_service.domain.load_fit import groups
from edge_service.domain.model import (
    DEFAULT_SHED_BELOW_PCT,
    MOST_SPANS,
    LoadGroup,
    LoadOrder,
    Settings,
    Tier,
    frozen_map,
)

AUTO = "auto"
ID = re.compile(r"[a-z0-9_]{1,32}")
# More than a panel has breakers.
MOST_GROUPS = 64
MOST_LEGS = 3
SPANS = f'up to {MOST_SPANS} pairs of different local times such as ["17:00", "21:00"], or none: always'


def set_load_group(asked: Asked) -> Settings:
    """Make a group, or change it; one of a relay keeps its relay. Somebody's health makes it a must-have."""
    name = _id(asked)
    medical = asked.args.get("medical", False) is not False and asked.flag("medical")
    power = asked.args.get("power_w")
    pct = asked.args.get("shed_below_pct")
    group = LoadGroup(
        name,
        asked.name("name", name),
        Tier.MUST_HAVE if medical else asked.choice("tier", Tier),
        None if power is None else int(asked.number("power_w", 0, 100_000)),
        _legs(asked),
        DEFAULT_SHED_BELOW_PCT if pct is None else asked.number("shed_below_pct", 0, 100),
        medical,
    )
    group = replace(group, hours=_hours(asked, group))
    others = {key: kept for key, kept in asked.settings.load_groups.items() if key != name}
    if len(others) >= MOST_GROUPS:
        raise CommandRefusedError(
            "too_many_load_groups", f"there are {len(others)} load groups", allowed=str(MOST_GROUPS)
        )
    return replace(asked.settings, load_groups=frozen_map({**others, name: group}))


def _id(asked: Asked) -> str:
    name = asked.text("id")
    taken = name in asked.facts.chargers or name in asked.facts.companions
    if not ID.fullmatch(name) or name in ("site", "manual") or taken:
        raise bad_argument("id", name, "1 to 32 characters out of a-z, 0-9 and _, that nothing else here is called by")
    return name


def _legs(asked: Asked) -> tuple[int, ...]:
    given, most = asked.args.get("legs", []), len(asked.facts.leg_max_w) or MOST_LEGS
    allowed = f"a list of legs from 1 to {most}; empty: all alike"
    if not isinstance(given, list):
        raise bad_argument("legs", given, allowed)
    for leg in given:
        if isinstance(leg, bool) or not isinstance(leg, int) or not 1 <= leg <= most or given.count(leg) > 1:
            raise bad_argument("legs", given, allowed)
    return tuple(sorted(given))


def _hours(asked: Asked, group: LoadGroup) -> tuple[tuple[str, str], ...]:
    """As given; one who says nothing of them, such as an older client, leaves them as they are."""
    must = group.tier is Tier.MUST_HAVE
    if "hours" not in asked.args:
        known = groups(asked.settings, asked.facts).get(group.id)
        return () if known is None or must else known.hours
    spans = asked.args["hours"] or []
    if not isinstance(spans, list) or len(spans) > MOST_SPANS:
        raise bad_argument("hours", spans, SPANS)
    if spans and must:
        raise bad_argument("hours", spans, "none: a must-have matters at every hour")
    if spans:
        asked.need_time_zone()
    return tuple(_span(span) for span in spans)


def _span(span: Any) -> tuple[str, str]:
    if not isinstance(span, list) or len(span) != 2 or span[0] == span[1] or not all(map(is_local_time, span)):
        raise bad_argument("hours", span, SPANS)
    return span[0], span[1]


def remove_load_group(asked: Asked) -> Settings:
    """Forget a group that people made. One that is shed is put back first, or nobody would do it any more."""
    name = asked.text("id")
    if name not in asked.settings.load_groups:
        known = ", ".join(asked.settings.load_groups)
        raise CommandRefusedError("unknown_load", f"no load group {name} that people made", found=name, allowed=known)
    shed = asked.memory.loads.group(name).wanted is LoadOrder.SHED
    if shed and name not in asked.facts.relays:
        raise CommandRefusedError("load_is_shed", f"{name} is shed; put it back first, with set_load")
    left = {key: kept for key, kept in asked.settings.load_groups.items() if key != name}
    settings = replace(asked.settings, load_groups=frozen_map(left))
    return settings if name in asked.facts.relays else _by_hand(settings, name, None, asked)


def set_load(asked: Asked) -> Settings:
    """A person's word on a group, until ``auto``. What somebody's health depends on is shed with ``confirm`` only."""
    name, known = asked.text("group"), groups(asked.settings, asked.facts)
    if name not in known:
        raise CommandRefusedError("unknown_load", f"no load group {name}", found=name, allowed=", ".join(known))
    order = asked.text("order")
    if order not in (AUTO, *LoadOrder):
        raise bad_argument("order", order, f"{AUTO}, {', '.join(LoadOrder)}")
    if order == LoadOrder.SHED and known[name].medical and asked.args.get("confirm") is not True:
        says = "somebody's health depends on it; say confirm: true"
        raise CommandRefusedError("medical_confirm_needed", says, allowed="confirm: true")
    return _by_hand(asked.settings, name, None if order == AUTO else LoadOrder(order), asked)


def _by_hand(settings: Settings, name: str, order: LoadOrder | None, asked: Asked) -> Settings:
    orders = {key: kept for key, kept in settings.loads_by_hand.items() if key != name}
    times = {key: kept for key, kept in settings.loads_by_hand_at.items() if key != name}
    if order is not None:
        orders[name], times[name] = order, asked.now
    return replace(settings, loads_by_hand=frozen_map(orders), loads_by_hand_at=frozen_map(times))


COMMANDS: Mapping[str, Callable[[Asked], Settings]] = {
    "set_load_group": set_load_group,
    "remove_load_group": remove_load_group,
    "set_load": set_load,
}
