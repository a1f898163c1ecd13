"""From ELM nodes to Python closures, once, at load.

Each node type has a builder in `operators/`; a builder compiles its operands through the `Scope` it is given
and returns a closure `fn(context, env)`, where `env` is the list of the define's or function's local slots
(aliases, lets, operands). What can't be compiled raises AuthoringError naming library, define, node type,
localId and locator. A failure at run time is traced back to its node afterwards (`Compiler.locate`), so that
running closures carries no cost for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CodeType, TracebackType
from typing import Any, NamedTuple, NoReturn

from cds_service.elm.context import UNSET, Context, Env, Fn
from cds_service.elm.inference import inferred
from cds_service.elm.ports import Terminology
from cds_service.elm.reading import Unit
from cds_service.elm.types import StaticType, result_type
from cds_service.elm.values import Code
from cds_service.errors import AuthoringError, EvaluationError

Node = Mapping[str, Any]


class RetrieveNeed(NamedTuple):
    """What a retrieve asks for. `codes` None and `value_set` None: all resources of the type (or codes not
    known at load)."""

    resource_type: str
    code_path: str | None
    codes: tuple[Code, ...] | None
    value_set: str | None


class Place(NamedTuple):
    """Where in the ELM something stands."""

    library: str
    define: str
    node_type: str
    local_id: str | None
    locator: str | None

    def __str__(self) -> str:
        text = f'library {self.library}, define "{self.define}", {self.node_type}'
        if self.local_id:
            text += f", localId {self.local_id}"
        return f"{text}, at {self.locator}" if self.locator else text


NO_CONTEXT: Any = None  # what a constant's closure is called with at load


@dataclass(slots=True)
class Expr:
    """A compiled expression. `reads`: the env slots that its value depends on; `constant`: it has one value for
    ever; `cost`: how many nodes it has."""

    fn: Fn
    type: StaticType = None
    constant: bool = False
    reads: frozenset[int] = frozenset()
    cost: int = 1

    def value(self) -> Any:
        """The value of a constant."""
        return self.fn(NO_CONTEXT, [])


def constant(value: Any, kind: StaticType = None) -> Expr:
    """An expression that is always this value."""
    return Expr(lambda ctx, env: value, kind, constant=True)


def local(index: int) -> Fn:
    """A closure that reads a slot; `slot_of` knows it again, so that what stands around it can read the slot itself."""

    def run_local(ctx: Context, env: Env) -> Any:
        return env[index]

    run_local.__dict__["slot"] = index
    return run_local


def slot_of(fn: Fn) -> int | None:
    """The slot that a closure reads, None for any other closure."""
    found: int | None = getattr(fn, "slot", None)
    return found


@dataclass(eq=False, slots=True)
class Definition:
    """A define or function of a library, compiled."""

    name: str
    unit: Unit
    node: Node
    index: int = -1
    fn: Fn = field(default=lambda ctx, env: None)
    type: StaticType = None
    frame_size: int = 0
    operands: tuple[StaticType, ...] = ()
    needs: dict[RetrieveNeed, None] = field(default_factory=dict)
    refs: dict[Definition, None] = field(default_factory=dict)
    state: str = "new"
    cost: int = 0
    memo: int = -1

    @property
    def pure(self) -> bool:
        """Whether it reads nothing but its operands (and parameters): no retrieve, no define."""
        return not self.needs and all(ref.index < 0 and ref.pure for ref in self.refs)


class Slot(NamedTuple):
    """A named local of a scope: its index in the frame."""

    at: int
    type: StaticType


@dataclass(slots=True)
class Loop:
    """A query being compiled: the slots that change from row to row, and the cells that keep what doesn't."""

    slots: set[int] = field(default_factory=set)
    cells: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """What is gathered of an expression while it is compiled."""

    reads: set[int] = field(default_factory=set)
    cost: int = 1
    types: dict[int, StaticType] = field(default_factory=dict)  # of its operands, by the node's identity


# From this many nodes on, what doesn't change from row to row is computed once per query.
_WORTH_KEEPING = 4


