"""Tidying: mistyped elements are put right or dropped and marked; systems and dates become canonical."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.records.bundle import read_bundle
from cds_service.records.mappings import load_mappings
from cds_service.records.normalise import normalise
from cds_service.terminology import systems

from .helpers import (
    AS_OF,
    SITE,
    VALUE_SETS,
    Json,
    bundle,
    concept,
    condition,
    normalised,
    observation,
    only,
    problem,
    quantity,
    tags,
)

SUBJECT = {"reference": "Patient/p"}


@pytest.mark.parametrize(
    ("element", "given", "expected"),
    [
        # One meaning: put right.
        ("status", ["final"], "final"),
        ("code", [concept("1742-6")], concept("1742-6")),
        ("code", "ALT", {"text": "ALT"}),
        ("interpretation", {"text": "x"}, [{"text": "x"}]),
        ("code", {"coding": {"system": systems.LOINC, "code": "1-8"}}, concept("1-8")),
        ("code", {"coding": [{"system": systems.LOINC, "code": 18}]}, concept("18")),
        # Anything else: dropped.
        ("status", {"value": "final"}, None),
        ("status", True, None),
        ("code", 5, None),
        ("code", {"coding": ["1742-6"]}, {"coding": []}),
        ("effectiveDateTime", "yesterday", None),
        ("effectiveDateTime", 20260601, None),
        ("effectivePeriod", "2026", None),
        ("effectivePeriod", {"start": ["2026-06-01", "2026-06-02"]}, {}),
        ("subject", 5, None),
        ("referenceRange", 5, None),
        ("hasMember", ["Observation/x"], []),
    ],
)
def test_a_mistyped_element_makes_the_resource_doubtful(element: str, given: Any, expected: Any) -> None:
    read = only({**observation("718-7"), element: given})
    assert read.get(element) == expected
    assert tags(read) == {"unknown-modifier"}


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize("element", ["status", "effectiveDateTime", "valueString", "issued"])
def test_null_and_empty_count_as_absent(element: str, nothing: Any) -> None:
    read = only({**observation("1742-6"), element: nothing})
    assert element not in read
    assert tags(read) == set()
    assert problem(read) is None


def test_nulls_in_lists_count_as_absent() -> None:
    read = only(observation("1742-6", interpretation=[None, {"text": "x"}]))
    assert read["interpretation"] == [{"text": "x"}]
    assert tags(read) == set()


def test_a_result_of_the_wrong_type_is_never_passed_over() -> None:
    for code in ("1742-6", "718-7"):
        read = only(observation(code, valueQuantity="45 U/L"))
        assert problem(read) == "text-only"
    panel = observation("24325-3", component=[{"code": concept("1742-6"), "valueQuantity": [1, 2]}])
    children = normalised(panel).of_type("Observation")[1:]
    assert [problem(child) for child in children] == ["text-only"]


@pytest.mark.parametrize(
    "resource",
    [
        observation("1742-6", modifierExtension=[{"url": "urn:x"}]),
        observation("1742-6", valueQuantity=quantity(5, "U/L", modifierExtension=[{"url": "urn:x"}])),
        observation("1742-6", code={**concept("1742-6"), "modifierExtension": [{"url": "urn:x"}]}),
        observation("1742-6", code=concept("1742-6", modifierExtension=[{"url": "urn:x"}])),
        observation("1742-6", subject={**SUBJECT, "modifierExtension": [{"url": "urn:x"}]}),
        observation("1742-6", somethingElse=[{"deep": [{"modifierExtension": [{"url": "urn:x"}]}]}]),
        {
            "resourceType": "Goal",
            "id": "g",
            "subject": SUBJECT,
            "target": [{"modifierExtension": [{"url": "urn:x"}]}],
        },
    ],
)
def test_a_modifier_extension_anywhere_marks_the_resource(resource: Json) -> None:
    assert tags(only(resource)) == {"unknown-modifier"}


def test_a_modified_component_marks_panel_and_component() -> None:
    panel = observation(
        "24325-3", component=[{"code": concept("1742-6"), "modifierExtension": [{"url": "urn:x"}]}]
    )
    assert [tags(found) for found in normalised(panel).of_type("Observation")] == [
        {"unknown-modifier"},
        {"unknown-modifier", "component"},
    ]


def test_an_empty_modifier_extension_says_nothing() -> None:
    assert tags(only(observation("1742-6", modifierExtension=[]))) == set()


@pytest.mark.parametrize(
    ("system", "canonical"),
    [
        ("urn:oid:2.16.840.1.113883.6.96", systems.SNOMED),
        ("urn:oid:2.16.840.1.113883.6.1", systems.LOINC),
        ("urn:oid:2.16.840.1.113883.6.90", systems.ICD10CM),
        ("urn:oid:2.16.840.1.113883.6.3", systems.ICD10),
        ("http://www.saude.gov.br/fhir/r4/CodeSystem/BRCID10", systems.ICD10),
        ("urn:site", "urn:site"),
    ],
)
def test_systems_become_canonical_everywhere(system: str, canonical: str) -> None:
    code = concept("x", system)
    found = [
        only(condition(code=code))["code"],
        only(condition(bodySite=[code]))["bodySite"][0],
        only(observation("x", valueCodeableConcept=code))["valueCodeableConcept"],
        only(observation("x", interpretation=[code]))["interpretation"][0],
        only({"resourceType": "Immunization", "id": "i", "vaccineCode": code})["vaccineCode"],
        only({"resourceType": "Device", "id": "d", "type": code})["type"],
        only({"resourceType": "Medication", "id": "m", "code": code})["code"],
        only(
            {
                "resourceType": "MedicationRequest",
                "id": "r",
                "subject": SUBJECT,
                "medicationCodeableConcept": code,
            }
        )["medicationCodeableConcept"],
    ]
    assert {entry["coding"][0]["system"] for entry in found} == {canonical}


def test_dates_are_brought_to_the_site_s_offset() -> None:
    utc, local = "2026-06-15T01:30:00Z", "2026-06-14T22:30:00-03:00"
    resource = only(
        {
            "resourceType": "Procedure",
            "id": "x",
            "subject": SUBJECT,
            "performedPeriod": {"start": utc, "end": "2026-06"},
        }
    )
    assert resource["performedPeriod"] == {"start": local, "end": "2026-06"}
    assert only(condition(recordedDate=utc))["recordedDate"] == local
    assert only(observation("x", effectiveTiming={"event": [utc, "2026"]}))["effectiveTiming"]["event"] == [
        local,
        "2026",
    ]
    patient = normalised(patient={"resourceType": "Patient", "id": "p", "deceasedDateTime": utc}).patient
    assert patient["deceasedDateTime"] == local


def test_a_site_s_codes_get_the_mapped_coding_beside_them(tmp_path: Path) -> None:
    target = {"code": "1742-6", "equivalence": "equivalent"}
    observed = {"code": "el-escorial-category", "equivalence": "equivalent"}
    category = {"code": "probable", "equivalence": "equivalent"}
    maps = [
        ("local-lab-to-loinc", "urn:site", systems.LOINC, "TGP", target),
        ("el-escorial-local", "urn:site", systems.TRIAL_OBSERVATIONS, "EE", observed),
        ("el-escorial-local", "urn:ee", systems.EL_ESCORIAL_CATEGORY, "2", category),
    ]
    for number, (map_id, source, system, code, to) in enumerate(maps):
        group = {"source": source, "target": system, "element": [{"code": code, "target": [to]}]}
        content = {"resourceType": "ConceptMap", "id": map_id, "status": "active", "group": [group]}
        (tmp_path / f"{number}.json").write_text(json.dumps(content), encoding="utf-8")
    mappings = load_mappings(VALUE_SETS, extra_dir=tmp_path)
    alt = observation("x", code=concept("TGP", "urn:site"), valueQuantity=quantity(2, "ukat/L"))
    stage = observation(
        "x", id="s", code=concept("EE", "urn:site"), valueCodeableConcept=concept("2", "urn:ee")
    )
    record = normalise(read_bundle(bundle(alt, stage)), mappings, timezone=SITE, as_of=AS_OF)
    first, second = record.of_type("Observation")
    assert first["code"]["coding"] == [
        {"system": "urn:site", "code": "TGP"},
        {"system": systems.LOINC, "code": "1742-6"},
    ]
    assert first["valueQuantity"]["value"] == 120
    assert second["valueCodeableConcept"]["coding"][0]["code"] == "probable"


@pytest.mark.parametrize(
    ("summary", "added"),
    [
        (concept("probable", systems.EL_ESCORIAL_CATEGORY), []),
        ({"text": "Provável"}, [(systems.EL_ESCORIAL_CATEGORY_TEXT, "probable")]),
        ({"text": "El Escorial"}, []),
        ({}, []),
    ],
)
def test_stages_of_conditions(summary: Json, added: list[tuple[str, str]]) -> None:
    read = only(condition(stage=[{"summary": summary}]))["stage"][0]["summary"]
    codings = read.get("coding", [])[len(summary.get("coding", [])) :]
    assert [(coding["system"], coding["code"]) for coding in codings] == added


def test_what_needs_nothing_stays_the_same_object() -> None:
    hemoglobin = observation("718-7", valueQuantity=quantity(13, "g/dL"))
    diabetes = condition(code=concept("44054006", systems.SNOMED), recordedDate="2026-06-01")
    record = normalised(hemoglobin, diabetes)
    assert record.of_type("Observation")[0] is hemoglobin
    assert record.of_type("Condition")[0] is diabetes
    assert record.original(hemoglobin) is hemoglobin


def test_a_long_nest_of_items_is_cut() -> None:
    item: Json = {"linkId": "a"}
    for _ in range(300):
        item = {"linkId": "a", "item": [item]}
    response = {
        "resourceType": "QuestionnaireResponse",
        "id": "q",
        "subject": SUBJECT,
        "status": "completed",
        "item": [item],
    }
    assert tags(only(response)) == {"unknown-modifier"}


def test_a_modifier_extension_is_found_below_any_nesting() -> None:
    deep: Any = {"modifierExtension": [{"url": "urn:x"}]}
    for _ in range(3000):
        deep = [deep]
    assert tags(only(observation("718-7", somethingElse=deep))) == {"unknown-modifier"}
