"""List operators, and the operators that lists share with intervals. CQL 1.5, Appendix B, List Operators.

Membership uses `=`, nulls being equal to each other; a comparison that stays open (partial dates) makes
membership null unless another element decides it. Sets (`union`, `distinct` …) keep the order of first
appearance.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from cds_service.elm import compare
from cds_service.elm.compare import Truth
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope, constant
from cds_service.elm.equivalence import equivalent
from cds_service.elm.operators.building import (
    apply1,
    apply2,
    call,
    check_elements,
    children,
    folded,
    raw2,
)
from cds_service.elm.operators.sorting import sorted_by
from cds_service.elm.types import ListOf, TupleOf, element_of
from cds_service.elm.values import Code, Tuple, Typed


def member(element: Any, items: Iterable[Any]) -> Truth:
    """in(element T, argument List<T>) Boolean."""
    if element is None:
        return any(item is None for item in items)
    open_ = False
    for item in items:
        if item is not None:
            found = compare.equal(element, item)
            if found:
                return True
            open_ = open_ or found is None
    return None if open_ else False


_ATOMS = (str, int, float, Decimal, type(None))


def _bucket(value: Any) -> Hashable:
    """A key that equal values share, so that sets need few comparisons."""
    kind = type(value)
    if kind is Typed:
        value = value.value
        kind = type(value)
    if kind is dict:
        return _named(value)
    if kind is str or kind is bool:
        return (kind, value)
    if kind is int or kind is Decimal or kind is float:
        return float(value)
    if kind is Tuple:
        parts = ((name, None if item is None else _bucket(item)) for name, item in value.items())
        return tuple(sorted(parts))  # the names differ, so that the buckets are not compared
    if isinstance(value, dict):
        return _named(value)
    if kind is Code:
        return (value.code, value.system)
    return kind.__name__


def _named(value: dict[str, Any]) -> Hashable:
    """The bucket of a JSON object: a resource's type and id, and how many elements it has."""
    kind, name = value.get("resourceType"), value.get("id")
    plain = (kind is None or type(kind) is str) and (name is None or type(name) is str)
    if plain or (isinstance(kind, _ATOMS) and isinstance(name, _ATOMS)):
        return (kind, name, len(value))
    return "dict"


def distinct(items: Iterable[Any], besides: Lookup | None = None) -> list[Any]:
    """distinct(argument List<T>) List<T>; without those elements that are certainly `besides`."""
    result: list[Any] = []
    buckets: dict[Hashable, list[Any]] = {}
    null = False
    for item in items:
        if item is None:
            if not null and not (besides is not None and besides.null):
                null = True
                result.append(None)
            continue
        key = _bucket(item)
        if besides is not None and besides.has(item, key):
            continue
        bucket = buckets.get(key)
        if bucket is None:
            buckets[key] = [item]
            result.append(item)
        elif not any(item is other or compare.equal(item, other) for other in bucket):
            bucket.append(item)
            result.append(item)
    return result


class Lookup:
    """The elements of a list, for many membership questions."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.null = False
        self.buckets: dict[Hashable, list[Any]] = {}
        for item in items:
            self.add(item)

    def add(self, item: Any) -> None:
        """Take one more element in."""
        if item is None:
            self.null = True
        else:
            self.buckets.setdefault(_bucket(item), []).append(item)

    def has(self, item: Any, key: Hashable = None) -> bool:
        """Whether the list has an element that is certainly equal. `key`: the item's bucket, where it is known."""
        if item is None:
            return self.null
        bucket = self.buckets.get(_bucket(item) if key is None else key)
        if bucket is None:
            return False
        return any(item is other or compare.equal(item, other) for other in bucket)


def list_union(one: Any, two: Any) -> Any:
    """union(left List<T>, right List<T>) List<T>: null counts as empty."""
    return distinct([*(one or ()), *(two or ())])


def list_intersect(one: Any, two: Any) -> Any:
    """intersect(left List<T>, right List<T>) List<T>."""
    if one is None or two is None:
        return None
    lookup = Lookup(two)
    return distinct(item for item in one if lookup.has(item))


def list_except(one: Any, two: Any) -> Any:
    """except(left List<T>, right List<T>) List<T>."""
    if one is None:
        return None
    return distinct(one, Lookup(two) if two else None)


def includes_all(one: Any, two: Any) -> Truth:
    result: Truth = True
    for item in two:
        result = compare.both(result, member(item, one))
        if result is False:
            return False
    return result


def proper_all(one: Any, two: Any) -> Truth:
    return compare.both(includes_all(one, two), len(distinct(one)) > len(distinct(two)))


def proper_member(element: Any, items: Any) -> Truth:
    return compare.both(member(element, items), len(distinct(items)) > 1)


def _equivalent_member(element: Any, items: Any) -> bool:
    """~in(element T, argument List<T>) Boolean: by `~`; false for a null list (CQL 2.0, EquivalentIn)."""
    return items is not None and any(equivalent(element, item) for item in items)


# --- Lists only ---


