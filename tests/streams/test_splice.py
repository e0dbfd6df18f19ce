"""The life of a stream: each test is a script of what comes in and what goes out."""

import pytest

from proxy.core.failure import Failure, FailureClass
from proxy.streams.event_view import EventKind, EventView
from proxy.streams.resume import HoldBack
from proxy.streams.splice import Splice, StreamState


def read_event(data: bytes) -> EventView:
    """A dialect of one word per event, so that the scripts below read easily."""
    word, *indexes = data.decode().split()
    places = tuple(int(index) for index in indexes) or (0,)
    if word.startswith("say"):
        return EventView(EventKind.CONTENT, places)
    if word in {"stop", "length"}:
        return EventView(EventKind.NO_CONTENT, places, places, may_be_empty=word == "length")
    if word.startswith("call"):
        return EventView(EventKind.CONTENT, calls=places, started=(0,))
    if word == "edit":
        return EventView(EventKind.CONTENT, places, edited=b"edited")
    fixed = {
        "role": EventView(EventKind.NO_CONTENT, places),
        "usage": EventView(EventKind.USAGE),
        "error": EventView(EventKind.ERROR),
        "broken": EventView(EventKind.MALFORMED),
    }
    return fixed[word]


def read_error(data: bytes) -> Failure:
    return Failure(FailureClass.OVERLOADED, "in_band_error", data.decode())


def events(*words: str) -> bytes:
    return b"".join(f"data: {word}\n\n".encode() for word in words)


class Script:
    """A splice and what it let through."""

    def __init__(self, *, show_usage: bool = False, choices: int = 1, hold: HoldBack = HoldBack.NONE) -> None:
        self.splice = Splice(read_event, read_error, show_usage=show_usage, choices=choices, hold=hold)

    def sees(self, *words: str) -> list[str]:
        """Feed events; the words that the client gets now."""
        return self.words(self.splice.feed(events(*words)))

    def ends(self) -> list[str]:
        return self.words(self.splice.end())

    @staticmethod
    def words(out: bytes) -> list[str]:
        return [block.removeprefix("data: ") for block in out.decode().split("\n\n") if block]

    def broke_with(self, code: str) -> bool:
        failure = self.splice.failure
        return self.splice.state is StreamState.BROKEN and failure is not None and failure.code == code


def test_holds_until_content_and_then_forwards_at_once() -> None:
    script = Script()

    assert [] == script.sees("role")
    assert [] == script.sees("role")
    assert ["role", "role", "say-a"] == script.sees("say-a")
    assert ["say-b"] == script.sees("say-b")
    assert ["stop"] == script.sees("stop")
    assert ["[DONE]"] == script.sees("[DONE]")
    assert StreamState.DONE is script.splice.state
    assert [] == script.ends()


def test_adds_the_terminal_marker_where_the_upstream_leaves_it_out() -> None:
    script = Script()
    script.sees("say-a", "stop")

    assert ["[DONE]"] == script.ends()
    assert StreamState.DONE is script.splice.state


def test_an_end_without_finish_reason_is_a_failure() -> None:
    script = Script()
    script.sees("say-a")

    assert [] == script.ends()
    assert script.broke_with("truncated")


def test_done_without_finish_reason_is_a_failure() -> None:
    script = Script()

    assert ["say-a"] == script.sees("say-a", "[DONE]")
    assert script.broke_with("done_without_finish")


def test_every_choice_must_finish() -> None:
    script = Script()
    script.sees("say-a 0", "say-b 1", "stop 0")

    assert not script.splice.finished
    assert [] == script.ends()
    assert script.broke_with("truncated")


def test_several_choices() -> None:
    script = Script()
    script.sees("say-a 0", "say-b 1", "stop 0", "stop 1")

    assert script.splice.finished
    assert ["[DONE]"] == script.sees("[DONE]")


@pytest.mark.parametrize("ending", ["[DONE]", None])
def test_an_empty_answer_is_a_failure(ending: str | None) -> None:
    script = Script()
    script.sees("role", "stop")

    assert [] == (script.sees(ending) if ending else script.ends())
    assert script.broke_with("empty_answer")


def test_nothing_at_all_is_a_failure() -> None:
    script = Script()

    assert [] == script.ends()
    assert script.broke_with("empty_answer")


def test_an_answer_may_be_empty_when_its_finish_reason_explains_it() -> None:
    script = Script()
    script.sees("role", "length")

    assert ["role", "length", "[DONE]"] == script.sees("[DONE]")


def test_error_before_content_shows_the_client_nothing() -> None:
    script = Script()

    assert [] == script.sees("role", "error")
    assert script.broke_with("in_band_error")


def test_error_after_content_is_not_forwarded() -> None:
    script = Script()

    assert ["say-a"] == script.sees("say-a", "error", "[DONE]")
    assert script.broke_with("in_band_error")


def test_malformed_event_is_not_forwarded() -> None:
    script = Script()

    assert ["say-a"] == script.sees("say-a", "broken", "say-b")
    assert script.broke_with("malformed_event")


def test_error_field_of_llama_cpp() -> None:
    script = Script()

    assert b"" == script.splice.feed(b'error: {"code":500}\n\n')
    assert script.broke_with("in_band_error")


