"""What the conversation of a request becomes where a provider's quirks demand it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy.dialects.openai.chat import write_request
from proxy.dialects.openai.history import edited_messages, plain_tools, short_id
from proxy.dialects.registry import KINDS

USER = {"role": "user", "content": "hi"}
LONG = "toolu_01A09q90qw90lq917835lq9"


def called(id_: str = LONG, **more: Any) -> dict[str, Any]:
    call = {"id": id_, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return {"role": "assistant", "content": None, "tool_calls": [call], **more}


def result(id_: str = LONG) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": "1", "name": "f"}


def sent(kind: str, messages: list[Any], **fields: Any) -> Any:
    body = {"model": "route", "messages": messages, **fields}
    raw = msgspec.json.decode(json.dumps(body), type=dict[str, Raw])
    return json.loads(b"".join(write_request(raw, "m", KINDS[kind].quirks)[0]))


def test_mistral_gets_ids_of_nine_characters_which_fit_together() -> None:
    messages = sent("mistral", [USER, called(), result(), called("Ab3dEf9hI"), result("Ab3dEf9hI")])["messages"]
    ids = [message["tool_calls"][0]["id"] for message in messages[1::2]]
    assert ids == [message["tool_call_id"] for message in messages[2::2]]
    assert "Ab3dEf9hI" == ids[1]


@given(st.text())
def test_short_ids_are_always_the_same(id_: str) -> None:
    short = short_id(id_)
    assert (9, True, short, short) == (len(short), short.isalnum() and short.isascii(), short_id(id_), short_id(short))


def test_mistral_gets_nothing_that_it_refuses() -> None:
    """What other providers and SDKs leave in a history, and marks for a cache in every place."""
    mark = {"cache_control": {"type": "ephemeral"}}
    more = {"refusal": None, "annotations": [], "audio": None, "function_call": None, "reasoning_content": "Hm."}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief.", **mark}]},
        {**USER, "name": "ann"},
        {"role": "assistant", "content": "", "tool_calls": []},
        called("Ab3dEf9hI", **more, thinking_blocks=[{}]),
        result("Ab3dEf9hI"),
    ]
    tool = {"type": "function", "function": {"name": "f"}}
    body = sent("mistral", messages, tools=[{**tool, **mark}], top_k=4)
    system = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    expected = {"messages": [system, USER, called("Ab3dEf9hI"), result("Ab3dEf9hI")], "tools": [tool], "model": "m"}
    assert expected == body


def test_deepseek_gets_thoughts_with_everything_that_was_said_once_tools_were_called() -> None:
    """litellm#28045, litellm#37636: it thinks unless told otherwise, and misses the thoughts of others."""
    said = {"role": "assistant", "content": "Well."}
    messages = [USER, called(), result(), {**said, "reasoning": "Hm."}, USER, {**said, "reasoning_content": "Ah."}]
    told = [message.get("reasoning_content") for message in sent("deepseek", messages)["messages"]]
    assert [None, " ", None, "Hm.", None, "Ah."] == told


@pytest.mark.parametrize(
    ("messages", "fields"),
    [
        ([USER, {"role": "assistant", "content": "Well.", "tool_calls": []}], {}),
        ([USER, called(), result()], {"thinking": {"type": "disabled"}}),
        ([USER, called(), result()], {"reasoning_effort": "none"}),
    ],
)
def test_deepseek_misses_no_thoughts_elsewhere(messages: list[Any], fields: dict[str, Any]) -> None:
    assert messages == sent("deepseek", messages, **fields)["messages"]


@pytest.mark.parametrize("raw", [b'"text"', b"[1,null]", b'[{"role":"tool","tool_call_id":1}]', b"[" * 2000])
@pytest.mark.parametrize("kind", ["mistral", "deepseek"])
def test_what_cannot_be_read_stays(raw: bytes, kind: str) -> None:
    assert Raw(raw) == edited_messages(Raw(raw), KINDS[kind].quirks, thinks=True)
    assert Raw(raw[:9]) == plain_tools(Raw(raw[:9]))
