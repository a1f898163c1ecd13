"""`make conformance`: what counts as failed, its last line, its exits and the document that it refreshes. Needs no Java."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine import conformance, elm_nodes, hl7_suite
from tests.engine.hl7_suite import Case, Outcome
from tests.support import translator
from tests.support.absent import Absent

LISTED = next(iter(conformance.REASONS))


def outcome(id: str, problem: str | None) -> Outcome:
    file, group, name = id.split("/")
    return Outcome(Case(file, group, name, "1 + 1", "2", invalid=False), problem)


OUTCOMES = [outcome("CqlA/g/passes", None), outcome("CqlA/g/fails", "is 3, should be 2")]
SKIPPED, PRUNED = outcome(LISTED, "is 3, should be 2"), outcome(LISTED, None)


def test_a_listed_test_that_passes_and_an_unlisted_one_that_does_not_count_as_failed() -> None:
    assert conformance.failure(OUTCOMES[0]) is None
    assert conformance.failure(OUTCOMES[1]) == "is 3, should be 2"
    assert conformance.failure(SKIPPED) is None
    assert "is listed as not passing" in (conformance.failure(PRUNED) or "")


def test_the_last_line_counts_passed_failed_and_skipped() -> None:
    rows = conformance.counted([*OUTCOMES, SKIPPED])
    assert [row.file for row in rows] == ["CqlA", LISTED.split("/")[0], "all"]
    assert conformance.summary(rows[-1]) == "cql-tests: 1 passed, 1 failed, 1 skipped of 3"


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A suite of one file with two tests, one of them wrong."""
    folder = tmp_path / "tests" / "cql"
    folder.mkdir(parents=True)
    (folder / "CqlSums.xml").write_text(
        '<tests xmlns="http://hl7.org/fhirpath/tests"><group name="Sums">'
        '<test name="right"><expression>1 + 1</expression><output>2</output></test>'
        '<test name="wrong" versionTo="1.3"><expression>1 + 2</expression><output>2</output></test>'
        "</group></tests>"
    )
    monkeypatch.setenv("CQL_TESTS", str(tmp_path))
    monkeypatch.delenv("CQL_TESTS_CACHE", raising=False)
    return tmp_path


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A translator that knows sums of two digits only."""

    @contextmanager
    def running(port: int = 0) -> Any:
        yield "http://127.0.0.1:0"

    def elm(self: object, expression: str, level: str | None = None) -> Any:
        terms = [
            {"type": "Literal", "valueType": "{urn:hl7-org:elm-types:r1}Integer", "value": digit}
            for digit in expression.split(" + ")
        ]
        node: Any = {"type": "Add", "operand": terms} if len(terms) == 2 else terms[0]
        define = {"name": "It", "context": "Patient", "expression": node}
        return {"library": {"identifier": {"id": "It"}, "statements": {"def": [define]}}}

    monkeypatch.setattr(translator, "running", running)
    monkeypatch.setattr(translator, "version", lambda: "3.22.0")
    monkeypatch.setattr(hl7_suite.Translations, "elm", elm)


@pytest.mark.usefixtures("suite", "translated")
def test_a_failure_is_named_with_its_expression_and_both_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["CqlSums/Sums/wrong: 1 + 2", "    is 3, should be 2"]
    assert lines[-2].split() == ["CqlSums", "2", "1", "1", "0"]
    assert lines[-1] == "cql-tests: 1 passed, 1 failed, 0 skipped of 2"


@pytest.mark.usefixtures("suite", "translated")
def test_into_refreshes_what_stands_between_the_markers(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "".join(
            f"# {n}\n<!-- {n} -->\nof last year\n<!-- /{n} -->\nend\n" for n in ("suite", "skips", "nodes")
        )
    )
    conformance.main(["--into", str(document)])
    text = document.read_text()
    assert "of last year" not in text
    assert text.count("end\n") == 3
    assert "| CqlSums | 2 | 1 | 1 | 0 |" in conformance.block("suite", text)
    assert conformance.block("nodes", text) == elm_nodes.block()


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(SystemExit, match="no markers <!-- suite -->"):
        conformance.refreshed("# nothing\n", {"suite": "x"})


def test_without_the_suite_it_exits_2_and_says_where_it_is_published(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CQL_TESTS", str(tmp_path))
    assert conformance.main([]) == 2
    said = capsys.readouterr()
    assert conformance.PUBLISHED in said.err
    assert "CQL_TESTS=" in said.err
    assert said.out == ""


@pytest.mark.usefixtures("suite")
def test_without_the_translator_it_exits_2_and_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent() -> None:
        raise Absent("the CQL translator is not there: `make translator` gets it with Maven")

    monkeypatch.setattr(translator, "require", absent)
    assert conformance.main([]) == 2
    assert "make translator" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "made"), [("skips", conformance.skips_block), ("nodes", elm_nodes.block)], ids=["skips", "nodes"]
)
def test_the_document_says_what_the_tables_do(name: str, made: Any) -> None:
    documented = conformance.block(name, conformance.DOCUMENT.read_text(encoding="utf-8"))
    assert documented == made(), "refresh it: make conformance CONFORMANCE_ARGS='--into docs/conformance.md'"
