"""Kept answers: by the whole request, bounded in size and age."""

from proxy.core.chat import parse_chat
from proxy.core.names import DeploymentId
from proxy.execution.kept import MOST_BYTES_EACH, Copy, Kept, KeptAnswers, name_of

ID = DeploymentId("a", "m")


def kept(body: bytes, at: float = 0.0) -> Kept:
    return Kept(body, ID, at)


def name(body: bytes, route: str = "chat", client: str | None = None) -> bytes:
    return name_of(route, client, parse_chat(body))


def test_the_order_of_fields_does_not_matter_and_everything_else_does() -> None:
    asked = b'{"model":"chat","messages":[1],"temperature":0.5}'

    assert name(asked) == name(b'{"temperature":0.5,"messages":[1],"model":"chat"}')
    others = [
        b'{"model":"chat","messages":[2],"temperature":0.5}',
        b'{"model":"chat","messages":[1],"temperature":0.6}',
        b'{"model":"chat","messages":[1],"temperature":0.5,"stream":true}',
        b'{"model":"chat","messages":[1],"temperature":0.5,"user":"x"}',
    ]
    assert len({name(asked), *(name(other) for other in others), name(asked, "other"), name(asked, client="me")}) == 7


def test_an_answer_is_found_until_it_is_too_old() -> None:
    answers = KeptAnswers()
    answers.keep(b"n", kept(b"old", 0.0))
    answers.keep(b"n", kept(b"new", 5.0))

    assert kept(b"new", 5.0) == answers.find(b"n", 10.0, 15.0)
    assert answers.find(b"n", 10.0, 15.1) is None
    assert answers.find(b"other", 10.0, 5.0) is None


def test_the_oldest_goes_when_there_is_too_much() -> None:
    answers, body = KeptAnswers(), bytes(MOST_BYTES_EACH)
    for number in range(70):
        answers.keep(b"%d" % number, kept(body))

    assert answers.find(b"5", 1.0, 0.0) is None
    assert answers.find(b"6", 1.0, 0.0) is not None
    answers.keep(b"huge", kept(body + b"x"))
    assert answers.find(b"huge", 1.0, 0.0) is None


class Client:
    """Takes what is written; whether it takes it at once is set."""

    def __init__(self) -> None:
        self.took: list[bytes] = []
        self.ready = False

    def push(self, data: bytes, chunk: bytes | None = None) -> bool:
        del chunk
        if self.ready:
            self.took.append(data)
        return self.ready

    async def write(self, data: bytes) -> None:
        self.took.append(data)


async def test_a_copy_is_whole_or_nothing() -> None:
    client = Client()
    copy = Copy(client)

    assert not copy.push(b"one ")
    await copy.write(b"one ")
    client.ready = True
    assert copy.push(b"two")
    assert b"one two" == copy.whole
    await copy.write(bytes(MOST_BYTES_EACH))
    assert copy.whole is None
    assert [b"one ", b"two", bytes(MOST_BYTES_EACH)] == client.took
