"""Which optional field of the request an upstream refuses, in every provider's wording.

Such a request is tried once more without the field, so only fields are named here that may go without changing what was
asked for. A trailing assistant message that is not continued is told like a field, though it is none.
"""

from __future__ import annotations

import re

from proxy.dialects.error_text import ErrorText

OPTIONAL_FIELDS = frozenset(
    {
        # How tokens are drawn: the question stays the same, and so does what a good answer is.
        "temperature", "top_p", "top_k", "min_p", "seed", "logit_bias",
        "presence_penalty", "frequency_penalty", "repetition_penalty",
        # How hard the model tries, and how wordy it is.
        "reasoning_effort", "verbosity",
        # Extras beside the answer.
        "logprobs", "top_logprobs", "stream_options",
        # Bookkeeping between the client and one provider.
        "client_metadata", "access_programs",
        "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        # Speed only.
        "prediction", "parallel_tool_calls",
        # One is renamed to the other (`openai.py: write_request`); without both, the model's own limit holds.
        "max_tokens", "max_completion_tokens",
    }
)  # fmt: skip
"""Fields that may be dropped when a model refuses them. Never messages, tools, tool_choice, response_format, n, stop,
modalities or audio: without those the answer would be one to another question."""

_OWN_WORDS = 240
"""Characters at the beginning of a message that are looked at: further on it may quote the prompt."""

_CODES = frozenset(
    {
        "unsupported_parameter", "unsupported_value", "unknown_parameter",  # OpenAI, Azure; the field is in `param`
        "extra_forbidden",  # Mistral and other FastAPI servers; the field is in `loc`
    }
)  # fmt: skip

_FIELD = r"[`'\"]*([A-Za-z_][\w.\[\]]*)"
_WORDINGS = tuple(
    re.compile(wording, re.IGNORECASE)
    for wording in (
        # OpenAI says "Unsupported parameter: 'max_tokens' is not supported with this model."
        rf"\bunsupported (?:parameter|value|argument)(?:s|\(s\))?:? {_FIELD}",
        rf"\bunrecognized request arguments? supplied: {_FIELD}",  # OpenAI
        rf"\bargument not supported(?: on this model)?: {_FIELD}",  # xAI
        rf"\bdoes not support (?:the )?parameter:? {_FIELD}",  # xAI: "Model grok-4 does not support parameter stop."
        # Gemini says 'Unknown name "store": Cannot find field.', DeepSeek "unknown field `x`".
        rf"\bunknown (?:field|parameter|name|argument):? {_FIELD}",
        # Anthropic, and Bedrock: "The model returned the following errors: `temperature` is deprecated for this model."
        rf"(?:^|\berrors?:)\W*{_FIELD}[`'\"]* is deprecated for this model",
        # Anthropic takes only one of them; the temperature is the one that clients choose on purpose.
        r"[`'\"]temperature[`'\"] and [`'\"](top_p)[`'\"] cannot both be specified",
        rf"(?:^|[\s;]){_FIELD}: extra inputs are not permitted",  # Anthropic, FastAPI
        rf"(?:^|\bproperty ){_FIELD}[`'\"]*(?: parameter| field)? is (?:not supported|unsupported)",  # Groq
        r"\bdoes not support (thinking)\b",  # Ollama
        # Anthropic, of a history without thoughts while it is to think (litellm#18926)
        r"\bexpected [`'\"]?(thinking)\b.{0,50}\bbut found [`'\"]?tool_use\b",
    )
)

_PREFILL_WORDINGS = tuple(
    re.compile(wording, re.IGNORECASE)
    for wording in (
        r"\bdoes not support (?:assistant )?(?:message |response )?pre-?fill",  # Anthropic, our simulator
        r"\bconversation must end with a user message",  # Anthropic
        # Anthropic, of a beginning without thoughts while it thinks
        r"\bexpected [`'\"]?thinking\b.{0,50}\bbut found [`'\"]?text\b",
        # llama.cpp, of templates that could think; Bedrock: "pre-filling the `assistant` response is not supported"
        r"\bpre-?fill(?:ing|ed)?\b.{0,60}\b(?:incompatible|not supported|no longer supported|unsupported)\b",
        r"\bcannot have 2 or more assistant messages at the end",  # llama.cpp, this and the next
        r"\bcannot continue an assistant message",
        r"\brequests ending with a model turn are not supported",  # Gemini
        r"\bexpected last role user or tool\b",  # Mistral, and vLLM with Mistral's templates
        # vLLM says "Cannot set both `add_generation_prompt` and `continue_final_message` to True.", in either order.
        r"\bcannot set (?:both )?[`'\"]?(?:add_generation_prompt|continue_final_message)\b",
        # vLLM, of templates that leave out or alter the last message
        r"\bcontinue_final_message[`'\"]? (?:is set but|cannot be|is not supported|requires)\b",
        r"\blast message\b.{0,60}\b(?:must|should)\b.{0,25}\buser\b",  # DeepSeek without its prefix mode; others
    )
)

_OTHER_NAMES = {
    "max_output_tokens": "max_completion_tokens",
    "num_predict": "max_completion_tokens",
    "output_config": "reasoning_effort",
    "random_seed": "seed",
    "reasoning": "reasoning_effort",
    "think": "reasoning_effort",
    "thinking": "reasoning_effort",
    "thinking_config": "reasoning_effort",
}
"""Names under which upstreams know a field in their own languages, and Mistral's, which `registry.py` renames to."""


def refused_field(error: ErrorText) -> str | None:
    """The field of `OPTIONAL_FIELDS` that the error refuses as unsupported, as the client spells it; None if none."""
    named = error.param if error.names & _CODES and error.param else _in_words(error.message[:_OWN_WORDS])
    field = _top_level(named) if named else ""
    return field if field in OPTIONAL_FIELDS else None


def refuses_prefill(error: ErrorText) -> bool:
    """Whether the error refuses to go on with the assistant message that the request ends in."""
    message = error.message[:_OWN_WORDS]
    return any(wording.search(message) for wording in _PREFILL_WORDINGS)


def _in_words(message: str) -> str | None:
    for wording in _WORDINGS:
        if found := wording.search(message):
            return found[1]
    return None


def _top_level(path: str) -> str:
    """The client's field: `stream_options` for `stream_options.include_usage`, `top_p` for xAI's `topP`."""
    first = re.split(r"[.\[]", path.removeprefix("body."), maxsplit=1)[0]
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", first).lower()
    return _OTHER_NAMES.get(snake, snake)
