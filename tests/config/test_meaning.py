# ruff: noqa: E501 - a table of findings reads best with one row to a line
import pytest

from proxy.config.meaning_timers import mean_waits
from proxy.config.schema import KindName
from proxy.dialects.registry import KINDS
from proxy.policies.backoff import BackoffSettings
from tests.config.checking import MINIMAL, check, found, messages


def with_upstream(body: str) -> str:
    return f"version: 1\nupstreams:\n  u: {{{body}}}\nroutes:\n  chat: {{chain: [u/m]}}\n"


def with_routes(body: str, rest: str = "") -> str:
    return f"version: 1\nupstreams:\n  a: {{kind: ollama}}\n  b: {{kind: ollama}}\nroutes:\n  ok: {{chain: [a/m, b/m]}}\n{body}{rest}"


def with_clients(*clients: str) -> str:
    return with_routes(
        "  'gpt-*': {chain: [a/m]}\n", "clients:\n" + "".join(f"  - {{{client}}}\n" for client in clients)
    )


def test_the_schema_and_the_registry_know_the_same_kinds() -> None:
    assert set(KindName.__args__) == set(KINDS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (with_upstream("kind: azure, api_key: k"), "3:3 error: kind 'azure' needs base_url, such as https://RESOURCE.openai.azure.com/openai/v1 [upstreams.u]"),
        (with_upstream("kind: bedrock, api_key: k"), "3:3 error: kind 'bedrock' needs base_url, such as https://bedrock-runtime.REGION.amazonaws.com, or options: {region: REGION} [upstreams.u]"),
        (with_upstream("kind: anthropic, api_key: k, options: {betaa: x}"), "3:46 error: kind 'anthropic' has no option 'betaa'; did you mean 'beta'? [upstreams.u.options.betaa]"),
        (with_upstream("kind: xai, api_key: k, options: {x: y}"), "3:40 error: kind 'xai' has no option 'x'; it knows none [upstreams.u.options.x]"),
        (with_upstream("kind: ollama, options: {num_ctx: 8k}"), "3:40 error: num_ctx of kind 'ollama' is a whole number [upstreams.u.options.num_ctx]"),
        (with_upstream("kind: vllm"), "3:3 error: kind 'vllm' needs base_url, such as http://127.0.0.1:8000/v1 [upstreams.u]"),
        (with_upstream("kind: openai, base_url: example.com/v1"), "3:31 error: base_url begins with http:// or https:// [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'ftp://h/v1'"), "3:31 error: base_url begins with http:// or https:// [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'https://u:p@h/v1'"), "3:31 error: credentials in base_url; put them into api_key [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'https://h/v1?a=b'"), "3:31 error: base_url ends with its path; remove the query ('?') or fragment ('#') [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'https://h/v1#'"), "3:31 error: base_url ends with its path; remove the query ('?') or fragment ('#') [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'https://h/v1/chat/completions/'"), "3:31 error: base_url ends before /chat/completions, which is added to it [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'https:///v1'"), "3:31 error: this is not a URL that can be called; write one like https://HOST/v1 [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'https://h:99999/v1'"), "3:31 error: this is not a URL that can be called; write one like https://HOST/v1 [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'https://[h/v1'"), "3:31 error: this is not a URL that can be called; write one like https://HOST/v1 [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'https://h /v1'"), "3:31 error: this is not a URL that can be called; write one like https://HOST/v1 [upstreams.u.base_url]"),
        (with_upstream("kind: openai, base_url: 'http://h/v1', api_key: k"), "3:31 warning: the api_key travels unencrypted over http; use https where the server has it [upstreams.u.base_url]"),
        (with_upstream("kind: openai, api_key: k, api_keys: [l]"), "3:33 error: both api_key and api_keys; keep one of them [upstreams.u.api_keys]"),
        (with_upstream("kind: openai, api_keys: [l, l]"), "3:35 warning: the same key stands above; a pool gains nothing by it [upstreams.u.api_keys[1]]"),
        (with_upstream('kind: openai, api_key: "k\\n"'), "3:30 error: a line break, space or other character in the key that cannot be sent in a header [upstreams.u.api_key]"),
        (with_upstream("kind: openai, api_keys: [k, ü]"), "3:35 error: a line break, space or other character in the key that cannot be sent in a header [upstreams.u.api_keys[1]]"),
        (with_upstream("kind: openai"), "3:3 warning: no api_key: upstream u is skipped; usually `api_key: ${OPENAI_API_KEY}` [upstreams.u]"),
        (with_upstream("kind: openai, base_url: 'https://api.openai.com/v1/'"), "3:3 warning: no api_key: upstream u is skipped; usually `api_key: ${OPENAI_API_KEY}` [upstreams.u]"),
        (with_upstream("kind: azure, base_url: 'https://h/openai/v1'"), "3:3 warning: no api_key: upstream u is skipped; usually `api_key: ${AZURE_OPENAI_API_KEY}` [upstreams.u]"),
        (with_upstream("kind: anthropic, api_key: ''"), "3:24 warning: no api_key: upstream u is skipped; usually `api_key: ${ANTHROPIC_API_KEY}` [upstreams.u.api_key]"),
        (with_upstream("kind: ollama, only_without_keys: true"), "3:21 error: only_without_keys is for kind 'simulated'; u is of kind 'ollama' [upstreams.u.only_without_keys]"),
        (with_upstream("kind: ollama, models: {m: {context: 10, max_input: 11}}"), "3:58 error: max_input 11 is more than the whole window, context 10; context counts prompt and answer [upstreams.u.models.m.max_input]"),
        (with_upstream("kind: ollama, models: {m: {context: 10, max_output: 20}}"), "3:59 error: max_output 20 is more than the whole window, context 10; context counts prompt and answer [upstreams.u.models.m.max_output]"),
        (with_upstream("kind: ollama, models: {m: {price: {output: 2}}}"), "3:34 warning: without price.input no cost is known; it is in USD per million tokens [upstreams.u.models.m.price]"),
        (with_upstream("kind: ollama, models: {m: {price: {input: 0.00000125}}}"), "3:49 warning: prices are in USD per million tokens; this looks like one per token [upstreams.u.models.m.price.input]"),
        (with_upstream("kind: ollama, models: {m: {price: {in: 2}}}"), "3:42 error: unknown key 'in'; known here: input, output, cache_read, cache_write [upstreams.u.models.m.price]"),
        (with_upstream("kind: openai"), "4:1 warning: no route can be served (u: it has no api_key) [routes]"),
    ],
)  # fmt: skip
def test_upstreams(text: str, expected: str) -> None:
    assert expected in found(check(text))


