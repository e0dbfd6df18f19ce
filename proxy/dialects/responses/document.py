"""The response itself: the object that an answer is, and that the first and last events of a stream carry.

What it repeats of the request stays the bytes that the client sent, and is written once for all events of a stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from proxy.dialects.chat_events import to_json
from proxy.dialects.client_wire import Speaking
from proxy.dialects.raw_json import NULL

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {"length": "max_output_tokens", "model_length": "max_output_tokens", "content_filter": "content_filter"}
)
"""Why a response is incomplete, by the finish reasons of chat completions that mean so; the second is Mistral's."""

OWN: Final = "_hf"
"""What stands in the ids of items behind their kind, where the items are our own: no account knows of them."""
OWN_RESPONSE: Final = f"resp{OWN}"
"""What the id of a response begins with that nobody keeps: it was translated."""
_ECHOED: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        "instructions": b"null",
        "max_output_tokens": b"null",
        "max_tool_calls": b"null",
        "metadata": b"{}",
        "parallel_tool_calls": b"true",
        "prompt_cache_key": b"null",
        "reasoning": b'{"effort":null,"summary":null}',
        "safety_identifier": b"null",
        "service_tier": b"null",
        "temperature": b"null",
        "text": b'{"format":{"type":"text"}}',
        "tool_choice": b'"auto"',
        "tools": b"[]",
        "top_p": b"null",
        "truncation": b'"disabled"',
        "user": b"null",
    }
)
"""What a response repeats of its request, and what it says where the request is silent."""

# Nothing was kept, so that nothing can be referred to later.
_FIXED: Final = b',"background":false,"previous_response_id":null,"store":false'


class ResponseDocument:
    """Writes one response, as often as it is told."""

    __slots__ = ("_echo", "_head", "id", "model")

    def __init__(self, speaking: Speaking, model: str | None = None) -> None:
        self.id = speaking.id
        """What the ids of its items are made of."""
        self._head = _head(f"{OWN_RESPONSE}{self.id}", speaking.created)
        self._echo = _FIXED + _echo(speaking)
        self.model = model or speaking.request.model
        """The model that answers, as the client is told."""

    def adopt(self, told: Mapping[str, Any]) -> None:
        """It is the response that somebody else has begun."""
        known = {name: told[name] for name in ("id", "object", "created_at") if name in told}
        if isinstance(known.get("id"), str):
            self._head = to_json(known)[:-1]
        if isinstance(told.get("model"), str):
            self.model = told["model"]

    def write(
        self,
        status: str,
        output: Sequence[bytes] = (),
        *,
        incomplete: str | None = None,
        error: Mapping[str, Any] | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Its JSON. `output` are the items, as JSON; `incomplete` is the reason why it is."""
        return b'%b,"status":"%b","error":%b,"incomplete_details":%b,"model":%b,"output":[%b],"usage":%b%b}' % (
            self._head,
            status.encode(),
            to_json(error),
            to_json(None if incomplete is None else {"reason": incomplete}),
            to_json(self.model),
            b",".join(output),
            to_json(usage),
            self._echo,
        )


def _head(id_: str, created: float) -> bytes:
    return b'{"id":%b,"object":"response","created_at":%b' % (to_json(id_), to_json(created))


def _echo(speaking: Speaking) -> bytes:
    fields = speaking.request.fields
    told = []
    for name, silent in _ECHOED.items():
        value = fields.get(name, NULL)
        # A line break between two tokens of JSON is nothing but space, and would end the line of an event.
        raw = silent if value == NULL else bytes(value).replace(b"\n", b" ").replace(b"\r", b" ")
        told.append(b',"%b":%b' % (name.encode(), raw))
    return b"".join(told)


def item_id(kind: str, id_: str, place: int | str) -> str:
    """The id of an item that we make: `kind` is `msg`, `rs` or `fc`."""
    return f"{kind}{OWN}{id_}{place}"


def message_item(id_: str, content: Sequence[Mapping[str, Any]], status: str) -> dict[str, Any]:
    """A message of the assistant."""
    return {"id": id_, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str) -> dict[str, Any]:
    """A text in it."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(refusal: str) -> dict[str, Any]:
    """A refusal in it."""
    return {"type": "refusal", "refusal": refusal}


def reasoning_item(id_: str, texts: Sequence[str], status: str) -> dict[str, Any]:
    """Thoughts, as a summary: the form in which clients show them, and send them back."""
    summary = [{"type": "summary_text", "text": text} for text in texts]
    return {"id": id_, "type": "reasoning", "status": status, "summary": summary}


def call_item(id_: str, call_id: str, name: str, arguments: str, status: str) -> dict[str, Any]:
    """A call of a function."""
    return {
        "id": id_,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }
