"""A joint wish divided among chargers, in whole watts, always inside their bands."""

from collections.abc import Mapping

from edge_service.domain.band import Band


def divide(total_w: int, bands: Mapping[str, Band], weight: Mapping[str, float], rotation: int = 0) -> dict[str, int]:
    """Split ``total_w`` so that the parts add up to it, or to the nearest sum the bands allow.

    Everyone starts at the power nearest to zero. What is then missing is shared by ``weight`` (urgency, energy to
    give) until a band ends; the rest goes to the others. Odd watts go round by ``rotation``.
    """
    parts = {name: band.nearest(0) for name, band in bands.items()}
    open_names = set(bands)
    while open_names and (missing := total_w - sum(parts.values())):
        names = _rotated(sorted(open_names), rotation)
        shares = _shares(missing, names, weight)
        for name in names:
            wanted = parts[name] + shares[name]
            parts[name] = bands[name].nearest(wanted)
            if parts[name] != wanted:
                open_names.discard(name)
        if not any(shares.values()):
            break
    return parts


def _rotated(names: list[str], rotation: int) -> list[str]:
    turn = rotation % len(names)
    return names[turn:] + names[:turn]


def _shares(missing_w: int, names: list[str], weight: Mapping[str, float]) -> dict[str, int]:
    """Whole-watt shares of ``missing_w`` that add up to it; the first names take the odd watts."""
    weights = [max(weight.get(name, 0.0), 0.0) for name in names]
    if not sum(weights):
        weights = [1.0] * len(names)
    whole = [int(missing_w * share / sum(weights)) for share in weights]
    odd = missing_w - sum(whole)
    step = 1 if odd > 0 else -1
    for position in range(abs(odd)):
        whole[position % len(names)] += step
    return dict(zip(names, whole, strict=True))
