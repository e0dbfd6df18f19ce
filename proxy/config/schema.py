"""What routes.yaml may say: every key, its meaning, unit and default.

The sections that may stand in several places are in `schema_policies.py`. The models only describe and bound single
values; what the values mean together is checked in `meaning.py`, and `resolve.py` turns the whole into the frozen
settings that the rest of the proxy reads. Unknown keys are errors. The JSON Schema that editors use
(`deploy/routes.schema.json`) is made from these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from proxy.config.schema_policies import (
    DefaultRetry,
    Hedge,
    LastResort,
    LimitForm,
    Nearest,
    NearestChain,
    NearestLimit,
    Panic,
    Section,
    UpstreamRetry,
)
from proxy.config.units import Duration, PositiveDuration, Share, Size, Workers

KindName = Literal[
    "openai", "anthropic", "gemini", "azure", "bedrock", "ollama", "llamacpp", "vllm", "deepseek", "xai", "mistral",
    "groq", "openrouter", "simulated",
]  # fmt: skip
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A name that goes into headers, logs and metric labels: letters, digits, dot, dash, underscore; at most 64."""

Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ClientPatience(Section):
    """How long the server waits for slow clients."""

    header: PositiveDuration = 10.0
    """From the connection's first moment to the end of the request's head. Default 10s."""
    body: PositiveDuration = 30.0
    """From the end of the head to the end of the body. Default 30s."""
    keepalive: PositiveDuration = 75.0
    """How long an idle connection is kept for its next request. Default 75s."""
    write: PositiveDuration = 60.0
    """How long a client may take none of the answer's bytes before it is let go. Default 60s."""


class Drain(Section):
    """What happens to running requests when the process is asked to stop."""

    delay: Duration = 0.0
    """How long new requests are still served, while /readyz already says no. Default 0s."""
    timeout: Duration = 60.0
    """How long running requests may take to finish before they are ended with an error. Default 60s."""


class Server(Section):
    """The listener and its limits."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on. Anything but the loopback needs `clients`. Default 127.0.0.1."""
    port: int = Field(default=8400, ge=0, le=65535)
    """Port to listen on; 0 takes any free one. Default 8400."""
    workers: Workers = 1
    """Processes that serve: a number up to 64, or `auto` for one per core. What is known of deployments, limits and
    budgets are those of all together. Default 1."""
    max_body: Size = 32 * 1024**2
    """The largest request body that is read. Default 32MB."""
    max_concurrent: int = Field(default=1000, ge=1)
    """Requests in flight at once; one more is answered with 503 and Retry-After. Default 1000."""
    max_waiting: int = Field(default=100, ge=0)
    """Requests that may wait for a place at a deployment that is full; one more is answered with 503. Default 100."""
    timeout: ClientPatience = ClientPatience()
    """Patience with clients."""
    watch: bool = True
    """Whether a change of this file takes effect by itself; otherwise it waits for `holdfast reload` or SIGHUP.
    Default true."""
    front_lane: bool = True
    """Whether plain requests are taken off the socket before aiohttp's machinery, which saves time and decides nothing;
    otherwise all go through aiohttp. Default true."""
    drain: Drain = Drain()
    """Stopping without breaking answers."""


class Defaults(NearestChain):
    """What holds wherever nothing nearer is said."""

    deadline: PositiveDuration = 120.0
    """The end of a request, from its arrival: over every attempt, wait and the stream. Default 120s."""
    retry: DefaultRetry | None = None
    """Trying one deployment again, and the budget for it."""
    panic: Panic = 0.5
    """The share of a chain that must be out at once for open breakers to be tried early; `never` switches it off.
    Default 50%."""
    degraded_below: Share = 0.6
    """The share of a route's weighted capacity below which /health calls the route degraded. Default 60%."""


class Price(Section):
    """What a model costs, in USD per million tokens."""

    input: Usd | None = None
    """Of the prompt."""
    output: Usd | None = None
    """Of the answer, thoughts included."""
    cache_read: Usd | None = None
    """Of the part of a prompt that was found in the provider's cache. Without it: `input`."""
    cache_write: Usd | None = None
    """Of the part of a prompt that was put there. Without it: `input`."""


class ModelFacts(Section):
    """What is known of one model of an upstream. Whatever is left out is what the catalogue says, if it does."""

    context: int | None = Field(default=None, ge=1)
    """Context window in tokens, prompt and answer together. A request that would not fit is sent elsewhere."""
    max_input: int | None = Field(default=None, ge=1)
    """The most tokens of a prompt, where that is less than the window."""
    max_output: int | None = Field(default=None, ge=1)
    """The most tokens of an answer."""
    quality: Share | None = None
    """How good its answers are, from 0 to 1; told in `x-holdfast-degraded`."""
    prefill: bool | None = None
    """Whether it takes an assistant's message at the end for the beginning of its own answer, and goes on with it.
    Default: what is known of the kind, and what its answers teach."""
    price: Price | None = None
    """What it costs. Given, it takes the place of all that the catalogue says of its price."""
    vision: bool | None = None
    """Whether it takes images."""
    audio: bool | None = None
    """Whether it takes sound."""
    documents: bool | None = None
    """Whether it takes PDF files."""
    tools: bool | None = None
    """Whether it calls functions."""
    structured: bool | None = None
    """Whether its output can be bound to a JSON schema."""
    json_mode: bool | None = None
    """Whether its output can be bound to JSON of any form."""
    reasoning: bool | None = None
    """Whether it can think before it answers."""
    dimensions: int | None = Field(default=None, ge=1)
    """Of an embeddings model: numbers in each of its vectors."""