@pytest.mark.parametrize(
    "body",
    [
        "kind: openai, base_url: 'http://127.0.0.1:8000/v1', api_key: k",
        "kind: openai, base_url: 'http://[::1]/v1', api_key: k",
        "kind: openai, base_url: 'http://gpu.localhost/v1', api_key: k",
        "kind: openai, base_url: 'http://gpu/v1'",
        "kind: vllm, base_url: 'http://gpu:8000'",
        "kind: openai, api_key: k",
        "kind: simulated",
        "kind: simulated, base_url: 'http://127.0.0.1:9/v1'",
    ],
)
def test_upstreams_that_are_fine(body: str) -> None:
    assert found(check(with_upstream(body))) == []


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ("  r: {chain: [aa/m]}\n", "7:15 error: no upstream is called 'aa'; did you mean 'a'? [routes.r.chain[0]]"),
        ("  r: {chain: [zzz/m]}\n", "7:15 error: no upstream is called 'zzz'; there are a, b [routes.r.chain[0]]"),
        ("  r: {chain: [{to: zzz/m}]}\n", "7:20 error: no upstream is called 'zzz'; there are a, b [routes.r.chain[0].to]"),
        ("  r: {chain: [gpt-4o]}\n", "7:15 error: 'gpt-4o' is not upstream/model; write upstream/model [routes.r.chain[0]]"),
        ("  r: {chain: [a]}\n", "7:15 error: 'a' is not upstream/model; the model is missing: a/MODEL [routes.r.chain[0]]"),
        ("  r: {chain: [a/]}\n", "7:15 error: 'a/' has no model after the slash [routes.r.chain[0]]"),
        ("  r: {chain: ['a/ m']}\n", "7:15 error: 'a/ m' has stray spaces in it [routes.r.chain[0]]"),
        ("  r: {chain: ['a/*']}\n", "7:15 error: '*' stands for the name that was asked for, but this route has just one; name the model, or make the route a glob [routes.r.chain[0]]"),
        ("  'gpt-?': {chain: [a/m]}\n", "7:3 error: globs know only '*', for any number of characters [routes.gpt-?]"),
        ("  'gpt-[4': {chain: [a/m]}\n", "7:3 error: globs know only '*', for any number of characters [routes.gpt-[4]"),
        ("  '': {chain: [a/m]}\n", "7:3 error: a route's name is 1 to 200 visible characters without spaces around it [routes.]"),
        ("  ' x': {chain: [a/m]}\n", "7:3 error: a route's name is 1 to 200 visible characters without spaces around it [routes. x]"),
        ("  r: {chain: [a/m, b/m, a/m]}\n", "7:25 warning: never reached: the same deployment is step 1 of this chain [routes.r.chain[2]]"),
        ("  ok: {chain: [a/m]}\n", "7:3 error: duplicate key 'ok'; the first is on line 6 []"),
    ],
)  # fmt: skip
def test_routes(routes: str, expected: str) -> None:
    assert expected in found(check(with_routes(routes)))


