"""The tree of an explanation as text: failures, long chains, hostile data, what is left out and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.eligibility.explanation import ShownDefine, ShownResource, ShownRetrieve
from cds_service.eligibility.verdict import Evidence
from cds_service.elm import Code
from cds_service.errors import EvaluationError
from cds_service.records.record import Acquired
from cds_service.rendering.explanation_tree import ASCII, TREE, ExplanationTree, marks_for
from cds_service.rendering.value_words import value_words

ALT = Evidence("Observation/1", "ALT", "28 U/L", "2026-06-01", "final")
FINDING = {"status": "met", "reason": "boundary", "likely": None, "note": "ask", "evidence": [ALT]}
COMPLETE = Acquired("complete", 1)
LOINC = "http://loinc.org"


def define(name: str, value: Any, *reads: ShownDefine | ShownRetrieve, **more: Any) -> ShownDefine:
    found = any(bool(read.found) for read in reads)
    facts: dict[str, Any] = {
        "define": f"Lib.{name}", "name": name, "library": "Lib", "locator": "3:1-3:9", "type": None, "value": value,
        "error": None, "parameters": {}, "found": found, "decides": found, "reads": reads,
    }  # fmt: skip
    return ShownDefine(**{**facts, **more})


def retrieve(*found: ShownResource, codes: tuple[Code, ...] | None = None, **more: Any) -> ShownRetrieve:
    facts: dict[str, Any] = {"value_set": None, "name": None, "state": COMPLETE, "codes": codes}
    return ShownRetrieve(resource_type="Observation", found=found, **{**facts, **more})


def resource(number: int, decides: bool = False, display: str = "ALT") -> ShownResource:
    evidence = Evidence(f"Observation/{number}", display, None, None, None)
    return ShownResource(evidence, (), (), (), decides)


def lines(root: ShownDefine, **how: Any) -> list[str]:
    return list(ExplanationTree(root, "exclusion", **how).lines(80))


def test_a_failing_define_says_where_and_those_above_say_whose_failure_it_is() -> None:
    error = EvaluationError(
        "Divide failed (library Lib, at 3:1)", library="Lib", define="Ratio", locator="3:1"
    )
    ratio = define("Ratio", None, error=error)
    assert lines(define("It", None, ratio, error=error)) == [
        'Lib.It: failed, since "Ratio" of Lib did',
        "└─ Ratio: failed: Divide failed (library Lib, at 3:1)",
    ]


def test_a_long_chain_is_printed_without_recursion_and_without_running_out_of_the_line() -> None:
    node = define("D0", 0, retrieve(resource(1, decides=True)))
    for number in range(1, 3_000):
        node = define(f"D{number}", number, node)
    for full in (False, True):
        tree = ExplanationTree(node, "exclusion", full=full)
        printed = list(tree.lines(80))
        assert len(printed) == 3_002
        assert max(map(len, printed)) <= 80
        assert printed[-1].endswith("◀ ALT [Observation/1]")
        assert not list(tree.not_obtained())


def test_what_found_nothing_is_listed_once_and_in_full_stands_in_the_tree() -> None:
    code = Code("1742-6", LOINC, None, "ALT")
    root = define(
        "It", "no", define("A", [], retrieve(codes=(code,))), define("B", None, retrieve(codes=(code,))),
        define("C", False, retrieve(name="Drugs", value_set="urn:drugs", codes=(code, code))),
    )  # fmt: skip
    tree = ExplanationTree(root, "exclusion")
    assert list(tree.lines(80)) == ["Lib.It: no"]
    assert list(tree.not_found()) == [
        "LOINC 1742-6 ALT, in Observation",
        "Drugs (LOINC 1742-6 ALT; and 1 more), in Observation",
    ]
    full = lines(root, full=True)
    assert "│  └─ Observation: LOINC 1742-6 ALT: nothing found" in full
    assert "├─ A [3:1-3:9]: none" in full


def test_what_could_not_be_fetched_is_not_listed_as_not_found() -> None:
    failed = Acquired("failed", 0, "timeout")
    tree = ExplanationTree(define("It", "unknown", define("A", [], retrieve(state=failed))), "exclusion")
    assert list(tree.not_found()) == []
    assert list(tree.not_obtained()) == ["Observation: could not be fetched (timeout)"]


def test_a_plain_no_on_a_threshold_is_shown_since_it_decided() -> None:
    old = define(
        "Too Old", False, define("Age", 55), parameters={"maxAge": 70, "ScreeningDate": "2026-06-15"}
    )
    assert lines(define("It", "met", old)) == ["Lib.It: met", "└─ Too Old (maxAge = 70): no"]


def test_a_define_read_again_is_named_and_not_repeated() -> None:
    total = define("Total", 22, retrieve(resource(1)))
    root = define(
        "It", "met", total, define("Lowest", 22, total, type="System.Integer", parameters={"min": 1})
    )
    printed = lines(root)
    assert [line for line in printed if "Total: 22" in line] == ["├─ Total: 22"]
    assert "└─ Lowest (min = 1): 22 ← Total" in printed


def test_a_define_that_hands_on_another_one_is_one_line_with_it() -> None:
    inner = define("Inner", 5, library="Other", define="Other.Inner", parameters={"p": 1})
    assert lines(define("It", 5, inner)) == ["Lib.It = Other.Inner (p = 1): 5"]


def test_long_lists_are_cut_and_the_deciding_ones_come_first() -> None:
    items = [resource(number, decides=number == 9) for number in range(10)]
    printed = lines(define("It", "met", retrieve(*items, codes=(Code("1", LOINC),))))
    assert printed[2].strip() == "◀ ALT [Observation/9]"
    assert printed[-1].strip() == "· and 5 more"
    assert len(lines(define("It", "met", retrieve(*items, codes=(Code("1", LOINC),))), full=True)) == 12
    whole = lines(define("It", "met", retrieve(*items[:9])))
    assert whole == ["Lib.It: met", "└─ Observation: all on record (9)"]


def test_data_cannot_steer_the_terminal() -> None:
    hostile = resource(1, display="A\x1b[31mLT\u202e\nX")
    text = "\n".join(lines(define("It", "a\x07b", retrieve(hostile))))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x07" not in text
    assert "A [31mLT X [Observation/1]" in text


@pytest.mark.parametrize(
    ("encoding", "marks"),
    [("utf-8", TREE), ("ascii", ASCII), ("cp1252", ASCII), (None, ASCII), ("no-such-encoding", ASCII)],
)
def test_the_trees_characters_are_those_of_the_encoding(encoding: str | None, marks: Any) -> None:
    assert marks_for(encoding) is marks


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "none"),
        (True, "yes"),
        ([], "none"),
        (["a", "a", "b"], "a; b"),
        (["a", "b", "c"], "a; b; c"),
        (["a", "b", "c", "d"], "a; b; and 2 more"),
        (ALT, "ALT: 28 U/L, 2026-06-01"),
        (FINDING, "present (depends on a decision of the principal investigator; ask): ALT: 28 U/L, 2026-06-01"),
        ({"o": ALT, "at": "2026-06-01T10:00:00", "high": "2026-06-02", "problem": "unit-missing", "result": None},
         "ALT: 28 U/L, 2026-06-01 (high 2026-06-02, problem the result has no unit)"),
        ({"code": "x", "highest": 4}, "code x, highest 4"),
        ({"code": None}, "none"),
        ({"status": "not-met", "basis": "no-evidence", "reasons": [], "notes": [], "evidence": []}, "no record found"),
        ({"status": "unknown", "reasons": ["stale-data"], "likely": "met", "evidence": None},
         "unknown (the latest result is too old; likely present)"),
    ],
)  # fmt: skip
def test_a_value_in_words(value: Any, said: str) -> None:
    assert value_words(value, "exclusion") == said


def test_a_null_truth_value_is_unknown() -> None:
    assert value_words(None, "inclusion", boolean=True) == "unknown"
