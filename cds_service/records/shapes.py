"""The shape of FHIR resources as far as the service reads them, and the one walk over a resource that tidies
it.

The walk, compiled per type from the tables of `elements`, does five things and copies only what it changes:

- an element of the wrong JSON type never gets through as something else. What can be meant in one way only
  is put right (one object where a list belongs, a list of one where an object belongs, a number for a
  string), anything else is dropped; either way the resource is *doubtful*: marked, so that no verdict rests
  on it. `null`, "" and items that are null count as absent;
- URIs of code systems become canonical, codes that a site maps get the target's coding beside them;
- results and dates of Observations that are said to be absent go (`absent`);
- dateTimes and instants are brought to the site's offset;
- a `modifierExtension` at any depth makes the resource doubtful, and so does an element of an earlier FHIR version
  that says the opposite of the rest ("not taken", "not done").

No error is raised for any JSON.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Final

from cds_service.records.absent import hides_death, without_absent, without_absent_limits
from cds_service.records.dates import site_datetime
from cds_service.records.elements import ELEMENTS, RESOURCES, VALUE, VALUE_KEYS
from cds_service.terminology.concept_maps import Target
from cds_service.terminology.system_uris import SystemUris
from cds_service.terminology.systems import READING_PROBLEM

_VALUES: Final = frozenset(VALUE_KEYS)
_EMPTY: Final = (None, "")
UNREADABLE: Final = {"system": READING_PROBLEM, "code": "text-only"}
_DROP: Final = object()
_DEPTH: Final = 40
_CODING_TEXTS: Final = frozenset({"system", "version", "code", "display"})
# What people paste around a code: every space that Unicode has, and what has no width at all.
_BLANKS: Final = (
    string.whitespace
    + "\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff"
    + "".join(map(chr, range(0x2000, 0x200B)))
)


# R4 says these by a status; what still says them so (DSTU2, STU3) must not be read as its opposite.
_MODIFIERS: Final = frozenset(
    {"modifierExtension", "taken", "wasNotTaken", "notDone", "notPerformed", "wasNotGiven", "notGiven"}
)
_NO_NEGATIONS: Final = (None, False, "y", "false")


class _Systems(dict[str, str]):
    """The canonical URI of each code system that a record has named so far."""

    __slots__ = ("_uris",)

    def __init__(self, uris: SystemUris) -> None:
        super().__init__()
        self._uris = uris

    def __missing__(self, written: str) -> str:
        found = self[written] = self._uris.canonical(written)
        return found


class Tidying:
    """What one walk needs to know, and what it finds: `doubtful` says that something was mistyped or modified."""

    __slots__ = ("_dates", "depth", "doubtful", "local", "systems", "zone")

    def __init__(
        self, uris: SystemUris, local: Mapping[tuple[str, str], tuple[Target, ...]], zone: tzinfo
    ) -> None:
        self.systems = _Systems(uris)
        self.local = local
        self.zone = zone
        self.doubtful = False
        self.depth = 0
        self._dates: dict[str, str | None] = {}

    def date(self, text: str) -> str | None:
        """`site_datetime`, remembered for the record."""
        try:
            return self._dates[text]
        except KeyError:
            found = self._dates[text] = site_datetime(text, self.zone)
            return found


Walker = Callable[[Any, Tidying], Any]


def tidy(resource: dict[str, Any], tidying: Tidying) -> dict[str, Any]:
    """The resource with every element that the service reads in its proper shape; itself when nothing
    changes.

    Sets `tidying.doubtful` when something was mistyped or a modifierExtension was found.
    """
    tidying.doubtful = False
    walker = _WALKERS.get(resource["resourceType"], _anything)
    found = walker(resource, tidying)
    return found if type(found) is dict else resource


# --- walkers ------------------------------------------------------------------------------------------------


def _string(value: Any, tidying: Tidying) -> Any:
    if type(value) is str:
        return value if value else _DROP
    if value is None:
        return _DROP
    tidying.doubtful = True
    if type(value) is list and len(value) == 1 and type(value[0]) is str and value[0]:
        return value[0]
    return str(value) if type(value) is int and abs(value) < 10**20 else _DROP


def _uri(value: Any, tidying: Tidying) -> Any:
    if type(value) is str:
        return tidying.systems[value] if value else _DROP
    return _string(value, tidying)


def _boolean(value: Any, tidying: Tidying) -> Any:
    if type(value) is bool:
        return value
    if value is not None:
        tidying.doubtful = True
    return _DROP


def _number(value: Any, tidying: Tidying) -> Any:
    if type(value) in (float, int, Decimal):
        return value
    if value is not None:
        tidying.doubtful = True
    return _DROP


def _integer(value: Any, tidying: Tidying) -> Any:
    if type(value) is int:
        return value
    if type(value) in (float, Decimal) and abs(value) < 10**9 and value == int(value):
        return int(value)
    if value is not None:
        tidying.doubtful = True
    return _DROP


def _date(value: Any, tidying: Tidying) -> Any:
    if type(value) is not str:
        value = _string(value, tidying)
        if value is _DROP:
            return _DROP
    elif not value:
        return _DROP
    found = tidying.date(value)
    if found is None:
        tidying.doubtful = True
        return _DROP
    return value if found == value else found


def _birth_date(value: Any, tidying: Tidying) -> Any:
    if type(value) is str and len(value) > 10:
        tidying.doubtful = True
        return _DROP
    return _date(value, tidying)


def _coding(value: Any, tidying: Tidying) -> Any:
    if type(value) is not dict:
        if value is not None:
            tidying.doubtful = True
        return _DROP
    for key, part in value.items():
        if type(part) is not str or not part:
            if key in _CODING_TEXTS:
                return _coding(_repaired_coding(value, tidying), tidying)
            if key == "modifierExtension" and part:
                tidying.doubtful = True
    system = value.get("system")
    if system is not None and tidying.systems[system] != system:
        value = {**value, "system": tidying.systems[system]}
    code = value.get("code")
    if code is not None and (bare := code.strip(_BLANKS)) != code:
        value = {**value, "code": bare or "?"}
    return value


def _repaired_coding(value: dict[str, Any], tidying: Tidying) -> dict[str, Any]:
    """A coding of which system, code and display are texts or not there."""
    copy = dict(value)
    for key in _CODING_TEXTS & copy.keys():
        found = _string(copy[key], tidying)
        if found is _DROP:
            del copy[key]
        else:
            copy[key] = found
    return copy


def _concept(value: Any, tidying: Tidying) -> Any:
    """A CodeableConcept. Almost every one is proper and canonical: that is seen without any further call."""
    if type(value) is dict:
        systems, local = tidying.systems, tidying.local
        for key, part in value.items():
            if key == "coding" and type(part) is list:
                for coding in part:
                    if type(coding) is not dict:
                        return _mended_concept(value, tidying)
                    for name, text in coding.items():
                        if (type(text) is not str or not text) and name != "userSelected":
                            return _mended_concept(value, tidying)
                    system, code = coding.get("system", ""), coding.get("code")
                    if system and systems[system] != system:
                        return _mended_concept(value, tidying)
                    if code is not None and (
                        (code.strip() if code.isascii() else code.strip(_BLANKS)) != code
                        or (local and (system, code) in local)
                    ):
                        return _mended_concept(value, tidying)
            elif key != "text" or type(part) is not str or not part:
                return _mended_concept(value, tidying)
        return value
    return _mended_concept(value, tidying)


def _mended_concept(value: Any, tidying: Tidying) -> Any:
    if type(value) is not dict:
        value = _unwrapped(value, tidying)
        if type(value) is str:
            return {"text": value}
        if value is _DROP:
            return _DROP
    found = _concept_object(value, tidying)
    if tidying.local and type(found) is dict:
        added = [
            {"system": target.system, "code": target.code}
            for coding in found.get("coding", ())
            for target in tidying.local.get((coding.get("system", ""), coding.get("code", "")), ())
        ]
        if added:
            found = {**found, "coding": [*found["coding"], *added]}
    return found


def _anything(value: Any, tidying: Tidying) -> Any:
    """An element that the service doesn't read: it stays, but a modifierExtension inside it counts."""
    if type(value) in (dict, list) and _has_modifier(value):
        tidying.doubtful = True
    return value


