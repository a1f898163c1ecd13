"""Rules of EX12 (other trials) and EX10b (breast-feeding), sentence by sentence, with their boundary days."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    NCT,
    SCREENING_DAY,
    Json,
    Resource,
    als,
    attestation,
    b0,
    bundle,
    cid10,
    coding,
    concept,
    condition,
    family_member_history,
    icd10cm,
    loinc,
    minimal,
    observation,
    patient,
    research_study,
    research_subject,
    serology,
    snomed,
    value_coded,
    value_text,
    woman,
)
from tests.trials.assessing import Case, assess, check, criterion, verdict

TRI = "EX12-OtherTrial"
BF = "EX10b-Breastfeeding"
OTHER = "NCT03280056"
INTERVENTIONAL = {"primaryPurposeType": concept(coding(None, "treatment"))}
COMPLETE = {"researchSubjectFeedComplete": True}
PARTICIPATING = ("on-study", "on-study-intervention", "on-study-observation", "pending-on-study")
POSSIBLY = ("screening", "candidate", "eligible", "potential-candidate", "follow-up")
NO = ("off-study", "withdrawn", "ineligible", "not-registered")


def subject(
    status: str | None = "on-study", study: str = "ResearchStudy/study-1", **elements: Any
) -> Resource:
    built = research_subject(study, status or "", **elements)
    return built if status is not None else {k: v for k, v in built.items() if k != "status"}


def study(nct: str = OTHER, title: str = "A study", **elements: Any) -> Resource:
    return research_study("study-1", nct, title, **elements)


def other(status: str | None = "on-study", **elements: Any) -> Resource:
    """On study in another interventional trial; `elements` of the ResearchSubject."""
    return minimal(study(**INTERVENTIONAL), subject(status, **elements))


def within(start: str | None = None, end: str | None = None, status: str = "on-study") -> Resource:
    return other(status, period={k: v for k, v in (("start", start), ("end", end)) if v})


def of(status: str = "on-study", title: str = "A study", **elements: Any) -> Resource:
    """A participation in a study that has these elements."""
    return minimal(study(title=title, **elements), subject(status))


STATUSES = [
    *[Case(f"{s}", TRI, other(s), "met", basis="explicit", overall="excluded") for s in PARTICIPATING],
    *[Case(f"{s}", TRI, other(s), "unknown", ("needs-clinician",), evidence=("study-1",)) for s in POSSIBLY],
    *[Case(f"{s}", TRI, other(s), "not-met", note="has ended, or never began") for s in NO],
    Case("status-missing", TRI, other(None), "unknown", ("ambiguous-code",)),
    Case("status-odd", TRI, other("enrolled"), "unknown", ("ambiguous-code",)),
    Case("status-of-another-case", TRI, other("On-Study"), "unknown", ("ambiguous-code",)),
    # Who has left one study may be in another: the question stays.
    Case("withdrawn-asks", TRI, other("withdrawn"), "not-met", basis="no-evidence"),
    # The service's own tag in the source says nothing.
    Case(
        "tag-of-the-source",
        TRI,
        other(
            "withdrawn",
            meta={
                "tag": [coding("https://cds-service.example/fhir/CodeSystem/participation", "participating")]
            },
        ),
        "not-met",
    ),
    Case(
        "tag-of-the-source-beside-an-odd-status",
        TRI,
        other(
            "enrolled",
            meta={"tag": [coding("https://cds-service.example/fhir/CodeSystem/participation", "no")]},
        ),
        "unknown",
        ("ambiguous-code",),
    ),
]

PERIODS = [
    Case("end-yesterday", TRI, within("2025-01-01", "2026-06-14"), "not-met"),
    Case("end-today", TRI, within("2025-01-01", SCREENING_DAY), "met"),
    Case("end-later", TRI, within("2025-01-01", "2027-06-14"), "met"),
    Case("end-this-month", TRI, within("2025-01-01", "2026-06"), "unknown", ("partial-date",)),
    Case("end-last-month", TRI, within("2025-01-01", "2026-05"), "not-met"),
    Case("end-this-year", TRI, within("2025-01-01", "2026"), "unknown", ("partial-date",)),
    Case("end-last-year", TRI, within("2024", "2025"), "not-met"),
    Case("end-alone", TRI, within(None, "2025-12-31"), "not-met"),
    Case("end-before-of-a-screening", TRI, within("2025-01-01", "2025-12-31", "screening"), "not-met"),
    Case("end-before-and-a-status-missing", TRI, other(None, period={"end": "2025-12-31"}), "not-met"),
    Case("end-at-night-elsewhere", TRI, within("2025-01-01", "2026-06-15T01:00:00Z"), "not-met"),
    Case("start-today", TRI, within(SCREENING_DAY), "met"),
    Case("start-tomorrow", TRI, within("2026-06-16"), "unknown", ("future-dated",)),
    Case("start-next-month", TRI, within("2026-07"), "unknown", ("future-dated",)),
    Case("start-this-month", TRI, within("2026-06"), "met"),
    Case("pending-start-tomorrow", TRI, within("2026-06-16", None, "pending-on-study"), "unknown"),
    Case("withdrawn-before-the-start", TRI, within("2026-07-01", None, "withdrawn"), "not-met"),
    Case("end-before-start", TRI, within("2026-06-01", "2026-05-01"), "unknown", ("conflicting-data",)),
    # A date that can't be read might be an end before the screening day.
    Case("end-unreadable", TRI, within("2025-01-01", "soon"), "unknown"),
]

STUDIES = [
    Case("purpose-stated", TRI, of(**INTERVENTIONAL), "met"),
    Case(
        "category-interventional",
        TRI,
        of(category=[concept(coding("https://example.org/type", "interventional", "Interventional"))]),
        "met",
    ),
    *[
        Case(
            f"category-{words}",
            TRI,
            of(category=[concept(text=words)], **INTERVENTIONAL),
            "unknown",
            ("boundary",),
        )
        for words in (
            "Observational",
            "Estudo observacional",
            "Patient registry",
            "Registro",
            "Non-interventional",
            "Não intervencionista",
            "Expanded access",
        )
    ],
    Case(
        "category-by-display",
        TRI,
        of(category=[concept(coding("https://example.org/type", "obs", "Observational study"))]),
        "unknown",
        ("boundary",),
    ),
    Case(
        "category-by-code",
        TRI,
        of(category=[concept(coding("https://example.org/type", "observational"))]),
        "unknown",
        ("boundary",),
    ),
    Case(
        "category-among-others",
        TRI,
        of(category=[concept(text="Multicentre"), concept(text="Observational")]),
        "unknown",
        ("boundary",),
    ),
    *[
        Case(f"title-{title}", TRI, of(title=title), "unknown", ("boundary",))
        for title in ("National ALS REGISTRY", "Registro brasileiro de ELA", "Registries of rare diseases")
    ],
    Case(
        "title-of-a-registry-with-a-purpose", TRI, of(title="Registry-based trial", **INTERVENTIONAL), "met"
    ),
    Case("title-says-registered", TRI, of(title="A registered trial"), "met"),
    Case("without-title", TRI, minimal({k: v for k, v in study().items() if k != "title"}, subject()), "met"),
    Case("registry-left", TRI, of("withdrawn", title="ALS registry"), "not-met"),
    *[
        Case(f"study-{s}", TRI, minimal(study(status=s), subject()), v)
        for s, v in (
            ("active", "met"),
            ("approved", "met"),
            ("closed-to-accrual", "met"),
            ("closed-to-accrual-and-intervention", "met"),
            ("temporarily-closed-to-accrual", "met"),
            ("temporarily-closed-to-accrual-and-intervention", "met"),
            ("completed", "unknown"),
            ("withdrawn", "unknown"),
            # Not in the specification's list, but as doubtful beside "on study".
            ("administratively-completed", "unknown"),
            ("disapproved", "unknown"),
            ("in-review", "unknown"),
            ("recruiting", "unknown"),
        )
    ],
    Case(
        "study-without-status",
        TRI,
        minimal({k: v for k, v in study().items() if k != "status"}, subject()),
        "unknown",
        ("ambiguous-code",),
    ),
    Case(
        "study-completed-and-withdrawn-from",
        TRI,
        minimal(study(status="completed"), subject("withdrawn")),
        "not-met",
    ),
]

UNRESOLVED = ("ambiguous-code",)
REFERENCES = [
    Case("reference-alone", TRI, minimal(subject(study="ResearchStudy/none")), "unknown", UNRESOLVED),
    Case(
        "unresolved-screening",
        TRI,
        minimal(subject("screening", "ResearchStudy/none")),
        "unknown",
        UNRESOLVED,
    ),
    Case("unresolved-withdrawn", TRI, minimal(subject("withdrawn", "ResearchStudy/none")), "not-met"),
    Case(
        "unresolved-ended",
        TRI,
        minimal(subject(study="ResearchStudy/none", period={"end": "2025"})),
        "not-met",
    ),
    Case(
        "unresolved-with-this-trial-s-name",
        TRI,
        minimal({"resourceType": "ResearchSubject", "status": "on-study", "study": {"display": NCT}}),
        "unknown",
        UNRESOLVED,
    ),
    Case(
        "no-study-at-all",
        TRI,
        minimal({"resourceType": "ResearchSubject", "status": "on-study"}),
        "unknown",
        UNRESOLVED,
    ),
    *[
        Case(f"written-{reference}", TRI, minimal(study(), subject(study=reference)), "met")
        for reference in (
            "https://ehr.example/fhir/ResearchStudy/study-1",
            "ResearchStudy/study-1/_history/3",
            "https://ehr.example/fhir/ResearchStudy/study-1/_history/3",
        )
    ],
    # A study of the same id on another server is another study.
    Case(
        "of-another-server",
        TRI,
        minimal(study(), subject(study="https://other.example/fhir/ResearchStudy/study-1")),
        "unknown",
        UNRESOLVED,
    ),
    Case(
        "this-trial-s-id-on-another-server",
        TRI,
        minimal(study(NCT), subject(study="https://other.example/fhir/ResearchStudy/study-1")),
        "unknown",
        UNRESOLVED,
        card=True,
    ),
    Case(
        "id-that-ends-alike",
        TRI,
        minimal(study(), subject(study="ResearchStudy/a-study-1")),
        "unknown",
        UNRESOLVED,
    ),
    Case(
        "contained",
        TRI,
        minimal(
            subject(study="#s", contained=[{"resourceType": "ResearchStudy", "id": "s", "status": "active"}])
        ),
        "met",
    ),
    Case(
        "contained-study-of-this-trial",
        TRI,
        minimal(
            subject(
                study="#s",
                contained=[
                    {
                        "resourceType": "ResearchStudy",
                        "id": "s",
                        "status": "active",
                        "identifier": [{"value": NCT}],
                    }
                ],
            )
        ),
        "not-met",
        card=False,
    ),
    Case(
        "named-by-identifier-alone",
        TRI,
        minimal(
            study(),
            {
                "resourceType": "ResearchSubject",
                "status": "on-study",
                "study": {"identifier": {"system": "https://clinicaltrials.gov", "value": OTHER}},
            },
        ),
        "met",
        evidence=("study-1",),
    ),
    Case(
        "named-by-an-identifier-of-another-system",
        TRI,
        minimal(
            study(),
            {
                "resourceType": "ResearchSubject",
                "status": "on-study",
                "study": {"identifier": {"system": "https://example.org/studies", "value": OTHER}},
            },
        ),
        "unknown",
        UNRESOLVED,
    ),
    Case(
        "named-by-identifier-and-not-in-the-record",
        TRI,
        minimal(
            {
                "resourceType": "ResearchSubject",
                "status": "on-study",
                "study": {"identifier": {"value": OTHER}},
            }
        ),
        "unknown",
        UNRESOLVED,
    ),
]


def urn(reference: str) -> Resource:
    """The record of which the study is known by a urn:uuid alone."""
    made = minimal(study(), subject(study=reference))
    for entry in made["entry"]:
        if entry["resource"]["resourceType"] == "ResearchStudy":
            entry["fullUrl"] = "urn:uuid:6f1f3c2e-2f2b-4c3e-8a53-0d6c6a2b1e11"
    return made


REFERENCES += [
    Case("urn", TRI, urn("urn:uuid:6f1f3c2e-2f2b-4c3e-8a53-0d6c6a2b1e11"), "met", evidence=("study-1",)),
    Case("urn-of-nothing", TRI, urn("urn:uuid:00000000-0000-0000-0000-000000000000"), "unknown", UNRESOLVED),
]

THIS_TRIAL = [
    Case(
        "this-trial",
        TRI,
        minimal(study(NCT), subject()),
        "not-met",
        basis="no-evidence",
        note="itself",
        card=False,
    ),
    Case("this-trial-lower-case", TRI, minimal(study(NCT.lower()), subject()), "not-met", card=False),
    Case(
        "this-trial-as-a-url",
        TRI,
        minimal(study(f"https://clinicaltrials.gov/study/{NCT}"), subject()),
        "not-met",
        card=False,
    ),
    Case(
        "this-trial-as-second-identifier",
        TRI,
        minimal(study(identifier=[{"value": "401922/2014-6"}, {"value": NCT}]), subject()),
        "not-met",
    ),
    Case("longer-number", TRI, minimal(study(f"{NCT}0"), subject()), "met", card=True),
    Case(
        "on-the-reference",
        TRI,
        minimal(
            {
                "resourceType": "ResearchSubject",
                "status": "on-study",
                "study": {"reference": "ResearchStudy/none", "identifier": {"value": NCT}},
            }
        ),
        "not-met",
        basis="no-evidence",
        card=False,
    ),
    Case("this-registry-like-trial", TRI, minimal(study(NCT, "A registry"), subject()), "not-met"),
]


def two(first: Resource, second: Resource) -> Resource:
    """Two participations, in study-1 and in study-2."""
    return minimal(study(), research_study("study-2", "NCT04000000"), first, second)


SECOND = "ResearchStudy/study-2"
SEVERAL = [
    Case("withdrawn-and-on-study", TRI, two(subject("withdrawn"), subject("on-study", SECOND)), "met"),
    Case("withdrawn-and-screening", TRI, two(subject("withdrawn"), subject("screening", SECOND)), "unknown"),
    Case("both-left", TRI, two(subject("withdrawn"), subject("off-study", SECOND)), "not-met"),
    Case("on-study-and-unresolved", TRI, two(subject(), subject("on-study", "ResearchStudy/none")), "met"),
    Case(
        "this-trial-and-another",
        TRI,
        minimal(study(NCT), research_study("study-2", OTHER), subject(), subject("on-study", SECOND)),
        "met",
        card=False,
        evidence=("study-2",),
    ),
    Case(
        "of-another-patient",
        TRI,
        minimal(study(), subject(individual={"reference": "Patient/somebody"})),
        "not-met",
        basis="no-evidence",
    ),
]

EXAMINATION = icd10cm("Z00.6", "Examination in a clinical research programme")
PARTICIPANT = snomed("428024001", "Clinical trial participant")


def visit(on: str | None = "2026-05-20", status: str = "finished", **elements: Any) -> Resource:
    built = {
        "resourceType": "Encounter",
        "status": status,
        "class": coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB"),
        "reasonCode": [concept(EXAMINATION)],
    }
    return built | ({"period": {"start": on, "end": on}} if on else {}) | elements


HINT = ("needs-clinician",)
HINTS = [
    Case("nothing", TRI, minimal(), "not-met", basis="no-evidence"),
    Case("z00.6-365-days", TRI, minimal(condition(EXAMINATION, recorded="2025-06-15")), "unknown", HINT),
    Case(
        "z00.6-366-days",
        TRI,
        minimal(condition(EXAMINATION, recorded="2025-06-14")),
        "not-met",
        basis="no-evidence",
    ),
    Case("z00.6-cid", TRI, minimal(condition(cid10("Z00.6"), recorded="2026-05-20")), "unknown", HINT),
    Case("z00.6-without-dot", TRI, minimal(condition(cid10("Z006"), recorded="2026-05-20")), "unknown", HINT),
    Case(
        "z00.6-past",
        TRI,
        minimal(condition(EXAMINATION, recorded="2026-05-20", clinical="resolved")),
        "unknown",
        HINT,
    ),
    Case("z00.6-undated", TRI, minimal(condition(EXAMINATION)), "unknown", ("partial-date",)),
    Case(
        "z00.6-partial", TRI, minimal(condition(EXAMINATION, recorded="2025")), "unknown", ("partial-date",)
    ),
    Case("z00.6-partial-old", TRI, minimal(condition(EXAMINATION, recorded="2024")), "not-met"),
    Case(
        "z00.6-future",
        TRI,
        minimal(condition(EXAMINATION, recorded="2026-06-16")),
        "not-met",
        note="future-dated",
    ),
    Case(
        "z00.6-refuted",
        TRI,
        minimal(condition(EXAMINATION, recorded="2026-05-20", verification="refuted")),
        "not-met",
    ),
    Case(
        "z00.6-entered-in-error",
        TRI,
        minimal(condition(EXAMINATION, recorded="2026-05-20", verification="entered-in-error")),
        "not-met",
    ),
    Case(
        "z00.6-provisional",
        TRI,
        minimal(condition(EXAMINATION, recorded="2026-05-20", verification="provisional")),
        "unknown",
        ("unverified-condition",),
    ),
    Case("z00.0-is-none", TRI, minimal(condition(icd10cm("Z00.00"), recorded="2026-05-20")), "not-met"),
    Case("participant-current", TRI, minimal(condition(PARTICIPANT)), "unknown", HINT),
    Case(
        "participant-current-for-years", TRI, minimal(condition(PARTICIPANT, onset="2020")), "unknown", HINT
    ),
    Case(
        "participant-past",
        TRI,
        minimal(condition(PARTICIPANT, clinical="resolved")),
        "not-met",
        basis="no-evidence",
    ),
    Case("participant-abated", TRI, minimal(condition(PARTICIPANT, abatement="2026-01-10")), "not-met"),
    Case("participant-refuted", TRI, minimal(condition(PARTICIPANT, verification="refuted")), "not-met"),
    Case(
        "participant-unconfirmed",
        TRI,
        minimal(condition(PARTICIPANT, verification="unconfirmed")),
        "unknown",
        ("unverified-condition",),
    ),
    Case(
        "participant-health-concern",
        TRI,
        minimal(condition(PARTICIPANT, category="health-concern")),
        "unknown",
        HINT,
    ),
    Case("participant-and-on-study", TRI, minimal(condition(PARTICIPANT), study(), subject()), "met"),
    Case(
        "participant-and-withdrawn",
        TRI,
        minimal(condition(PARTICIPANT), study(), subject("withdrawn")),
        "unknown",
    ),
    *[
        Case(f"completed-{code}", TRI, minimal(condition(snomed(code))), "not-met", note="completion")
        for code in ("443729008", "430279008")
    ],
    Case("completed-and-on-study", TRI, minimal(condition(snomed("443729008")), study(), subject()), "met"),
    Case(
        "completed-and-participant",
        TRI,
        minimal(condition(snomed("443729008")), condition(PARTICIPANT)),
        "unknown",
    ),
    Case("visit", TRI, minimal(visit()), "unknown", HINT),
    Case("visit-by-type", TRI, minimal(visit(reasonCode=[], type=[concept(EXAMINATION)])), "unknown", HINT),
    Case("visit-365-days", TRI, minimal(visit("2025-06-15")), "unknown", HINT),
    Case("visit-366-days", TRI, minimal(visit("2025-06-14")), "not-met"),
    Case("visit-undated", TRI, minimal(visit(None)), "unknown", ("partial-date",)),
    Case("visit-to-come", TRI, minimal(visit("2026-06-16")), "not-met"),
    *[
        Case(f"visit-{s}", TRI, minimal(visit(status=s)), "not-met")
        for s in ("planned", "cancelled", "entered-in-error")
    ],
    *[
        Case(f"visit-{s}", TRI, minimal(visit(status=s)), "unknown")
        for s in ("in-progress", "unknown", "arrived")
    ],
    Case("family", TRI, minimal(family_member_history(PARTICIPANT)), "not-met", basis="no-evidence"),
    Case(
        "text", TRI, minimal(condition(text="participante de ensaio clínico")), "not-met", basis="no-evidence"
    ),
]

CONFIGURED = [
    Case("feed-complete", TRI, minimal(), "not-met", basis="explicit", note="complete", config=COMPLETE),
    Case("feed-complete-withdrawn", TRI, other("withdrawn"), "not-met", basis="explicit", config=COMPLETE),
    Case(
        "feed-complete-this-trial",
        TRI,
        minimal(study(NCT), subject()),
        "not-met",
        basis="explicit",
        config=COMPLETE,
    ),
    Case("feed-complete-on-study", TRI, other(), "met", basis="explicit", config=COMPLETE),
    Case("feed-complete-hint", TRI, minimal(condition(PARTICIPANT)), "unknown", HINT, config=COMPLETE),
    Case(
        "feed-complete-and-failed",
        TRI,
        minimal(),
        "unknown",
        ("retrieval-failed",),
        missing=("ResearchSubject",),
        config=COMPLETE,
        overall="unknown",
    ),
]

RETRIEVAL = [
    Case("subjects-failed", TRI, minimal(), "unknown", ("retrieval-failed",), missing=("ResearchSubject",)),
    Case("conditions-failed", TRI, minimal(), "unknown", ("retrieval-failed",), missing=("Condition",)),
    # Visits only hint. Studies come along without a search; said to be missing, they are.
    Case("visits-failed", TRI, minimal(), "not-met", basis="no-evidence", missing=("Encounter",)),
    Case("studies-failed", TRI, other(), "unknown", ("retrieval-failed",), missing=("ResearchStudy",)),
    Case("feeding-conditions-failed", BF, woman(), "unknown", ("retrieval-failed",), missing=("Condition",)),
    Case(
        "feeding-observations-failed", BF, woman(), "unknown", ("retrieval-failed",), missing=("Observation",)
    ),
]


def yes_or_no(answer: str) -> Json:
    return attestation({TRI: answer})


ATTESTED = [
    Case("yes-of-nothing", TRI, minimal(yes_or_no("yes")), "met", basis="attested"),
    Case("no-of-nothing", TRI, minimal(yes_or_no("no")), "not-met", basis="attested"),
    Case("unsure-of-nothing", TRI, minimal(yes_or_no("unsure")), "unknown", ("needs-clinician",)),
    Case(
        "no-of-screening",
        TRI,
        minimal(study(), subject("screening"), yes_or_no("no")),
        "not-met",
        basis="attested",
    ),
    Case(
        "no-of-a-registry",
        TRI,
        minimal(study(title="ALS registry"), subject(), yes_or_no("no")),
        "not-met",
        basis="attested",
    ),
    Case(
        "no-of-an-unresolved-study",
        TRI,
        minimal(subject(study="ResearchStudy/x"), yes_or_no("no")),
        "not-met",
        basis="attested",
    ),
    # A planned end is no newer evidence than the answer.
    Case(
        "no-of-a-screening-that-ends-later",
        TRI,
        minimal(
            study(),
            subject("screening", period={"start": "2026-05-01", "end": "2027-05-01"}),
            yes_or_no("no"),
        ),
        "not-met",
        basis="attested",
    ),
    # The patient left one study and may be in another that the record does not hold.
    Case(
        "yes-of-withdrawn",
        TRI,
        minimal(study(), subject("withdrawn"), yes_or_no("yes")),
        "met",
        basis="attested",
    ),
    Case(
        "no-of-on-study", TRI, minimal(study(), subject(), yes_or_no("no")), "unknown", ("conflicting-data",)
    ),
    Case(
        "yes-of-a-complete-feed",
        TRI,
        minimal(yes_or_no("yes")),
        "unknown",
        ("conflicting-data",),
        config=COMPLETE,
    ),
]

FEEDING = snomed("866041003", "Mother currently breastfeeding")
STOPPED = snomed("30506002", "Suppressed lactation")
FAILED = snomed("6995000", "Failure of lactation")
YES, SAYS_NO = snomed("373066001", "Yes"), snomed("373067005", "No")


def feeding(on: str | None = "2026-05-20", **elements: Any) -> Resource:
    return condition(FEEDING, recorded=on, **elements)


def status(*answer: Json, on: str | None = "2026-06-01", **elements: Any) -> Resource:
    return observation("63895-7", value_coded(*answer), on=on, category="social-history", **elements)


def birth(on: str | None = "2026-02-01", code: Json | None = None, **elements: Any) -> Resource:
    return condition(code or cid10("O80"), onset=on, **elements)


DIAGNOSES = [
    Case("nothing", BF, woman(), "not-met", basis="no-evidence"),
    Case("180-days", BF, woman(feeding("2025-12-17")), "met", basis="explicit"),
    Case("181-days", BF, woman(feeding("2025-12-16")), "unknown", ("stale-data",)),
    Case("365-days", BF, woman(feeding("2025-06-15")), "unknown", ("stale-data",)),
    Case("366-days", BF, woman(feeding("2025-06-14")), "not-met", basis="no-evidence"),
    Case("today", BF, woman(feeding(SCREENING_DAY)), "met"),
    Case("future", BF, woman(feeding("2026-06-16")), "not-met", note="future-dated"),
    Case("undated", BF, woman(feeding(None)), "unknown", ("partial-date",)),
    Case("this-year", BF, woman(feeding("2026")), "met"),
    Case("month-across-180-days", BF, woman(feeding("2025-12")), "unknown", ("partial-date",)),
    Case("month-within-the-year", BF, woman(feeding("2025-09")), "unknown", ("stale-data",)),
    Case("month-across-365-days", BF, woman(feeding("2025-06")), "unknown", ("partial-date",)),
    Case("last-year", BF, woman(feeding("2025")), "unknown", ("partial-date",)),
    Case("year-before-last", BF, woman(feeding("2024")), "not-met"),
    # Stated on the day of its recording, however long ago it began.
    Case("onset-old-recorded-now", BF, woman(feeding(onset="2024-11-01")), "met"),
    Case("onset-alone", BF, woman(feeding(None, onset="2026-03-01")), "met"),
    Case("onset-alone-old", BF, woman(feeding(None, onset="2024-03-01")), "not-met"),
    Case("verification-not-stated", BF, woman(feeding(verification=None)), "met", note="not stated"),
    Case("unconfirmed", BF, woman(feeding(verification="unconfirmed")), "unknown", ("unverified-condition",)),
    Case("unconfirmed-old", BF, woman(feeding("2024-01-01", verification="unconfirmed")), "not-met"),
    Case("refuted", BF, woman(feeding(verification="refuted")), "not-met", basis="no-evidence"),
    Case("entered-in-error", BF, woman(feeding(verification="entered-in-error")), "not-met"),
    Case("health-concern", BF, woman(feeding(category="health-concern")), "unknown", ("needs-clinician",)),
    # Closing the entry of a visit is no statement that she stopped.
    *[
        Case(f"{s}", BF, woman(feeding(clinical=s)), "unknown", ("needs-clinician",))
        for s in ("resolved", "inactive", "remission")
    ],
    Case("abated", BF, woman(feeding(abatement="2026-06-01")), "unknown", ("needs-clinician",)),
    Case("resolved-old", BF, woman(feeding("2025-06-14", clinical="resolved")), "not-met"),
    Case("ends-later", BF, woman(feeding(abatement="2026-12-01")), "unknown", ("future-dated",)),
    Case(
        "coded-as-als-too",
        BF,
        bundle(patient(gender="female"), condition(snomed("86044005"), FEEDING, recorded="2026-05-20")),
        "unknown",
        ("ambiguous-code",),
    ),
    Case("nipple-infection", BF, woman(condition(icd10cm("O91.03"), recorded="2026-05-20")), "met"),
    Case("lactation-disorder", BF, woman(condition(icd10cm("O92.79"), recorded="2026-05-20")), "met"),
    Case("lactation-care-cid", BF, woman(condition(cid10("Z39.1"), recorded="2026-05-20")), "met"),
    Case("family", BF, woman(family_member_history(FEEDING)), "not-met", basis="no-evidence"),
    Case("text", BF, woman(condition(text="amamentando")), "not-met", basis="no-evidence"),
    Case(
        "another-patient",
        BF,
        woman(feeding(subject={"reference": "Patient/else"})),
        "not-met",
        basis="no-evidence",
    ),
    # "Breast fed" is said of an infant; its code stands in no set.
    Case(
        "infant-code",
        BF,
        woman(condition(snomed("169741004", "Breast fed"), recorded="2026-05-20")),
        "not-met",
    ),
    # CID-10 has no digit for lactation: O91 and O92 leave it open, but for a lack of milk.
    *[
        Case(
            f"cid-{code}",
            BF,
            woman(condition(cid10(code), recorded="2026-05-01")),
            verdict_,
            ("ambiguous-code",) if verdict_ == "unknown" else (),
        )
        for code, verdict_ in (
            ("O92.7", "unknown"),
            ("O921", "unknown"),
            ("O92", "unknown"),
            ("O91.2", "unknown"),
            ("O92.3", "not-met"),
            ("O92.5", "not-met"),
        )
    ],
    Case("cid-O92.7-long-ago", BF, woman(condition(cid10("O92.7"), recorded="2025-06-14")), "not-met"),
    # Nor does the record of an infant say it of a mother.
    Case(
        "infant-s-record",
        BF,
        woman(feeding(), birth_date="2026-01-20"),
        "not-met",
        basis="computed",
        note="said of the child",
    ),
    Case("infant-s-record-with-a-year", BF, woman(feeding(), birth_date="2025"), "not-met"),
    Case("birth-date-missing", BF, woman(feeding(), birth_date=None), "met"),
    Case("gender-other", BF, woman(feeding(), gender="other"), "met"),
    Case("gender-missing", BF, woman(feeding(), gender=None), "met"),
]

STOPS = [
    *[
        Case(
            f"{name}-alone", BF, woman(condition(code, recorded="2026-05-01")), "not-met", basis="no-evidence"
        )
        for name, code in (("suppressed", STOPPED), ("failed", FAILED))
    ],
    *[
        Case(
            f"{name}-later",
            BF,
            woman(feeding("2026-03-01"), condition(code, recorded="2026-05-01")),
            "not-met",
            basis="explicit",
            note="stopped",
        )
        for name, code in (("suppressed", STOPPED), ("failed", FAILED))
    ],
    Case("earlier-stop", BF, woman(feeding("2026-05-20"), condition(STOPPED, recorded="2026-05-01")), "met"),
    Case(
        "stop-of-the-same-day",
        BF,
        woman(feeding(), condition(STOPPED, recorded="2026-05-20")),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "stop-of-an-unclear-day",
        BF,
        woman(feeding(), condition(STOPPED, recorded="2026-05")),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "intention-later",
        BF,
        woman(feeding("2026-03-01"), condition(snomed("169643005"), recorded="2026-05-01")),
        "met",
    ),
    Case(
        "stop-refuted",
        BF,
        woman(feeding("2026-03-01"), condition(STOPPED, recorded="2026-05-01", verification="refuted")),
        "met",
    ),
    Case(
        "stop-unconfirmed",
        BF,
        woman(feeding("2026-03-01"), condition(STOPPED, recorded="2026-05-01", verification="provisional")),
        "met",
    ),
    Case("stop-to-come", BF, woman(feeding("2026-03-01"), condition(STOPPED, recorded="2026-07-01")), "met"),
    Case("status-no-later", BF, woman(feeding("2026-03-01"), status(SAYS_NO)), "not-met", basis="explicit"),
    Case("status-no-earlier", BF, woman(feeding("2026-06-10"), status(SAYS_NO)), "met"),
    Case(
        "status-no-same-day",
        BF,
        woman(feeding("2026-06-01"), status(SAYS_NO)),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "stopped-and-begun-again",
        BF,
        woman(feeding("2026-01-10"), condition(STOPPED, recorded="2026-02-01"), feeding("2026-05-20")),
        "met",
    ),
]

POSITIVE_ANSWERS = (
    FEEDING,
    YES,
    loinc("LA33-6", "Yes"),
    loinc("LA6576-8", "Positive"),
    snomed("10828004", "Positive"),
    coding("http://terminology.hl7.org/CodeSystem/v2-0136", "Y"),
    coding("http://terminology.hl7.org/CodeSystem/v2-0532", "Y"),
)
NEGATIVE_ANSWERS = (
    SAYS_NO,
    STOPPED,
    loinc("LA32-8", "No"),
    loinc("LA6577-6", "Negative"),
    snomed("260385009", "Negative"),
    coding("http://terminology.hl7.org/CodeSystem/v2-0136", "N"),
    coding("http://terminology.hl7.org/CodeSystem/v2-0532", "N"),
)
_LOCAL = concept(loinc("63895-7"), coding("https://hospital.example/codes", "amamenta"))


def local(answer: bool) -> Resource:
    """The status under a site's own code, beside the LOINC code that it was mapped to."""
    return observation("63895-7", {"valueBoolean": answer}, on="2026-06-01") | {"code": _LOCAL}


