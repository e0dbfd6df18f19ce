"""A chat request as one of Messages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import msgspec
from msgspec import Raw

from proxy.dialects.anthropic.families import Thinking, family_of, knows
from proxy.dialects.anthropic.messages import Conversation, conversation_of
from proxy.dialects.anthropic.names import ToolNames
from proxy.dialects.anthropic.parts import Block, cached, refuse, text_block
from proxy.dialects.anthropic.schemas import closed
from proxy.dialects.anthropic.thinking import NOT_HEEDED, NOTHING_SAID, Effort, effort_of, passed_on
from proxy.dialects.anthropic.tools import answer_tool, names_in, tools_called, write_choice, write_tools
from proxy.dialects.dialect import ChatAsked, NotCarriedError, Outgoing
from proxy.dialects.lenient_json import decoded

_DEFAULT_CAP: Final = 4096
"""Tokens of an answer where neither the client nor the catalogue has a limit: every model can do it."""
_BREAKPOINTS: Final = 4
"""Marks for the cache that a request may have."""
_LONGEST_USER: Final = 256
_E_MAIL: Final = re.compile(r"\s*[^@\s]+@[^@\s]+\s*")
_JSON_ONLY: Final = "Answer with one valid JSON object and nothing else: no explanation, and no code fence around it."
_ANSWER: Final = "Give your answer by calling this tool: its input is the answer."
_NOTHING: Final = (Raw(b"null"), Raw(b"false"))
_CARRIED: Final = frozenset(
    {
        "model", "messages", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "stop",
        "temperature", "top_p", "top_k", "tools", "tool_choice", "parallel_tool_calls", "response_format",
        "reasoning_effort", "thinking", "user", "cache_control", "modalities",
    }
)  # fmt: skip
"""Fields that are looked at; all others are left out and named."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def write_request(asked: ChatAsked) -> Outgoing:
    """The request. Raises NotCarriedError."""
    try:
        return _Writer(asked).write()
    except RecursionError:
        raise NotCarriedError("The request is nested too deeply.", "messages") from None


