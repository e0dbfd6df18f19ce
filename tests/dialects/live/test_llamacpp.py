"""What llama.cpp tells, with one model and as a router."""

from typing import Any

import pytest

from proxy.core.facts import Learned, ModelFacts
from tests.dialects.live.asking import ask_all, told

PROPS = {
    "default_generation_settings": {
        "id": 0,
        "id_task": -1,
        "n_ctx": 8192,
        "speculative": False,
        "is_processing": False,
        "params": {"n_predict": -1, "seed": 4294967295, "temperature": 0.800000011920929},
    },
    "total_slots": 4,
    "model_alias": "gpt-oss-20b",
    "model_path": "/models/gpt-oss-20b.gguf",
    "modalities": {"vision": False, "audio": False},
    "chat_template": "{% ... %}",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "build_info": "b9957-abcdef",
    "is_sleeping": False,
}
ROUTER = {
    "role": "router",
    "max_instances": 4,
    "build_info": "b9957-abcdef",
    "default_generation_settings": {"n_ctx": 0},
}


def listed(**states: str) -> dict[str, Any]:
    rows = [
        {"id": name, "object": "model", "owned_by": "llamacpp", "status": {"value": state, "args": ["llama-server"]}}
        for name, state in states.items()
    ]
    return {"object": "list", "data": rows}


def test_a_server_with_one_model_answers_for_any_name() -> None:
    facts = ModelFacts(max_input=8192, vision=False, audio=False)
    expected = Learned(facts, loaded=True, slots=4)

    assert {"gpt-oss": expected, "other": expected} == told("llamacpp", {"/props": PROPS}, ("gpt-oss", "other"))


def test_an_old_version_tells_the_window_alone() -> None:
    old = {"default_generation_settings": {"n_ctx": 4096}}

    assert {"m": Learned(ModelFacts(max_input=4096), loaded=True)} == told("llamacpp", {"/props": old})


def test_asleep_is_not_loaded() -> None:
    assert told("llamacpp", {"/props": {**PROPS, "is_sleeping": True}})["m"].loaded is False


def test_while_the_model_is_being_loaded() -> None:
    loading = (503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})

    assert {"m": Learned(loaded=False)} == told("llamacpp", {"/props": loading})


def test_a_router_is_asked_for_its_list_and_for_what_is_loaded() -> None:
    one = "/props?model=a%2Fbig%3AQ4&autoload=false"
    answers = {
        "/props": ROUTER,
        "/models": listed(**{"a/big:Q4": "loaded", "small": "unloaded", "unasked": "loaded", "tired": "sleeping"}),
        one: {**PROPS, "modalities": {"vision": True, "audio": False}},
    }
    models = ("a/big:Q4", "small", "tired", "gone")
    heard, asked = ask_all("llamacpp", answers, models)

    assert ["/props", "/models", one] == asked
    assert {
        "a/big:Q4": Learned(ModelFacts(max_input=8192, vision=True, audio=False), listed=True, loaded=True, slots=4),
        "small": Learned(listed=True, loaded=False),
        "tired": Learned(listed=True, loaded=False),
        "gone": Learned(listed=False),
    } == told("llamacpp", answers, models)
    assert 3 == len(heard)


@pytest.mark.parametrize("state", ["new-state", None, 7, ["loaded"]])
def test_a_state_that_nobody_knows(state: object) -> None:
    rows = {"data": [{"id": "m", "status": {"value": state}}]}

    assert {"m": Learned(listed=True)} == told("llamacpp", {"/props": ROUTER, "/models": rows})


def test_another_name_of_a_model_is_as_good() -> None:
    rows = {"data": [{"id": "a.gguf", "aliases": ["m"], "status": {"value": "unloaded"}}]}

    assert {"m": Learned(listed=True, loaded=False)} == told("llamacpp", {"/props": ROUTER, "/models": rows})


def test_a_server_that_has_no_such_page_tells_nothing() -> None:
    assert {} == told("llamacpp", {})
    assert {} == told("llamacpp", {"/props": (501, {"error": "This server does not support it"})})
