"""The texts of concepts on the lexicon (clinical specification §2.2, §2.8, §2.9): codings of what the words say.

A code of the specification's table silences the texts beside it. The words of a drug's form and route are read
whatever is coded: they only tell where a coded drug acts. Concepts have been tidied before; nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cds_service.records.mappings import Mappings
from cds_service.records.text import Lexicon, Matches
from cds_service.terminology.systems import DRUG_FORM, SNOMED, TEXT_MATCH, TEXT_MATCH_NEGATED
from cds_service.terminology.text import normalise_text

Concept = dict[str, Any]


def texts(concept: Mapping[str, Any]) -> Iterable[str]:
    """The text and the displays of a concept."""
    if "text" in concept:
        yield concept["text"]
    for coding in concept.get("coding", ()):
        if "display" in coding:
            yield coding["display"]


class Words:
    """Reads texts on the mappings' lexicons."""

    def __init__(self, mappings: Mappings) -> None:
        self._value_sets = mappings.value_sets
        self._general = mappings.lexicon
        self._drugs = mappings.drugs
        self._forms = mappings.forms

    def is_readable(self, concept: Mapping[str, Any]) -> bool:
        """Whether a concept says anything: a code that a value set holds, or a text with letters in it."""
        return any(
            self._value_sets.sets_of(coding.get("system"), coding.get("code") or "")
            for coding in concept.get("coding", ())
        ) or any(is_text(text) for text in texts(concept))

    def said(self, concept: Concept, more: Iterable[str] = ()) -> Concept:
        """The concept with the codings of its words, and of `more` texts; itself when they say nothing."""
        return self._with(concept, self._general, more)

    def said_of_drug(self, concept: Concept) -> Concept:
        """The same for a drug's words."""
        return self._with(concept, self._drugs, ())

    def form(self, concept: Concept, more: Iterable[str] = ()) -> Concept:
        """The concept with the codings of the forms and routes that its words name."""
        matches = self._forms.read([*texts(concept), *more])
        return _added(concept, ({"system": DRUG_FORM, "code": code} for code in sorted(matches.found)))

    def _with(self, concept: Concept, lexicon: Lexicon, more: Iterable[str]) -> Concept:
        if self._is_silent(concept):
            return concept
        matches = lexicon.read([*texts(concept), *more])
        if _is_of_family(concept):
            matches = Matches(frozenset(), matches.found | matches.negated)
        found = [{"system": TEXT_MATCH, "code": code} for code in sorted(matches.found)]
        found += [{"system": TEXT_MATCH_NEGATED, "code": code} for code in sorted(matches.negated)]
        return _added(concept, found)

    def _is_silent(self, concept: Mapping[str, Any]) -> bool:
        """Whether a code stands beside the concept's texts that says all they can say (§2.2)."""
        return any(
            self._value_sets.silences(coding.get("system"), coding.get("code") or "")
            for coding in concept.get("coding", ())
        )


def _is_of_family(concept: Mapping[str, Any]) -> bool:
    """Whether a coding is a SNOMED CT family history situation by its name: no set can list them all (§2.2)."""
    return any(
        coding.get("system") == SNOMED
        and normalise_text(coding.get("display", "")).startswith("family history")
        for coding in concept.get("coding", ())
    )


def is_text(text: object) -> bool:
    """Whether a string can say anything: it holds a letter."""
    return isinstance(text, str) and any(character.isalpha() for character in text)


def _added(concept: Concept, codings: Iterable[dict[str, str]]) -> Concept:
    found = list(codings)
    return {**concept, "coding": [*concept.get("coding", ()), *found]} if found else concept
