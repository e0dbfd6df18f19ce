"""Ollama's native language."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from proxy.core.failure import Failure
from proxy.dialects.dialect import ChatAsked, Dialect, Outgoing, Reading, Translator
from proxy.dialects.ollama.answer import read_answer
from proxy.dialects.ollama.request import write_request
from proxy.dialects.ollama.stream import OllamaTranslator


class _Ollama:
    name = "ollama"
    options: Mapping[str, type] = MappingProxyType({"num_ctx": int, "keep_alive": str})
    """`num_ctx`: tokens of the window with which models are loaded, else as Ollama chooses; `keep_alive`: how long a
    model stays loaded after a request, such as `30m`, or a number of seconds, -1 for ever; else five minutes."""

    def write(self, asked: ChatAsked) -> Outgoing:
        return write_request(asked)

    def read(self, body: bytes, reading: Reading) -> bytes | Failure:
        return read_answer(body, reading)

    def translator(self, reading: Reading) -> Translator:
        return OllamaTranslator(reading)


OLLAMA: Final[Dialect] = _Ollama()
