"""What a route does besides going down its chain, in plain words, for `holdfast explain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxy.cli.words import span
from proxy.routing.explain import Explained
from proxy.routing.plan import Plan


def as_drawn(plan: Plan, steps: Sequence[Explained]) -> list[Explained]:
    """The steps of a plan; those of a weighted or parallel route do not wait for the one before them."""
    if plan.strategy == "sequential":
        return list(steps)
    planned = dict(enumerate(plan.steps))
    total = sum(planned[place].weight for place, step in enumerate(steps) if step.usable)
    told: list[Explained] = []
    for place, step in enumerate(steps):
        limits = step.why.partition("; ")[2]
        if not step.usable:
            told.append(step)
        elif plan.strategy == "parallel":
            told.append(step._replace(serves=True, why=f"asked at once with the others; {limits}"))
        elif total and not planned[place].weight:
            told.append(step._replace(serves=False, why=f"only stands in for others; {limits}"))
        else:
            part = planned[place].weight / total if total else 0.0
            drawn = f"serves first for {part:.0%} of requests" if total else "stands in, as all weights are 0"
            told.append(step._replace(serves=True, why=f"{drawn}; {limits}"))
    return told


def habits(plan: Plan) -> Iterator[str]:
    """Strategy, hedge, panic and adaptive breakers, a sentence each; nothing about what a route does not do."""
    if plan.strategy == "weighted":
        yield "Who is asked first is drawn by weight, for each request; when it fails, the next one drawn is asked."
    elif plan.strategy == "parallel":
        yield "All are asked at once; the first good answer counts, and the others are cancelled."
    hedge = plan.hedge
    if hedge is not None:
        late = f"for {span(hedge.delay)}" if hedge.delay is not None else "for longer than it usually is"
        usual = "" if hedge.percentile is None else f" ({hedge.percentile:.0%} of its answers come sooner)"
        often = f"on at most {hedge.ratio:.0%} of requests"
        yield f"When the first is silent {late}{usual}, another is asked, too, {often}; the faster one counts."
    if plan.panic is not None and len(plan.steps) > 1:
        yield f"With {plan.panic:.0%} of the chain out at once and nothing else left, open breakers are tried early."
    adaptive = [str(step.deployment) for step in plan.steps if step.rules.foresight.adaptive]
    if adaptive:
        yield f"The error rate that opens a breaker adapts to its history and the hour: {', '.join(adaptive)}."


def if_all_fail(plan: Plan) -> str:
    """What a client gets when nobody answers."""
    resort = plan.last_resort
    if resort is None:
        return "the client gets an error that says what was tried"
    parts: list[str] = []
    if resort.cached is not None:
        parts.append(f"an answer to the same request is given again, if there is one of the last {span(resort.cached)}")
    parts.append("the route's own text is the answer" if resort.text is not None else "the client gets an error")
    return ", else ".join(parts)


def habits_document(plan: Plan) -> dict[str, object]:
    """The same as plain data, for JSON."""
    hedge, resort = plan.hedge, plan.last_resort
    return {
        "strategy": plan.strategy,
        "hedge": hedge and {"percentile": hedge.percentile, "delay_s": hedge.delay, "ratio": hedge.ratio},
        "panic": plan.panic,
        "last_resort": resort and {"text": resort.text, "cached_s": resort.cached},
        "adaptive": [str(step.deployment) for step in plan.steps if step.rules.foresight.adaptive],
    }
