"""Whether the service lives, and whether it is ready for calls. Open to all: it says nothing of anybody."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response

from cds_service.hooks.service import Service


def health_blueprint(service: Service) -> Blueprint:
    """The blueprint of /healthz and /readyz."""
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def healthz() -> Response:
        return Response(
            orjson.dumps({"status": "ok", "version": service.version}), content_type="application/json"
        )

    @pages.get("/readyz")
    def readyz() -> Response:
        if service.draining():
            ready, body = False, {"status": "not ready: the service is stopping"}
        else:
            ready = service.store.ready()
            body = {"status": "ready" if ready else "not ready: the database does not answer"}
        return Response(orjson.dumps(body), status=200 if ready else 503, content_type="application/json")

    return pages
