"""What a trial needs to read: derived from the retrieves of its ELM, criterion by criterion (clinical-spec §2.1).

Pure data, computed once at load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cds_service.eligibility.trial import Criterion, Trial
from cds_service.elm import Library, Terminology

ATTESTATIONS: Final = "QuestionnaireResponse"
# They belong to no patient and come along with what refers to them, without a search of their own. Where they are said
# to be missing all the same, what refers to them can't be read.
COMPANIONS: Final[Mapping[str, frozenset[str]]] = {
    "Medication": frozenset(
        {"MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense"}
    ),
    "ResearchStudy": frozenset({"ResearchSubject"}),
}


@dataclass(frozen=True, slots=True)
class LoadedNeeds:
    """Resource types by criterion id, all together, and those of the gate; the codes of the Observations."""

    by_criterion: Mapping[str, frozenset[str]]
    all: frozenset[str]
    gate: frozenset[str]
    observation_codes: tuple[str, ...] = ()


def derive_needs(trial: Trial, library: Library, terminology: Terminology) -> LoadedNeeds:
    """The resource types that each criterion reads; Patient and the attestations always belong to the whole."""
    by_criterion = {criterion.id: _criterion_needs(criterion, library) for criterion in trial.criteria}
    everything = frozenset().union(*by_criterion.values(), {"Patient", ATTESTATIONS}, trial.gate_types)
    for criterion in trial.criteria:
        if criterion.define is not None:
            everything |= _retrieved(library, criterion.define)
    if trial.participation is not None:
        everything |= _retrieved(library, trial.participation)
    codes = _observation_codes(library, terminology)
    return LoadedNeeds(by_criterion, everything, frozenset(trial.gate_types), codes)


def _observation_codes(library: Library, terminology: Terminology) -> tuple[str, ...]:
    """Every code by which an Observation may answer a criterion, without system."""
    codes: set[str] = set()
    for define in library.defines:
        for need in library.retrieves(define):
            if need.resource_type != "Observation":
                continue
            codes.update(c.code for c in need.codes or () if c.code)
            if need.value_set is not None:
                codes.update(c.code for c in terminology.expand(need.value_set) if c.code)
    return tuple(sorted(codes))


def _criterion_needs(criterion: Criterion, library: Library) -> frozenset[str]:
    if criterion.reads is not None:
        return frozenset(criterion.reads)
    if criterion.define is None:
        return frozenset()
    return _retrieved(library, criterion.define) - COMPANIONS.keys()


def _retrieved(library: Library, define: str) -> frozenset[str]:
    return frozenset(need.resource_type for need in library.retrieves(define))
