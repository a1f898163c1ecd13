"""From ELM nodes to Python closures, and from these to one Python function per definition, once, at load.

Each node type has a builder in `operators/`; a builder compiles its operands through the `Scope` it is given
and returns a closure `fn(context, env)`, where `env` is the list of the define's or function's local slots
(aliases, lets, operands). What can't be compiled raises AuthoringError naming library, define, node type,
localId and locator. A failure at run time is traced back to its node afterwards (`Compiler.locate`), so that
running closures carries no cost for it.

A builder may give an emitter with its closure, which writes the same computation as Python statements. Of a body's
statements a function is made (`codegen`); what has no emitter is called there as the closure that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import CodeType, TracebackType
from typing import Any, NamedTuple, NoReturn, TypeVar

from cds_service.elm import fhir_model
from cds_service.elm.codegen import references
from cds_service.elm.codegen.writer import Emit, Writer
from cds_service.elm.context import UNSET, Context, Env, Fn
from cds_service.elm.inference import inferred
from cds_service.elm.ports import Terminology
from cds_service.elm.reach import Reach
from cds_service.elm.reading import Unit
from cds_service.elm.types import ChoiceOf, StaticType, result_type
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


_Placed = TypeVar("_Placed", AuthoringError, EvaluationError)


class Place(NamedTuple):
    """Where in the ELM something stands."""

    library: str
    define: str
    node_type: str
    local_id: str | None
    locator: str | None

    @classmethod
    def of(cls, library: str, define: str, node: Any, node_type: str | None = None) -> Place:
        """The place of a node, whatever it is."""
        node = node if isinstance(node, Mapping) else {}
        local_id, locator = node.get("localId"), node.get("locator")
        return cls(
            library,
            define,
            node_type or str(node.get("type") or "?"),
            None if local_id is None else str(local_id),
            None if locator is None else str(locator),
        )

    def error(self, kind: type[_Placed], message: str) -> _Placed:
        """The error of something wrong here."""
        return kind(
            f"{message} ({self})",
            library=self.library,
            define=self.define,
            node_type=self.node_type,
            local_id=self.local_id,
            locator=self.locator,
        )

    def __str__(self) -> str:
        text = f'library {self.library}, define "{self.define}", {self.node_type}'
        if self.local_id:
            text += f", localId {self.local_id}"
        return f"{text}, at {self.locator}" if self.locator else text


NO_CONTEXT: Any = None  # what a constant's closure is called with at load


@dataclass(slots=True)
class Expr:
    """A compiled expression. `reads`: the env slots that its value depends on; `constant`: it has one value for
    ever; `cost`: how many nodes it has, those of the functions that it calls included.

    `emit` writes the same computation as Python statements (see `codegen`), None where only the closure is there;
    `touches`: every slot of the frame that the closure uses (None: not known); `place`: its node's; `fixed`: it has
    one value throughout an evaluation, of parameters and the time at most."""

    fn: Fn
    type: StaticType = None
    constant: bool = False
    reads: frozenset[int] = frozenset()
    cost: int = 1
    emit: Emit | None = None
    touches: frozenset[int] | None = None
    place: Place | None = None
    fixed: bool = False

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


def local_expr(index: int, kind: StaticType = None) -> Expr:
    """An expression that reads a slot."""
    return Expr(local(index), kind, emit=references.local(index))


def slot_of(fn: Fn) -> int | None:
    """The slot that a closure reads, None for any other closure."""
    found: int | None = getattr(fn, "slot", None)
    return found


@dataclass(eq=False, slots=True)
class Definition:
    """A define or function of a library, compiled.

    `height`: how many levels of nodes its evaluation may be deep, through what it refers to; `first`: the defines
    that are evaluated before it, in this order, so that a long chain of defines isn't; `pure`: it reads nothing but
    its operands (and parameters), no retrieve and no define.
    """

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
    parameters: dict[int, None] = field(default_factory=dict)
    state: str = "new"
    cost: int = 0
    memo: int = -1
    height: int = 0
    first: tuple[Definition, ...] = ()
    pure: bool = True  # until compiled: an overload that nobody calls disturbs nobody
    direct: Callable[..., Any] | None = None  # the function made from its body: (context, *operands)
    reach: Reach | None = None


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
    cells: set[int] = field(default_factory=set)
    cost: int = 1
    depth: int = 0
    varies: bool = False
    types: dict[int, StaticType] = field(default_factory=dict)  # of its operands, by the node's identity


# Whether the bodies of defines and functions become Python functions; else they run as closures (for tests).
GENERATES = True

# How deep the nodes of one define or function may be nested. Compiling takes about three Python frames a level
# and evaluating one or two, of the thousand that Python allows a thread.
MAX_DEPTH = 200
# How deep an evaluation may go through functions. A define from which on it goes deeper than `_STAGE` is evaluated
# before those that refer to it.
MAX_HEIGHT, _STAGE = 400, 150
TOO_DEEP = f"the expression is nested more than {MAX_DEPTH} levels deep; make defines of its parts"
# What a builder raises on ELM that has not the expected shape.
MALFORMED = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)

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
        made = []  # a loop, not a comprehension: of the frames that a nested expression takes, these are the most
        for child in operand if isinstance(operand, list) else [operand]:
            made.append(self.compiler.expr(self, child))
        return made

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
        raise self.place(node).error(AuthoringError, message) from None

    def place(self, node: Node) -> Place:
        """Where a node stands."""
        return Place.of(self.unit.name, self.owner.name, node)


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
        self.ordered: set[tuple[str, str]] = (
            set()
        )  # by library and name: compiled by an earlier load, with what they need
        self.defaults: dict[int, Any] = {}  # parameters' defaults, by slot, where they are known at load
        self._builders: Mapping[str, Builder] = BUILDERS
        self._known: dict[tuple[str, str], Definition] = {}
        self._functions: dict[tuple[str, str], list[Definition]] = {}
        self._places: dict[CodeType, list[tuple[Any, Place]]] = {}
        # By the identity of what is made: two libraries' defines of one text have equal code. It is kept with them.
        self._lines: dict[int, tuple[CodeType, tuple[Place | None, ...]]] = {}
        self._onces = 0
        self.memoised = 0  # functions whose calls are remembered during an evaluation
        self._needs: dict[RetrieveNeed, int] = {}
        self._open: list[_Open] = [_Open()]

    def number_of(self, need: RetrieveNeed) -> int:
        """A number of its own for what a retrieve asks for: hashing its codes again at each call would cost more.

        It is below zero, since the defines' numbers are not: both are keys of one trace.
        """
        return self._needs.setdefault(need, -1 - len(self._needs))

    @property
    def needed(self) -> int:
        """How many retrieves have been numbered."""
        return len(self._needs)

    @property
    def needs(self) -> list[RetrieveNeed]:
        """What has been numbered, -1 first."""
        return list(self._needs)

    # --- Expressions ---

    def expr(self, scope: Scope, node: Node | None) -> Expr:
        """Compile a node in a scope."""
        if node is None:
            scope.fail({"type": "(nothing)"}, "an operand is missing")
        if not isinstance(node, Mapping):
            scope.fail(node, f"the ELM is malformed: an expression is expected, not a {type(node).__name__}")
        kind = node.get("type")
        builder = self._builders.get(kind) if isinstance(kind, str) else None
        if builder is None:
            scope.fail(node, f"ELM node type {kind!r} is not supported")
        if len(self._open) > MAX_DEPTH:
            scope.fail(node, TOO_DEEP)
        opened = _Open()
        self._open.append(opened)
        try:
            made = builder(scope, node)
        except RecursionError:
            scope.fail(node, TOO_DEEP)
        except MALFORMED as error:
            scope.fail(node, malformed(error))
        finally:
            self._open.pop()
        result = made if isinstance(made, Expr) else Expr(made)
        result.type = result_type(node) or inferred(node, opened.types, result.type)
        self._open[-1].types[id(node)] = result.type
        result.reads = frozenset(opened.reads)
        result.cost = opened.cost
        result.touches = result.reads | opened.cells
        result.place = scope.place(node)
        self._open[-1].reads |= opened.reads
        self._open[-1].cells |= opened.cells
        self._open[-1].cost += opened.cost
        self._open[-1].varies |= opened.varies
        result.fixed = not (opened.varies or result.reads or result.constant)
        self._open[-1].depth = max(self._open[-1].depth, opened.depth + 1)
        code = getattr(result.fn, "__code__", None)
        if code is not None:
            self._places.setdefault(code, []).append((result.fn, result.place))
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
        inner = replace(result)
        fn = result.fn

        def run_kept(ctx: Context, env: Env) -> Any:
            value = env[cell]
            if value is UNSET:
                value = env[cell] = fn(ctx, env)
            return value

        result.fn = run_kept
        if not result.fixed:
            result.emit = references.kept(cell, inner)
        result.touches = (result.touches or frozenset()) | {cell}
        self._open[-1].cells.add(cell)

    def uses(self, cell: int) -> None:
        """Note that the closure of the expression being compiled keeps a value in a slot of the frame."""
        self._open[-1].cells.add(cell)

    def weigh(self, cost: int) -> None:
        """Note that the expression being compiled costs as much as this many nodes more."""
        self._open[-1].cost += cost

    def varies(self) -> None:
        """Note that the expression being compiled reads the record, or has an effect of its own."""
        self._open[-1].varies = True

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
                try:
                    operands = tuple(operand_type(operand) for operand in node.get("operand") or ())
                    if missing := fhir_model.unknown(ChoiceOf(operands)):
                        raise ValueError(f"there is no type {missing}")
                    found.append(Definition(name, unit, node, operands=operands, type=result_type(node)))
                except MALFORMED as error:
                    raise Place.of(unit.name, name, node).error(AuthoringError, malformed(error)) from None
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
        outer, self._open = self._open, [_Open()]  # the body's slots are its own frame's, its depth its own
        try:
            names = {}
            for operand, kind in zip(node.get("operand") or (), definition.operands, strict=True):
                names[operand["name"]] = scope.slot(kind)
            body = scope.with_names(names).expr(node["expression"])
            definition.type = result_type(node) or body.type
            depth = self._open[0].depth
        except RecursionError:
            scope.fail(node, TOO_DEEP)
        except MALFORMED as error:
            scope.fail(node, malformed(error))
        finally:
            self._open = outer
        definition.cost = body.cost
        definition.fn = body.fn
        self._measure(scope, definition, depth)
        if GENERATES:
            self._generate(definition, body)
        definition.state = "done"

    def _measure(self, scope: Scope, definition: Definition, depth: int) -> None:
        """How deep the evaluation goes, and what must therefore be evaluated before it."""
        below, first = 0, {}
        for ref in definition.refs:
            first.update(dict.fromkeys(ref.first))
            if ref.index >= 0 and ref.height > _STAGE:
                first[ref] = None
            else:
                below = max(below, ref.height)
        definition.height = depth + below
        definition.pure = not definition.needs and all(ref.index < 0 and ref.pure for ref in definition.refs)
        if definition.height > MAX_HEIGHT:
            what = f"with the functions that it calls it nests more than {MAX_HEIGHT} levels deep"
            scope.fail(definition.node, f"{what}; make defines of its parts")
        # Most have none, and in a chain they are the same for many.
        known = next((ref.first for ref in definition.refs if len(ref.first) == len(first)), None)
        definition.first = tuple(first) if known is None else known

    def next_once(self) -> int:
        """A number in `Context.once` that nothing else has."""
        self._onces += 1
        return self._onces

    def _generate(self, definition: Definition, body: Expr) -> None:
        """Make one Python function of a definition's body; where that can't be done, the closures stay."""
        writer = Writer(self.next_once)
        count = len(definition.operands)
        is_define = definition.index >= 0
        try:
            made = writer.assemble(
                definition.name,
                range(count),
                definition.frame_size,
                writer.value(body),
                define=is_define,
            )
        except (RecursionError, MemoryError, SyntaxError):
            return  # nested too deeply for Python's own compiler
        self._lines[id(made.code)] = made.code, made.places
        function = made.function
        if is_define:
            definition.fn = function
            return
        definition.direct = function
        definition.fn = lambda ctx, env: function(ctx, *env[:count])

    def forget_unfinished(self) -> None:
        """After a load that was refused: what stood half compiled will be compiled anew, or refused again."""
        self._open = [_Open()]
        known = [*self._known.values(), *(d for found in self._functions.values() for d in found)]
        for definition in known:
            if definition.state == "open":
                definition.state, definition.frame_size = "new", 0
                definition.needs, definition.refs, definition.parameters = {}, {}, {}

    # --- Run-time failures ---

    def locate(self, error: Exception, definition: Definition) -> EvaluationError:
        """The EvaluationError of an exception: what happened, and at which node."""
        place = Place.of(definition.unit.name, definition.name, definition.node, "define")
        trace = error.__traceback__
        while trace is not None:
            place = self._place(trace) or place
            trace = trace.tb_next
        if isinstance(error, RecursionError):
            what = "the expression is nested too deeply"
        elif isinstance(error, (TypeError, AttributeError, KeyError, IndexError)):
            what = f"the data has not the shape that the expression expects ({type(error).__name__})"
        elif isinstance(error, DataError):
            what = str(error)
        elif isinstance(error, ArithmeticError):
            what = f"the arithmetic has no result ({type(error).__name__})"
        elif isinstance(error, MemoryError):
            what = "the memory does not suffice"
        else:
            what = f"it could not be computed ({type(error).__name__})"
        return place.error(EvaluationError, what)

    def _place(self, trace: TracebackType) -> Place | None:
        frame = trace.tb_frame
        lines = self._lines.get(id(frame.f_code))
        if lines is not None:
            return lines[1][trace.tb_lineno - 1]
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


def malformed(error: Exception) -> str:
    """What an exception of a builder says of the ELM."""
    if isinstance(error, KeyError):
        what = f"{error} is missing or unknown"
    elif isinstance(error, ValueError):
        what = "a wrong number of operands" if "unpack" in str(error) or "zip" in str(error) else str(error)
    else:
        what = f"a part of the node is not of the kind expected here ({type(error).__name__}: {error})"
    return f"the ELM is malformed: {what}"


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
