"""Every language by name: those that upstreams speak, and those in which clients ask."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Raw

from proxy.core.errors import ClientError
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.dialects.anthropic.dialect import ANTHROPIC
from proxy.dialects.bedrock.dialect import BEDROCK
from proxy.dialects.client_wire import ClientWire
from proxy.dialects.completions.wire import COMPLETIONS
from proxy.dialects.dialect import Dialect, NotCarriedError
from proxy.dialects.embeddings import EMBEDDINGS
from proxy.dialects.gemini.dialect import GEMINI
from proxy.dialects.messages.wire import COUNTING, MESSAGES
from proxy.dialects.ollama.dialect import OLLAMA
from proxy.dialects.responses.wire import RESPONSES

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {each.name: each for each in (ANTHROPIC, GEMINI, BEDROCK, OLLAMA)}
)
"""The languages of upstreams beside OpenAI's, as `Kind.dialect` names them."""

CLIENT_WIRES: Final[Mapping[Wire, ClientWire]] = MappingProxyType(
    {each.wire: each for each in (COMPLETIONS, RESPONSES, MESSAGES, COUNTING, EMBEDDINGS)}
)
"""The languages of clients beside chat completions."""


def chat_fields(request: ModelRequest) -> Mapping[str, Raw]:
    """A request as the top level of a chat completion, worked out once. Raises NotCarriedError."""
    if request.wire is Wire.CHAT:
        return request.fields
    if request.as_chat is None:
        try:
            request.as_chat = CLIENT_WIRES[request.wire].to_chat(request)
        except ClientError as error:
            # Whoever speaks the client's language may see nothing wrong in it.
            raise NotCarriedError(error.message, error.param or "messages") from None
    return request.as_chat
