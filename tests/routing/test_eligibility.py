"""What a request needs, and whether a step can serve it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.facts import NOTHING, ModelFacts
from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest, top_level
from proxy.core.wire import Wire
from proxy.routing.eligibility import (
    ABILITY,
    WINDOW,
    Known,
    Limits,
    Objection,
    limits_of,
    needs_of,
    objection,
    plain_tokens,
    refusal,
    suits_all,
)

HERE = DeploymentId("a", "small")
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000}}
SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 40_000, "format": "wav"}}
PAGES = {"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 40_000}}
WORDS = {"type": "text", "text": "What is this?"}


def asked(*content: object, wire: Wire = Wire.CHAT, **fields: Any) -> ModelRequest:
    """A request with one message for each content."""
    messages = [{"role": "user", "content": each} for each in content or ("Hello",)]
    body = {"model": "x", "messages": messages, **fields}
    return ModelRequest(top_level(json.dumps(body, ensure_ascii=False).encode()), "x", wire=wire)


def abilities(*content: object, **fields: Any) -> set[str]:
    return set(needs_of(asked(*content, **fields)).abilities)


def test_plain_text_needs_nothing() -> None:
    needs = needs_of(asked("Hello", temperature=0.5))

    assert ((), 0, True, 1, False, False) == (
        needs.abilities,
        needs.output,
        needs.plain,
        needs.choices,
        needs.forced_tool,
        needs.logprobs,
    )


@pytest.mark.parametrize(("part", "ability"), [(IMAGE, "vision"), (SOUND, "audio"), (PAGES, "documents")])
def test_media_need_a_model_that_takes_them(part: object, ability: str) -> None:
    assert {ability} == abilities("Hello", [WORDS, part])


@pytest.mark.parametrize(
    "text", ["image_url", '"image_url"', '{"type": "image_url"}', '{"type": "image_url", "image_url": {"url": "x"}}']
)
def test_somebodys_text_about_images_is_no_image(text: str) -> None:
    assert set() == abilities(text, [{"type": "text", "text": text}])


@pytest.mark.parametrize(
    ("wire", "fields", "ability"),
    [
        (Wire.MESSAGES, {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "vision"),
        (Wire.MESSAGES, {"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "documents"),
        (Wire.RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "vision"),
        (Wire.RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "documents"),
    ],
)
def test_media_in_other_languages(wire: Wire, fields: dict[str, Any], ability: str) -> None:
    assert (ability,) == needs_of(asked(wire=wire, **fields)).abilities


@pytest.mark.parametrize(
    "part",
    [
        WORDS,
        {"type": "refusal", "refusal": "no"},
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "tool_use", "id": "1", "name": "image_url", "input": {}},
        {"type": "video_url", "video_url": {"url": "https://h/v.mp4"}},
        {"type": ""},
        {},
    ],
)
def test_other_parts_need_nothing_that_is_known(part: object) -> None:
    assert set() == abilities([WORDS, part])
    assert suits_all(asked([part]), limits_of([ModelFacts(vision=False, audio=False, documents=False)]), None) or (
        "image_url" in json.dumps(part)
    )


def test_thoughts_that_are_sent_back_are_text() -> None:
    messages = [{"role": "assistant", "content": "Hi", "reasoning_content": "image_url", "reasoning": "hm"}]

    assert ((), True) == ((needs := needs_of(asked(messages=messages))).abilities, needs.plain)


def test_fields_that_need_something() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}

    assert {"tools"} == abilities(tools=[tool])
    assert {"tools"} == abilities(functions=[{"name": "f"}])
    assert {"structured"} == abilities(response_format=schema)
    assert {"json_mode"} == abilities(response_format={"type": "json_object"})
    for nothing in ({"tools": []}, {"tools": None}, {"response_format": {"type": "text"}}, {"response_format": None}):
        assert set() == abilities(**nothing)


def test_a_tool_may_be_forced_and_an_answer_capped() -> None:
    function = {"type": "function", "function": {"name": "f"}}
    forced = [
        needs_of(asked(tool_choice=choice)).forced_tool for choice in ("auto", "none", None, "required", function)
    ]

    assert [False, False, False, True, True] == forced
    assert [100, 200, 300, 0, 0, 0] == [
        needs_of(asked(**cap)).output
        for cap in (
            {"max_tokens": 100},
            {"max_completion_tokens": 200, "max_tokens": 1},
            {"max_output_tokens": 300},
            {"max_tokens": "100"},
            {"max_tokens": -1},
            {"max_tokens": 10**30},
        )
    ]


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 500, 4_500, 6_500),
        ("敏捷的棕色狐狸跳过懒狗。" * 500, 5_000, 7_000),
        ("Съешь ещё этих мягких французских булок. " * 500, 9_000, 15_000),
        ("Ein schöner Tag für größere Übungen. " * 500, 4_000, 6_000),
        ("x" * 4_000_000, 900_000, 1_100_000),
    ],
)
def test_tokens_are_estimated_by_length_and_script(text: str, least: int, most: int) -> None:
    assert least <= needs_of(asked(text)).tokens <= most


def test_escaped_text_counts_like_plain_text() -> None:
    text = "敏捷的棕色狐狸跳过懒狗。" * 500
    body = json.dumps({"model": "x", "messages": [{"role": "user", "content": text}]}).encode()
    escaped = needs_of(ModelRequest(top_level(body), "x")).tokens

    assert escaped == pytest.approx(needs_of(asked(text)).tokens, rel=0.05)


def test_an_images_bytes_are_no_text() -> None:
    assert needs_of(asked([WORDS, IMAGE, IMAGE])).tokens < 2000


def test_of_several_texts_to_embed_each_is_a_prompt_of_its_own() -> None:
    long = "word " * 20_000

    assert needs_of(asked(wire=Wire.EMBEDDINGS, input=long)).tokens > 20_000
    assert 0 == needs_of(asked(wire=Wire.EMBEDDINGS, input=[long, long])).tokens


def test_a_count_of_tokens_fits_anywhere() -> None:
    request = asked("word " * 100_000, wire=Wire.COUNT_TOKENS)

    assert suits_all(request, limits_of([ModelFacts(context=10)]), 10)
    assert objection(needs_of(request), ModelFacts(context=10), HERE) is None


@pytest.mark.parametrize(
    ("request_", "lacking", "reason"),
    [
        (asked([IMAGE]), "vision", "needs vision, which small lacks"),
        (asked([SOUND]), "audio", "needs audio, which small lacks"),
        (asked([PAGES]), "documents", "needs documents, which small lacks"),
        (asked(tools=[{"type": "function"}]), "tools", "needs tools, which small lacks"),
        (
            asked(response_format={"type": "json_schema"}),
            "structured",
            "needs output by a JSON schema, which small lacks",
        ),
        (asked(response_format={"type": "json_object"}), "json_mode", "needs JSON mode, which small lacks"),
    ],
)
def test_what_a_model_lacks_speaks_against_it_and_what_is_unknown_does_not(
    request_: ModelRequest, lacking: str, reason: str
) -> None:
    without, able = ModelFacts(**{lacking: False}), ModelFacts(**{lacking: True})
    needs = needs_of(request_)

    assert Objection(ABILITY, reason) == objection(needs, without, HERE)
    assert [None, None] == [objection(needs, facts, HERE) for facts in (able, NOTHING)]
    assert [False, True, True] == [suits_all(request_, limits_of([facts]), None) for facts in (without, able, NOTHING)]


def words_of(tokens: int) -> ModelRequest:
    return asked("abcd" * (tokens - 9))


@pytest.mark.parametrize(
    ("facts", "cap", "fits"),
    [
        (ModelFacts(context=10_600), {}, True),
        (ModelFacts(context=10_400), {}, False),
        (ModelFacts(context=11_600), {"max_tokens": 1000}, True),
        (ModelFacts(context=11_400), {"max_tokens": 1000}, False),
        (ModelFacts(context=11_400, max_output=100), {"max_tokens": 1000}, True),
        (ModelFacts(max_input=10_600), {"max_tokens": 10_000}, True),
        (ModelFacts(max_input=10_400), {}, False),
        (ModelFacts(context=100_000, max_input=10_400), {}, False),
        (NOTHING, {"max_tokens": 10**8}, True),
    ],
)
def test_the_prompt_and_a_margin_and_the_answer_must_fit_the_window(
    facts: ModelFacts, cap: dict[str, int], fits: bool
) -> None:
    needs = needs_of(asked("abcd" * 9991, **cap))

    assert 10_000 == pytest.approx(needs.tokens, abs=10)
    assert fits is (objection(needs, facts, HERE) is None)


def test_the_words_of_an_objection() -> None:
    needs = needs_of(asked("abcd" * 209_991, max_tokens=4000))

    assert Objection(WINDOW, "about 210,000 tokens with 4,000 more for the answer do not fit 128,000", 128_000) == (
        objection(needs, ModelFacts(context=128_000), HERE)
    )
    assert Objection(WINDOW, "about 210,000 tokens do not fit 100,000", 100_000) == (
        objection(needs, ModelFacts(max_input=100_000), HERE)
    )


def test_what_a_deployment_has_taught_counts() -> None:
    needs = needs_of(asked("abcd" * 9991))
    facts = ModelFacts(context=16_000)

    assert objection(needs, facts, HERE, Known(1.4)) is None
    assert objection(needs, facts, HERE, Known(1.6)) is not None
    assert objection(needs, NOTHING, HERE, Known(1.0, 10_400)) is not None
    assert objection(needs, NOTHING, HERE, Known(0.9, 10_400)) is None


def test_what_is_near_may_fit_after_all() -> None:
    needs = needs_of(asked("abcd" * 9991, max_tokens=1000))
    found = [objection(needs, ModelFacts(context=window), HERE) for window in (8600, 9000)]
    taught = objection(needs, ModelFacts(context=9000), HERE, Known(1.01))

    assert [False, True, False] == [each is not None and each.doubtful for each in (*found, taught)]


def test_limits_are_those_of_all_steps_together() -> None:
    facts = [ModelFacts(context=100, max_input=90, vision=False), ModelFacts(context=80, tools=False), NOTHING]
    limits = limits_of(facts)

    assert limits is not None
    assert (80, {"vision", "tools"}) == (limits.window, limits.lacks)
    assert (b'"image_url"',) == limits.marks[Wire.CHAT]
    assert [None, None] == [limits_of([NOTHING]), limits_of([ModelFacts(quality=1.0, vision=True)])]


def test_a_learned_window_counts_where_no_other_is_known() -> None:
    request = asked("abcd" * 1000)

    assert [False, True] == [suits_all(request, None, learned) for learned in (1000, None)]
    assert not suits_all(request, Limits(None, frozenset({"tools"}), {}), 1000)
    assert not suits_all(request, limits_of([ModelFacts(context=10**6)]), 1000)


@given(
    st.integers(0, 30_000),
    st.sampled_from(["a", "é", "漢", "\U0001f600", "\\u6f22"]),
    st.integers(1, 50_000),
    st.lists(st.sampled_from([IMAGE, WORDS]), max_size=3),
    st.sampled_from([{}, {"max_tokens": 500}]),
    st.floats(1.0, 3.0),
    st.floats(0.0, 1.0),
)
def test_the_quick_look_lets_pass_nothing_that_the_closer_one_would_refuse(
    n: int, char: str, window: int, parts: list[object], cap: dict[str, int], ratio: float, share: float
) -> None:
    request = asked([{"type": "text", "text": char * n}, *parts], **cap)
    known = Known(ratio * share)
    for facts, taught in (
        (ModelFacts(context=window), known),
        (ModelFacts(max_input=window), known),
        (NOTHING, Known(known.ratio, window)),
    ):
        closer = objection(needs_of(request), facts, HERE, taught)

        assert closer is None or not suits_all(request, limits_of([facts]), taught.window, ratio)


@pytest.mark.parametrize(
    ("window", "cap", "ratio", "sure"),
    [
        (40_100, {}, 3.0, True),
        (12_000, {}, 1.1, True),
        (11_000, {}, 1.1, False),
        (11_000, {}, 1.0, True),
        (11_000, {"max_tokens": 600}, 1.0, False),
        (10_000, {}, 1.0, False),
    ],
)
def test_a_prompt_longer_than_the_window_in_bytes_is_estimated(
    window: int, cap: dict[str, int], ratio: float, sure: bool
) -> None:
    request = asked("abcd" * 9991, **cap)

    assert sure is suits_all(request, limits_of([ModelFacts(context=window)]), None, ratio)


def test_what_a_request_needs_is_worked_out_once() -> None:
    request = asked("abcd" * 9991)

    assert needs_of(request) is needs_of(request)


def test_a_request_that_fits_nowhere_is_refused_in_openais_words_with_the_largest_window() -> None:
    other = DeploymentId("b", "large")
    small, large = (Objection(WINDOW, f"about 9,000 tokens do not fit {size:,}", size) for size in (4000, 8000))
    error = refusal("chat", [(HERE, small), (other, large)])

    assert (400, "context_length_exceeded", "invalid_request_error", "messages", False) == (
        error.status,
        error.code,
        error.error_type,
        error.param,
        error.should_retry,
    )
    assert error.message.startswith("This model's maximum context length is 8000 tokens.")


def test_a_request_that_nobody_can_serve_is_told_why() -> None:
    other = DeploymentId("b", "large")
    blind, small = Objection(ABILITY, "needs vision, which small lacks"), Objection(WINDOW, "too long", 10)
    error = refusal("chat", [(HERE, blind), (other, small)])

    assert (400, None, "invalid_request_error") == (error.status, error.code, error.error_type)
    assert (
        "chat: no deployment of this route can serve the request: a/small needs vision, which small lacks; "
        "b/large too long." == error.message
    )


def test_only_text_of_some_length_is_learned_from() -> None:
    assert plain_tokens(asked("short")) is None
    assert plain_tokens(asked("abcd" * 10_000)) == pytest.approx(10_000, abs=10)
    assert plain_tokens(asked([WORDS, IMAGE])) is None
    assert plain_tokens(asked("abcd" * 1_000_000)) is None


HOSTILE = [
    {"messages": "image_url"},
    {"messages": [1, "image_url", None]},
    {"messages": [{"content": [{"type": "image_url"}, 5]}]},
    {"messages": [{"content": [{"type": 7, "image_url": 1}]}]},
    {"messages": [{"content": {"type": "image_url"}}]},
    {"messages": [{}] * 200_000 + [{"content": [{"type": "image_url"}]}]},
    {"tools": "x", "functions": 1, "response_format": "json", "tool_choice": [], "max_tokens": {}},
    {"response_format": {"type": ["json_schema"]}, "logprobs": "yes"},
    {"messages": json.loads("[" * 400 + '"image_url"' + "]" * 400)},
]


@pytest.mark.parametrize("fields", HOSTILE, ids=range(len(HOSTILE)))
def test_what_makes_no_sense_needs_no_media(fields: dict[str, Any]) -> None:
    body = json.dumps({"model": "x", "messages": [], **fields}).encode()
    needs = needs_of(ModelRequest(top_level(body), "x"))

    assert {"vision", "audio", "documents"}.isdisjoint(needs.abilities)
    assert needs.tokens >= 0
