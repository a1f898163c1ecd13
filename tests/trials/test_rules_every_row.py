"""What §1 says of every row alike: attestations (§1.3), data that were not got (§1.2), and what a card may name (§1.4).

The rows, their kinds and tiers come from trial.toml; what the specification fixes for single rows stands here in tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any, Final

import pytest

from cds_service.eligibility.catalog import SiteTrial
from cds_service.eligibility.trial import Criterion, Trial
from cds_service.hooks.card_text import DETAIL_LINES, SUMMARY_LIMIT
from cds_service.hooks.cards import CardOptions, cards
from cds_service.hooks.orders import order_set
from cds_service.records.bundle import read_bundle
from cds_service.screening import Screener
from tests.builders import (
    Resource,
    als,
    alsfrs,
    alt,
    attestation,
    b0,
    bundle,
    cid10,
    condition,
    consent,
    creatinine,
    device_request,
    el_escorial,
    fvc_percent,
    icd10cm,
    icd10pcs,
    lab,
    medication_request,
    medication_statement,
    minimal,
    patient,
    procedure,
    questionnaire_response,
    research_study,
    research_subject,
    rxnorm,
    serology,
    service_request,
    snomed,
    woman,
)
from tests.trials.assessing import SITE_ZONE, TRIAL, assess, criterion
from tests.trials.criteria import CRITERIA
from tests.trials.needs import ANSWERS, NEEDS

S: Final = date(2026, 6, 15)
DAY: Final = "2026-06-05"  # of evidence that is dated
BEFORE, AFTER = "2026-06-04", "2026-06-05"  # the same day is not older

_UNLIMITED: Final = frozenset(
    {"H1-Condition", "IN02-ElEscorial", "EX01-PriorCellTherapy", "EX11-Immunodeficiency"}
    | {c for c in CRITERIA if c.startswith("EX03") and not c.startswith("EX03i")}
)
_OWN_WINDOW: Final = {
    "IN03-AlsfrsR": 30,
    "IN04-Fvc": 90,
    "EX06-AstAlt": 30,
    "EX07-Creatinine": 30,
    **{c: 90 for c in CRITERIA if c.startswith("EX08")},
    "EX10a-Pregnancy": 7,
    "EX13a-Niv": 90,
}
# Age repeats IN01; any sex is met: there is nothing to attest.
NOT_ATTESTABLE: Final = {"H2-Age", "H3-Gender"}
ATTESTABLE: Final = [c for c in CRITERIA if c not in NOT_ATTESTABLE]


@cache
def screener() -> Screener:
    return Screener.load(timezone=SITE_ZONE, sites={TRIAL: SiteTrial()})


def trial() -> Trial:
    return screener().catalog.get(TRIAL).trial


def row(criterion_id: str) -> Criterion:
    return trial().criterion(criterion_id)


def excludes(criterion_id: str, status: str) -> bool:
    return status == ("met" if row(criterion_id).kind == "exclusion" else "not-met")


def is_open(criterion_id: str, *facts: Any) -> Resource:
    """A record in which the row is unknown, or nothing is found."""
    if criterion_id == "H1-Condition":
        return bundle(patient(), condition(cid10("G12.2")), *facts)
    if criterion_id == "IN01-Age":
        return minimal(*facts, birth_date=None)
    if criterion_id.startswith("EX10"):
        return woman(*facts)
    return minimal(*facts)


def answered(criterion_id: str, answer: str, on: str = "2026-06-15", **how: Any) -> Resource:
    return is_open(criterion_id, attestation({criterion_id: answer}, on=on, **how))


# --- §1.3: what an answer does -----------------------------------------------------------------------------------


def test_the_rows_are_those_of_the_specification() -> None:
    assert {c.id for c in trial().criteria} == set(CRITERIA)
    assert {c.id for c in trial().criteria if not c.attestable} == NOT_ATTESTABLE


@pytest.mark.parametrize("answer", ["yes", "no"])
@pytest.mark.parametrize("criterion_id", ATTESTABLE)
def test_an_answer_decides_what_the_record_leaves_open(criterion_id: str, answer: str) -> None:
    """`yes` is met and `no` is not-met, for inclusions and exclusions alike; the answer is the evidence."""
    before = criterion(assess(is_open(criterion_id)), criterion_id)
    assert before["basis"] in (None, "no-evidence"), before
    assessment = assess(answered(criterion_id, answer, id="qr-1"))
    found = criterion(assessment, criterion_id)
    status = "met" if answer == "yes" else "not-met"
    assert (found["status"], found["basis"], found["reasons"]) == (status, "attested", [])
    assert found["evidence"][-1]["reference"] == "QuestionnaireResponse/qr-1"
    assert found["question"] is None
    assert (assessment["status"] == "excluded") is excludes(criterion_id, status)


@pytest.mark.parametrize("criterion_id", ATTESTABLE)
def test_unsure_makes_it_a_clinician_s_matter(criterion_id: str) -> None:
    found = criterion(assess(answered(criterion_id, "unsure")), criterion_id)
    assert found["status"] == "unknown"
    assert "needs-clinician" in found["reasons"]


@pytest.mark.parametrize("criterion_id", sorted(NOT_ATTESTABLE))
@pytest.mark.parametrize("answer", ["yes", "no", "unsure"])
def test_what_cannot_be_attested_stays_as_computed(criterion_id: str, answer: str) -> None:
    assert criterion(assess(answered(criterion_id, answer)), criterion_id) == criterion(
        assess(minimal()), criterion_id
    )


# --- §1.3: validity ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion_id", ATTESTABLE)
def test_the_validity_is_the_specification_s(criterion_id: str) -> None:
    wanted = None if criterion_id in _UNLIMITED else _OWN_WINDOW.get(criterion_id, 30)
    assert row(criterion_id).attestation_days == wanted


@pytest.mark.parametrize("criterion_id", ATTESTABLE)
def test_an_answer_holds_on_its_last_day_and_not_on_the_next(criterion_id: str) -> None:
    days = row(criterion_id).attestation_days
    before = criterion(assess(is_open(criterion_id)), criterion_id)
    last = S - timedelta(days=6000 if days is None else days)
    held = criterion(assess(answered(criterion_id, "no", on=last.isoformat())), criterion_id)
    assert (held["status"], held["basis"]) == ("not-met", "attested")
    if days is None:
        return
    for answer in ("yes", "no", "unsure"):
        on = (last - timedelta(days=1)).isoformat()
        expired = criterion(assess(answered(criterion_id, answer, on=on)), criterion_id)
        assert (expired["status"], expired["basis"]) == (before["status"], before["basis"]), answer
        assert "stale-data" in expired["reasons"], answer


@pytest.mark.parametrize("criterion_id", ATTESTABLE)
def test_an_answer_of_tomorrow_does_not_count(criterion_id: str) -> None:
    assessment = assess(answered(criterion_id, "no", on="2026-06-16"))
    assert criterion(assessment, criterion_id) == criterion(assess(is_open(criterion_id)), criterion_id)
    assert assessment["warnings"]


# --- §1.3: what is no attestation --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["author", "boolean", "system"])
@pytest.mark.parametrize("criterion_id", ATTESTABLE)
def test_an_answer_of_another_shape_or_author_is_ambiguous(criterion_id: str, shape: str) -> None:
    if shape == "author":
        response = attestation({criterion_id: "no"}, author="Patient/pat-1")
    else:
        value: dict[str, Any] = {"valueBoolean": False}
        if shape == "system":
            value = {"valueCoding": snomed("373067005", "No")}
        response = questionnaire_response([{"linkId": criterion_id, "answer": [value]}])
    assessment = assess(is_open(criterion_id, response))
    found = criterion(assessment, criterion_id)
    assert (found["status"], found["basis"]) == ("unknown", None)
    assert "ambiguous-code" in found["reasons"]
    assert any(criterion_id in warning for warning in assessment["warnings"])


# --- §1.3: conflicts ---------------------------------------------------------------------------------------------


def _trial_of_another_kind() -> list[Resource]:
    study = research_study("other", "NCT01234567", "Another study", primaryPurposeType={"text": "treatment"})
    study["category"] = [{"text": "interventional"}]
    return [study, research_subject("ResearchStudy/other")]


@dataclass(frozen=True)
class Explicit:
    """Facts by which the record itself decides the row, and how."""

    facts: tuple[Resource, ...]
    status: str = "met"
    config: Mapping[str, Any] | None = None


EXPLICIT: Final[Mapping[str, Explicit]] = {
    "H1-Condition": Explicit((als(),)),
    "IN01-Age": Explicit(()),
    "IN02-ElEscorial": Explicit((el_escorial("probable"),)),
    "IN03-AlsfrsR": Explicit((alsfrs(38),)),
    "IN04-Fvc": Explicit((fvc_percent(82),)),
    "IN06-RegionalAccess": Explicit((), config={"regionStates": ["SP"]}),
    "IN07-ConsentCapacity": Explicit((consent(provision="permit"),)),
    "EX01-PriorCellTherapy": Explicit((procedure(snomed("58776007"), on="2012-05-01"),)),
    "EX03a-Autoimmune": Explicit((condition(snomed("69896004")),)),
    "EX03b-Myeloproliferative": Explicit((condition(snomed("109992005")),)),
    "EX03c-Myelodysplastic": Explicit((condition(cid10("D46.9")),)),
    "EX03d-Leukemia": Explicit((condition(cid10("C91.0")),)),
    "EX03e-Lymphoma": Explicit((condition(snomed("118601006")),)),
    "EX03g-HipFracture": Explicit((condition(cid10("S72.0")),)),
    "EX05-OtherNeuro": Explicit((condition(cid10("G40.9")),)),
    "EX06-AstAlt": Explicit((alt(500),)),
    "EX07-Creatinine": Explicit((creatinine(5),)),
    "EX08a-HepatitisB": Explicit((serology("5196-1", "pos"),)),
    "EX08b-HepatitisC": Explicit((serology("13955-0", "pos"), serology("11259-9", "detected"))),
    "EX08c-Hiv": Explicit((condition(cid10("B20")),)),
    "EX08d-Htlv": Explicit((serology("22362-8", "neg"),), "not-met"),
    "EX08e-Syphilis": Explicit((condition(cid10("A53.0")),)),
    "EX09-Immunosuppressant": Explicit((medication_request(rxnorm("1256")),)),
    "EX10a-Pregnancy": Explicit((serology("2106-3", "pos", on="2026-06-10"),)),
    "EX10b-Breastfeeding": Explicit((condition(snomed("866041003"), recorded="2026-05-10"),)),
    "EX11-Immunodeficiency": Explicit((condition(icd10cm("D83.9")),)),
    "EX12-OtherTrial": Explicit(tuple(_trial_of_another_kind())),
    "EX13a-Niv": Explicit((condition(snomed("429091008")),)),
    "EX13b-Tracheostomy": Explicit((condition(cid10("Z93.0")),)),
    "EX13c-DiaphragmPacing": Explicit((procedure(icd10pcs("0BHT4MZ"), on="2025-05-01"),)),
    "EX14a-SubstanceUse": Explicit((condition(icd10cm("F10.20"), recorded="2026-02-01"),)),
    "EX15-AlternativeFeeding": Explicit((condition(cid10("Z93.1")),)),
}


def decided(criterion_id: str, *further: Resource) -> Resource:
    facts = (*EXPLICIT[criterion_id].facts, *further)
    if criterion_id == "H1-Condition":
        return bundle(patient(), *facts)
    return woman(*facts) if criterion_id.startswith("EX10") else minimal(*facts)


@pytest.mark.parametrize("criterion_id", sorted(EXPLICIT))
def test_an_answer_never_overrides_what_the_record_says(criterion_id: str) -> None:
    case = EXPLICIT[criterion_id]
    other, same = ("no", "yes") if case.status == "met" else ("yes", "no")

    def with_answer(answer: str) -> dict[str, Any]:
        record = decided(criterion_id, attestation({criterion_id: answer}, on="2026-06-15"))
        return criterion(assess(record, config=case.config), criterion_id)

    computed = criterion(assess(decided(criterion_id), config=case.config), criterion_id)
    assert computed["status"] == case.status, computed
    assert computed["basis"] in ("explicit", "computed")
    against = with_answer(other)
    assert (against["status"], against["basis"]) == ("unknown", None)
    assert against["reasons"][0] == "conflicting-data"
    assert {e["reference"] for e in computed["evidence"]} < {e["reference"] for e in against["evidence"]}
    for answer in (same, "unsure"):
        agreed = with_answer(answer)
        assert (agreed["status"], agreed["basis"]) == (computed["status"], computed["basis"]), answer
        assert agreed["reasons"] == computed["reasons"], answer


# --- §1.3: older than the newest evidence ------------------------------------------------------------------------


def provisional(code: Any) -> tuple[Resource, ...]:
    return (condition(code, verification="provisional", recorded=DAY),)


# Evidence of a doubt that an answer may resolve, unless the answer is older.
DOUBTS: Final[Mapping[str, tuple[Resource, ...]]] = {
    "H1-Condition": (condition(cid10("G12.2"), recorded=DAY),),
    "IN02-ElEscorial": (el_escorial("something-else", on=DAY),),
    "IN03-AlsfrsR": (alsfrs(52, on=DAY),),
    "IN04-Fvc": (fvc_percent(0.72, on=DAY),),
    "IN07-ConsentCapacity": (condition(snomed("230270009"), recorded=DAY),),
    "EX01-PriorCellTherapy": (procedure(text="Infusão de células-tronco", on=DAY),),
    "EX02-CannotLieStill": (condition(snomed("62744007"), recorded=DAY),),
    "EX03a-Autoimmune": provisional(snomed("69896004")),
    "EX03b-Myeloproliferative": provisional(snomed("109992005")),
    "EX03c-Myelodysplastic": provisional(cid10("D46.9")),
    "EX03d-Leukemia": provisional(cid10("C91.0")),
    "EX03e-Lymphoma": provisional(snomed("118601006")),
    "EX03g-HipFracture": provisional(cid10("S72.0")),
    "EX03h-SevereScoliosis": (condition(cid10("M41.9"), recorded=DAY),),
    "EX04-OtherInterferingDisease": (condition(cid10("I50.0"), recorded=DAY),),
    "EX05-OtherNeuro": (condition(snomed("37796009"), recorded=DAY),),
    "EX06-AstAlt": (alt(28, unit=None, high=None, on=DAY),),
    "EX07-Creatinine": (lab("2160-0", 0.7, None, on=DAY),),
    "EX08a-HepatitisB": provisional(cid10("B18.1")),
    "EX08b-HepatitisC": provisional(cid10("B18.2")),
    "EX08c-Hiv": provisional(cid10("B20")),
    "EX08d-Htlv": provisional(icd10cm("B33.3")),
    "EX08e-Syphilis": provisional(cid10("A53.0")),
    "EX09-Immunosuppressant": (medication_statement(text="Azatioprina 50 mg", start=DAY),),
    "EX11-Immunodeficiency": provisional(icd10cm("D83.9")),
    "EX12-OtherTrial": (
        research_study("other", "NCT01234567"),
        research_subject("ResearchStudy/other", "screening", period={"start": DAY}),
    ),
    "EX13a-Niv": (device_request(snomed("702173003"), authoredOn=DAY),),
    "EX13b-Tracheostomy": provisional(cid10("Z93.0")),
    "EX13c-DiaphragmPacing": (procedure(text="Marcapasso diafragmático", on=DAY),),
    "EX14a-SubstanceUse": provisional(icd10cm("F10.20")),
    "EX14b-UnstableMentalHealth": (condition(cid10("F32.9"), recorded=DAY),),
    "EX15-AlternativeFeeding": (service_request(snomed("235159007"), authoredOn=DAY),),
}


@pytest.mark.parametrize("criterion_id", sorted(DOUBTS))
def test_an_answer_older_than_the_newest_evidence_counts_as_absent(criterion_id: str) -> None:
    doubt = DOUBTS[criterion_id]

    def with_answer(on: str) -> dict[str, Any]:
        facts = (*doubt, attestation({criterion_id: "no"}, on=on))
        record = bundle(patient(), *facts) if criterion_id == "H1-Condition" else minimal(*facts)
        return criterion(assess(record), criterion_id)

    older = with_answer(BEFORE)
    assert (older["status"], older["basis"]) == ("unknown", None), older
    assert "stale-data" in older["reasons"]
    assert older["evidence"], "the doubt itself is shown"
    newer = with_answer(AFTER)
    assert (newer["status"], newer["basis"]) == ("not-met", "attested"), newer


# --- §1.2: what a failed or missing type does, row by row (§2.1, §2.10) ------------------------------------------

TYPES: Final = sorted({kind for needed in NEEDS.values() for kind in needed.split()} | {"Encounter"})


def _facts_of_a_woman() -> Resource:
    return b0(who=patient(gender="female", birth_date="1991-11-02"))


@pytest.mark.parametrize("state", ["failed", "truncated", "refused"])
@pytest.mark.parametrize("kind", [k for k in TYPES if k != ANSWERS])
def test_a_failed_type_opens_the_rows_that_need_it_and_no_other(kind: str, state: str) -> None:
    assessment = assess(_facts_of_a_woman(), states={kind: state})
    opened = {r["id"] for r in assessment["criteria"] if "retrieval-failed" in r["reasons"]}
    assert opened == {c for c, needed in NEEDS.items() if kind in needed.split()}
    for found in assessment["criteria"]:
        if found["id"] in opened:
            assert (found["status"], found["basis"]) == ("unknown", None)
            assert any(kind in note for note in found["notes"]), found
    if opened:
        assert assessment["status"] == "unknown"
    assert any(kind in warning for warning in assessment["warnings"])


def test_failed_answers_open_what_an_answer_could_decide() -> None:
    assessment = assess(_facts_of_a_woman(), states={ANSWERS: "failed"})
    before = {r["id"]: r for r in assess(_facts_of_a_woman())["criteria"]}
    for found in assessment["criteria"]:
        name = found["id"]
        could = (
            row(name).attestable and name != "H1-Condition" and before[name]["basis"] in (None, "no-evidence")
        )
        assert ("retrieval-failed" in found["reasons"]) is (could or name == "IN03-AlsfrsR"), found
    assert assessment["status"] == "unknown"


@pytest.mark.parametrize("kind", [k for k in TYPES if k not in ("Condition", ANSWERS)])
def test_a_type_that_is_not_offered_opens_only_what_finds_nothing_else(kind: str) -> None:
    """Tier A blocks as always; tiers B and C stay open without blocking and are for asking."""
    before = {r["id"]: r for r in assess(b0())["criteria"]}
    assessment = assess(b0(), states={kind: "not-offered"})
    for found in assessment["criteria"]:
        name = found["id"]
        needs = kind in NEEDS[name].split()
        opened = needs and (before[name]["basis"] == "no-evidence")
        if opened:
            assert (found["status"], found["reasons"]) == ("unknown", ["not-offered"]), found
            assert found["question"] or name == "EX07-Creatinine"
            assert any("not available electronically here: ask the patient" in n for n in found["notes"])
        else:
            assert (found["status"], found["basis"]) == (before[name]["status"], before[name]["basis"]), found
            assert "retrieval-failed" not in found["reasons"]
    assert assessment["status"] == "eligible-pending-review"


@pytest.mark.parametrize("criterion_id", [c for c in ATTESTABLE if NEEDS[c] and c != "H1-Condition"])
def test_an_answer_stands_in_for_what_is_not_offered_but_not_for_what_failed(criterion_id: str) -> None:
    kind = NEEDS[criterion_id].split()[0]
    record = answered(criterion_id, "no")
    offered = criterion(assess(record, states={kind: "not-offered"}), criterion_id)
    assert (offered["status"], offered["basis"]) == ("not-met", "attested")
    failed = criterion(assess(record, states={kind: "failed"}), criterion_id)
    assert failed["status"] == "unknown"
    assert "retrieval-failed" in failed["reasons"]


# --- §1.4: what a card may say -----------------------------------------------------------------------------------

# A finding of each sensitive row, from the record, that is met or open.
SENSITIVE: Final[Mapping[str, tuple[Resource, ...]]] = {
    **{
        name: EXPLICIT[name].facts
        for name in (
            "EX08a-HepatitisB",
            "EX08b-HepatitisC",
            "EX08c-Hiv",
            "EX08e-Syphilis",
            "EX14a-SubstanceUse",
        )
    },
    "EX08d-Htlv": (serology("22362-8", "reactive"),),
    "EX10a-Pregnancy": EXPLICIT["EX10a-Pregnancy"].facts,
    "EX10b-Breastfeeding": EXPLICIT["EX10b-Breastfeeding"].facts,
    "EX11-Immunodeficiency": EXPLICIT["EX11-Immunodeficiency"].facts,
    "EX14b-UnstableMentalHealth": (condition(cid10("F20.0", "Esquizofrenia paranoide")),),
}
_NEVER: Final = (
    "hepatit", "hbsag", "hcv", "hiv", "aids", "htlv", "syphil", "treponem", "reagin", "pregnan", "gonadotropin",
    "breast", "lactat", "substance", "alcohol", "abuse", "addict", "mental", "psych", "schizo", "esquizo",
    "immunodef", "d83.9", "f10.20", "f20.0",
)  # fmt: skip


def _cards(record: Resource, *, show_excluded: bool = True) -> list[dict[str, Any]]:
    assessments = screener().screen(read_bundle(json.loads(json.dumps(record))), [TRIAL], S)
    return cards(
        assessments,
        {TRIAL: order_set(trial(), sensitive_orders=False)},
        CardOptions(show_excluded=show_excluded),
        patient_id="pat-1",
        encounter_id=None,
        base_url="https://cds.example.org",
    )


def _said(card: Mapping[str, Any]) -> str:
    """Summary, detail, suggestions and links, as they go over the wire."""
    return json.dumps(
        {k: card.get(k) for k in ("summary", "detail", "suggestions", "links", "source")}
    ).lower()


def _of_a_woman(*facts: Any) -> Resource:
    return b0(*facts, who=patient(gender="female", birth_date="1991-11-02"), without=["alt", "creatinine"])


@pytest.mark.parametrize("answered_yes", [False, True], ids=["recorded", "attested"])
@pytest.mark.parametrize("criterion_id", sorted(SENSITIVE))
def test_a_sensitive_finding_is_named_nowhere_on_the_card(criterion_id: str, answered_yes: bool) -> None:
    facts = (attestation({criterion_id: "yes"}),) if answered_yes else SENSITIVE[criterion_id]
    record = _of_a_woman(*facts)
    found = criterion(assess(record), criterion_id)
    assert found["status"] != "not-met"
    assert row(criterion_id).sensitive is not None
    (card,) = _cards(record)
    said = _said(card)
    assert [word for word in _NEVER if word in said] == []
    assert criterion_id.lower() not in said
    assert row(criterion_id).label.lower() not in said


@pytest.mark.parametrize(
    "criterion_id", [c for c in CRITERIA if c not in ("H1-Condition", "H2-Age", "H3-Gender")]
)
def test_a_card_stays_in_its_bounds_whatever_row_is_open_or_against(criterion_id: str) -> None:
    answer = "yes" if row(criterion_id).kind == "exclusion" else "no"
    for record in (
        _of_a_woman(attestation({criterion_id: answer})),
        _of_a_woman(attestation({criterion_id: "unsure"})),
    ):
        for card in _cards(record):
            assert len(card["summary"]) < SUMMARY_LIMIT
            assert len(card["detail"].splitlines()) <= DETAIL_LINES
            assert card["indicator"] == "info"


@pytest.mark.parametrize(
    "criterion_id", [c for c in CRITERIA if c not in ("H1-Condition", "H2-Age", "H3-Gender")]
)
def test_whoever_is_excluded_by_any_row_gets_no_card_unless_the_site_wants_it(criterion_id: str) -> None:
    answer = "yes" if row(criterion_id).kind == "exclusion" else "no"
    record = is_open(criterion_id, attestation({criterion_id: answer}))
    assert assess(record)["status"] == "excluded"
    assert _cards(record, show_excluded=False) == []
    (card,) = _cards(record)
    assert "1 criterion against" in card["summary"]
    assert "suggestions" not in card


def test_what_rests_on_readings_of_the_pi_alone_is_shown_to_all_sites() -> None:
    psoriasis, lupus = condition(snomed("9014002")), condition(snomed("55464009"))
    (card,) = _cards(b0(psoriasis), show_excluded=False)
    assert "excluded unless the PI rules otherwise" in card["summary"]
    for plain in (lupus, alsfrs(20, on="2026-06-10")):
        assert _cards(b0(psoriasis, plain), show_excluded=False) == []


def test_nothing_found_is_said_on_the_card_to_be_just_that() -> None:
    """Tier B: "no record found – confirm with patient" (§1.2)."""
    (card,) = _cards(b0())
    found = [r for r in assess(b0())["criteria"] if r["basis"] == "no-evidence"]
    assert f"No record found for {len(found)} criteria: confirm with the patient" in card["detail"]
