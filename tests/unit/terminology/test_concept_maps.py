"""Concept maps: what is translated, and a site's own maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import AuthoringError
from cds_service.terminology import systems
from cds_service.terminology.concept_maps import ConceptMaps, Target, load_concept_maps, read_site_maps
from cds_service.terminology.map_rules import RESEARCH_SUBJECT_STATUS as STATUSES


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


def element(code: Any = "TGP", /, **target: Any) -> dict[str, Any]:
    return {"code": code, "target": [{"code": "1742-6", "equivalence": "equivalent", **target}]}


def lab_map(*elements: Any, **group: Any) -> dict[str, Any]:
    return concept_map(
        group=[{"source": "urn:site", "target": systems.LOINC, "element": list(elements), **group}]
    )


def other_map(map_id: str, source: str, target: str, code: str, leads: str) -> dict[str, Any]:
    elements = [element(code, code=leads)]
    return concept_map(id=map_id, group=[{"source": source, "target": target, "element": elements}])


MISTAKES: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "not JSON (unexpected end"),
    "bytes that are no text": (b"\xff\xfe{}", "not JSON ("),
    "no object": ([], "not a FHIR ConceptMap: `resourceType` must say so"),
    "another resource": ({"resourceType": "ValueSet"}, "not a FHIR ConceptMap: `resourceType` must say so"),
    "no id": (concept_map(id=None), "the id is missing: it must be one of local-lab-to-loinc, units-to-ucum, "),
    "an id of no map": (concept_map(id="local-lab"), "the id is 'local-lab': it must be one of local-lab-to-loinc, "),
    "a map that no site may change": (
        other_map("rxnorm-atc-drugclass", "urn:site", systems.DRUG_CLASS, "AZA", "immunosuppressant"),
        "of the map rxnorm-atc-drugclass: a site can't add to it: map a drug's code to ATC or RxNorm in local-lab",
    ),
    "group is no list": (concept_map(group="x"), "group: must be a list of objects"),
    "no target system": (lab_map(element(), target=None), "group[0]: `source` and `target` must be the URIs"),
    "a target system of no use": (
        lab_map(element(), target="http://loinc.org/"),
        "group[0].target: http://loinc.org/ is no system that this map leads to: it must be one of http://loinc.org, ",
    ),
    "no source where one is wanted": (
        other_map("el-escorial-local", "", systems.EL_ESCORIAL_CATEGORY, "D", "definite"),
        "group[0].source: is missing: name the system of the codes",
    ),
    "another source than the map's": (
        other_map("units-to-ucum", "urn:site", systems.UCUM, "UI", "U/L"),
        f"group[0].source: urn:site is none that this map leads from: it must be {systems.UNIT_TEXT}",
    ),
    "unmapped codes": (
        lab_map(element(), unmapped={"mode": "fixed", "code": "1742-6"}),
        "group[0].unmapped: is not followed: list each code as an element",
    ),
    "no elements": (lab_map(), "group[0].element: must be a list of mapped codes"),
    "an element that is none": (lab_map("TGP"), "group[0].element[0]: `code` must be the code that is mapped"),
    "an element without code": (lab_map(element(), element(None)), "group[0].element[1]: `code` must be the code"),
    "a blank at the end": (lab_map(element("TGP ")), "group[0].element[0] (TGP ): `code` begins or ends with a blank"),
    "targets that are no list": (lab_map({"code": "TGP", "target": {}}), "element[0] (TGP).target: must be a list"),
    "no target code": (lab_map(element(code=None)), "group[0].element[0] (TGP).target[0]: `code` is missing"),
    "a LOINC code with a typing error": (
        lab_map(element(code="1742-7")), "(TGP).target[0]: 1742-7 has a wrong check digit: it is no such code",
    ),
    "no equivalence": (lab_map(element(equivalence=None)), "(TGP).target[0]: `equivalence` is None: it must be one of"),
    "an unknown equivalence": (lab_map(element(equivalence="same")), "target[0]: `equivalence` is 'same': it must be"),
    "the shape of R5": (
        lab_map({"code": "TGP", "target": [{"code": "1742-6", "relationship": "source-is-narrower-than-target"}]}),
        "(TGP).target[0]: `relationship` is FHIR R5's, and this is read as R4: here `equivalence` 'wider'",
    ),
    "a condition on the mapping": (
        lab_map(element(dependsOn=[{"property": "x"}])), "(TGP).target[0]: `dependsOn` is not followed: map what holds",
    ),
    "a code twice": (
        lab_map(element(), element("TGO"), element(code="1920-8")),
        "group[0].element[2] (TGP): stands at group[0].element[0] (TGP), too: keep one of both",
    ),
    "texts that are compared as the same": (
        concept_map(
            id="qualitative-result",
            group=[
                {"source": systems.RESULT_TEXT, "target": systems.QUALITATIVE_RESULT,
                 "element": [element("Sem reação", code="negative"), element("sem-reacao", code="negative")]},
            ],
        ),
        "group[0].element[1] (sem-reacao): stands at group[0].element[0] (Sem reação), too: keep one of both",
    ),
    "targets that are missing": (
        lab_map({"code": "TGP", "targets": []}), "(TGP).target: must be a list of objects, one at least: it may have",
    ),
    "no group": ({**concept_map(), "group": None, "groups": []}, "group: must be a list of objects"),
    "an empty group": (concept_map(group=[]), "group: is missing: the map holds no code"),
    "a retired map": (concept_map(status="retired"), "status: is retired: such a map is not to be used"),
    "a name twice": (
        json.dumps(concept_map()).replace('"code"', '"code": "1920-8", "code"'), "an object names `code` twice: keep one",
    ),
    "a code twice, its OID once with and once without a prefix": (
        concept_map(
            group=[
                {"source": "urn:oid:1.2.3", "target": systems.LOINC, "element": [element()]},
                {"source": "1.2.3", "target": systems.LOINC, "element": [element(code="1920-8")]},
            ],
        ),
        "group[1].element[0] (TGP): stands at group[0].element[0] (TGP), too: keep one of both",
    ),
    "two results of one code": (
        concept_map(
            id="qualitative-result",
            group=[
                {"source": "urn:site", "target": systems.QUALITATIVE_RESULT, "element": [
                    {"code": "R", "target": [{"code": "negative", "equivalence": "equivalent"},
                                             {"code": "positive", "equivalence": "equivalent"}]}]},
            ],
        ),
        "group[0].element[0] (R).target: leads to several codes: keep the one that is meant",
    ),
    **{
        f"no code of {system}": (lab_map(element(code=code), target=system), f"[0]: {code} is no code of this system")
        for system, code in (
            (systems.ATC, "L04AX01 "), (systems.RXNORM, "azathioprine"), (systems.ICD10, "G12,2"),
            (systems.ICD10CM, "335.20"), (systems.ICD9CM, "G12.21"), (systems.ICD10PCS, "XW0"), (systems.CVX, "HepB"),
            (systems.HCPCS, "5A09357"),
        )
    },
    "a system that is to stand for another": (
        other_map("system-aliases", systems.SYSTEM_ALIAS, systems.CODE_SYSTEM, "https://loinc.org/", "urn:oid:1.2.3"),
        "(https://loinc.org/): is itself a system that records are read by: it can't stand for another",
    ),
    "a system that nothing reads": (
        other_map("system-aliases", systems.SYSTEM_ALIAS, systems.CODE_SYSTEM, "urn:oid:1.2.3", "http://lonic.org"),
        "(urn:oid:1.2.3): http://lonic.org is no system that this service or another map reads: name one of http://hl7",
    ),
    "an unknown result": (
        other_map("qualitative-result", "urn:site", systems.QUALITATIVE_RESULT, "R", "reactive"),
        "(R).target[0]: reactive is none of positive, weak-positive, negative, indeterminate",
    ),
    "an unknown category": (
        other_map("el-escorial-local", "urn:site", systems.EL_ESCORIAL_CATEGORY, "D", "certain"),
        "(D).target[0]: certain is none of definite, probable, ",
    ),
    "no unit": (
        other_map("units-to-ucum", systems.UNIT_TEXT, systems.UCUM, "ui", "Ui/L"),
        "(ui).target[0]: Ui/L is no UCUM unit",
    ),
    "an unknown participation": (
        other_map("researchsubject-status", STATUSES, systems.PARTICIPATION, "x", "yes"),
        "(x).target[0]: yes is none of participating, possibly, no",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_with_file_and_place(tmp_path: Path, case: str) -> None:
    content, told = MISTAKES[case]
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    (tmp_path / "bad.json").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(AuthoringError) as raised:
        load_concept_maps(extra_dir=tmp_path)
    assert str(raised.value).startswith(f"{tmp_path / 'bad.json'}: ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (systems.ATC, "L04AX01"), (systems.ATC, "l04ax"), (systems.RXNORM, "1256"), (systems.ICD10, "G12.2"),
        (systems.ICD10, "G122"), (systems.ICD10CM, "S72.001A"), (systems.ICD9CM, "335.20"), (systems.ICD9CM, "V08"),
        (systems.ICD10PCS, "5A09357"), (systems.CVX, "08"), (systems.HCPCS, "E0470"), (systems.SNOMED, "86044005"),
    ],
)  # fmt: skip
def test_a_site_s_codes_lead_to_codes_of_each_system(tmp_path: Path, system: str, code: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(lab_map(element(code=code), target=system)), encoding="utf-8")
    assert load_concept_maps(extra_dir=tmp_path).translate("local-lab-to-loinc", "urn:site", "TGP")


@pytest.mark.parametrize(
    "target",
    ["http://loinc.org", "https://www.loinc.org/", "urn:oid:2.16.840.1.113883.6.1", "urn:site", "urn:other"],
)
def test_an_alias_may_lead_to_what_any_map_leads_from(tmp_path: Path, target: str) -> None:
    aliases = other_map("system-aliases", systems.SYSTEM_ALIAS, systems.CODE_SYSTEM, "urn:oid:1.2.3", target)
    aliases["group"][0]["element"].append(element("urn:other", code="urn:site"))
    (tmp_path / "aliases.json").write_text(json.dumps(aliases), encoding="utf-8")
    (tmp_path / "lab.json").write_text(json.dumps(concept_map()), encoding="utf-8")
    assert read_site_maps(tmp_path).mistakes == []


def test_all_mistakes_of_all_files_are_listed(tmp_path: Path) -> None:
    bad = lab_map(element(code="1742-7"), element("TGO", equivalence="same"))
    (tmp_path / "a.json").write_text(json.dumps(bad), encoding="utf-8")
    (tmp_path / "b.json").write_text("{", encoding="utf-8")
    found = read_site_maps(tmp_path).mistakes
    assert [mistake.partition(": ")[0].rpartition("/")[2] for mistake in found] == [
        "a.json",
        "a.json",
        "b.json",
    ]
    with pytest.raises(AuthoringError, match=r"a\.json.*and 2 more: `cds-service doctor` lists them"):
        load_concept_maps(extra_dir=tmp_path)


def test_a_code_that_two_files_map_is_a_mistake_of_both(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(lab_map(element())), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps(lab_map(element(code="1920-8"))), encoding="utf-8")
    with pytest.raises(
        AuthoringError, match=r"b\.json: .*\(TGP\): .*a\.json maps it at .*, too: keep one of both"
    ):
        load_concept_maps(extra_dir=tmp_path)


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(AuthoringError, match=r"folder\.json: can't be read"):
        load_concept_maps(extra_dir=tmp_path)


def test_files_of_other_kinds_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("maps of the laboratory", encoding="utf-8")
    assert load_concept_maps(extra_dir=tmp_path).site_sha256 is None
    (tmp_path / "UPPER.JSON").write_text(json.dumps(concept_map()), encoding="utf-8")
    assert load_concept_maps(extra_dir=tmp_path).translate("local-lab-to-loinc", "urn:site", "TGP")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuthoringError, match="nowhere"):
        load_concept_maps(extra_dir=tmp_path / "nowhere")
