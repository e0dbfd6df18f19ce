"""How long state machines are let run at random: 5,000 steps, or as many as HOLDFAST_TEST_STEPS says."""

import os

from hypothesis import HealthCheck, settings

_STEPS_EACH = 50

RANDOM_STEPS = settings(
    max_examples=int(os.environ.get("HOLDFAST_TEST_STEPS", "5000")) // _STEPS_EACH,
    stateful_step_count=_STEPS_EACH,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
