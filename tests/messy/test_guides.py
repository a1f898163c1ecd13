"""Whole records of ALS patients in the shapes of four implementation guides, with the verdict of every criterion.

The records are written by hand after the profiles of International Patient Summary 1.1 and 2.0, US Core 7, mCODE 4 and
Brazil's RNDS; what is expected follows from the clinical specification.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from cds_service.eligibility.assessment import Assessment
from cds_service.records.residence import with_states
from tests.contract.conftest import Make
from tests.contract.hook_requests import SERVICE
from tests.messy.records import RESULTS, Expected, as_prefetch, as_served, expected, found, load
from tests.trials.assessing import assess, criterion

# An International Patient Summary: a document of urn:uuid references, results in SI units in a panel with one date,
# a drug by its Medication's ingredient until 42 days ago, a hip fracture healed long ago, no information about
# procedures, no known device, an HTLV test that was not performed.
IPS = expected(
    IN02="unknown missing-data",
    EX03g="met",
    EX08d="unknown missing-data",
    EX09="met",
    **dict.fromkeys(
        ("EX01", "EX03a", "EX03b", "EX03c", "EX03d", "EX03e", "EX03f", "EX13a", "EX13b", "EX13c", "EX15"),
        "unknown not-offered",  # all of them read Procedures (§2.10)
    ),
)
# Brazil's RNDS: LOINC and CID-10 under the ministry's URIs, results issued without an effective date, results as codes
# and as words, units and ranges as text, patient and drugs by national identifiers. HCV antibody reactive without RNA,
# HTLV indeterminate; azathioprine and a gastrostomy coded by national codes, so only their words can be read.
RNDS = expected(
    H1="unknown ambiguous-code",
    IN02="unknown missing-data",
    EX08b="unknown needs-clinician",
    EX08d="unknown needs-clinician",
    EX09="unknown text-only",
    EX15="unknown text-only",
)
# US Core: several codings, absolute references, encounter diagnoses beside problems, a health concern (migraine), MS
# refuted, leukemia in the family only, a stage in words, methotrexate that ended 106 days ago, azathioprine planned
# only, PEG by a CPT code. The woman's hCG is negative three days before.
US_CORE = expected(IN02="unknown text-only", EX05="unknown needs-clinician", EX15="unknown text-only")
# mCODE: lymphoma in remission, refuted metastases, CAR-T cells, radiotherapy of the whole body coded by its category;
# none of the trial's tests.
MCODE = expected(
    IN02="unknown missing-data",
    IN03="unknown missing-data",
    IN04="unknown missing-data",
    EX01="met",
    EX03e="met",
    EX03f="met",
    **dict.fromkeys(("EX06", "EX07", "EX08a", "EX08b", "EX08c", "EX08d", "EX08e"), "unknown missing-data"),
)
RECORDS: dict[str, tuple[Expected, str]] = {
    "ips": (IPS, "excluded"),
    "rnds": (RNDS, "unknown"),
    "us_core": (US_CORE, "unknown"),
    "mcode": (MCODE, "excluded"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_every_verdict_of_a_record(name: str) -> None:
    verdicts, overall = RECORDS[name]
    assessment = assess(load(name))
    assert found(assessment) == verdicts
    assert (assessment["status"], assessment["card"]) == (overall, True)
    for row in assessment["criteria"]:
        if row["id"] in RESULTS and row["status"] == "not-met":
            assert row["basis"] == "explicit", row["id"]
            assert row["evidence"], row["id"]


@pytest.mark.parametrize("name", RECORDS)
def test_every_verdict_of_a_record_through_the_hook(
    make_app: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The same record as prefetch: with every type as a searchset, what it refers to included."""
    verdicts, overall = RECORDS[name]
    client = make_app(cards__show_excluded=True).test_client()
    screener = client.application.extensions["cds_service"].screener
    said: list[Assessment] = []
    screen = screener.screen

    def listening(*args: Any, **options: Any) -> list[Assessment]:
        said.extend(screen(*args, **options))
        return said

    monkeypatch.setattr(screener, "screen", listening)
    body = as_prefetch(load(name), screener.wanted(None).types)
    response = client.post(SERVICE, json=body)
    assert response.status_code == 200, response.text
    (card,) = response.get_json()["cards"]
    assert card["extension"]["org.cds-service.assessment"]["status"] == overall
    (assessment,) = said
    assert found(json.loads(json.dumps(assessment.to_json()))) == verdicts


