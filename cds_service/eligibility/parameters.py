"""A trial's parameters (clinical-spec §8): declared in the CQL, set in `trial.toml`, changed by a site's configuration.

A TOML value becomes a value of the type that the CQL declares for the parameter:

    Boolean, Integer, Decimal, String    true, 30, 2.5, "text"
    Date                                 2026-06-15
    Quantity                             an ISO 8601 duration of one unit: "P1Y", "P6M", "P2W", "P42D"
    List<T>                              [ … ]
    Interval<T>                          [lowest, highest], both included
    Tuple                                a table; a site may set some of its elements

`[parameter_rules]` of `trial.toml` says what else must hold: `choices` (allowed words), `from` and `to` (the range,
both included; of a list or a table of every value in it), `not_empty` (a list), `not_below` (another parameter).
A rule's name may lead into a table (`"ulnFallback.alt"`).

Error policy: a wrong trial.toml raises AuthoringError, a wrong site setting ConfigurationError; each names the file
and line, the parameter, and what is wanted there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from cds_service.eligibility.toml_table import Table
from cds_service.elm import Date, Interval, Quantity
from cds_service.elm.types import IntervalOf, ListOf, StaticType, TupleOf, system
from cds_service.errors import AuthoringError, CdsServiceError, ConfigurationError

_DURATION: Final = re.compile(r"P(\d{1,6})([YMWD])")
_UNITS: Final = {"Y": ("year", 365.25), "M": ("month", 30.4), "W": ("week", 7), "D": ("day", 1)}
_INTEGER_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Rule:
    """What a parameter's value must keep to, beside its type. `low`, `high`: numbers, or durations as text."""

    choices: tuple[str, ...] = ()
    low: int | float | str | None = None
    high: int | float | str | None = None
    not_empty: bool = False
    not_below: str | None = None


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one trial as the engine takes them.

    `values`: by name, of CQL's types. `in_force`: the same as TOML has them, for what is shown. `changed`: what the
    site set otherwise than the trial, as text by its path (`ulnFallback.alt.male`). `origins`: where it did so, by
    the same path ("cds-service.toml, line 12"), as far as that is known.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    in_force: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)


