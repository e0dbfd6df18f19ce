"""The kinds of providers, as data: where each is found, how it is authenticated, which languages it speaks, and where
its OpenAI chat wire deviates.

A provider that speaks OpenAI's chat wire needs nothing but a row here, or not even that: any such server is
`kind: openai` with a `base_url`. Facts are from the providers' documentation and SDKs; what a model refuses beyond them
is learned from its errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import quote, urlsplit

from proxy.core.wire import Wire

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

    plain_messages: bool = False
    """Whether messages and tools may hold nothing but what the oldest of OpenAI's had, and ids of calls must be nine
    letters and digits: Mistral refuses a request for anything else."""
    thoughts_with_calls: bool = False
    """Whether a conversation in which tools were called is refused unless it has the thoughts, or something in their
    place, as DeepSeek's is while it thinks."""

    edits_answers: bool = field(init=False)
    """Whether answers may need an edit at all; worked out once, since it is asked for every event."""

    passes_all: bool = field(init=False)
    """Whether requests go on as they came, but for the model's name and the options of a stream."""

    def __post_init__(self) -> None:
        aliased = self.reasoning_field != "reasoning_content"
        edits = aliased or self.empty_finish_reason is not None or self.usage_lacks_reasoning
        object.__setattr__(self, "edits_answers", edits)
        changes = self.drop or self.rename or not self.developer_role or self.token_cap != _ANY_CAP
        changes = changes or self.plain_messages or self.thoughts_with_calls
        object.__setattr__(self, "passes_all", not changes)


AuthHeader = Literal["Authorization", "api-key", "x-api-key", "x-goog-api-key"]

_CHAT: Final[Mapping[Wire, str]] = MappingProxyType({Wire.CHAT: "/chat/completions"})
_ALL_OF_OPENAI: Final[Mapping[Wire, str]] = MappingProxyType(
    {
        **_CHAT,
        Wire.COMPLETIONS: "/completions",
        Wire.RESPONSES: "/responses",
        Wire.EMBEDDINGS: "/embeddings",
    }
)


def _paths(**paths: str) -> Mapping[Wire, str]:
    return MappingProxyType({Wire(name): path for name, path in paths.items()})


def _no_options() -> Mapping[str, type]:
    return MappingProxyType({})


