"""A trial's criteria as a Markdown table, and keeping it in a document between two markers.

Errors: a document without the trial's markers, or with more than one pair, raises InputError.
"""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.eligibility.trial import Criterion, Trial
from cds_service.errors import InputError


def criteria_table(trial: Trial) -> str:
    """One line a criterion: id, the protocol's words, what is asked, tier, and what its verdict is computed from."""
    return "\n".join(_lines(trial)) + "\n"


def with_table(document: str, trial: Trial) -> str:
    """The document with the trial's table between `<!-- criteria: ID -->` and `<!-- end of criteria: ID -->`."""
    start, end = f"<!-- criteria: {trial.id} -->\n", f"<!-- end of criteria: {trial.id} -->"
    before, found, rest = document.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed or start in after or end in before:
        raise InputError(f"The document needs one line {start.strip()!r} and, below it, one line {end!r}.")
    return f"{before}{start}{criteria_table(trial)}{end}{after}"


def _lines(trial: Trial) -> Iterator[str]:
    yield "| id | the protocol's words | asked | tier | computed from |"
    yield "|---|---|---|---|---|"
    earlier: set[str] = set()
    for criterion in trial.criteria:
        words = "(the same row)" if criterion.group in earlier else criterion.text
        earlier.add(criterion.group)
        cells = (criterion.id, words, criterion.label, criterion.tier, _source(criterion))
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _source(criterion: Criterion) -> str:
    if criterion.same_as is not None:
        return f"the verdict of {criterion.same_as}"
    if criterion.define is None:
        return f"not computed yet (to be read: {criterion.computed_from})"
    return criterion.computed_from


def _cell(text: str) -> str:
    """Text that stays in its cell and means nothing to Markdown."""
    escaped = text.replace("\\", "\\\\")
    for mark in "|*_<`":
        escaped = escaped.replace(mark, f"\\{mark}")
    return " ".join(escaped.split())
