"""No body makes the service work or grow without bound: what the worst of them cost in processor time and memory, in a
process with a ceiling on its memory.

The bounds are far above what a body costs on a slow machine, and far below what anything that grows with the square of
the body's length would cost.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.contract.hook_requests import SERVICE, als, person, resources, vignette_bundle
from tests.fuzz.served import Served, is_outcome, served

FULL: Final = 19_000_000  # just within limits.body_bytes
SECONDS: Final = 30.0
MEGABYTES: Final = 750
# Of one body as large as may be, each made of one thing alone.
MONOTONOUS: Final[dict[str, bytes]] = {
    "empty objects": b"[" + b"{}," * (FULL // 3) + b"0]",
    "small objects": b"[" + b'{"":0},' * (FULL // 7) + b"0]",
    "empty lists": b"[" + b"[]," * (FULL // 3) + b"0]",
    "numbers": b"[" + b"1.5," * (FULL // 4) + b"0]",
    "short texts": b"[" + '"é",'.encode() * (FULL // 5) + b"0]",
    "lists in lists": b"[" * FULL,
    "objects in objects": b'{"a":' * (FULL // 5),
    "one text": b'"' + b"a" * FULL + b'"',
    "one text of escapes": b'"' + b"\\u00e9" * (FULL // 6) + b'"',
    "one number": b"1" * FULL,
    "one fraction": b"0." + b"1" * FULL,
    "one exponent": b"1e" + b"9" * FULL,
    "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(1_500_000)) + b"}",
    "one key often": b"{" + b",".join([b'"hook":0'] * (FULL // 9)) + b"}",
    "blanks": b" " * FULL,
}


def bundled(entry: bytes, number: int) -> bytes:
    patient = b'{"resource":{"resourceType":"Patient","id":"1"}}'
    return b'{"resourceType":"Bundle","entry":[' + patient + (b"," + entry) * number + b"]}"


BUNDLES: Final[dict[str, bytes]] = {
    "empty entries": bundled(b"{}", 300_000),
    "Bundles": bundled(b'{"resource":{"resourceType":"Bundle"}}', 9_000),
    "Bundles in Bundles": b'{"resourceType":"Bundle","entry":[{"resource":' * 80 + b"null" + b"}]}" * 80,
    "empty Observations": bundled(b'{"resource":{"resourceType":"Observation"}}', 45_000),
    "Patients": bundled(b'{"resource":{"resourceType":"Patient","id":"1"}}', 45_000),
    "outcomes": bundled(b'{"resource":{"resourceType":"OperationOutcome"}}', 45_000),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # What grows with the square of their number shows with many.
    with served(tmp_path_factory.mktemp("bounds"), limits="entries = 50000") as running:
        workers = running.workers()
        yield running
        running.check(workers)


def cost(service: Served, path: str, body: bytes, statuses: set[int]) -> tuple[float, float]:
    """Seconds of processor time and the peak in megabytes."""
    service.forget_peak()
    before = service.cpu_seconds()
    answer = service.post(path, body)
    assert answer.status_code in statuses, answer.text
    if answer.status_code >= 400:
        assert is_outcome(answer.headers, answer.content)
    return service.cpu_seconds() - before, service.peak_bytes() / 1e6


READS: Final = [("/assessments", name) for name in MONOTONOUS]  # the reading of JSON is one for all
READS += [(path, name) for path in (SERVICE, f"{SERVICE}/feedback") for name in ("numbers", "many keys")]


@pytest.mark.parametrize(("path", "name"), READS)
def test_a_body_of_one_thing_alone_costs_little(service: Served, path: str, name: str) -> None:
    seconds, megabytes = cost(service, path, MONOTONOUS[name], {400, 413})
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_of_one_thing_alone_costs_little(service: Served, name: str) -> None:
    seconds, megabytes = cost(service, "/assessments", BUNDLES[name], {200, 400, 413})
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


def _patient_ones() -> dict[str, list[dict[str, Any]]]:
    """The vignettes' resources by type, as of one patient."""
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(1, 11):
        bundle = vignette_bundle(f"AV-{number:02d}")
        patient = next(r["id"] for r in resources(bundle) if r["resourceType"] == "Patient")
        for resource in resources(bundle):
            text = json.dumps(resource).replace(f"Patient/{patient}", "Patient/1")
            found.setdefault(resource["resourceType"], []).append(json.loads(text))
    del found["Patient"]
    return found


OF_ONE_PATIENT: Final = _patient_ones()
START: Final = datetime(2026, 6, 14, tzinfo=UTC)


