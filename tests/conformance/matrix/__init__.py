"""The conformance matrix: every language of clients with every kind of upstream, in every case."""

import pytest

# What is asserted outside of files of tests is to be told as well.
pytest.register_assert_rewrite(
    "tests.conformance.matrix.cell",
    "tests.conformance.matrix.answers",
    "tests.conformance.matrix.errors",
    "tests.conformance.matrix.failovers",
    "tests.conformance.matrix.openai_clients",
    "tests.conformance.matrix.anthropic_clients",
)
