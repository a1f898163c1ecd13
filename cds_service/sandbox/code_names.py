"""Words for the codes that a chart holds without any, from the value sets; a real EHR has its own
dictionary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cds_service.sandbox.vignettes import Vignette
from cds_service.terminology.systems import CANONICAL
from cds_service.terminology.value_sets import ValueSets, value_set_url


def code_names(vignettes: Sequence[Vignette], value_sets: ValueSets) -> dict[str, str]:
    """Display by `system|code`, for the codings in these vignettes that have none."""
    bare = {key for vignette in vignettes for key in _without_display(vignette.bundle)}
    names: dict[str, str] = {}
    for name in value_sets.names:
        for code in value_sets.expand(value_set_url(name)):
            key = f"{code.system}|{code.code}"
            if key in bare and code.display:
                names.setdefault(key, code.display)
    for key in bare - names.keys():
        system, _, code_itself = key.rpartition("|")
        if system.startswith(CANONICAL):  # the project's own codes are words already
            names[key] = code_itself.replace("-", " ").capitalize()
    return names


def _without_display(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "code" in value and "system" in value and "display" not in value:
            yield f"{value['system']}|{value['code']}"
        for item in value.values():
            yield from _without_display(item)
    elif isinstance(value, list):
        for item in value:
            yield from _without_display(item)
