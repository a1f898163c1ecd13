"""screen(record, trials, as_of) → assessments: the one path that card, page, command line and population share.

No I/O and no clock: a Screener holds what was loaded once (trials, value sets, mappings); threads may share it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from cds_service import __version__
from cds_service.eligibility import assess as assessing
from cds_service.eligibility.assessment import Assessment
from cds_service.eligibility.catalog import Catalog, LoadedTrial, SiteTrial, load_catalog
from cds_service.elm import AtRest, DateTime, Session
from cds_service.records.normalise import Mappings, load_mappings, normalise
from cds_service.records.record import PatientRecord
from cds_service.records.retriever import RecordRetriever
from cds_service.records.wanted import Wanted, together
from cds_service.terminology.value_sets import ValueSets, load_value_sets

_DAYS: Final = 4


class Screener:
    """The loaded trials, and how one patient's record becomes their assessments."""

    def __init__(
        self, catalog: Catalog, value_sets: ValueSets, mappings: Mappings, timezone: ZoneInfo
    ) -> None:
        self.catalog = catalog
        self.value_sets = value_sets
        self.mappings = mappings
        self.timezone = timezone
        # For a few days at a time: the screening day and, about midnight or in another's question, its neighbours.
        self._at_rest = lru_cache(maxsize=_DAYS)(self._resting)
        self._provenance = {trial_id: self._stamp(loaded) for trial_id, loaded in catalog.loaded.items()}

    @classmethod
    def load(
        cls,
        *,
        timezone: str = "America/Sao_Paulo",
        trials_dir: Path | None = None,
        concept_maps_dir: Path | None = None,
        sites: Mapping[str, SiteTrial] | None = None,
    ) -> Screener:
        """Load everything once. AuthoringError or ConfigurationError say what is wrong and where."""
        value_sets = load_value_sets()
        mappings = load_mappings(value_sets, extra_dir=concept_maps_dir)
        catalog = load_catalog(value_sets, mappings, trials_dir=trials_dir, sites=sites)
        return cls(catalog, value_sets, mappings, ZoneInfo(timezone))

    def screen(
        self,
        record: PatientRecord,
        trial_ids: Sequence[str] | None,
        as_of: date,
        *,
        explain: Collection[str] = (),
    ) -> list[Assessment]:
        """One Assessment a trial (None: every trial), in the order asked for, with the criteria `explain` explained."""
        chosen = self._chosen(trial_ids)
        normalised, session = self._prepare(record, as_of)
        return [
            assessing.assess(
                loaded,
                normalised,
                session,
                as_of=as_of,
                provenance=self._provenance[loaded.trial.id],
                names=self.value_sets,
                explain=explain,
            )
            for loaded in chosen
        ]

    def gates_open(self, record: PatientRecord, trial_ids: Sequence[str] | None, as_of: date) -> list[str]:
        """The ids of the trials whose gate is open on what has been gathered so far (Patient and the gate's types)."""
        chosen = self._chosen(trial_ids)
        normalised, session = self._prepare(record, as_of)
        return [
            loaded.trial.id
            for loaded in chosen
            if assessing.gate_open(loaded, normalised, session, as_of=as_of, names=self.value_sets)
        ]

    def wanted(self, trial_ids: Sequence[str] | None = None) -> Wanted:
        """What these trials read, together."""
        return together(each.needs.wanted for each in self._chosen(trial_ids))

    def wanted_by_gates(self, trial_ids: Sequence[str] | None = None) -> Wanted:
        """What these trials' gates read, together."""
        return together(each.needs.wanted_by_gate for each in self._chosen(trial_ids))

    def _chosen(self, trial_ids: Sequence[str] | None) -> list[LoadedTrial]:
        """The trials of these ids, in that order; None: every trial."""
        return [self.catalog.get(each) for each in (self.catalog.loaded if trial_ids is None else trial_ids)]

    def _prepare(self, record: PatientRecord, as_of: date) -> tuple[PatientRecord, Session]:
        normalised = normalise(record, self.mappings, timezone=self.timezone, as_of=as_of)
        at_rest = self._at_rest(as_of)
        retriever = RecordRetriever(normalised, self.value_sets)
        return normalised, Session(
            retriever=retriever, patient=normalised.patient, now=at_rest.now, at_rest=at_rest
        )

    def _resting(self, as_of: date) -> AtRest:
        return AtRest(now=self._noon(as_of))

    def _noon(self, as_of: date) -> DateTime:
        return DateTime.from_datetime(datetime(as_of.year, as_of.month, as_of.day, 12, tzinfo=self.timezone))

    def _stamp(self, loaded: LoadedTrial) -> dict[str, str]:
        """What an assessment rests on; `parameters` only where the site set some otherwise than the trial,
        `conceptMaps` only where it has some of its own.
        """
        changed = loaded.parameters.changed
        own_maps = self.mappings.concept_maps.site_sha256
        set_here = ", ".join(f"{name} = {value}" for name, value in changed.items())
        return {
            "cql": f"sha256:{loaded.cql_sha256}",
            "elm": f"sha256:{loaded.library.elm_sha256}",
            "valueSets": f"sha256:{self.value_sets.sha256}",
            **({"conceptMaps": f"sha256:{own_maps}"} if own_maps else {}),
            "engine": f"cds-service {__version__}",
            **({"parameters": set_here} if changed else {}),
        }
