"""Anthropic's Messages, the language of its own API and of others that took it over."""

from __future__ import annotations

from typing import Final

from proxy.core.failure import Failure
from proxy.dialects.anthropic.answer import read_answer
from proxy.dialects.anthropic.request import write_request
from proxy.dialects.anthropic.stream import MessagesTranslator
from proxy.dialects.dialect import ChatAsked, Dialect, Outgoing, Reading, Translator


class _Anthropic:
    """The language; see `Dialect`."""

    name = "anthropic"

    def write(self, asked: ChatAsked) -> Outgoing:
        """The upstream's request. Raises NotCarriedError."""
        return write_request(asked)

    def read(self, body: bytes, reading: Reading) -> bytes | Failure:
        """A whole answer as the JSON of a chat completion, or the failure that it is. Never raises."""
        return read_answer(body, reading)

    def translator(self, reading: Reading) -> Translator:
        """For one stream."""
        return MessagesTranslator(reading)


ANTHROPIC: Final[Dialect] = _Anthropic()
