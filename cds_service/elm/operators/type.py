"""Type operators: is, as, convert, and the conversions. CQL 1.5, Appendix B, Type Operators.

A conversion of text that can't be read is null. FHIR elements keep no type of their own in JSON: it comes
from the static type, from `resourceType`, or from the choice element that they were read from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from cds_service import units
from cds_service.elm import fhir_model
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope, constant
from cds_service.elm.context import Context, Env
from cds_service.elm.operators import structured
from cds_service.elm.operators.arithmetic import in_range
from cds_service.elm.operators.building import apply1, apply2, folded
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
    MAX_INTEGER,
    MAX_LONG,
    MIN_INTEGER,
    MIN_LONG,
    Code,
    CodeSystem,
    Concept,
    Interval,
    Long,
    Quantity,
    Ratio,
    Shell,
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


def _target(node: Node, name: str) -> StaticType:
    return specified(node.get(f"{name}TypeSpecifier")) or (
        named(node[f"{name}Type"]) if node.get(f"{name}Type") else None
    )


def _is(scope: Scope, node: Node) -> Expr:
    """is<T>(argument Any) Boolean: false for null."""
    wanted = _target(node, "is")
    if node["operand"].get("type") == "Property" and fhir(wanted):
        found = structured.access(scope, node["operand"])
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


def _is_choice(found: structured.Access, wanted: str) -> Expr:
    """`O.value is Quantity`: whether the key is there."""
    keys = [key for key, kind in found.choices if fhir_model.is_subtype(kind, wanted)]
    parent = found.parent
    assert parent is not None  # noqa: S101 - asked by the caller

    def run_is_choice(ctx: Context, env: Env) -> Any:
        source = parent(ctx, env)
        return source is not None and any(source.get(key) is not None for key in keys)

    return Expr(run_is_choice, "System.Boolean")


def _as(scope: Scope, node: Node) -> Expr:
    """as<T>(argument Any) T: null where the value is of another type; cast … as: an error."""
    wanted = _target(node, "as")
    strict = bool(node.get("strict"))
    source = node["operand"]
    if source.get("type") == "Property" and fhir(wanted) and not strict:
        found = structured.access(scope, source)
        narrowed = structured.narrow(found, wanted)
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

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
_ZONE = re.compile(r"(Z|[+-]\d{2}:\d{2})\Z", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+\Z", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?\Z", re.ASCII)
_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:'([^']*)'|([A-Za-z]+))?\Z", re.ASCII)


def to_boolean(value: Any) -> Any:
    """ToBoolean(argument String|Integer|Long|Decimal) Boolean."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.lower()
        return True if text in _TRUE else (False if text in _FALSE else None)
    return True if value == 1 else (False if value == 0 else None)


def to_integer(value: Any) -> Any:
    """ToInteger(argument Boolean|String|Long) Integer."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        if not _INTEGER.match(value):
            return None
        value = int(value)
    return int(value) if MIN_INTEGER <= value <= MAX_INTEGER else None


def to_long(value: Any) -> Any:
    """ToLong(argument Boolean|Integer|String) Long."""
    if isinstance(value, str):
        if not _INTEGER.match(value):
            return None
        value = int(value)
    return Long(value) if MIN_LONG <= value <= MAX_LONG else None


def to_decimal(value: Any) -> Any:
    """ToDecimal(argument Boolean|Integer|Long|String) Decimal."""
    if isinstance(value, Uncertainty):
        return Uncertainty(Decimal(value.low), Decimal(value.high))
    if isinstance(value, str) and not _DECIMAL.match(value):
        return None
    try:
        return in_range(Decimal(value))
    except InvalidOperation:
        return None


def to_string(value: Any) -> Any:
    """ToString(argument T) String."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text if "." in text else text + ".0"
    if isinstance(value, Quantity):
        unit = value.unit or "1"
        text = format(value.value, "f") if value.value is not None else ""
        return f"{text} {unit}" if unit in units.CALENDAR else f"{text} '{unit}'"
    if isinstance(value, Ratio):
        return f"{to_string(value.numerator)}:{to_string(value.denominator)}"
    if isinstance(value, (int, str, Date, DateTime, Time)):
        return str(value)
    raise DataError("a value of this type has no text")


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        return None


def to_date(value: Any) -> Any:
    """ToDate(argument String|DateTime) Date."""
    if isinstance(value, DateTime):
        return value.date()
    if isinstance(value, str):
        parsed = _parsed(lambda text: DateTime.parse(text, 0), value)
        return None if parsed is None else parsed.date()
    return value


def to_time(value: Any) -> Any:
    """ToTime(argument String) Time: an offset is read over."""
    return _parsed(Time.parse, _ZONE.sub("", value)) if isinstance(value, str) else value


def to_quantity(value: Any) -> Any:
    """ToQuantity(argument Decimal|Integer|String|Ratio) Quantity."""
    if isinstance(value, Quantity):
        return value
    if isinstance(value, Ratio):
        from cds_service.elm.operators.arithmetic import divide

        return divide(value.numerator, value.denominator)
    if not isinstance(value, str):
        return Quantity(Decimal(value), "1")
    found = _QUANTITY.match(value.strip())
    if found is None:
        return None
    number, ucum, word = found.groups()
    if word is not None and word not in units.CALENDAR:
        return None
    amount = in_range(Decimal(number))
    unit = ucum or word or "1"
    return None if amount is None or not units.is_unit(unit) else Quantity(amount, unit)


