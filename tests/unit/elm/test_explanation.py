"""The explanation of a define: what its one evaluation read, as a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cds_service.elm import Code, ExplainedRetrieve, Explanation, Library, Result, load_library
from cds_service.elm.values import ValueSet
from tests.unit.elm.nodes import NOW, SYSTEM, define, integer, library, load, ref, results, string

FHIR = "{http://hl7.org/fhir}"
SNOMED, ICD = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10"
ALS = "https://example.org/ValueSet/als"
CONDITION = {
    "resourceType": "Condition",
    "id": "c1",
    "code": {
        "coding": [{"system": ICD, "code": "G12.2"}, {"system": SNOMED, "code": "86044005", "display": "ALS"}]
    },
}
REQUEST = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "medicationCodeableConcept": {"coding": [{"system": SNOMED, "code": "1"}, "not a coding"]},
}
INCLUDES = [{"localIdentifier": "L", "path": "Other", "version": "1"}]
RATIO = {"type": "Divide", "localId": "9", "locator": "4:1", "operand": [integer(1), ref("Text")]}


class World:
    """A record of two resources, asked by type and code, and a terminology of one value set."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Mapping[str, Any]]:
        self.asked.append(resource_type)
        found = [r for r in (CONDITION, REQUEST) if r["resourceType"] == resource_type]
        return found if codes is None or any(code.code != "none" for code in codes) else []

    def has_value_set(self, url: str) -> bool:
        return url == ALS

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        return (system, code, url) == (SNOMED, "86044005", ALS)

    def expand(self, url: str) -> Sequence[Code]:
        return [Code("86044005", SNOMED)]