class _Writer:
    """Writes one request, field by field."""

    def __init__(self, asked: ChatAsked) -> None:
        self._asked = asked
        self._given = {
            name: value
            for name, value in asked.fields.items()
            if value != _NOTHING[0] and (name not in asked.without or name in ("messages", "model"))
        }
        family = family_of(asked.model)
        if asked.facts.reasoning is False:
            family = replace(family, thinking=Thinking.NEVER)
        bound = asked.facts.structured
        if bound is False or "output_config" in asked.without or (bound and not knows(asked.model)):
            family = replace(family, structured=bound is True and "output_config" not in asked.without)
        self._family = family
        self._tools = self._value("tools")
        self._names = ToolNames(names_in(self._tools))
        self._dropped = [
            name
            for name, value in asked.fields.items()
            if value not in _NOTHING and (name not in self._given or name not in _CARRIED)
        ]
        self._body: dict[str, Any] = {"model": asked.model, "max_tokens": self._cap()}

    def write(self) -> Outgoing:
        """The request. Raises NotCarriedError."""
        self._refuse_what_means_another_thing()
        body = self._body
        if self._asked.stream:
            body["stream"] = True
        conversation = conversation_of(
            self._given,
            self._names,
            system_turns=self._family.system_turns,
            stub_results=self._asked.options.get("stub_results") is True,
        )
        body["system"] = conversation.system
        body["messages"] = conversation.turns
        self._write_tools()
        self._write_format()
        self._write_sampling(self._write_thinking(conversation))
        self._write_the_rest()
        self._limit_breakpoints()
        sent = {name: value for name, value in body.items() if value not in ([], {})}
        return Outgoing(
            "/v1/messages",
            (_encode(sent),),
            tuple(dict.fromkeys(self._dropped)),
            names=self._names.renamed,
        )

    def _value(self, name: str) -> Any:
        raw = self._given.get(name)
        try:
            return None if raw is None else decoded(_decode, bytes(raw))
        except (ValueError, RecursionError):
            refuse(f"a '{name}' that is not valid JSON", name)

    def _cap(self) -> int:
        most = self._asked.facts.max_output
        for name in ("max_completion_tokens", "max_tokens"):
            value = self._value(name)
            if value is not None:
                if not isinstance(value, int | float) or value < 1:
                    refuse("a limit that is no number of tokens", name)
                return min(int(min(value, 2**31)), most or 2**31)
        return most or _DEFAULT_CAP

    def _refuse_what_means_another_thing(self) -> None:
        count = self._value("n")
        if isinstance(count, int) and count > 1:
            refuse("a request for several answers", "n")
        modalities = self._value("modalities")
        if isinstance(modalities, list) and any(each != "text" for each in modalities):
            refuse("a request for an answer that is more than text", "modalities")
        for name in ("functions", "function_call"):
            if name in self._given:
                refuse("functions that are not given as tools", name)

    def _write_tools(self) -> None:
        body = self._body
        if not self._tools:
            # A conversation in which tools were called has to define some.
            if called := self._names.used:
                body["tools"] = tools_called(called)
                body["tool_choice"] = {"type": "none"}
            return
        body["tools"] = write_tools(self._tools, self._names, self._family)
        choice = write_choice(
            self._value("tool_choice"), self._names, parallel=self._given.get("parallel_tool_calls") != _NOTHING[1]
        )
        if choice is not None and choice["type"] in ("any", "tool") and not self._family.forced_tools:
            if self._asked.options.get("degrade") is not True:
                refuse("to this model that it has to call a tool", "tool_choice")
            self._dropped.append("tool_choice")
            choice = None
        if choice is not None:
            body["tool_choice"] = choice

    def _write_format(self) -> None:
        wanted = self._value("response_format")
        kind = wanted.get("type") if isinstance(wanted, dict) else None
        if wanted is None or kind == "text":
            return
        if not isinstance(wanted, dict) or kind not in ("json_object", "json_schema"):
            refuse("this form of an answer", "response_format")
        described = wanted.get("json_schema")
        schema = described.get("schema") if isinstance(described, dict) else None
        if kind == "json_object" or not isinstance(described, dict) or schema is None:
            self._body["system"].append(text_block(_JSON_ONLY))
        elif self._family.structured:
            self._config()["format"] = {"type": "json_schema", "schema": closed(schema)}
        else:
            self._ask_for_answer_tool(described, schema)

    def _ask_for_answer_tool(self, described: dict[str, Any], schema: object) -> None:
        """Bind the output of a model that only binds the arguments of its calls."""
        body = self._body
        choice = body.get("tool_choice", {}).get("type")
        if choice == "tool":
            return
        if not self._family.forced_tools:
            refuse("to this model what form its answer has to have", "response_format")
        told = described.get("description")
        name = self._names.answer()
        tool = answer_tool(name, schema, f"{_ANSWER}\n\n{told}" if isinstance(told, str) and told else _ANSWER)
        body["tools"] = [*body.get("tools", ()), tool]
        if len(body["tools"]) == 1 or choice == "none":
            body["tool_choice"] = {"type": "tool", "name": name, "disable_parallel_tool_use": True}
        else:
            body["tool_choice"] = {**body.get("tool_choice", {}), "type": "any"}

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = self._body.setdefault("output_config", {})
        return config

    def _write_thinking(self, conversation: Conversation) -> Effort:
        family, cap = self._family, self._body["max_tokens"]
        by_level = effort_of(self._value("reasoning_effort"), family, cap)
        given = passed_on(self._value("thinking"), family, cap)
        effort = by_level if given is None else Effort(given.thinking, by_level.level, heeded=given.heeded)
        if "thinking" in self._asked.without:
            effort = NOT_HEEDED if by_level is not NOTHING_SAID else NOTHING_SAID
        forced = self._body.get("tool_choice", {}).get("type") in ("any", "tool")
        if (
            effort.thinks
            and family.thinking is Thinking.BUDGET
            and (forced or conversation.thoughtless_calls or conversation.ends_with_assistant)
        ):
            # It would be refused: such a model has to begin its turn with thoughts.
            effort = NOT_HEEDED
        if given is None and "thinking" in self._given:
            self._dropped.append("thinking")
        if not effort.heeded:
            self._dropped += [name for name in ("reasoning_effort", "thinking") if name in self._given]
        if effort.thinking is not None:
            self._body["thinking"] = effort.thinking
        if effort.level is not None and "output_config" not in self._asked.without:
            self._config()["effort"] = effort.level
        return effort

    def _write_sampling(self, effort: Effort) -> None:
        for name in ("temperature", "top_p", "top_k"):
            if name not in self._given:
                continue
            value = self._value(name)
            takes = self._family.sampling and not effort.thinks
            if name == "top_p" and self._family.one_of_sampling and "temperature" in self._body:
                takes = False
            if not takes or isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                self._dropped.append(name)
            elif name == "top_k":
                self._body[name] = max(int(value), 0)
            else:
                self._body[name] = min(max(value, 0), 1)

    def _write_the_rest(self) -> None:
        stop = self._value("stop")
        stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
        self._body["stop_sequences"] = [each for each in stops if isinstance(each, str) and each.strip()]
        user = self._value("user")
        if isinstance(user, str) and 0 < len(user) <= _LONGEST_USER and not _E_MAIL.fullmatch(user):
            self._body["metadata"] = {"user_id": user}
        elif user is not None:
            self._dropped.append("user")
        cached(self._body, self._value("cache_control"))

    def _limit_breakpoints(self) -> None:
        """Leave the first mark, which many conversations share, and the last ones, which this one goes on from."""
        most = _BREAKPOINTS - ("cache_control" in self._body)
        marked = [block for block in self._blocks() if "cache_control" in block]
        if len(marked) > most:
            for block in marked[1 : 1 - most]:
                del block["cache_control"]

    def _blocks(self) -> Iterator[Block]:
        """All blocks that may have a mark, in the order in which a prefix is made of them."""
        yield from self._body.get("tools", ())
        yield from self._body["system"]
        for turn in self._body["messages"]:
            yield from turn.content
