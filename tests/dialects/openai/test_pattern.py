"""Whatever a learned pattern lets through unread, the reader would have called content and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.openai.chat import event_reader
from proxy.dialects.openai.pattern import pattern_of
from proxy.dialects.registry import KINDS
from proxy.streams.event_view import SAYS
from tests.streams.test_pattern import INNER, TEXTS, spelled

QUIRKS = {kind.name: kind.quirks for kind in KINDS.values()}


def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
        **more,
    }


DELTAS: dict[str, dict[str, Any]] = {
    "content": {"content": "MARK"},
    "with a role": {"role": "assistant", "content": "MARK"},
    "reasoning_content": {"reasoning_content": "MARK", "content": None},
    "reasoning": {"reasoning": "MARK"},
    "empty content and reasoning": {"content": "", "reasoning_content": "MARK"},
    "content and reasoning": {"content": "MARK", "reasoning_content": "too"},
    "a refusal": {"refusal": "MARK"},
    "a call": {"tool_calls": [{"index": 0, "function": {"arguments": '{"content": "MARK"}'}}]},
    "content and a call": {"content": "MARK", "tool_calls": [{"index": 0, "id": "a"}]},
    "parts": {"content": [{"type": "text", "content": "MARK"}]},
    "audio": {"audio": {"content": "MARK"}},
    "details": {"reasoning_details": [{"content": "MARK"}]},
    "nothing": {"role": "assistant"},
}
MORE: dict[str, dict[str, Any]] = {
    "plain": {},
    "usage": {"usage": None},
    "usage in each": {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
    "padding": {"obfuscation": "x"},
    "text elsewhere": {"before": {"content": "x"}},
    "an error of null": {"error": None},
    "an error": {"error": {"message": "x"}},
}


def encoded(delta: str, more: str, *, spaced: bool = False, first: bool = False) -> bytes:
    document = chunk(DELTAS[delta], **MORE[more])
    if first:
        # Members of an event come in any order.
        document = dict(reversed(document.items()))
    return json.dumps(document, separators=None if spaced else (",", ":")).encode()


LEARNED = {"content", "with a role", "reasoning_content", "reasoning", "empty content and reasoning", "parts"}


@pytest.mark.parametrize("delta", DELTAS)
def test_what_a_pattern_is_found_in(delta: str) -> None:
    read = event_reader(QUIRKS["openai"])

    assert (delta in LEARNED) == (pattern_of(encoded(delta, "plain"), read) is not None)


@pytest.mark.parametrize("data", [b"", b"[DONE]", b"{", b"[]", b'"content":"x"', b'{"content":"x"}', b"\xff"])
def test_what_is_no_event(data: bytes) -> None:
    assert pattern_of(data, event_reader(QUIRKS["openai"])) is None


@settings(max_examples=1500)
@given(
    kind=st.sampled_from(sorted(QUIRKS)),
    delta=st.sampled_from(sorted(DELTAS)),
    more=st.sampled_from(sorted(MORE)),
    spaced=st.booleans(),
    first=st.booleans(),
    learned_from=TEXTS,
    inners=st.lists(INNER | TEXTS.map(spelled), min_size=1, max_size=4),
)
def test_never_more_than_the_reader_would(
    kind: str, delta: str, more: str, *, spaced: bool, first: bool, learned_from: str, inners: list[bytes]
) -> None:
    template = encoded(delta, more, spaced=spaced, first=first)
    read = event_reader(QUIRKS[kind])
    lesson = template.replace(b"MARK", spelled(learned_from), 1)
    if read(lesson) is not SAYS:
        # Only of such events is anything learned.
        return
    pattern = pattern_of(lesson, read)
    if pattern is None:
        return
    events = [template.replace(b"MARK", inner, 1) for inner in inners]
    data = b"".join(b"data: " + each + b"\n\n" for each in events)

    count, end = pattern.lead(data)
    led = data[:end].split(b"\n\n")
    assert (count, b"") == (len(led) - 1, led[-1])
    for each in led[:-1]:
        assert each.startswith(b"data: ")
        assert b"\n" not in each
        assert b"\r" not in each
        assert SAYS is read(each[6:])
        json.loads(each[6:].decode())
