"""The simulated upstreams that a proxy plays itself: those that live nowhere else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from proxy.config.settings import Settings
from proxy.server.lifecycle import Lifecycle, Work
from proxy.simulator.server import Simulator


class Playing:
    """Starts what settings name, and stops what they name no more."""

    def __init__(self) -> None:
        self.simulator: Simulator | None = None
        """Set when something is played for the first time."""
        self._leaving: set[asyncio.Task[None]] = set()
        """Waits until what the settings no longer name is used by nobody."""
        self._settings: Settings

    async def with_addresses(self, settings: Settings) -> Settings:
        """Play the upstreams that are simulated and live nowhere else, and tell the settings where.

        Raises OSError where one cannot be started; then none of the new ones is.
        """
        names = [
            name for name, upstream in settings.upstreams.items() if _is_played(upstream.kind.name, upstream.base_url)
        ]
        if not names:
            return settings
        if self.simulator is None:
            simulator = Simulator(names)
            await simulator.start()
            self.simulator = simulator
        missing = [name for name in names if name not in self.simulator.upstreams]
        for number, name in enumerate(missing):
            try:
                await self.simulator.add(name)
            except OSError:
                for added in missing[:number]:
                    await self.simulator.remove(added)
                raise
        places = {name: replace(settings.upstreams[name], base_url=self.simulator.base_url(name)) for name in names}
        return replace(settings, upstreams={**settings.upstreams, **places})

    def played(self, settings: Settings) -> set[str]:
        """The upstreams of some settings that are played here."""
        if self.simulator is None:
            return set()
        played = self.simulator.upstreams
        return {
            name
            for name, upstream in settings.upstreams.items()
            if name in played and upstream.base_url == played[name].base_url
        }

    def follow(self, before: Settings, settings: Settings, lifecycle: Lifecycle) -> None:
        """Go by other settings: what they no longer name is stopped when the last request is over that may use it."""
        self._settings = settings
        gone = self.played(before).difference(self.played(settings))
        if gone:
            leaving = asyncio.create_task(self._stop(gone, lifecycle, set(lifecycle.running)), name="leaving")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Play nothing more."""
        leaving = list(self._leaving)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        if self.simulator is not None:
            await self.simulator.close()

    async def _stop(self, names: set[str], lifecycle: Lifecycle, users: set[Work]) -> None:
        await lifecycle.wait_for(users)
        # Other settings may name it again by now.
        for name in names.difference(self.played(self._settings)):
            if self.simulator is not None and name in self.simulator.upstreams:
                await self.simulator.remove(name)


def _is_played(kind: str, base_url: str) -> bool:
    return kind == "simulated" and not base_url
