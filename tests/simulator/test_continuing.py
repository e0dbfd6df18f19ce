"""What an upstream says when a request shows it the beginning of an answer."""

import json

import pytest

from proxy.simulator.answers import Voice, compose
from proxy.simulator.wires.openai_chat import parse_chat

SAY = " ".join(f"w{number}" for number in range(60))
PART = " ".join(SAY.split()[:40])
REST = SAY.removeprefix(PART)
LAST_WORDS = " ".join(f"w{number}" for number in range(15, 40))
"""The words that begin within the last 100 characters of PART."""
FOREIGN = "Some other model said this, in seven"
USER = {"role": "user", "content": "How are you?"}
ASK = "Go on. Begin with the mark […] and the last characters:\n\n[…]"
WAYS = ("continue", "repeat", "tail", "restate", "space", "ignore")

SCHEMA = {"type": "object", "properties": {"mood": {"enum": ["fine"]}, "city": {"type": "string"}}}
WANTED = {"type": "json_schema", "json_schema": {"name": "mood", "schema": SCHEMA}}
DOCUMENT = '{"mood": "fine", "city": "simulated"}'


def prefill(part: str) -> list[dict]:
    return [USER, {"role": "assistant", "content": part}]


def instruct(part: str, asked: str | None = None) -> list[dict]:
    """Asked with the mark and the last 100 characters, unless other words are given."""
    return [*prefill(part), {"role": "user", "content": ASK + part.rstrip()[-100:] if asked is None else asked}]


def answer(messages: list[dict], way: str = "continue", say: str = SAY, **extra):
    body = json.dumps({"model": "m", "messages": messages, **extra}).encode()
    return compose(Voice("b", answer=say, prefill=way), parse_chat(body), serial=1, now=1000.5)


def text(messages: list[dict], way: str = "continue", say: str = SAY, **extra) -> str:
    return "".join(answer(messages, way, say, **extra).choices[0].tokens)


@pytest.mark.parametrize("ask", [prefill, instruct])
@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("continue", REST),
        ("repeat", SAY),
        ("tail", LAST_WORDS + REST),
        ("space", REST),
        ("ignore", SAY),
    ],
)
def test_the_ways_to_go_on(ask, way, said):
    assert said == text(ask(PART), way)


@pytest.mark.parametrize(("part", "rest"), [("w0 w1 w", "2 w3"), ("w0", " w1 w2 w3"), ("w0 w1 w2 w3", "")])
@pytest.mark.parametrize("ask", [prefill, instruct])
def test_it_goes_on_within_a_word_and_at_both_ends(ask, part, rest):
    say = "w0 w1 w2 w3"
    said = [text(ask(part), way, say) for way in ("continue", "space", "repeat", "tail")]
    assert [rest, rest, say, say] == said


def test_white_space_that_was_sent_is_not_said_again():
    said = {way: text(prefill(PART + " "), way) for way in WAYS}
    once = REST.removeprefix(" ")
    assert {
        "continue": once,
        "repeat": SAY,
        "tail": LAST_WORDS + " " + once,
        "restate": once,
        "space": " " + once,
        "ignore": SAY,
    } == said


def test_white_space_before_the_rest_is_said():
    assert "\n\n- two\n" == text(prefill("- one"), say="- one\n\n- two\n")
    assert "\n" == text(prefill("- one"), say="- one\n")


def test_the_tail_of_a_text_without_gaps():
    say = "字" * 150
    assert "字" * 130 == text(prefill("字" * 120), "tail", say)


def test_the_tail_starts_at_a_word_that_begins_right_there():
    words = "one " * 24 + "last"  # 100 characters
    assert words + " end" == text(prefill("a " + words), "tail", f"a {words} end")
    assert words[4:] + " end" == text(prefill("a" + words), "tail", f"a{words} end")


# As it was told to.


@pytest.mark.parametrize("part", [PART, "w0 w1", "w0 w1 w"])
def test_the_mark_and_what_is_behind_it_are_restated(part):
    assert "[…]" + part[-100:] + SAY.removeprefix(part) == text(instruct(part), "restate")


def test_a_mark_within_the_quoted_words_is_restated_with_them():
    part, rest = "So he went […] and then […] away", " for good."
    assert f"[…]{part}{rest}" == text(instruct(part), "restate", part + rest)


def test_what_is_restated_has_the_white_space_behind_it():
    assert "[…]" + PART[-100:] + REST == text(instruct(PART + " "), "restate")


def test_words_behind_the_quote_are_not_restated():
    asked = f"Repeat […]{PART[-30:]}\n\nand go on."
    assert "[…]" + PART[-30:] + REST == text(instruct(PART, asked), "restate")


@pytest.mark.parametrize("messages", [prefill(PART), instruct(PART, "Go on."), instruct(PART, "Go on […] please.")])
def test_without_a_quote_behind_a_mark_nothing_is_restated(messages):
    assert REST == text(messages, "restate")


