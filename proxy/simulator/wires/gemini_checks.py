"""What Gemini refuses in a request, in its own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from proxy.simulator.question import BadRequestError, member, objects

_TOP = frozenset(
    [
        "cachedContent",
        "contents",
        "generationConfig",
        "model",
        "safetySettings",
        "serviceTier",
        "store",
        "systemInstruction",
        "toolConfig",
        "tools",
    ]
)
_GENERATION = frozenset(
    [
        "audioTimestamp",
        "candidateCount",
        "enableEnhancedCivicAnswers",
        "frequencyPenalty",
        "imageConfig",
        "logprobs",
        "maxOutputTokens",
        "mediaResolution",
        "presencePenalty",
        "responseJsonSchema",
        "responseLogprobs",
        "responseMimeType",
        "responseModalities",
        "responseSchema",
        "seed",
        "speechConfig",
        "stopSequences",
        "temperature",
        "thinkingConfig",
        "topK",
        "topP",
    ]
)
_PART = frozenset(
    [
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "mediaResolution",
        "partMetadata",
        "text",
        "thought",
        "thoughtSignature",
        "toolCall",
        "toolResponse",
        "videoMetadata",
    ]
)
_DATA = _PART - {"mediaResolution", "partMetadata", "thought", "thoughtSignature", "videoMetadata"}
_DECLARATION = frozenset(
    ["behavior", "description", "name", "parameters", "parametersJsonSchema", "response", "responseJsonSchema"]
)
_SCHEMA = frozenset(
    [
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "default",
        "description",
        "enum",
        "example",
        "format",
        "items",
        "maximum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "minimum",
        "minItems",
        "minLength",
        "minProperties",
        "nullable",
        "pattern",
        "properties",
        "propertyOrdering",
        "required",
        "title",
        "type",
    ]
)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")


def check(asked: Mapping[str, Any], model: str) -> None:
    """Raise BadRequestError for a request (in camelCase) that Gemini refuses."""
    _known(asked, _TOP, "")
    _check_config(asked.get("generationConfig") or {})
    system = asked.get("systemInstruction")
    if system is not None:
        _check_parts(system, "system_instruction")
    _check_contents(asked.get("contents"))
    _check_turns(asked["contents"], model)
    _check_tools(asked)


def camel(value: Any) -> Any:
    """The request with its own members in camelCase, as both spellings are read; what others put in stays as it is."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {_camel(name): inner if _camel(name) in _FOREIGN else camel(inner) for name, inner in value.items()}


_FOREIGN = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels"}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others) if first else name


def takes_prefill(model: str) -> bool:
    """Whether the last turn may be the model's."""
    version = _version(model)
    return version is None or version <= (3, 1)


def signs_calls(model: str) -> bool:
    """Whether calls must come back with their signatures."""
    version = _version(model)
    return version is not None and version >= (3, 0)


def _version(model: str) -> tuple[int, int] | None:
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def _refuse(message: str, param: str | None = None) -> NoReturn:
    raise BadRequestError(message, param)


def _known(value: object, names: frozenset[str], place: str) -> None:
    for name in value if isinstance(value, dict) else ():
        if name not in names:
            where = f" at '{place}'" if place else ""
            _refuse(f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.', name)


def _check_config(config: object) -> None:
    _known(config, _GENERATION, "generation_config")
    _ranged(config, "temperature", 0, 2)
    _ranged(config, "topP", 0, 1)
    _ranged(config, "candidateCount", 1, 8)
    _ranged(config, "maxOutputTokens", 1, 1 << 31)
    if len(member(config, "stopSequences") or ()) > 5:
        _refuse("* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences are allowed.\n")
    thinking = member(config, "thinkingConfig") or {}
    _known(
        thinking, frozenset({"includeThoughts", "thinkingBudget", "thinkingLevel"}), "generation_config.thinking_config"
    )
    if {"thinkingBudget", "thinkingLevel"} <= set(thinking):
        _refuse("You can only set only one of thinking budget and thinking level.")
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if member(config, name) is not None]
    if schemas and member(config, "responseMimeType") not in {"application/json", "text/x.enum"}:
        _refuse("Function calling with a response mime type: 'text/plain' is unsupported with a response schema.")
    if len(schemas) > 1:
        _refuse("Only one of response_schema and response_json_schema can be set.")
    _check_schema(member(config, "responseSchema"), "generation_config.response_schema", 0)


def _ranged(config: object, name: str, low: float, high: float) -> None:
    value = member(config, name)
    if value is None:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        _refuse(f"Invalid value at 'generation_config.{name}' (TYPE_FLOAT), \"{value}\"", name)
    if not low <= value <= high:
        _refuse(f"* GenerateContentRequest.generation_config.{name}: must be in the range [{low}, {high}].\n", name)


# The conversation.


def _check_contents(contents: object) -> None:
    if not isinstance(contents, list) or not contents:
        _refuse("* GenerateContentRequest.contents: contents is not specified\n", "contents")
    for place, content in enumerate(contents):
        if not isinstance(content, dict):
            _refuse(f"Invalid value at 'contents[{place}]' (type.googleapis.com/google.ai.Content)", "contents")
        _known(content, frozenset({"role", "parts"}), f"contents[{place}]")
        if content.get("role", "user") not in {"user", "model", "function"}:
            _refuse("Please use a valid role: user, model.", "contents")
        _check_parts(content, f"contents[{place}]")


