"""Property access on FHIR JSON, tuples and System types.

Static types decide at load how a path is read: a FHIR element is one dict look-up, a choice element (`value`)
looks for the typed keys (`valueQuantity` …), a primitive's `.value` is converted (dateTime → DateTime,
decimal → Decimal). Casts directly around a choice element (`O.value as Quantity`) become one look-up. JSON of
another shape raises, which makes the define fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cds_service.elm import fhir_model
from cds_service.elm.codegen import elements as write
from cds_service.elm.codegen import references as write_references
from cds_service.elm.codegen.operators import same
from cds_service.elm.codegen.writer import Emit
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope, local, slot_of
from cds_service.elm.context import Context, Env, Fn
from cds_service.elm.operators.primitives import CONVERTERS
from cds_service.elm.types import (
    ChoiceOf,
    IntervalOf,
    ListOf,
    StaticType,
    TupleOf,
    fhir,
    named,
    result_type,
    specified,
    system,
)
from cds_service.elm.values import (
    Interval,
    Shell,
    Tuple,
    Typed,
)


@dataclass(slots=True)
class Access:
    """How a value is reached. `parent` and `key`: it is one key of a JSON object; `choices`: one of several
    keys, by type. `emit` and `parent_emit`: how these are written, None where they can't be."""

    fn: Fn
    type: StaticType
    parent: Fn | None = None
    key: str | None = None
    choices: tuple[tuple[str, str], ...] = ()
    emit: Emit | None = None
    parent_emit: Emit | None = None

    def expr(self) -> Expr:
        """The value as an expression."""
        return Expr(self.fn, self.type, emit=self.emit)


def access(scope: Scope, node: Node) -> Access:
    """Compile a node that may be a property, or a cast of a choice, so that the next step can be fused with it."""
    kind = node.get("type")
    if kind == "Property":
        return _property_access(scope, node)
    if kind == "As" and not node.get("strict"):
        operand = node["operand"]
        target = specified(node.get("asTypeSpecifier")) or (
            named(node["asType"]) if node.get("asType") else None
        )
        if operand.get("type") == "Property" and fhir(target) and not fhir_model.unknown(target):
            inner = _property_access(scope, operand)
            narrowed = narrow(inner, target)
            if narrowed is not None:
                return narrowed
            from cds_service.elm.operators.type import cast  # which imports this module

            general = cast(Expr(inner.fn, inner.type), target, False)
            return Access(general.fn, result_type(node) or general.type)
    expr = scope.expr(node)
    return Access(expr.fn, expr.type, emit=same(expr))


def narrow(inner: Access, target: StaticType) -> Access | None:
    """The access to a choice element as one type; None where it is no choice element of a FHIR type."""
    wanted = fhir(target)
    if not inner.choices or wanted is None or inner.parent is None:
        return None
    matching = [choice for choice in inner.choices if fhir_model.is_subtype(choice[1], wanted)]
    if len(matching) == 1:
        key = matching[0][0]
        return _key(inner.parent, inner.parent_emit, key, target)
    if not matching:
        return None
    keys = [key for key, _ in matching]
    parent = inner.parent

    def run_narrow(ctx: Context, env: Env) -> Any:
        source = parent(ctx, env)
        if source is None:
            return None
        for key in keys:
            value = source.get(key)
            if value is not None:
                return value
        return None

    emit = None if inner.parent_emit is None else write.any_key(inner.parent_emit, keys)
    return Access(run_narrow, target, emit=emit)


def _property_access(scope: Scope, node: Node) -> Access:
    if node.get("source"):
        current = access(scope, node["source"])
    else:
        name = node.get("scope") or "$this"
        slot = scope.names.get(name)
        if slot is None:
            scope.fail(node, f'there is no alias "{name}" here')
        scope.compiler.read(slot)
        index = slot.at
        current = Access(local(index), slot.type, emit=write_references.local(index))
    steps = node["path"].split(".")
    for number, step_name in enumerate(steps):
        known = result_type(node) if number == len(steps) - 1 else None
        current = step(scope, node, current, step_name, known)
    return current


