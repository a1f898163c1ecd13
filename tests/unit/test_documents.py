"""The documents keep to the code: tests that they name exist, settings that exist are named."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from cds_service.settings import CLIENT_KEYS, TABLES, TRIAL_KEYS, ClientSettings, Settings

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")
SETTINGS = [
    *(f"{table}.{key}" for table, keys in TABLES.items() for key in keys),
    *(f"trials.{key}" for key in TRIAL_KEYS),
    *(f"clients.{key}" for key in CLIENT_KEYS),
]


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def named_tests() -> list[tuple[str, str]]:
    return LINK.findall((ROOT / "SECURITY.md").read_text("utf-8"))


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = named_tests()
    missing = [name for name, path in named if name not in functions(ROOT / path)]
    assert len(named) > 50
    assert missing == []


def test_every_threat_has_a_test() -> None:
    rows = re.findall(r"^\| .* \| .* \| (.*) \|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)
    without = [row for row in rows if row != "tests" and "](tests/" not in row]
    assert len(rows) > 40
    assert without == []


def settings_section() -> dict[str, str]:
    """Of each table of the configuration, the rows that describe it."""
    text = (ROOT / "docs" / "running.md").read_text("utf-8").partition("## Settings")[2]
    sections: dict[str, str] = {}
    table = ""
    for line in text.splitlines():
        if found := re.match(r"\| `\[+(\w+)(?:\.<id>)?\]+`", line):
            table = found[1]
        if table and line.startswith("|"):
            sections[table] = sections.get(table, "") + line + "\n"
    return sections


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_is_described(setting: str) -> None:
    table, _, key = setting.partition(".")
    assert f"`{key}`" in settings_section()[table]


def test_defaults_are_those_of_the_code() -> None:
    described = settings_section()
    assert {f.name for f in fields(ClientSettings)} == set(CLIENT_KEYS)
    for table in ("cards", "feedback", "limits"):
        for key in TABLES[table]:
            default = getattr(getattr(Settings(), table), key)
            if default is None:  # made of another setting; told in words
                continue
            words = {True: "`true`", False: "`false`"}.get(default) if isinstance(default, bool) else None
            written = words or (f"{default:,.10g}" if isinstance(default, int | float) else str(default))
            row = next(line for line in described[table].splitlines() if f"`{key}`" in line)
            assert written in row, (key, written)
