"""Messages over a stream."""

import pytest

from proxy.workers.frames import ALL, Frames, frame


@pytest.mark.parametrize("size", [1, 2, 5, 7, 1000])
def test_messages_however_the_bytes_come(size: int) -> None:
    sent = frame(3, b"one") + frame(ALL, b"") + frame(0, b"x" * 100)
    frames = Frames()
    found = [each for at in range(0, len(sent), size) for each in frames.feed(sent[at : at + size])]

    assert [(3, b"one"), (ALL, b""), (0, b"x" * 100)] == found


def test_what_can_be_no_message() -> None:
    with pytest.raises(ValueError, match="a message of"):
        Frames().feed(b"\xff" * 6)
