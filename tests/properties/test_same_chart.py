"""A whole chart said in another way gives the same verdicts: other codes, other writing, other shapes, other moments.

Each way rewrites every resource of a random chart that it fits.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cds_service.records.bundle import read_bundle
from cds_service.screening import Screener
from tests.builders import (
    ATC,
    CVX,
    HCPCS,
    ICD9CM,
    ICD10,
    ICD10CM,
    ICD10PCS,
    LOINC,
    RXNORM,
    SCREENING_DAY,
    SNOMED,
    Resource,
    coding,
    concept,
    resources_of,
)
from tests.properties.facts import sets_of
from tests.properties.records import entries, essence, records, tried
from tests.trials.assessing import SITE_ZONE, TRIAL, assess

FEW = tried(40)
SITE_CODES = "https://site.example/codes"
PANEL = concept(coding(SITE_CODES, "panel"), text="panel")
SYSTEMS = (SNOMED, LOINC, ICD10, ICD10CM, ICD9CM, ICD10PCS, HCPCS, RXNORM, ATC, CVX)
DRUG = "medicationCodeableConcept"
Rewrite = Callable[[Resource], list[Resource]]


def rewritten(record: Resource, rewrite: Rewrite) -> Resource:
    """The record with each resource said in the other way (in one or several resources)."""
    patient, *facts = copy.deepcopy(resources_of(record))
    return entries([patient, *(said for fact in facts for said in rewrite(fact))], record)


def in_codings(element: Any, change: Callable[[Resource], Resource]) -> Any:
    """The element with every coding in it changed."""
    if isinstance(element, list):
        return [in_codings(value, change) for value in element]
    if not isinstance(element, dict):
        return element
    inner = {key: in_codings(value, change) for key, value in element.items()}
    return change(inner) if "system" in inner and "code" in inner else inner


# --- codes ------------------------------------------------------------------------------------------------------------


@cache
def aliases() -> dict[str, list[str]]:
    """The other names of each code system, from the ConceptMap of the repository."""
    path = files("fhir_mappings") / "concept_maps" / "system-aliases.json"
    found: dict[str, list[str]] = {}
    for element in json.loads(path.read_text(encoding="utf-8"))["group"][0]["element"]:
        found.setdefault(element["target"][0]["code"], []).append(element["code"])
    return found


@FEW
@given(records(), st.randoms(use_true_random=False))
def test_code_systems_by_their_other_names(record: Resource, chance: Any) -> None:
    def renamed(code: Resource) -> Resource:
        return {**code, "system": chance.choice(aliases().get(code["system"], [code["system"]]))}

    said = rewritten(record, lambda resource: [in_codings(resource, renamed)])
    assert essence(assess(said)) == essence(assess(record))


@FEW
@given(records())
def test_icd_codes_without_dots_and_in_small_letters(record: Resource) -> None:
    def written(code: Resource) -> Resource:
        icd = code["system"] in (ICD10, ICD10CM, ICD9CM, ICD10PCS)
        return {**code, "code": code["code"].replace(".", "").lower()} if icd else code

    said = rewritten(record, lambda resource: [in_codings(resource, written)])
    assert essence(assess(said)) == essence(assess(record))


@FEW
@given(records())
def test_displays_and_versions_of_codes_say_nothing(record: Resource) -> None:
    def bare(code: Resource) -> Resource:
        rest = {key: value for key, value in code.items() if key != "display"}
        return {**rest, "version": "2020-03"} if code["system"] in SYSTEMS else code

    said = rewritten(record, lambda resource: [in_codings(resource, bare)])
    assert essence(assess(said)) == essence(assess(record))


@cache
def local_codes() -> dict[tuple[str, str], str]:
    """A site's own code for each code of every value set."""
    known = sorted({(code["system"], code["code"]) for codes in sets_of(*SYSTEMS) for code in codes})
    return {key: f"S{number}" for number, key in enumerate(known)}


@cache
def site() -> Screener:
    """The service of a site whose ConceptMap leads from its own codes to those of the value sets."""
    groups = [
        {
            "source": SITE_CODES,
            "target": system,
            "element": [
                {"code": own, "target": [{"code": code, "equivalence": "equivalent"}]}
                for (of, code), own in local_codes().items()
                if of == system
            ],
        }
        for system in SYSTEMS
    ]
    own_map = {"resourceType": "ConceptMap", "id": "local-lab-to-loinc", "status": "active", "group": groups}
    with TemporaryDirectory() as folder:
        (Path(folder) / "own.json").write_text(json.dumps(own_map), encoding="utf-8")
        return Screener.load(timezone=SITE_ZONE, concept_maps_dir=Path(folder))


@FEW
@given(records())
def test_a_site_s_own_codes_joined_by_its_concept_map(record: Resource) -> None:
    def own(code: Resource) -> Resource:
        local = local_codes().get((code["system"], code["code"]))
        return code if local is None else coding(SITE_CODES, local)

    said = rewritten(record, lambda resource: [in_codings(resource, own)])
    (assessment,) = site().screen(read_bundle(said), [TRIAL], date.fromisoformat(SCREENING_DAY))
    assert essence(json.loads(json.dumps(assessment.to_json()))) == essence(assess(record))


# --- shapes of results ------------------------------------------------------------------------------------------------

_OF_A_RESULT = (
    "code",
    "valueQuantity",
    "valueString",
    "valueInteger",
    "valueCodeableConcept",
    "interpretation",
)


