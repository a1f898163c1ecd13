"""Our engine against the reference engine, value by value: tiny cases, a corpus of random expressions, random patients.

Each explanation of `tests/reference/explanations.py` has its case here, with both engines' values; every difference of the
corpus and of the patients is one of those. The ELM is committed (`python -m tests.reference.cases URL` makes it anew). The
other half of the patients is in `test_differential_patients.py`, so that two workers share them. `make fuzz` goes on from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from tests.reference import cases
from tests.reference.compare import compared, shown
from tests.reference.engine import Reference, missing, running
from tests.reference.explanations import AMENDMENTS, BY_NAME, JUDGEMENTS
from tests.reference.fuzzing import PatientFuzz
from tests.reference.judgements import RULES, judged
from tests.reference.narrow import OnBoth
from tests.reference.trial import TrialOnBoth

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
RECORD: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1980-02"},
    {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "_effectiveDateTime": {"extension": [{"url": "https://example.org", "valueCode": "unknown"}]},
        "issued": "2012-03-31T10:30:00-03:00",
        "valueQuantity": {"value": 2.5, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
    },
    {"resourceType": "Condition", "id": "c", "recordedDate": "2012-03-31T10:30:00-03:00"},
]
EVERY = [explanation.name for explanation in AMENDMENTS]


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    with running(remember=True) as reference:
        yield reference


@pytest.fixture(scope="module")
def both(reference: Reference) -> OnBoth:
    helpers = json.loads((files("cds_service") / "trials" / "FHIRHelpers.elm.json").read_bytes())
    return OnBoth(reference, helpers)


@pytest.fixture(scope="module")
def outcomes(both: OnBoth) -> dict[str, Any]:
    return both.outcomes(cases.read("Cases"), RECORD)


def written(outcome: dict[str, Any]) -> str:
    return shown(outcome["value"]) if "value" in outcome else cases.FAILS


@pytest.mark.parametrize("name", cases.EXPLAINED)
def test_an_explanation_has_a_case_that_shows_it(name: str, both: OnBoth, outcomes: dict[str, Any]) -> None:
    ours, theirs = outcomes[f"explained {name}"]
    assert (written(ours), written(theirs)) == cases.EXPLAINED[name][1:]
    part = both.narrowed(cases.read("Cases"), f"explained {name}", RECORD, EVERY)
    assert (name in EVERY) if part is None else judged(part) == name


@pytest.mark.parametrize("name", cases.MENDED)
def test_what_the_fuzz_found_in_our_engine_is_mended(name: str, outcomes: dict[str, Any]) -> None:
    ours, theirs = outcomes[f"mended {name}"]
    assert (written(ours), written(theirs)) == (cases.MENDED[name][1],) * 2


def test_every_explanation_is_stated_ruled_and_shown() -> None:
    assert set(BY_NAME) == set(cases.EXPLAINED)
    assert {explanation.name for explanation in JUDGEMENTS} == set(RULES)


def test_the_committed_cases_are_those_of_the_table() -> None:
    defines = {statement["name"] for statement in cases.read("Cases")["library"]["statements"]["def"]}
    assert defines - {"Patient"} == set(cases.expressions())


def test_random_expressions_come_to_the_same_values(both: OnBoth) -> None:
    elm = cases.read("Expressions")
    outcomes = both.outcomes(elm, RECORD)
    differing = [name for name, pair in outcomes.items() if compared(*pair)]
    parts = {name: both.narrowed(elm, name, RECORD, EVERY) for name in differing}
    unexplained = [
        f"{name}: {part.differences[0]}"
        for name, part in parts.items()
        if part is not None and judged(part) is None
    ]
    assert not unexplained
    assert len(outcomes) > 250
    assert len(differing) < len(outcomes) / 4


def test_random_patients_come_to_the_same_values(reference: Reference) -> None:
    tally = PatientFuzz(TrialOnBoth(reference)).run(range(150), size=25)
    assert not tally.unexplained
    assert tally.values > 150 * 300
    assert tally.both_failed == 0
