"""What changes from cycle to cycle, by the field: the cycles of a recorded row side by side.

A field's values of ten cycles beside each other are half the size of ten cycles beside each other.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from edge_service.journal.encoding import Change, Path

# One field: where it is, in which cycles of the row it changed, and to what.
type Column = tuple[Path, list[int], list[Any]]


def columns(cycles: Sequence[Sequence[Change]]) -> list[Column]:
    """The changes of several cycles, turned."""
    found: dict[Path, Column] = {}
    for number, changes in enumerate(cycles):
        for path, value in changes:
            column = found.get(path)
            if column is None:
                column = found[path] = (path, [], [])
            column[1].append(number)
            column[2].append(value)
    return list(found.values())


def cycles_of(turned: Sequence[Sequence[Any]], count: int) -> Iterator[list[Change]]:
    """The inverse of ``columns`` for so many cycles. Raises ``ValueError`` for what is no such thing."""
    cycles: list[list[Change]] = [[] for _ in range(count)]
    for path, numbers, values in turned:
        key = tuple(path)
        for number, value in zip(numbers, values, strict=True):
            cycles[number].append((key, value))
    return iter(cycles)


def patch(tree: Any, changes: Sequence[Change]) -> Any:
    """A plain tree with changes made; what did not change is shared, and ``tree`` stays as it was."""
    for path, value in changes:
        tree = _with(tree, path, value)
    return tree


def _with(tree: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    copy = tree.copy()
    copy[path[0]] = _with(tree[path[0]] if len(path) > 1 else None, path[1:], value)
    return copy
