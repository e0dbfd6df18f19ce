"""What routes.yaml may say about trying, waiting and giving up: the sections that stand in several places of the file.

Every key is optional: what is not said is taken from farther away, and in the end from the defaults that the docstrings
name. Those are the defaults of the settings that `nearest.py` fills.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

from proxy.config.units import (
    DURATION_SCHEMA,
    POSITIVE_SHARE_SCHEMA,
    Duration,
    PositiveDuration,
    PositiveShare,
    Share,
    UnitError,
    parse_duration,
    parse_share,
)


class Section(BaseModel):
    """A mapping of routes.yaml: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Timers(Section):
    """Timers of one attempt; the request's deadline is above them all."""

    connect: PositiveDuration | None = None
    """To open the connection, TLS included. Default 3s."""
    first_token: PositiveDuration | None = None
    """From sending the request to the first content; the chain's last usable deployment has until the deadline.
    Default 30s."""
    answer: PositiveDuration | None = None
    """The same for an answer that is not streamed, whose first content is all of it. Default: what `first_token` is set
    to, else 60s."""
    idle: PositiveDuration | None = None
    """From content to content in a stream; keep-alives and empty deltas do not count. Default 15s."""


class Backoff(Section):
    """Waits between tries of one deployment: full jitter below a growing ceiling."""

    initial: PositiveDuration | None = None
    """The first ceiling. Default 1s."""
    multiplier: float | None = Field(default=None, ge=1, le=10, allow_inf_nan=False)
    """What the ceiling grows by with each try. Default 2."""
    max: PositiveDuration | None = None
    """The highest ceiling. Default 60s."""


class Retry(Section):
    """Trying one deployment again within one request."""

    attempts: int | None = Field(default=None, ge=1, le=10)
    """Tries of one deployment in one request, the first included. Default 3."""
    patience: Duration | None = None
    """The most that a request waits for one deployment while another is ready. Default 3s."""
    backoff: Backoff | None = None
    """Waits between tries."""


class Budget(Section):
    """How many extra attempts there may be, over all traffic of the process."""

    ratio: Share | None = None
    """Extra attempts per request, over the last ten seconds. Default 20%."""
    min_per_second: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Extra attempts per second that are always allowed, so that low traffic is not left without. Default 3."""


class DefaultRetry(Retry):
    """`retry` as `defaults` may set it: with the budget over all traffic."""

    budget: Budget | None = None
    """The retry budget, over all traffic of the process."""


class UpstreamBudget(Budget):
    """How many extra attempts one upstream may get."""

    ratio: Share | None = None
    """Extra attempts per request of this upstream, over the last ten seconds. Default: that of `defaults`."""
    min_per_second: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Extra attempts per second that this upstream may always get. Default: that of `defaults`."""


class UpstreamRetry(Retry):
    """`retry` as an upstream may set it: with a budget of its own."""

    budget: UpstreamBudget | None = None
    """The upstream's own retry budget; an extra attempt needs this one and the one over all traffic."""


class Breaker(Section):
    """When a deployment is left alone because it fails, and how it comes back."""

    consecutive: int | None = Field(default=None, ge=1, le=1000)
    """Failures in a row that open the breaker. Default 5."""
    error_rate: PositiveShare | None = None
    """Share of failed attempts within `window` that opens it. Default 60%."""
    minimum_requests: int | None = Field(default=None, ge=1)
    """Attempts within `window` that are needed before `error_rate` counts. Default 5."""
    window: PositiveDuration | None = None
    """The time that `error_rate` looks back. Default 5m."""
    open_for: PositiveDuration | None = None
    """How long it stays open the first time; each relapse doubles it. Default 60s."""
    max_open_for: PositiveDuration | None = None
    """The most that it stays open. Default 10m."""
    probes: int | None = Field(default=None, ge=1, le=100)
    """Attempts that may be under way at once while it is half-open. Default 2."""
    close_after: int | None = Field(default=None, ge=1, le=100)
    """Successes while half-open that close it. Default 2."""


