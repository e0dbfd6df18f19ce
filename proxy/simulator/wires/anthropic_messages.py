"""What Anthropic refuses in the messages of a request: roles, blocks, and calls without results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from proxy.simulator.question import BadRequestError, member, objects
from proxy.simulator.wires.claude import takes_system_turns

_ID = re.compile(r"[a-zA-Z0-9_-]+")

# The members that each kind of block may have, and who may say it; those that are not listed are taken as they are.
_BLOCKS: Mapping[str, tuple[str, frozenset[str]]] = {
    "text": ("user assistant system", frozenset({"type", "text", "cache_control", "citations"})),
    "image": ("user", frozenset({"type", "source", "cache_control"})),
    "document": ("user", frozenset({"type", "source", "cache_control", "citations", "context", "title"})),
    "search_result": ("user", frozenset({"type", "source", "title", "content", "citations", "cache_control"})),
    "tool_use": ("assistant", frozenset({"type", "id", "name", "input", "cache_control", "caller"})),
    "tool_result": ("user", frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})),
    "thinking": ("assistant", frozenset({"type", "thinking", "signature"})),
    "redacted_thinking": ("assistant", frozenset({"type", "data"})),
}
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "thinking": ("thinking", "signature"),
    "image": ("source",),
}
_IMAGES = {"image/jpeg", "image/png", "image/gif", "image/webp"}


def refuse(message: str, param: str | None = None) -> NoReturn:
    """Raise the error of a request that is refused."""
    raise BadRequestError(message, param)


def blocks_of(content: object) -> list[Mapping[str, Any]]:
    """The blocks of a content, a text being one block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else objects(content)


def check_system(system: object) -> None:
    """The system prompt is a text or blocks of text."""
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        refuse("system: Input should be a valid list", "system")
    for place, block in enumerate(system):
        if not isinstance(block, dict) or block.get("type") != "text":
            refuse(f"system.{place}.type: Input should be 'text'", "system")
        _check_block(block, f"system.{place}", "system")


def check_messages(messages: object, model: str) -> None:
    """Every message has a role and blocks that may stand in it, and the first is the user's."""
    if not isinstance(messages, list):
        refuse("messages: Input should be a valid list", "messages")
    if not messages:
        refuse("messages: at least one message is required", "messages")
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            refuse(f"messages.{place}: Input should be a valid dictionary", "messages")
        _check_role(message.get("role"), place, model)
        for name in message:
            if name not in {"role", "content"}:
                refuse(f"messages.{place}.{name}: Extra inputs are not permitted", "messages")
        _check_content(message, place, last=place == len(messages) - 1)
    if messages[0]["role"] != "user":
        refuse('messages: first message must use the "user" role', "messages")


def _check_role(role: object, place: int, model: str) -> None:
    if role == "system" and not takes_system_turns(model):
        refuse(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" '
            "as an input message role.",
            "messages",
        )
    if role not in {"user", "assistant", "system"}:
        refuse(f"messages.{place}.role: Input should be 'user' or 'assistant'", "messages")


def _check_content(message: Mapping[str, Any], place: int, *, last: bool) -> None:
    content = message.get("content")
    if content is None:
        refuse(f"messages.{place}.content: Field required", "messages")
    if not isinstance(content, (str, list)):
        refuse(f"messages.{place}.content: Input should be a valid list", "messages")
    if not content and not (last and message["role"] == "assistant"):
        refuse(
            f"messages.{place}: all messages must have non-empty content except for the optional final assistant "
            "message",
            "messages",
        )
    if isinstance(content, str):
        return
    for number, block in enumerate(content):
        where = f"messages.{place}.content.{number}"
        if not isinstance(block, dict):
            refuse(f"{where}: Input should be a valid dictionary", "messages")
        _check_block(block, where, message["role"])


def _check_block(block: Mapping[str, Any], where: str, role: str) -> None:
    kind = block.get("type")
    if not isinstance(kind, str):
        refuse(f"{where}.type: Field required", "messages")
    if kind not in _BLOCKS:
        if kind.endswith(("_tool_use", "_tool_result")) or kind in {"container_upload", "fallback", "compaction"}:
            return
        tags = ", ".join(f"'{name}'" for name in _BLOCKS)
        refuse(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}")
    roles, members = _BLOCKS[kind]
    for name in block:
        if name not in members:
            refuse(f"{where}.{kind}.{name}: Extra inputs are not permitted", "messages")
    if role not in roles.split():
        refuse(f"{where}: `{kind}` blocks can only be in `{roles.split()[0]}` messages", "messages")
    _check_members(block, kind, f"{where}.{kind}")


