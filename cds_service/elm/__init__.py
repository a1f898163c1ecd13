"""An execution engine for CQL: ELM compiled once, at load, to closures that run directly on FHIR R4 JSON.

    library = load_library([elm_bytes, helpers_bytes], main="Trial", terminology=terminology)
    now = DateTime.parse("2026-06-15T12:00:00-03:00")
    results = library.evaluate(["Age"], retriever=retriever, patient=patient, parameters={}, now=now)
    results["Age"].value
    for depth, node, again in results["Age"].explain().walk(): ...

It needs two small ports: a `Retriever` (the patient's resources) and a `Terminology` (value sets). For data at hand
these are `BundleRetriever` and `ValueSetExpansions`. It does no other I/O, reads no clock and never changes a
resource. What it can't execute stops the load with AuthoringError; a define that fails at run time has its
EvaluationError in its Result, and the others go on. docs/engine.md says more.

CQL values are Python's None, bool, int, Decimal, str, list and dict (tuples), and the classes below; FHIR
resources and elements stay the plain JSON dicts that they are.
"""

from cds_service.elm.compile import RetrieveNeed
from cds_service.elm.explanation import ExplainedRetrieve, Explanation, FoundResource
from cds_service.elm.library import Library, LibrarySet, load_library
from cds_service.elm.memory import BundleRetriever, ValueSetExpansions
from cds_service.elm.ports import Alike, Indexed, Retriever, RetrieverOfAll, Terminology
from cds_service.elm.session import AtRest, Session
from cds_service.elm.trace import Result
from cds_service.elm.values import (
    Code,
    CodeSystem,
    Concept,
    Date,
    DateTime,
    Interval,
    Long,
    Quantity,
    Ratio,
    Time,
    ValueSet,
)

__all__ = [
    "Alike",
    "AtRest",
    "BundleRetriever",
    "Code",
    "CodeSystem",
    "Concept",
    "Date",
    "DateTime",
    "ExplainedRetrieve",
    "Explanation",
    "FoundResource",
    "Indexed",
    "Interval",
    "Library",
    "LibrarySet",
    "Long",
    "Quantity",
    "Ratio",
    "Result",
    "RetrieveNeed",
    "Retriever",
    "RetrieverOfAll",
    "Session",
    "Terminology",
    "Time",
    "ValueSet",
    "ValueSetExpansions",
    "load_library",
]