class Health(Section):
    """Small questions that find out whether a deployment answers."""

    probe: Literal["auto", "always", "suspect", "never"] | None = None
    """Whether it is asked: `always`, only as a `suspect` (after failures), `never`, or as `auto` sees fit for its kind.
    Default auto."""
    interval: PositiveDuration | None = None
    """From question to question. Default 30s."""
    timeout: PositiveDuration | None = None
    """How long the answer may take. Default 10s."""
    prompt: str | None = Field(default=None, min_length=1)
    """What is asked. Default: Reply with the word ok."""
    expect: str | None = None
    """What the answer must contain; `""` for any answer. Default ok."""
    learn: bool | None = None
    """Whether the server is asked for windows, prices and loaded models; in `defaults` or on an upstream. Default
    true."""


class Recovery(Section):
    """The way back of a deployment whose breaker has closed."""

    ramp: Duration | None = None
    """From closing to full traffic; 0 for at once. Default 30s."""
    stable: Duration | None = None
    """How long it must then hold until it counts as recovered and its breaker forgets earlier openings. Default 60s."""


class Foresight(Section):
    """Acting on trouble before it is there."""

    trend: bool | None = None
    """Whether rising errors or latency move traffic away. Default true."""
    share: Share | None = None
    """The most of its traffic that a bad trend moves away. Default 20%."""
    adaptive: bool | None = None
    """Whether the breaker's error rate follows what is usual for the deployment at this time of day. Default false."""


class Limit(Section):
    """A limit that adapts: down when attempts are too many for the other side, up when they are answered well."""

    initial: int = Field(default=20, ge=1)
    """Where it begins. Default 20."""
    min: int = Field(default=1, ge=1)
    """How low it may fall. Default 1."""
    max: int = Field(default=200, ge=1)
    """How high it may rise. Default 200."""


def _limit(value: Any) -> Any:
    if value == "adaptive":
        return {}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"initial": value, "min": value, "max": value}
    if isinstance(value, str | int | float):
        raise UnitError(value, "is not a limit; write a number, `adaptive`, or {initial: 20, min: 1, max: 200}")
    return value


class _LimitForms:
    """Tells the JSON Schema about the short forms of a limit."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "adaptive"}, handler(schema)]}


LimitForm = Annotated[Limit, BeforeValidator(_limit), _LimitForms()]
"""A number (fixed), `adaptive`, or a mapping."""


class Outlier(Section):
    """Leaving out a deployment whose siblings on the route do far better."""

    error_gap: PositiveShare | None = None
    """How much higher its share of errors must be than that of the median sibling. Default 40%."""
    latency_factor: float | None = Field(default=None, gt=1, allow_inf_nan=False)
    """How many times slower it must be than the median sibling; for `weighted` and `parallel` only. Default 5."""
    minimum_requests: int | None = Field(default=None, ge=1)
    """Recent answers that it and a sibling need before they are compared. Default 20."""
    eject_for: PositiveDuration | None = None
    """How long it is left out. Default 30s."""
    max_ejected: Share | None = None
    """The most of a chain that may be left out for this reason; 0 switches it off. Default 50%."""


def _panic(value: Any) -> float:
    """A share above 0; infinity for `never`, which no share of a chain can reach."""
    if value == "never":
        return math.inf
    try:
        share = parse_share(value)
    except UnitError:
        problem = "is not a share; write a number from 0 to 1, a percentage, or `never`"
        raise UnitError(value, problem) from None
    if share == 0:
        raise UnitError(value, "would be panic all the time; write `never` to switch it off")
    return share


Panic = Annotated[
    float,
    BeforeValidator(_panic),
    WithJsonSchema({"anyOf": [POSITIVE_SHARE_SCHEMA, {"const": "never"}]}),
]
"""A share above 0, or infinity for `never`."""


class HedgeDelay(NamedTuple):
    """When a hedge starts: a percentile (0 to 1) of the deployment's own answers, or a number of seconds."""

    percentile: float | None
    seconds: float | None


def _hedge_delay(value: Any) -> HedgeDelay:
    if isinstance(value, str) and (match := re.fullmatch(r"p([5-9][0-9])", value.strip())):
        return HedgeDelay(int(match[1]) / 100, None)
    try:
        seconds = parse_duration(value)
    except UnitError:
        raise UnitError(value, "is no delay; write a percentile from p50 to p99, or a duration: 800ms, 2s") from None
    if seconds == 0:
        raise UnitError(value, "would double every request; write a percentile such as p95, or a duration")
    return HedgeDelay(None, seconds)


