"""Answers of which the parser sees every byte: what all others are to be like."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple
from unittest import mock

from proxy.core.failure import Failure
from proxy.upstreams import answer as module
from proxy.upstreams.answer import Answer


class Seen(NamedTuple):
    """What became of an answer."""

    body: bytes
    status: int
    headers: dict[str, str]
    packed: bool
    complete: bool
    failure: Failure | None
    reusable: bool


class ParsersOwn(Answer):
    """An answer of which the parser sees every byte."""

    __slots__ = ()

    def _begin(self, data: bytes) -> None:
        with mock.patch.object(module, "usual_head", return_value=None):
            super()._begin(data)

    def _end_of_head(self, data: bytes) -> int:
        del data
        return 0


def read(answer: Answer, pieces: Iterable[bytes], *, by_the_way: bool = False) -> Seen:
    """Feed an answer as a connection does; `by_the_way` for bodies that are poured, which begins when some was read."""
    body = b""
    for piece in pieces:
        if answer.over:
            break
        content = answer.one_chunk(piece) if by_the_way and body else None
        if content is None:
            answer.feed(piece)
            content = answer.take()
        body += content
    answer.end()
    body += answer.take()
    return Seen(body, answer.status, answer.headers, answer.packed, answer.complete, answer.failure, answer.reusable)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Bytes in pieces, none of which is empty."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]