def is_single(resource: Resource) -> bool:
    return resource["resourceType"] == "Observation" and not resource.get("component")


def as_component(resource: Resource) -> list[Resource]:
    """The result inside a panel of the same status and day."""
    if not is_single(resource):
        return [resource]
    inner = {key: resource.pop(key) for key in (*_OF_A_RESULT, "referenceRange") if key in resource}
    return [{**resource, "code": PANEL, "component": [inner]}]


def as_member(resource: Resource) -> list[Resource]:
    """The result named by a panel."""
    if not is_single(resource):
        return [resource]
    panel = {
        key: resource[key]
        for key in ("resourceType", "status", "subject", "effectiveDateTime")
        if key in resource
    }
    member = {"reference": f"Observation/{resource['id']}"}
    return [{**panel, "id": f"panel-{resource['id']}", "code": PANEL, "hasMember": [member]}, resource]


def as_contained(resource: Resource) -> list[Resource]:
    """The result inside a report."""
    if not is_single(resource):
        return [resource]
    report = {
        "resourceType": "DiagnosticReport",
        "id": f"report-{resource['id']}",
        "status": "final",
        "code": PANEL,
        "subject": resource["subject"],
        "contained": [{**resource, "id": "result"}],
        "result": [{"reference": "#result"}],
    }
    return [report]


@FEW
@given(records(), st.sampled_from([as_component, as_member, as_contained]))
def test_results_in_a_panel_or_a_report(record: Resource, shape: Rewrite) -> None:
    assert essence(assess(rewritten(record, shape))) == essence(assess(record))


# --- drugs and devices: a concept here, a resource there --------------------------------------------------------------


def by_reference(resource: Resource) -> list[Resource]:
    if DRUG not in resource:
        return [resource]
    drug = {"resourceType": "Medication", "id": f"of-{resource['id']}", "code": resource.pop(DRUG)}
    return [drug, {**resource, "medicationReference": {"reference": f"Medication/{drug['id']}"}}]


def by_contained(resource: Resource) -> list[Resource]:
    if DRUG not in resource:
        return [resource]
    drug = {"resourceType": "Medication", "id": "drug", "code": resource.pop(DRUG)}
    return [{**resource, "contained": [drug], "medicationReference": {"reference": "#drug"}}]


@FEW
@given(records(), st.sampled_from([by_reference, by_contained]))
def test_drugs_in_a_medication_that_is_referred_to(record: Resource, shape: Rewrite) -> None:
    assert essence(assess(rewritten(record, shape))) == essence(assess(record))


@FEW
@given(records())
def test_references_by_their_full_address(record: Resource) -> None:
    """As a server may write them: https://ehr.example/fhir/Device/1 instead of Device/1."""

    def full(element: Any) -> Any:
        if isinstance(element, list):
            return [full(value) for value in element]
        if isinstance(element, dict):
            return {
                key: f"https://ehr.example/fhir/{value}"
                if key == "reference" and "/" in value
                else full(value)
                for key, value in element.items()
            }
        return element

    said = rewritten(record, lambda resource: [full(resource)])
    assert essence(assess(said)) == essence(assess(record))


# --- moments ----------------------------------------------------------------------------------------------------------

_MOMENTS = {
    "effectiveDateTime",
    "performedDateTime",
    "occurrenceDateTime",
    "onsetDateTime",
    "abatementDateTime",
    "recordedDate",
    "authoredOn",
    "whenHandedOver",
    "dateTime",
    "start",
    "end",
}


def at(element: Any, time: str) -> Any:
    """Each full date of a dateTime element at this time of its day."""
    if isinstance(element, list):
        return [at(value, time) for value in element]
    if not isinstance(element, dict):
        return element
    return {
        key: f"{value}{time}"
        if key in _MOMENTS and isinstance(value, str) and len(value) == 10
        else at(value, time)
        for key, value in element.items()
    }


@FEW
@given(records())
def test_one_moment_by_two_offsets(record: Resource) -> None:
    """12:00 at the site (UTC−3) and 15:00 in UTC are one moment of one day."""
    here = rewritten(record, lambda resource: [at(resource, "T12:00:00-03:00")])
    there = rewritten(record, lambda resource: [at(resource, "T15:00:00Z")])
    assert essence(assess(here)) == essence(assess(there))


@FEW
@given(records())
def test_a_day_and_its_noon_say_the_same(record: Resource) -> None:
    noon = rewritten(record, lambda resource: [at(resource, "T12:00:00-03:00")])
    assert essence(assess(noon)) == essence(assess(record))


def test_every_way_says_something_else() -> None:
    """No rewriting is empty: each changes the resources that it is for."""

    def touched(rewrite: Rewrite, fact: Resource) -> bool:
        return rewrite(copy.deepcopy(fact)) != [fact]

    result: Resource = {
        "resourceType": "Observation",
        "id": "1",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "code": concept(coding(LOINC, "1742-6")),
        "effectiveDateTime": "2026-06-01",
    }
    drug: Resource = {"resourceType": "MedicationRequest", "id": "2", DRUG: concept(coding(RXNORM, "1256"))}
    assert all(touched(shape, result) for shape in (as_component, as_member, as_contained))
    assert all(touched(shape, drug) for shape in (by_reference, by_contained))
    assert {SNOMED, LOINC, ICD10, ICD10CM} <= set(aliases())
    assert len(local_codes()) > 2000
