"""A measure as they are published, written for this: its ELM with and without result types, against the reference.

`data/*.cql` is a measure with three included libraries; `data/plain` and `data/typed` hold its ELM in two of the forms
that content comes in (`translating.OPTIONS`). Each difference in `explained.json` that tiny CQL can show has its test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from cds_service.elm import Date, Interval, Quantity
from cds_service.errors import AuthoringError
from cds_service.translation import stale
from tests.measures.__main__ import AMENDMENTS, EXPLAINED, amendments_of, explanation, main
from tests.measures.content import TestPatient
from tests.measures.patients import PATIENTS, SETS, percent, result
from tests.measures.patients import patient as made
from tests.measures.running import Runner
from tests.reference import engine
from tests.reference.compare import compared, outcome, shown
from tests.support.absent import Absent

DATA = Path(__file__).with_name("data")
FORMS = ("plain", "typed")
HELPERS = json.loads((files("cds_service.trials") / "FHIRHelpers.elm.json").read_bytes())
NAMES = [patient.name for patient in PATIENTS]


def libraries(form: str) -> list[dict[str, Any]]:
    found = [json.loads(path.read_bytes()) for path in sorted((DATA / form).glob("*.elm.json"))]
    return [*found, HELPERS]


@cache
def runner(form: str, main: str = "Measure") -> Runner:
    return Runner(None, libraries(form), main, SETS)


@cache
def results(form: str, name: str, main: str = "Measure") -> dict[str, Any]:
    found = runner(form, main).ours(next(p for p in PATIENTS if p.name == name))
    return {define: result.error or result.value for define, result in found.items()}


@pytest.fixture(scope="module")
def reference() -> Iterator[engine.Reference]:
    reason = engine.missing()
    if reason:
        raise Absent(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Etc/GMT+3")
        with engine.running() as running:
            yield running


@pytest.mark.parametrize("form", FORMS)
def test_the_elm_comes_from_the_cql(form: str, tmp_path: Path) -> None:
    for path in [*DATA.glob("*.cql"), *(DATA / form).glob("*.elm.json")]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert stale(tmp_path) == []


@pytest.mark.parametrize("form", FORMS)
def test_every_define_is_the_reference_s(form: str, reference: engine.Reference) -> None:
    ours = Runner(reference, libraries(form), "Measure", SETS)
    differences = []
    for patient in PATIENTS:
        theirs = ours.theirs(patient)
        for define, value in ours.ours(patient).items():
            found = compared(outcome(value), theirs[define])
            if found:
                differences.append(f"{patient.name}: {define}: {found[0]}")
    assert differences == []


@pytest.mark.parametrize("name", NAMES)
def test_types_and_signatures_in_the_elm_change_nothing(name: str) -> None:
    assert results("plain", name) == results("typed", name)
    assert not [error for error in results("plain", name).values() if isinstance(error, Exception)]


@pytest.mark.parametrize(
    ("name", "define", "expected"),
    [
        ("in everything", "Initial Population", True),
        ("in everything", "Numerator", True),
        ("in everything", "Age at the End", 54),
        ("in everything", "Number of Results", 5),
        ("in everything", "Results with a Visit", ["o1", "o2"]),
        ("in everything", "Results without a Visit", ["o3", "o5", "o6"]),
        ("in everything", "Stay Length", 1),
        ("in everything", "Sum of the Days", 4),
        ("in everything", "SDE Names", ["Ana", "Maria", "Ana"]),
        ("in everything", "Stratum", 2),
        ("empty", "Initial Population", False),
        ("empty", "SDE Race", None),
        ("empty", "Highest Result", None),
        ("empty", "Number of Results", 0),
        ("empty", "Visit and Stay", []),
        ("birth year only", "Age in Months", Interval(468, 480)),
    ],
)
def test_a_define_of_the_measure(name: str, define: str, expected: Any) -> None:
    assert results("plain", name)[define] == expected


def test_results_are_sorted_and_the_highest_is_a_quantity() -> None:
    found = results("plain", "in everything")
    assert [r["id"] for r in found["Results"]] == ["o3", "o1", "o5", "o6", "o2"]
    assert found["Highest Result"] == Quantity(found["Highest Result"].value, "%")
    assert str(found["Highest Result"]) == "12 '%'"


def test_supplies_are_collapsed() -> None:
    found = results("plain", "in everything")
    assert found["Collapsed Supplies"][0].low == Date(2024, 2, 1)
    assert results("plain", "empty")["Collapsed Supplies"] == [Interval(Date(2024, 3, 1), Date(2024, 3, 10))]


# --- The differences that are explained ---

O = made("one", result("o1", percent(8), {"effectiveDateTime": "2024-02-01"}))  # noqa: E741
LBS = made("lbs", result("o1", {"valueQuantity": {"value": 169, "unit": "lbs", "system": "http://unitsofmeasure.org", "code": "lbs"}}, {}))  # fmt: skip
TEXT = made("text", result("o1", {"valueQuantity": {"value": "8.1", "unit": "%", "code": "%"}}, {}))
LOOSE = made("loose", result("o1", percent(8), {"category": {"text": "laboratory"}}))

DIFFERENCES = [
    ("a quantity of an invalid unit", "Unit", LBS),
    ("a quantity without a value", "No Value", O),
    ("31 June", "31 June", O),
    ("a decimal that is text in the data", "Text", TEXT),
    ("a list of lists with a null", "Flatten", O),
    ("an instance of a FHIR class", "Instance", O),
    ("a value set as a value", "Value Set", O),
    ("text of a whole Decimal", "Whole", O),
    ("the rows of one source", "Rows", O),
    ("a parameter that nobody gave", "Limit", O),
    ("the code of an included code system", "Code", O),
    ("an operand of and, or that would fail", "Operand", O),
    ("a repeating element that is no array in the data", "Repeats", LOOSE),
    ("a retrieve by texts", "By Text", O),
]


@pytest.mark.parametrize(("name", "define", "patient"), DIFFERENCES, ids=[name for name, _, _ in DIFFERENCES])
def test_an_explained_difference_is_there_as_explained(
    name: str, define: str, patient: TestPatient, reference: engine.Reference
) -> None:
    found = [json.loads(path.read_bytes()) for path in sorted((DATA / "differences").glob("*.elm.json"))]
    for node in _nodes(found):
        if node.get("type") == "ValueSetRef":
            node.pop("preserve", None)  # as translators before CQL 1.5 wrote it
    both = Runner(reference, [*found, HELPERS], "Differences", SETS)
    ours, theirs = outcome(both.ours(patient)[define]), both.theirs(patient)[define]
    assert compared(ours, theirs)
    if name in AMENDMENTS:
        assert amendments_of(both, patient, {define: ours}) == ({define: name}, {})
        return
    assert amendments_of(both, patient, {define: ours})[0] == {}
    sides = [
        shown(side["value"]) if "value" in side else f"fails: {side['error']}" for side in (ours, theirs)
    ]
    assert explanation("Differences", define, *sides) == name


def test_every_explained_difference_is_shown() -> None:
    assert {entry["name"] for entry in EXPLAINED} == {name for name, _, _ in DIFFERENCES}


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(item)


# --- The command ---


def test_without_a_folder_the_command_says_where_measures_are_published(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert "https://github.com/cqframework/ecqm-content-r4-2021" in capsys.readouterr().err


def test_another_model_is_refused_by_its_name() -> None:
    elm = {"library": {"identifier": {"id": "Q"}, "usings": {"def": [{"localIdentifier": "QICore", "uri": "http://hl7.org/fhir/us/qicore", "version": "4.1.1"}]}}}  # fmt: skip
    with pytest.raises(AuthoringError, match="uses the model QICore"):
        Runner(None, [elm], "Q", {})
