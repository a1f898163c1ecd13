"""FHIRHelpers' conversions, run natively on the FHIR JSON; equal to the library's own definitions (tested).

A function of a library of that name is run natively only where its body, and those of the functions that it calls,
are the ones known here (FHIRHelpers 4.0.1): libraries of one version were published with several bodies. Every other
function runs from its ELM; the conversions of primitives, `operand.value`, become that look-up (`functions`). Whether
a code is in a value set or equivalent to a known code is asked of the codings themselves (`codings_of`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from cds_service.elm.bounds import end, start
from cds_service.elm.codegen import operators as write
from cds_service.elm.compare import less
from cds_service.elm.compile import DataError, Definition, Expr, Node, Scope
from cds_service.elm.context import Context
from cds_service.elm.operators.primitives import CONVERTERS
from cds_service.elm.reading import Unit
from cds_service.elm.types import IntervalOf, StaticType, specified
from cds_service.elm.values import Code, Concept, Interval, Quantity, Ratio

_NAME = "FHIRHelpers"
_CODEABLE: StaticType = "FHIR.CodeableConcept"
_CODING: StaticType = "FHIR.Coding"


def native(unit: Unit, definition: Definition, operands: Sequence[Expr]) -> Expr | None:
    """The native closure of a FHIRHelpers call, None where there is none."""
    if unit.name != _NAME or len(operands) != 1 or len(definition.operands) != 1:
        return None
    found = _CONVERSIONS.get((definition.name, str(definition.operands[0])))
    if found is None or found[2] != _digest(unit, definition.name, str(definition.operands[0])):
        return None
    inner, (convert, kind, _) = operands[0].fn, found
    emit = write.direct(convert, operands, "ctx")
    return Expr(lambda ctx, env: convert(inner(ctx, env), ctx), kind, emit=emit)


# --- Which definitions are known ---

# What says nothing about what a node computes.
_ASIDE = frozenset(
    {
        "accessLevel",
        "annotation",
        "context",
        "localId",
        "locator",
        "resultTypeName",
        "resultTypeSpecifier",
        "signature",
    }
)
_PLACED = frozenset(
    {"AliasedQuerySource", "CaseItem", "FunctionDef", "InstanceElement", "OperandDef", "ReturnClause"}
)


def _digest(unit: Unit, name: str, operand: str) -> str | None:
    """What identifies a function's computation, its callees' included; None where the library doesn't have it."""
    return _digests(unit).get((name, operand))


@lru_cache(maxsize=8)
def _digests(unit: Unit) -> Mapping[tuple[str, str], str]:
    texts = {name: json.dumps(_bare(nodes), sort_keys=True) for name, nodes in unit.functions.items()}
    calls = {name: set(_called(nodes)) for name, nodes in unit.functions.items()}
    made = {}
    for name, operand in _CONVERSIONS:
        nodes = [
            node
            for node in unit.functions.get(name, ())
            if [str(specified(each.get("operandTypeSpecifier"))) for each in node.get("operand") or ()]
            == [operand]
        ]
        if len(nodes) == 1:
            needed, pending = set[str](), set(_called(nodes))
            while pending:
                callee = pending.pop()
                needed.add(callee)
                pending |= calls.get(callee, set()) - needed
            whole = [
                json.dumps(_bare(nodes), sort_keys=True),
                *(texts.get(each, each) for each in sorted(needed)),
            ]
            made[name, operand] = hashlib.sha256("\n".join(whole).encode()).hexdigest()[:16]
    return made


def _bare(node: Any) -> Any:
    """A node without what says nothing about its computation, in one form whichever writer the translator used."""
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: _bare(value)
        for key, value in node.items()
        if key not in _ASIDE and value != [] and not (key == "type" and value in _PLACED)
    }


