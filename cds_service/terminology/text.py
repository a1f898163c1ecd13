"""Normalised text: the one form in which result texts, unit texts and condition texts are compared. Pure, no errors."""

from __future__ import annotations

import re
import unicodedata

_SEPARATORS = re.compile(r"[\W_]+")
_SPACES_AND_DOTS = re.compile(r"[\s.]+")


def fold(text: str) -> str:
    """Lower case, NFKD, without accents (clinical specification §2.2); punctuation and blanks stay as they are."""
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


def normalise_text(text: str) -> str:
    """`fold`, then each run of punctuation and blanks becomes one space: "Não-reagente " gives "nao
    reagente".
    """
    return _SEPARATORS.sub(" ", fold(text)).strip()


def unit_key(text: str) -> str:
    """A unit text as the ConceptMap `units-to-ucum` has it: folded, without blanks and dots."""
    return _SPACES_AND_DOTS.sub("", fold(text))
