"""Each fault in each language: what arrives is what the fault says, in the language's own form."""

import json

import pytest

from proxy.simulator.faults import FAULTS
from tests.simulator.conftest import QUIET, Wire

from .conftest import SAY
from .languages import SPEAKS_SSE, VECTORS, WIRES, Heard, at, each_wire, each_wire_and_vectors
from .test_refusals import REFUSED

THREE = "one two three"


@pytest.fixture
def under(simulator, post):
    async def under(name: str, fault: str | None, patience: float = 3) -> Heard:
        await simulator.inject("primary", fault)
        path, body = WIRES[name].asking(stream=True)
        return Heard(WIRES[name], await post(path, body, patience))

    return under


@pytest.fixture
def whole(simulator, post):
    async def whole(name: str, fault: str | None, patience: float = 3) -> Wire:
        await simulator.inject("primary", fault)
        path, body = WIRES[name].asking(stream=False) if name in WIRES else VECTORS[name][:2]
        return await post(path, body, patience)

    return whole


def test_every_fault_is_tried_here_or_needs_no_language():
    tried = {*STREAMS, *SILENT, *SPELLED, *REFUSED, *BY_THEMSELVES}
    without = {"refuse", "reset", "close", "hang", "stale", "html_502", "redirect", "flapping", "random"}
    assert set(FAULTS) == {name.partition(":")[0] for name in tried} | without


# Streams.

BY_THEMSELVES = {"endless", "error_field", "garbage", "wrong_type", "error_200", "reset_after_headers"}
STREAMS = {
    "cut:after=3": ("reset", THREE, False, False),
    "cut:after=3,how=close": ("eof", THREE, False, False),
    "cut_clean:after=3": ("complete", THREE, False, False),
    "no_done": ("complete", SAY, False, False),
    "error_first": ("complete", "", False, True),
    "error_later:after=3": ("complete", THREE, False, True),
    "error_then_done:after=3": ("complete", THREE, True, True),
    "empty": ("complete", "", True, False),
    "content_filter_finish:after=3": ("complete", THREE, True, False),
    "finish:after=3,reason=odd": ("complete", THREE, True, False),
    "malformed:after=3": ("complete", SAY, True, False),
    "truncated_json": ("complete", SAY.removesuffix(" ten"), False, False),
    "slow_headers:seconds=0.01": ("complete", SAY, True, False),
    "slow_first_token:seconds=0.01": ("complete", SAY, True, False),
    "slow_body:seconds=0.02": ("complete", SAY, True, False),
    "slower": ("complete", SAY, True, False),
    "huge_headers:size=9000": ("complete", SAY, True, False),
    "gzip": ("complete", SAY, True, False),
    "low_headroom": ("complete", SAY, True, False),
    "empty_body": ("complete", "", False, False),
}
SILENT = {
    "stall:after=3": (THREE, False),
    "no_done_hang": (SAY, False),
    "role_then_silence": ("", False),
    "pings:interval=0.02": ("", False),
    "empty_deltas:interval=0.02": ("", False),
}


@each_wire
@pytest.mark.parametrize("fault", [None, *STREAMS])
async def test_streams_that_end(under, name, fault):
    heard = await under(name, fault)
    assert STREAMS.get(fault, ("complete", SAY, True, False)) == heard.told
    assert WIRES[name].kind == heard.headers["content-type"]
    assert (fault is not None and fault.startswith(("malformed", "truncated"))) == bool(heard.broken) or (
        fault == "truncated_json" and name == "bedrock"
    )


@each_wire
@pytest.mark.parametrize("fault", SILENT)
async def test_streams_that_fall_silent(under, name, fault):
    heard = await under(name, fault, QUIET)
    assert ("silent", *SILENT[fault]) == (heard.end, heard.text, heard.done)


@each_wire
async def test_a_stream_without_end(under, name):
    heard = await under(name, "endless:interval=0", QUIET)
    assert ("silent", True, False) == (heard.end, heard.text.startswith(" more more more"), heard.done)


@each_wire
async def test_what_was_filtered_says_so(under, name):
    assert (await under(name, "content_filter_finish:after=3")).filtered


@each_wire
async def test_a_finish_reason_is_told_word_for_word(under, name):
    *place, _ = WIRES[name].filtered
    documents = (await under(name, "finish:after=3,reason=odd")).documents
    assert "odd" in [at(one, *place) for one in documents]


@pytest.mark.parametrize(
    ("name", "status", "place", "kind"),
    [
        ("openai_chat", 500, ("error", "code"), "server_error"),
        ("openai_chat", 429, ("error", "code"), "rate_limit_exceeded"),
        ("openai_completions", 503, ("error", "code"), "server_is_overloaded"),
        ("openai_responses", 429, ("response", "error", "code"), "rate_limit_exceeded"),
        ("anthropic", 500, ("error", "type"), "api_error"),
        ("anthropic", 529, ("error", "type"), "overloaded_error"),
        ("gemini", 500, ("error", "status"), "INTERNAL"),
        ("gemini", 503, ("error", "status"), "UNAVAILABLE"),
        ("bedrock", 429, ("throttlingException", "message"), "Simulated fault: primary had an error while answering."),
        ("bedrock", 424, ("modelStreamErrorException", "originalStatusCode"), 500),
        ("bedrock", 503, ("serviceUnavailableException", "p"), None),
    ],
)
@pytest.mark.parametrize("fault", ["error_first", "error_later"])
async def test_an_error_within_a_stream_has_its_kind(under, name, status, place, kind, fault):
    documents = (await under(name, f"{fault}:status={status}")).documents
    assert kind == at(documents[-1], *place)
    assert at(documents[-1], *place[:-1])


