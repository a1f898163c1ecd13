"""Reads and searches of one resource type: asked more plainly where a server objects, all pages followed.

Error policy: a search whose first page can't be had raises FetchFailure; whatever is missing after that is recorded as
truncated, with its reason. `side_by_side` turns every failure into an Obtained, so that none gets lost in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from cds_service.records import scopes
from cds_service.records.fhir_transport import Deadline, FetchFailure, PooledClient
from cds_service.records.obtained import Obtained, combined
from cds_service.records.paging import all_pages
from cds_service.records.patient_search import by_patient
from cds_service.records.record import COMPLETE, FAILED
from cds_service.records.searchset import names_other_patient, read_page
from cds_service.records.source import Source

# Search parameter and type of what is included (clinical-spec §2.1), so that most references need no further request.
_INCLUDES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "MedicationRequest": ("medication", "Medication"),
        "MedicationStatement": ("medication", "Medication"),
        "MedicationAdministration": ("medication", "Medication"),
        "MedicationDispense": ("medication", "Medication"),
        "DeviceUseStatement": ("device", "Device"),
        "ResearchSubject": ("study", "ResearchStudy"),
    }
)
_CATEGORIES: Final = ("laboratory", "survey", "exam", "procedure", "social-history", "vital-signs")
_CODES_A_SEARCH: Final = 50
# Some servers and what stands before them refuse URLs from 2,048 characters on; the rest of the URL needs its share.
_CODES_LENGTH: Final = 1_500
# Answers of servers that do not support a search as it was asked, or a resource type at all.
_UNSUPPORTED: Final = frozenset({400, 403, 404, 405, 410, 413, 414, 422, 501})
# Answers to a search that names more codes than a server takes.
_TOO_MANY_CODES: Final = frozenset({400, 413, 414, 422})
# Answers to a search whose value a server does not know.
_NO_SUCH_VALUE: Final = frozenset({"HTTP 400", "HTTP 422"})
_SPECIAL: Final = re.compile(r"[\\$,|]")


def side_by_side(
    jobs: Mapping[str, Callable[[], Obtained]], deadline: Deadline, parallel: int
) -> dict[str, Obtained]:
    """Each job's outcome; one that is not done at the deadline has failed, and is left to its own time
    limits.
    """
    if not jobs:
        return {}
    pool = ThreadPoolExecutor(max_workers=min(parallel, len(jobs)), thread_name_prefix="fhir")
    futures = {pool.submit(job): name for name, job in jobs.items()}
    done, _ = wait(futures, timeout=deadline.left())
    pool.shutdown(wait=False, cancel_futures=True)
    outcomes = {}
    for future, name in futures.items():
        if future in done:
            outcomes[name] = _outcome(future.result)
        else:
            outcomes[name] = Obtained(state=FAILED, reason="timeout")
    return outcomes


def _outcome(result: Callable[[], Obtained]) -> Obtained:
    try:
        return result()
    except FetchFailure as failure:
        return Obtained(state=failure.state, reason=failure.reason)


def read_patient(client: PooledClient, patient_id: str) -> Obtained:
    patient = client.execute(f"Patient/{quote(patient_id, safe='')}", method="get")
    if not isinstance(patient, dict) or patient.get("resourceType") != "Patient":
        return Obtained(state=FAILED, reason="the server answered with something else")
    if names_other_patient(patient, patient_id):
        return Obtained(state=FAILED, reason="another patient's data", dropped=1)
    return Obtained((patient,))


def search_type(
    client: PooledClient,
    source: Source,
    resource_type: str,
    patient_id: str,
    deadline: Deadline,
    codes: Sequence[str] = (),
) -> Obtained:
    """All resources of a type: by patient, asked more plainly where the server objects, Observations by `codes`."""
    if resource_type == "Observation" and source.by_code and codes:
        return _by_code(client, source, patient_id, deadline, codes)
    failure: FetchFailure | None = None
    partly: Obtained | None = None
    for params in _from_rich_to_plain(source, resource_type, patient_id):
        try:
            found = _search(client, source, resource_type, params, patient_id)
        except FetchFailure as refused:
            if refused.status not in _UNSUPPORTED and partly is None:
                raise
            failure = failure or refused
            if refused.status in (404, 410) or (refused.status == 403 and "_include" not in params):
                break
            continue
        partly = found if partly is None or found.state == COMPLETE else combined(partly, found)
        if found.reason != "OperationOutcome":  # what the server objects to may be the include, or `_count`
            return partly
    if resource_type == "Observation" and codes and (partly is None or partly.state == FAILED):
        found = _by_code(client, source, patient_id, deadline, codes)
        return found if partly is None or found.state == COMPLETE else combined(partly, found)
    if partly is not None:
        return partly
    assert failure is not None  # noqa: S101  (the loop returns or fails)
    raise failure


def _from_rich_to_plain(source: Source, resource_type: str, patient_id: str) -> Iterator[dict[str, Any]]:
    """The parameters to search a type with, each to be tried where the server does not support those before it."""
    plain: dict[str, Any] = {**by_patient(resource_type, patient_id)}
    counted = {**plain, "_count": source.transport.bounds.page_size}
    parameter, included = _INCLUDES.get(resource_type, ("", ""))
    if parameter and not scopes.lacks(source.scope, included):
        yield {**counted, "_include": f"{resource_type}:{parameter}"}
    yield counted
    yield plain
    if resource_type == "ResearchSubject":
        yield {"individual": f"Patient/{patient_id}"}


def _by_code(
    client: PooledClient, source: Source, patient_id: str, deadline: Deadline, codes: Sequence[str]
) -> Obtained:
    """Observations by code without system, in chunks, and by category (clinical-spec §2.1); all of it must
    succeed. Only a category that the server refuses as a value, where it takes another, has nothing in it there.
    """
    jobs = {
        f"codes {number}": _code_job(client, source, chunk, patient_id)
        for number, chunk in enumerate(code_chunks(codes))
    }
    jobs |= {
        category: _observation_job(client, source, {"category": category}, patient_id)
        for category in _CATEGORIES
    }
    found = side_by_side(jobs, deadline, source.transport.bounds.parallel)
    if any(found[category].state == COMPLETE for category in _CATEGORIES):
        found = {
            name: got
            for name, got in found.items()
            if name not in _CATEGORIES or got.reason not in _NO_SUCH_VALUE
        }
    return combined(*found.values())


def code_chunks(codes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Codes as values of one search parameter, escaped, in groups that a URL can hold."""
    chunk: list[str] = []
    length = 0
    for code in codes:
        value = _SPECIAL.sub(lambda special: f"\\{special[0]}", code)
        size = len(quote(value, safe="")) + 1
        if chunk and (len(chunk) == _CODES_A_SEARCH or length + size > _CODES_LENGTH):
            yield tuple(chunk)
            chunk, length = [], 0
        chunk.append(value)
        length += size
    if chunk:
        yield tuple(chunk)


def _code_job(
    client: PooledClient, source: Source, values: Sequence[str], patient_id: str
) -> Callable[[], Obtained]:
    """A search by these codes, by half of them at a time where the server does not take as many."""

    def job() -> Obtained:
        try:
            return _observation_job(client, source, {"code": ",".join(values)}, patient_id)()
        except FetchFailure as refused:
            if refused.status not in _TOO_MANY_CODES or len(values) == 1:
                raise
        half = len(values) // 2
        return combined(
            *(_code_job(client, source, part, patient_id)() for part in (values[:half], values[half:]))
        )

    return job


def _observation_job(
    client: PooledClient, source: Source, params: dict[str, Any], patient_id: str
) -> Callable[[], Obtained]:
    counted = {"patient": patient_id, "_count": source.transport.bounds.page_size, **params}
    return lambda: _search(client, source, "Observation", counted, patient_id)


def _search(
    client: PooledClient, source: Source, resource_type: str, params: dict[str, Any], patient_id: str
) -> Obtained:
    """One search with all its pages. A failure on the first page raises."""
    query = client.resources(resource_type).search(**params).params
    first = read_page(client.execute(resource_type, method="get", params=query), resource_type)
    return all_pages(first, resource_type, patient_id, client, source.transport.bounds)
