"""What a retrieve filters by that the retriever is not asked: codes compared here, ids, dates. ELM, Retrieve.

"the result set will only include instances where the value of the dateProperty is during the date range", and
"Instances with no value for the dateProperty will not be included" (ELM, Retrieve, dateProperty): where it is not
certain that a date lies within, the resource is not in the result, as with `where … during …`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cds_service.elm import compare, fhir_model
from cds_service.elm.compile import DataError, Node, Scope
from cds_service.elm.context import Context, Env, Fn
from cds_service.elm.equivalence import equivalent
from cds_service.elm.operators import fhirhelpers, interval, properties
from cds_service.elm.operators.primitives import CONVERTERS
from cds_service.elm.types import ChoiceOf, ListOf, StaticType, fhir, system
from cds_service.elm.values import Code, CodeSystem, Concept, Interval, Typed, ValueSet

Test = Callable[[Any], bool]
MakeTest = Callable[[Context, Env], Test | None]

_STEP = re.compile(r"([A-Za-z]+)(?:\[(\d+)\])?")


def at(scope: Scope, node: Node, kind: StaticType, path: str) -> properties.Access:
    """What is at a path of a resource: names, and constant indexers."""
    access = properties.Access(lambda ctx, env: env, kind)  # the resource itself is passed as the frame
    for part in path.split("."):
        step = _STEP.fullmatch(part)
        if step is None:
            scope.fail(node, f"a retrieve's property {path!r} can't be read")
        access = properties.step(scope, node, access, step[1])
        if step[2] is not None:
            access = _item(access, int(step[2]))
    return access


def _item(access: properties.Access, index: int) -> properties.Access:
    inner = access.fn

    def run_item(ctx: Context, env: Env) -> Any:
        items = inner(ctx, env)
        return items[index] if items is not None and index < len(items) else None

    return properties.Access(run_item, access.type.element if isinstance(access.type, ListOf) else None)


# --- By id ---


def by_id(scope: Scope, node: Node, kind: StaticType) -> list[MakeTest]:
    """id, idProperty, idSearch: the resource with that id; none for null."""
    if not node.get("id"):
        return []
    if node.get("idSearch") not in (None, "", "_id"):
        scope.fail(
            node, "a retrieve with idSearch is not supported: search parameters are not known to the engine"
        )
    wanted = scope.fn(node["id"])
    found = at(scope, node, kind, node.get("idProperty") or "id").fn

    def make(ctx: Context, env: Env) -> Test | None:
        value = wanted(ctx, env)
        if value is None:
            return None
        return lambda resource: _text(found(ctx, resource), ctx) == _text(value, ctx)

    return [make]


def _text(value: Any, ctx: Context) -> Any:
    value = value.value if type(value) is Typed else value
    return None if value is None else CONVERTERS["String"](value, ctx)


# --- By code ---

_CODED = ("System.Code", "System.Concept", "System.ValueSet", "System.Any", None)


def are_codes(kind: StaticType) -> bool:
    """Whether the retriever can be asked for values of a type; not for FHIR's elements, strings and code systems."""
    if isinstance(kind, ListOf):
        return are_codes(kind.element)
    return kind in _CODED


def by_code(scope: Scope, node: Node, resource_type: str, path: str, code_filter: Node) -> MakeTest:
    """A code filter that is applied here; what it compares with may be anything that has codes, or a string."""
    kind = "FHIR." + resource_type
    codes = code_filter["value"]
    target = scope.expr(codes["operand"] if codes.get("type") == "ExpandValueSet" else codes)
    access = at(scope, node, kind, path)
    texts = _is_text(_innermost(target.type))
    if texts and not _is_text_element(_innermost(access.type)):
        scope.fail(node, f"{resource_type}.{path} can't be compared with a string")
    found, wanted, comparator = access.fn, target.fn, code_filter["comparator"]
    instead = code_filter.get("valueSetProperty")
    url_at = at(scope, node, kind, instead).fn if instead else None

    def make(ctx: Context, env: Env) -> Test | None:
        value = wanted(ctx, env)
        if value is None:
            return None
        matches = _text_test(value, comparator, ctx) if texts else _code_test(value, comparator, ctx)

        def test(resource: Any) -> bool:
            element = found(ctx, resource)
            if element is None and url_at is not None and isinstance(value, ValueSet):
                return bool(value.id in _texts(url_at(ctx, resource), ctx))
            return matches(element)

        return test

    return make


def _innermost(kind: StaticType) -> StaticType:
    while isinstance(kind, ListOf):
        kind = kind.element
    return kind


def _is_text(kind: StaticType) -> bool:
    return system(kind) == "String" or _is_text_element(kind)


def _is_text_element(kind: StaticType) -> bool:
    name = fhir(kind)
    return name is not None and fhir_model.value_type(name) == "String"


def _texts(value: Any, ctx: Context) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    return [_text(item, ctx) for item in items if item is not None]


def _text_test(value: Any, comparator: str, ctx: Context) -> Test:
    same = equivalent if comparator.startswith("~") else compare.equal
    wanted = _texts(value if not isinstance(value, list) else list(_flat(value)), ctx)
    return lambda element: any(same(text, other) for text in _texts(element, ctx) for other in wanted)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item)
    elif value is not None:
        yield value


