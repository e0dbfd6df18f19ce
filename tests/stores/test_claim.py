"""Two proxies with one state file."""

import os
from pathlib import Path

import pytest

from proxy.stores.claim import Claim, ClaimedError


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    first, second = Claim(path), Claim(path)
    first.make()
    with pytest.raises(ClaimedError, match=f"{path} is in use by process {os.getpid()}"):
        second.make()
    first.close()
    second.make()
    second.close()


def test_a_link_to_it_is_the_same_file(tmp_path: Path) -> None:
    path, link = tmp_path / "holdfast.db", tmp_path / "other.db"
    link.symlink_to(path)
    claim = Claim(path)
    claim.make()
    with pytest.raises(ClaimedError):
        Claim(link).make()
    claim.close()


def test_whatever_cannot_be_claimed_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    Claim(tmp_path / "missing" / "holdfast.db").make()
    Claim(None).make()
