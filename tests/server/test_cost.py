"""What answers cost, over the running proxy."""

from prometheus_client.parser import text_string_to_metric_families

from tests.support.fleet import Fleet, fleet
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated, models: {m: {price: {input: 1000, output: 10000}}}}
  backup: {kind: simulated, models: {m: {price: {input: 500, output: 5000}}}}
  third: {kind: simulated}
defaults: {deadline: 60s, timeout: {connect: 1s, first_token: 8s, idle: 4s}}
routes:
  chat: {chain: [primary/m, backup/m]}
  free: {chain: [third/m]}
  "x-*": {chain: ["primary/*"]}
"""


async def metric(running: Fleet) -> dict[tuple[str, str, str], float]:
    page = (await running.request("GET", "/metrics")).body.decode()
    return {
        (sample.labels["route"], sample.labels["upstream"], sample.labels["model"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "holdfast_cost_usd_total"
    }


def test_an_answer_says_what_it_cost_and_everybody_agrees() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            seen = await running.chat(stream=False)
            told = seen.json["usage"]
            cost = (told["prompt_tokens"] * 1000 + told["completion_tokens"] * 10_000) / 1e6

            assert f"{cost:.8f}" == seen.headers["x-holdfast-cost"]
            assert (cost, [cost]) == (running.records[0].cost, [each.cost for each in running.records[0].attempts])
            assert {("chat", "primary", "m"): cost} == await metric(running)
            streamed = await running.chat()
            assert "x-holdfast-cost" not in streamed.headers
            assert running.records[1].cost is not None and running.records[1].cost > 0

    run_virtual(scenario())


def test_each_attempt_costs_what_its_own_deployment_takes() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            await running.simulator.inject("primary", "503")
            seen = await running.chat(stream=False)
            (record,) = running.records

            assert ("backup", None) == (seen.headers["x-holdfast-upstream"], record.attempts[0].cost)
            assert record.cost == record.attempts[-1].cost
            assert ["backup"] == [upstream for _, upstream, _ in await metric(running)]

    run_virtual(scenario())


def test_what_is_unknown_is_not_told() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            for request in ({"model": "free"}, {"model": "chat", "service_tier": "flex"}):
                seen = await running.chat(stream=False, **request)
                assert (200, False) == (seen.status, "x-holdfast-cost" in seen.headers)
            assert [None, None] == [record.cost for record in running.records]
            assert {} == await metric(running)

    run_virtual(scenario())


def test_the_usual_service_tier_has_the_usual_price() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES) as running:
            assert "x-holdfast-cost" in (await running.chat(stream=False, service_tier="auto")).headers

    run_virtual(scenario())


def test_a_model_that_a_client_made_up_is_no_label() -> None:
    async def scenario() -> None:
        async with fleet(ROUTES.replace("models: {m:", "models: {x-1:", 1)) as running:
            assert 200 == (await running.chat("x-1", stream=False)).status
            assert [("x-*", "primary", "*")] == list(await metric(running))

    run_virtual(scenario())
