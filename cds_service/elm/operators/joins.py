"""Joins without N×M cost: the rows of a source are found by a key instead of tried one by one.

A condition `a = b`, `a ~ b` or `a in b` of a `such that` or `where`, one side of which rests on the source's row alone
and the other not on it, lets the rows be indexed by that side. Rows whose key certainly doesn't match are not tried;
all others are, in their order and against the whole condition. So the index decides nothing by itself, and a key that
hashing can't compare exactly as CQL does (a date, a quantity, an element) is one that is always tried.

What stays as in a plain nested loop: the rows, their order, and the defines and retrieves that are read (a condition
that reads one is not passed over). No failure is added: where a key can't be computed, all rows are tried. But a
condition that could not have let its row pass may be left out, with its failure: "there is no expectation that an
implementation respect short-circuit evaluation" (CQL 1.5, Author's Guide, Logical Operators); a row passes only where
every condition is true, a key that differs makes one of them false, and one that is null makes it null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cds_service.elm.compile import Expr, Node, Scope, Slot
from cds_service.elm.context import UNSET, Context, Env, Fn
from cds_service.elm.operators.references import library_of
from cds_service.elm.types import ListOf
from cds_service.elm.values import Long

_WORTH_INDEXING = 8  # rows; fewer are tried one by one
_MOST = 3  # conditions of one source that are looked up; the one that finds the fewest rows is used
_NULL: Any = object()  # the key of a null that another null matches
_OPEN: Any = object()  # the key of a value that hashing can't compare
_FAILED: Any = object()  # an index that can't be made


class Join(NamedTuple):
    """One condition to find rows by: the key of a source's row (`inner`) and what it must match (`outer`).

    `keys` gives the keys of a value, None for a value that matches nothing. `lazy`: no condition after this one reads
    a define or a retrieve, so that a null key needs no further look.
    """

    inner: Expr
    outer: Expr
    inner_keys: Callable[[Any], Any]
    outer_keys: Callable[[Any], Any]
    lazy: bool


# --- At load ---


def joined(
    inside: Scope,
    outside: Scope,
    condition: Node,
    source: Expr,
    row: Slot,
    unbound: set[int],
    changing: set[int],
) -> Expr:
    """A source that gives only the rows (in the slot `row`) that its condition may let pass; or itself.

    `outside` is the scope in which the source stands, `inside` that of the condition. `unbound` are the slots that
    have no value yet where the source is evaluated, `changing` those that change between its evaluations.
    """
    if not isinstance(source.type, ListOf) or source.reads & changing:
        return source
    joins = conditions(inside, outside, condition, row, unbound)
    if not joins:
        return source
    once, cells = _once(outside, source)
    touched = [source, *(side for join in joins for side in (join.inner, join.outer))]
    touches = frozenset({row.at, *cells}).union(*(side.touches or () for side in touched))
    found = _finder(outside, once, row, joins)
    known = all(side.touches is not None or side.constant for side in touched)
    return Expr(found, source.type, reads=source.reads, touches=touches if known else None)


def conditions(inside: Scope, outside: Scope, node: Node, row: Slot, unbound: set[int]) -> list[Join]:
    """The conditions of `node` by which the rows can be found."""
    parts = list(_parts(node))
    silent = [quiet(inside, part) for part in parts]
    found: list[Join] = []
    for number, part in enumerate(parts):
        if not silent[number] or len(found) == _MOST:
            break  # it is read for every row, and must go on being read
        join = _join(inside, outside, part, row, unbound)
        if join is not None:
            found.append(join._replace(lazy=all(silent[number + 1 :])))
    return found


def _parts(node: Node) -> Iterator[Node]:
    """What must all be true, in the order of evaluation."""
    if node.get("type") == "And":
        for operand in node["operand"]:
            yield from _parts(operand)
    else:
        yield node


def quiet(scope: Scope, node: Any) -> bool:
    """Whether evaluating a node reads no define and executes no retrieve."""
    if isinstance(node, list):
        return all(quiet(scope, item) for item in node)
    if not isinstance(node, Mapping):
        return True
    kind = node.get("type")
    if kind in ("ExpressionRef", "Retrieve"):
        return False
    if kind == "FunctionRef":
        overloads = scope.compiler.functions(library_of(scope, node), node["name"])
        if not all(overload.pure for overload in overloads):
            return False
    return all(quiet(scope, value) for value in node.values() if isinstance(value, (list, Mapping)))


def _has_conditions(node: Any) -> bool:
    """Whether a query with conditions of its own is in a node: too much to be compiled twice for a key."""
    if isinstance(node, list):
        return any(map(_has_conditions, node))
    if not isinstance(node, Mapping):
        return False
    if node.get("type") == "Query" and (node.get("where") or node.get("relationship")):
        return True
    return any(_has_conditions(value) for value in node.values() if isinstance(value, (list, Mapping)))


def _join(scope: Scope, outside: Scope, part: Node, row: Slot, unbound: set[int]) -> Join | None:
    kind = part.get("type")
    if kind not in ("Equal", "Equivalent", "In", "Contains") or _has_conditions(part):
        return None
    one, two = part["operand"]
    left, right = scope.expr(one), scope.expr(two)
    left_keys = right_keys = _equivalent_key if kind == "Equivalent" else _equal_key
    if kind in ("In", "Contains"):
        if not isinstance((right if kind == "In" else left).type, ListOf):
            return None
        left_keys, right_keys = (_member_key, _members) if kind == "In" else (_members, _member_key)
    if left.reads == {row.at} and right.reads and not right.reads & unbound:
        return Join(left, outside.expr(two), left_keys, right_keys, False)
    if right.reads == {row.at} and left.reads and not left.reads & unbound:
        return Join(right, outside.expr(one), right_keys, left_keys, False)
    return None


def _once(scope: Scope, source: Expr) -> tuple[Fn, list[int]]:
    """The source's closure, evaluated once for all the loops around it that it doesn't depend on; its cells."""
    loop = None
    for candidate in reversed(scope.loops):
        if candidate.slots & source.reads:
            break
        loop = candidate
    if loop is None:
        return source.fn, []
    cell, fn = scope.slot(source.type).at, source.fn
    loop.cells.append(cell)
    scope.compiler.uses(cell)

    def run_once(ctx: Context, env: Env) -> Any:
        value = env[cell]
        if value is UNSET:
            value = env[cell] = fn(ctx, env)
        return value

    return run_once, [cell]


# --- Keys ---


def _equal_key(value: Any) -> Any:
    """Strings, integers and booleans that are equal have one key; a null equals nothing."""
    kind = type(value)
    if kind is str or kind is bool or kind is int or kind is Long:
        return (value,)
    return None if value is None else _OPEN


def _equivalent_key(value: Any) -> Any:
    """Strings by their letters, whatever their case and white space."""
    if type(value) is str:
        return ("".join(value.split()).casefold(),)
    return (_NULL,) if value is None else _equal_key(value)


def _member_key(value: Any) -> Any:
    """An element of a list: a null is in a list that has one."""
    return (_NULL,) if value is None else _equal_key(value)


def _members(value: Any) -> Any:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        return _OPEN
    keys = [_member_key(item) for item in value]
    return _OPEN if any(key is _OPEN for key in keys) else tuple(key for (key,) in keys)


# --- At run time ---


def _finder(scope: Scope, source: Fn, row: Slot, found: Sequence[Join]) -> Fn:
    """A closure that gives those of the source's rows that may pass, in their order.

    A list is indexed when it is asked for the second time; its index lasts as long as the same list comes, and no
    longer than the evaluation, since a key may be made with a parameter.
    """
    number = scope.compiler.next_once()
    at = row.at
    sides = [(join.outer.fn, join.outer_keys, join.lazy) for join in found]

    def run_found(ctx: Context, env: Env) -> Any:
        items = source(ctx, env)
        if not isinstance(items, (list, tuple)) or len(items) < _WORTH_INDEXING:
            return items
        last = ctx.once.get(number)
        if last is None:
            last = ctx.once[number] = {}
        known: bool = last.get("items") is items
        if not known:
            last["items"], last["indexes"] = items, None
            return items
        indexes = last["indexes"]
        if indexes is None:
            indexes = last["indexes"] = [_index(ctx, env, items, at, join) for join in found]
        best: list[int] | None = None
        for (outer, keys, lazy), index in zip(sides, indexes, strict=True):
            positions = None if index is _FAILED else _positions(ctx, env, outer, keys, lazy, index)
            if positions is not None and (best is None or len(positions) < len(best)):
                best = positions
        return items if best is None else [items[position] for position in best]

    return run_found


Index = tuple[dict[Any, list[int]], list[int]]  # the positions of a key; those that are always tried


def _index(ctx: Context, env: Env, items: Sequence[Any], at: int, join: Join) -> Any:
    by_key: dict[Any, list[int]] = {}
    always: list[int] = []
    key_of, keys, lazy = join.inner.fn, join.inner_keys, join.lazy
    try:
        for position, item in enumerate(items):
            env[at] = item
            found = keys(key_of(ctx, env))
            if found is _OPEN or (found is None and not lazy):
                always.append(position)
            else:
                for key in dict.fromkeys(found or ()):
                    by_key.setdefault(key, []).append(position)
    except Exception:  # whether it concerns anybody is found out row by row, as without an index
        return _FAILED
    return by_key, always


def _positions(
    ctx: Context, env: Env, outer: Fn, keys: Callable[[Any], Any], lazy: bool, index: Index
) -> list[int] | None:
    """The rows that may match, in their order; None: all."""
    try:
        wanted = keys(outer(ctx, env))
    except Exception:  # it may concern no row
        return None
    if wanted is _OPEN or (wanted is None and not lazy):
        return None
    by_key, always = index
    if wanted is None:
        return []
    if len(wanted) == 1 and not always:
        return by_key.get(wanted[0], [])
    return sorted({*always, *(position for key in wanted for position in by_key.get(key, ()))})