OBSERVED = [
    *[Case(f"yes-{c['code']}", BF, woman(status(c)), "met", basis="explicit") for c in POSITIVE_ANSWERS],
    *[Case(f"no-{c['code']}", BF, woman(status(c)), "not-met", basis="explicit") for c in NEGATIVE_ANSWERS],
    Case("answer-unknown", BF, woman(status(loinc("LA4489-6", "Unknown"))), "unknown", ("ambiguous-code",)),
    Case("answer-intention", BF, woman(status(snomed("169643005"))), "unknown", ("ambiguous-code",)),
    Case(
        "answer-y-of-nowhere",
        BF,
        woman(status(coding("https://example.org/x", "Y"))),
        "unknown",
        ("ambiguous-code",),
    ),
    Case("answer-both", BF, woman(status(YES, SAYS_NO)), "unknown", ("conflicting-data",)),
    Case(
        "answer-in-words",
        BF,
        woman(observation("63895-7", value_text("sim"), on="2026-06-01")),
        "unknown",
        ("text-only",),
    ),
    Case(
        "answer-text-of-a-concept",
        BF,
        woman(observation("63895-7", {"valueCodeableConcept": {"text": "sim"}}, on="2026-06-01")),
        "unknown",
        ("text-only",),
    ),
    Case("answer-by-display-only", BF, woman(status(coding("https://example.org/x", "1", "Yes"))), "unknown"),
    Case(
        "boolean-of-the-bare-code",
        BF,
        woman(observation("63895-7", {"valueBoolean": True}, on="2026-06-01")),
        "unknown",
        ("ambiguous-code",),
    ),
    Case(
        "boolean-of-a-mapped-code",
        BF,
        woman(local(True)),
        "met",
    ),
    Case(
        "boolean-false-of-a-mapped-code",
        BF,
        woman(local(False)),
        "not-met",
        basis="explicit",
    ),
    Case("without-value", BF, woman(observation("63895-7", on="2026-06-01")), "not-met", basis="no-evidence"),
    Case("yes-180-days", BF, woman(status(YES, on="2025-12-17")), "met"),
    Case("yes-181-days", BF, woman(status(YES, on="2025-12-16")), "unknown", ("stale-data",)),
    Case("yes-365-days", BF, woman(status(YES, on="2025-06-15")), "unknown", ("stale-data",)),
    Case("yes-366-days", BF, woman(status(YES, on="2025-06-14")), "not-met", basis="no-evidence"),
    Case("no-180-days", BF, woman(status(SAYS_NO, on="2025-12-17")), "not-met", basis="explicit"),
    Case("no-181-days", BF, woman(status(SAYS_NO, on="2025-12-16")), "not-met", basis="no-evidence"),
    Case(
        "unclear-366-days",
        BF,
        woman(status(loinc("LA4489-6"), on="2025-06-14")),
        "not-met",
        basis="no-evidence",
    ),
    Case(
        "yes-then-no", BF, woman(status(YES, on="2026-05-01"), status(SAYS_NO)), "not-met", basis="explicit"
    ),
    Case("no-then-yes", BF, woman(status(SAYS_NO, on="2026-05-01"), status(YES)), "met"),
    Case("yes-then-unclear", BF, woman(status(YES, on="2026-05-01"), status(loinc("LA4489-6"))), "unknown"),
    Case("yes-and-no-of-one-day", BF, woman(status(YES), status(SAYS_NO)), "unknown", ("conflicting-data",)),
    Case("undated", BF, woman(status(YES, on=None)), "unknown", ("partial-date",)),
    Case("future", BF, woman(status(YES, on="2026-06-16")), "not-met", basis="no-evidence"),
    *[Case(f"{s}", BF, woman(status(YES, status=s)), "met") for s in ("amended", "corrected")],
    *[
        Case(f"{s}", BF, woman(status(YES, status=s)), "unknown", ("preliminary-only",))
        for s in ("preliminary", "registered")
    ],
    *[
        Case(f"{s}", BF, woman(status(YES, status=s)), "not-met", basis="no-evidence")
        for s in ("cancelled", "entered-in-error", "unknown")
    ],
    Case("status-odd", BF, woman(status(YES, status="done")), "unknown", ("ambiguous-code",)),
    Case(
        "qualitative-by-another-code", BF, woman(serology("63894-0", "pos")), "not-met", basis="no-evidence"
    ),
]

