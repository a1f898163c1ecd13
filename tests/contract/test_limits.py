"""What one request and one client may ask of the service: size, nesting, number of resources, numbers, rate."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import orjson
import pytest

from cds_service.errors import TooManyRequestsError
from cds_service.hooks.admission import Rates
from cds_service.hooks.body import hollow_entries
from cds_service.records.json_body import read_counted
from cds_service.settings import ClientSettings
from tests.contract.conftest import Make
from tests.contract.hook_requests import SERVICE, als, hook_request, person, searchset
from tests.contract.test_clients import BASE, ISSUER, JWKS, call, token
from tests.support.clock import Clock


def _told(answer: Any, status: int) -> str:
    """The words of a refusal, which has the form of all problems."""
    assert answer.status_code == status
    assert answer.content_type == "application/fhir+json"
    outcome = answer.get_json()
    assert outcome["resourceType"] == "OperationOutcome"
    return str(outcome["issue"][0]["diagnostics"])


def _small(**more: Any) -> dict[str, Any]:
    return hook_request(prefetch={"patient": person(), "condition": None}, **more)


# ── bodies ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [SERVICE, f"{SERVICE}/feedback", "/assessments"])
@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity", "anything"])
def test_a_compressed_body_is_not_unpacked(make_app: Make, path: str, coding: str) -> None:
    client = make_app().test_client()
    headers = {"Content-Encoding": coding}
    answer = client.post(path, data=b"\x1f\x8b", content_type="application/json", headers=headers)
    assert "uncompressed" in _told(answer, 415)
    plain = client.post(SERVICE, json=_small(), headers={"Content-Encoding": "Identity"})
    assert plain.status_code == 200


def test_a_body_of_more_bytes_than_the_limit_is_refused_and_one_at_the_limit_is_not(make_app: Make) -> None:
    body = orjson.dumps(_small())
    fitting = make_app(limits__body_bytes=len(body)).test_client()
    assert fitting.post(SERVICE, data=body, content_type="application/json").status_code == 200
    smaller = make_app(limits__body_bytes=len(body) - 1).test_client()
    answer = smaller.post(SERVICE, data=body, content_type="application/json")
    assert "limits.body_bytes" in _told(answer, 413)


NESTED = b'{"hook":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def test_nesting_is_bounded_wherever_it_stands(make_app: Make) -> None:
    client = make_app().test_client()
    deep: Any = "x"
    for _ in range(400):
        deep = {"extension": [deep]}
    for body in (orjson.dumps(_small())[:-1] + b',"more":' + NESTED + b"}", _deep_bundles(300)):
        for path in (SERVICE, f"{SERVICE}/feedback", "/assessments"):
            answer = client.post(path, data=body, content_type="application/json")
            assert answer.status_code == 400
            assert answer.get_json()["resourceType"] == "OperationOutcome"


def _deep_bundles(depth: int) -> bytes:
    head = b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":'
    return head * depth + b"{}" + b"}]}" * depth


# Number of resources, by whatever way they are sent; whatever they are sent in.
HELD: dict[str, tuple[int, Any]] = {
    "nothing": (0, {"a": [1, {"b": 2}]}),
    "no object": (0, 1.5),
    "a resource": (1, person()),
    "a Bundle and its entries": (4, searchset(person(), als(), als("c2"))),
    "entries without a resource": (4, {"resourceType": "Bundle", "entry": [None, 1, {"fullUrl": "x"}]}),
    "a Bundle within a Bundle": (4, searchset(searchset(person(), als()))),
    "contained resources": (3, person(contained=[als(), als("c2")])),
    "what only looks like entries": (0, {"entry": [1, 2, 3]}),
}


@pytest.mark.parametrize("case", HELD)
def test_resources_are_counted_at_whatever_depth(case: str) -> None:
    count, value = HELD[case]
    for times, sent in ((1, value), (2, {"prefetch": {"x": value, "y": [value]}})):
        read, held = read_counted(json.dumps(sent).encode())
        assert held + hollow_entries(read) == times * count


def test_escapes_and_texts_mislead_no_count() -> None:
    assert read_counted(b'{"resourceTyp\\u0065" : "Patient"}')[1] == 1
    assert read_counted(b'{"a": "\\"resourceType\\":", "b": ["resourceType"]}')[1] == 0


def test_a_request_with_more_resources_than_the_limit_is_refused_however_they_are_spread(
    make_app: Make,
) -> None:
    client = make_app(limits__entries=20).test_client()
    conditions = [als(f"c{n}") for n in range(12)]

    def sent(*bundles: list[dict[str, Any]]) -> Any:
        keys = ("condition", "observation", "x")
        prefetch = {"patient": person(), **dict(zip(keys, (searchset(*b) for b in bundles), strict=False))}
        return client.post(SERVICE, json=hook_request(prefetch=prefetch))

    assert sent(conditions).status_code == 200
    assert "limits.entries" in _told(sent(conditions, conditions), 413)
    assert "limits.entries" in _told(sent([searchset(*conditions), searchset(*conditions)]), 413)
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": c} for c in conditions * 2],
    }
    assert "limits.entries" in _told(client.post("/assessments", json=bundle), 413)
    hollow = {"resourceType": "Bundle", "type": "collection", "entry": [0] * 21}
    assert "limits.entries" in _told(client.post("/assessments", json=hollow), 413)


def test_millions_of_empty_objects_are_refused_before_they_take_memory(make_app: Make) -> None:
    client = make_app(limits__entries=100).test_client()
    body = b'{"hook":[' + b"{}," * 100_000 + b"{}]}"
    assert "limits.entries" in _told(client.post(SERVICE, data=body, content_type="application/json"), 413)


NUMBERS = [
    "1e308",
    "-1e308",
    "1e-320",
    "1" * 300,
    "0." + "3" * 5000,
    "1e400",
    "9" * 5000,
    "-0.0",
    "1e+00000001",
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: f"{n[:8]}_{len(n)}")
def test_numbers_of_any_size_make_no_failure(make_app: Make, number: str) -> None:
    client = make_app().test_client()
    lab = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]},
        "effectiveDateTime": "2026-06-01",
        "valueQuantity": {
            "value": 12345.5,
            "unit": "U/L",
            "system": "http://unitsofmeasure.org",
            "code": "U/L",
        },
    }
    prefetch = {"patient": person(), "condition": searchset(als()), "observation": searchset(lab)}
    body = orjson.dumps(hook_request(prefetch=prefetch)).replace(b"12345.5", number.encode())
    answer = client.post(SERVICE, data=body, content_type="application/json")
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert "JSON" in _told(answer, 400)


@pytest.mark.timeout(120)  # many times what a linear reading takes; a quadratic one took minutes
def test_texts_of_any_length_make_no_failure(make_app: Make) -> None:
    client = make_app().test_client()
    long = "ALS, " * 50_000
    condition = als(code={"text": long, "coding": [{"system": long, "code": long, "display": long}]})
    prefetch = {"patient": person(), "condition": searchset(als(), condition)}
    answer = client.post(SERVICE, json=hook_request(prefetch=prefetch))
    assert answer.status_code == 200
    assert len(answer.data) < 50_000


# ── rates ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(clock: Clock) -> Rates:
    return Rates(["a", "b"], 6, clock)


def _taken(rates: Rates, client: str | None, tries: int) -> int:
    taken = 0
    for _ in range(tries):
        try:
            rates.take(client)
            taken += 1
        except TooManyRequestsError:
            pass
    return taken


def test_a_client_may_use_its_minute_at_once_and_then_as_fast_as_it_refills(
    rates: Rates, clock: Clock
) -> None:
    assert _taken(rates, "a", 20) == 6
    assert _taken(rates, "b", 20) == 6, "another client's bucket is its own"
    clock.now += 10
    assert _taken(rates, "a", 5) == 1
    clock.now += 35
    assert _taken(rates, "a", 9) == 3
    clock.now += 10_000
    assert _taken(rates, "a", 20) == 6, "it holds no more than a minute's"


def test_the_refusal_says_when_there_will_be_a_token_again(rates: Rates, clock: Clock) -> None:
    assert _taken(rates, None, 6) == 6
    clock.now += 2.5
    with pytest.raises(TooManyRequestsError) as refused:
        rates.take(None)
    assert refused.value.retry_after == 8
    clock.now += 8
    rates.take(None)


def test_threads_and_processes_together_take_no_more_than_there_is(clock: Clock) -> None:
    rates = Rates(["a"], 500, clock)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os._exit(min(255, _taken(rates, "a", 100)))
        children.append(child)
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(_taken(rates, "a", 100))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sum(counts) + sum(ends) == 500


def test_a_process_that_dies_at_a_bucket_does_not_lock_it(clock: Clock) -> None:
    rates = Rates([], 10, clock)
    child = os.fork()
    if child == 0:
        with rates._alone(0):
            os._exit(0)
    os.waitpid(child, 0)
    assert _taken(rates, None, 20) == 10


def test_without_clients_all_callers_share_a_bucket_and_open_pages_need_none(make_app: Make) -> None:
    client = make_app(limits__requests_per_minute=3).test_client()
    assert [client.post(SERVICE, json=_small()).status_code for _ in range(3)] == [200] * 3
    for path in (SERVICE, f"{SERVICE}/feedback", "/assessments"):
        answer = client.post(path, json=_small())
        assert "limits.requests_per_minute" in _told(answer, 429)
        assert 1 <= int(answer.headers["Retry-After"]) <= 20
    for path in ("/cds-services", "/healthz", "/readyz", "/trials/nct02917681", "/openapi.json"):
        assert client.get(path).status_code == 200


def test_each_client_has_its_own_rate_and_what_is_refused_with_401_takes_nothing_of_it(
    make_app: Make, tmp_path: Any
) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(JWKS)
    clients = tuple(
        ClientSettings(name=name, issuer=issuer, jwks_file=path)
        for name, issuer in (("a", ISSUER), ("b", "https://b.example.org"))
    )
    client = make_app(
        base_url=BASE, clients=clients, limits__requests_per_minute=2, service__as_of=None
    ).test_client()
    for _ in range(5):
        assert call(client, token(aud="https://elsewhere.example.org")) == 401
    assert [call(client, token()) for _ in range(3)] == [200, 200, 429]
    assert call(client, token(iss="https://b.example.org")) == 200
