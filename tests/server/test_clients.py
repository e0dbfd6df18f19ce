"""Who calls, and what they may use."""

import hashlib

import pytest

from proxy.config.settings import ClientSettings
from proxy.core.errors import ClientError
from proxy.server.clients import bearer, check_may_use, identify, may_use


def client(name: str, key: str, routes: tuple[str, ...] | None = None) -> ClientSettings:
    return ClientSettings(name, hashlib.sha256(key.encode()).hexdigest(), routes)


ANNA, BEN = client("anna", "key-of-anna"), client("ben", "key-of-ben", ("gpt-*", "fast"))


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer  abc "}, "abc"),
        ({"Authorization": "Basic abc"}, ""),
        ({"x-api-key": "abc"}, "abc"),
        ({}, ""),
    ],
)
def test_bearer(headers: dict[str, str], key: str) -> None:
    assert key == bearer(headers)


def test_without_a_list_nobody_is_asked() -> None:
    assert identify(None, {}) is None


def test_finds_the_client() -> None:
    assert BEN is identify([ANNA, BEN], {"Authorization": "Bearer key-of-ben"})


@pytest.mark.parametrize("key", ["", "key-of-", "KEY-OF-BEN", "key-of-ben\u00e9", "x" * 10_000])
def test_refuses_every_other_key(key: str) -> None:
    with pytest.raises(ClientError) as caught:
        identify([ANNA, BEN], {"Authorization": f"Bearer {key}"})

    assert (401, "invalid_api_key", False) == (caught.value.status, caught.value.code, caught.value.should_retry)


@pytest.mark.parametrize(
    ("route", "model", "allowed"),
    [("gpt-*", "gpt-4o", True), ("fast", "fast", True), ("slow", "slow", False), ("gpt-4o", "gpt-4o", True)],
)
def test_routes(route: str, model: str, allowed: bool) -> None:
    assert allowed is may_use(BEN, route, model)
    assert may_use(ANNA, route, model)
    assert may_use(None, route, model)
    if not allowed:
        with pytest.raises(ClientError, match="may not use"):
            check_may_use(BEN, route, model)
