"""Acquisition from a scripted FHIR server: what is got, what is not, and that the account says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import pytest

from cds_service.errors import UnobtainableError
from cds_service.records.addresses import LOOPBACK
from cds_service.records.fhir_search import code_chunks
from cds_service.records.fhir_server import Acquisition
from cds_service.records.fhir_server import acquire as acquire_wanted
from cds_service.records.fhir_transport import Bounds, Deadline, FetchFailure, Transport
from cds_service.records.prefetch import read_prefetch
from cds_service.records.record import PatientRecord
from cds_service.records.source import Source
from cds_service.records.wanted import Wanted
from tests.unit.records_io.scripted_server import (
    Answer,
    ScriptedServer,
    bundle,
    condition,
    counted,
    elapsed,
    observation,
    outcome,
    patient,
    serving,
)

SECRET = "token-canary"


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(bounds=Bounds(answer_bytes=200_000, pages=5, resources=50, page_size=10))
    yield transport
    transport.close()


def acquire(
    base: str, patient_id: str, types: Iterable[str], *, observation_codes: Sequence[str] = (), **more: Any
) -> PatientRecord:
    return acquire_wanted(base, patient_id, Wanted(frozenset(types), tuple(observation_codes)), **more)


def state(record: Any, kind: str) -> tuple[str, str | None]:
    acquired = record.state(kind)
    return acquired.state, acquired.reason


def paths(server: ScriptedServer) -> list[str]:
    """What was asked of the patient's chart."""
    return [request.path for request in server.requests if request.path != "metadata"]


def test_patient_and_condition_cost_two_requests_with_the_token_on_each(transport: Transport) -> None:
    with serving({"Patient/1": patient(), "Condition": bundle(condition())}) as server:
        record = acquire(server.base, "1", ("Patient", "Condition"), token=SECRET, transport=transport)
    assert sorted(paths(server)) == ["Condition", "Patient/1"]
    assert all(r.headers["Authorization"] == f"Bearer {SECRET}" for r in server.requests)
    assert server.asked("Condition")[0].query == {"patient": "1", "_count": "10"}
    assert record.patient["id"] == "1"
    assert [c["id"] for c in record.of_type("Condition")] == ["c1"]
    assert record.state("Condition").count == 1
    assert state(record, "Observation") == ("pending", None)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(outcome(), 404), "HTTP 404"),
        (Answer(outcome(), 410), "HTTP 410"),
        (Answer(outcome(), 401), "HTTP 401"),
        (Answer(outcome(), 403), "HTTP 403"),
        (Answer("boom", 500), "HTTP 500"),
        (Answer("<html>login</html>", headers={"Content-Type": "text/html"}), "not JSON"),
        (Answer(b'{"resourceType": "Patient", "id": "1", "x": "\xff"}'), "not JSON"),
        (Answer(condition()), "something else"),
        (Answer(patient("2")), "another patient's data"),
        (Answer("", 302, {"Location": "http://127.0.0.1:9/fhir/Patient/1"}), "redirect not followed"),
        (Answer(patient(), cut=10), "connection"),
        (Answer(outcome()), "something else"),
        (Answer("[" * 5000 + "]" * 5000), "not JSON"),
    ],
)
def test_a_patient_that_can_not_be_had_stops_with_its_reason_and_no_identifier(
    transport: Transport, answer: Answer, reason: str
) -> None:
    script = {"Patient/patient-canary": answer, "metadata": Answer("", 404)}
    with serving(script) as server, pytest.raises(UnobtainableError) as caught:
        acquire(server.base, "patient-canary", ("Patient", "Condition"), token=SECRET, transport=transport)
    assert reason in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "patient-canary" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(outcome(), 500), ("failed", "HTTP 500")),
        (Answer(outcome(), 401), ("refused", "HTTP 401")),
        (Answer(outcome(), 403), ("refused", "HTTP 403")),
        (Answer("<html></html>"), ("failed", "not JSON")),
        (Answer("", 301, {"Location": "/fhir/Elsewhere"}), ("failed", "redirect not followed")),
        (Answer(outcome()), ("failed", "OperationOutcome")),
        (Answer(outcome("information", "informational")), ("failed", "OperationOutcome instead of data")),
        (Answer(patient()), ("failed", "not a FHIR Bundle")),
        (Answer([1, 2]), ("failed", "not a FHIR Bundle")),
        (Answer({"resourceType": "Bundle", "entry": "x"}), ("failed", "malformed Bundle")),
        (Answer(bundle(condition(), outcome())), ("failed", "OperationOutcome")),
        (Answer(bundle(condition(), outcome("warning", "incomplete"))), ("truncated", "OperationOutcome")),
        (Answer(bundle(condition(), outcome("warning", "processing"))), ("truncated", "OperationOutcome")),
        (Answer(bundle(condition(), outcome("warning", "suppressed"))), ("truncated", "some data withheld")),
        (
            Answer(bundle(condition(), outcome("information", "suppressed"))),
            ("truncated", "some data withheld"),
        ),
        (Answer(bundle(condition(), outcome("warning", "informational"))), ("complete", None)),
        (Answer(bundle(condition(), outcome("information", "informational"))), ("complete", None)),
        (Answer(bundle(condition(), total=3)), ("truncated", "total above the entries")),
        (Answer(bundle(condition(), condition(), total=2)), ("truncated", "total above the entries")),
        (Answer(bundle(condition(), total=1)), ("complete", None)),
        (Answer(bundle(condition("c1", "2"), condition("c2", "3"))), ("failed", "another patient's data")),
        (Answer(bundle(observation("o1"))), ("failed", "unexpected resource type")),
        (Answer({"resourceType": "Bundle", "entry": [{"fullUrl": "urn:x"}]}), ("truncated", "entry without")),
        (Answer(bundle(condition()), zipped=True), ("complete", None)),
        (Answer("{" + " " * 300_000 + "}"), ("failed", "answer too large")),
        (Answer(" " * 50_000_000, zipped=True), ("failed", "answer too large")),
        (Answer(bundle(condition()), cut=30), ("failed", "connection")),
    ],
)
def test_the_account_of_one_search(
    transport: Transport, answer: Answer, expected: tuple[str, str | None]
) -> None:
    with serving({"Patient/1": patient(), "Condition": answer, "metadata": Answer("", 404)}) as server:
        record = acquire(server.base, "1", ("Condition",), transport=transport)
    found = state(record, "Condition")
    assert found[0] == expected[0]
    assert (found[1] or "").startswith(expected[1] or "") if expected[1] else found[1] is None


