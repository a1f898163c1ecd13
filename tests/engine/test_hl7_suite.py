"""HL7's suite: every test passes or stands in `hl7_skips.json` with whose fault it is and why; a listed one that passes fails.

Needs the suite (CQL_TESTS) and the translator (Java and its jars); without either it skips and says so.
`make conformance` runs the same and prints a table; docs/conformance.md keeps that table.
"""

from __future__ import annotations

import pytest

from tests.engine import conformance, hl7_suite
from tests.engine.conformance import REASONS, SKIPS
from tests.engine.hl7_suite import Case, Outcome, Translations

SUITE = hl7_suite.folder()
CASES = hl7_suite.cases(SUITE) if SUITE is not None else []
NEEDS_SUITE = pytest.mark.skipif(SUITE is None, reason="CQL_TESTS names no folder with HL7's suite")


class Outcomes:
    """What became of the tests that were asked for; each is run once."""

    def __init__(self, translations: Translations) -> None:
        self.translations = translations
        self.known: dict[str, Outcome] = {}

    def of(self, case: Case) -> Outcome:
        if case.id not in self.known:
            self.known[case.id] = hl7_suite.run(case, self.translations)
        return self.known[case.id]


@pytest.fixture(scope="session")
def outcomes(translator_url: str) -> Outcomes:
    return Outcomes(Translations(None, translator_url))


@pytest.mark.java
@NEEDS_SUITE
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_case(case: Case, outcomes: Outcomes) -> None:
    problem = conformance.failure(outcomes.of(case))
    assert problem is None, f"{' '.join(case.expression.split())} {problem}"


@pytest.mark.java
@NEEDS_SUITE
def test_the_document_s_table_is_that_of_a_run(outcomes: Outcomes) -> None:
    rows = conformance.counted(outcomes.of(case) for case in CASES)
    documented = conformance.block("suite", conformance.DOCUMENT.read_text(encoding="utf-8"))
    assert documented == conformance.suite_block(rows), (
        "refresh it: make conformance CONFORMANCE_ARGS='--into docs/conformance.md'"
    )


@NEEDS_SUITE
def test_the_list_names_tests_of_the_suite_only() -> None:
    assert REASONS.keys() <= {case.id for case in CASES}


def test_each_listed_test_stands_there_once_with_a_reason() -> None:
    tests = [test for entry in SKIPS["skips"] for test in entry["tests"]]
    assert len(tests) == len(set(tests))
    assert {entry["fault"] for entry in SKIPS["skips"]} <= conformance.FAULTS.keys()
    assert all(len(entry["reason"]) > 20 for entry in SKIPS["skips"])
