"""What the devices of a house can plausibly report; beyond it a register holds garbage, and the value is not known."""

MOST_W, MOST_V, MOST_HZ, _MOST_COUNTED_WH = 1e6, 1000, 100, 1e12


def within(value: float | None, low: float, high: float) -> float | None:
    """``value`` if it is physically plausible, else None."""
    return value if value is not None and low <= value <= high else None


def counted(energy: float | None) -> int | None:
    """What an energy counter holds, in whole watt-hours, if it is plausible."""
    plausible = within(energy, 0, _MOST_COUNTED_WH)
    return None if plausible is None else round(plausible)


def text(raw: str | None) -> str:
    """What a person can read of a text in registers; empty where there is none."""
    return "".join(char for char in raw or "" if char.isprintable()).strip()