@pytest.mark.parametrize("total", [None, 3])
def test_another_patients_resources_are_dropped_and_counted_and_leave_doubt(
    transport: Transport, total: int | None
) -> None:
    page = bundle(condition("c1"), condition("c2", "2"), condition("c3", "3"), total=total)
    with serving({"Patient/1": patient(), "Condition": page}) as server:
        record = acquire(server.base, "1", ("Condition",), transport=transport)
    assert [c["id"] for c in record.of_type("Condition")] == ["c1"]
    assert state(record, "Condition") == ("truncated", "another patient's data")
    assert record.warnings == ("2 resources of another patient were dropped",)


def test_pages_are_followed_with_the_token_and_merged(transport: Transport) -> None:
    script: dict[str, Any] = {"Patient/1": patient()}
    with serving(script) as server:
        script["Condition"] = bundle(
            condition("c1"), total=3, next_url=f"{server.base}?_getpages=a&_offset=1"
        )
        # HAPI's paging links lead to the base itself.
        script[""] = bundle(condition("c2"), next_url="page/3")
        script["page/3"] = bundle(condition("c3"))
        record = acquire(server.base, "1", ("Condition",), token=SECRET, transport=transport)
    assert [c["id"] for c in record.of_type("Condition")] == ["c1", "c2", "c3"]
    assert state(record, "Condition") == ("complete", None)
    assert all(r.headers["Authorization"] == f"Bearer {SECRET}" for r in server.requests)


def test_a_paging_link_by_the_other_name_of_this_machine_is_asked_at_the_base(transport: Transport) -> None:
    script: dict[str, Any] = {"Patient/1": patient(), "": bundle(condition("c2"))}
    with serving(script) as server:
        other = server.base.replace("127.0.0.1", "localhost")
        script["Condition"] = bundle(condition("c1"), next_url=f"{other}?_getpages=a")
        record = acquire(server.base, "1", ("Condition",), transport=transport)
        assert server.asked("")[0].headers["Host"] == server.base.split("/")[2]
    assert state(record, "Condition") == ("complete", None)


