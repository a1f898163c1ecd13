"""What each of the service's ConceptMaps leads from and to. Data, and the words for what doesn't fit; no errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from cds_service import units
from cds_service.terminology.check_digits import has_valid_check_digit
from cds_service.terminology.system_uris import uri_key
from cds_service.terminology.systems import (
    ADMINISTRATIVE_GENDER,
    ATC,
    CATEGORY_TEXT,
    CODE_SYSTEM,
    CONDITION_CLINICAL,
    CONDITION_VER_STATUS,
    CVX,
    DRUG_CLASS,
    EL_ESCORIAL_CATEGORY,
    HCPCS,
    ICD9CM,
    ICD10,
    ICD10CM,
    ICD10PCS,
    LOINC,
    OBSERVATION_INTERPRETATION,
    PARTICIPATION,
    QUALITATIVE_RESULT,
    REFERENCE_RANGE_MEANING,
    RESULT_TEXT,
    RXNORM,
    SNOMED,
    SYSTEM_ALIAS,
    TRIAL_OBSERVATIONS,
    UCUM,
    UNIT_TEXT,
    V3_ADMINISTRATIVE_GENDER,
)
from cds_service.terminology.text import normalise_text, unit_key

EL_ESCORIAL_CATEGORIES: Final = (
    "definite", "probable", "probable-laboratory-supported", "possible", "suspected", "not-als",
)  # fmt: skip
RESEARCH_SUBJECT_STATUS: Final = "http://hl7.org/fhir/research-subject-status"
# Why a target code doesn't fit, "" where it does.
Judge = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """Of one map. `sources`: the only ones, or None for any; `bare`: codes without system may be mapped; `several`: a
    code may lead to more than one; `refused`: why a site can't add to it, "" where it can.
    """

    targets: Mapping[str, Judge]
    sources: frozenset[str] | None = None
    bare: bool = False
    several: bool = False
    refused: str = ""

    def source_problem(self, source: str) -> str:
        """What is wrong with a group's source; "" where nothing is."""
        if not source and not self.bare:
            return "is missing: name the system of the codes"
        if source and self.sources is not None and source not in self.sources:
            return (
                f"{source} is none that this map leads from: it must be {' or '.join(sorted(self.sources))}"
            )
        return ""


def _any(_code: str) -> str:
    return ""


def _one_of(known: Collection[str], code: str) -> str:
    return "" if code in known else f"is none of {', '.join(known)}"


def _checked(system: str, code: str) -> str:
    return "" if has_valid_check_digit(system, code) else "has a wrong check digit: it is no such code"


def _unit(code: str) -> str:
    return "" if units.is_unit(code) else "is no UCUM unit"


def _formed(pattern: re.Pattern[str], code: str) -> str:
    return "" if pattern.fullmatch(code) else "is no code of this system"


_ICD10 = r"[A-Z]\d[0-9A-Z](\.?[0-9A-Z]{1,4})?"
_FORMS: Final[Mapping[str, str]] = {
    ATC: r"[A-Z](\d\d([A-Z]([A-Z](\d\d)?)?)?)?",
    RXNORM: r"\d{1,8}",
    ICD10: _ICD10,
    ICD10CM: _ICD10,
    ICD9CM: r"(V\d|E\d\d|\d\d)\d(\.?\d{1,2})?",
    ICD10PCS: r"[0-9A-HJ-NP-Z]{7}",
    CVX: r"\d{1,3}",
    HCPCS: r"[A-Z]\d{4}",
}
_LAB: Final[dict[str, Judge]] = {
    LOINC: partial(_checked, LOINC),
    SNOMED: partial(_checked, SNOMED),
    **{
        system: partial(_formed, re.compile(form, re.IGNORECASE | re.ASCII))
        for system, form in _FORMS.items()
    },
    TRIAL_OBSERVATIONS: partial(_one_of, ("el-escorial-category", "cobb-angle")),
}
_RESULTS: Final = ("positive", "weak-positive", "negative", "indeterminate")

RULES: Final[Mapping[str, Rule]] = {
    "local-lab-to-loinc": Rule(_LAB, bare=True, several=True),
    "units-to-ucum": Rule({UCUM: _unit}, frozenset({UNIT_TEXT})),
    "qualitative-result": Rule({QUALITATIVE_RESULT: partial(_one_of, _RESULTS)}, bare=True),
    "el-escorial-local": Rule(
        {
            EL_ESCORIAL_CATEGORY: partial(_one_of, EL_ESCORIAL_CATEGORIES),
            TRIAL_OBSERVATIONS: partial(_one_of, ("el-escorial-category",)),
        }
    ),
    "system-aliases": Rule({CODE_SYSTEM: _any}, frozenset({SYSTEM_ALIAS})),
    "researchsubject-status": Rule(
        {PARTICIPATION: partial(_one_of, ("participating", "possibly", "no"))},
        frozenset({RESEARCH_SUBJECT_STATUS}),
    ),
    "rxnorm-atc-drugclass": Rule(
        {DRUG_CLASS: _any},
        several=True,
        refused="a site can't add to it: map a drug's code to ATC or RxNorm in local-lab-to-loinc",
    ),
}
# Code systems that records are read by, under these URIs.
READ: Final = frozenset(
    {*_LAB, UCUM, OBSERVATION_INTERPRETATION, REFERENCE_RANGE_MEANING, ADMINISTRATIVE_GENDER, V3_ADMINISTRATIVE_GENDER,
     CONDITION_CLINICAL, CONDITION_VER_STATUS}
)  # fmt: skip
# The sources whose "codes" are texts, and the form in which these are compared.
_TEXTS: Final[Mapping[str, Callable[[str], str]]] = {
    RESULT_TEXT: normalise_text,
    CATEGORY_TEXT: normalise_text,
    UNIT_TEXT: unit_key,
}


def source_key(system: str, code: str) -> tuple[str, str]:
    """The same for two source codes of a map that are compared as the same."""
    form = uri_key if system == SYSTEM_ALIAS else _TEXTS.get(system)
    return uri_key(system), code if form is None else form(code)
