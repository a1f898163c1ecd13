"""One parser for each kind of setting: from a TOML value, or from the text of a `CDS_*` variable, to its
Python value.

Error policy: ValueError with a sentence that says what is wanted; it never repeats the value, which may be a
secret. Each parser takes the value and the folder that relative paths are relative to.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import tomllib
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError


class Variable(str):
    """The text of an environment variable, so that "true" may be a truth value there and not in the file."""

    __slots__ = ()


def text(value: Any, _folder: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty is wanted")
    return str(value)


def truth(value: Any, _folder: Path) -> bool:
    if isinstance(value, Variable) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise ValueError("true or false is wanted")
    return value


def integer(least: int, most: int | None = None) -> Callable[[Any, Path], int]:
    """A parser of whole numbers from `least` on, up to `most` where there is one."""

    def parse(value: Any, _folder: Path) -> int:
        number = (
            int(value)
            if isinstance(value, Variable) and re.fullmatch(r"-?\d{1,3}(_?\d){0,14}", value)
            else value
        )
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise ValueError(f"a whole number of at least {least} is wanted")
        if most is not None and number > most:
            raise ValueError(f"a whole number from {least} to {most} is wanted")
        return number

    return parse


def seconds(value: Any, _folder: Path) -> float:
    number = (
        float(value) if isinstance(value, Variable) and re.fullmatch(r"\d{1,9}(\.\d+)?", value) else value
    )
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= 600:
        raise ValueError("a number of seconds above 0 and up to 600 is wanted")
    return float(number)


def day(value: Any, _folder: Path) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else _refuse_day()
    except ValueError:
        return _refuse_day()


def _refuse_day() -> date:
    raise ValueError("a date such as 2026-06-15 is wanted")


def choice(*choices: str) -> Callable[[Any, Path], str]:
    """A parser that accepts one of a few words."""

    def parse(value: Any, _folder: Path) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)} is wanted")
        return str(value)

    return parse


def list_of(parse_item: Callable[[Any, Path], Any]) -> Callable[[Any, Path], tuple[Any, ...]]:
    """A parser of lists; in a variable the items are separated by commas."""

    def parse(value: Any, folder: Path) -> tuple[Any, ...]:
        if isinstance(value, Variable):
            value = [Variable(item.strip()) for item in value.split(",") if item.strip()]
        if not isinstance(value, list):
            raise ValueError("a list is wanted")
        return tuple(parse_item(item, folder) for item in value)

    return parse


def timezone(value: Any, _folder: Path) -> str:
    try:
        ZoneInfo(text(value, _folder))
    except (ValueError, KeyError, OSError):
        raise ValueError("the name of an IANA time zone is wanted, such as America/Sao_Paulo") from None
    return str(value)


def base_url(value: Any, _folder: Path) -> str:
    """An absolute http(s) URL without credentials, query or fragment; a trailing slash is dropped."""
    problem = "an absolute http or https URL without credentials, query or fragment is wanted"
    if not isinstance(value, str):
        raise ValueError(problem)
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError(problem) from None
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not plain
        or re.search(r"[\s\\]", value)
    ):
        raise ValueError(problem)
    return str(value).rstrip("/")


def url(value: Any, _folder: Path) -> str:
    """An absolute http(s) URL, kept letter by letter since others compare it so; it may have a query."""
    base_url(value.partition("?")[0] if isinstance(value, str) else value, _folder)
    if not re.fullmatch(r"[!-~]+", value) or re.search(r"[\\#]", value):
        raise ValueError("an absolute http or https URL without credentials or fragment is wanted")
    return str(value)


def database_url(value: Any, folder: Path) -> str:
    """An SQLAlchemy URL; the file of SQLite is relative to the folder, as every path is."""
    try:
        url = make_url(text(value, folder))
    except (ArgumentError, ValueError):
        raise ValueError("an SQLAlchemy URL is wanted, such as sqlite:///cds-service.db") from None
    if url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":", "file:")):
        return url.set(database=str(folder / url.database)).render_as_string(hide_password=False)
    return str(value)


def path(value: Any, folder: Path) -> Path:
    return folder / text(value, folder)


def certificates(value: Any, folder: Path) -> Path:
    found = path(value, folder)
    try:
        ssl.create_default_context(cafile=found)
    except (OSError, ValueError):
        raise ValueError("a PEM file of certificates is wanted") from None
    return found


def folder(value: Any, base: Path) -> Path:
    found = path(value, base)
    if not found.is_dir():
        raise ValueError("a folder that exists is wanted")
    return found


def network(value: Any, _folder: Path) -> str:
    try:
        return str(ipaddress.ip_network(text(value, _folder)))
    except ValueError:
        raise ValueError("networks such as 10.20.0.0/16 or fd00::/8 are wanted") from None


def resource_type(value: Any, _folder: Path) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z][A-Za-z]{2,40}", value):
        raise ValueError("names of FHIR resource types are wanted, such as Consent")
    return str(value)


def sink(value: Any, folder: Path) -> str:
    if isinstance(value, str) and value.startswith("file:") and len(value) > len("file:"):
        return f"file:{folder / value.removeprefix('file:')}"
    try:
        return base_url(value, folder)
    except ValueError:
        raise ValueError("file:<path> or the base URL of a FHIR server is wanted") from None


def parameters(value: Any, _folder: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a table of CQL parameters is wanted")
    return value


def toml_value(written: str) -> Any:
    """A variable's text read as a TOML value (30, true, 2026-05-01, ["A"]), else as plain text."""
    try:
        return tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written
