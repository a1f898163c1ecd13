"""Retrieve. CQL Author's Guide, Retrieve; ELM, Retrieve.

What a retrieve asks for is known at load wherever its codes are (a value set, code references); then it is a
RetrieveNeed of its define. Codes that are computed at run time are still passed to the retriever. What the retriever
can't be asked (a code system, an exact match, further code filters, ids, dates) is applied here, to what it gives.

Refused at load: what would need FHIR's search parameters, a filter without a meaning in the specification, a context
other than Patient and Unfiltered. At run time a retrieve fails that concerns more than this patient, where the
retriever has no more than that (`ports.RetrieverOfAll`): it is never answered with this patient's resources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cds_service.elm import fhir_model
from cds_service.elm.codegen import queries as write
from cds_service.elm.codegen.writer import Emit
from cds_service.elm.compile import Builder, DataError, Expr, Node, RetrieveNeed, Scope
from cds_service.elm.context import Context, Env
from cds_service.elm.operators import references, retrieve_filters
from cds_service.elm.ports import RetrieverOfAll
from cds_service.elm.trace import Retrieved
from cds_service.elm.types import ListOf, fhir, named
from cds_service.elm.values import Code, Concept, ValueSet

_UNSUPPORTED: Mapping[str, str] = {
    "otherFilter": "the specification defines no comparators for it",
    "include": "the specification does not say how included resources stand in the result",
    "includedIn": "the specification does not say how included resources stand in the result",
    "codeSearch": "search parameters are not known to the engine",
    "dateSearch": "search parameters are not known to the engine",
    "contextSearch": "search parameters are not known to the engine",
    "contextProperty": "the retriever decides what belongs to a patient",
}
_COMPARATORS = ("in", "~in", "contains", "~contains", "=", "~")
# Elements by which a resource belongs to a patient.
_OF_PATIENTS = ("subject", "patient", "beneficiary", "for", "individual", "participant")
_ABSTRACT = ("Resource", "DomainResource")

Resources = Sequence[Mapping[str, Any]]
# Asks for resources: (context, frame, key, type, code path, codes, value set).
Ask = Callable[[Context, Env, Any, str, str | None, tuple[Code, ...] | None, str | None], Resources]


def _retrieve(scope: Scope, node: Node) -> Expr:
    """[ResourceType: code path in codes]."""
    scope.compiler.varies()
    kind = named(node["dataType"])
    resource_type = fhir(kind)
    if resource_type is None or not fhir_model.known(resource_type):
        scope.fail(node, f"{kind} is no FHIR resource type")
    if not fhir_model.is_subtype(resource_type, "Resource") or resource_type in _ABSTRACT:
        scope.fail(node, f"{kind} is no type that resources have")
    for name, reason in _UNSUPPORTED.items():
        if node.get(name):
            scope.fail(node, f"a retrieve with {name} is not supported: {reason}")
    ask = _ask(scope, node, resource_type)
    filters = [dict(each) for each in node.get("codeFilter") or ()]
    if node.get("codes"):
        filters.insert(
            0,
            {
                "property": node.get("codeProperty"),
                "comparator": node.get("codeComparator") or "in",
                "value": node["codes"],
                "valueSetProperty": node.get("valueSetProperty"),
            },
        )
    result = _by_filters(scope, node, resource_type, filters, ask)
    result.type = ListOf(kind)
    for keep in (retrieve_filters.by_id(scope, node, kind), retrieve_filters.by_dates(scope, node, kind)):
        for test in keep:
            result = _kept(result, test)
    return result


def _kept(source: Expr, make: Callable[[Context, Env], Callable[[Any], bool] | None]) -> Expr:
    """The resources that pass a test, made anew for each evaluation; None lets none pass."""
    inner = source.fn

    def run_kept(ctx: Context, env: Env) -> Any:
        test = make(ctx, env)
        resources = inner(ctx, env)
        return [] if test is None else [resource for resource in resources if test(resource)]

    return Expr(run_kept, source.type)


# --- By codes ---


def _by_filters(scope: Scope, node: Node, resource_type: str, filters: Sequence[Node], ask: Ask) -> Expr:
    """The resources that all code filters let pass; the retriever is asked by the first that it understands."""
    found: Expr | None = None
    tests = []
    for each in filters:
        comparator = each.get("comparator")
        if comparator not in _COMPARATORS:
            scope.fail(node, f"a retrieve can't compare codes by {comparator!r}")
        if each.get("search") and not each.get("property"):
            scope.fail(node, f"a retrieve with codeSearch is not supported: {_UNSUPPORTED['codeSearch']}")
        path = each.get("property") or fhir_model.code_path(resource_type)
        if path is None:
            scope.fail(node, f"a retrieve of {resource_type} by codes names no code property")
        if found is None and not each.get("valueSetProperty") and "[" not in path:
            found = _by_codes(scope, node, resource_type, path, each["value"], ask)
            if found is not None and comparator != "=":
                continue
        tests.append(retrieve_filters.by_code(scope, node, resource_type, path, each))
    result = found or _all(scope, resource_type, ask)
    for test in tests:
        result = _kept(result, test)
    return result


def _all(scope: Scope, resource_type: str, ask: Ask) -> Expr:
    need = RetrieveNeed(resource_type, None, None, None)
    scope.owner.needs[need] = None
    key = scope.compiler.number_of(need)

    def run_retrieve(ctx: Context, env: Env) -> Any:
        return ask(ctx, env, key, resource_type, None, None, None)

    return Expr(run_retrieve, emit=_written(ask, key, resource_type, None, None, None))


def _by_codes(scope: Scope, node: Node, resource_type: str, path: str, codes: Node, ask: Ask) -> Expr | None:
    """The resources with codes that the retriever can be asked for; None where it can't be asked for them."""
    if codes.get("type") == "ExpandValueSet":
        codes = codes["operand"]
    if codes.get("type") == "ValueSetRef":
        url = references.value_set(scope, codes).id
        need = RetrieveNeed(resource_type, path, None, url)
        scope.owner.needs[need] = None
        key = scope.compiler.number_of(need)

        def run_value_set(ctx: Context, env: Env) -> Any:
            return ask(ctx, env, key, resource_type, path, None, url)

        return Expr(run_value_set, emit=_written(ask, key, resource_type, path, None, url))
    expr = scope.expr(codes)
    if not retrieve_filters.are_codes(expr.type):
        return None
    if expr.constant:
        fixed = as_codes(expr.value())
        if fixed is not None:
            need = RetrieveNeed(resource_type, path, fixed, None)
            scope.owner.needs[need] = None
            key = scope.compiler.number_of(need)

            def run_codes(ctx: Context, env: Env) -> Any:
                return ask(ctx, env, key, resource_type, path, fixed, None)

            return Expr(run_codes, emit=_written(ask, key, resource_type, path, fixed, None))
    scope.owner.needs[RetrieveNeed(resource_type, path, None, None)] = None
    inner = expr.fn

    def run_dynamic(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        if isinstance(value, ValueSet):
            return ask(ctx, env, (resource_type, path, value.id), resource_type, path, None, value.id)
        found = () if value is None else as_codes(value)
        if found is None:
            raise DataError("a retrieve's codes are not codes")
        return ask(ctx, env, (resource_type, path, found), resource_type, path, found, None)

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


# --- Whose resources ---


def _ask(scope: Scope, node: Node, resource_type: str) -> Ask:
    """How the retriever is asked in the context in which the retrieve stands.

    A function's retrieves are in the context of the define that calls it.
    """
    context = scope.owner.node.get("context") if scope.owner.index >= 0 else None
    if context not in (None, "Patient", "Unfiltered"):
        scope.fail(node, f"a retrieve in the context {context} is not supported")
    if node.get("context"):
        return _ask_related(scope, node)
    if references.unfiltered(scope) and _of_patients(resource_type):
        return _ask_all
    return _ask_here


def _ask_here(ctx: Context, env: Env, *asked: Any) -> Resources:
    return ctx.retrieve(*asked)


def _written(ask: Ask, key: int, *asked: Any) -> Emit | None:
    """The emitter of an ordinary retrieve."""
    return write.retrieve(key, *asked) if ask is _ask_here else None


def _of_patients(resource_type: str) -> bool:
    """Whether the Patient context restricts the resources of a type; it doesn't restrict a Medication."""
    return resource_type == "Patient" or any(
        fhir_model.element(resource_type, name) is not None for name in _OF_PATIENTS
    )


def _ask_all(ctx: Context, env: Env, *asked: Any) -> Resources:
    return _ask_elsewhere(ctx, None, *asked)


def _ask_related(scope: Scope, node: Node) -> Ask:
    """["Mother" -> Observation]: the resources of the Patient whose id the expression gives; none for null.

    CQL 1.5, Developer's Guide, Related Context Retrieves. FHIR's model info names no element by which another resource
    (a RelatedPerson) would lead to a Patient's record: only a Patient and an id do.
    """
    patient = scope.expr(node["context"])
    if isinstance(patient.type, ListOf):
        scope.fail(node, "the context of a retrieve must not be a list")
    whose = patient.fn

    def ask_related(ctx: Context, env: Env, *asked: Any) -> Resources:
        found = whose(ctx, env)
        if isinstance(found, Mapping) and found.get("resourceType") == "Patient":
            found = found.get("id")
        if found is None:
            return []
        if not isinstance(found, str):
            raise DataError("the context of a retrieve is neither a Patient nor an id")
        if ctx.patient is not None and found == ctx.patient.get("id"):
            return ctx.retrieve(*asked)
        return _ask_elsewhere(ctx, found, *asked)

    return ask_related


def _ask_elsewhere(
    ctx: Context,
    patient: str | None,
    key: Any,
    kind: str,
    *asked: Any,
) -> Resources:
    """Another patient's resources, or (None) all patients'."""
    whole = (patient, key, "elsewhere")
    found = ctx.retrieved.get(whole)
    if found is None:
        if not isinstance(ctx.retriever, RetrieverOfAll):
            of = "all patients'" if patient is None else "another patient's"
            raise DataError(f"a retrieve asks for {of} resources, and the retriever has only this patient's")
        resources = list(ctx.retriever.retrieve_of(patient, kind, *asked))
        ctx.retrieved[whole] = found = Retrieved(kind, resources)
    ctx.trace[whole] = found
    return found.resources


BUILDERS: Mapping[str, Builder] = {"Retrieve": _retrieve}
