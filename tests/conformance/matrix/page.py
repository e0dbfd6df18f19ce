"""docs/wires.md, which is the matrix as a page: `python -m tests.conformance.matrix.page > docs/wires.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from proxy.core.wire import Wire
from proxy.server.door import PATHS
from tests.conformance.matrix.cases import CASES, Case
from tests.conformance.matrix.client import Client
from tests.conformance.matrix.reasons import SAME, why_not
from tests.conformance.matrix.rows import clients
from tests.conformance.matrix.upstreams import UPSTREAMS, Upstream

_HEAD = """\
# What is carried from wire to wire

Clients of every endpoint can be answered by every kind of upstream. For each endpoint a table says in which way an
upstream is asked, and what holds then: `yes`, or the number of the reason why not. `as it is`: the upstream speaks the
client's language, and bytes pass. `as chat`: translated into a chat completion. `as anthropic` and the like: translated
into the upstream's own language.

Nothing here is written by hand: every `yes` is a test with the official SDKs over real sockets
([contributing](contributing.md#the-conformance-matrix)).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_cases(), *(line for wire in PATHS.values() for line in _wire(wire))]) + "\n"


def _cases() -> Iterator[str]:
    yield "## The cases\n"
    yield "| case | what holds |"
    yield "|---|---|"
    for case in CASES.values():
        yield f"| `{case.name}` | {case.title}{' (streams)' if case.streams else ''} |"
    yield ""


def _wire(wire: Wire) -> Iterator[str]:
    forms = [client for client in clients("http://nowhere") if client.wire is wire]
    (path,) = [path for path, spoken in PATHS.items() if spoken is wire]
    yield f"## POST {path}\n"
    yield f"Asked by: {'; '.join(client.name for client in forms)}.\n"
    reasons: list[str] = []
    yield f"| case | {' | '.join(upstream.name for upstream in UPSTREAMS)} |"
    yield f"|---|{'---|' * len(UPSTREAMS)}"
    yield f"| asked | {' | '.join(upstream.way(wire) for upstream in UPSTREAMS)} |"
    for case in CASES.values():
        cells = [_cell(forms, upstream, case, reasons) for upstream in UPSTREAMS]
        if set(cells) != {""}:
            yield f"| `{case.name}` | {' | '.join(cells)} |"
    yield ""
    for number, reason in enumerate(reasons, 1):
        yield f"{number}. {reason}"
    if reasons:
        yield ""


def _cell(forms: Sequence[Client], upstream: Upstream, case: Case, reasons: list[str]) -> str:
    """What the forms have in common; nothing if the case is about streams and none of them is one."""
    concerned = [client for client in forms if client.streams or not case.streams]
    found = {why_not(client, upstream, case) for client in concerned} - {SAME}
    if not found:
        return ""
    (reason,) = found
    if reason is None:
        return "yes"
    if reason not in reasons:
        reasons.append(reason)
    return f"no ({reasons.index(reason) + 1})"


if __name__ == "__main__":
    sys.stdout.write(page())
