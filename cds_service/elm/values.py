"""The values that CQL works with, beside Python's own bool, int, Decimal, str, list and None.

All are immutable. FHIR resources and elements stay the plain JSON dicts that they are; `Typed` carries the
FHIR type of an element for the short way between a choice element (`Observation.value`) and the cast that
resolves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from cds_service.elm.temporal import Date, DateTime, Time

__all__ = [
    "MAX_DECIMAL",
    "MAX_INTEGER",
    "MAX_LONG",
    "MIN_DECIMAL",
    "MIN_INTEGER",
    "MIN_LONG",
    "Code",
    "CodeSystem",
    "Concept",
    "Date",
    "DateTime",
    "Interval",
    "Long",
    "Quantity",
    "Ratio",
    "Time",
    "Tuple",
    "Typed",
    "Uncertainty",
    "ValueSet",
]

MIN_INTEGER, MAX_INTEGER = -(2**31), 2**31 - 1
MIN_LONG, MAX_LONG = -(2**63), 2**63 - 1
MAX_DECIMAL = Decimal("99999999999999999999.99999999")
MIN_DECIMAL = -MAX_DECIMAL
# CQL asks for 28 digits and 8 places "at least"; numbers up to this bound are kept, `maximum Decimal` is the one above.
DECIMAL_BOUND = Decimal(10) ** 28


class Long(int):
    """A CQL Long: an int that knows it is not an Integer."""

    __slots__ = ()


class Tuple(dict[str, Any]):
    """A CQL Tuple: a dict of element name to value, told apart from FHIR's JSON objects."""

    __slots__ = ()


class _Value:
    """Base of the small immutable values: equality and hash by the slots."""

    __slots__: tuple[str, ...] = ()

    def _state(self) -> tuple[Any, ...]:
        return tuple(getattr(self, slot) for slot in self.__slots__ if not slot.startswith("_"))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Value) and other._state() == self._state()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._state()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._state()!r}"


class Code(_Value):
    """A code of a code system. CQL equivalence (`~`) looks at `code` and `system` only."""

    __slots__ = ("code", "display", "system", "version")

    def __init__(
        self,
        code: str | None,
        system: str | None = None,
        version: str | None = None,
        display: str | None = None,
    ) -> None:
        self.code = code
        self.system = system
        self.version = version
        self.display = display

    def __repr__(self) -> str:
        return f"Code({self.code!r}, {self.system!r})"


class Concept(_Value):
    """Several codes with one meaning."""

    __slots__ = ("codes", "display")

    def __init__(self, codes: tuple[Code, ...], display: str | None = None) -> None:
        self.codes = codes
        self.display = display


class ValueSet(_Value):
    """A value set by canonical URL: a reference, not its codes."""

    __slots__ = ("id", "name", "version")

    def __init__(self, id: str, version: str | None = None, name: str | None = None) -> None:
        self.id = id
        self.version = version
        self.name = name


class CodeSystem(_Value):
    """A code system by canonical URL."""

    __slots__ = ("id", "name", "version")

    def __init__(self, id: str, version: str | None = None, name: str | None = None) -> None:
        self.id = id
        self.version = version
        self.name = name


class Quantity(_Value):
    """A Decimal with a UCUM unit or a calendar duration (`years`); no unit means `1`."""

    __slots__ = ("unit", "value")

    def __init__(self, value: Decimal | None, unit: str | None = None) -> None:
        self.value = value
        self.unit = unit

    def __str__(self) -> str:
        return f"{self.value} '{self.unit or '1'}'"

    def __repr__(self) -> str:
        return f"Quantity({self})"


class Ratio(_Value):
    """Two quantities, as a titre `1:16`."""

    __slots__ = ("denominator", "numerator")

    def __init__(self, numerator: Quantity | None, denominator: Quantity | None) -> None:
        self.numerator = numerator
        self.denominator = denominator


class Interval(_Value):
    """A CQL interval. A closed null bound means "no bound", an open one "unknown".

    `point` is the System type name of the bounds (`Integer`, `Date` …); it is taken from a bound where it is
    not given.
    """

    __slots__ = ("_end", "_start", "high", "high_closed", "low", "low_closed", "point")

    def __init__(
        self, low: Any, high: Any, low_closed: bool = True, high_closed: bool = True, point: str | None = None
    ) -> None:
        self.low = low
        self.high = high
        self.low_closed = low_closed
        self.high_closed = high_closed
        self.point = point
        self._start: Any = _UNSET
        self._end: Any = _UNSET

    def _state(self) -> tuple[Any, ...]:
        return (self.low, self.high, self.low_closed, self.high_closed)

    def __repr__(self) -> str:
        left, right = "[" if self.low_closed else "(", "]" if self.high_closed else ")"
        return f"Interval{left}{self.low!r}, {self.high!r}{right}"


