"""A prompt with "429" in it made a caller's fault look like a rate limit (litellm#11455)."""

from proxy.core.failure import FailureClass
from proxy.dialects.failures import classify


def test_words_of_the_prompt_do_not_classify() -> None:
    message = b"Invalid value for 'content': 'error 429 rate limit exceeded'"
    body = b'{"error":{"message":"%s","type":"invalid_request_error"}}' % message

    assert FailureClass.CALLER_FAULT is classify("openai", 400, {}, body, 0.0).kind
