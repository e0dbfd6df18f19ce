"""Events on OpenAI's chat wire, turned into ones that continue another deployment's answer.

The client sees one message: its id, creation time and model stay those of the first stream; the second role is left
out, and so is a second train of thought, unless it is wanted; the text goes through the seam; the usage is that of the
whole message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from proxy.core.failure import Failure
from proxy.core.plain import count
from proxy.dialects.chat_content import text_of
from proxy.dialects.lenient_json import read_json
from proxy.dialects.openai.said import IDENTITY, REASONING
from proxy.streams.resume import Continuation, ResumeMode, may_be_over, not_joined
from proxy.streams.seam import Echo, Join, Replay, Seam

_THOUGHTS: Final = (*REASONING, "reasoning_details", "thinking", "thinking_blocks")
_MESSAGE_TOKENS: Final = 4
"""Tokens of the wrapping of one message; OpenAI's cookbook counts three to four."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """What an upstream is asked to go on with, and what of its answer is to be told."""

    continuation: Continuation
    said: str
    """The text that the client has seen, white space at its end included."""
    before: str
    """What the client itself put before the answer, as its beginning."""
    identity: Mapping[str, bytes]
    """What all events of the client's stream have in common, as raw JSON."""
    echo: Echo = Echo.UNKNOWN
    """Whether the model is known to say again what it is given."""
    reasoning_again: bool = False
    told: Sequence[Mapping[str, str]] = ()
    """All resumes of the answer so far, for the usage's extension."""


class ChatGraft:
    """One stream's events for the client; see `splice.py: Graft`.

    It keeps no text: what was said may be long, and lasts as long as the seam looks at it.
    """

    def __init__(self, resumption: Resumption) -> None:
        self._mode = resumption.continuation.mode
        self._seam = _seam(resumption)
        self._bill = _Bill(resumption)
        self._identity = {name: Raw(raw) for name, raw in resumption.identity.items()}
        self._again = resumption.reasoning_again
        self._told = resumption.told
        self._could_be_over = may_be_over(resumption.said)
        self._said_something = False
        self._finished = False
        self.refusal: Failure | None = None

    def take(self, data: bytes) -> bytes | None:
        """As in `Graft`."""
        event = _read(data)
        choices = event.get("choices") or ()
        shown = [self._choice(choice) for choice in choices if not choice.get("index")]
        if self._seam.refused is not None:
            self.refusal = not_joined(self._mode, self._seam.refused)
        event["choices"] = [choice for choice in shown if choice is not None]
        # Before the end a usage by itself tells of what may never be shown.
        if self.refusal is not None or not (event["choices"] or (self._finished and not choices)):
            return None
        if isinstance(usage := event.get("usage"), dict):
            event["usage"] = self._bill.whole(usage, self._seam.cut)
            if self._finished:
                resumes = [dict(each) for each in self._told]
                event["holdfast"] = {"resumes": resumes, "usage_estimated": self._bill.estimated}
        return _written({name: value for name, value in event.items() if name not in IDENTITY}, self._identity)

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        """The choice with what is new in it; None when that is nothing."""
        delta = choice.get("delta") or {}
        finish = choice.get("finish_reason") or None
        text = self._seam.feed(text_of(delta.get("content")))
        kept = {name: value for name, value in delta.items() if value and name not in {"role", "content"}}
        if not self._again:
            kept = {name: value for name, value in kept.items() if name not in _THOUGHTS}
        if finish is not None or kept.keys() - set(_THOUGHTS):
            # Whatever it is that comes now, the text before it is over.
            text += self._seam.end()
        if text:
            kept["content"] = text
        self._said_something |= bool(kept.keys() - set(_THOUGHTS))
        if finish is not None:
            self._finished = True
            if self._seam.refused is None:
                self._check_end(str(finish))
        if not kept and finish is None:
            return None
        return {**choice, "delta": kept, "finish_reason": finish}

    def _check_end(self, finish: str) -> None:
        """An end without a word more is taken for one only where the answer could be over."""
        cap = finish in {"length", "content_filter", "model_length"}
        # Who has begun anew has said the whole answer.
        whole = self._mode is ResumeMode.RESTART or self._could_be_over
        if not (self._said_something or cap or whole):
            self.refusal = not_joined(self._mode, "it says that the answer is over in the middle of it", "empty_answer")


class _Bill:
    """The usage of a message that several deployments have written.

    It is what the message took as if one had written all of it: the prompt without what was added to it, and both parts
    of the answer. What the first deployment counted broke off with it, so its part is an estimate.
    """

    __slots__ = ("_added", "_each", "_tokens", "estimated")

    def __init__(self, resumption: Resumption) -> None:
        asked = resumption.continuation
        self.estimated = asked.mode is not ResumeMode.RESTART
        self._tokens = asked.tokens
        # The answer itself tells how this model's family counts.
        self._each = asked.text_tokens / max(1, len(asked.text))
        self._added = asked.text_tokens + _MESSAGE_TOKENS
        if asked.mode is ResumeMode.INSTRUCT:
            self._added += round(self._each * len(asked.instruction + asked.tail)) + _MESSAGE_TOKENS
        if resumption.echo is Echo.ALWAYS:
            self._each = 0.0  # what it gives back it did not write

    def whole(self, usage: dict[str, Any], cut: int) -> dict[str, Any]:
        """The usage of the whole, from that of the last part, of which `cut` characters were said before."""
        if not self.estimated:
            return usage
        prompt, completion = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
        prompt = max(min(prompt, 1), prompt - self._added)
        completion = self._tokens + max(0, completion - round(self._each * cut))
        return {
            **usage,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }


def _seam(resumption: Resumption) -> Seam:
    asked, said = resumption.continuation, resumption.said
    if asked.mode is ResumeMode.RESTART and said.strip():
        return Replay(said)
    if asked.mode is ResumeMode.PREFILL:
        return Join(said, resumption.echo, before=resumption.before)
    return Join(said, asked=asked.tail, before=resumption.before)


def _read(data: bytes) -> dict[str, Any]:
    """An event that has been checked already."""
    event = read_json(data)
    return event if isinstance(event, dict) else {}


def _written(event: dict[str, Any], identity: dict[str, Raw]) -> bytes:
    try:
        return msgspec.json.encode({**identity, **event})
    except UnicodeEncodeError:
        told = b"".join(b'"%s":%s,' % (name.encode(), bytes(raw)) for name, raw in identity.items())
        return b"{" + told + json.dumps(event).encode()[1:]