@pytest.mark.parametrize(
    "link",
    [
        "http://192.0.2.1/fhir/Condition?page=2",
        "https://{host}/fhir/Condition?page=2",
        "http://{host}/other/Condition?page=2",
        "http://{host}/fhirevil/Condition?page=2",
        "http://{host}/fhir/../admin?page=2",
        "http://{host}/fhir/%2e%2e/admin?page=2",
        "http://user:secret@{host}/fhir/Condition?page=2",
        "//192.0.2.1/fhir/Condition",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_paging_link_elsewhere_is_not_followed(transport: Transport, link: str) -> None:
    script: dict[str, Any] = {"Patient/1": patient()}
    with serving(script) as server:
        url = link.format(host=server.base.split("/")[2])
        script["Condition"] = bundle(condition("c1"), next_url=url)
        record = acquire(server.base, "1", ("Condition",), token=SECRET, transport=transport)
        assert len(paths(server)) == 2
    assert state(record, "Condition") == ("truncated", "paging link to another server")
    assert record.state("Condition").count == 1


def test_a_link_to_another_port_of_this_machine_is_another_server(transport: Transport) -> None:
    with serving({}) as other:
        first = bundle(condition("c1"), next_url=f"{other.base}/Condition?page=2")
        with serving({"Patient/1": patient(), "Condition": first}) as server:
            record = acquire(server.base, "1", ("Condition",), token=SECRET, transport=transport)
        assert other.requests == []
    assert state(record, "Condition") == ("truncated", "paging link to another server")


def test_paging_loops_and_endless_paging_end(transport: Transport) -> None:
    script: dict[str, Any] = {"Patient/1": patient()}
    numbers = iter(range(1000))
    with serving(script) as server:
        script["Condition"] = bundle(condition("c1"), next_url=f"{server.base}/page/1")
        script["page/1"] = bundle(condition("c2"), next_url=f"{server.base}/page/1")
        script["Observation"] = lambda _: bundle(
            observation(f"o{next(numbers)}"), next_url=f"{server.base}/Observation?page={next(numbers)}"
        )
        record = acquire(server.base, "1", ("Condition", "Observation"), transport=transport)
    assert state(record, "Condition") == ("truncated", "paging loop")
    assert record.state("Condition").count == 2
    assert state(record, "Observation") == ("truncated", "more pages than are read")
    assert record.state("Observation").count == 5


def test_a_failure_on_a_later_page_keeps_what_came_before(transport: Transport) -> None:
    script: dict[str, Any] = {"Patient/1": patient(), "page/2": Answer("", 500)}
    with serving(script) as server:
        script["Condition"] = bundle(condition("c1"), next_url=f"{server.base}/page/2")
        record = acquire(server.base, "1", ("Condition",), transport=transport)
    assert state(record, "Condition") == ("truncated", "a later page failed: HTTP 500")
    assert record.state("Condition").count == 1


@pytest.mark.parametrize(
    "slow",
    [Answer(bundle(condition()), wait=30), Answer(bundle(condition()), drip=0.2)],
    ids=["late", "dripping"],
)
def test_one_deadline_holds_for_all_searches(transport: Transport, slow: Answer) -> None:
    script = {"Patient/1": patient(), "Condition": slow, "Observation": slow, "Procedure": bundle()}
    with serving(script) as server:
        record, took = elapsed(
            lambda: acquire(
                server.base,
                "1",
                ("Condition", "Observation", "Procedure"),
                seconds=0.7,
                transport=transport,
            )
        )
    assert took < 2
    assert state(record, "Condition") == ("failed", "timeout")
    assert state(record, "Observation") == ("failed", "timeout")
    assert state(record, "Procedure") == ("complete", None)


@pytest.mark.parametrize(
    "wait",
    ["0", format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)],
    ids=["seconds", "date"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_as_it_says(transport: Transport, status: int, wait: str) -> None:
    busy = Answer("", status, {"Retry-After": wait})
    with serving({"Patient/1": patient(), "Condition": counted(busy, busy, bundle(condition()))}) as server:
        record = acquire(server.base, "1", ("Condition",), transport=transport)
    assert state(record, "Condition") == ("complete", None)
    assert len(server.asked("Condition")) == 3


def test_a_server_that_wants_more_time_than_there_is_has_failed(transport: Transport) -> None:
    busy = Answer("", 503, {"Retry-After": "60"})
    with serving({"Patient/1": patient(), "Condition": busy, "metadata": Answer("", 404)}) as server:
        record, took = elapsed(
            lambda: acquire(server.base, "1", ("Condition",), seconds=2, transport=transport)
        )
    assert took < 2
    assert state(record, "Condition") == ("failed", "HTTP 503")


def test_a_broken_connection_is_tried_again(transport: Transport) -> None:
    script = {"Patient/1": patient(), "Condition": counted(Answer(bundle(), cut=5), bundle(condition()))}
    with serving(script) as server:
        record = acquire(server.base, "1", ("Condition",), transport=transport)
    assert state(record, "Condition") == ("complete", None)
    assert len(server.asked("Condition")) == 2


def test_no_server_at_all_is_a_patient_that_can_not_be_had(transport: Transport) -> None:
    with serving({}) as server:
        base = server.base
    with pytest.raises(UnobtainableError, match="connection"):
        acquire(base, "1", ("Condition",), seconds=2, transport=transport)


def test_a_type_outside_the_capability_statement_is_not_offered(transport: Transport) -> None:
    capability = {
        "resourceType": "CapabilityStatement",
        "rest": [{"mode": "server", "resource": [{"type": "Patient"}, {"type": "Condition"}]}],
    }
    script = {
        "Patient/1": patient(),
        "NutritionOrder": Answer(outcome(), 404),
        "Condition": Answer(outcome(), 500),
        "metadata": capability,
    }
    with serving(script) as server:
        record = acquire(server.base, "1", ("Condition", "NutritionOrder"), transport=transport)
        acquire(server.base, "1", ("Condition", "NutritionOrder"), transport=transport)
        assert len(server.asked("metadata")) == 1
    assert state(record, "NutritionOrder") == ("not-offered", "not in the server's CapabilityStatement")
    assert state(record, "Condition") == ("failed", "HTTP 500")


def test_types_that_the_site_does_not_offer_are_not_asked_for(transport: Transport) -> None:
    with serving({"Patient/1": patient()}) as server:
        record = acquire(server.base, "1", ("Consent",), transport=transport, unavailable=("Consent",))
    assert state(record, "Consent") == ("not-offered", "not offered at this site")
    assert server.asked("Consent") == []


@pytest.mark.parametrize("reference", [True, False])
def test_a_companion_that_is_not_offered_is_missed_where_something_refers_to_it(
    transport: Transport, reference: bool
) -> None:
    request = taking("MedicationRequest", "Medication/m1")
    if not reference:
        del request["medicationReference"]
    types = ("MedicationRequest", "Medication")
    statement = {
        "resourceType": "CapabilityStatement",
        "rest": [{"mode": "server", "resource": [{"type": "Patient"}, {"type": "MedicationRequest"}]}],
    }
    script = {
        "Patient/1": patient(),
        "MedicationRequest": bundle(request),
        "Medication": Answer(outcome(), 404),
        "Medication/m1": Answer(outcome(), 404),
        "metadata": statement,
    }
    with serving(script) as server:
        by_server = state(acquire(server.base, "1", types, transport=transport), "Medication")
        record = acquire(server.base, "1", types, transport=transport, unavailable=("Medication",))
        by_site = state(record, "Medication")
    if reference:
        assert by_server == ("not-offered", "not in the server's CapabilityStatement")
        assert by_site == ("not-offered", "not offered at this site")
    else:
        assert by_server == by_site == ("complete", None)


def test_what_comes_all_the_same_of_a_type_that_the_site_does_not_offer_is_used() -> None:
    types = ("Patient", "Condition", "Observation")
    prefetch = {"patient": patient(), "condition": bundle(condition()), "observation": bundle()}
    gathering = Acquisition(
        "1",
        deadline=Deadline(5),
        prefetched=read_prefetch(prefetch, "1", types),
        unavailable=("Condition", "Observation"),
    )
    gathering.gather(Wanted(frozenset(types)))
    record = gathering.record()
    assert state(record, "Condition") == ("complete", None)
    assert state(record, "Observation") == ("not-offered", "not offered at this site")


def test_a_search_refused_as_asked_is_asked_more_plainly(transport: Transport) -> None:
    def strict(query: dict[str, str]) -> Any:
        return bundle() if set(query) == {"patient"} else Answer(outcome(), 400)

    with serving({"Patient/1": patient(), "MedicationRequest": strict}) as server:
        record = acquire(server.base, "1", ("MedicationRequest",), transport=transport)
    assert state(record, "MedicationRequest") == ("complete", None)
    assert [set(r.query) for r in server.asked("MedicationRequest")] == [
        {"patient", "_count", "_include"},
        {"patient", "_count"},
        {"patient"},
    ]


def test_included_medications_come_along(transport: Transport) -> None:
    medication = {"resourceType": "Medication", "id": "m1"}
    request = {"resourceType": "MedicationRequest", "id": "r1", "subject": {"reference": "Patient/1"}}
    page = bundle(request)
    page["entry"].append({"resource": medication, "search": {"mode": "include"}})
    with serving({"Patient/1": patient(), "MedicationRequest": page}) as server:
        record = acquire(server.base, "1", ("MedicationRequest", "Medication"), transport=transport)
    assert server.asked("MedicationRequest")[0].query["_include"] == "MedicationRequest:medication"
    assert server.asked("Medication") == []
    assert [m["id"] for m in record.of_type("Medication")] == ["m1"]
    assert state(record, "MedicationRequest") == ("complete", None)


def test_a_medication_left_out_of_a_page_is_fetched_by_its_reference(transport: Transport) -> None:
    request = {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "subject": {"reference": "Patient/1"},
        "medicationReference": {"reference": "Medication/m1"},
    }
    medication = {"resourceType": "Medication", "id": "m1"}
    script = {"Patient/1": patient(), "MedicationRequest": bundle(request), "Medication": bundle(medication)}
    with serving(script) as server:
        record = acquire(server.base, "1", ("MedicationRequest", "Medication"), transport=transport)
    assert [m["id"] for m in record.of_type("Medication")] == ["m1"]
    assert state(record, "Medication") == ("complete", None)
    assert [r.query.get("_id") for r in server.asked("Medication")] == ["m1"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer("", 500), ("failed", "HTTP 500")),
        (Answer("", 401), ("refused", "HTTP 401")),
        (bundle(), ("complete", None)),
    ],
)
def test_a_medication_that_can_not_be_had_is_told_of_its_type(
    transport: Transport, answer: Any, expected: tuple[str, str | None]
) -> None:
    request = {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "subject": {"reference": "Patient/1"},
        "medicationReference": {"reference": "Medication/m1"},
    }
    script = {"Patient/1": patient(), "Medication": answer, "Medication/m1": Answer("", 404)}
    with serving({**script, "MedicationRequest": bundle(request)}) as server:
        record = acquire(server.base, "1", ("MedicationRequest", "Medication"), transport=transport)
    assert state(record, "Medication") == expected
    assert state(record, "MedicationRequest") == ("complete", None)


def taking(kind: str, medication: str) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "id": f"{kind}-{medication}",
        "subject": {"reference": "Patient/1"},
        "medicationReference": {"reference": medication},
    }


