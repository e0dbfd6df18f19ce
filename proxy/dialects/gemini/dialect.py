"""Gemini's own language, as an upstream's dialect."""

from __future__ import annotations

from typing import Final

from proxy.core.failure import Failure
from proxy.dialects.dialect import ChatAsked, Dialect, Outgoing, Reading, Translator
from proxy.dialects.gemini.answer import read_answer
from proxy.dialects.gemini.request import write_request
from proxy.dialects.gemini.stream import GeminiTranslator


class Gemini:
    """See `dialects/dialect.py: Dialect`."""

    name = "gemini"

    def write(self, asked: ChatAsked) -> Outgoing:
        """The upstream's request. Raises NotCarriedError."""
        return write_request(asked)

    def read(self, body: bytes, reading: Reading) -> bytes | Failure:
        """A whole answer as a chat completion, or the failure that it is."""
        return read_answer(body, reading)

    def translator(self, reading: Reading) -> Translator:
        """For one stream."""
        return GeminiTranslator(reading)


GEMINI: Final[Dialect] = Gemini()
