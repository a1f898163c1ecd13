"""Evaluations that have something in common: a Session of one record, and AtRest for what every record has in common.

A define's value depends on what it reads, on the parameters that it reaches, on `now` and on the terminology, and on
nothing else. So an evaluation may take over an entry of an earlier one where these are the same:

- within a Session (one record, one `now`) where the parameters that the define reaches have equal values;
- from AtRest, which holds what defines come to when every retrieve is empty: where all that the define reads, in the
  order in which it reads it, is as it is there.

Results are exactly those of a separate evaluation: values, errors, and what they rest on. Nothing here raises but for
an AtRest of another moment (ValueError).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from cds_service.elm.context import UNSET, Context
from cds_service.elm.needs import Needs
from cds_service.elm.ports import Indexed, Retriever
from cds_service.elm.reach import Reach, bit
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.trace import Entry, Retrieved, Summary, Trace
from cds_service.elm.values import Tuple, _Value

if TYPE_CHECKING:
    from cds_service.elm.compile import Compiler, Definition, RetrieveNeed

_LIMIT: Final = 50_000  # entries that an AtRest keeps of one set of libraries before it begins anew


class Session:
    """One record at one moment: evaluations given the same Session share retrieves, defines and remembered calls.

    Not to be shared between threads; drop it with the record. The record must not change meanwhile.
    """

    def __init__(
        self,
        *,
        retriever: Retriever,
        patient: Mapping[str, Any] | None,
        now: DateTime,
        at_rest: AtRest | None = None,
    ) -> None:
        if at_rest is not None and at_rest.now != now:
            raise ValueError(f"what is at rest at {at_rest.now} is not what is at rest at {now}")
        self.retriever = retriever
        self.patient = patient
        self.now = now
        self._at_rest = at_rest
        self._shared: dict[Compiler, Shared] = {}
        self._moments: dict[str, DateTime] = {}  # all at the offset of `now`

    def context(self, compiler: Compiler, parameters: list[Any], called: Sequence[Definition]) -> Context:
        """An evaluation's context; `called`: the remembered functions that reach parameters."""
        shared = self._shared.get(compiler)
        if shared is None:
            rest = None if self._at_rest is None else self._at_rest.of(compiler)
            shared = self._shared[compiler] = Shared(compiler, rest)
        shared.look(self.retriever, self.patient)
        keys = parameter_keys(parameters)
        return Context(
            retriever=self.retriever,
            terminology=compiler.terminology,
            patient=self.patient,
            parameters=parameters,
            now=self.now,
            size=len(compiler.definitions),
            calls=shared.calls(keys, called),
            retrieved=shared.retrieved,
            locate=compiler.locate,
            keys=keys,
            shared=shared,
            moments=self._moments,
        )


