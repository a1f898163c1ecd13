"""Strict reading of TOML: every key must be read, so what is missing, mistyped or left over is an authoring error.

Errors: AuthoringError with the file and the place in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.errors import AuthoringError


class Table:
    """A TOML table whose every key must be read: what is missing, mistyped or left over is an authoring error."""

    def __init__(self, data: Mapping[str, Any], place: str) -> None:
        self._data = data
        self._read: set[str] = set()
        self.place = place

    def optional(self, key: str, types: tuple[type, ...], default: Any) -> Any:
        self._read.add(key)
        if key not in self._data:
            return default
        value = self._data[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            wanted = " or ".join(t.__name__ for t in types)
            raise AuthoringError(f"{self.place}.{key}: {wanted} wanted, {type(value).__name__} found")
        return value

    def optional_text(self, key: str) -> str | None:
        value: str | None = self.optional(key, (str,), None)
        return value

    def text(self, key: str) -> str:
        value = self.optional_text(key)
        if not value:
            raise AuthoringError(f"{self.place}: {key} is missing or empty")
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in choices:
            raise AuthoringError(f"{self.place}.{key}: {value!r} is none of {', '.join(choices)}")
        return value

    def texts(self, key: str, *, required: bool = True) -> tuple[str, ...]:
        value = self.optional(key, (list,), None)
        if value is None and required:
            raise AuthoringError(f"{self.place}: {key} is missing")
        if any(not isinstance(item, str) for item in value or ()):
            raise AuthoringError(f"{self.place}.{key}: a list of texts wanted")
        return tuple(value or ())

    def table(self, key: str) -> Table:
        value = self.optional(key, (dict,), None)
        if value is None:
            raise AuthoringError(f"{self.place}: the table [{key}] is missing")
        return Table(value, f"{self.place}.{key}")

    def optional_table(self, key: str) -> Table:
        """The table of that name, an empty one where there is none."""
        return Table(self.optional(key, (dict,), {}), f"{self.place}.{key}")

    def tables(self, key: str) -> list[Table]:
        value = self.optional(key, (list,), None)
        if value is None or any(not isinstance(item, dict) for item in value):
            raise AuthoringError(f"{self.place}: the tables [[{key}]] are missing or mistyped")
        return [Table(item, f"{self.place}.{key}[{index}]") for index, item in enumerate(value)]

    def names(self) -> tuple[str, ...]:
        return tuple(self._data)

    def done(self, besides: frozenset[str] | set[str] = frozenset()) -> None:
        if unknown := set(self._data) - self._read - besides:
            raise AuthoringError(f"{self.place}: unknown keys {sorted(unknown)}")
