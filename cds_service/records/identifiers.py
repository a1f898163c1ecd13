"""Whether identifiers name the same person. Pure; elements of any shape are taken, and nothing raises.

- The same value of the same system is the same person, however the system's URI is written.
- So is the same CPF or CNS, the Brazilian national numbers, under whatever systems: the RNDS gives a Patient's under a
  naming system, and that of a subject under the URI of a profile, one for both numbers.
- Different values of one system are different persons, unless one could be the other mistyped, or they may be one
  person's all the same: a CPF and a CNS, or two CNS, of which many people have several.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cds_service.terminology.system_uris import uri_key

SAME: Final = "same"
DIFFERENT: Final = "different"
DOUBTFUL: Final = "doubtful"
NOT_COMPARABLE: Final = "not comparable"

_PUNCTUATION: Final = re.compile(r"[\W_]+")
_CPF, _CNS = "cpf", "cns"


def compared(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What the `identifier`s of two elements say: same, different, doubtful, or not comparable."""
    mine, theirs = list(_identifiers(one)), list(_identifiers(other))
    found = {_pair(a, b) for a in mine for b in theirs}
    return next((each for each in (SAME, DOUBTFUL, DIFFERENT) if each in found), NOT_COMPARABLE)


def _pair(one: tuple[str, str], other: tuple[str, str]) -> str:
    number = _national(one[1])
    if one == other or (number is not None and number == _national(other[1])):
        return SAME
    if one[0] != other[0] or not one[0]:
        return NOT_COMPARABLE
    kinds = {found[0] if (found := _national(value)) else None for value in (one[1], other[1])}
    if kinds in ({_CPF, _CNS}, {_CNS}) or _bare(one[1]) == _bare(other[1]):
        return DOUBTFUL
    return DIFFERENT


def _identifiers(element: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    listed = element.get("identifier")
    for entry in listed if isinstance(listed, list) else [listed]:
        system, value = (entry.get("system"), entry.get("value")) if isinstance(entry, dict) else (None, None)
        if isinstance(value, str) and value.strip():
            yield uri_key(system) if isinstance(system, str) else "", value.strip()


def _bare(value: str) -> str:
    return _PUNCTUATION.sub("", value).casefold().lstrip("0")


def _national(value: str) -> tuple[str, str] | None:
    """(which, digits) of a CPF or CNS with valid check digits."""
    digits = _PUNCTUATION.sub("", value)
    if not (digits.isascii() and digits.isdigit()) or len(set(digits)) == 1:
        return None
    if len(digits) == 15 and digits[0] in "12789" and _weighted(digits, 15) % 11 == 0:
        return _CNS, digits
    if len(digits) == 11 and all(
        _weighted(digits[:length], length + 1) * 10 % 11 % 10 == int(digits[length]) for length in (9, 10)
    ):
        return _CPF, digits
    return None


def _weighted(digits: str, first: int) -> int:
    """The sum of the digits, each times its weight: `first` for the first, one less for each further."""
    return sum(int(digit) * (first - place) for place, digit in enumerate(digits))
