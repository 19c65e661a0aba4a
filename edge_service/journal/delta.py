"""What changed between two plain trees, so that a recorded cycle is small and comes back exactly."""

from collections.abc import Iterable
from typing import Any

type Path = list[str | int]
type Change = tuple[Path, Any]


def difference(old: Any, new: Any) -> list[Change]:
    """Paths whose value changed, with the new value. A dict whose keys or their order changed is replaced whole."""
    found: list[Change] = []
    _compare(old, new, [], found)
    return found


def _compare(old: Any, new: Any, path: Path, found: list[Change]) -> None:
    if isinstance(old, dict) and isinstance(new, dict) and list(old) == list(new):
        for key, value in new.items():
            _compare(old[key], value, [*path, key], found)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, value in enumerate(new):
            _compare(old[index], value, [*path, index], found)
    elif type(old) is not type(new) or old != new:  # 1, 1.0 and True are equal, and not the same
        found.append((path, new))


def patch(tree: Any, changes: Iterable[Change]) -> Any:
    """``tree`` with ``changes`` made in place; returns the root, which a change may replace."""
    for path, value in changes:
        if not path:
            tree = value
            continue
        node = tree
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
    return tree
