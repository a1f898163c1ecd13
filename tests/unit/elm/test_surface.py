"""The public surface of the engine, and its documentation, which is executed."""

from __future__ import annotations

import inspect
import re
from importlib.resources import files
from pathlib import Path

import pytest

from cds_service import elm
from cds_service.elm import Library, Retriever, Terminology, load_library, sources
from cds_service.elm.compile import MAX_DEPTH, MAX_HEIGHT

DOCUMENT = Path(__file__).parents[3] / "docs" / "engine.md"
PUBLIC = [
    "Alike", "AtRest", "BundleRetriever", "Code", "CodeSystem", "Concept", "Date", "DateTime", "ExplainedRetrieve",
    "Explanation", "FoundResource", "Indexed", "Interval", "Library", "LibrarySet", "Long", "Quantity", "Ratio", "Result", "RetrieveNeed",
    "Retriever", "RetrieverOfAll", "Session", "Terminology", "Time", "ValueSet", "ValueSetExpansions", "load_library",
]  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert sorted(elm.__all__) == PUBLIC
    assert all(getattr(elm, name).__doc__ for name in PUBLIC)


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (load_library, "sources, *, main, terminology"),
        (Library.evaluate, "self, defines, *, parameters"),
        (Library.retrieves, "self, define"),
        (Retriever.retrieve, "self, resource_type, code_path, codes, value_set"),
        (Terminology.has_value_set, "self, url"),
        (Terminology.in_value_set, "self, system, code, url"),
        (Terminology.expand, "self, url"),
        (elm.BundleRetriever, "data, terminology=None"),
        (elm.ValueSetExpansions, "value_sets=()"),
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
def test_the_signatures_are_these(function: object, parameters: str) -> None:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    found = str(inspect.Signature(plain))[1:-1]
    # Additions are keyword-only and have a default.
    assert re.sub(r"(, \*)?(, \w+=[^,]+)+$", "", found) == re.sub(r"(, \w+=[^,]+)+$", "", parameters)


def test_the_package_says_that_it_is_typed() -> None:
    assert (files("cds_service") / "py.typed").is_file()


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)


def test_the_documents_code_runs() -> None:
    first, *rest = blocks()
    assert len(first.strip().splitlines()) <= 22
    names: dict[str, object] = {}
    for number, block in enumerate([first, *rest]):
        exec(compile(block, f"engine.md, block {number + 1}", "exec"), names)
    assert rest


def test_the_document_states_the_limits_that_are_in_force() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert f"{sources.MAX_BYTES >> 20} MB; {sources.MAX_LEVELS:,} levels" in text
    assert f"{MAX_DEPTH} nodes" in text
    assert f"{MAX_HEIGHT} nodes in all" in text


def test_every_name_of_the_values_is_documented() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [name for name in PUBLIC if name not in text] == ["RetrieveNeed"]
