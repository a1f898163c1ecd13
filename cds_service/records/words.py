"""The texts of concepts on the lexicon (clinical specification §2.2, §2.8, §2.9): codings of what the words say.

A code of the specification's table silences the texts beside it. The words of a drug's form and route are read
whatever is coded: they only tell where a coded drug acts. Concepts have been tidied before; nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cds_service.records.mappings import Mappings
from cds_service.records.statements import says_nothing_of_items
from cds_service.records.text import Matches
from cds_service.terminology.systems import DRUG_FORM, DRUG_NAME, SNOMED, TEXT_MATCH, TEXT_MATCH_NEGATED
from cds_service.terminology.text import normalise_text

Concept = dict[str, Any]

_MISSING_DATA: Final = frozenset(
    {
        "http://terminology.hl7.org/CodeSystem/data-absent-reason",
        "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    }
)
# How names of drugs are written in one language and another: "cyclosporine", "ciclosporina".
_SPELLINGS: Final = (("th", "t"), ("ph", "f"), ("y", "i"), ("mc", "nc"))


def texts(concept: Mapping[str, Any]) -> Iterable[str]:
    """The text and the displays of a concept."""
    if "text" in concept:
        yield concept["text"]
    for coding in concept.get("coding", ()):
        if "display" in coding:
            yield coding["display"]


def is_named(concept: Mapping[str, Any]) -> bool:
    """Whether a concept has a code or a text at all, of whatever system or language."""
    return any(texts(concept)) or any("code" in coding for coding in concept.get("coding", ()))


class Words:
    """Reads texts on the mappings' lexicons."""

    def __init__(self, mappings: Mappings) -> None:
        self._value_sets = mappings.value_sets
        self._general = mappings.lexicon
        self._drugs = mappings.drugs
        self._forms = mappings.forms
        self._of_display: dict[str, frozenset[str]] = {}

    def is_readable(self, concept: Mapping[str, Any]) -> bool:
        """Whether a concept says anything: a code that a value set holds, or a text with letters in it.

        The words of a code for missing data ("unknown") say nothing; "no known medications" does.
        """
        if says_nothing_of_items(concept):
            return True
        codings = [c for c in concept.get("coding", ()) if c.get("system") not in _MISSING_DATA]
        return any(
            self._value_sets.sets_of(coding.get("system"), coding.get("code") or "") for coding in codings
        ) or any(is_text(text) for text in texts({**concept, "coding": codings}))

    def said(self, concept: Concept, more: Iterable[str] = ()) -> Concept:
        """The concept with the codings of its words, and of `more` texts; itself when they say nothing."""
        if self._is_silent(concept):
            return concept
        matches = self._general.read([*texts(concept), *more])
        if _is_of_family(concept):
            matches = Matches(frozenset(), matches.found | matches.negated)
        return _added(concept, _codings(matches))

    def said_of_drug(self, concept: Concept) -> Concept:
        """The same for a drug's words, and with the names of the drugs that its words and codes name."""
        matches = self._drugs.read(texts(concept))
        found = [] if self._is_silent(concept) else _codings(matches)
        phrases = set(matches.phrases)
        for coding in concept.get("coding", ()):
            phrases |= self._phrases_of_code(coding.get("system"), coding.get("code") or "")
        names = sorted({drug_name(phrase) for phrase in phrases})
        return _added(concept, [*found, *({"system": DRUG_NAME, "code": name} for name in names)])

    def _phrases_of_code(self, system: str | None, code: str) -> frozenset[str]:
        display = self._value_sets.display(system, code)
        if display is None:
            return frozenset()
        if display not in self._of_display:
            self._of_display[display] = self._drugs.read([display]).phrases
        return self._of_display[display]

    def form(self, concept: Concept, more: Iterable[str] = ()) -> Concept:
        """The concept with the codings of the forms and routes that its words name."""
        matches = self._forms.read([*texts(concept), *more])
        return _added(concept, ({"system": DRUG_FORM, "code": code} for code in sorted(matches.found)))

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


def drug_name(phrase: str) -> str:
    """One form of a drug's name in English and Portuguese: its words without endings, in order of the alphabet."""
    return " ".join(sorted(_stem(word) for word in phrase.split(" ") if len(word) > 2))


def _stem(word: str) -> str:
    for written, read in _SPELLINGS:
        word = word.replace(written, read)
    word = word.removeprefix("h")
    return word.removesuffix("us") if word.endswith("us") else word.rstrip("aeo")


def is_text(text: object) -> bool:
    """Whether a string can say anything: it holds a letter."""
    return isinstance(text, str) and any(character.isalpha() for character in text)


def _codings(matches: Matches) -> list[dict[str, str]]:
    found = [{"system": TEXT_MATCH, "code": code} for code in sorted(matches.found)]
    return found + [{"system": TEXT_MATCH_NEGATED, "code": code} for code in sorted(matches.negated)]


def _added(concept: Concept, codings: Iterable[dict[str, str]]) -> Concept:
    found = list(codings)
    return {**concept, "coding": [*concept.get("coding", ()), *found]} if found else concept
