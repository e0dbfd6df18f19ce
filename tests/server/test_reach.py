"""Who can reach the proxy, by where it listens."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest

from proxy.server.reach import open_place


def listening(host: str) -> socket.socket:
    return socket.create_server((host, 0))


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", None), ("localhost", None), ("[::1]", None), ("0.0.0.0", "0.0.0.0"), ("", ""), ("a.test", "a.test")],  # noqa: S104
)
def test_without_sockets_the_host_says_it(host: str, expected: str | None) -> None:
    assert expected == open_place([], host)


def test_sockets_hold_in_place_of_the_host() -> None:
    with closing(listening("127.0.0.1")) as local:
        assert open_place([local], "0.0.0.0") is None  # noqa: S104


def test_one_open_socket_lets_everybody_in() -> None:
    with closing(listening("127.0.0.1")) as local, closing(listening("0.0.0.0")) as everywhere:  # noqa: S104
        assert "the socket" == open_place([local, everywhere], "127.0.0.1")


def test_a_socket_of_the_file_system_is_for_this_machine(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as local:
        local.bind(str(tmp_path / "socket"))

        assert open_place([local], "0.0.0.0") is None  # noqa: S104
