"""`feedback`: what was said about cards, how often, and what a patient may ask for: to be shown again, to be forgotten.

Error policy: no database, no key or an ambiguous patient ends with 2 and what to give; a database that does not
answer too. The patient's id is never repeated.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import orjson
import typer

from cds_service.cli import ends
from cds_service.errors import ConfigurationError, InputError, RetryLaterError
from cds_service.hooks.cards import OVERRIDE_REASONS
from cds_service.settings import Settings, load_settings
from cds_service.storage import (
    NO_REASON,
    OTHER_REASON,
    Pseudonyms,
    Store,
    StoredFeedback,
    Week,
    sqlite_file,
    weekly,
)

# A report may read for longer than a call may wait.
_SECONDS: Final = 120.0
_REASONS: Final = (*OVERRIDE_REASONS, OTHER_REASON, NO_REASON)
# With one of these a spreadsheet takes a cell for a formula (OWASP, CSV injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

app = typer.Typer(
    help="Feedback on cards: export it, count it; and of one patient: revoke refusals, erase.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
Config = Annotated[Path | None, typer.Option(help="The configuration file of the service.")]
Patient = Annotated[str, typer.Option(metavar="ID", help="The patient's FHIR id at the EHR.")]
Issuer = Annotated[
    str | None, typer.Option(metavar="URL", help="The EHR's `issuer` under [[clients]]; needed with several.")
]
Tenant = Annotated[str | None, typer.Option(help="The tenant of that EHR; needed where it has several.")]


class ExportFormat(StrEnum):
    csv = "csv"
    json = "json"


class RatesFormat(StrEnum):
    text = "text"
    csv = "csv"
    json = "json"


@app.command()
def export(
    format_: Annotated[ExportFormat, typer.Option("--format", help="How to write it.")] = ExportFormat.csv,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only what was received from that day on (at the site)."),
    ] = None,
    config: Config = None,
) -> None:
    """Write all stored feedback: outcome, reason, and whether the card is known; nothing of patient or user."""
    settings = load_settings(config)
    with _store(settings) as store:
        rows = [_exported(said) for said in store.feedback(_start(settings, since))]
    if not rows:
        ends.tell("no feedback is stored" + (" that was received since then." if since else " yet."))
    if format_ is ExportFormat.json:
        ends.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        ends.write(_csv(_COLUMNS, rows))


@app.command()
def rates(
    format_: Annotated[RatesFormat, typer.Option("--format", help="How to write it.")] = RatesFormat.text,
    config: Config = None,
) -> None:
    """Show per week and trial how many cards were shown, how many were answered, and with what."""
    settings = load_settings(config)
    with _store(settings) as store:
        weeks = weekly(store.issued(), store.feedback(), ZoneInfo(settings.service.timezone))
    if not weeks:
        ends.tell("no card has been shown yet, so that there is no rate.")
    if format_ is RatesFormat.text:
        ends.write("".join(f"{line}\n" for line in _table(weeks)).encode())
        return
    rows = [_counted(week) for week in weeks]
    if format_ is RatesFormat.json:
        ends.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        flat = [{**row, **{f"reason_{name}": n for name, n in row["reasons"].items()}} for row in rows]
        ends.write(_csv((*_COUNTS, *(f"reason_{name}" for name in _REASONS)), flat))


@app.command()
def revoke(
    patient: Patient,
    trial: Annotated[str | None, typer.Option(help="Of this trial only; default: of all.")] = None,
    issuer: Issuer = None,
    tenant: Tenant = None,
    config: Config = None,
) -> None:
    """End a patient's refusals (declined, enrolled elsewhere), so that cards are shown again."""
    settings = load_settings(config)
    with _store(settings) as store:
        ended = sum(
            store.revoke(known, trial, datetime.now(UTC))
            for known in _patients(settings, store, patient, issuer, tenant)
        )
    if ended:
        typer.echo(f"{_number(ended, 'refusal', 'refusals')} revoked: cards are shown again.")
    else:
        typer.echo("No refusal of this patient stands: check --patient, --issuer, --tenant and --trial.")


@app.command()
def erase(patient: Patient, issuer: Issuer = None, tenant: Tenant = None, config: Config = None) -> None:
    """Delete all that is stored of a patient: cards shown, the feedback on them, refusals."""
    settings = load_settings(config)
    with _store(settings) as store:
        erased = [store.erase_patient(known) for known in _patients(settings, store, patient, issuer, tenant)]
    cards, feedback, refusals = (
        sum(getattr(each, name) for each in erased) for name in ("cards", "feedback", "refusals")
    )
    if cards or feedback or refusals:
        told = (
            _number(cards, "card", "cards"),
            _number(feedback, "entry of feedback", "entries of feedback"),
            _number(refusals, "standing refusal", "standing refusals"),
        )
        typer.echo(f"Erased: {', '.join(told)}.")
    else:
        typer.echo("Nothing is stored of this patient: check --patient, --issuer and --tenant.")


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    """The service's database; never a new one, which a wrong folder would make."""
    url = settings.service.database_url
    file = sqlite_file(url)
    if file is not None and not Path(file).exists():
        raise ConfigurationError(
            f"service.database_url: there is no database at {file}: name the service's configuration (--config),"
            " or start the service once."
        )
    store = Store(url, seconds=_SECONDS)
    try:
        yield store
    except RetryLaterError:
        raise ConfigurationError(
            "service.database_url: the database does not answer; try again when it does."
        ) from None
    finally:
        store.close()


