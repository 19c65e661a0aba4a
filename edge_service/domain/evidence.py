"""The life of an order at a charger, each stage by evidence of its own: a read-back proves receipt, not action."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from edge_service.domain.model import Capability, ChargerReading, ChargerState, Order
from edge_service.domain.realise import order_power_w

# A power that stays with its order this long is no coincidence on the way to somewhere else.
HELD_AFTER = timedelta(seconds=30)
# Contactors, a session's negotiation and a slow ramp may add this much to the time that the model declares.
PATIENCE = timedelta(seconds=10)
# Vehicles take less and less above this, and some never more; the Quasar's own ceiling is 97 %.
SOC_CEILING_PCT = 95.0
# Vehicles guard a floor of their own, commonly at a tenth of the battery.
SOC_FLOOR_PCT = 10.0
# In these states it is the vehicle that asks for nothing.
_VEHICLE_RESTS = frozenset({ChargerState.WAITING, ChargerState.FINISHED, ChargerState.DISCONNECTED})


class Stage(StrEnum):
    """How far an order got."""

    ORDERED = "ordered"
    WRITTEN = "written"
    READ_BACK = "read_back"
    MEASURED = "measured"
    HELD = "held"
    LIMITED = "limited"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one order: when it reached each stage, and what stands in its way.

    ``written_at``: the device accepted the write; ``read_back_at``: its registers hold it; ``measured_at``: its power
    is within the model's tolerance since then; ``held_at``: and was without a break for ``HELD_AFTER``.
    ``astray_since``: its power has been elsewhere since then; ``limited_at``: for longer than it may take. A stage that
    is no longer so is None again.
    """

    order: Order
    ordered_at: datetime
    written_at: datetime | None = None
    read_back_at: datetime | None = None
    measured_at: datetime | None = None
    held_at: datetime | None = None
    limited_at: datetime | None = None
    refused_at: datetime | None = None
    astray_since: datetime | None = None
    reason: str | None = None

    @property
    def stage(self) -> Stage:
        """The last stage that is reached and still so."""
        return next(reversed(self.reached))

    @property
    def since(self) -> datetime:
        """When that stage was reached."""
        return next(reversed(self.reached.values()))

    @property
    def reached(self) -> Mapping[Stage, datetime]:
        """The stages of this order that are reached and still so, with their times, in the order of a life."""
        times = {
            Stage.ORDERED: self.ordered_at,
            Stage.WRITTEN: self.written_at,
            Stage.READ_BACK: self.read_back_at,
            Stage.MEASURED: self.measured_at,
            Stage.HELD: self.held_at,
            Stage.LIMITED: self.limited_at,
            Stage.REFUSED: self.refused_at,
        }
        return MappingProxyType({stage: at for stage, at in times.items() if at is not None})

    def replaced_by(self, order: Order, now: datetime, capability: Capability | None) -> Evidence:
        """The evidence of the order that takes this one's place.

        A charger that chases an order which moves by less than its tolerance is judged as for one that stands: else
        no order that follows the house would ever be found out as not followed.
        """
        astray = self.astray_since if self._is_near(order, capability) else None
        return Evidence(order, now, astray_since=astray)

    def _is_near(self, order: Order, capability: Capability | None) -> bool:
        former_w = order_power_w(self.order)
        return former_w is not None and capability is not None and follows(order, former_w, capability) is True

    def written(self, at: datetime) -> Evidence:
        """The device accepted the write; a renewal of what stands is no news."""
        return self if self.read_back_at is not None else replace(self, written_at=at)

    def read_back(self, at: datetime) -> Evidence:
        """The registers hold the order."""
        if self.read_back_at is not None and self.refused_at is None:
            return self
        written_at = self.written_at or at
        return Evidence(self.order, self.ordered_at, written_at, at, astray_since=self.astray_since)

    def refused(self, reason: str, at: datetime) -> Evidence:
        """The device said no, or its read-back differs."""
        if self.refused_at is not None and self.reason == reason:
            return self
        written_at = at if reason == "not_applied" else None
        if self.read_back_at is None and self.written_at is not None:
            written_at = self.written_at
        return Evidence(self.order, self.ordered_at, written_at, refused_at=at, reason=reason)

    def undone(self, reason: str) -> Evidence:
        """It does not stand, or nobody knows: ``no_contact``, or ``overwritten`` by another controller."""
        written_at = self.written_at if self.read_back_at is None and self.refused_at is None else None
        return Evidence(self.order, self.ordered_at, written_at, reason=reason)

    def seen(self, reading: ChargerReading, capability: Capability) -> Evidence:
        """What a reading begun after the read-back proves; the same evidence where it proves nothing new."""
        if self.read_back_at is None or self.refused_at is not None or reading.at < self.read_back_at:
            return self
        close = follows(self.order, reading.power_w, capability)
        if close is None:
            return self
        return self._followed(reading.at) if close else self._astray(reading, capability)

    def _followed(self, at: datetime) -> Evidence:
        if self.measured_at is None:
            return replace(self, measured_at=at, limited_at=None, astray_since=None, reason=None)
        if self.held_at is None and at - self.measured_at >= HELD_AFTER:
            return replace(self, held_at=at)
        return self

    def _astray(self, reading: ChargerReading, capability: Capability) -> Evidence:
        since = self.astray_since or (self.read_back_at if self.measured_at is None else None) or reading.at
        if reading.at - since < PATIENCE + timedelta(seconds=capability.settle_s):
            known = self.astray_since is not None and self.measured_at is None
            return self if known else replace(self, measured_at=None, held_at=None, astray_since=since)
        reason = limited_by(order_power_w(self.order) or 0, reading, capability)
        if self.limited_at is not None and self.reason == reason:
            return self
        return replace(
            self,
            measured_at=None,
            held_at=None,
            astray_since=since,
            limited_at=self.limited_at or reading.at,
            reason=reason,
        )

    @property
    def unfollowed_since(self) -> datetime | None:
        """Since when the power goes elsewhere without a cause that anybody tells; None while it does not."""
        return self.astray_since if self.limited_at is not None and self.reason == "not_followed" else None


