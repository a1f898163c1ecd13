"""Writes the body of one define or function as the statements of one Python function.

A part of an expression that can't be written (its node type has no emitter, or it stands too deep) is called as
the closure that it also is; whatever slots that closure reads then live in the frame `env` and not in local
variables. Never raises for a body that it can't write: `assemble` gives None, and the closures stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from cds_service.elm.context import UNSET

if TYPE_CHECKING:
    from cds_service.elm.compile import Expr, Place

# Python's parser takes 100 levels of indentation, and 20 of loops.
_DEEPEST, _LOOPS = 80, 15
_SLOT = re.compile(r"\bs(\d+)\b")
_LITERALS = (None, True, False)


Emit = Callable[["Writer"], str]


class Generated(NamedTuple):
    """A function made from source text, and where in the ELM each of its lines comes from."""

    function: Callable[..., Any]
    code: CodeType
    places: tuple[Place | None, ...]
    framed: bool


class Writer:
    """The statements of one function, as they are written.

    Emitters write lines and give back an *atom*: the name of a local variable, a slot or a constant, which can be
    read any number of times. Text holds only names made here and whole numbers; every value reaches the function
    through its namespace.
    """

    def __init__(self, number: Callable[[], int]) -> None:
        self._number = number  # gives each value that is computed once per evaluation a number of its own
        self.names: dict[str, Any] = {
            "__builtins__": {},
            "UNSET": UNSET,
            "id": id,
            "type": type,
            "list": list,
        }
        self.boxed: set[int] = set()
        self.framed = False
        self._everything_boxed = False
        self._numbers: dict[int, str] = {}
        self._lines: list[str] = []
        self._places: list[Place | None] = []
        self._place: Place | None = None
        self._depth = 1
        self._loops = 0
        self._temporaries = 0
        self._sure: set[str] = set()
        self._known: list[dict[str, str]] = [{}]  # by block, from the outside in
        self._within_fixed = False

    # --- What emitters use ---

    def value(self, expr: Expr) -> str:
        """Write an expression; the atom that holds its value."""
        if expr.constant:
            return self.constant(expr.value())
        if expr.emit is None or self._depth > _DEEPEST or self._loops > _LOOPS:
            return self._called(expr)
        outer = self._place
        self._place = expr.place or outer
        try:
            if expr.fixed and expr.cost > 1 and not self._within_fixed:
                return self._once(expr.emit)
            return expr.emit(self)
        finally:
            self._place = outer

    def line(self, text: str) -> None:
        """Write one statement."""
        self._lines.append(" " * self._depth + text)
        self._places.append(self._place)

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Write a compound statement around what is written within."""
        self.line(header)
        self._depth += 1
        self._known.append({})
        try:
            yield
        finally:
            self._known.pop()
            self._depth -= 1

    @contextmanager
    def loop(self, slot: int, rows: str) -> Iterator[None]:
        """Write a loop that puts each row into a slot."""
        self._loops += 1
        try:
            with self.block(f"for {self.slot(slot)} in {rows}:"):
                yield
        finally:
            self._loops -= 1

    def set(self, text: str, *, sure: bool = False) -> str:
        """Write `name = text`; the name. `sure`: it is true or false, never null."""
        name = self.temporary()
        self.line(f"{name} = {text}")
        if sure:
            self._sure.add(name)
        return name

    def known(self, text: str, *, sure: bool = False) -> str:
        """As `set`, of a text that always gives the same: where it stands above already, that name."""
        name = self.recall(text)
        return self.note(text, self.set(text, sure=sure)) if name is None else name

    def recall(self, what: str) -> str | None:
        """The variable that holds something already, wherever the statement being written is reached."""
        for block in reversed(self._known):
            if what in block:
                return block[what]
        return None

    def note(self, what: str, name: str) -> str:
        """Note what a variable holds until the end of the block; the variable, which is not set again."""
        self._known[-1][what] = name
        return name

    def ensure(self, name: str) -> str:
        """Note that a variable is true or false, never null."""
        self._sure.add(name)
        return name

    def is_sure(self, atom: str) -> bool:
        """Whether an atom is known to be true or false, never null."""
        return atom in self._sure or atom in ("True", "False")

    def holds(self, expr: Expr) -> str:
        """Write an expression; the Python condition that it is true."""
        atom = self.value(expr)
        return atom if self.is_sure(atom) else f"{atom} is True"

    def temporary(self) -> str:
        """A new local variable."""
        self._temporaries += 1
        return f"t{self._temporaries}"

    def slot(self, index: int) -> str:
        """A slot of the define's or function's frame."""
        return f"s{index}"

    def constant(self, value: Any) -> str:
        """A name for a value."""
        if any(value is literal for literal in _LITERALS):
            return str(value)
        name = self._numbers.get(id(value))
        if name is None:
            name = self._numbers[id(value)] = f"k{len(self._numbers)}"
            self.names[name] = value  # which keeps it, so that its id stays its own
        return name

    def frame(self) -> str:
        """The frame, for a closure of which is not known what it reads: every slot lives in it."""
        self._everything_boxed = self.framed = True
        return "env"

    def _once(self, emit: Emit) -> str:
        """A value that is the same throughout an evaluation."""
        number = self._number()
        value = self.set(f"ctx.once.get({number}, UNSET)")
        self._within_fixed = True
        try:
            with self.block(f"if {value} is UNSET:"):
                self.line(f"{value} = ctx.once[{number}] = {emit(self)}")
        finally:
            self._within_fixed = False
        return value

    # --- What can't be written ---

    def _called(self, expr: Expr) -> str:
        if expr.touches is None:
            return self.set(f"{self.constant(expr.fn)}(ctx, {self.frame()})")
        if expr.cost == 1 and not expr.touches:
            return self.set(f"{self.constant(expr.fn)}(ctx, None)")
        self.boxed |= expr.touches
        self.framed = True
        return self.set(f"{self.constant(expr.fn)}(ctx, env)")

    # --- The function ---

    def assemble(
        self, name: str, parameters: Sequence[int], size: int, result: str, *, define: bool
    ) -> Generated:
        """The function whose last statement returns `result`.

        A define's function is called with (context, frame), a function's with (context, *operands).
        """
        self.line(f"return {result}")
        text = "\n".join(self._lines)
        arguments = [self.slot(index) for index in parameters]
        head = f"def generated({', '.join(['ctx', 'env'] if define else ['ctx', *arguments])}):"
        places: list[Place | None] = [None, *self._places]
        if self.framed:
            text = _SLOT.sub(self._box, text)
            if not define:
                frame = [*arguments, *["None"] * (size - len(arguments))]
                head += f"\n env = [{', '.join(frame)}]"
                places.insert(1, None)
        # The text is this module's: names that it made and whole numbers, nothing of the ELM.
        whole = compile(f"{head}\n{text}\n", "<generated from ELM>", "exec", dont_inherit=True)
        scope: dict[str, Any] = self.names
        exec(whole, scope)  # noqa: S102 - see above
        function = scope.pop("generated")
        function.__code__ = function.__code__.replace(co_name=name)  # what a profile shows
        return Generated(function, function.__code__, tuple(places), self.framed)

    def _box(self, match: re.Match[str]) -> str:
        index = match[1]
        return f"env[{index}]" if self._everything_boxed or int(index) in self.boxed else match[0]
