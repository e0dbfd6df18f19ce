"""Schemas in the keywords that Gemini knows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.schema import adapted

KNOWN = {
    "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems",
    "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties", "required",
    "propertyOrdering",
}  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "minLength": 1, "pattern": "x", "default": "", "examples": []}, {"type": "string"}),
        ({"$schema": "x", "type": ["string", "null"], "title": "T"}, {"type": ["string", "null"], "title": "T"}),
        ({"const": "x"}, {"enum": ["x"]}),
        ({"const": 1, "type": "integer"}, {"enum": [1], "type": "integer"}),
        ({"const": None}, {"type": "null"}),
        ({"const": True, "type": "boolean"}, {"type": "boolean"}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "number", "exclusiveMaximum": 2.5}, {"type": "number", "maximum": 2.5}),
        ({"type": "number", "minimum": 3, "exclusiveMinimum": True}, {"type": "number", "minimum": 3}),
        ({"type": "array", "items": [{"const": 1}]}, {"type": "array", "prefixItems": [{"enum": [1]}]}),
        ({"type": "array", "items": True}, {"type": "array", "items": {}}),
        ({"additionalProperties": {"const": "x"}}, {"additionalProperties": {"enum": ["x"]}}),
        ({"additionalProperties": False}, {"additionalProperties": False}),
        ({"oneOf": [{"const": "a"}, True]}, {"oneOf": [{"enum": ["a"]}, {}]}),
        # Names of properties are not keywords.
        ({"properties": {"const": {"type": "string"}}}, {"properties": {"const": {"type": "string"}}}),
        ({"$ref": "#/$defs/X", "description": "gone", "default": 1}, {"$ref": "#/$defs/X"}),
        # litellm#26692
        (
            {"$ref": "#/definitions/X", "definitions": {"X": {"const": 1}}},
            {"$ref": "#/$defs/X", "$defs": {"X": {"enum": [1]}}},
        ),
        ({"allOf": [{"$ref": "#/$defs/X"}]}, {"$ref": "#/$defs/X"}),
        ({"allOf": [{"$ref": "#/$defs/X"}], "title": "T"}, {"title": "T"}),
        (
            {
                "properties": {"a": {"type": "string"}},
                "required": ["a"],
                "allOf": [{"properties": {"b": {"type": "integer"}, "a": {}}, "required": ["b"]}],
            },
            {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a", "b"]},
        ),
        (5, 5),
    ],
)
def test_what_becomes_of_keywords(schema: object, expected: object) -> None:
    assert expected == adapted(schema)


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*sorted(KNOWN), "const", "allOf", "definitions", "exclusiveMinimum", "pattern", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


def keywords(schema: Any) -> set[str]:
    """The keywords in a schema, wherever a schema may stand."""
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for name in ("items", "additionalProperties"):
        found |= keywords(schema.get(name))
    for name in ("properties", "$defs"):
        for item in schema.get(name, {}).values():
            found |= keywords(item)
    for name in ("anyOf", "oneOf", "prefixItems"):
        for item in schema.get(name, ()):
            found |= keywords(item)
    return found


@given(json_values)
def test_no_other_keyword_is_left(schema: object) -> None:
    assert keywords(adapted(schema)) <= KNOWN
