"""What a request's head says, worked out once for each configuration."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.core.errors import ClientError
from proxy.server.door import Head
from tests.support.fleet import ROUTES, settings_of

OPEN = settings_of(ROUTES)
CLOSED = settings_of(ROUTES + "clients: [{name: team, key: sk-12345678}]\n")


def head(**headers: str) -> Head:
    return Head(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))


def test_it_is_worked_out_once() -> None:
    one = head(x_holdfast_timeout="2")

    assert one.asked(OPEN) is one.asked(OPEN)
    assert (None, 2.0) == (one.asked(OPEN).client, one.asked(OPEN).wishes.timeout)


def test_another_configuration_has_another_answer() -> None:
    one, stranger = head(authorization="Bearer sk-12345678"), head(authorization="Bearer sk-87654321")

    assert one.asked(OPEN).client is None
    assert "team" == getattr(one.asked(CLOSED).client, "name", None)
    assert one.asked(OPEN).client is None
    assert stranger.asked(OPEN).client is None
    with pytest.raises(ClientError, match="valid API key"):
        stranger.asked(CLOSED)


def test_what_is_refused_is_refused_again() -> None:
    """A head that is known is not let in because it has been looked at."""
    stranger, odd = head(), head(x_holdfast_timeout="soon")
    for _ in range(3):
        with pytest.raises(ClientError) as caught:
            stranger.asked(CLOSED)
        assert 401 == caught.value.status
        with pytest.raises(ClientError) as caught:
            odd.asked(OPEN)
        assert 400 == caught.value.status
    assert stranger.asked(OPEN).client is None
    with pytest.raises(ClientError):
        stranger.asked(CLOSED)
