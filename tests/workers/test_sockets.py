"""Listening sockets of several workers."""

import errno
import socket

import pytest

from proxy.workers.sockets import bound, shared, spreads


def test_one_port_for_all() -> None:
    sets, port = bound("127.0.0.1", 0, 3)
    try:
        assert [port] * 3 == [each.getsockname()[1] for (each,) in sets]
        assert (3 if spreads() else 1) == len({each.fileno() for (each,) in sets})
    finally:
        for (each,) in sets:
            each.close()


def test_a_port_that_another_proxy_shares_with_its_own_workers_is_taken() -> None:
    sets, port = bound("127.0.0.1", 0, 2)
    try:
        with pytest.raises(OSError, match="in use") as caught:
            bound("127.0.0.1", port, 2)
        assert errno.EADDRINUSE == caught.value.errno
    finally:
        for (each,) in sets:
            each.close()


def test_sockets_of_somebody_else_are_for_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert [(listening,), (listening,)] == shared([listening], 2)
