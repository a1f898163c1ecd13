"""What `doctor` looks at, and what it found: of the site as a whole. Nothing is changed, made or taken over.

Error policy: whatever can't be used is a check that failed, with what to do; no check ends another. Nothing secret is
part of what is found: no key, token or password, and of a database's URL only its kind and place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from cds_service.app import check_base_url, load_screener, metrics_token
from cds_service.audit import sink_token
from cds_service.errors import AuthoringError, CdsServiceError, ConfigurationError
from cds_service.hooks.service import ALL_TRIALS, service_ids
from cds_service.settings import Settings
from cds_service.storage import Pseudonyms, sqlite_file
from cds_service.storage.engine import open_engine
from cds_service.storage.schema import ABOUT, VERSION
from cds_service.terminology.concept_maps import read_site_maps

_DATABASE_SECONDS: Final = 5.0


class State(StrEnum):
    ok = "ok"
    warning = "warning"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `found`: in words; `remedy`: what to do, where it is not well."""

    subject: str
    state: State
    found: str
    remedy: str = ""


def ok(subject: str, found: str) -> Check:
    return Check(subject, State.ok, found)


def warning(subject: str, found: str, remedy: str) -> Check:
    return Check(subject, State.warning, found, remedy)


def failed(subject: str, found: str, remedy: str) -> Check:
    return Check(subject, State.failed, found, remedy)


def of_error(subject: str, error: CdsServiceError) -> Check:
    """An error of this package says itself what is wrong and, behind the last colon, what to do."""
    found, _, remedy = str(error).rpartition(": ")
    return failed(subject, found, remedy)


def site_checks(settings: Settings, *, offline: bool) -> Iterator[Check]:
    """Of what all callers share, beside the trials. `offline`: without asking a database server."""
    yield address_check(settings)
    path = settings.feedback.pseudonym_key_file
    pseudonyms, check = key_check(path)
    yield database_check(
        settings.service.database_url, pseudonyms, offline=offline, key_missing=not path.exists()
    )
    yield check
    yield audit_check(settings)
    if (file := settings.service.metrics_token_file) is not None:
        yield token_check("metrics token", file, lambda: metrics_token(file))


def trial_checks(settings: Settings) -> tuple[list[Check], list[str]]:
    """Of the trials, the value sets behind them, the site's own maps and what it confirmed; and the ids of the CDS
    services."""
    maps = list(map_checks(settings.service.concept_maps_dir))
    if any(check.state is State.failed for check in maps):
        return maps, [ALL_TRIALS]  # the trials can't be loaded without
    try:
        with settings.located():
            screener = load_screener(settings)
    except (AuthoringError, ConfigurationError) as error:
        remedy = "correct what is named, then run `cds-service trial check`"
        return [failed("trials", str(error), remedy)], [ALL_TRIALS]
    trials = screener.catalog.trials
    checks = [
        ok("trials", ", ".join(f"{trial.id} {trial.version}" for trial in trials.values())),
        ok("value sets", f"{len(screener.value_sets.names)}, all that the trials name among them"),
        *maps,
    ]
    checks += [
        warning(
            f"trial {trial.id}",
            "the site has not confirmed that it recruits; each card says so and offers no referral",
            f"set recruiting_confirmed under [trials.{trial.id}] to the day on which it was confirmed",
        )
        for trial in trials.values()
        if trial.registry.recruiting_confirmed is None
    ]
    return checks, service_ids(trials)


def map_checks(folder: Path | None) -> Iterator[Check]:
    """Of the site's own ConceptMaps: every mistake in them, otherwise what each file maps."""
    subject, remedy = "concept maps", "correct it; docs/running.md says what each map leads from and to"
    if folder is None:
        return
    try:
        maps = read_site_maps(folder)
    except AuthoringError as error:
        yield failed(subject, str(error), "name a folder that exists under service.concept_maps_dir")
        return
    if maps.mistakes:
        yield from (failed(subject, mistake, remedy) for mistake in maps.mistakes)
    elif not maps.files:
        yield warning(subject, f"{folder} has no ConceptMap", "put JSON files in it, one ConceptMap each")
    else:
        for file in maps.files:
            used = sum(bool(entry.targets) for entry in file.entries)
            idle = len(file.entries) - used
            note = f", {idle} more lead nowhere that may be followed" if idle else ""
            yield ok(subject, f"{file.name}: {file.id}, {used} {'code' if used == 1 else 'codes'}{note}")


def address_check(settings: Settings) -> Check:
    """Of the service's own address: what callers' tokens must name, and how it is reached."""
    subject, base = "service address", settings.service.base_url
    if not settings.clients:
        return warning(
            subject,
            "no client is configured: only this machine is served, and whoever calls from it",
            "configure [[clients]] to serve others; `cds-service doctor --new-client NAME` makes one to try",
        )
    if base is None:
        return warning(
            subject,
            "service.base_url is not set: tokens must name the address that `serve` listens on, of this machine only",
            "set service.base_url to the https address under which clients call",
        )
    try:
        check_base_url(base)
    except ConfigurationError as error:
        return of_error(subject, error)
    return ok(subject, base)


