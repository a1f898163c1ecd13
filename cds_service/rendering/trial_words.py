"""A trial's own words beside an assessment's JSON: row texts, labels, repeated rows.

Optional everywhere: without them a rendering shows ids and codes, never less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.eligibility.trial import Trial


@dataclass(frozen=True, slots=True)
class TrialWords:
    """`nct`: the public registry's number; `rows`: protocol text by row id; `labels`: short name by criterion id;
    `repeats`: the ids of criteria that only repeat another one's verdict;
    `registry_warning`: what must be said first while the site has not confirmed that it recruits;
    `registry`: what the public registry says, and the site's confirmation if there is one;
    `parameters`: (name, value) of every parameter that the trial or the site sets."""

    nct: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    repeats: frozenset[str] = frozenset()
    registry_warning: str | None = None
    registry: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


NO_WORDS = TrialWords()


def words_of(trial: Trial) -> TrialWords:
    """The words of one trial package."""
    return TrialWords(
        nct=trial.nct,
        rows={row.id: row.text for row in trial.rows},
        labels={criterion.id: criterion.label for criterion in trial.criteria},
        repeats=frozenset(c.id for c in trial.criteria if c.same_as is not None),
        registry_warning=trial.registry.warning,
        registry=_registry(trial),
        parameters=tuple((name, _shown(value)) for name, value in sorted(trial.parameters.items())),
    )


def _registry(trial: Trial) -> str:
    """`NCT02917681, status UNKNOWN, last verified 2016, https://…; recruitment confirmed by the site on 2026-05-01`."""
    registry = trial.registry
    said = f"{trial.nct}, status {registry.status}, last verified {registry.last_verified}, {registry.url}"
    if registry.recruiting_confirmed is None:
        return f"{said}; recruitment not confirmed by the site"
    return f"{said}; recruitment confirmed by the site on {registry.recruiting_confirmed.isoformat()}"


def _shown(value: Any) -> str:
    """A parameter's value as configuration writes it; an empty list says so."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(part)}" for key, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(part) for part in value) or "none"
    return str(value)
