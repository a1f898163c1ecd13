"""Every expression node type of ELM is executed or refused as `elm_nodes` says, by tests that need no Java.

Most are in the ELM of `operator_table` and of test_fhir's library; those that the translator doesn't make of them
are written by hand here, (ELM, expected value), as ELM's schema describes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from zipfile import ZipFile

import pytest

from cds_service.elm import Code, Concept, Library, Quantity, Time, load_library
from cds_service.elm.operators import BUILDERS
from cds_service.elm.operators.refused import REASONS
from cds_service.errors import AuthoringError
from tests.engine import elm_nodes, test_fhir
from tests.engine.hl7_suite import same
from tests.engine.operator_table import DATA, D
from tests.support import translator
from tests.support.absent import Absent
from tests.unit.elm.nodes import NOW, SYSTEM, Node, Nothing, define, integer, library, ref, string

NULL: Final[Node] = {"type": "Null"}
THIS: Final[Node] = {"type": "Current"}
INDEX: Final[Node] = {"type": "Iteration"}
TOTAL: Final[Node] = {"type": "Total"}
ALS_CODE: Final = ("http://snomed.info/sct", "86044005")


def of(kind: str, *operands: Node, **more: Any) -> Node:
    """An operator and its operands."""
    return {"type": kind, "operand": list(operands) if len(operands) != 1 else operands[0], **more}


def items(*elements: Any) -> Node:
    """A list of integers (None is null) or of nodes."""
    nodes = [NULL if e is None else (integer(e) if isinstance(e, int) else e) for e in elements]
    return {"type": "List", "element": nodes}


def row(**elements: Node) -> Node:
    """A tuple."""
    return {"type": "Tuple", "element": [{"name": name, "value": value} for name, value in elements.items()]}


def quantity(value: int, unit: str) -> Node:
    return {"type": "Quantity", "value": value, "unit": unit}


def path(name: str, source: Node) -> Node:
    return {"type": "Property", "path": name, "source": source}


def code(value: str, system: str | None = ALS_CODE[0]) -> Node:
    parts = {"code": string(value)} | ({"system": string(system)} if system else {})
    elements = [{"name": name, "value": node} for name, node in parts.items()]
    return {"type": "Instance", "classType": SYSTEM + "Code", "element": elements}


SET: Final = {"valueset": {"type": "ValueSetRef", "name": "als", "preserve": True}}
SNOMED: Final = {"codesystem": {"type": "CodeSystemRef", "name": "snomed"}}
ALS, OTHER = code("86044005"), code("1")
FAMILY: Final = row(n=integer(1), sub=items(row(n=integer(2), sub=items(row(n=integer(3), sub=NULL))), NULL))
LOOP: Final = {"type": "Repeat", "source": items(1), "element": of("Add", THIS, integer(1)), "all": True}
# A repetition that comes to an end: 1 → 2 → 3, then 3 again.
UP_TO_3: Final[Node] = {
    "type": "If",
    "condition": of("Less", THIS, integer(3)),
    "then": of("Add", THIS, integer(1)),
    "else": integer(3),
}
ERROR: Final = "an error at run time"

EXAMPLES: Final[list[tuple[Node, Any]]] = [
    # Iteration
    ({"type": "Filter", "source": items(1, 2, 3), "condition": of("Greater", THIS, integer(1))}, [2, 3]),
    ({"type": "Filter", "source": items(1, None), "condition": of("Greater", THIS, integer(0))}, [1]),
    ({"type": "Filter", "source": NULL, "condition": THIS}, None),
    ({"type": "ForEach", "source": items(1, 2), "element": of("Multiply", THIS, integer(2))}, [2, 4]),
    ({"type": "ForEach", "source": items(5, None), "element": THIS}, [5, None]),
    ({"type": "ForEach", "source": items(), "element": THIS}, []),
    ({"type": "ForEach", "source": NULL, "element": THIS}, None),
    ({"type": "ForEach", "source": integer(1), "element": THIS}, ERROR),
    ({"type": "ForEach", "source": items(7, 8), "element": INDEX}, [0, 1]),
    ({"type": "Filter", "source": items(7, 8, 9), "condition": of("Greater", INDEX, integer(0))}, [8, 9]),
    (
        {
            "type": "ForEach",
            "scope": "outer",
            "source": items(1, 2),
            "element": {
                "type": "ForEach",
                "source": items(10, 20),
                "element": of("Add", of("Add", THIS, {"type": "Current", "scope": "outer"}), INDEX),
            },
        },
        [[11, 22], [12, 23]],
    ),
    (
        {
            "type": "ForEach",
            "scope": "outer",
            "source": items(5, 6),
            "element": {"type": "ForEach", "source": items(1, 1), "element": {"type": "Iteration", "scope": "outer"}},
        },
        [[0, 0], [1, 1]],
    ),
    # What doesn't change in the loop is computed once, and anew for another loop.
    (
        {
            "type": "ForEach",
            "source": items(items(1, 2), items(5)),
            "element": {
                "type": "ForEach",
                "scope": "inner",
                "source": {"type": "Current"},
                "element": of("Add", THIS, of("Add", of("Add", integer(1), integer(2)), of("Add", integer(3), integer(4)))),
            },
        },
        [[11, 12], [15]],
    ),
    ({"type": "Repeat", "source": items(1), "element": UP_TO_3}, [2, 3]),
    ({"type": "Repeat", "source": items(FAMILY), "element": path("sub", THIS)}, "the members below"),
    ({"type": "Repeat", "source": items(1, 1), "element": THIS}, [1]),
    ({"type": "Repeat", "source": items(1), "element": NULL}, [None]),
    ({"type": "Repeat", "source": items(1, 1), "element": {**UP_TO_3, "else": NULL}, "all": True}, [2, 2, 3, 3]),
    ({"type": "Repeat", "source": NULL, "element": THIS}, None),
    (LOOP, ERROR),
    (
        {"type": "Aggregate", "source": items(1, 2, 3), "initialValue": integer(10), "iteration": of("Add", TOTAL, THIS)},
        16,
    ),
    (
        {"type": "Aggregate", "source": items(4, None, 5), "initialValue": integer(0), "iteration": of("Add", TOTAL, INDEX)},
        1,
    ),
    (
        {
            "type": "Aggregate",
            "path": "n",
            "source": items(row(n=integer(2)), row(n=NULL), row(n=integer(3))),
            "initialValue": integer(1),
            "iteration": of("Multiply", TOTAL, THIS),
        },
        6,
    ),
    ({"type": "Aggregate", "source": items(), "initialValue": integer(7), "iteration": THIS}, 7),
    ({"type": "Aggregate", "source": items(1, 2), "iteration": of("Coalesce", TOTAL, THIS)}, 1),
    ({"type": "Aggregate", "source": NULL, "initialValue": integer(7), "iteration": THIS}, None),
    (
        {
            "type": "Query",
            "source": [{"alias": "N", "expression": items(1, 2, 3)}],
            "relationship": [],
            "aggregate": {
                "identifier": "R",
                "starting": integer(0),
                "expression": of("Add", TOTAL, {"type": "AliasRef", "name": "N"}),
            },
        },
        6,
    ),
    # Lists
    ({"type": "Sort", "source": items(2, 3, None, 1), "by": [{"type": "ByDirection", "direction": "desc"}]}, [3, 2, 1, None]),
    ({"type": "Sort", "source": NULL, "by": [{"type": "ByDirection", "direction": "asc"}]}, None),
    ({"type": "First", "source": items(row(n=integer(2)), row(n=integer(1))), "orderBy": "n"}, {"n": 1}),
    ({"type": "Last", "source": items(row(n=integer(2)), row(n=integer(1))), "orderBy": "n"}, {"n": 2}),
    ({"type": "Last", "source": NULL, "orderBy": "n"}, None),
    (
        of("Times", items(row(a=integer(1)), row(a=integer(2))), items(row(b=integer(3)))),
        [{"a": 1, "b": 3}, {"a": 2, "b": 3}],
    ),
    (of("Times", items(row(a=integer(1))), items()), []),
    (of("Times", NULL, items()), None),
    ({"type": "Slice", "source": items(1, 2, 3), "startIndex": integer(1), "endIndex": NULL}, [2, 3]),
    ({"type": "Slice", "source": items(1, 2, 3), "startIndex": NULL, "endIndex": integer(2)}, [1, 2]),
    ({"type": "Slice", "source": items(1, 2, 3), "startIndex": integer(2), "endIndex": integer(1)}, []),
    ({"type": "Slice", "source": items(1, 2, 3), "startIndex": integer(5), "endIndex": NULL}, []),
    ({"type": "Slice", "source": items(1, 2, 3), "startIndex": integer(0), "endIndex": integer(9)}, [1, 2, 3]),
    ({"type": "Slice", "source": items(1, 2, 3), "startIndex": of("Negate", integer(1)), "endIndex": NULL}, []),
    ({"type": "Slice", "source": NULL, "startIndex": integer(0), "endIndex": integer(1)}, None),
    (of("EquivalentIn", string("a"), items(string("A"), string("B"))), True),
    (of("EquivalentIn", string("a"), items(string("B"))), False),
    (of("EquivalentIn", NULL, items(None)), True),
    (of("EquivalentIn", string("a"), NULL), False),
    (of("EquivalentContains", items(string("A")), string("a")), True),
    (of("EquivalentContains", items(string("A")), NULL), False),
    (of("EquivalentContains", NULL, string("a")), False),
    (of("ProperContains", items(1, 2), integer(1)), True),
    (of("ProperIn", integer(1), items(1)), False),
    ({"type": "Children", "source": row(a=integer(1), b=items(2, None), c=NULL)}, [1, 2]),
    ({"type": "Children", "source": items(row(a=integer(1)), row(a=integer(2)))}, [1, 2]),
    ({"type": "Children", "source": integer(1)}, []),
    ({"type": "Children", "source": NULL}, None),
    ({"type": "Descendents", "source": row(a=row(b=integer(1)), c=integer(2))}, [{"b": 1}, 2, 1]),
    ({"type": "Descendants", "source": items(row(a=quantity(5, "mg")))}, [Quantity(D(5), "mg"), "mg", D(5)]),
    ({"type": "Descendants", "source": NULL}, None),
    # Numbers and intervals
    (of("Expand", {"type": "Interval", "low": integer(1), "high": integer(10)}, integer(2)), [1, 3, 5, 7, 9]),
    (of("Expand", {"type": "Interval", "low": integer(1), "high": integer(3), "highClosed": False}, NULL), [1, 2]),
    (of("NotEqual", integer(1), integer(2)), True),
    (of("NotEqual", integer(1), NULL), None),
    (of("Comparable", quantity(1, "cm"), quantity(1, "m")), True),
    (of("Comparable", quantity(1, "cm"), quantity(1, "g")), False),
    (of("Comparable", quantity(1, "cm"), NULL), None),
    # Types
    (of("Convert", string("12"), toType=SYSTEM + "Integer"), 12),
    (of("Convert", string("x"), toType=SYSTEM + "Integer"), None),
    (of("CanConvert", string("x"), toType=SYSTEM + "Integer"), False),
    (of("CanConvert", string("12"), toType=SYSTEM + "Integer"), True),
    (of("ToChars", string("abc")), ["a", "b", "c"]),
    (of("ToChars", NULL), None),
    # Date and time
    (of("TimezoneFrom", {"type": "Now"}), D(-3)),
    ({"type": "TimeOfDay"}, Time(12, 0, 0, 0)),
    # Clinical
    ({"type": "Code", "code": "86044005", "system": {"name": "snomed"}}, Code("86044005", ALS_CODE[0])),
    (
        {"type": "Concept", "code": [{"code": "86044005", "system": {"name": "snomed"}}], "display": "ALS"},
        Concept((Code("86044005", ALS_CODE[0]),), "ALS"),
    ),
    ({"type": "CodeRef", "name": "als"}, Code("86044005", ALS_CODE[0])),
    ({"type": "InValueSet", "code": ALS, **SET}, True),
    ({"type": "InValueSet", "code": OTHER, **SET}, False),
    ({"type": "InValueSet", "code": NULL, **SET}, False),
    ({"type": "AnyInValueSet", "codes": items(OTHER, ALS), **SET}, True),
    ({"type": "AnyInValueSet", "codes": items(OTHER, None), **SET}, False),
    ({"type": "ValueSetContains", "code": ALS, **SET}, True),
    ({"type": "ValueSetContainsAny", "codes": items(OTHER), **SET}, False),
    (of("ExpandValueSet", SET["valueset"]), [Code("86044005", ALS_CODE[0])]),
    ({"type": "InCodeSystem", "code": ALS, **SNOMED}, True),
    ({"type": "InCodeSystem", "code": code("1", "http://loinc.org"), **SNOMED}, False),
    ({"type": "InCodeSystem", "code": code("1", None), **SNOMED}, False),
    ({"type": "InCodeSystem", "code": NULL, **SNOMED}, False),
    ({"type": "AnyInCodeSystem", "codes": items(code("1", "http://loinc.org"), ALS), **SNOMED}, True),
    ({"type": "CodeSystemContains", "code": ALS, **SNOMED}, True),
    ({"type": "CodeSystemContainsAny", "codes": items(code("1", "http://loinc.org")), **SNOMED}, False),
]  # fmt: skip
MEMBERS_BELOW = [{"n": 2, "sub": [{"n": 3, "sub": None}]}, None, {"n": 3, "sub": None}]


def loaded(expression: Node) -> Library:
    """A library of one define, `It`, beside a code system, a code and a value set."""
    source = library(
        define("It", expression),
        codeSystems=[{"name": "snomed", "id": ALS_CODE[0]}],
        codes=[{"name": "als", "id": "86044005", "codeSystem": {"name": "snomed"}}],
        valueSets=[{"name": "als", "id": test_fhir.ALS}],
    )
    return load_library([source], main="Test", terminology=test_fhir.Sets())


@pytest.mark.parametrize(
    ("node", "expected"), EXAMPLES, ids=[f"{n}-{node['type']}" for n, (node, _) in enumerate(EXAMPLES)]
)
def test_a_node_written_by_hand(node: Node, expected: Any) -> None:
    result = loaded(node).evaluate(None, retriever=Nothing(), patient=None, parameters={}, now=NOW)["It"]
    if expected == ERROR:
        assert result.error is not None
        assert result.error.define == "It"
        return
    assert result.error is None
    wanted = MEMBERS_BELOW if expected == "the members below" else expected
    assert plainly(result.value) == wanted or same(result.value, wanted), f"is {result.value!r}"


def plainly(value: Any) -> Any:
    """Tuples as dicts, for comparison."""
    if isinstance(value, list):
        return [plainly(item) for item in value]
    return {name: plainly(item) for name, item in value.items()} if isinstance(value, dict) else value


def _types(node: Any) -> Iterator[str]:
    """The node types in a piece of ELM."""
    if isinstance(node, dict):
        if isinstance(node.get("type"), str):
            yield node["type"]
        for child in node.values():
            yield from _types(child)
    elif isinstance(node, list):
        for child in node:
            yield from _types(child)


def test_the_table_names_each_node_type_once_and_every_one_that_is_built() -> None:
    assert len(elm_nodes.names()) == len(set(elm_nodes.names()))
    assert set(elm_nodes.names()) == BUILDERS.keys()
    assert elm_nodes.LIMITS.keys() | elm_nodes.TRIAL_USE <= set(elm_nodes.names())


def test_each_node_type_that_is_supported_is_executed_by_a_test() -> None:
    executed = set(_types([node for node, _ in EXAMPLES]))
    for file in (DATA / "Operators.elm.json", DATA / "fhir" / "Fhir.elm.json"):
        executed |= set(_types(json.loads(file.read_text(encoding="utf-8"))))
    assert [name for name in elm_nodes.names() if elm_nodes.supported(name) and name not in executed] == []


@pytest.mark.parametrize("name", sorted(REASONS))
def test_a_node_type_that_is_refused_stops_the_load_and_says_why(name: str) -> None:
    with pytest.raises(AuthoringError, match=re.escape(REASONS[name])) as refused:
        loaded(of("IsNull", {"type": name, "localId": "7", "operand": [ALS, OTHER]}))
    assert 'define "It"' in str(refused.value)
    assert "localId 7" in str(refused.value)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (THIS, "no $this here"),
        (TOTAL, "no $total here"),
        ({"type": "ForEach", "source": items(1), "element": TOTAL}, "no $total here"),
        ({"type": "ForEach", "source": items(1), "element": {"type": "Iteration", "scope": "x"}}, "no $index here"),
        (
            # In the query's rows, $index is not the ForEach's.
            {
                "type": "ForEach",
                "source": items(1),
                "element": {
                    "type": "Query",
                    "source": [{"alias": "A", "expression": items(1, 2)}],
                    "relationship": [],
                    "return": {"expression": INDEX},
                },
            },
            "no $index here",
        ),
        ({"type": "InCodeSystem", "code": {**string("1"), "resultTypeName": SYSTEM + "String"}, **SNOMED}, "code system"),
        ({"type": "Frobnicate"}, "'Frobnicate' is not supported"),
    ],
    ids=["Current", "Total", "Total in ForEach", "Iteration of no scope", "Iteration in a query", "string", "unknown"],
)  # fmt: skip
def test_what_has_no_meaning_where_it_stands_stops_the_load(node: Node, message: str) -> None:
    with pytest.raises(AuthoringError, match=re.escape(message)):
        loaded(node)


def test_a_define_is_seen_from_inside_an_iteration() -> None:
    doubled = {"type": "ForEach", "source": ref("Numbers"), "element": of("Multiply", THIS, ref("Factor"))}
    source = library(define("Numbers", items(1, 2)), define("Factor", integer(3)), define("It", doubled))
    found = load_library([source], main="Test", terminology=Nothing()).evaluate(
        ["It"], retriever=Nothing(), patient=None, parameters={}, now=NOW
    )
    assert found["It"].value == [3, 6]


# Classes of the translator's ELM that are no expressions.
_NO_EXPRESSIONS: Final = (
    "AccessModifier AggregateClause AggregateExpression AliasedQuerySource BinaryExpression ByColumn ByDirection "
    "ByExpression CaseItem ChoiceTypeSpecifier CodeDef CodeFilterElement CodeSystemDef ConceptDef ContextDef "
    "DateFilterElement DateTimePrecision Element Expression ExpressionDef FunctionDef IncludeDef IncludeElement "
    "InstanceElement IntervalTypeSpecifier LetClause Library ListTypeSpecifier NamedTypeSpecifier NaryExpression "
    "ObjectFactory OperandDef OperatorExpression OtherFilterElement ParameterDef ParameterTypeSpecifier "
    "RelationshipClause ReturnClause SortByItem SortClause SortDirection TernaryExpression TupleElement "
    "TupleElementDefinition TupleTypeSpecifier TypeSpecifier UnaryExpression UsingDef ValueSetDef VersionedIdentifier "
    "With Without"
)


@pytest.mark.java
def test_the_table_has_every_node_type_that_the_translator_can_make() -> None:
    try:
        translator.require()
    except Absent as absent:
        pytest.skip(str(absent))
    package = re.compile(r"org/hl7/elm/r1/(\w+)\.class")
    jar = next(translator.JARS.glob("elm-[0-9]*.jar"))
    with ZipFile(jar) as archive:
        classes = {found[1] for name in archive.namelist() if (found := package.fullmatch(name))}
    assert len(classes) > 200
    assert classes - set(_NO_EXPRESSIONS.split()) <= set(elm_nodes.names())
