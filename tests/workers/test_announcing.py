"""What the service manager is told."""

import math

from proxy.workers.announcing import Announcing


class Manager:
    patience: float | None = 10.0

    def __init__(self) -> None:
        self.told: list[str] = []

    def ready(self) -> None:
        self.told.append("ready")

    def reloading(self) -> None:
        self.told.append("reloading")

    def stopping(self) -> None:
        self.told.append("stopping")

    def alive(self) -> None:
        self.told.append("alive")


def test_signs_of_life_begin_when_it_serves() -> None:
    manager = Manager()
    announcing = Announcing(manager, lambda: None)
    announcing.give_sign(0.0)
    # Nobody wakes up for a sign that will not be given yet.
    assert (math.inf, []) == (announcing.sign_due(), manager.told)

    announcing.serves()
    announcing.serves()
    announcing.give_sign(1.0)
    announcing.give_sign(2.0)
    assert (6.0, ["ready", "alive"]) == (announcing.sign_due(), manager.told)


def test_a_reload_is_told_to_be_over_once() -> None:
    manager = Manager()
    announcing = Announcing(manager, lambda: None)
    announcing.reloaded()
    announcing.reloads()
    announcing.reloaded()
    announcing.reloaded()
    assert ["reloading", "ready"] == manager.told
