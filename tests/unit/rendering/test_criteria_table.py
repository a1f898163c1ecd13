"""The table of criteria: README holds what the trial package says, no more and no less."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from cds_service.cli.commands import run
from cds_service.eligibility.trial import Trial, read_trial
from cds_service.errors import InputError
from cds_service.rendering.criteria_table import criteria_table, with_table

README = Path(__file__).parents[3] / "README.md"
COMMAND = "cds-service trial export nct02917681 --criteria-table --into README.md"


@pytest.fixture(scope="module")
def trial() -> Trial:
    return read_trial(files("cds_service") / "trials" / "nct02917681" / "trial.toml")


def test_readme_holds_the_table_of_the_package(trial: Trial) -> None:
    document = README.read_text(encoding="utf-8")
    assert document == with_table(document, trial), f"run: {COMMAND}"
    assert COMMAND in document


def test_every_criterion_has_its_line_with_what_it_is_computed_from(trial: Trial) -> None:
    lines = criteria_table(trial).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert [row[0] for row in cells] == [c.id for c in trial.criteria]
    assert all(len(row) == 5 and all(row) for row in cells)
    assert [row[3] for row in cells] == [c.tier for c in trial.criteria]
    by_id = {row[0]: row for row in cells}
    assert by_id["IN01-Age"][1] == "Age between 18 and 70"
    assert by_id["H2-Age"][4] == "the verdict of IN01-Age"
    assert by_id["EX08b-HepatitisC"][1] == "(the same row)"


def test_what_is_not_computed_is_said_to_be_so(trial: Trial) -> None:
    first, *others = trial.criteria
    table = criteria_table(replace(trial, criteria=(replace(first, define=None), *others)))
    assert "not computed yet (to be read: Condition" in table.splitlines()[2]


def test_words_never_leave_their_cell(trial: Trial) -> None:
    nasty = replace(trial.criteria[0], label="a | b <b> *c*\nd")
    line = criteria_table(replace(trial, criteria=(nasty,))).splitlines()[2]
    assert r"| a \| b \<b> \*c\* d |" in line


@pytest.mark.parametrize(
    "document",
    [
        "no markers\n",
        "<!-- criteria: nct02917681 -->\n",
        "<!-- end of criteria: nct02917681 -->\n<!-- criteria: nct02917681 -->\n",
        "<!-- criteria: nct02917681 -->\n<!-- end of criteria: nct02917681 -->\n" * 2,
    ],
)
def test_a_document_without_its_markers_is_left_alone(trial: Trial, document: str) -> None:
    with pytest.raises(InputError, match="needs one line"):
        with_table(document, trial)


def test_the_command_prints_the_table_or_puts_it_into_a_document(
    tmp_path: Path, trial: Trial, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["trial", "export", "nct02917681", "--criteria-table"]) == 0
    assert capfdbinary.readouterr().out.decode() == criteria_table(trial)
    document = tmp_path / "page.md"
    document.write_text(
        "a\n<!-- criteria: nct02917681 -->\nold\n<!-- end of criteria: nct02917681 -->\nb\n", encoding="utf-8"
    )
    assert run(["trial", "export", "--criteria-table", "--into", str(document)]) == 0
    text = document.read_text(encoding="utf-8")
    assert text.startswith("a\n<!-- criteria")
    assert criteria_table(trial) in text
    assert "old" not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--questionnaire", "--criteria-table"],
        ["--questionnaire", "--into", "x.md"],
        ["--criteria-table", "--into", "missing/x.md"],
    ],
)
def test_bad_use_ends_with_2(arguments: list[str]) -> None:
    assert run(["trial", "export", *arguments]) == 2
