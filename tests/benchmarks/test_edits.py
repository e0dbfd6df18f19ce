"""Edits of routes.yaml that are called good are good, and those that are called bad are refused."""

from __future__ import annotations

import json
import random

from benchmarks.scenarios.edits import broken, edited
from proxy.config.load import Loaded, load

ORIGINAL = {
    "version": 1,
    "server": {"port": 8400},
    "upstreams": {
        name: {"kind": "simulated", "base_url": f"http://127.0.0.1:{port}/v1"} for port, name in enumerate("abc", 1)
    },
    "routes": {"chat": {"chain": ["a/m", "b/m"]}},
}


def loaded(what: object) -> Loaded:
    text = what if isinstance(what, str) else json.dumps(what)

    def no_files(path: str) -> str:
        raise FileNotFoundError(path)

    return load(text, filename="routes.yaml", environ={}, read_file=no_files)


def test_good_ones_have_no_errors() -> None:
    luck = random.Random(1)
    for _ in range(100):
        seen = loaded(edited(ORIGINAL, luck))

        assert seen.config is not None, seen.findings


def test_bad_ones_have() -> None:
    luck = random.Random(1)
    for _ in range(100):
        what = broken(ORIGINAL, luck)

        assert loaded(what).config is None, what


def test_who_is_to_be_kept_stays_where_it_is_and_is_asked() -> None:
    luck = random.Random(1)
    for _ in range(100):
        document = edited(ORIGINAL, luck, keep="c")

        assert "http://127.0.0.1:3/v1" == document["upstreams"]["c"]["base_url"]
        assert "c/m" in [step["to"] for step in document["routes"]["chat"]["chain"]]
