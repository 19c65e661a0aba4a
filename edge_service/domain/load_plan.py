"""The load groups while a decision is made: what a person wants of them, and what every rule on them asks."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from edge_service.domain.altered import altered
from edge_service.domain.load_fit import OFF, Sums, expected_w, is_sheddable, part, rating, state
from edge_service.domain.memory import LoadsMemory
from edge_service.domain.model import Backup, LoadGroup, LoadOrder, LoadState, Tier, frozen_map
from edge_service.domain.view import View

# An inverter that falls within this time of a load's return fell by it.
BLAMED_WITHIN = timedelta(seconds=30)
# A relay takes a moment, a radio plug more; then an order that nobody proves counts for nothing.
CARRIED_OUT_WITHIN = timedelta(seconds=5)
# The inverter's own reading lags behind what it carries.
MEASURED_WITHIN = timedelta(seconds=1)
TIERS = tuple(Tier)


class Reason(StrEnum):
    """Why a group is wanted as it is. ``found``: it was shed when we began. ``kept``: a person switched it on."""

    BY_HAND = "by_hand"
    BEFORE_FORMING = "before_forming"
    TIER = "tier"
    OUT_OF_HOURS = "out_of_hours"
    RESERVE = "reserve"
    OVERLOAD = "overload"
    COLLAPSE = "collapse"
    FOUND = "found"
    KEPT = "kept"
    RESTORED = "restored"


OVER_HAND = frozenset({Reason.KEPT, Reason.COLLAPSE})


def carrier(view: View) -> str | None:
    """The charger that carries the house in an outage, or would; None: none does."""
    if view.facts.switch is not None:
        return view.memory.island.former
    able = {name: one.capability for name, one in view.facts.chargers.items() if one.capability is not None}
    return next((name for name, one in able.items() if one.backup is Backup.VENDOR), None)


class Plan:
    """The groups while a decision is made on them. ``before``: as they were, with the house's load as known now."""

    def __init__(self, view: View, memory: LoadsMemory, known: Mapping[str, LoadGroup]) -> None:
        self.view, self.before, self.known = view, memory, known
        self.now = view.observation.now
        self.groups = dict(memory.groups)
        self.loads = memory
        self._states = {name: state(view.observation, name, view.facts) for name in known}
        self._legs = len(memory.leg_w)

    def memory(self) -> LoadsMemory:
        return altered(self.loads, groups=frozen_map(self.groups))

    def heed_people(self) -> None:
        """What a person decided is so until that is taken back; a must-have that nobody wants shed is on.

        A hand at the load itself since then counts more, and so does an island that fell: no wish keeps a house dark.
        """
        for name, group in self.known.items():
            order, at = self.view.settings.loads_by_hand.get(name), self.groups[name]
            must = group.tier is Tier.MUST_HAVE or group.medical
            if order is not None:
                later = at.since is not None and at.reason in OVER_HAND and at.since >= self._by_hand_at(name)
                if not later and (at.wanted, at.reason) != (order, Reason.BY_HAND):
                    self.want(name, order, Reason.BY_HAND, kept=False)
            elif must and at.wanted is LoadOrder.SHED:
                self.want(name, LoadOrder.ON, Reason.RESTORED)

    def _by_hand_at(self, name: str) -> datetime:
        return self.view.settings.loads_by_hand_at.get(name, self.now)

    def sheddable(self) -> list[tuple[str, LoadGroup]]:
        return [(name, group) for name, group in self.known.items() if is_sheddable(group, self.view.settings)]

    def is_out_of_hours(self, name: str) -> bool:
        """It does not matter at this time of day. Asked of what may be shed only: a must-have is so at every hour."""
        return name in self.view.observation.out_of_hours

    def tier(self, name: str) -> Tier:
        """How much it matters now."""
        return Tier.NON_ESSENTIAL if self.is_out_of_hours(name) else self.known[name].tier

    def state(self, name: str) -> LoadState | None:
        return self._states[name]

    def is_on(self, name: str, *, but_kept: bool = False) -> bool:
        """It is not to be off, and is not off by a person."""
        at = self.groups[name]
        wanted = at.wanted is LoadOrder.ON and not (but_kept and at.kept)
        return wanted and self.state(name) is not LoadState.OFF

    def goes_off(self, name: str) -> bool:
        """It is off, or has been told so just now."""
        at = self.groups[name]
        told = at.wanted is LoadOrder.SHED and at.since is not None and self.now - at.since < CARRIED_OUT_WITHIN
        return told or self.state(name) in OFF

    def is_pending(self, name: str) -> bool:
        """Shed so lately that the inverter does not show it yet."""
        at, stands = self.groups[name], self.state(name)
        if at.wanted is LoadOrder.ON or at.since is None or stands is LoadState.OFF:
            return False
        reading = self.view.reading(carrier(self.view) or "")
        unseen = reading is not None and at.since > reading.at - MEASURED_WITHIN
        return unseen or (stands is not LoadState.SHED and self.now - at.since < CARRIED_OUT_WITHIN)

    def limit(self) -> Sums | None:
        view = self.view
        return rating(view.observation, view.facts, carrier(view), self._legs)

    def part(self, name: str, power_w: float) -> Sums:
        return part(self.known[name], power_w, self._legs)

    def relief(self, name: str, excess: Sums) -> float:
        """What it takes off where there is too much."""
        at, group = self.groups[name], self.known[name]
        off = self.part(name, expected_w(group, at) or 0)
        return sum(min(one, too_much) if too_much else 0.0 for one, too_much in zip(off, excess, strict=True))

    def shed(self, name: str, reason: Reason) -> None:
        if self.groups[name].wanted is LoadOrder.ON:
            self.want(name, LoadOrder.SHED, reason)

    def want(self, name: str, order: LoadOrder, reason: Reason, *, kept: bool | None = None) -> None:
        at = self.groups[name]
        keeps = at.kept if kept is None else kept
        since = at.since if at.wanted is order and at.since is not None else self.now
        self.groups[name] = replace(
            at,
            wanted=order,
            since=since,
            reason=reason,
            kept=keeps,
            shed_proven=at.shed_proven and order is LoadOrder.SHED,
        )
