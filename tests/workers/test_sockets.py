"""Listening sockets of several workers."""

import errno
import socket

import pytest

from proxy.workers.sockets import bound, close, shared, spreads


def test_one_port_for_all() -> None:
    sets, port = bound("127.0.0.1", 0, 3)
    try:
        assert [port] * 3 == [each.getsockname()[1] for (each,) in sets]
        assert (3 if spreads() else 1) == len({each.fileno() for (each,) in sets})
    finally:
        close(sets)


def test_a_port_that_another_proxy_shares_with_its_own_workers_is_taken() -> None:
    sets, port = bound("127.0.0.1", 0, 2)
    try:
        with pytest.raises(OSError, match="in use") as caught:
            bound("127.0.0.1", port, 2)
        assert errno.EADDRINUSE == caught.value.errno
    finally:
        close(sets)


def test_sockets_of_somebody_else_are_for_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert [(listening,), (listening,)] == shared([listening], 2)


def test_what_is_closed_listens_no_more() -> None:
    sets, port = bound("127.0.0.1", 0, 2)
    close(sets)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
