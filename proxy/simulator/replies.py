"""From a request to the script of its answer: which path, which fault, what is said."""

from __future__ import annotations

from proxy.simulator.answers import Voice, compose
from proxy.simulator.arming import Facts
from proxy.simulator.chat_request import BadRequestError, parse_chat, parse_json, text_of
from proxy.simulator.faults import FAULTS, Fault
from proxy.simulator.good import Exchange, healthy
from proxy.simulator.received import ReceivedRequest
from proxy.simulator.refusals import json_reply, refusal
from proxy.simulator.scripts import faulty
from proxy.simulator.steps import BreakOff, Hang, Head, Script
from proxy.simulator.voices import JSON_TYPE, SSE_TYPE, error, model_list

CHAT_PATH = "/v1/chat/completions"
_MODELS_PATH = "/v1/models"


def is_chat(received: ReceivedRequest) -> bool:
    """Whether the request asks for a chat completion."""
    return received.method == "POST" and _path(received) == CHAT_PATH


def facts_of(received: ReceivedRequest, *, reuses_connection: bool) -> Facts:
    """What the faults look at in a request, readable or not."""
    if not is_chat(received):
        return Facts(is_chat=False, reuses_connection=reuses_connection)
    body = parse_json(received.body)
    fields = body if isinstance(body, dict) else {}
    messages = fields.get("messages")
    said = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    return Facts(
        is_chat=True,
        fields=frozenset(fields),
        prompt_tokens=sum(4 + len(text_of(one).split()) for one in said),
        ends_with_assistant=bool(said) and said[-1].get("role") == "assistant",
        reuses_connection=reuses_connection,
    )


def reply(received: ReceivedRequest, fault: Fault | None, voice: Voice, serial: int, now: float) -> Script:
    """The script of the answer; `serial` counts the upstream's requests, `now` is Unix time."""
    scope = FAULTS[fault.name].scope if fault else None
    if fault and scope == "connection":
        return _connection_fault(fault, received)
    if fault and scope == "refusal":
        return refusal(fault, now).script()
    if not is_chat(received):
        return _other_path(received, voice, now)
    try:
        asked = parse_chat(received.body)
    except BadRequestError as problem:
        return json_reply(400, error(str(problem), "invalid_request_error", None, problem.param)).script()
    exchange = Exchange(
        answer=compose(voice, asked, serial, now),
        upstream=voice.upstream,
        stream=asked.stream,
        include_usage=asked.include_usage,
        pace=voice.pace,
        first_token_delay=voice.first_token_delay,
        seed=voice.seed,
    )
    return faulty(fault, exchange) if fault else healthy(exchange)


def _connection_fault(fault: Fault, received: ReceivedRequest) -> Script:
    if fault.name == "hang":
        yield Hang()
    if fault.name == "reset_after_headers":
        body = parse_json(received.body)
        streams = isinstance(body, dict) and body.get("stream") is True
        yield Head(200, SSE_TYPE if streams else JSON_TYPE, None if streams else 1000)
    yield BreakOff(reset=fault.name.startswith("reset") or (fault.name == "stale" and fault.how == "reset"))


def _other_path(received: ReceivedRequest, voice: Voice, now: float) -> Script:
    path = _path(received)
    if path in {CHAT_PATH, _MODELS_PATH} and (path == CHAT_PATH or received.method not in {"GET", "HEAD"}):
        allowed = "POST" if path == CHAT_PATH else "GET"
        message = f"Not allowed to {received.method} on {path}. Use {allowed}."
        return json_reply(405, error(message, "invalid_request_error"), {"Allow": allowed}).script()
    if path == _MODELS_PATH:
        return json_reply(200, model_list(voice.models, int(now))).script()
    message = (
        f"Invalid URL ({received.method} {path}). This upstream is simulated and serves {CHAT_PATH} and {_MODELS_PATH}."
    )
    return json_reply(404, error(message, "invalid_request_error", "unknown_url")).script()


def _path(received: ReceivedRequest) -> str:
    return received.path.partition("?")[0]
