"""Events of a stream that goes on with another's answer, as the client of the first one gets them."""

import json
from typing import Any

import pytest

from proxy.dialects.openai.graft import ChatGraft, Resumption
from proxy.streams.resume import DEFAULT_INSTRUCTION, Continuation, ResumeMode
from proxy.streams.seam import Echo

SAID = "This is the beginning of an answer that is going to be"
IDENTITY = {"id": b'"first"', "created": b"7", "model": b'"its-model"'}


def graft(
    mode: ResumeMode = ResumeMode.PREFILL,
    said: str = SAID,
    echo: Echo = Echo.NEVER,
    tokens: int = 11,
    *,
    again: bool = False,
) -> ChatGraft:
    asked = Continuation(mode, said.rstrip(), tokens, tokens, said.rstrip()[-20:].lstrip(), DEFAULT_INSTRUCTION)
    told = ({"from": "a/m", "to": "b/m", "cause": "cut", "mode": mode.value},)
    return ChatGraft(Resumption(asked, said, "", IDENTITY, echo, again, told))


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **members: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    chunk = {"id": "second", "created": 9, "model": "other", "system_fingerprint": "fp", "choices": choices, **members}
    return json.dumps(chunk).encode()


def taken(made: ChatGraft, *events: bytes) -> list[Any]:
    shown = [made.take(data) for data in events]
    return [json.loads(data) for data in shown if data is not None]


def deltas(made: ChatGraft, *events: bytes) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in taken(made, *events)]


def test_it_is_the_first_streams_message() -> None:
    chunks = taken(
        graft(), event({"role": "assistant", "content": ""}), event({"content": " long."}), event({}, "stop")
    )

    assert {("first", 7, "its-model")} == {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}
    assert [{"content": " long."}, {}] == [chunk["choices"][0]["delta"] for chunk in chunks]
    assert [None, "stop"] == [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert not any("system_fingerprint" in chunk for chunk in chunks)


def test_what_the_head_holds_comes_with_the_end() -> None:
    made = graft(echo=Echo.UNKNOWN)

    assert [] == deltas(made, event({"content": " i"}))
    assert [{"content": " i"}] == deltas(made, event({}, "stop"))


def test_reasoning_is_shown_once() -> None:
    thought = event({"reasoning_content": "hm", "reasoning": "hm"})

    assert [] == deltas(graft(), thought)
    assert [{"content": " x"}] == deltas(graft(), event({"content": " x", "reasoning_content": "hm"}))
    assert [{"reasoning_content": "hm", "reasoning": "hm"}] == deltas(graft(again=True), thought)


def test_a_tool_call_ends_the_text() -> None:
    made = graft(echo=Echo.UNKNOWN)
    call = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]}

    assert [{**call, "content": " i"}] == deltas(made, event({"content": " i"}), event(call))
    assert made.refusal is None


def test_who_cannot_be_joined_is_refused() -> None:
    made = graft(echo=Echo.UNKNOWN)

    assert [] == deltas(made, event({"content": SAID[:30] + " something else"}))
    assert made.refusal is not None
    assert ("seam_refused", "prefill") == (made.refusal.code, made.refusal.param)


@pytest.mark.parametrize(
    ("said", "finish", "mode", "accepted"),
    [
        ("This is all.", "stop", ResumeMode.PREFILL, True),
        ("This is not", "stop", ResumeMode.PREFILL, False),
        ("This is not", "stop", ResumeMode.INSTRUCT, False),
        ("This is not", "length", ResumeMode.PREFILL, True),
        ("This is not", "content_filter", ResumeMode.PREFILL, True),
    ],
)
def test_an_end_without_a_word(said: str, finish: str, mode: ResumeMode, *, accepted: bool) -> None:
    made = graft(mode, said)

    assert accepted == bool(taken(made, event({"role": "assistant"}), event({}, finish)))
    assert accepted == (made.refusal is None)
    assert made.refusal is None or made.refusal.code == "empty_answer"


