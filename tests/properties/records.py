"""Random patients of this trial: a Patient, facts from a pool of telling ones, and facts of every kind from all value sets."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.builders import (
    CVX,
    Resource,
    als,
    alsfrs,
    alsfrs_items,
    alt,
    ast,
    attestation,
    bundle,
    cid10,
    coding,
    condition,
    consent,
    creatinine,
    el_escorial,
    fvc_percent,
    fvc_volume,
    height,
    icd10cm,
    immunization,
    medication_request,
    observation,
    patient,
    procedure,
    research_study,
    research_subject,
    rxnorm,
    serology,
    service_request,
    snomed,
    value_coded,
    value_text,
    weight,
)
from tests.properties.facts import generated

_SEROLOGY: Final = [
    serology(code, result, on=day)
    for code in (
        "5196-1",
        "13952-7",
        "29610-3",
        "13955-0",
        "11259-9",
        "56888-1",
        "80203-3",
        "22362-8",
        "24110-9",
    )
    for result in ("pos", "neg", "ind")
    for day in ("2026-05-25", "2025-11-02")
]
POOL: Final[list[Resource]] = [
    als(),
    als(clinical="resolved"),
    als(verification="provisional"),
    als(verification="refuted"),
    condition(cid10("G12.2")),
    condition(text="Esclerose lateral amiotrófica"),
    condition(icd10cm("G12.21"), icd10cm("G35")),
    condition(snomed("230253001")),
    el_escorial("probable"),
    el_escorial("suspected", on="2026-05-05"),
    observation(
        coding("https://cds-service.example/fhir/CodeSystem/trial-observations", "el-escorial-category"),
        value_text("Provável"),
        on="2026-05-01",
    ),
    alsfrs(38),
    alsfrs(22, on="2026-06-10"),
    alsfrs(41, on="2026-04-01"),
    *alsfrs_items([3] * 8),
    fvc_percent(82),
    fvc_percent(0.6, "1", on="2026-05-30"),
    fvc_volume(2.9),
    height(175),
    weight(70),
    alt(28),
    alt(200, on="2026-06-05"),
    alt(110, high=None),
    ast(2.5, unit="ukat/L", high=0.6),
    ast(31),
    creatinine(0.7),
    creatinine(2.5, high=None),
    creatinine(88, on="2026-06-03"),
    *_SEROLOGY,
    observation("50690-7", value_text("1:8"), on="2026-05-25"),
    observation("11011-4", value_text("<15 IU/mL"), on="2026-05-25"),
    serology("2106-3", "neg", on="2026-06-12"),
    serology("2106-3", "pos", on="2026-06-01"),
    condition(snomed("77386006"), recorded="2026-04-01"),
    condition(icd10cm("Z90.710")),
    condition(cid10("B18.1")),
    condition(cid10("B18.2"), clinical="resolved"),
    condition(cid10("B24")),
    condition(cid10("G04.1")),
    condition(snomed("76272004"), clinical="resolved", onset="2015"),
    condition(cid10("Z93.0")),
    condition(cid10("I10")),
    procedure(snomed("307007002"), on="2026-02-01"),
    procedure(text="Traqueostomia", on="2026-02-01"),
    procedure(snomed("236886002"), on="2019-01-01"),
    service_request(snomed("307007002")),
    immunization(coding(CVX, "43"), on="2026-05-15"),
    medication_request(rxnorm("35623"), text="Riluzol"),
    consent(status="rejected"),
    attestation({"IN05-NoPregnancyAgreement": "yes", "EX04-OtherInterferingDisease": "no"}),
    attestation({"EX13b-Tracheostomy": "no", "IN03-AlsfrsR": "yes"}, on="2026-06-01"),
    condition(snomed("866041003"), recorded="2026-03-01"),
    condition(snomed("30506002"), recorded="2026-04-01"),
    condition(cid10("O80"), onset="2026-02-01"),
    observation("63895-7", value_coded(snomed("373067005")), on="2025-11-01"),
    observation("63895-7", value_coded(snomed("373066001")), on="2025-09-01"),
    condition(icd10cm("Z00.6"), recorded="2026-03-01"),
    condition(snomed("443729008"), recorded="2026-03-01"),
]
# A study with a subject in it: two resources that go together.
_STUDY: Final = research_study("study-1", "NCT02917681")
_SUBJECT: Final = research_subject("ResearchStudy/study-1", "screening")


@st.composite
def records(draw: st.DrawFn, max_facts: int = 14) -> Resource:
    """A Bundle of one patient with up to `max_facts` facts; ALS is there more often than not."""
    who = patient(
        gender=draw(st.sampled_from(["male", "female", "other", None])),
        birth_date=draw(st.sampled_from(["1971-03-10", "1991-11-02", "1955-06-15", "1960", None])),
    )
    facts: list[Resource] = []
    for n in range(draw(st.integers(0, max_facts))):
        facts += [draw(st.sampled_from(POOL))] if draw(st.booleans()) else generated(draw, n)
    if draw(st.booleans()):
        facts = [als(), *facts]
    if draw(st.integers(0, 4)) == 0:
        facts = [*facts, _STUDY, _SUBJECT]
    return bundle(who, facts)


def entries(resources: list[Resource], like: Resource) -> Resource:
    """A Bundle of these resources, in this order, with the first Bundle's type."""
    return {
        "resourceType": "Bundle",
        "type": like["type"],
        "entry": [
            {"fullUrl": f"https://ehr.example/fhir/{r['resourceType']}/{r['id']}", "resource": r}
            for r in resources
        ],
    }


def without_type(record: Resource, kind: str) -> Resource:
    kept = [e for e in record["entry"] if e["resource"]["resourceType"] != kind]
    return {**record, "entry": copy.deepcopy(kept)}


def essence(assessment: Mapping[str, Any]) -> dict[str, Any]:
    """What must not depend on anything irrelevant: the status, the card, and every criterion's verdict."""
    rows = {
        row["id"]: (row["status"], row["basis"], frozenset(row["reasons"]), row["likely"])
        for row in assessment["criteria"]
    }
    return {"status": assessment["status"], "card": assessment["card"], "criteria": rows}


def tried(usual: int) -> settings:
    """On how many examples a property is tried: the same ones on every machine and every day.

    HYPOTHESIS_EXAMPLES=10 asks for ten times as many, and other ones each time.
    """
    times = int(os.environ.get("HYPOTHESIS_EXAMPLES") or 0)
    return settings(
        max_examples=usual * max(times, 1),
        derandomize=not times,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
