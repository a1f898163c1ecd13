"""Tiny expressions: one for each explanation, and one for each deviation of our own that the fuzz found and that is mended.

`python -m tests.reference.cases URL` has them and the corpus of generated expressions translated by the translator at URL, into
`tests/engine/data/differential`; the tests read that and need no Java. Errors: TranslationError.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.reference.expressions import expression, translated

DATA: Final = Path(__file__).parents[1] / "engine" / "data" / "differential"
CORPUS: Final = 320

# Explanation → (expression, ours, the reference's) as `compare.shown` writes them; FAILS: an error.
FAILS: Final = "fails"
EXPLAINED: Final[Mapping[str, tuple[str, str, str]]] = {
    "flatten-null": ("flatten {{ 1 }, (null as List<Integer>)}", "[1]", "[[1], null]"),
    "rows-of-one-source": ("({1, 1, 2}) X where X > 0", "[1, 1, 2]", "[1, 2]"),
    "same-interval": ("Interval(1, 10] except Interval[-4, 5]", "Interval[6, 10]", "Interval(5, 10]"),
    "unknown-bounds": (
        "Interval[1, (null as Integer)) intersect Interval[0, 10]", "Interval[1, null)", "Interval[1, Uncertainty(1, 10)]",
    ),
    "open-bounds-ignored": ("Interval[1, 4) ends Interval[0, 4]", "false", "true"),
    "interval-checked": ("Interval[3, 1]", FAILS, "Interval[3, 1]"),
    "components-checked": ("Date(2012, 40)", FAILS, "Date(2012,40)"),
    "same-quantity": ("Sum({0.5 'g', 2.5 'mg'})", "Quantity(502.5, 'mg')", "Quantity(0.5025, 'g')"),
    "unknown-membership": ("@2012-03 in {@2012, @2013}", "null", "false"),
    "split-of-nothing": ("Split('', ',')", "['']", "null"),
    "unreadable-quantity": ("ToQuantity('1.5x2')", "null", "Quantity(1.5, '')"),
    "unreadable-number": ("ToInteger('1.5')", "null", "1"),
    "uncertain-arithmetic": ("-(months between @2012 and @2013-01-01)", "Interval[-12, 0]", "null"),
    "union-with-null": ("{1, 1} union (null as List<Integer>)", "[1]", "[1, 1]"),
    "half-rounded": ("Round(-1.5)", "-2", "-1"),
    "time-of-day-wraps": ("@T23:30:00.0 + 1 hour", "Time(0,30,0,0)", "null"),
    "no-decimals": ("ToString(2 'g' * 2.0)", "\"4.0 'g'\"", "\"4 'g'\""),
    "equivalence-is-known": ("(1 'g' * 1 'g') ~ 1 'cm'", "false", "null"),
    "out-of-range": ("width of Interval[(null as Integer), 7)", "null", "2147483654"),
    "lists-of-two-lengths": ("{1, 2} = {1, 2, (null as Integer)}", "false", "null"),
    "range-in-utc": (
        "start of Interval[(null as DateTime), @2012-03-31T10:30:00.0]",
        "DateTime(1,1,1,0,0,0,0 +0)", "DateTime(1,1,1,0,0,0,0 -3)",
    ),
    "month-ends": ("months between @2011-12-31 and @2012-02-29", "1", "2"),
    "length-of-null": ("Length(Substring('a', 7))", "null", FAILS),
    "negative-length": ("Substring('abc', 1, -1)", "null", "''"),
    "sorted-as-text": (
        "({@2012-03-31T10:30:00.0+02:00, @2012-03-31T10:00:00.0-03:00}) X return X sort desc",
        "[DateTime(2012,3,31,10,0,0,0 -3), DateTime(2012,3,31,10,30,0,0 +2)]",
        "[DateTime(2012,3,31,10,30,0,0 +2), DateTime(2012,3,31,10,0,0,0 -3)]",
    ),
}  # fmt: skip
# What was wrong → (expression, the value that both engines give).
MENDED: Final[Mapping[str, tuple[str, str]]] = {
    "a query over a null list is null": ("(null as List<Integer>) X where X > 1 return X", "null"),
    "an aggregate over a null list is null": ("(null as List<Integer>) X aggregate R starting 0: R + X", "null"),
    "a query of several sources without return is distinct": ("Count(from ({1, 1}) A, ({2, 3}) B)", "2"),
    "a choice that only has extensions is there": (
        "exists ([Observation] O where O.effective is FHIR.dateTime and O.effective is not null)", "true",
    ),
    "dates and times are compared at one offset": ("@2012-03-31T < @2012-03-31T01:30:00.0Z", "false"),
    "hours are counted at one offset": ("hours between @2012-03-31T and @2012-03-31T10:30:00.0Z > 7", "false"),
    "the geometric mean of one number is that number": ("GeometricMean({-1.5})", "-1.5"),
    "an open bound is exclusive at a precision too": ("@2012-03-31 in year of Interval[@2011-12-31, @2012-06-30)", "false"),
    "a point that is a bound is in it": ("@2012-03-31 in year of Interval[@2012-03-31, @2012-06-30)", "true"),
    "a source with a relationship of its own is looked up": (
        "({1, 2}) X with (({1, 3}) Z with ({1}) W such that Z = W return all Z) Y such that X = Y return all X", "[1]",
    ),
    "an unstated closedness is closed": (
        "{First((null as List<Interval<Quantity>>)), Interval[1 'mg', 2 'mg']}",
        "[Interval[null, null], Interval[Quantity(1, 'mg'), Quantity(2, 'mg')]]",
    ),
}  # fmt: skip


def expressions() -> dict[str, str]:
    """All of the cases, by define."""
    explained = {f"explained {name}": case[0] for name, case in EXPLAINED.items()}
    return explained | {f"mended {name}": case[0] for name, case in MENDED.items()}


def read(name: str) -> dict[str, Any]:
    """A committed library."""
    elm: dict[str, Any] = json.loads((DATA / f"{name}.elm.json").read_text(encoding="utf-8"))
    return elm


def main() -> None:
    url = sys.argv[1]
    DATA.mkdir(exist_ok=True)
    corpus = {f"E{number}": expression(number) for number in range(CORPUS)}
    for name, defines in (("Cases", expressions()), ("Expressions", corpus)):
        elm, _, refused = translated(name, defines, url)
        if name == "Cases" and refused:
            raise SystemExit(f"the translator refuses {refused}")
        text = json.dumps(_bare(elm), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        (DATA / f"{name}.elm.json").write_text(text + "\n", encoding="utf-8")


def _bare(node: Any) -> Any:
    """ELM without locators and signatures, and without the types of type specifiers."""
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    left_out = ["locator", "localId", "signature"]
    if str(node.get("type")).endswith("TypeSpecifier"):
        left_out.append("resultTypeName")
    return {key: _bare(item) for key, item in node.items() if key not in left_out}


if __name__ == "__main__":
    main()
