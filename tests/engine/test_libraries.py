"""Several libraries: includes, equal names, parameters, overloads, access; recursion and private definitions refused.

The CQL is in `data/libraries`: Top includes Left, Right and Base, and both of those include Base.
"""

from __future__ import annotations

import copy
import re
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
import pytest

from cds_service.elm import Date, DateTime, Interval, Library, Quantity, load_library
from cds_service.errors import AuthoringError
from cds_service.translation import stale
from tests.engine.operator_table import DATA
from tests.engine.test_fhir import NOW, PATIENT, Record, Sets

FOLDER = DATA / "libraries"
NAMES = ("Base", "Left", "Right", "Top")
RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Observation", "id": "o1", "status": "final", "valueQuantity": {"value": 1}},
    {"resourceType": "Observation", "id": "o2", "status": "draft"},
    {"resourceType": "Condition", "id": "c1"},
]


def sources() -> dict[str, Any]:
    """The parsed ELM by library."""
    found = {name: orjson.loads((FOLDER / f"{name}.elm.json").read_bytes()) for name in NAMES}
    found["FHIRHelpers"] = orjson.loads((files("cds_service.trials") / "FHIRHelpers.elm.json").read_bytes())
    return found


def load(given: dict[str, Any]) -> Library:
    return load_library(list(given.values()), main="Top", terminology=Sets())


@cache
def library() -> Library:
    return load(sources())


def values(**parameters: Any) -> dict[str, Any]:
    results = library().evaluate(
        None, retriever=Record(RESOURCES), patient=PATIENT, parameters=parameters, now=NOW
    )
    assert not [result.error for result in results.values() if result.error]
    return {name: result.value for name, result in results.items()}


START, OTHER = (
    DateTime.parse("2026-01-01T00:00:00.000-03:00"),
    DateTime.parse("2025-01-01T00:00:00.000-03:00"),
)
VALUES: dict[str, Any] = {
    "Same name": "of Top",
    "Names": ["of Top", "of Left", "of Right", "of Base", "of Left, of Base"],
    "Codes": ["left", "base", "base"],
    "Limits": [7, 5, 5],
    "Kinds of Left": ["Integer of Left", "Integer"],
    "Observations of all": [2, 1, 2],
    "Shown": "hidden and shown",
    "Period": [START, START],
    "Days": None,
    "Own dose": Quantity(5, "mg"),
    "Overloads": [
        "Integer", "Decimal", "String", "List<Integer>", "List<String>", "Interval<Integer>", "Interval<DateTime>",
        "FHIR.Quantity", "FHIR.Observation", "FHIR.DomainResource", "Choice<Date, Time>", "Choice<Date, Time>",
        "two Integers", "Tuple { a Integer }",
    ],
    "Fluent": [4, 6],
    "Fluent text": "abab",
    "Fluent list": ["o1", "o2"],
    "Shadowed": [11, 12],
    "Aliases": [[11, 21], [12, 22]],
    "Hiding": [2, 3],
}  # fmt: skip


def test_definitions_of_several_libraries_are_told_apart() -> None:
    assert values() == VALUES


def test_a_parameter_is_set_for_one_library_or_for_all() -> None:
    assert values(**{"Left.Limit": 1})["Limits"] == [1, 5, 5]
    assert values(**{"Base.Limit": 1})["Limits"] == [7, 1, 1]
    assert values(Limit=1)["Limits"] == [1, 1, 1]
    period = Interval(OTHER, START)
    assert values(Period=period)["Period"] == [OTHER, OTHER]
    days = Interval(Date(2026, 1, 1), Date(2026, 1, 31))
    assert values(Days=days)["Days"] == days
    assert values(Own=Quantity(6, "mg"))["Own dose"] == Quantity(6, "mg")


def test_a_parameter_that_no_library_has_is_refused() -> None:
    with pytest.raises(AuthoringError, match=r"no parameter Right\.Limit"):
        values(**{"Right.Limit": 1})


def test_a_library_that_two_others_include_is_evaluated_once() -> None:
    record = Record(RESOURCES)
    library().evaluate(["Observations of all"], retriever=record, patient=PATIENT, parameters={}, now=NOW)
    assert record.asked == [("Observation", None)]


