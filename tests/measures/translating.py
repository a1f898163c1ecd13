"""The official translator's ELM of published CQL, in several forms, kept in a cache folder by the texts' hash.

`OPTIONS` names the forms: what published ELM was made with differs (no result types, no signatures, date ranges in
retrieves). Errors: TranslationError, with the translator's findings.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from cds_service.errors import TranslationError
from cds_service.translation import translate
from tests.measures.content import Measure, Source, elm_source

CACHE = Path(os.environ.get("MEASURES_CACHE") or Path(__file__).resolve().parents[2] / ".tools" / "measures")
_LISTS = {"disable-list-demotion": "true", "disable-list-promotion": "true"}
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "plain": {**_LISTS, "annotations": "true", "locators": "true", "result-types": "false", "signatures": "None"},
    "typed": {**_LISTS, "annotations": "false", "locators": "true", "result-types": "true", "signatures": "All"},
    "ranges": {**_LISTS, "annotations": "false", "locators": "false", "result-types": "false", "signatures": "None", "date-range-optimization": "true"},
    "lists": {"annotations": "false", "locators": "true", "result-types": "false", "signatures": "Overloads"},
}  # fmt: skip


def elm_of(measure: Measure, url: str, form: str) -> list[Mapping[str, Any]]:
    """The ELM of a measure and of all it includes: as bundled, or translated in a form of OPTIONS."""
    if measure.main.elm is not None:
        return _with_helpers([_elm(source) for source in measure.sources])
    texts = {f"library-{number}.cql": source.cql or "" for number, source in enumerate(measure.sources)}
    options = OPTIONS[form]
    key = hashlib.sha256(json.dumps([texts, options], sort_keys=True).encode()).hexdigest()
    kept = CACHE / f"{key}.json"
    if kept.is_file():
        answer = json.loads(kept.read_bytes())
    else:
        try:
            made = translate(texts, url, options=options)
            answer = [made[name] for name in texts]
        except TranslationError as error:
            if "can't be reached" in str(error):
                raise
            answer = str(error)
        CACHE.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(answer), encoding="utf-8")
    if isinstance(answer, str):
        raise TranslationError(answer)
    return _with_helpers(answer)


def _elm(source: Source) -> Mapping[str, Any]:
    assert source.elm is not None
    return source.elm


def _with_helpers(libraries: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """FHIRHelpers 4.0.1 added where it is included and not given."""
    given = {library["library"]["identifier"]["id"] for library in libraries}
    wanted = {include for library in libraries for include in elm_source(library["library"], Path()).includes}
    if "FHIRHelpers" not in given and {("FHIRHelpers", None), ("FHIRHelpers", "4.0.1")} & wanted:
        helpers = json.loads((files("cds_service.trials") / "FHIRHelpers.elm.json").read_bytes())
        libraries = [*libraries, {"library": helpers["library"]}]
    return libraries
