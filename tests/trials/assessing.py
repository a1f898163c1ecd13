"""The public path, Bundle in and Assessment JSON out, and cases checked against it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final

from cds_service.eligibility.catalog import SiteTrial
from cds_service.records.bundle import read_bundle
from cds_service.records.record import Acquired
from cds_service.screening import Screener
from tests.builders import SCREENING_DAY, Resource

TRIAL: Final = "nct02917681"
SITE_ZONE: Final = "America/Sao_Paulo"


def assess(
    bundle: Resource,
    as_of: str = SCREENING_DAY,
    config: Mapping[str, Any] | None = None,
    *,
    missing: Collection[str] = (),
    patient_id: str | None = None,
    states: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The Assessment (design §5) of a Bundle. `config`: trial parameters; `missing`: types not exported;
    `states`: how resource types were obtained, where it wasn't by a Bundle (not-offered, refused, …).

    The Bundle goes through JSON text first, as it would from a file or a request body.
    """
    received = json.loads(json.dumps(bundle))
    record = read_bundle(received, patient_id=patient_id, missing=missing)
    if states:
        obtained = {kind: Acquired(state, len(record.of_type(kind))) for kind, state in states.items()}
        record = record.replace(account={**record.account, **obtained})
    screener = _screener(json.dumps(dict(config or {}), sort_keys=True))
    (assessment,) = screener.screen(record, [TRIAL], date.fromisoformat(as_of))
    answer = json.loads(json.dumps(assessment.to_json()))
    assert isinstance(answer, dict)
    return answer


@cache
def _screener(parameters: str) -> Screener:
    return Screener.load(timezone=SITE_ZONE, sites={TRIAL: SiteTrial(parameters=json.loads(parameters))})


def criterion(assessment: Mapping[str, Any], criterion_id: str) -> dict[str, Any]:
    """The row of one criterion in an Assessment."""
    rows = [row for row in assessment["criteria"] if row["id"] == criterion_id]
    assert len(rows) == 1, f"{criterion_id} stands {len(rows)} times"
    row = rows[0]
    assert isinstance(row, dict)
    return row


def verdict(bundle: Resource, criterion_id: str, **how: Any) -> dict[str, Any]:
    """The row of one criterion for a Bundle; `how` goes to `assess`."""
    return criterion(assess(bundle, **how), criterion_id)


def verdicts(assessment: Mapping[str, Any]) -> dict[str, str]:
    """Criterion id → status."""
    return {row["id"]: row["status"] for row in assessment["criteria"]}


@dataclass(frozen=True)
class Case:
    """One expectation: this Bundle gives this criterion this verdict.

    `status` None: no verdict is asked for. `reasons` must be among the verdict's, `no_reasons` must not.
    `likely`, `basis`, `card`, `overall`: checked where given; `likely=""` means that there must be no hint.
    `note`: True wants a note, False none, a string a note that contains it (any case). `evidence`: ids of
    resources, all of which the verdict must rest on. `others`: further criteria with their status.
    """

    id: str
    criterion: str
    bundle: Resource
    status: str | None
    reasons: tuple[str, ...] = ()
    no_reasons: tuple[str, ...] = ()
    likely: str | None = None
    basis: str | None = None
    card: bool | None = None
    overall: str | None = None
    note: bool | str | None = None
    evidence: tuple[str, ...] = ()
    as_of: str = SCREENING_DAY
    config: Mapping[str, Any] | None = None
    missing: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()


def check(case: Case) -> dict[str, Any]:
    """Assess the case's Bundle and hold every expectation against it; returns the Assessment."""
    assessment = assess(case.bundle, case.as_of, case.config, missing=case.missing)
    if case.overall is not None:
        assert assessment["status"] == case.overall
    if case.card is not None:
        assert assessment["card"] is case.card
    for other, status in case.others:
        assert criterion(assessment, other)["status"] == status, other
    if case.status is not None:
        _check_row(case, criterion(assessment, case.criterion))
    return assessment


def _check_row(case: Case, row: Mapping[str, Any]) -> None:
    assert row["status"] == case.status, row
    assert set(case.reasons) <= set(row["reasons"]), row
    assert set(case.no_reasons).isdisjoint(row["reasons"]), row
    if case.likely is not None:
        assert row["likely"] == (case.likely or None), row
    if case.basis is not None:
        assert row["basis"] == case.basis, row
    if case.status == "unknown":
        assert row["basis"] is None, row
        assert row["reasons"], "an unknown without a reason explains nothing"
    if isinstance(case.note, str):
        assert any(case.note.lower() in note.lower() for note in row["notes"]), row
    elif case.note is not None:
        assert bool(row["notes"]) is case.note, row
    references = {item["reference"].rpartition("/")[2] for item in row["evidence"]}
    assert set(case.evidence) <= references, row