@dataclass(slots=True)
class Scope:
    """Where an expression stands: its library and define, the names that it sees, the slots of its frame."""

    compiler: Compiler
    unit: Unit
    owner: Definition
    names: Mapping[str, Slot] = field(default_factory=dict)
    row: Slot | None = None
    loops: tuple[Loop, ...] = ()

    def expr(self, node: Node | None) -> Expr:
        """Compile a node."""
        return self.compiler.expr(self, node)

    def fn(self, node: Node | None) -> Fn:
        """Compile a node to its closure."""
        return self.compiler.expr(self, node).fn

    def operands(self, node: Node) -> list[Expr]:
        """Compile a node's operands."""
        operand = node.get("operand")
        if operand is None:
            return []
        return [self.expr(child) for child in (operand if isinstance(operand, list) else [operand])]

    def slot(self, kind: StaticType) -> Slot:
        """A new local slot."""
        index = self.owner.frame_size
        self.owner.frame_size += 1
        return Slot(index, kind)

    def with_names(self, names: Mapping[str, Slot], row: Slot | None = None) -> Scope:
        """A scope that also sees these names."""
        return Scope(
            self.compiler, self.unit, self.owner, {**self.names, **names}, row or self.row, self.loops
        )

    def in_loop(self, loop: Loop) -> Scope:
        """A scope inside a query."""
        return Scope(self.compiler, self.unit, self.owner, self.names, self.row, (*self.loops, loop))

    def fail(self, node: Node, message: str) -> NoReturn:
        """Refuse the library, naming the place."""
        raise AuthoringError(f"{message} ({self.place(node)})")

    def place(self, node: Node) -> Place:
        """Where a node stands."""
        return Place(
            self.unit.name,
            self.owner.name,
            str(node.get("type") or "?"),
            node.get("localId"),
            node.get("locator"),
        )


Builder = Callable[[Scope, Node], Expr | Fn]


