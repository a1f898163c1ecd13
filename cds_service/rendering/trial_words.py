"""A trial's own words beside an assessment's JSON: row texts, labels, repeated rows.

Optional everywhere: without them a rendering shows ids and codes, never less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cds_service.eligibility.trial import Trial


@dataclass(frozen=True, slots=True)
class TrialWords:
    """`rows`: protocol text by row id; `labels`: short name by criterion id;
    `repeats`: the ids of criteria that only repeat another one's verdict;
    `registry_warning`: what must be said first while the site has not confirmed that it recruits."""

    rows: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    repeats: frozenset[str] = frozenset()
    registry_warning: str | None = None


NO_WORDS = TrialWords()


def words_of(trial: Trial) -> TrialWords:
    """The words of one trial package."""
    return TrialWords(
        rows={row.id: row.text for row in trial.rows},
        labels={criterion.id: criterion.label for criterion in trial.criteria},
        repeats=frozenset(c.id for c in trial.criteria if c.same_as is not None),
        registry_warning=trial.registry.warning,
    )
