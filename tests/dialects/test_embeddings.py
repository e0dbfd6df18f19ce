"""The embeddings wire."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from proxy.core.errors import ClientError
from proxy.core.failure import Failure, FailureClass
from proxy.core.wire import Wire
from proxy.dialects.client_wire import Speaking
from proxy.dialects.dialect import NotCarriedError, Reading
from proxy.dialects.embeddings import EMBEDDINGS
from proxy.dialects.openai.chat import Completion

USAGE = {"prompt_tokens": 3, "total_tokens": 3}
TEXT = base64.b64encode(struct.pack("<3f", 0.1, -0.2, 0.3)).decode()


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "input": "x", **fields}).encode()


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ("x", 1),
        ("", 1),
        (["x"], 1),
        (["x", "y"], 2),
        ([1, 2, 3], 1),
        ([[1, 2], [3], [4]], 3),
        ([{"text": "x"}, {"image": "y"}], 2),
    ],
)
def test_a_request_asks_for_so_many_vectors(given: Any, count: int) -> None:
    request = EMBEDDINGS.parse(body(input=given, dimensions=256, encoding_format="base64", user="u"))

    assert count == EMBEDDINGS.inputs(request)
    assert ("m", False, Wire.EMBEDDINGS) == (request.model, request.stream, request.wire)


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"input":"x"}', "model"),
        (b'{"model":"m"}', "input"),
        (body(input=None), "input"),
        (body(input={}), "input"),
        (body(input=[]), "input"),
        (body(encoding_format="int8"), "encoding_format"),
        (body(dimensions=0), "dimensions"),
        (body(dimensions="256"), "dimensions"),
        (body(stream=True), "stream"),
    ],
)
def test_a_wrong_request_is_told_by_its_field(raw: bytes, param: str) -> None:
    with pytest.raises(ClientError) as raised:
        EMBEDDINGS.parse(raw)

    assert (400, param) == (raised.value.status, raised.value.param)
    assert param == json.loads(EMBEDDINGS.error_body(raised.value, "r"))["error"]["param"]


def test_no_chat_completion_is_like_it() -> None:
    with pytest.raises(NotCarriedError, match="has no embeddings"):
        EMBEDDINGS.to_chat(EMBEDDINGS.parse(body()))


def test_nothing_of_it_is_streamed_or_translated() -> None:
    never: list[Callable[[], object]] = [
        EMBEDDINGS.event_reader,
        lambda: EMBEDDINGS.from_chat(b"{}", Speaking(EMBEDDINGS.parse(body()), "x", 1)),
        lambda: EMBEDDINGS.encoder(Speaking(EMBEDDINGS.parse(body()), "x", 1)),
        lambda: EMBEDDINGS.to_chat_events(Reading("m", "x", 1)),
    ]
    for each in never:
        with pytest.raises(AssertionError):
            each()

    assert b'"code":"c"' in EMBEDDINGS.broken("m", "c", reason="r", retryable=False)


def answer(*vectors: Any, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    told = {"object": "list", "model": "m", "data": data, "usage": USAGE, **more}
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    ("vectors", "dimension"),
    [
        (([0.1, -0.2, 0.3],), 3),
        (([-1, 2e-5], [3, 4]), 2),
        ((TEXT,), 3),
        ((base64.b64encode(bytes(1536 * 4)).decode(),), 1536),
        ((base64.b64encode(bytes(256 * 4)).decode(),), 256),
        (([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]],), 4),  # one vector for each token
        (([1],), 1),
    ],
)
def test_answers(vectors: tuple[Any, ...], dimension: int) -> None:
    raw = answer(*vectors)
    read = EMBEDDINGS.read(raw, "openai", 0.0, inputs=len(vectors))

    assert isinstance(read, Completion)
    assert read.body is raw
    assert USAGE == json.loads(read.usage or b"")
    assert dimension == EMBEDDINGS.dimension_of(raw)


def test_the_api_itself_takes_what_passes() -> None:
    raw = answer([0.1, 0.2], [0.3, 0.4])
    CreateEmbeddingResponse.model_validate_json(raw)

    assert isinstance(EMBEDDINGS.read(raw, "openai", 0.0, inputs=2), Completion)


def test_slashes_may_be_escaped() -> None:
    vector = base64.b64encode(b"\xff" * 12).decode()
    raw = answer(vector).replace(b"/", b"\\/")

    assert b"\\/" in raw
    assert 3 == EMBEDDINGS.dimension_of(raw)


def test_an_answer_of_any_number_will_do_where_none_is_wanted() -> None:
    assert isinstance(EMBEDDINGS.read(answer([1], [2]), "openai", 0.0), Completion)


def test_an_answer_without_usage() -> None:
    read = EMBEDDINGS.read(b'{"data":[{"embedding":[1]}]}', "openai", 0.0)

    assert isinstance(read, Completion)
    assert read.usage is None


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty_body"),
        (b"<html>Welcome</html>", "invalid_json"),
        (answer([1], [2])[:-9], "invalid_json"),
        (b'{"data":[{"embedding":"\xff"}]}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"{}", "wrong_schema"),
        (b'{"data":{}}', "wrong_schema"),
        (b'{"choices":[]}', "wrong_schema"),
        (answer(), "empty_answer"),
        (answer([1]), "empty_answer"),
        (answer([1], [2], [3]), "empty_answer"),
        (answer([1], []), "wrong_schema"),
        (answer([1], ""), "wrong_schema"),
        (answer([1], None), "wrong_schema"),
        (answer([1], [None, None]), "wrong_schema"),
        (answer([1], {}), "wrong_schema"),
        (b'{"data":[{"embedding":[1]},{"index":1}]}', "wrong_schema"),
        (answer(error={"message": "oops"}), "in_band_error"),
        (b'{"error":"oops"}', "in_band_error"),
    ],
)
def test_no_answers(raw: bytes, code: str) -> None:
    failure = EMBEDDINGS.read(raw, "openai", 0.0, inputs=2)

    assert isinstance(failure, Failure)
    assert code == failure.code


def test_errors_in_disguise_keep_their_class() -> None:
    failure = EMBEDDINGS.read(b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}', "openai", 0.0)

    assert isinstance(failure, Failure)
    assert FailureClass.RATE_LIMITED is failure.kind


@pytest.mark.parametrize(
    "raw", [b"", b"{}", answer(), answer(None), answer(""), answer([]), answer([[]]), answer("ab")]
)
def test_no_dimension(raw: bytes) -> None:
    assert EMBEDDINGS.dimension_of(raw) is None


anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "embedding", "error", "usage"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=60) | anything.map(lambda value: json.dumps(value).encode()), anything)
def test_nothing_else_is_raised(raw: bytes, given: Any) -> None:
    EMBEDDINGS.read(raw, "openai", 0.0, inputs=1)
    EMBEDDINGS.dimension_of(raw)
    with contextlib.suppress(ClientError):
        EMBEDDINGS.inputs(EMBEDDINGS.parse(body(input=given)))
