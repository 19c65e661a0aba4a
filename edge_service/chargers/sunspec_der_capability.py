"""What a SunSpec DER charger can do, and what the person who installs it should know."""

from math import ceil

from edge_service.chargers.sunspec_7xx import (
    CAP,
    IN_BOTH,
    IN_PERCENT,
    IN_WATTS,
    AcControl,
    ControlModes,
    DcPort,
    Function,
)
from edge_service.chargers.sunspec_der_models import Models, SunSpecOptions
from edge_service.chargers.sunspec_der_reading import (
    LOCAL,
    charge_max_w,
    discharge_max_w,
    fresh,
    is_of_others,
    most_w,
)
from edge_service.domain.model import (
    Backup,
    Capability,
    Control,
    Lease,
)

# IEEE 1547-2018 asks of measured active power 5 % of the rating at least (table 3), the models say nothing. We ask it
# of the order: else an order of 0 W would be kept by hundreds of watts.
TOLERANCE_SHARE, TOLERANCE_W = 0.05, 150
# IEEE 1547-2018, 4.6.2: how soon power must be below a new cap.
CAP_SETTLES_S = 30.0
SETPOINT_SETTLES_S = 5.0


def function_of(models: Models) -> Function | None:
    """By what the charger takes orders: a setpoint in watts, in percent, or a cap; None: by nothing."""
    control, capacity = fresh(models.control), fresh(models.capacity)
    if control is None:
        return None
    modes = capacity.control_modes if capacity is not None else None
    if (modes is None or ControlModes.FIXED_W in modes) and control.has("enabled"):
        watts = control.takes("setpoint")
        percent = control.takes("percent") and most_w(capacity) is not None
        if watts:
            return IN_BOTH if percent and not control.has("setpoint_mode") else IN_WATTS
        if percent:
            return IN_PERCENT
    caps = (modes is None or ControlModes.MAX_W in modes) and most_w(capacity) is not None
    return CAP if caps and control.takes("cap_enabled", "cap") else None


def may_carry_a_house(models: Models, options: SunSpecOptions) -> bool:
    if options.backup == "none":
        return False
    return options.backup == "vendor" or models.capacity is None or models.capacity.can_island is not False


def ends_by_itself(control: AcControl, function: Function, *, may_carry: bool) -> bool:
    """Whether an order that nobody renews dies, and in a way that leaves a charger free that might carry the house."""
    if not control.has(function.timer):
        return False
    # "100 %, enabled" caps nothing; "0 W, enabled" would hold the charger for ever.
    harmless = function is CAP and control.has(function.reverts_to)
    return not may_carry or harmless or control.has(function.reverts_enabled)


def _backup(models: Models, options: SunSpecOptions) -> Backup:
    if options.backup != "auto":
        return Backup.VENDOR if options.backup == "vendor" else Backup.NONE
    can_form = models.capacity is not None and models.capacity.can_island
    return Backup.CAN_FORM if can_form and takes_stop(models) else Backup.NONE


def takes_stop(models: Models) -> bool:
    """Without it an island could not be ended: the house must be dead before the switch closes onto the grid."""
    return models.operation is not None and models.operation.takes_stop


def _step_w(models: Models, function: Function | None) -> int:
    """The smallest step of an order, in whole watts."""
    control, most = models.control, most_w(models.capacity) or 0
    if control is None or function is None:
        return 1
    watts = control.step("setpoint") if function in {IN_WATTS, IN_BOTH} else 0
    percent = control.step("cap" if function is CAP else "percent") if function is not IN_WATTS else 0
    return max(1, ceil(max(watts, most * percent / 100) - 1e-6))


def _lease(models: Models, function: Function | None, options: SunSpecOptions) -> Lease:
    control = models.control
    if control is None or function is None:
        return Lease.NONE
    ends = ends_by_itself(control, function, may_carry=may_carry_a_house(models, options))
    return Lease.TIMER if ends else Lease.NONE


def capability_of(models: Models, function: Function | None, options: SunSpecOptions) -> Capability:
    capacity = fresh(models.capacity)
    charge_w, discharge_w = charge_max_w(capacity, function) or 0, discharge_max_w(capacity, function) or 0
    control = {None: Control.NONE, CAP: Control.GENERATION_CAP}.get(function, Control.SIGNED)
    return Capability(
        control=control,
        charge_rating_w=charge_w,
        discharge_rating_w=discharge_w,
        step_w=_step_w(models, function),
        settle_s=CAP_SETTLES_S if function is CAP else SETPOINT_SETTLES_S,
        tolerance_w=TOLERANCE_W,
        tolerance_share=TOLERANCE_SHARE,
        lease=_lease(models, function, options),
        backup=_backup(models, options),
    )


