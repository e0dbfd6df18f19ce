"""Rests and key pools: a pool goes on with the keys that are left, and the chain goes on when none is."""

from proxy.core.failure import Failure, FailureClass
from tests.support.plans import plan
from tests.support.play import OK, Play, always

LIMITED = Failure(FailureClass.RATE_LIMITED, "http_429", wait=30.0)
DEAD = Failure(FailureClass.CREDENTIAL, "http_401")


def test_the_next_key_is_used_at_once() -> None:
    play = Play({"a": iter([LIMITED, OK]), "b": always(OK)}, keys=2)

    assert "a" == play.request(plan("a", "b"))
    assert [0.0, 0.1] == [at for at, _, _ in play.log]


def test_when_every_key_is_dead_the_chain_goes_on_and_remembers() -> None:
    play = Play({"a": always(DEAD), "b": always(OK)}, keys=2)

    assert "b" == play.request(plan("a", "b"))
    assert ["a", "a", "b"] == play.order()
    assert "b" == play.request(plan("a", "b"))
    assert ["a", "a", "b", "b"] == play.order()


def test_a_dead_key_is_tried_again_when_its_rest_is_over() -> None:
    play = Play({"a": iter([DEAD, OK]), "b": always(OK)})
    play.request(plan("a", "b"))
    play.now += 301

    assert "a" == play.request(plan("a", "b", deadline=play.now + 60))
