"""What is no ELM library, or a wrong one: each mistake is named with its place and what to do about it."""

from __future__ import annotations

import base64
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from cds_service.elm import load_library, sources
from cds_service.errors import AuthoringError
from tests.unit.elm.mutations import mutated
from tests.unit.elm.nodes import (
    SYSTEM,
    Nothing,
    define,
    evaluated,
    integer,
    library,
    load,
    ref,
    results,
    string,
)

GOOD = library(define("It", integer(1)))
TEXT = json.dumps(GOOD)
NAMED = {"type": "NamedTypeSpecifier", "name": SYSTEM + "Integer"}
FUNCTION = {
    "type": "FunctionDef",
    "name": "F",
    "operand": [{"name": "n", "operandTypeSpecifier": NAMED}],
    "expression": {"type": "OperandRef", "name": "n"},
}


def refused(*given: Any, main: str = "Test") -> AuthoringError:
    with pytest.raises(AuthoringError) as error:
        load_library(given, main=main, terminology=Nothing())
    return error.value


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.encode(),
        bytearray(TEXT.encode()),
        memoryview(TEXT.encode()),
        b"\xef\xbb\xbf" + TEXT.encode(),
    ],
    ids=["str", "bytes", "bytearray", "memoryview", "byte order mark"],
)
def test_a_library_is_read_from(text: Any) -> None:
    loaded = load_library([text], main="Test", terminology=Nothing())
    assert results(loaded)["It"].value == 1
    assert loaded.elm_sha256 == load(GOOD).elm_sha256


ELM_XML = '<?xml version="1.0"?><library xmlns="urn:hl7-org:elm:r1"><identifier id="T"/></library>'
FHIR_LIBRARY = {
    "resourceType": "Library",
    "content": [{"contentType": "application/elm+json", "data": base64.b64encode(TEXT.encode()).decode()}],
}
SOURCES: list[tuple[str, Any, str]] = [
    ("a path", Path("x.json"), r"not a \w*Path; read a file first \(path.read_bytes\(\)\)"),
    ("nothing", None, "not a NoneType"),
    ("an empty file", b"", "the source is empty"),
    ("blanks", " \n", "the source is empty"),
    ("a truncated file", TEXT[:-20], r"the JSON can't be read \(.+, line 1, column \d+\); is the file whole\?"),
    ("text that is not UTF-8", TEXT.encode().replace(b"Test", b"T\xe9st"), r"not UTF-8 \(byte \d+\)"),
    ("UTF-16", TEXT.encode("utf-16"), "UTF-16"),
    ("a lone surrogate", '{"library": "\ud800"}', "lone surrogates"),
    ("an array", "[1]", "a JSON array, where an object is expected"),
    ("a string", '"x"', "a JSON string"),
    ("a number", "7", "a JSON number"),
    ("null", "null", "a JSON null"),
    ("ELM in XML", ELM_XML, r"this is ELM in XML; ask the translator for application/elm\+json"),
    ("other XML", "<html/>", "this is XML"),
    ("CQL", "// x\n/* y */ library Test version '1'\nusing FHIR", "this is CQL; translate it first"),
    ("a FHIR Library", FHIR_LIBRARY, r"a FHIR Library resource.*application/elm\+json holds, base64-decoded"),
    ("a FHIR Bundle", {"resourceType": "Bundle"}, "a FHIR Bundle resource"),
    ("library: no object", {"library": [1]}, '"library" is no object'),
    ("no identifier", {"library": {}}, "no identifier with an id"),
    ("an identifier that is no object", {"identifier": "Test"}, "no identifier with an id"),
    ("an id that is no string", {"identifier": {"id": 5}}, "must be strings"),
    ("a version that is no string", {"identifier": {"id": "T", "version": 1}}, "must be strings"),
    ("a parsed object with a set", {"library": {**GOOD["library"], "x": {1}}}, "a set in the parsed object"),
    ("a parsed object with a number as key", {"library": {**GOOD["library"], "x": {1: 2}}}, "key of an object"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), [row[1:] for row in SOURCES], ids=[row[0] for row in SOURCES])
def test_what_is_no_elm_library_is_told_for_what_it_is(given: Any, words: str) -> None:
    assert re.search(words, str(refused(given))), str(refused(given))


def test_a_file_of_unreasonable_size_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 2**20)
    message = str(refused(TEXT + " " * 2**20))
    assert message.startswith("an ELM library of 1 MB; at most 1 MB are read.")


def part(**parts: Any) -> dict[str, Any]:
    return {"library": {**GOOD["library"], **parts}}


def using(**more: Any) -> dict[str, Any]:
    return part(usings={"def": [{"localIdentifier": "M", **more}]})


def translated_with(severity: str) -> dict[str, Any]:
    note = {"type": "CqlToElmError", "errorSeverity": severity, "startLine": 3, "startChar": 5, "message": "Could not resolve X"}  # fmt: skip
    return part(annotation=[None, {"type": "CqlToElmInfo"}, note])


