"""Reads and searches of one resource type: asked more plainly where a server objects, all pages followed.

Error policy: a search whose first page can't be had raises FetchFailure; whatever is missing after that is recorded as
truncated, with its reason. `side_by_side` turns every failure into an Obtained, so that none gets lost in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from cds_service.records.fhir_transport import Deadline, FetchFailure, PooledClient
from cds_service.records.origins import on_server
from cds_service.records.patient_search import by_patient
from cds_service.records.prefetch import Obtained, own_resources
from cds_service.records.record import COMPLETE, FAILED, TRUNCATED
from cds_service.records.searchset import names_other_patient, read_page, unique_count, worse
from cds_service.records.source import Source

# clinical-spec §2.1; without these a reference to a medication, device or study could not be read.
_INCLUDES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MedicationRequest": "medication",
        "MedicationStatement": "medication",
        "MedicationAdministration": "medication",
        "MedicationDispense": "medication",
        "DeviceUseStatement": "device",
        "ResearchSubject": "study",
    }
)
_INCLUDED_TYPES: Final = frozenset({"Medication", "Device", "ResearchStudy"})
_CATEGORIES: Final = ("laboratory", "survey", "exam", "procedure", "social-history", "vital-signs")
_CODES_A_SEARCH: Final = 50
# Answers of servers that do not support a search as it was asked, or a resource type at all.
_UNSUPPORTED: Final = frozenset({400, 403, 404, 405, 410, 413, 414, 422, 501})


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
    count = source.transport.bounds.page_size
    plain: dict[str, Any] = {**by_patient(resource_type, patient_id)}
    attempts: list[dict[str, Any]] = [{**plain, "_count": count}, plain]
    if include := _INCLUDES.get(resource_type):
        attempts.insert(0, {**plain, "_count": count, "_include": f"{resource_type}:{include}"})
    if resource_type == "ResearchSubject":
        attempts.append({"individual": f"Patient/{patient_id}"})
    failure: FetchFailure | None = None
    for params in attempts:
        try:
            return _search(client, source, resource_type, params, patient_id)
        except FetchFailure as refused:
            if refused.status not in _UNSUPPORTED:
                raise
            failure = failure or refused
            if refused.status in (403, 404, 410):
                break
    if resource_type == "Observation" and codes:
        return _by_code(client, source, patient_id, deadline, codes)
    assert failure is not None  # noqa: S101  (the loop returns or fails)
    raise failure


def _by_code(
    client: PooledClient, source: Source, patient_id: str, deadline: Deadline, codes: Sequence[str]
) -> Obtained:
    """Observations by code without system, in chunks, and by category (clinical-spec §2.1); all of it must
    succeed.
    """
    plain = {"patient": patient_id, "_count": source.transport.bounds.page_size}
    searches = [
        {**plain, "code": ",".join(codes[start : start + _CODES_A_SEARCH])}
        for start in range(0, len(codes), _CODES_A_SEARCH)
    ]
    searches += [{**plain, "category": category} for category in _CATEGORIES]
    jobs = {str(n): _search_job(client, source, params, patient_id) for n, params in enumerate(searches)}
    found = side_by_side(jobs, deadline, source.transport.bounds.parallel)
    state: tuple[str, str | None] = (COMPLETE, None)
    resources: dict[str, dict[str, Any]] = {}
    for part in found.values():
        state = worse(state, (part.state, part.reason))
        for number, resource in enumerate(part.resources):
            resources.setdefault(str(resource.get("id", f"{id(part)}-{number}")), resource)
    return Obtained(
        tuple(resources.values()),
        (),
        *state,
        max((part.dropped for part in found.values()), default=0),
        any(part.hint for part in found.values()),
    )


def _search_job(
    client: PooledClient, source: Source, params: dict[str, Any], patient_id: str
) -> Callable[[], Obtained]:
    return lambda: _search(client, source, "Observation", params, patient_id)


def _search(
    client: PooledClient, source: Source, resource_type: str, params: dict[str, Any], patient_id: str
) -> Obtained:
    """One search with all its pages. A failure on the first page raises; on a later one the result is
    truncated.
    """
    bounds = source.transport.bounds
    query = client.resources(resource_type).search(**params).params
    answer = client.execute(resource_type, method="get", params=query)
    matches: list[dict[str, Any]] = []
    included: list[dict[str, Any]] = []
    state: tuple[str, str | None] = (COMPLETE, None)
    hint, total, seen = False, None, set[str]()
    for _ in range(bounds.pages):
        page = read_page(answer, resource_type, _INCLUDED_TYPES)
        matches += page.resources
        included += page.included
        hint |= page.hint
        total = page.total if page.total is not None else total
        state = worse(state, (page.state, page.reason))
        if page.next is None:
            break
        if len(matches) + len(included) > bounds.resources:
            state = worse(state, (TRUNCATED, "more resources than are read"))
            break
        link = on_server(source.base_url, page.next) if page.next else None
        if link is None or link in seen:
            why = "paging link to another server" if link is None else "paging loop"
            state = worse(state, (TRUNCATED, why))
            break
        seen.add(link)
        try:
            answer = client.execute(link, method="get")
        except FetchFailure as failure:
            state = worse(state, (TRUNCATED, f"a later page failed: {failure.reason}"))
            break
    else:
        state = worse(state, (TRUNCATED, "more pages than are read"))
    found = tuple(matches)
    if total is not None and total > unique_count(found):
        state = worse(state, (TRUNCATED, "total above the entries"))
    return own_resources(found, tuple(included), *state, patient_id, hint=hint)
