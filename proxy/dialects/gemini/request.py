"""A chat request as a request for Gemini's `generateContent`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Raw

from proxy.dialects.chat_events import to_json
from proxy.dialects.dialect import ChatAsked, NotCarriedError, Outgoing
from proxy.dialects.gemini.contents import conversation
from proxy.dialects.gemini.families import Family, family_of
from proxy.dialects.gemini.schema import adapted
from proxy.dialects.gemini.tools import Names, chosen, declared
from proxy.dialects.lenient_json import decoded
from proxy.dialects.raw_json import NULL

_SAME: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""Fields that have only another name there."""
_PENALTIES: Final = ("presence_penalty", "frequency_penalty")
_CAPS: Final = ("max_completion_tokens", "max_tokens")
"""The first that is given counts."""
_READ: Final = frozenset(
    {
        "model", "messages", "stream", "stream_options", "n", "stop", "modalities",
        "response_format", "reasoning_effort", "tools", "tool_choice", *_SAME, *_CAPS,
    }
)  # fmt: skip
"""Fields that are carried over, or ask for nothing more than what is done."""
_NEUTRAL: Final = {"parallel_tool_calls": Raw(b"true"), "logprobs": Raw(b"false"), "store": Raw(b"false")}
"""Values that ask for what happens anyway."""
_MOST_STOPS: Final = 5

_decode = msgspec.json.Decoder().decode


def write_request(asked: ChatAsked) -> Outgoing:
    """The request. Raises NotCarriedError."""
    model = asked.model.removeprefix("models/")
    method = "streamGenerateContent?alt=sse" if asked.stream else "generateContent"
    names = Names()
    family = family_of(model)
    without = {*asked.without, *(() if family.penalties else _PENALTIES)}
    told = {name: value for name, value in asked.fields.items() if value != NULL}
    fields = {name: value for name, value in told.items() if name not in without}
    dropped = [name for name in told if name in without]
    dropped += [name for name, value in fields.items() if name not in _READ and _NEUTRAL.get(name) != value]
    try:
        body = _body(fields, asked, family, names, dropped)
        pieces = (to_json(body),)
    except RecursionError:
        raise NotCarriedError("The request is nested too deeply.", "messages") from None
    return Outgoing(f"/v1beta/models/{quote(model, safe='')}:{method}", pieces, tuple(dropped), names=names.renamed)


def _body(
    fields: Mapping[str, Raw], asked: ChatAsked, family: Family, names: Names, dropped: list[str]
) -> dict[str, Any]:
    _refuse(fields)
    # The tools come first, so that those that are declared keep their names.
    tools = declared(_value(fields, "tools"), names)
    talk = conversation(fields.get("messages", Raw(b"[]")), family, names)
    body: dict[str, Any] = {}
    if talk.system:
        body["systemInstruction"] = {"parts": talk.system}
    body["contents"] = talk.contents
    choice = chosen(_value(fields, "tool_choice"), names)
    if tools:
        body["tools"] = tools
        if choice is not None:
            body["toolConfig"] = choice
    config = _generation(fields, asked)
    form = _form(_value(fields, "response_format"))
    if form and tools and not family.tools_with_json:
        raise NotCarriedError("This model of Gemini takes no tools where the answer is to be JSON.", "response_format")
    config.update(form)
    if thinking := _thinking(fields, asked, family, dropped):
        config["thinkingConfig"] = thinking
    if config:
        body["generationConfig"] = config
    return body


def _refuse(fields: Mapping[str, Raw]) -> None:
    """Raise NotCarriedError for what would make the answer another one."""
    if fields.get("n", Raw(b"1")) != Raw(b"1"):
        raise NotCarriedError("Gemini gives one answer at a time ('n').", "n")
    for name in ("functions", "function_call", "audio"):
        if name in fields:
            raise NotCarriedError(f"'{name}' cannot be carried over to Gemini.", name)
    if _value(fields, "modalities") not in (None, ["text"]):
        raise NotCarriedError("Of Gemini only text can be had here ('modalities').", "modalities")


def _generation(fields: Mapping[str, Raw], asked: ChatAsked) -> dict[str, Any]:
    """The part of the `generationConfig` that is mostly a matter of names. Values are judged by the upstream."""
    config: dict[str, Any] = {there: fields[name] for name, there in _SAME.items() if name in fields}
    cap = next((fields[name] for name in _CAPS if name in fields), None)
    if cap is not None:
        most = asked.facts.max_output
        given = _decoded(cap)
        # A cap above the model's own is refused there.
        config["maxOutputTokens"] = most if most and isinstance(given, int) and given > most else cap
    stop = _value(fields, "stop")
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list | None) or not all(isinstance(item, str) for item in stops or ()):
        raise NotCarriedError("'stop' must be a string or an array of strings.", "stop")
    if stops := [item for item in stops or () if item]:
        if len(stops) > _MOST_STOPS:
            raise NotCarriedError(f"Gemini takes at most {_MOST_STOPS} stop sequences.", "stop")
        config["stopSequences"] = stops
    return config


def _form(form: Any) -> dict[str, Any]:
    """The part of the `generationConfig` that a `response_format` is."""
    kind = form.get("type") if isinstance(form, dict) else None
    if form is None or kind == "text":
        return {}
    if kind == "json_object":
        return {"responseMimeType": "application/json"}
    inner = form.get("json_schema") if kind == "json_schema" else None
    if not isinstance(inner, dict):
        raise NotCarriedError("This 'response_format' cannot be carried over to Gemini.", "response_format")
    config: dict[str, Any] = {"responseMimeType": "application/json"}
    if isinstance(inner.get("schema"), dict):
        config["responseJsonSchema"] = adapted(inner["schema"])
    return config


def _thinking(fields: Mapping[str, Raw], asked: ChatAsked, family: Family, dropped: list[str]) -> dict[str, Any]:
    """The `thinkingConfig`. Thoughts are shown where thinking was asked for; the upstream's option overrules that."""
    effort = _value(fields, "reasoning_effort")
    measure = family.thinking.get(effort) if isinstance(effort, str) else None
    if effort is not None and measure is None:
        dropped.append("reasoning_effort")
    if not family.thinking:
        return {}
    config: dict[str, Any] = {}
    if isinstance(measure, str):
        config["thinkingLevel"] = measure
    elif measure is not None:
        config["thinkingBudget"] = measure
    shown = asked.options.get("include_thoughts", measure is not None)
    if shown and effort != "none":
        config["includeThoughts"] = True
    return config


def _value(fields: Mapping[str, Raw], name: str) -> Any:
    """The decoded value of a field; None if it is absent. Raises NotCarriedError if it is no JSON."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decoded(_decode, bytes(raw))
    except (ValueError, RecursionError):
        raise NotCarriedError(f"'{name}' is not valid JSON.", name) from None


def _decoded(raw: Raw) -> Any:
    try:
        return _decode(bytes(raw))
    except (ValueError, RecursionError):
        return None
