"""Anthropic's Messages, the language of its own API and of others that took it over."""

from __future__ import annotations

from typing import Final

from proxy.dialects.anthropic.answer import read_answer
from proxy.dialects.anthropic.request import write_request
from proxy.dialects.anthropic.stream import MessagesTranslator
from proxy.dialects.dialect import Dialect

ANTHROPIC: Final = Dialect("anthropic", write_request, read_answer, MessagesTranslator)
