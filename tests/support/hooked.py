"""The hook of an application in this process, the prefetch that an EHR makes of a FHIR server, and all that a call found.

A card shows less than every criterion: the screener keeps the Assessments that the hook got from it. Errors: an answer
of another status is an AssertionError with its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import requests
from flask import Flask

from cds_service.app import create_app
from cds_service.eligibility.assessment import Assessment
from cds_service.logs import silent
from cds_service.records.bundle import read_bundle
from cds_service.records.record import PatientRecord
from cds_service.screening import Screener
from cds_service.settings import load_settings

TRIAL: Final = "nct02917681"
VIGNETTES: Final = Path(__file__).resolve().parents[2] / "cds_service" / "trials" / TRIAL / "vignettes"
FILES: Final = sorted(VIGNETTES.glob("*.json"))
DAY: Final = "2026-06-15"
_SERVICE: Final = f"/cds-services/trial-{TRIAL}"
# A heavy machine may be slow; what is late here is not what these tests are about.
FETCH_SECONDS: Final = "60"


class RecordingScreener(Screener):
    """The Screener, keeping what the hook got from it."""

    seen: list[Assessment]

    @classmethod
    def loaded(cls) -> RecordingScreener:
        made = cls.load()
        assert isinstance(made, cls)
        made.seen = []
        return made

    def screen(
        self, record: PatientRecord, trial_ids: Sequence[str] | None, as_of: date, **more: Any
    ) -> list[Assessment]:
        found = super().screen(record, trial_ids, as_of, **more)
        self.seen.extend(found)
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call said: its cards, and the Assessment behind them (None where the gate was closed)."""

    cards: list[Any]
    assessment: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Hook:
    """A service of this process, its day DAY."""

    app: Flask
    screener: RecordingScreener

    def call(
        self,
        patient: str,
        *,
        server: str | None = None,
        prefetch: Mapping[str, Any] | None = None,
        status: int = 200,
    ) -> Answer:
        """The answer of that status to a call for this patient."""
        body: dict[str, Any] = {
            "hook": "patient-view",
            "hookInstance": "4a1b2c3d-0000-4000-8000-000000000001",
            "context": {"userId": "Practitioner/example", "patientId": patient},
        }
        if server is not None:
            body["fhirServer"] = server
        if prefetch is not None:
            body["prefetch"] = dict(prefetch)
        self.screener.seen.clear()
        response = self.app.test_client().post(_SERVICE, json=body, base_url="http://127.0.0.1:8000")
        assert response.status_code == status, response.get_data(as_text=True)
        found = self.screener.seen[-1].to_json() if self.screener.seen else None
        return Answer(response.get_json(force=True).get("cards", []), found)

    def templates(self) -> dict[str, str]:
        """The prefetch templates that discovery offers, all of them where service.prefetch is full."""
        services = self.app.test_client().get("/cds-services", base_url="http://127.0.0.1:8000").get_json()
        offered = {service["id"]: service["prefetch"] for service in services["services"]}
        found: dict[str, str] = offered[f"trial-{TRIAL}"]
        return found


@contextmanager
def hooked(
    folder: Path, screener: RecordingScreener, *, page_size: int | None = None, **variables: str
) -> Iterator[Hook]:
    """A service of this process with these `CDS_*` variables, the prefix left out; a card never rests."""
    environment = {
        "CDS_AS_OF": DAY,
        "CDS_CARDS_SHOW_EXCLUDED": "true",
        "CDS_CARDS_REST_AFTER_VIEWS": "0",
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'hook.db'}",
        "CDS_FEEDBACK_PSEUDONYM_KEY_FILE": str(folder / "pseudonym.key"),
        "CDS_LIMITS_FETCH_SECONDS": FETCH_SECONDS,
        "CDS_LIMITS_REQUESTS_PER_MINUTE": "100000",
        **{f"CDS_{name}": value for name, value in variables.items()},
    }
    app = create_app(load_settings(environment=environment), screener=screener, log=silent)
    service = app.extensions["cds_service"]
    if page_size is not None:
        service.transport.bounds = replace(service.transport.bounds, page_size=page_size)
    try:
        yield Hook(app, screener)
    finally:
        service.transport.close()
        service.store.close()


def prefetched(
    server: str, templates: Mapping[str, str], patient: str, *, count: int | None = None
) -> dict[str, Any]:
    """What an EHR that runs the templates against its FHIR server sends; `count`: how many resources a page holds."""

    def value(template: str) -> Any:
        url = f"{server}/{template.replace('{{context.patientId}}', patient)}"
        if count is not None and "?" in url:
            url = f"{url.partition('&_count=')[0]}&_count={count}"
        answer = requests.get(url, headers={"Cache-Control": "no-cache"}, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(templates, pool.map(value, templates.values()), strict=True))


def record_of(resources: Iterable[dict[str, Any]]) -> PatientRecord:
    """These resources as a whole record."""
    entries = [{"resource": resource} for resource in resources]
    return read_bundle({"resourceType": "Bundle", "type": "collection", "entry": entries})


def assessed(screener: Screener, record: PatientRecord) -> dict[str, Any]:
    """The Assessment of a whole record, as a Bundle of it gets."""
    (found,) = Screener.screen(screener, record, [TRIAL], date.fromisoformat(DAY))
    return found.to_json()


def verdicts(assessment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Everything said of every criterion, evidence included."""
    return {
        row["id"]: {**row, "evidence": sorted(row["evidence"], key=str)} for row in assessment["criteria"]
    }


def states(assessment: Mapping[str, Any]) -> dict[str, str]:
    """How each resource type was got."""
    return {kind: entry["state"] for kind, entry in assessment["data"].items()}