def dated(resource: dict[str, Any], number: int) -> dict[str, Any]:
    """A copy with an id and dates of its own, so that nothing that is alike can be shared."""
    moment = (START - timedelta(minutes=7 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = copy.deepcopy(resource)
    for key, value in made.items():
        if isinstance(value, str) and key.endswith(
            ("DateTime", "Date", "issued", "authoredOn", "dateAsserted")
        ):
            made[key] = moment if "T" in value else moment[:10]
    return {**made, "id": f"x{number}"}


@pytest.mark.parametrize("kind", sorted(OF_ONE_PATIENT))
def test_very_many_resources_of_a_type_cost_little(service: Served, kind: str) -> None:
    originals = OF_ONE_PATIENT[kind]
    listed = [dated(originals[n % len(originals)], n) for n in range(8_000)]
    entries = [{"resource": resource} for resource in (person(), als(), *listed)]
    body = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    seconds, megabytes = cost(service, "/assessments", body, {200})
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


OF_ONE: Final = {"subject": {"reference": "Patient/1"}}
AZATHIOPRINE: Final = {
    "coding": [
        {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1256", "display": "azathioprine"}
    ]
}
# Each of these has to be held against every other: what answers one by one takes the square of their number.
RIVALS: Final[dict[str, list[dict[str, Any]]]] = {
    "results of one moment": [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]},
            "effectiveDateTime": "2026-06-10T10:00:00Z",
            "valueQuantity": {
                "value": 20,
                "unit": "U/L",
                "code": "U/L",
                "system": "http://unitsofmeasure.org",
            },
        }
    ],
    "orders of a drug and statements that it was stopped": [
        {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": AZATHIOPRINE,
            "authoredOn": "2026-01-01",
        },
        {
            "resourceType": "MedicationStatement",
            "status": "stopped",
            "medicationCodeableConcept": AZATHIOPRINE,
            "effectivePeriod": {"start": "2026-01-01", "end": "2026-02-01"},
        },
    ],
}


@pytest.mark.parametrize("name", RIVALS)
def test_very_many_resources_that_rival_each_other_cost_little(service: Served, name: str) -> None:
    some = RIVALS[name]
    listed = [{**some[n % len(some)], **OF_ONE, "id": f"x{n}"} for n in range(16_000)]
    entries = [{"resource": resource} for resource in (person(), als(), *listed)]
    body = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    seconds, megabytes = cost(service, "/assessments", body, {200})
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


LENGTH: Final = 160_000
A_BODY: Final = 2
LONG: Final[dict[str, Callable[[int], str]]] = {
    "one word": lambda n: f"{n}" + "x" * LENGTH,
    "many words": lambda n: f"{n} " + "é " * (LENGTH // 2),
    "negations": lambda n: f"{n} " + "no sem nega possible " * (LENGTH // 21),
    "digits": lambda n: f"{n}" + "9" * LENGTH,
    "a fraction": lambda n: f"{n}." + "9" * LENGTH,
    "brackets": lambda n: f"{n}" + "(" * LENGTH,
    "a unit": lambda n: "mg." * (LENGTH // 3) + f"m{n}",
    "a moment": lambda n: f"2026-06-15T10:00:00.{n}{'1' * LENGTH}Z",
    "a path": lambda n: f"http://x/{n}/" + "a/" * (LENGTH // 2),
    "an ICD code": lambda n: f"G12.21{n}" + "x" * LENGTH,
}


def long_ones(make: Callable[[int], str], number: int) -> Iterator[dict[str, Any]]:
    """Resources with a long text of their own in each place where texts are read."""
    systems = (
        "http://loinc.org",
        "http://snomed.info/sct",
        "http://hl7.org/fhir/sid/icd-10",
        "http://www.whocc.no/atc",
    )
    for at in range(number, number + A_BODY):
        text = make(at)
        coding = {"system": systems[at % len(systems)], "code": text, "display": text}
        concept = {"coding": [coding, {"system": text, "code": "1"}], "text": text}
        about = {"id": f"x{at}", "status": "final", "subject": {"reference": "Patient/1"}}
        quantity = {"value": 1, "unit": text, "code": text, "system": "http://unitsofmeasure.org"}
        loinc = {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]}
        day = {"effectiveDateTime": "2026-06-10"}
        yield {"resourceType": "Observation", **about, "code": concept, "effectiveDateTime": text}
        yield {"resourceType": "Observation", **about, **day, "code": loinc, "valueString": text}
        yield {"resourceType": "Observation", **about, **day, "code": loinc, "valueQuantity": quantity}
        yield {**als(f"c{at}"), "code": concept, "onsetDateTime": text, "subject": {"reference": text}}
        yield {**als(f"d{at}"), "code": concept}
        yield {"resourceType": "Procedure", **about, "code": concept, "performedDateTime": text}
        yield {
            "resourceType": "MedicationRequest",
            **about,
            "status": "active",
            "medicationCodeableConcept": concept,
            "authoredOn": text,
            "dosageInstruction": [{"text": text, "doseAndRate": [{"doseQuantity": quantity}]}],
        }


def test_long_texts_cost_little_and_are_not_kept(service: Served) -> None:
    """Each round brings 90 MB that were never seen before; were they kept, the process would grow by what they take."""
    number, grown = 0, []
    for rounds in range(3):
        for name, make in LONG.items():
            entries = [{"resource": r} for r in (person(), als(), *long_ones(make, number))]
            number += A_BODY
            body = json.dumps({"resourceType": "Bundle", "entry": entries}, ensure_ascii=False).encode()
            seconds, _ = cost(service, "/assessments", body, {200})
            assert seconds < SECONDS, (name, rounds)
        service.forget_peak()
        grown.append(service.peak_bytes() / 1e6)
    print("megabytes after each round:", grown)
    assert grown[-1] - grown[0] < 50, grown
