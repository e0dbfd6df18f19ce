"""The kinds of providers, as data: where each is found, how it is authenticated, where its OpenAI chat wire deviates.

A provider that speaks OpenAI's chat wire needs nothing but a row here, or not even that: any such server is
`kind: openai` with a `base_url`. Facts are from the providers' documentation and SDKs; what a model refuses beyond them
is learned from its errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

_ANY_CAP: Final = "any"
_OLD_CAP: Final = "max_tokens"


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a kind's chat wire deviates from OpenAI's, as far as top-level members go. The defaults edit the least."""

    token_cap: Literal["max_tokens", "max_completion_tokens", "any"] = _ANY_CAP
    """The name of the cap on output tokens; `any` passes on whichever the client used."""
    drop: frozenset[str] = frozenset()
    """Request fields that are refused or mean nothing there."""
    rename: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Request fields that have another name there."""
    developer_role: bool = False
    """Whether messages may have the role `developer`; where not, it becomes `system`."""
    stream_usage: bool = True
    """Whether `stream_options.include_usage` may be asked for; where not, the usage comes unasked."""
    reasoning_field: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    """Where messages and deltas carry reasoning text. Clients read `reasoning_content`, which is added if missing."""
    empty_finish_reason: str | None = None
    """What a finish reason of "" means where tools were called; None where "" means that nothing has finished."""
    usage_lacks_reasoning: bool = False
    """Whether `completion_tokens` leaves out the reasoning tokens, which `total_tokens` counts."""

    edits_answers: bool = field(init=False)
    """Whether answers may need an edit at all; worked out once, since it is asked for every event."""

    passes_all: bool = field(init=False)
    """Whether requests go on as they came, but for the model's name and the options of a stream."""

    def __post_init__(self) -> None:
        aliased = self.reasoning_field != "reasoning_content"
        edits = aliased or self.empty_finish_reason is not None or self.usage_lacks_reasoning
        object.__setattr__(self, "edits_answers", edits)
        changes = self.drop or self.rename or not self.developer_role or self.token_cap != _ANY_CAP
        object.__setattr__(self, "passes_all", not changes)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of provider."""

    name: str
    base_url: str | None = None
    """The address that is used if routes.yaml names none; None: it must be given. Without a slash at the end."""
    key_variable: str | None = None
    """The environment variable that usually holds the key; None: no key is needed."""
    auth_header: Literal["Authorization", "api-key"] = "Authorization"
    local: bool = False
    """Whether it runs on one's own machines: no account, and models that are loaded first."""
    free: bool = False
    """Whether asking it costs nothing but a moment of a machine of one's own."""
    default_path: str = ""
    """Added to an address that is given without any path (`http://127.0.0.1:11434`); "" takes addresses as they are."""
    quirks: Quirks = Quirks()
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Headers that every request carries."""


_OPENAI_ONLY = frozenset(
    {
        "metadata", "prediction", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier",
        "store", "verbosity", "web_search_options",
    }
)  # fmt: skip
"""Fields of OpenAI's platform rather than of the wire: elsewhere they are refused or ignored, and what they tell is
meant for OpenAI. Not `modalities`: it says what kind of answer is wanted, so an upstream without it shall refuse."""

_ROWS = (
    # Whatever speaks the wire is `kind: openai`, so the cap goes on under the client's name: servers that do not know
    # `max_completion_tokens` ignore it silently, while OpenAI's newer models refuse `max_tokens` loudly, once, and the
    # executor remembers.
    Kind("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", quirks=Quirks(developer_role=True)),
    # The address holds the resource's name. Mistral's models refuse `max_completion_tokens` there, OpenAI's newer ones
    # `max_tokens`: learned, as above.
    Kind(
        "azure",
        key_variable="AZURE_OPENAI_API_KEY",
        auth_header="api-key",
        default_path="/openai/v1",
        quirks=Quirks(developer_role=True),
    ),
    # The compatible endpoint ignores what it does not know.
    Kind("anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", quirks=Quirks(drop=_OPENAI_ONLY)),
    Kind(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        quirks=Quirks(token_cap=_OLD_CAP, drop=_OPENAI_ONLY),
    ),
    # It ignores `max_completion_tokens` silently.
    Kind(
        "deepseek",
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        quirks=Quirks(token_cap=_OLD_CAP, drop=_OPENAI_ONLY),
    ),
    # What its reasoning models refuse (`stop`, penalties) depends on the model: learned.
    Kind(
        "xai",
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        quirks=Quirks(drop=_OPENAI_ONLY, empty_finish_reason="tool_calls", usage_lacks_reasoning=True),
    ),
    # It refuses every field that it does not know. Its predictions are OpenAI's.
    Kind(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        quirks=Quirks(
            token_cap=_OLD_CAP,
            drop=(_OPENAI_ONLY - {"prediction"}) | {"user", "logit_bias", "stream_options"},
            rename=MappingProxyType({"seed": "random_seed"}),
            stream_usage=False,
        ),
    ),
    Kind(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        quirks=Quirks(drop=_OPENAI_ONLY - {"service_tier"}, reasoning_field="reasoning"),
    ),
    # It passes on what the model behind it may know.
    Kind(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        quirks=Quirks(token_cap=_OLD_CAP, reasoning_field="reasoning"),
    ),
    # Local servers ignore what they do not know, so nothing is dropped. Ollama does not know `max_completion_tokens`.
    Kind(
        "ollama",
        "http://127.0.0.1:11434/v1",
        local=True,
        free=True,
        default_path="/v1",
        quirks=Quirks(token_cap=_OLD_CAP, reasoning_field="reasoning"),
    ),
    Kind(
        "llamacpp",
        "http://127.0.0.1:8080/v1",
        local=True,
        free=True,
        default_path="/v1",
        quirks=Quirks(token_cap=_OLD_CAP),
    ),
    Kind("vllm", local=True, free=True, default_path="/v1", quirks=Quirks(reasoning_field="reasoning")),
    # Our own simulator: a well-behaved OpenAI.
    Kind("simulated", local=True, default_path="/v1", quirks=Quirks(developer_role=True)),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ROWS})
"""Every kind by name. Bedrock and the native wires of Anthropic, Gemini and Ollama are not among them yet."""


def auth(kind: Kind, key: str | None) -> dict[str, str]:
    """The header that carries the credential; empty without a key.

    A key that cannot stand in a header (a line break in a key file) is a ValueError, which does not repeat it.
    """
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"the key for {kind.name} holds a character that cannot stand in a header")
    return {kind.auth_header: key if kind.auth_header == "api-key" else f"Bearer {key}"}


def address(kind: Kind, base_url: str | None) -> str | None:
    """The address to which `/chat/completions` is added: the given one, else the kind's; None if there is neither.

    An address without any path gets the kind's usual one, so that `http://127.0.0.1:11434` and
    `http://127.0.0.1:11434/v1` are the same.
    """
    if base_url is None:
        return kind.base_url
    return base_url.rstrip("/") + ("" if urlsplit(base_url).path.strip("/") else kind.default_path)
