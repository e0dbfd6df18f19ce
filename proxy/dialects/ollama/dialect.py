"""Ollama's native language."""

from __future__ import annotations

from typing import Final

from proxy.dialects.dialect import Dialect
from proxy.dialects.ollama.answer import read_answer
from proxy.dialects.ollama.request import write_request
from proxy.dialects.ollama.stream import OllamaTranslator

OLLAMA: Final = Dialect("ollama", write_request, read_answer, OllamaTranslator)