def _has_modifier(value: Any, depth: int = 0) -> bool:
    """Whether a JSON object or list holds a modifierExtension at any depth."""
    if depth > _DEPTH:
        return _has_deep_modifier(value)
    if type(value) is dict:
        if value.get("modifierExtension"):
            return True
        value = value.values()
    for part in value:
        kind = type(part)
        if (kind is dict or kind is list) and _has_modifier(part, depth + 1):
            return True
    return False


def _has_deep_modifier(value: Any) -> bool:
    """The same without recursion, for input that is nested beyond any sense."""
    pending = [value]
    while pending:
        current = pending.pop()
        if type(current) is dict:
            if current.get("modifierExtension"):
                return True
            current = current.values()
        pending += [part for part in current if type(part) in (dict, list)]
    return False


def _unwrapped(value: Any, tidying: Tidying) -> Any:
    """An object found where none is written: the one object of a list. A string stays a string."""
    if value is None:
        return _DROP
    tidying.doubtful = True
    if type(value) is list and len(value) == 1:
        value = value[0]
    return value if type(value) is dict or (type(value) is str and value) else _DROP


def _object(fields: Mapping[str, Walker]) -> Walker:
    def walk(value: Any, tidying: Tidying) -> Any:
        if type(value) is not dict:
            value = _unwrapped(value, tidying)
            if type(value) is not dict:
                return _DROP
        changes: dict[str, Any] | None = None
        for key, part in value.items():
            walker = fields.get(key)
            if walker is None:
                if key in _MODIFIERS:
                    if part if key == "modifierExtension" else part not in _NO_NEGATIONS:
                        tidying.doubtful = True
                elif (
                    (type(part) is dict or type(part) is list)
                    and key != "text"
                    and key != "extension"
                    and _has_modifier(part)
                ):
                    tidying.doubtful = True
                continue
            found = walker(part, tidying)
            if found is not part:
                if changes is None:
                    changes = {}
                changes[key] = found
        if changes is None:
            return value
        copy = {**value, **changes}
        for key, found in changes.items():
            if found is _DROP:
                del copy[key]
                if key in _VALUES and value[key] not in _EMPTY:
                    # It had a result, of whatever kind: never to be passed over in favour of an older one.
                    copy.setdefault("dataAbsentReason", {"coding": [dict(UNREADABLE)]})
        return copy

    return walk


