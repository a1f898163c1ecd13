"""The narrative of a resource (`text.div`) as plain texts, for resources that say in no other way what they are of.

Texts of different blocks (cells, paragraphs, list items) stay apart, so that a denial in one doesn't reach into the
next. Only the tags of the XHTML are taken off, in time linear to its length; nothing raises, however broken it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any, Final

_TAG: Final = re.compile(r"</?+([A-Za-z][A-Za-z0-9]*+)?+[^<>]*+>")
_INLINE: Final = frozenset(
    {"a", "abbr", "b", "big", "em", "i", "small", "span", "strong", "sub", "sup", "tt", "u"}
)
_MAX_LENGTH: Final = 20_000
_BLOCK: Final = "\x1e"  # no character of XML: it stands in no narrative


def narrative(resource: Mapping[str, Any]) -> list[str]:
    """The texts of a resource's narrative, block by block; none where there is none."""
    text = resource.get("text")
    div = text.get("div") if isinstance(text, dict) else None
    if not isinstance(div, str):
        return []
    marked = _TAG.sub(lambda tag: "" if (tag[1] or "").lower() in _INLINE else _BLOCK, div[:_MAX_LENGTH])
    blocks = html.unescape(marked).split(_BLOCK)
    return [words for block in blocks if (words := " ".join(block.split()))]
