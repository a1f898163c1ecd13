"""Trial packages of a few lines: a gate and some criteria, each "there is such a resource", written as ELM by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.unit.elm.nodes import SYSTEM, Node, define, library

FHIR: Final = "{http://hl7.org/fhir}"
ICD10: Final = "http://hl7.org/fhir/sid/icd-10"
_ROW: Final = """
[[rows]]
id = "{id}"
kind = "{kind}"
text = "{id}"

[[criteria]]
id = "{id}"
group = "{id}"
tier = "{tier}"
label = "{id}"
computed_from = "tests"
define = "{id}"
{more}
"""


def retrieve(resource_type: str, *, codes: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """All resources of a type, or those with one of these (system, code)."""
    node: dict[str, Any] = {"type": "Retrieve", "dataType": FHIR + resource_type}
    if codes:
        made = [{"type": "Code", "code": code, "system": {"name": system}} for system, code in codes]
        node |= {"codeProperty": "code", "codeComparator": "in", "codes": {"type": "List", "element": made}}
    return node


def exists(*retrieves: Node) -> dict[str, Any]:
    """There is one of these at least."""
    found: dict[str, Any] = {"type": "Exists", "operand": retrieves[0]}
    for other in retrieves[1:]:
        found = {"type": "Or", "operand": [found, {"type": "Exists", "operand": other}]}
    return found


def write_tiny_trial(
    folder: Path,
    trial_id: str,
    criteria: Mapping[str, Node],
    *,
    gate: Sequence[str] | None = None,
    reads: Mapping[str, Sequence[str]] | None = None,
    unused: Mapping[str, Node] | None = None,
) -> None:
    """A package in `folder`. criteria: expression by criterion id; the first is the gate, and of tier A.

    gate: the gate's resources; reads: those of criteria; unused: further defines, which nothing refers to.
    """
    package = folder / trial_id
    package.mkdir(parents=True)
    first = next(iter(criteria))
    named = {} if gate is None else {"resources": list(gate)}
    text = f"""
id = "{trial_id}"
nct = "{trial_id.upper()}"
version = "1"
title = "A tiny trial"
short_title = "Tiny"
description = "For tests"
library = "{_name(trial_id)}"
burden = []
sites = []
contacts = []
orders = []
[registry]
status = "RECRUITING"
last_verified = "2026"
url = "https://example.org"
[gate]
criterion = "{first}"
""" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in named.items())
    for each in criteria:
        tier = "A" if each == first else "B"
        more = f"reads = {json.dumps(list(reads[each]))}" if reads and each in reads else ""
        text += _ROW.format(id=each, kind="inclusion", tier=tier, more=more)
    (package / "trial.toml").write_text(text, "utf-8")
    defines = {**criteria, **(unused or {})}
    (package / f"{_name(trial_id)}.elm.json").write_text(json.dumps(_elm(trial_id, defines)), "utf-8")


def _elm(trial_id: str, defines: Mapping[str, Node]) -> dict[str, Any]:
    date = {"type": "NamedTypeSpecifier", "name": SYSTEM + "Date"}
    systems = sorted(set(_systems(list(defines.values()))))
    return library(
        *(define(name, expression) for name, expression in defines.items()),
        name=_name(trial_id),
        parameters=[{"name": "ScreeningDate", "accessLevel": "Public", "parameterTypeSpecifier": date}],
        codeSystems=[{"name": system, "id": system, "accessLevel": "Public"} for system in systems],
    )


def _systems(node: Any) -> Iterator[str]:
    """The code systems that an expression names."""
    if isinstance(node, list):
        for part in node:
            yield from _systems(part)
    elif isinstance(node, dict):
        if node.get("type") == "Code":
            yield node["system"]["name"]
        for part in node.values():
            yield from _systems(part)


def _name(trial_id: str) -> str:
    return trial_id.title().replace("-", "")
