"""`trial`: what an author of trials and a site do with trial packages: list, check, translate, export.

Error policy: a package that can't be loaded ends with 2 and its place; a check that found something with 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from cds_service.app import load_screener
from cds_service.cli import ends
from cds_service.cli.vignettes import differences
from cds_service.eligibility.catalog import trial_folders
from cds_service.eligibility.questionnaire import attestation_questionnaire
from cds_service.eligibility.trial import Trial, read_trial
from cds_service.errors import InputError, NotFoundError
from cds_service.rendering.criteria_table import criteria_table, with_table
from cds_service.screening import Screener
from cds_service.settings import Settings, load_settings
from cds_service.translation import stale, translate_folder

TRANSLATOR: Final = "http://127.0.0.1:8080"
COMMON: Final = "common"

app = typer.Typer(
    help="Work with trial packages.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)
Config = Annotated[Path | None, typer.Option(help="The configuration file.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[TRIAL]...", help="Trials; default: all.")]


@app.command("list")
def list_trials(config: Config = None) -> None:
    """Show every known trial: its id, version, registry status and title."""
    screener = load_screener(load_settings(config))
    for trial in screener.catalog.trials.values():
        typer.echo(f"{trial.id}  {trial.version}  {trial.title}")
        typer.echo(f"    {len(trial.criteria)} criteria in {len(trial.rows)} rows; {trial.registry.url}")
        typer.echo(
            f"    {trial.registry.warning or f'recruitment confirmed on {trial.registry.recruiting_confirmed}'}"
        )


@app.command()
def check(trials: Ids = None, config: Config = None) -> None:
    """Load trials, compare their ELM with their CQL, and assess their test patients (vignettes)."""
    settings = load_settings(config)
    screener = load_screener(settings)
    chosen = list(_chosen(settings, screener, trials or []))
    findings = [f"{COMMON}: {finding}" for finding in stale(_builtin() / COMMON)]
    for trial_id, folder in chosen:
        vignettes = list(differences(screener, trial_id, folder / "vignettes"))
        agreeing = sum(not found for _, found in vignettes)
        typer.echo(f"{trial_id}: {agreeing} of {len(vignettes)} vignettes as expected")
        findings += [f"{trial_id}: {finding}" for finding in stale(folder)]
        findings += [f"{trial_id}: {name}: {sentence}" for name, found in vignettes for sentence in found]
    for finding in findings:
        typer.echo(finding)
    if findings:
        ends.tell(f"{len(findings)} {'finding' if len(findings) == 1 else 'findings'}.")
        raise typer.Exit(ends.CHECK_FAILED)


@app.command()
def translate(
    trials: Ids = None,
    translator: Annotated[str, typer.Option(metavar="URL", help="A cql-translation-service.")] = TRANSLATOR,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for an answer.")] = 120.0,
    config: Config = None,
) -> None:
    """Translate trials' CQL and write the ELM beside it, with the hash of the CQL that it comes from."""
    for folder, shared in _sources(load_settings(config), trials or []):
        for path in translate_folder(folder, translator, includes=shared, timeout=timeout):
            typer.echo(f"wrote {path}")


@app.command()
def export(
    trial: Annotated[
        str | None, typer.Argument(metavar="[TRIAL]", help="The trial, where several are known.")
    ] = None,
    questionnaire: Annotated[
        bool, typer.Option("--questionnaire", help="The FHIR Questionnaire of what only people know.")
    ] = False,
    criteria: Annotated[
        bool,
        typer.Option("--criteria-table", help="The criteria and what they are computed from, in Markdown."),
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --criteria-table: put it between its markers in this document."
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Print a part of a trial: its questionnaire as FHIR JSON, or its criteria as a table."""
    if questionnaire == criteria:
        raise InputError("Say what to export: --questionnaire or --criteria-table.")
    if into is not None and not criteria:
        raise InputError("--into goes with --criteria-table.")
    catalog = load_screener(load_settings(config)).catalog
    if trial is None and len(catalog.trials) != 1:
        raise InputError(f"Name the trial; known are {', '.join(catalog.trials)}.")
    chosen = catalog.get(trial or next(iter(catalog.trials))).trial
    if into is not None:
        _put_table(chosen, into)
    elif criteria:
        ends.write(criteria_table(chosen).encode())
    else:
        shown = attestation_questionnaire(chosen)
        ends.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _put_table(trial: Trial, path: Path) -> None:
    try:
        document = path.read_text(encoding="utf-8")
        path.write_text(with_table(document, trial), encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read or written as UTF-8 text ({type(error).__name__}).") from None
    typer.echo(f"wrote {path}")


def _chosen(settings: Settings, screener: Screener, wanted: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """The folders of the wanted trials (none named: all), with the id of the trial in each."""
    for trial_id in wanted:
        screener.catalog.get(trial_id)
    for folder in _folders(settings):
        trial_id = read_trial(folder / "trial.toml").id
        if not wanted or trial_id in wanted:
            yield trial_id, folder


def _sources(settings: Settings, wanted: Sequence[str]) -> Iterator[tuple[Path, Sequence[Path]]]:
    """The folders to translate by their names (none named: all), each with those that it may include.

    A trial needs no ELM yet to be found here; what all trials share goes by the name `common`.
    """
    common = _builtin() / COMMON
    folders = {COMMON: common, **{folder.name: folder for folder in _folders(settings)}}
    if unknown := [name for name in wanted if name not in folders]:
        raise NotFoundError(f"There is no trial folder {unknown[0]!r}; there are {', '.join(folders)}.")
    for name in dict.fromkeys(wanted or folders):
        yield folders[name], () if name == COMMON else (common,)


def _folders(settings: Settings) -> Iterator[Path]:
    return (Path(str(folder)) for folder in trial_folders(settings.service.trials_dir))


def _builtin() -> Path:
    return Path(str(files("cds_service") / "trials"))
