"""A policy: a pure function from the view to its statements. No statement: an empty sequence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_service.domain.view import Statement, View

type Policy = Callable[[View], Sequence[Statement]]


@dataclass(frozen=True, slots=True)
class Rung:
    """A policy's place in the ladder; its name is what people are shown.

    ``follow``: what it keeps in mind, brought up to date before it speaks, from what the rungs above have left.
    """

    name: str
    policy: Policy
    follow: Callable[[View], View] | None = None
