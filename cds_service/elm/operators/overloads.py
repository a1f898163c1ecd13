"""Which of several functions of one name a call means. CQL Developer's Guide, Function Resolution.

Told at load where the signature or the operands' static types tell it; else by the arguments of each call, the
function whose operands they need least conversion to. Arguments that fit none make the define fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cds_service.elm import fhir_model
from cds_service.elm.codegen import operators as write
from cds_service.elm.compile import DataError, Definition, Expr, Node, Scope
from cds_service.elm.context import Context, Env
from cds_service.elm.operators.type import has_type
from cds_service.elm.types import ChoiceOf, IntervalOf, ListOf, StaticType, fhir, specified, system
from cds_service.elm.values import Interval, Tuple, Typed

_OPEN = (None, "System.Any")


def choose(
    scope: Scope, node: Node, overloads: Sequence[Definition], operands: Sequence[Expr]
) -> list[Definition]:
    """The function that a FunctionRef means; several where only the values will tell."""
    name = node["name"]
    fitting = [overload for overload in overloads if len(overload.operands) == len(operands)]
    if not fitting:
        scope.fail(node, f'there is no function "{name}" with {len(operands)} operands')
    if len(fitting) == 1:
        return fitting
    signature = tuple(specified(kind) for kind in node.get("signature") or ())
    types = signature if len(signature) == len(operands) else tuple(operand.type for operand in operands)
    same = [o for o in fitting if all(g == w for g, w in zip(types, o.operands, strict=True))]
    if len(same) == 1:
        return same
    converting = [o for o in fitting if all(_converts(g, w) for g, w in zip(types, o.operands, strict=True))]
    if not converting:
        scope.fail(node, f'no function "{name}" takes operands of these types')
    if len(converting) > 1 and not any(_undecided(kind) for kind in types):
        ranks = [sum(map(_distance, types, o.operands)) for o in converting]
        least = [o for o, rank in zip(converting, ranks, strict=True) if rank == min(ranks)]
        return least[:1]
    return converting


def _undecided(kind: StaticType) -> bool:
    """Whether values of one static type may differ in type."""
    if isinstance(kind, ListOf):
        return _undecided(kind.element)
    if isinstance(kind, IntervalOf):
        return _undecided(kind.point)
    return kind in _OPEN or isinstance(kind, ChoiceOf)


def _distance(given: StaticType, wanted: StaticType) -> int:
    """How far a type is from the one wanted: the same, a subtype, one of a choice, anything."""
    if given == wanted:
        return 0
    if wanted in _OPEN:
        return 3
    return 2 if isinstance(wanted, ChoiceOf) else 1


def _converts(given: StaticType, wanted: StaticType) -> bool:
    """Whether a value of one type may be passed for another: subtypes, choices, Any."""
    if given == wanted or given in _OPEN or wanted in _OPEN:
        return True
    if isinstance(wanted, ChoiceOf):
        options = given.types if isinstance(given, ChoiceOf) else (given,)
        return all(any(_converts(option, choice) for choice in wanted.types) for option in options)
    if isinstance(given, ChoiceOf):
        return any(_converts(option, wanted) for option in given.types)
    if isinstance(given, ListOf) and isinstance(wanted, ListOf):
        return _converts(given.element, wanted.element)
    if isinstance(given, IntervalOf) and isinstance(wanted, IntervalOf):
        return _converts(given.point, wanted.point)
    one, two = fhir(given), fhir(wanted)
    return one is not None and two is not None and fhir_model.is_subtype(one, two)


def passed(operand: Expr, wanted: StaticType) -> Expr:
    """An argument as the function's operand: an element takes its type along into a choice, and leaves it there when
    it comes out of one."""
    given = operand.type
    element, target = fhir(given), fhir(wanted)
    if (
        isinstance(wanted, ChoiceOf)
        and element is not None
        and not fhir_model.is_subtype(element, "Resource")
    ):
        kind = element

        def into_choice(value: Any) -> Any:
            return value if value is None or type(value) is Typed else Typed(value, kind)

        return _changed(operand, into_choice, wanted)
    if target is not None and (isinstance(given, ChoiceOf) or given in _OPEN):
        name = target

        def out_of_choice(value: Any) -> Any:
            if type(value) is not Typed:
                return value
            return value.value if fhir_model.is_subtype(value.type, name) else None

        return _changed(operand, out_of_choice, wanted)
    return operand


def _changed(operand: Expr, change: Callable[[Any], Any], kind: StaticType) -> Expr:
    inner = operand.fn

    def run_changed(ctx: Context, env: Env) -> Any:
        return change(inner(ctx, env))

    return Expr(
        run_changed,
        kind,
        reads=operand.reads,
        cost=operand.cost,
        touches=operand.touches,
        place=operand.place,
        emit=write.direct(change, [operand]),
    )


def by_value(scope: Scope, fitting: Sequence[Definition], operands: Sequence[Expr]) -> Expr:
    """A call whose function each call's arguments choose."""
    ways = []
    for definition in fitting:
        scope.compiler.function(definition)
        scope.owner.refs[definition] = None
        scope.compiler.weigh(definition.cost)
        if not definition.pure:
            scope.compiler.varies()
        padding = [None] * (definition.frame_size - len(operands))
        ways.append((definition.operands, definition.fn, padding))
    parts = [(operand.fn, operand.type) for operand in operands]

    def run_by_value(ctx: Context, env: Env) -> Any:
        arguments = [(fn(ctx, env), static) for fn, static in parts]
        best, least = None, 0
        for wanted, body, padding in ways:
            rank = 0
            for (value, static), kind in zip(arguments, wanted, strict=True):
                far = 0 if value is None else _rank(value, static, kind)
                if far is None:
                    break
                rank += far
            else:
                if best is None or rank < least:
                    best, least = (wanted, body, padding), rank
        if best is None:
            raise DataError("no function of this name takes arguments of these types")
        wanted, body, padding = best
        values = [_as_operand(*argument, kind) for argument, kind in zip(arguments, wanted, strict=True)]
        return body(ctx, [*values, *padding])

    kinds = {str(definition.type) for definition in fitting}
    return Expr(run_by_value, fitting[0].type if len(kinds) == 1 else None)


