"""The messages of a chat request as Gemini's system instruction and contents.

Gemini knows two roles that take turns, `user` and `model`; results of tools are the user's. Calls of tools in the
history carry the thought signatures that came with them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Raw, Struct

from proxy.dialects.conversation import Called, Message, Part, read_arguments, read_messages
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.gemini.families import Family
from proxy.dialects.gemini.media import at_address, file, sound
from proxy.dialects.gemini.tools import Names
from proxy.dialects.lenient_json import object_in

NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""What Google documents for calls that another model has made."""
_NOTHING: Final = {"text": " "}
"""A part that says nothing, where there must be one."""
_SIGNATURE: Final = re.compile(r"(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}==|[A-Za-z0-9+/_-]{3}=)?")
"""Base64. A signature that was cut on its way is refused, so that it is as good as none."""
_SYSTEM: Final = frozenset({"system", "developer"})


class Conversation(Struct):
    """A conversation, as Gemini wants it."""

    contents: list[dict[str, Any]]
    system: list[dict[str, Any]]
    """The parts of the system instruction; may be empty."""


def conversation(messages: Raw, family: Family, names: Names) -> Conversation:
    """The conversation that the raw `messages` are. Raises NotCarriedError."""
    writer = _Writer(family, names)
    for message in read_messages({"messages": messages}):
        writer.take(message)
    return writer.done()


class _Writer:
    """Makes contents of messages, one after the other."""

    __slots__ = ("_answered", "_contents", "_family", "_names", "_open", "_system", "_tools")

    def __init__(self, family: Family, names: Names) -> None:
        self._family = family
        self._names = names
        self._contents: list[dict[str, Any]] = []
        self._system: list[dict[str, Any]] = []
        self._tools: dict[str, str] = {}
        """The names of the tools that were called, by the ids of the calls."""
        self._open: set[str] = set()
        """Ids of the calls of the newest turn."""
        self._answered: set[str] = set()
        """Ids of calls of the newest turn whose results are there: a second result for one is refused."""

    def take(self, message: Message) -> None:
        role = message.role
        if role in _SYSTEM:
            self._take_system(message)
        elif role == "user":
            self._add("user", self._parts(message.content))
        elif role == "assistant":
            self._take_assistant(message)
        elif role == "tool":
            self._take_result(message)
        else:
            raise NotCarriedError(f"Messages of the role '{role[:40]}' cannot be carried over to Gemini.", "messages")

    def done(self) -> Conversation:
        contents = self._contents
        if not contents and self._system:
            # There must be something to answer.
            contents, self._system = [{"role": "user", "parts": self._system}], []
        elif not contents or contents[0]["role"] == "model":
            contents = [{"role": "user", "parts": [_NOTHING]}, *contents]
        return Conversation(contents, self._system)

    def _add(self, role: str, parts: list[dict[str, Any]]) -> None:
        """Add parts to the conversation; one who goes on speaking has one turn."""
        if not parts:
            return
        if self._contents and self._contents[-1]["role"] == role:
            self._contents[-1]["parts"] += parts
        else:
            self._contents.append({"role": role, "parts": parts})

    def _take_system(self, message: Message) -> None:
        parts = self._parts(message.content)
        if not self._contents:
            self._system += parts
            return
        # Moved to the top it would change what comes before, which may be cached, and when it was said.
        for part in parts:
            if "text" in part:
                part["text"] = f"<system>\n{part['text']}\n</system>"
        self._add("user", parts)

    def _take_assistant(self, message: Message) -> None:
        if message.audio is not None:
            raise NotCarriedError("Spoken answers of another provider cannot be carried over.", "messages")
        parts = self._parts(message.content)
        if message.refusal:
            parts.append({"text": message.refusal})
        for place, call in enumerate(message.tool_calls or ()):
            part = self._call(call)
            if place == 0 and self._family.signs and "thoughtSignature" not in part:
                part["thoughtSignature"] = NO_SIGNATURE
            parts.append(part)
        if message.tool_calls:
            self._answered.clear()
            if not self._contents or self._contents[-1]["role"] != "model":
                self._open.clear()
            self._open.update(call.id for call in message.tool_calls if call.id)
        self._add("model", parts)

    def _call(self, call: Called) -> dict[str, Any]:
        function = call.function
        if function is None or not function.name:
            raise NotCarriedError("A call must have the name of its function.", "messages")
        name = function.name
        sent: dict[str, Any] = {"name": self._names.sent(name), "args": read_arguments(function.arguments)}
        if call.id:
            sent["id"] = call.id
            self._tools[call.id] = name
        part: dict[str, Any] = {"functionCall": sent}
        signature = signature_of(call.extra_content)
        if signature is not None:
            part["thoughtSignature"] = signature
        return part

    def _take_result(self, message: Message) -> None:
        id_ = message.tool_call_id or ""
        if id_ and id_ in self._answered:
            return
        if id_ and id_ not in self._open:
            # Nobody asked for it, be it that the history was cut: it is refused as a result, but may matter.
            parts = self._parts(message.content)
            self._add("user", [{"text": "<tool_result>"}, *parts, {"text": "</tool_result>"}] if parts else [])
            return
        self._answered.add(id_)
        said = [message.content] if isinstance(message.content, str) else []
        shown = []
        for part in self._parts(message.content) if isinstance(message.content, list) else ():
            if "text" in part:
                said.append(part["text"])
            else:
                shown.append(part)
        name = self._tools.get(id_) or message.name or "tool"
        result: dict[str, Any] = {"name": self._names.sent(name), "response": _response("".join(said))}
        if id_:
            result["id"] = id_
        if shown and self._family.media_in_results:
            result["parts"], shown = shown, []
        self._add("user", [{"functionResponse": result}, *shown])

    def _parts(self, content: str | list[Part | str] | None) -> list[dict[str, Any]]:
        """The parts of a message's content. Empty texts are left out: Gemini refuses them."""
        if isinstance(content, str):
            return [{"text": content}] if content else []
        return [part for item in content or () if (part := self._part(item)) is not None]

    def _part(self, item: Part | str) -> dict[str, Any] | None:
        if isinstance(item, str):
            return {"text": item} if item else None
        kind = item.type
        if kind in {"text", "refusal"}:
            text = item.text or item.refusal
            return {"text": text} if text else None
        if kind in {"image_url", "video_url"}:
            return at_address(item.url, self._family)
        if kind == "input_audio":
            return sound(item.input_audio)
        if kind == "file":
            return file(item.file, self._family)
        raise NotCarriedError(f"Parts of the type '{kind[:40]}' cannot be carried over to Gemini.", "messages")


def signature_of(extra: Any) -> str | None:
    """The thought signature in an `extra_content`."""
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature and _SIGNATURE.fullmatch(signature) else None


def _response(text: str) -> Any:
    """A tool's result as an object. What is no object goes into one, and so does one with references in it.

    Gemini takes `$ref` anywhere in a result for a pointer to a file beside it, and refuses one that it cannot find.
    """
    found = object_in(text) if "$ref" not in text and "\\u0024" not in text else None
    return {"result": text} if found is None else found
