import json

import pytest

from proxy.simulator.answers import ToolCall, Voice, compose
from proxy.simulator.question import BadRequestError
from proxy.simulator.tokens import tokens_of
from proxy.simulator.wires.openai_chat import parse_chat

SAY = " ".join(f"w{number}" for number in range(60))
USER = {"role": "user", "content": "How are you?"}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in ("weather", "news", "stocks")
]


def answer(voice: Voice | None = None, messages=(USER,), **extra):
    body = json.dumps({"model": "m", "messages": list(messages), **extra}).encode()
    return compose(voice or Voice("primary"), parse_chat(body), serial=1, now=1000.5)


def text(voice: Voice | None = None, messages=(USER,), **extra) -> str:
    return "".join(answer(voice, messages, **extra).choices[0].tokens)


def calls(composed) -> list[str]:
    return [call.name for _, call in composed.choices[0].tool_calls]


def test_the_default_text_says_that_it_is_simulated_and_by_whom():
    said = text()
    assert said.startswith("Simulated answer from primary: ")
    assert 20 <= len(said.split()) <= 40


def test_the_text_depends_on_seed_upstream_and_question_only():
    assert text(Voice("primary", seed=1)) == text(Voice("primary", seed=1))
    assert answer(Voice("primary")) == answer(Voice("primary"))
    others = {
        text(Voice("primary", seed=2)),
        text(Voice("backup")),
        text(messages=[{"role": "user", "content": "And now?"}]),
    }
    assert text() not in others


def test_words_are_tokens_that_join_to_the_text():
    assert tokens_of(" a  b\nc \n") == (" a", "  b", "\nc \n")
    assert tokens_of("") == ()
    assert tokens_of(" \n") == (" \n",)


def test_a_set_text_and_a_set_length():
    assert text(Voice("primary", answer="Yes.")) == "Yes."
    assert text(Voice("primary", answer="a b", words_per_answer=5)) == "a b a b a"
    assert len(text(Voice("primary", words_per_answer=200)).split()) == 200


def test_usage_counts_words():
    usage = answer(Voice("primary", answer="one two three")).usage
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (7, 3, 10)
    assert answer(Voice("primary", usage={"total_tokens": 9})).usage == {"total_tokens": 9}


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_shortens(field):
    choice = answer(Voice("primary", answer=SAY), **{field: 3}).choices[0]
    assert (choice.tokens, choice.finish_reason) == (("w0", " w1", " w2"), "length")


def test_several_choices_differ():
    choices = answer(n=3).choices
    assert len({choice.tokens for choice in choices}) == 3


def test_the_health_prompt_is_answered_ok():
    assert text(messages=[{"role": "user", "content": "Reply with the word ok."}]) == "ok"


def test_required_tools_are_called_in_parallel_with_valid_arguments():
    composed = answer(tools=TOOLS, tool_choice="required")
    assert calls(composed) == ["weather", "news"]
    assert composed.choices[0].tool_calls[0][1].arguments == {"city": "simulated"}
    assert composed.choices[0].finish_reason == "tool_calls"
    assert calls(answer(tools=TOOLS, tool_choice="required", parallel_tool_calls=False)) == ["weather"]


def test_a_named_tool_is_called():
    choice = {"type": "function", "function": {"name": "news"}}
    assert calls(answer(tools=TOOLS, tool_choice=choice)) == ["news"]


def test_a_voice_calls_tools_unasked_until_one_has_answered():
    voice = Voice("primary", tool_calls=1)
    assert calls(answer(voice, tools=TOOLS)) == ["weather"]
    assert calls(answer(voice, [USER, {"role": "tool", "content": "rain"}], tools=TOOLS)) == []
    assert calls(answer(Voice("primary", tool_calls=[ToolCall("any", {"x": 1})]))) == ["any"]
    assert calls(answer(voice)) == []


def test_structured_output_is_a_document():
    schema = {"type": "object", "properties": {"mood": {"enum": ["fine", "bad"]}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "mood", "schema": schema}}
    assert json.loads(text(response_format=wanted)) == {"mood": "fine"}
    assert json.loads(text(response_format={"type": "json_object"})) == {"simulated": True}
    assert text(response_format={"type": "text"}).startswith("Simulated")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[" * 100_000, None),
        (b"[]", None),
        (b'{"messages": [{"role": "user"}]}', "model"),
        (b'{"model": "m"}', "messages"),
        (b'{"model": "m", "messages": []}', "messages"),
        (b'{"model": "m", "messages": ["hi"]}', "messages"),
        (b'{"model": "m", "messages": [{}], "n": 0}', "n"),
        (b'{"model": "m", "messages": [{}], "n": 129}', "n"),
        (b'{"model": "m", "messages": [{}], "max_tokens": "many"}', "max_tokens"),
        (b'{"model": "m", "messages": [{}], "stream_options": {}}', "stream_options"),
        (b'{"model": "m", "messages": [{}], "tools": 3}', "tools"),
        (b'{"model": "m", "messages": [{}], "tool_choice": "required"}', "tool_choice"),
    ],
)
def test_a_bad_request_names_its_field(body, param):
    with pytest.raises(BadRequestError) as caught:
        parse_chat(body)
    assert caught.value.param == param


def test_an_unknown_tool_cannot_be_forced():
    with pytest.raises(BadRequestError, match="no tool is named 'other'"):
        answer(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "other"}})


def test_text_parts_are_read():
    parts = [{"type": "text", "text": "Reply with"}, {"type": "text", "text": "the word ok."}]
    assert text(messages=[{"role": "user", "content": parts}]) == "ok"