BIRTHS = [
    Case("delivery", BF, woman(birth()), "unknown", ("missing-data",), note="delivery"),
    Case("delivery-365-days", BF, woman(birth("2025-06-15")), "unknown"),
    Case("delivery-366-days", BF, woman(birth("2025-06-14")), "not-met", basis="no-evidence"),
    Case("delivery-undated", BF, woman(birth(None)), "unknown", ("partial-date",)),
    Case("delivery-last-year", BF, woman(birth("2025")), "unknown", ("partial-date",)),
    Case("delivery-this-year", BF, woman(birth("2026")), "unknown", ("missing-data",)),
    Case("delivery-year-before-last", BF, woman(birth("2024")), "not-met"),
    Case("delivery-recorded-late", BF, woman(birth("2019-03-01", recorded="2026-05-20")), "not-met"),
    Case("delivery-recorded", BF, woman(birth(None, recorded="2026-05-20")), "unknown"),
    Case("delivery-resolved", BF, woman(birth(clinical="resolved")), "unknown"),
    Case(
        "delivery-unconfirmed",
        BF,
        woman(birth(verification="provisional")),
        "unknown",
        ("unverified-condition",),
    ),
    Case("delivery-refuted", BF, woman(birth(verification="refuted")), "not-met", basis="no-evidence"),
    Case("delivery-future", BF, woman(birth("2026-07-01")), "not-met"),
    *[
        Case(f"delivery-{code['code']}", BF, woman(birth(code=code)), "unknown")
        for code in (cid10("O82"), icd10cm("Z37.0"), cid10("Z39.2"), icd10cm("O99.03"), icd10cm("O90.81"))
    ],
    *[
        Case(f"loss-{code['code']}", BF, woman(birth(code=code)), "not-met", basis="no-evidence")
        for code in (
            cid10("O00"),
            icd10cm("O03.9"),
            cid10("O04"),
            cid10("O08"),
            icd10cm("Z33.2"),
            icd10cm("Z332"),
        )
    ],
    Case("delivery-then-yes", BF, woman(birth(), status(YES)), "met"),
    Case("delivery-then-no", BF, woman(birth(), status(SAYS_NO)), "not-met", basis="explicit"),
    Case(
        "delivery-then-no-long-ago",
        BF,
        woman(birth("2025-07-01"), status(SAYS_NO, on="2025-08-01")),
        "not-met",
        basis="explicit",
        evidence=("pat-1-observation-1",),
    ),
    Case(
        "old-yes-then-old-no",
        BF,
        woman(status(YES, on="2025-10-01"), status(SAYS_NO, on="2025-11-01")),
        "not-met",
        basis="no-evidence",
        evidence=("pat-1-observation-2",),
    ),
    Case(
        "delivery-then-suppressed", BF, woman(birth(), condition(STOPPED, recorded="2026-02-10")), "not-met"
    ),
    Case(
        "delivery-then-old-yes",
        BF,
        woman(birth("2025-07-01"), feeding("2025-08-01")),
        "unknown",
        ("stale-data",),
    ),
    Case("no-before-the-delivery", BF, woman(status(SAYS_NO, on="2026-01-01"), birth()), "unknown"),
    Case("no-on-the-day-of-delivery", BF, woman(status(SAYS_NO, on="2026-02-01"), birth()), "unknown"),
    Case("delivery-then-unclear", BF, woman(birth(), status(loinc("LA4489-6"))), "unknown"),
]

