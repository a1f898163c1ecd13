"""What a definition may read, through all that it refers to: its retrieves and its parameters, known at load.

Two evaluations in which all of that is the same give the same value. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cds_service.elm.compile import Compiler, Definition


def _no_parameter(keys: Sequence[Hashable]) -> Hashable:
    return ()


@dataclass(slots=True)
class Reach:
    """`needs`: a bit for each retrieve, by its number; `slots`: of the parameters, in order. `key` of an evaluation's
    parameters tells by equality whether all those in `slots` are the same."""

    needs: int
    slots: tuple[int, ...]
    key: Callable[[Any], Hashable] = _no_parameter

    def __post_init__(self) -> None:
        if self.slots:
            self.key = itemgetter(*self.slots)


def settle(compiler: Compiler, definitions: Iterable[Definition]) -> list[Definition]:
    """Give these definitions and all that they refer to their reach, without recursion; all of them, once each."""
    reached: list[Definition] = []
    seen: set[Definition] = set()
    pending = [(definition, False) for definition in definitions]
    while pending:
        definition, ready = pending.pop()
        if ready:
            reached.append(definition)
            if definition.reach is None:
                definition.reach = _reach(compiler, definition)
        elif definition not in seen:
            seen.add(definition)
            pending.append((definition, True))
            pending.extend((ref, False) for ref in definition.refs)
    return reached


def _reach(compiler: Compiler, definition: Definition) -> Reach:
    needs = 0
    slots = set(definition.parameters)
    for need in definition.needs:
        needs |= bit(compiler.number_of(need))
    for ref in definition.refs:
        if ref.reach is not None:
            needs |= ref.reach.needs
            slots.update(ref.reach.slots)
    return Reach(needs, tuple(sorted(slots)))


def bit(number: int) -> int:
    """The bit of a retrieve's number, which counts downwards from -1."""
    return 1 << ~number