def key_check(path: Path) -> tuple[Pseudonyms | None, Check]:
    """Of the key of the pseudonyms, and the key itself where there is one."""
    subject = "pseudonym key"
    if not path.exists():
        return None, to_be_made(subject, path)
    try:
        return Pseudonyms.load(path, make=False), ok(subject, f"{path}, of 32 bytes, which others can't read")
    except ConfigurationError as error:
        return None, of_error(subject, error)


def database_check(
    url: str, pseudonyms: Pseudonyms | None, *, offline: bool, key_missing: bool = False
) -> Check:
    """Of the database: that it answers, of which version it is, and that the key is the one it was written with.

    key_missing: there is no file of a key, so that `pseudonyms` is None.
    """
    subject, parsed = "database", make_url(url)
    place = " ".join(str(part) for part in (parsed.get_backend_name(), parsed.host, parsed.database) if part)
    file = sqlite_file(url)
    if file is not None and not Path(file).exists():
        return to_be_made(subject, Path(file))
    if file is not None and not os.access(file, os.W_OK):
        return failed(subject, f"{file} can't be written", "name a file that this user may write")
    try:
        engine = open_engine(url, _DATABASE_SECONDS)
    except ConfigurationError as error:
        return of_error(subject, error)
    if offline and file is None:
        return ok(subject, f"{place}, not asked (--offline)")
    try:
        with engine.connect() as connection:
            return _tables_check(subject, place, connection, pseudonyms, key_missing=key_missing)
    except (SQLAlchemyError, OSError):
        return failed(
            subject,
            f"{place} does not answer",
            "check service.database_url, that it runs, and the permissions",
        )
    finally:
        engine.dispose()


def _tables_check(
    subject: str, place: str, connection: Connection, pseudonyms: Pseudonyms | None, *, key_missing: bool
) -> Check:
    if not inspect(connection).has_table(ABOUT.name):
        return ok(
            subject, f"{place} answers; `serve` makes the tables, or takes over those of an earlier version"
        )
    about: dict[str, str] = {row.name: row.value for row in connection.execute(select(ABOUT))}
    version = about.get("schema", "")
    if version.isdigit() and int(version) > VERSION:
        return failed(
            subject,
            f"{place} was written by a later version of this service",
            "upgrade the service, or name another database",
        )
    if key_missing and "key" in about:
        return failed(
            subject,
            f"{place} was written with a pseudonym key that is not there",
            "name that key's file under feedback.pseudonym_key_file, or restore it",
        )
    if pseudonyms is not None and about.get("key") not in (None, pseudonyms.check()):
        return failed(
            subject,
            f"{place} was written with another pseudonym key",
            "name that key's file under feedback.pseudonym_key_file, or restore it",
        )
    return ok(subject, f"{place} answers")


def audit_check(settings: Settings) -> Check:
    """Of where audit events go on this machine; whether a FHIR server answers is looked at in `server_checks`."""
    subject, audit = "audit sink", settings.audit
    if audit.sink is None:
        return warning(
            subject,
            "accesses to patients' data are recorded nowhere",
            "set audit.sink to file:<path>, or to a FHIR server that takes AuditEvents",
        )
    sink = audit.sink
    if not sink.startswith("file:"):
        spool = spool_check(subject, audit.spool_dir)
        if audit.token_file is None or spool.state is not State.ok:
            return spool
        return token_check(subject, file := audit.token_file, lambda: sink_token(file, sink))
    path = Path(sink.removeprefix("file:"))
    if not path.exists():
        return to_be_made(subject, path)
    if path.is_dir() or not os.access(path, os.W_OK):
        return failed(subject, f"{path} can't be written", "name a file that this user may write")
    if path.is_file() and path.stat().st_mode & 0o007:
        return failed(subject, f"everybody on this machine may open {path}", f"run `chmod o= {path}`")
    return ok(subject, str(path))


def spool_check(subject: str, folder: Path) -> Check:
    """Of the folder in which events wait for their server."""
    if not folder.exists():
        there = next(parent for parent in folder.absolute().parents if parent.exists())
        return to_be_made(subject, folder, there)
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return failed(subject, f"{folder} can't be used", "name a folder that this user may write to")
    if folder.stat().st_mode & 0o077:
        return failed(subject, f"others on this machine may look into {folder}", f"run `chmod 700 {folder}`")
    return ok(subject, f"events wait in {folder}, into which others can't look")


def token_check(subject: str, path: Path, read: Callable[[], object]) -> Check:
    """Of a file that holds a token: that `read` takes it as the service does, and that it is not for everybody."""
    try:
        read()
        mode = path.stat().st_mode
    except ConfigurationError as error:
        return of_error(subject, error)
    except OSError:
        return failed(subject, f"{path} can't be read", "name a file that this user may read")
    if mode & 0o007:
        return failed(subject, f"everybody on this machine may open {path}", f"run `chmod o= {path}`")
    return ok(subject, f"the token is in {path}")


def to_be_made(subject: str, path: Path, inside: Path | None = None) -> Check:
    """Of a file that the service makes on its first start, in the folder `inside` (otherwise: its own)."""
    if os.access(inside or path.parent, os.W_OK | os.X_OK):
        return ok(subject, f"{path} is made on the first start")
    return failed(
        subject, f"{path} can't be made", "name a file in a folder that exists and that this user may write"
    )
