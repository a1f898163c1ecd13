"""One access to a patient's data as a FHIR R4 AuditEvent, after IHE's Basic Audit Log Patterns (BALP).

An assessment is a query about one patient, so a success follows the profile PatientQuery: agents are the client, this
service and the user, entities the patient, what was asked, and the request's id. A refused or failed one has the same
form without claiming the profile, and holds the OperationOutcome that was answered. No clinical content, name or token
is in it. Pure; nothing here fails. Source: https://profiles.ihe.net/ITI/BALP (1.1.3).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

PATIENT_QUERY: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientQuery"
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_ENTITY: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
_SYSTEM_OBJECT: Final = {"system": _ENTITY, "code": "2", "display": "System Object"}
_URI: Final = "urn:ietf:rfc:3986"


@dataclass(frozen=True, slots=True)
class Access:
    """Who asked what about whom, and what came of it.

    base_url: this service's. path: of the address called, which names a service and no patient. client: the configured
    one's name, None where none is configured; issuer: its `iss`. address: of the other end of the connection.
    patient: a bare id; user: type and id, None where the call names none. fhir_server: to which both ids belong, None
    where the call names none. status: of HTTP; outcome: the OperationOutcome answered, None for a success.
    """

    recorded: datetime
    request_id: str
    base_url: str
    path: str
    patient: str
    client: str | None = None
    issuer: str = ""
    address: str | None = None
    user: str | None = None
    fhir_server: str | None = None
    hook_instance: str | None = None
    status: int = 200
    outcome: Mapping[str, Any] | None = None


def audit_event(access: Access) -> dict[str, Any]:
    """The AuditEvent of an access."""
    failed = access.status >= 400
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        **({} if failed else {"meta": {"profile": [PATIENT_QUERY]}}),
        **({"contained": [{**access.outcome, "id": "outcome"}]} if failed and access.outcome else {}),
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
            "display": "Restful Operation",
        },
        "subtype": [
            {"system": _INTERACTION, "code": "search", "display": "search"},
            {"system": _INTERACTION, "code": "operation", "display": "operation"},
        ],
        "action": "E",
        "recorded": access.recorded.isoformat(timespec="milliseconds"),
        "outcome": "8" if access.status >= 500 else "4" if failed else "0",
        **({"outcomeDesc": f"HTTP {access.status}"} if failed else {}),
        "agent": _agents(access),
        "source": {
            "site": urlsplit(access.base_url).hostname or "localhost",
            "observer": _service(access),
            "type": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
        "entity": _entities(access),
    }
    return event


def _agents(access: Access) -> list[dict[str, Any]]:
    """The client and the service by the roles that BALP gives them in a query, and the user."""
    client = {"identifier": {"value": access.client or "local"}}
    if access.issuer:
        client["identifier"]["system"] = access.issuer
    agents: list[dict[str, Any]] = [
        {
            "type": _concept(_DICOM, "110153", "Source Role ID"),
            "who": client,
            "requestor": access.user is None,
            "network": {"address": access.address or "localhost", "type": "2" if access.address else "1"},
        },
        {
            "type": _concept(_DICOM, "110152", "Destination Role ID"),
            "who": _service(access),
            "requestor": False,
            "network": {"address": access.base_url, "type": "5"},
        },
    ]
    if access.user is not None:
        agents.append(
            {
                "type": _concept(
                    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                    "IRCP",
                    "information recipient",
                ),
                "who": _of_the_ehr(access, *access.user.split("/", 1)),
                "requestor": True,
            }
        )
    return agents


def _entities(access: Access) -> list[dict[str, Any]]:
    asked = f"POST {access.path}"
    if access.hook_instance:
        asked += f"\nhookInstance: {access.hook_instance}"
    entities: list[dict[str, Any]] = [
        {
            "what": _of_the_ehr(access, "Patient", access.patient),
            "type": {"system": _ENTITY, "code": "1", "display": "Person"},
            "role": {"system": _ROLE, "code": "1", "display": "Patient"},
        },
        {
            "type": _SYSTEM_OBJECT,
            "role": {"system": _ROLE, "code": "24", "display": "Query"},
            "description": f"POST {access.path}",
            "query": base64.b64encode(asked.encode()).decode(),
        },
        {
            "what": {"identifier": {"value": access.request_id}},
            "type": {
                "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                "code": "XrequestId",
            },
        },
    ]
    if access.status >= 400 and access.outcome:
        entities.append({"what": {"reference": "#outcome"}, "type": _SYSTEM_OBJECT})
    return entities


def _of_the_ehr(access: Access, kind: str, identifier: str) -> dict[str, Any]:
    """A reference to a resource of the EHR: by its address where the call named the server, else by its id alone,
    which only the client that sent it can resolve.
    """
    if access.fhir_server:
        return {"reference": f"{access.fhir_server.rstrip('/')}/{kind}/{identifier}", "type": kind}
    known = {"system": access.issuer} if access.issuer else {}
    return {"type": kind, "identifier": {**known, "value": f"{kind}/{identifier}"}}


def _service(access: Access) -> dict[str, Any]:
    return {"identifier": {"system": _URI, "value": access.base_url}, "display": "cds-service"}


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}
