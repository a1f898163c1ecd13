"""What `doctor` says of each configured client: in words what its tokens must be like, and whether its servers answer.

Error policy: as in `checks`. Nothing is asked but a JWK Set by its address and a CapabilityStatement, both without a
token, each within a few seconds; `offline` asks nothing and resolves no name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cds_service.app import secure
from cds_service.cli.checks import Check, State, failed, ok, warning
from cds_service.errors import CdsServiceError
from cds_service.hooks.jwk import BadKeys, JwkSet, read_jwk_set
from cds_service.hooks.keys import fetch_jwk_set, read_file
from cds_service.records.connections import resolve
from cds_service.records.fhir_transport import Deadline, FetchFailure, Transport
from cds_service.records.json_body import read_json
from cds_service.records.origins import AllowedServer, allowed_server, parse_url
from cds_service.settings import ClientSettings, Settings

ANSWER_SECONDS: Final = 5.0
_NEW_SET: Final = "have the client give another JWK Set; for a client to try: cds-service doctor --new-client"


def client_checks(settings: Settings, service_ids: Sequence[str], *, offline: bool) -> Iterator[Check]:
    """Of every client, in the order of the file; without clients, of the FHIR servers that anybody here may name."""
    ask = None if offline else Transport(ca_file=settings.service.ca_file)
    try:
        for client in settings.clients:
            subject = f"client {client.name}"
            yield ok(subject, _words(client))
            yield key_check(subject, client, settings.service.ca_file, offline=offline)
            yield ok(f"{subject}: jku", _jku(client))
            for audience in _audiences(settings, client, service_ids):
                yield ok(f"{subject}: audience", audience)
            for server in client.fhir_servers:
                yield server_check(f"{subject}: FHIR server", server, client.private_networks, ask)
            if not client.fhir_servers:
                yield _without_servers(f"{subject}: FHIR server", settings)
        for server in settings.service.fhir_servers:
            yield server_check("FHIR server", server, settings.service.private_networks, ask)
    finally:
        if ask is not None:
            ask.close()


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


def server_check(subject: str, url: str, private_networks: Sequence[str], ask: Transport | None) -> Check:
    """Of one FHIR server: how its URL is read, where its name leads, and whether it is a server of FHIR R4."""
    server = allowed_server(url, (url,), tuple(private_networks))
    if server is None:
        return failed(subject, f"{url} can't be read as the URL of a server", "write it as https://host/path")
    plain = not secure(url)
    words = f"{url}{', plain http' if plain else ''}"
    remedy = "use https: whoever stands between reads data and tokens" if plain else ""
    if ask is None:
        found = ok(subject, f"{words}, not asked (--offline)")
    else:
        found = _address_check(subject, words, server) or _capability_check(subject, words, server, ask)
    return warning(subject, found.found, remedy) if plain and found.state is State.ok else found


def _address_check(subject: str, words: str, server: AllowedServer) -> Check | None:
    """What stands against the addresses that the server's name leads to; None where nothing does."""
    parsed = parse_url(server.base_url)
    try:
        addresses = {str(endpoint[0]) for _, endpoint in resolve(parsed.host.strip("[]"), parsed.port)}
    except OSError:
        return failed(
            subject, f"{words}: its name leads to no address", "check the name, and this machine's DNS"
        )
    refused = sorted(address for address in addresses if not server.reach.allows(address))
    if refused and len(refused) == len(addresses):
        return failed(
            subject,
            f"{words}: its name leads to {_kind(refused[0])} ({refused[0]}), where the service does not go",
            "if that is right, list its network under private_networks beside fhir_servers",
        )
    return None


def _kind(address: str) -> str:
    read = ip_address(address.partition("%")[0])
    for words, is_so in (
        ("this machine", read.is_loopback),
        ("a link-local address", read.is_link_local),
        ("a private address", read.is_private),
    ):
        if is_so:
            return words
    return "a public address" if read.is_global else "a special address"


def _capability_check(subject: str, words: str, server: AllowedServer, ask: Transport) -> Check:
    """Of the server's CapabilityStatement, for which FHIR wants no token."""
    headers = {"Accept": "application/fhir+json"}
    try:
        body = ask.get(f"{server.base_url}/metadata", headers, Deadline(ANSWER_SECONDS), server.reach)
        statement = read_json(body)
    except FetchFailure as failure:
        if failure.status in (401, 403):
            return ok(subject, f"{words} answers; it shows its CapabilityStatement to nobody without a token")
        return failed(
            subject, f"{words}: {failure.reason}", "check that it runs and that this machine reaches it"
        )
    except CdsServiceError:
        statement = None
    if not isinstance(statement, dict) or statement.get("resourceType") != "CapabilityStatement":
        return failed(subject, f"{words} has no CapabilityStatement at /metadata", "check the base URL")
    version = statement.get("fhirVersion")
    if not isinstance(version, str) or not version.startswith("4.0"):
        return failed(subject, f"{words} is not a server of FHIR R4", "name the R4 base URL of the server")
    return ok(subject, f"{words} answers, FHIR R4")