def flatten(items: Any) -> Any:
    """flatten(argument List<List<T>>) List<T>."""
    result: list[Any] = []
    for item in items:
        if isinstance(item, list):
            check_elements(len(result) + len(item))
            result.extend(item)
        elif item is not None:
            result.append(item)
    return result


def _flatten(scope: Scope, node: Node) -> Expr:
    (operand,) = scope.operands(node)
    made = apply1(flatten, operand)
    inner = element_of(operand.type)
    made.type = inner if isinstance(inner, ListOf) else operand.type
    return made


def _first_or_last(index: int) -> Builder:
    """First(argument List<T>) T, Last(argument List<T>) T; ELM's `orderBy` names an element to sort by before."""

    def pick(items: Any) -> Any:
        return items[index] if items else None

    def build(scope: Scope, node: Node) -> Expr:
        source = scope.expr(node["source"])
        if node.get("orderBy"):
            source = sorted_by(scope, source, [{"type": "ByColumn", "path": node["orderBy"]}])
        made = apply1(pick, source)
        made.type = element_of(source.type)
        return made

    return build


def _singleton(items: Any) -> Any:
    """singleton from(argument List<T>) T: an error for more than one."""
    if len(items) > 1:
        raise DataError("singleton from needs a list of at most one element")
    return items[0] if items else None


def _singleton_from(scope: Scope, node: Node) -> Expr:
    (operand,) = scope.operands(node)
    made = apply1(_singleton, operand)
    made.type = element_of(operand.type)
    return made


def _index_of(scope: Scope, node: Node) -> Expr:
    """IndexOf(argument List<T>, element T) Integer: -1 where it is not there."""

    def find(items: Any, element: Any) -> Any:
        for index, item in enumerate(items):
            if item is not None and compare.equal(item, element):
                return index
        return -1

    return call(find, children(scope, node, "source", "element"))


def _slice(scope: Scope, node: Node) -> Expr:
    """Skip, Take, Tail — ELM Slice(source, startIndex, endIndex).

    "If the startIndex or endIndex is less than 0, or if the endIndex is less than the startIndex, the result is an
    empty list" (ELM 1.5). CQL 2.0's trial-use Slice counts negative indices from the end; in 1.5 `Skip(x, -1)`,
    which must be empty, is this very node.
    """
    source, low, high = children(scope, node, "source", "startIndex", "endIndex")

    def cut(items: Any, begin: Any, stop: Any) -> Any:
        begin = 0 if begin is None else begin
        stop = len(items) if stop is None else stop
        return [] if begin < 0 or stop < 0 else items[begin:stop]

    made = call(cut, [source, low or constant(None), high or constant(None)], nullable=2)
    made.type = source.type if source else None
    return made


def _indexer(items: Any, index: Any) -> Any:
    """[](argument List<T>, index Integer) T: null outside the list; also of strings."""
    return items[index] if 0 <= index < len(items) else None


def _build_indexer(scope: Scope, node: Node) -> Expr:
    return call(_indexer, [*scope.operands(node)])


def _length(value: Any) -> Any:
    """Length(argument List<T>) Integer: 0 for null; Length(argument String) Integer: null for null."""
    return len(value)


def _build_length(scope: Scope, node: Node) -> Expr:
    (operand,) = scope.operands(node)
    if isinstance(operand.type, ListOf):
        return raw1_expr(lambda items: 0 if items is None else len(items), operand)
    return apply1(_length, operand)


def raw1_expr(function: Callable[[Any], Any], operand: Expr) -> Expr:
    """`function(operand)`, null passed on to it."""
    inner = operand.fn
    return folded(lambda ctx, env: function(inner(ctx, env)), [operand])


def _times(scope: Scope, node: Node) -> Expr:
    """ELM Times: the Cartesian product of two lists of tuples, as tuples with the elements of both."""
    left, right = scope.operands(node)
    made = apply2(_product, left, right)
    kinds = [element_of(operand.type) for operand in (left, right)]
    made.type = ListOf(
        TupleOf(tuple(e for kind in kinds if isinstance(kind, TupleOf) for e in kind.elements))
    )
    return made


def _product(one: Any, two: Any) -> Any:
    check_elements(len(one) * len(two))
    return [
        None if left is None or right is None else Tuple({**left, **right}) for left in one for right in two
    ]


def _distinct(scope: Scope, node: Node) -> Expr:
    (operand,) = scope.operands(node)
    made = apply1(distinct, operand)
    made.type = operand.type
    return made


BUILDERS: Mapping[str, Builder] = {
    "Flatten": _flatten,
    "First": _first_or_last(0),
    "Last": _first_or_last(-1),
    "SingletonFrom": _singleton_from,
    "IndexOf": _index_of,
    "Slice": _slice,
    "Indexer": _build_indexer,
    "Length": _build_length,
    "Distinct": _distinct,
    "Times": _times,
    "EquivalentIn": raw2(_equivalent_member),
    "EquivalentContains": raw2(lambda items, element: _equivalent_member(element, items)),
}
