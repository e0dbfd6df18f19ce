"""More than one upstream, and streams that break."""

from __future__ import annotations

from proxy.core.wire import Wire
from tests.conformance.matrix.arena import ANSWER, THINKING, alone, backed, last
from tests.conformance.matrix.cell import Cell, case, is_whole, raises_in_stream, trail
from tests.conformance.matrix.client import Ask
from tests.conformance.matrix.errors import ERRORS
from tests.conformance.matrix.upstreams import all_before, next_to


@case("an error in place of an answer is not seen: an upstream of another language answers")
def in_band(cell: Cell) -> None:
    cell.arena.inject(cell.upstream, "error_first")
    heard = cell.client.ask(backed(cell.upstream, cell.wire))
    is_whole(cell, heard, next_to(cell.upstream, cell.wire))


@case("whatever an upstream refuses that another may take is answered by another, of another language")
def elsewhere(cell: Cell) -> None:
    names = ("rate_limited", "overloaded", "quota", "credit", "credential", "model_gone", "context")
    for name in names if cell.leads else names[-1:]:
        _, fault, _ = ERRORS[name]
        cell.arena.inject(cell.upstream, fault)
        heard = cell.client.ask(backed(cell.upstream, cell.wire))
        is_whole(cell, heard, next_to(cell.upstream, cell.wire))
        cell.arena.clean()


@case("a conversation with thoughts and calls goes on at an upstream of another language")
def moved(cell: Cell) -> None:
    cell.arena.voice(tool_calls=2, reasoning=THINKING)
    called = cell.ask(Ask(tools=True, reasoning=True))
    there = next_to(cell.upstream)
    heard = cell.client.ask(alone(there), Ask(tools=True, reasoning=True, answered=called))
    is_whole(cell, heard, there)
    sent = cell.arena.received(there)[-1].body.decode()
    assert all(f"{name} is fine" in sent for name in ("weather", "news"))


@case("the last of a chain of all languages answers, whatever goes wrong with those before it")
def chain(cell: Cell) -> None:
    nothing = "garbage" if cell.wire is Wire.COMPLETIONS else "empty"
    faults = ("503", nothing, "unauthorized", "error_first", "429", "garbage")
    before = all_before(cell.upstream)
    for upstream, fault in zip(before, faults, strict=False):
        cell.arena.inject(upstream, fault)
    heard = cell.client.ask(last(cell.upstream))
    is_whole(cell, heard, cell.upstream)
    tried = [item.partition("/")[0] for item in trail(heard.headers).split(", ")]
    if cell.wire not in {Wire.EMBEDDINGS, Wire.COUNT_TOKENS}:
        assert [*(each.name for each in before), cell.upstream.name] == list(dict.fromkeys(tried))


_BREAKS = (
    "cut:after=4", "cut:after=1", f"cut:after={len(ANSWER.split())}", "cut_clean", "truncated_json", "malformed",
    "error_later", "error_then_done", "error_field",
)  # fmt: skip
"""The first is tried everywhere."""


@case("an answer that breaks off is brought whole by an upstream of another language")
def cut(cell: Cell) -> None:
    if not cell.client.streams:
        cell.arena.inject(cell.upstream, "cut")
        heard = cell.client.ask(backed(cell.upstream, cell.wire))
        is_whole(cell, heard, next_to(cell.upstream, cell.wire))
        return
    for fault in _BREAKS if cell.leads else _BREAKS[:1]:
        cell.arena.inject(cell.upstream, fault)
        is_whole(cell, cell.client.ask(backed(cell.upstream, cell.wire)))
        told = cell.arena.told
        # An upstream that says that it failed may be asked once more.
        assert ("ok", True) == (told.outcome, 1 <= len(told.resumes) <= 2)
        assert cell.arena.received(next_to(cell.upstream, cell.wire))
        cell.arena.clean()


@case("a call that breaks off is made whole by an upstream of another language", streams=True)
def tools_cut(cell: Cell) -> None:
    cell.arena.voice(tool_calls=1)
    cell.arena.inject(cell.upstream, "cut:after=1")
    called = cell.client.ask(backed(cell.upstream, cell.wire), Ask(tools=True))
    assert [("weather", {"city": "simulated"})] == [one[1:] for one in called.calls]
    assert called.calls[0].id
    assert cell.client.finishes["tools"] == called.finish
    assert 1 == len(called.ids)


@case("a stream that nobody can go on with ends in an error that the SDK raises", streams=True)
def broken(cell: Cell) -> None:
    cell.arena.inject(cell.upstream, "cut:after=4")
    with raises_in_stream(cell) as raised:
        cell.ask()
    (error,) = raised
    assert "upstream_stream_broken" == error
    assert "stream_interrupted" == cell.arena.told.outcome
