"""Closed-loop tracking: what is measured at each charger is brought to what an event asked of it, by a trim.

A charger that follows its orders within its tolerance may still miss by that much, always to the same side. What it
does less than its order is found slowly and added to it, the trim: slowly enough for any device that follows within its
``settle_s``, so that it cannot swing; and so little that the order is no further from what is measured than the
tolerance, so that a trim is no disobedience. With a meter this holds the site's net as well: what is asked of the
chargers follows the meter.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from edge_service.domain.memory import ChargerMemory, Trim
from edge_service.domain.model import Capability, Stage, frozen_map
from edge_service.domain.others import SKEW
from edge_service.domain.ruling import ruling
from edge_service.domain.timeline import Call
from edge_service.domain.view import Settled, View

# The trim stays below the tolerance by this much: room for noise, or the order would be told as not followed.
BOUND_SHARE = 0.7
# The trim follows what is missed in this many delays of the device and of its readings. Four of them never overshoot.
DELAYS = 4.0
# What is missed by less is not worth a write: this part of the target, and never less than this.
ENOUGH_SHARE = 0.005
ENOUGH_W = 20.0
# An order moves only when the trim has moved by as much.
STEP_W = 10
# Who misses by more tolerances than this does not follow at all: something else limits it, and no trim helps.
OFF_TOLERANCES = 2.0
# After a stall of the edge the past is not counted.
LONGEST_STEP_S = 2.0
EVENT = "event"
RUNG = "demand_response"


def trimmed_w(view: View, call: Call, charger: str, asked_w: int) -> int:
    """What the charger is told, so that what was asked of it is measured; never the other direction, nor rest."""
    trim, capability = view.memory.charger(charger).trim, view.capability(charger)
    if not asked_w or capability is None:
        return asked_w
    bound_w = _bound_w(capability, asked_w)
    trim_w = max(-bound_w, min(bound_w, trim.w)) if trim is not None and _is_of(trim, call) else 0
    told_w = stepped_w(view, charger, asked_w + trim_w)
    return told_w if told_w * asked_w > 0 else asked_w


def stepped_w(view: View, charger: str, power_w: int) -> int:
    """The nearest power that the charger's steps allow, inside its band; as it is where there is none."""
    capability = view.capability(charger)
    step_w = 1 if capability is None else capability.step_w
    nearest_w = round(power_w / step_w) * step_w
    return nearest_w if nearest_w in view.bands[charger] else power_w


def _is_of(trim: Trim, call: Call) -> bool:
    return (trim.event, trim.slot) == (call.event.uid, call.slot.start)


def _bound_w(capability: Capability, power_w: int) -> int:
    """A device of coarse steps may be a whole one away from what was asked, and yet do just what it is told."""
    coarse_w = capability.step_w if capability.step_w > 1 else 0
    return max(int(capability.tolerance_of(power_w) * BOUND_SHARE), coarse_w)


def follow(view: View, before: Mapping[str, ChargerMemory]) -> Mapping[str, ChargerMemory]:
    """What is remembered of the chargers, with the trims after this moment. Without an event there are none."""
    call = ruling(view)
    after = {name: _followed(view, call, name, memory) for name, memory in before.items()}
    return frozen_map(after) if any(after[name] is not memory for name, memory in before.items()) else before


def _followed(view: View, call: Call | None, charger: str, memory: ChargerMemory) -> ChargerMemory:
    settled = view.settled.get(charger)
    if call is None or settled is None or (settled.rung, settled.reason) != (RUNG, EVENT):
        return memory if memory.trim is None else replace(memory, trim=None)
    trim = memory.trim if memory.trim is not None and _is_of(memory.trim, call) else None
    trim = trim or Trim(call.event.uid, call.slot.start)
    moved = _moved(view, call, charger, replace(memory, trim=trim), settled)
    return memory if moved == memory.trim else replace(memory, trim=moved)


def _moved(view: View, call: Call, charger: str, memory: ChargerMemory, settled: Settled) -> Trim | None:
    """The trim after this moment: as it is, a little on toward what is missed, or none where no trim helps."""
    capability, reading, trim = view.capability(charger), view.reading(charger), memory.trim
    if capability is None or reading is None or reading.power_w is None or trim is None or not memory.order_w:
        return trim
    aim_w = _aim_w(view, charger, settled)
    missed_w = aim_w - reading.power_w
    if not _is_steady(view, call, memory, capability) or abs(missed_w) <= _enough_w(aim_w, capability):
        return trim
    if _is_limited(view, charger, missed_w, aim_w, capability):
        return Trim(trim.event, trim.slot)
    return _summed(view, trim, memory.order_w - reading.power_w, aim_w, capability)


def _summed(view: View, trim: Trim, off_w: int, aim_w: int, capability: Capability) -> Trim:
    """On toward what the charger does less than its order: where a limit holds the order, nothing piles up."""
    last = view.memory.at
    passed_s = 0.0 if last is None else (view.observation.now - last).total_seconds()
    part = max(0.0, min(passed_s, LONGEST_STEP_S)) / (DELAYS * _delay_s(capability))
    bound_w = _bound_w(capability, aim_w)
    sum_w = max(-bound_w, min(bound_w, trim.sum_w + (off_w - trim.sum_w) * part))
    return Trim(trim.event, trim.slot, sum_w, trim.w if abs(sum_w - trim.w) < STEP_W else round(sum_w))


def _aim_w(view: View, charger: str, settled: Settled) -> int:
    """What was asked, as far as it is allowed."""
    steps = view.steps.get(charger, ())
    asked_w = steps[-1].data.get("asked_w", settled.want_w) if steps else settled.want_w
    return settled.allowed.nearest(asked_w or 0) if settled.allowed is not None else asked_w or 0


def _is_steady(view: View, call: Call, memory: ChargerMemory, capability: Capability) -> bool:
    """The slot stands for longer than the charger needs, and nothing ramps."""
    now, event = view.observation.now, call.event
    program = view.facts.programs.get(event.program_id)
    ramp = timedelta(seconds=0.0 if program is None else program.ramp_s)
    delay = timedelta(seconds=_delay_s(capability))
    rises = now < event.start + ramp + delay if ramp else False
    falls = now > event.end - ramp
    return not (rises or falls) and now >= call.slot.start + delay and memory.order_since is not None


def _delay_s(capability: Capability) -> float:
    return capability.settle_s + SKEW.total_seconds()


def _enough_w(aim_w: int, capability: Capability) -> float:
    half_step_w = capability.step_w * 0.6 if capability.step_w > 1 else 0.0
    return max(ENOUGH_W, abs(aim_w) * ENOUGH_SHARE, half_step_w)


def _is_limited(view: View, charger: str, missed_w: int, aim_w: int, capability: Capability) -> bool:
    """Something else than a small error keeps it from its order: its own word, or it is far off."""
    evidence = view.observation.orders.get(charger)
    told = evidence is not None and evidence.stage in (Stage.LIMITED, Stage.REFUSED)
    return told or abs(missed_w) > OFF_TOLERANCES * capability.tolerance_of(aim_w)
