"""Why criteria have their verdicts, for a terminal: row, thresholds, the tree of what was read, what was not found.

Plain text as of `text`: control characters of the record are removed, so that data can't steer the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cds_service.eligibility.assessment import Assessment
from cds_service.eligibility.explanation import SCREENING_DATE, CriterionExplanation
from cds_service.rendering import words
from cds_service.rendering.explanation_tree import TREE, ExplanationTree, Marks, marks_for
from cds_service.rendering.text import WIDTH, block, row_lines, wrapped
from cds_service.rendering.trial_words import words_of
from cds_service.rendering.value_words import value_words
from cds_service.rendering.view import row_of, view_of

__all__ = ["marks_for", "render_explanations"]


def render_explanations(
    assessments: Sequence[Assessment], *, full: bool = False, marks: Marks = TREE, width: int = WIDTH
) -> str:
    """The explanations of these assessments, trial by trial, in lines of at most `width` characters."""
    lines: list[str] = []
    for number, assessment in enumerate(assessments):
        lines += ["", ""] if number else []
        trial = assessment.trial
        status = words.word_for(words.STATUS, assessment.status)
        lines += wrapped(f"{trial.id} (version {trial.version}): {trial.title}", width)
        lines += wrapped(
            f"{assessment.patient}, as of {assessment.as_of}: {status} [{assessment.status}]", width
        )
        view = view_of(assessment.to_json(), words_of(trial))
        lines += block("Warnings", view.warnings, width)
        lines += block("Notes", view.notes, width)
        for explanation in assessment.explanations:
            lines += ["", "", *_criterion(assessment, explanation, full, marks, width)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _criterion(
    assessment: Assessment, explanation: CriterionExplanation, full: bool, marks: Marks, width: int
) -> Iterator[str]:
    criterion = explanation.result.criterion
    yield criterion.id
    yield "=" * len(criterion.id)
    row = row_of(explanation.result.to_json(), words_of(assessment.trial))
    if sum(each.group == criterion.group for each in assessment.trial.criteria) > 1:
        row = replace(row, text=f"{row.text}: {criterion.label}")
    yield from row_lines(row, width)
    yield from block("How the verdict came about", _overlaid(explanation), width)
    if criterion.same_as in {each.result.criterion.id for each in assessment.explanations}:
        return
    yield from block(
        "Thresholds",
        (
            f"{p.name} = {value_words(p.value, criterion.kind, listed=None)} ({p.origin})"
            for p in explanation.parameters
            if p.name != SCREENING_DATE
        ),
        width,
    )
    if explanation.root is None:
        return
    tree = ExplanationTree(explanation.root, criterion.kind, full=full, marks=marks)
    title = f"What it rests on ({marks.decides} the verdict's evidence, {marks.source} read further up)"
    yield from ("", title, "-" * len(title))
    yield from tree.lines(width)
    yield from block("Not, or not completely, obtained", tree.not_obtained(), width)
    yield from block("Looked for, and not found", tree.not_found(), width)


def _overlaid(explanation: CriterionExplanation) -> Iterator[str]:
    """What was laid over the computed verdict, where it was."""
    result, computed, answer = explanation.result, explanation.computed, explanation.answer
    kind, verdict = result.criterion.kind, result.verdict
    if result.criterion.same_as is not None:
        yield f"It repeats the verdict of {result.criterion.same_as}."
    if computed is not None and (computed.status, computed.basis) != (verdict.status, verdict.basis):
        reasons = "; ".join(words.word_for(words.REASON, reason) for reason in computed.reasons)
        said = words.verdict_word(kind, computed.status, computed.basis)
        yield f"The record alone: {said}" + (f" ({reasons})" if reasons else "")
    if answer is not None:
        counts = "it decides" if verdict.basis == "attested" else "it does not decide alone"
        item = answer.evidence
        yield f"The study team's answer: {item.value}, {item.date} [{item.reference}]; {counts}"
