"""Requests on the responses wire, as far as routing needs them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.core.errors import ClientError
from proxy.core.wire import Wire
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.responses.request import tie_of
from proxy.dialects.responses.wire import RESPONSES
from tests.dialects.responses.samples import CALL

HI = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "Let me see."}]}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "one"}


TIED: list[tuple[dict[str, Any], str, str]] = [
    ({"previous_response_id": "resp_1"}, "resp_1", "previous_response_id"),
    ({"conversation": "conv_1"}, "conv_1", "conversation"),
    ({"conversation": {"id": "conv_1"}}, "conv_1", "conversation"),
    ({"conversation": 5}, "conversation", "conversation"),
    ({"prompt": {"id": "pmpt_1", "version": "2"}}, "pmpt_1", "prompt"),
    ({"background": True}, "background", "background"),
    ({"input": [HI, {"type": "item_reference", "id": "msg_1"}]}, "msg_1", "input[1]"),
    ({"input": [{"id": "msg_1"}]}, "msg_1", "input[0]"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f_1"}]}]}, "f_1", "input[0]"),
    ({"input": [CALL, {**OUTPUT, "output": [{"type": "input_file", "file_id": "f_1"}]}]}, "f_1", "input[1]"),
]


@pytest.mark.parametrize(("fields", "id_", "param"), TIED)
def test_what_only_one_account_knows_is_not_carried(fields: dict[str, Any], id_: str, param: str) -> None:
    request = RESPONSES.parse(json.dumps({"model": "m", "input": "hi", **fields}).encode())

    tie = tie_of(request.fields)
    assert tie is not None
    assert id_ == tie.id
    with pytest.raises(NotCarriedError) as raised:
        RESPONSES.to_chat(request)
    assert param == raised.value.param


@pytest.mark.parametrize("given", ["hi", [], [HI, ASSISTANT, CALL, OUTPUT], [5, None, "x", {"role": "user"}]])
def test_a_history_ties_nothing(given: Any) -> None:
    request = RESPONSES.parse(json.dumps({"model": "m", "input": given}).encode())
    assert tie_of(request.fields) is None


# Parsing


def test_a_request_is_understood() -> None:
    request = RESPONSES.parse(b'{"model":"m","input":[],"stream":true}')

    assert ("m", True, True, 1, Wire.RESPONSES) == (
        request.model,
        request.stream,
        request.include_usage,
        request.choices,
        request.wire,
    )


def test_another_field_may_stand_in_place_of_the_input() -> None:
    assert "m" == RESPONSES.parse(b'{"model":"m","prompt":{"id":"p"}}').model


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"input":"hi"}', "model"),
        (b'{"model":"m"}', "input"),
        (b'{"model":"m","input":null}', "input"),
        (b'{"model":"m","input":{}}', "input"),
        (b'{"model":"m","input":"hi","stream":1}', "stream"),
        (b"[]", None),
    ],
)
def test_a_wrong_request_is_told_by_its_field(body: bytes, param: str | None) -> None:
    with pytest.raises(ClientError) as raised:
        RESPONSES.parse(body)

    assert (400, param) == (raised.value.status, raised.value.param)
    assert param == json.loads(RESPONSES.error_body(raised.value, "r"))["error"]["param"]
