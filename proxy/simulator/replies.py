"""From a request to the script of its answer: which language, which fault, what is said."""

from __future__ import annotations

from proxy.simulator.answers import Voice, compose
from proxy.simulator.arming import Facts
from proxy.simulator.events import JSON_TYPE
from proxy.simulator.exchange import healthy
from proxy.simulator.faults import FAULTS, Fault
from proxy.simulator.question import BadRequestError, reading, words_of
from proxy.simulator.refusals import Reply, html_page, json_reply
from proxy.simulator.scripts import faulty
from proxy.simulator.steps import BreakOff, Hang, Head, Script
from proxy.simulator.wires.openai_chat import OpenAIChat
from proxy.simulator.wires.openai_errors import error
from proxy.simulator.wires.table import Place
from proxy.simulator.wires.wire import Call, Exchange, Wire

_ELSEWHERE = OpenAIChat()
"""The language of paths that have none of their own."""


def wire_of(place: Place) -> Wire | None:
    """The language of a request that asks a model; None for any other."""
    return place.target if isinstance(place.target, Wire) else None


def facts_of(place: Place, *, reuses_connection: bool) -> Facts:
    """What the faults look at in a request, readable or not."""
    wire = wire_of(place)
    if wire is None:
        return Facts(is_chat=False, reuses_connection=reuses_connection)
    said = wire.turns(place.call)
    return Facts(
        is_chat=True,
        fields=wire.parameters(place.call.fields),
        prompt_tokens=words_of(said),
        ends_with_assistant=bool(said) and said[-1].get("role") == "assistant",
        reuses_connection=reuses_connection,
    )


def reply(place: Place, fault: Fault | None, voice: Voice, serial: int, now: float) -> Script:
    """The script of the answer; `serial` counts the upstream's requests, `now` is Unix time."""
    scope = FAULTS[fault.name].scope if fault else None
    if fault and scope == "connection":
        return _connection_fault(fault, place)
    if fault and scope == "refusal":
        return _refusal(fault, place, now).script()
    wire = wire_of(place)
    if wire is None:
        return _other_path(place, voice, now).script()
    try:
        _check_key(voice, wire, place.call)
        with reading():
            asked = wire.read(place.call)
            answer = compose(voice, asked, serial, now)
    except BadRequestError as problem:
        return wire.complain(problem).script()
    window = voice.context_window
    if window is not None and asked.prompt_tokens > window and not wire.takes_longer_prompts(asked):
        return wire.refuse(Fault("context", limit=window), place.call, now).script()
    exchange = Exchange(
        wire=wire,
        asked=asked,
        answer=answer,
        upstream=voice.upstream,
        pace=voice.pace,
        first_token_delay=voice.first_token_delay,
        seed=voice.seed,
    )
    return faulty(fault, exchange) if fault else healthy(exchange)


def _check_key(voice: Voice, wire: Wire, call: Call) -> None:
    problem = wire.credentials_missing(call) if voice.needs_key else None
    if problem is not None:
        raise problem


def _refusal(fault: Fault, place: Place, now: float) -> Reply:
    if fault.name == "html_502":
        return html_page()
    if fault.name == "redirect":
        return Reply(307, b"", {"Location": fault.location})
    return (wire_of(place) or _ELSEWHERE).refuse(fault, place.call, now)


def _connection_fault(fault: Fault, place: Place) -> Script:
    if fault.name == "hang":
        yield Hang()
    if fault.name == "reset_after_headers":
        wire = wire_of(place)
        streams = wire is not None and wire.streams(place.call)
        yield Head(200, wire.stream_type if wire and streams else JSON_TYPE, None if streams else 1000)
    yield BreakOff(reset=fault.name.startswith("reset") or (fault.name == "stale" and fault.how == "reset"))


def _other_path(place: Place, voice: Voice, now: float) -> Reply:
    call = place.call
    if place.target is not None and not isinstance(place.target, Wire):
        return place.target(call, voice, now)
    if place.allowed:
        message = f"Not allowed to {call.method} on {call.path}. Use {place.allowed}."
        return json_reply(405, error(message, "invalid_request_error"), {"Allow": place.allowed})
    message = f"Invalid URL ({call.method} {call.path}). This upstream is simulated and does not serve that path."
    return json_reply(404, error(message, "invalid_request_error", "unknown_url"))
