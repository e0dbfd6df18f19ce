"""What a second look found in the engine, where languages of clients meet those of upstreams."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import pytest
from msgspec import Raw

from proxy.core.wire import Wire
from proxy.dialects.bound import without_bound, without_extensions
from tests.support.fleet import Fleet, Seen, fleet
from tests.support.virtual_time import run_virtual

Page = tuple[int, str, bytes]
"""Status, content type and body."""
ASKED = [{"role": "user", "content": "hi"}]
JSON = "application/json"
EVENTS = "text/event-stream"
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
}


class Canned:
    """An upstream that answers by path, and notes what it was asked."""

    def __init__(self, page: Callable[[str, Any], Page]) -> None:
        self._page = page
        self.asked: list[tuple[str, Any]] = []
        self.heads: list[str] = []
        self.url = ""

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(line[15:] for line in head.split("\r\n") if line.lower().startswith("content-length:"))
            body = json.loads(await reader.readexactly(int(length)))
            path = head.split(" ")[1]
            self.asked.append((path, body))
            self.heads.append(head)
            status, kind, answer = self._page(path, body)
            told = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n"
            writer.write(told.encode() + answer)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def canned(page: Callable[[str, Any], Page]) -> AsyncIterator[Canned]:
    """Start it, and leave nothing of it behind."""
    one = Canned(page)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()


def told(status: int, message: str, **members: object) -> Page:
    """An error as OpenAI tells it."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **members}
    return status, JSON, json.dumps({"error": error}).encode()


def routes(*, one: str = "", two: str = "", chain: str = "[one/m]", more: str = "") -> str:
    return f"""\
version: 1
server: {{port: 0}}
upstreams:
  one: {{{one}}}
  two: {{{two or "kind: simulated"}}}
  played: {{kind: simulated}}
defaults: {{deadline: 60s, timeout: {{connect: 1s, first_token: 8s, idle: 4s}}, health: {{probe: never}}}}
routes:
  chat: {{chain: {chain}{more}}}
"""


async def post(running: Fleet, path: str, headers: dict[str, str] | None = None, **body: Any) -> Seen:
    return await running.request("POST", path, json={"model": "chat", **body}, headers=headers)


def test_two_models_of_azure_have_two_addresses() -> None:
    """The head of the first was kept under the upstream's address, and served all other deployments, too."""

    async def scenario() -> None:
        async with canned(lambda _path, _body: (200, JSON, json.dumps(CHAT).encode())) as azure:
            kind = f'kind: azure, base_url: "{azure.url}", api_key: k, options: {{api_version: "2024-10-21"}}'
            async with fleet(routes(one=kind) + "  other: {chain: [one/other]}\n") as running:
                for model in ("chat", "other", "chat"):
                    await post(running, "/v1/chat/completions", model=model, messages=ASKED)

            assert ["m", "other", "m"] == [path.split("/")[3] for path in azure.paths]

    run_virtual(scenario())


def test_a_header_that_cannot_be_sent_on_blames_no_deployment() -> None:
    """Five such requests opened the breaker of every deployment that speaks Messages."""

    async def scenario() -> None:
        async with canned(lambda _path, _body: told(500, "never asked")) as claude:
            async with fleet(routes(one=f"kind: anthropic, base_url: '{claude.url}', api_key: k")) as running:
                beta = {"anthropic-beta": "caf\u00e9"}
                seen = await post(running, "/v1/messages", headers=beta, max_tokens=5, messages=ASKED)

            assert (400, "invalid_request_error") == (seen.status, seen.error["type"])
            assert [] == claude.paths

    run_virtual(scenario())


ELSEWHERE = {
    "a path for counts": ("llamacpp", "/v1/messages/count_tokens", {"messages": ASKED}, told(404, "File Not Found")),
    "a path for vectors": ("openai", "/v1/embeddings", {"input": "hi"}, told(404, "Not Found")),
    "vectors of this model": (
        "openai",
        "/v1/embeddings",
        {"input": "hi"},
        told(403, "You are not allowed to generate embeddings from this model"),
    ),
    "vectors at all": (
        "openai",
        "/v1/embeddings",
        {"input": "hi"},
        told(500, "this model does not support embeddings"),
    ),
    "an earlier response": (
        "vllm",
        "/v1/responses",
        {"input": "hi", "previous_response_id": "resp_x"},
        told(404, "Response with id 'resp_x' not found."),
    ),
}


