"""What the devices of a house can plausibly report; beyond it a register holds garbage, and the value is not known."""

MOST_W, MOST_V, MOST_A, MOST_HZ, _MOST_COUNTED_WH = 1e6, 1000, 2000, 100, 1e12
# No electronics work outside of this.
BELIEVED_C = (-60, 150)


def within(value: float | None, low: float, high: float) -> float | None:
    """``value`` if it is physically plausible, else None."""
    return value if value is not None and low <= value <= high else None


def current_a(measured: float | None, power_w: int | None) -> float | None:
    """A current with the sign of our power: devices differ in whether theirs has one."""
    return None if measured is None else -abs(measured) if power_w is not None and power_w < 0 else abs(measured)


def counted(energy: float | None) -> int | None:
    """What an energy counter holds, in whole watt-hours, if it is plausible."""
    plausible = within(energy, 0, _MOST_COUNTED_WH)
    return None if plausible is None else round(plausible)


def text(raw: str | None) -> str:
    """What a person can read of a text in registers; empty where there is none."""
    return "".join(char for char in raw or "" if char.isprintable()).strip()
