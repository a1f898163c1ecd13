"""The engine keeps nothing of what records hold: no text, unit, pattern or name is left when an evaluation is over."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from cds_service import units
from cds_service.elm import fhir_model
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.terminology.systems import ATC, ICD10, LOINC, SNOMED
from cds_service.terminology.value_sets import load_value_sets
from tests.support.kept import texts_that_hold
from tests.unit.elm.nodes import SYSTEM, define, library, load, results, string

_TEXT: Any = {"type": "NamedTypeSpecifier", "name": SYSTEM + "String"}
_GIVEN: Any = {"type": "ParameterRef", "name": "Given"}
_PARAMETER: Any = {"name": "Given", "accessLevel": "Public", "parameterTypeSpecifier": _TEXT}
SETS = load_value_sets()


def evaluate(node: Any, given: str) -> Any:
    return results(load(library(define("It", node), parameters=[_PARAMETER])), Given=given)["It"].value


def a_pattern(mark: str) -> None:
    assert evaluate({"type": "Matches", "operand": [string("x"), _GIVEN]}, f"x({mark})?") is True


def a_pattern_that_splits(mark: str) -> None:
    node = {"type": "SplitOnMatches", "stringToSplit": string("a-b"), "separatorPattern": _GIVEN}
    assert evaluate(node, f"-({mark})?") == ["a", "b"]


def a_pattern_that_can_not_be_read(mark: str) -> None:
    assert evaluate({"type": "Matches", "operand": [string("x"), _GIVEN]}, f"({mark}") is None


def units_of_records(mark: str) -> None:
    for text in (
        mark,
        f"mg{{{mark}}}",
        f"{{{mark}}}",
        f"[ppm]{{{mark}}}",
        f"[ppm]/{{{mark}}}",
        f"[ppm].{mark}",
    ):
        units.is_unit(text)
        units.factor(text, "mg")
        units.multiply(text, "mg")
    assert units.is_unit(f"[ppm]{{{mark}}}")
    assert units.is_unit(f"[ppm]/{{{mark}}}")


def names_of_elements(mark: str) -> None:
    assert fhir_model.element("Observation", mark) is None
    assert not fhir_model.is_subtype(mark, "Resource")


def texts_of_dates(mark: str) -> None:
    for parse in (Date.parse, DateTime.parse, Time.parse):
        with pytest.raises(ValueError, match="not a"):
            parse(f"2026{mark}")


def codes(mark: str) -> None:
    for system in (SNOMED, LOINC, ICD10, ATC, f"urn:{mark}"):
        for code in (mark, f"G12.2{mark}", f"L04{mark}"):
            SETS.sets_of(system, code)
    assert "AlsPossibleBroaderDx" in SETS.sets_of(ICD10, f"G12.2{mark}")


CASES: list[Callable[[str], None]] = [
    a_pattern,
    a_pattern_that_splits,
    a_pattern_that_can_not_be_read,
    units_of_records,
    names_of_elements,
    texts_of_dates,
    codes,
]


@pytest.fixture(scope="module")
def left() -> set[tuple[str, str]]:
    """What is left of all cases; each has a mark that ends with its name."""
    marks = [f"{secrets.token_hex(6)}{case.__name__}" for case in CASES]
    for case, mark in zip(CASES, marks, strict=True):
        case(f"{mark}_")  # another object than the one that is looked for
    return texts_that_hold(*marks)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_nothing_is_kept(left: set[tuple[str, str]], case: Callable[[str], None]) -> None:
    assert [found for found in left if case.__name__ in found[0]] == []


def test_dates_that_can_be_read_are_not_kept_either() -> None:
    second = f"08:13:57.{secrets.randbelow(900) + 100}"
    assert DateTime.parse(f"2026-06-01T{second}-03:00")
    assert Time.parse(f"T{second}")
    assert texts_that_hold(second) == set()


def test_a_pattern_of_the_library_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"type": "Matches", "operand": [_GIVEN, {"type": "ExpressionRef", "name": "Words"}]}
    loaded = load(library(define("Words", string("a+")), define("It", node), parameters=[_PARAMETER]))
    monkeypatch.setattr("re.purge", lambda: pytest.fail("compiled anew"))
    assert results(loaded, Given="aaa")["It"].value is True
