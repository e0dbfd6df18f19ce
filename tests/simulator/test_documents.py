import jsonschema
import pytest

from proxy.simulator.documents import document

NODE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "string", "minLength": 30},
        {"type": "string", "maxLength": 3},
        {"type": "number", "minimum": 2.5},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        {"type": "integer", "minimum": 3, "multipleOf": 5},
        {"type": "integer", "maximum": -4},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["null", "string"]},
        {"const": 7},
        {"enum": ["red", "green"]},
        {"type": "array", "items": {"type": "integer"}, "minItems": 3},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 0},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2},
        {"oneOf": [{"type": "null"}, {"type": "string"}]},
        {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}]},
        {"properties": {"a": {"items": {"type": "boolean"}}}, "required": ["a"]},
        NODE,
    ],
)
def test_a_document_is_valid_for_its_schema(schema):
    jsonschema.validate(document(schema), schema)


def test_without_a_schema_it_is_a_small_object():
    assert document({}) == {"simulated": True}
    assert document(None) == {"simulated": True}


def test_a_schema_that_requires_itself_is_given_up():
    assert document({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})["a"]
    assert document({"$ref": "#/nowhere"}) == "simulated"
