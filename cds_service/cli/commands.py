"""The entry point: parses the command line, runs the command, and turns whatever happens into an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cds_service import __version__
from cds_service.cli import assessing, doctor, ends, feedback, serving, trials
from cds_service.errors import CdsServiceError

app = typer.Typer(
    name="cds-service",
    help="Pre-screens patients for clinical trials: CQL criteria on FHIR data, as a CDS Hooks service.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("assess")(assessing.assess)
app.command("serve")(serving.serve)
app.command("demo")(serving.demo)
app.command("doctor")(doctor.doctor)
app.add_typer(trials.app, name="trial")
app.add_typer(feedback.app, name="feedback")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cds-service {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Options of the program itself."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command line (default: the process's own) and exits with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """The exit code of one command line. Nothing escapes: neither an exception nor a traceback."""
    try:
        ended: Any = app(args=list(arguments), prog_name="cds-service", standalone_mode=False)
        return ended if isinstance(ended, int) else ends.DONE
    except CdsServiceError as error:
        ends.tell(ends.sentence(error))
        return ends.code_of(error)
    except (KeyboardInterrupt, typer.Abort):
        return ends.INTERRUPTED
    except Exception as error:
        if callable(usage := getattr(error, "format_message", None)):
            ends.tell(f"{usage()} (cds-service --help shows what there is)")
            return ends.BAD_INPUT
        ends.tell(ends.defect(error))
        return ends.CHECK_FAILED
