"""The columns: every kind of upstream that the registry has, each at an address of its own."""

from __future__ import annotations

from typing import NamedTuple

from proxy.core.wire import Wire
from proxy.dialects.registry import KINDS, Kind

MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-pro",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
}
"""What is asked where the name of the model says what may be sent."""
ANY_MODEL = "river-7b"
DATED = "2024-10-21"


class Upstream(NamedTuple):
    """One column."""

    name: str
    kind: Kind
    options: str = "{}"

    @property
    def model(self) -> str:
        return MODELS.get(self.kind.name, ANY_MODEL)

    @property
    def language(self) -> str:
        """Of its chat."""
        return self.kind.dialect or "openai"

    def way(self, wire: Wire) -> str:
        """How a client's request reaches it."""
        if wire in self.kind.paths and (wire is not Wire.CHAT or self.kind.dialect is None):
            return "as it is"
        if wire is Wire.EMBEDDINGS:
            return "-"
        if wire is Wire.COUNT_TOKENS:
            return "estimated"
        return "as chat" if self.kind.dialect is None else f"as {self.kind.dialect}"

    def written(self, port: int) -> str:
        """Its line in routes.yaml, at a port of this machine."""
        # The path is a root that says nothing, where the kind would have none of its own.
        address = f"http://127.0.0.1:{port}" + ("" if self.kind.dialect or self.kind.default_path else "/v1")
        where = f'base_url: "{address}", api_key: sk-of-the-upstream, options: {self.options}'
        return f"  {self.name}: {{kind: {self.kind.name}, {where}}}\n"


UPSTREAMS = (
    *(Upstream(kind.name, kind) for kind in KINDS.values()),
    # The older of Azure's two addresses.
    Upstream("azure-dated", KINDS["azure"], f'{{api_version: "{DATED}"}}'),
)
_LANGUAGES = list(dict.fromkeys(each.language for each in UPSTREAMS))


def next_to(upstream: Upstream, wire: Wire = Wire.CHAT) -> Upstream:
    """One that speaks another language, where its requests go when it fails. Embeddings have one language only."""
    if wire is Wire.EMBEDDINGS:
        # Two whose windows nobody has told: whoever finds a text too long is followed by larger windows only.
        return next(each for each in UPSTREAMS if each.name in {"openai", "azure"} and each != upstream)
    language = _LANGUAGES[(_LANGUAGES.index(upstream.language) + 1) % len(_LANGUAGES)]
    return next(each for each in UPSTREAMS if each.language == language)


def all_before(upstream: Upstream) -> list[Upstream]:
    """One of each other language, in the order in which they are asked before it."""
    at = _LANGUAGES.index(upstream.language)
    others = _LANGUAGES[at + 1 :] + _LANGUAGES[:at]
    return [next(each for each in UPSTREAMS if each.language == language) for language in others]
