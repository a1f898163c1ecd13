"""Checks a resource before the sandbox stores it: JSON, FHIR R4 shape (fhir.resources), and a patient it
knows.

Raises FhirError 400 (not JSON, wrong type), 415, 422 (not valid FHIR R4, or about nobody here). Messages name
the element, never its value. The model classes are imported at the first write: they would double the
start-up time.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import orjson
from pydantic import ValidationError

from cds_service.sandbox.elements import patient_ids
from cds_service.sandbox.outcomes import FhirError
from cds_service.sandbox.parameters import WRITABLE
from cds_service.sandbox.store import Store

MAX_BYTES: Final = 1_000_000
_JSON_TYPES: Final = frozenset({"application/fhir+json", "application/json", "application/json+fhir"})
_SHOWN: Final = 5


def read_resource(
    raw: bytes, mimetype: str, resource_type: str, resource_id: str | None, store: Store
) -> dict[str, Any]:
    """The resource of a create (`resource_id` None) or update, fit to be stored."""
    if resource_type not in WRITABLE:
        raise FhirError(405, "not-supported", f"Only {' and '.join(sorted(WRITABLE))} can be written here.")
    if mimetype not in _JSON_TYPES:
        raise FhirError(415, "not-supported", "Send application/fhir+json.")
    try:
        resource = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise FhirError(400, "structure", "The body is not JSON.") from error
    if not isinstance(resource, dict) or resource.get("resourceType") != resource_type:
        raise FhirError(400, "invalid", f"The body must be a {resource_type}, as the address says.")
    if resource_id is not None and resource.get("id") != resource_id:
        raise FhirError(400, "invalid", "The id in the body must be the one in the address.")
    _validate(raw, resource_type)
    patients = patient_ids(resource)
    if len(patients) != 1 or store.get("Patient", next(iter(patients))) is None:
        message = "subject must be a Patient of this server."
        raise FhirError(422, "business-rule", message, f"{resource_type}.subject")
    return resource


def _validate(raw: bytes, resource_type: str) -> None:
    model = getattr(import_module(f"fhir.resources.R4B.{resource_type.lower()}"), resource_type)
    try:
        model.model_validate_json(raw)
    except ValidationError as error:
        places = [".".join(str(step) for step in issue["loc"]) for issue in error.errors()[:_SHOWN]]
        named = ", ".join(f"{resource_type}.{place}" for place in places)
        message = f"Not valid FHIR R4, see: {named}"
        raise FhirError(422, "structure", message, f"{resource_type}.{places[0]}") from error
