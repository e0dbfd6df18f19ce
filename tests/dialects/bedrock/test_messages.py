"""Conversations as Bedrock wants them."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings

from proxy.dialects.bedrock.dialect import BEDROCK
from proxy.dialects.dialect import NotCarriedError
from tests.dialects.bedrock.oracle import check_request
from tests.dialects.chat_oracle import PIXEL, asked, conversations

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PDF = "data:application/pdf;base64,JVBERi0xLjQ="


def sent(conversation: list[dict[str, Any]]) -> dict[str, Any]:
    body = json.loads(b"".join(BEDROCK.write(asked({"messages": conversation}, CLAUDE)).body))
    check_request(CLAUDE, body)
    return body


def messages(*conversation: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(message["role"], message["content"]) for message in sent(list(conversation))["messages"]]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def call(id_: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_conversation_with_calls() -> None:
    conversation = [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": ""},
        user("q"),
        {"role": "assistant", "content": "so", "tool_calls": [call("c1", "weather", '{"city":"Rome"}'), call("c2")]},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
        user("and now?"),
    ]

    assert [{"text": "Be brief."}] == sent(conversation)["system"]
    answer = [
        {"text": "so"},
        {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Rome"}}},
        {"toolUse": {"toolUseId": "c2", "name": "f", "input": {}}},
    ]
    results = [
        {"toolResult": {"toolUseId": "c2", "content": [{"text": "(no content)"}]}},
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "sunny"}]}},
        {"text": "and now?"},
    ]
    assert [("user", [{"text": "q"}]), ("assistant", answer), ("user", results)] == messages(*conversation)


def test_nobody_speaks_twice_and_the_user_first() -> None:
    said = messages({"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}, user("c"), user("d"))

    assert ["user", "assistant", "user"] == [role for role, _ in said]
    assert [[{"text": "a"}, {"text": "b"}], [{"text": "c"}, {"text": "d"}]] == [content for _, content in said[1:]]


def test_somebody_always_says_something() -> None:
    assert ["user"] == [role for role, _ in messages()]
    assert ["user"] == [role for role, _ in messages({"role": "system", "content": "s"})]
    assert ["user"] == [role for role, _ in messages(user(" "), {"role": "assistant", "content": ""})]


# litellm#36559: moved to the front, it would change what was cached.
def test_a_later_system_stays_in_its_place() -> None:
    said = messages(user("a"), {"role": "assistant", "content": "b"}, {"role": "system", "content": "s"}, user("c"))

    assert ("user", [{"text": "<system>\ns\n</system>"}, {"text": "c"}]) == said[-1]


def test_an_answer_to_be_continued_ends_in_no_blanks() -> None:
    assert ("assistant", [{"text": "so far"}]) == messages(user("q"), {"role": "assistant", "content": "so far \n"})[-1]


def test_thoughts_go_back_signed_and_first() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "QUJD"},
        {"type": "thinking", "thinking": "unsigned"},
    ]
    answer = {"role": "assistant", "content": "so", "reasoning_content": "hm", "thinking_blocks": thoughts}

    expected = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "QUJD"}},
        {"text": "so"},
    ]
    assert expected == messages(user("q"), answer)[-1][1]
    other = BEDROCK.write(asked({"messages": [user("q"), answer]}, "amazon.nova-pro-v1:0"))
    assert [{"text": "so"}] == json.loads(other.body[0])["messages"][1]["content"]


def test_signed_thoughts_let_a_model_think_on() -> None:
    answer = {"role": "assistant", "tool_calls": [call("c1")]}
    signed = answer | {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "x"}

    def thinks(conversation: list[dict[str, Any]]) -> bool:
        question = asked({"messages": conversation, "reasoning_effort": "high"}, CLAUDE)
        return b"budget_tokens" in BEDROCK.write(question).body[0]

    assert thinks([user("q"), signed, result])
    assert not thinks([user("q"), answer, result])
    assert thinks([user("q"), answer, result, user("next")])


def test_a_result_that_nobody_asked_for_is_told_as_text() -> None:
    """As a result it is refused: there must be as many as calls before it."""
    result = {"role": "tool", "tool_call_id": "c9", "content": "x"}
    assert [{"text": "<tool_result>"}, {"text": "x"}, {"text": "</tool_result>"}] == messages(result)[0][1]


# picoclaw#1793: a result twice; and servers that count from zero in every answer.
def test_one_result_of_each_call() -> None:
    results = [{"role": "tool", "tool_call_id": "c1", "content": text} for text in ("a", "a", "b")]
    answer = {"role": "assistant", "tool_calls": [call("c1")]}

    expected = [{"toolResult": {"toolUseId": "c1", "content": [{"text": "a"}, {"text": "b"}]}}]
    said = messages(user("q"), answer, *results, answer, results[0])
    assert [("user", expected), ("user", [{"toolResult": {"toolUseId": "c1_2", "content": [{"text": "a"}]}}])] == [
        said[2],
        said[4],
    ]


def test_images_are_what_their_bytes_say() -> None:
    parts = [{"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PIXEL}"}}]
    parts += [{"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA"}}]

    expected = [
        {"image": {"format": "png", "source": {"bytes": PIXEL}}},
        {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
    ]
    assert [("user", expected)] == messages(user(parts))


def test_documents() -> None:
    files = [
        {"filename": "my.report_v1.pdf", "file_data": PDF},
        {"filename": "my report v1.pdf", "file_data": PDF},
        {"filename": "table.csv", "file_data": "data:application/octet-stream;base64,QUJD"},
        {"file_data": "data:text/plain,a%20b"},
    ]
    blocks = messages(user([{"type": "file", "file": file} for file in files]))[0][1]

    told = [(block["document"]["format"], block["document"]["name"]) for block in blocks[:-1]]
    assert [("pdf", "my report v1"), ("pdf", "my report v1 2"), ("csv", "table"), ("txt", "document")] == told
    assert "YSBi" == blocks[3]["document"]["source"]["bytes"]
    assert {"text"} == blocks[-1].keys()


def test_sound() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}

    assert [("user", [{"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}])] == messages(user([part]))


@pytest.mark.parametrize(
    "message",
    [
        user([{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]),
        user([{"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AAAA"}}]),
        user([{"type": "file", "file": {"file_id": "f"}}]),
        user([{"type": "file", "file": {"filename": "a.zip", "file_data": "data:application/zip;base64,AAAA"}}]),
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]},
        {"role": "assistant", "content": [{"type": "file", "file": {"file_data": PDF}}]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "input_audio", "input_audio": {"data": "A"}}]},
    ],
)
def test_what_cannot_be_carried(message: dict[str, Any]) -> None:
    with pytest.raises(NotCarriedError):
        sent([message])


@settings(max_examples=150, deadline=None)
@given(conversations())
def test_any_conversation_arrives(conversation: list[dict[str, Any]]) -> None:
    body = sent(conversation)

    roles = [message["role"] for message in body["messages"]]
    assert all(before != after for before, after in itertools.pairwise(roles))
    assert "user" == roles[0]
    blocks = [(message["role"], block) for message in body["messages"] for block in message["content"]]
    texts, images, calls, results = [], 0, [], []
    for message in conversation:
        if message["role"] == "system":
            assert [{"text": message["content"]}] == body["system"]
            continue
        content = message["content"]
        parts = [{"text": content}] if isinstance(content, str) else content
        if message["role"] == "tool":
            results.append((message["tool_call_id"], content))
        else:
            texts += [(message["role"], part["text"]) for part in parts if "text" in part]
        images += sum("image_url" in part for part in parts)
        calls += message.get("tool_calls", [])
    assert texts == [(role, block["text"]) for role, block in blocks if "text" in block]
    assert images == sum("image" in block for _, block in blocks)
    used = [block["toolUse"] for _, block in blocks if "toolUse" in block]
    back = BEDROCK.write(asked({"messages": conversation}, CLAUDE)).names
    assert [each["function"]["name"] for each in calls] == [back.get(each["name"], each["name"]) for each in used]
    assert [json.loads(each["function"]["arguments"]) for each in calls] == [each["input"] for each in used]
    ids = {each["id"]: spelled["toolUseId"] for each, spelled in zip(calls, used, strict=True)}
    assert len(ids) == len(set(ids.values())) == len(calls)
    answered = [block["toolResult"] for _, block in blocks if "toolResult" in block]
    assert [(ids[id_], [{"text": text}]) for id_, text in results] == [
        (each["toolUseId"], each["content"]) for each in answered
    ]
