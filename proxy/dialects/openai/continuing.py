"""OpenAI's chat request for an answer that another deployment has begun, and what was asked for in the first place.

As everywhere on this wire, values that need no change stay the bytes that the client sent: messages before the answer
are never decoded. All of this is needed only once a stream has broken.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from proxy.dialects.prefill import Prefill
from proxy.dialects.raw_json import NULL
from proxy.streams.resume import Continuation, ResumeMode, Wanted

_COUNTS = {"max_tokens": 1, "max_completion_tokens": 1, "min_tokens": 0}
"""Fields that count the tokens of the whole answer, and what must be left of each. The last is vLLM's, which refuses a
minimum above the cap."""
_PREFILL_FIELDS = ("continue_final_message", "add_generation_prompt")
"""What vLLM's clients say of a trailing assistant message of their own; refused when it is no longer the last."""
_MARK_TOKENS = 16
"""Tokens of the mark, and for luck: two characters are taken for a token of the tail, and some scripts need more."""
_GRAMMARS = (
    "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",  # vLLM
    "grammar", "json_schema",  # llama.cpp
)  # fmt: skip

_PLAIN = Prefill()

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_decode_count = msgspec.json.Decoder(int).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class _Part(Struct):
    text: str | None = None


_decode_content = msgspec.json.Decoder(str | list[_Part] | None).decode


def continued(fields: Mapping[str, Raw], continuation: Continuation, prefill: Prefill | None) -> dict[str, Raw]:
    """The client's request with the continuation in it.

    `fields` is the request, top level decoded, its `messages` a list. `prefill` is for the mode of that name; None is
    the plain way. Where nothing was said yet, and in the mode `restart`, the request is the client's own.
    """
    request = dict(fields)
    if continuation.mode is ResumeMode.RESTART or not continuation.text:
        return request
    # Whoever repeats the last characters first needs room for that, too.
    repeat = len(continuation.tail) // 2 + _MARK_TOKENS if continuation.mode is ResumeMode.INSTRUCT else 0
    for name, least in _COUNTS.items():
        if name in request:
            request[name] = _reduced(request[name], continuation.tokens, least, repeat if least else 0)
    messages = _decode_items(fields["messages"])
    if continuation.mode is ResumeMode.INSTRUCT:
        for name in _PREFILL_FIELDS:
            request.pop(name, None)
        asked = continuation.instruction.replace("{tail}", continuation.tail)
        messages = [*_with_answer(messages, continuation.text), _raw({"role": "user", "content": asked})]
    else:
        prefill = prefill or _PLAIN
        for name in prefill.drop:
            request.pop(name, None)
        for name, value in prefill.fields.items():
            request[name] = _merged(request.get(name, NULL), value)
        messages = _with_answer(messages, continuation.text, prefill)
    request["messages"] = _raw(messages)
    return request


def own_beginning(fields: Mapping[str, Raw]) -> str:
    """The words that the client itself has put at the beginning of the answer; "" if it has not. Never raises.

    A model that gives the beginning back gives them back, too.
    """
    try:
        own = _begun_message(_decode_items(fields["messages"]))
        content = _decode_content(own["content"]) if own is not None else None
    except (KeyError, ValueError, RecursionError):
        return ""
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def _with_answer(messages: list[Raw], text: str, prefill: Prefill | None = None) -> list[Raw]:
    """The messages with the answer so far at their end. Without `prefill` it is an ordinary message of the assistant's.

    What the client itself has put into the assistant's mouth belongs to that answer: servers take no two messages of
    the assistant's in a row, or take the first for an answer that is complete.
    """
    members = prefill.message if prefill is not None else {}
    own = _begun_message(messages)
    if own is None:
        return [*messages, _raw({"role": "assistant", "content": text, **members})]
    if prefill is None:
        own.pop("prefix", None)  # refused by Mistral on a message that is not the last
    return [*messages[:-1], _raw({**own, "content": _joined(own.get("content", NULL), text), **members})]


def _begun_message(messages: list[Raw]) -> dict[str, Raw] | None:
    """The members of the client's last message, if it is one of the assistant's that text can be added to."""
    try:
        last = _decode_object(messages[-1])
        spoken = _decode_text(last["role"]) == "assistant"
    except (IndexError, KeyError, ValueError, RecursionError):
        return None
    content = last.get("content", NULL)
    return last if spoken and (content == NULL or bytes(content)[:1] in {b'"', b"["}) else None


def _joined(content: Raw, text: str) -> Raw:
    """A message's content with text after it: one string, or one more part."""
    said = bytes(content)
    if said.startswith(b'"'):
        return Raw(said[:-1] + _encode(text)[1:])
    return _raw([*_decode_items(content), {"type": "text", "text": text}] if said.startswith(b"[") else text)


def _merged(own: Raw, value: object) -> Raw:
    """The value of a request field that is set; an object keeps those members of the client's that it does not name."""
    if not isinstance(value, Mapping):
        return _raw(value)
    try:
        return _raw({**_decode_object(own), **value})
    except (ValueError, RecursionError):
        return _raw(value)  # the client sent none, or something that is no object


def _reduced(count: Raw, tokens: int, least: int, more: int) -> Raw:
    """A count without the tokens that were spent, but with `more`. What is no number or no limit (0, -1) stays."""
    try:
        given = _decode_count(count)
    except (ValueError, RecursionError):
        return count
    return _raw(max(least, given - tokens) + more) if given > 0 else count


def _raw(value: object) -> Raw:
    return Raw(_encode(value))


def wanted(fields: Mapping[str, Raw]) -> Wanted:
    """What the request asks for. Never raises, whatever the bytes: a value that cannot be read counts as absent."""
    choices = _read(fields, "n")
    modalities = _read(fields, "modalities")
    temperature = _read(fields, "temperature")
    return Wanted(
        choices=choices if isinstance(choices, int) and choices > 1 else 1,
        logprobs=_read(fields, "logprobs") is True,
        audio=(isinstance(modalities, list) and "audio" in modalities) or _read(fields, "audio") is not None,
        structured=_is_structured(fields),
        forced_tool=_is_forced(_read(fields, "tool_choice")) or isinstance(_read(fields, "function_call"), dict),
        fixed=_read(fields, "seed") is not None or (temperature is not False and temperature == 0),
    )


def _is_structured(fields: Mapping[str, Raw]) -> bool:
    form = _read(fields, "response_format")
    kind = form.get("type") if isinstance(form, dict) else None
    # Whatever is no plain text: JSON everywhere, grammars and structural tags on servers that know more.
    if isinstance(kind, str) and kind not in {"", "text"}:
        return True
    return any(_read(fields, name) not in (None, False, "") for name in _GRAMMARS)


def _is_forced(choice: object) -> bool:
    """Whether a `tool_choice` leaves the model no choice but to call: `required`, Mistral's `any`, or a named tool."""
    if isinstance(choice, dict):
        # A set of tools that are allowed says by its mode whether one of them must be called.
        allowed = choice.get("allowed_tools")
        choice = allowed.get("mode") if isinstance(allowed, dict) else choice.get("type", "function")
    return isinstance(choice, str) and choice not in {"", "auto", "none"}


def _read(fields: Mapping[str, Raw], name: str) -> object:
    """A field's value; None if it is absent, null or unreadable."""
    try:
        return _decode(fields.get(name, NULL))
    except (ValueError, RecursionError):
        return None
