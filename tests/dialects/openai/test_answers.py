"""What answers and events are taken for, and the edits that quirks demand of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.openai.chat import Completion, event_reader, read_answer, read_event
from proxy.dialects.registry import KINDS, Quirks
from proxy.streams.event_view import EventKind, EventView

PLAIN = Quirks()
XAI = KINDS["xai"].quirks
GROQ = KINDS["groq"].quirks
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


# A complete answer


def answer(message: object, finish: object = "stop", **more: object) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps({"id": "c", "model": "gpt", "choices": [choice], "usage": {"total_tokens": 3}, **more}).encode()


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
GOOD: list[tuple[object, object]] = [
    ({"role": "assistant", "content": "hi"}, "stop"),
    ({"content": "hi"}, None),
    ({"content": " "}, "stop"),
    ({"content": [{"type": "text", "text": "x"}]}, "stop"),
    ({"content": [{"type": "thinking", "thinking": [{"text": "x"}]}]}, "stop"),
    ({"content": None, "tool_calls": [CALL]}, "tool_calls"),
    ({"content": "", "tool_calls": [CALL]}, "stop"),
    ({"function_call": {"name": "f", "arguments": ""}}, "function_call"),
    ({"refusal": "no"}, "stop"),
    ({"content": "", "reasoning_content": "hm"}, "stop"),
    ({"content": None, "reasoning": "hm"}, "stop"),
    ({"reasoning_details": [{"type": "x"}]}, "stop"),
    ({"audio": {"id": "a"}}, "stop"),
    # Legitimate without content: its own limit cut it off.
    ({"content": ""}, "length"),
    ({"content": None}, "content_filter"),
    ({"content": ""}, "model_length"),
    ({}, "length"),
]


@pytest.mark.parametrize(("message", "finish"), GOOD)
def test_answers(message: object, finish: str | None) -> None:
    body = answer(message, finish)
    read = read_answer(body, PLAIN)
    assert isinstance(read, Completion)
    assert read.body is body
    assert b'{"total_tokens": 3}' == read.usage


BAD: list[tuple[bytes, str]] = [
    (b"", "empty_body"),
    (b" \n\n", "empty_body"),
    (b"\xef\xbb\xbf\n", "empty_body"),
    (b'{"choices":[{"message":{"content":"cut o', "invalid_json"),
    (b"<html><body>Welcome</body></html>", "invalid_json"),
    (b"\x00\xff\xfe", "invalid_json"),
    (b'{"choices":[{"message":{"content":"\xff"}}]}', "invalid_json"),
    (b"[" * 100_000, "invalid_json"),
    (b"[]", "wrong_schema"),
    (b'"text"', "wrong_schema"),
    (b'{"choices":"x"}', "wrong_schema"),
    (b'{"choices":[1]}', "wrong_schema"),
    (b'{"choices":[{"message":{"content":5}}]}', "wrong_schema"),
    (b"{}", "empty_answer"),
    (b'{"choices":[]}', "empty_answer"),
    (b'{"choices":null,"usage":{}}', "empty_answer"),
    (b'{"choices":[{"index":0,"finish_reason":"stop"}]}', "empty_answer"),
    (answer({"role": "assistant", "content": ""}), "empty_answer"),
    (answer({"role": "assistant", "content": None}, None), "empty_answer"),
    (answer({"content": [], "tool_calls": [], "refusal": "", "reasoning_content": None}), "empty_answer"),
    (answer({"content": [{"type": "text", "text": ""}]}), "empty_answer"),
    (answer({"content": None, "tool_calls": []}, "tool_calls"), "empty_answer"),
    (
        answer({"tool_calls": [{"index": 0, "type": "function", "function": {"arguments": ""}}]}, "tool_calls"),
        "empty_answer",
    ),
    (answer({"content": "half"}, "error"), "in_band_error"),
    (b'{"error":{"message":"odd"}}', "in_band_error"),
    (b'[{"error":{"message":"odd"}}]', "in_band_error"),
    (b'{"error":"odd"}', "in_band_error"),
    (b'{"object":"error","message":"odd"}', "in_band_error"),
    (b'{"detail":"odd"}', "in_band_error"),
    (answer({"content": "x"}, error={"message": "odd"}), "in_band_error"),
]


@pytest.mark.parametrize(("body", "code"), BAD)
def test_answers_that_are_none(body: bytes, code: str) -> None:
    failure = read_answer(body, PLAIN, "openai", 0.0)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.code) == (FailureClass.BAD_ANSWER, code)


def test_errors_in_disguise_get_their_class() -> None:
    failure = read_answer(b'{"error":{"message":"x","code":429}}', PLAIN, "openrouter", 0.0)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.code) == (FailureClass.RATE_LIMITED, "in_band_error")


def test_a_page_says_what_it_is_and_an_answer_stays_private() -> None:
    page = read_answer(b"<h1>Welcome</h1>", PLAIN)
    piece = read_answer(b'{"choices":[{"message":{"content":"secret', PLAIN)
    assert isinstance(page, Failure)
    assert isinstance(piece, Failure)
    assert "Welcome" in page.message
    assert "secret" not in piece.message


def test_blank_lines_and_marks_before_the_answer() -> None:
    body = b"\n\n  " + answer({"content": "x"})
    read = read_answer(body, PLAIN)
    assert isinstance(read, Completion)
    assert read.body is body
    marked = read_answer(b"\xef\xbb\xbf" + answer({"content": "x"}), PLAIN)
    assert isinstance(marked, Completion)
    assert marked.body == answer({"content": "x"})


def test_error_null_is_no_error_and_one_choice_of_many_is_enough() -> None:
    body = b'{"error":null,"choices":[{"index":0,"message":{"content":""}},{"index":1,"message":{"content":"x"}}]}'
    read = read_answer(body, PLAIN)
    assert isinstance(read, Completion)
    assert read.usage is None


def test_edits_of_answers() -> None:
    read = read_answer(answer({"content": "x", "reasoning": "hm", "other": 1}), GROQ)
    assert isinstance(read, Completion)
    message = json.loads(read.body)["choices"][0]["message"]
    assert message == {"content": "x", "reasoning": "hm", "other": 1, "reasoning_content": "hm"}
    read = read_answer(answer({"tool_calls": [CALL]}, ""), XAI)
    assert isinstance(read, Completion)
    assert json.loads(read.body)["choices"][0]["finish_reason"] == "tool_calls"


USAGES = [
    (
        {
            "prompt_tokens": 5,
            "completion_tokens": 2,
            "total_tokens": 10,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        5,
    ),
    (
        {
            "prompt_tokens": 5,
            "completion_tokens": 5,
            "total_tokens": 10,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        5,
    ),
    ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, 2),
    ({"prompt_tokens": 5, "completion_tokens": "2"}, "2"),
]


@pytest.mark.parametrize(("usage", "completion"), USAGES)
def test_usage_counts_the_reasoning(usage: dict[str, object], completion: object) -> None:
    body = answer({"content": "x"}, usage=usage)
    read = read_answer(body, XAI)
    assert isinstance(read, Completion)
    assert json.loads(read.body)["usage"] == {**usage, "completion_tokens": completion}
    event = json.dumps({"choices": [], "usage": usage}).encode()
    view = read_event(event, XAI)
    assert view.kind is EventKind.USAGE
    assert json.loads(view.edited or event)["usage"]["completion_tokens"] == completion


# Events of a stream


def event(delta: object, finish: object = None, index: object = 0, **more: object) -> bytes:
    return json.dumps(
        {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}
    ).encode()


CONTENT = EventView(EventKind.CONTENT, (0,))
NOTHING = EventView(EventKind.NO_CONTENT, (0,))
CALLS = EventView(EventKind.CONTENT, (0,), calls=(0,))
EVENTS: list[tuple[bytes, EventView]] = [
    (event({"content": "x"}), CONTENT),
    (event({"content": " "}), CONTENT),
    (event({"content": "x"}, usage={"total_tokens": 1}), CONTENT),
    (event({"content": [{"type": "text", "text": "x"}]}), CONTENT),
    (event({"refusal": "x"}), CONTENT),
    (event({"reasoning_content": "x"}), CONTENT),
    (event({"content": "", "reasoning": "x"}), CONTENT),
    (event({"reasoning_details": [{"text": "x"}]}), CONTENT),
    (event({"audio": {"data": "x"}}), CONTENT),
    (event({"tool_calls": [{"index": 0, "id": "1"}]}), CALLS),
    (event({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}), CALLS),
    (event({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}), CALLS),
    (event({"function_call": {"arguments": "{"}}), CALLS),
    (
        event({"tool_calls": [{"index": 1, "id": "2"}, {"index": 2, "id": "3"}]}),
        EventView(EventKind.CONTENT, (0,), calls=(1, 2)),
    ),
    (
        event({"tool_calls": [{"index": 1, "id": "2"}]}, "tool_calls"),
        EventView(EventKind.CONTENT, (0,), (0,), calls=(1,)),
    ),
    (event({"content": "x"}, "stop"), EventView(EventKind.CONTENT, (0,), (0,))),
    (event({"content": "x"}, index=2), EventView(EventKind.CONTENT, (2,))),
    (event({"content": "x"}, index=None), CONTENT),
    (event({"role": "assistant"}), NOTHING),
    (event({"role": "assistant", "content": "", "refusal": None}), NOTHING),
    (event({"content": None, "tool_calls": None}), NOTHING),
    (event({"content": [], "tool_calls": [], "reasoning_details": [], "audio": {}}), NOTHING),
    (event({"content": [{"type": "text", "text": ""}]}), NOTHING),
    (event({"content": [5]}), NOTHING),
    (event({"tool_calls": [{"index": 0}]}), NOTHING),
    (event({"tool_calls": [{"index": 0, "type": "function", "function": {"name": None, "arguments": ""}}]}), NOTHING),
    (event({"content": "x", "function_call": {"name": "", "arguments": ""}}), CONTENT),
    (event({}), NOTHING),
    (event(None), NOTHING),
    (event({}, ""), NOTHING),
    (event({}, "stop"), EventView(EventKind.NO_CONTENT, (0,), (0,))),
    (event({}, "length"), EventView(EventKind.NO_CONTENT, (0,), (0,), may_be_empty=True)),
    (event({}, "content_filter"), EventView(EventKind.NO_CONTENT, (0,), (0,), may_be_empty=True)),
    (event({}, "tool_calls"), EventView(EventKind.NO_CONTENT, (0,), (0,))),
    (event({}, "error"), EventView(EventKind.ERROR)),
    (event({"content": "x"}, error={"code": 502, "message": "x"}), EventView(EventKind.ERROR)),
    (event({"content": "x"}, error=None), CONTENT),
    (b'{"error":{"message":"x"}}', EventView(EventKind.ERROR)),
    (b'{"error":"x"}', EventView(EventKind.ERROR)),
    (b'{"object":"error","message":"x","code":400}', EventView(EventKind.ERROR)),
    (b'{"type":"error","error":{"type":"overloaded_error"}}', EventView(EventKind.ERROR)),
    (b'{"choices":[],"usage":{"total_tokens":1}}', EventView(EventKind.USAGE)),
    (b'{"usage":{"total_tokens":1}}', EventView(EventKind.USAGE)),
    (b'{"choices":[],"usage":null}', EventView(EventKind.NO_CONTENT)),
    (b'{"choices":[],"prompt_filter_results":[{}]}', EventView(EventKind.NO_CONTENT)),
    (b"[DONE]", EventView(EventKind.DONE)),
    (b"{}", EventView(EventKind.MALFORMED)),
    (b'{"id":"x","choices":null}', EventView(EventKind.MALFORMED)),
    (b'{"choices":{}}', EventView(EventKind.MALFORMED)),
    (b'{"choices":["x"]}', EventView(EventKind.MALFORMED)),
    (b'{"choices":[{"delta":{"content":5}}]}', EventView(EventKind.MALFORMED)),
    (b'{"choices":[{"delta":{"content":"x"}}', EventView(EventKind.MALFORMED)),
    (b'{"choices":[]} {}', EventView(EventKind.MALFORMED)),
    (b'{"choices":[{"delta":{"content":"\xff"}}]}', EventView(EventKind.MALFORMED)),
    (b'{"id":"\xff","choices":[]}', EventView(EventKind.MALFORMED)),
    (b"", EventView(EventKind.MALFORMED)),
    (b"null", EventView(EventKind.MALFORMED)),
    (b"[" * 100_000, EventView(EventKind.MALFORMED)),
    (b'{"a":' * 100_000, EventView(EventKind.MALFORMED)),
    # Half of a surrogate pair, whole in the next event.
    (b'{"choices":[{"delta":{"content":"\\ud83d"}}]}', CONTENT),
    (
        b'{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{"content":"x"},"finish_reason":"stop"}]}',
        EventView(EventKind.CONTENT, (0, 1), (1,)),
    ),
]


@pytest.mark.parametrize(("data", "expected"), EVENTS)
def test_events(data: bytes, expected: EventView) -> None:
    assert read_event(data, PLAIN) == expected


@pytest.mark.parametrize(("data", "expected"), EVENTS)
def test_kinds_with_edits_see_the_same(data: bytes, expected: EventView) -> None:
    for kind in KINDS.values():
        assert event_reader(kind.quirks)(data)._replace(edited=None) == expected


@given(st.binary() | json_values.map(lambda value: json.dumps({"choices": value}).encode()))
def test_no_event_raises(data: bytes) -> None:
    for quirks in (PLAIN, XAI, GROQ):
        assert isinstance(read_event(data, quirks, called=True), EventView)
        assert isinstance(read_answer(data, quirks), Completion | Failure)


def test_reasoning_is_where_clients_look_for_it() -> None:
    data = event({"role": "assistant", "reasoning": "h\u00e9"}, extra={"a": 1})
    view = read_event(data, GROQ)
    assert view.kind is EventKind.CONTENT
    assert view.edited is not None
    expected = json.loads(data)
    expected["choices"][0]["delta"]["reasoning_content"] = "h\u00e9"
    assert json.loads(view.edited) == expected
    assert read_event(data, PLAIN).edited is None
    assert read_event(event({"reasoning": "x", "reasoning_content": "x"}), GROQ).edited is None
    assert read_event(event({"content": "x"}), GROQ).edited is None


def test_an_edit_that_cannot_be_made_is_left() -> None:
    data = b'{"choices":[{"index":0,"delta":{"reasoning":"\\ud83d"}}]}'
    assert read_event(data, GROQ) == CONTENT


def test_an_empty_finish_reason_after_tool_calls() -> None:
    read = event_reader(XAI)
    assert not read(event({"content": "x", "tool_calls": None}, "")).finished
    assert not read(event({}, "")).finished
    view = read(event({"tool_calls": [CALL]}, ""))
    assert view.finished == (0,)
    assert json.loads(view.edited or b"")["choices"][0]["finish_reason"] == "tool_calls"
    assert read(event({}, "")).finished == (0,)
    assert not read(event({"content": "more"}, "")).finished
    assert not event_reader(PLAIN)(event({"tool_calls": [CALL]}, "")).finished


def test_one_stream_remembers_nothing_of_another() -> None:
    event_reader(XAI)(event({"tool_calls": [CALL]}))
    assert not event_reader(XAI)(event({}, "")).finished