EMBEDDINGS = """\
version: 1
upstreams:
  o: {kind: openai, api_key: k}
  g: {kind: gemini, api_key: k}
  own: {kind: vllm, base_url: "http://127.0.0.1:8000", models: {e: {dimensions: 1536}}}
routes:
"""


@pytest.mark.parametrize(
    ("chain", "findings"),
    [
        ("[o/text-embedding-3-small, own/e, own/unknown]", []),
        ("[o/text-embedding-3-small, o/text-embedding-ada-002]", []),
        ("[o/text-embedding-3-small, g/gemini-embedding-001], mixed_dimensions: true", []),
        ("[own/e, o/text-embedding-3-large]", ["7:22 error: its vectors have 3072 numbers and those of own/e have 1536, so they cannot be compared; keep to one model, or set `mixed_dimensions: true` on the route if clients send `dimensions` [routes.e.chain[1]]"]),
    ],
)  # fmt: skip
def test_embeddings_of_one_route_have_one_length(chain: str, findings: list[str]) -> None:
    text = f"{EMBEDDINGS}  e: {{chain: {chain}}}\n"

    assert findings == [each for each in found(check(text)) if "error" in each]


def test_globs_may_pass_the_name_on_and_models_may_have_slashes() -> None:
    assert found(check(with_routes("  'gpt-*': {chain: ['a/*', 'b/x-*', a/meta/llama]}\n"))) == []


def test_an_upstream_that_no_route_uses() -> None:
    text = MINIMAL.replace("routes:", "  spare: {kind: ollama}\nroutes:")
    assert found(check(text)) == ["4:3 warning: no route uses upstream spare [upstreams.spare]"]


def test_routes_that_nothing_can_serve() -> None:
    text = 'version: 1\nupstreams:\n  l: {kind: ollama}\n  o: {kind: openai, api_key: "${K}"}\nroutes:\n  a: {chain: [l/m]}\n  b: {chain: [o/m, o/n]}\n'
    assert "7:3 warning: nothing can serve this route (o: K is not set) [routes.b]" in found(check(text))
    assert messages(check(text, {"K": "k"})) == []


def test_a_stand_in_is_missed_where_it_was_the_only_step() -> None:
    text = (
        "version: 1\nupstreams:\n  demo: {kind: simulated, only_without_keys: true}\n  o: {kind: openai, api_key: k}\n"
        "routes:\n  a: {chain: [o/m, demo/m]}\n  b: {chain: [demo/m]}\n"
    )
    assert found(check(text)) == [
        "7:3 warning: nothing can serve this route (demo: stands aside: a real key is set) [routes.b]"
    ]


@pytest.mark.parametrize(
    ("routes", "rest", "expected"),
    [
        ("  r: {chain: [a/m, b/m], deadline: 20s, timeout: {first_token: 25s}}\n", "",
         ["7:64 warning: first_token 25s is longer than deadline 20s, so it can never run out [routes.r.timeout.first_token]"]),
        ("  r: {chain: [a/m, b/m], deadline: 20s}\n", "",
         ["7:36 warning: deadline 20s is shorter than first_token 30s (the default), which can then never run out [routes.r.deadline]"]),
        ("  r: {chain: [a/m], deadline: 2s}\n", "", []),
        ("  r: {chain: [{to: a/m, timeout: {idle: 3m}}, b/m]}\n", "",
         ["7:41 warning: idle 3m is longer than deadline 2m (the default), so it can never run out [routes.r.chain[0].timeout.idle]"]),
        ("  r: {chain: [a/m, b/m], deadline: 10s}\n", "defaults: {timeout: {first_token: 5s, idle: 12s, connect: 1s}}\n",
         ["7:36 warning: deadline 10s is shorter than idle 12s, which can then never run out [routes.r.deadline]"]),
        ("  r: {chain: [a/m, b/m], retry: {patience: 5m}}\n", "",
         ["7:44 warning: patience 5m is longer than deadline 2m (the default), so it can never run out [routes.r.retry.patience]"]),
        ("  r: {chain: [a/m, b/m], timeout: {connect: 40s}}\n", "",
         ["7:45 warning: connect 40s is longer than first_token 30s (the default): opening a connection is the smaller part [routes.r.timeout.connect]"]),
        ("  r: {chain: [a/m, b/m], timeout: {first_token: 1s}}\n", "", []),
        ("  r: {chain: [a/m, b/m], timeout: {first_token: 4s}}\n", "defaults: {timeout: {connect: 5s}}\n",
         ["7:49 warning: connect 5s is longer than first_token 4s: opening a connection is the smaller part [routes.r.timeout.first_token]"]),
        ("  r: {chain: [a/m, b/m], retry: {backoff: {initial: 90s}}}\n", "",
         ["7:53 error: initial 90s is more than max 1m (the default); the waits begin at one and end at the other [routes.r.retry.backoff.initial]"]),
        ("  r: {chain: [a/m, b/m], retry: {backoff: {max: 500ms}}}\n", "",
         ["7:49 error: initial 1s (the default) is more than max 500ms; the waits begin at one and end at the other [routes.r.retry.backoff.max]"]),
        ("  r: {chain: [a/m], retry: {attempts: 10, backoff: {initial: 10s}}}\n", "",
         ["7:39 warning: 10 attempts cannot fit: the waits between them take 215s on average, and the deadline 2m (the default) is shorter [routes.r.retry.attempts]"]),
        ("", "defaults: {deadline: 10s}\n",
         ["7:22 warning: deadline 10s is shorter than first_token 30s (the default), which can then never run out [defaults.deadline]"]),
        ("", "defaults: {deadline: 10s, timeout: {first_token: 20s}}\n",
         ["7:50 warning: first_token 20s is longer than deadline 10s, so it can never run out [defaults.timeout.first_token]"]),
    ],
)  # fmt: skip
def test_timers(routes: str, rest: str, expected: list[str]) -> None:
    assert found(check(with_routes(routes, rest))) == expected