class Uncertainty:
    """A value that is known to lie between `low` and `high` only (CQL 1.5, Developer's Guide, Uncertainty).

    Comes of durations between partial dates and of open null bounds. Comparisons that hold for the whole range are
    decided, the others are null. Sum, difference and product of uncertain integers are uncertain again.
    """

    __slots__ = ("high", "low")

    def __init__(self, low: Any, high: Any) -> None:
        self.low = low
        self.high = high

    def __repr__(self) -> str:
        return f"Uncertainty({self.low!r}, {self.high!r})"

    def __add__(self, other: Any) -> Uncertainty:
        low, high = bounds(other)
        return Uncertainty(self.low + low, self.high + high)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Uncertainty:
        low, high = bounds(other)
        return Uncertainty(self.low - high, self.high - low)

    def __rsub__(self, other: Any) -> Uncertainty:
        return Uncertainty(other, other) - self

    def __mul__(self, other: Any) -> Uncertainty:
        low, high = bounds(other)
        products = [self.low * low, self.low * high, self.high * low, self.high * high]
        return Uncertainty(min(products), max(products))

    __rmul__ = __mul__

    def __neg__(self) -> Uncertainty:
        return Uncertainty(-self.high, -self.low)


def bounds(value: Any) -> tuple[Any, Any]:
    """The least and the greatest value that this one may be."""
    return (value.low, value.high) if type(value) is Uncertainty else (value, value)


class Typed:
    """A FHIR element with its FHIR type (`Quantity`, `dateTime`), as a choice element yields it before the cast."""

    __slots__ = ("type", "value")

    def __init__(self, value: Any, type: str) -> None:
        self.value = value
        self.type = type

    def __eq__(self, other: object) -> bool:
        return bool((other.value if isinstance(other, Typed) else other) == self.value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Typed({self.type})"


class Shell(dict[str, Any]):
    """A FHIR primitive that has extensions or an id (`_birthDate`), with its `value` where it has one."""

    __slots__ = ()

    @classmethod
    def of(cls, value: Any, extra: Any) -> Any:
        """A primitive of the two JSON members that make it; the plain value where there is no more to it."""
        if not isinstance(extra, dict):
            return value if extra is None else cls()
        return cls(extra) if value is None else cls(extra, value=value)

    @classmethod
    def paired(cls, values: Any, extras: Any) -> Any:
        """A list of primitives of its two JSON arrays, in which null stands for what an element doesn't have."""
        if not isinstance(extras, list) or not isinstance(values or [], list):
            return values
        items = list(values or ())
        items += [None] * (len(extras) - len(items))
        extras = [*extras, *[None] * (len(items) - len(extras))]
        return [cls.of(value, extra) for value, extra in zip(items, extras, strict=True)]


_UNSET = object()


def plain(value: Any) -> Any:
    """A value without the engine's wrappers, as a caller sees it: an uncertainty becomes an Interval.

    Lists and tuples are copied, once each and without recursion: defines may nest them to any depth and share them.
    """
    if type(value) is not list and type(value) is not Tuple:
        return _plain_leaf(value)
    made: dict[int, Any] = {}
    pending: list[Any] = [value]
    while pending:
        item = pending[-1]
        if id(item) in made:
            pending.pop()
            continue
        before = len(pending)
        parts: list[Any] = []
        for part in item if type(item) is list else item.values():
            kind = type(part)
            if kind is list or kind is Tuple:
                copy = made.get(id(part))
                if copy is None:
                    pending.append(part)
                parts.append(copy)
            else:
                parts.append(_plain_leaf(part) if kind in _WRAPPERS else part)
        if len(pending) == before:
            pending.pop()
            made[id(item)] = parts if type(item) is list else dict(zip(item, parts, strict=True))
    return made[id(value)]


def _plain_leaf(value: Any) -> Any:
    if type(value) is Typed:
        value = value.value
    if type(value) is Shell and "value" in value:
        return value["value"]
    return Interval(value.low, value.high) if type(value) is Uncertainty else value


_WRAPPERS: Final = frozenset((Typed, Shell, Uncertainty))


def is_json_object(value: Any) -> bool:
    """Whether the value is a FHIR resource or element, not a CQL Tuple."""
    return isinstance(value, Mapping) and type(value) is not Tuple