class Shared:
    """What the evaluations of one Session have in common, of one set of libraries."""

    def __init__(self, compiler: Compiler, rest: Rest | None) -> None:
        self.retrieved: dict[Any, Retrieved] = {}
        self._compiler = compiler
        self._found: int | None = None
        self._needs: Sequence[RetrieveNeed] = ()
        self._rest = rest
        self._entries: dict[tuple[int, Hashable], Entry] = {}
        self._calls: list[dict[Any, Any]] = []
        self._keyed_calls: dict[tuple[int, Hashable], dict[Any, Any]] = {}

    def look(self, retriever: Retriever, patient: Mapping[str, Any] | None) -> None:
        """Note which retrieves find something, where the retriever can tell; anew where libraries were loaded since."""
        if self._rest is None or len(self._needs) == self._compiler.needed:
            return
        self._needs = self._compiler.needs
        self._found = None
        if isinstance(retriever, Indexed):
            try:
                self._found = self._rest.needs(retriever).found(retriever, patient)
            except Exception:
                return  # the evaluations that ask for what fails will say so

    def calls(self, keys: Sequence[Hashable], called: Sequence[Definition]) -> list[dict[Any, Any]]:
        """The remembered calls by function; a function that reaches parameters has its own for each of their values."""
        self._calls.extend({} for _ in range(self._compiler.memoised - len(self._calls)))
        calls = self._calls.copy()
        for function in called:
            calls[function.memo] = self._keyed_calls.setdefault(
                (function.memo, _reach(function).key(keys)), {}
            )
        return calls

    def recall(self, ctx: Context, definition: Definition) -> Entry | None:
        """The define's entry of an earlier evaluation, or at rest; None where it has to be evaluated."""
        reach = _reach(definition)
        key = reach.key(ctx.keys)
        entry = self._entries.get((definition.index, key))
        if entry is not None or self._rest is None:
            return entry
        at_rest = self._rest.entry(ctx, definition, key)
        if at_rest is None:
            return None
        if self._found is None or self._found & reach.needs:
            at_rest = self._as_at_rest(ctx, definition, at_rest)
        if at_rest is not None:
            self._entries[definition.index, key] = at_rest
        return at_rest

    def keep(self, ctx: Context, definition: Definition, entry: Entry) -> None:
        """Keep an entry for the evaluations to come."""
        if entry.error is not None:
            entry.error.with_traceback(None)  # its frames hold the whole evaluation
        self._entries[definition.index, _reach(definition).key(ctx.keys)] = entry

    def _as_at_rest(self, ctx: Context, definition: Definition, at_rest: Entry) -> Entry | None:
        """The entry at rest, if all that the define reads is as it is there; it then rests on what this record has.

        A define reads one thing after the other, and what it reads next depends on what it has read. So whatever is
        asked for here would have been asked for by its own evaluation, up to the first difference.
        """
        if self._found is not None:
            return self._as_found(ctx, definition, at_rest, self._found)
        outer = ctx.trace
        read: Trace = {}
        ctx.trace = read
        same = True
        try:
            for number, item in at_rest.trace.items():
                if not isinstance(number, int):
                    return None  # codes computed at run time
                if isinstance(item, Retrieved):
                    if ctx.retrieve(number, *self._needs[~number]):
                        return None
                else:
                    entry = ctx.memo[number] or ctx.define(self._compiler.definitions[number])
                    if entry is not item:
                        same = False
                        if entry.error is not None or not _same(entry.value, item.value):
                            return None
                    read[number] = entry
        except Exception:
            return None  # its own evaluation fails in the same way, and says where
        finally:
            ctx.trace = outer
        return at_rest if same else Entry(definition.name, at_rest.value, None, read)

    def _as_found(self, ctx: Context, definition: Definition, at_rest: Entry, found: int) -> Entry | None:
        """As `_as_at_rest`, where it is known which retrieves find something: none need be executed."""
        summary = at_rest.summary
        if summary is None:
            summary = at_rest.summary = _summary(at_rest.trace)
        if summary.needs is None or found & summary.needs:
            return None
        memo, definitions = ctx.memo, self._compiler.definitions
        changed: Trace | None = None
        for number, item in summary.entries:
            entry = memo[number] or ctx.define(definitions[number])
            if entry is not item:
                if entry.error is not None or not _same(entry.value, item.value):
                    return None
                if changed is None:
                    changed = at_rest.trace.copy()
                changed[number] = entry
        return at_rest if changed is None else Entry(definition.name, at_rest.value, None, changed)


def _summary(trace: Trace) -> Summary:
    needs = 0
    entries = []
    for number, item in trace.items():
        if not isinstance(number, int):
            return Summary(None, ())  # codes computed at run time
        if isinstance(item, Retrieved):
            needs |= bit(number)
        else:
            entries.append((number, item))
    return Summary(needs, tuple(entries))


class AtRest:
    """What defines come to at one moment on a record without resources, evaluated once, when first needed.

    It holds nothing of any patient. Threads may share it; keep one for as long as `now` (a day's noon, say) stays.
    """

    def __init__(self, *, now: DateTime) -> None:
        self.now = now
        self._rests: dict[Compiler, Rest] = {}
        self._lock = Lock()

    def of(self, compiler: Compiler) -> Rest:
        """The entries of one set of libraries."""
        with self._lock:
            rest = self._rests.get(compiler)
            if rest is None:
                rest = self._rests[compiler] = Rest(compiler, self.now)
            return rest


