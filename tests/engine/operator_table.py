"""What CQL's operators give, by chapter of the reference: (CQL expression, expected value).

`python -m tests.engine.operator_table URL` writes `data/Operators.cql` and has it translated to `data/Operators.elm.json` by the
translator at URL; the tests read both and need no Java. ERROR: the define fails at run time.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from cds_service.elm import Code, Concept, Date, DateTime, Interval, Long, Quantity, Ratio, Time

D: Final = Decimal
DATA: Final = Path(__file__).parent / "data"
ERROR: Final = "an error at run time"
OFFSET: Final = -180  # of the evaluation's time, in minutes


def moment(*parts: int) -> DateTime:
    """A DateTime at the evaluation's offset."""
    return DateTime.of(parts, OFFSET)


TABLE: Final[dict[str, list[tuple[str, Any]]]] = {
    "Logical": [
        ("true and true", True), ("true and false", False), ("true and null", None), ("false and null", False),
        ("null and false", False), ("null and null", None),
        ("true or null", True), ("false or null", None), ("false or false", False), ("null or true", True),
        ("true xor true", False), ("true xor false", True), ("true xor null", None),
        ("false implies null", True), ("true implies null", None), ("null implies true", True),
        ("null implies false", None), ("not null", None), ("not false", True),
        ("false and Message(true, true, '1', 'Error', 'lazy')", False),
        ("true or Message(true, true, '1', 'Error', 'lazy')", True),
        ("true and Message(true, true, '1', 'Error', 'not lazy')", ERROR),
    ],
    "Conditional": [
        ("if null then 1 else 2", 2), ("if true then 1 else 2", 1),
        ("case when 1 = 2 then 'a' when (null as Boolean) then 'b' else 'c' end", "c"),
        ("case 2 when 1 then 'a' when 2 then 'b' else 'c' end", "b"),
        ("case (null as Integer) when 1 then 'a' else 'c' end", "c"),
    ],
    "Nullological": [
        ("Coalesce(null, 2, 3)", 2), ("Coalesce({null, 'b'})", "b"), ("Coalesce(1, Message(1, true, '1', 'Error', 'x'))", 1),
        ("null is null", True), ("1 is null", False), ("null is true", False), ("false is false", True),
    ],
    "Comparison": [
        ("1 = 1.0", True), ("'a' = 'A'", False), ("'a' ~ 'A'", True), ("1 = null", None), ("(null as Integer) ~ null", True),
        ("{1, null} = {1, null}", True), ("{1, 2} = {1, null}", None), ("{1, 2} = {2, null}", False),
        ("Tuple { a: 1, b: null } = Tuple { a: 1, b: null }", True),
        ("Tuple { a: 1, b: 2 } = Tuple { a: null, b: 3 }", False),
        ("1 'cm' = 0.01 'm'", True), ("1 'cm' = 1 'g'", None), ("1 'cm' ~ 1 'g'", False), ("100 'cm' ~ 1 'm'", True),
        ("1 year = 1 'a'", None), ("1 year ~ 1 'a'", True), ("1 year = 12 months", True), ("7 days = 1 week", True),
        ("1 'U/L' = 1 '[iU]/L'", None), ("5 'mg/dL' > 40 'mg/L'", True), ("5 'mg/dL' > 40 'mmol/L'", None),
        ("50 > 40 '%'", True), ("1.05 ~ 1.049", True), ("1.05 ~ 1.1", True), ("1:8 = 2:16", False), ("1:8 ~ 2:16", True),
        ("@2012 = @2012-01", None), ("@2012 ~ @2012-01", False), ("@2012-01 < @2012-02-15", True),
        ("@2012-01 <= @2012-01-31", None), ("@2012-02 > @2012-01-31", True),
        ("@2012-01-01T10:00:00.0 = @2012-01-01T10:00:00", True),
        ("@2012-01-01T10:00:00Z = @2012-01-01T07:00:00-03:00", True),
        ("Interval[1, 5) = Interval[1, 4]", True), ("Interval[1, null] = Interval[1, null]", True),
        ("1 between 1 and 2", True), ("3 > null", None), ("'b' > 'a'", True), ("1 != 2", True), ("1 != null", None),
        ("Code { code: 'a', system: 's', display: 'x' } ~ Code { code: 'a', system: 's', version: '2' }", True),
        ("Code { code: 'a', system: 's' } ~ Code { code: 'a', system: 't' }", False),
    ],
    "Arithmetic": [
        ("1 + 2", 3), ("2147483647 + 1", None), ("1 - 2.5", D("-1.5")), ("1 / 0", None), ("1 / 3", D("0.33333333")),
        ("2 / 3", D("0.66666667")), ("7 div 2", 3), ("-7 div 2", -3), ("7 mod -2", 1), ("-7 mod 2", -1), ("5 mod 0", None),
        ("Abs(-5)", 5), ("Ceiling(1.1)", 2), ("Floor(-1.1)", -2), ("Truncate(-1.9)", -1), ("Round(-0.5)", D(-1)),
        ("Round(3.14159, 3)", D("3.142")), ("Ln(1)", D(0)), ("Ln(0)", None), ("Exp(0)", D(1)), ("Log(16, 2)", D(4)),
        ("2^10", 1024), ("2^-2", D("0.25")), ("-(1)", -1), ("-2147483648", -2147483648), ("1L + 2", Long(3)),
        ("5 'cm' + 1 'm'", Quantity(D(105), "cm")), ("1 'm' * 2 'm'", Quantity(D(2), "m2")),
        ("10 'g' / 2 'g'", Quantity(D(5), "1")), ("1 'g' + 1 'm'", None), ("6 'cm' / 3", Quantity(D(2), "cm")),
        ("minimum Integer", -2147483648), ("maximum Date", Date(9999, 12, 31)), ("successor of 1.0", D("1.00000001")),
        ("predecessor of @2012-01-01", Date(2011, 12, 31)), ("successor of @2012", Date(2013)),
        ("successor of 2147483647", ERROR), ("Precision(1.500)", 3), ("Precision(@2014-01)", 6),
        ("LowBoundary(1.5, 4)", D("1.5")), ("HighBoundary(1.5, 4)", D("1.5999")),
        ("HighBoundary(@2014, 6)", Date(2014, 12)), ("LowBoundary(@T10, 9)", Time(10, 0, 0, 0)),
    ],
    "String": [
        ("'a' + null", None), ("'a' & null", "a"), ("Combine({'a', null, 'b'}, ',')", "a,b"), ("Combine({})", None),
        ("Split('a/b', '/')", ["a", "b"]), ("SplitOnMatches('a1b22c', '[0-9]+')", ["a", "b", "c"]),
        ("Length('abc')", 3), ("Upper('ab')", "AB"), ("Lower('AB')", "ab"), ("PositionOf('b', 'abcb')", 1),
        ("LastPositionOf('b', 'abcb')", 3), ("PositionOf('x', 'abc')", -1), ("Substring('abcd', 1, 2)", "bc"),
        ("Substring('abc', 3)", None), ("StartsWith('abc', 'ab')", True), ("EndsWith('abc', 'bc')", True),
        ("Matches('a1', '[a-z][0-9]')", True), ("Matches('a1b', '[a-z][0-9]')", False), ("Matches('a', '(')", ERROR),
        ("ReplaceMatches('a1b2', '([0-9])', '<$1>')", "a<1>b<2>"), ("ReplaceMatches('a', 'a', '\\\\$')", "$"),
        ("'abc'[1]", "b"), ("'abc'[7]", None), ("ToString(1.0)", "1.0"), ("ToString(5 'mg')", "5 'mg'"),
    ],
    "DateAndTime": [
        ("@2012-01-31 + 1 month", Date(2012, 2, 29)), ("@2012 + 18 months", Date(2013)), ("@2012-01 + 40 days", Date(2012, 2)),
        ("@2012-02-29 - 1 year", Date(2011, 2, 28)), ("@2012-01-01 + 2 weeks", Date(2012, 1, 15)),
        ("@9999-12-31 + 1 day", ERROR), ("@T23:30 + 1 hour", Time(0, 30)), ("@2012-01-01 + 1 'cm'", ERROR),
        ("DateTime(2012, 1, 1, 10) + 90 minutes", moment(2012, 1, 1, 11)),
        ("years between @2000-02-29 and @2018-02-28", 17), ("years between @2000-02-29 and @2018-03-01", 18),
        ("months between @2012-01-31 and @2012-02-29", 0), ("days between @2012-02-28 and @2012-03-01", 2),
        ("weeks between @2012-01-01 and @2012-01-14", 1), ("years between @2012-06 and @2020-06-15", Interval(7, 8)),
        ("years between @2012-06 and @2020-06-15 > 6", True), ("years between @2012-06 and @2020-06-15 >= 8", None),
        ("difference in months between @2012-01-31 and @2012-02-01", 1),
        ("difference in weeks between @2012-01-07 and @2012-01-08", 1),
        ("difference in days between @2012-01-01T23:00:00 and @2012-01-02T01:00:00", 1),
        ("hours between @2012-01-01T10:00:00Z and @2012-01-01T10:00:00-03:00", 3),
        ("@2012-01-15 same month as @2012-01-01", True), ("@2012-01-15 same day as @2012-01", None),
        ("@2012-01-15 same or before @2012-01-15", True), ("@2012-01 before month of @2012-02-01", True),
        ("@2012 after @2011-12-31", True), ("year from @2012-05-01", 2012), ("month from @2012", None),
        ("hour from @T10:30", 10), ("date from @2012-05-01T10:00:00", Date(2012, 5, 1)),
        ("time from @2012-05-01T10:00:00", Time(10, 0, 0)), ("timezoneoffset from @2012-01-01T10:00:00-03:00", D(-3)),
        ("Today()", Date(2026, 6, 15)), ("date from Now()", Date(2026, 6, 15)), ("Date(2012, 13, 1)", ERROR),
        ("DateTime(2012, 1, 1, 10, 0, 0, 0)", moment(2012, 1, 1, 10, 0, 0, 0)),
        ("CalculateAgeInYearsAt(@1970-07-01, @2026-06-15)", 55), ("CalculateAgeInYearsAt(@1970, @2026-06-15)", Interval(55, 56)),
    ],
    "Interval": [
        ("5 in Interval[1, 5]", True), ("5 in Interval[1, 5)", False), ("5 in Interval[1, null]", True),
        ("5 in Interval[1, null)", None), ("0 in Interval[1, null)", False), ("null in Interval[1, 5]", None),
        ("@2012-01-15 during Interval[@2012-01, @2012-02]", None), ("@2012-03 during Interval[@2012-01-01, @2012-02-01]", False),
        ("Interval[1, 5] includes Interval[2, 3]", True), ("Interval[2, 3] included in Interval[1, null)", None),
        ("Interval[1, 5] properly includes Interval[1, 5]", False), ("Interval[1, 5] overlaps Interval[5, 9]", True),
        ("Interval[1, 5) overlaps Interval[5, 9]", False), ("Interval[1, 4] meets Interval[5, 9]", True),
        ("Interval[1, 4] meets before Interval[5, 9]", True), ("Interval[1, 4] before Interval[5, 9]", True),
        ("Interval[6, 9] after Interval[1, 5]", True), ("Interval[1, 3] starts Interval[1, 9]", True),
        ("Interval[3, 9] ends Interval[1, 9]", True), ("start of Interval(1, 5]", 2),
        ("start of Interval(null, 5]", None), ("end of Interval[3, null)", None), ("start of Interval[null, 5] = minimum Integer", True),
        ("Coalesce(start of Interval(null, @2025-02-01], @2020-01-01)", Date(2020, 1, 1)),
        ("duration in days of Interval(null, @2025-02-01]", None), ("end of Interval[@2012-01-01, @2012-01-31)", Date(2012, 1, 30)),
        ("end of Interval[@2012-01-01, null]", Date(9999, 12, 31)), ("width of Interval[1, 5]", 4), ("point from Interval[4, 5)", 4),
        ("point from Interval[4, 5]", ERROR), ("Interval[5, 1]", ERROR),
        ("Interval[1, 5] union Interval[4, 9]", Interval(1, 9)), ("Interval[1, 2] union Interval[4, 9]", None),
        ("Interval[1, 5] intersect Interval[4, 9]", Interval(4, 5)), ("Interval[1, 9] except Interval[5, 9]", Interval(1, 4)),
        ("Interval[1, 9] except Interval[3, 4]", None),
        ("collapse {Interval[1, 4], Interval[5, 7], Interval[9, 10], null}", [Interval(1, 7), Interval(9, 10)]),
        ("expand Interval[1, 3]", [1, 2, 3]),
        ("expand {Interval[@2018-01-01, @2018-01-04]} per 2 days",
         [Interval(Date(2018, 1, 1), Date(2018, 1, 2)), Interval(Date(2018, 1, 3), Date(2018, 1, 4))]),
        ("@2012-01-15 in month of Interval[@2012-01-20, @2012-02-01]", True),
    ],
    "List": [
        ("1 in {1, 2}", True), ("null in {1, null}", True), ("3 in {1, null}", False), ("1 in (null as List<Integer>)", False),
        ("{1, 2} contains 2", True), ("{1, 2, 3} includes {1, 3}", True), ("{1} included in {1, 2}", True),
        ("{1, 2} properly includes {1, 2}", False), ("exists {}", False), ("exists {null}", False), ("exists {1}", True),
        ("distinct {1, 2, 1, null, null}", [1, 2, None]), ("flatten {{1}, {2, 3}}", [1, 2, 3]), ("First({})", None),
        ("Last({1, 2})", 2), ("{1, 2}[5]", None), ("IndexOf({'a', 'b'}, 'b')", 1), ("{1, 2} union {2, 3}", [1, 2, 3]),
        ("{1, 2} intersect {2, 3}", [2]), ("{1, 2} except {2}", [1]), ("Skip({1, 2, 3}, 1)", [2, 3]), ("Take({1, 2, 3}, 2)", [1, 2]),
        ("Tail({1, 2})", [2]), ("singleton from {1}", 1), ("singleton from {1, 2}", ERROR), ("Length({1, 2})", 2),
        ("Length(null as List<Integer>)", 0), ("{@2012-01} contains @2012-01-01", None),
    ],
    "Aggregate": [
        ("Sum({1, 2, null})", 3), ("Sum({} as List<Integer>)", None), ("Count({1, null})", 1), ("Min({3, 1, 2})", 1),
        ("Max({@2012, @2013})", Date(2013)), ("Avg({1.0, 2.0})", D("1.5")), ("Median({1.0, 2.0, 10.0, 4.0})", D(3)),
        ("Mode({1, 2, 2})", 2), ("StdDev({1.0, 2.0, 3.0})", D(1)), ("PopulationVariance({1.0, 3.0})", D(1)),
        ("Variance({1.0})", None), ("GeometricMean({2.0, 8.0})", D(4)), ("Product({2, 3})", 6), ("AllTrue({true, null})", True),
        ("AnyTrue({false, null})", False), ("Sum({1 'g', 500 'mg'})", Quantity(D(1500), "mg")), ("Max({1 'g', 1500 'mg'})", Quantity(D(1500), "mg")),
    ],
    "Type": [
        ("1 is Integer", True), ("1.0 is Integer", False), ("1L is Long", True), ("null is Integer", False),
        ("(1 as Choice<Integer, String>) as String", None), ("cast (1 as Choice<Integer, String>) as String", ERROR),
        ("ToInteger('12')", 12), ("ToInteger('1.5')", None), ("ToDecimal('1.50')", D("1.50")), ("ToBoolean('Y')", True),
        ("ToDate('2012-02-30')", None), ("ToDate('2012-02')", Date(2012, 2)), ("ToQuantity('5.5 \\'mg\\'')", Quantity(D("5.5"), "mg")),
        ("ToQuantity('x')", None), ("ToDateTime(@2012-01-01)", moment(2012, 1, 1)), ("convert '1' to Integer", 1),
        ("ConvertsToInteger('x')", False), ("convert 5 'mg' to 'g'", Quantity(D("0.005"), "g")), ("ToTime('T10:30')", Time(10, 30)),
        ("ToRatio('1:16')", Ratio(Quantity(D(1), "1"), Quantity(D(16), "1"))),
        ("ToConcept(Code { code: 'a' })", Concept((Code("a"),))),
    ],
    "Query": [
        ("({1, 2, 3}) N where N > 1 return N * 2", [4, 6]), ("({1, 1, 2}) N return all N", [1, 1, 2]),
        ("({1, 1, 2}) N return N", [1, 2]), ("({3, 1, 2}) N sort desc", [3, 2, 1]),
        ("({3, 1, null}) N return all N sort asc", [None, 1, 3]),
        ("from ({1, 2}) A, ({10, 20}) B where A = 2 return A + B", [12, 22]),
        ("from ({1}) A, ({2}) B", [{"A": 1, "B": 2}]),
        ("({1, 2, 3}) A with ({2, 3}) B such that A = B return A", [2, 3]),
        ("({1, 2, 3}) A without ({2, 3}) B such that A = B return A", [1]),
        ("({1, 2}) A let S: A * A return S", [1, 4]), ("({1, 2, 3}) N aggregate R starting 10: R - N", 4),
        ("({1, 1, 2}) N aggregate distinct R starting 0: R + N", 3), ("(5) N return N + 1", 6),
        ("({Tuple { a: 2, b: 'x' }, Tuple { a: 1, b: 'y' }}) T return all T.b sort asc", ["x", "y"]),
        ("(({Tuple { a: 2, b: 'x' }, Tuple { a: 1, b: 'y' }}) T sort by a).b", ["y", "x"]),
        ("(({Tuple { a: 2, b: 'x' }, Tuple { a: 1, b: 'y' }}) T sort by a * -1).b", ["x", "y"]),
        ("(null as List<Integer>) N return N", None),
    ],
}  # fmt: skip


