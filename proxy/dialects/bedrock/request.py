"""A chat request in the language of Amazon Bedrock's Converse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec import Raw

from proxy.dialects.bedrock.content import Blocks
from proxy.dialects.bedrock.messages import LONGEST_NAME, Turns, has_signed_thoughts
from proxy.dialects.bedrock.models import (
    Thinking,
    can_be_forced,
    takes_blank_stops,
    takes_sampling,
    takes_thoughts,
    takes_top_k,
    thinking,
)
from proxy.dialects.bedrock.tools import tool_config
from proxy.dialects.chat_events import to_json
from proxy.dialects.conversation import (
    Message,
    OutputFormat,
    Toolbox,
    check_carried,
    given,
    lacking,
    read_cap,
    read_format,
    read_messages,
    read_stops,
    read_toolbox,
    read_value,
)
from proxy.dialects.dialect import ChatAsked, NotCarriedError, Outgoing
from proxy.dialects.spelling import Spelling

_SAMPLING: Final = {"temperature": "temperature", "top_p": "topP"}
_CARRIED: Final = frozenset(
    {
        *_SAMPLING, "top_k", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "reasoning_effort",
        "service_tier",
    }
)  # fmt: skip
_TIERS: Final = frozenset({"priority", "default", "flex", "reserved"})
_JSON_ONLY: Final = {"text": "Answer with one JSON object and nothing else."}


def write_request(asked: ChatAsked) -> Outgoing:
    """The request to `converse` or `converse-stream`. Raises NotCarriedError."""
    fields = given(asked)
    check_carried(fields)
    conversation = read_messages(fields)
    toolbox = read_toolbox(fields)
    # The tools come first, so that a history does not change how they are spelled.
    names, blocks = Spelling(LONGEST_NAME, toolbox.names), Blocks()
    turns = Turns(blocks, names, thoughts=takes_thoughts(asked.model))
    turns.write(conversation)
    body: dict[str, Any] = {"messages": turns.messages}
    config = tool_config(toolbox, turns.called, names, blocks)
    if config is not None:
        body["toolConfig"] = config
    if "toolChoice" in (config or {}) and not can_be_forced(asked.model):
        raise NotCarriedError("This model cannot be forced to call a tool.", "tool_choice")
    # There is no word for it, and the tools could not be left out.
    lost = ["tool_choice"] if toolbox.choice.mode == "none" and config is not None else []
    wanted = read_format(fields)
    if wanted.type == "json_object":
        turns.system.append(_JSON_ONLY)
    if turns.system:
        body["system"] = turns.system
    thought = _thinking(asked, fields, toolbox, conversation)
    lost += [] if thought.known else ["reasoning_effort"]
    thinks = "budget_tokens" in thought.fields.get("thinking", {})
    body |= _inference(asked, fields, lost, thinks=thinks)
    body |= _additional(asked.model, fields, thought, lost, thinks=thinks)
    body |= _output(wanted, thought)
    if (tier := read_value(fields, "service_tier", str)) in _TIERS:
        body["serviceTier"] = {"type": tier}
    elif tier not in {None, "auto"}:
        lost.append("service_tier")
    return Outgoing(_path(asked), (_encoded(body),), lacking(asked, _CARRIED, lost), names=names.renamed)


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return to_json(body)
    except (ValueError, RecursionError) as error:
        raise NotCarriedError(f"The request cannot be written as JSON: {error}.", "messages") from None


def _path(asked: ChatAsked) -> str:
    if not asked.model.strip("."):
        raise NotCarriedError("This is no name of a model.", "model")
    return f"/model/{quote(asked.model, safe='')}/converse{'-stream' if asked.stream else ''}"


def _thinking(
    asked: ChatAsked, fields: Mapping[str, Raw], toolbox: Toolbox, conversation: Sequence[Message]
) -> Thinking:
    effort = read_value(fields, "reasoning_effort", str)
    if effort is None:
        return Thinking()
    if asked.facts.reasoning is False:
        return Thinking(known=effort == "none")
    may_begin = not toolbox.forced and has_signed_thoughts(conversation)
    return thinking(asked.model, effort, _cap(asked, fields), may_begin=may_begin)


def _cap(asked: ChatAsked, fields: Mapping[str, Raw]) -> int | None:
    """The most tokens of the answer; one above the model's own is refused."""
    cap, most = read_cap(fields), asked.facts.max_output
    return cap if cap is None or most is None else min(cap, most)


def _inference(asked: ChatAsked, fields: Mapping[str, Raw], lost: list[str], *, thinks: bool) -> dict[str, Any]:
    """`inferenceConfig`. Names what the model does not take in `lost`."""
    model = asked.model
    config: dict[str, Any] = {}
    if (cap := _cap(asked, fields)) is not None:
        config["maxTokens"] = cap
    for name, sent in _SAMPLING.items():
        value = read_value(fields, name, float)
        if value is None:
            continue
        if thinks or not takes_sampling(model):
            lost.append(name)
        else:
            # OpenAI's temperatures go up to 2; everything above 1 is refused here.
            config[sent] = min(max(value, 0.0), 1.0)
    stops = read_stops(fields)
    taken = stops if takes_blank_stops(model) else [stop for stop in stops if not stop.isspace()]
    lost += ["stop"] if len(taken) < len(stops) else []
    if taken:
        config["stopSequences"] = taken
    return {"inferenceConfig": config} if config else {}


def _additional(
    model: str, fields: Mapping[str, Raw], thought: Thinking, lost: list[str], *, thinks: bool
) -> dict[str, Any]:
    additional = dict(thought.fields)
    if (top_k := read_value(fields, "top_k", int)) is not None:
        if takes_top_k(model) and not thinks:
            additional["top_k"] = top_k
        else:
            lost.append("top_k")
    return {"additionalModelRequestFields": additional} if additional else {}


def _output(wanted: OutputFormat, thought: Thinking) -> dict[str, Any]:
    config: dict[str, Any] = {} if thought.effort is None else {"effort": thought.effort}
    if wanted.type == "json_schema":
        schema = {"schema": bytes(wanted.schema).decode(), "name": wanted.name, "description": wanted.description}
        told = {name: value for name, value in schema.items() if value}
        config["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": told}}
    return {"outputConfig": config} if config else {}
