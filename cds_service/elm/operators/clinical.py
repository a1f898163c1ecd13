"""Clinical operators: age, code systems, value sets. CQL 1.5, Appendix B, Clinical Operators.

Membership asks the terminology port; a value set that it doesn't have stopped the load. Codes are compared by
code and system.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.elm.codegen import operators as write
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope, constant
from cds_service.elm.context import Context, Env
from cds_service.elm.durations import duration_between
from cds_service.elm.operators import fhirhelpers, references
from cds_service.elm.operators.building import apply2
from cds_service.elm.operators.datetime import counter
from cds_service.elm.operators.retrieve import as_codes
from cds_service.elm.temporal import Date
from cds_service.elm.types import ListOf, element_of
from cds_service.elm.values import Code, CodeSystem, ValueSet


def _age_at(scope: Scope, node: Node) -> Expr:
    """CalculateAgeIn*Precision*At(birthDate, asOf) Integer: uncertain for a partial birth date."""
    left, right = scope.operands(node)
    return apply2(counter(duration_between, (node.get("precision") or "Year").lower()), left, right)


def _age(scope: Scope, node: Node) -> Expr:
    """CalculateAgeIn*Precision*(birthDate) Integer: as of Now or Today."""
    (birth,) = scope.operands(node)
    count = counter(duration_between, (node.get("precision") or "Year").lower())
    inner = birth.fn

    def run_age(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        if value is None:
            return None
        return count(value, ctx.now.date() if isinstance(value, Date) else ctx.now)

    return Expr(run_age)


def _set_of(scope: Scope, node: Node, name: str, ref: str) -> Expr:
    """The value set or code system operand: named in the node, or an expression."""
    reference = node.get(name)
    if reference:
        found: Any = (
            references.value_set(scope, reference)
            if ref == "ValueSetRef"
            else references.code_system(scope, reference)
        )
        return constant(found)
    return scope.expr(node[f"{name}Expression"])


def _codes(value: Any) -> tuple[Code, ...]:
    if isinstance(value, str):
        return (Code(value),)
    found = as_codes([item for item in value if item is not None] if isinstance(value, list) else value)
    if found is None:
        found = tuple(Code(item) for item in value if isinstance(item, str))
    return found


def _in_set(codes_name: str) -> Builder:
    """in(code String|Code|Concept, valueset ValueSet) Boolean, and of lists; null code: null… false (as CQL says)."""

    def build(scope: Scope, node: Node) -> Expr:
        where = _set_of(scope, node, "valueset", "ValueSetRef")
        scope.compiler.weigh(_LOOK_UP)
        codings = fhirhelpers.codings_of(scope, node[codes_name]) if where.constant else None
        if codings is not None:
            return _codings_in_set(codings, where.value().id)
        codes = scope.expr(node[codes_name])
        inner, set_fn = codes.fn, where.fn

        def within(value: Any, target: Any, ctx: Context) -> Any:
            if target is None:
                return False
            if not isinstance(target, ValueSet):
                raise DataError("a value set is expected")
            member = ctx.terminology.in_value_set
            bare = isinstance(value, str) or (
                isinstance(value, list) and any(isinstance(v, str) for v in value)
            )
            return any(
                code.code is not None
                and (bare or code.system is not None)
                and member(code.system, code.code, target.id)
                for code in _codes(value)
            )

        def run_in_value_set(ctx: Context, env: Env) -> Any:
            value = inner(ctx, env)
            return False if value is None else within(value, set_fn(ctx, env), ctx)

        emit = write.unless_null("False", within, codes, where)
        return Expr(run_in_value_set, "System.Boolean", emit=emit)

    return build


_LOOK_UP = 6  # what a membership costs, in nodes


def _codings_in_set(codings: Expr, url: str) -> Expr:
    """`concept in "Value set"` straight on FHIR codings; one without a system is in none."""

    def within(values: Any, ctx: Context) -> Any:
        if values is not None:
            member = ctx.terminology.in_value_set
            for coding in values:
                code = coding.get("code")
                if code is not None:
                    if type(code) is not str:
                        raise DataError("a FHIR code is no string in the data")
                    system = coding.get("system")
                    if system is not None and member(system, code, url):
                        return True
        return False

    inner = codings.fn
    return Expr(
        lambda ctx, env: within(inner(ctx, env), ctx),
        "System.Boolean",
        emit=write.direct(within, [codings], "ctx", sure=True),
    )


def _in_system(codes_name: str) -> Builder:
    """in(code Code|Concept, codesystem CodeSystem) Boolean: whether a code is of that system; null code: false.

    The terminology has no content of code systems, so a code counts by its system, and a bare string can't be told.
    """

    def build(scope: Scope, node: Node) -> Expr:
        codes = scope.expr(node[codes_name])
        where = _set_of(scope, node, "codesystem", "CodeSystemRef")
        if "System.String" in (codes.type, element_of(codes.type)):
            scope.fail(node, "a string alone does not say its code system; ask with a Code")
        inner, system_fn = codes.fn, where.fn

        def run_in_system(ctx: Context, env: Env) -> Any:
            value = inner(ctx, env)
            if value is None:
                return False
            target = system_fn(ctx, env)
            if target is None:
                return None
            if not isinstance(target, CodeSystem):
                raise DataError("a code system is expected")
            return any(code.system == target.id for code in _codes(value))

        return Expr(run_in_system, "System.Boolean")

    return build


def _expand(scope: Scope, node: Node) -> Expr:
    """ExpandValueSet(valueset ValueSet) List<Code>."""
    (operand,) = scope.operands(node)
    inner = operand.fn
    if operand.type == ListOf("System.Code"):
        return operand

    def run_expand(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        return None if value is None else list(ctx.terminology.expand(value.id))

    return Expr(run_expand, ListOf("System.Code"))


BUILDERS: Mapping[str, Builder] = {
    "CalculateAge": _age,
    "CalculateAgeAt": _age_at,
    "InValueSet": _in_set("code"),
    "AnyInValueSet": _in_set("codes"),
    "InCodeSystem": _in_system("code"),
    "AnyInCodeSystem": _in_system("codes"),
    "ExpandValueSet": _expand,
    # CQL 2.0's ~in and ~contains, of the same children
    "ValueSetContains": _in_set("code"),
    "ValueSetContainsAny": _in_set("codes"),
    "CodeSystemContains": _in_system("code"),
    "CodeSystemContainsAny": _in_system("codes"),
}
