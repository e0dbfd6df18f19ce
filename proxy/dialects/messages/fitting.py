"""What a Messages request says of thinking, as the model that is asked can take it.

A client writes for the model that it believes to ask. In a chain it may be another generation of Claude, which refuses
a request over the way in which it is told to think, or over thoughts that another maker's model had before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from proxy.dialects.anthropic.families import LEVELS, Family, Thinking, family_of, knows
from proxy.dialects.raw_json import NULL

_LEAST: Final = 1024
_BUDGETS: Final[Mapping[str, int]] = {"low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
_UNSIGNED: Final = re.compile(rb'"signature"\s*:\s*""')
_THINKING: Final = Raw(b'"thinking"')
_NOTHING: Final = (NULL, Raw(b'""'))
_BRACKET: Final = ord("[")
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})

_encode = msgspec.json.Encoder().encode
_decode_objects = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class _Type(Struct, gc=False):
    type: str = ""


class _Turn(Struct, gc=False):
    role: str = ""
    content: list[_Type] | str = ""


_decode_turns = msgspec.json.Decoder(list[_Turn]).decode


class Fitted(NamedTuple):
    """A request as a model takes it."""

    fields: Mapping[str, Raw]
    """The same object where nothing had to be changed."""
    dropped: tuple[str, ...] = ()
    """Fields that it goes without."""


def fitted(fields: Mapping[str, Raw], model: str) -> Fitted:
    """A request whose thinking is that of one of Anthropic's own models. What cannot be read stays as it is."""
    if not knows(model):
        return Fitted(fields)
    try:
        if _UNSIGNED.search(fields.get("messages", NULL)) is not None:
            fields = {**fields, "messages": _signed(fields["messages"])}
        if fields.keys().isdisjoint({"thinking", "output_config"}):
            return Fitted(fields)
        return _fitted(fields, family_of(model))
    except (ValueError, RecursionError):
        return Fitted(fields)


def _signed(messages: Raw) -> Raw:
    """The conversation without thoughts that nobody has signed: they are another model's, and refused."""
    kept = []
    for message in _decode_objects(messages):
        content = message.get("content", NULL)
        if _UNSIGNED.search(content) is not None and memoryview(content)[0] == _BRACKET:
            blocks = [block for block in _decode_objects(content) if not _is_unsigned(block)]
            if not blocks:
                continue
            message["content"] = Raw(_encode(blocks))
        kept.append(message)
    return Raw(_encode(kept))


def _is_unsigned(block: Mapping[str, Raw]) -> bool:
    return block.get("type") == _THINKING and block.get("signature", NULL) in _NOTHING


def _fitted(fields: Mapping[str, Raw], family: Family) -> Fitted:
    changed: dict[str, Any] = {}
    output = _object(fields, "output_config")
    effort = output.get("effort")
    if effort in LEVELS and effort not in family.efforts:
        level = _level(effort, family)
        rest = {name: value for name, value in output.items() if name != "effort"}
        changed["output_config"] = rest if level is None else {**rest, "effort": level}
    thinking = _object(fields, "thinking")
    if thinking:
        its = _thinking(thinking, fields, effort, family)
        if its != thinking:
            changed["thinking"] = its
    if not changed:
        return Fitted(fields)
    kept = {**fields, **{name: Raw(_encode(value)) for name, value in changed.items() if value}}
    dropped = tuple(name for name, value in changed.items() if not value)
    return Fitted({name: value for name, value in kept.items() if name not in dropped}, dropped)


def _thinking(thinking: dict[str, Any], fields: Mapping[str, Raw], effort: object, family: Family) -> dict[str, Any]:
    """What becomes of `thinking`; empty where the model is to be told nothing."""
    kind = thinking.get("type")
    if kind in {"disabled", "between_tools"}:
        if family.thinking is Thinking.ADAPTIVE:
            return {"type": family.off} if family.off else {}
        return thinking if kind == "disabled" else {}
    if kind == "enabled" and family.thinking is Thinking.ADAPTIVE and family.hides_thoughts:
        return {"type": "adaptive", "display": "summarized"}
    if kind == "adaptive" and family.thinking is not Thinking.ADAPTIVE:
        return _budget(fields, effort) if family.thinking is Thinking.BUDGET else {}
    return {} if family.thinking is Thinking.NEVER else thinking


def _budget(fields: Mapping[str, Raw], effort: object) -> dict[str, Any]:
    """A number of tokens, half of which at least are left for the answer; empty where it must not think now."""
    cap = msgspec.json.decode(fields.get("max_tokens", NULL), type=int)
    wanted = _BUDGETS.get(effort, _BUDGETS["medium"]) if isinstance(effort, str) else _BUDGETS["medium"]
    budget = min(wanted, cap // 2)
    if budget < _LEAST or not _may_think(_decode_turns(fields.get("messages", NULL))):
        return {}
    return {"type": "enabled", "budget_tokens": budget}


def _may_think(turns: Sequence[_Turn]) -> bool:
    """Whether the conversation is one that a model with a budget goes on with: it must have begun with thoughts what
    the results of tools now answer."""
    if len(turns) < 2 or turns[-1].role != "user" or all(each != "tool_result" for each in _types(turns[-1])):
        return turns[-1].role == "user" if turns else False
    called = _types(turns[-2])
    return bool(called) and called[0] in _THOUGHTS


def _types(turn: _Turn) -> list[str]:
    return [] if isinstance(turn.content, str) else [each.type for each in turn.content]


def _level(wanted: str, family: Family) -> str | None:
    """The next lower level that the family has."""
    below = LEVELS[: LEVELS.index(wanted)]
    return next((level for level in reversed(below) if level in family.efforts), None)


def _object(fields: Mapping[str, Raw], name: str) -> dict[str, Any]:
    raw = fields.get(name, NULL)
    return {} if raw == NULL else _decode_object(raw)
