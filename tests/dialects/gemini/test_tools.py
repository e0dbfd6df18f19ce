"""Tools, their choice, and their names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.gemini.dialect import GEMINI
from proxy.dialects.gemini.tools import Names
from tests.dialects.gemini.wire import HI, asking, outgoing, sent


def tool(name: str, parameters: object = None, **more: object) -> dict[str, Any]:
    function = {"name": name, **({} if parameters is None else {"parameters": parameters}), **more}
    return {"type": "function", "function": function}


SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def test_functions_are_declared_together() -> None:
    body = sent(tools=[tool("f", SCHEMA, description="adds", strict=True), tool("g")])

    declared = [{"name": "f", "description": "adds", "parametersJsonSchema": SCHEMA}, {"name": "g"}]
    assert [{"functionDeclarations": declared}] == body["tools"]
    assert "toolConfig" not in body


@pytest.mark.parametrize("parameters", [{}, {"type": "object"}, {"type": "object", "properties": {}}, None])
def test_a_function_that_takes_nothing_has_no_schema(parameters: object) -> None:
    assert {"name": "f"} == sent(tools=[tool("f", parameters)])["tools"][0]["functionDeclarations"][0]


@pytest.mark.parametrize("tools", [[], None])
def test_without_tools_there_is_no_choice(tools: object) -> None:
    assert {"contents"} == set(sent(tools=tools, tool_choice="none"))


def allowed(mode: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": "f"}}]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", None),
        (None, None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (allowed("required"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (allowed("auto"), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_the_choice_of_a_tool(choice: object, config: object) -> None:
    body = sent(tools=[tool("f"), tool("g")], tool_choice=choice)

    assert config == body.get("toolConfig", {}).get("functionCallingConfig")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": "f"}, "tools"),
        ({"tools": [5]}, "tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools"),
        ({"tools": [tool("f")], "tool_choice": "often"}, "tool_choice"),
        ({"tools": [tool("f")], "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"tools": [tool("f")], "tool_choice": {"type": "function"}}, "tool_choice"),
        (
            {"tools": [tool("f")], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [5]}}},
            "tool_choice",
        ),
    ],
)
def test_what_cannot_be_carried_over_is_said(fields: dict[str, object], param: str) -> None:
    with pytest.raises(NotCarriedError) as raised:
        GEMINI.write(asking(HI, **fields))  # type: ignore[arg-type]

    assert param == raised.value.param


def test_names_are_spelled_alike_everywhere() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "1 f", "arguments": "{}"}}
    messages = [*HI, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "1", "content": "x"}]
    choice = {"type": "function", "function": {"name": "1 f"}}

    written = outgoing(messages, tools=[tool("1 f"), tool("f")], tool_choice=choice)

    assert {"_1_f": "1 f"} == dict(written.names)
    assert 4 == b"".join(written.body).count(b'"_1_f"')
    assert {} == dict(outgoing(tools=[tool("f")]).names)


def test_names_that_would_be_one_stay_two() -> None:
    names = Names()

    assert ["a_b", "a_b_2", "a_b_3", "a_b"] == [names.sent(name) for name in ("a b", "a_b", "a/b", "a b")]
    assert {"a_b": "a b", "a_b_2": "a_b", "a_b_3": "a/b"} == names.renamed


@given(st.lists(st.text(max_size=200), unique=True, max_size=20))
def test_every_name_is_good_and_finds_back(given_names: list[str]) -> None:
    names = Names()
    spelled = [names.sent(name) for name in given_names]

    assert len(set(spelled)) == len(given_names)
    assert given_names == [names.renamed.get(name, name) for name in spelled]
    for name in spelled:
        assert name[0].isascii() and (name[0].isalpha() or name[0] == "_") and len(name) <= 128
