"""The account of a Bundle: how each resource type was obtained, from what the Bundle says is missing. No errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.records.record import COMPLETE, Acquired
from cds_service.records.resource_types import USED_TYPES
from cds_service.records.searchset import worse


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is missing: of these types, or, where that can't be told (None), of every type but Patient."""

    types: frozenset[str] | None
    state: str
    reason: str


def account_of(
    resources: Mapping[str, tuple[Any, ...]], problems: Iterable[Problem]
) -> tuple[dict[str, Acquired], Acquired]:
    """The account by type, and the one for every type that it lacks. The worst problem of a type counts."""
    states: dict[str, tuple[str, str | None]] = dict.fromkeys(resources, (COMPLETE, None))
    everywhere: tuple[str, str | None] = (COMPLETE, None)
    for problem in problems:
        found = (problem.state, problem.reason)
        if problem.types is None:
            everywhere = worse(everywhere, found)
            continue
        for name in problem.types - {"Patient"}:
            states[name] = worse(states.get(name, (COMPLETE, None)), found)
    if everywhere[0] != COMPLETE:
        for name in {*states, *USED_TYPES} - {"Patient"}:
            states[name] = worse(states.get(name, (COMPLETE, None)), everywhere)
    account = {
        name: Acquired(state, len(resources.get(name, ())), reason)
        for name, (state, reason) in sorted(states.items())
    }
    return account, Acquired(everywhere[0], 0, everywhere[1])
