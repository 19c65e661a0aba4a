"""Bands of allowed power in whole watts, and what one bound means for the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """A closed range of power in watts, ``lo <= hi``. Positive charges."""

    lo: int
    hi: int

    def __post_init__(self) -> None:
        if self.lo > self.hi:
            raise ValueError(f"band from {self.lo} to {self.hi} W is empty")

    def __contains__(self, power_w: int) -> bool:
        return self.lo <= power_w <= self.hi

    def nearest(self, power_w: int) -> int:
        """The allowed power closest to ``power_w``."""
        return max(self.lo, min(self.hi, power_w))

    def squeeze(self, wish: Band) -> Band:
        """The part of ``wish`` inside this band; where there is none, the one allowed power closest to it."""
        return Band(self.nearest(wish.lo), self.nearest(wish.hi))


ZERO = Band(0, 0)
# Wider than any site, so that "no bound" needs no special case.
ANY = Band(-(10**9), 10**9)


def total(bands: Iterable[Band]) -> Band:
    """The range of the sum."""
    members = list(bands)
    return Band(sum(band.lo for band in members), sum(band.hi for band in members))


def propagate(site: Band, chargers: Mapping[str, Band]) -> tuple[Band, dict[str, Band]]:
    """Tighten the site's band and each charger's to what the others leave reachable.

    ``site`` bounds the sum of the chargers. One pass is the fixed point for one sum. Where site and chargers
    contradict each other, the site is squeezed into what the chargers can reach: a charger's band is nearer to
    the hardware.
    """
    reach = total(chargers.values())
    left = reach.squeeze(site)
    return left, {
        name: Band(max(band.lo, left.lo - (reach.hi - band.hi)), min(band.hi, left.hi - (reach.lo - band.lo)))
        for name, band in chargers.items()
    }
