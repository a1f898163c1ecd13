"""ResearchSubjects as they are read: which study of the record, and what the status means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.records.participation import STATUSES, with_participation
from cds_service.terminology.concept_maps import load_concept_maps
from cds_service.terminology.systems import PARTICIPATION
from tests.unit.records.helpers import normalised

MAPS = load_concept_maps()
STUDY = {"resourceType": "ResearchStudy", "id": "s", "identifier": [{"system": "urn:nct", "value": "N1"}]}
TWIN = {"resourceType": "ResearchStudy", "id": "t", "identifier": [{"system": "urn:nct", "value": "N1"}]}


def subject(status: str | None = "on-study", study: Any = None, **more: Any) -> dict[str, Any]:
    made = {"resourceType": "ResearchSubject", "id": "r", "individual": {"reference": "Patient/p"}, **more}
    made |= {} if status is None else {"status": status}
    return made | ({} if study is None else {"study": study})


def tags(read: dict[str, Any]) -> list[str]:
    return [tag["code"] for tag in read.get("meta", {}).get("tag", ()) if tag["system"] == PARTICIPATION]


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("on-study", ["participating"]),
        ("on-study-intervention", ["participating"]),
        ("on-study-observation", ["participating"]),
        ("pending-on-study", ["participating"]),
        ("screening", ["possibly"]),
        ("candidate", ["possibly"]),
        ("eligible", ["possibly"]),
        ("potential-candidate", ["possibly"]),
        ("follow-up", ["possibly"]),
        ("off-study", ["no"]),
        ("withdrawn", ["no"]),
        ("ineligible", ["no"]),
        ("not-registered", ["no"]),
        ("enrolled", []),
        (None, []),
    ],
)
def test_the_status_is_read_by_the_concept_map(status: str | None, meaning: list[str]) -> None:
    assert tags(with_participation(subject(status), [], MAPS)) == meaning


def test_every_status_of_fhir_has_its_meaning() -> None:
    assert len(MAPS.entries("researchsubject-status")) == 13
    assert {t.code for ts in MAPS.entries("researchsubject-status").values() for t in ts} == {
        "participating",
        "possibly",
        "no",
    }


def test_a_site_can_say_what_its_own_statuses_mean(tmp_path: Path) -> None:
    own = {
        "resourceType": "ConceptMap",
        "id": "researchsubject-status",
        "group": [
            {
                "source": STATUSES,
                "target": PARTICIPATION,
                "element": [
                    {"code": "enrolled", "target": [{"code": "participating", "equivalence": "equivalent"}]}
                ],
            }
        ],
    }
    (tmp_path / "own.json").write_text(json.dumps(own), encoding="utf-8")
    maps = load_concept_maps(extra_dir=tmp_path)
    assert tags(with_participation(subject("enrolled"), [], maps)) == ["participating"]
    assert tags(with_participation(subject("withdrawn"), [], maps)) == ["no"]


def test_a_tag_that_the_source_brings_along_does_not_count() -> None:
    brought = {"meta": {"versionId": "1", "tag": [{"system": PARTICIPATION, "code": "no"}, {"system": "x"}]}}
    read = with_participation(subject("enrolled", **brought), [], MAPS)
    assert read["meta"] == {"versionId": "1", "tag": [{"system": "x"}]}
    assert tags(with_participation(subject("on-study", **brought), [], MAPS)) == ["participating"]


@pytest.mark.parametrize(
    ("study", "studies", "reference"),
    [
        ({"reference": "ResearchStudy/s"}, [STUDY], "ResearchStudy/s"),
        ({"reference": "ResearchStudy/none"}, [STUDY], "ResearchStudy/none"),
        ({"identifier": {"system": "urn:nct", "value": "N1"}}, [STUDY], "ResearchStudy/s"),
        ({"identifier": {"value": "N1"}}, [STUDY], "ResearchStudy/s"),
        ({"identifier": {"system": "urn:other", "value": "N1"}}, [STUDY], None),
        ({"identifier": {"system": "urn:nct"}}, [STUDY], None),
        ({"identifier": {"system": "urn:nct", "value": "N1"}}, [STUDY, TWIN], None),
        (
            {"reference": "ResearchStudy/none", "identifier": {"system": "urn:nct", "value": "N1"}},
            [STUDY],
            "ResearchStudy/s",
        ),
        # A reference that resolves stands, whatever identifier stands beside it.
        (
            {"reference": "ResearchStudy/t", "identifier": {"system": "urn:nct", "value": "N1"}},
            [STUDY, {"resourceType": "ResearchStudy", "id": "t"}],
            "ResearchStudy/t",
        ),
    ],
)
def test_the_study_of_the_record(study: Any, studies: list[dict[str, Any]], reference: str | None) -> None:
    read = with_participation(subject(study=study), studies, MAPS)
    assert read["study"].get("reference") == reference


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("https://ehr.example/fhir/ResearchStudy/s", "ResearchStudy/s"),
        ("ResearchStudy/s/_history/2", "ResearchStudy/s"),
        ("#c", "ResearchStudy/r-c"),
        ("urn:uuid:00000000-0000-0000-0000-000000000000", "urn:uuid:00000000-0000-0000-0000-000000000000"),
    ],
)
def test_a_reference_however_it_is_written(reference: str, expected: str) -> None:
    held = {"contained": [{"resourceType": "ResearchStudy", "id": "c"}]}
    record = normalised(STUDY, subject(study={"reference": reference}, **held))
    (read,) = record.of_type("ResearchSubject")
    assert read["study"]["reference"] == expected
    assert record.original(read)["study"]["reference"] in (reference, expected)


def test_the_resource_received_stays_as_it_was() -> None:
    received = subject(study={"identifier": {"value": "N1"}}, meta={"versionId": "1"})
    before = json.dumps(received)
    assert with_participation(received, [STUDY], MAPS) is not received
    assert json.dumps(received) == before
    unknown = subject("enrolled", study={"reference": "ResearchStudy/s"})
    assert with_participation(unknown, [STUDY], MAPS) is unknown


@pytest.mark.parametrize(
    "study", ["x", 5, [], {"identifier": "x"}, {"identifier": {"value": ["x"]}}, {"reference": 5}]
)
@pytest.mark.parametrize("status", ["", 5, ["on-study"], {"a": 1}])
def test_nothing_raises(study: Any, status: Any) -> None:
    broken = {**STUDY, "identifier": ["x", None, {"value": 5}], "title": 5}
    record = normalised(broken, {**subject(study=study), "status": status})
    assert len(record.of_type("ResearchSubject")) == 1
