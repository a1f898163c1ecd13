"""The state of one evaluation: memoised defines, the trace of what is read, parameters, the time, the two ports.

A Context lives for one `Library.evaluate` call and is never shared between threads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from cds_service.elm.ports import Alike, Retriever, Terminology
from cds_service.elm.temporal import DateTime
from cds_service.elm.trace import Entry, Retrieved, Trace
from cds_service.elm.values import Code
from cds_service.errors import EvaluationError

if TYPE_CHECKING:
    from cds_service.elm.compile import Definition

Env = list[Any]
Fn = Callable[["Context", Env], Any]
UNSET: Any = object()


class Kept(Protocol):
    """Entries of other evaluations that this one may take over."""

    def recall(self, ctx: Context, definition: Definition) -> Entry | None: ...

    def keep(self, ctx: Context, definition: Definition, entry: Entry) -> None: ...


class Context:
    """One evaluation's state. `offset` is the evaluation's offset from UTC in minutes, of `now`."""

    __slots__ = (
        "_locate",
        "alike",
        "calls",
        "keys",
        "memo",
        "moments",
        "now",
        "offset",
        "once",
        "parameters",
        "patient",
        "retrieved",
        "retriever",
        "shared",
        "terminology",
        "trace",
    )

    def __init__(
        self,
        *,
        retriever: Retriever,
        terminology: Terminology,
        patient: Mapping[str, Any] | None,
        parameters: list[Any],
        now: DateTime,
        size: int,
        calls: list[dict[Any, Any]],
        locate: Callable[[Exception, Definition], EvaluationError],
        retrieved: dict[Any, Retrieved] | None = None,
        keys: Sequence[Hashable] = (),
        shared: Kept | None = None,
        moments: dict[str, DateTime] | None = None,
    ) -> None:
        self.retriever = retriever
        self.alike: Mapping[int, int] = retriever.alike if isinstance(retriever, Alike) else {}
        self.terminology = terminology
        self.patient = patient
        self.parameters = parameters
        self.now = now
        self.offset = now.offset or 0
        self.memo: list[Entry | None] = [None] * size
        self.once: dict[int, Any] = {}  # what is the same throughout the evaluation, and joins' indexes
        self.calls = calls
        self.retrieved: dict[Any, Retrieved] = {} if retrieved is None else retrieved
        self.moments: dict[str, DateTime] = {} if moments is None else moments  # as read, by their text
        self.keys = keys
        self.shared = shared
        self.trace: Trace = {}
        self._locate = locate

    def define(self, definition: Definition) -> Entry:
        """The define's entry, evaluated at the first call."""
        entry = self.memo[definition.index]
        if entry is not None:
            return entry
        for before in definition.first:
            if self.memo[before.index] is None:
                self.define(before)
        if self.shared is not None:
            entry = self.shared.recall(self, definition)
            if entry is not None:
                self.memo[definition.index] = entry
                return entry
        entry = Entry(definition.name)
        outer = self.trace
        self.trace = entry.trace
        try:
            entry.value = definition.fn(self, [None] * definition.frame_size)
        except EvaluationError as error:
            entry.error = error
        except Exception as error:
            entry.error = self._locate(error, definition)
        finally:
            self.trace = outer
        self.memo[definition.index] = entry
        if self.shared is not None:
            self.shared.keep(self, definition, entry)
        return entry

    def retrieve(
        self,
        key: Any,
        resource_type: str,
        path: str | None,
        codes: Sequence[Code] | None,
        value_set: str | None,
    ) -> Sequence[Mapping[str, Any]]:
        """The resources of one retrieve; the port is asked once per evaluation and key."""
        found = self.retrieved.get(key)
        if found is None:
            if resource_type == "Patient" and path is None and self.patient is not None:
                resources: Sequence[Mapping[str, Any]] = [self.patient]
            else:
                resources = list(self.retriever.retrieve(resource_type, path, codes, value_set))
            self.retrieved[key] = found = Retrieved(resource_type, resources)
        self.trace[key] = found
        return found.resources
