"""Which FHIR server a caller may name.

Error policy: any other is a ForbiddenError, before anything is fetched and whatever the prefetch holds.
"""

from __future__ import annotations

from typing import Protocol

from cds_service.errors import ForbiddenError
from cds_service.hooks.auth import Client
from cds_service.records.fhir_transport import allowed_server


class Site(Protocol):
    """What the service knows of its own servers: those listed while no client is configured, its embedded one."""

    @property
    def fhir_servers(self) -> tuple[str, ...]: ...

    @property
    def own_fhir(self) -> str | None: ...

    def base(self) -> str: ...


def check_server(fhir_server: str, client: Client | None, site: Site) -> None:
    """Raises ForbiddenError unless the caller may have this server read."""
    if client is not None:
        allowed = bool(client.fhir_servers) and allowed_server(fhir_server, client.fhir_servers)
        remedy = "have it listed under this client's fhir_servers"
    else:
        listed = site.fhir_servers
        if listed and site.own_fhir:
            listed = (*listed, site.base() + site.own_fhir)
        allowed = allowed_server(fhir_server, listed)
        remedy = "list it under service.fhir_servers"
    if not allowed:
        raise ForbiddenError(
            "This fhirServer is not one that the service may read from; nothing was fetched. "
            f"To allow it, {remedy}."
        )
