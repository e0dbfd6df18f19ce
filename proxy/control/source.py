"""Where the configuration comes from: a file that can be read again, and whose changes can be noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from proxy.config.load import Loaded, load_file
from proxy.config.resolve import resolve
from proxy.config.settings import Settings


class Mark(NamedTuple):
    """What changes when a file does: its content written anew, or another file put in its place, also behind a link."""

    inode: int
    modified_ns: int
    size: int


class Source:
    """A file, with what stands above it."""

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str],
        adjust: Callable[[Settings], Settings] = lambda settings: settings,
        aside: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread,
    ) -> None:
        """`adjust` is what the command line says instead of the file. `aside` runs what may take a while (a large file,
        a disk that hangs) where it holds up nobody."""
        self.path = path
        self.read: Mark | None = None
        """The mark of what was last read."""
        self._environ = environ
        self._adjust = adjust
        self._aside = aside

    def load(self) -> Loaded:
        """Read it: the file, the environment, and files that it refers to."""
        # Marked before it is read: what is written meanwhile is noticed later.
        self.read = self._look()
        return load_file(self.path, self._environ)

    def settings(self, loaded: Loaded) -> Settings | None:
        """The settings that come of it; None when there are errors in it."""
        if loaded.config is None:
            return None
        return self._adjust(resolve(loaded.config, loaded.unconfigured, loaded.folder))

    async def load_again(self) -> tuple[Loaded, Settings | None]:
        """Read it without holding up the event loop."""
        loaded, settings = await self._aside(self._load_again)
        return loaded, settings

    async def look(self) -> Mark | None:
        """The mark of what is there now; None when there is no such file."""
        mark: Mark | None = await self._aside(self._look)
        return mark

    def _load_again(self) -> tuple[Loaded, Settings | None]:
        loaded = self.load()
        return loaded, self.settings(loaded)

    def _look(self) -> Mark | None:
        try:
            seen = self.path.stat()
        except (OSError, ValueError):
            return None
        return Mark(seen.st_ino, seen.st_mtime_ns, seen.st_size)
