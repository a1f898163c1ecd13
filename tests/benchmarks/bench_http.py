"""HTTP time of a full-prefetch patient-view call, beside json.loads of the same bytes.

`python -m tests.benchmarks.bench_http` starts the service under gunicorn with one worker and calls it over one connection with
50, 500 and 5,000 resources. Bar: p95 ≤ 25 ms for 500 (one worker).
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from cds_service.screening import Screener
from tests.benchmarks.figures import figure, machine, spread
from tests.contract.hook_requests import SERVICE, hook_request, resources, searchset, vignette_bundle

SIZES: Final = (50, 500, 5000)
PATIENT: Final = b"p-of-bench"
ROUNDS: Final = {50: 300, 500: 200, 5000: 30}
# Tests that a chart of years holds beside those that the trial reads.
LOINCS: Final = (
    "718-7",
    "4544-3",
    "777-3",
    "6690-2",
    "2823-3",
    "2951-2",
    "2345-7",
    "8480-6",
    "8462-4",
    "8867-4",
)


def record(size: int) -> list[dict[str, Any]]:
    """A candidate's record filled up to `size` resources with ten years of other results, diagnoses and drugs."""
    found = resources(vignette_bundle("AV-01"))
    patient = next(r for r in found if r["resourceType"] == "Patient")
    subject = {"reference": f"Patient/{patient['id']}"}
    while len(found) < size:
        number = len(found)
        day = f"{2016 + number % 10}-{1 + number % 12:02}-{1 + number % 28:02}"
        found.append(_filler(number, day, subject))
    return found[:size]


def _filler(number: int, day: str, subject: dict[str, str]) -> dict[str, Any]:
    if number % 20 == 0:
        return {
            "resourceType": "Condition",
            "id": f"filler-{number}",
            "subject": subject,
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": f"J{number % 90:02}"}]},
            "recordedDate": day,
        }
    if number % 20 == 1:
        return {
            "resourceType": "MedicationRequest",
            "id": f"filler-{number}",
            "status": "completed",
            "intent": "order",
            "subject": subject,
            "authoredOn": day,
            "medicationCodeableConcept": {"text": "paracetamol 500 mg"},
        }
    code = LOINCS[number % len(LOINCS)]
    return {
        "resourceType": "Observation",
        "id": f"filler-{number}",
        "meta": {"versionId": "1", "lastUpdated": f"{day}T12:00:00Z"},
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                    }
                ]
            }
        ],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": code, "display": "A test"}],
            "text": "A test",
        },
        "subject": subject,
        "effectiveDateTime": f"{day}T08:30:00-03:00",
        "issued": f"{day}T12:00:00Z",
        "valueQuantity": {
            "value": 10 + number % 7 / 2,
            "unit": "mg/dL",
            "system": "http://unitsofmeasure.org",
            "code": "mg/dL",
        },
        "referenceRange": [{"low": {"value": 5, "unit": "mg/dL"}, "high": {"value": 20, "unit": "mg/dL"}}],
    }


def request_body(size: int) -> bytes:
    """The call with the whole record as prefetch, of a patient with the id PATIENT."""
    found = record(size)
    by_type: dict[str, list[dict[str, Any]]] = {}
    for resource in found:
        by_type.setdefault(resource["resourceType"], []).append(resource)
    (patient,) = by_type.pop("Patient")
    prefetch: dict[str, Any] = {"patient": patient}
    for kind in sorted(Screener.load().wanted().types - {"Patient"}):
        some = by_type.get(kind)
        prefetch[kind[0].lower() + kind[1:]] = searchset(*some) if some else None
    body = orjson.dumps(hook_request(patient["id"], prefetch=prefetch))
    return body.replace(patient["id"].encode(), PATIENT)


def of_patient(body: bytes, number: int) -> bytes:
    """The same chart as another patient's: the card of one that was shown often enough would rest."""
    return body.replace(PATIENT, b"p%09d" % number)


@contextmanager
def service() -> Iterator[int]:
    """The service under gunicorn, one worker; yields its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "CDS_AS_OF": "2026-06-15",
            "CDS_DATABASE_URL": f"sqlite:///{Path(folder) / 'bench.db'}",
            "CDS_FEEDBACK_PSEUDONYM_KEY_FILE": str(Path(folder) / "pseudonym.key"),
        }
        command = [
            sys.executable,
            "-c",
            "from cds_service.cli import main; main()",
            "serve",
            "--port",
            str(port),
        ]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            _wait(port)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the service did not start")


def figures() -> Iterator[str]:
    """All lines of this benchmark."""
    yield from machine()
    with service() as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        numbers = itertools.count()
        for size in SIZES:
            body = request_body(size)
            yield f"# {size} resources, {len(body)} bytes"
            rounds = ROUNDS[size]
            for _ in range(max(3, rounds // 10)):
                call(connection, of_patient(body, next(numbers)))
            times = [wall(partial(call, connection, of_patient(body, next(numbers)))) for _ in range(rounds)]
            yield from spread(f"patient_view_{size}", times)
            plain = statistics.median(wall(partial(json.loads, body)) for _ in range(rounds))
            yield figure(f"ratio_patient_view_to_json_{size}", statistics.median(times) / plain, "x")
        connection.close()


def call(connection: http.client.HTTPConnection, body: bytes) -> None:
    """One call; anything but the expected card ends the run."""
    connection.request("POST", SERVICE, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    found = answer.read()
    if answer.status != 200 or b"may be eligible" not in found:
        raise SystemExit(f"unexpected answer: {answer.status}")


def wall(work: Callable[[], object]) -> float:
    """Milliseconds of one run, by the clock on the wall: the work is another process's."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def main() -> None:
    for line in figures():
        print(line, flush=True)


if __name__ == "__main__":
    main()
