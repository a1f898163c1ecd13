"""Whether a FHIR server offers a resource type, by its CapabilityStatement, which is kept for an hour.

Error policy: a statement that can't be had or read says nothing, and the type then counts as offered.
"""

from __future__ import annotations

import time
from typing import Any, Final

from cds_service.records.fhir_transport import Deadline, FetchFailure
from cds_service.records.source import Source

_CAPABILITY_SECONDS: Final = 3600.0
_SERVERS_KEPT: Final = 100


def offers(source: Source, resource_type: str, deadline: Deadline) -> bool:
    """Whether the server's CapabilityStatement names the type; True where it can't be read. Kept for an hour."""
    known = source.transport.offers.get(source.base_url)
    now = time.monotonic()
    if known is None or now - known[0] > _CAPABILITY_SECONDS:
        try:
            types = _offered_types(source.client(deadline).execute("metadata", method="get"))
        except FetchFailure:
            return True
        known = (now, types)
        if len(source.transport.offers) >= _SERVERS_KEPT:
            source.transport.offers.clear()
        source.transport.offers[source.base_url] = known
    return not known[1] or resource_type in known[1]


def _offered_types(statement: Any) -> frozenset[str]:
    if not isinstance(statement, dict) or statement.get("resourceType") != "CapabilityStatement":
        return frozenset()
    rests = statement.get("rest")
    return frozenset(
        resource["type"]
        for rest in (rests if isinstance(rests, list) else [])
        if isinstance(rest, dict) and isinstance(rest.get("resource"), list)
        for resource in rest["resource"]
        if isinstance(resource, dict) and isinstance(resource.get("type"), str)
    )