INCLUDED = library(define("It", integer(1)), name="Other")
PARTS: list[tuple[str, list[Any], str]] = [
    ("statements as a list", [part(statements=[])], '"statements" must be an object with "def", not a list'),
    ("def as an object", [part(statements={"def": {}})], '"statements.def" must be a list, not a object'),
    ("a null definition", [part(statements={"def": [None]})], "statements.def[0] must be an object, not a null"),
    ("a definition without a name", [part(statements={"def": [{}]})], 'statements.def[0] has no "name"'),
    ("a name that is a number", [part(parameters={"def": [{"name": 3}]})], 'parameters.def[0] has no "name"'),
    ("a define twice", [library(define("A", integer(1)), define("A", integer(2)))], '"A" is defined twice in statements'),
    ("a code without an id", [part(codes={"def": [{"name": "C"}]})], '"C" in codes has no "id"'),
    ("a value set without an id", [part(valueSets={"def": [{"name": "V"}]})], '"V" in valueSets has no "id"'),
    ("a code system with a wrong id", [part(codeSystems={"def": [{"name": "S", "id": 1}]})], '"S" in codeSystems has no "id"'),
    ("an include without a path", [part(includes={"def": [{"localIdentifier": "L"}]})], 'the include "L" does not say which library'),
    ("two includes of one alias", [part(includes={"def": [{"localIdentifier": "L", "path": "Other"}] * 2}), INCLUDED], 'two includes are called "L"'),
    ("an include of itself", [part(includes={"def": [{"localIdentifier": "L", "path": "Test"}]})], "libraries include each other: Test → Test"),
    ("a missing include", [part(includes={"def": [{"localIdentifier": "L", "path": "ns/Gone", "version": "2"}]})], "it includes Gone 2, which is not among the sources"),
    ("an include of another version", [part(includes={"def": [{"localIdentifier": "L", "path": "Other", "version": "2"}]}), INCLUDED], "it includes Other 2, but 1 is given"),
    ("another schema", [part(schemaIdentifier={"id": "urn:hl7-org:elm", "version": "r2"})], "it is written in urn:hl7-org:elm r2: only urn:hl7-org:elm r1 is read"),
    ("a translation error", [translated_with("error")], "was translated with an error at 3:5: Could not resolve X"),
    ("QICore", [using(uri="http://hl7.org/fhir/us/qicore", version="4.1.1")], "it uses the model M (http://hl7.org/fhir/us/qicore): only FHIR 4.0.1 is known"),
    ("QDM", [using(uri="urn:healthit-gov:qdm:v5_6")], "only FHIR 4.0.1 is known"),
    ("FHIR 3", [using(uri="http://hl7.org/fhir", version="3.0.0")], "it uses FHIR 3.0.0: only FHIR 4.0.1 is known"),
    ("a model without a URI", [using()], "only FHIR 4.0.1 is known"),
    ("a parameter of an unknown type", [part(parameters={"def": [{"name": "P", "parameterType": SYSTEM + "Sex"}]})], 'the parameter "P" has the type System.Sex, which does not exist'),
    ("a parameter of a malformed type", [part(parameters={"def": [{"name": "P", "parameterTypeSpecifier": "Integer"}]})], 'the type of the parameter "P" can\'t be read'),
    ("one library twice", [GOOD, {"library": {**GOOD["library"], "identifier": {"id": "Test", "version": "2"}}}], "library Test is given twice (1, 2): give one version"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), [row[1:] for row in PARTS], ids=[row[0] for row in PARTS])
def test_what_is_wrong_in_a_library_is_named(given: list[Any], words: str) -> None:
    error = refused(*given)
    assert words in str(error)
    assert error.library == "Test"
    assert "Test" in str(error)


def test_warnings_and_notes_of_the_translator_stop_nothing() -> None:
    assert load(translated_with("warning")).defines == ("It",)


def test_the_main_library_must_be_among_the_sources() -> None:
    assert str(refused(GOOD, main="Main")) == "library Main is not among the sources; there are: Test"


