"""The same record from a FHIR server that writes references in its own way, with companions that come beside what refers
to them, only by their id, or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from cds_service.records.fhir_server import acquire
from cds_service.records.fhir_transport import Transport
from cds_service.screening import Screener
from tests.builders import SCREENING_DAY, b0, research_study, research_subject
from tests.messy.test_references import FAR, RESTING, elements, of_medication, rich, verdicts
from tests.support.chart_server import Asked, ChartServer, Fault, Reply, serving_chart
from tests.trials.assessing import SITE_ZONE, TRIAL

Json = dict[str, Any]
Verdicts = dict[str, tuple[Any, ...]]
INSIDE = "http://10.0.0.5:8080/internal"
COMPANIONS = ("Medication", "Device", "ResearchStudy")


@pytest.fixture(scope="module")
def screener() -> Screener:
    return Screener.load(timezone=SITE_ZONE)


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


@pytest.fixture
def fetched(screener: Screener, transport: Transport) -> Callable[[ChartServer], Verdicts]:
    def fetch(server: ChartServer) -> Verdicts:
        (patient_id,) = (r["id"] for r in server.resources if r["resourceType"] == "Patient")
        record = acquire(server.base, patient_id, screener.wanted([TRIAL]), transport=transport)
        (assessment,) = screener.screen(record, [TRIAL], date.fromisoformat(SCREENING_DAY))
        rows = json.loads(json.dumps(assessment.to_json()))["criteria"]
        return {row["id"]: (row["status"], row.get("basis"), tuple(row.get("reasons", ()))) for row in rows}

    return fetch


def referring(say: Callable[[str], str]) -> Callable[[Asked, Any], Any]:
    def does(_asked: Asked, right: Any) -> Any:
        for element in elements(right):
            reference = element.get("reference")
            if isinstance(reference, str) and not reference.startswith("http"):
                element["reference"] = say(reference)
        return right

    return lambda asked, right: does(
        asked, json.loads(json.dumps(right)) if isinstance(right, dict) else right
    )


def listing(url: Callable[[Json], str | None]) -> Callable[[Asked, Any], Any]:
    def does(_asked: Asked, right: Any) -> Any:
        for entry in right.get("entry", ()) if isinstance(right, dict) else ():
            said = url(entry["resource"])
            entry.pop("fullUrl")
            entry |= {} if said is None else {"fullUrl": said}
        return right

    return does


def without_includes(_asked: Asked, right: Any) -> Any:
    if isinstance(right, dict) and "entry" in right:
        right["entry"] = [e for e in right["entry"] if e["search"]["mode"] != "include"]
    return right


def inside(resource: Json) -> str:
    return f"{INSIDE}/{resource['resourceType']}/{resource['id']}"


def answered(status: int) -> Callable[[Asked, Any], Reply]:
    return lambda _asked, _right: Reply(b'{"resourceType": "OperationOutcome", "issue": []}', status)


WAYS: dict[str, list[Fault]] = {
    "plain": [],
    "without includes": [Fault(without_includes)],
    "versioned": [Fault(referring(lambda name: f"{name}/_history/2"))],
    "versioned, without includes": [Fault(without_includes), Fault(referring(lambda name: f"{name}/_history/2"))],
    "without fullUrl": [Fault(listing(lambda _: None))],
    "calling itself otherwise": [Fault(listing(inside)), Fault(referring(lambda name: f"{INSIDE}/{name}"))],
    "calling itself otherwise, without includes": [
        Fault(without_includes),
        Fault(listing(inside)),
        Fault(referring(lambda name: f"{INSIDE}/{name}")),
    ],
    "the patient at a proxy's address": [
        Fault(referring(lambda name: f"https://proxy.example/{name}" if "Patient/" in name else name))
    ],
    "companions read one by one": [
        Fault(without_includes),
        *(
            Fault(lambda asked, right: answered(400)(asked, right) if "_id" in asked.query else right, kind=kind)
            for kind in COMPANIONS
        ),
    ],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_however_a_server_writes_references_the_verdicts_are_the_same(
    way: str, fetched: Callable[[ChartServer], Verdicts]
) -> None:
    with serving_chart(rich(), faults=WAYS[way]) as server:
        assert fetched(server) == verdicts(rich())


def test_absolute_references_to_the_server_itself_are_followed(
    fetched: Callable[[ChartServer], Verdicts],
) -> None:
    with serving_chart(rich()) as server:
        server.faults += [Fault(without_includes), Fault(referring(lambda name: f"{server.base}/{name}"))]
        assert fetched(server) == verdicts(rich())


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "ambiguous-code"), (410, "ambiguous-code"), (403, "retrieval-failed"), (500, "retrieval-failed")],
)
def test_a_companion_that_does_not_come_is_not_taken_for_none(
    status: int, reason: str, fetched: Callable[[ChartServer], Verdicts]
) -> None:
    faults = [Fault(without_includes), *(Fault(answered(status), kind=kind) for kind in COMPANIONS)]
    with serving_chart(rich(), faults=faults) as server:
        found = fetched(server)
    assert reason in found["EX09-Immunosuppressant"][2]
    for name in ("EX12-OtherTrial", "EX13a-Niv", "IN07-ConsentCapacity"):
        assert found[name][0] == RESTING[name][1], name


def test_nothing_is_asked_of_another_server_or_for_another_server_s_id(
    fetched: Callable[[ChartServer], Verdicts],
) -> None:
    far = b0(of_medication(f"{FAR}/Medication/m"), research_subject(f"{FAR}/ResearchStudy/s"))
    near = research_study("s", "NCT00000001")
    with serving_chart({**far, "entry": [*far["entry"], {"resource": near}]}) as server:
        found = fetched(server)
        assert not any(server.asked(kind) for kind in COMPANIONS if kind != "Device")
        assert all(request.id is None for request in server.asked("Device"))
    assert found["EX09-Immunosuppressant"] == ("unknown", None, ("ambiguous-code",))
    assert found["EX12-OtherTrial"][0] != "not-met"
