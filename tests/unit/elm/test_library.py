"""Loading: what is read, what is refused, and that a refusal names the place."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from cds_service.elm import Date, load_library
from cds_service.elm.types import IntervalOf
from cds_service.errors import AuthoringError
from tests.unit.elm.nodes import (
    SYSTEM,
    Nothing,
    define,
    evaluated,
    integer,
    library,
    load,
    ref,
    results,
    string,
)

ADD = {"type": "Add", "operand": [integer(1), integer(2)]}


def test_both_forms_of_elm_give_the_same_library() -> None:
    service = library(define("Sum", ADD, accessLevel="Public"))
    jackson = json.loads(json.dumps(service))
    jackson["library"]["type"] = "Library"
    jackson["library"]["statements"]["type"] = "Library$Statements"
    jackson["library"]["statements"]["def"][0]["type"] = "ExpressionDef"
    for form in (service, jackson, json.dumps(service).encode(), service["library"]):
        loaded = load_library([form], main="Test", terminology=Nothing())
        assert (loaded.name, loaded.version, loaded.defines) == ("Test", "1", ("Sum",))
        assert results(loaded)["Sum"].value == 3


def test_the_hash_is_that_of_the_content_not_of_its_layout() -> None:
    one = library(define("Sum", ADD))
    text = json.dumps(one, indent=4).encode()
    assert load(one).elm_sha256 == load_library([text], main="Test", terminology=Nothing()).elm_sha256
    assert load(one).elm_sha256 != load(library(define("Sum", integer(3)))).elm_sha256


def value_set_ref(name: str) -> dict[str, Any]:
    return {"type": "ValueSetRef", "name": name, "preserve": True}


CALL = {"type": "FunctionRef", "name": "F", "operand": [integer(1)]}
FUNCTION = {
    "type": "FunctionDef",
    "name": "F",
    "operand": [
        {"name": "n", "operandTypeSpecifier": {"type": "NamedTypeSpecifier", "name": SYSTEM + "Integer"}}
    ],
}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown node", library(define("It", {"type": "Quux", "localId": "7", "locator": "3:1"})), "Quux"),
    ("a node without a type", library(define("It", {"value": "1"})), "not supported"),
    ("a missing define", library(define("It", ref("Other"))), "Other"),
    ("a missing library alias", library(define("It", ref("X", libraryName="L"))), "alias L"),
    ("a missing function", library(define("It", CALL)), 'no function "F"'),
    ("an external function", library({**FUNCTION, "external": True}, define("It", CALL)), "external"),
    ("a missing parameter", library(define("It", {"type": "ParameterRef", "name": "P"})), "parameter"),
    ("a missing alias", library(define("It", {"type": "AliasRef", "name": "A"})), "alias"),
    ("a missing code", library(define("It", {"type": "CodeRef", "name": "C"})), "code"),
    ("an undeclared value set", library(define("It", value_set_ref("V"))), "value set"),
    ("a define that reads itself", library(define("It", ref("It"))), "recursion"),
    ("defines in a circle", library(define("A", ref("B")), define("B", ref("A"))), "recursion"),
    (
        "a function that calls itself",
        library({**FUNCTION, "expression": CALL}, define("It", CALL)),
        "recursion",
    ),
    ("an operand too few", library(define("It", {"type": "Add", "operand": [integer(1)]})), "malformed"),
    ("a literal out of range", library(define("It", integer(2**31))), "out of range"),
    ("a resource type that FHIR has not", library(define("It", {"type": "Retrieve", "dataType": "{http://hl7.org/fhir}X"})), "X"),
    (
        "an element that the type has not",
        library(
            define("P", {"type": "SingletonFrom", "operand": {"type": "Retrieve", "dataType": "{http://hl7.org/fhir}Patient"}}),
            define("It", {"type": "Property", "path": "colour", "source": ref("P")}),
        ),
        "colour",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("source", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_executed_stops_the_load_and_names_the_place(
    source: dict[str, Any], words: str
) -> None:
    with pytest.raises(AuthoringError, match=words) as refused:
        load(source)
    assert "library Test" in str(refused.value)


def test_a_refusal_names_library_define_node_local_id_and_locator() -> None:
    node = {"type": "Quux", "localId": "7", "locator": "3:1-3:9"}
    with pytest.raises(AuthoringError) as refused:
        load(library(define("It", {"type": "Not", "operand": node})))
    assert 'library Test, define "It", Quux, localId 7, at 3:1-3:9' in str(refused.value)


def test_a_missing_value_set_stops_the_load_even_where_nothing_reads_it() -> None:
    source = library(define("It", integer(1)), valueSets=[{"name": "V", "id": "https://example.org/v"}])
    with pytest.raises(AuthoringError, match=r"https://example\.org/v"):
        load(source)


INCLUDE = [{"localIdentifier": "L", "path": "Other", "version": "1"}]


def test_includes_are_resolved() -> None:
    main = library(define("It", ref("Sum", libraryName="L")), includes=INCLUDE)
    assert results(load(main, library(define("Sum", ADD), name="Other")))["It"].value == 3


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([], "not among the sources"),
        ([library(name="Other") | {}], "version"),
        ([library(name="Other", includes=[{"localIdentifier": "T", "path": "Test"}])], "include each other"),
    ],
)
def test_includes_that_are_missing_mismatched_or_circular_are_refused(others: list[Any], words: str) -> None:
    if words == "version":
        others[0]["library"]["identifier"]["version"] = "2"
        words = "includes Other 1, but 2"
    with pytest.raises(AuthoringError, match=words):
        load(library(define("It", integer(1)), includes=INCLUDE), *others)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"library": {}}', b'{"library": 7}'])
def test_what_is_no_elm_is_refused(text: bytes) -> None:
    with pytest.raises(AuthoringError, match="not an ELM library"):
        load_library([text], main="Test", terminology=Nothing())


def test_elm_that_the_translator_marked_as_wrong_is_refused() -> None:
    source = library(define("It", integer(1)))
    note = {
        "type": "CqlToElmError",
        "errorSeverity": "error",
        "startLine": 3,
        "startChar": 7,
        "message": "No such thing",
    }
    source["library"]["annotation"] = [note]
    with pytest.raises(AuthoringError, match="3:7: No such thing"):
        load(source)


@pytest.mark.parametrize(
    ("uri", "version"), [("http://hl7.org/fhir", "3.0.0"), ("http://hl7.org/fhir/us/qicore", "4.1.1")]
)
def test_another_model_is_refused(uri: str, version: str) -> None:
    source = library(define("It", integer(1)))
    source["library"]["usings"]["def"][1] |= {"uri": uri, "version": version}
    with pytest.raises(AuthoringError, match="FHIR"):
        load(source)


def test_the_same_library_twice_and_an_absent_main_are_refused() -> None:
    source = library(define("It", integer(1)))
    with pytest.raises(AuthoringError, match="twice"):
        load(source, source)
    with pytest.raises(AuthoringError, match="not among"):
        load(source, main="Elsewhere")


def test_an_unread_function_of_an_included_library_may_be_unsupported() -> None:
    other = library({**FUNCTION, "external": True}, define("Sum", ADD), name="Other")
    main = library(define("It", ref("Sum", libraryName="L")), includes=INCLUDE)
    assert results(load(main, other))["It"].value == 3


def test_nesting_without_end_is_refused_and_not_a_crash() -> None:
    node: dict[str, Any] = {"type": "Not", "operand": {"type": "Null"}}
    for _ in range(5000):
        node = {"type": "Not", "operand": node}
    with pytest.raises(AuthoringError, match="nested deeper than 1024 levels of JSON"):
        load(library(define("It", node)))


def test_a_long_chain_of_defines_compiles() -> None:
    chain = [define("D0", integer(0))]
    chain += [
        define(f"D{n}", {"type": "Add", "operand": [ref(f"D{n - 1}"), integer(1)]}) for n in range(1, 120)
    ]
    assert results(load(library(*reversed(chain))))["D119"].value == 119


PARAMETERS = [
    {"name": "Day", "parameterTypeSpecifier": {"type": "NamedTypeSpecifier", "name": SYSTEM + "Date"}},
    {"name": "Number", "default": integer(30)},
]


def test_parameters_reach_included_libraries_by_name() -> None:
    read = {"type": "ParameterRef", "name": "Number"}
    other = library(define("N", read), name="Other", parameters=PARAMETERS[1:])
    main = library(
        define("Day", {"type": "ParameterRef", "name": "Day"}),
        define("Its", ref("N", libraryName="L")),
        includes=INCLUDE,
        parameters=PARAMETERS,
    )
    loaded = load(main, other)
    assert results(loaded)["Its"].value == 30
    assert results(loaded, Number=7)["Its"].value == 7
    assert results(loaded, Day=Date(2026, 6, 15))["Day"].value == Date(2026, 6, 15)
    with pytest.raises(AuthoringError, match="Numbr"):
        results(loaded, Numbr=7)


def test_a_parameter_without_a_stated_type_has_that_of_its_default() -> None:
    """As published ELM has them: `parameter "Measurement Period" default Interval[…]` beside a declared one."""
    day = {"type": "DateTime", **{part: integer(n) for part, n in (("year", 2019), ("month", 1), ("day", 1))}}
    span = {"type": "Interval", "low": day, "high": day, "lowClosed": True, "highClosed": True}
    moment = {"type": "NamedTypeSpecifier", "name": SYSTEM + "DateTime"}
    stated = {
        "name": "Period",
        "parameterTypeSpecifier": {"type": "IntervalTypeSpecifier", "pointType": moment},
    }
    read = define("P", {"type": "ParameterRef", "name": "Period"})
    for mine, its in (
        ({"name": "Period", "default": span}, stated),
        (stated, {"name": "Period", "default": span}),
    ):
        other = library(read, name="Other", parameters=[its])
        loaded = load(library(read, includes=INCLUDE, parameters=[mine, *PARAMETERS]), other)
        assert loaded.parameter_types["Period"] == IntervalOf("System.DateTime")
        assert loaded.parameter_types["Number"] == "System.Integer"
    other = library(name="Other", parameters=[{"name": "Period", "default": integer(3)}])
    with pytest.raises(AuthoringError, match='the parameter "Period" has another type elsewhere'):
        load(library(read, includes=INCLUDE, parameters=[stated]), other)


def test_a_retrieve_and_a_define_of_the_same_number_do_not_displace_each_other() -> None:
    count = {"type": "Count", "source": {"type": "Retrieve", "dataType": "{http://hl7.org/fhir}Observation"}}
    for parts in ([count, ref("A")], [ref("A"), count]):
        loaded = load(library(define("A", integer(1)), define("It", {"type": "List", "element": parts})))
        result = results(loaded)["It"]
        assert result.types == {"Observation"}


def test_an_unknown_define_is_refused() -> None:
    loaded = load(library(define("It", integer(1))))
    with pytest.raises(AuthoringError, match="Nope"):
        loaded.evaluate(["Nope"], retriever=Nothing(), patient=None, parameters={}, now=None)  # type: ignore[arg-type]


def test_a_failure_at_run_time_is_located_at_the_innermost_node() -> None:
    first = {
        "type": "SingletonFrom",
        "locator": "2:5",
        "localId": "3",
        "operand": {"type": "List", "element": [string("a"), string("b")]},
    }
    result = evaluated({"type": "Upper", "locator": "2:1", "operand": first})
    assert result.value is None
    assert result.error is not None
    assert (result.error.local_id, result.error.locator) == ("3", "2:5")


def test_decimal_arithmetic_does_not_depend_on_the_callers_context() -> None:
    third = {
        "type": "Divide",
        "operand": [
            {"type": "ToDecimal", "operand": integer(1)},
            {"type": "ToDecimal", "operand": integer(3)},
        ],
    }
    assert evaluated(third).value == Decimal("0.33333333")
