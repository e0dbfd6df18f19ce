"""Requests that not every deployment of their route can serve, over the running proxy."""

from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated, models: {m: {context: 2000, vision: false}}}
  backup: {kind: simulated, models: {m: {context: 8000}}}
  third: {kind: simulated}
defaults: {deadline: 60s, timeout: {connect: 1s, first_token: 8s, idle: 4s}}
routes:
  chat: {chain: [primary/m, backup/m]}
  alone: {chain: [primary/m], last_resort: {text: Sorry.}}
  weighted: {chain: [{to: primary/m, weight: 1000}, backup/m], strategy: weighted}
  parallel: {chain: [primary/m, backup/m], strategy: parallel}
  hedged: {chain: [primary/m, backup/m, third/m], hedge: {after: 1ms, ratio: 100%}}
  open: {chain: [third/m, backup/m]}
"""
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://h/i.png"}}]}]


def text(tokens: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": "abcd" * tokens}]


def test_a_prompt_that_does_not_fit_goes_to_a_larger_window() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            for stream in (True, False):
                seen = await running.chat(messages=text(3000), stream=stream)

                assert (200, "backup") == (seen.status, seen.headers["x-holdfast-upstream"])
                assert "1" == seen.headers["x-holdfast-attempts"]
                reason = "primary/m is skipped: about 3,010 tokens do not fit 2,000"
                assert reason == seen.headers["x-holdfast-reason"]
                assert "reason=first_choice_skipped" == seen.headers["x-holdfast-degraded"]
            assert 0 == running.received("primary")
            assert "primary" == (await running.chat(messages=text(100))).headers["x-holdfast-upstream"]

    run_virtual(scenario())


def test_an_image_goes_to_a_model_that_sees_on_every_kind_of_route() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            for route in ("chat", "weighted", "parallel", "hedged"):
                seen = await running.chat(route, messages=IMAGE)
                assert 200 == seen.status
                assert seen.headers["x-holdfast-upstream"] in {"backup", "third"}
            assert 0 == running.received("primary")

    run_virtual(scenario())


def test_a_prompt_that_fits_nowhere_is_refused_so_that_agents_shorten_it() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            seen = await running.chat(messages=text(20_000))

            assert (400, "context_length_exceeded") == (seen.status, seen.error["code"])
            assert "invalid_request_error" == seen.error["type"]
            assert "maximum context length is 8000 tokens" in seen.error["message"]
            assert "false" == seen.headers["x-should-retry"]
            assert "0" == seen.headers["x-holdfast-attempts"]
            assert 0 == running.received("primary") + running.received("backup")
            # Not even a last resort may keep it from being told.
            assert 400 == (await running.chat("alone", messages=text(20_000))).status

    run_virtual(scenario())


def test_what_nobody_can_serve_is_refused_with_the_reason() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            seen = await running.chat("alone", messages=IMAGE)

            assert (400, "invalid_request_error") == (seen.status, seen.error["type"])
            assert "primary/m needs vision, which m lacks" in seen.error["message"]

    run_virtual(scenario())


def test_explain_says_who_is_passed_over() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            seen = await running.chat(messages=text(3000), stream=False, headers={"x-holdfast-explain": "1"})
            steps = {step["deployment"]: (step["usable"], step["why"]) for step in seen.json["steps"]}

            assert (False, "about 3,010 tokens do not fit 2,000") == steps["primary/m"]
            assert steps["backup/m"][0]

    run_virtual(scenario())


def test_a_refusal_that_names_the_window_is_heeded_from_then_on() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await running.simulator.inject("third", "context:limit=1024")
            words = [{"role": "user", "content": "abc " * 3000}]
            first = await running.chat("open", messages=words)
            await running.simulator.inject("third", None)
            second = await running.chat("open", messages=words)

            assert [("third", "http_400"), ("backup", "ok")] == first.trail
            assert [("backup", "ok")] == second.trail
            assert "third/m is skipped: about 3,010 tokens do not fit 1,024" == second.headers["x-holdfast-reason"]
            assert [("third", "ok")] == (await running.chat("open", messages=text(100))).trail

    run_virtual(scenario())


def test_real_counts_correct_the_estimate() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            # The simulator counts a token for each word, and this is a single one.
            for _ in range(3):
                assert 200 == (await running.chat("chat", stream=False, messages=text(1500))).status
            seen = await running.chat(messages=text(3000))

            assert [("primary", "ok")] == seen.trail

    run_virtual(scenario())
