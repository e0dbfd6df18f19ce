"""Conversations of chat as those of Messages."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from msgspec import Raw

from proxy.dialects.anthropic.dialect import ANTHROPIC
from proxy.dialects.dialect import ChatAsked, NotCarriedError
from tests.dialects.anthropic.oracle import MODEL, NEW, ask, assistant, call, raw_fields, result, text, user

SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk="
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(40)).decode()
WEBP = base64.b64encode(b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(40)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(40)).decode()


def system(content: object, role: str = "system") -> dict[str, object]:
    return {"role": role, "content": content}


def turns(*messages: dict[str, object], **more: Any) -> list[tuple[str, list[dict[str, Any]]]]:
    written = ask(messages=list(messages), **more)
    return [(turn["role"], turn["content"]) for turn in written["messages"]]


def image(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(data: str, **more: object) -> dict[str, object]:
    return {"type": "file", "file": {"file_data": data, **more}}


def use(id_: str, name: str = "look", **given: object) -> dict[str, object]:
    return {"type": "tool_use", "id": id_, "name": name, "input": given}


def told(id_: str, content: object = "done") -> dict[str, object]:
    return {"type": "tool_result", "tool_use_id": id_, "content": content}


class TestSystem:
    def test_the_leading_run_becomes_blocks_of_its_own_and_nothing_is_joined(self) -> None:
        marked = {**text("b"), "cache_control": {"type": "ephemeral"}}

        written = ask(messages=[system("a"), system([marked, text("  ")], "developer"), system(""), user("hi")])

        assert [text("a"), marked] == written["system"]
        assert [{"role": "user", "content": [text("hi")]}] == written["messages"]

    def test_a_mark_on_the_message_is_one_on_its_last_block(self) -> None:
        written = ask(messages=[{**system("a"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}, user("hi")])

        assert [{**text("a"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}] == written["system"]

    def test_litellm_36559_later_ones_stay_in_place_as_tagged_text(self) -> None:
        found = turns(user("a"), system("be brief"), user("b"), model=MODEL)

        assert [("user", [text("a"), text("<system>"), text("be brief"), text("</system>"), text("b")])] == found

    @pytest.mark.parametrize("behind", [[], [assistant("b"), user("c")]])
    def test_models_that_obey_them_get_later_ones_natively(self, behind: list[dict[str, object]]) -> None:
        found = turns(user("a"), system("x"), system("y", "developer"), *behind, model=NEW)

        assert ("system", [text("x"), text("y")]) == found[1]

    @pytest.mark.parametrize(
        "messages",
        [
            [user("a"), system("x"), user("b")],
            [user("a"), assistant("b"), system("x")],
            [user("a"), assistant("b"), system("x"), user("c")],
            [user("a"), assistant(None, call("1")), system("x"), result("1")],
        ],
    )
    def test_where_they_would_be_illegal_they_are_text_of_the_user(self, messages: list[dict[str, object]]) -> None:
        found = turns(*messages, model=NEW)

        assert {"user", "assistant"} >= {role for role, _ in found}
        assert text("x") in found[-1][1]

    def test_claude_sonnet_5_takes_them_and_ignores_them_so_it_gets_none(self) -> None:
        assert ["user"] == [role for role, _ in turns(user("a"), system("x"), model="claude-sonnet-5")]

    def test_nothing_but_the_system_leaves_the_user_to_open(self) -> None:
        written = ask(messages=[system("a")])

        assert ([text("a")], [{"role": "user", "content": [text(".")]}]) == (written["system"], written["messages"])


class TestTurns:
    def test_neighbours_of_one_role_are_merged(self) -> None:
        found = turns(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))

        expected = [("user", [text("a"), text("b")]), ("assistant", [text("c"), text("d")]), ("user", [text("e")])]
        assert expected == found

    def test_the_user_opens_where_the_assistant_would(self) -> None:
        assert [("user", [text(".")]), ("assistant", [text("a")]), ("user", [text("b")])] == turns(
            assistant("a"), user("b")
        )

    def test_blank_texts_are_never_sent(self) -> None:
        found = turns(user("a"), assistant(" \n"), user([text(""), text("b")]), assistant("", call("1")), result("1"))

        assert [("user", [text("a"), text("b")]), ("assistant", [use("1")]), ("user", [told("1")])] == found

    def test_the_beginning_of_an_answer_stays_last_without_its_trailing_space(self) -> None:
        assert ("assistant", [text("Once upon")]) == turns(user("a"), assistant("Once upon \n"))[-1]

    def test_only_the_last_turn_is_trimmed(self) -> None:
        assert ("assistant", [text("b ")]) == turns(user("a"), assistant("b "), user("c"))[1]

    def test_a_refusal_of_the_assistant_is_what_it_said(self) -> None:
        assert [text("I cannot.")] == turns(user("a"), assistant(None, refusal="I cannot."), user("b"))[1][1]

    @pytest.mark.parametrize(
        "messages",
        [
            None, [], "hi", [1], [{"role": "user", "content": 5}], [{"role": 5, "content": "a"}], [{"content": "a"}],
            [{"role": [], "content": "a"}], [{"role": "function", "name": "f", "content": "a"}], [user([7])],
            [user([{"type": "text"}])], [user([{"type": ["text"], "text": "a"}])], [assistant("a", audio={"id": "a"})],
            [assistant("a", function_call={"name": "f", "arguments": "{}"})], [assistant("a", tool_calls={})],
            [assistant("a", tool_calls=[1])], [assistant("a", tool_calls=[{"function": {"name": "f"}}])],
            [assistant([image("https://a.b/c.png")])], [system([image("https://a.b/c.png")])],
            [user([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}])],
            [user([{"type": "video_url", "video_url": {"url": "https://a.b"}}])],
        ],
    )  # fmt: skip
    def test_what_has_no_counterpart_is_refused_with_the_field_that_holds_it(self, messages: object) -> None:
        with pytest.raises(NotCarriedError) as caught:
            ask(messages=messages)

        assert "messages" == caught.value.param

    @pytest.mark.parametrize("depth", [400, 5000])
    def test_what_is_nested_too_deeply_is_refused(self, depth: int) -> None:
        schema = b'{"properties":{"a":' * depth + b"{}" + b"}}" * depth
        tools = b'[{"type":"function","function":{"name":"f","strict":true,"parameters":%b}}]' % schema
        fields = {**raw_fields({"messages": [user("a")]}), "tools": Raw(tools)}

        with pytest.raises(NotCarriedError):
            ANTHROPIC.write(ChatAsked(fields, MODEL))

    def test_halves_of_surrogate_pairs_for_which_all_would_be_refused_are_replaced(self) -> None:
        found = turns(user("a \ud83d b \U0001f600"), assistant(None, call("1", "f", '{"a": "\\ud800"}')), result("1"))

        assert [text("a \ufffd b \U0001f600")] == found[0][1]
        assert [use("1", "f", a="\ufffd")] == found[1][1]


class TestCalls:
    def test_req_llm_250_results_of_parallel_calls_are_one_message(self) -> None:
        found = turns(user("a"), assistant("b", call("1"), call("2")), result("1", "x"), result("2", "y"))

        assert [("assistant", [text("b"), use("1"), use("2")]), ("user", [told("1", "x"), told("2", "y")])] == found[1:]

    def test_results_come_before_whatever_else_the_user_says(self) -> None:
        found = turns(user("a"), assistant(None, call("1"), call("2")), result("1"), user("b"), result("2"))

        assert [told("1"), told("2"), text("b")] == found[-1][1]

    @pytest.mark.parametrize("empty", [None, "", "  "])
    def test_arguments_that_are_missing_are_an_empty_object(self, empty: str | None) -> None:
        asked = {"id": "1", "type": "function", "function": {"name": "look", "arguments": empty}}

        assert [use("1")] == turns(user("a"), assistant(None, asked), result("1"))[1][1]

    @pytest.mark.parametrize("broken", ["{", "[1]", "7", '{"a":1}{"b":2}'])
    def test_litellm_20543_arguments_that_are_no_object_are_kept_as_they_are(self, broken: str) -> None:
        found = turns(user("a"), assistant(None, call("1", arguments=broken)), result("1"))

        assert [use("1", _raw=broken)] == found[1][1]

    def test_picoclaw_1793_of_two_results_of_one_call_the_later_counts(self) -> None:
        found = turns(user("a"), assistant(None, call("1")), result("1", "wait"), result("1", "done"), user("b"))

        assert [told("1"), text("b")] == found[-1][1]

    def test_ids_that_are_used_again_are_told_apart(self) -> None:
        found = turns(
            user("a"), assistant(None, call("c0")), result("c0", "x"), assistant(None, call("c0")), result("c0", "y")
        )

        assert [[use("c0")], [told("c0", "x")], [use("c0_2")], [told("c0_2", "y")]] == [said for _, said in found[1:]]

    def test_two_calls_of_one_id_get_their_results_in_order(self) -> None:
        found = turns(user("a"), assistant(None, call("c"), call("c")), result("c", "x"), result("c", "y"))

        assert [told("c", "x"), told("c_2", "y")] == found[-1][1]

    def test_ids_with_letters_that_are_not_allowed_are_spelled_otherwise_and_never_alike(self) -> None:
        found = turns(user("a"), assistant(None, call("a.b"), call("a:b")), result("a:b", "x"), result("a.b", "y"))

        assert [use("a_b"), use("a_b_2")] == found[1][1]
        assert [told("a_b_2", "x"), told("a_b", "y")] == found[2][1]

    def test_a_mark_for_the_cache_within_a_result_stands_on_the_result(self) -> None:
        mark = {"cache_control": {"type": "ephemeral"}}
        found = turns(user("a"), assistant(None, call("1")), result("1", [{**text("x"), **mark}]))
        assert [{**told("1", [text("x")]), **mark}] == found[2][1]

    def test_results_that_nobody_asked_for_are_told_as_text(self) -> None:
        found = turns(user("a"), result("1", "x"))

        assert [text("a"), text("<tool_result>"), text("x"), text("</tool_result>")] == found[0][1]

    def test_a_result_may_hold_images_and_nothing(self) -> None:
        shown = [text("see"), image(f"data:image/png;base64,{PNG}")]
        found = turns(user("a"), assistant(None, call("1"), call("2")), result("1", shown), result("2", ""))

        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        expected = [
            told("1", [text("see"), {"type": "image", "source": source}]),
            {"type": "tool_result", "tool_use_id": "2"},
        ]
        assert expected == found[-1][1]

    def test_unanswered_calls_are_answered_only_if_configured(self) -> None:
        messages = [user("a"), assistant(None, call("1"), call("2")), result("1"), user("b")]

        stub = {"type": "tool_result", "tool_use_id": "2", "is_error": True}
        assert [told("1"), text("b")] == turns(*messages)[-1][1]
        assert [told("1"), stub, text("b")] == turns(*messages, options={"stub_results": True})[-1][1]

    def test_a_conversation_with_calls_defines_their_tools_even_if_the_client_does_not(self) -> None:
        written = ask(messages=[user("a"), assistant(None, call("1", "look.up")), result("1")])

        assert [{"name": "look_up", "input_schema": {"type": "object"}}] == written["tools"]
        assert {"type": "none"} == written["tool_choice"]


class TestThoughts:
    def test_signed_thoughts_come_first(self) -> None:
        blocks = [
            {"type": "thinking", "thinking": "hm", "signature": SIGNATURE},
            {"type": "redacted_thinking", "data": "xyz"},
        ]

        found = turns(user("a"), assistant("b", call("1"), thinking_blocks=blocks), result("1"))

        assert [*blocks, text("b"), use("1")] == found[1][1]

    @pytest.mark.parametrize(
        "blocks",
        [
            [{"type": "thinking", "thinking": "hm"}],
            [{"type": "thinking", "thinking": "hm", "signature": ""}],
            [{"type": "thinking", "thinking": "hm", "signature": "skip_thought_validator!"}],
            [{"type": "thinking", "signature": SIGNATURE}],
            [{"type": "redacted_thinking", "data": ""}],
            ["hm", {"type": []}],
            "hm",
        ],
    )
    def test_thoughts_that_are_not_anthropics_are_dropped(self, blocks: object) -> None:
        found = turns(user("a"), assistant("b", thinking_blocks=blocks, reasoning_content="hm"), user("c"))

        assert [text("b")] == found[1][1]


class TestParts:
    @pytest.mark.parametrize(
        ("declared", "data", "kind"),
        [
            ("image/jpeg", PNG, "image/png"),
            ("image/png", JPEG, "image/jpeg"),
            ("image/jpg", base64.b64encode(bytes(40)).decode(), "image/jpeg"),
            ("", WEBP, "image/webp"),
            ("application/octet-stream", base64.b64encode(b"GIF89a" + bytes(40)).decode(), "image/gif"),
        ],
    )
    def test_the_first_bytes_of_an_image_tell_its_type(self, declared: str, data: str, kind: str) -> None:
        found = turns(user([image(f"data:{declared};base64,{data}")]))

        source = {"type": "base64", "media_type": kind, "data": data}
        assert [{"type": "image", "source": source}] == found[0][1]

    def test_an_image_behind_https_is_fetched_by_anthropic(self) -> None:
        url = "https://example.org/a.png"

        assert [{"type": "image", "source": {"type": "url", "url": url}}] == turns(user([image(url)]))[0][1]

    @pytest.mark.parametrize(
        "part",
        [
            image("http://example.org/a.png"), image("file:///etc/passwd"), image(""), image("data:image/png;base64,"),
            image("data:image/svg+xml,<svg/>"), image("data:image/png"), {"type": "image_url"},
            {"type": "image_url", "image_url": {"url": 5}}, file("data:audio/wav;base64,AAAA"), file("AAAA"),
            {"type": "file", "file": {"file_id": "file-1"}}, {"type": "file"}, file("data:text/plain;base64,/w=="),
        ],
    )  # fmt: skip
    def test_what_cannot_be_shown_is_refused(self, part: dict[str, object]) -> None:
        with pytest.raises(NotCarriedError):
            ask(messages=[user([part])])

    def test_a_pdf_is_a_document_under_its_name(self) -> None:
        found = turns(user([file(f"data:application/pdf;base64,{PDF}", filename="a.pdf"), file(PDF)]))

        source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
        assert [
            {"type": "document", "source": source, "title": "a.pdf"},
            {"type": "document", "source": source},
        ] == found[0][1]

    def test_a_file_of_text_is_a_document_and_one_that_is_an_image_an_image(self) -> None:
        found = turns(user([file("data:text/csv,a%2Cb"), file(f"data:;base64,{PNG}")]))

        assert {"type": "text", "media_type": "text/plain", "data": "a,b"} == found[0][1][0]["source"]
        assert "image/png" == found[0][1][1]["source"]["media_type"]