def _check_members(block: Mapping[str, Any], kind: str, where: str) -> None:
    for name in _MEMBERS.get(kind, ()):
        if name not in block:
            refuse(f"{where}.{name}: Field required", "messages")
        if name not in {"input", "source"} and not isinstance(block[name], str):
            refuse(f"{where}.{name}: Input should be a valid string", "messages")
    for name in ("id", "tool_use_id"):
        if name in block and not _ID.fullmatch(block[name]):
            refuse(f"{where}.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'", "messages")
    if kind in _CHECKS:
        _CHECKS[kind](block, where)


def _check_text(block: Mapping[str, Any], _: str) -> None:
    if not block["text"]:
        refuse("messages: text content blocks must be non-empty", "messages")
    if not block["text"].strip():
        refuse("messages: text content blocks must contain non-whitespace text", "messages")


def _check_call(block: Mapping[str, Any], where: str) -> None:
    if not isinstance(block["input"], dict):
        refuse(f"{where}.input: Input should be a valid dictionary", "messages")


def _check_result(block: Mapping[str, Any], where: str) -> None:
    for number, inner in enumerate(objects(block.get("content"))):
        _check_block(inner, f"{where}.content.{number}", "user")


def _check_image(block: Mapping[str, Any], where: str) -> None:
    source = block["source"]
    kind = member(source, "type")
    if kind == "base64":
        if member(source, "media_type") not in _IMAGES:
            refuse(f"{where}.source.base64.media_type: Input should be {_or(sorted(_IMAGES))}", "messages")
        if not isinstance(member(source, "data"), str):
            refuse(f"{where}.source.base64.data: Field required", "messages")
    elif kind == "url":
        if not str(member(source, "url")).startswith("https://"):
            refuse(f"{where}.source.url.url: Only HTTPS URLs are supported.", "messages")
    elif kind != "file":
        refuse(f"{where}.source: Input tag '{kind}' found using 'type' does not match any of the expected tags")


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], str], None]] = {
    "text": _check_text,
    "tool_use": _check_call,
    "tool_result": _check_result,
    "image": _check_image,
}


def _or(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:-1]) + f" or '{names[-1]}'"


# Calls and their results.


def check_pairs(messages: Sequence[Mapping[str, Any]]) -> None:
    """Each call is answered at the beginning of the very next message, once, and nothing else is."""
    seen: set[str] = set()
    for place, message in enumerate(messages):
        called = _ids(message, "tool_use", "id")
        if any(one in seen or called.count(one) > 1 for one in called):
            refuse("messages: `tool_use` ids must be unique", "messages")
        seen.update(called)
        _check_results(messages, place)
        following = messages[place + 1] if place + 1 < len(messages) else {}
        answered = list(_leading_results(following))
        open_calls = [one for one in called if one not in answered]
        if open_calls:
            refuse(
                f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(open_calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message.",
                "messages",
            )


def _check_results(messages: Sequence[Mapping[str, Any]], place: int) -> None:
    called = _ids(messages[place - 1], "tool_use", "id") if place else []
    answered = _ids(messages[place], "tool_result", "tool_use_id")
    for number, block in enumerate(blocks_of(messages[place].get("content"))):
        mark = block.get("tool_use_id")
        if block.get("type") != "tool_result":
            continue
        if mark not in called:
            refuse(
                f"messages.{place}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {mark}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
                "messages",
            )
        if answered.count(str(mark)) > 1:
            refuse(
                f"messages.{place}.content.{number}: each tool_use must have a single result. Found multiple "
                f"`tool_result` blocks with id: {mark}",
                "messages",
            )


def _ids(message: Mapping[str, Any], kind: str, name: str) -> list[str]:
    return [str(block.get(name)) for block in blocks_of(message.get("content")) if block.get("type") == kind]


def _leading_results(message: Mapping[str, Any]) -> Iterator[str]:
    for block in blocks_of(message.get("content")):
        if block.get("type") != "tool_result":
            return
        yield str(block.get("tool_use_id"))
