"""What several chargers are to do together, divided among them in whole watts, inside their bands and every sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from edge_service.domain.packing import most_together

# Whose turn it is to work, where not all can, changes this often: a car that starts and stops each minute wears out.
# Counted in turns of the odd watts, which change hands once a minute.
ODD_TURNS_PER_TURN = 15
# Shares by weight are worked out in whole numbers this fine.
_FINEST_WEIGHT = 1_000_000


@dataclass(frozen=True, slots=True)
class Sharer:
    """A charger that could do more, in the direction that is shared; all numbers are positive.

    ``parts``: millionths of its power that count in each sum. ``least_w``: it does this much or nothing. ``rested``:
    it may be started again. The higher ``urgency`` goes first; equals share by ``weight``.
    """

    name: str
    most_w: int
    parts: tuple[int, ...] = ()
    least_w: int = 0
    step_w: int = 1
    weight: float = 1.0
    urgency: float = 0.0
    rested: bool = True

    def told_w(self, given_w: int) -> int:
        """What to ask of it: its whole wish where the device itself makes the share of that, so that this is shown."""
        return self.most_w if self.most_w - given_w < self.step_w or self.most_w < self.least_w else given_w


class _Pot:
    """What is still to be given, what each sum has left for it (in millionths of a watt), and who got how much."""

    __slots__ = ("given", "left_u", "missing_w")

    def __init__(self, missing_w: int, left_u: Sequence[int], given: Mapping[str, int]) -> None:
        self.missing_w, self.left_u, self.given = missing_w, list(left_u), dict(given)

    def copy(self) -> _Pot:
        return _Pot(self.missing_w, self.left_u, self.given)

    def room_w(self, sharer: Sharer) -> int:
        """What this one could still be given."""
        room_w = min(self.missing_w, sharer.most_w - self.given[sharer.name])
        for left_u, part in zip(self.left_u, sharer.parts, strict=True):
            if part and room_w * part > left_u:
                room_w = left_u // part
        return room_w

    def give(self, sharer: Sharer, power_w: int) -> None:
        self.given[sharer.name] += power_w
        self.missing_w -= power_w
        for place, part in enumerate(sharer.parts):
            self.left_u[place] -= part * power_w


def fill(
    total_w: int, sharers: Sequence[Sharer], left_u: Sequence[int], rotation: int = 0, *, fully: bool = False
) -> dict[str, int]:
    """Give each sharer its part of ``total_w``, or of what the sums in ``left_u`` have left.

    Odd watts and steps go round by ``rotation``; so does, more slowly, who works where not all can do their least.
    """
    pot = _Pot(total_w, left_u, {sharer.name: 0 for sharer in sharers})
    ordered = sorted(sharers, key=lambda sharer: (-sharer.urgency, sharer.name))
    for _, group in groupby(ordered, key=lambda sharer: sharer.urgency):
        pot = _fill_group(pot, list(group), rotation)
    if fully and pot.missing_w and len(left_u) > 1:
        pot = _nearer(_Pot(total_w, left_u, dict.fromkeys(pot.given, 0)), pot, ordered, rotation)
    return pot.given


def _nearer(empty: _Pot, reached: _Pot, sharers: list[Sharer], rotation: int) -> _Pot:
    """As far toward the greatest total that the sums allow as it takes: between two allowed shares lie allowed ones."""
    best = _greatest(empty, sharers)
    gap_w = sum(best.values()) - sum(reached.given.values())
    if gap_w <= 0:
        return reached
    way_w = min(gap_w, reached.missing_w)
    for sharer in sharers:
        now_w = reached.given[sharer.name]
        moved_w = now_w + (best[sharer.name] - now_w) * way_w // gap_w
        empty.give(sharer, moved_w - moved_w % sharer.step_w)
    _give_odd(empty, _rotated(sharers, rotation))
    works = all(sharer.least_w <= empty.given[sharer.name] or not empty.given[sharer.name] for sharer in sharers)
    return empty if works and empty.missing_w < reached.missing_w else reached


def _greatest(pot: _Pot, sharers: list[Sharer]) -> dict[str, int]:
    """Shares with the greatest total. Those that lie on the same legs are alike for that: they count as one."""
    kinds: dict[tuple[int, ...], int] = {}
    for sharer in sharers:
        kinds[sharer.parts] = kinds.get(sharer.parts, 0) + sharer.most_w
    found = dict(zip(kinds, most_together(list(kinds.values()), list(kinds), pot.left_u), strict=True))
    return {
        sharer.name: found[sharer.parts] * sharer.most_w // kinds[sharer.parts] if sharer.most_w else 0
        for sharer in sharers
    }


def _fill_group(pot: _Pot, group: list[Sharer], rotation: int) -> _Pot:
    """Share alike; where that is less than someone's least power, those whose turn it is work and the others wait."""
    trial = pot.copy()
    _share_alike(trial, group, rotation)
    if all(sharer.least_w <= trial.given[sharer.name] or not trial.given[sharer.name] for sharer in group):
        return trial
    return _work_by_turns(pot, _workers(pot, group, rotation // ODD_TURNS_PER_TURN), rotation)


def _workers(pot: _Pot, group: list[Sharer], turn: int) -> list[Sharer]:
    """Those whose least powers fit together: by turn, but one that has only just stopped comes last."""
    probe, workers = pot.copy(), []
    for sharer in sorted(_rotated(group, turn), key=lambda sharer: not sharer.rested):
        if probe.room_w(sharer) >= sharer.least_w:
            probe.give(sharer, sharer.least_w)
            workers.append(sharer)
    return sorted(workers, key=lambda sharer: sharer.name)


def _work_by_turns(pot: _Pot, workers: list[Sharer], rotation: int) -> _Pot:
    """At least their least to all of these, the rest alike."""
    at_least, free = pot.copy(), workers
    while True:
        trial = at_least.copy()
        _share_alike(trial, free, rotation)
        below = [sharer for sharer in free if trial.given[sharer.name] < sharer.least_w]
        if not below:
            _share_alike(trial, workers, rotation)
            return trial
        for sharer in below:
            at_least.give(sharer, sharer.least_w)
        free = [sharer for sharer in free if sharer not in below]


def _share_alike(pot: _Pot, sharers: list[Sharer], rotation: int) -> None:
    """By weight until a band or a sum ends, in whole steps; then what is odd, in turn."""
    _level(pot, sharers)
    coarse = [sharer for sharer in sharers if sharer.step_w > 1]
    if coarse:
        for sharer in coarse:
            pot.give(sharer, -(pot.given[sharer.name] % sharer.step_w))
        _give_odd(pot, _rotated(coarse, rotation))
        _level(pot, [sharer for sharer in sharers if sharer.step_w == 1])
    if pot.missing_w:
        _give_odd(pot, _rotated([sharer for sharer in sharers if sharer.step_w == 1], rotation))


def _level(pot: _Pot, sharers: list[Sharer]) -> None:
    """Raise all alike; who has enough, or whose sum is full, stays where it is and the others go on."""
    rising = [sharer for sharer in sharers if pot.room_w(sharer) > 0]
    while rising and pot.missing_w > 0:
        before_w = pot.missing_w
        full = _raise(pot, rising)
        stuck = pot.missing_w == before_w
        if stuck and full is None:
            return
        rising = [
            sharer
            for sharer in rising
            if pot.room_w(sharer) > 0 and not (stuck and full is not None and sharer.parts[full])
        ]


def _raise(pot: _Pot, sharers: list[Sharer]) -> int | None:
    """One rise of all, as far as the first sum lets it; the place of that sum, None if all could be given."""
    weights, rise_w, full = _weights(sharers), pot.missing_w, None
    whole = sum(weights)
    for place, left_u in enumerate(pot.left_u):
        load_u = sum(weight * sharer.parts[place] for weight, sharer in zip(weights, sharers, strict=True))
        if load_u and left_u * whole // load_u < rise_w:
            rise_w, full = left_u * whole // load_u, place
    for weight, sharer in zip(weights, sharers, strict=True):
        pot.give(sharer, min(rise_w * weight // whole, sharer.most_w - pot.given[sharer.name]))
    return full


def _weights(sharers: list[Sharer]) -> list[int]:
    """Whole numbers in proportion to the weights; all alike where nobody has one."""
    heaviest = max(sharer.weight for sharer in sharers)
    if heaviest <= 0:
        return [1] * len(sharers)
    return [max(0, int(sharer.weight / heaviest * _FINEST_WEIGHT)) for sharer in sharers]


def _give_odd(pot: _Pot, sharers: list[Sharer]) -> None:
    """One step to each in turn, as long as there is something to give."""
    going = True
    while pot.missing_w > 0 and going:
        going = False
        for sharer in sharers:
            if pot.room_w(sharer) >= sharer.step_w:
                pot.give(sharer, sharer.step_w)
                going = True


def _rotated(sharers: list[Sharer], rotation: int) -> list[Sharer]:
    turn = rotation % len(sharers) if sharers else 0
    return sharers[turn:] + sharers[:turn]
