"""Retrieves by code, value set, id, date range and context. ELM, Retrieve; CQL Author's Guide, Retrieve.

The ELM is written here, so that also what the translator seldom writes is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cds_service.elm import (
    Code,
    Date,
    DateTime,
    Interval,
    Result,
    RetrieveNeed,
    load_library,
)
from cds_service.errors import AuthoringError
from tests.engine.test_fhir import NOW, PATIENT, Record, concept

LOINC, SCT = "http://loinc.org", "http://snomed.info/sct"
CODED = "https://example.org/ValueSet/coded"
SETS = {CODED: {(LOINC, "a")}, f"{CODED}|2": {(LOINC, "b")}}
FHIR, SYSTEM = "{http://hl7.org/fhir}", "{urn:hl7-org:elm-types:r1}"


class Sets:
    def has_value_set(self, url: str) -> bool:
        return url in SETS

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        return any(code == other and system in (None, its) for its, other in SETS[url])

    def expand(self, url: str) -> Sequence[Code]:
        return [Code(code, system) for system, code in sorted(SETS[url])]


def observation(name: str, code: str = "a", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": name, "code": concept(LOINC, code), **more}


EXACT = {"coding": [{"system": LOINC, "code": "a", "display": "A"}]}
RESOURCES: list[dict[str, Any]] = [
    observation("final", status="final", effectiveDateTime="2026-06-10T10:00:00-03:00",
                category=[concept(SCT, "lab"), concept(SCT, "x")]),
    observation("amended", "b", status="amended", effectivePeriod={"start": "2026-06-10", "end": "2026-06-12"},
                category=[concept(SCT, "exam")]),
    observation("month", "a", effectiveDateTime="2026-06", issued="2026-06-20T00:00:00Z"),
    observation("year", "b", effectiveDateTime="2026"),
    observation("open", "c", effectivePeriod={"start": "2026-06-10"}),
    observation("unbegun", "c", effectivePeriod={"end": "2026-06-10"}),
    observation("events", "c", effectiveTiming={"event": ["2026-06-02", "2026-06-05T10:00:00-03:00"]}),
    observation("scheduled", "c", effectiveTiming={"repeat": {"boundsPeriod": {"start": "2026-06-02", "end": "2026-07-02"}}}),
    observation("unbound", "c", effectiveTiming={"repeat": {"frequency": 1}}),
    observation("undated", "c", status="final"),
    {"resourceType": "Observation", "id": "display", "code": EXACT},
    {"resourceType": "Observation", "id": "text", "code": {"text": "a"}},
    {"resourceType": "Observation", "id": "codeless", "method": {"text": CODED}},
    {"resourceType": "Condition", "id": "worded", "onsetString": "in June", "recordedDate": "2026-06-10"},
    {"resourceType": "Condition", "id": "aged", "onsetAge": {"value": 50}},
    {"resourceType": "Condition", "id": "begun", "onsetDateTime": "2026-06-10", "code": concept(LOINC, "a"),
     "abatementDateTime": "2026-06-12"},
    {"resourceType": "Medication", "id": "m"},
    {"resourceType": "Patient", "id": "else"},
]  # fmt: skip


def loaded(
    retrieve: Mapping[str, Any], *, context: str | None = "Patient", main: Mapping[str, Any] | None = None
) -> Any:
    codes = [{"name": name, "id": name, "codeSystem": {"name": "LOINC"}} for name in "ab"]
    library = {
        "identifier": {"id": "Retrieves"},
        "usings": {"def": [{"localIdentifier": "FHIR", "uri": "http://hl7.org/fhir", "version": "4.0.1"}]},
        "parameters": {
            "def": [
                {"name": "Days", "parameterTypeSpecifier": {"type": "IntervalTypeSpecifier", "pointType": {
                    "type": "NamedTypeSpecifier", "name": f"{SYSTEM}DateTime"}}},
                {"name": "Text", "parameterTypeSpecifier": {"type": "NamedTypeSpecifier", "name": f"{SYSTEM}String"}},
            ]
        },
        "codeSystems": {"def": [{"name": "LOINC", "id": LOINC}]},
        "valueSets": {"def": [{"name": "coded", "id": CODED}, {"name": "second", "id": CODED, "version": "2"},
                              {"name": "third", "id": CODED, "version": "3"}]},
        "codes": {"def": [*codes, {"name": "A", "id": "a", "display": "A", "codeSystem": {"name": "LOINC"}}]},
        "concepts": {"def": [{"name": "either", "code": [{"name": "a"}, {"name": "b"}]}]},
        "statements": {
            "def": [
                {"name": "Patient", "context": "Patient", "expression": {
                    "type": "SingletonFrom", "operand": {"type": "Retrieve", "dataType": f"{FHIR}Patient"}}},
                {"name": "Found", **({"context": context} if context else {}),
                 "expression": {"type": "Retrieve", "dataType": f"{FHIR}Observation", **retrieve}},
                *([main] if main else []),
            ]
        },
    }  # fmt: skip
    return load_library([{"library": library}], main="Retrieves", terminology=Sets())


MONTH = Interval(
    DateTime.parse("2026-06-01T00:00:00.0-03:00"), DateTime.parse("2026-06-30T23:59:59.999-03:00")
)


def result(
    retrieve: Mapping[str, Any], *, retriever: Any = None, days: Any = MONTH, text: Any = "final", **more: Any
) -> Result:
    library = loaded(retrieve, **more)
    parameters = {"Days": days, "Text": text}
    retriever = retriever or Coded(RESOURCES)
    return library.evaluate(None, retriever=retriever, patient=PATIENT, parameters=parameters, now=NOW)[
        "Found"
    ]  # type: ignore[no-any-return]


def found(retrieve: Mapping[str, Any], **more: Any) -> list[str]:
    made = result(retrieve, **more)
    assert made.error is None, made.error
    return [resource["id"] for resource in made.value]


class Coded(Record):
    """Answers by the codes of an element: CodeableConcepts, alone or several."""

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Mapping[str, Any]]:
        self.asked.append((resource_type, code_path))
        rows = [row for row in self.resources if row["resourceType"] == resource_type]
        if codes is None and value_set is None:
            return rows
        wanted = SETS[value_set] if value_set else {(code.system, code.code) for code in codes or ()}
        return [row for row in rows if wanted & self._at(row, code_path or "")]

    def _at(self, row: Mapping[str, Any], path: str) -> set[Any]:
        value = row.get(path)
        concepts = value if isinstance(value, list) else [value or {}]
        return {(c.get("system"), c.get("code")) for one in concepts for c in one.get("coding", ())}


def ref(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, **more}


def string(text: str) -> dict[str, Any]:
    return {"type": "Literal", "valueType": f"{SYSTEM}String", "value": text}


def listed(*nodes: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "List", "element": list(nodes)}


A, B = ref("CodeRef", "a"), ref("CodeRef", "b")
WITH_A = ["final", "month", "display"]
WITH_B = ["amended", "year"]
WITH_A_OR_B = ["final", "amended", "month", "year", "display"]
CATEGORY = {"property": "category", "comparator": "~", "value": {
    "type": "Code", "code": "lab", "system": {"name": "LOINC"}}}  # fmt: skip


def codes(value: Mapping[str, Any], comparator: str = "~", path: str = "code", **more: Any) -> dict[str, Any]:
    return {"codes": value, "codeProperty": path, "codeComparator": comparator, **more}


FIRST = {"type": "First", "source": {"type": "Retrieve", "dataType": f"{FHIR}Condition",
                                     **codes(listed(A))}}  # fmt: skip
BY_CODE = [
    ("a code", codes({"type": "ToList", "operand": A}), WITH_A),
    ("the property left out", {"codes": {"type": "ToList", "operand": A}}, WITH_A),
    ("codes of a concept", codes({"type": "Property", "source": ref("ConceptRef", "either"), "path": "codes"}), WITH_A_OR_B),
    ("a list", codes(listed(A, B), "in"), WITH_A_OR_B),
    ("a list in a list", codes({"type": "ToList", "operand": listed(A, B)}, "in"), WITH_A_OR_B),
    ("null", codes({"type": "As", "operand": {"type": "Null"}, "asType": f"{SYSTEM}Code"}), []),
    ("a value set", codes(ref("ValueSetRef", "coded", preserve=True), "in"), WITH_A),
    ("its codes", codes({"type": "ExpandValueSet", "operand": ref("ValueSetRef", "coded", preserve=True)}, "in"), WITH_A),
    ("CQL 1.4's value set", codes(ref("ValueSetRef", "coded"), "in"), WITH_A),
    ("a version of it", codes(ref("ValueSetRef", "second", preserve=True), "in"), WITH_B),
    ("a version that is not told apart", codes(ref("ValueSetRef", "third", preserve=True), "in"), WITH_A),
    ("a code system", codes(ref("CodeSystemRef", "LOINC"), "in"),
     [row["id"] for row in RESOURCES if row["resourceType"] == "Observation" and "coding" in row.get("code", {})]),
    ("exactly a code", codes({"type": "ToList", "operand": A}, "="), ["final", "month"]),
    ("exactly a code with its display", codes({"type": "ToList", "operand": ref("CodeRef", "A")}, "="), ["display"]),
    ("the code of another resource", codes({"type": "ToList", "operand": {"type": "Property", "source": FIRST, "path": "code"}}),
     WITH_A),
    ("a string", codes({"type": "ToList", "operand": string("final")}, "=", "status"), ["final", "undated"]),
    ("a string known at run time", codes({"type": "ToList", "operand": ref("ParameterRef", "Text")}, "=", "status"),
     ["final", "undated"]),
    ("an id", codes({"type": "ToList", "operand": string("year")}, "=", "id"), ["year"]),
    ("no element of the type", codes({"type": "ToList", "operand": string("FINAL")}, "=", "status"), []),
    ("one of several categories", codes(listed({"type": "Code", "code": "x", "system": {"name": "LOINC"}}), "~", "category"), []),
    ("two filters", {"codeFilter": [
        {"property": "code", "comparator": "in", "value": ref("ValueSetRef", "coded", preserve=True)},
        {"property": "status", "comparator": "=", "value": string("final")}]}, ["final"]),
    ("the codes and a filter", {**codes(listed(A)), "codeFilter": [
        {"property": "status", "comparator": "=", "value": string("final")}]}, ["final"]),
    ("a second filter by code", {**codes(listed(A)), "codeFilter": [
        {"property": "category", "comparator": "in", "value": ref("CodeSystemRef", "LOINC")}]}, []),
    ("a value set named instead of a code",
     codes(ref("ValueSetRef", "coded", preserve=True), "in", valueSetProperty="method.text"), [*WITH_A, "codeless"]),
    ("an indexed path", codes(ref("CodeSystemRef", "LOINC"), "in", "category[0].coding"), []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("retrieve", "expected"), [row[1:] for row in BY_CODE], ids=[row[0] for row in BY_CODE]
)
def test_by_code(retrieve: dict[str, Any], expected: list[str]) -> None:
    assert found(retrieve) == expected


def test_the_retriever_is_asked_by_code_where_it_can_be() -> None:
    library = loaded(codes({"type": "ToList", "operand": A}, "="))
    assert library.retrieves("Found") == {RetrieveNeed("Observation", "code", (Code("a", LOINC),), None)}
    library = loaded(codes(ref("ValueSetRef", "second", preserve=True), "in"))
    assert library.retrieves("Found") == {RetrieveNeed("Observation", "code", None, f"{CODED}|2")}
    library = loaded(codes({"type": "ToList", "operand": string("final")}, "=", "status"))
    assert library.retrieves("Found") == {RetrieveNeed("Observation", None, None, None)}


BY_ID = [
    ({"id": string("year")}, ["year"]),
    ({"id": string("nobody")}, []),
    ({"id": {"type": "As", "operand": {"type": "Null"}, "asType": f"{SYSTEM}String"}}, []),
    ({"id": string("year"), "idProperty": "id"}, ["year"]),
    ({"id": string("year"), "idSearch": "_id"}, ["year"]),
    ({"id": ref("ParameterRef", "Text")}, ["final"]),
]


@pytest.mark.parametrize(("retrieve", "expected"), BY_ID)
def test_by_id(retrieve: dict[str, Any], expected: list[str]) -> None:
    assert found(retrieve) == expected


DAYS = ref("ParameterRef", "Days")
# A dateTime, a Period and a Timing that lie within June. Of a month, a year and a Period that is open it is not certain:
# "the date is both the same or after the beginning of the range, and the same or before the end" (ELM, Retrieve) is null
# for them, as in `where O.effective during "Days"`.
IN_JUNE = ["final", "amended", "events"]


@pytest.mark.parametrize(
    ("retrieve", "expected"),
    [
        ({"dateRange": DAYS, "dateProperty": "effective"}, IN_JUNE),
        ({"dateFilter": [{"property": "effective", "value": DAYS}]}, IN_JUNE),
        ({"dateRange": DAYS, "dateProperty": "issued"}, ["month"]),
        ({"dateFilter": [{"property": "effective", "value": DAYS}, {"property": "issued", "value": DAYS}]}, []),
        ({"dateFilter": [{"property": "effective", "value": DAYS}], "dateRange": DAYS, "dateProperty": "effective"}, IN_JUNE),
        ({**codes(listed(A)), "dateRange": DAYS, "dateProperty": "effective"}, ["final"]),
        ({"dataType": f"{FHIR}Condition", "dateRange": DAYS, "dateProperty": "onset"}, ["begun"]),
        ({"dataType": f"{FHIR}Condition", "dateRange": DAYS, "dateProperty": "recordedDate"}, ["worded"]),
        ({"dataType": f"{FHIR}Condition", "dateRange": DAYS, "dateLowProperty": "onset", "dateHighProperty": "abatement"},
         ["begun"]),
        ({"dataType": f"{FHIR}Condition", "dateRange": DAYS, "dateLowProperty": "recordedDate"}, []),
    ],
)  # fmt: skip
def test_by_date(retrieve: dict[str, Any], expected: list[str]) -> None:
    assert found(retrieve) == expected


def test_a_range_that_is_null_or_of_dates_or_one_moment() -> None:
    retrieve = {"dateRange": DAYS, "dateProperty": "effective"}
    assert found(retrieve, days=None) == []
    assert found(retrieve, days=Interval(Date(2026, 6, 1), Date(2026, 6, 30))) == IN_JUNE
    moment = DateTime.parse("2026-06-10T13:00:00Z")
    exact = {"dateFilter": [{"property": "effective", "value": DAYS}]}
    assert found(exact, days=Interval(moment, moment)) == ["final"]
    # From the month on, without end.
    assert found(retrieve, days=Interval(MONTH.low, None)) == [
        "final",
        "amended",
        "open",
        "events",
        "scheduled",
    ]


def test_a_date_that_is_none_fails_the_define() -> None:
    rows = [observation("broken", effectiveDateTime="yesterday")]
    retrieve = {"dateRange": DAYS, "dateProperty": "effective"}
    assert "can't be read" in str(result(retrieve, retriever=Coded(rows)).error)


# --- Context ---


class Everybody(Coded):
    """A retriever that has other patients' resources too."""

    def retrieve_of(
        self,
        patient: str | None,
        resource_type: str,
        code_path: str | None,
        codes: Sequence[Code] | None,
        value_set: str | None,
    ) -> Sequence[Mapping[str, Any]]:
        rows = [observation(f"of {patient}"), observation("b of them", "b")]
        return Coded(rows).retrieve(resource_type, code_path, codes, value_set)