def _check_parts(content: object, where: str) -> None:
    parts = member(content, "parts")
    if not isinstance(parts, list) or not parts:
        _refuse(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.\n", "contents")
    for place, part in enumerate(parts):
        _known(part, _PART, f"{where}.parts[{place}]")
        here = f"GenerateContentRequest.{where}.parts[{place}]"
        if not any(member(part, name) not in {None, ""} if name == "text" else name in part for name in _DATA):
            _refuse(f"* {here}.data: required oneof field 'data' must have one initialized field\n", "contents")
        for kind in ("functionCall", "functionResponse"):
            if kind in part and not member(part, kind, "name"):
                _refuse(f"* {here}.{_snake(kind)}.name: Name cannot be empty.\n", "contents")
        if "functionResponse" in part and not isinstance(member(part, "functionResponse", "response"), dict):
            _refuse(
                f"Invalid value at '{where}.parts[{place}].function_response.response' "
                "(type.googleapis.com/google.protobuf.Struct)",
                "contents",
            )
        if "inlineData" in part and not (member(part, "inlineData", "mimeType") and member(part, "inlineData", "data")):
            _refuse(f"* {here}.inline_data: mime type and data are required\n", "contents")


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)


def _check_turns(contents: Sequence[Mapping[str, Any]], model: str) -> None:
    """Calls follow a turn of the user, and their results follow them at once, as many and by the same names."""
    for place, content in enumerate(contents):
        before = contents[place - 1] if place else {}
        calls, results = _names(content, "functionCall"), _names(content, "functionResponse")
        if calls and (place == 0 or before.get("role", "user") == "model"):
            _refuse(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn.",
                "contents",
            )
        if results and not _names(before, "functionCall"):
            _refuse(
                "Please ensure that function response turn comes immediately after a function call turn.", "contents"
            )
        wanted = _names(before, "functionCall")
        if wanted and sorted(results) != sorted(wanted):
            _refuse(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn.",
                "contents",
            )
    if signs_calls(model):
        _check_signatures(contents)
    last = contents[-1]
    if last.get("role") == "model" and (not takes_prefill(model) or _names(last, "functionCall")):
        _refuse("Requests ending with a model turn are not supported.", "contents")


def _check_signatures(contents: Sequence[Mapping[str, Any]]) -> None:
    """The first call of each step of the turn that is running has its signature."""
    asked = [place for place, one in enumerate(contents) if one.get("role") != "model" and _says(one, "text")]
    for place in range(asked[-1] + 1 if asked else 0, len(contents)):
        calls = [part for part in objects(contents[place].get("parts")) if "functionCall" in part]
        if calls and not calls[0].get("thoughtSignature"):
            _refuse(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{member(calls[0], 'functionCall', 'name')}` , position {place + 1}.",
                "contents",
            )


def _names(content: Mapping[str, Any], kind: str) -> list[str]:
    return [str(member(part, kind, "name")) for part in objects(content.get("parts")) if kind in part]


def _says(content: Mapping[str, Any], kind: str) -> bool:
    return any(kind in part for part in objects(content.get("parts")))


# Tools.


def _check_tools(asked: Mapping[str, Any]) -> None:
    names = []
    for place, tool in enumerate(objects(asked.get("tools"))):
        for number, declared in enumerate(objects(tool.get("functionDeclarations"))):
            where = f"tools[{place}].function_declarations[{number}]"
            _check_declaration(declared, where)
            names.append(declared["name"])
    if len(set(names)) < len(names):
        _refuse(f"Duplicate function declaration found: {max(names, key=names.count)}", "tools")
    config = member(asked, "toolConfig", "functionCallingConfig") or {}
    _known(config, frozenset({"mode", "allowedFunctionNames"}), "tool_config.function_calling_config")
    mode = str(config.get("mode", "AUTO")).upper()
    allowed = config.get("allowedFunctionNames") or ()
    if mode in {"ANY", "VALIDATED"} and not names:
        _refuse("Function calling config is set without function_declarations.", "toolConfig")
    if allowed and mode not in {"ANY", "VALIDATED"}:
        _refuse(
            "allowed_function_names should only be set when function calling mode is ANY or VALIDATED.", "toolConfig"
        )
    if not set(allowed) <= set(names):
        _refuse("allowed_function_names should be a subset of the function declarations.", "toolConfig")


def _check_declaration(declared: Mapping[str, Any], where: str) -> None:
    _known(declared, _DECLARATION, where)
    if not isinstance(declared.get("name"), str) or not _NAME.fullmatch(declared["name"]):
        _refuse(
            f"* GenerateContentRequest.{where}.name: Invalid function name. Must start with a letter or an underscore. "
            "Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:) or dashes (-), with a maximum "
            "length of 128.\n",
            "tools",
        )
    if {"parameters", "parametersJsonSchema"} <= set(declared):
        _refuse(f"{where}: only one of parameters and parameters_json_schema can be set.", "tools")
    _check_schema(declared.get("parameters"), f"{where}.parameters", 0)


def _check_schema(schema: object, where: str, depth: int) -> None:
    """Gemini's own schemas know fewer words than JSON Schema."""
    if not isinstance(schema, dict) or depth > 32:
        return
    _known({_camel(name): None for name in schema}, _SCHEMA, where)
    inner: Callable[[object, str], None] = lambda one, place: _check_schema(one, f"{where}.{place}", depth + 1)  # noqa: E731
    for name, one in (schema.get("properties") or {}).items():
        inner(one, f"properties[{name}]")
    inner(schema.get("items"), "items")
    for number, one in enumerate(objects(schema.get("anyOf"))):
        inner(one, f"any_of[{number}]")
