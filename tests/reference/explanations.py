"""Why the two engines differ where they do: each deviation with the specification's sentence, and who follows it.

Two ways to show that a difference is such a deviation and nothing else:

- an **amendment** (`amendments.cjs`) changes the one operator of the reference to what the specification says; the difference is
  explained only if it is gone once the amendment is in force. So what the deviation leads to in other defines is explained with
  it, and nothing beside it;
- a **judgement** looks at one generated expression: at its operators and at both values.

Each has a case in `cases.py`: a tiny expression that shows both engines' values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Explanation:
    """One deviation. `section`: where in CQL 1.5.3 (or its ELM schema) the `sentence` stands; `right`: ours or the reference."""

    name: str
    section: str
    sentence: str
    right: str
    why: str


AMENDMENTS: Final = (
    Explanation(
        "flatten-null",
        "ELM, Flatten",
        "The Flatten operator flattens a list of lists into a single list.",
        "ours",
        "The reference gives its argument back as it is, a list of lists, when one of the lists is null.",
    ),
    Explanation(
        "rows-of-one-source",
        "Developer's Guide, Multi-Source Queries",
        "In addition, the default for return clauses is distinct, as opposed to all, so if no return clause is specified, "
        "duplicates will be eliminated from the result.",
        "ours",
        "The sentence is said of several sources, and HL7's tests of sorting (`Sort/simpleSortAsc`) keep the duplicates of one "
        "source; the reference drops those too.",
    ),
    Explanation(
        "sorted-as-text",
        "Language Semantics, Query Evaluation, Sort",
        "This may involve sorting by a particular element of the result tuples, or it may simply involve sorting the "
        "resulting list by the defined comparison for the data type (for example, if the result of the query is simply a "
        "list of integers).",
        "ours",
        "The reference sorts DateTimes of several offsets by their text.",
    ),
)
JUDGEMENTS: Final = (
    Explanation(
        "same-interval",
        "Appendix B, Comparison Operators, Equal",
        "For interval types, equality returns true if and only if the intervals are over the same point type, and they "
        "have the same value for the starting and ending points of the interval as determined by the Start and End "
        "operators.",
        "both",
        "The same points, written with other bounds: `[1, 5)` or `[1, 4]`, the type's minimum or a closed null.",
    ),
    Explanation(
        "unknown-bounds",
        "Author's Guide, Interval Values",
        "If a boundary point is null and the boundary is exclusive, the boundary is considered unknown, and represents an "
        "uncertainty between the boundary and the minimum or maximum value for the point type.",
        "ours",
        "A union, intersection, difference or collapse of an interval with a null bound: the reference gives null, lets an "
        "Uncertainty stand as a bound, or takes a closed null bound as unknown.",
    ),
    Explanation(
        "open-bounds-ignored",
        "Appendix B, Interval Operators, Ends",
        "The ends operator returns true if the first interval ends the second. More precisely, if the starting point of "
        "the first interval is greater than or equal to the starting point of the second, and the ending point of the "
        "first interval is equal to the ending point of the second.",
        "ours",
        "The reference takes an open bound as a closed one there: `Interval[1, 4) ends Interval[0, 4]` is true.",
    ),
    Explanation(
        "interval-checked",
        "Author's Guide, Interval Values",
        "Note that the ending boundary must be greater than or equal to the starting boundary to construct a valid "
        "interval. Attempting to specify an invalid Interval will result in a run-time error.",
        "ours",
        "An interval with its low bound above its high one is an error at run time in ours; the reference makes it.",
    ),
    Explanation(
        "components-checked",
        "Appendix B, Date and Time Operators, DateTime",
        "At least one component must be specified, and no component may be specified at a precision below an unspecified precision.",
        "ours",
        "Components that make no date or time (day 40, a minute without an hour) are an error or null in ours; the reference "
        "makes a value of them.",
    ),
    Explanation(
        "same-quantity",
        "Appendix B, Arithmetic Operators, Add",
        "The unit of the result will be the most granular unit of either input.",
        "ours",
        "The same quantity in another unit.",
    ),
    Explanation(
        "unknown-membership",
        "Appendix B, List Operators, In",
        "The in operator for lists returns true if the given element is in the given list using equality semantics, with "
        "the exception that null elements are considered equal.",
        "ours",
        "Whether a list has an element whose equality is unknown is unknown; the reference says false.",
    ),
    Explanation(
        "split-of-nothing",
        "Appendix B, String Operators, Split",
        "If the stringToSplit argument does not contain any appearances of the separator, the result is a list of strings containing "
        "one element that is the value of the stringToSplit argument.",
        "ours",
        "The reference gives null for an empty text.",
    ),
    Explanation(
        "unreadable-quantity",
        "Appendix B, Type Operators, ToQuantity",
        "If the input string is not formatted correctly, or cannot be interpreted as a valid Quantity value, the result is null.",
        "ours",
        "The reference reads the digits that it finds.",
    ),
    Explanation(
        "unreadable-number",
        "Appendix B, Type Operators, ToInteger",
        "If the input string is not formatted correctly, or cannot be interpreted as a valid Integer value, the result is null.",
        "ours",
        "The reference reads `1.5` as 1.",
    ),
    Explanation(
        "uncertain-arithmetic",
        "Language Semantics, Uncertainty",
        "Formally, an uncertainty is a closed interval over a given point type, with specific semantics defined for "
        "comparison operators.",
        "ours",
        "Arithmetic on an uncertain duration is uncertain, or an error where that can't be told; the reference gives null.",
    ),
    Explanation(
        "union-with-null",
        "Appendix B, List Operators, Union",
        "The union operator for lists returns a list with all unique elements from both arguments.",
        "ours",
        "The reference leaves duplicates when the other list is null.",
    ),
    Explanation(
        "half-rounded",
        "Appendix B, Arithmetic Operators, Round",
        "The semantics of round are defined as a traditional round (i.e. to the nearest whole number), meaning that a "
        "decimal value greater than or equal to 0.5 and less than 1.0 will round to 1, and a decimal value less than or "
        "equal to -0.5 and greater than -1.0 will round to -1.",
        "ours",
        "The reference rounds a negative half up.",
    ),
    Explanation(
        "time-of-day-wraps",
        "Author's Guide, Table 2-P",
        "The hours, positive or negative, are added to the hour component, with each 24 hour block counting as a calendar day.",
        "ours",
        "A Time moved past midnight is the time of day in ours; the reference gives null.",
    ),
    Explanation(
        "no-decimals",
        "Appendix B, Type Operators, ToString",
        "Decimal: (-)?#0.0#",
        "ours",
        "JavaScript has no Decimal: `4.0` is written `4` there.",
    ),
    Explanation(
        "equivalence-is-known",
        "Appendix B, Comparison Operators, Equivalent",
        "The equivalent (~) operator returns true if the arguments are equivalent in value, or if they are both null; and"
        " false otherwise.",
        "ours",
        "The reference gives null for quantities of several dimensions.",
    ),
    Explanation(
        "out-of-range",
        "Author's Guide, Aggregate Functions",
        "operations that cause arithmetic overflow or underflow, or otherwise cannot be performed (such as division by 0) will "
        "result in null, rather than a run-time error.",
        "ours",
        "Our Decimals reach to 28 digits before they overflow, as the specification allows, and our Integers to 2^31 - 1; the "
        "reference's numbers do not know their type, and lose their digits beyond 2^53.",
    ),
    Explanation(
        "lists-of-two-lengths",
        "Appendix B, Comparison Operators, Equal",
        "For list types, this means that equality returns true if and only if the lists contain elements of the same type, have the same number of "
        "elements, and for each element in the lists, in order, the elements are equal using equality semantics.",
        "ours",
        "Lists of two lengths are not equal whatever their elements; the reference gives null where some are null.",
    ),
    Explanation(
        "range-in-utc",
        "Appendix B, Arithmetic Operators, Maximum",
        "Note that implementations may choose to represent the maximum DateTime value using a constant offset such as UTC.",
        "both",
        "The end of a closed null bound: ours in UTC, the reference's at the evaluation's offset.",
    ),
    Explanation(
        "month-ends",
        "Appendix H, Calculating Duration in Months",
        "The same time of day at the immediately following calendar date of the ending calendar month, if the same calendar date of "
        "the ending month in the ending year does not exist.",
        "ours",
        "Two months from 31 December end on 1 March, so that on 29 February one has passed; the reference counts two.",
    ),
    Explanation(
        "negative-length",
        "Appendix B, String Operators, Substring",
        "If stringToSub or startIndex is null, or startIndex is out of range, the result is null.",
        "both",
        "What a negative length gives is not said: null in ours, an empty text in the reference.",
    ),
    Explanation(
        "length-of-null",
        "Appendix B, String Operators, Length",
        "If the argument is null, the result is null.",
        "ours",
        "The reference fails where null is not cast right there.",
    ),
)
BY_NAME: Final = {explanation.name: explanation for explanation in (*AMENDMENTS, *JUDGEMENTS)}
