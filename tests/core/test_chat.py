"""What a request body is understood to say, and how each wrong one is refused."""

import contextlib
import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import is_usual, parse_chat, quick_chat
from proxy.core.errors import ClientError
from proxy.core.request import Body, check_text


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": [], **fields}).encode()


def test_reads_what_routing_needs_and_keeps_the_rest_raw() -> None:
    request = parse_chat(b'{"model":"m","x":{"deep" : [1.50]},"messages":[],"stream":true}')

    assert ("m", True, False) == (request.model, request.stream, request.include_usage)
    assert b'{"deep" : [1.50]}' == bytes(request.fields["x"])
    assert ["model", "x", "messages", "stream"] == list(request.fields)


@pytest.mark.parametrize(
    ("options", "asked"),
    [(None, False), ({}, False), ({"include_usage": True}, True), ({"include_usage": False}, False)],
)
def test_include_usage(options: object, asked: bool) -> None:
    assert asked is parse_chat(body(stream_options=options)).include_usage


def test_duplicate_keys_have_one_reading() -> None:
    request = parse_chat(b'{"model":"a","model":"b","messages":[]}')

    assert "b" == request.model
    assert 1 == list(request.fields).count("model")


REFUSED = {
    "empty": (b"", None),
    "blank": (b"  \n", None),
    "no JSON": (b"hello", None),
    "truncated": (b'{"model":"m","messages":[', None),
    "trailing data": (b'{"model":"m","messages":[]} x', None),
    "array": (b"[]", None),
    "string": (b'"m"', None),
    "null": (b"null", None),
    "NaN": (b'{"model":"m","messages":[],"temperature":NaN}', None),
    "infinity": (b'{"model":"m","messages":[],"temperature":-Infinity}', None),
    "not UTF-8": (b'{"model":"m","messages":["\xff"]}', None),
    "lone surrogate": (b'{"model":"m","messages":["\\ud83d"]}', None),
    "control character": (b'{"model":"m","messages":["\x01"]}', None),
    "byte order mark": (b'\xef\xbb\xbf{"model":"m","messages":[]}', None),
    "depth bomb": (b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    "object bomb": (b'{"model":"m","messages":[' + b'{"a":' * 100_000, None),
    "no model": (b'{"messages":[]}', "model"),
    "model null": (body(model=None), "model"),
    "model number": (body(model=3), "model"),
    "model list": (body(model=["m"]), "model"),
    "model empty": (body(model=""), "model"),
    "model long": (body(model="m" * 257), "model"),
    "model with a line break": (body(model="m\nx-evil: 1"), "model"),
    "no messages": (b'{"model":"m"}', "messages"),
    "messages null": (body(messages=None), "messages"),
    "messages text": (body(messages="hi"), "messages"),
    "messages object": (body(messages={}), "messages"),
    "stream text": (body(stream="true"), "stream"),
    "stream number": (body(stream=1), "stream"),
    "stream_options list": (body(stream_options=[]), "stream_options"),
    "include_usage text": (body(stream_options={"include_usage": "yes"}), "stream_options"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    given_body, param = REFUSED[name]

    with pytest.raises(ClientError) as caught:
        parse_chat(given_body)

    assert (400, param) == (caught.value.status, caught.value.param)
    assert "\n" not in caught.value.message


def test_long_numbers_pass_untouched() -> None:
    digits = b"9" * 10_000

    assert digits == bytes(parse_chat(b'{"model":"m","messages":[],"seed":' + digits + b"}").fields["seed"])


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ClientError):
        assert parse_chat(data).model


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.dictionaries(
        st.text().filter(lambda name: name not in {"model", "messages", "stream", "stream_options"}), json_values
    )
)
def test_unknown_fields_survive(extra: dict[str, object]) -> None:
    sent = {"model": "m", "messages": [], **extra}

    fields = parse_chat(json.dumps(sent).encode()).fields

    assert sent == {name: msgspec.json.decode(value) for name, value in fields.items()}


pieces_of_text = st.text(st.sampled_from("ab\u00fc\u4e2d\U0001f600"), min_size=1, max_size=12).map(str.encode)
wrong_bytes = st.sampled_from(
    [b"", b"\xff", b"\xc3", b"\xe4\xb8", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80", b"\x80"]
)


@given(pieces_of_text, wrong_bytes, st.sampled_from([b"", b"a"]), st.integers(0, 6), st.sampled_from([1, 2, 3]))
def test_text_is_checked_piece_by_piece(text: bytes, wrong: bytes, end: bytes, shift: int, pieces: int) -> None:
    room = pieces * 32 * 1024 - shift
    data = text * (room // len(text)) + b"a" * (room % len(text)) + wrong + end
    found = []
    for each in (data, bytearray(data), memoryview(data)):
        try:
            check_text(each)
            found.append(-1)
        except UnicodeDecodeError as error:
            found.append(error.start)

    try:
        data.decode()
        expected = -1
    except UnicodeDecodeError as error:
        expected = error.start
    assert [expected] * 3 == found


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("given_body", [b"", b" " * 100, b"[]", b'{"model":"m","messages":[]}', b" {", b'{"a":"\xff"}'])
def test_it_is_the_same_wherever_a_body_lies(given_body: bytes, kind: Callable[[bytes], Body]) -> None:
    def told(body: Body) -> object:
        try:
            return parse_chat(body)
        except ClientError as error:
            return error.message

    assert told(given_body) == told(kind(given_body))


def read_both_ways(data: bytes) -> tuple[object, object]:
    try:
        return parse_chat(data), quick_chat(data)
    except ClientError:
        return None, quick_chat(data)


odd_values = st.sampled_from(
    [
        "null",
        "true",
        "false",
        "1",
        "2",
        '"m"',
        '"\\ud800"',
        '""',
        "[]",
        " []",
        "{}",
        '{"include_usage":true}',
        '{"include_usage":1}',
    ]
)
odd_names = st.sampled_from(
    ["model", "messages", "stream", "stream_options", "n", "service_tier", "seed", "m\\u006fdel"]
)


@given(st.lists(st.tuples(odd_names, odd_values), max_size=5), st.booleans(), st.sampled_from(["", " ", "}", "\xff"]))
def test_both_readings_agree(members: list[tuple[str, str]], complete: bool, end: str) -> None:
    given_members = [("model", '"m"'), ("messages", "[]"), *members] if complete else members
    text = "{" + ",".join(f'"{name}":{value}' for name, value in given_members) + "}" + end

    slow, quick = read_both_ways(text.encode("latin-1"))

    assert slow == quick


@given(st.binary())
def test_both_readings_agree_on_any_bytes(data: bytes) -> None:
    slow, quick = read_both_ways(data)

    assert slow == quick


@pytest.mark.parametrize(
    ("fields", "usual"),
    [
        ({}, True),
        ({"temperature": 1}, True),
        ({"stream": False}, True),
        ({"stream": None}, False),
        ({"stream": True}, True),
        ({"stream": True, "stream_options": {"include_usage": True}}, True),
        ({"stream": True, "stream_options": None}, True),
        ({"stream": True, "n": 1}, False),
        ({"stream": True, "service_tier": "flex"}, False),
        ({"stream": False, "stream_options": None}, False),
        ({"stream": False, "n": 1}, False),
        ({"n": 1}, False),
        ({"service_tier": "flex"}, False),
        ({"stream_options": None}, False),
    ],
)
def test_what_is_usual(fields: dict[str, object], usual: bool) -> None:
    assert usual is is_usual(parse_chat(body(**fields)))
