"""Whether the service lives and is ready for calls, open to all; and its metrics, open to few.

Error policy: a check that fails is a 503 that names it. The counts of a trial with few patients say something of them,
so /metrics is for a caller on this machine, or one that brings its token; anybody else gets a 403.
"""

from __future__ import annotations

import hmac
from typing import Final

import orjson
from flask import Blueprint, Response, request

from cds_service.errors import ForbiddenError
from cds_service.hooks.local import local_only
from cds_service.hooks.service import Service

_OK: Final = "ok"


def health_blueprint(service: Service) -> Blueprint:
    """The blueprint of /healthz, /readyz and /metrics."""
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def healthz() -> Response:
        return Response(
            orjson.dumps({"status": "ok", "version": service.version}), content_type="application/json"
        )

    @pages.get("/readyz")
    def readyz() -> Response:
        checks = readiness(service)
        failed = [f"{name}: {words}" for name, words in checks.items() if words != _OK]
        body = {"status": f"not ready: {'; '.join(failed)}" if failed else "ready", "checks": checks}
        return Response(orjson.dumps(body), status=503 if failed else 200, content_type="application/json")

    @pages.get("/metrics")
    def metrics() -> Response:
        if not may_read_metrics(service):
            raise ForbiddenError(
                "The metrics are for callers on this machine, or with the token of service.metrics_token_file."
            )
        text, media_type = service.meter.page()
        return Response(text, content_type=media_type, headers={"Cache-Control": "no-store"})

    return pages


def readiness(service: Service) -> dict[str, str]:
    """Each check by name: `ok`, or what is wrong."""
    checks = {
        "serving": "the service is about to end" if service.draining() else _OK,
        "database": _OK if service.store.ready() else "the database does not answer",
        "trials": _OK if service.trials else "no trial is loaded",
    }
    if service.audit is not None:
        checks["audit"] = _OK if service.audit.ready() else "the audit log takes no more events"
    return checks


def may_read_metrics(service: Service) -> bool:
    """Whether this request comes straight from this machine, or brings the token."""
    if local_only(request) is None:
        return True
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = service.metrics_token
    if wanted is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(token.strip().encode(), wanted.encode())
