"""Companions: resources that belong to no patient and are reached by reference (Medication, Substance, Device,
ResearchStudy), fetched by id where what refers to them came without them.

Only ids on the server itself are asked for: a reference to another server is never followed. Error policy: nothing
raises. What the server does not have (404, 410) is simply not there; whatever else keeps a companion away is the state
of its type, so that nobody takes it for one that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cds_service.records import scopes
from cds_service.records.fhir_search import code_chunks, side_by_side
from cds_service.records.fhir_transport import MORE_DATA, Deadline, FetchFailure, PooledClient
from cds_service.records.obtained import Obtained
from cds_service.records.patient_search import REFERRING
from cds_service.records.record import COMPLETE, FAILED, REFUSED, TRUNCATED
from cds_service.records.references import References
from cds_service.records.searchset import read_page, worse

Resource = dict[str, Any]

_MOST_SEARCHES: Final = 20  # of one type, of up to 50 ids each
_MOST_READS: Final = 40
# A drug of drugs of substances; what refers further says nothing more.
_ROUNDS: Final = 3
# Answers of servers that do not search this type by id.
_UNSUPPORTED: Final = frozenset({400, 403, 404, 405, 410, 413, 414, 422, 501})
_NOT_THERE: Final = frozenset({404, 410})
_VOID: Final = "entered-in-error"


def refer(resources: Mapping[str, Sequence[Resource]]) -> bool:
    """Whether any of these resources refers to a companion at all: most charts' don't."""
    return any(
        True for kind in REFERRING for resource in resources.get(kind, ()) for _ in _references_in(resource)
    )


def lacking(resources: Mapping[str, Sequence[Resource]], known: References) -> dict[str, frozenset[str]]:
    """Type → ids of the companions that these resources refer to on their own server and that were not got.

    `resources`: everything got so far by type, included resources with it. `known`: made of the same resources with
    their fullUrls, the server's base URL and the patient (`References.of`). A type of which nothing lacks is absent.
    Not to be asked again in the same call: the ids given to `complete` once.
    """
    found: dict[str, set[str]] = {}
    for kind in REFERRING:
        for resource in resources.get(kind, ()):
            for reference, types in _references_in(resource):
                target = known.relative(reference)
                target_kind, _, target_id = (target or "").partition("/")
                if target_kind in types and target not in known.bases:
                    found.setdefault(target_kind, set()).add(target_id)
    return {kind: frozenset(ids) for kind, ids in found.items()}


def _references_in(resource: Resource) -> Iterator[tuple[str, frozenset[str]]]:
    """The references of a resource, and of what it contains, that lead to companions, with the types that count."""
    if resource.get("status") == _VOID:
        return
    inner = resource.get("contained")
    for holder in (resource, *(inner if isinstance(inner, list) else ())):
        kind = holder.get("resourceType") if isinstance(holder, dict) else None
        path, types = REFERRING.get(kind if isinstance(kind, str) else "", ((), frozenset()))
        current = [holder] if path else []
        for step in path:
            values = [part.get(step) for part in current if isinstance(part, dict)]
            current = [one for value in values for one in (value if isinstance(value, list) else [value])]
        for element in current:
            reference = element.get("reference") if isinstance(element, dict) else None
            if isinstance(reference, str):
                yield reference, types


def complete(
    client: PooledClient,
    lacking: Mapping[str, frozenset[str]],
    deadline: Deadline,
    *,
    scope: str | None = None,
    parallel: int = 8,
) -> dict[str, Obtained]:
    """Fetches what `lacking` names, and in turn what that refers to; by type what came, and whether it is all.

    To be merged with what was got of each type before: the resources of both, the worse state. `scope`: of the token;
    a type that it leaves out is refused without asking. Never takes longer than until the deadline.
    """
    fetched = _Fetched(client, deadline, scope, parallel)
    wanted = dict(lacking)
    for _ in range(_ROUNDS):
        fetched.fetch(wanted)
        wanted = fetched.lacking()
        if not wanted:
            break
    for kind in wanted:
        fetched.add_state(kind, (TRUNCATED, "more resources than are read"))
    return fetched.obtained()


@dataclass(slots=True)
class _Fetched:
    """What was fetched so far, by type."""

    client: PooledClient
    deadline: Deadline
    scope: str | None
    parallel: int
    resources: dict[str, dict[str, Resource]] = field(default_factory=dict)
    states: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def obtained(self) -> dict[str, Obtained]:
        if "Substance" in self.states:  # without its substances it can't be told what a Medication is
            self.add_state("Medication", self.states["Substance"])
        return {
            kind: Obtained(tuple(self.resources.get(kind, {}).values()), (), *state)
            for kind, state in self.states.items()
        }

    def lacking(self) -> dict[str, frozenset[str]]:
        """What the fetched resources refer to and nobody asked for yet."""
        got = {kind: tuple(found.values()) for kind, found in self.resources.items()}
        found = lacking(got, References.of((), (self.client.url,)))
        left = {
            kind: frozenset(i for i in ids if f"{kind}/{i}" not in self.asked) for kind, ids in found.items()
        }
        return {kind: ids for kind, ids in left.items() if ids}

    def add_state(self, kind: str, state: tuple[str, str | None]) -> None:
        self.states[kind] = worse(self.states.get(kind, (COMPLETE, None)), state)

    def fetch(self, wanted: Mapping[str, frozenset[str]]) -> None:
        """Searches for all of these by id, then reads one by one what a search could not tell of."""
        searches: dict[str, _Search] = {}
        for kind in sorted(wanted):
            self.asked.update(f"{kind}/{identifier}" for identifier in wanted[kind])
            self.add_state(kind, (COMPLETE, None))
            if scopes.lacks(self.scope, kind):
                self.add_state(kind, (REFUSED, "scope not granted"))
                continue
            chunks = list(code_chunks(sorted(wanted[kind])))
            if len(chunks) > _MOST_SEARCHES:
                self.add_state(kind, (TRUNCATED, "more resources than are read"))
            for number, chunk in enumerate(chunks[:_MOST_SEARCHES]):
                searches[f"{kind} {number}"] = _Search(self.client, kind, chunk)
        self._run({name: search.run for name, search in searches.items()})
        reads: dict[str, Callable[[], Obtained]] = {}
        for search in searches.values():
            for identifier in search.unread:
                if len(reads) == _MOST_READS:
                    self.add_state(search.kind, (TRUNCATED, "more resources than are read"))
                    break
                reads[f"{search.kind} {identifier}"] = _reading(self.client, search.kind, identifier)
        self._run(reads)
        for kind in wanted:
            missing = wanted[kind] - self.resources.get(kind, {}).keys()
            if missing and self.states[kind][0] == COMPLETE and scopes.narrows(self.scope, kind):
                self.add_state(kind, (TRUNCATED, "scope granted for a part only"))

    def _run(self, jobs: Mapping[str, Callable[[], Obtained]]) -> None:
        for name, part in side_by_side(jobs, self.deadline, self.parallel).items():
            kind = name.partition(" ")[0]
            self.add_state(kind, (part.state, part.reason))
            if not self.client.allowance.take(resources=len(part.resources)):
                self.add_state(kind, (TRUNCATED, MORE_DATA))
            for resource in part.resources:
                self.resources.setdefault(kind, {})[resource["id"]] = resource


@dataclass(slots=True)
class _Search:
    """One search by several ids. `unread`: those of which it could not tell whether the server has them."""

    client: PooledClient
    kind: str
    ids: Sequence[str]
    unread: tuple[str, ...] = ()

    def run(self) -> Obtained:
        """What came of the ids. Raises FetchFailure where reading one by one would fare no better."""
        query = {"_id": ",".join(self.ids), "_count": str(len(self.ids))}
        try:
            answer = self.client.execute(self.kind, method="get", params=query)
        except FetchFailure as refused:
            if refused.status not in _UNSUPPORTED:
                raise
            self.unread = tuple(self.ids)
            return Obtained()
        page = read_page(answer, self.kind)
        came = {r["id"]: r for r in page.resources if r.get("id") in self.ids}
        # A server that knows no `_id` finds whatever it has; one that takes `a,b` for one id or the first, one or none.
        # One that finds nothing at all may not search this type at all.
        searched = page.state == COMPLETE and page.next is None and len(came) == len(page.resources)
        if not searched or len(came) < min(len(self.ids), 2) or (page.total or 0) > len(came):
            self.unread = tuple(i for i in self.ids if i not in came)
        return Obtained(tuple(came.values()))


def _reading(client: PooledClient, kind: str, identifier: str) -> Callable[[], Obtained]:
    """A read by id. One that the server does not have is nothing, and that is all there is."""

    def read() -> Obtained:
        try:
            resource = client.execute(f"{kind}/{identifier}", method="get")
        except FetchFailure as failure:
            if failure.status in _NOT_THERE:
                return Obtained()
            raise
        named = (resource.get("resourceType"), resource.get("id")) if isinstance(resource, dict) else None
        if named != (kind, identifier):
            return Obtained(state=FAILED, reason="the server answered with something else")
        return Obtained((resource,))

    return read