def step(scope: Scope, node: Node, current: Access, name: str, known: StaticType = None) -> Access:
    """One step of a path."""
    kind = current.type
    fhir_type = fhir(kind)
    if fhir_type is not None and fhir_model.known(fhir_type):
        found = _fhir_step(current, fhir_type, name)
        if found is None and fhir_type not in ("Element", "BackboneElement", "Resource", "DomainResource"):
            scope.fail(node, f"FHIR type {fhir_type} has no element {name}")
        if found is not None:
            return found
    if isinstance(kind, TupleOf):
        return _step_to(current, name, kind.element(name) or known)
    if isinstance(kind, ChoiceOf) and current.choices and current.parent is not None:
        found = _choice_step(current, name)
        if found is not None:
            return found
    if isinstance(kind, ChoiceOf):
        found = _option_step(current, kind, name)
        if found is not None:
            return found
    if isinstance(kind, ListOf):
        return _list_step(scope, node, current, kind, name)
    if system(kind) in _ATTRIBUTES and name in _ATTRIBUTES[system(kind) or ""]:
        emit = None if current.emit is None else write.applied(current.emit, attribute_of(name))
        known = known or _ATTRIBUTE_TYPES.get(name, "System.String")
        return Access(_attribute(current.fn, name), known, emit=emit)
    if isinstance(kind, IntervalOf) and name in _INTERVAL:
        known = known or (kind.point if name in ("low", "high") else "System.Boolean")
        return Access(_attribute(current.fn, name), known)
    inner = current.fn

    def run_dynamic(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        return None if value is None else dynamic(value, name, ctx)

    def read(value: Any, ctx: Context) -> Any:
        return None if value is None else dynamic(value, name, ctx)

    return Access(
        run_dynamic, known, emit=None if current.emit is None else write.applied(current.emit, read, "ctx")
    )


def _fhir_step(current: Access, fhir_type: str, name: str) -> Access | None:
    primitive = fhir_model.value_type(fhir_type)
    if primitive is not None:
        if name == "value":
            return _value(current, primitive)
        element = fhir_model.element(fhir_type, name)
        if element is None:
            return None
        if current.parent is None or current.key is None:
            return Access(_of_shell(current.fn, name), element.type)
        return _step_to(
            _key(current.parent, current.parent_emit, "_" + current.key, None), name, element.type
        )
    element = fhir_model.element(fhir_type, name)
    if element is None:
        return None
    if element.choices:
        emit = None if current.emit is None else write.choice(current.emit, element.choices)
        return Access(
            _choice(current.fn, element.choices),
            element.type,
            current.fn,
            None,
            element.choices,
            emit,
            current.emit,
        )
    if isinstance(element.type, ListOf) and _is_primitive(element.type.element):
        emit = None if current.emit is None else write.primitives(current.emit, name)
        return Access(
            _get_list(current.fn, name), element.type, current.fn, name, emit=emit, parent_emit=current.emit
        )
    return _key(current.fn, current.emit, name, element.type)


def _key(parent: Fn, parent_emit: Emit | None, name: str, kind: StaticType) -> Access:
    """One key of a JSON object, by its FHIR type."""
    primitive = _is_primitive(kind)
    emit = None
    if parent_emit is not None:
        emit = (write.primitive if primitive else write.key)(parent_emit, name)
    return Access(
        _get(parent, name, primitive=primitive), kind, parent, name, emit=emit, parent_emit=parent_emit
    )


def _step_to(current: Access, name: str, kind: StaticType) -> Access:
    """One element of a tuple or of JSON that is nothing more to know of."""
    emit = None if current.emit is None else write.key(current.emit, name)
    return Access(_get(current.fn, name), kind, emit=emit)


def _value(current: Access, primitive: str) -> Access:
    """The System value of a FHIR primitive."""
    element = current.emit
    if current.parent_emit is not None and current.key is not None:
        element = write.key(current.parent_emit, current.key)
    emit = None if element is None else write.converted(element, CONVERTERS[primitive], primitive)
    return Access(_primitive_value(current, primitive), "System." + primitive, emit=emit)


def _of_shell(inner: Fn, name: str) -> Fn:
    """The id or the extensions of a primitive that is at hand itself."""

    def run_of_shell(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        value = value.value if type(value) is Typed else value
        return value.get(name) if type(value) is Shell else None

    return run_of_shell


def _get_list(parent: Fn, key: str) -> Fn:
    """A list of primitives, with what their second JSON array says of them."""
    extra = "_" + key

    def run_list(ctx: Context, env: Env) -> Any:
        source = parent(ctx, env)
        if source is None:
            return None
        values = source.get(key)
        return Shell.paired(values, source[extra]) if extra in source else values

    return run_list


def _is_primitive(kind: StaticType) -> bool:
    name = fhir(kind)
    return name is not None and fhir_model.value_type(name) is not None


def _get(parent: Fn, key: str, primitive: bool = False) -> Fn:
    if primitive:
        extra = "_" + key

        def run_primitive(ctx: Context, env: Env) -> Any:
            source = parent(ctx, env)
            if source is None:
                return None
            value = source.get(key)
            if extra in source:
                return Shell.of(value, source[extra] or {})
            return value

        return run_primitive

    at = slot_of(parent)
    if at is not None:
        index = at

        def run_local_get(ctx: Context, env: Env) -> Any:
            source = env[index]
            return None if source is None else source.get(key)

        return run_local_get

    def run_get(ctx: Context, env: Env) -> Any:
        source = parent(ctx, env)
        return None if source is None else source.get(key)

    return run_get


def _primitive_value(current: Access, primitive: str) -> Fn:
    convert = CONVERTERS[primitive]
    parent, key, inner = current.parent, current.key, current.fn
    if parent is None or key is None:

        def run_value(ctx: Context, env: Env) -> Any:
            value = inner(ctx, env)
            return None if value is None else convert(value, ctx)

        return run_value
    name = key
    at = slot_of(parent)
    if at is not None:
        index = at

        def run_local_fused(ctx: Context, env: Env) -> Any:
            source = env[index]
            if source is None:
                return None
            value = source.get(name)
            return None if value is None else convert(value, ctx)

        return run_local_fused

    def run_fused(ctx: Context, env: Env) -> Any:
        source = parent(ctx, env)
        if source is None:
            return None
        value = source.get(name)
        return None if value is None else convert(value, ctx)

    return run_fused


def _choice(parent: Fn, choices: tuple[tuple[str, str], ...]) -> Fn:
    keyed = [(key, "_" + key, kind) for key, kind in choices]

    def run_choice(ctx: Context, env: Env) -> Any:
        return write.chosen(parent(ctx, env), keyed)

    return run_choice


def _choice_step(current: Access, name: str) -> Access | None:
    """A step on a choice element: the alternatives that have the element."""
    parent = current.parent
    assert parent is not None  # noqa: S101 - asked by the caller
    ways: list[tuple[str, Fn]] = []
    written: list[tuple[str, write.Held, Emit]] = []
    kinds: list[StaticType] = []
    for key, kind in current.choices:
        cell: Fn = lambda ctx, env: env  # noqa: E731 - the object itself is passed as the frame
        held = write.Held()
        found = _fhir_step(Access(cell, "FHIR." + kind, emit=held), kind, name)
        if found is not None:
            ways.append((key, found.fn))
            kinds.append(found.type)
            if found.emit is not None:
                written.append((key, held, found.emit))
    if not ways:
        return None

    def run_ways(ctx: Context, env: Env) -> Any:
        source = parent(ctx, env)
        if source is not None:
            for key, way in ways:
                value, extra = source.get(key), source.get("_" + key)
                if value is not None or extra is not None:
                    return way(ctx, value if extra is None else Shell.of(value, extra))
        return None

    same_kind = all(kind == kinds[0] for kind in kinds)
    emit = None
    if current.parent_emit is not None and len(written) == len(ways):
        emit = write.ways(current.parent_emit, written)
    return Access(run_ways, kinds[0] if same_kind else ChoiceOf(tuple(kinds)), emit=emit)


def _option_step(current: Access, kind: ChoiceOf, name: str) -> Access | None:
    """A step on a value of one of several FHIR types: by the type that it has, which goes along where they differ."""
    found = [fhir_model.element(option, name) for option in map(fhir, kind.types) if option]
    kinds = list(dict.fromkeys(element.type for element in found if element is not None))
    if not kinds:
        return None
    inner = current.fn
    mixed = len(kinds) > 1

    def run_option(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        if value is None:
            return None
        found = dynamic(value, name, ctx)
        if not mixed or found is None or type(found) is Typed:
            return found
        own = value.type if type(value) is Typed else value.get("resourceType")
        element = fhir_model.element(own, name) if isinstance(own, str) else None
        inside = fhir(element.type) if element is not None else None
        return found if inside is None or isinstance(found, list) else Typed(found, inside)

    options = (option for kind in kinds for option in (kind.types if isinstance(kind, ChoiceOf) else (kind,)))
    return Access(run_option, ChoiceOf(tuple(dict.fromkeys(options))) if mixed else kinds[0])


def _list_step(scope: Scope, node: Node, current: Access, kind: ListOf, name: str) -> Access:
    """A property of a list: of each element, lists joined (the translator mostly writes a query instead)."""
    cell: Fn = lambda ctx, env: env  # noqa: E731 - the element itself is passed as the frame
    each = step(scope, node, Access(cell, kind.element), name)
    inner, way = current.fn, each.fn
    nested = isinstance(each.type, ListOf)

    def each_of(values: Any, ctx: Context) -> Any:
        if values is None:
            return None
        found = [way(ctx, value) for value in values if value is not None]
        if nested:
            return [item for items in found if items is not None for item in items]
        return [item for item in found if item is not None]

    def run_each(ctx: Context, env: Env) -> Any:
        return each_of(inner(ctx, env), ctx)

    emit = None if current.emit is None else write.applied(current.emit, each_of, "ctx")
    return Access(run_each, each.type if nested else ListOf(each.type), emit=emit)


_ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "Quantity": {"value": "value", "unit": "unit"},
    "Ratio": {"numerator": "numerator", "denominator": "denominator"},
    "Code": {"code": "code", "system": "system", "version": "version", "display": "display"},
    "Concept": {"codes": "codes", "display": "display"},
    "ValueSet": {"id": "id", "version": "version", "name": "name"},
    "CodeSystem": {"id": "id", "version": "version", "name": "name"},
}


# The types of System types' elements; the others are Strings.
_ATTRIBUTE_TYPES: Mapping[str, StaticType] = {
    "value": "System.Decimal",
    "numerator": "System.Quantity",
    "denominator": "System.Quantity",
    "codes": ListOf("System.Code"),
}

_INTERVAL = {"low": "low", "high": "high", "lowClosed": "low_closed", "highClosed": "high_closed"}


def _attribute(parent: Fn, name: str) -> Fn:
    def run_attribute(ctx: Context, env: Env) -> Any:
        source = parent(ctx, env)
        return None if source is None else attribute(source, name)

    return run_attribute


def attribute_of(name: str) -> Callable[[Any], Any]:
    """A function that gives an element of a System-typed value, null of null."""
    return lambda source: None if source is None else attribute(source, name)


def attribute(source: Any, name: str) -> Any:
    """An element of a System-typed value."""
    if isinstance(source, Interval):
        return getattr(source, _INTERVAL[name])
    value = getattr(source, name)
    return list(value) if isinstance(value, tuple) else value


def dynamic(value: Any, name: str, ctx: Context) -> Any:
    """A property of a value whose static type doesn't say enough: by the value's own type."""
    if type(value) is Typed:
        return _of_fhir(value.value, value.type, name, ctx)
    if type(value) is Tuple:
        return value.get(name)
    if isinstance(value, dict):
        kind = value.get("resourceType")
        if isinstance(kind, str) and fhir_model.known(kind):
            return _of_fhir(value, kind, name, ctx)
        return _of_json(value, name)
    if isinstance(value, list):
        found = [dynamic(item, name, ctx) for item in value if item is not None]
        return [item for item in found if item is not None]
    if name == "value" and isinstance(value, (str, bool, int, float)):
        return Decimal(repr(value)) if isinstance(value, float) else value
    if isinstance(value, Interval) and name not in _INTERVAL:
        raise DataError(f"an interval has no element {name}")
    return attribute(value, name)


def _of_fhir(value: Any, kind: str, name: str, ctx: Context) -> Any:
    found = _fhir_step(Access(lambda ctx, env: env, "FHIR." + kind), kind, name)
    return None if found is None else found.fn(ctx, value)


def _of_json(value: Mapping[str, Any], name: str) -> Any:
    """A property of an element of unknown type: the key itself, else the choice key that begins with it."""
    if name in value:
        return value[name]
    for key, item in value.items():
        rest = key[len(name) :]
        if key.startswith(name) and rest[:1].isupper():
            kind = rest if fhir_model.known(rest) else rest[0].lower() + rest[1:]
            if fhir_model.known(kind):
                return Typed(item, kind)
    return None


def _property(scope: Scope, node: Node) -> Expr:
    """source.path — CQL Author's Guide, Properties: null where the source is null."""
    return _property_access(scope, node).expr()


BUILDERS: Mapping[str, Builder] = {"Property": _property}
