"""The language of Amazon Bedrock: Converse."""

from __future__ import annotations

from typing import Final

from proxy.core.failure import Failure
from proxy.dialects.bedrock.answer import read_answer
from proxy.dialects.bedrock.request import write_request
from proxy.dialects.bedrock.stream import BedrockTranslator
from proxy.dialects.dialect import ChatAsked, Dialect, Outgoing, Reading, Translator


class _Bedrock:
    name = "bedrock"

    def write(self, asked: ChatAsked) -> Outgoing:
        return write_request(asked)

    def read(self, body: bytes, reading: Reading) -> bytes | Failure:
        return read_answer(body, reading)

    def translator(self, reading: Reading) -> Translator:
        return BedrockTranslator(reading)


BEDROCK: Final[Dialect] = _Bedrock()