class Compiler:
    """Compiles the defines of a set of libraries; kept afterwards for locating run-time failures."""

    def __init__(self, units: Mapping[str, Unit], terminology: Terminology) -> None:
        from cds_service.elm.operators import BUILDERS  # the builders import this module

        self.units = units
        self.terminology = terminology
        self.definitions: list[Definition] = []
        self.parameters: list[Any] = []
        self.parameter_index: dict[tuple[str, str], int] = {}
        self._builders: Mapping[str, Builder] = BUILDERS
        self._known: dict[tuple[str, str], Definition] = {}
        self._functions: dict[tuple[str, str], list[Definition]] = {}
        self._places: dict[CodeType, list[tuple[Any, Place]]] = {}
        self.memoised = 0  # functions whose calls are remembered during an evaluation
        self._needs: dict[RetrieveNeed, int] = {}
        self._open: list[_Open] = [_Open()]

    def number_of(self, need: RetrieveNeed) -> int:
        """A number of its own for what a retrieve asks for: hashing its codes again at each call would cost more."""
        return self._needs.setdefault(need, len(self._needs))

    # --- Expressions ---

    def expr(self, scope: Scope, node: Node | None) -> Expr:
        """Compile a node in a scope."""
        if node is None:
            scope.fail({"type": "(nothing)"}, "an operand is missing")
        kind = node.get("type")
        builder = self._builders.get(kind) if isinstance(kind, str) else None
        if builder is None:
            scope.fail(node, f"ELM node type {kind!r} is not supported")
        opened = _Open()
        self._open.append(opened)
        try:
            made = builder(scope, node)
        except RecursionError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            scope.fail(node, f"the ELM is malformed: {type(error).__name__} {error}")
        finally:
            self._open.pop()
        result = made if isinstance(made, Expr) else Expr(made)
        result.type = result_type(node) or inferred(node, opened.types, result.type)
        self._open[-1].types[id(node)] = result.type
        result.reads = frozenset(opened.reads)
        result.cost = opened.cost
        self._open[-1].reads |= opened.reads
        self._open[-1].cost += opened.cost
        code = getattr(result.fn, "__code__", None)
        if code is not None:
            self._places.setdefault(code, []).append((result.fn, scope.place(node)))
        if scope.loops and result.cost >= _WORTH_KEEPING and not result.constant:
            self._keep(scope, result)
        return result

    def _keep(self, scope: Scope, result: Expr) -> None:
        """Make an expression that doesn't change within a query keep its value while the query runs."""
        loop = None
        for candidate in reversed(scope.loops):
            if candidate.slots & result.reads:
                break
            loop = candidate
        if loop is None:
            return
        cell = scope.slot(result.type).at
        loop.cells.append(cell)
        fn = result.fn

        def run_kept(ctx: Context, env: Env) -> Any:
            value = env[cell]
            if value is UNSET:
                value = env[cell] = fn(ctx, env)
            return value

        result.fn = run_kept

    def read(self, slot: Slot) -> None:
        """Note that the expression being compiled depends on a slot."""
        self._open[-1].reads.add(slot.at)

    def unbind(self, slots: list[Slot]) -> None:
        """Slots bound inside the expression being compiled: its value doesn't depend on them from outside."""
        self._open[-1].reads -= {slot.at for slot in slots}

    # --- Definitions ---

    def define(self, unit: Unit, name: str) -> Definition | None:
        """The compiled define of a library, None where there is none of that name."""
        node = unit.expressions.get(name)
        if node is None:
            return None
        definition = self._known.get((unit.key, name))
        if definition is None:
            definition = Definition(name, unit, node, index=len(self.definitions))
            self.definitions.append(definition)
            self._known[unit.key, name] = definition
        self._compile(definition)
        return definition

    def functions(self, unit: Unit, name: str) -> list[Definition]:
        """The functions of that name, not yet compiled."""
        found = self._functions.get((unit.key, name))
        if found is None:
            found = []
            for node in unit.functions.get(name, ()):
                operands = tuple(operand_type(operand) for operand in node.get("operand") or ())
                found.append(Definition(name, unit, node, operands=operands, type=result_type(node)))
            self._functions[unit.key, name] = found
        return found

    def function(self, definition: Definition) -> None:
        """Compile a function that is referred to."""
        self._compile(definition)

    def _compile(self, definition: Definition) -> None:
        if definition.state == "done":
            return
        scope = Scope(self, definition.unit, definition)
        node = definition.node
        if definition.state == "open":
            scope.fail(node, "the definition refers to itself; recursion is not allowed in CQL")
        definition.state = "open"
        if node.get("external") or not node.get("expression"):
            scope.fail(node, "the function or define has no body; external functions are not supported")
        names = {}
        for operand, kind in zip(node.get("operand") or (), definition.operands, strict=True):
            names[operand["name"]] = scope.slot(kind)
        self._open.append(_Open())  # the body's slots are its own frame's
        try:
            body = scope.with_names(names).expr(node["expression"])
        finally:
            self._open.pop()
        definition.cost = body.cost
        definition.fn = body.fn
        definition.type = result_type(node) or body.type
        definition.state = "done"

    # --- Run-time failures ---

    def locate(self, error: Exception, definition: Definition) -> EvaluationError:
        """The EvaluationError of an exception: what happened, and at which node."""
        place = Place(definition.unit.name, definition.name, "define", None, definition.node.get("locator"))
        trace = error.__traceback__
        while trace is not None:
            place = self._place(trace) or place
            trace = trace.tb_next
        if isinstance(error, RecursionError):
            what = "the expression is nested too deeply"
        elif isinstance(error, (TypeError, AttributeError, KeyError, IndexError)):
            what = f"the data has not the shape that the expression expects ({type(error).__name__})"
        else:
            what = f"{type(error).__name__}"
            if isinstance(error, DataError):
                what = str(error)
        return EvaluationError(
            f"{what} ({place})",
            library=place.library,
            define=place.define,
            local_id=place.local_id,
            locator=place.locator,
        )

    def _place(self, trace: TracebackType) -> Place | None:
        frame = trace.tb_frame
        candidates = self._places.get(frame.f_code)
        if not candidates:
            return None
        names = frame.f_code.co_freevars
        local = frame.f_locals
        for fn, place in candidates:
            cells = fn.__closure__ or ()
            if all(local.get(name) is cell.cell_contents for name, cell in zip(names, cells, strict=True)):
                return place
        return None


class DataError(Exception):
    """A value can't be used by an operator; the message holds no data."""


def operand_type(operand: Node) -> StaticType:
    """The declared type of a function's operand."""
    from cds_service.elm.types import named, specified

    if operand.get("operandTypeSpecifier"):
        return specified(operand["operandTypeSpecifier"])
    return named(operand["operandType"]) if operand.get("operandType") else result_type(operand)


__all__ = [
    "Builder",
    "Compiler",
    "DataError",
    "Definition",
    "Env",
    "Expr",
    "Fn",
    "Loop",
    "Place",
    "Scope",
    "Slot",
    "constant",
]
