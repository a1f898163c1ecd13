"""The sandbox's FHIR R4 endpoint: read, search (GET and POST), paging, $everything, and two writable types.

Error policy: every answer that is not a success is an OperationOutcome with a 4xx status; one dispatcher
stands for all addresses below the base, so that none falls through to the application's HTML errors. CORS is
open: synthetic data only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from cds_service.errors import InputError
from cds_service.sandbox.capability import capability_statement
from cds_service.sandbox.elements import patient_ids, references
from cds_service.sandbox.outcomes import FHIR_JSON, FhirError, outcome_response, resource_response
from cds_service.sandbox.paging import Pager
from cds_service.sandbox.parameters import PARAMETERS, RESOURCE_TYPES, patient_paths
from cds_service.sandbox.search import Query, parse_query
from cds_service.sandbox.store import Store, StoreFullError, VersionConflictError
from cds_service.sandbox.trouble import PART, meet, trouble_with
from cds_service.sandbox.writing import MAX_BYTES, read_resource

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_FORMATS: Final = frozenset({"json", "application/json", FHIR_JSON, "application/json+fhir", "text/json"})
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Location, ETag, Last-Modified, Location",
}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Cache-Control, Content-Type, If-Match, Prefer",
    # A page on the public internet may ask a demo on this machine only when it says so.
    "Access-Control-Allow-Private-Network": "true",
    "Access-Control-Max-Age": "600",
}


def fhir_blueprint(store: Store, as_of: date, *, url_prefix: str) -> Blueprint:
    """The endpoint as a blueprint; its state is the store."""
    blueprint = Blueprint("sandbox_fhir", __name__, url_prefix=url_prefix)
    server = FhirServer(store, as_of, url_prefix)

    @blueprint.route("/", defaults={"path": ""}, methods=_METHODS)
    @blueprint.route("/<path:path>", methods=_METHODS)
    def dispatch(path: str) -> Response:
        try:
            return server.answer(request.method, path)
        except FhirError as error:
            return outcome_response(error)
        except InputError as error:
            return outcome_response(FhirError(400, "invalid", str(error), error.expression))
        except VersionConflictError as error:
            return outcome_response(FhirError(412, "conflict", str(error)))
        except StoreFullError as error:
            return outcome_response(FhirError(507, "too-costly", str(error)))
        except RequestEntityTooLarge:
            return outcome_response(FhirError(413, "too-long", f"The body may have {MAX_BYTES} bytes."))

    @blueprint.after_request
    def allow_other_origins(response: Response) -> Response:
        response.headers.update(_CORS)
        if request.method == "OPTIONS":
            response.headers.update(_PREFLIGHT)
        return response

    return blueprint


class FhirServer:
    """Answers the requests of one sandbox; reads the current Flask request for query, body and headers."""

    def __init__(self, store: Store, as_of: date, url_prefix: str) -> None:
        self._store = store
        self._as_of = as_of
        self._prefix = url_prefix.strip("/")
        self._pager = Pager()

    def answer(self, method: str, path: str) -> Response:
        """The response to one request below the base. Raises FhirError and InputError."""
        _check_format()
        if method == "GET":
            meet(self._trouble(path.partition("/")[0]))
        match [method, *path.strip("/").split("/")]:
            case ["GET", "metadata"]:
                return resource_response(capability_statement(self._base(), self._as_of))
            case ["GET", kind]:
                return self._search(_known(kind), list(request.args.items(multi=True)))
            case ["POST", kind, "_search"]:
                request.max_content_length = MAX_BYTES
                pairs = [*request.args.items(multi=True), *request.form.items(multi=True)]
                return self._search(_known(kind), pairs)
            case ["GET", "Patient", patient_id, "$everything"]:
                return self._everything(patient_id)
            case ["GET", kind, resource_id]:
                return self._read(_known(kind), resource_id)
            case ["GET", kind, resource_id, "_history", version]:
                return self._read(_known(kind), resource_id, version)
            case ["POST", kind] if kind:
                return self._write(_known(kind), None)
            case ["PUT", kind, resource_id]:
                return self._write(_known(kind), resource_id)
        status = 404 if method == "GET" else 405
        raise FhirError(status, "not-supported", "The sandbox does not offer this; see /metadata.")

    def _trouble(self, kind: str) -> str | None:
        return trouble_with(request.headers.get("Authorization"), kind)

    def _base(self) -> str:
        return request.url_root + self._prefix

    def _read(self, kind: str, resource_id: str, version: str | None = None) -> Response:
        resource = self._store.get(kind, resource_id)
        if resource is None or version not in (None, resource["meta"]["versionId"]):
            raise FhirError(404, "not-found", f"There is no {kind} of that id.")
        return resource_response(resource, headers=_version_headers(resource))

    def _search(self, kind: str, pairs: Sequence[tuple[str, str]]) -> Response:
        token = dict(pairs).get("_page")
        query, offset = self._pager.read(token) if token else (parse_query(kind, pairs), 0)
        if query.resource_type != kind:
            raise InputError("This page token belongs to another resource type.", expression="_page")
        found = query.select(self._store.all(kind))
        address = f"{self._base()}/{kind}"
        links = [{"relation": "self", "url": f"{address}?{urlencode(pairs)}" if pairs else address}]
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        bundle["link"] = links
        if query.summary == "count" or query.count == 0:
            return resource_response(bundle)
        page = found[offset : offset + query.count]
        if found and self._trouble(kind) == PART:
            page = page[: len(page) // 2]
            links.append({"relation": "next", "url": f"{address}?_page=lost"})
        elif offset + query.count < len(found):
            following = self._pager.token(query, offset + query.count)
            links.append({"relation": "next", "url": f"{address}?_page={following}"})
        entries = [self._entry(resource, "match") for resource in page]
        entries += [self._entry(resource, "include") for resource in self._included(query, page)]
        if entries:
            bundle["entry"] = entries
        return resource_response(bundle)

    def _entry(self, resource: Mapping[str, Any], mode: str) -> dict[str, Any]:
        url = f"{self._base()}/{resource['resourceType']}/{resource['id']}"
        return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}

    def _included(self, query: Query, page: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        """What _include and _revinclude add; of a search limited to patients, only what is theirs or
        nobody's.
        """
        matches = {(r["resourceType"], r["id"]): r for r in page}
        added: dict[tuple[str, str], dict[str, Any]] = {}
        for definition, target in query.includes:
            for resource in matches.values():
                for reference in (ref for path in definition.paths for ref in references(resource, path)):
                    kind, _, resource_id = reference.partition("/")
                    held = self._store.get(kind, resource_id) if target in ("", kind) else None
                    if held is not None:
                        added[kind, resource_id] = held
        names = {f"{kind}/{resource_id}" for kind, resource_id in matches}
        for source, definition in query.rev_includes:
            for resource in self._store.all(source):
                if any(ref in names for path in definition.paths for ref in references(resource, path)):
                    added[source, resource["id"]] = resource
        return [r for key, r in added.items() if key not in matches and _may_show(r, query.patients)]

    def _everything(self, patient_id: str) -> Response:
        patient = self._store.get("Patient", patient_id)
        if patient is None:
            raise FhirError(404, "not-found", "There is no Patient of that id.")
        own = [patient]
        for kind in sorted(RESOURCE_TYPES - {"Patient"}):
            if patient_paths(kind):
                own += [r for r in self._store.all(kind) if patient_id in patient_ids(r)]
        entries = [self._entry(resource, "match") for resource in own]
        entries += [self._entry(r, "include") for r in self._referenced(own, patient_id)]
        link = [{"relation": "self", "url": f"{self._base()}/Patient/{patient_id}/$everything"}]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(own), "link": link}
        return resource_response({**bundle, "entry": entries})

    def _referenced(self, own: Sequence[Mapping[str, Any]], patient_id: str) -> Iterable[dict[str, Any]]:
        """What the patient's resources point to and is nobody's: medications, studies, practitioners."""
        held = {f"{r['resourceType']}/{r['id']}" for r in own}
        added: dict[str, dict[str, Any]] = {}
        for resource in own:
            for definition in PARAMETERS[resource["resourceType"]].values():
                for reference in (ref for path in definition.paths for ref in references(resource, path)):
                    kind, _, resource_id = reference.partition("/")
                    found = self._store.get(kind, resource_id) if reference not in held else None
                    if found is not None and _may_show(found, frozenset({patient_id})):
                        added[reference] = found
        return added.values()

    def _write(self, kind: str, resource_id: str | None) -> Response:
        if resource_id is not None and not _ID.fullmatch(resource_id):
            raise FhirError(400, "value", "An id has at most 64 letters, digits, '-' and '.'.", f"{kind}.id")
        request.max_content_length = MAX_BYTES
        body = request.get_data(cache=False)
        resource = read_resource(body, request.mimetype, kind, resource_id, self._store)
        if resource_id is None:
            stored, new = self._store.create(resource), True
        else:
            expected = request.headers.get("If-Match", "").removeprefix("W/").strip('"') or None
            stored, new = self._store.update(resource, expected)
        headers = _version_headers(stored)
        if new:
            version = stored["meta"]["versionId"]
            headers["Location"] = f"{self._base()}/{kind}/{stored['id']}/_history/{version}"
        if "return=minimal" in request.headers.get("Prefer", ""):
            return Response(status=201 if new else 200, headers=headers)
        return resource_response(stored, 201 if new else 200, headers)


def _known(kind: str) -> str:
    if kind not in RESOURCE_TYPES:
        raise FhirError(404, "not-supported", "The sandbox has no such resource type; see /metadata.")
    return kind


def _check_format() -> None:
    wanted = request.args.get("_format")
    if wanted is not None and wanted.replace(" ", "+").partition(";")[0] not in _FORMATS:
        raise FhirError(406, "not-supported", "The sandbox speaks JSON only.", "_format")


def _may_show(resource: Mapping[str, Any], patients: frozenset[str] | None) -> bool:
    owners = patient_ids(resource)
    return patients is None or not owners or not patients.isdisjoint(owners)


def _version_headers(resource: Mapping[str, Any]) -> dict[str, str]:
    return {"ETag": f'W/"{resource["meta"]["versionId"]}"'}
