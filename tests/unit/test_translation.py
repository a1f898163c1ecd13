"""The translator's client: what it asks, how it takes bad answers, and the ELM files it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cds_service import translation
from cds_service.errors import TranslationError
from cds_service.translation import digest, normalised, stale, stamped, translate, translate_folder
from tests.support.answers import Answer, answering, free_port

ROOT = Path(__file__).resolve().parents[2]
TRIALS = ROOT / "cds_service" / "trials"
CQL = "library A version '1'\ndefine X: 1\n"


def _library(name: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    info = {"type": "CqlToElmInfo", "translatorVersion": "3.22.0"}
    return {"library": {"identifier": {"id": name}, "annotation": [info, *annotations]}}


def _error(line: int, column: int, message: str, **more: Any) -> dict[str, Any]:
    place = {"startLine": line, "startChar": column, "message": message}
    return {"type": "CqlToElmError", "errorSeverity": "error", **place, **more}


def _elm(document: Any, status: int = 200) -> Answer:
    return Answer(status, "application/elm+json", json.dumps(document).encode())


def _multipart(**parts: Any) -> Answer:
    body = b""
    for name, document in parts.items():
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: application/elm+json\r\n\r\n'
        body += head.encode() + json.dumps(document, ensure_ascii=False).encode() + b"\r\n"
    return Answer(200, "multipart/form-data;boundary=b", body + b"--b--\r\n")


@pytest.fixture
def pauses() -> list[float]:
    return []


def test_one_library_is_posted_as_cql_with_the_options_and_an_explicit_accept() -> None:
    with answering([_elm(_library("A"))]) as (url, asked):
        translated = translate({"A.cql": CQL}, url + "/")
    assert translated == {"A.cql": _library("A")}
    (request,) = asked
    parts = urlsplit(request.path)
    assert (request.method, parts.path, request.body) == ("POST", "/cql/translator", CQL.encode())
    assert request.headers["Content-Type"] == "application/cql"
    assert request.headers["Accept"] == "application/elm+json"
    assert {name: value for name, (value,) in parse_qs(parts.query).items()} == {
        "annotations": "false",
        "locators": "true",
        "result-types": "true",
        "signatures": "Overloads",
        "disable-list-demotion": "true",
        "disable-list-promotion": "true",
    }


def test_several_libraries_go_as_one_form_and_come_back_by_their_field() -> None:
    first, second = _library("A"), _library("Ação")
    with answering([_multipart(**{"library-1": second, "library-0": first})]) as (url, asked):
        assert translate({"A.cql": CQL, "B.cql": "library B"}, url) == {"A.cql": first, "B.cql": second}
    assert asked[0].headers["X-TargetFormat"] == "application/elm+json"
    assert asked[0].headers["Content-Type"].startswith("multipart/form-data")
    assert asked[0].body.count(b"Content-Type: application/cql") == 2


def test_every_error_is_told_with_file_line_and_column_once() -> None:
    twice = _error(7, 3, "Could not resolve\n identifier Y", libraryId="B")
    answer = _multipart(
        **{
            "library-0": _library("A", _error(2, 11, "Syntax error at 'x'", libraryId="A"), twice),
            "library-1": _library("B", twice, _error(1, 1, "hidden", libraryId="B", errorSeverity="warning")),
        }
    )
    with answering([answer]) as (url, _), pytest.raises(TranslationError) as raised:
        translate({"a.cql": CQL, "b.cql": CQL}, url)
    assert str(raised.value).splitlines() == [
        "The translator found 2 errors in the CQL:",
        "  a.cql:2:11: Syntax error at 'x'",
        "  b.cql:7:3: Could not resolve identifier Y",
    ]


def test_a_400_with_elm_is_read_for_its_errors() -> None:
    refused = _elm(_library("A", _error(1, 2, "no")), status=400)
    with answering([refused]) as (url, _), pytest.raises(TranslationError, match=r"A\.cql:1:2: no"):
        translate({"A.cql": CQL}, url)


def test_warnings_do_not_stop_a_translation() -> None:
    warned = _library("A", _error(1, 2, "hiding", errorSeverity="warning"))
    with answering([_elm(warned)]) as (url, _):
        assert translate({"A.cql": CQL}, url) == {"A.cql": warned}


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_comes_back_is_asked_again(status: int, pauses: list[float]) -> None:
    with answering([Answer(status), Answer(status), _elm(_library("A"))]) as (url, asked):
        assert translate({"A.cql": CQL}, url, pause=pauses.append) == {"A.cql": _library("A")}
    assert len(asked) == 3
    assert pauses == [0.5, 1.0]


def test_retries_are_bounded(pauses: list[float]) -> None:
    with answering([Answer(503, body=b"starting")]) as (url, asked):
        with pytest.raises(TranslationError, match="answered 503: starting"):
            translate({"A.cql": CQL}, url, pause=pauses.append)
        assert len(asked) == len(pauses) + 1 == 4


def test_an_unreachable_server_is_said_so_after_the_retries(pauses: list[float]) -> None:
    with pytest.raises(TranslationError, match=r"at http://127\.0\.0\.1:\d+ can't be reached"):
        translate({"A.cql": CQL}, f"http://127.0.0.1:{free_port()}", pause=pauses.append)
    assert len(pauses) == 3


def test_a_server_that_takes_too_long_is_not_asked_again(pauses: list[float]) -> None:
    with answering([Answer(seconds=0.5)]) as (url, asked):
        with pytest.raises(TranslationError, match=r"did not answer within 0\.1 s"):
            translate({"A.cql": CQL}, url, timeout=0.1, pause=pauses.append)
        assert len(asked) == 1
    assert pauses == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(415, body=b"unsupported"), "answered 415: unsupported"),
        (Answer(400, body=b"Unable to read request"), "answered 400: Unable to read request"),
        (Answer(500), "answered 500: nothing"),
        (Answer(302, headers={"Location": "http://127.0.0.1:9/"}), "answered 302"),
        (Answer(200, "application/elm+json", b"<xml/>"), "no ELM JSON for A.cql"),
        (Answer(200, "application/elm+json", b'{"library": []}'), "no ELM JSON for A.cql"),
        (Answer(200, "application/elm+json", b"[1]"), "no ELM JSON for A.cql"),
    ],
)
def test_an_answer_that_is_no_elm_is_refused(answer: Answer, said: str) -> None:
    with answering([answer]) as (url, asked):
        with pytest.raises(TranslationError, match=said):
            translate({"A.cql": CQL}, url)
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_elm(_library("A")), "not multipart/form-data"),
        (_multipart(**{"library-0": _library("A")}), r"returned nothing for B\.cql"),
        (_multipart(**{"library-0": _library("A"), "library-1": []}), r"no ELM JSON for B\.cql"),
    ],
)
def test_an_incomplete_form_is_refused(answer: Answer, said: str) -> None:
    with answering([answer]) as (url, _), pytest.raises(TranslationError, match=said):
        translate({"A.cql": CQL, "B.cql": CQL}, url)


@pytest.mark.parametrize("url", ["", "localhost", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_one_sentence(url: str) -> None:
    with pytest.raises(TranslationError):
        translate({"A.cql": CQL}, url, pause=lambda _: None)


def test_a_folder_is_written_all_or_none(tmp_path: Path) -> None:
    common, trial = tmp_path / "common", tmp_path / "trial"
    common.mkdir()
    trial.mkdir()
    (common / "C.cql").write_text("library C")
    (trial / "A.cql").write_text(CQL)
    broken = _multipart(**{"library-0": _library("C"), "library-1": _library("A", _error(1, 1, "no"))})
    with answering([broken]) as (url, _), pytest.raises(TranslationError):
        translate_folder(trial, url, includes=[common])
    assert [path.name for path in trial.iterdir()] == ["A.cql"]
    sound = _multipart(**{"library-0": _library("C"), "library-1": _library("A")})
    with answering([sound]) as (url, _):
        assert translate_folder(trial, url, includes=[common]) == [trial / "A.elm.json"]
    assert not (common / "C.elm.json").exists()
    stamp = json.loads((trial / "A.elm.json").read_text())["cdsService"]
    assert stamp == {"cql": digest(CQL.encode()), "translator": "3.22.0"}
    assert stale(trial) == []


def test_a_folder_without_cql_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TranslationError, match=r"holds no \.cql file"):
        translate_folder(tmp_path, "http://127.0.0.1:9")


def test_stale_elm_is_found(tmp_path: Path) -> None:
    (tmp_path / "Old.cql").write_text("library Old\ndefine X: 2\n")
    (tmp_path / "Old.elm.json").write_text(stamped(_library("Old"), b"library Old\ndefine X: 1\n"))
    (tmp_path / "New.cql").write_text("library New")
    (tmp_path / "Left.elm.json").write_text("{}")
    (tmp_path / "Odd.cql").write_text("library Odd")
    (tmp_path / "Odd.elm.json").write_text("not json")
    assert stale(tmp_path) == [
        "New.cql has not been translated: New.elm.json is missing.",
        "Odd.elm.json does not come from Odd.cql as it is now: translate it again.",
        "Old.elm.json does not come from Old.cql as it is now: translate it again.",
        "Left.elm.json has no CQL beside it.",
    ]


def test_the_hash_does_not_depend_on_line_endings() -> None:
    assert digest(b"a\r\nb\r\n") == digest(b"a\nb\n") != digest(b"a\nb")


@pytest.mark.parametrize("folder", sorted(p.parent for p in TRIALS.glob("*/*.cql")), ids=lambda p: p.name)
def test_the_committed_elm_is_not_stale(folder: Path) -> None:
    assert stale(folder) == []


def test_normalising_drops_empty_arrays_and_fixed_types_only() -> None:
    jackson = {
        "type": "Library",
        "identifier": {"type": "VersionedIdentifier", "id": "A"},
        "codes": {
            "type": "Library$Codes",
            "def": [{"type": "CodeDef", "codeSystem": {"type": "CodeSystemRef"}}],
        },
        "statements": {
            "type": "Library$Statements",
            "def": [
                {"type": "ExpressionDef", "expression": {"type": "CodeSystemRef", "name": "L"}},
                {"type": "FunctionDef", "operand": [{"type": "OperandDef", "name": "x"}]},
                {
                    "type": "ExpressionDef",
                    "expression": {"type": "InValueSet", "valueset": {"type": "ValueSetRef"}},
                },
                {"type": "ExpressionDef", "expression": {"type": "InValueSet", "code": {"type": "CodeRef"}}},
                {"type": "ExpressionDef", "expression": {"type": "Ratio", "numerator": {"type": "Quantity"}}},
                {"type": "ExpressionDef", "expression": {"type": "Concept", "code": [{"type": "Code"}]}},
                {
                    "type": "ExpressionDef",
                    "expression": {"type": "Query", "relationship": [{"type": "With"}]},
                },
            ],
        },
    }
    service = {
        "annotation": [],
        "identifier": {"id": "A"},
        "codes": {"def": [{"codeSystem": {"annotation": []}}]},
        "statements": {
            "def": [
                {"expression": {"type": "CodeSystemRef", "name": "L", "signature": []}},
                {"type": "FunctionDef", "operand": [{"name": "x"}]},
                {"expression": {"type": "InValueSet", "valueset": {}}},
                {"expression": {"type": "InValueSet", "code": {"type": "CodeRef"}}},
                {"expression": {"type": "Ratio", "numerator": {}}},
                {"expression": {"type": "Concept", "code": [{}]}},
                {"expression": {"type": "Query", "relationship": [{"type": "With"}]}},
            ]
        },
    }
    assert normalised(jackson) == normalised(service)
    assert normalised(normalised(jackson)) == normalised(jackson)
    assert normalised({"value": [], "text": "", "number": 0, "truth": False, "none": None}) == {
        "text": "",
        "number": 0,
        "truth": False,
        "none": None,
    }


def test_an_elm_file_is_stable_and_reads_back() -> None:
    long = {"library": {"identifier": {"id": "é" * 100}, "z": [{"b": "x" * 80, "a": "y" * 80}, 1], "a": "1"}}
    text = stamped(long, b"", origin="there")
    assert json.loads(text)["library"] == long["library"]
    assert text == stamped(json.loads(text), b"", origin="there")
    assert "é" in text
    assert text.endswith("}\n")


def test_the_stamp_names_the_translator() -> None:
    assert json.loads(stamped({"library": {}}, b""))[translation.STAMP]["translator"] == "unknown"