@pytest.mark.parametrize("lacking", ELSEWHERE)
def test_what_is_not_there_in_one_language_takes_nobody_out_in_another(lacking: str) -> None:
    """A 404 rested the deployment for all, and a 403 its key: one client's odd request was everybody's outage."""
    kind, path, body, page = ELSEWHERE[lacking]

    def answer(asked: str, _: Any) -> Page:
        return (200, JSON, json.dumps(CHAT).encode()) if asked.endswith("/chat/completions") else page

    async def scenario() -> None:
        async with canned(answer) as server:
            async with fleet(routes(one=f"kind: {kind}, base_url: '{server.url}/v1', api_key: k")) as running:
                for _ in range(6):
                    await post(running, path, **body)
                seen = await post(running, "/v1/chat/completions", messages=ASKED)

            assert (200, 7) == (seen.status, len(server.paths))

    run_virtual(scenario())


MISSING = {
    "deployment": told(404, "The API deployment for this resource does not exist.", code="DeploymentNotFound"),
    "model": told(404, "The model `m` does not exist or you do not have access to it."),
}


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_model_is_no_missing_language(missing: str) -> None:
    """Azure does not name the model: each request was sent twice, and for good as a chat, even once it was there."""

    async def scenario() -> None:
        async with canned(lambda _path, _body: MISSING[missing]) as azure:
            async with fleet(routes(one=f"kind: azure, base_url: '{azure.url}', api_key: k")) as running:
                await post(running, "/v1/responses", input="hi")

            assert ["/openai/v1/responses"] == azure.paths

    run_virtual(scenario())


def test_a_letter_of_the_message_is_no_name_of_a_model() -> None:
    """A model with a short name was found in every message, and its server's lack never mended."""

    def answer(path: str, _: Any) -> Page:
        return (200, JSON, json.dumps(CHAT).encode()) if "chat" in path else told(404, "No such method.")

    async def scenario() -> None:
        async with canned(answer) as server:
            async with fleet(routes(one=f"kind: openai, base_url: '{server.url}/v1', api_key: k")) as running:
                seen = [await post(running, "/v1/responses", input="hi") for _ in range(2)]

            assert [200, 200] == [each.status for each in seen]
            assert ["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"] == server.paths

    run_virtual(scenario())


def test_all_is_held_also_of_what_nobody_else_could_say() -> None:
    """A request without a form as chat was refused, after the upstream had answered it."""
    more = ", resume: {hold: all}"

    async def scenario() -> None:
        async with fleet(routes(one="kind: simulated", chain="[one/m, two/m]", more=more)) as running:
            tools = [{"type": "web_search"}]
            seen = await post(running, "/v1/responses", input="hi", stream=True, tools=tools)

            assert (200, "response.completed") == (seen.status, seen.events[-1]["type"])

    run_virtual(scenario())


def test_behind_a_glob_each_model_has_vectors_of_its_own_length() -> None:
    """The first model that was asked for set the length for all that the glob stands for."""

    def vectors(_: str, body: Any) -> Page:
        vector = [0.5] * (3 if body["model"] == "small" else 6)
        answer = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": vector}]}
        return 200, JSON, json.dumps({**answer, "model": body["model"]}).encode()

    async def scenario() -> None:
        async with canned(vectors) as server:
            text = routes(one=f"kind: openai, base_url: '{server.url}/v1', api_key: k") + "  '*': {chain: ['one/*']}\n"
            async with fleet(text) as running:
                for model in ("small", "large", "small"):
                    assert 200 == (await post(running, "/v1/embeddings", model=model, input="hi")).status
                body = '{"model": "small", "input": "hi", "dimensions": 1%s}' % ("0" * 6000)
                assert 400 == (await running.request("POST", "/v1/embeddings", data=body)).status

    run_virtual(scenario())


SECRET, SESSION = "abcdefgh" * 5, "IQoJsession0123456789"


def test_no_part_of_a_key_that_signs_is_told() -> None:
    """Amazon repeats all that should have been signed, and a session's token is a part of it."""

    async def scenario() -> None:
        page = 400, JSON, json.dumps({"message": f"should have been x-amz-security-token:{SESSION} {SECRET}"}).encode()
        async with canned(lambda _path, _body: page) as amazon:
            key = f"AKIAABCDEFGHIJKLMNOP:{SECRET}:{SESSION}"
            kind = f"kind: bedrock, base_url: '{amazon.url}', api_key: '{key}', options: {{region: us-east-1}}"
            async with fleet(routes(one=kind)) as running:
                seen = await running.chat(stream=False)

            assert (400, "should have been x-amz-security-token:*** ***") == (seen.status, seen.error["message"])

    run_virtual(scenario())


