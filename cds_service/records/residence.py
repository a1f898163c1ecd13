"""Where a patient lives, in Brazil's codes: the RNDS writes state and municipality as numbers of the IBGE.

Its addresses (BREndereco) hold `"state": "35", "city": "355030"` and no country. A state that its municipality's number
begins with becomes the two letters that sites list their states by. No errors; any other address stays as it is.
"""

from __future__ import annotations

from typing import Any, Final

_STATES: Final = {
    "11": "RO", "12": "AC", "13": "AM", "14": "RR", "15": "PA", "16": "AP", "17": "TO",
    "21": "MA", "22": "PI", "23": "CE", "24": "RN", "25": "PB", "26": "PE", "27": "AL", "28": "SE", "29": "BA",
    "31": "MG", "32": "ES", "33": "RJ", "35": "SP",
    "41": "PR", "42": "SC", "43": "RS",
    "50": "MS", "51": "MT", "52": "GO", "53": "DF",
}  # fmt: skip


def with_states(patient: dict[str, Any]) -> dict[str, Any]:
    """The Patient (tidied) with the states of its addresses in letters; itself where none is a number."""
    listed = patient.get("address", [])
    addresses = [_with_state(address) for address in listed]
    if all(new is old for new, old in zip(addresses, listed, strict=True)):
        return patient
    return {**patient, "address": addresses}


def _with_state(address: dict[str, Any]) -> dict[str, Any]:
    number, city = address.get("state", ""), address.get("city", "")
    is_municipality = len(city) in (6, 7) and city.isascii() and city.isdigit() and city[:2] == number
    letters = _STATES.get(number) if is_municipality else None
    return address if letters is None else {**address, "state": letters}
