"""All retrieves of a set of libraries, arranged so that one look at a record tells which of them find something.

Nothing here raises but what a retriever raises.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cds_service.elm.ports import Indexed, Retriever
from cds_service.elm.reach import bit

if TYPE_CHECKING:
    from cds_service.elm.compile import RetrieveNeed


class Needs:
    """Numbered retrieves, -1 first, as an Indexed retriever looks them up."""

    def __init__(self, needs: Sequence[RetrieveNeed], retriever: Indexed) -> None:
        self.count = len(needs)
        # By type: the bits of what asks for all of the type, and by element the bits of what asks for a key.
        self._types: dict[str, tuple[int, dict[str, dict[Hashable, int]]]] = {}
        for place, (kind, path, codes, value_set) in enumerate(needs):
            whole, paths = self._types.get(kind, (0, {}))
            mine = bit(-1 - place)
            if path is None or (codes is None and value_set is None):
                whole |= mine
            else:
                keys = paths.setdefault(path, {})
                for key in retriever.keys_of(codes, value_set):
                    keys[key] = keys.get(key, 0) | mine
            self._types[kind] = whole, paths

    def found(self, retriever: Retriever, patient: Mapping[str, Any] | None) -> int:
        """A bit for each retrieve that finds something in the retriever's record."""
        assert isinstance(retriever, Indexed)  # noqa: S101 - asked by the caller
        found = 0
        for kind, (whole, paths) in self._types.items():
            if kind == "Patient" and patient is not None:
                found |= whole
            if not retriever.retrieve(kind, None, None, None):
                continue
            found |= whole
            for path, keys in paths.items():
                for key in retriever.keys_in(kind, path):
                    found |= keys.get(key, 0)
        return found
