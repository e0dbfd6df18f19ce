"""A file that is changed while a proxy runs is noticed, however it is changed."""

import asyncio
import os
from pathlib import Path

import pytest

from proxy.core.event import Reloaded
from tests.control.test_reload import BAD, ROUTES, file, served_by
from tests.support.fleet import fleet
from tests.support.virtual_time import run_virtual

__all__ = ["file"]


async def write_slowly(file: Path, text: str) -> None:
    """As an editor does that empties the file first."""
    with file.open("w") as stream:
        for start in range(0, len(text), 100):
            stream.write(text[start : start + 100])
            stream.flush()
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("how", ["in place", "slowly", "rename", "link"])
def test_a_change_of_the_file_is_noticed(file: Path, tmp_path: Path, how: str) -> None:
    watched = ROUTES.replace(", watch: false", "")
    other = watched.replace("[primary/m, backup/m]", "[backup/m]")

    async def scenario() -> None:
        if how == "link":
            # As Kubernetes keeps a ConfigMap: a link to a file through a link to a folder, which is swapped.
            (tmp_path / "v1").mkdir()
            (tmp_path / "v2").mkdir()
            (tmp_path / "v1" / "routes.yaml").write_text("")
            (tmp_path / "data").symlink_to("v1")
            file.symlink_to("data/routes.yaml")
        async with fleet(watched, file=file) as running:
            await asyncio.sleep(5)
            assert [] == [each for each in running.told if isinstance(each, Reloaded)]
            if how == "in place":
                file.write_text(other)
            elif how == "slowly":
                await write_slowly(file, other)
            elif how == "rename":
                (tmp_path / "new").write_text(other)
                (tmp_path / "new").replace(file)
            else:
                (tmp_path / "v2" / "routes.yaml").write_text(other)
                (tmp_path / "swap").symlink_to("v2")
                (tmp_path / "swap").replace(tmp_path / "data")
            await asyncio.sleep(3)
            assert [("ok", "file")] == [
                (each.outcome, each.cause) for each in running.told if isinstance(each, Reloaded)
            ]
            assert (200, "backup") == await served_by(running)
            # Gone and back, with nothing changed in the end.
            content = file.read_bytes()
            mark = file.stat()
            file.rename(tmp_path / "aside")
            await asyncio.sleep(5)
            (tmp_path / "aside").rename(file)
            assert (content, mark.st_ino) == (file.read_bytes(), file.stat().st_ino)
            await asyncio.sleep(5)
            assert 1 == sum(isinstance(each, Reloaded) for each in running.told)

    run_virtual(scenario())


def test_a_bad_change_is_told_once_and_mended_by_the_next(file: Path) -> None:
    watched = ROUTES.replace(", watch: false", "")

    async def scenario() -> None:
        async with fleet(watched, file=file) as running:
            file.write_text(BAD.replace(", watch: false", ""))
            await asyncio.sleep(10)
            file.write_text(watched)
            await asyncio.sleep(3)
            assert ["refused", "ok"] == [each.outcome for each in running.told if isinstance(each, Reloaded)]
            # What an operator has had read is not read again by itself.
            os.utime(file, ns=(1, 1))
            await running.request("POST", "/admin/v1/reload")
            await asyncio.sleep(5)
            assert 3 == sum(isinstance(each, Reloaded) for each in running.told)

    run_virtual(scenario())


def test_unwatched_it_waits_to_be_told(file: Path) -> None:
    async def scenario() -> None:
        async with fleet(ROUTES, file=file) as running:
            file.write_text(BAD)
            await asyncio.sleep(10)
            assert [] == [each for each in running.told if isinstance(each, Reloaded)]

    run_virtual(scenario())
