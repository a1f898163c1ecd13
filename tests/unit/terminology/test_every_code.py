"""Every code of the clinical table, as committed in `valuesets/`: how many, well-formed, and with the checked display.

`checked_displays.json` holds, by set, the number of verified codes and a fingerprint of their displays; a changed
display is a change of a code that somebody had checked. After a deliberate change of the table:

    python -m tests.unit.terminology.test_every_code codes.csv
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cds_service.terminology import systems
from cds_service.terminology.value_sets import load_value_sets, value_set_url
from tools import generate_valuesets as generator
from tools.generate_valuesets import Row

CHECKED = Path(__file__).with_name("checked_displays.json")
TABLE = json.loads(CHECKED.read_text(encoding="utf-8")) if CHECKED.exists() else {}
SETS = sorted(TABLE)
# The rows of the table; sets that the project makes beside it are another matter.
ROWS = [
    row for row in generator.rows_of_value_sets(generator.REPOSITORY / "valuesets") if row.value_set in TABLE
]
VALUE_SETS = load_value_sets()


def fingerprints(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """Number and fingerprint of the verified codes with their displays, by set."""
    by_set: dict[str, list[str]] = {}
    for row in rows:
        by_set.setdefault(row.value_set, [])
        if row.status == "VERIFIED":
            by_set[row.value_set].append(f"{row.criterion}|{row.system}|{row.code}|{row.display}")
    return {
        name: {
            "verified": len(lines),
            "sha256": hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest(),
        }
        for name, lines in sorted(by_set.items())
    }


def test_no_code_of_the_table_is_missing() -> None:
    """2,200 rows, of which 5 may not be shipped."""
    assert len(ROWS) == 2200 - 5
    assert Counter(row.status for row in ROWS) == {"VERIFIED": 2166, "UNVERIFIED": 29}
    assert Counter(row.system for row in ROWS) == {
        systems.ICD10CM: 643,
        systems.ICD10: 466,
        systems.SNOMED: 443,
        systems.LOINC: 223,
        systems.ATC: 180,
        systems.RXNORM: 122,
        systems.ICD10PCS: 72,
        systems.OBSERVATION_INTERPRETATION: 19,
        systems.CVX: 12,
        systems.ICD9CM: 9,
        systems.HCPCS: 6,
    }


def luhn(code: str) -> bool:
    """LOINC's check digit, by the textbook: double every second digit from the right, sum the digits, Mod 10."""
    number, _, check = code.partition("-")
    doubled = [int(d) * (2 if n % 2 == 0 else 1) for n, d in enumerate(reversed(number))]
    return (sum(sum(map(int, str(d))) for d in doubled) + int(check)) % 10 == 0


# The dihedral group of ten elements and Verhoeff's permutation, from their definitions.
def product(a: int, b: int) -> int:
    turned = (a % 5 + (b % 5 if a < 5 else -(b % 5))) % 5
    return turned + 5 * ((a < 5) != (b < 5))


def verhoeff(code: str) -> bool:
    """SNOMED CT's check digit, in the group instead of by a table."""
    once = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    total = 0
    for place, digit in enumerate(reversed(code)):
        value = int(digit)
        for _ in range(place % 8):
            value = once[value]
        total = product(total, value)
    return total == 0


@pytest.mark.parametrize("name", SETS)
def test_every_code_with_a_check_digit_has_the_right_one(name: str) -> None:
    """By a second implementation of both schemes, independent of the generator's."""
    for row in ROWS:
        if row.value_set != name:
            continue
        if row.system == systems.LOINC and not row.code.startswith("LA"):
            assert luhn(row.code), row.code
        if row.system == systems.SNOMED:
            assert 6 <= len(row.code) <= 18, row.code
            assert verhoeff(row.code), row.code


@pytest.mark.parametrize("name", SETS)
def test_every_verified_code_keeps_its_display(name: str) -> None:
    assert fingerprints(row for row in ROWS if row.value_set == name)[name] == TABLE[name]


@pytest.mark.parametrize("name", SETS)
def test_every_code_is_found_with_its_display_and_its_mark(name: str) -> None:
    """What the running service knows of each row: the set lists it, with the table's words, marked if unverified."""
    listed = {(c.system, c.code): c.display for c in VALUE_SETS.expand(value_set_url(name))}
    for row in ROWS:
        if row.value_set == name:
            assert listed[row.system, row.code] == row.display
            assert VALUE_SETS.is_unverified(row.system, row.code) or row.status == "VERIFIED", row.code


if __name__ == "__main__":
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as handle:
        rows = [Row(*(line[column] for column in generator.COLUMNS)) for line in csv.DictReader(handle)]
    table = fingerprints(generator.shippable(rows))
    CHECKED.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
