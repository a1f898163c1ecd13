"""Without configured clients the service answers this machine only, and nothing that was forwarded. Nothing fails."""

from __future__ import annotations

from flask import Request, Response

from cds_service.hooks.problems import problem
from cds_service.records.fhir_transport import is_loopback


def local_only(request: Request) -> Response | None:
    """The refusal of a request that does not come straight from this machine, or None."""
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    forwarded = any(
        name.lower() == "forwarded" or name.lower().startswith("x-forwarded-") for name, _ in request.headers
    )
    remote = request.remote_addr
    if is_loopback(host) and not forwarded and (not remote or is_loopback(remote)):
        return None
    return problem(
        403,
        "forbidden",
        "No client is configured, so this service answers this machine only, addressed as localhost and without a "
        "proxy. To serve others, configure [[clients]].",
    )