def rows() -> list[tuple[str, str, Any]]:
    """(define name, CQL, expected value) of every row."""
    return [
        (f"{chapter} {number:02d}", cql, expected)
        for chapter, table in TABLE.items()
        for number, (cql, expected) in enumerate(table, start=1)
    ]


def library() -> str:
    """The CQL library of the table."""
    defines = "\n".join(f'define "{name}": {cql}' for name, cql, _ in rows())
    return f"library Operators version '1.0.0'\n\n{defines}\n"


def main(url: str) -> None:
    """Write the library and its ELM."""
    import requests

    from cds_service.translation import normalised

    text = library()
    answer = requests.post(
        f"{url}/cql/translator?locators=true&result-types=true&signatures=Overloads",
        data=text.encode(),
        headers={"Content-Type": "application/cql", "Accept": "application/elm+json"},
        timeout=60,
    )
    for note in answer.json()["library"].get("annotation", ()):
        if note.get("errorSeverity") == "error":
            line = text.splitlines()[note["startLine"] - 1]
            print(f"{line}\n    {note['message']}")
    (DATA / "Operators.cql").write_text(text)
    (DATA / "Operators.elm.json").write_text(json.dumps(normalised(answer.json()), separators=(",", ":")))


if __name__ == "__main__":
    main(sys.argv[1])
