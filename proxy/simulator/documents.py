"""A small JSON document that is valid for a JSON schema, for structured answers and tool arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Schema: TypeAlias = Any

# Optional parts are left out below this depth, and a schema that requires itself without end is given up at the second.
_OPTIONAL_DEPTH = 6
_GIVE_UP_DEPTH = 40

_UNUSABLE = {"simulated": True}
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "duration": "PT1S",
    "email": "simulated@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.com",
}


def document(schema: Schema) -> Any:
    """A value that the schema accepts; for an empty or unusable schema a one-line object."""
    if not isinstance(schema, dict) or not schema:
        return dict(_UNUSABLE)
    try:
        return _build(schema, schema, 0)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return dict(_UNUSABLE)


def _build(schema: Schema, root: Schema, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _GIVE_UP_DEPTH:
        return None
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return _build(_pick(schema[key], depth), root, depth + 1)
    builder = _BUILDERS.get(_type_of(schema, depth))
    return builder(schema, root, depth) if builder else None


def _resolved(schema: dict[str, Any], root: Schema) -> dict[str, Any]:
    """Follow $ref and merge allOf, keeping the keys that stand beside them."""
    for _ in range(_GIVE_UP_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            break
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**_look_up(reference, root), **beside}
    for part in schema.get("allOf") or ():
        if isinstance(part, dict):
            schema = _merged(schema, _resolved(part, root) if part != schema else {})
    return schema


def _look_up(reference: str, root: Schema) -> dict[str, Any]:
    found = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        key = name.replace("~1", "/").replace("~0", "~")
        if key:
            found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {**other, **one}
    both["properties"] = {**(other.get("properties") or {}), **(one.get("properties") or {})}
    both["required"] = [*(other.get("required") or ()), *(one.get("required") or ())]
    return both


def _pick(options: list[Any], depth: int) -> Any:
    """The first option that is not null; deep down null if there is one, so that recursion ends."""
    nulls = [option for option in options if isinstance(option, dict) and option.get("type") == "null"]
    others = [option for option in options if option not in nulls]
    return nulls[0] if nulls and (depth > _OPTIONAL_DEPTH or not others) else others[0]


def _type_of(schema: dict[str, Any], depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        others = [name for name in kind if name != "null"]
        kind = "null" if not others or ("null" in kind and depth > _OPTIONAL_DEPTH) else others[0]
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _object(schema: dict[str, Any], root: Schema, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    required = schema.get("required") or ()
    wanted = [name for name in properties if depth <= _OPTIONAL_DEPTH or name in required]
    return {name: _build(properties[name], root, depth + 1) for name in wanted}


def _array(schema: dict[str, Any], root: Schema, depth: int) -> list[Any]:
    first = [_build(item, root, depth + 1) for item in schema.get("prefixItems") or ()]
    least = schema.get("minItems", 0 if depth > _OPTIONAL_DEPTH else 1)
    most = schema.get("maxItems", least)
    missing = max(0, min(least, most, 64) - len(first))
    return first + [_build(schema.get("items") or {}, root, depth + 1) for _ in range(missing)]


def _string(schema: dict[str, Any], *_: object) -> str:
    text = _FORMATS.get(str(schema.get("format")), "simulated")
    return text.ljust(min(schema.get("minLength", 0), 10_000), "-")[: schema.get("maxLength")]


def _number(schema: dict[str, Any], *_: object) -> float:
    return float(_integer(schema)) if schema.get("multipleOf") else _low_end(schema, 0.5)


def _integer(schema: dict[str, Any], *_: object) -> int:
    step = int(schema.get("multipleOf") or 1) or 1
    return -(-int(_low_end(schema, 1)) // step) * step


def _low_end(schema: dict[str, Any], margin: float) -> float:
    """The lowest value allowed, else 1 or the highest value allowed."""
    if "minimum" in schema:
        return float(schema["minimum"])
    if "exclusiveMinimum" in schema:
        return float(schema["exclusiveMinimum"]) + margin
    highest = min(float(schema.get("maximum", 1)), float(schema.get("exclusiveMaximum", 1 + margin)) - margin)
    return min(1.0, highest)


_BUILDERS: dict[str, Callable[[dict[str, Any], Schema, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": lambda *_: True,
}
