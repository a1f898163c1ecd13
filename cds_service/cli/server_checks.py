"""Whether FHIR servers answer as `doctor` asks them: those that clients name, and the one for audit events.

Error policy: as in `checks`. Nothing is asked but a CapabilityStatement, without a token, within a few seconds; where
there is nothing to ask with, no name is resolved either.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Final

from cds_service.cli.checks import Check, State, failed, ok, warning
from cds_service.errors import CdsServiceError
from cds_service.records.addresses import ANYWHERE
from cds_service.records.fetch_answer import UNTRUSTED
from cds_service.records.fhir_transport import Deadline, FetchFailure, Transport
from cds_service.records.json_body import read_json
from cds_service.records.lookups import resolve
from cds_service.records.origins import AllowedServer, parse_url, secure
from cds_service.records.shortfalls import remedy

ANSWER_SECONDS: Final = 5.0


def audit_server_check(url: str, ask: Transport | None) -> Check:
    """Of the server that takes audit events, wherever it is. It need not show what it can do, so nothing fails."""
    try:
        server = AllowedServer(str(parse_url(url)), ANYWHERE)
    except ValueError:
        server = None
    check = server_check("audit sink: server", url, server, ask)
    if check.state is not State.failed:
        return check
    return replace(check, state=State.warning, remedy=f"{check.remedy}; events wait in audit.spool_dir")


def server_check(subject: str, url: str, server: AllowedServer | None, ask: Transport | None) -> Check:
    """Of one FHIR server: how its URL was read (`server`), where its name leads, and whether it is one of FHIR R4."""
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
        what_to_do = "check that it runs and that this machine reaches it"
        if failure.reason == UNTRUSTED:
            what_to_do = remedy(failure.state, failure.reason, ())
        return failed(subject, f"{words}: {failure.reason}", what_to_do)
    except CdsServiceError:
        statement = None
    if not isinstance(statement, dict) or statement.get("resourceType") != "CapabilityStatement":
        return failed(subject, f"{words} has no CapabilityStatement at /metadata", "check the base URL")
    version = statement.get("fhirVersion")
    if not isinstance(version, str) or not version.startswith("4.0"):
        return failed(subject, f"{words} is not a server of FHIR R4", "name the R4 base URL of the server")
    return ok(subject, f"{words} answers, FHIR R4")
