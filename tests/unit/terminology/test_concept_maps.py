"""Concept maps: what is translated, and a site's own maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import AuthoringError
from cds_service.terminology import systems
from cds_service.terminology.concept_maps import ConceptMaps, Target, load_concept_maps


def concept_map(equivalence: str = "equivalent", **changes: Any) -> dict[str, Any]:
    target = {"code": "1742-6", "equivalence": equivalence}
    group = {"source": "urn:site", "target": systems.LOINC, "element": [{"code": "TGP", "target": [target]}]}
    return {
        "resourceType": "ConceptMap",
        "id": "local-lab-to-loinc",
        "status": "active",
        "group": [group],
    } | changes


def test_all_the_maps_of_the_specification_are_there() -> None:
    assert set(load_concept_maps().ids) == {
        "units-to-ucum",
        "qualitative-result",
        "el-escorial-local",
        "system-aliases",
        "local-lab-to-loinc",
        "rxnorm-atc-drugclass",
        "researchsubject-status",
    }


@pytest.mark.parametrize(
    ("map_id", "system", "code", "target"),
    [
        ("qualitative-result", systems.SNOMED, "260385009", "negative"),
        ("qualitative-result", systems.SNOMED, "260408008", "weak-positive"),
        ("qualitative-result", systems.OBSERVATION_INTERPRETATION, "RR", "positive"),
        ("qualitative-result", systems.OBSERVATION_INTERPRETATION, "WR", "weak-positive"),
        ("qualitative-result", systems.LOINC, "LA15256-3", "negative"),
        ("qualitative-result", systems.RESULT_TEXT, "nao reagente", "negative"),
        ("rxnorm-atc-drugclass", systems.RXNORM, "35623", "als-drug"),
        ("system-aliases", systems.SYSTEM_ALIAS, "urn:oid:2.16.840.1.113883.6.96", systems.SNOMED),
        ("units-to-ucum", systems.UNIT_TEXT, "ui/l", "[IU]/L"),
        (
            "el-escorial-local",
            systems.CATEGORY_TEXT,
            "provavel com suporte laboratorial",
            "probable-laboratory-supported",
        ),
        (
            "researchsubject-status",
            "http://hl7.org/fhir/research-subject-status",
            "on-study",
            "participating",
        ),
    ],
)
def test_translation(map_id: str, system: str, code: str, target: str) -> None:
    assert [found.code for found in load_concept_maps().translate(map_id, system, code)] == [target]


@pytest.mark.parametrize("code", ["A", "AA", "H", "N", "HH"])
def test_flags_are_no_qualitative_results(code: str) -> None:
    assert load_concept_maps().translate("qualitative-result", systems.OBSERVATION_INTERPRETATION, code) == ()


@pytest.mark.parametrize(
    ("equivalence", "followed"),
    [("equal", True), ("equivalent", True), ("wider", True), ("subsumes", True)]
    + [
        (name, False) for name in ("relatedto", "narrower", "specializes", "inexact", "unmatched", "disjoint")
    ],
)
def test_only_safe_equivalences_are_followed(equivalence: str, followed: bool) -> None:
    maps = ConceptMaps([("site.json", concept_map(equivalence))])
    expected = (Target(systems.LOINC, "1742-6"),) if followed else ()
    assert maps.translate("local-lab-to-loinc", "urn:site", "TGP") == expected


def test_a_site_s_map_extends_the_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "site.json").write_text(json.dumps(concept_map()), encoding="utf-8")
    maps = load_concept_maps(extra_dir=tmp_path)
    assert maps.translate("local-lab-to-loinc", "urn:site", "TGP") == (Target(systems.LOINC, "1742-6"),)
    assert maps.sha256 != load_concept_maps().sha256


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        json.dumps({"resourceType": "ValueSet"}),
        json.dumps(concept_map(id="no-such-map")),
        json.dumps(concept_map("sideways")),
        json.dumps(concept_map(group=[{"source": "urn:site", "element": [{"target": [{"code": 1}]}]}])),
        json.dumps(concept_map(group="x")),
    ],
)
def test_a_bad_site_map_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.json").write_text(content, encoding="utf-8")
    with pytest.raises(AuthoringError, match=r"bad\.json"):
        load_concept_maps(extra_dir=tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuthoringError, match="nowhere"):
        load_concept_maps(extra_dir=tmp_path / "nowhere")
