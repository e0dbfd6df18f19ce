"""A client's request on OpenAI's completions wire, and the same as a chat completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from proxy.core.chat import wants_usage
from proxy.core.errors import bad_request
from proxy.core.request import Body, ModelRequest, is_streamed, model_of, top_level
from proxy.core.wire import Wire
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.raw_json import NULL

_FALSE = Raw(b"false")
_ONE = Raw(b"1")
_EMPTY = Raw(b'""')
_QUOTE, _BRACKET = ord('"'), ord("[")

_WITHOUT_COUNTERPART: Mapping[str, tuple[Raw, ...]] = {
    "suffix": (NULL, _EMPTY),
    "echo": (NULL, _FALSE),
    "logprobs": (NULL,),
}
"""Fields that ask for what a chat completion cannot give, and the values that ask for nothing."""

_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


def parse_completions(body: Body) -> ModelRequest:
    """Understand a request body. Raises ClientError (400) that names the field and the cure."""
    fields = top_level(body)
    model = model_of(fields)
    prompt = fields.get("prompt")
    if prompt is None:
        raise bad_request("Missing required field: 'prompt'.", param="prompt")
    if memoryview(prompt)[0] not in {_QUOTE, _BRACKET} and prompt != NULL:
        raise bad_request("'prompt' must be a string or an array.", param="prompt")
    # Each prompt gets its answers: the first `n` choices are those of the first one.
    choices = max(1, len(_texts(prompt))) * _count(fields.get("n", NULL))
    return ModelRequest(fields, model, is_streamed(fields), wants_usage(fields), choices, Wire.COMPLETIONS)


def to_chat(request: ModelRequest) -> dict[str, Raw]:
    """The top level of the chat completion: the prompt is what the user says. Raises NotCarriedError."""
    fields = request.fields
    for name, harmless in _WITHOUT_COUNTERPART.items():
        if fields.get(name, NULL) not in harmless:
            raise NotCarriedError(f"'{name}' has no counterpart in a chat completion.", name)
    best_of = fields.get("best_of", NULL)
    if best_of not in (NULL, fields.get("n", _ONE), _ONE):
        raise NotCarriedError("'best_of' has no counterpart in a chat completion.", "best_of")
    message = {"role": "user", "content": _prompt(fields["prompt"])}
    chat = {}
    for name, value in fields.items():
        if name == "prompt":
            chat["messages"] = Raw(_encode([message]))
        elif name not in _WITHOUT_COUNTERPART and name not in {"best_of", "messages"} and value != NULL:
            chat[name] = value
    return chat


def _prompt(prompt: Raw) -> Raw:
    """The one prompt, as text."""
    texts = [prompt] if memoryview(prompt)[0] == _QUOTE else _texts(prompt)
    if len(texts) > 1:
        raise NotCarriedError("Several prompts at once have no counterpart in a chat completion.", "prompt")
    if not texts or memoryview(texts[0])[0] != _QUOTE:
        # Numbers mean something to one model only.
        raise NotCarriedError("A prompt of tokens has no counterpart in a chat completion; send text.", "prompt")
    return texts[0]


def _texts(prompt: Raw) -> Sequence[Raw]:
    """The prompts of a list of them: texts, or lists of tokens. A list of tokens is but one prompt."""
    if memoryview(prompt)[0] != _BRACKET:
        return ()
    try:
        items = _decode_items(prompt)
    except (ValueError, RecursionError):
        return ()
    return items if items and memoryview(items[0])[0] in {_QUOTE, _BRACKET} else ()


def _count(value: Raw) -> int:
    """`n`, or 1 where it is absent or makes no sense: whether it does is the upstream's to say."""
    raw = bytes(value)
    return max(1, int(raw)) if raw.isdigit() and len(raw) < 4 else 1
