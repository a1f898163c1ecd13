"""Retrieve. CQL Author's Guide, Retrieve; ELM, Retrieve.

What a retrieve asks for is known at load wherever its codes are (a value set, code references); then it is a
RetrieveNeed of its define. Codes that are computed at run time are still passed to the retriever. A date
range is applied here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.elm import fhir_model
from cds_service.elm.codegen import queries as write
from cds_service.elm.compile import Builder, Expr, Node, RetrieveNeed, Scope
from cds_service.elm.context import Context, Env
from cds_service.elm.operators import interval, properties, references
from cds_service.elm.temporal import Date, DateTime
from cds_service.elm.types import ListOf, fhir, named
from cds_service.elm.values import Code, Concept, Interval, Typed, ValueSet

_UNSUPPORTED = (
    "codeFilter",
    "otherFilter",
    "id",
    "idProperty",
    "idSearch",
    "context",
    "include",
    "includedIn",
)


def _retrieve(scope: Scope, node: Node) -> Expr:
    """[ResourceType: code path in codes]."""
    scope.compiler.varies()
    kind = named(node["dataType"])
    resource_type = fhir(kind)
    if resource_type is None or not fhir_model.known(resource_type):
        scope.fail(node, f"{kind} is no FHIR resource type")
    for name in _UNSUPPORTED:
        if node.get(name):
            scope.fail(node, f"a retrieve with {name} is not supported")
    result = _by_codes(scope, node, resource_type) if node.get("codes") else _all(scope, resource_type)
    result.type = ListOf(kind)
    filters = list(node.get("dateFilter") or ())
    if node.get("dateRange"):
        filters.append(
            {"property": node.get("dateProperty"), "value": node["dateRange"], "type": "DateFilterElement"}
        )
    for date_filter in filters:
        result = _in_range(scope, node, result, date_filter, kind)
    return result


def _all(scope: Scope, resource_type: str) -> Expr:
    need = RetrieveNeed(resource_type, None, None, None)
    scope.owner.needs[need] = None
    key = scope.compiler.number_of(need)

    def run_retrieve(ctx: Context, env: Env) -> Any:
        return ctx.retrieve(key, resource_type, None, None, None)

    return Expr(run_retrieve, emit=write.retrieve(key, resource_type, None, None, None))


def _by_codes(scope: Scope, node: Node, resource_type: str) -> Expr:
    path = node.get("codeProperty") or fhir_model.code_path(resource_type)
    if path is None:
        scope.fail(node, f"a retrieve of {resource_type} by codes names no code property")
    codes = node["codes"]
    if codes.get("type") == "ExpandValueSet":
        codes = codes["operand"]
    if codes.get("type") == "ValueSetRef":
        url = references.value_set(scope, codes).id
        need = RetrieveNeed(resource_type, path, None, url)
        scope.owner.needs[need] = None
        key = scope.compiler.number_of(need)

        def run_value_set(ctx: Context, env: Env) -> Any:
            return ctx.retrieve(key, resource_type, path, None, url)

        return Expr(run_value_set, emit=write.retrieve(key, resource_type, path, None, url))
    expr = scope.expr(codes)
    if expr.constant:
        fixed = as_codes(expr.value())
        if fixed is not None:
            need = RetrieveNeed(resource_type, path, fixed, None)
            scope.owner.needs[need] = None
            key = scope.compiler.number_of(need)

            def run_codes(ctx: Context, env: Env) -> Any:
                return ctx.retrieve(key, resource_type, path, fixed, None)

            return Expr(run_codes, emit=write.retrieve(key, resource_type, path, fixed, None))
    scope.owner.needs[RetrieveNeed(resource_type, path, None, None)] = None
    inner = expr.fn

    def run_dynamic(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        if isinstance(value, ValueSet):
            return ctx.retrieve((resource_type, path, value.id), resource_type, path, None, value.id)
        found = as_codes(value) or ()
        return ctx.retrieve((resource_type, path, found), resource_type, path, found, None)

    return Expr(run_dynamic)


def as_codes(value: Any) -> tuple[Code, ...] | None:
    """The codes of a code, a concept, or a list of them; None where the value is something else."""
    if isinstance(value, Code):
        return (value,)
    if isinstance(value, Concept):
        return value.codes
    if isinstance(value, (list, tuple)):
        result: list[Code] = []
        for item in value:
            if item is None:
                continue
            inner = as_codes(item)
            if inner is None:
                return None
            result.extend(inner)
        return tuple(result)
    return None


def _in_range(scope: Scope, node: Node, source: Expr, date_filter: Node, kind: str) -> Expr:
    """Only the resources whose date is during the range."""
    path = date_filter.get("property")
    if not path or not date_filter.get("value"):
        scope.fail(node, "a retrieve's date filter needs a property and a range")
    wanted = scope.expr(date_filter["value"])
    cell = properties.Access(lambda ctx, env: env, kind)
    for name in path.split("."):
        cell = properties.step(scope, node, cell, name)
    value_of, range_of, inner = cell.fn, wanted.fn, source.fn
    during = interval.relation("IncludedIn", None)

    def run_in_range(ctx: Context, env: Env) -> Any:
        span = range_of(ctx, env)
        if span is None:
            return []
        kept = []
        for resource in inner(ctx, env):
            moment = _moment(value_of(ctx, resource), ctx)
            if moment is not None and during(moment, span) is True:
                kept.append(resource)
        return kept

    return Expr(run_in_range, source.type)


def _moment(value: Any, ctx: Context) -> Any:
    """A FHIR date element as DateTime or Interval<DateTime>."""
    if type(value) is Typed:
        value = value.value
    if isinstance(value, str):
        return DateTime.parse(value, ctx.offset)
    if isinstance(value, dict) and ("start" in value or "end" in value):
        low, high = value.get("start"), value.get("end")
        return Interval(
            DateTime.parse(low, ctx.offset) if low else None,
            DateTime.parse(high, ctx.offset) if high else None,
            point="DateTime",
        )
    return value if isinstance(value, (Date, DateTime, Interval)) else None


BUILDERS: Mapping[str, Builder] = {"Retrieve": _retrieve}
