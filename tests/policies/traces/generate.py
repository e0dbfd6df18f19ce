"""Made-up traffic of one deployment; the recorded traces were written by `python -m tests.policies.traces.generate`.

Arrivals are a Poisson process of about two requests a second; the time to the first content is lognormal (median 0.6 s,
sigma 0.8, the heavy tail of language models); failures take a third of a usual answer. Healthy: 1 % errors all along.
Degrading: from minute 12 on latency grows to its fourfold within six minutes, and from minute 15 on the error share
climbs from 1 % to 80 % within three minutes. Everything is drawn from one seeded generator.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
LENGTH_S = 35 * 60.0


class Answer(NamedTuple):
    seconds: float
    ok: bool
    latency_s: float


def ramp(now: float, begins: float, lasts: float) -> float:
    """0 before, 1 after, a straight line between."""
    return min(1.0, max(0.0, (now - begins) / lasts))


def steady(value: float) -> Callable[[float], float]:
    return lambda _: value


TWO_A_SECOND, ONE_IN_A_HUNDRED, AS_USUAL = steady(2.0), steady(0.01), steady(1.0)


def traffic(
    seed: int,
    *,
    rate: Callable[[float], float] = TWO_A_SECOND,
    errors: Callable[[float], float] = ONE_IN_A_HUNDRED,
    slowness: Callable[[float], float] = AS_USUAL,
    sigma: float = 0.8,
    length: float = LENGTH_S,
) -> Iterator[Answer]:
    """Answers in order. `rate` per second, `errors` as a share, `slowness` as a factor, each at a given second."""
    luck = random.Random(seed)
    now = luck.expovariate(rate(0.0))
    while now < length:
        ok = luck.random() >= errors(now)
        usual = luck.lognormvariate(-0.5, sigma) * slowness(now)
        yield Answer(round(now, 2), ok, round(usual if ok else usual / 3, 3))
        now += luck.expovariate(rate(now))


def healthy() -> list[Answer]:
    return list(traffic(1))


def degrading() -> list[Answer]:
    return list(
        traffic(
            2,
            errors=lambda now: 0.01 + 0.79 * ramp(now, 15 * 60, 180),
            slowness=lambda now: 4 ** ramp(now, 12 * 60, 360),
        )
    )


def read(name: str) -> list[Answer]:
    rows = (HERE / name).read_text(encoding="utf-8").splitlines()[1:]
    cells = (row.split(",") for row in rows)
    return [Answer(float(seconds), ok == "1", float(latency)) for seconds, ok, latency in cells]


def write(name: str, trace: list[Answer]) -> None:
    rows = [f"{one.seconds:.2f},{one.ok:d},{one.latency_s:.3f}" for one in trace]
    (HERE / name).write_text("\n".join(["seconds,ok,latency_s", *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    write("healthy.csv", healthy())
    write("degrading.csv", degrading())
