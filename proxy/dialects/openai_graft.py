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

from proxy.core.failure import Failure
from proxy.dialects.openai_said import REASONING, text_of
from proxy.streams.resume import Continuation, ResumeMode, may_be_over, not_joined
from proxy.streams.seam import Echo, Join, Replay, Seam

_THOUGHTS: Final = (*REASONING, "reasoning_details", "thinking")
_MESSAGE_TOKENS: Final = 4
"""Tokens of the wrapping of one message; OpenAI's cookbook counts three to four."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """What an upstream is asked to go on with, and what of its answer is to be told."""

    continuation: Continuation
    said: str
    """The text that the client has seen, white space at its end included."""
    identity: Mapping[str, bytes]
    """What all events of the client's stream have in common, as raw JSON."""
    echo: Echo = Echo.UNKNOWN
    """Whether the model is known to say again what it is given."""
    reasoning_again: bool = False
    told: Sequence[Mapping[str, str]] = ()
    """All resumes of the answer so far, for the usage's extension."""


class ChatGraft:
    """One stream's events for the client; see `splice.py: Graft`."""

    def __init__(self, resumption: Resumption) -> None:
        self._resumption = resumption
        self._mode = resumption.continuation.mode
        self._seam = _seam(resumption)
        self._identity = {name: msgspec.json.decode(raw) for name, raw in resumption.identity.items()}
        self._said_something = False
        self.refusal: Failure | None = None

    def take(self, data: bytes) -> bytes | None:
        """As in `Graft`."""
        event = _read(data)
        choices = [choice for choice in event.get("choices") or () if not choice.get("index")]
        shown = [self._choice(choice) for choice in choices]
        if self._seam.refused is not None:
            self.refusal = not_joined(self._mode, self._seam.refused)
        if self.refusal is not None:
            return None
        told = self._usage(event)
        if not told and not any(choice is not None for choice in shown):
            return None
        event["choices"] = [choice for choice in shown if choice is not None]
        event.pop("system_fingerprint", None)
        return _written({**event, **self._identity})

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        """The choice with what is new in it; None when that is nothing."""
        delta = choice.get("delta") or {}
        finish = choice.get("finish_reason") or None
        text = self._seam.feed(text_of(delta.get("content") or ""))
        kept = {name: value for name, value in delta.items() if value and name not in {"role", "content"}}
        if not self._resumption.reasoning_again:
            kept = {name: value for name, value in kept.items() if name not in _THOUGHTS}
        if finish is not None or kept.keys() - set(_THOUGHTS):
            # Whatever it is that comes now, the text before it is over.
            text += self._seam.end()
        if text:
            kept["content"] = text
        self._said_something |= bool(kept.keys() - set(_THOUGHTS))
        if finish is not None and self._seam.refused is None:
            self._check_end(str(finish))
        if not kept and finish is None:
            return None
        return {**choice, "delta": kept, "finish_reason": finish}

    def _check_end(self, finish: str) -> None:
        """An end without a word more is taken for one only where the answer could be over."""
        cap = finish in {"length", "content_filter", "model_length"}
        repeated = self._seam.cut > 0 or self._mode is ResumeMode.RESTART
        if not (self._said_something or cap or repeated or may_be_over(self._resumption.said)):
            self.refusal = not_joined(self._mode, "it says that the answer is over in the middle of it", "empty_answer")

    def _usage(self, event: dict[str, Any]) -> bool:
        """Make the usage of an event that of the whole message; False if the event has none."""
        usage = event.get("usage")
        if not isinstance(usage, dict):
            return False
        exact = self._mode is ResumeMode.RESTART
        if not exact:
            event["usage"] = self._whole(usage)
        event["holdfast"] = {"resumes": [dict(each) for each in self._resumption.told], "usage_estimated": not exact}
        return True

    def _whole(self, usage: dict[str, Any]) -> dict[str, Any]:
        """What the message took as if one deployment had written all of it.

        That is the prompt without what was added to it, and both parts of the answer. What the first deployment counted
        broke off with it, so its part is an estimate.
        """
        asked = self._resumption.continuation
        prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        added = asked.tokens + _MESSAGE_TOKENS
        if asked.mode is ResumeMode.INSTRUCT:
            # The answer itself tells how this model's family counts.
            each = asked.tokens / len(asked.text.encode("utf-8", "replace"))
            added += round(each * len(asked.instruction + asked.tail)) + _MESSAGE_TOKENS
        again = 0
        if self._resumption.echo is not Echo.ALWAYS and self._resumption.said:
            again = round(asked.tokens * self._seam.cut / len(self._resumption.said))
        prompt = prompt - added if prompt > added else prompt
        completion = asked.tokens + max(0, completion - again)
        return {
            **usage,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }


def _seam(resumption: Resumption) -> Seam:
    asked = resumption.continuation
    if asked.mode is ResumeMode.RESTART and resumption.said.strip():
        return Replay(resumption.said)
    if asked.mode is ResumeMode.PREFILL:
        return Join(resumption.said, resumption.echo)
    return Join(resumption.said, asked=asked.tail)


def _count(usage: dict[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0


def _read(data: bytes) -> dict[str, Any]:
    """An event that has been checked already; Python's own decoder takes halves of surrogate pairs, too."""
    try:
        event = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        event = json.loads(data)
    return event if isinstance(event, dict) else {}


def _written(event: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError:
        return json.dumps(event).encode()
