"""Evaluations that share: what a session and what is at rest take over is exactly what would be evaluated anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from cds_service.elm import (
    AtRest,
    Code,
    Date,
    DateTime,
    Interval,
    Library,
    LibrarySet,
    Long,
    Quantity,
    Result,
    Session,
)
from cds_service.elm.session import parameter_keys
from tests.engine import test_fhir
from tests.unit.elm.nodes import NOW, SYSTEM, Node, Nothing, define, integer, library, load, ref

FHIR = "{http://hl7.org/fhir}"


def retrieve(kind: str) -> Node:
    return {"type": "Retrieve", "dataType": FHIR + kind}


def exists(operand: Node) -> Node:
    return {"type": "Exists", "operand": operand}


def when(test: Node, then: Node, other: Node) -> Node:
    return {"type": "If", "condition": test, "then": then, "else": other}


def parameter(name: str, default: int | None = None) -> Node:
    kind = {"type": "NamedTypeSpecifier", "name": SYSTEM + "Integer"}
    declared: dict[str, Any] = {"name": name, "parameterTypeSpecifier": kind}
    return declared if default is None else {**declared, "default": integer(default)}


def read(name: str) -> Node:
    return {"type": "ParameterRef", "name": name}


class Record:
    """A retriever of whole types that counts what it is asked."""

    def __init__(self, **resources: Sequence[Mapping[str, Any]]) -> None:
        self.resources = resources
        self.asked: list[str] = []

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Mapping[str, Any]]:
        self.asked.append(resource_type)
        return self.resources.get(resource_type, ())


class IndexedRecord(Record):
    """The same, with an index: a type has one key."""

    def keys_of(self, codes: Sequence[Code] | None, value_set: str | None) -> Sequence[str]:
        return ["any"]

    def keys_in(self, resource_type: str, code_path: str) -> Sequence[str]:
        return ["any"] if self.resources.get(resource_type) else []


def told(results: Mapping[str, Result]) -> Mapping[str, Any]:
    """Results as comparable facts; resources by identity."""
    return {
        name: (
            repr(r.value),
            [id(x) for x in r.resources],
            r.types,
            None if r.error is None else str(r.error),
        )
        for name, r in results.items()
    }


def separate(loaded: Library, record: Record, **parameters: Any) -> dict[str, Result]:
    return loaded.evaluate(None, retriever=record, patient=None, parameters=parameters, now=NOW)


CHAIN = library(
    define("Problems", retrieve("Condition")),
    define("Results", retrieve("Observation")),
    define("Ill", exists(ref("Problems"))),
    define("Old", {"type": "Greater", "operand": [read("Age"), integer(70)]}),
    define("Tested", when(ref("Old"), exists(ref("Results")), ref("Ill"))),
    define("Fails", {"type": "SingletonFrom", "operand": ref("Problems")}),
    define("Fails Too", exists({"type": "ToList", "operand": ref("Fails")})),
    parameters=[parameter("Age", 50)],
)
ILL = {"Condition": [{"resourceType": "Condition", "id": "1"}, {"resourceType": "Condition", "id": "2"}]}
RECORDS: list[dict[str, Any]] = [{}, ILL, {"Observation": [{"resourceType": "Observation", "id": "3"}]}]


@pytest.mark.parametrize("kind", [Record, IndexedRecord])
@pytest.mark.parametrize("resources", RECORDS)
def test_a_session_gives_what_separate_evaluations_give(kind: type[Record], resources: Any) -> None:
    loaded = load(CHAIN)
    for at_rest in (None, AtRest(now=NOW)):
        session = Session(retriever=kind(**resources), patient=None, now=NOW, at_rest=at_rest)
        for given in ({}, {"Age": 80}, {"Age": 50}, {"Age": None}, {}):
            shared = loaded.evaluate(None, session=session, parameters=given)
            assert told(shared) == told(separate(loaded, kind(**resources), **given))


def test_a_session_asks_for_each_retrieve_once() -> None:
    record = Record(**ILL)
    session = Session(retriever=record, patient=None, now=NOW)
    loaded = load(CHAIN)
    loaded.evaluate(["Ill"], session=session, parameters={})
    assert record.asked == ["Condition"]
    loaded.evaluate(["Tested"], session=session, parameters={"Age": 80})
    assert record.asked == ["Condition", "Observation"]
    loaded.evaluate(None, session=session, parameters={"Age": 81})
    assert record.asked == ["Condition", "Observation"]


@pytest.mark.parametrize("age", [50, 80])
def test_what_is_at_rest_asks_for_no_more_than_an_evaluation_would(age: int) -> None:
    loaded = load(CHAIN)
    record = Record()
    session = Session(retriever=record, patient=None, now=NOW, at_rest=AtRest(now=NOW))
    found = loaded.evaluate(["Tested"], session=session, parameters={"Age": age})["Tested"]
    assert found.types == {"Observation" if age == 80 else "Condition"}
    assert record.asked == sorted(found.types)


def test_what_reads_the_patient_is_not_at_rest() -> None:
    loaded = load(library(define("It", exists(retrieve("Patient")))))
    at_rest = AtRest(now=NOW)
    for kind in (Record, IndexedRecord):
        for patient in (None, {"resourceType": "Patient", "id": "1"}):
            session = Session(retriever=kind(), patient=patient, now=NOW, at_rest=at_rest)
            found = loaded.evaluate(["It"], session=session, parameters={})["It"]
            assert found.value is (patient is not None)
            assert found.resources == (() if patient is None else (patient,))


def test_what_rests_on_the_same_values_as_at_rest_keeps_its_own_evidence() -> None:
    """Its reads come to what they are at rest, but out of resources: the value is taken over, what it rests on is not."""
    none = {"type": "Query", "source": [{"alias": "C", "expression": retrieve("Condition")}], "relationship": [],
            "where": {"type": "IsNull", "operand": {"type": "Property", "path": "id", "scope": "C"}}}  # fmt: skip
    source = library(
        define("Unnamed", none),
        define("Any", exists(ref("Unnamed"))),
        define("Both", {"type": "Not", "operand": ref("Any")}),
    )
    loaded = load(source)
    session = Session(retriever=Record(**ILL), patient=None, now=NOW, at_rest=AtRest(now=NOW))
    shared = loaded.evaluate(None, session=session, parameters={})
    assert told(shared) == told(separate(loaded, Record(**ILL)))
    assert shared["Both"].value is True
    assert len(shared["Both"].resources) == 2


def test_what_is_at_rest_belongs_to_one_moment() -> None:
    today = library(define("Today", {"type": "Today"}))
    loaded = load(today)
    other = DateTime.parse("2026-06-16T12:00:00.000-03:00")
    for now in (NOW, other):
        session = Session(retriever=Record(), patient=None, now=now, at_rest=AtRest(now=now))
        found = loaded.evaluate(None, session=session, parameters={})["Today"]
        assert found.value == now.date()
    with pytest.raises(ValueError, match="at rest"):
        Session(retriever=Record(), patient=None, now=NOW, at_rest=AtRest(now=other))


def test_a_session_or_a_retriever_and_the_moment_are_needed() -> None:
    with pytest.raises(TypeError, match="session"):
        load(CHAIN).evaluate(None, parameters={})  # type: ignore[call-overload]


def test_parameters_are_the_same_where_no_expression_can_tell_them_apart() -> None:
    apart = [
        None, True, 1, Long(1), Decimal(1), Decimal("1.0"), "1", "true", Date(2026), Date(2026, 6), DateTime.parse("2026-06"),
        DateTime.parse("2026-06", None), Quantity(Decimal(1)), Quantity(Decimal("1.0")), Quantity(Decimal(1), "d"), [1], [1, 2],
        [[1], 2], ["1"], {"a": 1}, {"b": 1}, {"a": None}, Interval(1, 2), Interval(1, 2, True, False), Interval(None, 1, point="Integer"),
        Interval(None, 1, point="Date"), Code("1"), Code("1", "s"), Code("1", "s", "2"), Code("1", "s", None, "One"), [], {}, object(),
    ]  # fmt: skip
    keys = parameter_keys(apart)
    assert len(set(keys)) == len(keys)
    assert parameter_keys([[1, Decimal("2.5")], Interval(Date(2026, 6, 1), None), {"a": Quantity(Decimal(3), "mg")}]) == (
        parameter_keys([[1, Decimal("2.5")], Interval(Date(2026, 6, 1), None), {"a": Quantity(Decimal(3), "mg")}])
    )  # fmt: skip


def fhir_facts(at_rest: AtRest | None, kept: Sequence[int]) -> Mapping[str, Any]:
    resources = [resource for place, resource in enumerate(test_fhir.RESOURCES) if place in kept]
    record = test_fhir.Record(resources)
    session = Session(retriever=record, patient=test_fhir.PATIENT, now=test_fhir.NOW, at_rest=at_rest)
    return told(FHIR_LIBRARY.evaluate(None, session=session, parameters=test_fhir.PARAMETERS))


FHIR_LIBRARY = test_fhir.library()


def test_threads_share_a_library_and_what_is_at_rest() -> None:
    count = len(test_fhir.RESOURCES)
    choices = [[place for place in range(count) if number >> place & 1] for number in range(0, 2**count, 37)]
    expected = [fhir_facts(None, kept) for kept in choices]
    at_rest = AtRest(now=test_fhir.NOW)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda kept: fhir_facts(at_rest, kept), choices)) == expected


# --- Sets of libraries ---

INCLUDE = [{"localIdentifier": "L", "path": "Other", "version": "1"}]


def main(name: str, number: int) -> dict[str, Any]:
    sum_ = {"type": "Add", "operand": [ref("Number", libraryName="L"), integer(number)]}
    return library(define("It", sum_), name=name, includes=INCLUDE)


def other(number: int) -> dict[str, Any]:
    return library(
        define("Number", when(exists(retrieve("Condition")), integer(number), integer(0))), name="Other"
    )


def test_a_library_that_two_include_is_evaluated_once_in_a_session() -> None:
    libraries = LibrarySet(Nothing())
    one = libraries.load([main("A", 1), other(10)], main="A")
    two = libraries.load([main("B", 2), other(10)], main="B")
    record = Record(**ILL)
    session = Session(retriever=record, patient=None, now=NOW)
    assert one.evaluate(None, session=session, parameters={})["It"].value == 11
    assert two.evaluate(None, session=session, parameters={})["It"].value == 12
    assert record.asked == ["Condition"]
    assert one.elm_sha256 != two.elm_sha256


def test_libraries_of_one_name_and_different_content_stand_side_by_side() -> None:
    libraries = LibrarySet(Nothing())
    loaded = [
        libraries.load([main(name, 1), other(number)], main=name)
        for name, number in (("A", 10), ("A", 20), ("B", 20), ("A", 10))
    ]
    session = Session(retriever=Record(**ILL), patient=None, now=NOW, at_rest=AtRest(now=NOW))
    values = [each.evaluate(None, session=session, parameters={})["It"].value for each in loaded]
    assert values == [11, 21, 21, 11]
    # What is the same is the same library, however often it is loaded.
    definitions = [each._defines["It"] for each in loaded]
    assert definitions[0] is definitions[3]
    assert len({id(definition) for definition in definitions}) == 3


def test_a_library_is_another_where_what_it_includes_is_another() -> None:
    """`Middle` has the same text in both; what it includes has not."""
    middle = library(define("Number", ref("Number", libraryName="L")), name="Middle", includes=INCLUDE)
    top = library(
        define("It", ref("Number", libraryName="M")),
        name="Top",
        includes=[{"localIdentifier": "M", "path": "Middle"}],
    )
    libraries = LibrarySet(Nothing())
    loaded = [libraries.load([top, middle, other(number)], main="Top") for number in (10, 20)]
    session = Session(retriever=Record(**ILL), patient=None, now=NOW)
    assert [x.evaluate(None, session=session, parameters={})["It"].value for x in loaded] == [10, 20]


def test_each_library_takes_its_own_parameters() -> None:
    source = [library(define("It", read("N")), name=name, parameters=[parameter("N", 5)]) for name in "AB"]
    libraries = LibrarySet(Nothing())
    one, two = (libraries.load([each], main=each["library"]["identifier"]["id"]) for each in source)
    session = Session(retriever=Record(), patient=None, now=NOW)
    assert one.evaluate(None, session=session, parameters={"N": 1})["It"].value == 1
    assert two.evaluate(None, session=session, parameters={})["It"].value == 5
    assert one.evaluate(None, session=session, parameters={"A.N": 2})["It"].value == 2


def test_a_session_sees_libraries_that_are_loaded_later() -> None:
    libraries = LibrarySet(Nothing())
    one = libraries.load([library(define("It", exists(retrieve("Condition"))), name="A")], main="A")
    session = Session(retriever=IndexedRecord(**RECORDS[2]), patient=None, now=NOW, at_rest=AtRest(now=NOW))
    assert one.evaluate(None, session=session, parameters={})["It"].value is False
    two = libraries.load([library(define("It", exists(retrieve("Observation"))), name="B")], main="B")
    assert two.evaluate(None, session=session, parameters={})["It"].value is True


def test_a_retriever_that_fails_makes_the_define_fail_and_not_the_evaluation() -> None:
    class Broken(IndexedRecord):
        def retrieve(self, *_: Any) -> Any:
            raise OSError

    loaded = load(library(define("Sick", exists(retrieve("Condition"))), define("One", integer(1))))
    session = Session(retriever=Broken(), patient=None, now=NOW, at_rest=AtRest(now=NOW))
    found = loaded.evaluate(None, session=session, parameters={})
    assert found["Sick"].error is not None
    assert found["One"].value == 1


def test_a_failure_is_located_in_its_own_library_of_several_that_say_the_same() -> None:
    libraries = LibrarySet(Nothing())
    one = define("It", {"type": "SingletonFrom", "operand": retrieve("Condition")})
    loaded = [libraries.load([library(one, name=name)], main=name) for name in ("A", "B")]
    record = Record(Condition=[{"resourceType": "Condition"}] * 2)
    errors = [separate(each, record)["It"].error for each in loaded]
    assert [error and error.library for error in errors] == ["A", "B"]


def test_a_refused_library_leaves_the_set_as_it_was() -> None:
    libraries = LibrarySet(Nothing())
    wrong = library(
        define("Number", ref("Inner")),
        define("Inner", {"type": "Add", "operand": [integer(1), {"type": "Quux"}]}),
        name="Other",
    )
    for _ in range(2):
        with pytest.raises(Exception, match="Quux"):
            libraries.load([main("A", 1), wrong], main="A")
    loaded = libraries.load([main("A", 1), other(10)], main="A")
    assert separate(loaded, Record(**ILL))["It"].value == 11
