"""Every code of every set whose name says that it decides nothing, found by name, so that none is forgotten (§6.1).

A set named …Exclude, …DoNotUse or …AllowList triggers nothing: with such a code in every kind of resource that its
criterion could read, the verdict is the one without it. A set named …Review, …Ambiguous, …Uncertain or …Hint gives
unknown somewhere, and nowhere more; of one that the project makes beside the table's, a note is enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.builders import (
    ATC,
    HCPCS,
    ICD10PCS,
    LOINC,
    RXNORM,
    SNOMED,
    Json,
    Resource,
    b0,
    condition,
    device,
    device_use_statement,
    lab,
    medication_administration,
    medication_dispense,
    medication_request,
    medication_statement,
    minimal,
    observation,
    patient,
    procedure,
    serology,
    supply_delivery,
    value_quantity,
    woman,
)
from tests.trials.assessing import assess, criterion
from tests.trials.criteria import CRITERIA, INCLUSIONS

SETTLED = ("Exclude", "DoNotUse", "AllowList")
OPEN = ("Review", "Ambiguous", "Uncertain", "Hint")
# The names of the table's sets.
TABLE = json.loads(
    (Path(__file__).parents[1] / "unit/terminology/checked_displays.json").read_text(encoding="utf-8")
)
WOMAN = patient(gender="female", birth_date="1991-11-02", given="Maria")


@cache
def sets_named(*words: str) -> tuple[tuple[str, str, tuple[tuple[str, str, str], ...]], ...]:
    """(set, criterion, codes) of the repository's sets whose name has one of these words; SETTLED ones go first."""
    found = []
    for entry in sorted(files("valuesets").iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".json"):
            continue
        value_set = json.loads(entry.read_text(encoding="utf-8"))
        name = value_set["name"]
        kind = SETTLED if any(word in name for word in SETTLED) else OPEN
        if kind != words or not any(word in name for word in words):
            continue
        owner = value_set["useContext"][0]["valueCodeableConcept"]["coding"][0]["code"]
        codes = tuple(
            (include["system"], concept["code"], concept["display"])
            for include in value_set["compose"]["include"]
            for concept in include.get("concept", ())
        )
        found.append((name, owner, codes))
    return tuple(found)


def sets(*words: str) -> list[Any]:
    """The sets as parameters of a test."""
    return [pytest.param(name, owner, codes, id=name) for name, owner, codes in sets_named(*words)]


# Some codes of these criteria say something only beside words (§5, EX03g).
WORDS = {"EX03g-HipFracture": "fratura de quadril consolidada"}


def told(system: str, code: str, display: str, words: str | None = None) -> Iterator[Resource]:
    """The code wherever its system belongs, and as bad as it can be: current, done, in use, taken, abnormal."""
    coded: Json = {"system": system, "code": code, "display": display}
    if system in (RXNORM, ATC):
        yield medication_request(coded, authored="2026-06-01")
        yield medication_statement(coded, start="2026-05-01")
        yield medication_administration(coded, on="2026-06-10")
        yield medication_dispense(coded, handed_over="2026-06-01", days=30)
        return
    if system in (SNOMED, HCPCS, ICD10PCS):
        yield procedure(coded, on="2026-05-20")
    if system in (SNOMED, HCPCS):
        yield device(coded, id="the-device")
        yield device_use_statement("Device/the-device", timingPeriod={"start": "2026-05-01"})
        yield supply_delivery(coded, on="2026-05-20")
    if system in (SNOMED, LOINC):
        yield serology(coded, "pos", on="2026-06-13", id="positive")
        yield lab(coded, 500, "U/L", high=40, on="2026-06-13", id="enzyme")
        yield lab(coded, 9, "mg/dL", high=1.2, on="2026-06-13", id="mass")
        yield observation(coded, value_quantity(20, "%"), on="2026-06-13", id="percent")
        yield lab(coded, 100, "mg/dL", low=700, on="2026-06-13", id="low")
    if system not in (LOINC, HCPCS, ICD10PCS):
        yield condition(coded, recorded="2026-05-20")
        if words:
            yield condition(coded, text=words, recorded="2026-05-20")


def records(owner: str, facts: list[Resource]) -> Iterator[Resource]:
    """The facts beside a complete reassuring record, and beside nothing but ALS."""
    if owner.startswith("EX10"):
        yield b0(serology("2106-3", "neg", on="2026-06-12"), facts, who=WOMAN)
        yield woman(facts)
    else:
        yield b0(facts)
        yield minimal(facts)


def verdicts(owner: str, facts: list[Resource]) -> list[tuple[str, frozenset[str]]]:
    rows = (criterion(assess(record), owner) for record in records(owner, facts))
    return [(row["status"], frozenset(row["reasons"])) for row in rows]


@pytest.mark.parametrize(("name", "owner", "codes"), sets(*SETTLED))
def test_no_code_of_the_set_triggers_anything(
    name: str, owner: str, codes: tuple[tuple[str, str, str], ...]
) -> None:
    assert codes
    without = verdicts(owner, [])
    changed = [(code, found) for code in codes if (found := verdicts(owner, list(told(*code)))) != without]
    assert changed == [], f"without: {without}"


@pytest.mark.parametrize(("name", "owner", "codes"), sets(*OPEN))
def test_every_code_of_the_set_gives_unknown_and_no_more(
    name: str, owner: str, codes: tuple[tuple[str, str, str], ...]
) -> None:
    assert codes
    decisive = "not-met" if owner in INCLUSIONS else "met"
    wrong = []
    for code in codes:
        statuses = {status for status, _ in verdicts(owner, list(told(*code, WORDS.get(owner))))}
        if decisive in statuses or (name in TABLE and "unknown" not in statuses):
            wrong.append((code, statuses))
    assert wrong == []


def test_every_set_belongs_to_a_criterion_of_the_trial() -> None:
    owners = {owner for words in (SETTLED, OPEN) for _, owner, _ in sets_named(*words)}
    assert owners <= set(CRITERIA)
    assert (
        len(sets_named(*SETTLED)) + len(sets_named(*OPEN)) >= 43
    )  # of the table; others may stand beside it