MEN = [
    Case("man", BF, minimal(), "not-met", basis="computed"),
    Case("man-feeding", BF, minimal(feeding()), "unknown", ("conflicting-data",)),
    Case("man-feeding-older", BF, minimal(feeding("2025-09-01")), "unknown", ("conflicting-data",)),
    Case("man-feeding-old", BF, minimal(feeding("2024-01-01")), "not-met"),
    Case("man-status-yes", BF, minimal(status(YES)), "unknown", ("conflicting-data",)),
    Case("man-status-no", BF, minimal(status(SAYS_NO)), "not-met"),
    Case("man-delivery", BF, minimal(birth()), "unknown", ("conflicting-data",)),
    Case(
        "man-feeding-attested",
        BF,
        minimal(feeding(), attestation({BF: "no"})),
        "unknown",
        ("conflicting-data",),
    ),
]

ANSWERED = [
    Case("nothing-attested-yes", BF, woman(attestation({BF: "yes"})), "met", basis="attested"),
    Case("nothing-attested-no", BF, woman(attestation({BF: "no"})), "not-met", basis="attested"),
    Case("delivery-attested-no", BF, woman(birth(), attestation({BF: "no"})), "not-met", basis="attested"),
    Case(
        "old-yes-attested-no",
        BF,
        woman(status(YES, on="2025-12-01"), attestation({BF: "no"})),
        "not-met",
        basis="attested",
    ),
    Case(
        "recent-yes-attested-no",
        BF,
        woman(feeding(), attestation({BF: "no"})),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "same-day-conflict-attested",
        BF,
        woman(status(YES), status(SAYS_NO), attestation({BF: "no"})),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "preliminary-attested-no",
        BF,
        woman(status(YES, status="preliminary"), attestation({BF: "no"})),
        "unknown",
    ),
]

