"""Tools, the choice among them, and their schemas."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.anthropic.families import family_of
from proxy.dialects.anthropic.names import ToolNames
from proxy.dialects.anthropic.schemas import closed, of_object, with_defs
from proxy.dialects.dialect import NotCarriedError
from tests.dialects.anthropic.oracle import NEW, OLD, ask, assistant, body_of, call, outgoing, result, tool, user

FORCED = {"type": "function", "function": {"name": "look"}}


def test_a_function_is_a_tool() -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}

    written = ask(tools=[tool("look", parameters, description="Looks.")])

    assert [{"name": "look", "description": "Looks.", "input_schema": parameters}] == written["tools"]
    assert "tool_choice" not in written


def test_strict_is_for_models_that_can_be_bound() -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}}

    (strict,) = ask(tools=[tool("look", parameters, strict=True)])["tools"]
    (loose,) = ask(tools=[tool("look", parameters, strict=True)], model=OLD)["tools"]

    assert strict["strict"] is True
    assert {"type": "string", "description": "{minLength: 2}"} == strict["input_schema"]["properties"]["a"]
    assert ("strict" not in loose, parameters) == (True, loose["input_schema"])


def test_names_are_spelled_otherwise_never_alike_and_told() -> None:
    written = outgoing(
        messages=[user("a"), assistant(None, call("1", "a/b"), call("2", "gone away")), result("1"), result("2")],
        tools=[tool("a.b"), tool("a/b"), tool("a_b"), tool("x" * 200)],
        tool_choice={"type": "function", "function": {"name": "a.b"}},
    )

    body = body_of(written)
    names = [each["name"] for each in body["tools"]]
    assert ["a_b_2", "a_b_3", "a_b", "x" * 128] == names
    assert {"type": "tool", "name": "a_b_2"} == body["tool_choice"]
    assert ["a_b_3", "gone_away"] == [each["name"] for each in body["messages"][1]["content"]]
    expected = {"a_b_2": "a.b", "a_b_3": "a/b", "x" * 128: "x" * 200, "gone_away": "gone away"}
    assert expected == written.names


def test_two_tools_of_one_name_are_one() -> None:
    assert ["first"] == [
        each["description"]
        for each in ask(tools=[tool("f", description="first"), tool("f", description="second")])["tools"]
    ]


def test_anthropics_own_tools_stay_as_they_are() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}

    assert [search] == ask(tools=[search])["tools"]


@pytest.mark.parametrize(
    "tools",
    [
        "look", [1], [{}], [{"type": "function"}], [{"type": "function", "function": {"name": ""}}],
        [{"type": "function", "function": {"name": 5}}], [{"type": "custom", "custom": {"name": "a"}}],
        [{"type": "web_search_preview"}], [{"type": [], "name": "a"}], [tool("a", {"type": "array"})],
        [tool("a", [1])], [tool("a", {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})],
    ],
)  # fmt: skip
def test_what_is_no_function_is_refused(tools: object) -> None:
    with pytest.raises(NotCarriedError) as caught:
        ask(tools=tools)

    assert "tools" == caught.value.param


@pytest.mark.parametrize(
    ("chat", "expected"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": FORCED}, {"type": "tool", "name": "look"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
        (
            {"parallel_tool_calls": False, "tool_choice": "required"},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        (
            {"parallel_tool_calls": False, "tool_choice": FORCED},
            {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_the_choice_among_tools(chat: dict[str, Any], expected: object) -> None:
    assert expected == ask(tools=[tool()], **chat).get("tool_choice")


def test_without_tools_there_is_no_choice() -> None:
    assert "tool_choice" not in ask(tool_choice="required", parallel_tool_calls=False)


@pytest.mark.parametrize("choice", ["sometimes", {"type": "allowed_tools"}, {"type": "function"}, 5, [], {"type": []}])
def test_a_choice_that_messages_does_not_know_is_refused(choice: object) -> None:
    with pytest.raises(NotCarriedError) as caught:
        ask(tools=[tool()], tool_choice=choice)

    assert "tool_choice" == caught.value.param


@pytest.mark.parametrize("model", ["claude-fable-5-1", "claude-mythos-5-2", "claude-opus-5-5", "claude-sonnet-5-5"])
def test_models_that_cannot_be_forced_are_not_asked_unless_less_will_do(model: str) -> None:
    with pytest.raises(NotCarriedError):
        ask(model=model, tools=[tool()], tool_choice="required")

    written = outgoing(model=model, tools=[tool()], tool_choice="required", options={"degrade": True})
    assert ("tool_choice",) == written.dropped
    assert "tool_choice" not in body_of(written)
    assert "tool_choice" not in ask(model=model, tools=[tool()], tool_choice="auto")


def test_others_are_forced() -> None:
    assert {"type": "any"} == ask(model=NEW, tools=[tool()], tool_choice="required")["tool_choice"]


class TestSchemas:
    def test_litellm_26692_definitions_of_old_are_moved_to_where_they_are_found(self) -> None:
        schema = {
            "type": "object",
            "properties": {
                "a": {"$ref": "#/definitions/A"},
                "b": {"$ref": "#/components/schemas/A/properties/x"},
                "c": {"$ref": "#/$defs/A"},
                "d": {"items": [{"$ref": "#/definitions/a~1b"}]},
            },
            "definitions": {"A": {"type": "string"}, "a/b": {"$ref": "#/definitions/A"}},
            "components": {"schemas": {"A": {"properties": {"x": {"type": "integer"}}}}},
            "$defs": {"A": {"type": "boolean"}},
        }

        (written,) = ask(tools=[tool("f", schema)])["tools"]

        expected = {
            "type": "object",
            "properties": {
                "a": {"$ref": "#/$defs/A_"},
                "b": {"$ref": "#/$defs/A__/properties/x"},
                "c": {"$ref": "#/$defs/A"},
                "d": {"items": [{"$ref": "#/$defs/a~1b"}]},
            },
            "$defs": {
                "A": {"type": "boolean"},
                "A_": {"type": "string"},
                "a/b": {"$ref": "#/$defs/A_"},
                "A__": {"properties": {"x": {"type": "integer"}}},
            },
        }
        assert expected == written["input_schema"]

    def test_a_property_that_is_called_definitions_is_one(self) -> None:
        schema = {"type": "object", "properties": {"definitions": {"type": "object"}}}

        assert schema == with_defs(schema)

    @pytest.mark.parametrize("schema", [None, {}, {"type": "object"}, {"type": ["object"]}])
    def test_a_root_without_members_is_an_empty_object(self, schema: object) -> None:
        assert {"type": "object", "properties": {}} == of_object(schema)

    def test_a_root_that_refers_to_something_is_that(self) -> None:
        inner = {"type": "object", "properties": {"a": {"type": "string"}}}

        found = of_object({"$ref": "#/definitions/In", "definitions": {"In": inner}})

        assert {**inner, "$defs": {"In": inner}} == found

    def test_a_root_that_refers_to_itself_ends(self) -> None:
        assert of_object({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}) is not None

    def test_a_root_of_alternatives_which_is_refused_has_the_members_of_all(self) -> None:
        found = of_object(
            {
                "allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}],
                "anyOf": [
                    {"properties": {"b": {"type": "string"}}, "required": ["b"]},
                    {"properties": {"c": {"type": "string"}}, "required": ["c"]},
                ],
            }
        )

        assert found is not None
        assert ({"a", "b", "c"}, ["a"]) == (set(found["properties"]), found["required"])
        assert not {"allOf", "anyOf"} & set(found)
        assert "b or c" in found["description"]

    def test_output_is_bound_everywhere(self) -> None:
        found = closed(
            {
                "$schema": "x",
                "type": "object",
                "properties": {
                    "list": {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 3},
                    "some": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    "when": {"type": "string", "format": "date-time", "description": "Then."},
                    "mail": {"type": "string", "format": "phone", "pattern": "^a", "description": "Where."},
                    "one": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/D"}]},
                    "kind": {"enum": ["a", "b"], "default": "a"},
                },
                "additionalProperties": True,
                "$defs": {"D": {"type": "object"}},
            }
        )

        properties = found["properties"]
        assert (False, False) == (found["additionalProperties"], found["$defs"]["D"]["additionalProperties"])
        assert "$schema" not in found
        assert False is properties["list"]["items"]["additionalProperties"]
        assert "{minItems: 3}" == properties["list"]["description"]
        assert (1, "date-time") == (properties["some"]["minItems"], properties["when"]["format"])
        assert 'Where.\n\n{format: "phone", pattern: "^a"}' == properties["mail"]["description"]
        assert {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/D"}]} == properties["one"]
        assert {"enum": ["a", "b"], "description": '{default: "a"}'} == properties["kind"]


def test_names_that_are_allowed_stay_whatever_comes_before_them() -> None:
    names = ToolNames(["a.b", "a_b"])

    assert ("a_b", "a_b_2") == (names.sent("a_b"), names.sent("a.b"))


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("claude-opus-4-5-20251101", "claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("us.anthropic.claude-opus-4-20250514-v1:0", "claude-opus-4-1"),
        ("claude-opus-4@20250514", "claude-opus-4-1"),
        ("claude-4-opus-20250514", "claude-opus-4-1"),
        ("claude-3-5-haiku-latest", "claude-3-opus-20240229"),
        ("claude-2.1", "claude-3-opus-20240229"),
        ("claude-opus-4-7", "claude-sonnet-5"),
        ("claude-opus-4-10", "claude-sonnet-5"),
        ("claude-haiku-7", "claude-sonnet-5"),
        ("claude-fable-5-2", "claude-mythos-5-1"),
        ("claude-fable-5-20260301", "claude-mythos-5"),
        ("CLAUDE-OPUS-5-5", "claude-opus-5-5-20261001"),
        ("my-claude", "llama"),
    ],
)
def test_the_family_of_a_model_by_any_name(name: str, like: str) -> None:
    assert family_of(like) == family_of(name)
