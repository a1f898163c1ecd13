"""A FHIR server as one call may use it. Errors: see `fhir_transport`."""

from __future__ import annotations

from dataclasses import dataclass, field

from cds_service.records.addresses import PUBLIC, Reach
from cds_service.records.fhir_transport import Deadline, PooledClient, Transport


@dataclass(frozen=True, slots=True)
class Source:
    """base_url: without a trailing slash. token, scope: of fhirAuthorization, both transient. by_code: the server is
    known to refuse a search of all Observations. reach: the addresses that its name may lead to.
    """

    base_url: str
    transport: Transport
    token: str | None = field(default=None, repr=False)
    scope: str | None = None
    by_code: bool = False
    reach: Reach = PUBLIC

    def client(self, deadline: Deadline) -> PooledClient:
        """A client of this server for requests until the deadline."""
        return PooledClient(self.base_url, self.transport, deadline, self.token, self.reach)