def test_a_name_of_a_model_does_not_leave_its_place_in_an_address() -> None:
    """Behind a glob clients choose the name, and dots in it led to any path, with the operator's key."""

    async def scenario() -> None:
        async with canned(lambda _path, _body: (404, JSON, b"{}")) as gemini:
            text = routes(one=f"kind: gemini, base_url: '{gemini.url}', api_key: k") + "  '*': {chain: ['one/*']}\n"
            async with fleet(text) as running:
                names = ("../../upload/x", "..", "a?b=c", "a#b", "a%2fb", "\u00fc b")
                for name in names:
                    await post(running, "/v1/chat/completions", model=name, messages=ASKED)

            assert [f"/v1beta/models/{quote(name, safe='')}:generateContent" for name in names] == gemini.paths

    run_virtual(scenario())


SIGNED = {"type": "thinking", "thinking": "...", "signature": "of somebody else"}


@pytest.mark.parametrize("bound", [True, False])
def test_only_what_was_sent_can_be_left_out(bound: bool) -> None:
    """A request without any such part was sent again as it was, and its client got a 502 in place of the refusal."""
    said = [SIGNED, {"type": "text", "text": "Hello."}] if bound else "Hello."
    refusal = told(400, "messages.1.content.0: Invalid `signature` in `thinking` block")

    async def scenario() -> None:
        async with canned(lambda _path, _body: refusal) as claude:
            async with fleet(routes(one=f"kind: anthropic, base_url: '{claude.url}', api_key: k")) as running:
                messages = [*ASKED, {"role": "assistant", "content": said}, *ASKED]
                seen = await post(running, "/v1/messages", messages=messages, max_tokens=9)

            assert ((502, 2) if bound else (400, 1)) == (seen.status, len(claude.paths))
            assert [bound, False][: len(claude.paths)] == ["somebody" in json.dumps(body) for _, body in claude.asked]

    run_virtual(scenario())


FORMS: dict[str, tuple[str, dict[str, Any], Page]] = {
    "/v1/responses": (
        "reasoning",
        {"input": "hi", "reasoning": {"effort": "low"}},
        told(400, "Unsupported parameter.", param="reasoning.effort", code="unsupported_parameter"),
    ),
    "/v1/messages": (
        "thinking",
        {"messages": ASKED, "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        told(400, "thinking: Extra inputs are not permitted"),
    ),
}


@pytest.mark.parametrize("path", FORMS)
def test_a_refused_field_has_its_own_name_in_each_language(path: str) -> None:
    """It was looked for under chat's name, so nothing was left out where the client's own language was spoken."""
    name, body, refusal = FORMS[path]
    kind = "anthropic" if path == "/v1/messages" else "openai"

    async def scenario() -> None:
        async with canned(lambda _path, asked: refusal if name in asked else (200, JSON, b"{}")) as server:
            one = f"kind: {kind}, base_url: '{server.url}/v1', api_key: k"
            async with fleet(routes(one=one)) as running:
                await post(running, path, **body)

            assert [True, False] == [name in asked for _, asked in server.asked]

    run_virtual(scenario())


def test_a_cap_as_large_as_the_window_is_no_prompt_that_is_too_long() -> None:
    """Clients of local servers set it so; those end an answer where their window ends."""

    async def scenario() -> None:
        async with fleet(routes(one="kind: simulated, models: {m: {context: 4096}}")) as running:
            assert 200 == (await running.chat(max_tokens=4096)).status
            seen = await running.chat(max_tokens=1, messages=[{"role": "user", "content": "word " * 9000}])
            assert (400, "context_length_exceeded") == (seen.status, seen.error["code"])

    run_virtual(scenario())


def test_operators_see_what_a_deployment_goes_without() -> None:
    def answer(path: str, _: Any) -> Page:
        return (200, JSON, json.dumps(CHAT).encode()) if "chat" in path else told(404, "No such path.")

    async def scenario() -> None:
        where = "/admin/v1/deployments/one/m"
        async with canned(answer) as server:
            text = routes(one=f"kind: openai, base_url: '{server.url}/v1', api_key: k")
            async with fleet(text) as running:
                await post(running, "/v1/responses", input="hi")
                assert ["wire:responses"] == (await running.request("GET", where)).json["refused_parameters"]
                assert 200 == (await running.request("POST", f"{where}/reset", json={})).status
                assert [] == (await running.request("GET", where)).json["refused_parameters"]

    run_virtual(scenario())


def test_asking_in_another_language_is_no_further_try() -> None:
    """With one try for each deployment, the first request in a language that a server lacks was lost."""

    def answer(path: str, _: Any) -> Page:
        return (200, JSON, json.dumps(CHAT).encode()) if "chat" in path else told(404, "No such path.")

    async def scenario() -> None:
        async with canned(answer) as server:
            one = f"kind: openai, base_url: '{server.url}/v1', api_key: k, retry: {{attempts: 1}}"
            async with fleet(routes(one=one)) as running:
                assert 200 == (await post(running, "/v1/responses", input="hi")).status

    run_virtual(scenario())


MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "model": "m", "stop_reason": "end_turn"}


