"""What Bedrock's Converse refuses in a request, in its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from proxy.simulator.question import BadRequestError, member, objects
from proxy.simulator.wires.claude import claude, takes_prefill, takes_sampling

_FIELDS = frozenset(
    [
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "messages",
        "modelId",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "system",
        "toolConfig",
    ]
)
_INFERENCE = frozenset({"maxTokens", "temperature", "topP", "stopSequences"})
_BLOCKS = frozenset(
    [
        "audio",
        "cachePoint",
        "citationsContent",
        "document",
        "guardContent",
        "image",
        "reasoningContent",
        "searchResult",
        "text",
        "toolResult",
        "toolUse",
        "video",
    ]
)
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."


def check(asked: Mapping[str, Any], model: str) -> None:
    """Raise BadRequestError for a request that Converse refuses."""
    _known(asked, _FIELDS, "#")
    _known(asked.get("inferenceConfig"), _INFERENCE, "#/inferenceConfig")
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        _refuse("The messages field is required and must be a list of messages.")
    for place, message in enumerate(messages):
        _check_message(message, place, messages[place - 1] if place else None)
    _check_results(messages)
    _check_tools(asked, messages)
    _check_model(asked, messages, model)


def _refuse(message: str) -> NoReturn:
    raise BadRequestError(message)


def _known(value: object, names: frozenset[str], place: str) -> None:
    for name in value if isinstance(value, dict) else ():
        if name not in names:
            _refuse(
                f"Malformed input request: {place}: extraneous key [{name}] is not permitted, please reformat your "
                "input and try again."
            )


def _check_message(message: Mapping[str, Any], place: int, before: Mapping[str, Any] | None) -> None:
    role = message.get("role")
    if role not in {"user", "assistant"}:
        _refuse(
            f"1 validation error detected: Value '{role}' at 'messages.{place + 1}.member.role' failed to satisfy "
            "constraint: Member must satisfy enum value set: [user, assistant]"
        )
    if before is None and role != "user":
        _refuse(
            "A conversation must start with a user message. Try again with a conversation that starts with a user "
            "message."
        )
    if before is not None and before.get("role") == role:
        _refuse(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates "
            "between user and assistant roles and try again."
        )
    content = message.get("content")
    if not isinstance(content, list) or not content:
        _refuse(
            f"The content field in the Message object at messages.{place} is empty. Add a ContentBlock object to the "
            "content field and try again."
        )
    for number, block in enumerate(content):
        _check_block(block, f"messages.{place}.content.{number}")


def _check_block(block: object, where: str) -> None:
    if not isinstance(block, dict) or len(block) != 1 or not set(block) <= _BLOCKS:
        _refuse(f"The ContentBlock object at {where} must set one of the following keys: {', '.join(sorted(_BLOCKS))}.")
    if "text" in block and not str(block["text"]).strip():
        _refuse(f"The text field in the ContentBlock object at {where} is blank. Add text to it, and try again.")
    for kind in ("toolUse", "toolResult"):
        mark = member(block, kind, "toolUseId")
        if kind in block and not (isinstance(mark, str) and _ID.fullmatch(mark)):
            _refuse(
                f"1 validation error detected: Value '{mark}' at '{where}.member.{kind}.toolUseId' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.:-]+"
            )
    if "toolUse" in block and not isinstance(member(block, "toolUse", "input"), dict):
        _refuse(f"The format of the value at {where}.toolUse.input is invalid. Provide a json object for the field.")
    if "toolResult" in block and not isinstance(member(block, "toolResult", "content"), list):
        _refuse(f"The content field in the ToolResultBlock object at {where} is required.")
    if "image" in block and not (member(block, "image", "format") and member(block, "image", "source")):
        _refuse(f"The image at {where} needs a format and a source.")


def _check_results(messages: Sequence[Mapping[str, Any]]) -> None:
    for place, message in enumerate(messages):
        wanted = _ids(messages[place - 1], "toolUse") if place else []
        given = _ids(message, "toolResult")
        if len(given) > len(wanted):
            _refuse(
                f"The number of toolResult blocks at messages.{place}.content exceeds the number of toolUse blocks of "
                "previous turn."
            )
        missing = [mark for mark in wanted if mark not in given]
        if missing:
            _refuse(
                f"Expected toolResult blocks at messages.{place}.content for the following Ids: {', '.join(missing)}"
            )


def _ids(message: Mapping[str, Any], kind: str) -> list[str]:
    return [str(member(block, kind, "toolUseId")) for block in objects(message.get("content")) if kind in block]


def _check_tools(asked: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> None:
    config = asked.get("toolConfig")
    if config is None:
        if any(_ids(message, kind) for message in messages for kind in ("toolUse", "toolResult")):
            _refuse("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
        return
    _known(config, frozenset({"tools", "toolChoice"}), "#/toolConfig")
    tools = [member(tool, "toolSpec") for tool in objects(member(config, "tools")) if "toolSpec" in tool]
    if not member(config, "tools"):
        _refuse("The toolConfig.tools field must have at least one tool.")
    for place, tool in enumerate(tools):
        where = f"toolConfig.tools.{place}.toolSpec"
        if not _NAME.fullmatch(str(member(tool, "name"))):
            _refuse(f"The value at {where}.name must satisfy the pattern [a-zA-Z][a-zA-Z0-9_-]{{0,63}}.")
        if member(tool, "description") == "":
            _refuse(f"The value at {where}.description must have a length of at least 1.")
        if member(tool, "inputSchema", "json", "type") != "object":
            _refuse(f"The value at {where}.inputSchema.json.type must be one of the following: object.")
    choice = member(config, "toolChoice")
    if choice is not None and (len(choice) != 1 or not set(choice) <= {"auto", "any", "tool"}):
        _refuse("The toolConfig.toolChoice field must set one of the following keys: auto, any, tool.")
    wanted = member(choice, "tool", "name")
    if wanted is not None and wanted not in [member(tool, "name") for tool in tools]:
        _refuse(f"The tool {wanted} in toolConfig.toolChoice is not in toolConfig.tools.")


def _check_model(asked: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], model: str) -> None:
    """What the model behind refuses."""
    for name in ("temperature", "topP"):
        if member(asked, "inferenceConfig", name) is not None and not takes_sampling(model):
            _refuse(f"The model returned the following errors: `{_snake(name)}` is deprecated for this model.")
    if messages[-1]["role"] != "assistant":
        return
    if not takes_prefill(model):
        _refuse(f"The model returned the following errors: {_PREFILL}")
    text = messages[-1]["content"][-1].get("text")
    if claude(model) and isinstance(text, str) and text != text.rstrip():
        _refuse(
            "The model returned the following errors: messages: final assistant content cannot end with trailing "
            "whitespace"
        )


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)
