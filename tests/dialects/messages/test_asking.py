"""Messages requests as chat requests."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.errors import ClientError
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.messages.counting import estimate
from proxy.dialects.messages.wire import MESSAGES
from tests.dialects.messages.oracle import asking, chat_of

PNG = "iVBORw0KGgo="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
SHOWN = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
LOOK = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": [1, "é"]}}
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}


def messages_of(*messages: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return chat_of({"messages": list(messages), **more})["messages"]


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def said_by_model(*content: Any) -> dict[str, Any]:
    return {**user(*content), "role": "assistant"}


def text(its: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": its, **more}


def result(id_: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, **more}


def test_the_plainest() -> None:
    assert {
        "model": "fast",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_completion_tokens": 100,
    } == chat_of({})


def test_what_is_alike() -> None:
    chat = chat_of(
        {
            "system": "Be brief.",
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "stop_sequences": ["END"],
            "metadata": {"user_id": "u-1"},
            "stream": True,
        }
    )
    assert {
        "model": "fast",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop": ["END"],
        "user": "u-1",
        "stream": True,
    } == chat


def test_what_openai_does_not_know_can_be_left_out() -> None:
    body = {
        "top_k": 5,
        "system": [text("Be brief.", cache_control={"type": "ephemeral"})],
        "tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}],
        "messages": [
            user("Hi"),
            said_by_model({"type": "thinking", "thinking": "Hm", "signature": "s"}, text("Yes")),
            user(text("So", cache_control={"type": "ephemeral"})),
        ],
    }
    chat = chat_of(body, extensions=False)
    assert [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "So"},
    ] == chat["messages"]
    assert "top_k" not in chat and {"type", "function"} == set(chat["tools"][0])


def test_numbers_keep_their_digits() -> None:
    fields = MESSAGES.to_chat(
        MESSAGES.parse(b'{"model":"m","max_tokens":7,"messages":[],"temperature":0.70,"stream":false}')
    )
    assert b"0.70" == bytes(fields["temperature"])
    assert "stream" not in fields


def test_a_user_who_is_told_at_length_is_told_shortly() -> None:
    """OpenAI takes 64 characters, and DeepSeek no spaces; the same user is the same each time."""
    users = [chat_of({"metadata": {"user_id": "user_" + "é" * length}})["user"] for length in (100, 100, 101)]
    assert users[0] == users[1] != users[2]
    assert all(64 == len(its) and its.isalnum() for its in users)


def test_system_prompts_are_one_text_unless_some_is_to_be_cached() -> None:
    cached = text("Long.", cache_control={"type": "ephemeral"})
    assert "A.\n\nB." == messages_of(user("Hi"), system=[text("A."), text("B.")])[0]["content"]
    assert [text("A."), cached] == messages_of(user("Hi"), system=[text("A."), cached])[0]["content"]
    assert ["user"] == [message["role"] for message in messages_of(user("Hi"), system=[text("")])]


def test_system_messages_stay_in_place() -> None:
    """litellm#36559."""
    told = messages_of(user("Hi"), {"role": "system", "content": "Now in French."}, said_by_model("Salut"), system="A")
    assert ["system", "user", "system", "assistant"] == [message["role"] for message in told]


def test_results_come_before_what_the_user_says() -> None:
    told = messages_of(
        user("Look"),
        said_by_model(text("I "), text("look."), LOOK, {**LOOK, "id": "toolu_2"}),
        user(text("And?"), result(content="A cat"), result("toolu_2", content=[text("A"), text("dog")])),
    )
    call = {"id": "toolu_1", "type": "function", "function": {"name": "look", "arguments": '{"at":[1,"é"]}'}}
    assert [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "content": "I look.", "tool_calls": [call, {**call, "id": "toolu_2"}]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "A cat"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": "A\n\ndog"},
        {"role": "user", "content": "And?"},
    ] == _without_escapes(told)