@pytest.mark.parametrize(
    ("name", "ping", "opened"),
    [
        ("openai_chat", b": keep-alive\n\n", b""),
        ("openai_completions", b": keep-alive\n\n", b""),
        ("openai_responses", b": keep-alive\n\n", b""),
        ("anthropic", b'event: ping\ndata: {"type": "ping"}\n\n', b"event: message_start\n"),
        ("gemini", b": keep-alive\n\n", b""),
        ("ollama", b"\n", b""),
    ],
)
async def test_pings_are_the_languages_own(under, name, ping, opened):
    body = (await under(name, "pings:interval=0.01", QUIET)).body
    assert body.count(ping) > 2
    assert body.startswith(opened)
    assert opened or not body.replace(ping, b"")


async def test_amazon_has_no_ping(under):
    assert b"" == (await under("bedrock", "pings:interval=0.01", QUIET)).body


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("openai_chat", ("choices", 0, "delta", "role")),
        ("openai_responses", ("response", "id")),
        ("anthropic", ("message", "role")),
        ("bedrock", ("messageStart", "role")),
    ],
)
async def test_the_opening_comes_before_the_silence(under, name, first):
    assert at((await under(name, "role_then_silence", QUIET)).documents, 0, *first)


@each_wire
async def test_an_error_field_or_the_languages_own_error(under, name):
    heard = await under(name, "error_field:after=3")
    if name in SPEAKS_SSE:
        assert b'error: {"code":500' in heard.body
        assert (THREE, True, False) == (heard.text, heard.done, heard.error)
    else:
        assert (THREE, False, True) == (heard.text, heard.done, heard.error)


@each_wire
async def test_what_is_no_stream_at_all(under, name):
    assert 99 == len((await under(name, "garbage:size=99")).body)
    heard = await under(name, "wrong_type")
    assert "text/html; charset=utf-8" == heard.headers["content-type"]
    heard = await under(name, "error_200")
    assert (200, "application/json") == (heard.status, heard.headers["content-type"])
    assert at(json.loads(heard.body), *WIRES[name].json_error)
    heard = await under(name, "reset_after_headers")
    assert ("reset", WIRES[name].kind, b"") == (heard.end, heard.headers["content-type"], heard.body)


# Spellings.

SPELLED = {"crlf", "cr_only", "comments", "bom", "multiline", "split_utf8", "surrogates", "big_event"}


@each_wire
@pytest.mark.parametrize("fault", ["crlf", "cr_only", "comments", "bom", "multiline"])
async def test_spellings_change_no_word(under, name, fault):
    plain, heard = await under(name, None), await under(name, fault)
    assert ("complete", SAY, True, False) == heard.told
    assert len(plain.documents) == len(heard.documents)
    head = {"bom": b"\xef\xbb\xbf", "comments": b": keep-alive\n\n"}.get(fault, b"")
    assert heard.body.startswith(head if name in SPEAKS_SSE else b"")
    if fault == "cr_only" and name in SPEAKS_SSE:
        assert b"\n" not in heard.body


@each_wire
async def test_foreign_letters_in_small_pieces(under, name):
    heard = await under(name, "split_utf8:size=3")
    assert ("模拟" in heard.text, "🤖" in heard.text, heard.done) == (True, True, True)
    cut = await under(name, "surrogates")
    assert b"\\ud83e" in cut.body
    joined = cut.text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    assert heard.text == joined


@each_wire
async def test_a_big_event(under, name):
    heard = await under(name, "big_event:size=9000")
    assert 9000 == max(len(piece) for piece in heard.pieces)
    assert heard.text.endswith(SAY)


# JSON.


@each_wire_and_vectors
@pytest.mark.parametrize(("fault", "end"), [("cut", "reset"), ("cut:how=close", "eof"), ("stall", "silent")])
async def test_json_that_is_broken_off(whole, name, fault, end):
    wire = await whole(name, fault, QUIET)
    assert (end, int(wire.headers["content-length"]) // 2) == (wire.end, len(wire.body))


@each_wire_and_vectors
@pytest.mark.parametrize("fault", ["cut_clean", "truncated_json", "malformed"])
async def test_json_that_is_none(whole, name, fault):
    wire = await whole(name, fault)
    assert ("complete", 200) == (wire.end, wire.status)
    with pytest.raises(json.JSONDecodeError):
        json.loads(wire.body)


@each_wire_and_vectors
@pytest.mark.parametrize("fault", ["error_first", "error_later", "error_then_done", "error_field", "error_200"])
async def test_json_gets_the_error_as_a_200(whole, name, fault):
    wire = await whole(name, fault)
    place = WIRES[name].json_error if name in WIRES else ("error",)
    assert (200, True) == (wire.status, bool(at(wire.json, *place)))


@each_wire
@pytest.mark.parametrize(("fault", "said"), [("empty", ""), ("content_filter_finish:after=3", THREE), ("no_done", SAY)])
async def test_json_that_says_less(whole, name, fault, said):
    wire = await whole(name, fault)
    assert (200, said) == (wire.status, at(wire.json, *WIRES[name].text) or "")


@pytest.mark.parametrize("name", VECTORS)
async def test_no_vectors_and_vectors(whole, name):
    place = VECTORS[name][2]
    assert at((await whole(name, "empty")).json, *place) is None
    assert 8 == len(at((await whole(name, None)).json, *place))


@each_wire_and_vectors
async def test_json_that_never_comes(whole, name):
    for fault in ("pings:interval=0.02", "role_then_silence", "endless:interval=0.01"):
        wire = await whole(name, fault, QUIET)
        assert ("silent", 200) == (wire.end, wire.status)
