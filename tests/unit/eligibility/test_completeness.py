"""Each type, in each state, and what it leaves of each criterion (clinical-spec §1.2, §2.1, §2.10)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, Final

import pytest

from cds_service.eligibility.completeness import shortfalls
from cds_service.eligibility.verdict import Verdict
from cds_service.records.bundle import read_bundle
from cds_service.records.record import Acquired
from cds_service.screening import Screener
from tests.builders import (
    Resource,
    als,
    attestation,
    b0,
    bundle,
    cid10,
    condition,
    consent,
    fvc_percent,
    medication_request,
    medication_statement,
    patient,
    procedure,
    research_subject,
    rxnorm,
    serology,
    snomed,
    woman,
)
from tests.trials.assessing import TRIAL, assess, criterion
from tests.trials.needs import ANSWERS, MEDICATIONS, NEEDS

AS_OF: Final = date(2026, 6, 15)
# What comes along with these and has no search of its own: missing where it is said to be, but not offered only where
# something refers to it.
COMPANIONS: Final[Mapping[str, str]] = {
    "Medication": f"{MEDICATIONS} SupplyDelivery",
    "ResearchStudy": "ResearchSubject Consent",
    # What a Medication may be made of.
    "Substance": f"{MEDICATIONS} SupplyDelivery",
}
TYPES: Final = sorted({t for needed in NEEDS.values() for t in needed.split()} | {*COMPANIONS, "Encounter"})
NOT_ATTESTABLE: Final = ("H2-Age", "H3-Gender")
SHORT: Final = ("failed", "truncated", "refused", "pending")
RECORDS: Final[Mapping[str, Resource]] = {
    "all but eligible": b0(),
    "hardly anything": bundle(patient(), als()),
    "a woman with much against her": woman(
        condition(cid10("Z93.0")),
        condition(cid10("F10.2")),
        procedure(snomed("307007002"), on="2026-02-01"),
        medication_statement(rxnorm("1256")),
        medication_request(rxnorm("6851")),
        research_subject("ResearchStudy/x"),
        consent(),
        serology("5196-1", "pos", on="2026-06-01"),
        attestation({"EX02-CannotLieStill": "no"}),
    ),
}


@cache
def complete(record: str, without: str | None) -> dict[str, Any]:
    """The Assessment of a record got whole, less all resources of one type."""
    return assess(less(RECORDS[record], without))


def less(record: Resource, without: str | None) -> Resource:
    kept = [entry for entry in record["entry"] if entry["resource"]["resourceType"] != without]
    return {**record, "entry": kept}


def led_to(name: str, kind: str, record: str) -> bool:
    """Whether what the row reads of this record may lead to a companion of this type."""
    there = {entry["resource"]["resourceType"] for entry in RECORDS[record]["entry"]}
    seldom = {"SupplyDelivery", "Consent"} - there
    return not set(COMPANIONS[kind].split()).isdisjoint({*NEEDS[name].split()} - seldom)


def opened(name: str, kind: str, state: str, before: Mapping[str, Any], record: str) -> bool:
    """Whether a type in that state makes the row unknown(retrieval-failed), by the specification."""
    needed = NEEDS[name].split()
    if kind in needed:
        return True
    if kind in COMPANIONS:
        return state != "pending" and led_to(name, kind, record)
    # An answer, or a later one, might have decided what is open, found nothing, or was answered.
    firm = before["basis"] in ("explicit", "computed")
    by_answer = kind == ANSWERS and name not in NOT_ATTESTABLE and not firm
    # The gate is judged before answers are asked for.
    return by_answer and not (name == "H1-Condition" and state == "pending")


def overall(rows: list[dict[str, Any]], *, man: bool) -> str:
    """§1.2, of the rows as they stand."""
    if any(r["status"] == ("met" if r["kind"] == "exclusion" else "not-met") for r in rows):
        return "excluded"
    unknown = [r for r in rows if r["status"] == "unknown"]
    blocking = [
        r
        for r in unknown
        if (r["tier"] == "A" and not (man and r["id"] == "EX10a-Pregnancy"))
        or not {"retrieval-failed", "not-computed"}.isdisjoint(r["reasons"])
    ]
    return "unknown" if blocking else "eligible-pending-review"


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("record", RECORDS)
def test_each_state_of_each_type_leaves_of_each_criterion_what_the_specification_says(
    record: str, kind: str
) -> None:
    man = record != "a woman with much against her"
    for state in SHORT:
        # Failed: nothing came. Otherwise a part came, and here the part happens to be all.
        without = kind if state in ("failed", "refused", "pending") else None
        before = {r["id"]: r for r in complete(record, without)["criteria"]}
        after = assess(less(RECORDS[record], without), states={kind: state})
        lost = 0
        for row in after["criteria"]:
            was = before[row["id"]]
            if not opened(row["id"], kind, state, was, record):
                assert row == was, (state, row)
                continue
            lost += row["id"] != "H2-Age"
            firm = was["basis"] in ("explicit", "computed") and was["evidence"]
            likely = was["likely"] or (was["status"] if firm else None)
            assert (row["status"], row["basis"], row["likely"]) == ("unknown", None, likely), (state, row)
            assert row["reasons"][0] == "retrieval-failed", (state, row)
            if was["basis"] == "attested" and (kind != ANSWERS or kind in NEEDS[row["id"]].split()):
                # An answer stands in for nothing that was lost, and the row says so.
                assert "an attestation does not resolve this: it needs the data" in row["notes"]
                continue
            assert row["evidence"] == was["evidence"], (state, row)
            assert row["notes"][: len(was["notes"])] == was["notes"]
            assert len(row["notes"]) == len(was["notes"]) + 1
        assert after["status"] == overall(after["criteria"], man=man), state
        (said,) = [w for w in after["warnings"] if w.startswith(f"{kind}: ")]
        number = {0: "No criterion is", 1: "1 criterion is"}.get(lost, f"{lost} criteria are")
        assert number in said


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("record", RECORDS)
def test_a_type_that_is_not_offered_opens_what_finds_nothing_else(record: str, kind: str) -> None:
    before = {r["id"]: r for r in complete(record, kind)["criteria"]}
    after = assess(less(RECORDS[record], kind), states={kind: "not-offered"})
    asked = 0
    for row in after["criteria"]:
        was = before[row["id"]]
        nothing = was["basis"] is not None and not was["evidence"]
        if kind in NEEDS[row["id"]].split() and (nothing or "missing-data" in was["reasons"]):
            asked += 1
            assert (row["status"], row["reasons"][0], row["likely"]) == (
                "unknown",
                "not-offered",
                was["likely"],
            )
            assert f"not available electronically here: ask the patient ({kind})" in row["notes"]
        else:
            assert row == was
    man = record != "a woman with much against her"
    assert after["status"] == overall(after["criteria"], man=man)
    said = [w for w in after["warnings"] if w.startswith(f"{kind}: not available electronically")]
    assert len(said) == (asked > 0)
    assert all(w.endswith(": ask the patient.") for w in said)


def test_a_hint_needs_evidence() -> None:
    """A complete feed of studies makes "none found" an answer; of a feed that failed it is not even a hint."""
    whole = assess(b0(), config={"researchSubjectFeedComplete": True})
    row = criterion(whole, "EX12-OtherTrial")
    assert (row["status"], row["basis"], row["evidence"]) == ("not-met", "explicit", [])
    failed = assess(b0(), config={"researchSubjectFeedComplete": True}, states={"ResearchSubject": "failed"})
    row = criterion(failed, "EX12-OtherTrial")
    assert (row["status"], row["reasons"], row["likely"]) == ("unknown", ["retrieval-failed"], None)


def test_a_volume_in_percent_rests_on_all_that_it_was_computed_from() -> None:
    for kind in ("Observation", "DiagnosticReport"):
        row = criterion(assess(b0(fvc_percent(80)), states={kind: "truncated"}), "IN04-Fvc")
        assert (row["status"], row["reasons"]) == ("unknown", ["retrieval-failed"])


def test_answers_that_failed_leave_open_whether_als_was_attested() -> None:
    """ "Not found" excludes; an answer that could not be read might say otherwise."""
    nobody = bundle(patient())
    assert assess(nobody)["status"] == "excluded"
    failed = assess(nobody, states={ANSWERS: "failed"})
    assert criterion(failed, "H1-Condition")["status"] == "unknown"
    assert failed["status"] == "unknown"
    assert failed["card"] is False


@pytest.mark.parametrize("kind", ["ResearchSubject", "ResearchStudy"])
def test_whether_somebody_is_in_the_trial_already_may_be_what_is_not_known(kind: str) -> None:
    said = "not known whether already in, or through, this trial"
    assert not any(said in note for note in assess(b0())["notes"])
    lost = assess(b0(research_subject("ResearchStudy/x")), missing=(kind,))
    assert any(note == f"{said}: {kind} not read completely" for note in lost["notes"])


@pytest.mark.parametrize("state", ["failed", "refused", "not-offered"])
def test_the_dead_are_not_assessed_whatever_else_is_missing(state: str) -> None:
    record = b0(who=patient(deceasedBoolean=True))
    assessment = assess(record, states={"Observation": state})
    assert (assessment["status"], assessment["card"]) == ("not-applicable", False)


GATES: Final = [
    # Condition's state, what is in it, whether a card is due (§1.2).
    *[(state, "als", True) for state in ("failed", "truncated", "refused", "not-offered")],
    *[(state, "text", True) for state in ("failed", "truncated", "refused", "not-offered")],
    *[(state, "none", False) for state in ("failed", "truncated", "refused", "not-offered", "complete")],
    *[(state, "other", False) for state in ("failed", "truncated", "refused", "not-offered", "complete")],
]
HELD: Final[Mapping[str, tuple[Resource, ...]]] = {
    "als": (als(),),
    "text": (condition(text="Esclerose lateral amiotrófica"),),
    "none": (),
    "other": (condition(cid10("I10")),),
}


@pytest.mark.parametrize(("state", "held", "due"), GATES)
def test_a_card_is_due_where_als_was_seen_and_nowhere_else(state: str, held: str, *, due: bool) -> None:
    record = read_bundle(bundle(patient(), *HELD[held]))
    account = {**record.account, "Condition": Acquired(state, len(HELD[held]), "HTTP 500")}
    record = record.replace(account=account)
    screener = _screener()
    assert bool(screener.gates_open(record, [TRIAL], AS_OF)) is due
    (assessment,) = screener.screen(record, [TRIAL], AS_OF)
    assert assessment.card is due
    # Not got is never "no": without evidence, too, the patient is not excluded for it.
    if state != "complete":
        assert criterion(assessment.to_json(), "H1-Condition")["status"] != "not-met"


@cache
def _screener() -> Screener:
    return Screener.load()


def test_each_reason_is_one_sentence_with_all_its_types() -> None:
    data = {
        "Condition": Acquired("complete", 3),
        "Consent": Acquired("failed", 0, "timeout"),
        "Device": Acquired("refused", 0, "scope not granted"),
        "Encounter": Acquired("failed", 0, "HTTP 500"),
        "Immunization": Acquired("not-offered", 0, "not offered at this site"),
        "Observation": Acquired("failed", 0, "timeout"),
        "Procedure": Acquired("refused", 0, "scope not granted"),
    }
    lost = Verdict("unknown", reasons=("retrieval-failed",), unobtained=("Consent", "Observation"))
    verdicts = {
        "a": lost,
        "b": Verdict("unknown", reasons=("retrieval-failed",), unobtained=("Observation",)),
        "c": Verdict("unknown", reasons=("retrieval-failed",), unobtained=("Device",)),
        "d": Verdict("met", basis="attested", unobtained=("Device",)),
    }
    assert shortfalls(data, verdicts) == (
        (
            "Consent, Observation: not obtained (timeout). 2 criteria are unknown for want of them: try again; a server "
            "that is often so slow needs a higher limits.fetch_seconds."
        ),
        (
            "Device, Procedure: refused (scope not granted). 1 criterion is unknown for want of them: have "
            "patient/Device.rs patient/Procedure.rs granted in fhirAuthorization.scope, or send Device, Procedure as "
            "prefetch."
        ),
        "Encounter: not obtained (HTTP 500). No criterion is open for want of it.",
    )


def test_a_reason_from_elsewhere_is_not_repeated() -> None:
    record = read_bundle(b0())
    account = {**record.account, "Observation": Acquired("failed", 0, "canary-4711")}
    (assessment,) = _screener().screen(record.replace(account=account), [TRIAL], AS_OF)
    assert "canary" not in str(assessment.to_json())
    assert assessment.data["Observation"].state == "failed"