def test_who_repeats_all_and_ends_says_that_it_is_all() -> None:
    made = graft(ResumeMode.RESTART, "This is not")

    assert [{}] == deltas(made, event({"content": "This is not"}), event({}, "stop"))


END = event({}, "stop")


def usage_of(made: ChatGraft, prompt: int, completion: int, **details: Any) -> Any:
    """The last event, with the usage, once the answer is finished."""
    return taken(made, event({"content": " end."}), END, event(usage={**usage(prompt, completion), **details}))[-1]


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def test_the_usage_is_that_of_the_whole() -> None:
    chunk = usage_of(graft(tokens=11), 115, 4)

    # 100 of the client's own, 11 and 4 around them that were added.
    assert usage(100, 15) == chunk["usage"]
    assert [{"from": "a/m", "to": "b/m", "cause": "cut", "mode": "prefill"}] == chunk["holdfast"]["resumes"]
    assert chunk["holdfast"]["usage_estimated"]


def test_what_was_said_twice_counts_once() -> None:
    said = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    made = graft(said=said, tokens=14, echo=Echo.UNKNOWN)

    taken(made, event({"content": said + " fifteen"}))
    chunk = usage_of(made, 38, 15)

    assert 15 == chunk["usage"]["completion_tokens"]


def test_an_answer_that_was_begun_anew_has_its_own_usage() -> None:
    made = graft(ResumeMode.RESTART)
    taken(made, event({"content": SAID}))
    chunk = usage_of(made, 20, 30)

    assert usage(20, 30) == chunk["usage"]
    assert not chunk["holdfast"]["usage_estimated"]


def test_the_usage_may_come_with_the_finish_reason() -> None:
    (chunk,) = taken(graft(said="All."), event({}, "stop", usage=usage(115, 0)))

    assert 11 == chunk["usage"]["completion_tokens"]


def test_other_details_of_the_usage_stay() -> None:
    chunk = usage_of(graft(), 115, 4, prompt_tokens_details={"cached_tokens": 3})

    assert {"cached_tokens": 3} == chunk["usage"]["prompt_tokens_details"]


def test_halves_of_a_character_go_through() -> None:
    assert [{"content": "\ud83c"}, {"content": "\udf89"}] == deltas(
        graft(), event({"content": "\ud83c"}), event({"content": "\udf89"})
    )


def test_a_usage_before_the_end_waits_for_it() -> None:
    made = graft(echo=Echo.UNKNOWN)
    held = event({"content": " i"}, usage=usage(115, 1))

    assert [] == taken(made, event(usage=usage(115, 0)), held)
    (chunk,) = taken(made, event({"content": " its place."}, usage=usage(115, 4)))
    assert {"content": " i its place."} == chunk["choices"][0]["delta"]
    assert "holdfast" not in chunk


@pytest.mark.parametrize(
    "content",
    [[{"type": "text", "text": " x"}], [{"type": "thinking", "thinking": []}, {"type": "text", "text": " x"}]],
)
def test_parts_of_text(content: list[Any]) -> None:
    assert [{"content": " x"}] == deltas(graft(), event({"content": content}))


def test_numbers_of_any_size_in_the_name() -> None:
    asked = Continuation(ResumeMode.PREFILL, SAID, 11, 11, "", "")
    made = ChatGraft(Resumption(asked, SAID, "", {"id": b'"x"', "created": b"1" * 900}, Echo.NEVER))

    told = made.take(event({"content": " x"}))

    assert told is not None
    assert b'"created":' + b"1" * 900 in told


def test_what_the_client_began_itself_is_repeated_too() -> None:
    asked = Continuation(ResumeMode.PREFILL, SAID, 11, 11, "", "")
    made = ChatGraft(Resumption(asked, SAID, "I think that ", IDENTITY, Echo.ALWAYS))

    assert [{"content": " long."}] == deltas(made, event({"content": "I think that " + SAID + " long."}))
