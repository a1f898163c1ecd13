"""Why a define has its value: what its one evaluation read, as a tree. Nothing is evaluated again.

The tree is made of the trace that every evaluation keeps anyway, and only when it is asked for. A define that
several others read is one node with several parents; `walk` shows it in full once. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cds_service.elm.context import UNSET
from cds_service.elm.trace import Entry, Retrieved
from cds_service.elm.values import Code, ValueSet, plain
from cds_service.errors import EvaluationError

if TYPE_CHECKING:
    from cds_service.elm.compile import Compiler, Definition, RetrieveNeed
    from cds_service.elm.context import Context
    from cds_service.elm.ports import Terminology
    from cds_service.elm.reading import Unit
    from cds_service.elm.types import StaticType


@dataclass(frozen=True, slots=True)
class FoundResource:
    """A resource that a retrieve returned, with those of its codings that were asked for."""

    resource: Mapping[str, Any]
    codings: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True)
class ExplainedRetrieve:
    """One executed retrieve: what was asked for, and what came, before any date range is applied.

    `codes`: those asked for, with the library's name where they have no display; of a value set, those that it lists.
    None: all resources of the type.
    """

    resource_type: str
    code_path: str | None
    codes: tuple[Code, ...] | None
    value_set: ValueSet | None
    found: tuple[FoundResource, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One evaluated define: its value or its error, and in `children` what it read, in the order of the first reading.

    `define` is its full name: `Library.define` for one of an included library. `parameters`: the values of those
    that its expression, or a function that it calls, refers to. What a function reads belongs to the define that
    calls it.
    """

    define: str
    name: str
    library: str
    locator: str | None
    type: StaticType
    value: Any
    error: EvaluationError | None
    parameters: Mapping[str, Any]
    children: tuple[Explanation | ExplainedRetrieve, ...] = field(repr=False)

    def walk(self) -> Iterator[tuple[int, Explanation | ExplainedRetrieve, bool]]:
        """The tree from the top, as it is printed: depth, node, and whether the node stood there before.

        A define that did is not gone into again. Nothing recurses, however long a chain of defines is.
        """
        shown: set[int] = set()
        pending: list[tuple[int, Explanation | ExplainedRetrieve]] = [(0, self)]
        while pending:
            depth, node = pending.pop()
            again = id(node) in shown
            shown.add(id(node))
            yield depth, node, again
            if isinstance(node, Explanation) and not again:
                pending.extend((depth + 1, child) for child in reversed(node.children))

    def bottom_up(self) -> Iterator[Explanation]:
        """Every define of the tree once, each after all that it read; this one is the last."""
        seen: set[int] = set()
        pending: list[tuple[Explanation, bool]] = [(self, False)]
        while pending:
            node, ready = pending.pop()
            if ready:
                yield node
            elif id(node) not in seen:
                seen.add(id(node))
                pending.append((node, True))
                children = (child for child in reversed(node.children) if isinstance(child, Explanation))
                pending.extend((child, False) for child in children)


def explain(compiler: Compiler, context: Context, definition: Definition, entry: Entry) -> Explanation:
    """The explanation of an evaluated define. Children are made before their parents, without recursion."""
    making = _Making(compiler, context, definition.unit.key)
    pending = [(definition.index, entry)]
    while pending:
        index, current = pending[-1]
        unmade = [(k, e) for k, e in current.trace.items() if isinstance(e, Entry) and k not in making.made]
        if unmade and index not in making.made:
            pending.extend(unmade)
            continue
        pending.pop()
        if index not in making.made:
            making.add(index, current)
    made = making.made[definition.index]
    assert isinstance(made, Explanation)  # noqa: S101 - a define's index is the key of a define
    return made


class _Making:
    """One explanation in the making: `made` by the keys of the trace, so that what is shared stays shared."""

    def __init__(self, compiler: Compiler, context: Context, main: str) -> None:
        self.made: dict[Any, Explanation | ExplainedRetrieve] = {}
        self._compiler = compiler
        self._context = context
        self._main = main
        self._needs = compiler.needs

    def add(self, index: int, entry: Entry) -> None:
        """A define, all of whose defines are made."""
        definition = self._compiler.definitions[index]
        for key, item in entry.trace.items():
            if isinstance(item, Retrieved) and key not in self.made:
                self.made[key] = _retrieve(key, item, definition, self._needs, self._compiler.terminology)
        unit, name = definition.unit, definition.name
        self.made[index] = Explanation(
            define=name if unit.key == self._main else f"{unit.name}.{name}",
            name=name,
            library=unit.name,
            locator=definition.node.get("locator"),
            type=definition.type,
            value=plain(entry.value),
            error=entry.error,
            parameters=_parameters(self._compiler, self._context, definition),
            children=tuple(self.made[key] for key in entry.trace),
        )


# --- Retrieves ---