def _rank(value: Any, static: StaticType, wanted: StaticType) -> int | None:
    """How far a value is from an operand's type, None where it is none of it."""
    if wanted in _OPEN:
        return 3
    if isinstance(wanted, ChoiceOf):
        found = [rank for rank in (_rank(value, static, kind) for kind in wanted.types) if rank is not None]
        return 2 + min(found) if found else None
    if isinstance(wanted, ListOf):
        return _rank_of_list(value, static, wanted)
    if isinstance(wanted, IntervalOf):
        return _rank_of_interval(value, wanted)
    name = fhir(wanted)
    if name is None or type(value) is Typed or fhir(static) is not None:
        return 0 if has_type(value, wanted, static) else None
    if isinstance(value, dict) and "resourceType" in value:
        return 0 if has_type(value, wanted, static) else None
    return 1 if shaped(value, name) else None


def _rank_of_list(value: Any, static: StaticType, wanted: ListOf) -> int | None:
    if not isinstance(value, list):
        return None
    inner = static.element if isinstance(static, ListOf) else None
    ranks = [_rank(item, inner, wanted.element) for item in value if item is not None]
    return None if None in ranks else max((rank for rank in ranks if rank is not None), default=0)


def _rank_of_interval(value: Any, wanted: IntervalOf) -> int | None:
    if not isinstance(value, Interval):
        return None
    if value.point is not None and system(wanted.point):
        return 0 if value.point == system(wanted.point) else None
    bounds = [bound for bound in (value.low, value.high) if bound is not None]
    return 0 if all(has_type(bound, wanted.point) for bound in bounds) else None


def shaped(value: Any, name: str) -> bool:
    """Whether JSON whose type nothing tells may be of a FHIR type: of its JSON type, with its elements only."""
    primitive = fhir_model.value_type(name)
    if primitive is not None:
        return isinstance(value, _JSON.get(primitive, (str,))) and isinstance(value, bool) is (
            primitive == "Boolean"
        )
    if not isinstance(value, Mapping) or type(value) is Tuple:
        return False
    return all(_is_element(name, key.removeprefix("_")) for key in value)


_JSON: Mapping[str, tuple[type, ...]] = {"Boolean": (bool,), "Integer": (int,), "Decimal": (int, float)}


def _is_element(name: str, key: str) -> bool:
    if fhir_model.element(name, key) is not None:
        return True
    for length in range(1, len(key)):
        if key[length].isupper():
            found = fhir_model.element(name, key[:length])
            if found is not None and any(choice == key for choice, _ in found.choices):
                return True
    return False


def _as_operand(value: Any, static: StaticType, wanted: StaticType) -> Any:
    if type(value) is Typed:
        return value if isinstance(wanted, ChoiceOf) or wanted in _OPEN else value.value
    element = fhir(static)
    if (
        isinstance(wanted, ChoiceOf)
        and element
        and value is not None
        and not fhir_model.is_subtype(element, "Resource")
    ):
        return Typed(value, element)
    return value