def _code_test(value: Any, comparator: str, ctx: Context) -> Test:
    """`=` is exact: "it will consider code system version and display as well as the code and system"."""
    if isinstance(value, ValueSet):
        member = ctx.terminology.in_value_set
        return lambda element: any(
            code.code is not None
            and (bare or code.system is not None)
            and member(code.system, code.code, value.id)
            for code, bare in _codes(element)
        )
    if isinstance(value, CodeSystem):
        return lambda element: any(code.system == value.id for code, _ in _codes(element))
    wanted = [code for item in _flat(value) for code, _ in _codes(item)]
    if comparator == "=":
        return lambda element: any(code == other for code, _ in _codes(element) for other in wanted)
    pairs = {(code.system, code.code) for code in wanted}
    return lambda element: any((code.system, code.code) in pairs for code, _ in _codes(element))


def _codes(element: Any) -> Iterator[tuple[Code, bool]]:
    """The codes of an element or value; and whether one is a bare `code`, which has no system of its own."""
    element = element.value if type(element) is Typed else element
    if isinstance(element, list):
        for item in element:
            yield from _codes(item)
    elif isinstance(element, Code):
        yield element, False
    elif isinstance(element, Concept):
        yield from ((code, False) for code in element.codes)
    elif isinstance(element, str):
        yield Code(element), True
    elif isinstance(element, Mapping):
        if "coding" in element:
            concept = fhirhelpers.to_concept(element)
            yield from ((code, False) for code in (concept.codes if concept else ()))
        elif "code" in element or "system" in element:
            coding = fhirhelpers.to_code(element)
            if coding is not None:
                yield coding, False
    elif element is not None:
        raise DataError("a retrieve compares codes with something that has none")


# --- By date ---


def by_dates(scope: Scope, node: Node, kind: StaticType) -> list[MakeTest]:
    """dateRange with dateProperty, or dateLowProperty and dateHighProperty; and every dateFilter."""
    filters = [dict(each) for each in node.get("dateFilter") or ()]
    if node.get("dateRange"):
        names = {
            "property": "dateProperty",
            "lowProperty": "dateLowProperty",
            "highProperty": "dateHighProperty",
        }
        filters.insert(
            0, {"value": node["dateRange"], **{key: node.get(name) for key, name in names.items()}}
        )
    return [_by_date(scope, node, kind, each) for each in filters]


def _by_date(scope: Scope, node: Node, kind: StaticType, date_filter: Node) -> MakeTest:
    one, low, high = (date_filter.get(name) for name in ("property", "lowProperty", "highProperty"))
    if not date_filter.get("value") or bool(one) is bool(low or high):
        scope.fail(
            node, "a retrieve's date filter needs a range and a property, or a low and a high property"
        )
    wanted = scope.expr(date_filter["value"])
    if system(wanted.type) == "Quantity":
        scope.fail(
            node, "a retrieve's date filter by a quantity is not supported: it names no date to count from"
        )
    value_of = _moment_at(scope, node, kind, one) if one else _span_at(scope, node, kind, low, high)
    range_of = wanted.fn
    during = interval.relation("IncludedIn", None)

    def make(ctx: Context, env: Env) -> Test | None:
        span = range_of(ctx, env)
        if span is None:
            return None

        def test(resource: Any) -> bool:
            moment = value_of(ctx, resource)
            return moment is not None and during(moment, span) is True

        return test

    return make


def _span_at(scope: Scope, node: Node, kind: StaticType, low: str | None, high: str | None) -> Fn:
    """ "the dateLowProperty and dateHighProperty values will be used to construct an interval with inclusive
    boundaries" (ELM, Retrieve)."""
    none: Fn = lambda ctx, env: None  # noqa: E731 - where a property is not named
    first = _moment_at(scope, node, kind, low) if low else none
    last = _moment_at(scope, node, kind, high) if high else none

    def run_span(ctx: Context, env: Env) -> Any:
        one, two = interval.first(first(ctx, env)), interval.last(last(ctx, env))
        return None if one is None and two is None else Interval(one, two)

    return run_span


def _moment_at(scope: Scope, node: Node, kind: StaticType, path: str) -> Fn:
    access = at(scope, node, kind, path)
    static = fhir(access.type)
    if static is None and not isinstance(access.type, ChoiceOf):
        scope.fail(node, f"a retrieve can't read a date at {path}")
    if static is not None and static not in _MOMENTS:
        scope.fail(node, f"{path} of a retrieve is a {static}, no date")
    inner = access.fn

    def run_moment(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        name = value.type if type(value) is Typed else static
        read = _MOMENTS.get(name or "")
        if value is None or read is None:  # such as an onset in words: no date
            return None
        return read(value.value if type(value) is Typed else value, ctx)

    return run_moment


def _of_timing(timing: Any, ctx: Context) -> Any:
    """The outer limits of a Timing, as FHIR's date search has it: its events and its bounds.

    Null where nothing bounds it.
    """
    moments = [CONVERTERS["DateTime"](event, ctx) for event in timing.get("event") or () if event is not None]
    bounds = (timing.get("repeat") or {}).get("boundsPeriod")
    spans: list[Any] = [Interval(moment, moment) for moment in moments]
    if bounds is not None:
        spans.append(fhirhelpers.period_to_interval(bounds, ctx))
    if not spans:
        return None
    whole = spans[0]
    for span in spans[1:]:
        low = span if compare.less(interval.first(span), interval.first(whole)) else whole
        high = span if compare.greater(interval.last(span), interval.last(whole)) else whole
        whole = Interval(low.low, high.high, low.low_closed, high.high_closed, "DateTime")
    return whole


_MOMENTS: Mapping[str, Callable[[Any, Context], Any]] = {
    "date": CONVERTERS["Date"],
    "dateTime": CONVERTERS["DateTime"],
    "instant": CONVERTERS["DateTime"],
    "Period": fhirhelpers.period_to_interval,
    "Timing": _of_timing,
}
