"""`assess`: one patient's Assessments from a Bundle file, standard input or a FHIR server.

Error policy: input that can't be used ends with 2, a server or Patient that can't be had with 3; any Assessment with 0.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from cds_service.app import fetch_bounds, load_screener, today
from cds_service.cli import ends
from cds_service.eligibility.assessment import Assessment
from cds_service.eligibility.explaining import chosen_criteria
from cds_service.errors import InputError
from cds_service.records.bundle import read_bundle
from cds_service.records.fhir_server import acquire
from cds_service.records.fhir_transport import Transport
from cds_service.records.json_body import read_json
from cds_service.records.origins import parse_url
from cds_service.records.record import PatientRecord
from cds_service.records.token_file import read_token
from cds_service.rendering.explanation import marks_for, render_explanations
from cds_service.rendering.html import render_html
from cds_service.rendering.text import render_text
from cds_service.screening import Screener
from cds_service.settings import Settings, load_settings, values

# A chart that opens can't wait as long as somebody at a command line.
LEAST_SECONDS: Final = 10.0
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


class Format(StrEnum):
    text = "text"
    json = "json"
    html = "html"


def assess(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A FHIR R4 Bundle of the patient's whole record; - reads it."),
    ] = None,
    fhir_server: Annotated[
        str | None, typer.Option(metavar="URL", help="Read the patient from here.")
    ] = None,
    patient: Annotated[
        str | None, typer.Option(metavar="ID", help="The patient, where several are there.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the server's bearer token.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=600,
            help="How long to wait for the server; default: limits.fetch_seconds, at least 10.",
        ),
    ] = None,
    trial: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A trial (repeatable); default: all.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Assess as of this day; default: today.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to show the result.")] = Format.text,
    missing: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="A resource type that the Bundle's export left out."),
    ] = None,
    explain: Annotated[
        list[str] | None,
        typer.Option(metavar="CRITERION", help="Show why: EX04, IN03-AlsfrsR or all (repeatable)."),
    ] = None,
    explain_full: Annotated[
        bool, typer.Option("--explain-full", help="Explain with nothing left out.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="The configuration file.")] = None,
) -> None:
    """Assess one patient for the known trials; exits 0 whatever the assessment says."""
    _check_usage(file, fhir_server, patient, token_file, seconds, missing or [])
    _check_explaining(explain, explain_full, form)
    day, patient_id, left_out = _day(as_of), _patient_id(patient), _types(missing or [])
    settings = load_settings(config)
    screener = load_screener(settings)
    trials = list(dict.fromkeys(trial or screener.catalog.trials))
    chosen = [screener.catalog.get(trial_id).trial for trial_id in trials]
    explained = chosen_criteria(chosen, explain or ())
    if fhir_server is not None:
        wait = seconds or max(settings.limits.fetch_seconds, LEAST_SECONDS)
        record = _from_server(settings, screener, fhir_server, str(patient_id), token_file, wait, trials)
    else:
        record = read_bundle(read_json(_read(str(file))), patient_id=patient_id, missing=left_out)
    assessments = screener.screen(record, trials, day or today(settings)(), explain=explained)
    if fhir_server is not None:
        _tell_what_is_missing(assessments)
    if explained and form is Format.text:
        ends.write(_explained(assessments, full=explain_full))
    else:
        ends.write(_shown(assessments, form, single=len(trials) == 1))


def _check_usage(
    file: str | None,
    fhir_server: str | None,
    patient: str | None,
    token_file: Path | None,
    seconds: float | None,
    missing: Sequence[str],
) -> None:
    if (file is None) == (fhir_server is None):
        raise InputError("Give either a Bundle (FILE, or - for standard input) or --fhir-server, not both.")
    if fhir_server is not None and patient is None:
        raise InputError("--fhir-server needs --patient ID: the patient to read.")
    if fhir_server is not None and missing:
        raise InputError("--missing goes with a Bundle: a server says itself what it does not have.")
    if fhir_server is None and token_file is not None:
        raise InputError("--token-file goes with --fhir-server.")
    if fhir_server is None and seconds is not None:
        raise InputError("--seconds goes with --fhir-server.")


def _check_explaining(explain: Sequence[str] | None, full: bool, form: Format) -> None:
    if full and not explain:
        raise InputError("--explain-full goes with --explain CRITERION.")
    if full and form is Format.json:
        raise InputError("--explain-full goes with the text: the JSON leaves nothing out.")
    if explain and form is Format.html:
        raise InputError("--explain shows text or JSON: leave --format html out.")


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        if len(text) == len("2026-06-15"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InputError("--as-of wants a date such as 2026-06-15.")


def _patient_id(text: str | None) -> str | None:
    """The bare id of `123` or `Patient/123`."""
    if text is None:
        return None
    bare = text.removeprefix("Patient/")
    if not _ID.fullmatch(bare):
        raise InputError("--patient wants the id of a FHIR Patient: letters, digits, '-' and '.', up to 64.")
    return bare


def _types(missing: Sequence[str]) -> list[str]:
    try:
        found = [values.resource_type(name, Path()) for name in missing]
    except ValueError:
        raise InputError("--missing wants the name of a FHIR resource type, such as Observation.") from None
    if "Patient" in found:
        raise InputError("--missing can't be Patient: without the Patient there is nothing to assess.")
    return found


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror or type(error).__name__}.") from None


def _from_server(
    settings: Settings,
    screener: Screener,
    fhir_server: str,
    patient_id: str,
    token_file: Path | None,
    seconds: float,
    trials: Sequence[str],
) -> PatientRecord:
    try:
        base = str(parse_url(fhir_server))
    except ValueError as error:
        raise InputError(f"--fhir-server: {error}.") from None
    token = read_token(token_file, "--token-file") if token_file else None
    transport = Transport(bounds=fetch_bounds(settings), ca_file=settings.service.ca_file)
    with closing(transport):
        return acquire(
            base,
            patient_id,
            screener.wanted(trials),
            token=token,
            transport=transport,
            seconds=seconds,
            by_code=settings.service.observations == "codes",
            unavailable=settings.service.unavailable,
        )


def _tell_what_is_missing(assessments: Sequence[Assessment]) -> None:
    """What the server did not give, beside a result that may go to a file. Of a Bundle the user knows it already."""
    several = len(assessments) > 1
    for assessment in assessments:
        for sentence in assessment.shortfalls:
            ends.tell(f"{assessment.trial.id}: {sentence}" if several else sentence)


def _shown(assessments: Sequence[Assessment], form: Format, *, single: bool) -> bytes:
    if form is Format.json:
        documents = [assessment.to_json() for assessment in assessments]
        shown = documents[0] if single else documents
        return orjson.dumps(shown, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if form is Format.html:
        return render_html(assessments).encode()
    return _encoded(render_text(assessments))


def _explained(assessments: Sequence[Assessment], *, full: bool) -> bytes:
    asked = [assessment for assessment in assessments if assessment.explanations]
    return _encoded(render_explanations(asked, full=full, marks=marks_for(sys.stdout.encoding or "utf-8")))


def _encoded(text: str) -> bytes:
    return text.encode(sys.stdout.encoding or "utf-8", errors="replace")
