"""Why a field of the table cannot be, or cannot be yet."""

from __future__ import annotations

from proxy.core.wire import Wire
from tests.conformance.matrix.cases import Case
from tests.conformance.matrix.client import Client
from tests.conformance.matrix.upstreams import Upstream

SAME = "its bytes are those of another client"

ONE_ANSWER = "its language gives one answer at a time, so the request is refused"


def why_not(client: Client, upstream: Upstream, case: Case) -> str | None:
    """The reason, None where it is carried."""
    if client.only is not None and case.name not in client.only:
        return SAME
    if case.name in client.cannot:
        return client.cannot[case.name]
    if case.streams and not client.streams:
        return "there is no stream"
    if client.wire is Wire.EMBEDDINGS and client.wire not in upstream.kind.paths:
        return "this kind has no embeddings"
    if case.name == "two_answers" and upstream.way(client.wire) == f"as {upstream.kind.dialect}":
        return ONE_ANSWER
    return _of_ollama(client, upstream, case)


def _of_ollama(client: Client, upstream: Upstream, case: Case) -> str | None:
    if upstream.kind.dialect != "ollama" or client.wire in upstream.kind.paths:
        return None
    if case.name == "filtered":
        return "Ollama filters nothing, and has no word for it"
    if case.name == "rate_limited":
        return "Ollama knows no rate limits: its cloud tells of usage that is used up, as a quota"
    if case.name == "parameter":
        return "Ollama refuses no option that it does not know"
    return None
