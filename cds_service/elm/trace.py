"""What an evaluation rests on: the resources that its retrieves returned, and the types that it really asked for.

Each define's evaluation keeps a small tree (its retrieves, and the entries of the defines it read); nothing
is copied until a Result is asked for, and no explanation made before somebody wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cds_service.errors import EvaluationError

if TYPE_CHECKING:
    from cds_service.elm.explanation import Explanation

# By what was read, in first-read order: a define's index (0 and up), the number of a retrieve's need (below 0), or
# (resource type, code path, codes or the value set's URL) of a retrieve whose codes were computed.
Trace = dict[Any, "Entry | Retrieved"]


@dataclass(slots=True)
class Retrieved:
    """One executed retrieve."""

    resource_type: str
    resources: Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Entry:
    """One evaluated define: its value or its error, and what it read, in first-read order.

    `basis`: what `gather` has made of that.
    """

    name: str
    value: Any = None
    error: EvaluationError | None = None
    trace: Trace = field(default_factory=dict)
    basis: tuple[tuple[Mapping[str, Any], ...], frozenset[str]] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a define came to. `error` set: it failed at run time, `value` is None, other defines are not affected."""

    value: Any
    resources: tuple[Mapping[str, Any], ...]
    types: frozenset[str]
    error: EvaluationError | None = None
    explainer: Callable[[], Explanation] | None = field(default=None, repr=False, compare=False)

    def explain(self) -> Explanation:
        """Why: what the evaluation read, as a tree, made anew at each call. ValueError where nothing was evaluated."""
        if self.explainer is None:
            raise ValueError("this Result comes from no evaluation")
        return self.explainer()


def gather(entry: Entry) -> tuple[tuple[Mapping[str, Any], ...], frozenset[str]]:
    """The resources (each once, in first-read order) and the resource types that an entry rests on."""
    if entry.basis is not None:
        return entry.basis
    resources: dict[int, Mapping[str, Any]] = {}
    types: set[str] = set()
    seen: set[int] = set()
    pending: list[Entry | Retrieved] = [entry]
    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Retrieved):
            types.add(item.resource_type)
            for resource in item.resources:
                resources.setdefault(id(resource), resource)
        elif item.basis is not None:
            types |= item.basis[1]
            for resource in item.basis[0]:
                resources.setdefault(id(resource), resource)
        else:
            pending.extend(reversed(item.trace.values()))
    entry.basis = tuple(resources.values()), frozenset(types)
    return entry.basis
