"""Choices in plain words."""

from proxy.core.event import AttemptEnded
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.pool.rest import Rest
from proxy.pool.standing import Hold, Standing
from proxy.routing.explain import degradation, explain, give_up_error, reason, returned_error
from proxy.routing.next_move import GiveUp
from proxy.routing.plan import FORBIDDEN, Plan, Skipped
from proxy.streams.resume import ResumeMode, ResumeSettings
from tests.support.plans import plan, step

A, B = DeploymentId("a", "m"), DeploymentId("b", "m")
FREE = Standing(0.0)
RESTING = Standing(12.0, Hold.RESTS, Rest(12.0, FailureClass.RATE_LIMITED))


def ended(deployment: DeploymentId, outcome: str) -> AttemptEnded:
    return AttemptEnded(deployment, outcome, 0.3124)


def test_the_error_says_what_was_tried_and_what_to_do() -> None:
    skipped = (Skipped(DeploymentId("c", "m"), "C_KEY is not set", 2),)
    move = GiveUp("rate_limit_exceeded", 11.6)
    error = give_up_error(move, plan("a", "b", skipped=skipped), [ended(A, "http_503")], [FREE, RESTING], 0.0)

    assert (429, "rate_limit_exceeded", None) == (error.status, error.code, error.should_retry)
    assert (
        "chat: a/m http_503 after 312 ms, b/m rests for 12 s (rate_limited), c/m skipped: C_KEY is not set. "
        "Every usable deployment is rate limited. Try again in 12 s."
    ) == error.message
    assert {"retry-after": "12", "retry-after-ms": "11600"} == error.headers()


def test_the_error_names_what_keeps_each_deployment_away() -> None:
    open_, probing = Standing(12.4, Hold.OPEN), Standing(float("inf"), Hold.PROBING)
    error = give_up_error(GiveUp("no_healthy_upstream", 1.0), plan("a", "b"), [], [open_, probing], 0.0)

    assert 503 == error.status
    assert (
        "chat: a/m breaker open for 12 s, b/m breaker half-open, its probes are under way. "
        "No deployment of this route can be used now. Try again in 1 s."
    ) == error.message


def test_without_a_time_to_come_back_sdks_are_told_not_to() -> None:
    error = give_up_error(GiveUp("upstream_error"), plan("a"), [ended(A, "empty_answer")], [FREE], 0.0)

    assert (502, {"x-should-retry": "false"}) == (error.status, error.headers())


def test_a_callers_fault_comes_back_in_the_upstreams_words() -> None:
    failure = Failure(
        FailureClass.CALLER_FAULT,
        "http_422",
        "no such tool",
        422,
        param="tools",
        error_type="bad",
        error_code="no_tool",
    )
    error = returned_error(failure)

    assert (422, "no_tool", "bad", "tools", "no such tool", "caller_fault") == (
        error.status,
        error.code,
        error.error_type,
        error.param,
        error.message,
        error.outcome,
    )


def test_a_context_error_inside_a_200_is_a_400() -> None:
    error = returned_error(Failure(FailureClass.CONTEXT_TOO_LONG, "in_band_error", "too long"))

    assert (400, "context_length_exceeded") == (error.status, error.code)


def test_what_is_the_requests_is_no_error_of_the_servers_even_where_it_says_so() -> None:
    told = Failure(FailureClass.CONTEXT_TOO_LONG, "http_500", "too large", status=500, error_type="server_error")

    assert (400, "invalid_request_error") == (returned_error(told).status, returned_error(told).error_type)


def test_explain_names_who_serves_and_why_the_others_do_not() -> None:
    made = plan("a", "b", "c", skipped=(Skipped(DeploymentId("d", "m"), "D_KEY is not set", 3),), last_resort="Sorry.")
    explained = explain(made, [RESTING, FREE, FREE], 0.0, down=["c"])

    assert [("a/m", False, False), ("b/m", True, True), ("c/m", False, False), ("d/m", False, False)] == [
        (str(each.deployment), each.serves, each.usable) for each in explained.steps
    ]
    assert ["rests for 12 s (rate_limited)", "taken as down", "D_KEY is not set"] == [
        each.why for each in explained.steps if not each.usable
    ]
    assert "the last resort answers" == explained.if_all_fail


