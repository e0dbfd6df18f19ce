"""Signatures, compared with those of Amazon's own library."""

import hashlib
from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.upstreams.signing import signed

ACCESS, SECRET, SESSION = "AKIDEXAMPLEEXAMPLE12", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjEJ//=="
NOW = 1_790_000_000.5


def by_amazon(method: str, url: str, headers: dict[str, str], body: bytes, session: str | None, region: str) -> str:
    request = AWSRequest(method, url, headers, body)
    signer = botocore.auth.SigV4Auth(Credentials(ACCESS, SECRET, session), "bedrock", region)
    with patch.object(botocore.auth, "get_current_datetime", lambda: datetime.fromtimestamp(NOW, UTC)):
        signer.add_auth(request)
    return str(request.headers["Authorization"])


VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
HOSTS = st.sampled_from(
    ["bedrock-runtime.us-east-1.amazonaws.com", "127.0.0.1:8080", "proxy.test:443", "Proxy.test:80", "[::1]:9"]
)


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["POST", "GET", "post"]),
    scheme=st.sampled_from(["https", "http"]),
    host=HOSTS,
    model=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    tail=st.sampled_from(["/converse", "/converse-stream", "/", "//x", "/../y/./", ""]),
    query=st.sampled_from(["", "?b=1&a=2", "?a=2&a=1&c", "?x=%20y"]),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "Content-Type", "X-Amz-Target", "x-amz-bedrock-trace"]), VALUES, max_size=2
    ).filter(lambda headers: len({name.lower() for name in headers}) == len(headers)),
    body=st.binary(max_size=50),
    session=st.sampled_from([None, SESSION]),
    region=st.sampled_from(["us-east-1", "eu-central-2"]),
)
@example(
    "POST", "https", "bedrock-runtime.us-east-1.amazonaws.com",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "/converse", "", {"content-type": "application/json"}, b"{}", None, "us-east-1",
)  # fmt: skip
def test_the_same_as_amazons(
    method: str, scheme: str, host: str, model: str, tail: str, query: str, headers: dict[str, str], body: bytes,
    session: str | None, region: str,
) -> None:  # fmt: skip
    url = f"{scheme}://{host}/model/{quote(model, safe='')}{tail}{query}"
    credentials = ":".join(part for part in (ACCESS, SECRET, session) if part)

    added = signed(method, url, headers, (body[:7], memoryview(body)[7:]), credentials, region, NOW)

    assert by_amazon(method, url, headers, body, session, region) == added.pop("authorization")
    time = datetime.fromtimestamp(NOW, UTC).strftime("%Y%m%dT%H%M%SZ")
    assert {"x-amz-date": time} | ({"x-amz-security-token": session} if session else {}) == added


def test_other_headers_may_change_on_the_way() -> None:
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse"
    more = {"user-agent": "u", "traceparent": "t", "accept": "*/*"}

    assert signed("POST", url, {}, (b"",), f"{ACCESS}:{SECRET}", "us-east-1", NOW) == signed(
        "POST", url, more, (b"",), f"{ACCESS}:{SECRET}", "us-east-1", NOW
    )


@pytest.mark.parametrize(
    "key", ["ABSKQmVkcm9ja0FQSUtleS1hYmM=", "sk-1", "a:b", "", f"{ACCESS}:short", f"{ACCESS}:{SECRET}!"]
)
def test_anything_else_is_a_bearers_key(key: str) -> None:
    assert {"authorization": f"Bearer {key}"} == signed("POST", "https://a/b", {}, (), key, "us-east-1", NOW)


def test_the_secret_is_not_told() -> None:
    added = signed("POST", "https://a/b", {}, (b"x",), f"{ACCESS}:{SECRET}:{SESSION}", "us-east-1", NOW)

    assert SECRET not in str(added)
    assert hashlib.sha256(b"x").hexdigest() not in str(added)