class Upstream(Nearest):
    """An account or a server: its address, language and credentials."""

    kind: KindName
    """Which provider's habits it has; any OpenAI-compatible server is `openai`."""
    base_url: str | None = None
    """Where its API begins, usually ending in /v1. Each kind knows its own where there is only one."""
    api_key: SecretStr | None = None
    """The credential. When its variable is unset the upstream is unconfigured and is skipped."""
    api_keys: list[SecretStr] | None = Field(default=None, min_length=1)
    """A pool of credentials: a rate limit or a refusal rests that key, not the upstream."""
    only_without_keys: bool = False
    """For `simulated` only: stand in as long as no upstream of the file has a key, and step aside once one has."""
    models: dict[str, ModelFacts] = Field(default_factory=dict)
    """Facts about models, by the name that the upstream knows."""
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """What only its kind knows. anthropic: `version` and `beta` (headers), `degrade`, `stub_results`; azure:
    `api_version`; bedrock: `region`; gemini: `include_thoughts`; ollama: `num_ctx`, `keep_alive`."""
    max_concurrent: LimitForm | None = None
    """Attempts at once on the whole upstream, all its models together: a number, `adaptive`, or {initial, min, max}.
    Default: no such limit."""
    retry: UpstreamRetry | None = None
    """Trying one of its deployments again, and its own budget for it."""


class Step(NearestLimit):
    """One link of a chain."""

    to: str
    """`upstream/model`; a `*` in the model stands for the name that the client asked for."""
    weight: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """For `strategy: weighted`: its part of the requests, in proportion to the other weights; 0 only as a fallback.
    Default 1."""
    quality: Share | None = None
    """How good its answers are on this route, from 0 to 1. Default: that of the model."""


def _step(value: Any) -> Any:
    return {"to": value} if isinstance(value, str) else value


class Route(NearestChain):
    """A name that clients put in `model`, and the chain behind it."""

    chain: list[Annotated[Step, BeforeValidator(_step)]] = Field(min_length=1)
    """The deployments to try, in order."""
    strategy: Literal["sequential", "weighted", "parallel"] = "sequential"
    """`sequential`: in order. `weighted`: the first is drawn by weight. `parallel`: all at once, the first good answer
    wins. Default sequential."""
    hedge: Hedge | None = None
    """A second attempt while the first is slower than usual; without it there is none."""
    deadline: PositiveDuration | None = None
    """The end of a request of this route, from its arrival. Default: that of `defaults`."""
    last_resort: LastResort | None = None
    """The answer when all fail; without it the client gets an error that says what was tried."""
    mixed_dimensions: bool = False
    """Whether its embeddings models may make vectors of different lengths, for clients that send `dimensions`.
    Default false."""


class Client(Section):
    """Somebody who may call."""

    name: Name
    """Shown in the log."""
    key: SecretStr | None = None
    """The key itself, best as ${VARIABLE}; or `key_hash`."""
    key_hash: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    """`sha256:` and the hexadecimal digest of the key."""
    routes: list[str] | None = Field(default=None, min_length=1)
    """Names or globs of the routes that this client may use; without it, all."""

    @field_validator("key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and 0 < len(key.get_secret_value()) < 8:
            raise ValueError("a client key needs at least 8 characters")
        return key


class Admin(Section):
    """The control plane. Without a key it answers the loopback only."""

    key: SecretStr | None = None
    """Sent by operators as a Bearer token."""


class State(Section):
    """What survives a restart."""

    path: str = Field(default="holdfast.db", min_length=1)
    """The file that keeps it, relative to the folder of routes.yaml. Default holdfast.db."""


class Log(Section):
    """One line per request on standard error."""

    format: Literal["auto", "text", "json"] = "auto"
    """`auto` is text on a terminal and json elsewhere. Default auto."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged. Default info."""


class Telemetry(Section):
    """What is told to operators."""

    log: Log = Log()
    """The log."""


class Config(Section):
    """The whole of routes.yaml."""

    version: Literal[1]
    """The version of this format: 1."""
    server: Server = Server()
    """The listener and its limits."""
    upstreams: dict[Name, Upstream] = Field(min_length=1)
    """Accounts and servers, by a name of your choice."""
    defaults: Defaults = Defaults()
    """What holds wherever nothing nearer is said."""
    routes: dict[str, Route] = Field(min_length=1)
    """Names that clients put in `model`, exact or as globs."""
    clients: list[Client] | None = Field(default=None, min_length=1)
    """Who may call. Without it anyone on the loopback may."""
    admin: Admin = Admin()
    """The control plane."""
    state: State | None = State()
    """What survives a restart; `null` keeps nothing."""
    telemetry: Telemetry = Telemetry()
    """What is told to operators."""