def _without_escapes(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Arguments with their characters in place of escapes, which JSON of Python's has."""
    for message in told:
        for call in message.get("tool_calls", ()):
            its = json.loads(call["function"]["arguments"])
            call["function"]["arguments"] = json.dumps(its, separators=(",", ":"), ensure_ascii=False)
    return told


def test_what_an_assistant_says_in_a_row_is_one_message() -> None:
    told = messages_of(said_by_model("One, "), said_by_model(text("two"), LOOK), user(result(content="A")))
    assert ["assistant", "tool"] == [message["role"] for message in told]
    assert ("One, two", 1) == (told[0]["content"], len(told[0]["tool_calls"]))


def test_a_result_that_ends_what_is_to_be_cached() -> None:
    cached = {"cache_control": {"type": "ephemeral"}}
    told = messages_of(user(result(content=[text("A"), text("B")], **cached)))
    assert [text("A"), text("B", **cached)] == told[0]["content"]


def test_a_user_who_says_nothing() -> None:
    assert [{"role": "user", "content": ""}] == messages_of({"role": "user", "content": []})


def test_results_alone_are_no_message_of_the_user() -> None:
    told = messages_of(user("Look"), said_by_model(LOOK), user(result(content="A cat")))
    assert ["user", "assistant", "tool"] == [message["role"] for message in told]
    assert told[1]["content"] is None


def test_what_a_result_shows_goes_to_the_user() -> None:
    told = messages_of(user(result(content=[text("Here"), IMAGE]), result("toolu_2", content=[IMAGE]), text("See?")))
    assert ["Here", "Shown in the next message."] == [message["content"] for message in told[:2]]
    assert {"role": "user", "content": [SHOWN, SHOWN, text("See?")]} == told[2]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"content": "No such file"}, "Error: No such file"),
        ({"content": [text("No such file")]}, "Error: No such file"),
        ({}, "Error: "),
    ],
)
def test_errors_of_tools_are_told_as_such(content: dict[str, Any], told: str) -> None:
    assert told == messages_of(user(result(is_error=True, **content)))[0]["content"]


def test_a_second_result_of_the_same_call_is_left_out() -> None:
    """picoclaw#1793."""
    told = messages_of(said_by_model(LOOK), user(result(content="A")), user(result(content="A"), text("So?")))
    assert ["assistant", "tool", "user"] == [message["role"] for message in told]
    told = messages_of(said_by_model(LOOK), user(result(content="A")), said_by_model(LOOK), user(result(content="B")))
    assert ["A", "B"] == [message["content"] for message in told if message["role"] == "tool"]


def test_thoughts_go_back_as_text_and_as_signed() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "thinking", "thinking": "m", "signature": "t"},
    ]
    told = messages_of(user("Hi"), said_by_model(*thoughts, text("Yes"), LOOK))[1]
    assert ("Hmm", thoughts, "Yes") == (told["reasoning_content"], told["thinking_blocks"], told["content"])


def test_images_and_documents() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    plain = {"type": "text", "media_type": "text/plain", "data": "Once"}
    told = messages_of(
        user(
            IMAGE,
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
            {"type": "document", "title": "a.pdf", "context": "New", "source": pdf},
            {"type": "document", "source": pdf},
            {"type": "document", "title": "Tale", "source": plain},
            {"type": "document", "source": {"type": "content", "content": [text("One"), IMAGE]}},
            {"type": "search_result", "title": "T", "source": "https://x.test", "content": [text("Found")]},
        )
    )[0]["content"]
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
    assert [
        SHOWN,
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        text("New"),
        {"type": "file", "file": file},
        {"type": "file", "file": {**file, "filename": "document.pdf"}},
        text("Tale\n\nOnce"),
        text("One"),
        SHOWN,
        text("T\n\nhttps://x.test\n\nFound"),
    ] == told


def test_what_servers_did_in_earlier_turns_is_left_out() -> None:
    """litellm#17254."""
    used = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    told = messages_of(user("Hi"), said_by_model(used, found, text("Found.")), user("So?"), said_by_model(used))
    assert [{"role": "assistant", "content": "Found."}] == told[1:2]
    assert ["user", "assistant", "user"] == [message["role"] for message in told]


def test_long_ids_are_the_same_in_call_and_result() -> None:
    long = "toolu_" + "x" * 80
    told = messages_of(said_by_model({**LOOK, "id": long}), user(result(long, content="A")))
    assert told[0]["tool_calls"][0]["id"] == told[1]["tool_call_id"] != long
    assert 40 == len(told[1]["tool_call_id"])


