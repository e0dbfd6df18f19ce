"""A stream that breaks anywhere, in any way, and goes on elsewhere: nothing is lost, nothing is said twice.

The contract is in docs/resume.md. Where it promises the whole text the client has the whole text; in every other case
it has an error at the end, and what it has before that is the beginning of the text.
"""

import os
import random

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from proxy.streams.resume import ResumeMode, may_be_over
from proxy.streams.seam import ANCHOR
from tests.support.broken_streams import (
    BREAKS,
    INSTRUCTS,
    PREFILLS,
    RESTARTS,
    Got,
    Speaker,
    any_text,
    deliver,
)

MANY = settings(
    max_examples=int(os.environ.get("HOLDFAST_TEST_TEXTS", "400")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
GOOD = Speaker(prefill="exact", told=True, instruct="mark", restart="same")


def breaking(text: str, luck: random.Random) -> Speaker:
    """A speaker of any manners that breaks off anywhere, but not before its first character."""
    places = [1, len(text), len(text) - 1, luck.randint(1, len(text))]
    return Speaker(
        prefill=luck.choice(PREFILLS),
        told=luck.random() < 0.5,
        instruct=luck.choice(INSTRUCTS),
        restart=luck.choice(RESTARTS),
        breaks=luck.choice(BREAKS),
        after=max(1, luck.choice(places)),
    )


def is_doubtful(text: str, place: int) -> bool:
    """Whether a passage of 64 characters or more comes again right at a place.

    From one of whom it is not known how it goes on, that is a repeat; the contract says so.
    """
    before = text[:place].rstrip()
    after = text[len(before) :].lstrip()
    begin = after[:ANCHOR]
    starts = [start for start in range(len(before) - ANCHOR + 1) if before.startswith(begin, start)]
    return any(after.startswith(before[start:]) for start in starts)


def check(got: Got, text: str) -> None:
    """What holds for whatever a client got. White space before the first word is nothing said yet."""
    assert text.lstrip().startswith(got.text.lstrip())
    if got.whole:
        assert text.lstrip() == got.text.lstrip()
        assert "[DONE]" == got.events[-1]
        assert 1 == got.events.count("[DONE]")
    else:
        assert "[DONE]" not in got.events
    chunks = [event for event in got.events if isinstance(event, dict)]
    assert 1 == len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks})
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert 1 == sum("role" in choice["delta"] for choice in choices)
    assert got.whole == any(choice["finish_reason"] for choice in choices)


@MANY
@given(st.integers(0, 2**64))
def test_whoever_continues_however_the_client_has_all_of_it_or_an_error(seed: int) -> None:
    luck = random.Random(seed)
    text = any_text(luck)
    chain = [breaking(text, luck) for _ in range(luck.randint(1, 4))]
    if luck.random() < 0.7:
        chain.append(Speaker(luck.choice(PREFILLS), luck.random() < 0.5, luck.choice(INSTRUCTS)))

    got = deliver(text, chain, luck)

    assume(not any(is_doubtful(text, place) for place in got.places))
    check(got, text)


@MANY
@given(st.integers(0, 2**64))
def test_where_one_can_continue_the_client_has_all_of_it(seed: int) -> None:
    luck = random.Random(seed)
    text = any_text(luck)
    chain = [breaking(text, luck) for _ in range(luck.randint(1, 3))]

    got = deliver(text, [*chain, GOOD], luck)

    check(got, text)
    assert got.whole


@MANY
@given(st.integers(0, 2**64))
def test_each_mode_alone_is_enough_for_who_can_do_it(seed: int) -> None:
    luck = random.Random(seed)
    text = any_text(luck) + "."
    mode, speaker = luck.choice(
        [
            (ResumeMode.PREFILL, Speaker(prefill="exact", told=True)),
            (ResumeMode.PREFILL, Speaker(prefill="echo", told=True)),
            (ResumeMode.INSTRUCT, Speaker(prefill="refuse", instruct="mark")),
            (ResumeMode.RESTART, Speaker(restart="same")),
        ]
    )
    first = Speaker(breaks=luck.choice(BREAKS), after=luck.randint(1, len(text)))

    got = deliver(text, [first, speaker], luck)

    check(got, text)
    # Of a text that ends where none could, only who begins anew can say that it was all.
    unsure = first.after == len(text) and mode is not ResumeMode.RESTART and not may_be_over(text)
    if text[: first.after].strip() and not unsure:
        assert got.whole
        assert [mode] == got.modes
