"""Large and deep ELM works up to the documented limits, and beyond them is refused: never a crash, in any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cds_service.elm import Library, Result, load_library
from cds_service.elm.compile import MAX_DEPTH
from cds_service.elm.sources import canonical_bytes
from cds_service.errors import AuthoringError
from tests.unit.elm.nodes import NOW, SYSTEM, Nothing, define, integer, library, load, ref, string

FLAG = {"type": "ParameterRef", "name": "Flag"}
PARAMETERS = [{"name": "Flag", "parameterType": SYSTEM + "Boolean"}]
KNOWN = {"type": "IsNull", "operand": FLAG}  # true, but not known at load
CHOSEN = {"type": "If", "condition": FLAG, "then": integer(2), "else": integer(1)}
NAMED = {"type": "NamedTypeSpecifier", "name": SYSTEM + "Integer"}


def loaded(expression: Any) -> Library:
    return load(library(define("It", expression), parameters=PARAMETERS))


def result(of: Library, name: str = "It") -> Result:
    return of.evaluate([name], retriever=Nothing(), patient=None, parameters={}, now=NOW)[name]


def leaning_left(kind: str, leaf: Any, times: int) -> Any:
    """`leaf op leaf op …`, as the translator writes it."""
    node = leaf
    for _ in range(times):
        node = {"type": kind, "operand": [node, leaf]}
    return node


@pytest.mark.parametrize(("kind", "leaf", "value"), [("And", KNOWN, True), ("Or", {"type": "Not", "operand": KNOWN}, False), ("Concatenate", string("a"), "a" * 501)])  # fmt: skip
def test_a_chain_of_five_hundred_operands_works(kind: str, leaf: Any, value: Any) -> None:
    assert result(loaded(leaning_left(kind, leaf, 500))).value == value


@pytest.mark.parametrize("size", [2, 15, 16, 17, 40])
def test_a_long_chain_decides_as_the_nested_operators_do(size: int) -> None:
    """True beats null beats false in `or`; and the other way round in `and`; nothing is evaluated behind a decision."""
    null, failing = {"type": "As", "operand": {"type": "Null"}, "asType": SYSTEM + "Boolean"}, ref("Failing")
    two = {"type": "SingletonFrom", "operand": {"type": "List", "element": [KNOWN, KNOWN]}}
    for kind, decisive in (("And", {"type": "Not", "operand": KNOWN}), ("Or", KNOWN)):
        other = {"type": "Not", "operand": decisive}
        for end, expected in ((other, None), (decisive, kind == "Or")):
            node: Any = null
            for leaf in [*[other] * (size - 2), end]:
                node = {"type": kind, "operand": [node, leaf]}
            assert result(loaded(node)).value is expected
        node = decisive
        for _ in range(size - 1):
            node = {"type": kind, "operand": [node, failing]}
        lazy = load(library(define("It", node), define("Failing", two), parameters=PARAMETERS))
        assert result(lazy).value is (kind == "Or")


def test_nesting_works_up_to_the_limit_and_is_refused_behind_it() -> None:
    assert result(loaded(leaning_left("Add", CHOSEN, MAX_DEPTH - 2))).value == MAX_DEPTH - 1
    with pytest.raises(AuthoringError, match=f'more than {MAX_DEPTH} levels deep.*define "It"') as error:
        loaded(leaning_left("Add", CHOSEN, MAX_DEPTH))
    assert (error.value.library, error.value.define) == ("Test", "It")


@pytest.mark.parametrize("levels", [300, 1000, 1030, 100_000])
def test_deep_text_is_refused_with_its_define(levels: int) -> None:
    head = b'{"library":{"identifier":{"id":"Test"},"statements":{"def":[{"name":"Deep One","context":"Patient","expression":'
    text = head + b'{"type":"Not","operand":' * levels + b"{}" + b"}" * levels + b"}]}}}"
    with pytest.raises(AuthoringError, match=r'nested (deeper|more) than .*"Deep One"'):
        load_library([text], main="Test", terminology=Nothing())


def test_a_parsed_object_without_end_is_refused() -> None:
    node: dict[str, Any] = {"type": "Not"}
    node["operand"] = node
    with pytest.raises(AuthoringError, match="nested deeper than 1024 levels of JSON"):
        loaded(node)


def chain(number: int) -> list[Any]:
    more = [
        define(f"D{i}", {"type": "Add", "operand": [ref(f"D{i - 1}"), integer(1)]}) for i in range(1, number)
    ]
    return [define("D0", CHOSEN), *more]


@pytest.mark.parametrize("turned", [False, True])
def test_a_chain_of_defines_may_have_any_length(turned: bool) -> None:
    defines = chain(3000)
    of = load(library(*(reversed(defines) if turned else defines), parameters=PARAMETERS))
    assert result(of, "D2999").value == 3000


def test_a_long_chain_tells_its_failure_at_the_define_that_failed_and_stays_lazy() -> None:
    both = {"type": "SingletonFrom", "operand": {"type": "List", "element": [CHOSEN, CHOSEN]}}
    either = {"type": "If", "condition": FLAG, "then": ref("D1999"), "else": integer(7)}
    defines = [define("D0", both), *chain(2000)[1:], define("Either", either)]
    of = load(library(*defines, parameters=PARAMETERS))
    error = result(of, "D1999").error
    assert error is not None
    assert error.define == "D0"
    assert result(of, "Either").value == 7


def functions(number: int) -> Mapping[str, Any]:
    made = []
    for i in range(number):
        operand = {"type": "OperandRef", "name": "n"}
        body = {"type": "FunctionRef", "name": f"F{i - 1}", "operand": [operand]} if i else operand
        made.append({"type": "FunctionDef", "name": f"F{i}", "operand": [{"name": "n", "operandTypeSpecifier": NAMED}], "expression": body})  # fmt: skip
    call = {"type": "FunctionRef", "name": f"F{number - 1}", "operand": [CHOSEN]}
    return library(*made, define("It", call), parameters=PARAMETERS)


def test_functions_may_call_each_other_to_a_limit() -> None:
    assert result(load(functions(150))).value == 1
    with pytest.raises(AuthoringError, match=r'it nests more than 400 levels deep.*define "F\d+"'):
        load(functions(3000))


def test_large_flat_libraries_work() -> None:
    items = [{"when": {"type": "Equal", "operand": [FLAG, FLAG]}, "then": integer(i)} for i in range(4000)]
    defines = [
        define("List", {"type": "List", "element": [integer(i) for i in range(20_000)]}),
        define("Case", {"type": "Case", "caseItem": items, "else": integer(7)}),
        *(define(f"D{i}", integer(i)) for i in range(4000)),
    ]
    of = load(library(*defines, parameters=PARAMETERS))
    assert len(result(of, "List").value) == 20_000
    assert result(of, "Case").value == 7


def test_libraries_may_include_each_other_in_a_long_row() -> None:
    libraries = [library(define("It", integer(1)), name="L0")]
    for i in range(1, 1500):
        include = {"localIdentifier": "P", "path": f"L{i - 1}", "version": "1"}
        libraries.append(library(define("It", ref("It", libraryName="P")), name=f"L{i}", includes=[include]))
    assert result(load(*libraries, main="L1499")).value == 1


@pytest.mark.parametrize(
    "untyped", [{"type": "Retrieve", "dataType": "{http://hl7.org/fhir}Observation"}, CHOSEN]
)
def test_nothing_is_compiled_or_evaluated_twice_a_level(untyped: Any) -> None:
    """What takes twice the time at each level would take for ever at thirty."""
    fhir = "{http://hl7.org/fhir}Extension"
    cast: Any = {"type": "SingletonFrom", "operand": {"type": "Retrieve", "dataType": "{http://hl7.org/fhir}Observation"}}  # fmt: skip
    exists: Any = untyped
    filtered: Any = {"type": "List", "element": [CHOSEN]}
    for number in range(30):
        cast = {
            "type": "As",
            "asType": fhir,
            "operand": {"type": "Property", "path": "extension", "source": cast},
        }
        source = {"type": "If", "condition": exists, "then": {"type": "Null"}, "else": {"type": "Null"}}
        query = {
            "type": "Query",
            "source": [{"alias": f"A{number}", "expression": source}],
            "where": {"type": "Null"},
        }
        exists = {"type": "Exists", "operand": query}
        same = {"type": "Equal", "operand": [{"type": "Current"}, {"type": "Current"}]}
        filtered = {"type": "Filter", "source": filtered, "condition": same}
    of = load(library(define("Cast", cast), define("Exists", exists), define("Filter", filtered), parameters=PARAMETERS))  # fmt: skip
    assert [result(of, name).value for name in of.defines] == [None, False, [1]]


def test_a_result_may_be_nested_and_shared_to_any_depth() -> None:
    inner = {"type": "List", "element": [CHOSEN]}
    for kind, element in (("N", 1), ("S", 2)):
        defines = [define(f"{kind}0", inner)]
        for i in range(1, 2000):
            defines.append(
                define(f"{kind}{i}", {"type": "List", "element": [ref(f"{kind}{i - 1}")] * element})
            )
        value = result(load(library(*defines, parameters=PARAMETERS)), f"{kind}1999").value
        for _ in range(1999):
            assert len(value) == element
            value = value[0]
        assert value == [1]


def in_a_thread(stack: int, work: Callable[[], Any]) -> Any:
    """The value of work done in a thread with a small stack."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except AuthoringError as error:
            found.append(str(error))

    usual = threading.stack_size(stack)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(usual)
    thread.join()
    return found[0]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (library(define("It", leaning_left("And", KNOWN, 480)), parameters=PARAMETERS), True),
        (library(define("It", leaning_left("Add", CHOSEN, 195)), parameters=PARAMETERS), 196),
        (functions(150), 1),
        (library(*chain(2000), define("It", ref("D1999")), parameters=PARAMETERS), 2000),
    ],
    ids=["and", "nested", "functions", "defines"],
)
def test_a_thread_with_a_small_stack_suffices(source: Mapping[str, Any], value: Any) -> None:
    text = canonical_bytes(source["library"], "Test")
    work = lambda: result(load_library([text], main="Test", terminology=Nothing())).value  # noqa: E731
    assert in_a_thread(256 * 1024, work) == value
