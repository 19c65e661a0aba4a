"""What the registers of a SunSpec DER charger mean.

SunSpec counts power + for generation; ours is + for charge. It is turned round here, in ``our_power_w`` and
``their_power_w``, and nowhere else.
"""

from datetime import datetime
from functools import cache
from math import sqrt

from edge_service.chargers.plausible import BELIEVED_C, MOST_A, MOST_HZ, MOST_V, MOST_W, counted, current_a, within
from edge_service.chargers.sunspec import (
    Model,
)
from edge_service.chargers.sunspec_7xx import (
    BAD_GRID,
    CAP,
    DISCONNECTED,
    IN_BOTH,
    IN_PERCENT,
    AcControl,
    AcMeasurement,
    AcState,
    Alarm,
    Capacity,
    DcPort,
    Function,
    Operation,
    Storage,
)
from edge_service.chargers.sunspec_der_models import Models
from edge_service.domain.grid import LOST_BELOW_PU, STAY_PU
from edge_service.domain.model import (
    Authority,
    ChargerReading,
    ChargerState,
    Limits,
)

# Below this a running converter only covers its own losses: neither charging nor discharging.
DEAD_BAND_W = 50
# More than any vehicle or house holds; beyond it the register holds garbage.
_MOST_CAPACITY_WH = 1e7
LOCAL = 1
WATTS_MODE, PERCENT_MODE = 1, 0
_SPLIT_PHASE, _THREE_PHASE = 1, 2


def our_power_w(power: float | None) -> int | None:
    """SunSpec's sign turned round: + charge. None beyond what is plausible."""
    plausible = within(power, -MOST_W, MOST_W)
    return None if plausible is None else round(-plausible)


def their_power_w(value: float) -> float:
    """Our sign turned round: + generation."""
    return -value


def _first_power(*candidates: float | None) -> int | None:
    for candidate in candidates:
        if (power := within(candidate, 0, MOST_W)) is not None:
            return round(power)
    return None


def most_w(capacity: Capacity | None) -> int | None:
    """702.WMax, of which percents count; None where it is not known."""
    return None if capacity is None else _first_power(capacity.power_max, capacity.power_rating) or None


def charge_max_w(capacity: Capacity | None, function: Function | None) -> int | None:
    if capacity is None:
        return None
    most = _first_power(capacity.charge_max, capacity.charge_rating, capacity.power_max, capacity.power_rating)
    return _in_percent(most, capacity, function)


def discharge_max_w(capacity: Capacity | None, function: Function | None) -> int | None:
    if capacity is None:
        return None
    most = _first_power(capacity.discharge_max, capacity.discharge_rating, capacity.power_max, capacity.power_rating)
    return _in_percent(most, capacity, function)


def _in_percent(most: int | None, capacity: Capacity, function: Function | None) -> int | None:
    """A setpoint in percent ends at 100 % of WMax."""
    whole = most_w(capacity)
    if function not in {IN_PERCENT, IN_BOTH} or most is None or whole is None:
        return most
    return min(most, whole)


def _capped_w(control: AcControl | None, capacity: Capacity | None) -> int | None:
    """To what the cap on generation lets the charger discharge; None where none stands or it is not known."""
    most = most_w(capacity)
    if control is None or control.cap_enabled != 1 or most is None:
        return None
    percent = within(control.cap, 0, 1000)
    return None if percent is None else int(min(most, most * percent / 100))


def voltage_and_share(ac: AcState, nominal_v: float | None) -> tuple[float | None, float | None]:
    """The AC voltage, line to line where there are two lines, and its share of the nominal voltage."""
    line, neutral = within(ac.voltage_ll, 0, MOST_V), within(ac.voltage_ln, 0, MOST_V)
    if ac.wiring in {_SPLIT_PHASE, _THREE_PHASE} and line is None and neutral is not None:
        line = neutral * (2 if ac.wiring == _SPLIT_PHASE else sqrt(3))
    elif ac.wiring not in {_SPLIT_PHASE, _THREE_PHASE} and neutral is not None:
        line = neutral
    return line, None if line is None or not nominal_v else line / nominal_v


def grid_present(ac: AcState, nominal_v: float | None) -> bool | None:
    """Whether the grid is there, as the charger's own AC side shows; None where that cannot tell.

    A charger that forms an island measures its own voltage. AC_DISCONNECT and GRID_DISCONNECT also stand while it
    waits beside a healthy grid to enter service, so with a healthy voltage they say nothing.
    """
    if ac.forming:
        return None
    alarms = int(ac.alarms or 0)
    _, share = voltage_and_share(ac, nominal_v)
    if alarms & BAD_GRID:
        return False
    if alarms & DISCONNECTED:
        return False if within(share, *STAY_PU) is None else None
    if ac.connected == 1:
        return True
    return False if share is not None and share < LOST_BELOW_PU else None


def plugged_in(port: DcPort | None, storage: Storage | None) -> bool | None:
    """SunSpec has no point for it: the DC port's state, else whether there is a battery to speak of."""
    if port is not None and port.status is not None:
        return {0: False, 1: True, 2: True}.get(int(port.status))
    return True if storage is not None and storage.has("charge_state") else None


def _flowing(power_w: int | None) -> ChargerState:
    if power_w is None or abs(power_w) < DEAD_BAND_W:
        return ChargerState.IDLE
    return ChargerState.CHARGING if power_w > 0 else ChargerState.DISCHARGING


