"""Whether the system's clock is steered by a time server, by the kernel's own word (Linux ``adjtimex``)."""

import ctypes
import sys

from edge_service.minutes import ClockTrust

# <linux/timex.h>: nobody steers the clock.
_STA_UNSYNC = 0x0040


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex``; errors in microseconds. The rest is room for what the kernel adds."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("error_max_us", ctypes.c_long),
        ("error_us", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def clock_trust() -> ClockTrust:
    """As the kernel tells it; a steered clock is off by ``error_max_s`` at most. Nothing known on another system."""
    if not sys.platform.startswith("linux"):
        return ClockTrust()
    found = _Timex()
    try:
        if ctypes.CDLL(None).adjtimex(ctypes.byref(found)) < 0:
            return ClockTrust()
    except OSError, AttributeError:
        return ClockTrust()
    synchronised = not found.status & _STA_UNSYNC
    return ClockTrust(synchronised, round(found.error_max_us / 1e6, 3) if synchronised else None)
