"""YAML text to a tree of nodes that know where they stand; the first half of reading a document.

PyYAML's parser (the C one where there is one) is asked for events only. The tree is built here, because PyYAML's own
composer recurses in C without a limit, keeps silent about duplicate keys and resolves scalars by YAML 1.1. Lines and
columns count from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from proxy.config.masking import Span, is_credential_list, is_reference, is_secretive
from proxy.config.scalars import Scalar, resolve_scalar
from proxy.config.yaml_wording import syntax_problem

_DEEPEST = 50
_MOST_COPIES = 100_000
"""Nodes that aliases and merge keys may add to what is written; real files stay far below, "billion laughs" do not."""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TAGS = {f"{_TAG}{name}": name for name in ("str", "int", "float", "bool", "null", "seq", "map")}


class Place(NamedTuple):
    """A line and a column, both from 1."""

    line: int
    column: int


@dataclass(slots=True)
class ScalarNode:
    """A value. `plain` is whether it was written without quotes."""

    start: Place
    value: Scalar
    text: str
    plain: bool


@dataclass(slots=True)
class SequenceNode:
    """A list."""

    start: Place
    items: list[Node] = field(default_factory=list)
    open: bool = True


class _Key(NamedTuple):
    """A key whose value is awaited. Its text is None when it cannot be used."""

    place: Place
    text: str | None
    merges: bool
    """Whether it is an unquoted `<<`."""


@dataclass(slots=True)
class MappingNode:
    """A mapping. Merge keys are already carried out, and of duplicate keys the first is kept."""

    start: Place
    pairs: dict[str, tuple[Place, Node]] = field(default_factory=dict)
    merged: list[tuple[Place, Node]] = field(default_factory=list)
    key: _Key | None = None
    below: str | None = None
    """The text of the key whose value is being read."""
    open: bool = True


Node = ScalarNode | SequenceNode | MappingNode
Collection = SequenceNode | MappingNode
Report = Callable[[Place, str], None]


class Unreadable(Exception):  # noqa: N818 - it is no error of ours but a fact about the file
    """The text cannot be read any further; what is wrong is said once, in `args[0]`."""

    def __init__(self, place: Place, message: str, *, secretive: bool = False) -> None:
        super().__init__(message)
        self.place = place
        self.message = message
        self.secretive = secretive
        """Whether the line may hold a credential."""


class TreeBuilder:
    """Builds one tree from a text. `secrets` are the places of credentials."""

    def __init__(self, report: Report) -> None:
        self.secrets: list[Span] = []
        self.copies_left = _MOST_COPIES
        self._report = report
        self._stack: list[Collection] = []
        self._anchors: dict[str, Node] = {}
        self._root: Node | None = None

    def build(self, text: str) -> Node | None:
        """The root node, None for a text without content. Raises Unreadable; lesser faults are reported."""
        documents = 0
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                if isinstance(event, DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        message = "a second document begins here; routes.yaml is a single one, remove the '---'"
                        raise Unreadable(_place(event), message)
                else:
                    self._take(event)
        except yaml.MarkedYAMLError as error:
            line, column, message = syntax_problem(error, text)
            raise Unreadable(Place(line, column), message, secretive=self._in_secret()) from None
        except (yaml.YAMLError, ValueError, OverflowError):
            # The Python parser lets a few impossible escapes through to chr().
            raise Unreadable(Place(1, 1), "this is not YAML: it holds an impossible character") from None
        return self._root

    def copied(self, place: Place, nodes: int) -> None:
        """Count nodes that an alias or a merge key adds. Raises Unreadable when they are too many."""
        self.copies_left -= nodes
        if self.copies_left < 0:
            raise Unreadable(place, "aliases and merge keys make this document explode; write it out")

    def _take(self, event: Event) -> None:
        if isinstance(event, ScalarEvent):
            self._guard(event)
            self._add(self._scalar(event), event.anchor)
        elif isinstance(event, SequenceStartEvent):
            self._open(SequenceNode(_place(event)), event)
        elif isinstance(event, MappingStartEvent):
            self._open(MappingNode(_place(event)), event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            node = self._stack.pop()
            node.open = False
            if isinstance(node, MappingNode):
                self._merge(node)
        elif isinstance(event, AliasEvent):
            self._add(self._aliased(event), None)

    def _open(self, node: Collection, event: SequenceStartEvent | MappingStartEvent) -> None:
        if len(self._stack) >= _DEEPEST:
            raise Unreadable(node.start, f"nested more than {_DEEPEST} deep")
        expected = "map" if isinstance(node, MappingNode) else "seq"
        if event.tag and _TAGS.get(event.tag, expected if event.tag == "!" else None) != expected:
            self._report(node.start, "a tag that routes.yaml does not know; remove it")
        self._add(node, event.anchor)
        self._stack.append(node)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        if isinstance(parent, SequenceNode):
            parent.items.append(node)
        elif parent.key is None:
            parent.key = self._key(node)
            parent.below = parent.key.text
        else:
            self._pair(parent, node)

    def _pair(self, parent: MappingNode, node: Node) -> None:
        assert parent.key is not None  # noqa: S101 - `_add` has just seen it
        place, text, merges = parent.key
        parent.key = None
        if merges:
            parent.merged.append((place, node))
        elif text is None:
            return
        elif text in parent.pairs:
            first = parent.pairs[text][0].line
            self._report(place, f"duplicate key {self._shown(text)}; the first is on line {first}")
        else:
            parent.pairs[text] = (place, node)

    def _key(self, node: Node) -> _Key:
        if not isinstance(node, ScalarNode):
            self._report(node.start, "a key must be text, not a list or a mapping")
            return _Key(node.start, None, merges=False)
        if not isinstance(node.value, str):
            kind = "empty" if node.value is None else "a boolean" if isinstance(node.value, bool) else "a number"
            self._report(node.start, f"this key is read as {kind}; put it in quotes")
        return _Key(node.start, node.text, merges=node.plain and node.text == "<<")

    def _merge(self, node: MappingNode) -> None:
        for place, source in node.merged:
            sources = source.items if isinstance(source, SequenceNode) else [source]
            for one in sources:
                if not isinstance(one, MappingNode):
                    self._report(place, "'<<' takes a mapping, such as *name, or a list of them")
                    break
                self.copied(place, len(one.pairs))
                for text, pair in one.pairs.items():
                    node.pairs.setdefault(text, pair)

    def _aliased(self, event: AliasEvent) -> Node:
        place = _place(event)
        node = self._anchors.get(event.anchor or "")
        if node is None:
            # The name is not repeated: it may be an unquoted password that begins with an asterisk.
            message = "no anchor of that name stands above; put a value that begins with '*' in quotes"
            raise Unreadable(place, message, secretive=self._in_secret())
        if not isinstance(node, ScalarNode) and node.open:
            raise Unreadable(place, "an alias inside of the very thing that it stands for")
        return node

    def _scalar(self, event: ScalarEvent) -> ScalarNode:
        place, text = _place(event), event.value
        if event.implicit[0]:
            return ScalarNode(place, resolve_scalar(text), text, plain=True)
        value: Scalar = text
        name = _TAGS.get(event.tag) if event.tag and event.tag != "!" else "str"
        if name is None:
            self._report(place, "a tag that routes.yaml does not know; remove it")
        elif name != "str":
            value = resolve_scalar(text)
        return ScalarNode(place, value, text, plain=False)

    def _guard(self, event: ScalarEvent) -> None:
        """Remember the place of a credential, so that no excerpt of the file shows it."""
        # `api_key:sk-...`, without the space, is one word to YAML.
        head, colon, _ = event.value.partition(":")
        glued = colon and is_secretive(head)
        if (glued or self._in_secret()) and not is_reference(event.value) and event.value:
            # The types of PyYAML allow for no marks, its parsers always give them.
            start: Any = event.start_mark
            end: Any = event.end_mark
            self.secrets.append(Span(start.line, start.column, end.line, end.column))

    def _in_secret(self) -> bool:
        """Whether what comes next stands behind a key that holds credentials."""
        if not self._stack:
            return False
        *outer, top = self._stack[-3:]
        awaited = top.below if isinstance(top, MappingNode) and top.key is not None else None
        around = [node.below for node in outer if isinstance(node, MappingNode)]
        if any(key and is_credential_list(key) for key in (awaited, *around)):
            return True
        if isinstance(top, SequenceNode) and outer and isinstance(outer[-1], MappingNode):
            awaited = outer[-1].below
        return awaited is not None and is_secretive(awaited)

    def _shown(self, text: str) -> str:
        return "" if self._in_secret() else repr(text[:64])


def _place(event: Event) -> Place:
    mark: Any = event.start_mark
    return Place(mark.line + 1, mark.column + 1)
