"""Type operators: is, as, convert, and the conversions. CQL 1.5, Appendix B, Type Operators.

A conversion of text that can't be read is null. FHIR elements keep no type of their own in JSON: it comes
from the static type, from `resourceType`, or from the choice element that they were read from.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cds_service.elm import fhir_model
from cds_service.elm.codegen import elements as write
from cds_service.elm.codegen import operators as write_operators
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
    """The type that a cast or conversion names: it must name one, and one that there is."""
    wanted = specified(node.get(f"{name}TypeSpecifier")) or (
        named(node[f"{name}Type"]) if node.get(f"{name}Type") else None
    )
    if wanted is None:
        raise ValueError(f"it names no type ({name}Type, {name}TypeSpecifier)")
    if missing := fhir_model.unknown(wanted):
        raise ValueError(f"there is no type {missing}")
    return wanted


def _is(scope: Scope, node: Node) -> Expr:
    """is<T>(argument Any) Boolean: false for null."""
    wanted = target_type(node, "is")
    if node["operand"].get("type") == "Property" and fhir(wanted):
        found = properties.access(scope, node["operand"])
        if found.choices and found.parent is not None:
            return _is_choice(found, fhir(wanted) or "")
        operand = found.expr()
    else:
        operand = scope.expr(node["operand"])
    inner, static = operand.fn, operand.type

    def decide(value: Any) -> Any:
        return value is not None and has_type(value, wanted, static)

    def run_is(ctx: Context, env: Env) -> Any:
        return decide(inner(ctx, env))

    return folded(run_is, [operand], write_operators.direct(decide, [operand], sure=True))


def _is_choice(found: properties.Access, wanted: str) -> Expr:
    """`O.value is Quantity`: whether the key is there."""
    keys = [key for key, kind in found.choices if fhir_model.is_subtype(kind, wanted)]
    keys += ["_" + key for key in keys]  # a primitive may be there by its extensions alone
    parent = found.parent
    assert parent is not None  # noqa: S101 - asked by the caller

    def run_is_choice(ctx: Context, env: Env) -> Any:
        source = parent(ctx, env)
        return source is not None and any(source.get(key) is not None for key in keys)

    emit = None if found.parent_emit is None else write.has_key(found.parent_emit, keys)
    return Expr(run_is_choice, "System.Boolean", emit=emit)


def _as(scope: Scope, node: Node) -> Expr:
    """as<T>(argument Any) T: null where the value is of another type; cast … as: an error."""
    wanted = target_type(node, "as")
    strict = bool(node.get("strict"))
    source = node["operand"]
    if source.get("type") == "Property" and fhir(wanted) and not strict:
        found = properties.access(scope, source)
        narrowed = properties.narrow(found, wanted)
        if narrowed is not None:
            return Expr(narrowed.fn, wanted, emit=narrowed.emit)
        operand = found.expr()
    else:
        operand = scope.expr(source)
    return cast(operand, wanted, strict)


def cast(operand: Expr, wanted: StaticType, strict: bool) -> Expr:
    """A value as another type."""
    if operand.constant and operand.value() is None:
        return constant(None, wanted)
    if operand.type == wanted and operand.type is not None:
        return Expr(operand.fn, wanted, operand.constant, emit=write_operators.same(operand))
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

        def with_type(value: Any) -> Any:
            return None if value is None or type(value) is Typed else Typed(value, kind)

        def run_into_choice(ctx: Context, env: Env) -> Any:
            return with_type(inner(ctx, env))

        return Expr(run_into_choice, wanted, emit=write_operators.direct(with_type, [operand]))
    unwrap = not isinstance(wanted, ChoiceOf) and wanted != "System.Any"
    downcast = element is not None and fhir(wanted) is not None and _below(fhir(wanted) or "", element)

    def cast(value: Any) -> Any:
        if has_type(value, wanted, static) or (
            downcast and type(value) is not Typed and not _is_resource(value)
        ):
            if unwrap and type(value) is Typed:
                return value.value
            return _with_point(value, wanted)
        if strict:
            raise DataError("a value is not of the type that it is cast to")
        return None

    def run_as(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        return None if value is None else cast(value)

    return Expr(run_as, wanted, emit=write_operators.strict1(cast, operand))


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
    """Children(argument Any) List<Any>: the values of the immediate elements; of a list: of its elements."""
    return apply1(child_values, scope.expr(node["source"]))


def child_values(value: Any) -> list[Any]:
    """The immediate elements of a structured value, those of a list's elements one after the other."""
    if isinstance(value, Typed):
        value = value.value
    if isinstance(value, list):
        return [child for item in value for child in child_values(item)]
    if isinstance(value, dict):
        items: list[Any] = [item for name, item in value.items() if name != "resourceType"]
    elif isinstance(value, (Quantity, Ratio, Code, Concept, Interval)):
        items = list(value._state())
    else:
        items = []
    result: list[Any] = []
    for item in items:
        result.extend(item) if isinstance(item, (list, tuple)) else result.append(item)
    return [item for item in result if item is not None]


def _descendants(value: Any) -> list[Any]:
    """Descendants(argument Any) List<Any>: the elements, their elements, and so on. ELM 1.5 spells it Descendents."""
    result: list[Any] = []
    pending = child_values(value)
    while pending:
        result.extend(pending)
        pending = child_values(pending)
    return result


def _build_descendants(scope: Scope, node: Node) -> Expr:
    return apply1(_descendants, scope.expr(node["source"]))


BUILDERS: Mapping[str, Builder] = {
    "Is": _is,
    "As": _as,
    "Children": _children,
    "Descendents": _build_descendants,
    "Descendants": _build_descendants,
}
