"""Which region a request to Amazon is signed for, and which keys sign."""

import pytest

from proxy.upstreams.signing import is_signing_key, region_of


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bedrock-runtime.eu-central-1.amazonaws.com/model/x/converse", "eu-central-1"),
        ("https://bedrock-runtime.us-gov-west-1.amazonaws.com/", "us-gov-west-1"),
        ("http://127.0.0.1:9/model", "us-east-1"),
    ],
)
def test_region(url: str, expected: str) -> None:
    assert expected == region_of(url)


def test_keys_that_sign() -> None:
    assert is_signing_key(f"{'A' * 20}:{'s' * 40}")
    assert is_signing_key(f"{'A' * 20}:{'s' * 40}:token")
    assert not is_signing_key("ABSKQmVkcm9ja0FQSUtleS1abc=")