CALL = {"type": "FunctionRef", "name": "F", "operand": [string("a"), string("b")]}
AS = {"type": "As", "operand": integer(1)}
EXPRESSIONS: list[tuple[str, Any, str]] = [
    ("a list", [integer(1)], "an expression is expected, not a list"),
    ("a string", "It", "an expression is expected, not a str"),
    ("an operand that is a number", {"type": "Not", "operand": 3}, "an expression is expected, not a int"),
    ("too few operands", {"type": "Add", "operand": [integer(1)]}, "a wrong number of operands"),
    ("too many operands", {"type": "Not", "operand": [integer(1), integer(1)]}, "a wrong number of operands"),
    ("a missing part", {"type": "If", "condition": integer(1)}, "'then' is missing"),
    ("a name that is an object", {"type": "ExpressionRef", "name": {}}, "malformed"),
    ("an alias that is a list", {"type": "ExpressionRef", "name": "It", "libraryName": ["L"]}, "malformed"),
    ("a node type that is a number", {"type": 3}, "ELM node type 3 is not supported"),
    ("a cast to nothing", AS, "it names no type"),
    ("a cast to a type that is not there", {**AS, "asType": SYSTEM + "Integr"}, "there is no type System.Integr"),
    ("a cast to a FHIR type that is not there", {**AS, "asType": "{http://hl7.org/fhir}Patiant"}, "no type FHIR.Patiant"),
    ("a test for a type that is not there", {"type": "Is", "operand": integer(1), "isType": "{urn:x}Y"}, r"there is no type \{urn:x\}Y"),
    ("a conversion to a type that is not there", {"type": "Convert", "operand": integer(1), "toType": SYSTEM + "X"}, "no type System.X"),
    ("a literal without a type", {"type": "Literal", "value": "1"}, "'valueType' is missing"),
    ("a literal that is no number", {"type": "Literal", "valueType": SYSTEM + "Integer", "value": "x"}, "invalid literal"),
    ("a call with a wrong arity", CALL, 'there is no function "F" with 2 operands'),
    ("a query without a source", {"type": "Query"}, "'source' is missing"),
    ("a retrieve without a type", {"type": "Retrieve"}, "'dataType' is missing"),
    ("a let that is not there", {"type": "QueryLetRef", "name": "x"}, 'no alias, let or operand "x"'),
    ("a code system that is not there", {"type": "CodeSystemRef", "name": "x"}, 'no code system "x"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("node", "words"), [row[1:] for row in EXPRESSIONS], ids=[row[0] for row in EXPRESSIONS]
)
def test_a_wrong_expression_is_refused_with_its_place(node: Any, words: str) -> None:
    error = refused(library(FUNCTION, define("It", integer(1)), define("Wrong", node)))
    assert re.search(words, str(error)), str(error)
    assert (error.library, error.define) == ("Test", "Wrong")


def test_functions_of_two_libraries_that_call_each_other_are_libraries_in_a_circle() -> None:
    call = {"type": "FunctionRef", "name": "F", "libraryName": "L", "operand": [integer(1)]}
    one = library({**FUNCTION, "expression": call}, includes=[{"localIdentifier": "L", "path": "Other"}])
    two = library({**FUNCTION, "expression": call}, name="Other", includes=[{"localIdentifier": "L", "path": "Test"}])  # fmt: skip
    assert "libraries include each other: Test → Other → Test" in str(refused(one, two))


def test_functions_that_call_each_other_are_refused() -> None:
    def calling(name: str) -> dict[str, Any]:
        return {"type": "FunctionRef", "name": name, "operand": [integer(1)]}

    error = refused(library({**FUNCTION, "expression": calling("G")}, {**FUNCTION, "name": "G", "expression": calling("F")}))  # fmt: skip
    assert "recursion is not allowed" in str(error)


def test_a_function_with_a_malformed_operand_is_named_itself() -> None:
    call = {**CALL, "operand": [integer(1)]}
    error = refused(
        library({**FUNCTION, "operand": [{"name": "n", "operandType": {"x": 1}}]}, define("It", call))
    )
    assert (error.define, error.node_type) == ("F", "FunctionDef")


def test_an_error_carries_its_place() -> None:
    node = {"type": "Quux", "localId": "7", "locator": "3:1-3:9"}
    error = refused(library(define("It", {"type": "Not", "operand": node})))
    place = (error.library, error.define, error.node_type, error.local_id, error.locator)
    assert place == ("Test", "It", "Quux", "7", "3:1-3:9")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.local_id) == (str(error), "7")


def test_a_failure_carries_its_place() -> None:
    both = {"type": "List", "element": [integer(1), integer(2)]}
    error = evaluated({"type": "SingletonFrom", "operand": both, "localId": 4, "locator": "2:1"}).error
    assert error is not None
    place = (error.library, error.define, error.node_type, error.local_id, error.locator)
    assert place == ("Test", "It", "SingletonFrom", "4", "2:1")


def test_one_failing_define_leaves_the_others() -> None:
    both = {"type": "SingletonFrom", "operand": {"type": "List", "element": [integer(1), integer(2)]}}
    found = results(load(library(define("A", both), define("B", ref("A")), define("C", integer(3)))))
    assert [name for name, result in found.items() if result.error] == ["A", "B"]
    assert found["B"].error is found["A"].error
    assert found["C"].value == 3


def test_a_mutation_is_the_same_for_the_same_seed() -> None:
    assert mutated(GOOD, 5) == mutated(GOOD, 5)
    assert len({json.dumps(mutated(GOOD, seed)) for seed in range(50)}) > 30
