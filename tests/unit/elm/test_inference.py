"""Types of ELM that states none: never more certain than what its operands say."""

from __future__ import annotations

import pytest

from cds_service.elm.inference import inferred, merged
from cds_service.elm.types import ChoiceOf, IntervalOf, ListOf, StaticType, TupleOf
from tests.unit.elm.nodes import SYSTEM, Node, define, evaluated, integer, library, load, results

A, B = "FHIR.Condition", "FHIR.Procedure"
EITHER = ChoiceOf((A, B))


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], None),
        ([None, "System.Any"], None),
        ([A, None, A], A),
        ([A, B], EITHER),
        ([A, B, A], EITHER),
        ([ListOf(A), ListOf(B), ListOf(A)], ListOf(EITHER)),
        ([ListOf(None), ListOf(A)], ListOf(A)),
        ([IntervalOf("System.Date"), IntervalOf(None)], IntervalOf("System.Date")),
        ([TupleOf((("x", A),)), TupleOf((("x", B),)), TupleOf((("x", A),))], TupleOf((("x", EITHER),))),
        ([ListOf(A), B], ChoiceOf((ListOf(A), B))),
    ],
)
def test_types_that_part_stay_parted_whatever_comes_after(
    kinds: list[StaticType], expected: StaticType
) -> None:
    assert merged(kinds) == expected


def test_branches_that_part_are_not_decided_by_an_outer_branch() -> None:
    then, other = {"type": "X"}, {"type": "Y"}
    inner = {"type": "If", "then": then, "else": other}
    types = {id(then): A, id(other): B}
    types[id(inner)] = inferred(inner, types)  # type: ignore[assignment]
    outer = {"type": "If", "then": then, "else": inner}
    assert inferred(outer, types) == EITHER


def test_an_expanded_interval_is_a_list() -> None:
    interval = {
        "type": "Interval", "lowClosed": True, "highClosed": True, "low": integer(1), "high": integer(4)
    }  # fmt: skip
    expanded: Node = {"type": "Expand", "operand": [interval, {"type": "Null"}]}
    row = {"type": "Add", "operand": [{"type": "AliasRef", "name": "X"}, integer(1)]}
    query = {
        "type": "Query", "source": [{"alias": "X", "expression": expanded}], "relationship": [],
        "return": {"expression": row},
    }  # fmt: skip
    assert evaluated(query).value == [2, 3, 4, 5]


def test_an_argument_of_unknown_type_has_the_frame_that_its_own_loops_need() -> None:
    items = {"type": "List", "element": [{"type": "ParameterRef", "name": "P"}]}
    either = {"type": "Coalesce", "operand": [{"type": "Total"}, {"type": "Current"}]}
    argument = {"type": "Aggregate", "source": items, "iteration": either}
    element = {"type": "NamedTypeSpecifier", "name": "{http://hl7.org/fhir}string"}
    function = {
        "type": "FunctionDef", "name": "Absent", "context": "Patient",
        "operand": [{"name": "It", "operandTypeSpecifier": element}],
        "expression": {"type": "IsNull", "operand": {"type": "OperandRef", "name": "It"}},
    }  # fmt: skip
    call = define("It", {"type": "FunctionRef", "name": "Absent", "operand": [argument]})
    parameter = {
        "name": "P",
        "parameterTypeSpecifier": {"type": "NamedTypeSpecifier", "name": SYSTEM + "Any"},
    }
    loaded = load(library(function, call, parameters=[parameter]))
    assert results(loaded, P="x")["It"].value is False
