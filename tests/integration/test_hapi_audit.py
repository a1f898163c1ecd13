"""A real FHIR server takes the audit events, and finds them by what an auditor asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest
import requests

from cds_service.audit import ServerSink
from cds_service.hooks.audit_events import Access, audit_event
from cds_service.hooks.observed import Unmetered
from cds_service.hooks.problems import outcome

pytestmark = pytest.mark.hapi


def access(request_id: str, **more: Any) -> Access:
    given: dict[str, Any] = {
        "recorded": datetime.now(UTC),
        "base_url": "https://cds.example.org",
        "path": "/cds-services/trial-x",
        "patient": "123",
        "user": "Practitioner/p1",
        "client": "hospital-a",
        "issuer": "https://ehr.example.org",
        **more,
    }
    return Access(request_id=request_id, **given)


def found(base: str, done: Callable[[list[Any]], bool], **query: str) -> list[dict[str, Any]]:
    """The AuditEvents of a search, once it has those that are awaited: the server indexes after it has answered."""
    until = monotonic() + 60
    while True:
        headers = {"Cache-Control": "no-cache"}
        page = requests.get(f"{base}/AuditEvent", params=query, headers=headers, timeout=60).json()
        events = [entry["resource"] for entry in page.get("entry", [])]
        if done(events) or monotonic() > until:
            return events
        sleep(0.2)


def test_a_fhir_server_takes_every_kind_of_event(hapi_url: str, tmp_path: Path) -> None:
    ids = [str(uuid4()) for _ in range(3)]
    ehr = f"https://{ids[0]}.example.org/r4"
    accesses = [
        access(ids[0], fhir_server=ehr),
        access(ids[1]),
        access(ids[2], status=412, outcome=outcome("incomplete", "The Patient could not be obtained.")),
    ]
    told: list[dict[str, Any]] = []
    spool = tmp_path / "spool"
    sink = ServerSink(
        hapi_url, spool, token_file=None, log=lambda _event, **fields: told.append(fields), meter=Unmetered()
    )
    for each in accesses:
        sink.record(audit_event(each))
    sink.start()
    until = monotonic() + 60
    while list(spool.glob("*.json")) and monotonic() < until:
        sleep(0.1)
    sink.close()
    assert told == []
    assert list((spool / "rejected").iterdir()) == []
    since = accesses[0].recorded.strftime("%Y-%m-%dT%H:%M:%SZ")

    def whole(events: list[Any]) -> bool:
        return all(request_id in str(events) for request_id in ids)

    events = found(hapi_url, whole, date=f"ge{since}", _count="200")
    assert whole(events)
    failed = found(
        hapi_url, lambda events: ids[2] in str(events), outcome="4", date=f"ge{since}", _count="200"
    )
    assert ids[2] in str(failed)
    assert ids[1] not in str(failed)
