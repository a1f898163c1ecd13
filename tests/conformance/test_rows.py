"""The list of rows, the markers and the document agree; and the check that says so can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.__main__ import BLOCK, block
from tests.conformance.rows import Mark, Marks, Row, problems, read_marks, read_rows
from tests.engine.conformance import DOCUMENT
from tests.engine.conformance import block as written

ROW = Row("checklist:1", 1, "checklist", "General", "SHALL", "something")
MARK = Mark("a/test_a.py", "test_a", "checklist:1")


def test_each_row_has_its_test_or_its_reason_and_each_marker_its_row() -> None:
    assert problems(read_rows(), read_marks()) == []


def test_the_document_is_what_the_generator_writes() -> None:
    assert written(BLOCK, DOCUMENT.read_text("utf-8")) == block(read_rows(), read_marks()), (
        "run: make checklist"
    )


def test_all_rows_that_name_the_service_are_listed() -> None:
    numbers = {
        name: [row.number for row in read_rows() if row.set == name] for name in (ROW.set, "cds-hooks_2.0")
    }
    assert numbers["checklist"] == list(range(1, 52))
    assert len(numbers["cds-hooks_2.0"]) == 120
    assert numbers["cds-hooks_2.0"] == sorted(numbers["cds-hooks_2.0"])


@pytest.mark.parametrize(
    ("row", "marks", "words"),
    [
        (ROW, Marks((), ()), "has no test"),
        (replace(ROW, verb="SHOULD NOT"), Marks((), ()), "has no test"),
        (replace(ROW, verb="MAY", taken="yes"), Marks((), ()), "has no test"),
        (replace(ROW, verb="MAY"), Marks((MARK,), ()), "this MAY"),
        (replace(ROW, verb="MUST"), Marks((MARK,), ()), "no verb"),
        (replace(ROW, not_bound=""), Marks((MARK,), ()), "one reason"),
        (replace(ROW, verb="MAY", not_bound="a", taken="b"), Marks((MARK,), ()), "one reason"),
        (replace(ROW, not_taken="b"), Marks((MARK,), ()), "only a MAY"),
        (ROW, Marks((MARK, replace(MARK, row="checklist:2")), ()), "no row is called"),
        (ROW, Marks((MARK,), ("test_a.py:1",)), "on a test that runs"),
    ],
)
def test_what_is_wrong_is_said(row: Row, marks: Marks, words: str) -> None:
    (said,) = problems([row], marks)
    assert words in said


def test_what_is_right_is_not() -> None:
    assert problems([ROW], Marks((MARK,), ())) == []
    assert problems([replace(ROW, not_bound="why")], Marks((), ())) == []
    assert problems([replace(ROW, verb="MAY", not_taken="why")], Marks((), ())) == []
    assert problems([ROW, ROW], Marks((MARK,), ())) == ["checklist:1 is listed twice"]


SOURCE = """
import pytest
{before}
@pytest.mark.proves({rows})
{more}
def {name}(): ...
"""


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, True),
        ({"rows": "'checklist:1', 'checklist:2'"}, True),
        ({"more": "@pytest.mark.parametrize('x', [1])"}, True),
        ({"rows": ""}, False),
        ({"rows": "ROW"}, False),
        ({"name": "helper"}, False),
        ({"more": "@pytest.mark.skip"}, False),
        ({"more": "@pytest.mark.xfail(strict=True)"}, False),
        ({"before": "CASES = [pytest.param(1, marks=pytest.mark.proves('checklist:1'))]"}, None),
        ({"before": "pytestmark = pytest.mark.proves('checklist:1')"}, None),
    ],
)
def test_markers_are_read_from_tests_that_run_and_no_others(
    tmp_path: Path, changes: dict[str, str], found: bool | None
) -> None:
    parts = {"before": "", "rows": "'checklist:1'", "more": "", "name": "test_x", **changes}
    (tmp_path / "test_it.py").write_text(SOURCE.format(**parts))
    marks = read_marks(tmp_path)
    assert bool(marks.found) is (found is not False)
    assert bool(marks.strays) is (found is not True)