def _after(first: Callable[[dict[str, Any]], dict[str, Any]], walker: Walker) -> Walker:
    """A walker of what `first` leaves of an object."""

    def walk(value: Any, tidying: Tidying) -> Any:
        return walker(first(value) if type(value) is dict else value, tidying)

    return walk


def _person(walker: Walker) -> Walker:
    """A walker of a Patient, who is in doubt where the day of death is said to exist and isn't given."""

    def walk(value: Any, tidying: Tidying) -> Any:
        if hides_death(value):
            tidying.doubtful = True
        return walker(value, tidying)

    return walk


def _list(walker: Walker) -> Walker:
    def walk(value: Any, tidying: Tidying) -> Any:
        if type(value) is not list:
            if value is None:
                return _DROP
            tidying.doubtful = True
            found = walker(value, tidying)
            return _DROP if found is _DROP else [found]
        found = [walker(part, tidying) for part in value]
        for before, after in zip(value, found, strict=True):
            if before is not after:
                return [part for part in found if part is not _DROP]
        return value

    return walk


def _simple(slow: Walker, names: frozenset[str], aliased: bool) -> Walker:
    """A walker with a short way for what almost every Reference and Quantity is: known texts and one number."""

    def walk(value: Any, tidying: Tidying) -> Any:
        if type(value) is not dict:
            return slow(value, tidying)
        for key, part in value.items():
            kind = type(part)
            if kind is str:
                if (
                    not part
                    or key not in names
                    or (aliased and key == "system" and tidying.systems[part] != part)
                ):
                    return slow(value, tidying)
            elif (
                key != "value"
                or not aliased
                or (kind is not float and kind is not int and kind is not Decimal)
            ):
                return slow(value, tidying)
        return value

    return walk


def _guarded(name: str, walkers: Mapping[str, Walker]) -> Walker:
    """A walker of an element that can hold itself (questionnaire items); below a fixed depth it is dropped."""

    def walk(value: Any, tidying: Tidying) -> Any:
        if tidying.depth >= _DEPTH:
            tidying.doubtful = True
            return _DROP
        tidying.depth += 1
        try:
            return walkers[name](value, tidying)
        finally:
            tidying.depth -= 1

    return walk


def _compile() -> dict[str, Walker]:
    walkers: dict[str, Walker] = {
        "string": _string,
        "uri": _uri,
        "boolean": _boolean,
        "number": _number,
        "integer": _integer,
        "date": _date,
        "birthDate": _birth_date,
        "coding": _coding,
        "concept": _concept,
    }

    def fields(table: str) -> dict[str, Walker]:
        found = {}
        for part in table.replace("{value}", VALUE).split():
            key, _, name = part.partition(":")
            single = walkers.get(name.rstrip("*")) or _guarded(name.rstrip("*"), walkers)
            found[key] = _list(single) if name.endswith("*") else single
        return found

    for name, table in ELEMENTS.items():
        walkers[name] = _object(fields(table))
        if name == "quantity":
            walkers[name] = _simple(walkers[name], frozenset({"unit", "system", "code", "comparator"}), True)
        elif name == "component":
            walkers[name] = _after(without_absent, walkers[name])
        elif name == "referenceRange":
            walkers[name] = _after(without_absent_limits, walkers[name])
        elif name == "reference":
            walkers[name] = _simple(walkers[name], frozenset({"reference", "type", "display"}), False)
    resources = {name: _object(fields(table)) for name, table in RESOURCES.items()}
    return {
        **resources,
        "Observation": _after(without_absent, resources["Observation"]),
        "Patient": _person(resources["Patient"]),
    }


_concept_object: Final = _object({"coding": _list(_coding), "text": _string})
_WALKERS: Final = _compile()
