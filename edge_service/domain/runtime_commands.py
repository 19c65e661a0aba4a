"""Questions on how long backup lasts: answered from what is remembered, they change nothing. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from edge_service.domain.asked import Asked, CommandRefusedError, bad_argument
from edge_service.domain.load_fit import groups
from edge_service.domain.runtime import what_if

# More than any service of a house carries.
MOST_W = 100_000


def forecast_runtime(asked: Asked) -> Mapping[str, Any]:
    """How long it lasts, or would without some load groups or watts, or from another charge; and each one's gain."""
    runtime = asked.memory.runtime
    without = _without(asked)
    without_w = 0.0 if asked.args.get("without_w") is None else asked.number("without_w", 0, MOST_W)
    soc_pct = None if asked.args.get("soc_pct") is None else asked.number("soc_pct", 0, 100)
    if not runtime.stores:
        raise CommandRefusedError("charge_not_known", "no vehicle that can carry the house is known to be there")
    found = what_if(runtime, asked.now, without=without, without_w=without_w, soc_pct=soc_pct)
    if found is None:
        raise CommandRefusedError("no_load_data", "nothing is known yet of what the house draws")
    lasts = found.lasts
    return {
        "p10_h": lasts.p10_h,
        "p50_h": lasts.p50_h,
        "p90_h": lasts.p90_h,
        "usable_wh": lasts.usable_wh,
        "load_w": lasts.load_w,
        "gain_h": dict(found.gains_h),
    }


def _without(asked: Asked) -> list[str]:
    """Each group once; one of which nobody knows what it draws would be a wrong answer."""
    names, known, on = (
        asked.args.get("without") or [],
        groups(asked.settings, asked.facts),
        asked.memory.runtime.groups_w,
    )
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad_argument("without", names, "a list of load groups")
    for name in names:
        if name not in known:
            raise CommandRefusedError("unknown_load", f"no load group {name}", found=name, allowed=", ".join(known))
        if on.get(name, 0) is None:
            raise CommandRefusedError("load_power_not_known", f"nobody knows what {name} draws", found=name)
    return list(dict.fromkeys(names))


QUESTIONS: Mapping[str, Callable[[Asked], Mapping[str, Any]]] = {"forecast_runtime": forecast_runtime}
