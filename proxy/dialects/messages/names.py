"""Names, ids and the like that OpenAI's wire wants shorter than Anthropic's.

What is too long is cut, and a digest of the whole put behind it: the same each time, so that the way back is found by
looking at the request again, and what a client sends back in its next request is cut to the same again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2s
from typing import Final

from msgspec import Raw

from proxy.core.errors import ClientError
from proxy.dialects.messages.shapes import Tool, decoded, given

_LONGEST_NAME: Final = 64
"""Characters of a function's name; Anthropic takes 128."""
_LONGEST_ID: Final = 40
"""Characters of a call's id."""
_USER = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What every provider takes for a user. Agents send structured ids of some 150 characters."""
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def function_name(name: str) -> str:
    """The name of a tool on the chat wire."""
    return _cut(name, _LONGEST_NAME)


def call_id(id_: str) -> str:
    """The id of a call on the chat wire."""
    return _cut(id_, _LONGEST_ID)


def tool_use_id(id_: str) -> str:
    """The id of a call as Anthropic would take it back: without the dots and colons that some providers have there."""
    return _NOT_IN_ID.sub("_", id_)


def user(id_: str) -> str:
    """The end user on the chat wire: as told if that is short and plain, else a digest of it, always the same."""
    return id_ if _USER.fullmatch(id_) else blake2s(id_.encode("utf-8", "replace")).hexdigest()


def client_names(fields: Mapping[str, Raw]) -> dict[str, str]:
    """Names of tools that had to be cut: as sent -> as the client knows them. `fields` is the client's request."""
    tools = given(fields, "tools")
    try:
        its = [] if tools is None else decoded(tools, list[Tool], "tools")
    except ClientError:
        return {}
    names = (tool.name for tool in its if tool.name is not None)
    return {function_name(name): name for name in names if len(name) > _LONGEST_NAME}


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    digest = blake2s(text.encode("utf-8", "replace"), digest_size=5).hexdigest()
    return f"{text[: longest - len(digest) - 1]}_{digest}"
