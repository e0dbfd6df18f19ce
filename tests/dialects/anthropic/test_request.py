"""The fields of a chat request as those of Messages."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.facts import ModelFacts
from proxy.dialects.dialect import NotCarriedError
from tests.dialects.anthropic.oracle import (
    MODEL,
    NEW,
    OLD,
    ask,
    assistant,
    body_of,
    call,
    check_request,
    outgoing,
    result,
    text,
    tool,
    user,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
MARK = {"cache_control": {"type": "ephemeral"}}


def bound(schema: object = SCHEMA, **more: object) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}


def dropped(**chat: Any) -> tuple[str, ...]:
    return outgoing(**chat).dropped


def test_the_judge_finds_keys_that_the_sdk_does_not_know() -> None:
    body = ask()

    with pytest.raises(AssertionError):
        check_request({**body, "seed": 1})
    with pytest.raises(AssertionError):
        check_request({**body, "messages": [{"role": "user", "content": [{**text("a"), "x": 1}]}]})


def test_the_least_request() -> None:
    written = outgoing()

    expected = {"model": MODEL, "max_tokens": 4096, "messages": [{"role": "user", "content": [text("hi")]}]}
    assert expected == body_of(written)
    assert ("/v1/messages", (), {}) == (written.path, written.dropped, written.names)


def test_streams() -> None:
    assert ask(stream=True, stream_options={"include_usage": True})["stream"]
    assert "stream" not in ask(stream=False)


class TestCap:
    def test_the_catalogue_knows_the_default_and_the_most(self) -> None:
        facts = ModelFacts(max_output=64000)

        assert 64000 == ask(facts=facts)["max_tokens"]
        assert 64000 == ask(facts=facts, max_tokens=100_000)["max_tokens"]
        assert 100 == ask(facts=facts, max_tokens=100)["max_tokens"]
        assert 100_000 == ask(max_tokens=100_000)["max_tokens"]
        assert 2**31 == ask(max_tokens=1e300)["max_tokens"]

    def test_the_newer_name_counts(self) -> None:
        assert 7 == ask(max_tokens=5, max_completion_tokens=7)["max_tokens"]

    def test_a_cap_that_was_refused_is_not_sent_but_messages_needs_one(self) -> None:
        written = outgoing(max_tokens=5, without=["max_tokens"])

        assert (4096, ("max_tokens",)) == (body_of(written)["max_tokens"], written.dropped)

    @pytest.mark.parametrize("cap", [0, -1, "many", [], {}])
    def test_what_is_no_cap(self, cap: object) -> None:
        with pytest.raises(NotCarriedError) as caught:
            ask(max_tokens=cap)
        assert "max_tokens" == caught.value.param


class TestSampling:
    def test_is_clamped_to_what_messages_knows(self) -> None:
        assert 1 == ask(temperature=1.7)["temperature"]
        assert 0 == ask(temperature=-1)["temperature"]
        assert (0.5, 40) == (ask(top_p=0.5)["top_p"], ask(top_k=40)["top_k"])

    def test_only_one_of_temperature_and_top_p_is_taken_since_claude_4(self) -> None:
        both = {"temperature": 0.5, "top_p": 0.5}

        assert ("top_p",) == dropped(**both)
        assert () == dropped(**both, model="claude-3-7-sonnet-20250219")

    @pytest.mark.parametrize(
        "model", ["claude-opus-4-7", "claude-sonnet-5", NEW, "claude-fable-5-1", "claude-haiku-5-5"]
    )
    def test_families_that_refuse_it_get_none(self, model: str) -> None:
        written = outgoing(model=model, temperature=0.5, top_p=0.5, top_k=5)

        assert not {"temperature", "top_p", "top_k"} & set(body_of(written))
        assert ("temperature", "top_p", "top_k") == written.dropped

    def test_while_it_thinks_there_is_none(self) -> None:
        assert ("temperature",) == dropped(temperature=0.5, reasoning_effort="low", max_tokens=9000)

    def test_what_was_refused_before_is_left_out(self) -> None:
        written = outgoing(temperature=0.5, without=["temperature"])

        assert ("temperature",) == written.dropped
        assert "temperature" not in body_of(written)

    @pytest.mark.parametrize("value", ["hot", True, [], {}])
    def test_what_is_no_number_is_left_out(self, value: object) -> None:
        assert ("temperature",) == dropped(temperature=value)


class TestTheRest:
    def test_stops_that_are_blank_are_refused_so_they_are_not_sent(self) -> None:
        assert ["\nEnd", "x"] == ask(stop=["\nEnd", "", "  ", "\n", "x", 5])["stop_sequences"]
        assert ["x"] == ask(stop="x")["stop_sequences"]
        assert "stop_sequences" not in ask(stop=["\n"])

    def test_the_user_is_told_unless_it_is_a_person(self) -> None:
        assert {"user_id": "u-17"} == ask(user="u-17")["metadata"]
        for person in ("a@example.org", "x" * 300, 5):
            assert ("user",) == dropped(user=person)

    def test_what_has_no_counterpart_is_dropped_and_named(self) -> None:
        asked = {
            "seed": 1, "logprobs": True, "top_logprobs": 2, "logit_bias": {"1": 2}, "presence_penalty": 0.1,
            "frequency_penalty": 0.1, "service_tier": "flex", "store": True, "metadata": {"a": "b"}, "verbosity": "low",
            "prediction": {"type": "content", "content": "a"}, "prompt_cache_key": "k", "safety_identifier": "s",
            "web_search_options": {}, "unheard_of": 1,
        }  # fmt: skip

        assert tuple(asked) == dropped(**asked)

    def test_what_asks_for_nothing_is_not_named(self) -> None:
        assert () == dropped(seed=None, logprobs=False, store=False, n=1, modalities=["text"], tools=[], stop=None)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("n", 2), ("modalities", ["text", "audio"]), ("functions", [{}]), ("function_call", "auto")],
    )
    def test_what_means_another_thing_is_refused(self, name: str, value: object) -> None:
        with pytest.raises(NotCarriedError) as caught:
            ask(**{name: value})

        assert name == caught.value.param


class TestFormat:
    def test_text_is_what_there_is_anyway(self) -> None:
        assert ask() == ask(response_format={"type": "text"})

    def test_json_of_any_form_is_asked_for_in_words_behind_the_clients_own(self) -> None:
        written = ask(messages=[{"role": "system", "content": "a"}, user("b")], response_format={"type": "json_object"})

        assert text("a") == written["system"][0]
        assert "JSON object" in written["system"][1]["text"]

    def test_a_schema_binds_the_output_and_what_cannot_be_enforced_is_told(self) -> None:
        number = {"type": "integer", "description": "{minimum: 1}"}
        closed = {"type": "object", "properties": {"a": number}, "additionalProperties": False, "required": ["a"]}

        written = ask(response_format=bound())

        assert {"format": {"type": "json_schema", "schema": closed}} == written["output_config"]

    def test_models_that_cannot_be_bound_call_a_tool_whose_input_is_the_answer(self) -> None:
        written = outgoing(model=OLD, response_format=bound(description="An a."))

        body = body_of(written)
        (answer,) = body["tools"]
        assert ("answer", SCHEMA) == (answer["name"], answer["input_schema"])
        assert answer["description"].endswith("An a.")
        assert {"type": "tool", "name": "answer", "disable_parallel_tool_use": True} == body["tool_choice"]
        assert {"answer": ""} == written.names

    def test_beside_the_clients_tools_one_of_all_has_to_be_called(self) -> None:
        written = outgoing(model=OLD, response_format=bound(), tools=[tool("answer")], parallel_tool_calls=False)

        body = body_of(written)
        assert ["answer", "answer_2"] == [each["name"] for each in body["tools"]]
        assert {"type": "any", "disable_parallel_tool_use": True} == body["tool_choice"]
        assert {"answer_2": ""} == written.names

    def test_where_the_client_forces_a_tool_there_is_no_answer_to_bind(self) -> None:
        choice = {"type": "function", "function": {"name": "look"}}

        written = ask(model=OLD, response_format=bound(), tools=[tool()], tool_choice=choice)

        assert ["look"] == [each["name"] for each in written["tools"]]

    def test_a_catalogue_may_know_more_of_other_makers_models(self) -> None:
        assert "tools" in ask(model="qwen3", response_format=bound())
        assert "output_config" in ask(model="qwen3", response_format=bound(), facts=ModelFacts(structured=True))
        assert "tools" in ask(model=MODEL, response_format=bound(), facts=ModelFacts(structured=False))
        assert "tools" in ask(model=OLD, response_format=bound(), facts=ModelFacts(structured=True))

    @pytest.mark.parametrize("wanted", [{"type": "grammar"}, {"type": []}, "json", {}])
    def test_what_is_no_format_is_refused(self, wanted: object) -> None:
        with pytest.raises(NotCarriedError) as caught:
            ask(response_format=wanted)

        assert "response_format" == caught.value.param

    def test_a_model_that_can_neither_be_bound_nor_forced_is_not_asked(self) -> None:
        with pytest.raises(NotCarriedError):
            ask(model="claude-fable-5-1", response_format=bound(), facts=ModelFacts(structured=False))

    def test_an_answer_that_is_no_object_cannot_be_the_input_of_a_tool(self) -> None:
        with pytest.raises(NotCarriedError):
            ask(model=OLD, response_format=bound({"type": "array"}))


class TestCache:
    def test_marks_are_passed_on_wherever_chat_has_them(self) -> None:
        written = ask(
            messages=[user([{**text("a"), **MARK}]), assistant(None, call("1")), {**result("1"), **MARK}],
            tools=[{**tool("f"), **MARK}],
            cache_control={"type": "ephemeral", "ttl": "1h"},
        )

        assert {"type": "ephemeral", "ttl": "1h"} == written["cache_control"]
        assert MARK["cache_control"] == written["tools"][0]["cache_control"]
        assert MARK["cache_control"] == written["messages"][0]["content"][0]["cache_control"]
        assert MARK["cache_control"] == written["messages"][2]["content"][0]["cache_control"]

    def test_at_most_four_the_first_and_the_last(self) -> None:
        parts = [{**text(str(place)), **MARK} for place in range(6)]

        written = ask(messages=[{"role": "system", "content": [{**text("s"), **MARK}]}, user(parts)])

        assert "cache_control" in written["system"][0]
        marked = [part["text"] for part in written["messages"][0]["content"] if "cache_control" in part]
        assert ["3", "4", "5"] == marked

    def test_the_mark_of_the_request_is_one_of_the_four(self) -> None:
        parts = [{**text(str(place)), **MARK} for place in range(6)]

        written = ask(messages=[user(parts)], cache_control={"type": "ephemeral"})

        marked = [part["text"] for part in written["messages"][0]["content"] if "cache_control" in part]
        assert ["0", "4", "5"] == marked

    @pytest.mark.parametrize("mark", ["ephemeral", {"type": "lasting"}, {}, 5, {"type": []}])
    def test_what_is_no_mark_is_none(self, mark: object) -> None:
        assert (
            "cache_control"
            not in ask(messages=[user([{**text("a"), "cache_control": mark}])])["messages"][0]["content"][0]
        )