def _patients(
    settings: Settings, store: Store, patient: str, issuer: str | None, tenant: str | None
) -> list[str]:
    """The hashes under which this patient may be stored. Raises ConfigurationError, InputError."""
    pseudonyms = Pseudonyms.load(settings.feedback.pseudonym_key_file, make=False)
    store.hold_key(pseudonyms.check(), remember=False)
    identifier = patient.removeprefix("Patient/")
    if not identifier:
        raise InputError("--patient: the FHIR id of the patient is wanted.")
    known = {client.issuer: client for client in settings.clients}
    if issuer is None and len(known) > 1:
        raise InputError(f"--issuer is needed: one of {', '.join(known)}.")
    chosen = issuer if issuer is not None else next(iter(known), "")
    if issuer and issuer not in known:
        ends.tell(
            "this issuer is not configured under [[clients]]; looking for what was stored while it was."
        )
    # Those of the settings, and those that tokens named without any setting.
    tenants = sorted({*(known[chosen].tenants if chosen in known else ()), *store.tenants(chosen)})
    if tenant is None and len(tenants) > 1:
        raise InputError(
            f"--tenant is needed for this issuer: one of {', '.join(tenants)}, or '' for calls that named none."
        )
    # Calls may have come without a tenant before one was configured.
    named = [tenant or None] if tenant is not None else [None, *tenants]
    return [pseudonyms.patient(chosen, each, identifier) for each in named]


def _start(settings: Settings, since: date | None) -> datetime | None:
    return datetime.combine(since, time(), ZoneInfo(settings.service.timezone)) if since else None


_COLUMNS: Final = (
    "received_at",
    "outcome_timestamp",
    "service",
    "trial",
    "card",
    "card_known",
    "outcome",
    "accepted_suggestions",
    "override_system",
    "override_code",
    "comment_given",
    "revoked_at",
)


def _exported(said: StoredFeedback) -> dict[str, Any]:
    return {
        "received_at": said.received_at.isoformat(),
        "outcome_timestamp": said.outcome_timestamp.isoformat(),
        "service": said.service,
        "trial": said.trial,
        "card": said.card,
        "card_known": said.linked,
        "outcome": said.outcome,
        "accepted_suggestions": orjson.loads(said.accepted_suggestions or "[]"),
        "override_system": said.override_system,
        "override_code": said.override_code,
        "comment_given": said.user_comment,
        "revoked_at": said.revoked_at.isoformat() if said.revoked_at else None,
    }


_COUNTS: Final = (
    "week",
    "trial",
    "cards_shown",
    "cards_with_feedback",
    "response_rate",
    "accepted",
    "overridden",
)


def _counted(week: Week) -> dict[str, Any]:
    return {
        "week": week.week,
        "trial": week.trial,
        "cards_shown": week.shown,
        "cards_with_feedback": week.answered,
        "response_rate": round(week.rate, 4),
        "accepted": week.accepted,
        "overridden": week.overridden,
        "reasons": {name: week.reasons[name] for name in _REASONS},
    }


def _table(weeks: Iterable[Week]) -> Iterator[str]:
    """The weeks for people: aligned, with the reasons that were given."""
    rows = [("week", "trial", "shown", "answered", "rate", "accepted", "overridden", "reasons of overrides")]
    for week in weeks:
        reasons = ", ".join(f"{name} {week.reasons[name]}" for name in _REASONS if week.reasons[name])
        counts = (week.shown, week.answered, f"{week.rate:.1%}", week.accepted, week.overridden)
        rows.append((week.week, week.trial, *map(str, counts), reasons))  # type: ignore[arg-type]
    widths = [max(len(row[n]) for row in rows) for n in range(7)]
    for row in rows if len(rows) > 1 else ():
        words = [row[n].ljust(widths[n]) if n < 2 else row[n].rjust(widths[n]) for n in range(7)]
        yield "  ".join([*words, row[7]]).rstrip()


def _csv(columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> bytes:
    """RFC 4180, with a header; a cell that a spreadsheet would execute begins with an apostrophe."""
    names = list(columns)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    written = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{written}" if written.lstrip(" ").startswith(_FORMULA) else written
