"""The configuration file as data that knows its lines, so that an error can say where to look.

Error policy: a file that can't be read or is no TOML raises ConfigurationError with the line that the parser
names.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_service.errors import ConfigurationError

_HEADER = re.compile(r"^\s*\[{1,2}\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(
    r"^\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)


@dataclass(frozen=True, slots=True)
class TomlSource:
    """A parsed file beside its text; `name` is how errors call it."""

    data: Mapping[str, Any]
    text: str
    name: str

    def error(self, place: tuple[str, ...], problem: str, *, nth: int = 0) -> ConfigurationError:
        """The error for the setting at `place` (`("service", "timezone")`), with its line where one is
        found.
        """
        return ConfigurationError(f"{self.place(place, nth=nth)}: {'.'.join(place)}: {problem}.")

    def place(self, place: tuple[str, ...], *, nth: int = 0) -> str:
        """The file's name, with the line of the setting where one is found."""
        line = self.line(place, nth=nth)
        return f"{self.name}, line {line}" if line else self.name

    def line(self, place: tuple[str, ...], *, nth: int = 0) -> int | None:
        """The line of a key or, failing that, of its table; `nth` picks among repeated [[tables]]."""
        table: tuple[str, ...] = ()
        seen: dict[tuple[str, ...], int] = {}
        fallback: int | None = None
        nearest = 0
        for number, text in enumerate(self.text.splitlines(), start=1):
            if header := _HEADER.match(text):
                table = _split(header[1])
                seen[table] = seen.get(table, -1) + 1
                found = table
            elif key := _KEY.match(text):
                found = (*table, *_split(key[1]))
            else:
                continue
            if seen.get(table, 0) != (nth if table[:1] == ("clients",) else seen.get(table, 0)):
                continue
            if found == place:
                return number
            if len(found) > nearest and found == place[: len(found)]:
                fallback, nearest = number, len(found)
        return fallback


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def read_toml(path: Path) -> TomlSource:
    """The file as a TomlSource; ConfigurationError where it can't be read."""
    try:
        text = path.read_text(encoding="utf-8")
        return TomlSource(tomllib.loads(text), text, path.name)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path.name}: not valid TOML: {error}.") from None
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{path.name}: the file can't be read as UTF-8 text.") from None
