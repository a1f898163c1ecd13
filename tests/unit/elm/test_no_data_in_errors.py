"""No value of the record is ever in an error: not in its message, nor in what it carries for the log."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import pytest

from cds_service.elm import Library, load_library
from cds_service.elm.operators import BUILDERS
from cds_service.errors import AuthoringError, EvaluationError
from tests.unit.elm.mutations import places
from tests.unit.elm.nodes import NOW, SYSTEM, Nothing, define, integer, library, string
from tests.unit.elm.test_mutations import OBSERVATION, PATIENT, QUERY, _property, some_helpers

SECRET = "Joana4711"
SECRETS: Sequence[Any] = (
    SECRET,
    {SECRET: SECRET},
    [SECRET],
    [{SECRET: 4711.4711}],
    4711.4711,
    "4711-47-11",
    f"({SECRET}",
)
FHIR = "{http://hl7.org/fhir}"


class Chart(Nothing):
    """A record of one observation and one patient."""

    def __init__(self, *resources: Any) -> None:
        self.resources = resources

    def retrieve(self, *wanted: Any) -> list[Any]:
        return [each for each in self.resources if each.get("resourceType") == wanted[0]]

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        raise LookupError(f"{system}|{code}")


def assert_silent(error: EvaluationError | None) -> bool:
    """Whether there is an error; it must not speak of the data."""
    if error is None:
        return False
    told = repr((str(error), error.args, vars(error)))
    assert "Joana" not in told, told
    assert "4711" not in told, told
    return True


def evaluate(loaded: Library, *resources: Any) -> list[EvaluationError | None]:
    found = loaded.evaluate(None, retriever=Chart(*resources), patient=None, parameters={}, now=NOW)
    return [result.error for result in found.values()]


OBSERVED = {"type": "First", "source": {"type": "Retrieve", "dataType": FHIR + "Observation"}}
IDENTITY = {"type": "FunctionDef", "name": "Any", "operand": [{"name": "x", "operandType": SYSTEM + "Any"}], "expression": {"type": "OperandRef", "name": "x"}}  # fmt: skip


def of_data(path: str) -> dict[str, Any]:
    """An element of the data, its type unknown."""
    return {"type": "FunctionRef", "name": "Any", "operand": [_property(path, OBSERVED)]}


OPERANDS = (
    of_data("id"),
    of_data("code"),
    of_data("category"),
    _property("value", of_data("value")),
    integer(2),
)


def applications(kind: str) -> list[dict[str, Any]]:
    """An operator applied to the data in every way that ELM writes operands."""
    made: list[dict[str, Any]] = []
    common = {"type": kind, "precision": "Day", "asType": SYSTEM + "Quantity", "isType": SYSTEM + "Date", "toType": SYSTEM + "Quantity", "strict": True, "name": "x", "path": "x", "preserve": True}  # fmt: skip
    for one, two in product(OPERANDS, repeat=2):
        made.append({**common, "operand": [one, two]})
    for one in OPERANDS:
        made += [
            {**common, "operand": one},
            {**common, "operand": [one, {"type": "List", "element": [one]}]},
            {**common, "operand": [one, one, one]},
            {**common, "source": one},
            {**common, "source": {"type": "List", "element": [one, of_data("id")]}, "separator": one},
            {**common, "source": one, "condition": {"type": "IsNull", "operand": {"type": "Null"}}, "severity": string("Error"), "code": one, "message": one},
            {**common, "low": one, "high": integer(1), "year": one, "month": one, "hour": one, "element": [one]},
            {**common, "string": one, "pattern": one, "stringToSub": one, "startIndex": one, "stringToSplit": one, "separatorPattern": one},
        ]  # fmt: skip
    return made


@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_an_operator_that_fails_says_nothing_of_its_operands(kind: str) -> None:
    failed = 0
    secret = {"id": SECRET, "code": {"text": SECRET}, "category": [SECRET], "valueString": SECRET}
    for node in applications(kind):
        try:
            loaded = load_library([library(IDENTITY, define("It", node))], main="Test", terminology=Nothing())
        except AuthoringError:
            continue
        for error in evaluate(loaded, {"resourceType": "Observation", **secret}):
            failed += assert_silent(error)
    assert failed >= (3 if kind in ("Add", "Less", "Message", "SingletonFrom", "Start") else 0)


@cache
def libraries() -> tuple[Library, ...]:
    condition = {"type": "InValueSet", "code": of_data("code"), "valuesetExpression": {"type": "Null"}}
    own = library(IDENTITY, define("Query", QUERY), define("In", condition))
    return tuple(
        load_library([source], main="Test", terminology=Nothing()) for source in (own, some_helpers())
    )


@pytest.mark.parametrize("block", range(4))
def test_data_of_another_shape_is_not_told(block: int) -> None:
    failed = 0
    for seed in range(block * 150, block * 150 + 150):
        chance = random.Random(seed)
        resources = [mutate(chance, each) for each in (OBSERVATION, PATIENT)]
        for loaded in libraries():
            for error in evaluate(loaded, *resources):
                failed += assert_silent(error)
    assert failed > 5


def mutate(chance: random.Random, resource: Any) -> Any:
    """A copy with secrets in it, most of them where they don't belong."""
    copied = copy.deepcopy(resource)
    found = [(c, k) for c, k in places(copied) if k != "resourceType"]
    for container, key in chance.sample(found, 3):
        container[key] = copy.deepcopy(chance.choice(SECRETS))
    return copied