def _called(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _called(item)
    elif isinstance(node, Mapping):
        if node.get("type") == "FunctionRef":
            yield node["name"]
        for value in node.values():
            yield from _called(value)


# --- Conversions ---

_UCUM = "http://unitsofmeasure.org"
_CALENDAR_SYSTEM = "http://hl7.org/fhirpath/CodeSystem/calendar-units"
_CALENDAR: Mapping[str, str] = {
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "wk": "week",
    "mo": "month",
    "a": "year",
}


def _present(element: Mapping[str, Any], name: str) -> bool:
    """Whether a primitive is there, if only by its extensions."""
    return element.get(name) is not None or "_" + name in element


def _string(element: Mapping[str, Any], name: str, ctx: Context) -> str | None:
    value = element.get(name)
    return None if value is None else CONVERTERS["String"](value, ctx)


def _to_quantity(quantity: Any, ctx: Context) -> Quantity | None:
    if quantity is not None and _present(quantity, "value") and _present(quantity, "comparator"):
        raise DataError("a Quantity with a comparator can't be converted")
    return _to_quantity_ignoring_comparator(quantity, ctx)


def _to_quantity_ignoring_comparator(quantity: Any, ctx: Context) -> Quantity | None:
    if quantity is None or not _present(quantity, "value"):
        return None
    if _present(quantity, "system") and _string(quantity, "system", ctx) not in (_UCUM, _CALENDAR_SYSTEM):
        raise DataError("a Quantity whose unit is not of UCUM can't be converted")
    unit = _string(quantity, "code", ctx)
    if unit is None:
        unit = _string(quantity, "unit", ctx)
    if unit is None:
        unit = "1"
    value = quantity.get("value")
    return Quantity(None if value is None else CONVERTERS["Decimal"](value, ctx), _CALENDAR.get(unit, unit))


def _to_ratio(ratio: Any, ctx: Context) -> Ratio | None:
    if ratio is None:
        return None
    return Ratio(_to_quantity(ratio.get("numerator"), ctx), _to_quantity(ratio.get("denominator"), ctx))


def _interval(low: Any, high: Any, point: str, low_closed: bool = True, high_closed: bool = True) -> Interval:
    """As the Interval selector makes one: a low bound above the high one is an error."""
    made = Interval(low, high, low_closed, high_closed, point)
    if low is not None and high is not None and less(end(made), start(made)) is True:
        raise DataError("an interval's low bound is above its high bound")
    return made


def period_to_interval(period: Any, ctx: Context) -> Interval | None:
    """The Interval<DateTime> of a FHIR Period: without a start its low bound is unknown, without an end it has none."""
    if period is None:
        return None
    low, high = period.get("start"), period.get("end")
    convert = CONVERTERS["DateTime"]
    return _interval(
        None if low is None else convert(low, ctx),
        None if high is None else convert(high, ctx),
        "DateTime",
        _present(period, "start"),
    )


def _range_to_interval(limits: Any, ctx: Context) -> Interval | None:
    if limits is None:
        return None
    return _interval(_to_quantity(limits.get("low"), ctx), _to_quantity(limits.get("high"), ctx), "Quantity")


def _quantity_to_interval(quantity: Any, ctx: Context) -> Interval | None:
    if quantity is None:
        return None
    comparator = _string(quantity, "comparator", ctx)
    if comparator not in ("<", "<=", ">=", ">"):
        both = _to_quantity(quantity, ctx)
        return _interval(both, both, "Quantity")
    bound = _to_quantity_ignoring_comparator(quantity, ctx)
    if comparator in ("<", "<="):
        return _interval(None, bound, "Quantity", high_closed=comparator == "<=")
    return _interval(bound, None, "Quantity", low_closed=comparator == ">=")


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    raise DataError("a part of a FHIR Coding is no string in the data")


def to_code(coding: Any) -> Code | None:
    """The System Code of a FHIR Coding."""
    if coding is None:
        return None
    get = coding.get
    return Code(_text(get("code")), _text(get("system")), _text(get("version")), _text(get("display")))


def to_concept(concept: Any) -> Concept | None:
    """The System Concept of a FHIR CodeableConcept; equal codes once."""
    if concept is None:
        return None
    codes = dict.fromkeys(code for code in map(to_code, _list(concept.get("coding"))) if code is not None)
    return Concept(tuple(codes), _text(concept.get("text")))


def _list(codings: Any) -> Any:
    if codings is None:
        return ()
    if type(codings) is not list:
        raise DataError("CodeableConcept.coding is no list in the data")
    return codings


def _present_ones(codings: Any) -> Any:
    return [coding for coding in codings if coding is not None] if None in codings else codings


def codings_of(scope: Scope, node: Node) -> Expr | None:
    """For a call of ToConcept or ToCode: an expression of the codings themselves, null for null; else None."""
    if node.get("type") != "FunctionRef" or node.get("name") not in ("ToConcept", "ToCode"):
        return None
    unit = scope.unit.linked.get(node.get("libraryName") or "")
    if unit is None or unit.name != _NAME or len(node["operand"]) != 1:
        return None
    name, wanted = ("ToCode", _CODING) if node["name"] == "ToCode" else ("ToConcept", _CODEABLE)
    if _digest(unit, name, str(wanted)) != _CONVERSIONS[name, str(wanted)][2]:
        return None
    operand = scope.expr(node["operand"][0])
    inner = operand.fn
    if node["name"] == "ToCode" and operand.type == _CODING:
        return Expr(lambda ctx, env: _alone(inner(ctx, env)), emit=write.direct(_alone, [operand]))
    if node["name"] == "ToConcept" and operand.type == _CODEABLE:
        return Expr(lambda ctx, env: _codings(inner(ctx, env)), emit=write.direct(_codings, [operand]))
    return None


def _alone(coding: Any) -> Any:
    return None if coding is None else (coding,)


def _codings(concept: Any) -> Any:
    return None if concept is None else _present_ones(_list(concept.get("coding")))


_QUANTITIES: StaticType = IntervalOf("System.Quantity")
# By name and operand: the conversion, its type, and the digest of the definition that it stands for.
_CONVERSIONS: Mapping[tuple[str, str], tuple[Callable[[Any, Context], Any], StaticType, str]] = {
    ("ToCode", "FHIR.Coding"): (lambda value, ctx: to_code(value), "System.Code", "12898260a1828fad"),
    ("ToConcept", "FHIR.CodeableConcept"): (
        lambda value, ctx: to_concept(value),
        "System.Concept",
        "727f0f3f9cdab56e",
    ),
    ("ToQuantity", "FHIR.Quantity"): (_to_quantity, "System.Quantity", "f56cd28a29dc4d88"),
    ("ToQuantityIgnoringComparator", "FHIR.Quantity"): (
        _to_quantity_ignoring_comparator,
        "System.Quantity",
        "fe25c8fec59e84d9",
    ),
    ("ToRatio", "FHIR.Ratio"): (_to_ratio, "System.Ratio", "83e1cb00e26190d7"),
    ("ToInterval", "FHIR.Period"): (period_to_interval, IntervalOf("System.DateTime"), "d83bd58aacc8dbe2"),
    ("ToInterval", "FHIR.Range"): (_range_to_interval, _QUANTITIES, "da48fb654b1b9409"),
    ("ToInterval", "FHIR.Quantity"): (_quantity_to_interval, _QUANTITIES, "40e93ca664d0c7de"),
}
