"""What normalisation makes the Observations of that a trial retrieves: other codes, and resources of other types.

A trial names the codes that it reads in their canonical form. A server has the codes as they were before: a site's own,
those of the volumes that a percentage is computed from. Whoever asks by code asks for these. Pure; nothing fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from cds_service.elm.values import Code
from cds_service.records.lung_function import INPUTS
from cds_service.records.mappings import Mappings
from cds_service.records.observations import QUESTIONNAIRE_SETS
from cds_service.terminology.systems import DERIVED_OBSERVATIONS

_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "fvc-percent-reported-volumes": frozenset({"DiagnosticReport"}),
    "fvc-percent-predicted": frozenset({"Patient"}),
}


def codes_behind(retrieved: Iterable[Code], mappings: Mappings) -> tuple[str, ...]:
    """Every code, without system, under which a chart may hold what becomes an Observation of these codes. Sorted."""
    wanted = {(code.system, code.code) for code in retrieved}
    for system, code in tuple(wanted):
        if system == DERIVED_OBSERVATIONS:
            for analyte in INPUTS.get(code or "", ()):
                wanted.update(mappings.readings.codes_of(analyte))
    found = {code for system, code in wanted if code and system != DERIVED_OBSERVATIONS}
    for (_, local), targets in mappings.local.items():
        if any((target.system, target.code) in wanted for target in targets):
            found.add(local)
    return tuple(sorted(found))


def types_behind(retrieved: Iterable[Code], mappings: Mappings) -> frozenset[str]:
    """The types, beside Observation, of what becomes an Observation of these codes."""
    found: set[str] = set()
    for code in retrieved:
        if code.system == DERIVED_OBSERVATIONS:
            found |= _TYPES.get(code.code or "", frozenset())
        elif not QUESTIONNAIRE_SETS.isdisjoint(mappings.value_sets.sets_of(code.system, code.code or "")):
            found.add("QuestionnaireResponse")
    return frozenset(found)