def searched(
    *parts: str, server: Any, transport: Transport, unavailable: Sequence[str] = ()
) -> PatientRecord:
    """What several gatherings of one call make, the Patient first."""
    gathering = Acquisition(
        "1",
        deadline=Deadline(10),
        source=Source(server.base, transport, reach=LOOPBACK),
        unavailable=unavailable,
    )
    for part in ("Patient", *parts):
        gathering.gather(Wanted(frozenset({part})))
    return gathering.record()


def test_what_is_referred_to_is_asked_for_once_and_its_failure_stays(transport: Transport) -> None:
    def medications(query: dict[str, str]) -> Any:
        found = {"resourceType": "Medication", "id": "m2"}
        return Answer("", 500) if "m1" in query["_id"] else bundle(found)

    script = {
        "Patient/1": patient(),
        "MedicationRequest": bundle(taking("MedicationRequest", "Medication/m1")),
        "MedicationStatement": bundle(taking("MedicationStatement", "Medication/m2")),
        "Medication": medications,
        "metadata": Answer("", 404),
    }
    with serving(script) as server:
        record = searched("MedicationRequest", "MedicationStatement", server=server, transport=transport)
    assert [r.query["_id"] for r in server.asked("Medication")] == ["m1", "m2"]
    assert [m["id"] for m in record.of_type("Medication")] == ["m2"]
    assert state(record, "Medication") == ("failed", "HTTP 500")