def test_tools() -> None:
    name = "mcp__" + "long_" * 20
    chat = chat_of(
        {
            "tools": [{**TOOL, "strict": True}, {"name": name, "type": "custom", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": name, "disable_parallel_tool_use": True},
            "messages": [said_by_model({**LOOK, "name": name}), user(result(content="A"))],
        }
    )
    cut = chat["tools"][1]["function"]["name"]
    assert 64 == len(cut) and cut.startswith("mcp__long_")
    parameters = TOOL["input_schema"]
    assert {"name": "look", "description": "Looks.", "parameters": parameters, "strict": True} == chat["tools"][0][
        "function"
    ]
    assert {"type": "function", "function": {"name": cut}} == chat["tool_choice"]
    assert cut == chat["messages"][0]["tool_calls"][0]["function"]["name"]
    assert chat["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("choice", "its"),
    [("auto", "auto"), ("any", "required"), ("none", "none")],
)
def test_tool_choices(choice: str, its: str) -> None:
    assert its == chat_of({"tools": [TOOL], "tool_choice": {"type": choice}})["tool_choice"]
    assert "parallel_tool_calls" not in chat_of({"tools": [TOOL], "tool_choice": {"type": choice}})
    alone = {"type": choice, "disable_parallel_tool_use": True}
    assert (choice != "none") == ("parallel_tool_calls" in chat_of({"tools": [TOOL], "tool_choice": alone}))


def test_tools_of_servers_are_left_out_and_told() -> None:
    search = {"type": "web_search_20260318", "name": "web_search"}
    body = {"tools": [search, TOOL], "service_tier": "auto", "tool_choice": {"type": "any"}, "speed": None}
    assert ["look"] == [tool["function"]["name"] for tool in chat_of(body)["tools"]]
    assert ("service_tier", "tools.web_search_20260318") == MESSAGES.dropped(asking(body))
    alone = chat_of({"tools": [search], "tool_choice": {"type": "auto"}})
    assert {"tools", "tool_choice"}.isdisjoint(alone)


@pytest.mark.parametrize(
    ("thinking", "effort", "its"),
    [
        (None, None, None),
        (None, "xhigh", "xhigh"),
        ({"type": "disabled"}, None, "none"),
        ({"type": "disabled"}, "low", "none"),
        ({"type": "adaptive"}, None, "medium"),
        ({"type": "adaptive"}, "max", "max"),
        ({"type": "enabled", "budget_tokens": 1024}, None, "low"),
        ({"type": "enabled", "budget_tokens": 8000}, None, "medium"),
        ({"type": "enabled", "budget_tokens": 32000}, None, "high"),
        ({"type": "enabled", "budget_tokens": -1}, None, "low"),
    ],
)
def test_efforts(thinking: dict[str, Any] | None, effort: str | None, its: str | None) -> None:
    body = {"thinking": thinking, "output_config": {"effort": effort}}
    assert its == chat_of(body).get("reasoning_effort")


@pytest.mark.parametrize("field", ["output_config", "output_format"])
def test_bound_output(field: str) -> None:
    inner = {"type": "object", "properties": {}, "additionalProperties": False}
    schema = {**inner, "properties": {"a": inner}, "required": ["a"]}
    for its, strict in ((schema, True), ({**schema, "required": []}, False), ({"type": "object"}, False)):
        form = {"type": "json_schema", "schema": its}
        chat = chat_of({field: {"format": form} if field == "output_config" else form})
        assert {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": its, "strict": strict},
        } == chat["response_format"]


NOT_CARRIED: list[tuple[dict[str, Any], str]] = [
    ({"mcp_servers": [{"type": "url", "url": "https://x.test", "name": "x"}]}, "mcp_servers"),
    ({"container": "c"}, "container"),
    ({"inference_geo": "eu"}, "inference_geo"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools"),
    ({"tools": [{"type": "web_search_20260318", "name": "s"}], "tool_choice": {"type": "any"}}, "tool_choice"),
    (
        {"tools": [TOOL, {"type": "web_search_1", "name": "s"}], "tool_choice": {"type": "tool", "name": "s"}},
        "tool_choice",
    ),
    ({"output_config": {"format": {"type": "grammar"}}}, "output_config"),
    ({"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]}, "messages"),
    ({"messages": [user({"type": "document", "source": {"type": "url", "url": "https://x.test"}})]}, "messages"),
    ({"messages": [user({"type": "container_upload", "file_id": "f"})]}, "messages"),
    ({"messages": [said_by_model({"type": "compaction", "content": "All of it"})]}, "messages"),
]


@pytest.mark.parametrize(("body", "param"), NOT_CARRIED)
def test_what_cannot_be_carried(body: dict[str, Any], param: str) -> None:
    with pytest.raises(NotCarriedError) as raised:
        chat_of(body)
    assert param == raised.value.param


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [user({"type": "text", "text": 5})]}, "messages.0.content.text"),
        ({"messages": [user({"type": "image"})]}, "messages.0.content.source"),
        ({"messages": [user({"type": "tool_result"})]}, "messages.0.content.tool_result.tool_use_id"),
        ({"messages": [said_by_model({"type": "tool_use", "name": "f", "input": {}})]}, "messages.0.content"),
        ({"messages": [said_by_model({**LOOK, "input": "x"})]}, "messages.0.content.tool_use.input"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"thinking": "much"}, "thinking"),
        ({"metadata": []}, "metadata"),
        ({"system": 7}, "system"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], told: str) -> None:
    with pytest.raises(ClientError) as raised:
        chat_of(body)
    assert 400 == raised.value.status
    assert told in raised.value.message


WORDS = [
    "type", "text", "content", "role", "user", "assistant", "system", "tool_use", "tool_result",
    "tool_use_id", "image", "source", "base64", "data", "media_type", "url", "document", "thinking",
    "signature", "name", "input", "id", "tools", "input_schema", "is_error", "cache_control", "search_result",
    "title", "custom", "any", "web_search_x", "enabled",
]  # fmt: skip
FIELDS = [
    "messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata", "stop_sequences", "top_k",
    "container", "max_tokens", "output_format",
]  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)
blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(WORDS)},
    optional=dict.fromkeys(("text", "source", "content", "id", "name", "input", "tool_use_id", "thinking"), values),
)
turns = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"]), "content": st.text(max_size=3) | st.lists(blocks)}
)
bodies = st.dictionaries(st.sampled_from(FIELDS), values, max_size=4).flatmap(
    lambda body: st.lists(turns, max_size=3).map(lambda messages: {"messages": messages, **body})
)


