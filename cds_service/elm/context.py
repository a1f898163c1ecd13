"""The state of one evaluation: memoised defines, the trace of what is read, parameters, the time, the two ports.

A Context lives for one `Library.evaluate` call and is never shared between threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cds_service.elm.ports import Retriever, Terminology
from cds_service.elm.temporal import DateTime
from cds_service.elm.trace import Entry, Retrieved, Trace
from cds_service.elm.values import Code
from cds_service.errors import EvaluationError

if TYPE_CHECKING:
    from cds_service.elm.compile import Definition

Env = list[Any]
Fn = Callable[["Context", Env], Any]
UNSET: Any = object()


class Context:
    """One evaluation's state. `offset` is the evaluation's offset from UTC in minutes, of `now`."""

    __slots__ = (
        "_locate",
        "calls",
        "memo",
        "now",
        "offset",
        "parameters",
        "patient",
        "retrieved",
        "retriever",
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
        memoised: int,
        locate: Callable[[Exception, Definition], EvaluationError],
    ) -> None:
        self.retriever = retriever
        self.terminology = terminology
        self.patient = patient
        self.parameters = parameters
        self.now = now
        self.offset = now.offset or 0
        self.memo: list[Entry | None] = [None] * size
        self.calls: list[dict[Any, Any]] = [{} for _ in range(memoised)]
        self.retrieved: dict[Any, Retrieved] = {}
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
