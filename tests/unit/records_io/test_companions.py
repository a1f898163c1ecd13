"""Companions from a scripted FHIR server: which are asked for, by which requests, and what their absence says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cds_service.records.addresses import LOOPBACK
from cds_service.records.companions import complete, lacking
from cds_service.records.fhir_transport import Bounds, Deadline, Transport
from cds_service.records.obtained import Obtained
from cds_service.records.references import References
from cds_service.records.source import Source
from tests.unit.records_io.scripted_server import (
    Answer,
    ScriptedServer,
    bundle,
    counted,
    elapsed,
    outcome,
    serving,
)

Json = dict[str, Any]
EHR = "https://ehr.example/fhir"


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


def request(reference: Any, **more: Any) -> Json:
    return {"resourceType": "MedicationRequest", "id": "r", "medicationReference": reference, **more}


def to(reference: str) -> Json:
    return {"reference": reference}


def medication(medication_id: str = "x", **more: Any) -> Json:
    return {"resourceType": "Medication", "id": medication_id, **more}


def found(*resources: Json, urls: dict[str, str] | None = None) -> dict[str, set[str]]:
    by_type: dict[str, list[Json]] = {}
    for resource in resources:
        by_type.setdefault(resource["resourceType"], []).append(resource)
    named = [((urls or {}).get(resource["id"]), resource) for resource in resources]
    known = References.of(named, (EHR,), patient="Patient/1")
    return {kind: set(ids) for kind, ids in lacking(by_type, known).items()}


# --- what lacks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "asked"),
    [
        ("Medication/x", True),
        ("Medication/x/_history/2", True),
        (f"{EHR}/Medication/x", True),
        ("http://ehr.example/fhir/Medication/x", True),
        ("https://other.example/fhir/Medication/x", False),
        ("https://ehr.example/other/Medication/x", False),
        ("Substance/x", False),
        ("Patient/x", False),
        ("#x", False),
        ("#", False),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", False),
        ("Medication?identifier=1", False),
        ("Medication/../Patient/x", False),
        ("Medication/x%2Fy", False),
        ("Medication/" + "x" * 65, False),
        ("Medication/x,y", False),
        ("", False),
    ],
)
def test_only_a_plain_id_on_the_server_itself_is_asked_for(reference: str, asked: bool) -> None:
    assert found(request(to(reference))) == ({"Medication": {"x"}} if asked else {})


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        ({"resourceType": "MedicationStatement", "medicationReference": to("Medication/a")}, {"Medication": {"a"}}),
        ({"resourceType": "MedicationAdministration", "medicationReference": to("Medication/a")}, {"Medication": {"a"}}),
        ({"resourceType": "MedicationDispense", "medicationReference": to("Medication/a")}, {"Medication": {"a"}}),
        (
            {
                "resourceType": "Medication",
                "ingredient": [{"itemReference": to("Substance/a")}, {"itemReference": to("Medication/b")}],
            },
            {"Substance": {"a"}, "Medication": {"b"}},
        ),
        ({"resourceType": "DeviceUseStatement", "device": to("Device/a")}, {"Device": {"a"}}),
        ({"resourceType": "DeviceRequest", "codeReference": to("Device/a")}, {"Device": {"a"}}),
        ({"resourceType": "SupplyDelivery", "suppliedItem": {"itemReference": to("Device/a")}}, {"Device": {"a"}}),
        ({"resourceType": "ResearchSubject", "study": to("ResearchStudy/a")}, {"ResearchStudy": {"a"}}),
        (
            {"resourceType": "Consent", "provision": {"data": [{"reference": to("ResearchStudy/a")}, {}, 5]}},
            {"ResearchStudy": {"a"}},
        ),
        ({"resourceType": "Condition", "asserter": to("Practitioner/a")}, {}),
    ],
)  # fmt: skip
def test_each_type_has_its_companions(holder: Json, expected: dict[str, set[str]]) -> None:
    assert found({"id": "h", **holder}) == expected


def test_nothing_lacks_that_came_is_contained_or_belongs_to_what_was_never_true() -> None:
    assert found(request(to("Medication/x")), medication()) == {}
    assert found(request(to("#x"), contained=[medication()])) == {}
    assert found(request(to("Medication/x"), status="entered-in-error")) == {}
    held = medication("m", ingredient=[{"itemReference": to("Substance/s")}])
    assert found(request(to("#m"), contained=[held])) == {"Substance": {"s"}}


def test_another_server_s_medication_of_the_same_id_is_no_substitute() -> None:
    urls = {"x": "https://other.example/fhir/Medication/x"}
    assert found(request(to("Medication/x")), medication(), urls=urls) == {"Medication": {"x"}}
    assert found(request(to(urls["x"])), medication(), urls=urls) == {}


@pytest.mark.parametrize(
    "junk", [None, 5, "Medication/x", [], {}, {"reference": None}, {"reference": ["Medication/x"]}]
)
def test_junk_refers_to_nothing(junk: Any) -> None:
    assert found(request(junk)) == {}
    assert found({"resourceType": "Medication", "id": "m", "ingredient": junk}) == {}
    assert found(request(None, contained=junk)) == {}


# --- what comes -------------------------------------------------------------------------------------------------------


def fetch(
    server: ScriptedServer,
    transport: Transport,
    *ids: str,
    kind: str = "Medication",
    seconds: float = 20,
    **more: Any,
) -> dict[str, Obtained]:
    deadline = Deadline(seconds)
    client = Source(server.base, transport, "token-canary", reach=LOOPBACK).client(deadline)
    return complete(client, {kind: frozenset(ids)}, deadline, **more)


def ids(got: Obtained) -> list[str]:
    return sorted(resource["id"] for resource in got.resources)


def told(got: Obtained) -> tuple[str, str | None]:
    return got.state, got.reason


def test_several_ids_cost_one_search(transport: Transport) -> None:
    with serving({"Medication": bundle(medication("a"), medication("b"))}) as server:
        got = fetch(server, transport, "b", "a", "gone")["Medication"]
    assert [(r.path, r.query) for r in server.requests] == [
        ("Medication", {"_id": "a,b,gone", "_count": "3"})
    ]
    assert server.requests[0].headers["Authorization"] == "Bearer token-canary"
    assert (ids(got), told(got)) == (["a", "b"], ("complete", None))


def test_many_ids_are_asked_for_in_chunks_and_bounded(transport: Transport) -> None:
    def answer(query: dict[str, str]) -> Any:
        return bundle(*(medication(i) for i in query["_id"].split(",")))

    with serving({"Medication": answer}) as server:
        few = fetch(server, transport, *(f"m{n}" for n in range(85)))["Medication"]
        assert len(server.requests) == 2
        many = fetch(server, transport, *("x" * 60 + f"{n:04}" for n in range(600)))["Medication"]
    assert (len(few.resources), told(few)) == (85, ("complete", None))
    assert told(many) == ("truncated", "more resources than are read")
    assert 400 < len(many.resources) < 600
    assert len(server.requests) == 2 + 20
    assert max(len(r.query["_id"]) for r in server.requests) < 1600


def test_companions_count_towards_what_a_call_may_read() -> None:
    bounded = Transport(bounds=Bounds(resources=2))
    with serving({"Medication": bundle(*(medication(i) for i in "abc"))}) as server:
        got = fetch(server, bounded, "a", "b", "c")["Medication"]
    bounded.close()
    assert told(got) == ("truncated", "more data than are read")


@pytest.mark.parametrize("status", [400, 403, 404, 405, 414, 422, 501])
def test_a_server_that_refuses_the_search_is_asked_one_by_one(transport: Transport, status: int) -> None:
    script: Json = {"Medication": Answer(outcome(), status), "Medication/a": medication("a")}
    script["Medication/gone"] = Answer(outcome(), 410)
    script["Medication/never"] = Answer(outcome(), 404)
    with serving(script) as server:
        got = fetch(server, transport, "a", "gone", "never")["Medication"]
    assert (ids(got), told(got)) == (["a"], ("complete", None))
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "answer",
    [
        bundle(),
        bundle(medication("a")),
        bundle(medication("a"), medication("b"), medication("unasked")),
        bundle(medication("a"), medication("b"), next_url="Medication?page=2"),
        bundle(medication("a"), medication("b"), outcome("warning", "incomplete")),
        outcome(),
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": medication("a")}, 5]},
    ],
)
def test_what_a_search_leaves_open_is_read(transport: Transport, answer: Any) -> None:
    script = {"Medication": answer, **{f"Medication/{i}": medication(i) for i in "abc"}}
    with serving(script) as server:
        got = fetch(server, transport, "a", "b", "c")["Medication"]
    assert (ids(got), told(got)) == (["a", "b", "c"], ("complete", None))


def test_one_id_that_a_search_does_not_find_is_not_there(transport: Transport) -> None:
    with serving({"Medication": bundle(), "Medication/a": Answer(outcome(), 404)}) as server:
        got = fetch(server, transport, "a")["Medication"]
    assert (ids(got), told(got), len(server.requests)) == ([], ("complete", None), 2)


def test_what_a_search_does_not_find_or_leaves_out_is_read(transport: Transport) -> None:
    one = {"Medication": bundle(), "Medication/a": medication("a")}
    with serving(one) as server:
        assert ids(fetch(server, transport, "a")["Medication"]) == ["a"]
    rest = {"Medication": bundle(medication("a"), medication("b"), total=3), "Medication/c": medication("c")}
    with serving(rest) as server:
        assert ids(fetch(server, transport, "a", "b", "c")["Medication"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(outcome(), 401), ("refused", "HTTP 401")),
        (Answer(outcome(), 500), ("failed", "HTTP 500")),
        (Answer("<html>"), ("failed", "not JSON")),
        (Answer("", 302, {"Location": "http://127.0.0.1:9/"}), ("failed", "redirect not followed")),
    ],
)
def test_a_search_that_fails_says_why(transport: Transport, answer: Answer, state: tuple[str, str]) -> None:
    with serving({"Medication": answer, "Medication/a": medication("a")}) as server:
        got = fetch(server, transport, "a")["Medication"]
    assert (told(got), ids(got), len(server.requests)) == (state, [], 1)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(outcome(), 401), ("refused", "HTTP 401")),
        (Answer(outcome(), 403), ("refused", "HTTP 403")),
        (Answer(outcome(), 500), ("failed", "HTTP 500")),
        (medication("other"), ("failed", "the server answered with something else")),
        ({"resourceType": "Substance", "id": "b"}, ("failed", "the server answered with something else")),
        (outcome("information"), ("failed", "the server answered with something else")),
        ([], ("failed", "the server answered with something else")),
    ],
)
def test_a_read_that_fails_says_why_and_leaves_the_others(
    transport: Transport, answer: Any, state: tuple[str, str]
) -> None:
    script = {"Medication": Answer(outcome(), 400), "Medication/a": medication("a"), "Medication/b": answer}
    with serving(script) as server:
        got = fetch(server, transport, "a", "b")["Medication"]
    assert (told(got), ids(got)) == (state, ["a"])


def test_reads_one_by_one_are_bounded(transport: Transport) -> None:
    with serving({"Medication": Answer(outcome(), 400)}) as server:
        got = fetch(server, transport, *(f"m{n}" for n in range(60)))["Medication"]
        assert len(server.requests) <= 42
    assert told(got)[0] in ("truncated", "failed")


def test_what_a_drug_is_made_of_is_fetched_in_turn(transport: Transport) -> None:
    mixed = medication(
        "a", ingredient=[{"itemReference": to("Medication/b")}, {"itemReference": to("Medication/a")}]
    )
    pure = medication("b", ingredient=[{"itemReference": to("Substance/s")}])
    substance = {"resourceType": "Substance", "id": "s"}
    script = {"Medication": counted(bundle(mixed), bundle(pure)), "Substance": bundle(substance)}
    with serving(script) as server:
        got = fetch(server, transport, "a")
    assert {kind: (ids(part), told(part)) for kind, part in got.items()} == {
        "Medication": (["a", "b"], ("complete", None)),
        "Substance": (["s"], ("complete", None)),
    }
    assert len(server.requests) == 3


def test_a_medication_whose_substances_do_not_come_is_not_whole(transport: Transport) -> None:
    mixed = medication("a", ingredient=[{"itemReference": to("Substance/s")}])
    with serving({"Medication": bundle(mixed), "Substance": Answer(outcome(), 500)}) as server:
        got = fetch(server, transport, "a")
    assert {kind: (ids(part), told(part)) for kind, part in got.items()} == {
        "Medication": (["a"], ("failed", "HTTP 500")),
        "Substance": ([], ("failed", "HTTP 500")),
    }


def test_a_chain_without_end_is_given_up(transport: Transport) -> None:
    def answer(query: dict[str, str]) -> Any:
        following = f"Medication/{query['_id']}1"
        return bundle(medication(query["_id"], ingredient=[{"itemReference": to(following)}]))

    with serving({"Medication": answer}) as server:
        got = fetch(server, transport, "a")["Medication"]
    assert (len(server.requests), told(got)) == (3, ("truncated", "more resources than are read"))


@pytest.mark.parametrize(
    "scope", ["patient/Patient.r patient/MedicationRequest.rs", "patient/Condition.read"]
)
def test_what_the_scope_leaves_out_is_not_asked_for(transport: Transport, scope: str) -> None:
    with serving({}) as server:
        got = fetch(server, transport, "a", scope=scope)["Medication"]
    assert (told(got), server.requests) == (("refused", "scope not granted"), [])


def test_a_filtered_scope_may_hide_what_did_not_come(transport: Transport) -> None:
    with serving({"Medication": bundle(medication("a"), medication("b"))}) as server:
        scope = "patient/Medication.rs?status=active"
        assert told(fetch(server, transport, "a", "b", scope=scope)["Medication"]) == ("complete", None)
        got = fetch(server, transport, "a", "b", "c", scope=scope)["Medication"]
    assert told(got) == ("truncated", "scope granted for a part only")


def test_a_server_that_does_not_answer_costs_no_more_than_the_deadline(transport: Transport) -> None:
    with serving({"Medication": Answer(bundle(), wait=30)}) as server:
        got, seconds = elapsed(lambda: fetch(server, transport, "a", seconds=0.5))
    assert told(got["Medication"]) == ("failed", "timeout")
    assert seconds < 10


def test_nothing_lacking_costs_nothing(transport: Transport) -> None:
    with serving({}) as server:
        client = Source(server.base, transport, reach=LOOPBACK).client(Deadline(5))
        assert complete(client, {}, Deadline(5)) == {}
    assert server.requests == []
