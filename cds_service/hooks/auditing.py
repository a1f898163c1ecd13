"""The record of each access to a patient's data, written before its answer leaves.

Error policy: a sink that does not take the event raises RetryLaterError, and the caller gets that 503 in the place of
the answer: an access that is not on record must not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from flask import request
from werkzeug.exceptions import HTTPException

from cds_service.errors import ForbiddenError
from cds_service.hooks.audit_events import Access, audit_event
from cds_service.hooks.auth import Caller
from cds_service.hooks.observed import observation, phase
from cds_service.hooks.problems import outcome_of


class AuditSink(Protocol):
    """Where audit events go; safe to share between threads and, once `start` was called in each, between processes."""

    def start(self) -> None:
        """Begins in this process what the sink does beside requests; again and again without harm."""

    def record(self, event: Mapping[str, Any]) -> None:
        """Keeps one AuditEvent for good. Raises RetryLaterError where it can't."""

    def ready(self) -> bool:
        """Whether the next event could be kept, as far as one can tell."""

    def close(self) -> None:
        """Ends what `start` began."""


class Audited(Protocol):
    """What the service knows that an event needs."""

    @property
    def audit(self) -> AuditSink | None: ...

    def base(self) -> str: ...


@contextmanager
def audited(
    service: Audited,
    caller: Caller,
    *,
    patient: str,
    user: str | None = None,
    fhir_server: str | None = None,
    hook_instance: str | None = None,
) -> Iterator[None]:
    """Records the block, which asks for this patient's data, when it ends: as done, refused or failed."""
    if service.audit is None:
        yield
        return
    access = Access(
        recorded=datetime.now(UTC),
        request_id=seen.request_id if (seen := observation()) is not None else "",
        base_url=service.base(),
        path=request.path,
        patient=patient,
        client=caller.client.name if caller.client else None,
        issuer=caller.issuer,
        address=request.remote_addr,
        user=user,
        fhir_server=fhir_server,
        hook_instance=hook_instance,
    )
    record = service.audit.record
    try:
        yield
    except HTTPException as error:
        _write(record, replace(access, status=error.code or 500))
        raise
    except Exception as error:
        status, outcome = outcome_of(error)
        # A server that was refused is nobody's, and its address may hold anything: nothing refers to it.
        server = None if isinstance(error, ForbiddenError) else access.fhir_server
        _write(record, replace(access, status=status, outcome=outcome, fhir_server=server))
        raise
    _write(record, access)


def _write(record: Callable[[Mapping[str, Any]], None], access: Access) -> None:
    with phase("audit"):
        record(audit_event(access))
