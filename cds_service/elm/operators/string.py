"""String operators. CQL 1.5, Appendix B, String Operators. Regular expressions are Python's, close to the
PCRE that CQL names.

`Matches` asks for a match of the whole string, as the translator's Java engine and cql-execution do. The
specification's text says partial matching, and has an example for either; `.*` and anchors are right both ways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from cds_service.elm.codegen import operators as write
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope
from cds_service.elm.operators.building import (
    call,
    check_text,
    children,
    folded,
    operand_chain,
    strict1,
    strict2,
)
from cds_service.elm.operators.references import library_of

Patterns = Mapping[str, re.Pattern[str]]


def _pattern(text: str, known: Patterns) -> re.Pattern[str]:
    """The pattern; one that the library itself states is `known`, any other may be a patient's, and is not kept."""
    found = known.get(text)
    if found is not None:
        return found
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError):
        raise DataError("the regular expression can't be read") from None
    finally:
        re.purge()


def _stated(scope: Scope, node: Any) -> Patterns:
    """The pattern of a literal, or of a define that is one."""
    while isinstance(node, Mapping) and node.get("type") == "ExpressionRef":
        definition = scope.compiler.define(library_of(scope, node), node["name"])
        node = definition.node.get("expression") if definition is not None else None
    text = node.get("value") if isinstance(node, Mapping) and node.get("type") == "Literal" else None
    if not isinstance(text, str):
        return {}
    try:
        return {text: re.compile(text)}
    except (re.error, OverflowError, RecursionError):
        return {}  # told when it is asked for


def _by_pattern(function: Any, *names: str) -> Builder:
    """A builder of an operator whose second operand is a regular expression; `names`: of its operands, where they have
    some of their own."""

    def build(scope: Scope, node: Node) -> Expr:
        pattern = node.get(names[1]) if names else node["operand"][1]
        operands: list[Expr | None] = children(scope, node, *names) if names else [*scope.operands(node)]
        return call(partial(function, _stated(scope, pattern)), operands)

    return build


def _concatenate(scope: Scope, node: Node) -> Expr:
    """+(left String, right String) String; & treats null as the empty string (the translator writes Coalesce)."""
    operands = [scope.expr(part) for part in operand_chain(node)]
    fns = [operand.fn for operand in operands]

    def run_concatenate(ctx: Any, env: Any) -> Any:
        parts = [fn(ctx, env) for fn in fns]
        if None in parts:
            return None
        return _joined(parts)

    return folded(run_concatenate, operands, write.concatenated(operands, _joined))


def _joined(parts: Sequence[str]) -> str:
    check_text(sum(map(len, parts)))
    return "".join(parts)


def _combine(items: Any, separator: Any = None) -> Any:
    """Combine(source List<String>, separator String) String: nulls are left out; of nothing, null."""
    texts = [item for item in items if item is not None]
    check_text(sum(map(len, texts)) + len(separator or "") * len(texts))
    return (separator or "").join(texts) if texts else None


def _split(text: Any, separator: Any) -> Any:
    """Split(stringToSplit String, separator String) List<String>: without a separator, the whole."""
    return text.split(separator) if separator else [text]


def _split_on_matches(known: Patterns, text: Any, pattern: Any) -> Any:
    """SplitOnMatches(stringToSplit String, separatorPattern String) List<String>: groups are no parts of it."""
    parts, begin = [], 0
    for found in _pattern(pattern, known).finditer(text):
        if found.start() == found.end() and found.start() in (0, len(text)):
            continue  # a pattern that matches nothing splits between characters only
        parts.append(text[begin : found.start()])
        begin = found.end()
    return [*parts, text[begin:]]


def _position(pattern: Any, text: Any) -> Any:
    """PositionOf(pattern String, argument String) Integer: -1 where it is not there."""
    return text.find(pattern)


def _last_position(pattern: Any, text: Any) -> Any:
    """LastPositionOf(pattern String, argument String) Integer."""
    return text.rfind(pattern)


def _substring(text: Any, begin: Any, length: Any = None) -> Any:
    """Substring(stringToSub String, startIndex Integer, length Integer) String: null outside the string."""
    if begin < 0 or begin >= len(text):
        return None
    if length is None:
        return text[begin:]
    return None if length < 0 else text[begin : begin + length]


def _matches(known: Patterns, text: Any, pattern: Any) -> Any:
    """Matches(argument String, pattern String) Boolean: the whole string, as the reference implementations do."""
    return _pattern(pattern, known).fullmatch(text) is not None


_GROUP = re.compile(r"\\(.)|\$(\d+)|\$\{(\w+)\}")


def _replace(known: Patterns, text: Any, pattern: Any, substitution: Any) -> Any:
    """ReplaceMatches(argument String, pattern String, substitution String) String: `$1` is the first group,
    `\\$` a dollar."""

    made = 0

    def expand(found: re.Match[str]) -> str:
        nonlocal made

        def part(token: re.Match[str]) -> str:
            escaped, number, name = token.groups()
            if escaped is not None:
                return str(escaped)
            try:
                return found.group(int(number) if number else name) or ""
            except (IndexError, error):
                raise DataError("the substitution names a group that the pattern has not") from None

        text = _GROUP.sub(part, substitution)
        made += len(text)
        check_text(made)
        return text

    error = re.error
    return _pattern(pattern, known).sub(expand, text)


def _named(function: Any, *names: str, nullable: int = 0) -> Builder:
    """A builder of an operator whose operands have names of their own in ELM."""

    def build(scope: Scope, node: Node) -> Expr:
        return call(function, children(scope, node, *names), nullable=nullable)

    return build


BUILDERS: Mapping[str, Builder] = {
    "Concatenate": _concatenate,
    "Combine": _named(_combine, "source", "separator", nullable=1),
    "Split": _named(_split, "stringToSplit", "separator", nullable=1),
    "SplitOnMatches": _by_pattern(_split_on_matches, "stringToSplit", "separatorPattern"),
    "PositionOf": _named(_position, "pattern", "string"),
    "LastPositionOf": _named(_last_position, "pattern", "string"),
    "Substring": _named(_substring, "stringToSub", "startIndex", "length", nullable=1),
    "Upper": strict1(str.upper),
    "Lower": strict1(str.lower),
    "StartsWith": strict2(str.startswith),
    "EndsWith": strict2(str.endswith),
    "Matches": _by_pattern(_matches),
    "ReplaceMatches": _by_pattern(_replace),
}
