"""Parameters are held to the types that the library declares; whoever calls is told what is wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cds_service.elm import Code, Date, DateTime, Interval, Library, ValueSetExpansions, load_library
from cds_service.errors import AuthoringError

SYSTEM = "{urn:hl7-org:elm-types:r1}"
NOW = DateTime.parse("2026-06-15T12:00:00.000-03:00")


class Nothing:
    def retrieve(self, *_: Any) -> list[Any]:
        return []


def library(kind: dict[str, Any]) -> Library:
    elm = {
        "library": {
            "identifier": {"id": "Test", "version": "1"},
            "parameters": {"def": [{"name": "P", "parameterTypeSpecifier": kind}]},
            "statements": {
                "def": [
                    {"name": "It", "context": "Patient", "expression": {"type": "ParameterRef", "name": "P"}}
                ]
            },
        }
    }
    return load_library([elm], main="Test", terminology=ValueSetExpansions())


def named(name: str) -> dict[str, Any]:
    return {"type": "NamedTypeSpecifier", "name": SYSTEM + name}


def interval(name: str) -> dict[str, Any]:
    return {"type": "IntervalTypeSpecifier", "pointType": named(name)}


LISTED = {"type": "ListTypeSpecifier", "elementType": named("Integer")}


def given(kind: dict[str, Any], value: Any) -> Any:
    results = library(kind).evaluate(
        ["It"], retriever=Nothing(), patient=None, parameters={"P": value}, now=NOW
    )
    return results["It"].value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (named("Decimal"), "8"),
        (named("Decimal"), True),
        (named("Decimal"), float("nan")),
        (named("Decimal"), Decimal("1E+50")),
        (named("Integer"), Decimal("1.5")),
        (named("Integer"), 2**40),
        (named("Integer"), True),
        (named("Code"), "44054006"),
        (named("Code"), {"code": "44054006"}),
        (LISTED, ["a"]),
        (LISTED, 1),
        (interval("DateTime"), "2026"),
        (interval("DateTime"), {"start": "2026-01-01"}),
        (interval("Integer"), Interval(5, 1)),
    ],
)
def test_a_value_of_another_type_is_refused_by_the_parameters_name(kind: dict[str, Any], value: Any) -> None:
    with pytest.raises(AuthoringError, match="the parameter P is declared as ") as error:
        given(kind, value)
    assert error.value.library == "Test"
    assert "44054006" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [
        (named("Decimal"), 8, Decimal(8)),
        (named("Decimal"), 8.5, Decimal("8.5")),
        (named("Integer"), None, None),
        (named("Code"), Code("a", "s"), Code("a", "s")),
        (LISTED, [1, None], [1, None]),
        (interval("Integer"), Interval(1, 5), Interval(1, 5)),
        (interval("Integer"), Interval(1, None), Interval(1, None)),
        (
            interval("DateTime"),
            Interval(Date(2026, 1, 1), Date(2026, 12, 31)),
            Interval(DateTime.of((2026, 1, 1), -180), DateTime.of((2026, 12, 31), -180)),
        ),
    ],
)
def test_a_value_of_the_type_is_taken(kind: dict[str, Any], value: Any, held: Any) -> None:
    found = given(kind, value)
    assert (type(found), found) == (type(held), held)


def test_now_defines_and_sources_are_checked_too() -> None:
    loaded = library(named("Integer"))
    with pytest.raises(AuthoringError, match="now is a DateTime"):
        loaded.evaluate(None, retriever=Nothing(), patient=None, parameters={}, now="2026-06-15")  # type: ignore[call-overload]
    with pytest.raises(AuthoringError, match="defines is a list"):
        loaded.evaluate("It", retriever=Nothing(), patient=None, parameters={}, now=NOW)
    with pytest.raises(AuthoringError, match="sources is a list"):
        load_library("{}", main="Test", terminology=ValueSetExpansions())  # type: ignore[arg-type]


def test_a_part_of_an_expansion_is_refused() -> None:
    expansion = {"total": 500, "contains": [{"system": "s", "code": "a"}]}
    with pytest.raises(AuthoringError, match="is a part only"):
        ValueSetExpansions(
            [{"resourceType": "ValueSet", "url": "https://example.org/x", "expansion": expansion}]
        )