def test_explain_says_how_a_broken_stream_is_continued() -> None:
    def said(*modes: ResumeMode) -> str:
        return explain(plan("a", "b", resume=ResumeSettings(modes)), [FREE, FREE], 0.0).if_it_breaks

    everything = said(ResumeMode.PREFILL, ResumeMode.INSTRUCT, ResumeMode.RESTART)
    assert "a broken stream is continued on the next deployment (prefill, instruct or restart)" == everything
    two = said(ResumeMode.RESTART, ResumeMode.PREFILL)
    assert "a broken stream is continued on the next deployment (restart or prefill)" == two
    assert "a broken stream is continued on the next deployment (instruct)" == said(ResumeMode.INSTRUCT)


def test_explain_says_why_a_broken_stream_is_not_continued() -> None:
    forbidden = (Skipped(B, FORBIDDEN, 1),)

    assert "a broken stream ends with an error (resume is off)" == broken(plan("a", "b", resume=None))
    assert "a broken stream ends with an error (the request forbids fallbacks)" == broken(
        plan("a", skipped=forbidden, resume=None)
    )
    assert "a broken stream ends with an error (there is no other deployment)" == broken(plan("a"))
    twice = plan(step("a"), step("a", 1))
    assert "a broken stream ends with an error (there is no other deployment)" == broken(twice)
    none_left = "a broken stream ends with an error (no other deployment can be used now)"
    assert none_left == explain(plan("a", "b"), [FREE, RESTING], 0.0).if_it_breaks
    assert none_left == explain(plan("a", "b"), [FREE, FREE], 0.0, down=["a"]).if_it_breaks


def broken(made: Plan) -> str:
    return explain(made, [FREE] * len(made.steps), 0.0).if_it_breaks


def test_an_explanation_as_data_says_both_ends() -> None:
    document = explain(plan("a"), [FREE], 0.0).as_document()

    assert "the client gets an error that says what was tried" == document["if_all_fail"]
    assert "a broken stream ends with an error (there is no other deployment)" == document["if_it_breaks"]


def test_reasons() -> None:
    made = plan(step("a"), step("b", 1))
    skipped = plan(step("b", 1), skipped=(Skipped(A, "A_KEY is not set", 0),))

    assert "first choice" == reason(made, made.steps[0], [ended(A, "ok")], {})
    assert "retry after http_503" == reason(made, made.steps[0], [ended(A, "http_503"), ended(A, "ok")], {})
    assert "failover from a/m (reset)" == reason(made, made.steps[1], [ended(A, "reset"), ended(B, "ok")], {})
    assert "a/m rests (quota)" == reason(made, made.steps[1], [ended(B, "ok")], {0: "quota"})
    assert "a/m has an open breaker" == reason(made, made.steps[1], [ended(B, "ok")], {0: "breaker_open"})
    assert "a/m is spared" == reason(made, made.steps[1], [ended(B, "ok")], {0: "spared"})
    assert "a/m is skipped: A_KEY is not set" == reason(skipped, skipped.steps[0], [ended(B, "ok")], {})


def test_reasons_of_routes_with_several_first_choices() -> None:
    weighted = plan(step("a", weight=3), step("b", 1), strategy="weighted")
    parallel = plan("a", "b", strategy="parallel")
    lost = [ended(A, "lost"), ended(B, "ok")]

    assert "drawn by weight" == reason(weighted, weighted.steps[0], [ended(A, "ok")], {})
    assert "first good answer of a parallel route" == reason(parallel, parallel.steps[1], lost, {})
    made = plan("a", "b")
    assert "faster of two, hedged after 200 ms" == reason(made, made.steps[1], lost, {}, 0.2)


def degraded(made: Plan, at: int, *attempts: AttemptEnded) -> str | None:
    found = degradation(made, made.steps[at], attempts)
    return None if found is None else str(found)


def test_degraded() -> None:
    made = plan(step("a"), step("b", 1, quality=0.7))
    skipped = plan(step("b", 1), skipped=(Skipped(A, "A_KEY is not set", 0),))

    assert degraded(made, 0) is None
    assert "reason=failover;quality=0.7" == degraded(made, 1, ended(A, "reset"))
    assert "reason=first_choice_out;quality=0.7" == degraded(made, 1)
    assert "reason=hedged;quality=0.7" == degraded(made, 1, ended(A, "lost"))
    assert "reason=first_choice_skipped" == degraded(skipped, 0)


def test_steps_that_are_equals_are_degraded_only_by_their_quality() -> None:
    made = plan(step("a", quality=0.9), step("b", 1, quality=0.5), step("c", 2, weight=0), strategy="weighted")

    assert degraded(made, 0) is None
    assert "reason=lower_quality;quality=0.5" == degraded(made, 1)
    assert "reason=failover" == degraded(made, 2, ended(A, "reset"))