CASES = {
    "statuses": STATUSES,
    "periods": PERIODS,
    "studies": STUDIES,
    "references": REFERENCES,
    "this-trial": THIS_TRIAL,
    "several": SEVERAL,
    "hints": HINTS,
    "configured": CONFIGURED,
    "retrieval": RETRIEVAL,
    "attested": ATTESTED,
    "diagnoses": DIAGNOSES,
    "stops": STOPS,
    "observed": OBSERVED,
    "births": BIRTHS,
    "men": MEN,
    "answered": ANSWERED,
}


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=f"{table}-{c.id}") for table, cases in CASES.items() for c in cases]
)
def test_rule(case: Case) -> None:
    check(case)


def test_no_record_asks_the_question_and_a_complete_feed_does_not() -> None:
    assert verdict(minimal(), TRI)["question"]
    assert verdict(other("withdrawn"), TRI)["question"]
    assert verdict(minimal(subject(study="ResearchStudy/none")), TRI)["question"]
    assert verdict(minimal(), TRI, config=COMPLETE)["question"] is None
    assert verdict(woman(birth()), BF)["question"]
    assert verdict(woman(), BF)["question"]


def test_an_unresolved_study_does_not_block() -> None:
    """Tier B: listed for review; the failed search alone makes the whole unknown."""
    unresolved = assess(b0(subject(study="ResearchStudy/none")))
    assert criterion(unresolved, TRI)["status"] == "unknown"
    assert unresolved["status"] == assess(b0())["status"]
    failed = assess(minimal(), missing=("ResearchSubject",))
    assert criterion(failed, TRI)["reasons"][0] == "retrieval-failed"


