"""JSON schemas, as Messages understands them.

A tool's schema is taken nearly as it is: its root has to be an object, and only `$defs` are found by references. A
schema that binds the output has to be closed everywhere and may hold few constraints; the others are told to the model
in the description, which is more than nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proxy.dialects.chat_events import to_json

Schema = dict[str, Any]

_OLD_DEFINITIONS: Final = (("definitions",), ("components", "schemas"))
"""Where drafts before 2019-09 and OpenAPI keep what schemas refer to."""
_KEPT: Final = ("type", "enum", "const", "description", "title")
_ALLOWED: Final[Mapping[str, tuple[object, ...]]] = {
    "format": ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"),
    "minItems": (0, 1),
}
"""Constraints that can be enforced with some values."""
_CHOICES: Final = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_MEANINGLESS: Final = frozenset({"$schema", "$id", "$comment", "$anchor", "examples", "additionalProperties", "strict"})
"""What is neither kept nor worth telling."""


def with_defs(schema: Schema) -> Schema:
    """The schema with everything that is referred to under `$defs`."""
    moved: Schema = {}
    renamed: dict[str, str] = {}
    rest = dict(schema)
    for path in _OLD_DEFINITIONS:
        holder: object = schema
        for step in path:
            holder = holder.get(step) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and holder:
            rest.pop(path[0], None)
            _move(holder, "#/" + "/".join(path) + "/", schema.get("$defs"), moved, renamed)
    if not moved:
        return schema
    own = rest.get("$defs")
    rest["$defs"] = {**(own if isinstance(own, dict) else {}), **moved}
    pointed: Schema = _repointed(rest, renamed)
    return pointed


def of_object(schema: object) -> Schema | None:
    """A tool's schema, its root an object; None where it describes something else."""
    if schema is None:
        return {"type": "object", "properties": {}}
    if not isinstance(schema, dict):
        return None
    root = with_defs(schema)
    if isinstance(root.get("$ref"), str):
        root = _resolved(root)
    if root.get("type", "object") not in ("object", ["object"]):
        return None
    if any(isinstance(root.get(word), list) for word in _CHOICES):
        root = _flattened(root)
    return {"properties": {}, **root, "type": "object"}


def closed(schema: object) -> Any:
    """The schema as one that output can be bound to: closed, and with what cannot be enforced told in descriptions.

    What is no schema at all stays as it is, for the upstream to refuse.
    """
    if not isinstance(schema, dict):
        return schema
    return _closed(with_defs(schema))


def _closed(schema: object) -> Any:
    if not isinstance(schema, dict):
        # `true` as a schema: anything.
        return {} if schema is True else schema
    left = {name: value for name, value in schema.items() if name not in _MEANINGLESS}
    new: Schema = {}
    definitions = left.pop("$defs", None)
    if isinstance(definitions, dict):
        new["$defs"] = {name: _closed(each) for name, each in definitions.items()}
    if "$ref" in left:
        return {**new, "$ref": left["$ref"]}
    new.update((name, left.pop(name)) for name in _KEPT if name in left)
    for name, kept in _CHOICES.items():
        if isinstance(left.get(name), list):
            new[kept] = [*new.get(kept, ()), *(_closed(each) for each in left.pop(name))]
    if _is(new, "object") or "properties" in left:
        _close_object(new, left)
    if "items" in left:
        new["items"] = _closed(left.pop("items"))
    for name, allowed in _ALLOWED.items():
        if name in left and left[name] in allowed:
            new[name] = left.pop(name)
    return _told(new, left)


def _close_object(new: Schema, left: Schema) -> None:
    """Move the members of an object from what is left to the new schema."""
    properties = left.pop("properties", None)
    members = properties if isinstance(properties, dict) else {}
    new["properties"] = {name: _closed(member) for name, member in members.items()}
    new["additionalProperties"] = False
    if "required" in left:
        new["required"] = left.pop("required")


def _told(schema: Schema, left: Mapping[str, Any]) -> Schema:
    """The schema with what is left of it told in its description."""
    if left:
        told = "{" + ", ".join(f"{name}: {to_json(value).decode()}" for name, value in left.items()) + "}"
        before = schema.get("description")
        schema["description"] = f"{before}\n\n{told}" if isinstance(before, str) and before else told
    return schema


def _is(schema: Schema, kind: str) -> bool:
    told = schema.get("type")
    return told == kind or (isinstance(told, list) and kind in told)


def _move(found: Schema, prefix: str, taken: object, moved: Schema, renamed: dict[str, str]) -> None:
    for name, definition in found.items():
        free = name
        while free in moved or (isinstance(taken, dict) and free in taken):
            free += "_"
        moved[free] = definition
        renamed[prefix + _escaped(name)] = "#/$defs/" + _escaped(free)


def _escaped(name: str) -> str:
    """A name, as pointers have it."""
    return name.replace("~", "~0").replace("/", "~1")


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _repointed(value: Any, renamed: Mapping[str, str]) -> Any:
    """The value with its references spelled anew. Beneath what was moved, the rest of a pointer stays."""
    if isinstance(value, list):
        return [_repointed(each, renamed) for each in value]
    if not isinstance(value, dict):
        return value
    new = {name: _repointed(each, renamed) for name, each in value.items()}
    if isinstance(reference := value.get("$ref"), str):
        new["$ref"] = next(
            (to + reference[len(old) :] for old, to in renamed.items() if (reference + "/").startswith(old + "/")),
            reference,
        )
    return new


def _resolved(root: Schema) -> Schema:
    """The root with the definition that it refers to in its place."""
    definitions = root.get("$defs")
    seen = set()
    while isinstance(reference := root.get("$ref"), str) and reference not in seen:
        seen.add(reference)
        name = reference.removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
        found = definitions.get(name) if isinstance(definitions, dict) else None
        if not isinstance(found, dict):
            break
        root = {**{key: value for key, value in root.items() if key != "$ref"}, **found}
    return root


def _flattened(root: Schema) -> Schema:
    """The root without alternatives, which a tool's must not have: all their members, none of them required."""
    new = {name: value for name, value in root.items() if name not in _CHOICES}
    properties: Schema = dict(new["properties"]) if isinstance(new.get("properties"), dict) else {}
    required = _strings(new.get("required"))
    definitions = root.get("$defs")
    told = []
    for word in _CHOICES:
        members = root.get(word)
        for member in members if isinstance(members, list) else ():
            if not isinstance(member, dict):
                continue
            whole = _resolved({"$defs": definitions, **member})
            more = whole.get("properties")
            properties = {**(more if isinstance(more, dict) else {}), **properties}
            if word == "allOf":
                required += _strings(whole.get("required"))
            elif names := _strings(whole.get("required")):
                told.append(", ".join(names))
    new["properties"] = properties
    if required:
        new["required"] = list(dict.fromkeys(required))
    return _told(new, {"one of these is required": " or ".join(told)} if told else {})