def test_comments_pass_after_the_commit_only() -> None:
    script = Script()

    assert b"" == script.splice.feed(b": ping\n\n")
    assert ["say-a"] == script.sees("say-a")
    assert b": ping\n\n" == script.splice.feed(b": ping\n\n")


def test_pings_and_roles_count_as_no_content() -> None:
    script = Script()
    script.splice.feed(b": ping\n\n" + events("role", "role"))

    assert 0 == script.splice.contents
    script.sees("say-a", "say-b")
    assert 2 == script.splice.contents


@pytest.mark.parametrize(("show", "expected"), [(True, ["usage", "[DONE]"]), (False, ["[DONE]"])])
def test_usage_is_shown_to_who_asked(show: bool, expected: list[str]) -> None:
    script = Script(show_usage=show)
    script.sees("say-a", "stop")

    assert expected == script.sees("usage", "[DONE]")
    assert b"usage" == script.splice.usage


def test_edits_replace_what_was_received() -> None:
    assert ["edited"] == Script().sees("edit")


def test_endless_empty_deltas_do_not_fill_the_memory() -> None:
    script = Script()
    for _ in range(200):
        script.splice.feed(b"data: role\n\n" + b"data: role" + b" 0" * 5000 + b"\n\n")

    assert script.broke_with("empty_answer")


def test_too_large_an_event_is_a_failure() -> None:
    script = Script()
    script.sees("say-a")
    script.splice.feed(b"data: " + b"x" * (8 * 1024 * 1024))

    assert script.broke_with("event_too_large")


def test_failures_that_bytes_do_not_show() -> None:
    script = Script()
    script.sees("say-a")
    script.splice.fail(Failure(FailureClass.TIMEOUT, "idle_timeout"))

    assert script.broke_with("idle_timeout")
    assert [] == script.ends()


def test_after_the_terminal_marker_nothing_matters() -> None:
    script = Script()
    script.sees("say-a", "stop", "[DONE]")
    script.splice.fail(Failure(FailureClass.RESET, "reset"))

    assert StreamState.DONE is script.splice.state
    assert script.splice.failure is None


def test_whole_events_only() -> None:
    script = Script()

    assert b"" == script.splice.feed(b"data: say-a")
    assert b"data: say-a\n\n" == script.splice.feed(b"\n\ndata: say")
    assert b"data: say-b\n\n" == script.splice.feed(b"-b\n\n")


# What is held until it is complete.


def test_a_tool_call_is_held_until_the_next_begins_or_the_choice_is_finished() -> None:
    script = Script(hold=HoldBack.TOOLS)

    assert [] == script.sees("role", "call-a 0", "call-b 0")
    assert StreamState.GATED is script.splice.state
    assert 2 == script.splice.contents
    assert ["role", "call-a 0", "call-b 0"] == script.sees("call-c 1")
    assert [] == script.sees("call-d 1")
    assert script.splice.holding
    assert ["call-c 1", "call-d 1", "stop"] == script.sees("stop")
    assert not script.splice.holding
    assert ["[DONE]"] == script.sees("[DONE]")


def test_text_before_a_call_is_shown_and_what_comes_after_it_waits_its_turn() -> None:
    script = Script(hold=HoldBack.TOOLS)

    assert ["role", "say-a"] == script.sees("role", "say-a")
    assert [] == script.sees("call-a 0", "say-b")
    assert ["call-a 0", "say-b", "stop"] == script.sees("stop")


def test_calls_that_take_turns_are_held_to_the_end() -> None:
    script = Script(hold=HoldBack.TOOLS)

    assert ["call-a 0"] == script.sees("call-a 0", "call-b 1")
    assert [] == script.sees("call-c 0", "call-d 1")
    assert ["call-b 1", "call-c 0", "call-d 1", "stop"] == script.sees("stop")


def test_a_break_within_a_held_call_shows_nothing_of_it() -> None:
    script = Script(hold=HoldBack.TOOLS)
    script.sees("role", "call-a 0")

    assert [] == script.ends()
    assert script.broke_with("truncated")


def test_without_holding_calls_go_as_they_come() -> None:
    script = Script()

    assert ["call-a 0"] == script.sees("call-a 0")


def test_of_several_choices_nothing_is_held() -> None:
    script = Script(choices=2, hold=HoldBack.ALL)

    assert ["say-a 0"] == script.sees("say-a 0")


def test_all_is_held_where_that_is_wanted() -> None:
    script = Script(hold=HoldBack.ALL)

    assert [] == script.sees("role", "say-a", "say-b")
    assert ["role", "say-a", "say-b", "stop"] == script.sees("stop")


def test_a_call_that_is_too_long_goes_as_it_comes() -> None:
    script = Script(hold=HoldBack.TOOLS)
    pieces = [f"call-{'x' * 100_000}" for _ in range(12)]

    assert len(script.sees(*pieces)) > 10
    assert ["call-y 1"] == script.sees("call-y 1")


@pytest.mark.parametrize("odd", ["error", "broken"])
def test_what_goes_wrong_after_the_finish_reason_is_an_end(odd: str) -> None:
    script = Script()
    script.sees("say-a", "stop")

    assert ["[DONE]"] == script.sees(odd)
    assert StreamState.DONE is script.splice.state
