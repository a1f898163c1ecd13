"""How one value of a search parameter is held against one element
(http://hl7.org/fhir/R4/search.html#ptypes).

Each function here takes a query's value, its modifier and the parameter, and returns the test of one JSON
element. A date that is none raises InputError; an element of an odd shape simply does not match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cds_service.errors import InputError
from cds_service.sandbox.elements import as_list, references, relative
from cds_service.sandbox.parameters import Parameter

Matcher = Callable[[Any], bool]


def _token_matcher(part: str, modifier: str, _: Parameter) -> Matcher:
    if modifier == "text":
        return lambda item: any(part.casefold() in text.casefold() for text in _texts(item))
    system, bar, code = part.rpartition("|")

    def match(item: Any) -> bool:
        return any(
            (not code or has == code) and (not bar or (of or "") == system) for of, has in _codings(item)
        )

    return match


def _codings(item: Any) -> Iterator[tuple[str | None, str | None]]:
    """(system, code) of whatever a token parameter may point at."""
    if isinstance(item, bool):
        yield None, "true" if item else "false"
    elif isinstance(item, str):
        yield None, item
    elif isinstance(item, Mapping):
        if "coding" in item:
            for coding in as_list(item["coding"]):
                yield from _codings(coding)
        else:
            yield item.get("system"), item.get("code") or item.get("value")


def _texts(item: Any) -> Iterator[str]:
    if isinstance(item, Mapping):
        for key in ("text", "display"):
            if isinstance(item.get(key), str):
                yield item[key]
        for coding in as_list(item.get("coding")):
            yield from _texts(coding)


def _reference_matcher(part: str, _: str, definition: Parameter) -> Matcher:
    wanted = {relative(part)} if "/" in part else {f"{target}/{part}" for target in definition.targets}
    return lambda item: isinstance(item, Mapping) and not wanted.isdisjoint(references({"r": item}, "r"))


def _string_matcher(part: str, modifier: str, _: Parameter) -> Matcher:
    folded = part.casefold()
    if modifier == "exact":
        return lambda item: item == part
    if modifier == "contains":
        return lambda item: isinstance(item, str) and folded in item.casefold()
    # A string matches from its start; a name's text holds several names, so each word counts as a start.
    return lambda item: (
        isinstance(item, str)
        and (item.casefold().startswith(folded) or any(w.startswith(folded) for w in item.casefold().split()))
    )


def _uri_matcher(part: str, modifier: str, _: Parameter) -> Matcher:
    if modifier == "below":
        return lambda item: isinstance(item, str) and item.startswith(part)
    # A canonical may carry a version; the query without one means any.
    return lambda item: item == part or (isinstance(item, str) and item.partition("|")[0] == part)


def _date_matcher(part: str, _: str, __: Parameter) -> Matcher:
    found = re.fullmatch(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.+)", part)
    span = _span(found[2]) if found else None
    if found is None or span is None:
        raise InputError(
            "A date must be YYYY, YYYY-MM, YYYY-MM-DD or a dateTime with offset, maybe with a prefix."
        )
    compare = _COMPARE[found[1] or "eq"]
    low, high = span

    def match(item: Any) -> bool:
        has = _item_span(item)
        return has is not None and compare(has[0], has[1], low, high)

    return match


Span = tuple[datetime, datetime]
_MIN, _MAX = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# Each compares the resource's range [a, b) with the query's [x, y); R4 search §3.1.1.4.5.
_COMPARE: Final[Mapping[str, Callable[[datetime, datetime, datetime, datetime], bool]]] = {
    "eq": lambda a, b, x, y: x <= a and b <= y,
    "ne": lambda a, b, x, y: not (x <= a and b <= y),
    "gt": lambda a, b, x, y: b > y,
    "lt": lambda a, b, x, y: a < x,
    "ge": lambda a, b, x, y: b > y or (x <= a and b <= y),
    "le": lambda a, b, x, y: a < x or (x <= a and b <= y),
    "sa": lambda a, b, x, y: a >= y,
    "eb": lambda a, b, x, y: b <= x,
    "ap": lambda a, b, x, y: a < y + timedelta(days=7) and b > x - timedelta(days=7),
}


def _item_span(item: Any) -> Span | None:
    if isinstance(item, str):
        return _span(item)
    if isinstance(item, Mapping) and ("start" in item or "end" in item):
        start = _span(str(item["start"])) if "start" in item else (_MIN, _MIN)
        end = _span(str(item["end"])) if "end" in item else (_MAX, _MAX)
        return (start[0], end[1]) if start and end else None
    return None


def _span(text: str) -> Span | None:
    """The instants a partial date stands for, [low, high); a value without an offset is read as UTC."""
    try:
        if re.fullmatch(r"\d{4}", text):
            year = int(text)
            return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        if re.fullmatch(r"\d{4}-\d{2}", text):
            year, month = int(text[:4]), int(text[5:])
            following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
            return datetime(year, month, 1, tzinfo=UTC), following
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        width = (
            timedelta(days=1)
            if len(text) == 10
            else timedelta(seconds=1)
            if "." not in text
            else timedelta(0)
        )
        return moment, moment + (width or timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        return None


MATCHERS: Final[Mapping[str, Callable[[str, str, Parameter], Matcher]]] = {
    "token": _token_matcher,
    "reference": _reference_matcher,
    "string": _string_matcher,
    "uri": _uri_matcher,
    "date": _date_matcher,
}


def sort_text(item: Any) -> str:
    """What an element sorts by: a date by its beginning, a name without case, a code as it is."""
    span = _item_span(item)
    if span is not None:
        return span[0].isoformat()
    if isinstance(item, str):
        return item.casefold()
    return next((str(code) for _, code in _codings(item)), "")
