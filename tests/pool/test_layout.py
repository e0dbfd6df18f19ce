"""From one configuration to the next: which server is the same, which key was where, which rules hold."""

import pytest

from proxy.core.names import DeploymentId
from proxy.pool.layout import change_between, layout_of, rules_in
from tests.support.fleet import settings_of

BEFORE = """\
version: 1
upstreams:
  up: {kind: openai, base_url: "http://one/v1", api_keys: [first-key, second-key], max_concurrent: 7}
  local: {kind: ollama}
  unset: {kind: openai, api_key: "${NO_SUCH_KEY}"}
routes:
  chat: {chain: [up/m, local/m, unset/m]}
  "any-*": {chain: ["up/any-*"], breaker: {consecutive: 9}}
"""


def test_what_the_pool_is_asked_for() -> None:
    layout = layout_of(settings_of(BEFORE))

    assert {"up": 2, "local": 0, "unset": 0} == layout.key_counts
    assert ["up/m", "local/m"] == [str(id_) for id_, _ in layout.named]
    assert {"up": 7} == {name: limit.max for name, limit in layout.limits.items()}


@pytest.mark.parametrize(
    ("old", "new", "origins"),
    [
        ("7", "8", {"up": [0, 1], "local": [0], "unset": [0]}),
        ("first-key, second-key", "second-key, third-key", {"up": [1, None], "local": [0], "unset": [0]}),
        ("http://one", "http://two", {"local": [0], "unset": [0]}),
        ("kind: ollama", 'kind: openai, base_url: "http://x"', {"up": [0, 1], "unset": [0]}),
        ("kind: ollama", "kind: ollama, api_key: a-key", {"up": [0, 1], "local": [None], "unset": [0]}),
        ("local", "other", {"up": [0, 1], "unset": [0]}),
    ],
)
def test_which_server_is_the_same(old: str, new: str, origins: dict[str, list[int | None]]) -> None:
    assert origins == change_between(settings_of(BEFORE), settings_of(BEFORE.replace(old, new))).origins


def test_which_rules_hold() -> None:
    rules_of = rules_in(settings_of(BEFORE))

    assert [5] == [rules.breaker.consecutive for rules in rules_of(DeploymentId("up", "m"))]
    assert [9] == [rules.breaker.consecutive for rules in rules_of(DeploymentId("up", "any-thing"))]
    assert [] == [*rules_of(DeploymentId("up", "other")), *rules_of(DeploymentId("unset", "m"))]