def test_no_medication_is_asked_for_where_there_are_none(transport: Transport) -> None:
    statement = {
        "resourceType": "CapabilityStatement",
        "rest": [{"resource": [{"type": "Patient"}, {"type": "MedicationRequest"}]}],
    }
    script = {
        "Patient/1": patient(),
        "MedicationRequest": bundle(taking("MedicationRequest", "Medication/m1")),
        "Medication": Answer("", 501),
        "Medication/m1": Answer("", 501),
        "metadata": statement,
    }
    with serving(script) as server:
        record = searched("MedicationRequest", server=server, transport=transport)
        assert state(record, "Medication") == ("not-offered", "not in the server's CapabilityStatement")
        server.requests.clear()
        searched("MedicationRequest", server=server, transport=transport, unavailable=("Medication",))
        assert server.asked("Medication") == []


def test_a_medication_of_another_server_is_not_the_one_with_its_id_here(transport: Transport) -> None:
    elsewhere = "https://other.example/fhir/Medication/m1"
    page = bundle(taking("MedicationRequest", elsewhere))
    page["entry"].append(
        {"resource": {"resourceType": "Medication", "id": "m1"}, "search": {"mode": "include"}}
    )
    with serving({"Patient/1": patient(), "MedicationRequest": page}) as server:
        record = searched("MedicationRequest", server=server, transport=transport)
        page["entry"][0]["resource"]["medicationReference"]["reference"] = f"{server.base}/Medication/m1"
        ours = searched("MedicationRequest", server=server, transport=transport)
    (request,) = record.of_type("MedicationRequest")
    assert request["medicationReference"].get("reference") != "Medication/m1"
    (request,) = ours.of_type("MedicationRequest")
    assert request["medicationReference"]["reference"] == "Medication/m1"
    assert server.asked("Medication") == []


def test_what_prefetch_refers_to_is_fetched_or_missed() -> None:
    request = {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "subject": {"reference": "Patient/1"},
        "medicationReference": {"reference": "Medication/m1"},
    }
    prefetch = {"patient": patient(), "medicationRequest": bundle(request)}
    types = frozenset({"Patient", "MedicationRequest", "Medication"})
    gathering = Acquisition("1", deadline=Deadline(5), prefetched=read_prefetch(prefetch, "1", types))
    gathering.gather(Wanted(types))
    assert state(gathering.record(), "Medication") == ("failed", "not in prefetch, and no fhirServer to ask")


def test_what_the_token_may_not_read_is_not_included(transport: Transport) -> None:
    scope = "patient/Patient.rs patient/MedicationRequest.rs"
    with serving({"Patient/1": patient()}) as server:
        gathering = Acquisition(
            "1", deadline=Deadline(5), source=Source(server.base, transport, SECRET, scope, reach=LOOPBACK)
        )
        gathering.gather(Wanted(frozenset({"MedicationRequest"})))
    assert [set(r.query) for r in server.asked("MedicationRequest")] == [{"patient", "_count"}]


@pytest.mark.parametrize(
    "objection",
    [Answer(outcome(), 403), bundle(outcome("warning", "not-supported")), outcome()],
    ids=["403", "warning", "outcome"],
)
def test_a_server_that_objects_to_the_include_is_asked_without(transport: Transport, objection: Any) -> None:
    def strict(query: dict[str, str]) -> Any:
        return objection if "_include" in query else bundle()

    with serving({"Patient/1": patient(), "MedicationRequest": strict}) as server:
        record = acquire(server.base, "1", ("MedicationRequest",), transport=transport)
    assert state(record, "MedicationRequest") == ("complete", None)
    assert len(server.asked("MedicationRequest")) == 2


def test_a_server_left_alone_fails_every_type_that_must_be_asked(transport: Transport) -> None:
    class Silent(Source):
        def client(self, deadline: Deadline) -> Any:
            raise FetchFailure("server not answering")

    def gathering(prefetch: dict[str, Any]) -> Acquisition:
        types = ("Patient", "Condition", "Observation")
        return Acquisition(
            "1",
            deadline=Deadline(5),
            prefetched=read_prefetch(prefetch, "1", types),
            source=Silent("http://127.0.0.1:9/fhir", transport, reach=LOOPBACK),
        )

    wanted = Wanted(frozenset({"Condition", "Observation"}))
    with pytest.raises(UnobtainableError, match="server not answering"):
        gathering({}).gather(wanted)
    known = gathering({"patient": patient(), "condition": bundle(condition(), total=2)})
    known.gather(wanted)
    record = known.record()
    assert state(record, "Condition") == ("failed", "server not answering")
    assert record.state("Condition").count == 1
    assert state(record, "Observation") == ("failed", "server not answering")


EPIC = "urn:oid:1.2.840.114350.1.13.861.1.7.2.657369"
MESSAGES = "http://terminology.hl7.org/CodeSystem/operation-outcome"


