"""The builders of every ELM node type, one module per chapter of the CQL reference."""

from collections.abc import Mapping

from cds_service.elm.compile import Builder
from cds_service.elm.operators import (
    aggregate,
    arithmetic,
    clinical,
    comparison,
    conversion,
    datetime,
    functions,
    interval,
    interval_sets,
    iteration,
    list,
    logical,
    membership,
    messages,
    properties,
    query,
    references,
    refused,
    retrieve,
    selectors,
    sorting,
    string,
    structured,
    type,
)

_MODULES = (
    aggregate,
    arithmetic,
    clinical,
    comparison,
    datetime,
    interval,
    interval_sets,
    iteration,
    list,
    logical,
    messages,
    query,
    sorting,
    properties,
    membership,
    functions,
    conversion,
    references,
    refused,
    retrieve,
    selectors,
    string,
    structured,
    type,
)

BUILDERS: Mapping[str, Builder] = {
    name: builder for module in _MODULES for name, builder in module.BUILDERS.items()
}
