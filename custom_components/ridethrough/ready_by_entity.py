"""What the time, the charge and the switch of ready by have in common."""

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import replace
from datetime import time
from typing import override

from homeassistant.helpers.restore_state import ExtraStoredData, RestoreEntity

from .entity import RidethroughEntity
from .ready_by import PLAN, ReadyBy, plan_of, plans_departures
from .wire import ChargerWire, DeparturePlanState


class ReadyByEntity(RidethroughEntity[ChargerWire], RestoreEntity):
    """One of the three. They share what is remembered."""

    @property
    def kept(self) -> ReadyBy:
        """What is asked for, or was last."""
        return self.coordinator.ready_by.setdefault(self.subject, ReadyBy())

    @property
    @override
    def extra_restore_state_data(self) -> ExtraStoredData:
        return self.kept

    @override
    async def async_added_to_hass(self) -> None:
        restored = await self.async_get_last_extra_data()
        if restored is not None and self.subject not in self.coordinator.ready_by:
            self.coordinator.ready_by[self.subject] = ReadyBy.from_dict(restored.as_dict())
        await super().async_added_to_hass()

    @override
    def _looks_at(self) -> object:
        """Never the same: what is remembered here changes without the edge."""
        return object()

    @property
    def _plan(self) -> DeparturePlanState | None:
        return None if self.part is None else plan_of(self.part)

    def _keep(self, kept: ReadyBy) -> None:
        self.coordinator.ready_by[self.subject] = kept

    @override
    def _shown(self, part: ChargerWire) -> Hashable:
        """The plan that the edge shows; one that is new, or gone, counts before what was asked here."""
        plan, kept = plan_of(part), self.kept
        if plan != kept.seen:
            self._keep(replace(kept, seen=None, stands=None) if plan is None else kept.of_plan(plan))
        return self._show(kept if plan is None else kept.of_plan(plan), plan, known=plans_departures(part))

    @abstractmethod
    def _show(self, kept: ReadyBy, plan: DeparturePlanState | None, *, known: bool) -> Hashable:
        """Take over what is asked for. ``known``: the edge tells of departures at all."""

    async def async_ask(self, at: time | None = None, target_pct: float | None = None) -> None:
        """Ask for this, the rest as it was asked for last; remembered only, while it is off."""
        kept = self.kept
        wanted = replace(kept, at=at or kept.at, target_pct=kept.target_pct if target_pct is None else target_pct)
        if kept.stands is None:
            self._keep(wanted)
        else:
            miles = kept.stands["miles"] if target_pct is None else None
            await self.async_plan(wanted, kept.stands["weekdays"], miles)
        self.coordinator.async_update_listeners()

    async def async_plan(self, wanted: ReadyBy, weekdays: list[str], miles: float | None = None) -> None:
        """Have the edge keep the plan."""
        target_pct = wanted.target_pct if miles is None else None
        how_much = {"soc_pct": target_pct} if miles is None else {"miles": miles}
        at = f"{wanted.at:%H:%M}"
        await self.async_order(
            "set_departure", charger=self.subject, id=PLAN, weekdays=weekdays, local_time=at, **how_much
        )
        stands = DeparturePlanState(
            id=PLAN, at=None, weekdays=weekdays, local_time=at, soc_pct=target_pct, miles=miles, skip_until=None
        )
        self._keep(replace(wanted, seen=self._plan, stands=stands))

    async def async_forget(self) -> None:
        """Have the edge forget the plan; time and charge are remembered."""
        await self.async_order("clear_departure", charger=self.subject, id=PLAN)
        self._keep(replace(self.kept, seen=self._plan, stands=None))
