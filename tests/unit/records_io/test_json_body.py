"""JSON in which a name is given twice is refused: a reader would see only the last, and take the rest for absent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import InputError
from cds_service.records.json_body import read_json

_VALUES = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(-(2**53), 2**53),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 1}',
        b'{"entry": [1], "total": 1, "entry": []}',
        b'[{"b": {"a": "x:y", "\\u0061": ":"}}]',
        b'{"a"\n:1,"a"\t:{"b":[]}}',
    ],
)
def test_a_name_given_twice(body: bytes) -> None:
    with pytest.raises(InputError, match="twice"):
        read_json(body)


@given(_VALUES, st.booleans())
def test_any_other_json_is_read_as_it_is(value: object, escaped: bool) -> None:
    body = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    if not escaped and any(0xD800 <= ord(c) < 0xE000 for c in json.dumps(value, ensure_ascii=False)):
        return
    assert read_json(body) == value


def test_colons_in_texts_count_for_nothing() -> None:
    assert read_json(b'{"a": ":", "b": "\\u003a", "c:d": "\\":"}') == {"a": ":", "b": ":", "c:d": '":'}
