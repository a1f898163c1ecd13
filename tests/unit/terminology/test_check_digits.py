"""Check digits of LOINC and SNOMED CT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.terminology.check_digits import has_valid_check_digit, is_loinc, is_snomed
from cds_service.terminology.systems import ICD10, LOINC, SNOMED


@pytest.mark.parametrize(
    ("system", "code", "valid"),
    [
        (LOINC, "1742-6", True),
        (LOINC, "1742-5", False),
        (LOINC, "42595-9", True),
        (LOINC, "42595-7", False),  # seen in public code lists
        (LOINC, "82953-1", True),
        (LOINC, "LA6576-8", True),
        (LOINC, "1742", False),
        (LOINC, "", False),
        (SNOMED, "86044005", True),
        (SNOMED, "86044006", False),
        (SNOMED, "103851000119100", True),
        (SNOMED, "86044", False),
        (SNOMED, "086044005", False),
        (ICD10, "anything", True),
    ],
)
def test_check_digit(system: str, code: str, valid: bool) -> None:
    assert has_valid_check_digit(system, code) is valid


@given(st.integers(min_value=1, max_value=10**7))
def test_exactly_one_check_digit_fits_a_loinc_number(number: int) -> None:
    assert sum(is_loinc(f"{number}-{digit}") for digit in range(10)) == 1


@given(st.integers(min_value=10**5, max_value=10**16), st.integers(0, 8))
def test_verhoeff_finds_each_swap_of_neighbours(number: int, at: int) -> None:
    code = next(text for digit in range(10) if is_snomed(text := f"{number}{digit}"))
    at %= len(code) - 1
    swapped = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    assert swapped == code or swapped.startswith("0") or not is_snomed(swapped)