_NO_OPTIONS: Final[Mapping[str, object]] = MappingProxyType({})
_AZURE_V1: Final = ("v1", "preview", "latest")
"""Versions of Azure's API that are addressed as OpenAI's is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of provider."""

    name: str
    base_url: str | None = None
    """The address that is used if routes.yaml names none; None: it must be given. Without a slash at the end."""
    key_variable: str | None = None
    """The environment variable that usually holds the key; None: no key is needed."""
    auth_header: AuthHeader = "Authorization"
    auth_headers: Mapping[Wire, AuthHeader] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Of wires whose key goes into another header."""
    signs: bool = False
    """Whether a credential of the form `ID:SECRET` or `ID:SECRET:SESSION` signs requests, in place of being sent."""
    local: bool = False
    """Whether it runs on one's own machines: no account, and models that are loaded first."""
    free: bool = False
    """Whether asking it costs nothing but a moment of a machine of one's own."""
    default_path: str = ""
    """Added to an address that is given without any path (`http://127.0.0.1:8080`); "" takes addresses as they are."""
    roots: tuple[str, ...] = ()
    """Ends of a given address that are no part of it: people copy them from where another language is explained."""
    dialect: str | None = None
    """The language of its chat, by its name in `languages.py`; None for OpenAI's."""
    paths: Mapping[Wire, str] = field(default_factory=lambda: _ALL_OF_OPENAI, hash=False)
    """The languages of clients that it speaks itself, and where, below its address."""
    stream_type: str = "text/event-stream"
    """The content type of its streams."""
    options: Mapping[str, type] = field(default_factory=_no_options, hash=False)
    """What routes.yaml may say under an upstream's `options`, and of which type."""
    option_headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Options that are headers of every request."""
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
        options=MappingProxyType({"api_version": str}),
        quirks=Quirks(developer_role=True),
    ),
    Kind(
        "anthropic",
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        auth_header="x-api-key",
        roots=("/v1/messages", "/v1"),
        dialect="anthropic",
        paths=_paths(messages="/v1/messages", count_tokens="/v1/messages/count_tokens"),
        headers=MappingProxyType({"anthropic-version": "2023-06-01"}),
        options=MappingProxyType({"version": str, "beta": str, "stub_results": bool, "degrade": bool}),
        option_headers=MappingProxyType({"version": "anthropic-version", "beta": "anthropic-beta"}),
    ),
    # Embeddings are asked for at its compatible endpoint, which takes the key as OpenAI does.
    Kind(
        "gemini",
        "https://generativelanguage.googleapis.com",
        "GEMINI_API_KEY",
        auth_header="x-goog-api-key",
        auth_headers=MappingProxyType({Wire.EMBEDDINGS: "Authorization"}),
        roots=("/v1beta/openai", "/v1beta"),
        options=MappingProxyType({"include_thoughts": bool}),
        dialect="gemini",
        paths=_paths(embeddings="/v1beta/openai/embeddings"),
    ),
    # The address holds the region, which `options` may name in its place.
    Kind(
        "bedrock",
        key_variable="AWS_BEARER_TOKEN_BEDROCK",
        signs=True,
        dialect="bedrock",
        paths=_paths(),
        stream_type="application/vnd.amazon.eventstream",
        options=MappingProxyType({"region": str}),
    ),
    # It ignores `max_completion_tokens` silently.
    Kind(
        "deepseek",
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        auth_headers=MappingProxyType({Wire.MESSAGES: "x-api-key"}),
        roots=("/v1",),
        paths=_paths(chat="/chat/completions", messages="/anthropic/v1/messages"),
        quirks=Quirks(token_cap=_OLD_CAP, drop=_OPENAI_ONLY, thoughts_with_calls=True),
    ),
    # What its reasoning models refuse (`stop`, penalties) depends on the model: learned.
    Kind(
        "xai",
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        paths=_paths(chat="/chat/completions", completions="/completions", responses="/responses"),
        quirks=Quirks(drop=_OPENAI_ONLY, empty_finish_reason="tool_calls", usage_lacks_reasoning=True),
    ),
    # It refuses every field that it does not know. Its predictions are OpenAI's.
    Kind(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        paths=_paths(chat="/chat/completions", embeddings="/embeddings"),
        quirks=Quirks(
            token_cap=_OLD_CAP,
            drop=(_OPENAI_ONLY - {"prediction"}) | {"user", "logit_bias", "stream_options", "top_k"},
            rename=MappingProxyType({"seed": "random_seed"}),
            stream_usage=False,
            plain_messages=True,
        ),
    ),
    Kind(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        paths=_paths(chat="/chat/completions", responses="/responses"),
        quirks=Quirks(drop=_OPENAI_ONLY - {"service_tier"}, reasoning_field="reasoning"),
    ),
    # It passes on what the model behind it may know.
    Kind(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        quirks=Quirks(token_cap=_OLD_CAP, reasoning_field="reasoning"),
    ),
    # Its chat in its own language: the compatible endpoint cuts prompts silently, and knows no window.
    Kind(
        "ollama",
        "http://127.0.0.1:11434",
        local=True,
        free=True,
        roots=("/v1", "/api"),
        dialect="ollama",
        paths=_paths(
            completions="/v1/completions",
            responses="/v1/responses",
            messages="/v1/messages",
            embeddings="/v1/embeddings",
        ),
        stream_type="application/x-ndjson",
        options=MappingProxyType({"num_ctx": int, "keep_alive": str}),
    ),
    # Local servers ignore what they do not know, so nothing is dropped. Its own responses are left alone: it makes
    # chats of them, but leaves out `text.format`, calls what reached the cap `completed`, and refuses others' thoughts.
    Kind(
        "llamacpp",
        "http://127.0.0.1:8080/v1",
        local=True,
        free=True,
        default_path="/v1",
        paths=_paths(
            chat="/chat/completions",
            completions="/completions",
            embeddings="/embeddings",
            messages="/messages",
            count_tokens="/messages/count_tokens",
        ),
        quirks=Quirks(token_cap=_OLD_CAP),
    ),
    Kind(
        "vllm",
        local=True,
        free=True,
        default_path="/v1",
        paths=MappingProxyType({**_ALL_OF_OPENAI, Wire.MESSAGES: "/messages"}),
        quirks=Quirks(reasoning_field="reasoning"),
    ),
    # Our own simulator: a well-behaved OpenAI.
    Kind("simulated", local=True, default_path="/v1", quirks=Quirks(developer_role=True)),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ROWS})
"""Every kind by name."""


def auth(kind: Kind, key: str | None, wire: Wire = Wire.CHAT) -> dict[str, str]:
    """The header that carries the credential on a wire; empty without a key.

    A key that cannot stand in a header (a line break in a key file) is a ValueError, which does not repeat it.
    """
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"the key for {kind.name} holds a character that cannot stand in a header")
    name = kind.auth_headers.get(wire, kind.auth_header)
    return {name: f"Bearer {key}" if name == "Authorization" else key}


def path_at(kind: Kind, path: str, model: str, options: Mapping[str, object]) -> str:
    """The path of a request below its upstream's address, which on Azure may hold the model, and a version."""
    version = options.get("api_version")
    if kind.name != "azure" or version is None:
        return path
    if version in _AZURE_V1 or path == _ALL_OF_OPENAI[Wire.RESPONSES]:
        return f"{path}?api-version={version}"
    return f"/deployments/{quote(model, safe='')}{path}?api-version={version}"


def address(kind: Kind, base_url: str | None, options: Mapping[str, object] = _NO_OPTIONS) -> str | None:
    """The address to which paths are added: the given one, else the kind's; None if there is neither.

    An address without any path gets the kind's usual one, so that `http://127.0.0.1:8080` and
    `http://127.0.0.1:8080/v1` are the same; one that ends in a path of the kind's is taken up to there.
    """
    if base_url is None:
        region = options.get("region")
        return f"https://bedrock-runtime.{region}.amazonaws.com" if kind.name == "bedrock" and region else kind.base_url
    given = base_url.rstrip("/")
    if kind.name == "azure" and options.get("api_version", "v1") not in _AZURE_V1:
        # The versions by date have another address, below which each deployment has one of its own.
        return given.removesuffix("/v1").removesuffix("/openai") + "/openai"
    for root in kind.roots:
        if given.endswith(root):
            return given.removesuffix(root)
    return given + ("" if urlsplit(given).path.strip("/") else kind.default_path)
