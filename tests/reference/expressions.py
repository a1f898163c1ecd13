"""Random CQL expressions of a wanted type, and their translation to ELM in libraries of several hundred defines.

The grammar is a table by result type: each row is an expression with `{Type}` holes (`{Integer} div {Integer}`), each filled
with an expression of that type, a level less deep. All operators of the CQL reference that both engines have stand in it, with
null arguments, partial dates, open and null bounds, queries and paths into the random patient. The same number gives the same
expression. Defines that the translator refuses are dropped and counted. Errors: TranslationError where it can't be reached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

import requests

from cds_service.errors import TranslationError
from cds_service.translation import normalised

OPTIONS: Final = "annotations=false&locators=true&result-types=true&signatures=Overloads"
BATCH: Final = 250
_HOLE: Final = re.compile(r"\{\{|\}\}|\{([A-Z][A-Za-z<>]*)\}")

POINTS: Final = ("Integer", "Decimal", "Date", "DateTime", "Time", "Quantity")
SIMPLE: Final = ("Boolean", "Integer", "Decimal", "String", "Date", "DateTime", "Time", "Quantity")
_PRECISIONS: Final = {
    "Date": ("year", "month", "day"),
    "DateTime": ("year", "month", "day", "hour", "minute", "second", "millisecond"),
    "Time": ("hour", "minute", "second", "millisecond"),
}

LEAVES: Final[Mapping[str, Sequence[str]]] = {
    "Boolean": ("true", "false", "(null as Boolean)"),
    "Integer": ("0", "1", "2", "3", "5", "7", "10", "(-1)", "(-4)", "(null as Integer)"),
    "Decimal": ("0.0", "1.0", "0.5", "2.25", "3.75", "10.0", "(-1.5)", "(null as Decimal)"),
    "String": ("''", "'a'", "'b'", "'abc'", "'ABC'", "'a,b,c'", "'12'", "'1.5'", "'2012-03'", "'true'", "(null as String)"),
    "Date": ("@2012-03-31", "@2012-02-29", "@2013-01-01", "@2011-12-31", "@2012-03", "@2012", "@2013", "(null as Date)"),
    "DateTime": (
        "@2012-03-31T10:30:15.250", "@2012-03-31T10:30:00.0", "@2012-02-29T00:00:00.0", "@2013-01-01T23:59:59.999",
        "@2012-03-31T10", "@2012-03-31T", "@2012-03T", "@2012T", "@2012-03-31T10:30:00.0Z", "@2012-03-31T10:30:00.0+02:00",
        "(null as DateTime)",
    ),
    "Time": ("@T10:30:15.250", "@T10:30:00.0", "@T00:00:00.0", "@T23:59:59.999", "@T10", "@T10:30", "(null as Time)"),
    "Quantity": ("1 'mg'", "2.5 'mg'", "3 'mg'", "10 'mg'", "0.5 'g'", "1 'g'", "2 'g'", "(null as System.Quantity)"),
    "Code": ("Code { code: 'a', system: 's' }", "Code { code: 'b', system: 's' }", "Code { code: 'a', system: 't' }", "(null as Code)"),
    "Tuple": ("Tuple { a: 1, b: 'x' }", "Tuple { a: 2, b: 'x' }", "Tuple { a: (null as Integer), b: 'x' }"),
}  # fmt: skip

# Bounds in ascending order, so that most intervals are well-formed; what both engines make of others is in cases.py.
BOUNDS: Final[Mapping[str, Sequence[str]]] = {
    "Integer": ("(-4)", "0", "1", "3", "5", "7", "10"),
    "Decimal": ("(-1.5)", "0.25", "0.5", "1.75", "2.25", "10.5"),
    "Date": ("@2011-12-31", "@2012-02-29", "@2012-03-31", "@2012-04-01", "@2013-01-01", "@2014-06-30"),
    "DateTime": (
        "@2011-12-31T12:00:00.0", "@2012-02-29T00:00:00.0", "@2012-03-31T10:30:00.0Z", "@2012-03-31T10:30:00.0", "@2012-03-31T10:30:15.250",
        "@2013-01-01T23:59:59.999",
    ),
    "Time": ("@T00:00:00.0", "@T10:30:00.0", "@T10:30:15.250", "@T12:00:00.0", "@T23:59:59.999"),
    "Quantity": ("1.5 'mg'", "2.5 'mg'", "10.5 'mg'", "0.5 'g'", "2.25 'g'"),
}  # fmt: skip

GRAMMAR: Final[dict[str, list[str]]] = {
    "Boolean": [
        "({Boolean} and {Boolean})", "({Boolean} or {Boolean})", "({Boolean} xor {Boolean})", "({Boolean} implies {Boolean})",
        "(not {Boolean})", "({Boolean} is null)", "({Boolean} is true)", "({Boolean} is false)", "({Integer} is not null)",
        "(if {Boolean} then {Boolean} else {Boolean})", "Coalesce({Boolean}, {Boolean})",
        "StartsWith({String}, {String})", "EndsWith({String}, {String})", "({Code} ~ {Code})", "({Code} = {Code})",
        "({Tuple} = {Tuple})", "({Tuple} ~ {Tuple})", "ToBoolean({String})", "AllTrue({List<Boolean>})", "AnyTrue({List<Boolean>})",
        "exists {List<Integer>}", "exists {List<String>}", "exists (({List<Integer>}) X where X > {Integer})",
        "(Patient.birthDate.value < {Date})", "(Patient.gender.value = 'female')", "exists ([Condition] C where C.onset is FHIR.dateTime)",
        "exists ([Observation] O where (O.value as FHIR.Quantity).value.value > {Decimal})",
        "exists ([Observation] O with [Condition] C such that C.recordedDate.value = O.issued.value)",
        "exists ([Procedure] P where FHIRHelpers.ToDateTime(P.performed as FHIR.dateTime) before {DateTime})",
    ],
    "Integer": [
        "({Integer} + {Integer})", "({Integer} - {Integer})", "({Integer} * {Integer})", "({Integer} div {Integer})",
        "({Integer} mod {Integer})", "(-{Integer})", "Abs({Integer})", "Ceiling({Decimal})", "Floor({Decimal})", "Truncate({Decimal})",
        "Length({String})", "PositionOf({String}, {String})", "LastPositionOf({String}, {String})", "ToInteger({String})",
        "Count({List<Integer>})", "Sum({List<Integer>})", "Min({List<Integer>})", "Max({List<Integer>})", "First({List<Integer>})",
        "Last({List<Integer>})", "{List<Integer>}[{Integer}]", "IndexOf({List<Integer>}, {Integer})", "(start of {Interval<Integer>})",
        "(end of {Interval<Integer>})", "(width of {Interval<Integer>})", "Length({List<String>})", "Product({List<Integer>})",
        "(if {Boolean} then {Integer} else {Integer})", "Coalesce({Integer}, {Integer})", "{Tuple}.a", "(successor of {Integer})",
        "(predecessor of {Integer})", "(case {Integer} when 1 then {Integer} when 2 then {Integer} else {Integer} end)",
        "(year from {Date})", "(month from {Date})", "(day from {DateTime})", "(hour from {DateTime})", "(minute from {Time})",
        "(years between {Date} and {Date})", "(months between {Date} and {Date})", "(days between {Date} and {Date})",
        "(weeks between {Date} and {Date})", "(hours between {DateTime} and {DateTime})", "(days between {DateTime} and {DateTime})",
        "(difference in months between {Date} and {Date})", "(difference in days between {DateTime} and {DateTime})",
        "(difference in hours between {DateTime} and {DateTime})", "(minutes between {Time} and {Time})",
        "(difference in years between {Date} and {Date})", "(years between Patient.birthDate.value and {Date})",
        "Count([Observation] O where O.status.value = 'final')", "Count([Condition] C where C.recordedDate.value > {DateTime})",
        "singleton from (({List<Integer>}) X where X = {Integer})", "(({Integer}) X return X + 1)",
        "(({List<Integer>}) X aggregate R starting 0: R + X)", "convert {String} to Integer",
    ],
    "Decimal": [
        "({Decimal} + {Decimal})", "({Decimal} - {Decimal})", "({Decimal} * {Decimal})", "({Decimal} / {Decimal})",
        "({Integer} / {Integer})", "(-{Decimal})", "Abs({Decimal})", "Round({Decimal})", "Round({Decimal}, 1)", "Ln({Decimal})",
        "Exp({Decimal})", "Log({Decimal}, 2.0)", "Power({Decimal}, 2.0)", "({Decimal} mod {Decimal})", "ToDecimal({Integer})",
        "ToDecimal({String})", "Avg({List<Decimal>})", "Sum({List<Decimal>})", "Min({List<Decimal>})", "Max({List<Decimal>})",
        "Median({List<Decimal>})", "StdDev({List<Decimal>})", "Variance({List<Decimal>})", "PopulationStdDev({List<Decimal>})",
        "PopulationVariance({List<Decimal>})", "{Quantity}.value", "(start of {Interval<Decimal>})", "Coalesce({Decimal}, {Decimal})",
        "(if {Boolean} then {Decimal} else {Decimal})", "First({List<Decimal>})", "GeometricMean({List<Decimal>})", "(successor of {Decimal})",
        "Max([Observation] O return all (O.value as FHIR.Quantity).value.value)", "Sum([Observation] O return (O.value as FHIR.Quantity).value.value)",
    ],
    "String": [
        "({String} + {String})", "({String} & {String})", "Upper({String})", "Lower({String})", "Substring({String}, {Integer})",
        "Substring({String}, {Integer}, {Integer})", "Combine({List<String>}, ',')", "Combine({List<String>})", "ToString({Integer})",
        "ToString({Boolean})", "ToString({Date})", "ToString({Quantity})", "First({List<String>})", "Last({List<String>})",
        "{String}[{Integer}]", "Coalesce({String}, {String})", "(if {Boolean} then {String} else {String})", "Min({List<String>})",
        "Max({List<String>})", "Patient.gender.value", "First([Condition] C return C.id.value)", "{Tuple}.b", "ReplaceMatches({String}, 'b', 'x')",
        "First(Split({String}, ','))", "{Code}.code",
    ],
    "Date": [
        "({Date} + {Integer} years)", "({Date} + 1 month)", "({Date} - 1 month)", "({Date} + 10 days)", "({Date} - 2 weeks)", "({Date} + 1 year)",
        "Coalesce({Date}, {Date})", "(if {Boolean} then {Date} else {Date})", "(start of {Interval<Date>})", "(end of {Interval<Date>})",
        "Min({List<Date>})", "Max({List<Date>})", "(date from {DateTime})", "Date(2012, {Integer})", "Date(2012, 3, {Integer})", "ToDate({String})",
        "Patient.birthDate.value", "(successor of {Date})", "(predecessor of {Date})", "First({List<Date>})",
        "Max([Condition] C return date from C.recordedDate.value)",
    ],
    "DateTime": [
        "({DateTime} + 1 year)", "({DateTime} + 1 month)", "({DateTime} - 36 hours)", "({DateTime} + 90 minutes)", "({DateTime} + {Integer} days)",
        "Coalesce({DateTime}, {DateTime})", "(if {Boolean} then {DateTime} else {DateTime})", "(start of {Interval<DateTime>})",
        "(end of {Interval<DateTime>})", "Min({List<DateTime>})", "Max({List<DateTime>})", "DateTime(2012, 3, {Integer})",
        "DateTime(2012, 3, 31, {Integer}, 30)", "ToDateTime({Date})", "ToDateTime({String})", "First([Condition] C return C.recordedDate.value)",
        "Max([Observation] O return O.issued.value)", "(successor of {DateTime})", "(predecessor of {DateTime})",
    ],
    "Time": [
        "({Time} + 90 minutes)", "({Time} - 1 hour)", "({Time} + 1 second)", "Time({Integer}, 30)", "Coalesce({Time}, {Time})",
        "(start of {Interval<Time>})", "Max({List<Time>})", "Min({List<Time>})", "(time from {DateTime})", "(if {Boolean} then {Time} else {Time})",
    ],
    "Quantity": [
        "({Quantity} + {Quantity})", "({Quantity} - {Quantity})", "(-{Quantity})", "Abs({Quantity})", "({Quantity} * 2.0)", "({Quantity} / 2.0)",
        "Coalesce({Quantity}, {Quantity})", "Min({List<Quantity>})", "Max({List<Quantity>})", "Sum({List<Quantity>})",
        "(if {Boolean} then {Quantity} else {Quantity})", "ToQuantity({String})", "(start of {Interval<Quantity>})",
        "ToQuantity({Decimal})", "({Quantity} * {Quantity})", "({Quantity} / {Quantity})",
    ],
    "Code": ["First({List<Code>})", "(if {Boolean} then {Code} else {Code})", "Coalesce({Code}, {Code})"],
    "Tuple": [
        "Tuple {{ a: {Integer}, b: {String} }}", "First({List<Tuple>})", "(if {Boolean} then {Tuple} else {Tuple})",
    ],
    "List<Tuple>": [
        "{{ {Tuple}, {Tuple} }}", "(({List<Integer>}) X return Tuple {{ a: X, b: {String} }})",
        "(({List<Tuple>}) T where T.a > {Integer})", "(({List<Tuple>}) T sort by a)", "(({List<Tuple>}) T return all T sort by a desc)",
        "(distinct {List<Tuple>})",
        "(from ({List<Integer>}) X, ({List<Integer>}) Y where X < Y return Tuple {{ a: X + Y, b: 'p' }})",
    ],
    "List<Code>": ["{{ {Code}, {Code} }}", "(distinct {List<Code>})"],
}  # fmt: skip


def _completed() -> dict[str, list[str]]:
    """The grammar with the rows that every type, point type or element type has."""
    grammar = {kind: list(rows) for kind, rows in GRAMMAR.items()}
    boolean = grammar["Boolean"]
    for kind in SIMPLE:
        boolean += [f"({{{kind}}} {op} {{{kind}}})" for op in ("=", "!=", "~", "!~")]
        grammar[f"List<{kind}>"] = _list_rows(kind)
        boolean += _list_tests(kind)
    for kind in (*POINTS, "String"):
        boolean += [f"({{{kind}}} {op} {{{kind}}})" for op in ("<", "<=", ">", ">=")]
    for kind in POINTS:
        boolean += _interval_tests(kind)
        grammar[f"Interval<{kind}>"] = _interval_rows(kind)
        grammar[f"List<Interval<{kind}>>"] = [f"{{{{ {{Interval<{kind}>}}, {{Interval<{kind}>}} }}}}"]
        grammar[f"List<Interval<{kind}>>"].append(f"(collapse {{List<Interval<{kind}>>}})")
    for kind, precisions in _PRECISIONS.items():
        for precision in precisions:
            relations = ("before {} of", "after {} of", "same {} as", "same {} or before", "same {} or after")
            boolean += [f"({{{kind}}} {relation.format(precision)} {{{kind}}})" for relation in relations]
            if kind != "Time":
                boolean += [f"({{{kind}}} during {precision} of {{Interval<{kind}>}})"]
    return grammar


def _list_rows(kind: str) -> list[str]:
    one, listed = f"{{{kind}}}", f"{{List<{kind}>}}"
    return [
        f"{{{{ {one}, {one} }}}}", f"{{{{ {one}, {one}, {one} }}}}", f"({listed} union {listed})", f"({listed} intersect {listed})",
        f"({listed} except {listed})", f"(distinct {listed})", f"flatten {{{{ {listed}, {listed} }}}}", f"Skip({listed}, 1)", f"Take({listed}, 1)",
        f"Tail({listed})", f"(({listed}) X where X is not null)", f"(({listed}) X return all X)", f"(({listed}) X let Y: (X) where Y = {one})",
        f"(({listed}) X where X is not null return all X sort asc)", f"(({listed}) X where X is not null return X sort desc)",
        f"(if {{Boolean}} then {listed} else {listed})", f"(({listed}) X without ({listed}) Y such that X = Y)",
        f"(({listed}) X with ({listed}) Y such that X = Y return all X)",
    ]  # fmt: skip


def _list_tests(kind: str) -> list[str]:
    one, listed = f"{{{kind}}}", f"{{List<{kind}>}}"
    return [
        f"({one} in {listed})", f"({listed} contains {one})", f"({listed} includes {listed})", f"({listed} included in {listed})",
        f"({listed} = {listed})", f"({listed} ~ {listed})", f"({listed} properly includes {listed})",
    ]  # fmt: skip


def _interval_rows(kind: str) -> list[str]:
    span = f"{{Interval<{kind}>}}"
    return [
        f"{{Span<{kind}>}}", f"{{Span<{kind}>}}", f"{{Span<{kind}>}}", f"({span} intersect {span})", f"({span} union {span})", f"({span} except {span})", f"First({{List<Interval<{kind}>>}})",
        f"(if {{Boolean}} then {span} else {span})",
    ]  # fmt: skip


def _interval_tests(kind: str) -> list[str]:
    one, span = f"{{{kind}}}", f"{{Interval<{kind}>}}"
    relations: tuple[str, ...] = (
        "overlaps", "overlaps before", "overlaps after", "before", "after", "meets", "meets before", "meets after", "starts", "ends",
        "includes", "included in", "properly includes", "=", "~",
    )  # fmt: skip
    if kind in _PRECISIONS:
        relations += ("same as",)
    return [f"({span} {op} {span})" for op in relations] + [
        f"({one} in {span})", f"({span} contains {one})", f"({one} before {span})", f"({one} after {span})",
    ]  # fmt: skip


_COMPLETE: Final = _completed()
ROOTS: Final = tuple(kind for kind in _COMPLETE)


def expression(seed: int, depth: int = 3) -> str:
    """The expression of this number."""
    random = Random(f"expression {seed}")
    return _of(random, random.choice(ROOTS), random.choice((1, 2, 2, depth)))


def _null(kind: str) -> str:
    # `Quantity` alone would be FHIR's.
    return f"(null as {kind.replace('Quantity', 'System.Quantity')})"


def _span(random: Random, kind: str) -> str:
    """An interval of two ascending bounds; one may be null, open or closed."""
    bounds = BOUNDS[kind]
    low, high = sorted(random.sample(range(len(bounds)), 2))
    ends = [bounds[low], bounds[high]]
    if random.random() < 0.25:
        ends[random.randrange(2)] = _null(kind)
    return f"Interval{random.choice('[[(')}{ends[0]}, {ends[1]}{random.choice(']])')}"


def _of(random: Random, kind: str, depth: int) -> str:
    if kind.startswith("Span<"):
        return _span(random, kind[len("Span<") : -1])
    leaves = LEAVES.get(kind)
    if (depth <= 0 and leaves) or (leaves and random.random() < 0.12):
        return random.choice(leaves)
    rows = _COMPLETE[kind][:4] if depth <= 0 else _COMPLETE[kind]
    if depth <= 0 and kind.startswith("List<") and random.random() < 0.15:
        return _null(kind) if "Tuple" not in kind else "{ Tuple { a: 3, b: 'z' } }"
    if depth <= 0:
        rows = [row for row in rows if kind not in row.replace("{", " ").replace("}", " ").split()] or rows
    row = random.choice(rows[:2] if depth <= 0 else rows)

    def filled(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        return _of(random, found[1], depth - 1)

    return _HOLE.sub(filled, row)


def library(name: str, defines: Mapping[str, str]) -> str:
    """A CQL library, one define a line."""
    head = (
        f"library {name}\nusing FHIR version '4.0.1'\ninclude FHIRHelpers version '4.0.1'\ncontext Patient\n"
    )
    return head + "".join(f'define "{define}": {text}\n' for define, text in defines.items())


_HEAD: Final = 4


def translated(
    name: str, defines: Mapping[str, str], url: str
) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """(ELM, the defines in it, the refused ones with the translator's words)."""
    kept, refused = dict(defines), dict[str, str]()
    while True:
        elm = _posted(library(name, kept), url)
        lines = list(kept)
        wrong = {
            lines[int(note["startLine"]) - _HEAD - 1]: str(note.get("message"))
            for note in elm["library"].get("annotation", ())
            if note.get("type") == "CqlToElmError" and note.get("errorSeverity", "error") == "error"
            if _HEAD < int(note.get("startLine", 0)) <= _HEAD + len(lines)
        }
        if not wrong:
            return {"library": normalised(elm["library"])}, kept, refused
        refused |= wrong
        kept = {define: text for define, text in kept.items() if define not in wrong}


def _posted(text: str, url: str) -> dict[str, Any]:
    try:
        answer = requests.post(
            f"{url}/cql/translator?{OPTIONS}",
            data=text.encode(),
            headers={"Content-Type": "application/cql", "Accept": "application/elm+json"},
            timeout=300,
        )
        found: dict[str, Any] = answer.json()
        found["library"]["identifier"]  # a refusal has none
    except (requests.RequestException, ValueError, KeyError) as error:
        raise TranslationError(f"The translator at {url} gave no ELM: {type(error).__name__}.") from error
    return found