def test_an_unfiltered_retrieve_is_never_answered_with_one_patients_resources() -> None:
    made = result({}, context="Unfiltered")
    assert "all patients' resources" in str(made.error)
    assert found({}, context="Unfiltered", retriever=Everybody(RESOURCES)) == ["of None", "b of them"]
    by_code = codes(listed(B))
    assert found(by_code, context="Unfiltered", retriever=Everybody(RESOURCES)) == ["b of them"]


def test_a_define_whose_elm_names_no_context_is_in_the_patient_s() -> None:
    assert found(codes(listed(B)), context=None) == found(codes(listed(B)))


def test_what_belongs_to_no_patient_is_the_same_in_every_context() -> None:
    assert found({"dataType": f"{FHIR}Medication"}, context="Unfiltered") == ["m"]


MOTHER = {"type": "As", "operand": {"type": "Null"}, "asType": f"{FHIR}RelatedPerson"}


def test_a_related_context_is_that_of_another_patient() -> None:
    everybody = Everybody(RESOURCES)
    assert found({"context": string("mother")}, retriever=everybody) == ["of mother", "b of them"]
    assert found({"context": string("1"), **codes(listed(B))}, retriever=everybody) == WITH_B  # this patient
    assert found({"context": ref("ExpressionRef", "Patient"), **codes(listed(B))}) == WITH_B
    assert found({"context": MOTHER}, retriever=everybody) == []
    assert "another patient's resources" in str(result({"context": string("mother")}).error)
    somebody = {"type": "First", "source": {"type": "Retrieve", "dataType": f"{FHIR}Condition"}}
    assert "neither a Patient nor an id" in str(result({"context": somebody}, retriever=everybody).error)


