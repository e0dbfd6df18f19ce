"""What is kept of a stream: enough to go on with it, and never more than its share."""

from proxy.streams.transcript import BLOCK, MOST_SAID, Room, Said, Transcript

EVENT = b"data: " + b"wrapping " * 20 + b"word\n\n"


def condense(block: bytes, said: Said) -> None:
    """A dialect whose events say their last word."""
    for event in block.split(b"\n\n")[:-1]:
        said.add(event.rsplit(b" ", 1)[-1].decode())
        said.pieces += 1


def text_of(transcript: Transcript) -> str:
    said = transcript.said()
    assert said is not None
    return said.text


def test_nothing_is_read_before_there_is_a_need() -> None:
    def never(block: bytes, said: Said) -> None:
        raise AssertionError(block, said)

    transcript = Transcript(never, Room())
    for _ in range(BLOCK // (len(EVENT) + 100)):
        transcript.add(EVENT)


def test_everything_that_was_said_is_known() -> None:
    transcript = Transcript(condense, Room())
    for _ in range(5000):
        transcript.add(EVENT)

    assert "word" * 5000 == text_of(transcript)
    transcript.add(EVENT)
    assert "word" * 5001 == text_of(transcript)


def test_a_long_stream_takes_a_block_and_what_it_said() -> None:
    room = Room()
    transcript = Transcript(condense, room)
    for _ in range(20_000):
        transcript.add(EVENT)
        assert room.used <= 80_000 + BLOCK + 32 * 1024

    transcript.close()
    assert 0 == room.used


def test_a_short_stream_takes_little() -> None:
    room = Room()
    transcript = Transcript(condense, room)
    transcript.add(EVENT)

    assert room.used < 10_000


def test_who_says_too_much_is_lost() -> None:
    room = Room()
    transcript = Transcript(condense, room)
    event = b"data: " + b"x" * 40_000 + b"\n\n"
    for _ in range(MOST_SAID // 40_000 + 3):
        transcript.add(event)

    assert transcript.said() is None
    assert 0 == room.used
    for _ in range(100):
        transcript.add(event)
    assert transcript.lost
    assert 0 == room.used


def test_where_there_is_no_room_a_stream_is_lost_and_the_others_are_not() -> None:
    room = Room(limit=100_000)
    first, second = Transcript(condense, room), Transcript(condense, room)
    for _ in range(350):
        first.add(EVENT)
    for _ in range(350):
        second.add(EVENT)

    assert second.said() is None
    assert "word" * 350 == text_of(first)
    first.close()
    second.close()
    assert 0 == room.used


def test_a_thousand_streams_stay_within_the_room() -> None:
    room = Room()
    transcripts = [Transcript(condense, room) for _ in range(1000)]
    for _ in range(20):
        for transcript in transcripts:
            transcript.add(EVENT * 100)

    assert not any(transcript.lost for transcript in transcripts)
    assert room.used < 1000 * (3 * 8000 + BLOCK)


def test_halves_of_a_character_become_one() -> None:
    said = Said()
    said.add("a\ud83c")
    said.add("\udf89b")

    assert "a\N{PARTY POPPER}b" == said.text


def test_tokens_are_pieces_unless_these_are_large() -> None:
    tokens, lumps = Said(), Said()
    for _ in range(100):
        tokens.add("word ")
    tokens.pieces = 100
    lumps.add("word " * 100)
    lumps.pieces = 2

    assert 100 == tokens.tokens
    assert 125 == lumps.tokens
