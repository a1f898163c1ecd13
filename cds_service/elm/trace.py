"""What an evaluation rests on: the resources that its retrieves returned, and the types that it really asked for.

Each define's evaluation keeps a small tree (its retrieves, and the entries of the defines it read); nothing
is copied until a Result is asked for, and no explanation made before somebody wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

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
    identified: dict[int, Mapping[str, Any]] | None = None

    def by_identity(self) -> dict[int, Mapping[str, Any]]:
        """The resources by their identity."""
        if self.identified is None:
            self.identified = dict(zip(map(id, self.resources), self.resources, strict=True))
        return self.identified


class Summary(NamedTuple):
    """What an entry has read, by kind: a bit for each retrieve (None: one has no number), and the defines' entries."""

    needs: int | None
    entries: tuple[tuple[int, Entry], ...]


class Basis(NamedTuple):
    """What an entry rests on: the retrieves that found something, in first-read order, and the resource types."""

    retrieved: dict[int, Retrieved]  # by identity
    types: frozenset[str]


@dataclass(slots=True)
class Entry:
    """One evaluated define: its value or its error, and what it read, in first-read order.

    `basis`: what `gather` has made of that; `summary`: what a Session has.
    """

    name: str
    value: Any = None
    error: EvaluationError | None = None
    trace: Trace = field(default_factory=dict)
    basis: Basis | None = None
    summary: Summary | None = None


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
    basis = entry.basis or _basis(entry)
    resources: dict[int, Mapping[str, Any]] = {}
    for retrieved in basis.retrieved.values():
        resources.update(retrieved.by_identity())
    return tuple(resources.values()), basis.types


def _basis(entry: Entry) -> Basis:
    """The basis of an entry, and of all that it has read, each once and without recursion."""
    pending = [entry]
    while pending:
        top = pending[-1]
        if top.basis is None and not _join(top):
            pending += [p for p in top.trace.values() if type(p) is Entry and p.basis is None]
        else:
            pending.pop()
    assert entry.basis is not None  # noqa: S101 - the last that was made
    return entry.basis


def _join(entry: Entry) -> bool:
    """Give an entry its basis, of those of its parts; False where a part has none yet."""
    retrieved: dict[int, Retrieved] = {}
    types: set[str] = set()
    only = None
    for item in entry.trace.values():
        if isinstance(item, Retrieved):
            types.add(item.resource_type)
            if item.resources:
                retrieved[id(item)] = item
            continue
        only = item.basis
        if only is None:
            return False
        types |= only.types
        if only.retrieved:
            retrieved.update(only.retrieved)
    entry.basis = only if only is not None and len(entry.trace) == 1 else Basis(retrieved, frozenset(types))
    return True
