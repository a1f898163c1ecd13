"""Check digits of LOINC (Mod 10) and SNOMED CT (Verhoeff). Pure; systems without a check digit always pass."""

from __future__ import annotations

import re

from cds_service.terminology.systems import LOINC, SNOMED

_LOINC = re.compile(r"([0-9]+)-([0-9])")
_LOINC_OTHER = re.compile(r"(?:LA|LP|LL|LG)[0-9]+-[0-9]")
_SNOMED = re.compile(r"[1-9][0-9]{5,17}")
_MULTIPLY = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_PERMUTE = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)


def has_valid_check_digit(system: str, code: str) -> bool:
    """Whether a LOINC or SNOMED CT code passes its check digit; True for every other system."""
    if system == LOINC:
        return is_loinc(code)
    if system == SNOMED:
        return is_snomed(code)
    return True


def is_loinc(code: str) -> bool:
    """LOINC term codes by Mod 10; parts, answers, lists and groups (LP, LA, LL, LG) by their form alone.

    https://loinc.org/kb/users-guide/calculating-mod-10-check-digits/
    """
    match = _LOINC.fullmatch(code)
    if match is None:
        return _LOINC_OTHER.fullmatch(code) is not None
    total = 0
    for place, digit in enumerate(reversed(match[1])):
        doubled = int(digit) * (1 if place % 2 else 2)
        total += doubled - 9 if doubled > 9 else doubled
    return (10 - total % 10) % 10 == int(match[2])


def is_snomed(code: str) -> bool:
    """SNOMED CT identifiers, 6 to 18 digits, by Verhoeff.

    https://confluence.ihtsdotools.org/display/DOCRELFMT/6.3+Check-digit
    """
    if _SNOMED.fullmatch(code) is None:
        return False
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = _MULTIPLY[check][_PERMUTE[place % 8][int(digit)]]
    return check == 0
