"""Which models go on with an answer that a trailing assistant message begins, and how each kind wants to be told.

OpenAI's wire has no word for it: most servers answer such a message as if it were an earlier turn, some refuse it, and
some continue it. The rows name only models that are known to continue; for everything else the operator's word counts.
A model that thinks would think anew before it goes on, or takes the beginning for thoughts, so thinking is turned off
where that can be said, and models that cannot but think are left out.

Facts are from the providers' documentation and from the sources of the servers; those of Gemini, which lists its models
nowhere, from public issues (pipecat#5821).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from proxy.streams.seam import Echo

_ANY: Final = re.compile(r".*")


@dataclass(frozen=True, slots=True)
class Prefill:
    """How an answer is continued. The defaults are the plain way: an assistant message at the end, and nothing else."""

    echo: Echo = Echo.UNKNOWN
    models: re.Pattern[str] = _ANY
    """The whole names of the models that do it, in lower case and without what stands before their last slash."""
    message: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Members that the assistant message has besides its role and content."""
    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Request fields that are set. An object is merged into the client's own, if it sent one."""
    drop: frozenset[str] = frozenset()
    """Request fields of the client's that would stand against it, and are left out."""
    path: str | None = None
    """What the address ends in instead of `/v1`, before `/chat/completions`; None: it is the usual one."""

    @property
    def is_plain(self) -> bool:
        """Whether a trailing message is enough, and the answer does not repeat it."""
        return not (self.message or self.path or self.echo is Echo.ALWAYS)

    def address(self, base_url: str) -> str:
        """The address to which `/chat/completions` is added, made of the usual one."""
        if self.path is None or base_url.endswith(self.path):
            return base_url
        return base_url.removesuffix("/v1") + self.path


_CLAUDE: Final = re.compile(r"claude-3([-.].+)?|claude-[a-z]+-4([-.][015])?([-@](\d{8}|latest))?")
"""Up to the generation 4.5, by alias or with a date. Later ones refuse."""
_CLAUDE_ON_BEDROCK: Final = re.compile(
    r"(?:[a-z-]+\.)?anthropic\.(?:claude-3[-.].+|claude-[a-z]+-4(?:-[015])?-\d{8}-v.+)"
)
"""The same, also behind the name of a region."""
_GEMINI: Final = re.compile(r"gemini-(2\.|3-|3\.1-).+")
"""From 3.5 on some refuse, and all that came later."""
_DEEPSEEK: Final = re.compile(r"deepseek-(?!reasoner|r1).+")
_MISTRAL: Final = re.compile(r"(?!magistral).+")
_GROQ: Final = re.compile(r"(llama|gemma|mistral|mixtral|allam|kimi-k2-instruct).*")
"""Of the models of many makers, those that answer without thinking."""
_OWN_SERVER: Final = re.compile(r"(?!.*(gpt-oss|qwq|magistral|deepseek-r1|minimax-m\d|thinking|reasoner)).*")
"""On one's own machines a model is called anything; whatever is known to think always is left out."""

_THINKING: Final = frozenset({"thinking", "reasoning_effort"})

PREFILLS: Final[Mapping[str, Prefill]] = MappingProxyType(
    {
        # Thinking is off unless it is asked for, and a beginning without thoughts is refused while it is on.
        "anthropic": Prefill(Echo.NEVER, _CLAUDE, drop=_THINKING),
        "bedrock": Prefill(Echo.NEVER, _CLAUDE_ON_BEDROCK, drop=_THINKING),
        "gemini": Prefill(models=_GEMINI),
        # Its models think unless told otherwise.
        "deepseek": Prefill(
            models=_DEEPSEEK,
            message={"prefix": True},
            fields={"thinking": {"type": "disabled"}},
            drop=_THINKING,
            path="/beta",
        ),
        "mistral": Prefill(
            Echo.ALWAYS, _MISTRAL, message={"prefix": True}, drop=frozenset({"reasoning_effort", "prompt_mode"})
        ),
        "groq": Prefill(models=_GROQ),
        # Both are needed: the second is true unless said otherwise, and the two exclude each other. It repeats the
        # beginning only to those who ask for it with `echo`.
        "vllm": Prefill(
            Echo.NEVER,
            _OWN_SERVER,
            fields={"continue_final_message": True, "add_generation_prompt": False},
            drop=frozenset({"echo"}),
        ),
        # It refuses while a template could think, whether or not the model would.
        "llamacpp": Prefill(models=_OWN_SERVER, fields={"chat_template_kwargs": {"enable_thinking": False}}),
        # `think` is a field of its native wire; on OpenAI's it is this effort that means the same. `reasoning` would
        # overrule it.
        "ollama": Prefill(models=_OWN_SERVER, fields={"reasoning_effort": "none"}, drop=frozenset({"reasoning"})),
        "simulated": Prefill(),
    }
)
"""The kinds some of whose models do it. Not OpenAI, Azure and xAI, where a new turn starts, nor OpenRouter, where it
depends on who serves the model at the moment."""


def prefill_of(kind: str, model: str, told: bool | None) -> Prefill | None:
    """How this model is made to go on with an answer; None if it is not known to.

    `told` is the operator's word: True stands above what is known of the model, and of a kind that has no row (the
    plain way is tried then); False rules it out; None leaves it to the rows.
    """
    if told is False:
        return None
    known = PREFILLS.get(kind)
    if told:
        return known or Prefill()
    name = model.rsplit("/", 1)[-1].lower()
    return known if known is not None and known.models.fullmatch(name) else None
