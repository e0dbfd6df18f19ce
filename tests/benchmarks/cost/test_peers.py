"""The configurations that are written for the proxies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cost.peers import DIRECT, HOLDFAST, OTHERS
from benchmarks.cost.peers.peer import WAYS, Ends, Missing, Place, numbered
from proxy.config.load import load_file

ENDS = Ends(good=1001, broken=1002, cut=1003, gone=1004)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, ENDS, port=2000, workers=1, installed=tmp_path)


def installed(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_holdfast_has_a_route_for_each_way(place: Place) -> None:
    launch = HOLDFAST.launch(place)
    loaded = load_file(place.folder / "routes.yaml", {})

    assert () == loaded.findings
    assert loaded.config is not None
    assert set(loaded.config.routes) == {way.model for way in launch.ways.values()}


def test_several_workers_are_asked_for_only_where_they_are_wanted(place: Place) -> None:
    texts = []
    for workers in (1, 2):
        HOLDFAST.launch(replace(place, workers=workers))
        texts.append((place.folder / "routes.yaml").read_text())

    assert [False, True] == ["workers: 2" in text for text in texts]


def test_without_a_proxy_everything_comes_straight_from_the_good_one(place: Place) -> None:
    assert [ENDS.good] * len(WAYS) == [way.port for way in DIRECT.launch(place).ways.values()]


@pytest.mark.parametrize("name", ["envoy", "litellm", "portkey"])
def test_who_is_not_installed_says_so(name: str, place: Place) -> None:
    with pytest.raises(Missing, match="--install"):
        OTHERS[name].launch(place)


def test_envoy_asks_the_good_one_second(place: Place) -> None:
    installed(place.installed, "envoy/bin/envoy")
    OTHERS["envoy"].launch(place)
    document = json.loads((place.folder / "envoy.json").read_text())
    chains = {
        cluster["name"]: [
            each["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"]
            for each in cluster["load_assignment"]["endpoints"]
        ]
        for cluster in document["static_resources"]["clusters"]
    }

    assert {"straight": [1001], "503": [1002, 1001], "refused": [1004, 1001], "cut": [1003, 1001]} == chains


def test_litellm_falls_back_to_the_good_one(place: Place) -> None:
    installed(place.installed, "litellm/bin/litellm")
    launch = OTHERS["litellm"].launch(place)
    document = json.loads((place.folder / "litellm.yaml").read_text())

    assert {way.model for way in launch.ways.values()} == {each["model_name"] for each in document["model_list"]}
    assert [["chat"]] * 3 == [chain for each in document["router_settings"]["fallbacks"] for chain in each.values()]


def test_portkey_has_no_workers(place: Place) -> None:
    with pytest.raises(Missing, match="no worker processes"):
        OTHERS["portkey"].launch(replace(place, workers=2))


def test_each_way_asks_another_upstream_first(place: Place) -> None:
    assert [("straight", 2000, 1001), ("503", 2001, 1002), ("refused", 2002, 1004), ("cut", 2003, 1003)] == place.each()


@pytest.mark.parametrize(
    ("said", "expected"),
    [("nginx version: nginx/1.22.1\n", "1.22.1"), ("Name: x\nVersion: 1.40.0", "1.40.0"), ("", "")],
)
def test_versions(said: str, expected: str) -> None:
    assert expected == numbered(said)
