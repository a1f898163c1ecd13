"""Qualitative results: priority, traps, titres, viral loads (clinical specification §2.6)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cds_service.terminology import systems

from .helpers import Json, concept, observation, only, problem, quantity, result

HBSAG, RNA, RPR, HIV = "5196-1", "11011-4", "20507-0", "56888-1"


def flag(code: str) -> Json:
    return concept(code, systems.OBSERVATION_INTERPRETATION)


def snomed(code: str) -> Json:
    return concept(code, systems.SNOMED)


def reading(code: str, **given: Any) -> str | None:
    read = only(observation(code, **given))
    return result(read) or problem(read)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Positive", "positive"),
        ("POS", "positive"),
        ("Reagente", "positive"),
        ("repeatedly reactive", "positive"),
        ("Detectável", "positive"),
        ("fracamente reagente", "weak-positive"),
        ("weakly reactive", "weak-positive"),
        ("Não reagente", "negative"),
        ("Não-reagente", "negative"),
        ("NÃO  REAGENTE.", "negative"),
        ("non-reactive", "negative"),
        ("Nonreactive", "negative"),
        ("not detected", "negative"),
        ("não detectado", "negative"),
        ("Indetectável", "negative"),
        ("ausente", "negative"),
        ("indeterminado", "indeterminate"),
        ("Zona cinza", "indeterminate"),
        ("gray-zone", "indeterminate"),
        ("borderline", "indeterminate"),
        ("reagente?? repetir", "text-only"),
        ("provavelmente não reagente", "text-only"),
        ("não", "text-only"),
        ("0", "text-only"),
    ],
)
def test_whole_strings(text: str, expected: str) -> None:
    assert reading(HBSAG, valueString=text) == expected
    assert reading(HBSAG, valueCodeableConcept={"text": text}) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"valueCodeableConcept": snomed("10828004")}, "positive"),
        ({"valueCodeableConcept": snomed("131194007")}, "negative"),
        ({"valueCodeableConcept": concept("LA15256-3")}, "negative"),
        ({"valueCodeableConcept": snomed("260408008")}, "weak-positive"),
        ({"valueCodeableConcept": snomed("42425007")}, "indeterminate"),
        ({"valueCodeableConcept": concept("260385009", "urn:oid:2.16.840.1.113883.6.96")}, "negative"),
        ({"interpretation": [flag("NEG")]}, "negative"),
        ({"interpretation": [flag("RR")]}, "positive"),
        ({"interpretation": [flag("WR")]}, "weak-positive"),
        ({"interpretation": [flag("IND")]}, "indeterminate"),
        ({"interpretation": [{"text": "Reagente"}]}, "positive"),
        # Flags of high, low, abnormal say nothing of a serology.
        ({"interpretation": [flag("A")]}, None),
        ({"interpretation": [flag("H")]}, None),
        ({"interpretation": [flag("N")], "valueString": "negativo"}, "negative"),
        # A display is never read.
        ({"valueCodeableConcept": concept("x1", "urn:local", display="Positive")}, "text-only"),
        # Two of value coding, interpretation and text that differ contradict each other.
        ({"valueCodeableConcept": snomed("10828004"), "interpretation": [flag("NEG")]}, "conflicting-data"),
        ({"valueString": "reagente", "interpretation": [flag("NEG")]}, "conflicting-data"),
        ({"valueString": "reagente", "interpretation": [flag("IND")]}, "conflicting-data"),
        ({"valueCodeableConcept": snomed("10828004") | {"text": "negativo"}}, "conflicting-data"),
        ({"interpretation": [flag("POS"), flag("NEG")]}, "conflicting-data"),
        ({"valueString": "reagente", "interpretation": [flag("WR")]}, "weak-positive"),
        ({"valueString": "reagente", "interpretation": [flag("POS"), flag("H")]}, "positive"),
        ({"valueBoolean": True}, "text-only"),
        ({"valueBoolean": False}, "text-only"),
        ({}, None),
        ({"dataAbsentReason": {"text": "x"}, "valueString": "reagente"}, None),
        ({"valueString": ["reagente"]}, "positive"),
        ({"valueString": 5}, "text-only"),
        ({"valueCodeableConcept": "reagente"}, "positive"),
        ({"interpretation": "NEG"}, "negative"),
    ],
)
def test_priority_and_contradiction(given: Json, expected: str | None) -> None:
    assert reading(HBSAG, **given) == expected


def ratio(number: float, comparator: str | None = None) -> Json:
    extra = {"comparator": comparator} if comparator else {}
    return quantity(number, "{s_co_ratio}", **extra)


@pytest.mark.parametrize(
    ("given", "high", "low", "expected"),
    [
        (ratio(0.1), 1.0, None, "negative"),
        (ratio(1.0), 1.0, None, "indeterminate"),
        (ratio(1.01), 1.0, None, "positive"),
        (ratio(0.95), 1.0, 0.9, "indeterminate"),
        (ratio(0.89), 1.0, 0.9, "negative"),
        (ratio(0.5), 1.0, 0, "negative"),
        (ratio(5, ">"), 1.0, None, "positive"),
        (ratio(0.05, "<"), 1.0, None, "negative"),
        (ratio(1.0, "<"), 1.0, None, "negative"),
        (ratio(1.0, ">"), 1.0, None, "positive"),
        (ratio(1.0, "<="), 1.0, None, "indeterminate"),
        (ratio(5, "<"), 1.0, None, "indeterminate"),
        (ratio(0.1), None, None, "text-only"),
    ],
)
def test_a_number_against_the_laboratory_s_cut_off(given: Json, high: Any, low: Any, expected: str) -> None:
    limits = {
        key: quantity(end, "{s_co_ratio}") for key, end in (("low", low), ("high", high)) if end is not None
    }
    assert reading(HIV, valueQuantity=given, referenceRange=[limits] if limits else []) == expected


def test_the_cut_off_must_be_in_the_result_s_unit() -> None:
    ranges = [{"high": quantity(10, "mg/dL")}]
    assert reading("22322-2", valueQuantity=quantity(350, "m[IU]/mL"), referenceRange=ranges) == "text-only"
    assert reading("22322-2", valueQuantity=quantity(350), referenceRange=ranges) == "text-only"
    assert (
        reading("22322-2", valueQuantity=quantity(350, "m[IU]/mL"), referenceRange=[{"high": {"value": 10}}])
        == "positive"
    )
    assert (
        reading(HIV, valueString="0,10 S/CO", referenceRange=[{"high": quantity(1, "{s_co_ratio}")}])
        == "negative"
    )


def test_cut_offs_that_disagree_conflict() -> None:
    ranges = [{"high": {"value": 1}}, {"high": {"value": 10}}]
    assert reading(HIV, valueQuantity=ratio(5), referenceRange=ranges) == "conflicting-data"


def test_words_outweigh_the_number() -> None:
    ranges = [{"high": {"value": 1}}]
    assert (
        reading(HIV, valueQuantity=ratio(0.1), interpretation=[flag("POS")], referenceRange=ranges)
        == "positive"
    )


@pytest.mark.parametrize(
    ("given", "denominator"),
    [
        ({"valueString": "1:16"}, 16),
        ({"valueString": "1/2"}, 2),
        ({"valueString": "Reagente 1:32"}, 32),
        ({"valueString": "Título: 1:8"}, 8),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 4}}}, 4),
        ({"valueQuantity": quantity(16, "{titer}")}, 16),
    ],
)
def test_titres_are_reactive(given: Json, denominator: int) -> None:
    read = only(observation(RPR, **given))
    assert result(read) == "positive"
    assert read["valueRatio"]["numerator"]["value"] == 1
    assert Decimal(read["valueRatio"]["denominator"]["value"]) == denominator
    assert [key for key in read if key.startswith("value")] == ["valueRatio"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"valueString": "não reagente 1:1"}, "text-only"),
        ({"valueString": "<1:2"}, "text-only"),
        ({"valueString": "2:16"}, "text-only"),
        ({"valueString": "1:0"}, "text-only"),
        ({"valueString": "nonreactive"}, "negative"),
        ({"valueRatio": {"numerator": {"value": 0}, "denominator": {"value": 1}}}, "text-only"),
        ({"valueRatio": {"numerator": {"value": 1}}}, "text-only"),
        (
            {"valueRatio": {"numerator": {"value": 1, "comparator": "<"}, "denominator": {"value": 2}}},
            "text-only",
        ),
        ({"valueString": "1:16", "interpretation": [flag("NEG")]}, "conflicting-data"),
        ({"valueQuantity": quantity(0, "{titer}")}, "text-only"),
    ],
)
def test_what_is_no_titre(given: Json, expected: str) -> None:
    assert reading(RPR, **given) == expected


def test_only_syphilis_knows_titres() -> None:
    assert reading(HBSAG, valueString="1:16") == "text-only"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"valueQuantity": quantity(1.2e6, "[IU]/mL")}, "positive"),
        ({"valueQuantity": quantity(40, "[IU]/mL", comparator=">")}, "positive"),
        ({"valueQuantity": quantity(0, "[IU]/mL", comparator=">")}, "positive"),
        ({"valueQuantity": quantity(0, "[IU]/mL")}, "indeterminate"),
        ({"valueQuantity": quantity(15, "[IU]/mL", comparator="<")}, "indeterminate"),
        (
            {"valueQuantity": quantity(15, "[IU]/mL", comparator="<"), "interpretation": [flag("ND")]},
            "negative",
        ),
        (
            {"valueQuantity": quantity(15, "[IU]/mL", comparator="<"), "interpretation": [flag("DET")]},
            "positive",
        ),
        ({"valueQuantity": quantity(40000, "[IU]/mL"), "interpretation": [flag("ND")]}, "conflicting-data"),
        ({"valueString": "<15 IU/mL, not detected"}, "negative"),
        ({"valueString": "<15 IU/mL"}, "indeterminate"),
        ({"valueString": "<15 UI/mL detectado"}, "positive"),
        ({"valueString": "< LLOQ detected"}, "positive"),
        ({"valueString": "<LLOQ"}, "indeterminate"),
        ({"valueString": "<LLOQ", "interpretation": [flag("ND")]}, "negative"),
        ({"valueString": "not detected"}, "negative"),
        ({"valueString": "Target not detected"}, "negative"),
        ({"valueString": "Not detected (<15 IU/mL)"}, "negative"),
        ({"valueString": "Detected, 40000 copies/mL"}, "positive"),
        ({"valueString": "40000 cópias/mL"}, "positive"),
        ({"valueString": "40000 copies/mL, not detected"}, "conflicting-data"),
        ({"valueString": "1.250 UI/mL"}, "text-only"),
        ({"valueString": "1.250.000 UI/mL"}, "text-only"),
        ({"valueString": "15 samples"}, "text-only"),
        ({"valueString": "LLOQ 15"}, "text-only"),
        ({"valueString": "ver laudo"}, "text-only"),
        ({"valueCodeableConcept": snomed("260415000")}, "negative"),
    ],
)
def test_viral_loads(given: Json, expected: str) -> None:
    assert reading(RNA, **given) == expected
