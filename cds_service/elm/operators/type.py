"""Type operators: is, as, convert, and the conversions. CQL 1.5, Appendix B, Type Operators.

A conversion of text that can't be read is null. FHIR elements keep no type of their own in JSON: it comes
from the static type, from `resourceType`, or from the choice element that they were read from.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cds_service.elm import fhir_model
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope, constant
from cds_service.elm.context import Context, Env
from cds_service.elm.operators import properties
from cds_service.elm.operators.building import apply1, folded
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.types import (
    ChoiceOf,
    IntervalOf,
    ListOf,
    StaticType,
    TupleOf,
    fhir,
    named,
    specified,
    system,
)
from cds_service.elm.values import (
    Code,
    CodeSystem,
    Concept,
    Interval,
    Long,
    Quantity,
    Ratio,
    Tuple,
    Typed,
    Uncertainty,
    ValueSet,
)

_CLASSES: Mapping[str, tuple[type, ...]] = {
    "Boolean": (bool,),
    "Integer": (int, Uncertainty),
    "Long": (Long,),
    "Decimal": (Decimal,),
    "String": (str,),
    "Date": (Date,),
    "DateTime": (DateTime,),
    "Time": (Time,),
    "Quantity": (Quantity,),
    "Ratio": (Ratio,),
    "Code": (Code,),
    "Concept": (Concept,),
    "ValueSet": (ValueSet,),
    "CodeSystem": (CodeSystem,),
    "Vocabulary": (ValueSet, CodeSystem),
}


def has_type(value: Any, wanted: StaticType, static: StaticType = None) -> bool:
    """Whether a non-null value is of a type; `static` is what is known of an untyped FHIR element."""
    if wanted is None or wanted == "System.Any":
        return True
    if isinstance(wanted, ChoiceOf):
        return any(has_type(value, option, static) for option in wanted.types)
    if isinstance(wanted, ListOf):
        return isinstance(value, list) and all(
            item is None
            or has_type(item, wanted.element, static.element if isinstance(static, ListOf) else None)
            for item in value
        )
    if isinstance(wanted, IntervalOf):
        return isinstance(value, Interval) and _has_points(value, wanted.point)
    if isinstance(wanted, TupleOf):
        return type(value) is Tuple
    name = system(wanted)
    if name is not None:
        return type(value) in _CLASSES.get(name, ()) and fhir(static) is None
    fhir_name = fhir(wanted)
    if fhir_name is None:
        return False
    if type(value) is Typed:
        return fhir_model.is_subtype(value.type, fhir_name)
    if isinstance(value, dict) and type(value) is not Tuple and isinstance(value.get("resourceType"), str):
        return fhir_model.is_subtype(value["resourceType"], fhir_name)
    known = fhir(static)
    if known is not None:
        return fhir_model.is_subtype(known, fhir_name)
    return isinstance(value, dict) and type(value) is not Tuple and fhir_model.value_type(fhir_name) is None


def _has_points(value: Interval, point: StaticType) -> bool:
    if value.point is not None and system(point) is not None and system(point) != "Any":
        return value.point == system(point)
    return all(bound is None or has_type(bound, point) for bound in (value.low, value.high))


def target_type(node: Node, name: str) -> StaticType:
    return specified(node.get(f"{name}TypeSpecifier")) or (
        named(node[f"{name}Type"]) if node.get(f"{name}Type") else None
    )


def _is(scope: Scope, node: Node) -> Expr:
    """is<T>(argument Any) Boolean: false for null."""
    wanted = target_type(node, "is")
    if node["operand"].get("type") == "Property" and fhir(wanted):
        found = properties.access(scope, node["operand"])
        if found.choices and found.parent is not None:
            return _is_choice(found, fhir(wanted) or "")
        operand = Expr(found.fn, found.type)
    else:
        operand = scope.expr(node["operand"])
    inner, static = operand.fn, operand.type

    def run_is(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        return value is not None and has_type(value, wanted, static)

    return folded(run_is, [operand])


def _is_choice(found: properties.Access, wanted: str) -> Expr:
    """`O.value is Quantity`: whether the key is there."""
    choices = [(key, kind) for key, kind in found.choices if fhir_model.is_subtype(kind, wanted)]
    # `_valueDateTime` alone: a dateTime that has extensions or an id but no value.
    extras = ["_" + key for key, kind in choices if fhir_model.value_type(kind) is not None]
    keys = [key for key, _ in choices] + extras
    parent = found.parent
    assert parent is not None  # noqa: S101 - asked by the caller

    def run_is_choice(ctx: Context, env: Env) -> Any:
        source = parent(ctx, env)
        return source is not None and any(source.get(key) is not None for key in keys)

    return Expr(run_is_choice, "System.Boolean")


def _as(scope: Scope, node: Node) -> Expr:
    """as<T>(argument Any) T: null where the value is of another type; cast … as: an error."""
    wanted = target_type(node, "as")
    strict = bool(node.get("strict"))
    source = node["operand"]
    if source.get("type") == "Property" and fhir(wanted) and not strict:
        found = properties.access(scope, source)
        narrowed = properties.narrow(found, wanted)
        if narrowed is not None:
            return Expr(narrowed.fn, wanted)
        operand = Expr(found.fn, found.type)
    else:
        operand = scope.expr(source)
    if operand.constant and operand.value() is None:
        return constant(None, wanted)
    if operand.type == wanted and operand.type is not None:
        return Expr(operand.fn, wanted, operand.constant)
    return _cast(operand, wanted, strict)


def _cast(operand: Expr, wanted: StaticType, strict: bool) -> Expr:
    inner, static = operand.fn, operand.type
    element = fhir(static)
    if (
        isinstance(wanted, ChoiceOf)
        and element is not None
        and not fhir_model.is_subtype(element, "Resource")
    ):
        kind = element  # into a choice: the element takes its type along

        def run_into_choice(ctx: Context, env: Env) -> Any:
            value = inner(ctx, env)
            return None if value is None or type(value) is Typed else Typed(value, kind)

        return Expr(run_into_choice, wanted)
    unwrap = not isinstance(wanted, ChoiceOf) and wanted != "System.Any"
    downcast = element is not None and fhir(wanted) is not None and _below(fhir(wanted) or "", element)

    def run_as(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        if value is None:
            return None
        if has_type(value, wanted, static) or (
            downcast and type(value) is not Typed and not _is_resource(value)
        ):
            if unwrap and type(value) is Typed:
                return value.value
            return _with_point(value, wanted)
        if strict:
            raise DataError("a value is not of the type that it is cast to")
        return None

    return Expr(run_as, wanted)


def _below(name: str, of: str) -> bool:
    return fhir_model.is_subtype(name, of)


def _is_resource(value: Any) -> bool:
    return isinstance(value, dict) and "resourceType" in value


def _with_point(value: Any, wanted: StaticType) -> Any:
    """An interval takes the point type of the cast, so that its null bounds have a meaning."""
    if isinstance(value, Interval) and value.point is None and isinstance(wanted, IntervalOf):
        return Interval(value.low, value.high, value.low_closed, value.high_closed, system(wanted.point))
    return value


# --- Conversions ---


def _children(scope: Scope, node: Node) -> Expr:
    """Children(argument Any) List<Any>: the values of the immediate elements."""
    source = scope.expr(node["source"])
    return apply1(child_values, source)


def child_values(value: Any) -> list[Any]:
    """The immediate elements of a structured value."""
    if isinstance(value, Typed):
        value = value.value
    if isinstance(value, list):
        items: list[Any] = list(value)
    elif isinstance(value, dict):
        items = [item for name, item in value.items() if name != "resourceType"]
    elif isinstance(value, (Quantity, Ratio, Code, Concept, Interval)):
        items = list(value._state())
    else:
        items = []
    result: list[Any] = []
    for item in items:
        result.extend(item) if isinstance(item, (list, tuple)) else result.append(item)
    return [item for item in result if item is not None]


def _descendents(value: Any) -> list[Any]:
    """Descendents(argument Any) List<Any>: the elements, their elements, and so on."""
    result: list[Any] = []
    pending = child_values(value)
    while pending:
        item = pending.pop(0)
        result.append(item)
        pending.extend(child_values(item))
    return result


BUILDERS: Mapping[str, Builder] = {
    "Is": _is,
    "As": _as,
    "Children": _children,
    "Descendents": lambda scope, node: apply1(_descendents, scope.expr(node["source"])),
}