def test_foreign_words_are_restated():
    assert f"[…]{FOREIGN} w7 w8" == text(instruct(FOREIGN), "restate")[: len(FOREIGN) + 9]


# Whose beginning it is.


@pytest.mark.parametrize("ask", [prefill, instruct])
def test_foreign_words_are_continued_from_the_same_word_on(ask):
    assert " w7 w8 w9" == text(ask(FOREIGN))[:9]
    assert FOREIGN + " w7 w8" == text(ask(FOREIGN), "repeat")[: len(FOREIGN) + 6]
    assert "w7 w8" == text(prefill(FOREIGN + " "))[:5]
    assert " w7 w8" == text(prefill(FOREIGN + " "), "space")[:6]
    assert " b" == text(ask("x y z"), say="a b")
    assert "" == text(ask("x y z"), say="")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (f"It broke off at “{FOREIGN[-16:]}”.", " w7"),
        (f"It broke off at “{FOREIGN[-15:]}”.", "w0 "),
        (f"It broke off at “{FOREIGN[:-1]}”.", "w0 "),
        ("Go on.", "w0 "),
        ("", "w0 "),
    ],
)
def test_foreign_words_must_be_quoted_by_their_end(asked, said):
    assert said == text(instruct(FOREIGN, asked))[:3]


@pytest.mark.parametrize(
    ("asked", "said"), [("Go on: I", " w1"), ("[…]I", " w1"), ("In short?", "w0 "), ("AI?", "w0 ")]
)
def test_a_short_part_is_quoted_as_a_word(asked, said):
    assert said == text(instruct("I", asked))[:3]


def test_its_own_unfinished_answer_goes_on_without_a_quote():
    assert REST == text(instruct(PART, "Go on."))
    assert SAY == text(instruct(PART, "Go on."), "ignore")
    assert SAY == text(instruct(SAY, "Again."))


def test_the_question_before_the_beginning_is_the_one_that_is_answered():
    def words(*messages: dict, way: str = "continue") -> str:
        return text(list(messages), way, None)

    whole = words(USER)
    cut = {"role": "assistant", "content": whole[:50]}
    assert whole[50:] == words(USER, cut, {"role": "user", "content": ASK + whole[:50]})
    assert whole == words(USER, cut, {"role": "user", "content": ASK + whole[:50]}, way="ignore")


def test_what_is_no_user_after_the_beginning_asks_for_nothing():
    assert SAY == text([*prefill(PART), {"role": "tool", "content": PART}])
    assert SAY == text(prefill(""))


def test_parts_of_a_content_are_read():
    assert REST == text([USER, {"role": "assistant", "content": [{"type": "text", "text": PART}], "prefix": True}])


def test_the_health_prompt_is_answered_ok_whatever_was_said():
    assert "ok" == text(instruct("ok", "Reply with the word ok."))


# The end, limits and usage.


@pytest.mark.parametrize("way", ["continue", "space"])
@pytest.mark.parametrize("ask", [prefill, instruct])
def test_nothing_follows_a_complete_answer(ask, way):
    composed = answer(ask(SAY), way)
    assert ((), "stop") == (composed.choices[0].tokens, composed.choices[0].finish_reason)
    assert 0 == composed.usage["completion_tokens"]
    assert composed.usage["prompt_tokens"] == composed.usage["total_tokens"]


@pytest.mark.parametrize(
    ("way", "words"), [("continue", 20), ("repeat", 60), ("tail", 45), ("restate", 46), ("space", 20), ("ignore", 60)]
)
def test_usage_counts_what_is_said(way, words):
    messages = instruct(PART)
    prompt = sum(4 + len(message["content"].split()) for message in messages)
    usage = answer(messages, way).usage
    assert (prompt, words) == (usage["prompt_tokens"], usage["completion_tokens"])


@pytest.mark.parametrize(("way", "said"), [("continue", " w40 w41"), ("repeat", "w0 w1"), ("restate", "[…] w15")])
def test_a_token_limit_counts_what_is_said_now(way, said):
    choice = answer(instruct(PART), way, max_tokens=2).choices[0]
    assert (said, "length") == ("".join(choice.tokens), choice.finish_reason)


# Documents.


def test_a_document_is_completed():
    assert DOCUMENT == text([USER], response_format=WANTED)
    assert DOCUMENT[20:] == text(prefill(DOCUMENT[:20]), response_format=WANTED)
    assert "" == text(prefill(DOCUMENT), response_format=WANTED)
    assert DOCUMENT == text(prefill(DOCUMENT[:20]), "repeat", response_format=WANTED)


@pytest.mark.parametrize("messages", [prefill('{"other'), instruct(DOCUMENT[:20])])
def test_any_other_request_with_a_schema_gets_a_whole_document(messages):
    assert DOCUMENT == text(messages, response_format=WANTED)


def test_tools_are_called_whatever_was_said():
    tools = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    choice = answer(prefill(PART), tools=tools, tool_choice="required").choices[0]
    assert ((), "tool_calls") == (choice.tokens, choice.finish_reason)
