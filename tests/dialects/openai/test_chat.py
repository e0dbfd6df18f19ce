"""The chat request as an upstream gets it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy.dialects.openai.chat import write_request
from proxy.dialects.registry import KINDS, Quirks

PLAIN = Quirks(developer_role=True, stream_usage=False)


def write(
    given: Mapping[str, Raw], model: str, quirks: Quirks, *more: Any, **named: Any
) -> tuple[bytes, tuple[str, ...]]:
    """The whole body, of whatever pieces."""
    body, lacking = write_request(given, model, quirks, *more, **named)
    return b"".join(body), lacking


def fields(text: bytes) -> dict[str, Raw]:
    return msgspec.json.decode(text, type=dict[str, Raw])


def written(
    text: str, quirks: Quirks = PLAIN, without: tuple[str, ...] = (), *, ask_usage: bool = True
) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, lacking = write(fields(text.encode()), "m", quirks, without, ask_usage=ask_usage)
    return json.loads(body), lacking


def test_values_and_order_are_those_of_the_client() -> None:
    body = b'{"top_p": 0.70,"model":"x" , "messages":[ {"role" :"user","content":"\\u00e9\xc3\xa9"} ],"x":{ "a":1e2}}'
    assert write(fields(body), "up/m", PLAIN) == (
        b'{"top_p":0.70,"model":"up/m","messages":[ {"role" :"user","content":"\\u00e9\xc3\xa9"} ],"x":{ "a":1e2}}',
        (),
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)
names = st.text() | st.sampled_from(["model", "messages", "stream", "stream_options", "max_tokens"])
requests = st.dictionaries(names, json_values).map(lambda request: {"model": "x", **request})


@given(requests, st.booleans())
def test_arbitrary_values_survive(request: dict[str, Any], pretty: bool) -> None:
    text = json.dumps(request, indent=1 if pretty else None, ensure_ascii=pretty)
    given_fields = fields(text.encode())
    body, lacking = write(given_fields, "m", PLAIN)
    sent = fields(body)
    assert lacking == ()
    assert list(sent) == list(given_fields)
    assert all(bytes(sent[name]) == bytes(value) for name, value in given_fields.items() if name != "model")


@given(requests, st.sampled_from(sorted(KINDS)), st.sets(st.sampled_from(["seed", "max_tokens", "stream_options"])))
def test_no_kind_trips_over_arbitrary_values(request: dict[str, Any], kind: str, without: set[str]) -> None:
    text = json.dumps(request, ensure_ascii=False)
    body, lacking = write(fields(text.encode()), "m", KINDS[kind].quirks, without)
    assert isinstance(json.loads(body), dict)
    assert set(lacking) <= set(request)


CAPS: list[tuple[str, str, tuple[str, ...], dict[str, int], tuple[str, ...]]] = [
    ("max_tokens", '"max_completion_tokens":5', (), {"max_tokens": 5}, ()),
    ("max_tokens", '"max_tokens":5', (), {"max_tokens": 5}, ()),
    ("max_completion_tokens", '"max_tokens":5', (), {"max_completion_tokens": 5}, ()),
    ("max_tokens", '"max_tokens":5,"max_completion_tokens":6', (), {"max_tokens": 5}, ("max_completion_tokens",)),
    (
        "max_completion_tokens",
        '"max_tokens":5,"max_completion_tokens":6',
        (),
        {"max_completion_tokens": 6},
        ("max_tokens",),
    ),
    ("any", '"max_tokens":5', (), {"max_tokens": 5}, ()),
    ("any", '"max_tokens":5,"max_completion_tokens":6', (), {"max_tokens": 5, "max_completion_tokens": 6}, ()),
    ("any", '"max_tokens":5', ("max_tokens",), {"max_completion_tokens": 5}, ()),
    ("any", '"max_completion_tokens":5', ("max_completion_tokens",), {"max_tokens": 5}, ()),
    ("any", '"max_tokens":5,"max_completion_tokens":6', ("max_tokens",), {"max_completion_tokens": 6}, ("max_tokens",)),
    ("max_tokens", '"max_tokens":5', ("max_tokens",), {"max_completion_tokens": 5}, ()),
    ("any", '"max_tokens":5', ("max_tokens", "max_completion_tokens"), {}, ("max_tokens",)),
    ("any", '"n":1', ("max_tokens",), {"n": 1}, ()),
]


@pytest.mark.parametrize(("cap", "text", "without", "expected", "lacking"), CAPS)
def test_token_cap(
    cap: Any, text: str, without: tuple[str, ...], expected: dict[str, int], lacking: tuple[str, ...]
) -> None:
    assert written("{" + text + "}", Quirks(token_cap=cap), without) == (expected, lacking)


def test_fields_are_dropped_renamed_and_reported() -> None:
    text = '{"user":"u","seed":7,"stream_options":{},"prediction":{},"stream":true}'
    assert written(text, KINDS["mistral"].quirks) == (
        {"random_seed": 7, "prediction": {}, "stream": True},
        ("user", "stream_options"),
    )
    assert written('{"temperature":1,"logprobs":true}', PLAIN, ("temperature",)) == (
        {"logprobs": True},
        ("temperature",),
    )


def test_a_stream_is_asked_for_its_usage() -> None:
    asking = Quirks()
    usage = {"include_usage": True}
    assert written('{"stream":true}', asking)[0] == {"stream": True, "stream_options": usage}
    assert written('{"stream":true,"stream_options":null}', asking)[0]["stream_options"] == usage
    both = '{"stream_options":{"x":1,"include_usage":false},"stream":true}'
    assert written(both, asking)[0] == {"stream_options": {"x": 1, **usage}, "stream": True}
    assert written('{"stream":true,"stream_options":7}', asking)[0]["stream_options"] == 7
    for text in ('{"stream":false}', '{"n":1}', '{"stream":null,"stream_options":{}}'):
        assert written(text, asking)[0] == json.loads(text)
    assert written('{"stream":true}', asking, ask_usage=False)[0] == {"stream": True}
    assert written('{"stream":true,"stream_options":{}}', asking, ("stream_options",)) == (
        {"stream": True},
        ("stream_options",),
    )


def test_asked_for_usage_keeps_the_bytes() -> None:
    body = b'{"stream":true,"stream_options":{ "include_usage" : true }}'
    assert write(fields(body), "m", Quirks())[0] == body


def test_developers_become_the_system_where_they_are_unknown() -> None:
    text = '{"messages":[{"role":"developer","content":"be \\"developer\\""},{"role":"user","content":"x"}]}'
    assert written(text, Quirks())[0]["messages"][0] == {"role": "system", "content": 'be "developer"'}
    assert written(text, PLAIN)[0]["messages"][0]["role"] == "developer"
    for messages in ('[ {"role":"user","content":"a","name":"developer"} ]', '"\\"developer\\""', '["developer"]'):
        kept = f'{{"messages":{messages}}}'.encode()
        assert write(fields(kept), "m", Quirks())[0] == kept


@pytest.mark.parametrize("place", [0, 1, 2])
def test_large_messages_are_a_piece_of_their_own(place: int) -> None:
    messages = b'[{"role":"user","content":"%b"}]' % (b"x" * 40_000)
    members = [b'"model":"chat"', b'"temperature":0.5']
    members.insert(place, b'"messages":' + messages)
    given_fields = fields(b"{" + b",".join(members) + b"}")

    body, lacking = write_request(given_fields, "m", Quirks(developer_role=True))

    assert (messages, ()) == (bytes(body[1]), lacking)
    assert b"{" + b",".join(members).replace(b'"chat"', b'"m"') + b"}" == b"".join(body)


def test_large_messages_alone() -> None:
    body = b'{"messages":["%b"]}' % (b"x" * 40_000)

    # The name of the model is added where it was not among the fields.
    assert body[:-1] + b',"model":"m"}' == b"".join(write_request(fields(body), "m", Quirks(developer_role=True))[0])
