"""What the engine asks of the world: two small ports. It does no I/O and reads no clock itself."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from cds_service.elm.values import Code


class Retriever(Protocol):
    """Gives the patient's FHIR resources."""

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Mapping[str, Any]]:
        """FHIR JSON resources of that type whose `code_path` element has one of `codes`, or is in `value_set`
        (a URL).

        With neither codes nor value set: all of that type.
        """
        ...


@runtime_checkable
class Indexed(Protocol):
    """What a Retriever with an index may offer besides: to say, of many retrieves at once, which would find nothing.

    Both work with keys of the retriever's own choice. A retrieve finds nothing where none of its `keys_of` is
    among `keys_in` the record.
    """

    def keys_of(self, codes: Sequence[Code] | None, value_set: str | None) -> Collection[Hashable]:
        """The keys under which a retrieve by these codes or this value set looks. They depend on nothing else."""
        ...

    def keys_in(self, resource_type: str, code_path: str) -> Collection[Hashable]:
        """The keys under which the record has resources of that type, by that element."""
        ...


@runtime_checkable
class Alike(Protocol):
    """What a Retriever may offer besides: to say which concepts of the record's resources have the same content, so
    that what reads nothing else is worked out once."""

    @property
    def alike(self) -> Mapping[int, int]:
        """The `id` of a concept by the `id` of another of the same JSON; both stay in the record. It may grow."""
        ...


@runtime_checkable
class RetrieverOfAll(Protocol):
    """What a Retriever may offer besides: the resources of other patients, for retrieves in the Unfiltered context and
    in a related one (`["Mother" -> Observation]`). Without it such a retrieve fails."""

    def retrieve_of(
        self,
        patient: str | None,
        resource_type: str,
        code_path: str | None,
        codes: Sequence[Code] | None,
        value_set: str | None,
    ) -> Sequence[Mapping[str, Any]]:
        """As `retrieve`, for the Patient of that id; None: all patients' resources."""
        ...


class Terminology(Protocol):
    """Answers questions about value sets. A set that it does not have stops the load of a library that names it."""

    def has_value_set(self, url: str) -> bool:
        """Whether the set is there; asked at load."""
        ...

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        """Whether the code is in the set; `system` None matches a code of any system."""
        ...

    def expand(self, url: str) -> Sequence[Code]:
        """The set's codes."""
        ...
