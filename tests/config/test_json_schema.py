import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from proxy.config.json_schema import json_schema
from tests.config.checking import MINIMAL, check

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft7Validator(json_schema())


def test_it_is_a_good_schema_in_plain_draft_07() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())
    text = json.dumps(json_schema())
    assert "$defs" not in text
    for section in (json_schema(), *json_schema()["definitions"].values()):
        if section.get("type") == "object":
            assert section["additionalProperties"] is False
            assert section["description"]


def test_nothing_stands_beside_a_reference() -> None:
    def visit(value: Any) -> None:
        if isinstance(value, dict):
            assert "$ref" not in value or len(value) == 1
            for each in value.values():
                visit(each)
        elif isinstance(value, list):
            for each in value:
                visit(each)

    visit(json_schema())


def test_the_shipped_file_is_the_schema() -> None:
    # To write it anew: holdfast schema > deploy/routes.schema.json
    shipped = (ROOT / "deploy" / "routes.schema.json").read_text()
    assert shipped == json.dumps(json_schema(), indent=2) + "\n"


EXAMPLES = """\
{kind: ollama}
{kind: openai, api_key: "${K}", timeout: {connect: 3s, idle: "${I:-4s}"}}
{kind: openai, api_keys: ["${K}", b], retry: {attempts: "${N}", backoff: {multiplier: 2.5, max: 1.5h}}}
{kind: "${KIND}", api_key: null, timeout: null}
{kind: simulated, only_without_keys: "${B:-true}", models: {m: {context: 5, quality: 60%}, n: {quality: 0.5}}}
{kind: openai, api_key: os.environ/K, retry: {patience: 0}}
{kind: ollama, max_concurrent: 8, retry: {budget: {ratio: 0.1}}, breaker: {window: 1m, error_rate: 50%}}
{kind: ollama, max_concurrent: "${N:-8}", health: {probe: suspect, expect: ""}, recovery: {ramp: 0}}
"""


@pytest.mark.parametrize("upstream", EXAMPLES.splitlines())
def test_good_upstreams(upstream: str) -> None:
    VALIDATOR.validate({**yaml.safe_load(MINIMAL), "upstreams": {"u": yaml.safe_load(upstream)}})


GOOD = """\
server: {port: "${PORT:-8400}", max_body: 32MB, timeout: {body: 5s}, drain: {delay: 0}}
server: {port: os.environ/PORT}
defaults: {deadline: 90s, retry: {patience: 0s, budget: {ratio: 20%, min_per_second: 0}}}
server: {max_waiting: 0}
defaults: {max_concurrent: adaptive, panic: never, outlier: {latency_factor: 3, max_ejected: 0}, degraded_below: 0}
defaults: {max_concurrent: {initial: 5, max: 9}, panic: 0.5, foresight: {trend: false, share: 10%, adaptive: true}}
routes: {a: {chain: [{to: x/y, weight: 0.5, quality: 80%}, x/z], strategy: weighted, hedge: {after: p95, ratio: 0}}}
routes: {a: {chain: [x/y, x/z], hedge: {after: 1.5s}, last_resort: {cached: 24h}, panic: 80%, max_concurrent: 3}}
state: {path: "${STATE_DIRECTORY:-.}/holdfast.db"}
defaults: {resume: "off"}
defaults: {resume: true}
defaults: {resume: {modes: [instruct, "${M:-prefill}"], hold: all, reasoning: again, instruction: "On: {tail}"}}
routes: {a: {chain: [x/y, x/z], resume: "${R:-on}"}}
routes: {a: {chain: [x/y, x/z], resume: {hold: none}}}
upstreams: {u: {kind: ollama, models: {m: {prefill: true}, n: {prefill: "${P:-false}"}}}}
state: null
routes: {a: {chain: [x/y, {to: "x/*", timeout: {connect: 1s}}, "${STEP}"], deadline: 5m, last_resort: {text: hi}}}
clients: [{name: a, key: "${K}"}, {name: b, key_hash: "${H}", routes: ["*"]}]
admin: {key: "${A:-}"}
telemetry: {log: {format: "${F:-json}", level: info}}
"""
BAD = """\
version: 2
server: {port: abc}
server: {port: 70000}
server: {prot: 1}
server: {max_body: 32}
server: {timeout: {body: 0}}
defaults: {deadline: 30}
defaults: {retry: {budget: {ratio: 1.5}}}
defaults: {retry: {attempts: 99}}
upstreams: {}
upstreams: {u: {}}
upstreams: {u: {kind: opnai}}
upstreams: {"bad name": {kind: openai}}
upstreams: {u: {kind: openai, tiemout: 3}}
routes: {a: {chain: []}}
routes: {a: {chain: [noslash]}}
routes: {a: {chain: [{model: x}]}}
routes: {a: {}}
clients: []
clients: [{key: abcdefghi}]
clients: [{name: a, key_hash: md5}]
telemetry: {log: {level: loud}}
server: {max_waiting: -1}
defaults: {max_concurrent: 0}
defaults: {max_concurrent: adaptve}
defaults: {max_concurrent: {maximum: 3}}
defaults: {max_concurrent: 2.5}
defaults: {panic: 0}
defaults: {panic: always}
defaults: {breaker: {consecutive: 1001}}
defaults: {breaker: {error_rate: 0}}
defaults: {health: {probe: sometimes}}
defaults: {hedge: {after: p95}}
upstreams: {u: {kind: ollama, panic: 50%}}
upstreams: {u: {kind: ollama, outlier: {error_gap: 10%}}}
routes: {a: {chain: [x/y], strategy: random}}
routes: {a: {chain: [{to: x/y, weight: -1}]}}
routes: {a: {chain: [x/y], hedge: {after: p40}}}
routes: {a: {chain: [x/y], last_resort: {cached: 0}}}
state: {path: ""}
state: {file: x}
defaults: {resume: maybe}
defaults: {resume: 1}
defaults: {resume: {modes: []}}
defaults: {resume: {modes: [prefill, prefill]}}
defaults: {resume: {modes: [continue]}}
defaults: {resume: {hold: some}}
defaults: {resume: {reasoning: true}}
defaults: {resume: {instruction: ""}}
defaults: {resume: {tail: 5}}
upstreams: {u: {kind: ollama, resume: "on"}}
upstreams: {u: {kind: ollama, models: {m: {prefill: 1}}}}
surprise: 1
"""


@pytest.mark.parametrize("part", GOOD.splitlines())
def test_good_parts(part: str) -> None:
    VALIDATOR.validate({**yaml.safe_load(MINIMAL), **yaml.safe_load(part)})


@pytest.mark.parametrize("part", BAD.splitlines())
def test_bad_parts_are_bad_for_the_loader_too(part: str) -> None:
    document = {**yaml.safe_load(MINIMAL), **yaml.safe_load(part)}
    assert not VALIDATOR.is_valid(document)
    assert check(json.dumps(document)).config is None


def test_the_shipped_example_fits() -> None:
    VALIDATOR.validate(yaml.safe_load((ROOT / "routes.yaml").read_text()))
