"""Structured values: Property access on FHIR JSON, tuples and System types; tuple and instance selectors.

Static types decide at load how a path is read: a FHIR element is one dict look-up, a choice element (`value`)
looks for the typed keys (`valueQuantity` …), a primitive's `.value` is converted (dateTime → DateTime,
decimal → Decimal). Casts directly around a choice element (`O.value as Quantity`) become one look-up. JSON of
another shape raises, which makes the define fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cds_service.elm import fhir_model
from cds_service.elm.codegen import operators as write
from cds_service.elm.compile import Builder, Expr, Node, Scope
from cds_service.elm.context import Context, Env
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.types import (
    StaticType,
    TupleOf,
    fhir,
    named,
    system,
)
from cds_service.elm.values import (
    Code,
    CodeSystem,
    Concept,
    Quantity,
    Ratio,
    Tuple,
    Typed,
    ValueSet,
)

# --- FHIR primitives to System values ---


# --- Property ---


# --- Selectors ---


def _tuple(scope: Scope, node: Node) -> Expr:
    """Tuple { name: value, … } — ELM, Tuple."""
    elements = [(element["name"], scope.expr(element["value"])) for element in node.get("element") or ()]
    fns = [(name, expr.fn) for name, expr in elements]

    def run_tuple(ctx: Context, env: Env) -> Any:
        return Tuple([(name, fn(ctx, env)) for name, fn in fns])

    kind = TupleOf(tuple((name, expr.type) for name, expr in elements))
    return Expr(run_tuple, kind, emit=write.tuple_of(Tuple, elements))


def _instance(scope: Scope, node: Node) -> Expr:
    """Type { name: value, … } — ELM, Instance: a System value, or a FHIR element as JSON."""
    kind = named(node["classType"])
    elements = {element["name"]: scope.expr(element["value"]) for element in node.get("element") or ()}
    fns = {name: expr.fn for name, expr in elements.items()}
    name = system(kind)
    if name is not None:
        maker = _MAKERS.get(name)
        if maker is None:
            scope.fail(node, f"instances of {kind} are not supported")
        make = maker

        def run_system(ctx: Context, env: Env) -> Any:
            return make({key: fn(ctx, env) for key, fn in fns.items()})

        return Expr(run_system, kind, emit=write.tuple_of(make, list(elements.items())))
    fhir_type = fhir(kind)
    if fhir_type is None or not fhir_model.known(fhir_type):
        scope.fail(node, f"instances of {kind} are not supported")
    if fhir_model.value_type(fhir_type) is not None:
        inner = fns.get("value")
        if inner is None:
            scope.fail(node, f"an instance of {kind} without a value is not supported")
        value = inner
        return Expr(lambda ctx, env: _json(value(ctx, env)), kind)
    keys = {name: _json_key(fhir_type, name, expr.type) for name, expr in elements.items()}
    resource = {"resourceType": fhir_type} if fhir_model.is_subtype(fhir_type, "Resource") else {}

    def run_fhir(ctx: Context, env: Env) -> Any:
        made: dict[str, Any] = dict(resource)
        for key, fn in fns.items():
            value = fn(ctx, env)
            if value is not None:
                if type(value) is Typed:
                    made[key + value.type[0].upper() + value.type[1:]] = value.value
                else:
                    made[keys[key]] = value
        return made

    return Expr(run_fhir, kind)


def _json_key(fhir_type: str, name: str, kind: StaticType) -> str:
    element = fhir_model.element(fhir_type, name)
    for key, choice in element.choices if element else ():
        if fhir(kind) == choice:
            return key
    return name


def _json(value: Any) -> Any:
    return str(value) if isinstance(value, (Date, DateTime, Time)) else value


_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "Quantity": lambda e: Quantity(e.get("value"), e.get("unit")),
    "ValueSet": lambda e: ValueSet(e["id"], e.get("version"), e.get("name")),
    "CodeSystem": lambda e: CodeSystem(e["id"], e.get("version"), e.get("name")),
    "Ratio": lambda e: Ratio(e.get("numerator"), e.get("denominator")),
    "Code": lambda e: Code(e.get("code"), e.get("system"), e.get("version"), e.get("display")),
    "Concept": lambda e: Concept(tuple(c for c in e.get("codes") or () if c is not None), e.get("display")),
}


BUILDERS: Mapping[str, Builder] = {
    "Tuple": _tuple,
    "Instance": _instance,
}
