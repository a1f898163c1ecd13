"""The trials that this service knows: packages read, their CQL compiled, once, at load.

Error policy: whatever is wrong in a package (trial.toml, ELM, value sets, parameters) raises AuthoringError or
ConfigurationError and stops the start; a service never runs with half a trial.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from cds_service.eligibility.needs import LoadedNeeds, derive_needs
from cds_service.eligibility.parameters import Parameters, bind
from cds_service.eligibility.trial import Trial, read_trial
from cds_service.elm import Library, LibrarySet, Terminology
from cds_service.elm.reading import read_unit
from cds_service.errors import AuthoringError, ConfigurationError, NotFoundError
from cds_service.records.mappings import Mappings

_SHARED: Final = "common"


@dataclass(frozen=True, slots=True)
class SiteTrial:
    """What a site's configuration says of one trial (design §5, `[trials.<id>]`).

    `origins`: where a parameter was set ("cds-service.toml, line 12"), by its path, for what must complain about it.
    """

    recruiting_confirmed: date | None = None
    contact: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadedTrial:
    """A trial with its compiled library, the hash of its CQL, what each criterion reads, and its parameters."""

    trial: Trial
    library: Library
    cql_sha256: str
    needs: LoadedNeeds
    parameters: Parameters = field(default_factory=Parameters)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All loaded trials by id, in order of their ids."""

    loaded: Mapping[str, LoadedTrial]

    @property
    def trials(self) -> Mapping[str, Trial]:
        return {trial_id: loaded.trial for trial_id, loaded in self.loaded.items()}

    def get(self, trial_id: str) -> LoadedTrial:
        """The trial of that id; NotFoundError names those that there are."""
        try:
            return self.loaded[trial_id]
        except KeyError:
            known = ", ".join(self.loaded) or "none"
            raise NotFoundError(f"There is no trial {trial_id!r}; known trials: {known}.") from None


def trial_folders(trials_dir: Path | None = None) -> Iterator[Traversable]:
    """The folders of the built-in trials, then those of a site's own directory."""
    roots: list[Traversable] = [files("cds_service") / "trials"]
    if trials_dir is not None:
        if not trials_dir.is_dir():
            raise ConfigurationError(f"trials_dir: {trials_dir} is no directory")
        roots.append(trials_dir)
    for root in roots:
        for folder in sorted(root.iterdir(), key=lambda entry: entry.name):
            if folder.is_dir() and (folder / "trial.toml").is_file():
                yield folder


def load_catalog(
    terminology: Terminology,
    mappings: Mappings,
    *,
    trials_dir: Path | None = None,
    sites: Mapping[str, SiteTrial] | None = None,
) -> Catalog:
    """Read and compile every trial. `mappings`: of records; `sites`: what the site sets, by trial."""
    sites = sites or {}
    libraries = LibrarySet(terminology)  # trials share the libraries that they have in common
    loaded: dict[str, LoadedTrial] = {}
    for folder in trial_folders(trials_dir):
        try:
            entry = _load(folder, libraries, sites, terminology, mappings)
        except AuthoringError as error:
            raise _told(folder, error) from None
        if entry.trial.id in loaded:
            raise AuthoringError(f"{folder.name}: the trial id {entry.trial.id!r} stands in two packages")
        loaded[entry.trial.id] = entry
    if unknown := set(sites) - set(loaded):
        raise ConfigurationError(
            f"[trials.{sorted(unknown)[0]}]: there is no such trial; known are {', '.join(loaded)}."
        )
    return Catalog(loaded)


def _load(
    folder: Traversable,
    libraries: LibrarySet,
    sites: Mapping[str, SiteTrial],
    terminology: Terminology,
    mappings: Mappings,
) -> LoadedTrial:
    trial = read_trial(folder / "trial.toml")
    shared = files("cds_service") / "trials"
    sources = [
        *_named(shared, ".elm.json"),
        *_named(shared / _SHARED, ".elm.json"),
        *_named(folder, ".elm.json"),
    ]
    library = libraries.load((source.read_bytes() for source in sources), main=trial.library)
    if absent := [c.id for c in trial.criteria if c.define and c.define not in library.defines]:
        raise AuthoringError(f"{folder.name}/trial.toml: the CQL has no define for {', '.join(absent)}")
    if trial.participation is not None and trial.participation not in library.defines:
        raise AuthoringError(f"{folder.name}/trial.toml: the CQL has no define {trial.participation!r}")
    site = sites.get(trial.id, SiteTrial())
    parameters = bind(
        library.parameter_types,
        trial.parameters,
        trial.parameter_rules,
        site.parameters,
        trial_id=trial.id,
        file=f"{folder.name}/trial.toml",
        origins=site.origins,
    )
    trial = trial.configured(
        recruiting_confirmed=site.recruiting_confirmed, contact=site.contact, parameters=parameters.in_force
    )
    needs = derive_needs(trial, library, terminology, mappings)
    return LoadedTrial(trial, library, _cql_hash(folder, shared / _SHARED), needs, parameters)


def _told(folder: Traversable, error: AuthoringError) -> AuthoringError:
    """The error with the package that it is in, and the file where the file itself can't be read as ELM."""
    where = folder.name
    if str(error).startswith(where):
        return error
    for source in _named(folder, ".elm.json"):
        try:
            read_unit(source.read_bytes())
        except AuthoringError:
            where = f"{folder.name}/{source.name}"
            break
    return AuthoringError(
        f"{where}: {error}",
        library=error.library,
        define=error.define,
        node_type=error.node_type,
        local_id=error.local_id,
        locator=error.locator,
    )


def _named(folder: Traversable, suffix: str) -> list[Traversable]:
    return sorted((f for f in folder.iterdir() if f.name.endswith(suffix)), key=lambda f: f.name)


def _cql_hash(*folders: Traversable) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        for source in _named(folder, ".cql"):
            digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()