class Rest:
    """The entries at rest of one set of libraries, by define and the values of the parameters that it reaches."""

    def __init__(self, compiler: Compiler, now: DateTime) -> None:
        self._compiler = compiler
        self._now = now
        self._entries: dict[tuple[int, Hashable], Entry] = {}
        self._needs: dict[type, Needs] = {}  # by the kind of retriever
        self._lock = Lock()

    def needs(self, retriever: Indexed) -> Needs:
        """What the libraries ask for, as this kind of retriever looks it up."""
        found = self._needs.get(type(retriever))
        needs = self._compiler.needs
        if found is None or found.count != len(needs):
            found = self._needs[type(retriever)] = Needs(needs, retriever)
        return found

    def entry(self, ctx: Context, definition: Definition, key: Hashable) -> Entry | None:
        """The define's entry; None where it fails: a failure belongs to the evaluation that it happens in."""
        found = self._entries.get((definition.index, key))
        if found is None:
            with self._lock:
                found = self._evaluated(ctx, definition)
        return found if found.error is None else None

    def recall(self, ctx: Context, definition: Definition) -> Entry | None:
        """For the evaluation at rest itself: what has been evaluated before."""
        return self._entries.get((definition.index, _reach(definition).key(ctx.keys)))

    def keep(self, ctx: Context, definition: Definition, entry: Entry) -> None:
        """For the evaluation at rest itself."""
        if entry.error is not None:
            entry.error.with_traceback(None)
        self._entries[definition.index, _reach(definition).key(ctx.keys)] = entry

    def _evaluated(self, ctx: Context, definition: Definition) -> Entry:
        if len(self._entries) > _LIMIT:
            self._entries = {}
        compiler = self._compiler
        context = Context(
            retriever=_Nothing(),
            terminology=compiler.terminology,
            patient=None,
            parameters=list(ctx.parameters),
            now=self._now,
            size=len(ctx.memo),
            calls=[{} for _ in ctx.calls],
            retrieved={},
            locate=compiler.locate,
            keys=ctx.keys,
            shared=self,
        )
        return context.define(definition)


class _Nothing:
    """A record without resources."""

    def retrieve(self, *_: Any) -> Sequence[Mapping[str, Any]]:
        return ()


def _reach(definition: Definition) -> Reach:
    assert definition.reach is not None  # noqa: S101 - settled at load
    return definition.reach


def _same(one: Any, two: Any) -> bool:
    """Whether no expression can tell these two values apart; False where that isn't plain."""
    if one is two:
        return True
    kind = type(one)
    if kind is not type(two):
        return False
    if kind is list:
        return len(one) == len(two) and all(map(_same, one, two))
    if kind is Tuple:
        return list(one) == list(two) and all(map(_same, one.values(), two.values()))
    return kind in (str, bool, int, Date, DateTime, Time) and bool(one == two)


# --- Parameters ---


def parameter_keys(parameters: Sequence[Any]) -> list[Hashable]:
    """For each parameter a key that equal values have, and no others."""
    known: dict[int, Hashable] = {}
    keys = []
    for value in parameters:
        key = known.get(id(value))
        if key is None:
            key = known[id(value)] = _key(value)
        keys.append(key)
    return keys


def _key(value: Any) -> Hashable:
    kind = type(value)
    if value is UNSET:
        return "unset"
    if kind in (Date, DateTime, Time):
        return (kind.__name__, value.parts, getattr(value, "offset", None))
    if value is None or kind in (str, bool, int, float, Decimal):
        return f"{kind.__name__} {value!r}"  # 1, 1.0, 1.00, true and '1' differ
    if kind is list or kind is tuple:
        return (kind.__name__, *map(_key, value))
    if isinstance(value, Mapping):
        return (kind.__name__, *((name, _key(item)) for name, item in value.items()))
    if isinstance(value, _Value):
        slots = (slot for slot in kind.__slots__ if not slot.startswith("_"))
        return (kind.__name__, *(_key(getattr(value, slot)) for slot in slots))
    if isinstance(value, int):
        return f"{kind.__name__} {value!r}"  # Long
    return object()  # like no other
