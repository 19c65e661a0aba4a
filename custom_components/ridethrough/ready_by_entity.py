"""What the time, the charge and the switch of ready by have in common."""

from abc import abstractmethod
from collections.abc import Hashable
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
    def _shown(self, part: ChargerWire) -> Hashable:
        """A plan that stands is shown as it is; one that is new is remembered, too."""
        plan, shown = plan_of(part), self.kept
        if plan is not None:
            shown = shown.of_plan(plan)
            if plan != self.kept.seen:
                self.coordinator.ready_by[self.subject] = shown
        return self._show(shown, plan, known=plans_departures(part))

    @abstractmethod
    def _show(self, kept: ReadyBy, plan: DeparturePlanState | None, *, known: bool) -> Hashable:
        """Take over what is asked for. ``known``: the edge tells of departures at all."""

    async def async_ask(self, at: time | None = None, target_pct: float | None = None) -> None:
        """Ask for this, the rest as it was asked for last; remembered only, while it is off."""
        plan = None if self.part is None else plan_of(self.part)
        wanted = ReadyBy(at or self.kept.at, self.kept.target_pct if target_pct is None else target_pct, plan)
        if plan is not None:
            in_miles = plan["miles"] is not None and target_pct is None
            await self.async_plan(wanted, plan["weekdays"], miles=plan["miles"] if in_miles else None)
        self.coordinator.ready_by[self.subject] = wanted
        self.coordinator.async_update_listeners()

    async def async_plan(self, wanted: ReadyBy, weekdays: list[str], miles: float | None = None) -> None:
        """Have the edge keep the plan."""
        how_much = {"soc_pct": wanted.target_pct} if miles is None else {"miles": miles}
        at = f"{wanted.at:%H:%M}"
        await self.async_order(
            "set_departure", charger=self.subject, id=PLAN, weekdays=weekdays, local_time=at, **how_much
        )
