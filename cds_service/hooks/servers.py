"""Which FHIR server a caller may name, and where that server's name may lead.

Error policy: any other is a ForbiddenError, before anything is fetched and whatever the prefetch holds. An entry of
the configuration that is no server's URL is a ConfigurationError at the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cds_service.errors import ConfigurationError, ForbiddenError
from cds_service.hooks.auth import Client
from cds_service.records.origins import AllowedServer, allowed_server, on_server, parse_url


class Site(Protocol):
    """What the service knows of its own servers: those listed while no client is configured, its embedded one."""

    @property
    def fhir_servers(self) -> tuple[str, ...]: ...

    @property
    def private_networks(self) -> tuple[str, ...]: ...

    @property
    def own_fhir(self) -> str | None: ...

    def base(self) -> str: ...


def check_server(
    fhir_server: str, client: Client | None, site: Site, *, foreign_page: bool = False
) -> AllowedServer:
    """The server to read from. Raises ForbiddenError unless the caller may have this one read.

    foreign_page: the call comes from a web page of another origin. Without clients nothing tells its user's intent
    from the page's, so it gets no patient's data but the sandbox's synthetic ones.
    """
    if client is not None:
        allowed = client.fhir_servers and allowed_server(
            fhir_server, client.fhir_servers, client.private_networks
        )
        remedy = "have it listed under this client's fhir_servers"
    else:
        allowed = _without_clients(fhir_server, site, foreign_page=foreign_page)
        remedy = "list it under service.fhir_servers"
    if not allowed:
        raise ForbiddenError(
            "This fhirServer is not one that the service may read from; nothing was fetched. "
            f"To allow it, {remedy}."
        )
    return allowed


def _without_clients(fhir_server: str, site: Site, *, foreign_page: bool) -> AllowedServer | None:
    if own := _embedded(fhir_server, site):
        return own
    if foreign_page:
        raise ForbiddenError(
            "A web page of another origin may not have this service read from a FHIR server while no client is "
            "configured; nothing was fetched. Send the data as prefetch, or configure the page's CDS client under "
            "[[clients]]."
        )
    return allowed_server(fhir_server, site.fhir_servers, site.private_networks)


def _embedded(fhir_server: str, site: Site) -> AllowedServer | None:
    """The sandbox's own FHIR endpoint, by whichever name of this machine it is called."""
    if site.own_fhir is None:
        return None
    own = site.base() + site.own_fhir
    meant = on_server(own, fhir_server)
    return allowed_server(meant, (own,)) if meant else None


def check_listed(servers: Sequence[str], place: str) -> None:
    """Raises ConfigurationError unless each entry of a list of servers can be compared with what callers name."""
    for number, server in enumerate(servers, start=1):
        try:
            parse_url(server)
        except ValueError as error:
            raise ConfigurationError(f"{place}, entry {number}: {error}.") from None
