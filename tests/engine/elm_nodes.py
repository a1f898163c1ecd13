"""The expression node types of ELM, by chapter, and what the engine makes of each; the source of docs/conformance.md's table.

The names are those of ELM's schemas (expression.xsd, clinicalexpression.xsd) of CQL 1.5.3 and 2.0. What is no
expression there (type specifiers, definitions, clauses of a query) is read by the node that it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cds_service.elm.operators import BUILDERS
from cds_service.elm.operators.refused import REASONS

CHAPTERS: Final[Mapping[str, str]] = {
    "Simple and structured values": "Null Literal Tuple Instance Property Interval List Quantity Ratio",
    "Clinical values": "Code Concept CodeRef ConceptRef CodeSystemRef ValueSetRef",
    "References": "ExpressionRef FunctionRef ParameterRef OperandRef IdentifierRef AliasRef QueryLetRef",
    "Queries": "Query Retrieve Search",
    "Logical and conditional operators": "And Or Xor Implies Not If Case",
    "Nullological operators": "IsNull IsTrue IsFalse Coalesce",
    "Comparison operators": "Equal Equivalent NotEqual Less Greater LessOrEqual GreaterOrEqual Comparable",
    "Arithmetic operators": (
        "Add Subtract Multiply Divide TruncatedDivide Modulo Ceiling Floor Truncate Abs Negate Round Ln Exp Log Power "
        "Successor Predecessor MinValue MaxValue Precision LowBoundary HighBoundary"
    ),
    "String operators": (
        "Concatenate Combine Split SplitOnMatches Length Upper Lower Indexer PositionOf LastPositionOf Substring "
        "StartsWith EndsWith Matches ReplaceMatches"
    ),
    "Date and time operators": (
        "DurationBetween DifferenceBetween DateFrom TimeFrom TimezoneFrom TimezoneOffsetFrom DateTimeComponentFrom "
        "TimeOfDay Today Now Date DateTime Time SameAs SameOrBefore SameOrAfter"
    ),
    "Interval operators": (
        "PointFrom Width Size Start End Contains ProperContains In ProperIn Includes IncludedIn ProperIncludes "
        "ProperIncludedIn Before After Meets MeetsBefore MeetsAfter Overlaps OverlapsBefore OverlapsAfter Starts Ends "
        "Collapse Expand Union Intersect Except"
    ),
    "List operators": (
        "Exists EquivalentContains EquivalentIn Times Filter First Last Slice IndexOf Flatten Sort ForEach Repeat Distinct "
        "Current Iteration Total SingletonFrom Children Descendents Descendants"
    ),
    "Aggregate operators": (
        "Aggregate Count Sum Product Min Max Avg GeometricMean Median Mode Variance PopulationVariance StdDev "
        "PopulationStdDev AllTrue AnyTrue"
    ),
    "Type operators": (
        "Is As Convert CanConvert ToBoolean ConvertsToBoolean ToConcept ConvertsToDate ToDate ConvertsToDateTime ToDateTime "
        "ConvertsToDecimal ToDecimal ConvertsToInteger ToInteger ConvertsToLong ToLong ConvertsToQuantity ToQuantity "
        "ConvertsToRatio ToRatio ToList ToChars ConvertsToString ToString ConvertsToTime ToTime CanConvertQuantity "
        "ConvertQuantity"
    ),
    "Clinical operators": (
        "InCodeSystem AnyInCodeSystem InValueSet AnyInValueSet CodeSystemContains CodeSystemContainsAny ValueSetContains "
        "ValueSetContainsAny ExpandValueSet Subsumes SubsumedBy CalculateAge CalculateAgeAt"
    ),
    "Errors and messages": "Message",
}
STAR: Final = "\\*"
# Not in CQL 1.5's schema.
_NEWER: Final = (
    "Comparable EquivalentContains EquivalentIn Descendants Search CodeSystemContains CodeSystemContainsAny "
    "ValueSetContains ValueSetContainsAny"
)
TRIAL_USE: Final = frozenset(_NEWER.split())
# What is supported only in part, or has a choice of its own.
LIMITS: Final[Mapping[str, str]] = {
    "Retrieve": "of FHIR 4.0.1 resources, by code, value set and date range; include elements and other filters are refused",
    "FunctionRef": "external functions are refused, and so is recursion",
    "Instance": "of FHIR types, and of the System types Quantity, Ratio, Code, Concept, ValueSet and CodeSystem",
    "Matches": "of the whole string, as the Java engine and cql-execution do; the specification's text says partial",
    "DurationBetween": (
        "from 29 February a year is whole on 1 March, as Appendix H of CQL 1.5 defines it (its example 4.b, like CQL 2.0, "
        "has 28 February)"
    ),
    "Slice": "a negative index gives the empty list (ELM 1.5); CQL 2.0 (trial use) counts it from the end",
    "Successor": "past the end: null; of a DateTime or Time an error, which HL7's suite asks for",
    "Predecessor": "past the end: null; of a DateTime or Time an error, which HL7's suite asks for",
    "Message": "severity Error fails the define; other severities are passed over, since they may hold patient data",
    "InCodeSystem": "by the code's system, since the terminology has no content of code systems; a bare string is refused",
    "Expand": "of at most a million elements",
    "Repeat": "of at most a million elements",
    "Times": "of at most a million elements",
    "Iteration": "in Filter, ForEach, Repeat and Aggregate; not in the rows of a query or sort",
    "Children": "of FHIR JSON the elements as JSON, without their types",
}


def names() -> list[str]:
    """Every node type, in the table's order."""
    return [name for text in CHAPTERS.values() for name in text.split()]


def supported(name: str) -> bool:
    """Whether the engine executes a node type."""
    return name in BUILDERS and name not in REASONS


def block() -> str:
    """The document's table: the types of each chapter, then the limits, then what is refused."""
    refused = [name for name in names() if not supported(name)]
    lines = [
        f"Of ELM's {len(names())} expression node types {len(names()) - len(refused)} are executed, {len(refused)} refused.",
        "(* is of CQL 2.0, trial use.)",
        "",
        "| chapter | executed |",
        "|---|---|",
    ]
    for chapter, text in CHAPTERS.items():
        shown = (name + STAR * (name in TRIAL_USE) for name in text.split() if supported(name))
        lines.append(f"| {chapter} | {', '.join(shown)} |")
    lines += ["", "| node type | in part, or by choice |", "|---|---|"]
    lines += [f"| {name} | {LIMITS[name]} |" for name in names() if name in LIMITS]
    lines += ["", "| node type | refused at load, because |", "|---|---|"]
    lines += [f"| {name} | {REASONS[name]} |" for name in refused]
    return "\n".join(lines)
