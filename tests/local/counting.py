"""A model of two megabytes that counts: it answers " 1 2 3 ..." up to a last number, and goes on where it is told to.

Its layer does nothing, so that every token is followed by what its own row says: each row of the output points at the
embedding of the token before. Embeddings are drawn by a seed and nearly at right angles, so the next number is certain
at any usual temperature, while all around the model (templates, tokens, windows, sampling) is as in a large one.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from functools import cache
from itertools import chain, pairwise
from typing import Final

from tests.local.gguf import Tensor, Value, document

LAST: Final = 4000
"""Where it ends by itself."""
TRAINED: Final = 32768
"""The longest window that it may be served with, in tokens."""
WIDTH: Final = 64
INNER: Final = 32
HEADS: Final = 2
CERTAINTY: Final = 8.0
"""Times the square root of the width: how far the next token's logit stands above the rest."""
SEED: Final = 7

BOUNDARY: Final = "\u2581"
"""How a space is written within tokens."""
END: Final = "<|end|>"
ROLES: Final = ["<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"]
SPECIAL: Final = ["<unk>", "<s>", END, *ROLES]
BYTES: Final = [f"<0x{byte:02X}>" for byte in range(256)]
MARKS: Final = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
THOUGHTS: Final = [f"{BOUNDARY}{word}" for word in ("so", "let", "me", "see")]
CALL: Final = [
    text.replace(" ", BOUNDARY) for text in ('{"name":', ' "weather",', ' "arguments": {"city":', ' "Par', 'is"}}')
]
DIGITS: Final = [BOUNDARY, *(str(digit) for digit in range(10))]
NUMBERS: Final = [f"{BOUNDARY}{number}" for number in range(1, LAST + 1)]
TOKENS: Final = [*SPECIAL, *BYTES, *MARKS, *THOUGHTS, *CALL, *DIGITS, *NUMBERS]
KINDS: Final = [
    *[2, *[3] * (len(SPECIAL) - 1)],
    *[6] * len(BYTES),
    *[4] * len(MARKS),
    *[1] * (len(THOUGHTS) + len(CALL) + len(DIGITS) + len(NUMBERS)),
]
"""What each token is, in the format's own codes: unknown, control, byte, defined by the user, usual."""

TEMPLATE: Final = """\
{%- for message in messages -%}
{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"""
THINKING_TEMPLATE: Final = """\
{%- for message in messages -%}
{{- '<|' + message.role + '|>' -}}
{%- if message.role == 'assistant' and message.reasoning_content -%}
{{- '<think>' + message.reasoning_content + '</think>' -}}
{%- endif -%}
{{- message.content + '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- if enable_thinking is defined and not enable_thinking -%}{{- '<think></think>' -}}{%- endif -%}
{%- endif -%}"""
"""As those of models that think unless they are told not to."""


CALLING_TEMPLATE: Final = """\
{%- if tools -%}
{{- '<|system|>' -}}{%- for tool in tools -%}{{- tool | tojson -}}{%- endfor -%}{{- '<|end|>' -}}
{%- endif -%}
{%- for message in messages -%}
{{- '<|' + message.role + '|>' -}}
{%- if message.content -%}{{- message.content -}}{%- endif -%}
{%- for call in message.tool_calls or [] -%}
{{- '<tool_call>{"name": "' + call.function.name + '", "arguments": ' -}}
{{- (call.function.arguments | tojson) + '}</tool_call>' -}}
{%- endfor -%}
{{- '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"""
"""As those of models that call tools in the manner of Hermes and Qwen."""

PLAIN: Final = ["<|assistant|>", *NUMBERS, END]
THINKING: Final = ["<|assistant|>", "<think>", *THOUGHTS, "</think>", *NUMBERS, END]
CALLING: Final = ["<|assistant|>", "<tool_call>", *CALL, "</tool_call>", END]


def counting() -> bytes:
    """The file of the model that counts."""
    return document(_metadata(TEMPLATE), _tensors(PLAIN))


def thinking() -> bytes:
    """One that says " so let me see" to itself before it counts, unless it is told not to."""
    return document(_metadata(THINKING_TEMPLATE), _tensors(THINKING))


def calling() -> bytes:
    """One that calls the tool `weather` with the city of Paris, and nothing else."""
    return document(_metadata(CALLING_TEMPLATE), _tensors(CALLING))


def _metadata(template: str) -> dict[str, Value]:
    return {
        "general.architecture": "llama",
        "general.name": "counting",
        "llama.context_length": TRAINED,
        "llama.embedding_length": WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": TOKENS,
        # Of two pairs that may be joined, the one that makes the longer token goes first.
        "tokenizer.ggml.scores": [float(len(token)) if token in _NUMBERS else 0.0 for token in TOKENS],
        "tokenizer.ggml.token_type": KINDS,
        "tokenizer.ggml.unknown_token_id": TOKENS.index("<unk>"),
        "tokenizer.ggml.bos_token_id": TOKENS.index("<s>"),
        "tokenizer.ggml.eos_token_id": TOKENS.index(END),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.chat_template": template,
    }


def _tensors(said: Sequence[str]) -> list[Tensor]:
    """Of a model that says these tokens one after another."""
    embedding = _directions()
    output = {token: [0.0] * WIDTH for token in TOKENS}
    for before, after in pairwise(said):
        output[after] = [CERTAINTY * each for each in embedding[before]]
    return [
        Tensor("token_embd.weight", (WIDTH, len(TOKENS)), array("f", chain.from_iterable(embedding.values()))),
        Tensor("output.weight", (WIDTH, len(TOKENS)), array("f", chain.from_iterable(output.values()))),
        *(Tensor(f"{name}.weight", (WIDTH,), array("f", [1.0] * WIDTH)) for name in _NORMS),
        *(Tensor(f"blk.0.{name}.weight", shape, _nothing(shape)) for name, shape in _LAYER.items()),
    ]


_NUMBERS: Final = frozenset(NUMBERS)
_NORMS: Final = ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")
_LAYER: Final = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH, WIDTH),
    "attn_v": (WIDTH, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (WIDTH, INNER),
    "ffn_up": (WIDTH, INNER),
    "ffn_down": (INNER, WIDTH),
}


@cache
def _directions() -> dict[str, list[float]]:
    """For each token a vector of length 1."""
    luck = random.Random(SEED)
    drawn = {token: [luck.gauss(0, 1) for _ in range(WIDTH)] for token in TOKENS}
    lengths = {token: sum(each * each for each in row) ** 0.5 for token, row in drawn.items()}
    return {token: [each / lengths[token] for each in row] for token, row in drawn.items()}


def _nothing(shape: tuple[int, int]) -> array[float]:
    return array("f", bytes(4 * shape[0] * shape[1]))
