"""The conformance matrix: every language of clients with every kind of upstream, in every case."""

import pytest

# What is asserted outside of files of tests is to be told as well.
pytest.register_assert_rewrite(
    "tests.conformance.matrix.cases",
    "tests.conformance.matrix.openai_clients",
    "tests.conformance.matrix.anthropic_clients",
)
