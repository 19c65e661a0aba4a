"""A policy: a pure function from the view to its statements. No statement: an empty sequence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_service.domain.view import Statement, View

type Policy = Callable[[View], Sequence[Statement]]


@dataclass(frozen=True, slots=True)
class Rung:
    """A policy's place in the ladder; its name is what people are shown."""

    name: str
    policy: Policy
