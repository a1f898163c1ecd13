"""A FHIR server as one call may use it. Errors: see `fhir_transport`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from cds_service.records.addresses import PUBLIC, Reach
from cds_service.records.fetch_call import Call
from cds_service.records.fhir_transport import Deadline, PooledClient, Transport


@dataclass(frozen=True, slots=True)
class Source:
    """base_url: without a trailing slash. token, scope: of fhirAuthorization, both transient. by_code: the server is
    known to refuse a search of all Observations. reach: the addresses that its name may lead to. client_name: the
    configured one of the CDS client. One Source serves one call.
    """

    base_url: str
    transport: Transport
    token: str | None = field(default=None, repr=False)
    scope: str | None = None
    by_code: bool = False
    reach: Reach = PUBLIC
    client_name: str | None = None
    call: Call = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        call = self.transport.call(self.base_url, self.reach, self.client_name)
        object.__setattr__(self, "call", call)

    @property
    def server(self) -> Hashable:
        """What the server is known by where what it offers is remembered: it may offer one client less than another."""
        return self.base_url, self.reach, self.client_name

    def client(self, deadline: Deadline) -> PooledClient:
        """A client of this server for requests until the deadline. Raises FetchFailure ("server not answering") while
        the server's breaker is open; a call that was admitted once stays so.
        """
        self.call.admit(deadline.left())
        return PooledClient(self.base_url, self.transport, deadline, self.token, self.reach, self.call)
