"""What `doctor` says of each configured client: what its tokens must be like, in words; its keys and servers.

Error policy: as in `checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from cds_service.cli.checks import Check, failed, ok, warning
from cds_service.cli.server_checks import server_check
from cds_service.hooks.jwk import BadKeys, JwkSet, read_jwk_set
from cds_service.hooks.keys import fetch_jwk_set, read_file
from cds_service.records.fhir_transport import Transport
from cds_service.records.origins import allowed_server, secure
from cds_service.settings import ClientSettings, Settings

_NEW_SET: Final = "have the client give another JWK Set; for a client to try: cds-service doctor --new-client"


def client_checks(settings: Settings, service_ids: Sequence[str], ask: Transport | None) -> Iterator[Check]:
    """Of every client, in the order of the file; without clients, of the FHIR servers that anybody here may name.

    `ask`: how servers are asked, None where no other machine is.
    """
    for client in settings.clients:
        subject = f"client {client.name}"
        yield ok(subject, _words(client))
        yield key_check(subject, client, settings.service.ca_file, offline=ask is None)
        yield ok(f"{subject}: jku", _jku(client))
        for audience in _audiences(settings, client, service_ids):
            yield ok(f"{subject}: audience", audience)
        for url in client.fhir_servers:
            server = allowed_server(url, (url,), client.private_networks)
            yield server_check(f"{subject}: FHIR server", url, server, ask)
        if not client.fhir_servers:
            yield _without_servers(f"{subject}: FHIR server", settings)
    for url in settings.service.fhir_servers:
        yield server_check(
            "FHIR server", url, allowed_server(url, (url,), settings.service.private_networks), ask
        )


def _words(client: ClientSettings) -> str:
    tenants = f"tenant one of {', '.join(client.tenants)}" if client.tenants else "any tenant or none"
    return f"tokens with iss {client.issuer}, {tenants}; it speaks CDS Hooks {client.cds_hooks}"


def _jku(client: ClientSettings) -> str:
    allowed = [*([client.jwks_url] if client.jwks_url else []), *client.jku]
    return f"none, or {' or '.join(allowed)}" if allowed else "none: a token that names an address is refused"


def _audiences(settings: Settings, client: ClientSettings, service_ids: Sequence[str]) -> Iterator[str]:
    base = settings.service.base_url or "http://127.0.0.1:8000"
    for service_id in service_ids:
        yield f"{base}/cds-services/{service_id} (for its feedback too, or {base}/cds-services/{service_id}/feedback)"
    yield f"{base}/assessments"
    for audience in client.audiences:
        yield f"{audience} (for every call)"


def key_check(subject: str, client: ClientSettings, ca_file: Path | None, *, offline: bool) -> Check:
    """Of the client's keys: each with its name, its algorithms and its strength."""
    subject = f"{subject}: keys"
    if client.jwks_file is not None:
        return _set_check(subject, str(client.jwks_file), partial(read_file, client.jwks_file))
    url = client.jwks_url or ""
    if not secure(url):
        return failed(
            subject, f"{url} is not https", "name an https address: what is changed on its way is trusted"
        )
    if offline:
        return ok(subject, f"{url}, not asked (--offline)")
    return _set_check(subject, url, lambda: read_jwk_set(fetch_jwk_set(url, ca_file=ca_file).body))


def _set_check(subject: str, place: str, read: Callable[[], JwkSet]) -> Check:
    try:
        found = read()
    except BadKeys as bad:
        return failed(subject, f"{place}: {bad}", _NEW_SET)
    keys = "; ".join(
        f"{key.kid}: {', '.join(key.algorithms)} ({key.strength})" for key in found.keys.values()
    )
    ignored = "; ".join(map(str, found.ignored))
    if not keys:
        return failed(subject, f"{place}: {ignored}", _NEW_SET)
    if ignored:
        return warning(
            subject, f"{place}: {keys}; left out: {ignored}", "have the client correct what is left out"
        )
    return ok(subject, f"{place}: {keys}")


def _without_servers(subject: str, settings: Settings) -> Check:
    if settings.service.prefetch == "full":
        return ok(subject, "none may be named: all data come as prefetch")
    return warning(
        subject,
        "none may be named: what is not in the prefetch stays unknown",
        'list the client\'s servers under fhir_servers, or ask for all data with service.prefetch = "full"',
    )