def vendors(severity: str, code: str, system: str, said: str) -> dict[str, Any]:
    """An outcome with a code of the vendor's in its details."""
    details = {"coding": [{"system": system, "code": said}]}
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "details": details}],
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # What Epic says on every search that finds nothing, and to a patient's own app on every search.
        (vendors("warning", "processing", EPIC, "4101"), ("complete", None)),
        (vendors("warning", "informational", EPIC, "4101"), ("complete", None)),
        (vendors("warning", "processing", EPIC, "4119"), ("complete", None)),
        (vendors("information", "suppressed", EPIC, "4119"), ("complete", None)),
        (vendors("warning", "not-found", MESSAGES, "MSG_NO_MATCH"), ("complete", None)),
        # A kind of the type that this client may not have; a restricted chart; too many results.
        (vendors("warning", "suppressed", EPIC, "59204"), ("truncated", "some data withheld")),
        (vendors("information", "informational", EPIC, "4134"), ("truncated", "OperationOutcome")),
        (vendors("information", "processing", EPIC, "59133"), ("truncated", "OperationOutcome")),
        (vendors("warning", "processing", EPIC, "59101"), ("truncated", "OperationOutcome")),
        (vendors("error", "processing", EPIC, "4101"), ("failed", "OperationOutcome")),
        (vendors("warning", "processing", "urn:oid:1.2.3", "4101"), ("truncated", "OperationOutcome")),
        (vendors("warning", "processing", EPIC[:-1], "4101"), ("truncated", "OperationOutcome")),
    ],
)
def test_what_a_vendor_says_of_a_search_in_its_own_codes(
    transport: Transport, said: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    script = {"Patient/1": patient(), "Procedure": bundle(said, total=0), "metadata": Answer("", 404)}
    with serving(script) as server:
        record = acquire(server.base, "1", ("Procedure",), transport=transport)
    assert state(record, "Procedure") == expected


def test_of_several_things_said_the_worst_counts(transport: Transport) -> None:
    both = vendors("warning", "processing", EPIC, "4101")
    both["issue"] += vendors("warning", "suppressed", EPIC, "59204")["issue"]
    script = {"Patient/1": patient(), "Condition": bundle(both), "metadata": Answer("", 404)}
    with serving(script) as server:
        record = acquire(server.base, "1", ("Condition",), transport=transport)
    assert state(record, "Condition") == ("truncated", "some data withheld")


@pytest.mark.parametrize("objection", ["warning", "error"])
def test_a_server_that_objects_to_the_count_is_asked_without(transport: Transport, objection: str) -> None:
    def conditions(query: dict[str, str]) -> Any:
        said = [outcome(objection, "not-supported")] if "_count" in query else []
        return bundle(condition(), *said)

    with serving({"Patient/1": patient(), "Condition": conditions}) as server:
        record = acquire(server.base, "1", ("Condition",), transport=transport)
    assert state(record, "Condition") == ("complete", None)
    assert record.state("Condition").count == 1
    assert [r.query for r in server.asked("Condition")][1:] == [{"patient": "1"}]


def test_what_came_stays_where_asking_more_plainly_fails(transport: Transport) -> None:
    def requests(query: dict[str, str]) -> Any:
        own = {"resourceType": "MedicationRequest", "id": "r1", "subject": {"reference": "Patient/1"}}
        return bundle(own, outcome("warning", "processing")) if "_include" in query else Answer("", 500)

    script = {"Patient/1": patient(), "MedicationRequest": requests, "metadata": Answer("", 404)}
    with serving(script) as server:
        record = acquire(server.base, "1", ("MedicationRequest",), transport=transport)
    assert state(record, "MedicationRequest") == ("truncated", "OperationOutcome")
    assert record.state("MedicationRequest").count == 1


def test_a_resource_of_somebody_else_by_identifier_leaves_doubt(transport: Transport) -> None:
    """The server gave it for this patient; whose it is can be judged only by the Patient."""
    numbered = patient(identifier=[{"system": "urn:mrn", "value": "1"}])
    other = condition("c2") | {"subject": {"identifier": {"system": "urn:mrn", "value": "2"}}}
    with serving({"Patient/1": numbered, "Condition": bundle(condition(), other, total=2)}) as server:
        record = acquire(server.base, "1", ("Condition",), transport=transport)
    assert state(record, "Condition") == ("truncated", "another patient's data")
    assert [c["id"] for c in record.of_type("Condition")] == ["c1"]


def test_one_slow_search_leaves_time_for_what_others_refer_to() -> None:
    requests = {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "subject": {"reference": "Patient/1"},
        "medicationReference": {"reference": "Medication/m1"},
    }
    script = {
        "Medication": bundle({"resourceType": "Medication", "id": "m1"}),
        "Encounter": Answer(bundle(), wait=20),
        "Condition": Answer(bundle(), wait=1),
    }
    given = {"patient": patient(), "medicationRequest": bundle(requests)}
    types = frozenset({"Patient", "MedicationRequest", "Encounter"})
    slow = Transport()
    with serving(script) as server:
        acquisition = Acquisition(
            "1",
            deadline=Deadline(6.0),
            prefetched=read_prefetch(given, "1", types),
            source=Source(server.base, slow, reach=LOOPBACK),
        )
        acquisition.gather(Wanted(frozenset({"Condition"})))
        acquisition.gather(Wanted(types))
        record = acquisition.record()
    slow.close()
    assert state(record, "Encounter") == ("failed", "timeout")
    assert state(record, "Medication") == ("complete", None)
    assert record.state("Medication").count == 1


CODES = tuple(f"{n}-{n % 10}" for n in range(120))


@pytest.mark.parametrize("refusal", [400, 403])
def test_observations_by_code_and_category_where_all_are_refused(transport: Transport, refusal: int) -> None:
    def by_code(query: dict[str, str]) -> Any:
        if "code" in query:
            return bundle(observation(f"o-{query['code'].split(',')[0]}"), observation("o-both"))
        if "category" in query:
            return bundle(observation("o-both"), observation(f"o-{query['category']}"))
        return Answer(outcome(), refusal)

    with serving({"Patient/1": patient(), "Observation": by_code}) as server:
        record = acquire(server.base, "1", ("Observation",), transport=transport, observation_codes=CODES)
    asked = [r.query for r in server.asked("Observation")]
    chunks = [q["code"].split(",") for q in asked if "code" in q]
    assert sorted(code for chunk in chunks for code in chunk) == sorted(CODES)
    assert all(len(chunk) <= 50 and "|" not in "".join(chunk) for chunk in chunks)
    assert {q["category"] for q in asked if "category" in q} == {
        "laboratory", "survey", "exam", "procedure", "social-history", "vital-signs",
    }  # fmt: skip
    assert state(record, "Observation") == ("complete", None)
    assert record.state("Observation").count == 3 + 6 + 1


def test_a_server_that_takes_few_codes_at_a_time_gets_few(transport: Transport) -> None:
    def by_code(query: dict[str, str]) -> Any:
        codes = query.get("code", "").split(",")
        if "category" in query:
            return bundle()
        return bundle(*(observation(f"o-{c}") for c in codes)) if len(codes) <= 13 else Answer("", 414)

    with serving({"Patient/1": patient(), "Observation": by_code}) as server:
        record = acquire(
            server.base,
            "1",
            ("Observation",),
            transport=transport,
            observation_codes=CODES[:50],
            by_code=True,
        )
    assert state(record, "Observation") == ("complete", None)
    assert record.state("Observation").count == 50


def test_codes_are_escaped_and_no_url_grows_too_long() -> None:
    codes = ["a,b", "c|d", "e$f", "g\\h", *("ç" * 40 + str(n) for n in range(30))]
    chunks = list(code_chunks(codes))
    assert chunks[0][:4] == ("a\\,b", "c\\|d", "e\\$f", "g\\\\h")
    assert sum(len(chunk) for chunk in chunks) == len(codes)
    assert all(len(quote(",".join(chunk))) <= 1600 for chunk in chunks)
    assert list(code_chunks([])) == []
    assert [len(chunk) for chunk in code_chunks(["x" * 3000, "y"])] == [1, 1]


def test_observations_by_code_only_where_the_site_says_so(transport: Transport) -> None:
    with serving({"Patient/1": patient()}) as server:
        acquire(
            server.base, "1", ("Observation",), transport=transport, observation_codes=CODES, by_code=True
        )
    assert all("code" in r.query or "category" in r.query for r in server.asked("Observation"))


def test_one_refused_code_search_leaves_observations_incomplete(transport: Transport) -> None:
    def by_code(query: dict[str, str]) -> Any:
        return bundle() if query.get("category") != "exam" and len(query) > 2 else Answer(outcome(), 403)

    with serving({"Patient/1": patient(), "Observation": by_code, "metadata": Answer("", 404)}) as server:
        record = acquire(server.base, "1", ("Observation",), transport=transport, observation_codes=CODES)
    assert state(record, "Observation") == ("refused", "HTTP 403")


@pytest.mark.parametrize("refusal", [400, 422])
def test_a_category_that_a_server_does_not_know_holds_nothing_there(
    transport: Transport, refusal: int
) -> None:
    def by_code(query: dict[str, str]) -> Any:
        known = "code" in query or query.get("category") in ("laboratory", "vital-signs")
        return bundle(observation("o1")) if known else Answer(outcome(), refusal)

    with serving({"Patient/1": patient(), "Observation": by_code, "metadata": Answer("", 404)}) as server:
        record = acquire(server.base, "1", ("Observation",), transport=transport, observation_codes=CODES)
    assert state(record, "Observation") == ("complete", None)


def test_categories_that_are_all_refused_leave_observations_incomplete(transport: Transport) -> None:
    def by_code(query: dict[str, str]) -> Any:
        return bundle(observation("o1")) if "code" in query else Answer(outcome(), 400)

    with serving({"Patient/1": patient(), "Observation": by_code, "metadata": Answer("", 404)}) as server:
        record = acquire(server.base, "1", ("Observation",), transport=transport, observation_codes=CODES)
    assert state(record, "Observation") == ("failed", "HTTP 400")
    assert record.state("Observation").count == 1


def test_observations_refused_in_a_bundle_are_asked_for_by_code(transport: Transport) -> None:
    def by_code(query: dict[str, str]) -> Any:
        return bundle(observation("o1")) if {"code", "category"} & {*query} else outcome("error", "required")

    with serving({"Patient/1": patient(), "Observation": by_code}) as server:
        record = acquire(server.base, "1", ("Observation",), transport=transport, observation_codes=CODES)
    assert state(record, "Observation") == ("complete", None)
    assert record.state("Observation").count == 1


SCOPES = [
    (None, "complete"),
    ("launch openid fhirUser", "complete"),
    ("patient/*.read", "complete"),
    ("user/Condition.read user/Patient.read", "complete"),
    ("patient/Condition.rs patient/Patient.r", "complete"),
    ("patient/*.cruds", "complete"),
    ("patient/Patient.read", "refused"),
    ("patient/Condition.write patient/Patient.read", "refused"),
    ("patient/Condition.c patient/Patient.r", "refused"),
    ("patient/Condition.r patient/Patient.r", "refused"),
    ("patient/Condition.rs?category=problem-list-item patient/Patient.r", "truncated"),
]


@pytest.mark.parametrize(("scope", "expected"), SCOPES)
@pytest.mark.proves("checklist:15")
def test_scopes_are_compared_before_asking(transport: Transport, scope: str | None, expected: str) -> None:
    with serving({"Patient/1": patient(), "Condition": bundle(condition())}) as server:
        gathering = Acquisition(
            "1", deadline=Deadline(5), source=Source(server.base, transport, SECRET, scope, reach=LOOPBACK)
        )
        gathering.gather(Wanted(frozenset({"Condition"})))
        record = gathering.record()
    assert record.state("Condition").state == expected
    assert bool(server.asked("Condition")) is (expected != "refused")


def gathered(transport: Transport, prefetch: dict[str, Any], script: dict[str, Any]) -> tuple[Any, list[str]]:
    with serving({"metadata": Answer("", 404), **script}) as server:
        types = ("Patient", "Condition", "Observation")
        gathering = Acquisition(
            "1",
            deadline=Deadline(5),
            prefetched=read_prefetch(prefetch, "1", types),
            source=Source(server.base, transport, reach=LOOPBACK),
        )
        gathering.gather(Wanted(frozenset(types)))
        return gathering.record(), sorted(r.path for r in server.requests if r.path != "metadata")


def test_what_prefetch_provides_is_not_fetched_and_the_rest_is(transport: Transport) -> None:
    prefetch = {"patient": patient(), "condition": bundle(condition())}
    record, asked = gathered(transport, prefetch, {"Observation": bundle(observation("o1"))})
    assert asked == ["Observation"]
    assert [o["id"] for o in record.of_type("Observation")] == ["o1"]
    assert [c["id"] for c in record.of_type("Condition")] == ["c1"]


@pytest.mark.parametrize(
    "broken",
    [
        outcome(),
        bundle(condition("c0"), outcome()),
        bundle(condition("c0"), next_url="http://x/2"),
        bundle(condition("c0"), total=2),
        bundle(condition("c0", "2")),
        patient(),
        "text",
        {},
    ],
)
def test_a_prefetch_that_is_not_complete_is_fetched_again(transport: Transport, broken: Any) -> None:
    prefetch = {"patient": patient(), "condition": broken, "observation": None}
    record, asked = gathered(transport, prefetch, {"Condition": bundle(condition("c1"))})
    assert asked == ["Condition"]
    kept = ["c0"] if isinstance(broken, dict) and ("link" in broken or "total" in broken) else []
    assert [c["id"] for c in record.of_type("Condition")] == ["c1", *kept]
    assert state(record, "Condition") == ("complete", None)
    assert state(record, "Observation") == ("complete", None)


def test_of_two_versions_the_newer_one_counts_wherever_it_came_from(transport: Transport) -> None:
    old, new = ({"meta": {"versionId": v}, "code": {"text": v}} for v in ("1", "2"))
    prefetch = {
        "patient": patient(),
        "condition": bundle(condition("c0", **old), condition("c1", **new), total=3),
        "observation": None,
    }
    page = bundle(condition("c0", **new), condition("c1", **old), outcome())
    record, _ = gathered(transport, prefetch, {"Condition": page})
    assert {c["id"]: c["code"]["text"] for c in record.of_type("Condition")} == {"c0": "2", "c1": "2"}
    assert record.state("Condition").state == "failed"


def test_what_a_part_of_a_prefetch_included_is_not_asked_for(transport: Transport) -> None:
    request = taking("MedicationRequest", "Medication/m1")
    page = bundle(request, {"resourceType": "Medication", "id": "m1"}, total=9)
    script = {"MedicationRequest": bundle(request), "Medication": Answer(outcome(), 403)}
    types = frozenset({"Patient", "MedicationRequest", "Medication"})
    with serving(script) as server:
        acquisition = Acquisition(
            "1",
            deadline=Deadline(10),
            prefetched=read_prefetch({"patient": patient(), "medicationRequest": page}, "1", types),
            source=Source(server.base, transport, reach=LOOPBACK),
        )
        acquisition.gather(Wanted(types))
        assert server.asked("Medication") == []
    record = acquisition.record()
    assert state(record, "Medication") == ("complete", None)
    assert record.state("Medication").count == 1


def test_what_a_broken_prefetch_did_bring_stays_where_the_server_fails(transport: Transport) -> None:
    prefetch = {"patient": patient(), "condition": bundle(condition("c0"), total=2), "observation": None}
    record, _ = gathered(transport, prefetch, {"Condition": Answer("", 500)})
    assert [c["id"] for c in record.of_type("Condition")] == ["c0"]
    assert state(record, "Condition") == ("failed", "HTTP 500")


def test_no_cookie_of_a_server_comes_back_to_it(transport: Transport) -> None:
    page = Answer(bundle(), headers={"Set-Cookie": "session=1; Path=/"})
    with serving({"Patient/1": patient(), "Condition": page}) as server:
        acquire(server.base, "1", ("Condition",), transport=transport)
        acquire(server.base, "1", ("Condition",), transport=transport)
    assert not any("Cookie" in r.headers for r in server.requests)


def test_the_environment_adds_neither_proxy_nor_credentials(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving({"Patient/1": patient()}) as server:
        acquire(server.base, "1", ("Condition",), transport=transport)
    assert not any("Authorization" in r.headers for r in server.requests)


def test_connections_are_reused(transport: Transport) -> None:
    with serving({"Patient/1": patient()}) as server:
        for _ in range(3):
            acquire(server.base, "1", ("Patient",), transport=transport)
        assert len(server.requests) == 3
