"""Gemini's own language, as an upstream's dialect."""

from __future__ import annotations

from typing import Final

from proxy.dialects.dialect import Dialect
from proxy.dialects.gemini.answer import read_answer
from proxy.dialects.gemini.request import write_request
from proxy.dialects.gemini.stream import GeminiTranslator

GEMINI: Final = Dialect("gemini", write_request, read_answer, GeminiTranslator)
