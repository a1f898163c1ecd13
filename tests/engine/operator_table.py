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
        ("Coalesce(null, null)", None), ("null is not null", False), ("false is true", False), ("null is not true", True),
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
        ("Tuple { x: 1, y: 1 } = Tuple { x: null, y: 1 }", None), ("Tuple { x: 1, y: 1 } = Tuple { x: null, y: 2 }", False),
        ("3.5 'cm2' = 3.5 'cm'", None), ("3.5 'cm2' != 3.5 'cm'", None), ("4L = (2L + 2L)", True),
        ("@2024-11-15T12:30:00.5 = @2024-11-15T12:30:00", False), ("@2024-11-15T12:30:00.5 = @2024-11-15T12:30", None),
        ("{1, 2} ~ {1, 2}", True), ("{1, null} ~ {1, null}", True), ("'John Doe' !~ 'john doe'", False), ("1 !~ 2", True),
        ("1L = 1", True), ("1L ~ 1", True), ("1L < 2", True), ("2L > 1.5", True), ("{1L} = {1}", True), ("1L between 0L and 2L", True),
        ("@2012-01-01T10:00:00Z > @2012-01-01T08:00:00-03:00", False),
        ("@T10:30 = @T10:30:00", None), ("@T10:30 < @T10:31:00", True), ("@T10:30 <= @T10:30:00", None), ("@2012-01-01T = @2012-01-01T", True),
        ("Interval[@2012-01-01, @2012-01-31] = Interval[@2012-01-01, @2012-02-01)", True), ("Interval[1, null) = Interval[1, null)", None),
        ("Interval[1, 2] = Interval[3, null)", False), ("Interval[1, null) ~ Interval[1, null)", True), ("(null as List<Integer>) = {1}", None),
        ("{1, 2, 3} = {1, 2}", False), ("{} ~ (null as List<Integer>)", False), ("Tuple { a: 1 } ~ Tuple { a: 1.0 }", True), ("'É' ~ 'é'", True), ("'a b' ~ 'a\\tb'", True),
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
        ("successor of 2147483647", None), ("Precision(1.500)", 3), ("Precision(@2014-01)", 6),
        ("LowBoundary(1.5, 4)", D("1.5")), ("HighBoundary(1.5, 4)", D("1.5999")),
        ("HighBoundary(@2014, 6)", Date(2014, 12)), ("LowBoundary(@T10, 9)", Time(10, 0, 0, 0)),
        # "operations that cause arithmetic overflow or underflow, or otherwise cannot be performed … result in null"
        ("-2147483648 - 1", None), ("2147483647 * 2", None), ("-(minimum Integer)", None), ("Abs(minimum Integer)", None),
        ("minimum Integer div -1", None), ("minimum Integer mod -1", 0), ("maximum Long + 1L", None), ("Abs(minimum Long)", None),
        ("maximum Long * 2L", None), ("2^31", None), ("2L^63L", None), ("2L^62L", Long(2**62)), ("2^31L", Long(2**31)),
        ("99999999999999999999.99999999 * 99999999999999999999.99999999", None),
        ("99999999999999999999.99999999 / 0.00000001", D("9999999999999999999999999999")),
        ("10.0 mod 0.0", None), ("5 div 0", None), ("5L div 0L", None), ("1.0 / 0.0", None), ("1 'g' / 0", None), ("1L mod 0L", None),
        ("0.0^0.0", D(1)), ("0^0", 1), ("0.0^-1.0", None), ("(-8.0)^0.5", None), ("10.0^40.0", None), ("2.5^null", None),
        ("Exp(1000)", None), ("Exp(-1000)", D(0)), ("Ln(-1)", None), ("Log(0, 10)", None), ("Log(10, 1)", None), ("Log(100.0, 10.0)", D(2)),
        ("successor of maximum Long", None), ("successor of maximum Decimal", None), ("predecessor of minimum Integer", None),
        ("predecessor of minimum Decimal", None), ("successor of @9999-12-31", None), ("predecessor of @0001-01-01", None),
        ("successor of DateTime(9999, 12, 31, 23, 59, 59, 999)", ERROR), ("predecessor of @T00:00:00.000", ERROR),
        ("predecessor of 1.0", D("0.99999999")), ("successor of 2 'cm'", Quantity(D("2.00000001"), "cm")),
        # Decimals: 8 places, halves away from zero
        ("0.00000001 / 2", D("0.00000001")), ("-0.00000001 / 2", D("-0.00000001")), ("1.23456789 * 0.1", D("0.12345679")),
        ("Round(2.5)", D(3)), ("Round(-2.5)", D(-3)), ("Round(0.5)", D(1)), ("Round(3.14159, 12)", D("3.14159")),
        ("Round(155.0, -1)", D(160)), ("Round(99999999999999999999.99999999, 0)", D("100000000000000000000")),
        ("Truncate(101)", 101), ("Truncate(2147483648.0)", None), ("Ceiling(-1.1)", -1), ("Floor(2.1)", 2), ("Floor(-2147483649.0)", None),
        ("7.5 div 2.0", D(3)), ("-7.5 div 2.0", D(-3)), ("4.14 div 2.06", D(2)), ("2.5 mod 2", D("0.5")), ("-2.5 mod 2", D("-0.5")),
        ("maximum Decimal mod 0.3", D("0.09999999")), ("3L mod 2", Long(1)), ("5 - 3L", Long(2)), ("2 * 3.0", D(6)), ("1 'cm' - 1 'mm'", Quantity(D(9), "mm")),
        ("5 'cm' * 2 's'", Quantity(D(10), "cm.s")), ("-(5 'cm')", Quantity(D(-5), "cm")), ("Abs(-5 'cm')", Quantity(D(5), "cm")),
        ("1 + null", None), ("null * 2", None), ("Round(null)", None), ("HighBoundary(null as Decimal, 4)", None), ("LowBoundary(1.587, 8)", D("1.587")),
        ("HighBoundary(1.587, 8)", D("1.58799999")), ("HighBoundary(1.5, 9)", None), ("LowBoundary(@2014-01-01T08, 17)", moment(2014, 1, 1, 8, 0, 0, 0)),
        ("HighBoundary(@T10:30, 9)", Time(10, 30, 59, 999)), ("HighBoundary(@2014-02, 8)", Date(2014, 2, 28)), ("HighBoundary(@2016-02, 8)", Date(2016, 2, 29)),
        ("Precision(@T10:30)", 4), ("Precision(@2014-01-05T10:30:00.000)", 17), ("Precision(5.0)", 1), ("maximum Long", Long(2**63 - 1)),
        ("minimum Decimal", D("-99999999999999999999.99999999")), ("maximum Time", Time(23, 59, 59, 999)),
        # Long
        ("-(2L)", Long(-2)), ("Abs(-2L)", Long(2)), ("7L div 2L", Long(3)), ("-7L mod 2L", Long(-1)), ("7L / 2L", D("3.5")), ("2L * 3", Long(6)), ("2L * 1.5", D(3)),
        ("2147483647 + 1L", Long(2147483648)), ("Truncate(2L)", 2), ("Round(2L)", D(2)), ("successor of 1L", Long(2)), ("predecessor of minimum Long", None),
        ("-9223372036854775808L", Long(-(2**63))), ("minimum Long div -1L", None), ("Ln(1L)", D(0)),
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
        ("'John' & null & ' Doe'", "John Doe"), ("Concatenate('John', ' Doe')", "John Doe"), ("Combine({'A', 'B'})", "AB"),
        ("Combine({'A', null}, null as String)", "A"), ("Combine({null as String})", None), ("Combine(null as List<String>, ',')", None),
        ("Split('A B C', ',')", ["A B C"]), ("Split(null, ' ')", None), ("Split('a,,b', ',')", ["a", "", "b"]), ("Split('AB', null as String)", ["AB"]),
        ("SplitOnMatches('a1b', '([0-9])')", ["a", "b"]), ("SplitOnMatches('abc', '[0-9]')", ["abc"]), ("SplitOnMatches('abc', '')", ["a", "b", "c"]),
        ("SplitOnMatches(null, '[0-9]')", None), ("'ABCDE'[-1]", None), ("'ABCDE'[null as Integer]", None), ("'ABCDE'[4]", "E"), ("'ABCDE'[5]", None),
        ("LastPositionOf('XYZ', 'ABCDE')", -1), ("LastPositionOf(null, 'ABCDE')", None), ("PositionOf('', 'ABC')", 0), ("Length('')", 0),
        ("Length(null as String)", None), ("Substring('ABCDE', 2)", "CDE"), ("Substring('ABCDE', -1)", None), ("Substring('ABCDE', 2, 9)", "CDE"),
        ("Substring('ABCDE', null)", None), ("Matches('12three', null)", None), ("Matches('1,2three', '\\\\d,\\\\d\\\\w+')", True),
        ("ReplaceMatches('ABCDE', 'XYZ', '123')", "ABCDE"), ("ReplaceMatches('ABCDE', 'C', null)", None),
        ("ReplaceMatches('ab', '(a)(b)', '$2$1')", "ba"), ("ReplaceMatches('a', '(a)', '$2')", ERROR), ("StartsWith('abc', null)", None),
        ("EndsWith('abc', '')", True), ("Upper(null)", None),
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
        ("DateTime(2014) + 24 months", DateTime.of((2016,), OFFSET)), ("DateTime(2014) + 18 months", DateTime.of((2015,), OFFSET)),
        ("@2012-01-01 + 1.9 days", Date(2012, 1, 2)), ("@2012-03-31 - 1 month", Date(2012, 2, 29)), ("@T00:30 - 1 hour", Time(23, 30)),
        ("@2012-01-01 + 1 'a'", ERROR), ("@2012-01-01 + 1 'd'", Date(2012, 1, 2)), ("@T10:00 + 1 day", ERROR), ("@0001-01-01 - 1 day", ERROR),
        ("@2012-01-01 + null", None), ("timezoneoffset from DateTime(2012, 1, 1, 12, 30, 0, 0, -7)", D(-7)), ("TimeOfDay()", Time(12, 0, 0, 0)),
        ("month from DateTime(2012, 1, 1, 12, 30, 0, 0, -7)", 1), ("month from DateTime(2012)", None), ("millisecond from @T10:30:00.500", 500),
        ("@2012-01-01T12 same hour or after @2012-01-01T11", True), ("@2012-02-01 same or after @2012-01-31", True), ("@2012 same or after @2012-06", None),
        ("@2012-01-01 on or after month of @2012-01-31", True), ("@2012-01-01 on or before @2011-12-31", False),
        ("DateTime(2012, 1, null)", DateTime.of((2012, 1), OFFSET)), ("DateTime(null)", None), ("Date(2012, null, 1)", ERROR),
        ("difference in years between @2011-12-31 and @2012-01-01", 1), ("years between @2011-12-31 and @2012-01-01", 0),
        ("difference in hours between @T10:59 and @T11:00", 1), ("days between @2012-01-01 and null", None),
        ("CalculateAgeInYears(@1970-07-01)", 55), ("CalculateAgeInMonths(@2026-01-01)", 5), ("CalculateAgeInDays(@2026-06-01)", 14),
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
        # an unknown bound: open and null
        ("Interval[1, null) union Interval[0, 5]", Interval(0, None, True, False)), ("Interval[1, null) union Interval[3, 5]", None),
        ("Interval(null, 5] union Interval[5, 9]", Interval(None, 9, False, True)), ("Interval[1, 3] union Interval(null, null)", None),
        ("Interval[1, null] union Interval[0, 5]", Interval(0, None)), ("(Interval[1, null) union Interval[0, 5]) contains 3", None),
        ("Interval[1, null) intersect Interval[0, 5]", Interval(1, None, True, False)), ("Interval[1, 5] intersect Interval[7, 9]", None),
        ("collapse {Interval[1, null), Interval[0, 5]}", [Interval(0, None, True, False)]),
        ("collapse {Interval[0, 2], Interval[1, null), Interval[4, 6]}", [Interval(4, 6), Interval(0, None, True, False)]),
        ("collapse {Interval[4, null), Interval[1, 2]}", [Interval(1, 2), Interval(4, None, True, False)]),
        ("start of (singleton from (collapse {Interval[1, null)}))", 1), ("end of (singleton from (collapse {Interval[1, null)}))", None),
        ("collapse {Interval[1, null], Interval[0, 5]}", [Interval(0, 2147483647)]),
        ("Interval[1, null) overlaps Interval[0, 1]", True), ("Interval[1, null) overlaps Interval[2, 3]", None),
        ("Interval[1, null) overlaps Interval[-3, 0]", False), ("Interval[1, null) before Interval[2, 3]", None),
        ("Interval[5, null) after Interval[2, 3]", True), ("width of Interval[0, null)", None), ("Size(Interval(null, 5])", None), ("expand Interval[0, null)", []),
        ("expand {Interval[0, null), Interval[1, 2]}", [Interval(1, 1), Interval(2, 2)]),
        # collapse and expand with `per`
        ("collapse {Interval[1, 4], Interval[4, 8], Interval[7, 9]}", [Interval(1, 9)]), ("collapse null", None),
        ("collapse ({} as List<Interval<Integer>>)", []), ("collapse {Interval[1, 2], Interval[4, 5]} per 1 '1'", [Interval(1, 2), Interval(4, 5)]),
        ("collapse {Interval[1, 2], Interval[4, 5]} per 2 '1'", [Interval(1, 5)]),
        ("collapse {Interval[@2012-01-01, @2012-01-03], Interval[@2012-01-05, @2012-01-09]} per 2 days", [Interval(Date(2012, 1, 1), Date(2012, 1, 9))]),
        ("collapse {Interval[@2012-01, @2012-03], Interval[@2012-04, @2012-05]}", [Interval(Date(2012, 1), Date(2012, 5))]),
        ("expand Interval[1, 10] per 2 '1'", [1, 3, 5, 7, 9]), ("expand {Interval[10, 10]} per 0.5 '1'", [Interval(D("10.0"), D("10.4")), Interval(D("10.5"), D("10.9"))]),
        ("expand Interval[10.0, 12.5] per 1 '1'", [D(10), D(11), D(12)]), ("expand Interval[@T10:00, @T12:30] per hour", [Time(10), Time(11), Time(12)]),
        ("expand Interval[@T10, @T10] per minute", []), ("expand (null as Interval<Integer>)", None), ("expand {Interval[1, 2], null}", [Interval(1, 1), Interval(2, 2)]),
        ("expand Interval[1, 3] per 0 '1'", []), ("expand Interval[1, 2000000]", ERROR), ("expand Interval[1 'cm', 3 'cm'] per 1 'cm'", [Quantity(D(n), "cm") for n in (1, 2, 3)]),
        # relations
        ("Interval[5, 9] meets after Interval[1, 4]", True), ("Interval[1, 4] meets after Interval[5, 9]", False),
        ("Interval[1, 5] overlaps before Interval[3, 9]", True), ("Interval[3, 9] overlaps after Interval[1, 5]", True),
        ("Interval[3, 9] overlaps before Interval[1, 5]", False), ("Interval[1, 5] overlaps after Interval[1, 5]", False),
        ("Interval[1, 5] same as Interval[1, 5]", True), ("Interval[1, 5] same as Interval[1, 6]", False),
        ("Interval[@2012-01-01, @2012-01-31] same month as Interval[@2012-01-05, @2012-01-09]", True),
        ("Interval[1, 4] same or before Interval[4, 9]", True), ("Interval[4, 9] on or after Interval[1, 4]", True),
        ("Interval[1, 5] properly included in Interval[0, 5]", True), ("Interval[0, 7] properly included in Interval[0, 7]", False),
        ("Interval[1, 5] properly included in (null as Interval<Integer>)", None), ("3 in (null as Interval<Integer>)", False),
        ("Interval[1, 5] properly includes 5", False), ("Interval[1, 5] properly includes 4", True), ("1 properly included in Interval[1, 5]", False),
        ("Interval[1, 5] contains null", None), ("(null as Interval<Integer>) contains 3", False), ("Interval[1, 5] includes null", None),
        ("Size(Interval[3, 7])", 5), ("Size(Interval[3, 8))", 5), ("Size(Interval[1.0, 2.0])", D("1.00000001")), ("Size(null as Interval<Integer>)", None),
        ("width of Interval[@2012-01-01, @2012-01-31]", ERROR), ("width of (null as Interval<Integer>)", None), ("point from (null as Interval<Integer>)", None),
        ("Interval[0, 5] except Interval[3, 7]", Interval(0, 2)), ("Interval[0, 5] except Interval[0, 2]", Interval(3, 5)), ("Interval[0, 5] except Interval[7, 9]", Interval(0, 5)),
        ("Interval[0, 5] except Interval[0, 5]", None), ("Interval[3, 5] union (null as Interval<Integer>)", None), ("Interval[5, 5)", ERROR),
        ("Interval[1L, 3L] contains 2L", True), ("start of Interval(1L, 3L]", Long(2)), ("width of Interval[1L, 3L]", Long(2)), ("Size(Interval[1L, 3L])", Long(3)),
        ("expand Interval[1L, 3L]", [Long(1), Long(2), Long(3)]), ("end of Interval[1L, null]", Long(2**63 - 1)), ("start of Interval(1.0, 2.0]", D("1.00000001")),
        ("end of Interval[@2012-01, @2012-03)", Date(2012, 2)), ("end of Interval[@T10:00, @T12:00)", Time(11, 59)),
        ("Interval[@2012-01-01, @2012-01-31] meets before Interval[@2012-02-01, @2012-02-29]", True), ("Interval[1, 2] meets Interval[4, 5]", False),
        ("Interval[1.0, 2.0) meets Interval[2.0, 3.0]", True), ("Interval[1 'cm', 2 'cm'] contains 15 'mm'", True), ("Interval[1 'cm', 2 'cm'] contains 1 'g'", None),
        ("Interval[1, 5] starts Interval[1, null)", None), ("Interval[1, 9] starts Interval[1, 5]", False), ("Interval[1, 5] ends Interval[3, 5]", False),
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
        ("{1, 3, null} contains null", True), ("{1, 3} contains null", False), ("(null as List<Integer>) contains 1", False),
        ("{1, 3, 5} properly includes {1, 3}", True), ("{1, 3, 5, null} properly includes {null as Integer}", True), ("{1} properly includes 1", False),
        ("{1, 2} properly includes 1", True), ("1 properly included in {1, 2}", True), ("{1, 3} properly included in {1, 3, 5}", True),
        ("(null as List<Integer>) included in {1}", None), ("{1} includes (null as List<Integer>)", None), ("{@2012, @2013} includes {@2012-01}", None),
        ("(null as List<Integer>) union {4, 5}", [4, 5]), ("{1, null} union {null, 2}", [1, None, 2]), ("{null, 1, 3} intersect {null, 3}", [None, 3]),
        ("{1} intersect (null as List<Integer>)", None), ("{1, 3, null} except {1, null}", [3]), ("{1, 1, 2} except (null as List<Integer>)", [1, 2]),
        ("(null as List<Integer>) except {1}", None), ("{1, 3, 5}[-1]", None), ("(null as List<Integer>)[0]", None), ("IndexOf({1, 2}, 3)", -1),
        ("IndexOf({1, 2}, null)", None), ("IndexOf(null as List<Integer>, 1)", None), ("First({null, 1})", None), ("Last({1, null})", None), ("Last(null as List<Integer>)", None),
        ("Skip({1, 3, 5}, -1)", []), ("Skip({1, 3, 5}, null as Integer)", [1, 3, 5]), ("Skip({1}, 5)", []), ("Skip(null as List<Integer>, 2)", None),
        ("Take({1, 2}, 3)", [1, 2]), ("Take({1, 2}, null as Integer)", []), ("Take({1, 2}, -1)", []), ("Tail({} as List<Integer>)", []), ("Tail(null as List<Integer>)", None),
        ("flatten {{1}, null, {2, null}}", [1, 2, None]), ("flatten (null as List<List<Integer>>)", None), ("distinct (null as List<Integer>)", None),
        ("singleton from ({} as List<Integer>)", None), ("Length({} as List<Integer>)", 0), ("exists (null as List<Integer>)", False), ("Length({null as Integer})", 1),
    ],
    "Aggregate": [
        ("Sum({1, 2, null})", 3), ("Sum({} as List<Integer>)", None), ("Count({1, null})", 1), ("Min({3, 1, 2})", 1),
        ("Max({@2012, @2013})", Date(2013)), ("Avg({1.0, 2.0})", D("1.5")), ("Median({1.0, 2.0, 10.0, 4.0})", D(3)),
        ("Mode({1, 2, 2})", 2), ("StdDev({1.0, 2.0, 3.0})", D(1)), ("PopulationVariance({1.0, 3.0})", D(1)),
        ("Variance({1.0})", None), ("GeometricMean({2.0, 8.0})", D(4)), ("Product({2, 3})", 6), ("AllTrue({true, null})", True),
        ("AnyTrue({false, null})", False), ("Sum({1 'g', 500 'mg'})", Quantity(D(1500), "mg")), ("Max({1 'g', 1500 'mg'})", Quantity(D(1500), "mg")),
        ("AllTrue({null as Boolean})", True), ("AllTrue(null as List<Boolean>)", True), ("AllTrue({true, false, null})", False),
        ("AnyTrue(null as List<Boolean>)", False), ("AnyTrue({true, null})", True), ("Avg({5.5, 4.7, 4.8})", D(5)), ("Avg(null as List<Decimal>)", None),
        ("Avg({5.5 'cm', 4.5 'cm'})", Quantity(D(5), "cm")), ("Count(null as List<Integer>)", 0), ("GeometricMean({null as Decimal})", None), ("GeometricMean({-2.0, 8.0})", None),
        ("Min({2L, 4L})", Long(2)), ("Min({null as Quantity})", None), ("Max(null as List<Integer>)", None), ("Max({'a', 'b'})", "b"), ("Median({1.0, 3.0, 2.0})", D(2)),
        ("Median({1.0 'mg', 2.0 'mg', 3.0 'mg'})", Quantity(D(2), "mg")), ("Mode({2.0, 2.0, 8.0, 6.0, 8.0, 8.0})", D(8)), ("Mode({3, 3, 1, 1})", 1),
        ("PopulationStdDev({1.0, 2.0, 3.0, 4.0, 5.0})", D("1.41421356")), ("StdDev({1.0, 2.0, 3.0, 4.0, 5.0})", D("1.58113883")), ("StdDev({1.0})", None),
        ("Variance({1.0 'mg', 2.0 'mg', 3.0 'mg'})", Quantity(D(1), "mg")), ("Product({1.0, 2.0, 3.0, 4.0})", D(24)), ("Product({null as Integer})", None),
        ("Sum({2147483647, 1})", None), ("Sum({1L, 2L})", Long(3)), ("Sum({1 'g', 1 'm'})", None), ("Min({@2012, @2012-06})", Date(2012)),
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
        ("null is String", False), ("(5 as Choice<Integer, String>) is Integer", True), ("convert 'x' to Integer", None), ("convert true to String", "true"),
        ("ToBoolean('falsetto')", None), ("ToBoolean(1)", True), ("ToBoolean(2)", None), ("ToBoolean(0.0)", False), ("ToInteger(true)", 1), ("ToInteger('2147483648')", None),
        ("ToInteger(2147483648L)", None), ("ToInteger('one')", None), ("ToInteger('+1')", 1), ("ToLong('9223372036854775808')", None), ("ToLong('-1')", Long(-1)), ("ToLong(true)", Long(1)),
        ("ToDecimal('+-0.1')", None), ("ToDecimal('-0.1')", D("-0.1")), ("ToDecimal('.1')", None), ("ToDecimal(true)", D("1.0")), ("ToDecimal(2L)", D(2)), ("ToDecimal('0.123456789')", D("0.12345679")),
        ("ToQuantity(0.1)", Quantity(D("0.1"), "1")), ("ToQuantity('-0.1 \\'mg\\'')", Quantity(D("-0.1"), "mg")), ("ToQuantity('444 \\'cm')", None), ("ToQuantity('4 days')", Quantity(D(4), "days")),
        ("ToQuantity(1:4)", Quantity(D("0.25"), "1")), ("ToRatio('1.0 \\'mg\\';2.0 \\'mg\\'')", None), ("ToString(true)", "true"), ("ToString(10000L)", "10000"), ("ToString(-0.1 'mg')", "-0.1 'mg'"),
        ("ToString(4 days)", "4 days"), ("ToString(@2012-01-01)", "2012-01-01"), ("ToString(@T12:30:00.000)", "12:30:00.000"), ("ToString(@2012-01-01T12:30:00.000-05:00)", "2012-01-01T12:30:00.000-05:00"),
        ("ToString(1:128)", "1 '1':128 '1'"), ("ToString(null as Integer)", None), ("ToTime('14:30:00.0')", Time(14, 30, 0, 0)), ("ToTime('25:00')", None), ("ToTime('x')", None),
        ("ToDate('2014-01-01T12:30:00')", Date(2014, 1, 1)), ("ToDate('2014/01/01')", None), ("ToDateTime('2014-01')", DateTime.of((2014, 1), OFFSET)), ("ToDateTime('2014-13')", None),
        ("ToDateTime('2014-01-01T14:30:00.0Z')", DateTime.of((2014, 1, 1, 14, 30, 0, 0), 0)), ("ToConcept(null as Code)", None), ("ToConcept({Code { code: 'a' }, Code { code: 'b' }})", Concept((Code("a"), Code("b")))),
        ("ConvertsToBoolean('y')", True), ("ConvertsToBoolean('x')", False), ("ConvertsToDate('2014-01-01')", True), ("ConvertsToDate('2014-02-30')", False), ("ConvertsToDateTime('2014-01-01T12')", True),
        ("ConvertsToDateTime('x')", False), ("ConvertsToDecimal('0.1')", True), ("ConvertsToDecimal('+-0.1')", False), ("ConvertsToInteger('2147483648')", False), ("ConvertsToLong('12')", True), ("ConvertsToLong('x')", False),
        ("ConvertsToQuantity('5 \\'mg\\'')", True), ("ConvertsToQuantity('5 \\'mg')", False), ("ConvertsToRatio('1:8')", True), ("ConvertsToRatio('1;8')", False), ("ConvertsToString(1)", True), ("ConvertsToTime('10:30')", True),
        ("ConvertsToTime('x')", False), ("ConvertsToInteger(null as String)", None), ("CanConvertQuantity(5 'mg', 'g')", True), ("CanConvertQuantity(5 'mg', 'm')", False), ("CanConvertQuantity(null, 'm')", None),
        ("ConvertQuantity(5 'mg', 'm')", None), ("convert 1 'h' to 'min'", Quantity(D(60), "min")),
        ("1L is Integer", False), ("1 is Long", False), ("convert 1 to Long", Long(1)), ("convert 1L to Decimal", D(1)), ("ToString(-1L)", "-1"), ("ToQuantity(13L)", Quantity(D(13), "1")),
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