def findings_of(
    models: Models, function: Function | None, capability: Capability, options: SunSpecOptions
) -> tuple[str, ...]:
    """What is missing or remarkable, in sentences for the person who installs."""
    remarks = _ratings_remarks(models) | _order_remarks(models, function, capability, options)
    remarks |= _vehicle_remarks(models, options) | _operation_remarks(models, options)
    return tuple(sentence for sentence, holds in remarks.items() if holds)


def _ratings_remarks(models: Models) -> dict[str, bool]:
    ac, capacity = models.ac, models.capacity
    return {
        "It has no model 702: its ratings are not known, so it gets no power.": capacity is None,
        "It has no model 703: whether it may enter service is not known.": models.service is None,
        "It does not say its state (701.InvSt): only on, off and power are known.": not ac.has("state"),
        "It does not say whether it forms an island (701.DERMode).": not ac.has("mode"),
        "It does not say whether it can form an island (702.IntIslandCatRtg).": (
            capacity is not None and capacity.can_island is None
        ),
    }


def _order_remarks(
    models: Models, function: Function | None, capability: Capability, options: SunSpecOptions
) -> dict[str, bool]:
    control = models.control
    if control is None:
        return {"It has no model 704: it cannot be commanded.": True}
    if function is None:
        return {"It takes neither a setpoint nor a cap: it can only be read.": True}
    timed, leased = control.has(function.timer), capability.lease is Lease.TIMER
    return {
        "It takes no power setpoint, only a cap of what it generates: it serves limits, not events; how fast it charges"
        " cannot be limited.": function is CAP,
        "It already stands under a cap that is not on a timer: it is somebody else's and is left alone.": (
            is_of_others(control, function)
        ),
        f"It takes its setpoint in percent of {most_w(models.capacity)} W.": function is IN_PERCENT,
        "It does not say whether watts or percent count (704.WSetMod): an order says the same in both.": (
            function is IN_BOTH
        ),
        "It has no reversion timer: an order outlives a controller that dies.": not timed,
        "Its reversion timer cannot turn the setpoint off, only to 0 W.": (
            timed and function is not CAP and not control.has(function.reverts_enabled)
        ),
        "As it might carry the house, it gets no orders; if it never does, say backup: none.": (
            not leased and may_carry_a_house(models, options)
        ),
        "It does not say how long an order still stands: whether a renewal takes effect is not seen.": (
            timed and not control.has(function.timer_left)
        ),
        "Its setpoint group is incomplete: an order takes several writes instead of one.": (
            not control.takes_one_block(function)
        ),
    }


def _vehicle_remarks(models: Models, options: SunSpecOptions) -> dict[str, bool]:
    number, count, several = models.port_number, models.port_count, models.port_count > 1
    named = models.port is not None and models.port.kind == DcPort.VEHICLE
    return {
        "It has no model 713: the vehicle's charge is not known, so it is charged but never discharged.": (
            models.storage is None
        ),
        "It has no model 714: whether a vehicle is plugged in is a guess.": models.ports is None,
        f"It has {count} DC ports; port {number}, which says it is a vehicle's, is read.": several and named,
        f"It has {count} DC ports and none says it is a vehicle's: the first is read; name it by dc_port.": (
            several and number != 0 and not named and not options.dc_port
        ),
        f"DC port {number} was named as the vehicle's, but does not say so itself.": (
            bool(options.dc_port) and number != 0 and not named
        ),
        f"It has no DC port {options.dc_port}: whether a vehicle is plugged in is a guess.": (
            models.ports is not None and options.dc_port > models.port_count
        ),
    }


def _operation_remarks(models: Models, options: SunSpecOptions) -> dict[str, bool]:
    operation, capacity = models.operation, models.capacity
    unstoppable = capacity is not None and bool(capacity.can_island) and not takes_stop(models)
    return {
        "It has no model 715: it cannot be started or stopped, and local mode is not seen.": operation is None,
        "It cannot be stopped over Modbus (715.OpCtl), so its island could not be ended: it gives no backup.": (
            options.backup == "auto" and unstoppable
        ),
        "It is in local mode: set it to remote at the charger.": operation is not None and operation.control == LOCAL,
        "It is not permitted to enter service (703.ES): the person who locked it out must release it.": (
            models.service is not None and models.service.permitted == 0
        ),
    }
