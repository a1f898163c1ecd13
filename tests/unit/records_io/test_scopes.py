"""Scopes compared with a type before it is asked for: App Launch 2.x to the letter, and 1.0 as 2.x reads it."""

from __future__ import annotations

import itertools
from typing import Final

import pytest

from cds_service.records.scopes import lacks, narrows

FREE, NARROW, REFUSED = "free", "narrow", "refused"


def standing(scope: str | None, resource_type: str = "Observation") -> str:
    if lacks(scope, resource_type):
        assert not narrows(scope, resource_type)
        return REFUSED
    return NARROW if narrows(scope, resource_type) else FREE


# Of a search of Observations.
SEARCHED: Final = [
    # No scope of resources: nothing is said, so the server is asked.
    (None, FREE),
    ("", FREE),
    ("launch openid fhirUser launch/patient offline_access", FREE),
    # 1.0, as 2.x reads it: read is rs, write cud, * cruds.
    ("patient/Observation.read", FREE),
    ("patient/*.read", FREE),
    ("user/Observation.*", FREE),
    ("system/*.*", FREE),
    ("patient/Observation.write", REFUSED),
    ("patient/*.write", REFUSED),
    # 2.x: a search needs s; what it finds comes whole with it, and reading by id alone allows no search.
    ("patient/Observation.rs", FREE),
    ("patient/Observation.s", FREE),
    ("patient/Observation.cruds", FREE),
    ("patient/Observation.r", REFUSED),
    ("patient/Observation.crud", REFUSED),
    ("user/*.s", FREE),
    ("system/Observation.rs", FREE),
    # Several words of one type mean what they mean together.
    ("patient/Observation.r patient/Observation.s", FREE),
    ("patient/Observation.r user/Observation.rs", FREE),
    ("patient/*.r patient/Observation.s", FREE),
    ("patient/Condition.rs patient/Patient.r", REFUSED),
    # Out of order, not of the set, twice, empty: undefined, and so nothing granted.
    ("patient/Patient.r patient/Observation.sr", REFUSED),
    ("patient/Patient.r patient/Observation.dus", REFUSED),
    ("patient/Patient.r patient/Observation.rss", REFUSED),
    ("patient/Patient.r patient/Observation.", REFUSED),
    ("patient/Patient.r patient/Observation.rsx", REFUSED),
    ("patient/Patient.r patient/Observation", REFUSED),
    ("patient/Patient.r group/Observation.rs", REFUSED),
    ("patient/Patient.r patient/Observations.rs", REFUSED),
    ("patient/Patient.r xpatient/Observation.rs", REFUSED),
    # Case tells words apart.
    ("patient/Patient.r patient/observation.rs", REFUSED),
    ("patient/Patient.r Patient/Observation.rs", REFUSED),
    ("patient/Patient.r patient/Observation.READ", REFUSED),
    # Nothing but undefined words: as good as no scope of resources.
    ("patient/observation.sr", FREE),
    # Filters: what comes may be a part of it, unless another word grants it without one.
    ("patient/Observation.rs?category=laboratory", NARROW),
    ("patient/*.rs?_security=N", NARROW),
    ("patient/Observation.read?category=laboratory", NARROW),
    ("patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs", NARROW),
    ("patient/Observation.rs?category=laboratory patient/*.rs", FREE),
    ("patient/Observation.r patient/Observation.s?category=laboratory", NARROW),
    ("patient/Observation.r?category=laboratory patient/Observation.s", FREE),
    ("patient/Observation.r?category=laboratory", REFUSED),
    ("patient/Observation.rs?", FREE),
    # White space of every kind stands between words.
    ("patient/Patient.r\tpatient/Observation.rs\n", FREE),
]


@pytest.mark.parametrize(("scope", "expected"), SEARCHED)
@pytest.mark.proves("checklist:15")
def test_what_a_scope_says_of_a_search(scope: str | None, expected: str) -> None:
    assert standing(scope) == expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("patient/Patient.r", FREE),
        ("patient/Patient.rs", FREE),
        ("patient/Patient.read", FREE),
        ("patient/Patient.s", REFUSED),
        ("patient/Observation.rs", REFUSED),
        ("user/*.cruds", FREE),
        # A Patient that was read is whole, whatever filter let it through.
        ("patient/Patient.r?_id=1", FREE),
    ],
)
def test_the_patient_is_read_by_its_id(scope: str, expected: str) -> None:
    assert standing(scope, "Patient") == expected


@pytest.mark.parametrize("kind", ["Medication", "ResearchStudy", "Substance", "Practitioner"])
def test_what_belongs_to_no_patient_comes_by_reading_or_searching(kind: str) -> None:
    for permissions, expected in (("r", FREE), ("s", FREE), ("rs", FREE), ("cud", REFUSED)):
        assert standing(f"patient/{kind}.{permissions}", kind) == expected
    assert standing("patient/MedicationRequest.rs patient/ResearchSubject.rs", kind) == REFUSED


def test_every_part_of_cruds_in_its_order_is_a_permission_and_no_other() -> None:
    for length in range(1, 6):
        for letters in itertools.permutations("cruds", length):
            word = "".join(letters)
            in_order = word == "".join(letter for letter in "cruds" if letter in word)
            found = standing(f"patient/Patient.r patient/Observation.{word}")
            assert found == (FREE if in_order and "s" in word else REFUSED), word