class Hedge(Section):
    """A second attempt on the next deployment while the first is slower than usual; the first good answer wins."""

    after: Annotated[
        HedgeDelay,
        PlainValidator(_hedge_delay),
        WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^\s*p[5-9][0-9]\s*$"}, DURATION_SCHEMA]}),
    ] = HedgeDelay(0.95, None)
    """When it starts: a percentile of the first deployment's own recent answers (p50 to p99), or a duration.
    Default p95."""
    ratio: Share = 0.05
    """The most hedges per request of the route; 0 switches it off. Default 5%."""


ModeName = Literal["prefill", "instruct", "restart"]


class Resume(Section):
    """Finishing a broken stream on another deployment: `on`, `off`, or how. Default on."""

    modes: list[ModeName] | None = Field(default=None, min_length=1, json_schema_extra={"uniqueItems": True})
    """How a deployment may be made to go on, in the order of preference. `prefill`: the part that was said is the
    beginning of its own answer. `instruct`: it is asked to go on with that part. `restart`: it is asked anew, and must
    say the same up to there. Default: all three, in this order."""
    hold: Literal["tools", "all", "none"] | None = None
    """What the client gets only when it is complete. `tools`: each tool call. `all`: structured output as a whole, too.
    `none`: nothing. Default tools."""
    reasoning: Literal["once", "again"] | None = None
    """Whether the client is also shown the reasoning of the deployment that goes on. Default once."""
    instruction: str | None = Field(default=None, min_length=1, max_length=4000)
    """For `instruct`: what is asked, at most 4000 characters; `{tail}` stands for the last characters of what was said.
    Default: a text of our own."""


class ResumeOff(Resume):
    """What `off` becomes: it says nothing of its own, and whatever was said farther away does not count."""


def _resume(value: Any) -> Any:
    if value is False or value == "off":
        return ResumeOff()
    if value is True or value == "on":
        return {}
    if isinstance(value, str | int | float):
        raise UnitError(value, "does not fit here; write `on`, `off`, or {modes: [prefill, instruct], hold: tools}")
    return value


class _ResumeForms:
    """Tells the JSON Schema about the short forms of `resume`."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "enum": ["on", "off"]}, {"type": "boolean"}, handler(schema)]}


ResumeForm = Annotated[Resume, BeforeValidator(_resume), _ResumeForms()]
"""`on`, `off`, a boolean that means the same, or a mapping."""


class LastResort(Section):
    """The answer when every deployment has failed: at least one of the two."""

    text: str | None = Field(default=None, min_length=1)
    """Given as the assistant's message, marked in `x-holdfast-degraded`."""
    cached: PositiveDuration | None = None
    """How old an earlier answer to the same request may be to be given instead; it comes before `text`."""


class Nearest(Section):
    """Settings that may stand in defaults, an upstream, a route or a step; the nearest to the step wins."""

    timeout: Timers | None = None
    """Timers of one attempt."""
    retry: Retry | None = None
    """Trying one deployment again."""
    breaker: Breaker | None = None
    """When a deployment is left alone."""
    health: Health | None = None
    """Small questions that find out whether a deployment answers."""
    recovery: Recovery | None = None
    """The way back of a deployment that was left alone."""
    foresight: Foresight | None = None
    """Acting on trouble before it is there."""


class NearestLimit(Nearest):
    """The same where `max_concurrent` is the limit of one deployment: everywhere but on an upstream."""

    max_concurrent: LimitForm | None = None
    """Attempts at once on one deployment: a number, `adaptive`, or {initial, min, max}. Default 100."""


class NearestChain(NearestLimit):
    """The same with what concerns a chain as a whole: for defaults and routes."""

    panic: Panic | None = None
    """The share of a chain that must be out at once for open breakers to be tried early; `never` switches it off.
    Default 50%."""
    outlier: Outlier | None = None
    """Leaving out a deployment whose siblings do far better."""
    degraded_below: Share | None = None
    """The share of a route's weighted capacity below which /health calls the route degraded. Default 60%."""
    resume: ResumeForm | None = None
    """Whether and how a broken stream is finished on another deployment: `on`, `off`, or {modes, hold, reasoning,
    instruction}. Default on."""
