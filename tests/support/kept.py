"""What a process holds: every text, number and date that can be reached from any living object."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any


def texts_that_hold(*marks: str) -> set[tuple[str, str]]:
    """(a text that holds one of the marks, the kind of object that refers to it) of all that is alive.

    The marks themselves, as the very objects, don't count.
    """
    gc.collect()
    return set(_found(marks, [mark.encode() for mark in marks]))


def _found(marks: tuple[str, ...], data: list[bytes]) -> Iterator[tuple[str, str]]:
    own = {id(each) for each in (*marks, *data)}
    seen: set[int] = set()
    # Containers of nothing but texts are not tracked by the collector: they are reached from what refers to them.
    pending: list[Any] = [each for each in gc.get_objects() if each is not seen]
    while pending:
        holder = pending.pop()
        if id(holder) in seen or holder is pending:
            continue
        seen.add(id(holder))
        for each in gc.get_referents(holder):
            if type(each) is str:
                if id(each) not in own and any(mark in each for mark in marks):
                    yield each, _kind(holder)
            elif isinstance(each, (bytes, bytearray)):
                if id(each) not in own and any(mark in each for mark in data):
                    yield repr(bytes(each[:200])), _kind(holder)
            elif id(each) not in seen and each is not seen and not gc.is_tracked(each):
                pending.append(each)


def _kind(holder: Any) -> str:
    kind = type(holder)
    keys = list(holder)[:4] if kind is dict else ""
    return f"{kind.__module__}.{kind.__qualname__} {keys} {getattr(holder, '__qualname__', '')}"
