"""Where each define and retrieve of an explanation stands in the printed tree: under its first reader, what decided
before the rest.

What found nothing is left out and remembered in `missed`; `full` leaves nothing out. Everything is iterated, so a
long chain of defines is no harm; nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cds_service.eligibility.explanation import ShownDefine, ShownRetrieve
from cds_service.eligibility.verdict import Evidence
from cds_service.rendering.value_words import nothing

Node = ShownDefine | ShownRetrieve


@dataclass(slots=True)
class Place:
    """A node in the printed tree: its name here, what stands below it, the defines it reads that stand elsewhere."""

    node: Node
    name: str = ""
    children: list[Place] = field(default_factory=list)
    sources: dict[str, ShownDefine] = field(default_factory=dict)


class Plan:
    """The printed tree of one explanation. `top`: its root; `missed`: the retrieves left out, which found nothing."""

    def __init__(self, root: ShownDefine, *, full: bool) -> None:
        self.missed: list[ShownRetrieve] = []
        self._full = full
        self._seen: set[int] = {id(root)}
        self.top = self._planned(root)
        if not full:
            self._prune()

    def sources(self, place: Place) -> Iterator[tuple[str, ShownDefine]]:
        """What a define reads that stands elsewhere in the tree, or is the Patient."""
        for name, source in place.sources.items():
            if id(source) in self._seen or self.is_patient(source):
                yield name, source

    def is_patient(self, node: Node) -> bool:
        """Whether it is a library's define of the Patient: named where it is read, and no more than that."""
        if self._full or not isinstance(node, ShownDefine):
            return False
        return isinstance(node.value, Evidence) and node.value.reference.partition("/")[0] == "Patient"

    def _planned(self, root: ShownDefine) -> Place:
        top = Place(root, root.define)
        missed: dict[int, ShownRetrieve] = {}
        pending = list(self._reads(top))
        while pending:
            parent, node = pending.pop()
            if id(node) in self._seen or self.is_patient(node):
                if isinstance(node, ShownDefine):
                    parent.sources[_name(node, parent.node)] = node
                continue
            if not self._is_shown(node):
                missed.update((id(each), each) for each in retrieves(node) if not each.found)
                continue
            self._seen.add(id(node))
            place = Place(node, _name(node, parent.node))
            parent.children.append(place)
            pending.extend(self._reads(place))
        self.missed += missed.values()
        return top

    def _reads(self, place: Place) -> Iterator[tuple[Place, Node]]:
        """What a define reads, the first last. A define that only hands on another's value becomes one with it."""
        node = place.node
        while isinstance(node, ShownDefine) and (only := self._handed_on(node)) is not None:
            self._seen.add(id(only))
            place.name += f" = {_name(only, node)}"
            place.node = node = only
        reads = node.reads if isinstance(node, ShownDefine) else ()
        ordered = reads if self._full else sorted(reads, key=_weight)
        return ((place, read) for read in reversed(ordered))

    def _handed_on(self, node: ShownDefine) -> ShownDefine | None:
        """The define whose value this one has and which is all that it reads."""
        if self._full or node.error is not None or len(node.reads) != 1:
            return None
        (only,) = node.reads
        if not isinstance(only, ShownDefine) or id(only) in self._seen or self.is_patient(only):
            return None
        return only if only.value == node.value else None

    def _is_shown(self, node: Node) -> bool:
        if self._full:
            return True
        if isinstance(node, ShownRetrieve):
            return bool(node.found) and not _all_patients(node)
        if node.error is not None or node.found:
            return True
        if not node.reads and not node.parameters:
            return False  # the same for every patient
        return not nothing(node.value) or _is_logic(node)

    def _prune(self) -> None:
        """Take out what came to nothing and has nothing to show below it, from the leaves up."""
        places = [self.top]
        for place in places:  # it grows
            places.extend(place.children)
        for place in reversed(places):
            place.children = [child for child in place.children if not self._is_empty(child)]

    def _is_empty(self, place: Place) -> bool:
        node = place.node
        if not isinstance(node, ShownDefine) or node.error is not None or place.children:
            return False
        empty = nothing(node.value) and not _is_logic(node)
        if empty:
            self._seen.discard(id(node))
        return empty


def retrieves(node: Node) -> Iterator[ShownRetrieve]:
    """Every retrieve of a node and below it, each once, in the order of first reading."""
    seen: set[int] = set()
    pending = [node]
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, ShownRetrieve):
            yield current
        else:
            pending.extend(reversed(current.reads))


def _weight(node: Node) -> int:
    """What decided comes first, then what was found."""
    if isinstance(node, ShownDefine):
        return 0 if node.decides else 1 if node.found else 2
    return 0 if any(item.decides for item in node.found) else 1 if node.found else 2


def _name(node: Node, reader: Node) -> str:
    """A define's name for a reader of the same library, or with its library's."""
    if not isinstance(node, ShownDefine):
        return ""
    same = isinstance(reader, ShownDefine) and reader.library == node.library
    return node.name if same else node.define


def _is_logic(node: ShownDefine) -> bool:
    """Whether it is a plain no on values that stand elsewhere, as `too old` is: then that is what decided."""
    return node.value is False and all(_all_patients(each) for each in retrieves(node))


def _all_patients(node: ShownRetrieve) -> bool:
    return node.resource_type == "Patient" and node.codes is None