def slack_w(power_w: int, capability: Capability) -> float:
    """How far a power may be from an order and still be that order's, at this model."""
    return max(capability.tolerance_w, abs(power_w) * capability.tolerance_share)


def follows(order: Order, power_w: int | None, capability: Capability) -> bool | None:
    """Whether the charger does as ordered, within the model's tolerance. None: not known, or no power was ordered."""
    wanted_w = order_power_w(order)
    if wanted_w is None or power_w is None:
        return None
    return abs(power_w - wanted_w) <= slack_w(wanted_w, capability)


def limited_by(ordered_w: int, reading: ChargerReading, capability: Capability) -> str:
    """Why a charger gives or takes less than ordered, as far as its readings tell; ``not_followed`` where they do not.

    More than ordered, or the other direction, is never a limit.
    """
    power_w = reading.power_w or 0
    against = power_w * ordered_w < 0 and abs(power_w) > capability.tolerance_w
    if abs(power_w) >= abs(ordered_w) or against:
        return "not_followed"
    if (limit := _limit(ordered_w > 0, abs(ordered_w), reading)) is not None:
        return limit
    rests = reading.plugged is False or reading.state in _VEHICLE_RESTS
    return "vehicle" if rests else "not_followed"


def _limit(charging: bool, most_w: int, reading: ChargerReading) -> str | None:
    soc = reading.soc_pct
    if charging:
        if reading.charge_max_w is not None and reading.charge_max_w < most_w:
            return "charge_limit"
        return "soc_ceiling" if soc is not None and soc >= SOC_CEILING_PCT else None
    if reading.discharge_max_w is not None and reading.discharge_max_w < most_w:
        return "discharge_limit"
    return "soc_floor" if soc is not None and soc <= SOC_FLOOR_PCT else None
