"""Companions: resources that belong to no patient and are reached by reference (Medication, Substance, Device,
ResearchStudy), fetched by id where what refers to them came without them.

Only ids on the server itself are asked for: a reference to another server is never followed. Error policy: nothing
raises. What the server does not have (404, 410) is simply not there; whatever else keeps a companion away is the state
of its type, so that nobody takes it for one that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from cds_service.records.fhir_transport import Deadline, PooledClient
from cds_service.records.prefetch import Obtained
from cds_service.records.references import References

Resource = dict[str, Any]

# Who refers to whom, by which element, as far as normalisation follows it (`items`, `participation`).
_REFERRING: Final[Mapping[str, tuple[tuple[str, ...], frozenset[str]]]] = MappingProxyType(
    {
        "MedicationRequest": (("medicationReference",), frozenset({"Medication"})),
        "MedicationStatement": (("medicationReference",), frozenset({"Medication"})),
        "MedicationAdministration": (("medicationReference",), frozenset({"Medication"})),
        "MedicationDispense": (("medicationReference",), frozenset({"Medication"})),
        "Medication": (("ingredient", "itemReference"), frozenset({"Medication", "Substance"})),
        "DeviceUseStatement": (("device",), frozenset({"Device"})),
        "DeviceRequest": (("codeReference",), frozenset({"Device"})),
        "SupplyDelivery": (
            ("suppliedItem", "itemReference"),
            frozenset({"Medication", "Substance", "Device"}),
        ),
        "ResearchSubject": (("study",), frozenset({"ResearchStudy"})),
    }
)


def lacking(resources: Mapping[str, Sequence[Resource]], known: References) -> dict[str, frozenset[str]]:
    """Type → ids of the companions that these resources refer to on their own server and that are not among them.

    `resources`: everything got so far by type, companions and included resources with it. `known`: made of the same
    resources with their fullUrls and the server's base URL (`References.of`). A type of which nothing lacks is absent.
    Not to be asked again in the same call: the ids given to `complete` once.
    """
    raise NotImplementedError


def complete(
    client: PooledClient,
    lacking: Mapping[str, frozenset[str]],
    deadline: Deadline,
    *,
    scope: str | None = None,
    parallel: int = 8,
) -> dict[str, Obtained]:
    """Fetches what `lacking` names, and in turn what that refers to; by type what came, and whether it is all.

    To be merged with what was got of each type before: the resources of both, the worse state. `scope`: of the token;
    a type that it leaves out is refused without asking. Never takes longer than until the deadline.
    """
    raise NotImplementedError