def to_ratio(value: Any) -> Any:
    """ToRatio(argument String) Ratio."""
    parts = value.split(":")
    if len(parts) != 2:
        return None
    numerator, denominator = to_quantity(parts[0]), to_quantity(parts[1])
    return None if numerator is None or denominator is None else Ratio(numerator, denominator)


def to_concept(value: Any) -> Any:
    """ToConcept(argument Code|List<Code>) Concept."""
    if isinstance(value, Concept):
        return value
    if isinstance(value, list):
        return Concept(tuple(value))
    return Concept((value,), value.display)


def _to_datetime(scope: Scope, node: Node) -> Expr:
    """ToDateTime(argument Date|String) DateTime: without an offset, the evaluation's."""
    (operand,) = scope.operands(node)
    return _datetime_of(operand)


def _datetime_of(operand: Expr) -> Expr:
    inner = operand.fn

    def run_to_datetime(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        if isinstance(value, str):
            return _parsed(lambda text: DateTime.parse(text, ctx.offset), value)
        return DateTime.of(value.parts, ctx.offset) if isinstance(value, Date) else value

    return Expr(run_to_datetime, "System.DateTime")


def to_datetime_or_null(value: Any) -> Any:
    """A DateTime of a text or Date, for asking whether it can be had."""
    if isinstance(value, str):
        return _parsed(lambda text: DateTime.parse(text, 0), value)
    return value


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Long": to_long,
    "Decimal": to_decimal,
    "String": to_string,
    "Date": to_date,
    "DateTime": to_datetime_or_null,
    "Time": to_time,
    "Quantity": to_quantity,
    "Ratio": to_ratio,
    "Concept": to_concept,
}


def _conversion(name: str) -> Builder:
    convert = _CONVERSIONS[name]

    def build(scope: Scope, node: Node) -> Expr:
        (operand,) = scope.operands(node)
        if fhir(operand.type) is not None:
            scope.fail(node, f"a conversion of {operand.type}")
        made = apply1(convert, operand)
        made.type = "System." + name
        return made

    return build


def _converts_to(name: str) -> Builder:
    """ConvertsTo*T*(argument Any) Boolean."""
    convert = _CONVERSIONS[name]

    def can(value: Any) -> bool:
        try:
            return convert(value) is not None
        except (DataError, TypeError, ValueError, AttributeError, InvalidOperation):
            return False

    def build(scope: Scope, node: Node) -> Expr:
        (operand,) = scope.operands(node)
        return apply1(can, operand)

    return build


def _convert(scope: Scope, node: Node) -> Expr:
    """convert<T>(argument Any) T."""
    wanted = _target(node, "to")
    name = system(wanted)
    (operand,) = scope.operands(node)
    if name == "DateTime":
        return _datetime_of(operand)
    if name is None or name not in _CONVERSIONS:
        scope.fail(node, f"a conversion to {wanted} is not supported")
    made = apply1(_CONVERSIONS[name], operand)
    made.type = wanted
    return made


def _can_convert(scope: Scope, node: Node) -> Expr:
    """CanConvert: whether `convert` gives a value."""
    name = system(_target(node, "to"))
    if name is None or name not in _CONVERSIONS:
        scope.fail(node, "a conversion to this type is not supported")
    built = _converts_to(name)(scope, node)
    assert isinstance(built, Expr)  # noqa: S101 - _converts_to makes one
    return built


def _convert_quantity(value: Any, unit: Any) -> Any:
    """ConvertQuantity(argument Quantity, unit String) Quantity: null where the units are not comparable."""
    if value.value is None:
        return None
    converted = units.convert(value.value, value.unit, unit)
    converted = None if converted is None else in_range(converted)
    return None if converted is None else Quantity(converted, unit)


def _build_convert_quantity(scope: Scope, node: Node) -> Expr:
    left, right = scope.operands(node)
    return apply2(_convert_quantity, left, right)


def _can_convert_quantity(scope: Scope, node: Node) -> Expr:
    """CanConvertQuantity(argument Quantity, unit String) Boolean."""
    left, right = scope.operands(node)
    return apply2(lambda value, unit: _convert_quantity(value, unit) is not None, left, right)


def _to_chars(scope: Scope, node: Node) -> Expr:
    """ELM ToChars: the characters of a string."""
    (operand,) = scope.operands(node)
    return apply1(list, operand)


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
    "Convert": _convert,
    "CanConvert": _can_convert,
    "ConvertQuantity": _build_convert_quantity,
    "CanConvertQuantity": _can_convert_quantity,
    "ToChars": _to_chars,
    "Children": _children,
    "Descendents": lambda scope, node: apply1(_descendents, scope.expr(node["source"])),
    **{f"To{name}": _conversion(name) for name in _CONVERSIONS if name != "DateTime"},
    **{f"ConvertsTo{name}": _converts_to(name) for name in _CONVERSIONS if name != "Concept"},
    "ToDateTime": _to_datetime,
}

__all__ = ["BUILDERS", "Shell", "has_type", "to_concept", "to_quantity", "to_string"]
