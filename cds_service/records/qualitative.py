"""Qualitative results: positive, weak-positive, negative or indeterminate (clinical specification §2.6).

Priority: value coding, interpretation coding, whole normalised texts, then the number against the
laboratory's own cut-off. Texts match as a whole, so that "não reagente" is never read as "reagente"; a
display is never read.

Error policy: nothing raises; contradictory readings give the problem conflicting-data, an unreadable value
text-only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cds_service.records.quantities import MAX_TEXT, Amount, Problem, Units, decimal_of, number_and_rest
from cds_service.records.reference_ranges import converted
from cds_service.terminology.text import fold, normalise_text

POSITIVE = "positive"
WEAK = "weak-positive"
NEGATIVE = "negative"
INDETERMINATE = "indeterminate"
_TITRE = re.compile(r"(?:(?P<word>[^0-9:/<>≤≥]*?)[\s:]*)?1\s*[:/]\s*(?P<denominator>[1-9][0-9]{0,6})")
_TITRE_WORDS = frozenset({"", "titulo", "titer", "titre"})
_VIRAL_LOAD = re.compile(
    r"\s*(?P<before>[^0-9<>≤≥]*?)(?P<sign>[<>≤≥]?=?)\s*(?P<number>\blloq|\bloq|\blod|\blid|[0-9]{1,20}(?:[.,][0-9]{1,20})?)(?P<after>.*)"
)
_LOAD_UNITS = frozenset({"iu", "ui", "u", "copies", "copias", "copia", "cp", "ml", "l", "log", "log10"})
_TARGET = re.compile(r"^(?:target|alvo)\s+")
_DIMENSIONLESS = frozenset({"1", "{s_co_ratio}", "{index_val}"})
_BIG = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class Reading:
    """What a result says; `titre` is the denominator of a titre 1:n."""

    result: str
    titre: int | None = None


# (the number, the denominator of a titre, the results that a text states beside a number) of a value.
_Value = tuple[Amount | None, int | None, tuple[str, ...]]


class QualitativeReader:
    """Reads results by the ConceptMap `qualitative-result`: `codes` by (system, code), `texts` by normalised text."""

    def __init__(self, codes: Mapping[tuple[str, str], str], texts: Mapping[str, str], units: Units) -> None:
        self._codes = codes
        self._texts = texts
        self._units = units

    def read(
        self, observation: Mapping[str, Any], ranges: Sequence[Mapping[str, Any]], kind: str
    ) -> Reading | Problem | None:
        """The reading of a normalised Observation with its applicable ranges; None when it says nothing at
        all.

        `kind`: qualitative, titre (1:n means reactive) or nat (a number above 0 means detected).
        """
        value, titre, said = self._value(observation, kind)
        stated: list[str] = [*self._coded(observation.get("valueCodeableConcept"))]
        for concept in observation.get("interpretation", ()):
            stated += self._coded(concept)
        stated += self._written(observation)
        if titre is not None:
            stated.append(POSITIVE)
        stated += said
        measured = self._measured(value, ranges, kind) if value is not None else None
        if kind == "nat" and measured == POSITIVE:
            stated.append(POSITIVE)  # a number of copies and "not detected" contradict each other
        if stated:
            if len({POSITIVE if result == WEAK else result for result in stated}) > 1:
                return Problem("conflicting-data")
            return Reading(WEAK if WEAK in stated else stated[0], titre)
        if measured == "conflicting":
            return Problem("conflicting-data")
        if measured is not None:
            return Reading(measured)
        return Problem("text-only") if any(key.startswith("value") for key in observation) else None

    def _coded(self, concept: Any) -> Iterator[str]:
        if isinstance(concept, dict):
            for coding in concept.get("coding", ()):
                found = self._codes.get((coding.get("system", ""), coding.get("code", "")))
                if found is not None:
                    yield found

    def _written(self, observation: Mapping[str, Any]) -> Iterator[str]:
        concepts = [observation.get("valueCodeableConcept"), *observation.get("interpretation", ())]
        texts = [concept.get("text") for concept in concepts if isinstance(concept, dict)]
        for text in (observation.get("valueString"), *texts):
            found = self._texts.get(normalise_text(text)) if isinstance(text, str) else None
            if found is not None:
                yield found

    def _value(self, observation: Mapping[str, Any], kind: str) -> _Value:
        if kind == "titre":
            titre = _titre(observation, self._texts)
            if titre is not None:
                return None, titre, ()
        quantity = observation.get("valueQuantity")
        if isinstance(quantity, dict):
            amount = self._units.amount(quantity)
            if isinstance(amount, Problem):
                return None, None, ()
            if kind == "titre" and amount.unit == "{titer}":
                return None, _whole(amount), ()
            return amount, None, ()
        if "valueInteger" in observation:
            number = decimal_of(observation["valueInteger"])
            return (Amount(number, None) if number is not None else None), None, ()
        text = observation.get("valueString")
        if not isinstance(text, str):
            return None, None, ()
        if kind == "nat":
            return self._viral_load(fold(text))
        parsed = number_and_rest(text)
        if parsed is None:
            return None, None, ()
        return Amount(parsed[0], self._units.ucum(parsed[2]) if parsed[2] else None, parsed[1]), None, ()

    def _viral_load(self, folded: str) -> _Value:
        """A number or limit with a result beside it: "<15 IU/mL, not detected", "<LLOQ detected", "40000
        copies/mL".
        """
        match = _VIRAL_LOAD.fullmatch(folded) if len(folded) <= MAX_TEXT else None
        if match is None:
            return None, None, ()
        words = normalise_text(match["after"]).split()
        while words and words[0] in _LOAD_UNITS:
            words.pop(0)
        said = []
        for part in (normalise_text(match["before"]), " ".join(words)):
            text = _TARGET.sub("", part)
            if text:
                result = self._texts.get(text)
                if result is None:
                    return None, None, ()
                said.append(result)
        number = match["number"]
        if not number[0].isdigit():
            limit = Amount(Decimal(1), None, "<")
            return (limit if match["sign"].startswith("<") else None), None, tuple(said)
        parsed = number_and_rest(match["sign"] + number)
        return (Amount(parsed[0], None, parsed[1]) if parsed else None), None, tuple(said)

    def _measured(self, amount: Amount, ranges: Sequence[Mapping[str, Any]], kind: str) -> str | None:
        """The number alone: for a viral load, whether it is above 0; else against every cut-off given."""
        if kind == "nat":
            above = amount.comparator in (None, ">", ">=")
            detected = (amount.value > 0 and above) or (amount.value == 0 and amount.comparator == ">")
            return POSITIVE if detected else INDETERMINATE

        def convert(number: Decimal, unit: str | None) -> Decimal | None:
            same = unit is None or unit == amount.unit or (amount.unit is None and unit in _DIMENSIONLESS)
            return number if same else None

        found = set()
        for entry in ranges:
            limits = converted(entry, self._units, convert)
            if limits is not None and limits[1] is not None:
                found.add(_against(amount, limits[0], limits[1]))
        if len(found) > 1:
            return "conflicting"
        return found.pop() if found else None


def _whole(amount: Amount) -> int | None:
    """The denominator of a titre that is given as a number of {titer}."""
    whole = amount.comparator is None and 1 <= amount.value < 10**7 and amount.value % 1 == 0
    return int(amount.value) if whole else None


def _against(amount: Amount, low: Decimal | None, high: Decimal) -> str:
    """Below the cut-off negative, above it positive, on it or between low > 0 and high indeterminate (§2.6(4))."""
    floor = low if low is not None and low > 0 else high
    at_least = amount.value if amount.comparator in (None, ">", ">=") else -_BIG
    at_most = amount.value if amount.comparator in (None, "<", "<=") else _BIG
    if at_most < floor or (at_most == floor and amount.comparator == "<"):
        return NEGATIVE
    if at_least > high or (at_least == high and amount.comparator == ">"):
        return POSITIVE
    return INDETERMINATE


def _titre(observation: Mapping[str, Any], texts: Mapping[str, str]) -> int | None:
    """The denominator n of a titre 1:n, from a Ratio or a text ("1:16", "Reagente 1/16")."""
    ratio = observation.get("valueRatio")
    if isinstance(ratio, dict):
        parts = [part for key in ("numerator", "denominator") if isinstance(part := ratio.get(key), dict)]
        numbers = [decimal_of(part.get("value")) for part in parts if not part.get("comparator")]
        if len(numbers) != 2 or numbers[0] != 1 or numbers[1] is None:
            return None
        return (
            int(numbers[1])
            if 1 <= numbers[1] < 10**7 and numbers[1] == numbers[1].to_integral_value()
            else None
        )
    text = observation.get("valueString")
    match = _TITRE.fullmatch(fold(text).strip()) if isinstance(text, str) and len(text) <= MAX_TEXT else None
    if match is None:
        return None
    word = normalise_text(match["word"] or "")
    stated = word in _TITRE_WORDS or texts.get(word) in (POSITIVE, WEAK)
    return int(match["denominator"]) if stated else None
