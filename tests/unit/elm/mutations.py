"""Damaged ELM: random changes to a library, by a fixed seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

Json = Any
_VALUES: tuple[Json, ...] = (
    None, 0, -1, 2**40, 1.5, True, "", "x", "Integer", [], {}, [None], [[]], {"type": "Null"}, {"type": 3},
    [{"type": "Null"}], {"name": None},
)  # fmt: skip
_OPERATORS = (
    "Add", "And", "As", "Case", "Code", "Concept", "Count", "DateTime", "Divide", "Equal", "Exists", "Expand",
    "ExpressionRef", "Filter", "First", "FunctionRef", "If", "In", "InValueSet", "Interval", "List", "Literal",
    "Message", "Not", "Null", "OperandRef", "Property", "Quantity", "Query", "Retrieve", "SingletonFrom",
    "Sort", "ToConcept", "ToDateTime", "ToInteger", "Tuple", "Union", "ValueSetRef", "Quux",
)  # fmt: skip
_NAMES = ("name", "path", "alias", "scope", "libraryName", "identifier", "resultTypeName", "dataType", "id")


def places(root: Json) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below the root."""
    pending = [root]
    while pending:
        node = pending.pop()
        keys: Any = node.keys() if isinstance(node, dict) else range(len(node))
        for key in keys:
            yield node, key
            if isinstance(node[key], (dict, list)):
                pending.append(node[key])


def mutated(library: Mapping[str, Any], seed: int, changes: int = 1) -> dict[str, Any]:
    """A copy of the library with a few random changes."""
    chance = random.Random(seed)
    result: dict[str, Any] = json.loads(json.dumps(library))
    for _ in range(changes):
        found = list(places(result))
        container, key = chance.choice(found)
        _change(chance, found, container, key)
    return result


def _change(chance: random.Random, places: list[tuple[Any, Any]], container: Any, key: Any) -> None:
    kind = chance.randrange(8)
    value = container[key]
    if kind == 0:
        del container[key]
    elif kind == 1:
        container[key] = copy.deepcopy(chance.choice(_VALUES))
    elif kind == 2:  # a part of the library in a wrong place
        other, at = chance.choice(places)
        if at in other if isinstance(other, dict) else at < len(other):
            container[key] = copy.deepcopy(other[at])
    elif kind == 3:
        _everywhere(chance, places, "type", _OPERATORS)
    elif kind == 4:
        _everywhere(chance, places, chance.choice(_NAMES), ("x", "Patient", "It", "value", "$this"))
    elif kind == 5 and isinstance(container, list):
        container.insert(key, copy.deepcopy(value))
    elif kind == 6 and isinstance(value, list):
        chance.shuffle(value)
    elif isinstance(container, list):
        container[key] = [value]
    else:
        container[key] = {"type": chance.choice(_OPERATORS), "operand": [value, value]}


def _everywhere(chance: random.Random, places: list[tuple[Any, Any]], key: str, values: Any) -> None:
    found = [container for container, at in places if at == key and isinstance(container, dict)]
    if found:
        chance.choice(found)[key] = chance.choice(values)