class _WrongError(Exception):
    """A value is not what its place wants."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


def read_rules(entries: Table, names: Mapping[str, Any]) -> dict[str, Rule]:
    """The table `[parameter_rules]`; each rule belongs to one of the parameters `names`."""
    rules = {}
    for path in entries.names():
        entry = entries.table(path)
        root = path.partition(".")[0]
        other = entry.optional_text("not_below")
        for name in (root, other):
            if name is not None and name not in names:
                raise AuthoringError(f"{entry.place}: {name!r} is none of the trial's [parameters]")
        rules[path] = Rule(
            choices=entry.texts("choices", required=False),
            low=entry.optional("from", (int, float, str), None),
            high=entry.optional("to", (int, float, str), None),
            not_empty=entry.optional("not_empty", (bool,), False),
            not_below=other,
        )
        entry.done()
        for bound in (rules[path].low, rules[path].high):
            if isinstance(bound, str) and _quantity(bound) is None:
                raise AuthoringError(
                    f"{entry.place}: {bound!r} is neither a number nor a duration such as P1Y"
                )
    return rules


def bind(
    declared: Mapping[str, StaticType],
    own: Mapping[str, Any],
    rules: Mapping[str, Rule],
    site: Mapping[str, Any],
    *,
    trial_id: str,
    file: str,
    origins: Mapping[str, str],
) -> Parameters:
    """The trial's own parameters with the site's over them, checked.

    `declared`: the CQL's parameters with their types. `own`, `rules`: of the trial's `file`. `site`: of its
    configuration; `origins` says by a setting's path where it stands ("cds-service.toml, line 12").
    """
    values = {}
    for name, value in own.items():
        if name not in declared:
            raise AuthoringError(f"{file}: [parameters] {name}: the CQL declares no such parameter")
        try:
            values[name] = _value(declared[name], value, name, rules)
        except _WrongError as wrong:
            raise AuthoringError(f"{file}: [parameters] {wrong.path}: {wrong.problem}") from None
    _check_order(
        values, rules, lambda name, problem: AuthoringError(f"{file}: [parameters] {name}: {problem}")
    )

    def error(path: str, problem: str) -> CdsServiceError:
        origin = _origin(origins, path)
        place = f"[trials.{trial_id}.parameters] {path}"
        end = "" if problem.endswith("?") else "."
        return ConfigurationError(f"{f'{origin}: ' if origin else ''}{place}: {problem}{end}")

    in_force = dict(own)
    changed: dict[str, str] = {}
    for name, value in site.items():
        if name not in own:
            raise error(name, f"there is no such parameter; {_known(name, own)}")
        try:
            whole = _merged(declared[name], own[name], value, name)
            values[name] = _value(declared[name], whole, name, rules)
        except _WrongError as wrong:
            raise error(wrong.path, wrong.problem) from None
        in_force[name] = whole
        changed.update(_changes(name, own[name], whole))
    _check_order(values, rules, error, set_here=site)
    set_in = {path: origin for path in changed if (origin := _origin(origins, path))}
    return Parameters(values, in_force, changed, set_in)


def _known(name: str, known: Mapping[str, Any]) -> str:
    """The parameters whose name comes near, else all of them."""
    by_fold = {k.lower(): k for k in known}
    near = [by_fold[k] for k in get_close_matches(name.lower(), by_fold, n=3)]
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known))}"


def _origin(origins: Mapping[str, str], path: str) -> str | None:
    parts = path.split(".")
    found = (origins.get(".".join(parts[:length])) for length in range(len(parts), 0, -1))
    return next((origin for origin in found if origin), None)


def _merged(kind: StaticType, own: Any, site: Any, path: str) -> Any:
    """The site's value; of a table the elements that it sets, over the trial's."""
    if not isinstance(kind, TupleOf):
        return site
    if not isinstance(site, Mapping):
        raise _WrongError(path, f"{_wanted(kind)} is wanted, {_found(site)} found")
    whole = dict(own)
    for key, value in site.items():
        element = f"{path}.{key}"
        if key not in own:
            raise _WrongError(element, f"there is no such element; {_known(key, own)}")
        whole[key] = _merged(kind.element(key), own[key], value, element)
    return whole


def _changes(path: str, own: Any, whole: Any) -> Iterator[tuple[str, str]]:
    if isinstance(own, Mapping):
        for key in own:
            yield from _changes(f"{path}.{key}", own[key], whole[key])
    elif own != whole:
        yield path, _written(whole)


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(item) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- values -------------------------------------------------------------------------------------------------


def _value(kind: StaticType, value: Any, path: str, rules: Mapping[str, Rule]) -> Any:
    """The TOML value as a value of the CQL type; _WrongError where it is none, or breaks a rule."""
    rule = rules.get(path, Rule())
    if isinstance(kind, TupleOf):
        if not isinstance(value, Mapping):
            raise _WrongError(path, f"{_wanted(kind)} is wanted, {_found(value)} found")
        names = [name for name, _ in kind.elements]
        for name in value:
            if name not in names:
                raise _WrongError(
                    f"{path}.{name}", f"there is no such element; {_known(name, dict(kind.elements))}"
                )
        for name in names:
            if name not in value:
                raise _WrongError(f"{path}.{name}", "this element is missing")
        inherited = {f"{path}.{name}": rule for name in names} | dict(rules)
        return {
            name: _value(element, value[name], f"{path}.{name}", inherited) for name, element in kind.elements
        }
    if isinstance(kind, ListOf):
        if not isinstance(value, list | tuple):
            raise _WrongError(path, f"{_wanted(kind)} is wanted, {_found(value)} found")
        if rule.not_empty and not value:
            raise _WrongError(path, "the list must not be empty")
        return [_simple(kind.element, item, path, rule) for item in value]
    if isinstance(kind, IntervalOf):
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise _WrongError(path, f"{_wanted(kind)} is wanted, such as [30, 60]")
        low, high = (_simple(kind.point, item, path, rule) for item in value)
        if low > high:
            raise _WrongError(path, "the lowest value stands first, and it is the higher one here")
        return Interval(low, high)
    return _simple(kind, value, path, rule)


def _simple(kind: StaticType, value: Any, path: str, rule: Rule) -> Any:
    name = system(kind)
    if name not in _READERS:
        raise _WrongError(path, f"the CQL declares a type that can't be set here ({kind})")
    read = _READERS[name](value)
    if read is None or not _within(read, rule):
        problem = f"{_wanted(kind)}{_range(rule)} is wanted"
        raise _WrongError(path, problem if read is not None else f"{problem}, {_found(value)} found")
    return read


def _within(value: Any, rule: Rule) -> bool:
    if rule.choices and value not in rule.choices:
        return False
    size = _size(value)
    return (rule.low is None or size >= _size(rule.low)) and (rule.high is None or size <= _size(rule.high))


def _size(value: Any) -> Any:
    """What a number or a duration is compared by; a duration by its days."""
    quantity = _quantity(value) if isinstance(value, str) else value
    if isinstance(quantity, Quantity):
        days = dict(_UNITS.values())[str(quantity.unit)]
        return float(quantity.value or 0) * days
    return Decimal(repr(value)) if isinstance(value, float) else value


def _range(rule: Rule) -> str:
    if rule.choices:
        return f" of {', '.join(rule.choices)}"
    if rule.low is not None and rule.high is not None:
        return f" from {rule.low} to {rule.high}"
    if rule.low is not None:
        return f" of at least {rule.low}"
    return "" if rule.high is None else f" of at most {rule.high}"


def _integer(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and abs(value) <= _INTEGER_MAX else None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _date(value: Any) -> Date | None:
    plain = isinstance(value, date) and not isinstance(value, datetime)
    return Date(value.year, value.month, value.day) if plain else None


def _quantity(value: Any) -> Quantity | None:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return Quantity(Decimal(match[1]), _UNITS[match[2]][0]) if match else None


_READERS: Final[Mapping[str | None, Callable[[Any], Any]]] = {
    "Boolean": lambda value: value if isinstance(value, bool) else None,
    "Integer": _integer,
    "Decimal": _decimal,
    "String": _text,
    "Date": _date,
    "Quantity": _quantity,
}
_WORDS: Final = {
    "Boolean": "true or false",
    "Integer": "a whole number",
    "Decimal": "a number",
    "String": "a text",
    "Date": "a date such as 2026-06-15",
    "Quantity": "a duration such as P1Y, P6M or P42D",
}


def _wanted(kind: StaticType) -> str:
    if isinstance(kind, TupleOf):
        return "a table of " + ", ".join(name for name, _ in kind.elements)
    if isinstance(kind, ListOf):
        return "a list"
    if isinstance(kind, IntervalOf):
        return "a list of the lowest and the highest value"
    return _WORDS.get(system(kind) or "", str(kind))


def _found(value: Any) -> str:
    words = {
        bool: "a truth value",
        int: "a whole number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "a table",
    }
    return words.get(type(value), type(value).__name__)


def _check_order(
    values: Mapping[str, Any],
    rules: Mapping[str, Rule],
    error: Callable[[str, str], CdsServiceError],
    set_here: Container[str] = (),
) -> None:
    """What two parameters together can get wrong; told of the one that was set here."""
    for name, rule in rules.items():
        other = rule.not_below
        if other is not None and _size(values[name]) < _size(values[other]):
            told = other if other in set_here and name not in set_here else name
            raise error(told, f"{name} must not be below {other}")
