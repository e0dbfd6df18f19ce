"""Whether a step can serve a request at all: does the prompt fit its window, does its model take what is in it.

Two questions. `suits_all` is the quick one, asked of every request: nothing that any step of the route lacks is in it,
by its size and by a look for a few marks in its bytes. Only where that is not sure, `needs_of` reads closer and
`objection` says of each step what speaks against it. What is not known of a model never speaks against it; what cannot
be read in a request is the upstream's to judge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import ClientError, bad_request
from proxy.core.facts import ModelFacts
from proxy.core.mentions import mentions
from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire

WINDOW: Final = "window"
ABILITY: Final = "ability"
"""What bars a step: the length of the prompt, or something else that is in the request."""

_MARGIN: Final = 1.05
"""What an estimate may be too low by."""
_DOUBT: Final = 1.3
_DOUBT_LEARNED: Final = 1.1
"""What it may be too high by, before and after answers have corrected it: text of many spaces has few tokens."""
_PROMPTS: Final[Mapping[Wire, tuple[str, ...]]] = {
    Wire.CHAT: ("messages", "tools", "functions"),
    Wire.COMPLETIONS: ("prompt",),
    Wire.RESPONSES: ("input", "instructions", "tools"),
    Wire.MESSAGES: ("messages", "system", "tools"),
    Wire.EMBEDDINGS: ("input",),
    Wire.COUNT_TOKENS: (),
}
"""The fields that make up the prompt. A count of tokens fits anywhere."""
_CAPS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_PARTS: Final[Mapping[Wire, Mapping[str, str]]] = {
    Wire.CHAT: {"image_url": "vision", "input_audio": "audio", "file": "documents"},
    Wire.RESPONSES: {"input_image": "vision", "input_audio": "audio", "input_file": "documents"},
    Wire.MESSAGES: {"image": "vision", "document": "documents"},
}
"""The types of the parts of a message, in the languages of clients, and the abilities that they need."""
_TALKS: Final = {Wire.CHAT: "messages", Wire.RESPONSES: "input", Wire.MESSAGES: "messages"}
"""The field in which they stand."""
_TOKENS_OF_PART: Final = 800
"""Of an image, which costs from 85 to 1600; of sound and pages, whose length nobody knows, rather too little."""
_MOST_OBJECTS: Final = 100_000
"""JSON objects in the messages of a request that is read closer; real conversations have thousands."""
_WHOLE: Final = 48 * 1024
_SAMPLE: Final = 16 * 1024
"""Bytes of a prompt that are looked at: all, or of a longer one so many from its beginning, middle and end."""
_WORDS: Final = {
    "vision": "vision",
    "audio": "audio",
    "documents": "documents",
    "tools": "tools",
    "structured": "output by a JSON schema",
    "json_mode": "JSON mode",
}


def _marks(parts: Mapping[str, str], abilities: Collection[str]) -> tuple[bytes, ...]:
    return tuple(f'"{part}"'.encode() for part, ability in parts.items() if ability in abilities)


_ALL_MARKS: Final = {wire: _marks(parts, parts.values()) for wire, parts in _PARTS.items()}


class Limits(Struct, frozen=True):
    """What the steps of a route lack, all together."""

    window: int | None
    """Tokens of the smallest known window; None where none is known."""
    lacks: frozenset[str]
    marks: Mapping[Wire, tuple[bytes, ...]]
    """Of the media that some step does not take."""


class Needs(Struct, frozen=True):
    """What a request needs of a model."""

    tokens: int
    """Of its prompt, by its length and script; what a model really counts may be more or less."""
    output: int
    """The most tokens of the answer that it asks for; 0 where it does not say."""
    abilities: tuple[str, ...]
    """Names of members of `ModelFacts`."""
    plain: bool
    """Whether the prompt is nothing but text."""
    choices: int
    forced_tool: bool
    """Whether the model must call a tool."""
    logprobs: bool


class Known(NamedTuple):
    """What was learned of a deployment from its answers."""

    ratio: float = 1.0
    """Tokens that it really counts, per token of the estimate."""
    window: int | None = None
    """Tokens of a prompt that it said it takes."""


class Objection(NamedTuple):
    """Why a step cannot serve a request."""

    bar: str
    """`WINDOW` or `ABILITY`."""
    reason: str
    window: int = 0
    """Tokens of the window that is too small."""
    doubtful: bool = False
    """The estimate is so near that the request may fit after all."""


def limits_of(facts: Iterable[ModelFacts]) -> Limits | None:
    """What these models together restrict; None for nothing."""
    known = list(facts)
    windows = [window for each in known for window in (each.context, each.max_input) if window is not None]
    lacks = frozenset(ability for ability in _WORDS for each in known if getattr(each, ability) is False)
    if not windows and not lacks:
        return None
    return Limits(min(windows, default=None), lacks, {wire: _marks(parts, lacks) for wire, parts in _PARTS.items()})


def suits_all(request: ModelRequest, limits: Limits | None, learned: int | None, ratio: float = 1.0) -> bool:
    """Whether it is sure that nothing in a request is too much for any step.

    `learned` is the smallest learned window, `ratio` the largest of those in `Known`. A prompt never has more tokens
    than bytes, so for most of them its length says enough.
    """
    fields = request.fields
    window = None if limits is None else limits.window
    if learned is not None and (window is None or learned < window):
        window = learned
    if window is not None and not _fits(request, window, ratio):
        return False
    if limits is None or not limits.lacks:
        return True
    lacks = limits.lacks
    if "tools" in lacks and ("tools" in fields or "functions" in fields):
        return False
    if "response_format" in fields and ("structured" in lacks or "json_mode" in lacks):
        return False
    marks = limits.marks.get(request.wire)
    if not marks or (raw := fields.get(_TALKS[request.wire])) is None:
        return True
    return not mentions(raw, *marks)


def _fits(request: ModelRequest, window: int, ratio: float) -> bool:
    fields, size = request.fields, 0
    for name in _PROMPTS[request.wire]:
        if (raw := fields.get(name)) is not None:
            size += len(raw)
    if not size or size + _output(fields) <= window:
        return True
    needs = needs_of(request)
    return needs.tokens * ratio * _MARGIN + needs.output <= window


def needs_of(request: ModelRequest) -> Needs:
    """What a request needs, worked out once. Never raises; what makes no sense needs nothing."""
    needs = request.needs
    if not isinstance(needs, Needs):
        needs = request.needs = _needs_of(request)
    return needs


def _needs_of(request: ModelRequest) -> Needs:
    fields = request.fields
    media: list[str] = []
    size, beside = 0, 0
    samples: list[bytes] = []
    for name in _PROMPTS[request.wire]:
        raw = fields.get(name)
        if raw is None:
            continue
        size += len(raw)
        samples.append(_sample(memoryview(raw)))
        if name == _TALKS.get(request.wire) and mentions(raw, *_ALL_MARKS[request.wire]):
            for ability, length in _media_of(bytes(raw), _PARTS[request.wire]):
                media.append(ability)
                size -= length
                beside += _TOKENS_OF_PART
    if request.wire is Wire.EMBEDDINGS and samples and not samples[0].startswith(b'"'):
        # Of several texts each is a prompt of its own.
        size = 0
    tokens = int(max(0, size) * _density(samples)) + beside
    return Needs(
        tokens,
        _output(fields),
        (*dict.fromkeys(media), *_abilities(fields)),
        not media,
        request.choices,
        _is_forced(fields.get("tool_choice")),
        "logprobs" in fields and bytes(fields["logprobs"]) == b"true",
    )


def objection(needs: Needs, facts: ModelFacts, deployment: DeploymentId, known: Known = Known()) -> Objection | None:  # noqa: B008 - it is a tuple
    """What speaks against sending a request to a deployment; None where nothing is known to."""
    for ability in needs.abilities:
        if getattr(facts, ability) is False:
            return Objection(ABILITY, f"needs {_WORDS[ability]}, which {deployment.model} lacks")
    tokens = needs.tokens * known.ratio
    output = needs.output if facts.max_output is None else min(needs.output, facts.max_output)
    doubt = _DOUBT if known.ratio == 1.0 else _DOUBT_LEARNED
    window = facts.context
    if window is not None and tokens * _MARGIN + output > window:
        asked = f" with {output:,} more for the answer" if output else ""
        reason = f"about {_rounded(tokens):,} tokens{asked} do not fit {window:,}"
        # Many servers take a cap that is too high, and end the answer where the window ends.
        only_cap = tokens * _MARGIN <= window
        return Objection(WINDOW, reason, window, doubtful=only_cap or tokens / doubt + output <= window)
    for most in (facts.max_input, known.window):
        if most is not None and tokens * _MARGIN > most:
            reason = f"about {_rounded(tokens):,} tokens do not fit {most:,}"
            return Objection(WINDOW, reason, most, doubtful=tokens / doubt <= most)
    return None


def refusal(route: str, objections: Iterable[tuple[DeploymentId, Objection]]) -> ClientError:
    """The error for a request that no step of its route can serve, in the words on which agents shorten theirs."""
    found = list(objections)
    if all(each.bar == WINDOW for _, each in found):
        largest = max((each for _, each in found), key=lambda each: each.window)
        message = (
            f"This model's maximum context length is {largest.window} tokens. {route}: {largest.reason}, the largest "
            "window of this route. Please reduce the length of the messages."
        )
        return bad_request(message, param="messages", code="context_length_exceeded")
    reasons = "; ".join(f"{deployment} {each.reason}" for deployment, each in found)
    return bad_request(f"{route}: no deployment of this route can serve the request: {reasons}.")


def is_telling(request: ModelRequest) -> bool:
    """Whether a prompt is fit to learn from by its length."""
    size = 0
    for name in _PROMPTS[request.wire]:
        if (raw := request.fields.get(name)) is not None:
            size += len(raw)
    return LEAST_LEARNED <= size <= _MOST_LEARNED


def plain_tokens(request: ModelRequest) -> int | None:
    """The estimate of a prompt that is fit to learn from: text alone, neither short nor huge. None of any other."""
    if not is_telling(request):
        return None
    needs = needs_of(request)
    return needs.tokens if needs.plain and needs.tokens else None


LEAST_LEARNED: Final = 4 * 1024
"""Bytes. Of a shorter prompt the frame that a model adds tells more than the text, and it fits anyway."""
_MOST_LEARNED: Final = 512 * 1024


class _Part(Struct):
    type: str = ""
    image_url: Raw = Raw()
    input_audio: Raw = Raw()
    file: Raw = Raw()
    source: Raw = Raw()
    file_data: Raw = Raw()

    def bulk(self) -> int:
        """Bytes that are no text."""
        return sum(map(len, (self.image_url, self.input_audio, self.file, self.source, self.file_data)))


class _Message(Struct):
    content: Raw = Raw()


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode


def _media_of(text: bytes, parts: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """The media within messages: the ability that each needs, and its bytes. A mark may be somebody's text."""
    if text.count(b"{") > _MOST_OBJECTS:
        return
    try:
        for message in _decode_messages(text):
            if bytes(memoryview(message.content)[:1]) != b"[":
                continue
            for part in _decode_parts(message.content):
                ability = parts.get(part.type)
                if ability is not None:
                    yield ability, part.bulk()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return


