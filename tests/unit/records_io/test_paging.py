"""Paging: one answer of many pages, whether prefetch or a search brought the first one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cds_service.records.addresses import LOOPBACK
from cds_service.records.fhir_server import Acquisition
from cds_service.records.fhir_transport import Bounds, Deadline, Transport
from cds_service.records.paging import all_pages
from cds_service.records.prefetch import read_prefetch
from cds_service.records.record import PatientRecord
from cds_service.records.searchset import read_page
from cds_service.records.source import Source
from cds_service.records.wanted import Wanted
from tests.unit.records_io.scripted_server import (
    Answer,
    ScriptedServer,
    bundle,
    condition,
    observation,
    outcome,
    patient,
    serving,
)

SECRET = "token-canary"
Pages = Callable[[str], list[Any]]


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(bounds=Bounds(pages=30, resources=60, page_size=10))
    yield transport
    transport.close()


def paged(base: str, *pages: Any) -> tuple[Any, dict[str, Any]]:
    """The first of these pages, and the script of the others; each but the last leads to the next."""
    for number, page in enumerate(pages[:-1], start=2):
        if isinstance(page, dict) and "link" not in page:
            page["link"] = [{"relation": "next", "url": f"{base}/page/{number}"}]
    return pages[0], {f"page/{number}": page for number, page in enumerate(pages[1:], start=2)}


def gathered(
    server: ScriptedServer, transport: Transport, prefetch: dict[str, Any] | None = None, **source: Any
) -> PatientRecord:
    types = frozenset({"Patient", "Condition"})
    gathering = Acquisition(
        "1",
        deadline=Deadline(10),
        prefetched=read_prefetch(prefetch or {}, "1", types),
        source=Source(server.base, transport, SECRET, reach=LOOPBACK, **source),
    )
    gathering.gather(Wanted(types))
    return gathering.record()


def by_either(
    transport: Transport, way: str, pages: Pages, script: dict[str, Any] | None = None
) -> tuple[list[str], tuple[str, str | None], ScriptedServer]:
    """Ids of the Conditions and state of their type, with the first page by prefetch or by a search."""
    with serving({"Patient/1": patient(), "metadata": Answer("", 404), **(script or {})}) as server:
        first, rest = paged(server.base, *pages(server.base))
        server.script.update(rest)
        prefetch = {"patient": patient(), "condition": first}
        if way == "search":
            server.script["Condition"] = first
            prefetch = {}
        else:
            server.script.setdefault("Condition", Answer("", 500))
        record = gathered(server, transport, prefetch)
    account = record.state("Condition")
    return (
        sorted(str(c["id"]) for c in record.of_type("Condition")),
        (account.state, account.reason),
        server,
    )


def included(resource: dict[str, Any], mode: str | None = "include") -> dict[str, Any]:
    return {"resource": resource, **({"search": {"mode": mode}} if mode else {})}


MEDICATION = {"resourceType": "Medication", "id": "m1"}
THREE = ["c1", "c2", "c3"]

# name: pages, ids got, whether the type is complete by them.
WHOLE: dict[str, tuple[Pages, list[str]]] = {
    "three pages": (lambda _: [bundle(condition(c), total=3) for c in THREE], THREE),
    "no total": (lambda _: [bundle(condition(c)) for c in THREE], THREE),
    "links without entries": (
        lambda _: [bundle(condition("c1")), bundle(), bundle(), bundle(condition("c2"), condition("c3"))],
        THREE,
    ),
    "the first page empty": (lambda _: [bundle(), bundle(*(condition(c) for c in THREE))], THREE),
    "an entry on two pages": (
        lambda _: [
            bundle(condition("c1"), condition("c2"), total=3),
            bundle(condition("c2"), condition("c3"), total=3),
        ],
        THREE,
    ),
    "a total that grows with what came": (
        lambda _: [
            bundle(condition("c1"), condition("c2"), total=2),
            bundle(condition("c3"), total=3),
        ],
        THREE,
    ),
    "a total that counts the matches only": (
        lambda _: [
            {**bundle(condition("c1"), total=2), "entry": [included(condition("c1"), "match"), included(MEDICATION)]},
            {"resourceType": "Bundle", "type": "searchset", "total": 2,
             "entry": [included(condition("c2"), None), included(MEDICATION)]},
        ],
        ["c1", "c2"],
    ),
    "a relative link": (
        lambda _: [
            {**bundle(condition("c1")), "link": [{"relation": "next", "url": "page/2"}]},
            bundle(condition("c2")),
        ],
        ["c1", "c2"],
    ),
    "a link that begins at the host": (
        lambda _: [
            {**bundle(condition("c1")), "link": [{"relation": "next", "url": "/fhir/page/2"}]},
            bundle(condition("c2")),
        ],
        ["c1", "c2"],
    ),
    "other links beside": (
        lambda base: [
            {
                **bundle(condition("c1")),
                "link": [
                    {"relation": "self", "url": f"{base}/Condition?patient=1"},
                    {"relation": "next", "url": f"{base}/page/2"},
                    {"relation": "last", "url": "http://192.0.2.1/last"},
                ],
            },
            bundle(condition("c2")),
        ],
        ["c1", "c2"],
    ),
    "a hint on a later page": (
        lambda _: [bundle(condition("c1")), bundle(condition("c2"), outcome("warning", "informational"))],
        ["c1", "c2"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", ["prefetch", "search"])
@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.proves("checklist:18", "checklist:22")
def test_pages_make_one_answer(transport: Transport, name: str, way: str) -> None:
    pages, ids = WHOLE[name]
    got, state, server = by_either(transport, way, pages)
    assert (got, state) == (ids, ("complete", None))
    assert len(server.asked("Condition")) == (way == "search")  # what prefetch began is not searched again
    assert all(r.headers["Authorization"] == f"Bearer {SECRET}" for r in server.requests)


# name: pages, ids got, the reason in its state.
BROKEN: dict[str, tuple[Pages, list[str], str, str]] = {
    "others' first, where the total covers them": (
        lambda _: [
            bundle(condition("x1", "2"), condition("x2", "3"), total=3),
            bundle(condition("c1"), total=3),
        ],
        ["c1"], "truncated", "another patient's data",
    ),
    "something withheld on a later page": (
        lambda _: [bundle(condition("c1")), bundle(condition("c2"), outcome("warning", "suppressed"))],
        ["c1", "c2"], "truncated", "some data withheld",
    ),
    "a total that shrinks": (
        lambda _: [bundle(condition("c1"), condition("c2"), total=4), bundle(condition("c3"), total=3)],
        THREE, "truncated", "total above the entries",
    ),
    "a total that grows above what came": (
        lambda _: [bundle(condition("c1"), total=2), bundle(condition("c2"), total=3)],
        ["c1", "c2"], "truncated", "total above the entries",
    ),
    "the same page for ever": (
        lambda base: [bundle(condition("c1"), next_url=f"{base}/page/2"),
                      bundle(condition("c2"), next_url=f"{base}/page/2")],
        ["c1", "c2"], "truncated", "paging loop",
    ),
    "two pages in turn": (
        lambda base: [bundle(condition("c1"), next_url=f"{base}/page/2"),
                      bundle(condition("c2"), next_url=f"{base}/page/3"),
                      bundle(condition("c3"), next_url=f"{base}/page/2")],
        THREE, "truncated", "paging loop",
    ),
    "a link to another server": (
        lambda _: [bundle(condition("c1"), next_url="http://192.0.2.1/fhir/Condition?page=2")],
        ["c1"], "truncated", "paging link to another server",
    ),
    "a link without an address": (
        lambda _: [{**bundle(condition("c1")), "link": [{"relation": "next"}]}],
        ["c1"], "truncated", "paging link to another server",
    ),
    "an error in a later page": (
        lambda _: [bundle(condition("c1")), bundle(condition("c2"), outcome())],
        ["c1", "c2"], "failed", "OperationOutcome",
    ),
    "a warning in a later page": (
        lambda _: [bundle(condition("c1")), bundle(condition("c2"), outcome("warning", "incomplete"))],
        ["c1", "c2"], "truncated", "OperationOutcome",
    ),
    "an outcome instead of a later page": (
        lambda _: [bundle(condition("c1")), outcome()],
        ["c1"], "failed", "OperationOutcome",
    ),
    "a later page of another patient": (
        lambda _: [bundle(condition("c1")), bundle(condition("c2", "2"))],
        ["c1"], "truncated", "another patient's data",
    ),
    "all pages of another patient": (
        lambda _: [bundle(condition("c1", "2"), total=2), bundle(condition("c2", "2"), total=2)],
        [], "failed", "another patient's data",
    ),
    "a later page of another type": (
        lambda _: [bundle(condition("c1")), bundle(observation("o1"))],
        ["c1"], "failed", "unexpected resource type",
    ),
    "a later page that is no Bundle": (
        lambda _: [bundle(condition("c1")), [1]],
        ["c1"], "failed", "not a FHIR Bundle",
    ),
    "a later page that is HTML": (
        lambda _: [bundle(condition("c1")), Answer("<html></html>")],
        ["c1"], "truncated", "a later page failed: not JSON",
    ),
    "a later page that is forgotten": (
        lambda _: [bundle(condition("c1")), Answer(outcome(), 410)],
        ["c1"], "truncated", "a later page failed: HTTP 410",
    ),
    "a link into a search by POST": (
        lambda base: [bundle(condition("c1"), next_url=f"{base}/Condition/_search?page=2"),
                      bundle(condition("c2"))],
        ["c1"], "truncated", "a later page failed: HTTP 405",
    ),
    "an entry with an error on a later page": (
        lambda _: [bundle(condition("c1")),
                   {**bundle(condition("c2")), "entry": [{"response": {"status": "500"}}]}],
        ["c1"], "failed", "entry with an error response",
    ),
}  # fmt: skip
NO_POST = {"Condition/_search": Answer(outcome(), 405)}


@pytest.mark.parametrize("name", BROKEN)
def test_what_keeps_later_pages_away_is_told(transport: Transport, name: str) -> None:
    pages, ids, state, reason = BROKEN[name]
    got, account, _ = by_either(transport, "search", pages, NO_POST)
    assert (got, account) == (ids, (state, reason))


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.proves("checklist:18", "checklist:22")
def test_what_prefetch_began_and_can_not_be_followed_is_searched_for(transport: Transport, name: str) -> None:
    pages, ids, _, _ = BROKEN[name]
    whole = bundle(condition("c1"), condition("new"))
    got, account, server = by_either(transport, "prefetch", pages, {**NO_POST, "Condition": whole})
    assert account == ("complete", None)
    assert {"c1", "new"} <= set(got) <= {"c1", "new", *ids}
    assert len(server.asked("Condition")) == 1


@pytest.mark.parametrize("name", BROKEN)
def test_what_came_stays_where_neither_link_nor_search_help(transport: Transport, name: str) -> None:
    pages, ids, _, _ = BROKEN[name]
    got, account, _ = by_either(transport, "prefetch", pages, NO_POST)
    assert (got, account) == (ids, ("failed", "HTTP 500"))


@pytest.mark.parametrize("way", ["prefetch", "search"])
def test_a_bare_query_belongs_to_the_search_that_it_stands_in(transport: Transport, way: str) -> None:
    first = {**bundle(condition("c1")), "link": [{"relation": "next", "url": "?page=2"}]}

    def answer(query: dict[str, str]) -> Any:
        return bundle(condition("c2")) if query == {"page": "2"} else first

    prefetch = {"patient": patient(), "condition": first} if way == "prefetch" else {}
    with serving({"Patient/1": patient(), "Condition": answer}) as server:
        record = gathered(server, transport, prefetch)
    assert sorted(c["id"] for c in record.of_type("Condition")) == ["c1", "c2"]
    assert record.state("Condition").state == "complete"
    assert len(server.asked("Condition")) == (1 if way == "prefetch" else 2)


def endless(empty: bool) -> Callable[[str], Callable[[dict[str, str]], Any]]:
    def script(base: str) -> Callable[[dict[str, str]], Any]:
        def page(query: dict[str, str]) -> Any:
            number = int(query.get("n", "0"))
            found = () if empty else (condition(f"c{number}"),)
            return bundle(*found, next_url=f"{base}/Condition?n={number + 1}")

        return page

    return script


def test_a_chain_of_empty_pages_ends_soon(transport: Transport) -> None:
    with serving({"Patient/1": patient()}) as server:
        server.script["Condition"] = endless(empty=True)(server.base)
        record = gathered(server, transport)
    assert (record.state("Condition").state, record.state("Condition").reason) == ("truncated", "paging loop")
    assert len(server.asked("Condition")) < 15


def test_an_endless_chain_ends_with_the_bound_on_pages(transport: Transport) -> None:
    with serving({"Patient/1": patient()}) as server:
        server.script["Condition"] = endless(empty=False)(server.base)
        record = gathered(server, transport)
    assert record.state("Condition").reason == "more pages than are read"
    assert record.state("Condition").count == 30


def test_what_a_call_reads_is_bounded_over_all_its_types(transport: Transport) -> None:
    many = [observation(f"o{n}") for n in range(40)]
    with serving(
        {"Patient/1": patient(), "Condition": bundle(*(condition(f"c{n}") for n in range(40)))}
    ) as server:
        server.script["Observation"] = bundle(*many, next_url=f"{server.base}/page/2")
        server.script["page/2"] = bundle(observation("last"))
        gathering = Acquisition(
            "1", deadline=Deadline(10), source=Source(server.base, transport, reach=LOOPBACK)
        )
        gathering.gather(Wanted(frozenset({"Condition"})))
        gathering.gather(Wanted(frozenset({"Observation"})))
        record = gathering.record()
    assert record.state("Condition").state == "complete"
    account = record.state("Observation")
    assert (account.state, account.reason, account.count) == ("truncated", "more data than are read", 40)
    assert server.asked("page/2") == []


def test_pages_are_followed_only_within_that_bound(transport: Transport) -> None:
    with serving({"Patient/1": patient(), "metadata": Answer("", 404)}) as server:
        pages = [bundle(*(condition(f"c{page}-{n}") for n in range(30))) for page in range(4)]
        server.script["Condition"], rest = paged(server.base, *pages)
        server.script.update(rest)
        record = gathered(server, transport)
    account = record.state("Condition")
    assert (account.state, account.reason, account.count) == ("truncated", "more data than are read", 90)
    assert server.asked("page/4") == []


@pytest.mark.parametrize(
    ("total", "state"), [(None, "complete"), (9, "truncated")], ids=["a search", "a part"]
)
def test_what_was_followed_stays_beside_a_search_that_lacks_it(
    transport: Transport, total: int | None, state: str
) -> None:
    pages = [bundle(condition("c1")), bundle(condition("c2")), Answer(outcome(), 410)]
    script = {"Condition": bundle(condition("c3"), total=total)}
    got, account, _ = by_either(transport, "prefetch", lambda _: pages, script)
    assert (got, account[0]) == (THREE, state)


def test_without_a_server_the_first_page_is_all_there_is() -> None:
    page = read_page(bundle(condition("c1"), total=2, next_url="http://x/2"), "Condition")
    got = all_pages(page, "Condition", "1")
    assert (got.state, got.reason, len(got.resources)) == ("truncated", "more pages exist", 1)


def test_modes_of_entries() -> None:
    entries = [
        included(condition("c1"), "match"),
        included(condition("c2"), None),
        included(condition("c3"), "outcome"),
        included(condition("c4"), "include"),
        included(MEDICATION, None),
        included({**MEDICATION, "id": "m2"}, "match"),
        included({"resourceType": "Practitioner", "id": "p"}, "include"),
        included(outcome("information", "informational"), "outcome"),
    ]
    page = read_page({"resourceType": "Bundle", "type": "searchset", "entry": entries}, "Condition")
    assert [r["id"] for r in page.resources] == ["c1", "c2", "c3"]
    assert [r["id"] for r in page.included] == ["c4", "m1", "m2", "p"]
    assert (page.state, page.reason) == ("complete", None)
    stray = included({"resourceType": "Practitioner", "id": "p"}, None)
    assert read_page({"resourceType": "Bundle", "entry": [stray]}, "Condition").state == "failed"
    device = included({"resourceType": "Device", "id": "d"}, None)
    assert len(read_page({"resourceType": "Bundle", "entry": [device]}, "Device").resources) == 1
