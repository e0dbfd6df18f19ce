"""What holds for a step, of all that is said from `defaults` to the step: the nearest wins, key by key.

Layers are ordered from the farthest to the nearest; below them are the built-in values of the settings themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from proxy.config.schema import Config, Route, Step
from proxy.config.schema_policies import (
    DefaultRetry,
    Limit,
    Nearest,
    NearestChain,
    NearestLimit,
    ResumeOff,
    Section,
    UpstreamRetry,
)
from proxy.config.settings import HealthSettings, RetrySettings, Rules, Timeouts
from proxy.policies.backoff import BackoffSettings
from proxy.policies.breaker import BreakerSettings
from proxy.policies.concurrency import LimitSettings
from proxy.policies.outlier import OutlierSettings
from proxy.policies.retry_budget import RetryBudgetSettings
from proxy.policies.slow_start import RecoverySettings
from proxy.policies.trend import ForesightSettings
from proxy.streams.resume import HoldBack, ResumeMode, ResumeSettings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")
_S = TypeVar("_S", bound="DataclassInstance")


def layers(config: Config, route: Route, step: Step) -> list[Nearest]:
    """Where a step's settings may stand."""
    upstream = config.upstreams.get(step.to.partition("/")[0])
    return [config.defaults, *([upstream] if upstream is not None else []), route, step]


def effective_timeouts(nearest: Sequence[Nearest]) -> Timeouts:
    """The timers that hold."""
    timers = [each.timeout for each in nearest]
    silence = [each.first_token for each in timers if each]
    # Whoever sets a limit to silence means it for answers that are not streamed, too, unless they say otherwise.
    built_in = replace(Timeouts(), answer=_last(silence, Timeouts().answer))
    return _merged(built_in, timers)


def effective_retry(nearest: Sequence[Nearest]) -> RetrySettings:
    """The retry settings that hold."""
    given = [each.retry for each in nearest]
    built_in = RetrySettings()
    return RetrySettings(
        attempts=_last([each.attempts for each in given if each], built_in.attempts),
        patience=_last([each.patience for each in given if each], built_in.patience),
        backoff=_merged(BackoffSettings(), [each.backoff for each in given if each]),
    )


def effective_rules(nearest: Sequence[Nearest]) -> Rules:
    """What guards the deployment. A limit is taken as a whole, since its forms do not mix."""
    # An upstream's own `max_concurrent` is another limit: that of all its deployments together.
    limits = [each.max_concurrent for each in nearest if isinstance(each, NearestLimit)]
    return Rules(
        breaker=_merged(BreakerSettings(), [each.breaker for each in nearest]),
        limit=limit_settings(_last(limits, None)) or LimitSettings(),
        recovery=_merged(RecoverySettings(), [each.recovery for each in nearest]),
        foresight=_merged(ForesightSettings(), [each.foresight for each in nearest]),
    )


def effective_health(nearest: Sequence[Nearest]) -> HealthSettings:
    """How the deployment is asked whether it answers."""
    return _merged(HealthSettings(), [each.health for each in nearest])


def effective_outlier(nearest: Sequence[NearestChain]) -> OutlierSettings:
    """When a deployment of the chain is left out for its siblings' sake."""
    return _merged(OutlierSettings(), [each.outlier for each in nearest])


def effective_resume(nearest: Sequence[NearestChain]) -> ResumeSettings | None:
    """How a broken stream of the chain is finished elsewhere; None when the nearest that is said is `off`."""
    given = [each.resume for each in nearest if each.resume is not None]
    if given and isinstance(given[-1], ResumeOff):
        return None
    built_in = ResumeSettings()
    modes = _last([each.modes for each in given], None)
    hold = _last([each.hold for each in given], None)
    reasoning = _last([each.reasoning for each in given], None)
    return ResumeSettings(
        modes=tuple(ResumeMode(mode) for mode in modes) if modes else built_in.modes,
        hold=HoldBack(hold) if hold else built_in.hold,
        reasoning_again=reasoning == "again",
        instruction=_last([each.instruction for each in given], built_in.instruction),
    )


def effective_budget(nearest: Sequence[DefaultRetry | UpstreamRetry | None]) -> RetryBudgetSettings:
    """The retry budget that holds."""
    return _merged(RetryBudgetSettings(), [each.budget for each in nearest if each])


def limit_settings(limit: Limit | None) -> LimitSettings | None:
    """A limit as it was written, if it was."""
    return None if limit is None else LimitSettings(limit.initial, limit.min, limit.max)


def _merged(built_in: _S, nearest: Sequence[Section | None]) -> _S:
    """Settings with all that the sections say; sections call things as the settings do."""
    said: dict[str, Any] = {}
    for section in nearest:
        for field in fields(built_in) if section is not None else ():
            if (value := getattr(section, field.name)) is not None:
                said[field.name] = value
    return replace(built_in, **said)


def _last(values: Sequence[_T | None], otherwise: _T) -> _T:
    return next((value for value in reversed(values) if value is not None), otherwise)
