"""Answers: text, images, tools, reasoning, and how they end."""

from __future__ import annotations

import json
import re

from proxy.core.wire import Wire
from tests.conformance.matrix.arena import ANSWER, REFUSAL, THINKING, alone, backed, held
from tests.conformance.matrix.cell import Cell, case, counts_more, is_whole, trail
from tests.conformance.matrix.client import Ask

CAP = 16
"""Tokens; the least that OpenAI takes for a response."""


@case("an answer comes whole, with its usage, in one message of the client's language")
def text(cell: Cell) -> None:
    heard = cell.ask()
    is_whole(cell, heard)
    headers = heard.headers
    streamed = "text/event-stream; charset=utf-8" if cell.client.streams else "application/json"
    assert streamed == headers["content-type"]
    assert alone(cell.upstream) == headers["x-holdfast-route"]
    assert headers["x-request-id"].startswith("req_")
    told = cell.arena.told
    assert (200, "ok") == (told.status, told.outcome)
    if cell.wire is Wire.COUNT_TOKENS:
        assert (cell.upstream.way(cell.wire) == "estimated") is (headers["x-holdfast-reason"] == "estimated")
        return
    assert (cell.upstream.name, cell.upstream.model) == (
        headers["x-holdfast-upstream"],
        headers["x-holdfast-model"],
    )
    assert re.fullmatch(re.escape(f"{cell.upstream.name}/{cell.upstream.model}") + ";o=ok;ms=[0-9]+", trail(headers))
    assert "1" == headers["x-holdfast-attempts"]
    (asked,) = cell.arena.received(cell.upstream)
    assert "unused" not in str(asked.headers)
    assert [] == [name for name in asked.headers if name.lower().startswith(("x-stainless", "x-holdfast"))]
    own = cell.upstream.kind.paths.get(cell.wire)
    if cell.upstream.way(cell.wire) == "as it is":
        assert own is not None
        assert own in asked.path
        assert "Be brief." in asked.body.decode() or cell.wire in {Wire.COMPLETIONS, Wire.EMBEDDINGS}
    else:
        assert own is None or own not in asked.path or cell.wire is Wire.CHAT


@case("an answer that reaches its cap says so")
def length(cell: Cell) -> None:
    cell.arena.voice(answer=f"{ANSWER} {ANSWER}")
    heard = cell.ask(Ask(cap=CAP))
    assert " ".join(f"{ANSWER} {ANSWER}".split()[:CAP]) == heard.text
    assert cell.client.finishes["length"] == heard.finish


@case("a stop sequence ends an answer")
def stopped(cell: Cell) -> None:
    heard = cell.ask(Ask(stop="meets"))
    assert ANSWER.partition(" meets")[0] == heard.text.rstrip()
    if cell.wire is Wire.MESSAGES and heard.finish == "stop_sequence":
        assert "meets" == heard.stopped_by
    else:
        assert cell.client.finishes["stop"] == heard.finish


@case("two answers to one question")
def two_answers(cell: Cell) -> None:
    cell.arena.voice(answer=None)
    heard = cell.ask(Ask(answers=2))
    assert 2 == heard.answers


@case("an image reaches the model")
def image(cell: Cell) -> None:
    if cell.wire is Wire.COUNT_TOKENS:
        counts_more(cell, Ask(image=True))
        return
    cell.arena.voice(answer="There are {images} of them.")
    assert "There are 1 of them." == cell.ask(Ask(image=True)).text


@case("two calls at once, their results in the next request, and the answer to those")
def tools(cell: Cell) -> None:
    if cell.wire is Wire.COUNT_TOKENS:
        counts_more(cell, Ask(tools=True))
        return
    cell.arena.voice(tool_calls=2)
    # Where somebody else could be asked, calls are held back until they are complete.
    called = cell.client.ask(backed(cell.upstream, cell.wire), Ask(tools=True))
    assert [("weather", {"city": "simulated"}), ("news", {"city": "simulated"})] == [one[1:] for one in called.calls]
    assert 2 == len({one.id for one in called.calls})
    assert all(one.id for one in called.calls)
    assert cell.client.finishes["tools"] == called.finish
    assert "" == called.text
    is_whole(cell, cell.ask(Ask(tools=True, answered=called)))
    sent = cell.arena.received(cell.upstream)[-1].body.decode()
    assert all(f"{name} is fine" in sent for name in ("weather", "news"))


@case("thoughts before calls go back with the results")
def thoughtful_tools(cell: Cell) -> None:
    cell.arena.voice(tool_calls=2, reasoning=THINKING)
    called = cell.client.ask(backed(cell.upstream, cell.wire), Ask(tools=True, reasoning=True))
    assert THINKING == called.reasoning
    assert ["weather", "news"] == [one.name for one in called.calls]
    heard = cell.client.ask(backed(cell.upstream, cell.wire), Ask(tools=True, reasoning=True, answered=called))
    is_whole(cell, heard)
    assert "1" == heard.headers["x-holdfast-attempts"]


@case("an answer that is nothing but one call")
def one_call(cell: Cell) -> None:
    cell.arena.voice(tool_calls=1)
    for route in (alone(cell.upstream), backed(cell.upstream, cell.wire), held(cell.upstream)):
        called = cell.client.ask(route, Ask(tools=True))
        assert [("weather", {"city": "simulated"})] == [one[1:] for one in called.calls]
        assert cell.client.finishes["tools"] == called.finish
        assert cell.upstream.name == called.headers["x-holdfast-upstream"]


@case("an answer that is bound to a JSON schema keeps to it")
def structured(cell: Cell) -> None:
    for route in (alone(cell.upstream), held(cell.upstream)):
        heard = cell.client.ask(route, Ask(schema=True))
        assert {"city": {"city": "simulated"}, "days": 1} == json.loads(heard.text)
        assert cell.client.finishes["stop"] == heard.finish
        assert cell.upstream.name == heard.headers["x-holdfast-upstream"]


@case("reasoning is shown where the client's language has a place for it")
def reasoning(cell: Cell) -> None:
    cell.arena.voice(reasoning=THINKING)
    heard = cell.ask(Ask(reasoning=True))
    assert THINKING == heard.reasoning
    is_whole(cell, heard)


@case("a model that refuses to answer is heard to refuse")
def refusal(cell: Cell) -> None:
    cell.arena.voice(refusal=REFUSAL)
    heard = cell.ask()
    # Languages without a word for it have to tell it as a text.
    assert cell.client.finishes["refusal"] == heard.finish or REFUSAL in {heard.refusal, heard.text}
    assert heard.text in {"", REFUSAL}


@case("an answer that a filter cuts short says so")
def filtered(cell: Cell) -> None:
    cell.arena.inject(cell.upstream, "content_filter_finish:after=4")
    heard = cell.ask()
    # The SDK's own helpers raise, and give nothing of the answer.
    assert "The river turns twice" == heard.text or cell.client.name.startswith("chat helper")
    assert cell.client.finishes["refusal"] == heard.finish
