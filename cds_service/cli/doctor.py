"""`doctor`: is all in place, and what must each client's tokens be like? It also makes a client to try, and its tokens.

Error policy: what is not well is a check with what to do, and ends with 1; a configuration that can't be read ends
with 2. Looking changes nothing. No secret is shown, but for the token that was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from shlex import quote
from types import MappingProxyType
from typing import Annotated, Any, Final

import orjson
import typer

from cds_service.cli import ends
from cds_service.cli.checks import Check, State, ok, site_checks, trial_checks
from cds_service.cli.client_checks import client_checks
from cds_service.cli.new_client import (
    Algorithm,
    ClientFiles,
    configuration,
    default_issuer,
    make_client,
    signed_token,
)
from cds_service.cli.server_checks import audit_server_check
from cds_service.errors import InputError
from cds_service.hooks.auth import LIFETIME_SECONDS
from cds_service.records.fhir_transport import Transport
from cds_service.settings import DEFAULT_FILE, load_settings

_COLOURS: Final[Mapping[State, str]] = MappingProxyType(
    {State.ok: typer.colors.GREEN, State.warning: typer.colors.YELLOW, State.failed: typer.colors.RED}
)


class Format(StrEnum):
    text = "text"
    json = "json"


def doctor(
    config: Annotated[Path | None, typer.Option(help="The configuration file.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no other machine.")] = False,
    output: Annotated[Format, typer.Option("--format", help="How to show the checks.")] = Format.text,
    new_client: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Make a client to try: its keys and its lines of configuration."),
    ] = None,
    token: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print a token of such a client, for one call.")
    ] = None,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where that client's files are.")] = Path(),
    algorithm: Annotated[
        Algorithm, typer.Option(help="With --new-client: of its signatures.")
    ] = Algorithm.ES384,
    issuer: Annotated[
        str | None, typer.Option(metavar="URL", help="That client's iss; default: as configured, or made up.")
    ] = None,
    audience: Annotated[
        str | None, typer.Option(metavar="URL", help="With --token: the URL to be called.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="With --token: the tenant that it names.")] = None,
    expires: Annotated[
        int,
        typer.Option(min=1, max=LIFETIME_SECONDS, metavar="SECONDS", help="With --token: how long it lives."),
    ] = 300,
) -> None:
    """Check the configuration and what it names, and explain each client; or make a client to try, or its token."""
    if new_client is not None and token is not None:
        raise InputError("Either --new-client or --token: first make the client, then its tokens.")
    if new_client is not None:
        _make(ClientFiles(new_client, folder), algorithm, issuer or default_issuer(new_client), config)
    elif token is not None:
        if audience is None:
            raise InputError("--token needs --audience: the URL that is to be called.")
        files = ClientFiles(token, folder)
        named = issuer or _issuer(token, config)
        typer.echo(signed_token(files, named, audience, tenant=tenant, seconds=expires))
    else:
        _examine(config, offline=offline, output=output)


def _make(files: ClientFiles, algorithm: Algorithm, issuer: str, config: Path | None) -> None:
    """Standard output has the lines to paste and nothing else; what to know about them stands beside it."""
    make_client(files, algorithm)
    typer.echo(configuration(files, issuer, _file(config).parent))
    ends.tell(
        f"The private key is in {files.private_key}, readable by you only. Paste the lines above into the "
        "configuration; then `cds-service doctor` explains the client, and this prints a token for one call: "
        f"cds-service doctor --token {files.name} --folder {quote(str(files.folder))} "
        f"--issuer {quote(issuer)} --audience <URL>"
    )


def _issuer(name: str, config: Path | None) -> str:
    """The issuer of the client of that name as configured, else the one that was made up for it."""
    configured = {client.name: client.issuer for client in load_settings(config).clients}
    return configured.get(name, default_issuer(name))


def _examine(config: Path | None, *, offline: bool, output: Format) -> None:
    settings = load_settings(config)
    file = _file(config)
    read = str(file) if file.is_file() else f"no {file}: every setting has its default"
    checks = [ok("configuration", read)]
    found, service_ids = trial_checks(settings)
    ask = None if offline else Transport(ca_file=settings.service.ca_file)
    checks += [*found, *site_checks(settings, offline=offline)]
    if settings.audit.sink is not None and not settings.audit.sink.startswith("file:"):
        checks.append(audit_server_check(settings.audit.sink, ask))
    checks += client_checks(settings, service_ids, ask)
    if ask is not None:
        ask.close()
    bad = sum(check.state is State.failed for check in checks)
    if output is Format.json:
        ends.write(orjson.dumps(_as_json(checks), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    else:
        _show(checks)
    if bad:
        ends.tell(f"{bad} {'check' if bad == 1 else 'checks'} failed.")
        raise typer.Exit(ends.CHECK_FAILED)


def _file(config: Path | None) -> Path:
    """The configuration file, by the rule of `load_settings`; it need not be there."""
    return config or Path(os.environ.get("CDS_CONFIG") or DEFAULT_FILE)


def _as_json(checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "ok": all(check.state is not State.failed for check in checks),
        "checks": [
            {"subject": check.subject, "state": check.state.value, "found": check.found}
            | ({"remedy": check.remedy} if check.remedy else {})
            for check in checks
        ],
    }


def _show(checks: Sequence[Check]) -> None:
    """A table: state, subject, what was found; below it, what to do."""
    width = max(len(check.subject) for check in checks)
    for check in checks:
        state = typer.style(f"{check.state.value:<7}", fg=_COLOURS[check.state])
        # A kid is its client's own choice, and must not steer the terminal.
        found = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in check.found)
        typer.echo(f"{state}  {check.subject:<{width}}  {found}")
        if check.remedy:
            typer.echo(f"{'':<7}  {'':<{width}}  → {check.remedy}")