def _density(samples: list[bytes]) -> float:
    """Tokens per byte: a quarter of plain text, more where one character is written with several bytes.

    About one token for each character of three bytes, such as Chinese, or for one written as `\\u4e2d`.
    """
    text = b"".join(samples)
    if not text:
        return 0.25
    # Two bytes take long to count, and prose has few escapes.
    escapes = text.count(b"\\u") if text.count(b"\\") * 50 > len(text) else 0
    tokens = (len(text) - 6 * escapes) / 4 + escapes
    if not text.isascii():
        wide = len(text) - len(text.decode("utf-8", "ignore"))
        tokens += wide / 8
    return tokens / len(text)


def _sample(text: memoryview) -> bytes:
    if len(text) <= _WHOLE:
        return bytes(text)
    middle = (len(text) - _SAMPLE) // 2
    return b"".join((text[:_SAMPLE], text[middle : middle + _SAMPLE], text[-_SAMPLE:]))


def _output(fields: Mapping[str, Raw]) -> int:
    for name in _CAPS:
        if (raw := fields.get(name)) is not None:
            digits = bytes(raw)
            return int(digits) if len(digits) < 10 and digits.isdigit() else 0
    return 0


class _Format(Struct):
    type: str = ""


_decode_format = msgspec.json.Decoder(_Format).decode
_BY_FORMAT: Final = {"json_schema": "structured", "json_object": "json_mode"}
_EMPTY: Final = frozenset({b"null", b"[]", b"[ ]"})


def _abilities(fields: Mapping[str, Raw]) -> Iterator[str]:
    """What the fields beside the prompt need."""
    if any(name in fields and bytes(fields[name]) not in _EMPTY for name in ("tools", "functions")):
        yield "tools"
    if (raw := fields.get("response_format")) is not None:
        try:
            ability = _BY_FORMAT.get(_decode_format(raw).type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if ability is not None:
            yield ability


def _is_forced(choice: Raw | None) -> bool:
    return choice is not None and bytes(choice) not in {b'"auto"', b'"none"', b"null"}


def _rounded(tokens: float) -> int:
    """To three figures: it is an estimate."""
    whole = int(tokens)
    return int(round(whole, min(0, 3 - len(str(whole)))))
