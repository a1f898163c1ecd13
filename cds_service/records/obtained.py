"""What one source provided of one resource type, and whether that is all of it. Pure data; nothing fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from cds_service.records.record import COMPLETE
from cds_service.records.searchset import worse

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Obtained:
    """One resource type as it came: the resources, whether they are all (state), why not (reason).

    `included`: resources of other types that came beside them; `dropped`: how many were another patient's; `hint`:
    whether the sender said that something may be withheld; `full_urls`: where the sender says that a resource is, by
    the identity of the resource.
    """

    resources: tuple[Resource, ...] = ()
    included: tuple[Resource, ...] = ()
    state: str = COMPLETE
    reason: str | None = None
    dropped: int = 0
    hint: bool = False
    full_urls: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))


def combined(*parts: Obtained) -> Obtained:
    """What several answers about one type brought together, with the worst of their states.

    What several of them brought is in it several times: the record takes the newest version of each.
    """
    state: tuple[str, str | None] = (COMPLETE, None)
    for part in parts:
        state = worse(state, (part.state, part.reason))
    return Obtained(
        tuple(resource for part in parts for resource in part.resources),
        tuple(resource for part in parts for resource in part.included),
        *state,
        max((part.dropped for part in parts), default=0),
        any(part.hint for part in parts),
        {place: url for part in parts for place, url in part.full_urls.items()},
    )


def beside(given: Obtained, got: Obtained) -> Obtained:
    """An incomplete answer, with what an incomplete prefetch brought: positive evidence counts even then."""
    return replace(combined(given, got), state=got.state, reason=got.reason)


def with_more(got: Obtained, given: Obtained) -> Obtained:
    """A complete answer, with what the client knew and the answer lacks: it may see more of a chart than its token
    lets others see.
    """
    there = {resource.get("id") for resource in got.resources}
    more = [r for r in given.resources if isinstance(r.get("id"), str) and r["id"] not in there]
    urls = {id(r): given.full_urls[id(r)] for r in (*more, *given.included) if id(r) in given.full_urls}
    return replace(
        got,
        resources=(*got.resources, *more),
        included=(*got.included, *given.included),
        full_urls={**got.full_urls, **urls},
    )