@pytest.mark.parametrize("failing", ["/v1/messages", "/v1/messages/count_tokens"])
def test_a_count_of_tokens_says_nothing_of_the_answers(failing: str) -> None:
    """Good counts between failed answers kept the breaker closed, and failed ones opened it before good answers."""
    good = {
        "/v1/messages": {**MESSAGE, "content": [{"type": "text", "text": "Hello."}]},
        "/v1/messages/count_tokens": {"input_tokens": 3},
    }

    def answer(path: str, _: Any) -> Page:
        return told(500, "Internal error") if path == failing else (200, JSON, json.dumps(good[path]).encode())

    async def scenario() -> None:
        async with canned(answer) as claude:
            one = f"kind: anthropic, base_url: '{claude.url}', api_key: k, retry: {{attempts: 1}}"
            async with fleet(routes(one=one)) as running:
                for _ in range(6):
                    await post(running, "/v1/messages/count_tokens", messages=ASKED)
                    seen = await post(running, "/v1/messages", messages=ASKED, max_tokens=5)
                (breaker,) = (await running.request("GET", "/admin/v1/deployments/one/m")).json["breakers"]

            assert ((503, "open") if failing == "/v1/messages" else (200, "closed")) == (seen.status, breaker["state"])

    run_virtual(scenario())


def test_a_header_in_two_lines_goes_on_whole() -> None:
    """Of two lines of betas the first was sent on."""

    async def scenario() -> None:
        async with canned(lambda _path, _body: told(400, "no")) as claude:
            async with fleet(routes(one=f"kind: anthropic, base_url: '{claude.url}', api_key: k")) as running:
                body = {"model": "chat", "max_tokens": 5, "messages": ASKED}
                lines = [("anthropic-beta", "one"), ("anthropic-beta", "two")]
                await running.request("POST", "/v1/messages", json=body, headers=lines)

            assert "anthropic-beta: one, two\r\n" in claude.heads[0]

    run_virtual(scenario())


def test_half_a_character_beside_a_call_is_an_answer() -> None:
    """A text that was cut within a surrogate pair, and the arguments of a call as they came: it was our own error."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    said = {"role": "assistant", "content": "\ud83d", "tool_calls": [call]}
    answer = {**CHAT, "choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}]}

    async def scenario() -> None:
        async with canned(lambda _path, _body: (200, JSON, json.dumps(answer).encode())) as server:
            async with fleet(routes(one=f"kind: openai, base_url: '{server.url}/v1', api_key: k")) as running:
                seen = await post(running, "/v1/messages", messages=ASKED, max_tokens=5)

            assert (200, {"a": 1}) == (seen.status, seen.json["content"][1]["input"])

    run_virtual(scenario())


TYPELESS: dict[str, dict[str, Any]] = {
    "/v1/responses": {"input": [{"type": {}, "role": "user", "content": "hi"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": [{"type": [], "text": "hi"}]}], "max_tokens": 5},
}


@pytest.mark.parametrize("path", TYPELESS)
def test_types_that_are_none_are_no_error_of_ours(path: str) -> None:
    """Where an upstream refused parts as bound to another account, looking for them raised."""
    refusal = told(
        400, "messages.1.content.0: Invalid `signature` in `thinking` block", code="invalid_encrypted_content"
    )
    kind = "anthropic" if path == "/v1/messages" else "openai"

    async def scenario() -> None:
        async with canned(lambda _path, _body: refusal) as server:
            one = f"kind: {kind}, base_url: '{server.url}/v1', api_key: k"
            async with fleet(routes(one=one)) as running:
                assert 400 == (await post(running, path, **TYPELESS[path])).status

    run_virtual(scenario())


def test_what_is_nested_deeply_stays_as_it_is() -> None:
    nested = "[" * 900 + "]" * 900
    for content in (nested, '[{"content":' * 400 + "1" + "}]" * 400):
        fields = {"messages": Raw(b'[{"role": "user", "reasoning": "x", "content": %b}]' % content.encode())}
        for cleaned in (without_extensions(fields), without_bound(fields, Wire.CHAT)):
            assert cleaned is fields or b"reasoning" not in bytes(cleaned["messages"])