def _retrieve(
    key: Any,
    retrieved: Retrieved,
    definition: Definition,
    needs: Sequence[RetrieveNeed],
    terminology: Terminology,
) -> ExplainedRetrieve:
    """What a key of a trace says: the number of a need, or the parts of one that was computed at run time."""
    asked: Any
    if isinstance(key, int):
        _, path, codes, url = needs[-1 - key]
        asked = url if codes is None else codes
    else:
        _, path, asked = key
    is_set = isinstance(asked, str)
    wanted = None
    if asked is not None:
        wanted = tuple(terminology.expand(asked) if is_set else (_named(definition, code) for code in asked))
    return ExplainedRetrieve(
        retrieved.resource_type,
        path,
        wanted,
        _value_set(definition, asked) if is_set else None,
        tuple(
            FoundResource(resource, _matching(resource, path, asked, terminology))
            for resource in retrieved.resources
        ),
    )


def _named(definition: Definition, code: Code) -> Code:
    """The code with words: without a display of its own, the name that a library has for it."""
    units = [definition.unit, *definition.unit.linked.values()]
    declared = (
        name
        for unit in units
        for name, node in unit.codes.items()
        if node["id"] == code.code and _system(unit, node) == code.system
    )
    return code if code.display else Code(code.code, code.system, code.version, next(declared, None))


def _system(unit: Unit, node: Mapping[str, Any]) -> str | None:
    reference = node.get("codeSystem") or {}
    owner = unit.linked.get(reference["libraryName"], unit) if reference.get("libraryName") else unit
    found: Mapping[str, Any] = owner.code_systems.get(reference.get("name", ""), {})
    return found.get("id")


def _value_set(definition: Definition, url: str) -> ValueSet:
    """The value set with the name that a library has for it, the define's own before the others."""
    units = [definition.unit, *definition.unit.linked.values()]
    declared = (node for unit in units for node in unit.value_sets.values() if node["id"] == url)
    node: Mapping[str, Any] = next(declared, {})
    return ValueSet(url, node.get("version"), node.get("name"))


def _matching(
    resource: Mapping[str, Any], path: str | None, asked: Any, terminology: Terminology
) -> tuple[Code, ...]:
    """The codings at the element that are among those asked for: codes, or a value set by its URL."""
    if path is None or asked is None:
        return ()
    codings = tuple(_codings(resource, path))
    if isinstance(asked, str):
        return tuple(k for k in codings if terminology.in_value_set(k.system, str(k.code), asked))
    wanted = {(code.system, code.code or "") for code in asked}
    exact = tuple(k for k in codings if (k.system, k.code) in wanted)
    # A retriever may compare more generously, as ICD codes without their dots.
    folded = {(system, _fold(code)) for system, code in wanted}
    return exact or tuple(k for k in codings if (k.system, _fold(str(k.code))) in folded)


def _fold(code: str) -> str:
    return code.replace(".", "").replace(" ", "").upper()


def _codings(resource: Mapping[str, Any], path: str) -> Iterator[Code]:
    """The codings at an element: of CodeableConcepts, Codings or plain codes, single or lists; it may be a choice."""
    parts: list[Any] = [resource]
    for step in path.split("."):
        found = [
            part.get(name)
            for part in parts
            if isinstance(part, Mapping)
            for name in (step, f"{step}CodeableConcept", f"{step}Coding")
        ]
        parts = [
            item for value in found for item in (value if isinstance(value, (list, tuple)) else (value,))
        ]
    for part in parts:
        if isinstance(part, str):
            yield Code(part)
        elif isinstance(part, Mapping):
            codings = part.get("coding")
            for coding in codings if isinstance(codings, (list, tuple)) else (part,):
                if isinstance(coding, Mapping) and isinstance(coding.get("code"), str):
                    yield Code(
                        *(_text(coding.get(name)) for name in ("code", "system", "version", "display"))
                    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


# --- Parameters ---


def _parameters(compiler: Compiler, context: Context, definition: Definition) -> dict[str, Any]:
    """Those that the define's ELM refers to, also through functions; one whose default nobody asked for has none."""
    values: dict[str, Any] = {}
    pending, seen = [definition], {id(definition)}
    while pending:
        current = pending.pop()
        for alias, name in _parameter_refs(current.node.get("expression")):
            unit = current.unit.linked.get(alias) if alias else current.unit
            index = compiler.parameter_index.get((unit.key, name)) if unit is not None else None
            if index is not None and context.parameters[index] is not UNSET:
                values.setdefault(name, plain(context.parameters[index]))
        for called in current.refs:
            if called.index < 0 and id(called) not in seen:
                seen.add(id(called))
                pending.append(called)
    return values


def _parameter_refs(expression: Any) -> Iterator[tuple[str | None, str]]:
    pending: list[Any] = [expression]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(reversed(node))
        elif isinstance(node, Mapping):
            if node.get("type") == "ParameterRef":
                yield node.get("libraryName"), node["name"]
            pending.extend(
                value for value in reversed(list(node.values())) if isinstance(value, (list, Mapping))
            )