@pytest.mark.parametrize("config", [{}, COMPLETE])
def test_a_server_without_research_subjects_asks_the_patient(config: dict[str, bool]) -> None:
    row = verdict(minimal(), TRI, states={"ResearchSubject": "not-offered"}, config=config)
    assert (row["status"], row["reasons"]) == ("unknown", ["not-offered"])
    assert row["question"]


def test_an_unknown_modifier_leaves_a_participation_open() -> None:
    modified = {"modifierExtension": [{"url": "https://example.org/not", "valueBoolean": True}]}
    for status_ in ("on-study", "withdrawn"):
        row = verdict(minimal(study(), subject(status_, **modified)), TRI)
        assert (row["status"], row["reasons"]) == ("unknown", ["ambiguous-code"])


def test_the_evidence_of_a_participation_names_study_and_end() -> None:
    row = verdict(other("withdrawn", period={"start": "2025-01-01", "end": "2026-02-03"}), TRI)
    shown = {item["reference"].partition("/")[0]: item for item in row["evidence"]}
    assert shown["ResearchSubject"]["date"] == "2026-02-03"
    assert shown["ResearchSubject"]["status"] == "withdrawn"
    assert shown["ResearchStudy"]["display"] == "A study"


def test_breast_feeding_beside_als_leaves_als_as_it_is() -> None:
    record = bundle(patient(gender="female"), als(), feeding())
    assert verdict(record, "H1-Condition")["status"] == "met"
