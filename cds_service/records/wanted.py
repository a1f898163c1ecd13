"""What is to be got of a patient's chart: resource types, and how Observations are asked for where all of them are
refused. Pure data.
"""

from __future__ import annotations

from collections.abc import Iterable
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
        return together((self, other))


def together(each: Iterable[Wanted]) -> Wanted:
    """All of these, nothing twice."""
    many = tuple(each)
    codes = {one.observation_codes for one in many if one.observation_codes}
    return Wanted(
        frozenset().union(*(one.types for one in many)),
        codes.pop() if len(codes) == 1 else tuple(sorted(frozenset().union(*codes))),
    )
