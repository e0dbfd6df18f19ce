"""Ollama's native language."""

from __future__ import annotations

from typing import Final

from proxy.core.failure import Failure
from proxy.dialects.dialect import ChatAsked, Dialect, Outgoing, Reading, Translator
from proxy.dialects.ollama.answer import read_answer
from proxy.dialects.ollama.request import write_request
from proxy.dialects.ollama.stream import OllamaTranslator


class _Ollama:
    name = "ollama"

    def write(self, asked: ChatAsked) -> Outgoing:
        return write_request(asked)

    def read(self, body: bytes, reading: Reading) -> bytes | Failure:
        return read_answer(body, reading)

    def translator(self, reading: Reading) -> Translator:
        return OllamaTranslator(reading)


OLLAMA: Final[Dialect] = _Ollama()
