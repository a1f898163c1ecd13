"""The sandbox's CapabilityStatement, made from the table of search parameters that it really offers."""

from __future__ import annotations

from datetime import date
from typing import Any

from cds_service.sandbox.parameters import COMMON, PARAMETERS, WRITABLE


def capability_statement(base: str, as_of: date) -> dict[str, Any]:
    """A FHIR R4 CapabilityStatement of the endpoint at `base`."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": as_of.isoformat(),
        "kind": "instance",
        "software": {"name": "cds-service sandbox"},
        "implementation": {"description": "Demo EHR with synthetic patients", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Read and search; answers and orders may be stored. In memory only.",
                "security": {"cors": True, "description": "Open: synthetic data only."},
                "resource": [_resource(kind) for kind in sorted(PARAMETERS)],
            }
        ],
    }


def _resource(kind: str) -> dict[str, Any]:
    interactions = ["read", "search-type"] + (["create", "update"] if kind in WRITABLE else [])
    named = {**COMMON, **PARAMETERS[kind]}
    references = [f"{kind}:{name}" for name, p in PARAMETERS[kind].items() if p.kind == "reference"]
    entry: dict[str, Any] = {
        "type": kind,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned",
        "readHistory": False,
        "searchParam": [
            {"name": name, "type": definition.kind} for name, definition in sorted(named.items())
        ],
    }
    if references:
        entry["searchInclude"] = references
    if kind in WRITABLE:
        entry["updateCreate"] = True
    if kind == "Patient":
        url = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
        entry["operation"] = [{"name": "everything", "definition": url}]
    return entry
