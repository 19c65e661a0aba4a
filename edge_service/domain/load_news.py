"""What people are told of loads: what was shed and came back, too much of it, and groups that nobody answers for."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from edge_service.domain.load_fit import groups
from edge_service.domain.load_plan import Plan, Reason
from edge_service.domain.load_restoring import QUIET_FOR
from edge_service.domain.load_shedding import has_more
from edge_service.domain.loads import Phase, phase
from edge_service.domain.memory import Memory
from edge_service.domain.model import Happening, LoadOrder, Mode, Notice, Tier, frozen_map
from edge_service.domain.view import View

# Home Assistant starts in about a minute; a plug that answers by then was worth no word.
UNREACHABLE_AFTER = timedelta(seconds=60)
NO_LOAD_LEFT = "overload_no_load_left"


def happenings(view: View, before: Memory, after: Memory) -> Iterator[Happening]:
    """Each group that is shed or put back."""
    for name, group in groups(view.settings, view.facts).items():
        was, now = before.loads.group(name), after.loads.group(name)
        if was.wanted is now.wanted or now.reason == Reason.FOUND:
            continue
        data: dict[str, Any] = {"group": name, "name": group.name, "reason": now.reason}
        if now.wanted is LoadOrder.SHED:
            yield Happening("load_shed", "site", view.observation.now, frozen_map(data))
        else:
            yield Happening("load_restored", "site", view.observation.now, frozen_map(data))


def notices(view: View, before: Memory, after: Memory) -> Iterator[Notice]:
    """What stands of an overload, and of groups that do not answer in an outage."""
    yield from _of_overload(view, before, after)
    if phase(view) in (Phase.FORMING, Phase.CARRIED) and view.settings.mode is not Mode.READ_ONLY:
        yield from _of_silence(view, before, after)


def _of_overload(view: View, before: Memory, after: Memory) -> Iterator[Notice]:
    loads, now = after.loads, view.observation.now
    if phase(view) is not Phase.CARRIED or loads.overloaded_at is None or now - loads.overloaded_at >= QUIET_FOR:
        return
    more = has_more(Plan(view, loads, groups(view.settings, view.facts)))
    told = before.notices.get("overload") == NO_LOAD_LEFT
    data = frozen_map({"house_w": view.house_w})
    if not more and (told or loads.overload_since is not None):
        yield Notice("overload", "overload_no_load_left", "critical", now, data)
    else:
        yield Notice("overload", "overload", "warning", now, data)


def _of_silence(view: View, before: Memory, after: Memory) -> Iterator[Notice]:
    now, told = view.observation.now, "loads" in before.notices
    silent = []
    for name, group in groups(view.settings, view.facts).items():
        since = after.loads.group(name).silent_since
        matters = group.tier is not Tier.MUST_HAVE or after.loads.group(name).wanted is LoadOrder.SHED
        if matters and since is not None and (told or now - since >= UNREACHABLE_AFTER):
            silent.append(group.name)
    if silent:
        data = frozen_map({"groups": ", ".join(silent)})
        yield Notice("loads", "load_unreachable", "warning", now, data)
