"""From values of the engine to words: which criteria are meant, who set a threshold, what a value reads like."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cds_service.eligibility.catalog import SiteTrial
from cds_service.eligibility.explaining import chosen_criteria
from cds_service.eligibility.explanation import CriterionExplanation, ShownRetrieve
from cds_service.eligibility.readable import code_words, readable, reference_ranges, to_json, type_words
from cds_service.eligibility.verdict import Evidence
from cds_service.elm import Code, Concept, Date, DateTime, Interval, Quantity, Ratio, ValueSet
from cds_service.elm.types import ChoiceOf, IntervalOf, ListOf, TupleOf
from cds_service.errors import InputError
from cds_service.records.bundle import read_bundle
from cds_service.records.record import Acquired, PatientRecord
from cds_service.screening import Screener
from tests import builders
from tests.unit.sandbox.wards import trial

TRIAL = "nct02917681"
AS_OF = date(2026, 6, 15)
SNOMED = "http://snomed.info/sct"
OWN = "https://cds-service.example/fhir/CodeSystem/text-match"


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (["H1-Condition"], {"H1-Condition"}),
        (["h1"], {"H1-Condition"}),
        (["ex01"], {"EX01a-This", "EX01b-That"}),
        (["EX01A", "IN01"], {"EX01a-This", "IN01-Age"}),
        (["ALL"], {"H1-Condition", "IN01-Age", "EX01a-This", "EX01b-That"}),
        ([], set()),
    ],
)
def test_a_criterion_is_meant_by_its_id_its_number_or_its_row(asked: list[str], meant: set[str]) -> None:
    assert chosen_criteria([trial()], asked) == meant


def test_an_unknown_criterion_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        InputError, match="no criterion 'EX02' to explain; there are H1, IN01, EX01a, EX01b, and all"
    ):
        chosen_criteria([trial()], ["H1", "EX02"])


READABLE: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (30, 30),
    ("in", "in"),
    (Decimal("65.0"), "65.0"),
    (Decimal("1E+2"), "100"),
    (Date(2026, 6, 15), "2026-06-15"),
    (DateTime.parse("2026-06"), "2026-06"),
    (Quantity(Decimal(3), "mg/dL"), "3 mg/dL"),
    (Quantity(Decimal(3), "1"), "3"),
    (Ratio(Quantity(Decimal(1), "1"), Quantity(Decimal(16), "1")), "1:16"),
    (Code("86044005", SNOMED, None, "ALS"), "SNOMED CT 86044005 ALS"),
    (Concept((Code("1", SNOMED), Code("2", SNOMED))), "SNOMED CT 1; SNOMED CT 2"),
    (ValueSet("urn:x", None, "Drugs"), "Drugs"),
    (Interval(33, 62), "33 to 62"),
    (Interval(Decimal("1.5"), None), "from 1.5"),
    (Interval(None, Date(2026, 1, 1), True, False), "up to 2026-01-01 (excluded)"),
    (Interval(None, None), "without bounds"),
    ([Date(2026, 6, 15), None], ["2026-06-15", None]),
    ({"low": 1, "at": Date(2026, 6, 15)}, {"low": 1, "at": "2026-06-15"}),
    ({"resourceType": "Observation", "id": "o"}, "<o>"),
    ({"coding": [{"system": SNOMED, "code": "1", "display": "One"}]}, "One"),
    ({"system": SNOMED, "code": "1", "display": "One"}, "SNOMED CT 1 One"),
    ({"value": 5, "unit": "mg", "code": "mg"}, "5 mg"),
    ({"start": "2026-01-01"}, "2026-01-01 to open"),
    ({"line": ["Rua A, 1"], "city": "São Paulo", "state": "SP", "postalCode": "01000"}, "São Paulo, SP"),
    ({"family": "Farias", "given": ["Ana"]}, "a name"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), READABLE, ids=[str(e)[:40] for _, e in READABLE])
def test_a_value_reads_as(value: Any, expected: Any) -> None:
    assert readable(value, lambda resource: f"<{resource['id']}>") == expected


def test_a_code_of_the_projects_own_is_its_words() -> None:
    assert code_words(Code("cell-therapy", OWN)) == "cell therapy (read from the text)"
    assert code_words(Code("als", OWN, None, "ALS in words")) == "ALS in words (read from the text)"
    assert code_words(Code("A65", "http://hl7.org/fhir/sid/icd-10", None, "A65 ICD-10")) == "ICD-10 A65"
    assert code_words(Code("x", "https://example.org/system/colours/")) == "colours x"
    assert code_words(Code("x")) == "code x"


def test_evidence_becomes_json_wherever_it_stands() -> None:
    evidence = Evidence("Observation/1", "ALT", "28 U/L", "2026-06-01", "final")
    value = {"status": "met", "evidence": [evidence], "at": None}
    assert to_json(value) == {"status": "met", "evidence": [evidence.to_json()], "at": None}


def test_types_read_as_cql_writes_them() -> None:
    assert type_words(ListOf(TupleOf((("a", "System.Date"),)))) == "List<Tuple>"
    assert type_words(IntervalOf("System.Date")) == "Interval<System.Date>"
    assert type_words(ChoiceOf(("FHIR.Quantity", None))) == "Choice<FHIR.Quantity, Any>"
    assert type_words(None) is None


def test_reference_ranges_of_any_shape() -> None:
    ranges = [{"low": {"value": 10, "unit": "U/L"}, "high": {"value": 40, "unit": "U/L"}}, {"high": {"value": 5}}, {"low": {"value": 1}},
              {"text": "negative"}, "none", {}]  # fmt: skip
    assert list(reference_ranges({"referenceRange": ranges})) == [
        "10 U/L to 40 U/L",
        "up to 5",
        "from 1",
        "negative",
    ]
    assert list(reference_ranges({"referenceRange": "10-40"})) == []


@pytest.fixture(scope="module")
def screener() -> Screener:
    site = SiteTrial(
        parameters={"alsfrsMin": 24, "ulnFallback": {"alt": {"male": [30, 60]}}},
        origins={"alsfrsMin": "cds-service.toml, line 12"},
    )
    return Screener.load(sites={TRIAL: site})


def explained(
    screener: Screener, criterion: str, record: PatientRecord | None = None
) -> CriterionExplanation:
    given = record or read_bundle(builders.b0())
    (assessment,) = screener.screen(given, [TRIAL], AS_OF, explain=[criterion])
    (explanation,) = assessment.explanations
    return explanation


def test_a_threshold_says_who_set_it(screener: Screener) -> None:
    told = {p.name: (p.value, p.origin) for p in explained(screener, "IN03-AlsfrsR").parameters}
    assert told == {
        "ScreeningDate": ("2026-06-15", "the screening day"),
        "alsfrsMin": (24, "cds-service.toml, line 12"),
        "alsfrsWindowDays": (30, "trial.toml"),
    }
    told = {p.name: (p.value, p.origin) for p in explained(screener, "EX06-AstAlt").parameters}
    value, origin = told["ulnFallback"]
    assert origin == "set by the site"
    assert value["alt"] == {"male": "30 to 60", "female": "25 to 50"}
    told = {p.name: (p.value, p.origin) for p in explained(screener, "EX13a-Niv").parameters}
    assert told["respiratoryItemMax"] == (3, "the CQL's default")


def test_a_repeated_verdict_is_explained_by_the_one_it_repeats(screener: Screener) -> None:
    explanation = explained(screener, "H2-Age")
    assert explanation.root is not None
    assert explanation.root.define == "IN01-Age"


def test_what_could_not_be_fetched_is_not_said_to_be_absent(screener: Screener) -> None:
    record = read_bundle(builders.b0())
    record = record.replace(account={**record.account, "Observation": Acquired("failed", 0, "timeout")})
    explanation = explained(screener, "IN04-Fvc", record)
    assert explanation.computed is not None
    assert explanation.computed.status == "met"
    assert explanation.result.verdict.reasons == ("retrieval-failed",)
    retrieves = [r for node in explanation.defines() for r in node.reads if isinstance(r, ShownRetrieve)]
    assert {r.state.state for r in retrieves if r.resource_type == "Observation"} == {"failed"}
