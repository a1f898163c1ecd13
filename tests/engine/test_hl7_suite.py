"""HL7's suite: every test passes or stands in `hl7_skips.json` with whose fault it is and why; a listed one that passes fails.

Needs the suite (CQL_TESTS) and the translator (Java and its jars); without either it skips and says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import hl7_suite
from tests.engine.hl7_suite import Case, Translations

SKIPS: dict[str, Any] = json.loads((Path(__file__).parent / "hl7_skips.json").read_text())
REASONS: dict[str, str] = {
    test: f"{entry['fault']}: {entry['reason']}" for entry in SKIPS["skips"] for test in entry["tests"]
}
SUITE = hl7_suite.folder()
CASES = hl7_suite.cases(SUITE) if SUITE is not None else []


@pytest.fixture(scope="session")
def translations(translator_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Translations]:
    translations = Translations(tmp_path_factory.getbasetemp() / "cql-tests-elm.json", translator_url)
    yield translations
    translations.save()


@pytest.mark.java
@pytest.mark.skipif(SUITE is None, reason="CQL_TESTS names no folder with HL7's suite")
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_case(case: Case, translations: Translations) -> None:
    problem = hl7_suite.run(case, translations).problem
    listed = REASONS.get(case.id)
    if listed is None:
        assert problem is None, f"{' '.join(case.expression.split())} {problem}"
    else:
        assert problem is not None, f"passes, but is listed as not passing ({listed})"


@pytest.mark.skipif(SUITE is None, reason="CQL_TESTS names no folder with HL7's suite")
def test_the_list_names_tests_of_the_suite_only() -> None:
    assert REASONS.keys() <= {case.id for case in CASES}


def test_each_listed_test_stands_there_once_with_a_reason() -> None:
    tests = [test for entry in SKIPS["skips"] for test in entry["tests"]]
    assert len(tests) == len(set(tests))
    assert {entry["fault"] for entry in SKIPS["skips"]} <= {"suite", "translator", "engine"}
    assert all(len(entry["reason"]) > 20 for entry in SKIPS["skips"])
