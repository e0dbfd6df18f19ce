"""routes.yaml as plain data, with the place of every key and value.

Pure on text: nothing is read from disk, the environment is not looked at. Whatever is wrong with the text becomes a
message at a place, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.config.masking import masked, masked_blindly
from proxy.config.scalars import Scalar
from proxy.config.yaml_nodes import MappingNode, Node, Place, ScalarNode, SequenceNode, TreeBuilder, Unreadable

Path = tuple[str | int, ...]
"""The keys and list indices that lead to a value, from the top."""

_DEEPEST = 100
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says. `data` is None when it could not be read or is not a mapping."""

    data: dict[str, Any] | None
    places: Mapping[Path, tuple[Place, Place]]
    """The places of the key and of the value at a path; in a list both are the item's."""
    plain: frozenset[Path]
    """Texts that were written without quotes and may name a variable."""
    problems: tuple[tuple[Place, str], ...]
    source_lines: tuple[str, ...]
    """The lines of the text, credentials masked."""

    def nearest(self, path: Path) -> Path:
        """The path itself, or the longest part of it that is written in the document."""
        while path and path not in self.places:
            path = path[:-1]
        return path


@dataclass(slots=True)
class _Reading:
    """One text on its way to being a document."""

    problems: list[tuple[Place, str]] = field(default_factory=list)
    places: dict[Path, tuple[Place, Place]] = field(default_factory=dict)
    plain: set[Path] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)

    def report(self, place: Place, message: str) -> None:
        self.problems.append((place, message))

    def value(self, node: Node, path: Path, key: Place, builder: TreeBuilder) -> Any:
        """The node as plain data; fills `places` on the way. Bounded in depth and, for aliases, in size."""
        self.places[path] = (key, node.start)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if len(path) > _DEEPEST:
            raise Unreadable(node.start, f"aliases nest more than {_DEEPEST} deep")
        size = len(node.items if isinstance(node, SequenceNode) else node.pairs)
        if id(node) in self.seen:
            builder.copied(node.start, size + 1)
        self.seen.add(id(node))
        if isinstance(node, MappingNode):
            return {text: self.value(item, (*path, text), at, builder) for text, (at, item) in node.pairs.items()}
        return [self.value(item, (*path, index), item.start, builder) for index, item in enumerate(node.items)]

    def _scalar(self, node: ScalarNode, path: Path) -> Scalar:
        if node.plain and isinstance(node.value, str) and ("$" in node.text or node.text.startswith("os.environ/")):
            self.plain.add(path)
        return node.value


def read_document(text: str | bytes) -> Document:
    """Read a text. Never raises: what is wrong is in `problems`."""
    decoded, problem = _decoded(text)
    lines = decoded.splitlines()
    reading = _Reading()
    builder = TreeBuilder(reading.report)
    data: dict[str, Any] | None = None
    if problem is not None:
        reading.report(*problem)
    else:
        try:
            data = _read(decoded, reading, builder)
        except Unreadable as unreadable:
            reading.report(unreadable.place, unreadable.message)
            _cover(lines, unreadable)
    if data is None:
        lines = [masked_blindly(line) for line in lines]
    shown = tuple(masked(lines, builder.secrets))
    return Document(data, reading.places, frozenset(reading.plain), tuple(reading.problems), shown)


def _read(text: str, reading: _Reading, builder: TreeBuilder) -> dict[str, Any] | None:
    root = builder.build(text)
    if root is None or (isinstance(root, ScalarNode) and root.value is None):
        reading.report(Place(1, 1), "the file is empty; `holdfast init` writes one that works")
        return None
    data = reading.value(root, (), root.start, builder)
    if isinstance(data, dict):
        return data
    what = "a list" if isinstance(data, list) else "a single value"
    reading.report(root.start, f"expected keys (version, upstreams, routes) at the top of the file, not {what}")
    return None


def _decoded(text: str | bytes) -> tuple[str, tuple[Place, str] | None]:
    """The text without a byte order mark, and what makes it unreadable even before YAML, if anything does."""
    problem: tuple[Place, str] | None = None
    if isinstance(text, bytes):
        try:
            decoded = text.decode("utf-8")
        except UnicodeDecodeError as error:
            decoded = text.decode("utf-8", errors="replace")
            place = _place_at(text[: error.start].decode("utf-8"))
            return decoded.removeprefix("\ufeff"), (place, "the file is not UTF-8 from here on; save it as UTF-8")
    else:
        decoded = text
    decoded = decoded.removeprefix("\ufeff")
    if odd := _NOT_YAML.search(decoded):
        code = f"U+{ord(odd[0]):04X}"
        problem = (_place_at(decoded[: odd.start()]), f"a control character ({code}), which YAML forbids; remove it")
    return decoded, problem


def _place_at(before: str) -> Place:
    """The place right after a text."""
    lines = (before.removeprefix("\ufeff") + "x").splitlines()
    return Place(len(lines), len(lines[-1]))


def _cover(lines: list[str], unreadable: Unreadable) -> None:
    """Mask the line of a syntax error that stands where credentials are: nobody knows what its parts are."""
    index = unreadable.place.line - 1
    if unreadable.secretive and index < len(lines):
        lines[index] = re.sub(r"\S", "*", lines[index])