@settings(max_examples=400)
@given(bodies, st.booleans())
def test_no_request_trips_it(body: dict[str, Any], extensions: bool) -> None:
    try:
        request = asking(body)
        fields = MESSAGES.to_chat(request, extensions=extensions)
    except (ClientError, NotCarriedError):
        return
    assert isinstance(json.loads(b"{%b}" % b",".join(b'"%b":%b' % (k.encode(), v) for k, v in fields.items())), dict)
    assert set(fields) <= {
        "model", "messages", "max_completion_tokens", "stop", "temperature", "top_p", "top_k", "tools", "tool_choice",
        "parallel_tool_calls", "response_format", "reasoning_effort", "user", "stream",
    }  # fmt: skip
    MESSAGES.dropped(request)


@settings(max_examples=200)
@given(bodies)
def test_no_request_trips_the_estimate(body: dict[str, Any]) -> None:
    with suppress(ClientError):
        assert estimate(asking(body)) > 0


def nested(depth: int) -> bytes:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    block = b'{"type":"tool_use","id":"a","name":"f","input":%b}' % deep
    return b'{"model":"m","max_tokens":5,"messages":[{"role":"assistant","content":[%b]}]}' % block


def test_deep_nesting() -> None:
    fields = MESSAGES.to_chat(MESSAGES.parse(nested(400)))
    call = json.loads(bytes(fields["messages"]))[0]["tool_calls"][0]
    assert '{"a":' * 400 + "1" + "}" * 400 == call["function"]["arguments"]
    for depth in range(900, 1010, 5):
        with suppress(ClientError):
            MESSAGES.to_chat(MESSAGES.parse(nested(depth)))
    with pytest.raises(ClientError, match="nested too deeply"):
        MESSAGES.parse(nested(5000))