# 701.InvSt; 3 and 4 (running, throttled) go by the power that flows.
_STATES = {
    0: ChargerState.UNAVAILABLE,
    1: ChargerState.IDLE,
    2: ChargerState.PREPARING,
    5: ChargerState.IDLE,
    6: ChargerState.FAULT,
    7: ChargerState.IDLE,
}


def state_of(ac: AcState, plugged: bool | None) -> ChargerState:
    state = ac.state
    if state is None:  # not implemented: 1547 asks for St only
        state = None if ac.on is None else (3 if ac.on == 1 else 0)
    known = _STATES.get(int(state)) if state is not None else None
    if known in {ChargerState.FAULT, ChargerState.UNAVAILABLE}:
        return known
    if plugged is False:
        return ChargerState.DISCONNECTED
    return known or _flowing(our_power_w(ac.power))


_ALARM_NAMES = {member.value: (member.name or "").lower() for member in Alarm}


@cache
def _alarm_names(bits: int) -> tuple[str, ...]:
    return tuple(_ALARM_NAMES.get(1 << bit, f"alarm_bit_{bit}") for bit in range(32) if bits >> bit & 1)


def followed_w(control: AcControl | None, capacity: Capacity | None) -> int | None:
    """The setpoint that the charger follows now; None while it follows none."""
    if control is None or control.enabled != 1:
        return None
    in_percent = control.setpoint_mode == PERCENT_MODE if control.has("setpoint_mode") else not control.has("setpoint")
    if not in_percent:
        return our_power_w(control.setpoint)
    most, percent = most_w(capacity), within(control.percent, -1000, 1000)
    return None if most is None or percent is None else our_power_w(most * percent / 100)


def _limits(control: AcControl | None, capacity: Capacity | None) -> Limits | None:
    """The cap that stands; charging is not limited by it, only by the charger itself."""
    capped, charge = _capped_w(control, capacity), charge_max_w(capacity, CAP)
    return None if capped is None or charge is None else Limits(charge, capped)


def is_of_others(control: AcControl, function: Function) -> bool:
    """A cap without a running timer is not ours: an installer's or the utility's, meant to stay.

    One of 100 % binds nobody, and is what ours reverts to where its enable stays.
    """
    if function is not CAP or control.cap_enabled != 1 or not control.has(CAP.timer, CAP.timer_left):
        return False
    return control.cap_revert_in == 0 and (control.cap is None or control.cap < 100)


def _authority(operation: Operation | None, control: AcControl | None, function: Function | None) -> Authority:
    if operation is not None and operation.control == LOCAL:
        return Authority.LOCAL
    if control is None or function is None or getattr(control, function.enabled) != 1:
        return Authority.UNKNOWN
    return Authority.UNKNOWN if is_of_others(control, function) else Authority.OURS


def fresh[M: Model](model: M | None) -> M | None:
    return model if model is not None and model.fresh else None


def nominal_v(models: Models) -> float | None:
    capacity = models.capacity
    if capacity is None:
        return None
    return within(capacity.nominal_voltage, 1, MOST_V) or within(capacity.nominal_voltage_rating, 1, MOST_V)


def reading_of(models: Models, function: Function | None, now: datetime) -> ChargerReading:
    ac, capacity = models.ac, fresh(models.capacity)
    control, operation = fresh(models.control), fresh(models.operation)
    storage, service = fresh(models.storage), fresh(models.service)
    plugged = plugged_in(fresh(models.port), storage)
    gone = plugged is False
    soc_pct = None if gone or storage is None else within(storage.charge_state, 0, 100)
    capacity_wh = None if gone or storage is None else within(storage.capacity, 1, _MOST_CAPACITY_WH)
    return ChargerReading(
        at=now,
        state=state_of(ac, plugged),
        authority=_authority(operation, control, function),
        plugged=plugged,
        power_w=our_power_w(ac.power),
        soc_pct=soc_pct,
        capacity_wh=None if capacity_wh is None else round(capacity_wh),
        charge_max_w=0 if gone else charge_max_w(capacity, function),
        discharge_max_w=0 if gone else _discharge_now_w(control, capacity, function),
        setpoint_w=followed_w(control, capacity),
        limits=_limits(control, capacity) if function is CAP else None,
        lease_remaining_s=None if control is None or function is None else control.timer_left_s(function),
        grid_present=grid_present(ac, nominal_v(models)),
        forming=ac.forming,
        service_permitted=None if service is None or service.permitted is None else service.permitted == 1,
        voltage_v=voltage_and_share(ac, None)[0],
        frequency_hz=within(ac.frequency, 0, MOST_HZ),
        energy_charged_wh=counted(ac.energy_absorbed),
        energy_discharged_wh=counted(ac.energy_injected),
        heartbeat=None if operation is None or operation.heartbeat is None else int(operation.heartbeat),
        alarms=_alarm_names(int(ac.alarms or 0)),
        current_a=current_a(within(ac.current, -MOST_A, MOST_A), our_power_w(ac.power)),
        temperature_c=_temperature_c(ac),
    )


def _temperature_c(ac: AcMeasurement) -> float | None:
    cabinet = within(ac.cabinet, *BELIEVED_C)
    return within(ac.heat_sink, *BELIEVED_C) if cabinet is None else cabinet


def _discharge_now_w(control: AcControl | None, capacity: Capacity | None, function: Function | None) -> int | None:
    """A cap beside our setpoint is somebody else's, and binds; where we set it, it is no limit of the charger's."""
    most, capped = discharge_max_w(capacity, function), _capped_w(control, capacity)
    return most if function is CAP or most is None or capped is None else min(most, capped)
