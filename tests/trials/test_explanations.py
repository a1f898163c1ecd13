"""Explanations of the vignettes' verdicts: they say what the verdict says, on the record's own resources, and read well.

`python -m tests.trials.test_explanations` writes the texts of `explanations/` anew; what changes in them is to be read
before it is committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cds_service.eligibility.assessment import Assessment
from cds_service.eligibility.explaining import chosen_criteria
from cds_service.eligibility.explanation import (
    CriterionExplanation,
    ShownDefine,
    ShownResource,
    ShownRetrieve,
)
from cds_service.elm import Library, Result
from cds_service.records.bundle import read_bundle
from cds_service.records.retriever import RecordRetriever
from cds_service.rendering.explanation import render_explanations
from cds_service.rendering.explanation_tree import ASCII
from cds_service.screening import Screener
from tests.trials.assessing import SITE_ZONE, TRIAL
from tests.trials.make_vignettes import FOLDER

TEXTS = Path(__file__).parent / "explanations"
FILES = sorted(FOLDER.glob("*.json"))
DECEASED = "AV-16"
# What each of the golden texts is to show.
GOLDEN = {
    "AV-06-IN03": "a score below the threshold",
    "AV-06-EX15": "a procedure that excludes",
    "AV-08-IN04": "nothing on record",
    "AV-10-EX08e": "results that a clinician has to judge",
    "AV-10-EX09": "drugs within and before a window",
    "AV-17-IN07": "an answer of the study team",
}


@cache
def _screener() -> Screener:
    return Screener.load(timezone=SITE_ZONE)


def _vignette(name: str) -> dict[str, Any]:
    loaded = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def _assessed(name: str, *asked: str) -> Assessment:
    vignette = _vignette(name)
    explain = chosen_criteria([_screener().catalog.get(TRIAL).trial], asked)
    record = read_bundle(vignette["bundle"])
    (assessment,) = _screener().screen(record, [TRIAL], date.fromisoformat(vignette["asOf"]), explain=explain)
    return assessment


@cache
def _explained(name: str) -> Assessment:
    return _assessed(name, "all")


def _found(explanation: CriterionExplanation) -> Iterator[ShownResource]:
    for node in explanation.defines():
        for read in node.reads:
            if isinstance(read, ShownRetrieve):
                yield from read.found


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_every_criterion_is_explained_by_the_record_alone(name: str) -> None:
    assessment = _explained(name)
    assert [e.result for e in assessment.explanations] == list(assessment.criteria)
    sent = {
        f"{r['resourceType']}/{r['id']}" for r in (e["resource"] for e in _vignette(name)["bundle"]["entry"])
    }
    for explanation in assessment.explanations:
        shown = {e.reference for item in _found(explanation) for e in (item.evidence, *item.about)}
        assert shown <= sent, explanation.result.criterion.id
        if name == DECEASED:
            assert explanation.root is None


@pytest.mark.parametrize("name", [path.stem for path in FILES if path.stem != DECEASED])
def test_the_tree_holds_what_the_verdict_says_and_rests_on(name: str) -> None:
    for explanation in _explained(name).explanations:
        criterion, computed = explanation.result.criterion.id, explanation.computed
        assert explanation.root is not None, criterion
        assert computed is not None, criterion
        value = explanation.root.value
        assert value["status"] == computed.status, criterion
        assert value["basis"] == computed.basis, criterion
        assert tuple(value["reasons"]) == computed.reasons, criterion
        decisive = {item.evidence.reference for item in _found(explanation) if item.decides}
        about = {e.reference for item in _found(explanation) if item.decides for e in item.about}
        evidence = {item.reference for item in computed.evidence}
        assert decisive <= evidence <= decisive | about, criterion
        assert explanation.root.decides is bool(decisive), criterion


@pytest.mark.parametrize("name", ["AV-05", "AV-10"])
def test_every_define_stands_once_and_the_json_is_closed_in_itself(name: str) -> None:
    document = json.loads(json.dumps(_explained(name).to_json()))
    assert len(document["explanations"]) == len(document["criteria"])
    for explanation in document["explanations"]:
        names = [node["define"] for node in explanation["defines"]]
        assert len(names) == len(set(names))
        read = {r["define"] for node in explanation["defines"] for r in node["reads"] if "define" in r}
        assert read == set(names[1:])
    assert "explanations" not in _assessed(name).to_json()


def test_what_was_evaluated_once_is_explained_and_nothing_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluations: list[Mapping[str, Result]] = []
    asked: list[tuple[Any, ...]] = []
    evaluate, retrieve = Library.evaluate, RecordRetriever.retrieve

    def counted(library: Library, defines: Sequence[str] | None, **how: Any) -> dict[str, Result]:
        evaluations.append(evaluate(library, defines, **how))
        return dict(evaluations[-1])

    def noted(retriever: RecordRetriever, *what: Any) -> Sequence[Mapping[str, Any]]:
        asked.append(what)
        return retrieve(retriever, *what)

    monkeypatch.setattr(Library, "evaluate", counted)
    monkeypatch.setattr(RecordRetriever, "retrieve", noted)
    plain = _assessed("AV-10")
    once = list(asked)
    asked.clear()
    explained = _assessed("AV-10", "all")
    assert len(evaluations) == 2
    assert asked == once
    assert explained.criteria == plain.criteria
    assert plain.explanations == ()
    for result in evaluations[1].values():
        assert result.explain().value == result.value


def test_lines_fit_a_terminal_and_ascii_will_do() -> None:
    for name in ("AV-06", "AV-10"):
        for full in (False, True):
            text = render_explanations([_explained(name)], full=full, marks=ASCII)
            assert max(map(len, text.splitlines())) <= 100
            assert not set(text) & set("├└│◀·←…")
    assert render_explanations([_explained("AV-06")]).count("◀") > 20


def test_the_full_text_names_every_define_and_every_resource() -> None:
    (explanation,) = _assessed("AV-10", "ex09").explanations
    text = " ".join(render_explanations([_assessed("AV-10", "ex09")], full=True).split())
    for node in explanation.defines():
        assert isinstance(node, ShownDefine)
        assert node.name in text
    assert all(f"[{item.evidence.reference}]" in text for item in _found(explanation))


def _text(name: str) -> str:
    vignette, _, criterion = name.rpartition("-")
    return render_explanations([_assessed(vignette, criterion)])


@pytest.mark.parametrize("name", GOLDEN)
def test_text(name: str) -> None:
    assert _text(name) == (TEXTS / f"{name}.txt").read_text(encoding="utf-8")


def test_each_text_is_expected() -> None:
    assert {path.stem for path in TEXTS.glob("*.txt")} == set(GOLDEN)


if __name__ == "__main__":
    for golden in GOLDEN:
        (TEXTS / f"{golden}.txt").write_text(_text(golden), encoding="utf-8")
