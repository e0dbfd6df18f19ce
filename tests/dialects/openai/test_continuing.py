"""The chat request that makes another deployment go on with an answer, and what is read of the client's own."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy.dialects.openai.continuing import continued, own_beginning, wanted
from proxy.dialects.prefill import PREFILLS, Prefill
from proxy.streams.resume import Continuation, ResumeMode, Wanted

SAID = 'It is a "fish" \\ é 🐟'
MODES = [ResumeMode.PREFILL, ResumeMode.INSTRUCT]
USER = {"role": "user", "content": "What is it?"}
ASKED = {"role": "user", "content": "Go on after 🐟 {please}"}


def fields(text: str) -> dict[str, Raw]:
    return msgspec.json.decode(text.encode(), type=dict[str, Raw])


def going_on(mode: ResumeMode, text: str = SAID, tokens: int = 7) -> Continuation:
    return Continuation(mode, text, tokens, tokens, tail="🐟", instruction="Go on after {tail} {please}")


def sent(
    mode: ResumeMode, request: dict[str, Any], prefill: Prefill | None = None, continuation: Continuation | None = None
) -> dict[str, Any]:
    body = continued(fields(json.dumps(request)), continuation or going_on(mode), prefill)
    return json.loads(msgspec.json.encode(body))


def answer(text: Any = SAID, **members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **members}


def test_prefill_ends_in_the_answer_so_far() -> None:
    request = {"messages": [USER], "stop": ["x"], "tools": [{"type": "function"}], "temperature": 0.5}
    assert {**request, "messages": [USER, answer()]} == sent(ResumeMode.PREFILL, request)


def test_instruct_asks_to_go_on() -> None:
    request = {"messages": [USER], "stop": "x"}
    # The instruction is text, not a format: what looks like another field in it stays.
    assert {**request, "messages": [USER, answer(), ASKED]} == sent(ResumeMode.INSTRUCT, request)


def test_instruct_knows_nothing_of_prefills() -> None:
    expected = {"messages": [USER, answer(), ASKED]}
    assert expected == sent(ResumeMode.INSTRUCT, {"messages": [USER]}, PREFILLS["deepseek"])


def test_restart_is_the_clients_own_request() -> None:
    own = fields('{"messages" : [ {"role": "user"} ], "max_tokens": 9}')
    again = continued(own, going_on(ResumeMode.RESTART), PREFILLS["vllm"])
    assert own == again
    assert own is not again


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_says_nothing_yet_is_asked_for_anew(mode: ResumeMode) -> None:
    own = fields('{"messages": [{"role": "user"}], "max_tokens": 9}')
    assert own == continued(own, going_on(mode, text=""), PREFILLS["vllm"])


@pytest.mark.parametrize("mode", list(ResumeMode))
def test_the_clients_fields_are_left_alone(mode: ResumeMode) -> None:
    own = fields('{"messages": [{"role": "assistant", "content": "x"}], "max_tokens": 9, "thinking": {"a": 1}}')
    before = dict(own)
    continued(own, going_on(mode), PREFILLS["deepseek"])
    assert before == own


KINDS = [
    ("anthropic", {"thinking": {"type": "enabled"}}, {}, {}),
    ("gemini", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}, {}),
    (
        "deepseek",
        {"thinking": {"type": "enabled", "budget": 5}, "reasoning_effort": "high"},
        {"thinking": {"type": "disabled"}},
        {"prefix": True},
    ),
    ("mistral", {"reasoning_effort": "high"}, {}, {"prefix": True}),
    (
        "vllm",
        {"echo": True, "add_generation_prompt": True},
        {"continue_final_message": True, "add_generation_prompt": False},
        {},
    ),
    ("llamacpp", {}, {"chat_template_kwargs": {"enable_thinking": False}}, {}),
    (
        "llamacpp",
        {"chat_template_kwargs": {"a": [1], "enable_thinking": True}},
        {"chat_template_kwargs": {"a": [1], "enable_thinking": False}},
        {},
    ),
    ("llamacpp", {"chat_template_kwargs": None}, {"chat_template_kwargs": {"enable_thinking": False}}, {}),
    ("llamacpp", {"chat_template_kwargs": [1]}, {"chat_template_kwargs": {"enable_thinking": False}}, {}),
    ("ollama", {"reasoning": {"effort": "high"}}, {"reasoning_effort": "none"}, {}),
    ("simulated", {"x": 1}, {"x": 1}, {}),
]


@pytest.mark.parametrize(("kind", "own", "expected", "members"), KINDS)
def test_what_each_kind_wants(
    kind: str, own: dict[str, Any], expected: dict[str, Any], members: dict[str, Any]
) -> None:
    body = sent(ResumeMode.PREFILL, {"messages": [USER], **own}, PREFILLS[kind])
    assert {"messages": [USER, answer(**members)], **expected} == body


PARTS = [{"type": "text", "text": "Well, "}]
OWN = [
    (answer("Well, "), answer("Well, " + SAID)),
    (answer("", name="x"), answer(name="x")),
    (answer(PARTS), answer([*PARTS, {"type": "text", "text": SAID}])),
    (answer([]), answer([{"type": "text", "text": SAID}])),
    (answer(None), answer()),
    ({"role": "assistant"}, answer()),
]


@pytest.mark.parametrize(("own", "joined"), OWN)
def test_the_clients_own_beginning_is_part_of_the_answer(own: dict[str, Any], joined: dict[str, Any]) -> None:
    request = {"messages": [USER, own]}
    assert {"messages": [USER, joined]} == sent(ResumeMode.PREFILL, request)
    assert {"messages": [USER, joined, ASKED]} == sent(ResumeMode.INSTRUCT, request)


def test_what_the_client_said_of_its_own_beginning_ends_with_it() -> None:
    request = {
        "messages": [USER, answer("Well, ", prefix=True)],
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    assert {"messages": [USER, answer("Well, " + SAID), ASKED]} == sent(ResumeMode.INSTRUCT, request)
    assert {**request, "messages": [USER, answer("Well, " + SAID, prefix=True)]} == sent(ResumeMode.PREFILL, request)


@pytest.mark.parametrize("last", [answer(7), answer({}), {"role": 7}, {}, 7, "assistant", None, [answer()]])
def test_a_strange_last_message_is_left_alone(last: Any) -> None:
    assert {"messages": [last, answer()]} == sent(ResumeMode.PREFILL, {"messages": [last]})


def test_without_messages_the_answer_is_the_only_one() -> None:
    assert {"messages": [answer()]} == sent(ResumeMode.PREFILL, {"messages": []})


def test_the_clients_own_beginning_stays_as_it_was_spelled() -> None:
    own = fields(r'{"messages":[{"role":"\u0061ssistant","n":1e0,"content":"caf\u00e9, \/"}]}')
    joined = bytes(continued(own, going_on(ResumeMode.PREFILL, text='"!'), None)["messages"])
    assert rb'[{"role":"\u0061ssistant","n":1e0,"content":"caf\u00e9, \/\"!"}]' == joined


CAPS = [
    ("max_tokens", 100, 93),
    ("max_completion_tokens", 100, 93),
    ("max_tokens", 8, 1),
    ("max_tokens", 7, 1),
    ("max_tokens", 3, 1),
    ("max_tokens", 1, 1),
    ("min_tokens", 100, 93),
    ("min_tokens", 5, 0),
    # No caps: nothing is allowed, everything is allowed, or nonsense that is the upstream's to refuse.
    ("max_tokens", 0, 0),
    ("max_tokens", -1, -1),
    ("max_tokens", None, None),
    ("max_tokens", 100.5, 100.5),
    ("max_tokens", "100", "100"),
    ("max_tokens", True, True),
    ("n", 100, 100),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "given_cap", "left"), CAPS)
def test_tokens_that_were_spent_count(mode: ResumeMode, name: str, given_cap: object, left: object) -> None:
    body = sent(mode, {"messages": [USER], name: given_cap})
    if mode is ResumeMode.INSTRUCT and type(left) is int and left > 0 and name.startswith("max_"):
        # Room for what is to be repeated: the mark, and a tail of one character.
        left += 16
    assert left == body[name]
    assert type(left) is type(body[name])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": st.text() | json_values},
        optional={"name": st.text(), "tool_calls": json_values},
    )
    | json_values
)
names = st.text() | st.sampled_from(["max_tokens", "chat_template_kwargs", "thinking", "continue_final_message"])
rows = st.none() | st.sampled_from(list(PREFILLS.values()))
texts = st.text(min_size=1)


@given(st.dictionaries(names, json_values), messages, st.sampled_from(MODES), rows, texts, st.booleans())
def test_earlier_messages_stay_as_they_were_sent(
    request: dict[str, Any], told: list[Any], mode: ResumeMode, prefill: Prefill | None, text: str, spaced: bool
) -> None:
    own = fields(json.dumps({**request, "messages": told}, indent=1 if spaced else None))
    body = continued(own, going_on(mode, text), prefill)
    before = msgspec.json.decode(own["messages"], type=list[Raw])
    after = msgspec.json.decode(body["messages"], type=list[Raw])
    answered = len(after) - (mode is ResumeMode.INSTRUCT) - 1
    assert answered in {len(before), len(before) - 1}
    assert [bytes(message) for message in before[:answered]] == [bytes(message) for message in after[:answered]]
    last = json.loads(bytes(after[answered]))
    said = last["content"] if isinstance(last["content"], str) else last["content"][-1]["text"]
    assert "assistant" == last["role"]
    assert said.endswith(text)
    # Whatever a kind wants touches only the fields that it names.
    touched = {"messages", "max_tokens", "min_tokens", "max_completion_tokens", "continue_final_message"}
    touched |= {"add_generation_prompt"} | (set(prefill.fields) | prefill.drop if prefill else set())
    assert {name: own[name] for name in own if name not in touched} == {
        name: body[name] for name in body if name not in touched
    }


GRAMMARS = ["guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar"]
WANTED: list[tuple[dict[str, Any], Wanted]] = [
    ({}, Wanted()),
    ({"n": 1}, Wanted()),
    ({"n": 3}, Wanted(choices=3)),
    *(({"n": n}, Wanted()) for n in (None, 0, -2, "3", True, 2.5)),
    ({"logprobs": True}, Wanted(logprobs=True)),
    *(({"logprobs": value}, Wanted()) for value in (None, False, 0, 1, "true")),
    ({"modalities": ["text", "audio"]}, Wanted(audio=True)),
    ({"audio": {"voice": "x"}}, Wanted(audio=True)),
    *(
        ({"modalities": value, "audio": None}, Wanted())
        for value in (None, ["text"], "audio", {"audio": 1}, [["audio"]])
    ),
    ({"response_format": {"type": "json_object"}}, Wanted(structured=True)),
    ({"response_format": {"type": "json_schema", "json_schema": {}}}, Wanted(structured=True)),
    ({"response_format": {"type": "structural_tag"}}, Wanted(structured=True)),
    *(({"response_format": value}, Wanted()) for value in (None, {"type": "text"}, {}, {"type": None}, "json", ["x"])),
    *(({name: "x"}, Wanted(structured=True)) for name in GRAMMARS),
    *(({name: value}, Wanted()) for name in GRAMMARS for value in (None, "", False)),
    ({"json_schema": {}}, Wanted(structured=True)),
    ({"tool_choice": "required"}, Wanted(forced_tool=True)),
    ({"tool_choice": "any"}, Wanted(forced_tool=True)),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, Wanted(forced_tool=True)),
    ({"tool_choice": {"function": {"name": "f"}}}, Wanted(forced_tool=True)),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required"}}}, Wanted(forced_tool=True)),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}}, Wanted()),
    ({"function_call": {"name": "f"}}, Wanted(forced_tool=True)),
    *(({"tool_choice": value, "function_call": "auto"}, Wanted()) for value in (None, "", "auto", "none", 7, ["x"])),
    ({"seed": 0}, Wanted(fixed=True)),
    ({"seed": 7, "temperature": 1}, Wanted(fixed=True)),
    ({"temperature": 0}, Wanted(fixed=True)),
    ({"temperature": 0.0}, Wanted(fixed=True)),
    *(({"seed": None, "temperature": value}, Wanted()) for value in (None, 0.001, 1, "0", False, [])),
]


@pytest.mark.parametrize(("request_fields", "expected"), WANTED)
def test_wanted(request_fields: dict[str, Any], expected: Wanted) -> None:
    assert expected == wanted(fields(json.dumps(request_fields)))


READ = sorted({name for request_fields, _ in WANTED for name in request_fields})
DEEP = b"[" * 100_000


BEGINNINGS = [
    ([USER, answer("Well, ")], "Well, "),
    ([answer([*PARTS, {"type": "image_url"}, {"type": "text", "text": "you"}])], "Well, you"),
    ([answer(None)], ""),
    ([{"role": "assistant"}], ""),
    ([answer("Well, "), USER], ""),
    ([answer([7])], ""),
    ([], ""),
    (7, ""),
]


@pytest.mark.parametrize(("told", "expected"), BEGINNINGS)
def test_own_beginning(told: Any, expected: str) -> None:
    assert expected == own_beginning(fields(json.dumps({"messages": told})))


@given(st.dictionaries(st.sampled_from(READ), st.binary() | json_values.map(lambda value: json.dumps(value).encode())))
def test_wanted_never_raises(values: dict[str, bytes]) -> None:
    assert isinstance(wanted({name: Raw(value) for name, value in values.items()}), Wanted)


@given(st.dictionaries(st.just("messages"), st.binary() | messages.map(lambda told: json.dumps(told).encode())))
def test_own_beginning_never_raises(values: dict[str, bytes]) -> None:
    assert isinstance(own_beginning({name: Raw(value) for name, value in values.items()}), str)


@pytest.mark.parametrize("unreadable", [b"", b"{", b"nul", b'"\xff"', b'"\\ud800"', DEEP, b"1" * 5000])
def test_what_cannot_be_read_is_not_there(unreadable: bytes) -> None:
    assert Wanted() == wanted(dict.fromkeys(READ, Raw(unreadable)))
    assert "" == own_beginning({"messages": Raw(unreadable)})