# --- Refused ---


def statements(given: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = given[name]["library"]["statements"]["def"]
    return found


def define(name: str, expression: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "context": "Patient", "expression": expression}


def function(name: str, expression: dict[str, Any]) -> dict[str, Any]:
    operand = {
        "name": "x",
        "operandTypeSpecifier": {"type": "NamedTypeSpecifier", "name": "{urn:hl7-org:elm-types:r1}Integer"},
    }
    return {**define(name, expression), "type": "FunctionDef", "operand": [operand]}


def ref(name: str, library: str | None = None) -> dict[str, Any]:
    return {"type": "ExpressionRef", "name": name, **({"libraryName": library} if library else {})}


def call(name: str, library: str | None = None) -> dict[str, Any]:
    one = {"type": "Literal", "valueType": "{urn:hl7-org:elm-types:r1}Integer", "value": "1"}
    return {
        "type": "FunctionRef",
        "name": name,
        "operand": [one],
        **({"libraryName": library} if library else {}),
    }


RECURSIONS = {
    "a define of itself": [define("A", {"type": "Not", "operand": ref("A")})],
    "two defines of each other": [define("A", ref("B")), define("B", ref("A"))],
    "three": [define("A", ref("B")), define("B", ref("C")), define("C", ref("A"))],
    "a function of itself": [function("f", call("f"))],
    "two functions of each other": [function("f", call("g")), function("g", call("f"))],
    "a define by a function": [define("A", call("f")), function("f", ref("A"))],
    "within a query": [define("A", {"type": "Query", "source": [{"alias": "X", "expression": ref("A")}]})],
}


@pytest.mark.parametrize("given", RECURSIONS.values(), ids=RECURSIONS)
@pytest.mark.parametrize("where", ["Top", "Base"])
def test_recursion_is_refused_with_its_place(given: list[dict[str, Any]], where: str) -> None:
    all_ = sources()
    statements(all_, where).extend(copy.deepcopy(given))
    if where == "Base":
        first = given[0]
        again = call(first["name"], "Base") if first.get("type") else ref(first["name"], "Base")
        statements(all_, "Top").append(define("Through Top", again))
    with pytest.raises(AuthoringError, match="recursion is not allowed") as refused:
        load(all_)
    assert re.search(rf'library {where}, define "[ABCfg]"', str(refused.value))


def test_libraries_that_include_each_other_are_refused() -> None:
    all_ = sources()
    all_["Base"]["library"]["includes"]["def"].append(
        {"localIdentifier": "T", "path": "Top", "version": "1.0.0"}
    )
    with pytest.raises(AuthoringError, match=r"include each other: Top → .*Base → Top"):
        load(all_)


@pytest.mark.parametrize(
    ("table", "name", "reference"),
    [
        ("statements", "Hidden", ref("Hidden", "Base")),
        ("statements", "Kind", call("Kind", "Base")),
        ("parameters", "Limit", {"type": "ParameterRef", "name": "Limit", "libraryName": "Base"}),
        ("codes", "Code", {"type": "CodeRef", "name": "Code", "libraryName": "Base"}),
        ("codeSystems", "LOINC", {"type": "CodeSystemRef", "name": "LOINC", "libraryName": "Base"}),
    ],
)
def test_what_is_private_is_not_to_be_had_from_another_library(
    table: str, name: str, reference: dict[str, Any]
) -> None:
    """ "Private components can only be accessed within the library itself" (Developer's Guide, Access Modifiers)."""
    all_ = sources()
    for node in all_["Base"]["library"][table]["def"]:
        if node["name"] == name:
            node["accessLevel"] = "Private"
    statements(all_, "Top")[:] = [define("A", reference)]
    with pytest.raises(AuthoringError, match=f'"{name}" is private to its library') as refused:
        load(all_)
    assert 'library Top, define "A"' in str(refused.value)


def test_an_overload_that_does_not_exist_is_refused() -> None:
    all_ = sources()
    statements(all_, "Top").append(define("A", {**call("Kind", "Base"), "operand": []}))
    with pytest.raises(AuthoringError, match='no function "Kind" with 0 operands'):
        load(all_)


def test_the_elm_is_that_of_the_cql() -> None:
    assert stale(FOLDER) == []