def test_what_another_context_gave_is_among_the_resources_of_the_result() -> None:
    made = result({"context": string("mother")}, retriever=Everybody(RESOURCES))
    assert [row["id"] for row in made.resources] == ["of mother", "b of them"]
    assert made.types == {"Observation"}


# --- Refused ---

REFUSED = [
    ({"otherFilter": [{"property": "status", "comparator": "=", "value": string("x")}]}, "no comparators"),
    ({"include": [{"relatedDataType": f"{FHIR}Patient"}]}, "does not say how included"),
    ({"includedIn": "7"}, "does not say how included"),
    ({"codes": listed(A), "codeSearch": "code"}, "search parameters"),
    ({"dateRange": DAYS, "dateSearch": "date"}, "search parameters"),
    ({"id": string("x"), "idSearch": "identifier"}, "search parameters"),
    ({"context": string("x"), "contextProperty": "subject"}, "the retriever decides"),
    ({"context": listed(string("x"))}, "must not be a list"),
    ({"dateRange": DAYS}, "needs a range and a property"),
    ({"dateRange": DAYS, "dateProperty": "issued", "dateLowProperty": "issued"}, "needs a range and a property"),
    ({"dateRange": DAYS, "dateProperty": "status"}, "no date"),
    ({"dateRange": DAYS, "dateProperty": "nothing"}, "has no element nothing"),
    ({"dateRange": DAYS, "dateProperty": "effective[x]"}, "can't be read"),
    ({"dateFilter": [{"property": "issued", "value": {"type": "Quantity", "value": 1, "unit": "d"}}]}, "by a quantity"),
    (codes(listed(A), "<"), "can't compare codes by '<'"),
    (codes(listed(string("x")), "=", "code"), "can't be compared with a string"),
    (codes(ref("ValueSetRef", "fourth"), "in"), 'no value set "fourth"'),
    ({"dataType": f"{FHIR}Resource"}, "no type that resources have"),
    ({"dataType": f"{FHIR}Quantity"}, "no type that resources have"),
    ({"dataType": f"{FHIR}Nothing"}, "no FHIR resource type"),
]  # fmt: skip


@pytest.mark.parametrize(("retrieve", "said"), REFUSED)
def test_refused_at_load(retrieve: dict[str, Any], said: str) -> None:
    with pytest.raises(AuthoringError, match=said) as refused:
        loaded(retrieve)
    assert 'library Retrieves, define "Found"' in str(refused.value)


@pytest.mark.parametrize("context", ["Practitioner", "Encounter"])
def test_another_context_is_refused(context: str) -> None:
    with pytest.raises(AuthoringError, match=f"the context {context} is not supported"):
        loaded({}, context=context)


def test_an_unfiltered_define_does_not_refer_to_one_patients() -> None:
    """CQL would evaluate "Found" for each patient: what one patient's evaluation gives is not it."""
    main = {"name": "Main", "context": "Unfiltered", "expression": ref("ExpressionRef", "Found")}
    with pytest.raises(AuthoringError, match="defined for one patient"):
        loaded({}, main=main)
