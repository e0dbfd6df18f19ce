"""The language of Amazon Bedrock: Converse."""

from __future__ import annotations

from typing import Final

from proxy.dialects.bedrock.answer import read_answer
from proxy.dialects.bedrock.request import write_request
from proxy.dialects.bedrock.stream import BedrockTranslator
from proxy.dialects.dialect import Dialect

BEDROCK: Final = Dialect("bedrock", write_request, read_answer, BedrockTranslator)