@pytest.mark.parametrize("name", RECORDS)
def test_neither_order_nor_kind_of_bundle_matters(name: str) -> None:
    verdicts, overall = RECORDS[name]
    chance = random.Random(name)
    record = load(name)
    chance.shuffle(record["entry"])
    for entry in record["entry"]:
        for codings in _codings(entry["resource"]):
            chance.shuffle(codings)
        entry["resource"] = dict(reversed(entry["resource"].items()))
    assert found(assess(record)) == verdicts
    served = as_served(load(name))
    collection = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in served]}
    if (
        name == "ips"
    ):  # the Composition of a document tells which sections are empty; as a resource it still does
        assert any(r["resourceType"] == "Composition" for r in served)
    assessment = assess(collection)
    assert (found(assessment), assessment["status"]) == (verdicts, overall)


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_keeps_its_verdicts_without_displays_that_codes_make_superfluous(name: str) -> None:
    """A display is what somebody typed: beside a code that is known it changes nothing."""
    record = load(name)
    text = json.dumps(record).replace('"Non-Hodgkin\'s lymphoma"', '"Nega linfoma"')
    text = text.replace('"Amyotrophic lateral sclerosis (disorder)"', '"Família: ELA"')
    assert found(assess(json.loads(text))) == RECORDS[name][0]


@pytest.mark.parametrize("name", RECORDS)
def test_extensions_that_modify_nothing_change_no_verdict(name: str) -> None:
    """Every element with an id and an extension of its own, every primitive too; nulls and empty lists between them."""
    record = load(name)
    record["entry"] = [{**entry, "resource": _decorated(entry["resource"], 0)} for entry in record["entry"]]
    assert found(assess(record)) == RECORDS[name][0]


@pytest.mark.parametrize(("states", "status"), [(["SP"], "met"), (["MG"], "unknown"), (["35"], "unknown")])
def test_the_rnds_names_a_state_by_its_number(states: list[str], status: str) -> None:
    """35 is São Paulo; without a country nothing says that the patient lives abroad."""
    row = criterion(assess(load("rnds"), config={"regionStates": states}), "IN06-RegionalAccess")
    assert row["status"] == status
    assert not any("outside Brazil" in note for note in row["notes"])


@pytest.mark.parametrize(
    "address",
    [
        {"state": "35", "city": "Rennes", "country": "FR"},
        {"state": "35", "city": "291080"},
        {"state": "99", "city": "990000"},
        {"state": "SP", "city": "São Paulo"},
        {"city": "355030"},
        {},
    ],
)
def test_what_is_no_number_of_a_brazilian_state_stays(address: dict[str, str]) -> None:
    assert with_states({"address": [address]})["address"] == [address]


EXTENSION = {"url": "https://ehr.example/StructureDefinition/origin", "valueString": "Nega tudo"}


def _decorated(element: dict[str, Any], depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {} if depth == 0 else {"id": f"x{depth}"}
    for key, part in element.items():
        made[key] = part
        if key in ("resourceType", "id", "url", "contained", "extension") or key.startswith("_"):
            continue
        if isinstance(part, dict):
            made[key] = _decorated(part, depth + 1)
        elif isinstance(part, list) and part and isinstance(part[0], dict):
            made[key] = [None, *(_decorated(each, depth + 1) for each in part), None]
        elif isinstance(part, list):
            made.setdefault(f"_{key}", [{"extension": [EXTENSION]}, None])
        else:
            made[f"_{key}"] = {"id": "p", "extension": [EXTENSION]} | element.get(f"_{key}", {})
    made["extension"] = [*element.get("extension", ()), EXTENSION]
    return made | {"somethingElse": [], "nothing": None}


def _codings(element: Any) -> list[list[Any]]:
    found: list[list[Any]] = []
    if isinstance(element, dict):
        for key, part in element.items():
            if key == "coding" and isinstance(part, list):
                found.append(part)
            found += _codings(part)
    elif isinstance(element, list):
        for part in element:
            found += _codings(part)
    return found
