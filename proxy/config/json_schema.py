"""The JSON Schema of routes.yaml, for editors: made from the models of `schema.py`, in the words of draft 07.

Editors check the file as it is written, so a reference such as `${PORT:-8400}` is good wherever a number, a duration or
a choice is.
"""

from __future__ import annotations

from typing import Any

from proxy.config.schema import Config

_DRAFT = "http://json-schema.org/draft-07/schema#"
_REFERENCE = {"$ref": "#/definitions/Reference"}
_REFERENCE_DEFINITION = {
    "type": "string",
    "pattern": r"\$\{[^{}]+\}|^os\.environ/.+",
    "description": "A value from the environment or a file: ${NAME}, ${NAME:-default} or ${file:PATH}.",
}
_STEP_TEXT = {"type": "string", "pattern": "^[^/]+/.+|" + r"\$\{[^{}]+\}", "description": "`upstream/model`"}
_CONSTRAINTS = frozenset({"enum", "const", "pattern"})
_LEFT_OUT = frozenset({"title", "format", "writeOnly", "default"})
"""What pydantic adds that says nothing to an editor's user, or is in other units than the file. Docstrings name
defaults."""


def json_schema() -> dict[str, Any]:
    """The schema, in a stable order."""
    made = Config.model_json_schema()
    definitions = made.pop("$defs")
    schema: dict[str, Any] = {
        "$schema": _DRAFT,
        "title": "routes.yaml of Holdfast",
        **_section(made),
        "definitions": {name: _section(definition) for name, definition in sorted(definitions.items())},
    }
    schema["definitions"]["Reference"] = dict(_REFERENCE_DEFINITION)
    chain = schema["definitions"]["Route"]["properties"]["chain"]
    chain["items"] = {"anyOf": [dict(_STEP_TEXT), chain["items"]]}
    return schema


def _section(model: dict[str, Any]) -> dict[str, Any]:
    """A mapping with fixed keys, as draft 07 has it."""
    kept = {key: value for key, value in model.items() if key not in _LEFT_OUT}
    kept["properties"] = {name: _value(field) for name, field in model.get("properties", {}).items()}
    return kept


def _value(schema: dict[str, Any]) -> dict[str, Any]:
    """One value's schema; in draft 07 nothing may stand beside a `$ref`, so descriptions go around it."""
    kept = {key: _inner(key, value) for key, value in schema.items() if key not in _LEFT_OUT}
    if "$ref" in kept:
        reference = {"$ref": kept.pop("$ref")}
        return {"allOf": [reference], **kept} if kept else reference
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    return _or_reference(kept) if _is_narrow(kept) else kept


def _inner(key: str, value: Any) -> Any:
    if key == "$ref":
        return value.replace("#/$defs/", "#/definitions/")
    if key in {"anyOf", "allOf", "oneOf"}:
        return _flat([_value(each) for each in value])
    if key in {"items", "additionalProperties"} and isinstance(value, dict):
        return _value(value)
    if key == "patternProperties":
        return {pattern: _value(each) for pattern, each in value.items()}
    return value


def _flat(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choices without choices inside of them, each once: editors show them one below the other."""
    flat: list[dict[str, Any]] = []
    for choice in choices:
        for each in choice["anyOf"] if set(choice) == {"anyOf"} else [choice]:
            if each not in flat:
                flat.append(each)
    return flat


def _is_narrow(schema: dict[str, Any]) -> bool:
    """Whether a scalar's schema would refuse a reference."""
    if schema.get("type") in {"integer", "number", "boolean"}:
        return True
    return "const" in schema or (schema.get("type") == "string" and not _CONSTRAINTS.isdisjoint(schema))


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    description = schema.pop("description", None)
    either: dict[str, Any] = {"anyOf": [schema, dict(_REFERENCE)]}
    return either if description is None else {"description": description, **either}
