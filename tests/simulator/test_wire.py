"""One test per fault, on real sockets: what the client gets, byte by byte, and how the connection ends."""

import asyncio
import gzip
import json
import zlib

import pytest

from proxy.simulator.server import Simulator

from .conftest import QUIET, Client, Wire

SAY = "one two three four five six seven eight nine ten"


@pytest.fixture(autouse=True)
def say_ten_words(simulator: Simulator):
    simulator.upstream("primary").voice.answer = SAY


@pytest.fixture
def under(simulator: Simulator, client: Client):
    """Inject a fault, ask once."""

    async def ask(fault: str | None, *, stream: bool = True, **extra) -> Wire:
        await simulator.inject("primary", fault)
        wire = await client.chat(stream=stream, **extra)
        if wire.end != "complete":
            await client.close()
        return wire

    return ask


def deltas(wire: Wire) -> list[str]:
    chunks = [event for event in wire.events if isinstance(event, dict) and "choices" in event]
    return [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]]


# Healthy.


async def test_a_good_json_answer(under):
    wire = await under(None, stream=False)
    answer = wire.json
    assert (wire.end, wire.status, wire.headers["content-type"]) == ("complete", 200, "application/json")
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "gpt-4o"
    assert answer["choices"][0]["message"]["content"] == SAY
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == 10


async def test_a_good_stream(under):
    wire = await under(None, stream_options={"include_usage": True})
    *chunks, done = wire.events
    assert (wire.end, done) == ("complete", "[DONE]")
    assert wire.headers["content-type"].startswith("text/event-stream")
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks[1:4]] == ["one", " two", " three"]
    assert wire.text == SAY
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]) == ([], 10)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_a_stream_without_include_usage_has_no_usage(under):
    assert all("usage" not in event for event in (await under(None)).events[:-1])


