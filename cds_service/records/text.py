"""Condition, procedure and device texts on the bilingual lexicon (clinical specification §2.2, §2.9).

A match only ever makes a criterion unknown. It is *negated* when a guard ("nega", "no history of", "family
history") stands directly before it, with nothing but fillers and no punctuation between, or another
("negativo", "ruled out") directly after it, again without punctuation. One match that is not negated
outweighs any number that are.

Error policy: a lexicon of the wrong shape raises AuthoringError at load; no text raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.errors import AuthoringError
from cds_service.terminology.text import fold, normalise_text

_WORDS = re.compile(r"[^\W_]+")

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a text, folded; `broken[i]` says that punctuation stands between word i-1 and word i."""

    words: tuple[str, ...]
    broken: tuple[bool, ...]

    @classmethod
    def of(cls, text: str) -> _Words:
        folded = fold(text)
        words, broken, end = [], [], 0
        for match in _WORDS.finditer(folded):
            words.append(match.group())
            broken.append(len(words) > 1 and not folded[end : match.start()].isspace())
            end = match.end()
        return cls(tuple(words), tuple(broken))

    def stands(self, phrase: Phrase, at: int) -> bool:
        """Whether the phrase's words stand from `at` on."""
        if at < 0 or at + len(phrase) > len(self.words):
            return False
        for word, wanted in zip(self.words[at : at + len(phrase)], phrase, strict=True):
            if word != wanted and not (wanted[-1] == "*" and word.startswith(wanted[:-1])):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Matches:
    """The terms found in some texts: those that stand unguarded, and those of which every match is negated; with
    the phrases that matched, guarded or not."""

    found: frozenset[str]
    negated: frozenset[str]
    phrases: frozenset[str] = field(default=frozenset(), compare=False)


class Lexicon:
    """The terms with their guards, compiled; immutable. `data` has the shape of fhir_mappings/lexicon.json."""

    def __init__(self, data: Mapping[str, Any], *, file: str = "lexicon.json") -> None:
        try:
            self._before = _by_word(_phrases(data["guards_before"]), -1)
            self._fillers = _by_word(_phrases(data["fillers"]), -1)
            self._after = _by_word(_phrases(data["guards_after"]), 0)
            self._starts: dict[str, list[tuple[Phrase, str]]] = {}
            self._wild: list[tuple[Phrase, str]] = []
            self._whole: dict[str, set[str]] = {}
            self._unless: dict[str, tuple[Phrase, ...]] = {}
            self._instead_of: dict[str, frozenset[str]] = {}
            for code, term in data["terms"].items():
                self._add(code, term)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise AuthoringError(f"{file}: can't be read ({type(error).__name__}: {error})") from error

    def _add(self, code: str, term: Mapping[str, Any]) -> None:
        for phrase in _phrases(term["phrases"]):
            if phrase[0].endswith("*"):
                self._wild.append((phrase, code))
            else:
                self._starts.setdefault(phrase[0], []).append((phrase, code))
        for text in term.get("whole", ()):
            self._whole.setdefault(text, set()).add(code)
        self._unless[code] = _phrases(term.get("unless", ()))
        self._instead_of[code] = frozenset(term.get("instead_of", ()))

    def read(self, texts: Iterable[str]) -> Matches:
        """The terms in all these texts together."""
        found: set[str] = set()
        negated: set[str] = set()
        phrases: set[str] = set()
        for text in texts:
            found |= self._whole.get(text.strip(), set())
            words = _Words.of(text)
            for at, word in enumerate(words.words):
                for phrase, code in (*self._starts.get(word, ()), *self._wild):
                    if not words.stands(phrase, at) or self._covered(words, code, at, len(phrase)):
                        continue
                    phrases.add(" ".join(phrase))
                    if self._guarded(words, at, at + len(phrase)):
                        negated.add(code)
                    else:
                        found.add(code)
        for code in tuple(found):
            found -= self._instead_of[code]
            negated -= self._instead_of[code]
        return Matches(frozenset(found), frozenset(negated - found), frozenset(phrases))

    def _covered(self, words: _Words, code: str, at: int, length: int) -> bool:
        """Whether the match is part of a phrase that means something else ("Wolff Parkinson White")."""
        return any(
            words.stands(phrase, start)
            for phrase in self._unless[code]
            for start in range(at + length - len(phrase), at + 1)
        )

    def _guarded(self, words: _Words, start: int, end: int) -> bool:
        if (
            end < len(words.words)
            and not words.broken[end]
            and any(words.stands(guard, end) for guard in self._after.get(words.words[end], ()))
        ):
            return True
        pending, seen = [start], {start}
        while pending:
            at = pending.pop()
            if at == 0 or words.broken[at]:
                continue
            last = words.words[at - 1]
            if any(words.stands(guard, at - len(guard)) for guard in self._before.get(last, ())):
                return True
            for filler in self._fillers.get(last, ()):
                before = at - len(filler)
                if (
                    before not in seen
                    and words.stands(filler, before)
                    and not any(words.broken[before + 1 : at])
                ):
                    seen.add(before)
                    pending.append(before)
        return False


def _by_word(phrases: Iterable[Phrase], position: int) -> dict[str, tuple[Phrase, ...]]:
    """The phrases by their first (0) or last (-1) word, which must be a whole one."""
    found: dict[str, tuple[Phrase, ...]] = {}
    for phrase in phrases:
        if phrase[position].endswith("*"):
            raise ValueError(f"{' '.join(phrase)!r} has an open word where a whole one is needed")
        found[phrase[position]] = (*found.get(phrase[position], ()), phrase)
    return found


def _phrases(texts: Iterable[str]) -> tuple[Phrase, ...]:
    found = []
    for text in texts:
        words = tuple(text.split(" "))
        if not all(word == normalise_text(word) or word[-1:] == "*" for word in words) or "" in words:
            raise ValueError(f"{text!r} is not in normalised form")
        found.append(words)
    return tuple(found)
