"""JSON schemas as Gemini takes them: it knows a part of JSON Schema, and refuses a whole request for a keyword beyond.

What can be said otherwise is (`const`, exclusive bounds, `allOf`, draft 4's `definitions`); the rest is left out: it
only narrows what the model may write, and whoever gets the answer checks it anyway. The list of keywords is that of
`responseJsonSchema`; `parametersJsonSchema` refuses `const` and others, too.
"""

from __future__ import annotations

from typing import Any, Final

_PLAIN: Final = frozenset(
    {
        "$id", "$ref", "$anchor", "type", "format", "title", "description", "enum",
        "minItems", "maxItems", "minimum", "maximum", "required", "propertyOrdering",
    }
)  # fmt: skip
"""Keywords that are taken as they are."""
_OF_NAMES: Final = {"properties": "properties", "$defs": "$defs", "definitions": "$defs"}
"""Keywords whose values are schemas by name, and what they are called there."""
_OF_LISTS: Final = frozenset({"anyOf", "oneOf", "prefixItems"})
_BOUNDS: Final = {"exclusiveMinimum": ("minimum", 1), "exclusiveMaximum": ("maximum", -1)}
_OLD_REFERENCE: Final = "#/definitions/"


def adapted(schema: Any) -> Any:
    """The schema in the keywords that Gemini knows. Anything that is no object is returned as it is."""
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        # Nothing may stand beside a reference but what begins with a dollar.
        schema = {name: value for name, value in schema.items() if name.startswith("$") or name == "definitions"}
    result: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "$ref" and isinstance(value, str) and value.startswith(_OLD_REFERENCE):
            result[name] = "#/$defs/" + value.removeprefix(_OLD_REFERENCE)
        elif name in _PLAIN:
            result[name] = value
        elif name in _OF_NAMES and isinstance(value, dict):
            named = {key: _schema(item) for key, item in value.items()}
            result[_OF_NAMES[name]] = {**result.get(_OF_NAMES[name], {}), **named}
        elif name in _OF_LISTS and isinstance(value, list):
            result[name] = [_schema(item) for item in value]
        elif name == "items":
            # A list of schemas is how older drafts said what each place holds.
            result.update(
                {"prefixItems": [*map(_schema, value)]} if isinstance(value, list) else {name: _schema(value)}
            )
        elif name == "additionalProperties":
            result[name] = adapted(value)
    _say_otherwise(schema, result)
    return result


def _schema(value: Any) -> Any:
    """A schema in a place where `true` means anything: Gemini wants objects there."""
    return adapted(value) if isinstance(value, dict) else {}


def _say_otherwise(schema: dict[str, Any], result: dict[str, Any]) -> None:
    """Put what Gemini has no keyword for into ones that it has."""
    if "const" in schema and "enum" not in result:
        if schema["const"] is None:
            result.setdefault("type", "null")
        elif isinstance(schema["const"], str | int | float) and not isinstance(schema["const"], bool):
            result["enum"] = [schema["const"]]
    for name, (inclusive, step) in _BOUNDS.items():
        bound = schema.get(name)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            whole = schema.get("type") == "integer" and isinstance(bound, int)
            result.setdefault(inclusive, bound + step if whole else bound)
    branches = schema.get("allOf")
    for branch in branches if isinstance(branches, list) else ():
        _merge(result, _schema(branch), alone=len(schema) == 1)


def _merge(result: dict[str, Any], branch: dict[str, Any], *, alone: bool) -> None:
    """Add a branch that must hold, too. What both speak of stays as it is, but for the properties."""
    if "$ref" in branch and not alone:
        return
    for name, value in branch.items():
        own = result.get(name)
        if name in {"properties", "$defs"} and isinstance(own, dict):
            result[name] = {**value, **own}
        elif name == "required" and isinstance(own, list) and isinstance(value, list):
            result[name] = [*own, *(item for item in value if item not in own)]
        else:
            result.setdefault(name, value)
