"""Bands of allowed power in whole watts, sums of powers, and what one bound means for the others."""

from collections.abc import Iterable, Mapping, Sequence
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
        if power_w < self.lo:
            return self.lo
        return min(power_w, self.hi)

    def squeeze(self, wish: Band) -> Band:
        """The part of ``wish`` inside this band; where there is none, the one allowed power closest to it."""
        if wish.lo <= self.lo and self.hi <= wish.hi:
            return self
        return Band(self.nearest(wish.lo), self.nearest(wish.hi))


ZERO = Band(0, 0)
# Wider than any site, so that "no bound" needs no special case.
ANY = Band(-(10**9), 10**9)

# A third of a power and 1/sqrt(3) of it are no whole watts. In millionths, rounded up, they are whole numbers that
# never tell too little: a megawatt is counted less than a watt too high.
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Sum:
    """A bound on what chargers do together. ``parts``: millionths of each one's power that count; None: all of each."""

    band: Band
    parts: Mapping[str, int] | None = None

    def part(self, charger: str) -> int:
        """Millionths of this charger's power that count here."""
        return MILLION if self.parts is None else self.parts.get(charger, 0)

    def of(self, powers: Mapping[str, int]) -> int:
        """The sum of these powers, in millionths of a watt."""
        if self.parts is None:
            return MILLION * sum(powers.values())
        part = self.parts.get
        return sum([part(charger, 0) * power_w for charger, power_w in powers.items()])

    def stretched(self, to_u: int) -> Sum:
        """The same sum, wide enough for this many millionths of a watt."""
        low_w, high_w = to_u // MILLION, -(-to_u // MILLION)
        if self.band.lo <= low_w and high_w <= self.band.hi:
            return self
        return Sum(Band(min(self.band.lo, low_w), max(self.band.hi, high_w)), self.parts)


def total(bands: Iterable[Band]) -> Band:
    """The range of the sum."""
    members = list(bands)
    return Band(sum(band.lo for band in members), sum(band.hi for band in members))


def propagate(sums: Sequence[Sum], chargers: Mapping[str, Band]) -> dict[str, Band]:
    """Each charger's band without what no powers of the others could make good, one pass over the sums.

    The bands must hold some powers that every sum allows; those are never cut away, so no band comes out empty. For
    one sum the pass is the fixed point.
    """
    bands = dict(chargers)
    for bound in sums:
        _tighten(bound, bands)
    return bands


def _tighten(bound: Sum, bands: dict[str, Band]) -> None:
    least_u = bound.of({charger: band.lo for charger, band in bands.items()})
    most_u = bound.of({charger: band.hi for charger, band in bands.items()})
    up_u, down_u = bound.band.hi * MILLION - least_u, most_u - bound.band.lo * MILLION
    if most_u - least_u <= min(up_u, down_u):
        return
    for charger, band in bands.items():
        part = bound.part(charger)
        if part * (band.hi - band.lo) > min(up_u, down_u):
            bands[charger] = Band(max(band.lo, band.hi - down_u // part), min(band.hi, band.lo + up_u // part))
