"""PatientRecord: one patient's FHIR R4 resources as plain JSON, with the account of how each type was
obtained.

Nothing here does I/O or fails. A record and its resources are never changed: whoever normalises or derives
makes copies and a new record, which remembers the resource that each copy came from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

COMPLETE = "complete"
FAILED = "failed"
TRUNCATED = "truncated"
NOT_OFFERED = "not-offered"
REFUSED = "refused"
PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Acquired:
    """How one resource type was obtained.

    `state` is complete, failed, truncated, not-offered, refused or pending; `count` the resources of this
    patient that came; `reason` why it isn't complete, in words without patient data.
    """

    state: str
    count: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """One patient's resources by type, immutable.

    `patient` is the Patient resource, `patient_reference` its relative reference ("Patient/123").
    `resources` holds the patient's own resources and those bound to no patient (Medication, Device,
    ResearchStudy, …). `account` says how each type was obtained; a type that it lacks was obtained as
    `default` says. `warnings` are sentences without patient data.
    """

    patient: Mapping[str, Any]
    patient_reference: str
    resources: Mapping[str, tuple[dict[str, Any], ...]]
    account: Mapping[str, Acquired] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    default: Acquired = Acquired(COMPLETE)
    originals: Mapping[int, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    named_by: Mapping[int, tuple[Mapping[str, Any], ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def of_type(self, resource_type: str) -> tuple[dict[str, Any], ...]:
        """The resources of one type; empty when there are none."""
        return self.resources.get(resource_type, ())

    def state(self, resource_type: str) -> Acquired:
        """How this type was obtained."""
        acquired = self.account.get(resource_type)
        if acquired is None:
            default = self.default
            acquired = Acquired(default.state, len(self.of_type(resource_type)), default.reason)
        return acquired

    def original(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        """The resource as received, for a normalised or derived one of this record; any other resource
        itself.

        A derived Observation leads to the resource that it was derived from first (its panel, its volume).
        """
        return self.originals.get(id(resource), resource)

    def names_of(self, resource: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        """The resources that say what a normalised one is about: a request's Medication, a supply's Device."""
        return self.named_by.get(id(resource), ())

    def replace(self, **changes: Any) -> PatientRecord:
        """A record with these fields changed."""
        return dataclasses.replace(self, **changes)