def test_timers_of_an_upstream_are_nearer_than_defaults() -> None:
    text = with_routes("", "defaults: {deadline: 30s}\n").replace(
        "a: {kind: ollama}", "a: {kind: ollama, timeout: {first_token: 60s}}"
    )
    assert found(check(text)) == [
        "3:44 warning: first_token 60s is longer than deadline 30s, so it can never run out [upstreams.a.timeout.first_token]".replace(
            "60s", "1m"
        ),
    ]


def test_mean_waits() -> None:
    assert mean_waits(BackoffSettings(1, 2, 60), 1) == 0
    assert mean_waits(BackoffSettings(1, 2, 3), 4) == (1 + 2 + 3) / 2


HASH = "sha256:ef797c8118f02dfb649607dd5d3f8c7623048c9c063d532cc95c5ed7a898a64f"  # of 12345678


@pytest.mark.parametrize(
    ("clients", "expected"),
    [
        (["name: x"], "9:5 error: client 'x' has no key; give it key: \"${CLIENT_KEY}\" or key_hash: \"sha256:...\" [clients[0]]"),
        (["name: x, key: ''"], "9:20 error: the key is empty [clients[0].key]"),
        ([f"name: x, key: '12345678', key_hash: '{HASH}'"], "9:32 error: both key and key_hash; keep one of them [clients[0].key_hash]"),
        (["name: x, key: '12345678'", "name: x, key: '23456789'"], "10:12 error: another client is called 'x'; names tell them apart [clients[1].name]"),
        (["name: x, key: '12345678'", "name: y, key: '12345678'"], "10:20 error: the same key as client 'x'; calls could not be told apart [clients[1].key]"),
        (["name: x, key: '12345678'", f"name: y, key_hash: '{HASH}'"], "10:25 error: the same key as client 'x'; calls could not be told apart [clients[1].key_hash]"),
        (["name: x, key: '12345678', routes: [okk]"], "9:41 error: no route is called 'okk'; did you mean 'ok'? [clients[0].routes[0]]"),
        (["name: x, key: '12345678', routes: ['z*']"], "9:41 warning: 'z*' matches no route [clients[0].routes[0]]"),
    ],
)  # fmt: skip
def test_clients(clients: list[str], expected: str) -> None:
    assert expected in found(check(with_clients(*clients)))


def test_clients_that_are_fine() -> None:
    text = with_clients("name: x, key: '12345678', routes: [ok, 'o*', gpt-4, 'gpt-*', '*']", "name: y, key: '23456789'")
    assert found(check(text)) == []


def test_an_open_door_is_refused_with_the_cure() -> None:
    assert found(check(MINIMAL + "server: {host: 0.0.0.0}\n")) == [
        "6:16 error: '0.0.0.0' lets anyone in who can reach this machine; say who may call: clients: [{name: me, key: \"${HOLDFAST_CLIENT_KEY}\"}] [server.host]"
    ]
    cured = MINIMAL + 'server: {host: 0.0.0.0}\nclients: [{name: me, key: "${HOLDFAST_CLIENT_KEY}"}]\n'
    assert found(check(cured, {"HOLDFAST_CLIENT_KEY": "12345678"})) == []