async def test_tool_calls_stream_in_fragments(under):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
    wire = await under(None, tools=[tool], tool_choice="required")
    pieces = [event["choices"][0]["delta"]["tool_calls"][0] for event in wire.events[1:-2]]
    assert pieces[0]["function"] == {"name": "weather", "arguments": ""}
    assert len(pieces) > 2
    assert json.loads("".join(piece["function"]["arguments"] for piece in pieces)) == {"city": "simulated"}
    assert wire.events[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_several_choices_stream_side_by_side(under):
    wire = await under(None, n=2)
    assert [event["choices"][0]["index"] for event in wire.events[:4]] == [0, 1, 0, 1]
    assert wire.events.count("[DONE]") == 1


async def test_reasoning_comes_before_content(under, simulator):
    simulator.upstream("primary").voice.reasoning = "Let me think."
    streamed = [event["choices"][0]["delta"] for event in (await under(None)).events[1:4]]
    assert "".join(delta["reasoning_content"] for delta in streamed) == "Let me think."
    message = (await under(None, stream=False)).json["choices"][0]["message"]
    assert message["reasoning_content"] == "Let me think."


@pytest.mark.parametrize("after", [[], [{"role": "user", "content": f"Go on. […]{SAY}"}]], ids=["prefill", "instruct"])
async def test_nothing_follows_a_complete_answer(under, after):
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": SAY}, *after]
    wire = await under(None, messages=messages, stream_options={"include_usage": True})
    role, finish, usage, done = wire.events
    assert {"role": "assistant", "content": "", "refusal": None} == role["choices"][0]["delta"]
    assert ({}, "stop") == (finish["choices"][0]["delta"], finish["choices"][0]["finish_reason"])
    assert (0, "[DONE]") == (usage["usage"]["completion_tokens"], done)
    whole = (await under(None, messages=messages, stream=False)).json
    assert ("", "stop") == (whole["choices"][0]["message"]["content"], whole["choices"][0]["finish_reason"])
    assert 0 == whole["usage"]["completion_tokens"]


# The connection.


async def test_reset(under):
    assert await under("reset") == Wire("reset")


async def test_close(under):
    assert await under("close") == Wire("eof")


async def test_hang(under):
    assert await under("hang", patience=QUIET) == Wire("silent")


@pytest.mark.parametrize("stream", [True, False])
async def test_reset_after_headers(under, stream):
    wire = await under("reset_after_headers", stream=stream)
    assert (wire.end, wire.status, wire.body) == ("reset", 200, b"")


async def test_stale(simulator, client):
    await simulator.inject("primary", "stale")
    assert (await client.chat()).end == "complete"
    assert await client.chat() == Wire("eof")
    await client.close()
    assert (await client.chat()).end == "complete"
    await simulator.inject("primary", "stale:how=reset")
    assert await client.chat() == Wire("reset")


# Refusals (their shapes are in test_refusals).


@pytest.mark.parametrize(
    ("fault", "status"),
    [("503", 503), ("500", 500), ("404", 404), ("429", 429), ("overloaded", 529), ("html_502", 502), ("redirect", 307)],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_refusals_are_complete_answers(under, fault, status, stream):
    wire = await under(fault, stream=stream)
    assert (wire.end, wire.status) == ("complete", status)


async def test_unsupported_parameter_until_it_is_gone(under):
    assert (await under("unsupported_parameter:param=top_p", top_p=1)).status == 400
    assert (await under("unsupported_parameter:param=top_p")).status == 200


async def test_context_by_length(under):
    assert (await under("context:limit=7")).status == 200
    assert (await under("context:limit=6")).status == 400


async def test_refuse_prefill(under):
    asked = {"role": "user", "content": "Hi"}
    assert (await under("refuse_prefill", messages=[asked, {"role": "assistant", "content": "one"}])).status == 400
    assert (await under("refuse_prefill", messages=[asked])).status == 200


# Slow or silent.


async def test_slow_headers(under):
    assert await under("slow_headers:seconds=9", patience=QUIET) == Wire("silent")
    assert (await under("slow_headers:seconds=0.01", stream=False)).json["choices"][0]["message"]["content"] == SAY


async def test_slow_first_token(under):
    wire = await under("slow_first_token:seconds=9", patience=QUIET)
    assert (wire.end, deltas(wire)) == ("silent", [""])
    assert (await under("slow_first_token:seconds=0.01")).text == SAY


async def test_slow_first_token_of_json_is_silence(under):
    assert await under("slow_first_token:seconds=9", stream=False, patience=QUIET) == Wire("silent")


@pytest.mark.parametrize("stream", [True, False])
async def test_slow_body(under, stream):
    wire = await under("slow_body:seconds=9", stream=stream, patience=QUIET)
    assert (wire.end, wire.status, wire.body) == ("silent", 200, b"")
    assert (await under("slow_body:seconds=0.03", stream=stream)).end == "complete"


@pytest.mark.parametrize("stream", [True, False])
async def test_slower(under, simulator, stream):
    voice = simulator.upstream("primary").voice
    voice.pace, voice.first_token_delay = 0.0005, 0.001
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await under("slower:factor=20", stream=stream)).end == "complete"
    # Ten words: 20 ms for the first, 10 ms for each other.
    assert loop.time() - started >= 0.1
    voice.pace = 1.0
    assert (await under("slower", stream=stream, patience=QUIET)).end == "silent"


async def test_role_then_silence(under):
    wire = await under("role_then_silence", patience=QUIET)
    assert (wire.end, deltas(wire)) == ("silent", [""])


async def test_silence_after_the_headers_of_json(under):
    wire = await under("role_then_silence", stream=False, patience=QUIET)
    assert (wire.end, wire.status, wire.body) == ("silent", 200, b"")


async def test_pings(under):
    wire = await under("pings:interval=0.02", patience=QUIET)
    assert wire.end == "silent"
    assert wire.body.count(b": keep-alive\n\n") > 2
    assert not wire.body.replace(b": keep-alive\n\n", b"")


@pytest.mark.parametrize("fault", ["pings:interval=0.02", "empty_deltas:interval=0.02"])
async def test_json_gets_blank_lines(under, fault):
    wire = await under(fault, stream=False, patience=QUIET)
    assert (wire.end, set(wire.body)) == ("silent", set(b"\n"))


async def test_empty_deltas(under):
    wire = await under("empty_deltas:interval=0.02", patience=QUIET)
    assert wire.end == "silent"
    assert set(deltas(wire)) == {""}
    assert len(wire.events) > 3


async def test_stall(under):
    wire = await under("stall:after=3", patience=QUIET)
    assert (wire.end, wire.text) == ("silent", "one two three")


async def test_stall_in_the_middle_of_json(under):
    wire = await under("stall:share=0.25", stream=False, patience=QUIET)
    assert (wire.end, len(wire.body)) == ("silent", int(wire.headers["content-length"]) // 4)


async def test_stall_after_more_words_than_there_are(under):
    wire = await under("stall:after=99", patience=QUIET)
    assert (wire.end, wire.text) == ("silent", SAY)
    assert wire.events[-1]["choices"][0]["finish_reason"] is None


async def test_endless(under):
    wire = await under("endless:interval=0", patience=QUIET)
    assert wire.end == "silent"
    assert wire.text.startswith(" more more more")


async def test_endless_json(under):
    wire = await under("endless:interval=0", stream=False, patience=QUIET)
    assert wire.end == "silent"
    assert b'"content":" more more more' in wire.body


# Broken off.


@pytest.mark.parametrize(("how", "end"), [("reset", "reset"), ("close", "eof")])
async def test_cut(under, how, end):
    wire = await under(f"cut:after=3,how={how}")
    assert (wire.end, wire.text) == (end, "one two three")


@pytest.mark.parametrize(("how", "end"), [("reset", "reset"), ("close", "eof")])
async def test_cut_in_the_middle_of_json(under, how, end):
    wire = await under(f"cut:how={how}", stream=False)
    assert (wire.end, len(wire.body)) == (end, int(wire.headers["content-length"]) // 2)


async def test_cut_clean(under):
    wire = await under("cut_clean:after=3")
    assert (wire.end, wire.text) == ("complete", "one two three")
    assert b"[DONE]" not in wire.body
    assert wire.events[-1]["choices"][0]["finish_reason"] is None


@pytest.mark.parametrize("fault", ["cut_clean", "truncated_json"])
async def test_half_a_json_document_in_good_framing(under, fault):
    wire = await under(fault, stream=False)
    assert wire.end == "complete"
    with pytest.raises(json.JSONDecodeError):
        json.loads(wire.body)


async def test_truncated_event(under):
    wire = await under("truncated_json")
    assert wire.end == "complete"
    assert isinstance(wire.events[-1], str)
    assert not wire.body.endswith(b"\n")


async def test_no_done(under):
    wire = await under("no_done")
    assert (wire.end, wire.text) == ("complete", SAY)
    assert wire.events[-1]["choices"][0]["finish_reason"] == "stop"


async def test_no_done_hang(under):
    wire = await under("no_done_hang", patience=QUIET)
    assert wire.end == "silent"
    assert wire.events[-1]["choices"][0]["finish_reason"] == "stop"


# Wrong content.


async def test_malformed(under):
    wire = await under("malformed:after=3")
    assert [isinstance(event, str) for event in wire.events[3:6]] == [False, True, False]
    assert (wire.text, wire.events[-1]) == (SAY, "[DONE]")


async def test_malformed_json(under):
    wire = await under("malformed", stream=False)
    assert wire.end == "complete"
    with pytest.raises(json.JSONDecodeError):
        json.loads(wire.body)


async def test_error_first(under):
    wire = await under("error_first")
    [event] = wire.events
    assert (wire.end, wire.status, event["error"]["code"]) == ("complete", 200, "server_error")


async def test_error_later(under):
    wire = await under("error_later:after=3")
    assert wire.text == "one two three"
    assert set(wire.events[-1]) == {"error"}


async def test_error_then_done(under):
    wire = await under("error_then_done:after=3")
    assert wire.events[-2]["error"]["code"] == 500
    assert wire.events[-1] == "[DONE]"


async def test_error_field(under):
    wire = await under("error_field:after=3")
    assert wire.events[-2].startswith('error: {"code":500')
    assert wire.events[-1] == "[DONE]"


@pytest.mark.parametrize("stream", [True, False])
async def test_error_200(under, stream):
    wire = await under("error_200", stream=stream)
    assert (wire.status, wire.headers["content-type"], set(wire.json)) == (200, "application/json", {"error"})


@pytest.mark.parametrize("fault", ["error_first", "error_later", "error_then_done", "error_field"])
async def test_json_gets_the_error_as_a_200(under, fault):
    wire = await under(fault, stream=False)
    assert (wire.status, set(wire.json)) == (200, {"error"})


async def test_empty(under):
    wire = await under("empty")
    assert (wire.text, wire.events[-1]) == ("", "[DONE]")
    assert wire.events[-2]["choices"][0]["finish_reason"] == "stop"
    assert (await under("empty", stream=False)).json["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize("stream", [True, False])
async def test_empty_body(under, stream):
    wire = await under("empty_body", stream=stream)
    assert (wire.end, wire.status, wire.body) == ("complete", 200, b"")


@pytest.mark.parametrize(("stream", "kind"), [(True, "text/event-stream; charset=utf-8"), (False, "application/json")])
async def test_garbage(under, stream, kind):
    wire = await under("garbage:size=99", stream=stream)
    assert (wire.status, wire.headers["content-type"], len(wire.body)) == (200, kind, 99)


async def test_wrong_type(under):
    wire = await under("wrong_type")
    assert (wire.status, wire.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_content_filter_finish(under):
    wire = await under("content_filter_finish:after=3")
    assert wire.text == "one two three"
    assert wire.events[-2]["choices"][0]["finish_reason"] == "content_filter"
    choice = (await under("content_filter_finish:after=3", stream=False)).json["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one two three", "content_filter")


# Good answers in unusual spellings.


async def test_gzip(under):
    wire = await under("gzip")
    assert wire.headers["content-encoding"] == "gzip"
    assert gzip.decompress(wire.body).endswith(b"data: [DONE]\n\n")
    # Flushed event by event: the first bytes already tell the first words.
    assert b" nine" in zlib.decompressobj(wbits=31).decompress(wire.body[: len(wire.body) * 9 // 10])
    assert json.loads(gzip.decompress((await under("gzip", stream=False)).body))["object"] == "chat.completion"


async def test_huge_headers(under):
    wire = await under("huge_headers")
    assert len(wire.headers["x-padding"]) == 1 << 20
    assert wire.text == SAY


@pytest.mark.parametrize("stream", [True, False])
async def test_low_headroom(simulator, client, stream):
    await simulator.inject("primary", "low_headroom:remaining=2,limit=100,reset=60")
    answers = [await client.chat(stream=stream) for _ in range(3)]
    limits = [[wire.headers[f"x-ratelimit-{part}-requests"] for part in ("limit", "remaining")] for wire in answers]
    assert [wire.status for wire in answers] == [200, 200, 429]
    assert limits == [["100", "1"], ["100", "0"], ["100", "0"]]
    assert answers[0].headers["x-ratelimit-reset-requests"] == "1m0s"
    assert "x-ratelimit-reset-requests" in answers[2].headers
    assert answers[2].json["error"]["code"] == "rate_limit_exceeded"
    assert [one.fault for one in simulator.upstream("primary").requests] == ["low_headroom", "low_headroom", "429"]
    assert (await client.send("GET", "/v1/models")).status == 200


async def test_low_headroom_recovers(simulator, client):
    await simulator.inject("primary", "low_headroom:remaining=0,limit=9,reset=0.05")
    assert (await client.chat()).status == 429
    await asyncio.sleep(0.06)
    assert (await client.chat()).headers["x-ratelimit-remaining-requests"] == "8"


async def test_crlf(under):
    body = (await under("crlf")).body
    assert body.endswith(b"data: [DONE]\r\n\r\n")
    assert body.count(b"\n") == body.count(b"\r\n")


async def test_cr_only(under):
    body = (await under("cr_only")).body
    assert body.endswith(b"data: [DONE]\r\r")
    assert b"\n" not in body


async def test_comments(under):
    body = (await under("comments")).body
    assert body.startswith(b": keep-alive\n\n:\nid: 7\nretry: 3000\nevent: message\ndata:{")


async def test_bom(under):
    assert (await under("bom")).body.startswith(b"\xef\xbb\xbfdata: {")
    assert (await under("bom", stream=False)).body.startswith(b'\xef\xbb\xbf{"id"')


async def test_multiline(under):
    blocks = (await under("multiline")).body.decode().split("\n\n")
    lines = blocks[1].split("\n")
    assert len(lines) > 5
    joined = "\n".join(line.removeprefix("data: ") for line in lines)
    assert json.loads(joined)["choices"][0]["delta"]["content"] == "one"


async def test_split_utf8(under):
    wire = await under("split_utf8")
    assert "模拟" in wire.text
    assert "🤖" in wire.text
    assert b"\r\n1\r\n\xe6\r\n1\r\n" in wire.raw
    assert "🤖" in (await under("split_utf8:size=7", stream=False)).body.decode()


async def test_surrogates(under):
    wire = await under("surrogates")
    pieces = deltas(wire)
    cut = pieces.index(" \ud83e")
    assert "\udd16," == pieces[cut + 1]
    assert b'"content":" \\ud83e"' in wire.body
    assert b'"content":"\\udd16,"' in wire.body
    joined = "".join(pieces[:-1]).encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    whole = (await under("surrogates", stream=False)).json["choices"][0]["message"]["content"]
    assert whole == joined
    assert "👨‍👩‍👧" in whole
    assert [] == [piece for piece in pieces[:-1] for character in piece if ord(character) > 0xFFFF]
    assert "[DONE]" == wire.events[-1]


async def test_big_event(under):
    wire = await under("big_event")
    assert max(len(block) for block in wire.body.split(b"\n\n")) > 1 << 20
    assert wire.text.endswith(SAY)
    assert len((await under("big_event:size=5000", stream=False)).body) > 5000


# Luck and time.


async def test_times_and_random(simulator, client):
    await simulator.inject("primary", "503:times=2")
    assert [(await client.chat()).status for _ in range(3)] == [503, 503, 200]
    await simulator.inject("primary", "random:inner=503,probability=0.5")
    first = [(await client.chat()).status for _ in range(20)]
    await simulator.inject("primary", "random:inner=503,probability=0.5")
    assert [(await client.chat()).status for _ in range(20)] == first
    assert set(first) == {200, 503}


async def test_flapping(under, client):
    assert (await under("flapping:inner=503,broken=60")).status == 503
    assert (await under("flapping:inner=503,broken=0,healthy=60")).status == 200
