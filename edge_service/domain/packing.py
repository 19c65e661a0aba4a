"""The most that several shares can be in total under several sums at once, found in whole numbers."""

from collections.abc import Sequence


def most_together(most: Sequence[int], parts: Sequence[Sequence[int]], left: Sequence[int]) -> list[int]:
    """Shares with the greatest total, none beyond its ``most``; rounded down.

    ``parts[share][place]`` of each share counts in a sum, which must stay within ``left[place]``; none is negative. The
    simplex method by Bland's rule, with whole-number pivots: exact, and it always ends.
    """
    count = len(most)
    rows = [[*(part[place] for part in parts), limit] for place, limit in enumerate(left)]
    rows += [[*(int(other == share) for other in range(count)), limit] for share, limit in enumerate(most)]
    goal = [*[-1] * count, 0]
    inside, outside, whole = list(range(count, count + len(rows))), list(range(count)), 1
    while gaining := [column for column in range(count) if goal[column] < 0]:
        column = min(gaining, key=outside.__getitem__)
        row = _tightest(rows, column, inside)
        goal, rows, whole = _pivot(goal, rows, row, column, whole)
        inside[row], outside[column] = outside[column], inside[row]
    found = {variable: row[-1] // whole for variable, row in zip(inside, rows, strict=True)}
    return [found.get(share, 0) for share in range(count)]


def _tightest(rows: list[list[int]], column: int, inside: list[int]) -> int:
    """The row that the column's variable meets first; there is one, as each share has an upper bound."""
    best = -1
    for place, row in enumerate(rows):
        if row[column] <= 0:
            continue
        if best < 0:
            best = place
            continue
        ahead = row[-1] * rows[best][column] - rows[best][-1] * row[column]
        if ahead < 0 or (ahead == 0 and inside[place] < inside[best]):
            best = place
    return best


def _pivot(
    goal: list[int], rows: list[list[int]], row: int, column: int, whole: int
) -> tuple[list[int], list[list[int]], int]:
    """Exchange the row's variable for the column's. All entries are over ``whole``; every division is without rest."""
    pivot_row = rows[row]
    pivot = pivot_row[column]

    def cleared(other: list[int]) -> list[int]:
        by = other[column]
        line = [(value * pivot - by * across) // whole for value, across in zip(other, pivot_row, strict=True)]
        line[column] = -by
        return line

    kept = [*pivot_row]
    kept[column] = whole
    changed = [kept if place == row else cleared(other) for place, other in enumerate(rows)]
    return cleared(goal), changed, pivot
