"""The request of a CDS Hooks call, checked field by field before anything is fetched or evaluated.

Error policy: InputError that says what is wrong, where (`expression`) and what to do. Values are never
repeated: they may identify a patient or be a token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from cds_service.errors import InputError
from cds_service.records.token_file import TOKEN

PATIENT_VIEW: Final = "patient-view"
_FHIR_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_USER_TYPES: Final = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
# Whose server it is, and whether it can be read in one way only, is judged by `servers`.
_SERVER: Final = re.compile(r"https?://[^\s/]\S{0,2000}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A valid `patient-view` request. `patient_id` is a bare id; `access_token` and `scope` live as long as
    the call.
    """

    hook: str
    hook_instance: str
    user_id: str
    patient_id: str
    encounter_id: str | None = None
    fhir_server: str | None = None
    access_token: str | None = field(default=None, repr=False)
    scope: str | None = None
    prefetch: Mapping[str, Any] = field(default_factory=dict, repr=False)


def parse_request(body: Any, hook: str = PATIENT_VIEW) -> HookRequest:
    """The request for a service of `hook`. Raises InputError."""
    if not isinstance(body, dict):
        raise InputError("The body must be a JSON object: a CDS Hooks request.")
    asked = _text(body, "hook", "hook", f'send the hook of this service, "{hook}"')
    if asked != hook:
        raise InputError(
            f'This service answers the hook "{hook}" only: see /cds-services for the services of other hooks.',
            expression="hook",
        )
    instance = _text(body, "hookInstance", "hookInstance", "send a UUID that is new for each call")
    if not _is_uuid(instance):
        raise InputError("hookInstance must be a UUID, new for each call.", expression="hookInstance")
    context = body.get("context")
    if not isinstance(context, dict):
        raise InputError("context must be an object with userId and patientId.", expression="context")
    user_id, patient_id, encounter_id = _context(context)
    fhir_server, token, scope = _server(body)
    _check_token_patient(body.get("fhirAuthorization"), scope, patient_id)
    return HookRequest(
        hook, instance, user_id, patient_id, encounter_id, fhir_server, token, scope, _prefetch(body)
    )


def _context(context: dict[str, Any]) -> tuple[str, str, str | None]:
    user_id = _text(context, "userId", "context.userId", "send it as Practitioner/<id>")
    kind, _, identifier = user_id.partition("/")
    if kind not in _USER_TYPES or not _FHIR_ID.fullmatch(identifier):
        raise InputError(
            f"context.userId must be <type>/<id> with one of the types {', '.join(_USER_TYPES)}.",
            expression="context.userId",
        )
    patient_id = _text(context, "patientId", "context.patientId", "send the bare id of the Patient")
    if not _FHIR_ID.fullmatch(patient_id):
        raise InputError(
            'context.patientId must be the bare FHIR id of the Patient: "123", not "Patient/123".',
            expression="context.patientId",
        )
    encounter = context.get("encounterId")
    if encounter is not None and not (isinstance(encounter, str) and _FHIR_ID.fullmatch(encounter)):
        raise InputError(
            "context.encounterId must be the bare FHIR id of the Encounter, or be left out.",
            expression="context.encounterId",
        )
    return user_id, patient_id, encounter


def _server(body: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """fhirServer, and token and scope of fhirAuthorization; all None where they are not sent."""
    server = body.get("fhirServer")
    if server is not None and not (isinstance(server, str) and _SERVER.fullmatch(server)):
        raise InputError(
            "fhirServer must be the absolute http(s) base URL of a FHIR server.", expression="fhirServer"
        )
    authorization = body.get("fhirAuthorization")
    if authorization is None:
        return server, None, None
    if not isinstance(authorization, dict):
        raise InputError("fhirAuthorization must be an object.", expression="fhirAuthorization")
    if server is None:
        raise InputError(
            "fhirAuthorization needs a fhirServer: send the base URL that the token is for.",
            expression="fhirServer",
        )
    place = "fhirAuthorization.access_token"
    token = _text(authorization, "access_token", place, "send the OAuth 2.0 access token")
    if not TOKEN.fullmatch(token):
        raise InputError(f"{place} must consist of visible ASCII characters.", expression=place)
    kind = authorization.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise InputError(
            'fhirAuthorization.token_type must be "Bearer".', expression="fhirAuthorization.token_type"
        )
    scope = authorization.get("scope")
    if scope is not None and not isinstance(scope, str):
        raise InputError(
            "fhirAuthorization.scope must be a text of scopes separated by blanks.",
            expression="fhirAuthorization.scope",
        )
    return server, token, scope


def _check_token_patient(authorization: Any, scope: str | None, patient_id: str) -> None:
    """A token for another patient finds nothing of this one, which would pass for no data: it is never used."""
    named = authorization.get("patient") if isinstance(authorization, dict) else None
    if named is None:
        return
    place = "fhirAuthorization.patient"
    if not isinstance(named, str) or not named:
        raise InputError(
            f"{place} must be the bare id of the Patient that the token is for.", expression=place
        )
    bound = scope is None or any(word.startswith("patient/") for word in scope.split())
    if bound and named.removeprefix("Patient/") != patient_id:
        raise InputError(
            f"{place} names another patient than context.patientId: send the token of the chart that is open.",
            expression=place,
        )


def _prefetch(body: dict[str, Any]) -> Mapping[str, Any]:
    prefetch = body.get("prefetch")
    if prefetch is None:
        return {}
    if not isinstance(prefetch, dict):
        raise InputError(
            "prefetch must be an object of the keys that discovery offers.", expression="prefetch"
        )
    return prefetch


def _text(holder: dict[str, Any], key: str, expression: str, remedy: str) -> str:
    value = holder.get(key)
    if value is None:
        raise InputError(f"{expression} is missing: {remedy}.", expression=expression)
    if not isinstance(value, str) or not value:
        raise InputError(f"{expression} must be a text: {remedy}.", expression=expression)
    return value


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
