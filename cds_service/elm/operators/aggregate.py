"""Aggregate functions. CQL 1.5, Appendix B, Aggregate Functions.

Nulls are left out; of nothing, the result is null (Count 0, AllTrue true, AnyTrue false). Quantities are
brought to the first one's unit; what has no common dimension is null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any

from cds_service import units
from cds_service.elm import compare
from cds_service.elm.codegen import operators as write
from cds_service.elm.compile import Builder, Expr, Node, Scope
from cds_service.elm.operators import properties
from cds_service.elm.operators.arithmetic import add, divide, in_range, multiply
from cds_service.elm.operators.building import folded
from cds_service.elm.operators.list import distinct
from cds_service.elm.types import ListOf
from cds_service.elm.values import Quantity

Items = list[Any]


def _aggregate(function: Callable[[Items], Any], of_null: Any = None) -> Builder:
    """A builder for `function` of the non-null elements (or of one property of each: `path`)."""

    def build(scope: Scope, node: Node) -> Expr:
        source = scope.expr(node["source"])
        if node.get("signature") and len(node["signature"]) > 1:
            scope.fail(node, "aggregates of several lists are not supported")
        inner = source.fn
        column = None
        if node.get("path"):
            element = source.type.element if isinstance(source.type, ListOf) else None
            cell = properties.Access(lambda ctx, env: env, element)
            for name in node["path"].split("."):
                cell = properties.step(scope, node, cell, name)
            column = cell.fn

        def of(items: Any, ctx: Any) -> Any:
            if items is None:
                return of_null
            if column is not None:
                items = [None if item is None else column(ctx, item) for item in items]
            return function([item for item in items if item is not None])

        def run_aggregate(ctx: Any, env: Any) -> Any:
            return of(inner(ctx, env), ctx)

        return folded(run_aggregate, [source], write.direct(of, [source], "ctx"))

    return build


def _numeric(function: Callable[[list[Decimal]], Any]) -> Callable[[Items], Any]:
    """A statistic of Decimals, or of quantities in the first one's unit."""

    def run(items: Items) -> Any:
        if not items:
            return None
        unit = None
        if isinstance(items[0], Quantity):
            unit = items[0].unit
            converted = [units.convert(item.value, item.unit, unit) for item in items]
            if any(value is None for value in converted):
                return None
            values = [value for value in converted if value is not None]
        else:
            values = [Decimal(item) for item in items]
        try:
            result = in_range(function(values))
        except InvalidOperation:
            return None
        if result is None or not isinstance(items[0], Quantity):
            return result
        return Quantity(result, unit)

    return run


def _sum(items: Items) -> Any:
    """Sum(argument List<T>) T."""
    return reduce(lambda one, two: None if one is None else add(one, two), items) if items else None


def _product(items: Items) -> Any:
    """Product(argument List<T>) T."""
    return reduce(lambda one, two: None if one is None else multiply(one, two), items) if items else None


def _average(items: Items) -> Any:
    """Avg(argument List<Decimal|Quantity>) Decimal|Quantity."""
    total = _sum([Decimal(item) if isinstance(item, int) else item for item in items])
    return None if total is None else divide(total, Decimal(len(items)))


def _extreme(better: Callable[[Any, Any], Any]) -> Callable[[Items], Any]:
    """Min(argument List<T>) T, Max(argument List<T>) T."""

    def run(items: Items) -> Any:
        result = None
        for item in items:
            if result is None or better(item, result) is True:
                result = item
        return result

    return run


def _median(values: list[Decimal]) -> Decimal:
    """Median(argument List<Decimal|Quantity>): the mean of the middle two for an even number."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _mode(items: Items) -> Any:
    """Mode(argument List<T>) T: the most frequent value, of several the least."""
    best, most = None, 0
    for value in distinct(items):
        number = sum(1 for item in items if compare.equal(item, value))
        if number > most or (number == most and best is not None and compare.less(value, best)):
            best, most = value, number
    return best


def _variance(values: list[Decimal]) -> Decimal:
    """Variance: of a sample (n - 1); of one value: not defined."""
    return _squares(values) / (len(values) - 1)


def _population_variance(values: list[Decimal]) -> Decimal:
    """PopulationVariance: n."""
    return _squares(values) / len(values)


def _squares(values: list[Decimal]) -> Decimal:
    mean = sum(values, Decimal(0)) / len(values)
    return sum(((value - mean) ** 2 for value in values), Decimal(0))


def _geometric_mean(values: list[Decimal]) -> Any:
    """GeometricMean(argument List<Decimal>) Decimal: the nth root of the product."""
    if len(values) == 1:
        return values[0]
    product = reduce(lambda one, two: one * two, values)
    return None if product < 0 else product ** (Decimal(1) / len(values))


def _defined(function: Callable[[list[Decimal]], Decimal], least: int) -> Callable[[Items], Any]:
    of_numbers = _numeric(function)
    return lambda items: of_numbers(items) if len(items) >= least else None


BUILDERS: Mapping[str, Builder] = {
    "Count": _aggregate(len, 0),
    "Sum": _aggregate(_sum),
    "Product": _aggregate(_product),
    "Avg": _aggregate(_average),
    "Min": _aggregate(_extreme(compare.less)),
    "Max": _aggregate(_extreme(compare.greater)),
    "Median": _aggregate(_numeric(_median)),
    "Mode": _aggregate(_mode),
    "Variance": _aggregate(_defined(_variance, 2)),
    "PopulationVariance": _aggregate(_numeric(_population_variance)),
    "StdDev": _aggregate(_defined(lambda values: _variance(values).sqrt(), 2)),
    "PopulationStdDev": _aggregate(_numeric(lambda values: _population_variance(values).sqrt())),
    "GeometricMean": _aggregate(_numeric(_geometric_mean)),
    "AllTrue": _aggregate(lambda items: all(item is True for item in items), True),
    "AnyTrue": _aggregate(lambda items: any(item is True for item in items), False),
}