def retrieve(
    resource_type: str, path: str | None = None, codes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    node: dict[str, Any] = {"type": "Retrieve", "dataType": FHIR + resource_type}
    return node if codes is None else {**node, "codeProperty": path, "codes": codes}


def codes(*wanted: tuple[str, str]) -> dict[str, Any]:
    return {"type": "List", "element": [{"type": "CodeRef", "name": code} for _, code in wanted]}


def world(*sources: Mapping[str, Any]) -> tuple[Library, World]:
    ports = World()
    return load_library(sources, main="Test", terminology=ports), ports


def run(loaded: Library, ports: World, **parameters: Any) -> dict[str, Result]:
    return loaded.evaluate(None, retriever=ports, patient=None, parameters=parameters, now=NOW)


def told(explanation: Explanation) -> list[str]:
    """The tree as indented lines: a define's name, `again` where it stood before, a retrieve's type."""
    return [
        "  " * depth
        + (node.define if isinstance(node, Explanation) else f"[{node.resource_type}]")
        + " again" * again
        for depth, node, again in explanation.walk()
    ]


def test_a_define_read_twice_stands_once_in_full() -> None:
    made = library(
        define("A", {"type": "Count", "source": retrieve("Condition")}),
        define("B", {"type": "Add", "operand": [ref("A"), integer(1)]}),
        define("It", {"type": "List", "element": [ref("B"), ref("A"), ref("A")]}),
    )
    loaded, ports = world(made)
    explanation = run(loaded, ports)["It"].explain()
    assert told(explanation) == ["It", "  B", "    A", "      [Condition]", "  A again"]
    assert [node.define for node in explanation.bottom_up()] == ["A", "B", "It"]
    assert [node.value for node in explanation.bottom_up()] == [1, 2, [2, 1, 1]]
    assert explanation.children[1] is explanation.children[0].children[0]  # type: ignore[union-attr]


def test_what_was_not_reached_is_not_part_of_it() -> None:
    either = {"type": "Or", "operand": [ref("Yes"), {"type": "Exists", "operand": retrieve("Condition")}]}
    yes = {"type": "Literal", "valueType": SYSTEM + "Boolean", "value": "true"}
    loaded, ports = world(library(define("Yes", yes), define("It", either)))
    assert told(run(loaded, ports)["It"].explain()) == ["It", "  Yes"]


def test_defines_of_included_libraries_carry_their_librarys_name_and_place() -> None:
    other = library(define("Sum", integer(3), locator="7:1-7:20"), name="Other")
    loaded, ports = world(library(define("It", ref("Sum", libraryName="L")), includes=INCLUDES), other)
    (child,) = run(loaded, ports)["It"].explain().children
    assert isinstance(child, Explanation)
    assert (child.define, child.name, child.library) == ("Other.Sum", "Sum", "Other")
    assert (child.locator, child.value, child.type) == ("7:1-7:20", 3, "System.Integer")


def test_a_retrieve_tells_what_was_asked_and_which_codings_fitted() -> None:
    made = library(
        define(
            "By Set", retrieve("Condition", "code", {"type": "ValueSetRef", "name": "ALS", "preserve": True})
        ),
        define("By Code", retrieve("MedicationRequest", "medication", codes(("S", "drug")))),
        define("Loosely", retrieve("Condition", "code", codes(("I", "undotted")))),
        define("All", retrieve("Condition")),
        valueSets=[{"name": "ALS", "id": ALS}],
        codeSystems=[{"name": "S", "id": SNOMED}, {"name": "I", "id": ICD}],
        codes=[
            {"name": "drug", "id": "1", "display": "A drug", "codeSystem": {"name": "S"}},
            {"name": "undotted", "id": "g122", "codeSystem": {"name": "I"}},
        ],
    )
    loaded, ports = world(made)
    retrieves = {name: result.explain().children[0] for name, result in run(loaded, ports).items()}
    assert all(isinstance(node, ExplainedRetrieve) for node in retrieves.values())
    by_set: Any = retrieves["By Set"]
    by_code: Any = retrieves["By Code"]
    assert by_set.value_set == ValueSet(ALS, None, "ALS")
    assert by_set.codes == (Code("86044005", SNOMED),)
    assert by_set.found[0].resource is CONDITION
    assert by_set.found[0].codings == (Code("86044005", SNOMED, None, "ALS"),)
    assert (by_code.resource_type, by_code.code_path, by_code.value_set) == (
        "MedicationRequest",
        "medication",
        None,
    )
    assert by_code.codes == (Code("1", SNOMED, None, "A drug"),)
    assert by_code.found[0].codings == (Code("1", SNOMED),)
    assert retrieves["Loosely"].found[0].codings == (Code("G12.2", ICD),)  # type: ignore[union-attr]
    assert retrieves["All"].codes is None  # type: ignore[union-attr]
    assert retrieves["All"].found[0].codings == ()  # type: ignore[union-attr]


def test_codes_computed_at_run_time_are_told_as_well() -> None:
    chosen = {
        "type": "If",
        "condition": {"type": "IsNull", "operand": ref("None")},
        "then": codes(("S", "drug")),
    }
    made = library(
        define("None", {"type": "Null"}),
        define("It", retrieve("Condition", "code", {**chosen, "else": {"type": "Null"}})),
        codeSystems=[{"name": "S", "id": SNOMED}],
        codes=[{"name": "drug", "id": "86044005", "codeSystem": {"name": "S"}}],
    )
    loaded, ports = world(made)
    _, asked = run(loaded, ports)["It"].explain().children
    assert isinstance(asked, ExplainedRetrieve)
    assert asked.codes == (Code("86044005", SNOMED, None, "drug"),)  # by the name that the library has for it
    assert [found.codings for found in asked.found] == [(Code("86044005", SNOMED, None, "ALS"),)]


def test_what_a_function_reads_belongs_to_the_define_that_calls_it() -> None:
    count = {"type": "Count", "source": retrieve("Condition")}
    body = {"type": "Add", "operand": [count, {"type": "ParameterRef", "name": "P"}]}
    made = library(
        {"type": "FunctionDef", "name": "F", "expression": body},
        define("It", {"type": "FunctionRef", "name": "F", "operand": []}),
        define("Unrelated", {"type": "ParameterRef", "name": "Q"}),
        parameters=[
            {"name": "P", "default": integer(4)},
            {"name": "Q", "default": integer(5)},
        ],
    )
    loaded, ports = world(made)
    explanation = run(loaded, ports)["It"].explain()
    assert told(explanation) == ["It", "  [Condition]"]
    assert explanation.value == 5
    assert explanation.parameters == {"P": 4}
    assert run(loaded, ports, P=7)["It"].explain().parameters == {"P": 7}


def test_a_failing_define_and_those_that_read_it_show_the_place() -> None:
    made = library(
        define("Text", string("a")),
        define("Ratio", RATIO, locator="4:1-4:9"),
        define("Fine", integer(2)),
        define("It", {"type": "List", "element": [ref("Fine"), ref("Ratio")]}),
    )
    loaded, ports = world(made)
    explanation = run(loaded, ports)["It"].explain()
    errors = {node.define: node.error for node in explanation.bottom_up()}
    assert list(errors) == ["Fine", "Text", "Ratio", "It"]
    assert errors["Fine"] is None
    error = errors["It"]
    assert error is not None
    assert error is errors["Ratio"]
    assert (error.define, error.local_id, error.locator) == ("Ratio", "9", "4:1")
    assert explanation.value is None


def test_a_long_chain_of_defines_is_explained_without_recursion() -> None:
    length = 1_500  # beyond the interpreter's own limit
    links = (
        define(f"D{n}", {"type": "Add", "operand": [ref(f"D{n - 1}"), integer(1)]}) for n in range(1, length)
    )
    made = results(load(library(define("D0", integer(0)), *links)))
    explanation = made[f"D{length - 1}"].explain()
    assert [node.value for node in explanation.bottom_up()] == list(range(length))
    assert sum(1 for _ in explanation.walk()) == length
    assert "children" not in repr(explanation)


def test_explaining_asks_nothing_again_and_nothing_is_explained_before() -> None:
    made = library(
        define("A", {"type": "Count", "source": retrieve("Condition")}),
        define("It", {"type": "List", "element": [ref("A"), ref("A")]}),
    )
    loaded, ports = world(made)
    result = run(loaded, ports)["It"]
    assert ports.asked == ["Condition"]
    result.explain()
    result.explain()
    assert ports.asked == ["Condition"]


def test_a_result_that_nobody_evaluated_has_no_explanation() -> None:
    with pytest.raises(ValueError, match="no evaluation"):
        Result(1, (), frozenset()).explain()
