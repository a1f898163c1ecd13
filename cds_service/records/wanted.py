"""What is to be got of a patient's chart: resource types, and how Observations are asked for where all of them are
refused. Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """What some trials need (clinical-spec §2.1).

    `types`: resource types, companions (Medication, ResearchStudy …) included; the Patient is always got.
    `observation_codes`: every code by which an Observation may answer, without system, sorted; for servers that refuse
    a search of all Observations.
    """

    types: frozenset[str] = frozenset()
    observation_codes: tuple[str, ...] = ()

    def __or__(self, other: Wanted) -> Wanted:
        codes = self.observation_codes
        if other.observation_codes != codes:
            codes = tuple(sorted({*codes, *other.observation_codes}))
        return Wanted(self.types | other.types, codes)
