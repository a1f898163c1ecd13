"""What a trial needs to read: derived from the retrieves of its ELM, criterion by criterion (clinical-spec §2.1).

Pure data, computed once at load. What normalisation turns into what the ELM retrieves belongs to it. Only what a
criterion, or the trial's define on participation, reaches counts.

Errors: a package whose description and ELM don't fit together raises AuthoringError saying which of both to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cds_service.eligibility.trial import Criterion, Trial
from cds_service.elm import Library, Terminology
from cds_service.elm.values import Code
from cds_service.errors import AuthoringError
from cds_service.records.derivations import codes_behind, types_behind
from cds_service.records.mappings import Mappings
from cds_service.records.patient_search import COMPANIONS, SEARCHED, companions_of, is_companion
from cds_service.records.wanted import Wanted

if TYPE_CHECKING:
    from cds_service.elm.compile import RetrieveNeed

__all__ = ["ATTESTATIONS", "COMPANIONS", "LoadedNeeds", "derive_needs"]

ATTESTATIONS: Final = "QuestionnaireResponse"
Needs = frozenset["RetrieveNeed"]


@dataclass(frozen=True, slots=True)
class LoadedNeeds:
    """Resource types by criterion id (companions left out), all together, and those of the gate; the codes of the
    Observations."""

    by_criterion: Mapping[str, frozenset[str]]
    all: frozenset[str]
    gate: frozenset[str]
    observation_codes: tuple[str, ...] = ()

    @property
    def wanted(self) -> Wanted:
        """What is to be got of a chart once the gate is open."""
        return Wanted(self.all, self.observation_codes)

    @property
    def wanted_by_gate(self) -> Wanted:
        """What is to be got of every chart."""
        return Wanted(self.gate, self.observation_codes if "Observation" in self.gate else ())


def derive_needs(trial: Trial, library: Library, terminology: Terminology, mappings: Mappings) -> LoadedNeeds:
    """The needs of a trial; Patient and the attestations always belong to the whole."""
    retrieves = {c.id: library.retrieves(c.define) if c.define else frozenset() for c in trial.criteria}
    for criterion in trial.criteria:
        if criterion.same_as is not None and criterion.define is None:
            retrieves[criterion.id] = retrieves[criterion.same_as]
    everything = frozenset().union(*retrieves.values())
    if trial.participation is not None:
        everything |= library.retrieves(trial.participation)
    types = {each: _types(needs, terminology, mappings) for each, needs in retrieves.items()}
    by_criterion = {c.id: _narrowed(c, types[c.id]) for c in trial.criteria}
    whole = _types(everything, terminology, mappings) | {"Patient", ATTESTATIONS}
    _check_obtainable(whole)
    return LoadedNeeds(
        by_criterion,
        whole | companions_of(whole),
        _gate(trial, types[trial.gate]),
        codes_behind(_observation_codes(everything, terminology), mappings),
    )


def _types(needs: Needs, terminology: Terminology, mappings: Mappings) -> frozenset[str]:
    """The types retrieved, and those of which normalisation makes what is retrieved."""
    retrieved = frozenset(need.resource_type for need in needs)
    return retrieved | types_behind(_observation_codes(needs, terminology), mappings)


def _observation_codes(needs: Iterable[RetrieveNeed], terminology: Terminology) -> Iterator[Code]:
    for need in needs:
        if need.resource_type == "Observation":
            yield from need.codes or ()
            if need.value_set is not None:
                yield from terminology.expand(need.value_set)


def _narrowed(criterion: Criterion, types: frozenset[str]) -> frozenset[str]:
    """What makes the criterion unknown where it can't be got: of what it retrieves, that which its `reads` names."""
    if criterion.reads is None:
        return frozenset(kind for kind in types if not is_companion(kind))
    return _checked(f"criteria {criterion.id}: reads", criterion.reads, types)


def _gate(trial: Trial, types: frozenset[str]) -> frozenset[str]:
    """What is asked for on every chart."""
    if not trial.gate_types:
        return types | companions_of(types) | {"Patient"}
    named = _checked("gate.resources", trial.gate_types, types | {"Patient"})
    return named | companions_of(named) | {"Patient"}


def _checked(place: str, named: Iterable[str], types: frozenset[str]) -> frozenset[str]:
    if foreign := frozenset(named) - types:
        raise AuthoringError(
            f"trial.toml: {place}: the CQL of this criterion reads no {_listed(foreign)}; "
            f"it reads {_listed(types) or 'nothing'}: name some of these, or change the CQL"
        )
    return frozenset(named)


def _check_obtainable(types: frozenset[str]) -> None:
    """What is neither searched by patient nor led to would always be missing, and look as if there were none."""
    if lost := types - SEARCHED - COMPANIONS.keys() - {"Patient"}:
        raise AuthoringError(
            f"the CQL retrieves {_listed(lost)}, which belongs to no patient and can't be searched for one: "
            "read what refers to it instead"
        )
    for kind in sorted(types & COMPANIONS.keys() - SEARCHED):
        if types.isdisjoint(COMPANIONS[kind]):
            raise AuthoringError(
                f"the CQL retrieves {kind}, but nothing that leads to one: "
                f"retrieve {_listed(COMPANIONS[kind], ' or ')}, too"
            )


def _listed(names: Iterable[str], between: str = ", ") -> str:
    return between.join(sorted(names))
